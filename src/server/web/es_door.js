/**
 * Spanish, with tú: what is said at the door. The keys are those of `en_door.js`.
 */
export const WORDS = {
  __proto__: null,
  direction: "ltr",
  language: "Idioma",

  // The door
  welcomeTo: "Te damos la bienvenida a {place}",
  invitedTo: "Tienes una invitación a la sala «{room}».",
  peopleThere: { one: "Hay {count} persona dentro.", many: "Hay {count} de personas dentro.", other: "Hay {count} personas dentro." },
  chooseNameAndEnter: "Elige un nombre y entra.",
  yourName: "Tu nombre",
  howOthersSeeYou: "Así te verán los demás",
  room: "Sala",
  enter: "Entrar",
  isHereAlready: "{name} ya está aquí. ¿Eres tú en otro dispositivo?",
  hasBeenHere: "{name} ya ha estado aquí. ¿Eras tú?",
  sameNameNow: "Aquí un nombre es una persona: los dos dispositivos leen los mismos mensajes directos.",
  sameNameBefore: "Aquí un nombre es una persona: lo que se escribió solo a ese nombre lo ve quien entre con él.",
  yesThatIsMe: "Sí, soy yo",
  chooseAnotherName: "Elegir otro nombre",
  operatorsName: "Ese es el nombre de quien administra este servidor.",
  needsLink: "Para entrar aquí necesitas un enlace propio. Abre el que te dieron o pide uno a quien administra este servidor.",
  comingIn: "Entrando…",
  askingServer: "Preguntando al servidor…",
  tryingAgain: "{why} Probando de nuevo…",
  unreachable: "No se puede acceder al servidor.",
  notLetIn: "El servidor no te ha dejado entrar.",
  notLoaded: "No se pudo cargar una parte de esta página.",
  tryAgain: "Probar de nuevo",

  // Why a connection was closed, by the code of the server
  "close.1001": "El servidor se está apagando.",
  "close.1008": "El servidor no aceptó la conexión.",
  "close.1011": "Algo falló en el servidor.",
  "close.1012": "El servidor se está reiniciando.",
  "close.1013": "El servidor está muy ocupado.",
  "close.4001": "En este servidor hay que iniciar sesión.",
  "close.4003": "Se te ha vetado en este servidor.",
  "close.4010": "La moderación te ha expulsado.",
  "close.4100": "Hay demasiadas conexiones desde aquí.",
  "close.4101": "Has enviado demasiado en poco tiempo.",
  "close.4200": "El servidor ha pedido una conexión nueva.",
  "close.4201": "Este navegador no respondió a tiempo.",

  // What is wrong with a name, a note or a topic
  "fault.empty": "Escribe un nombre.",
  "fault.reserved": "«*» está reservado.",
  "fault.too_long": {
    one: "Es demasiado largo. Quita un carácter.",
    many: "Es demasiado largo. Quita {count} de caracteres.",
    other: "Es demasiado largo. Quita {count} caracteres.",
  },
  "fault.blank": "No puede haber un espacio al principio ni al final.",
  "fault.control": "No se permiten caracteres de control (tabuladores, saltos de línea…).",
  "fault.direction": "No se permiten caracteres que invierten la dirección del texto.",
  "fault.no_text": "Eso no es un texto válido.",
  "fault.unseen": "No se permiten caracteres invisibles; hay {character}.",
};
