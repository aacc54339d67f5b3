/**
 * French, with vous: what is said at the door. The keys are those of `en_door.js`. Of blanks see `fr.js`.
 */
export const WORDS = {
  __proto__: null,
  direction: "ltr",
  language: "Langue",

  // The door
  welcomeTo: "Bienvenue sur {place}",
  invitedTo: "Vous êtes invité dans le salon «\u00A0{room}\u00A0».",
  peopleThere: { one: "{count} personne s’y trouve.", many: "{count} de personnes s’y trouvent.", other: "{count} personnes s’y trouvent." },
  chooseNameAndEnter: "Choisissez un nom et entrez.",
  yourName: "Votre nom",
  howOthersSeeYou: "Celui que les autres verront",
  room: "Salon",
  enter: "Entrer",
  isHereAlready: "{name} est déjà là. Est-ce vous sur un autre appareil\u202F?",
  hasBeenHere: "{name} est déjà venu ici. Était-ce vous\u202F?",
  sameNameNow: "Ici, un nom est une personne\u00A0: les deux appareils lisent les mêmes messages privés.",
  sameNameBefore: "Ici, un nom est une personne\u00A0: ce qui a été écrit à ce nom seul est montré à qui entre sous ce nom.",
  yesThatIsMe: "Oui, c’est moi",
  chooseAnotherName: "Choisir un autre nom",
  operatorsName: "C’est le nom de l’exploitant de ce serveur.",
  needsLink: "Il vous faut un lien personnel pour entrer ici. Ouvrez celui que vous avez reçu, ou demandez-en un à l’exploitant de ce serveur.",
  comingIn: "Entrée en cours…",
  askingServer: "Interrogation du serveur…",
  tryingAgain: "{why} Nouvel essai…",
  unreachable: "Le serveur est injoignable.",
  notLetIn: "Le serveur ne vous a pas laissé entrer.",
  notLoaded: "Une partie de cette page n’a pas pu être chargée.",
  tryAgain: "Réessayer",

  // Why a connection was closed, by the code of the server
  "close.1001": "Le serveur s’arrête.",
  "close.1008": "Le serveur n’a pas accepté la connexion.",
  "close.1011": "Une erreur s’est produite sur le serveur.",
  "close.1012": "Le serveur redémarre.",
  "close.1013": "Le serveur est très occupé.",
  "close.4001": "Ce serveur demande de s’identifier.",
  "close.4003": "Vous avez été banni de ce serveur.",
  "close.4010": "La modération vous a exclu.",
  "close.4100": "Il y a trop de connexions depuis cet endroit.",
  "close.4101": "Vous avez trop envoyé en peu de temps.",
  "close.4200": "Le serveur a demandé une nouvelle connexion.",
  "close.4201": "Ce navigateur n’a pas répondu à temps.",

  // What is wrong with a name, a note or a topic
  "fault.empty": "Veuillez saisir un nom.",
  "fault.reserved": "«\u00A0*\u00A0» est réservé.",
  "fault.too_long": {
    one: "C’est trop long. Veuillez retirer un caractère.",
    many: "C’est trop long. Veuillez retirer {count} de caractères.",
    other: "C’est trop long. Veuillez retirer {count} caractères.",
  },
  "fault.blank": "Une espace au début ou à la fin n’est pas permise.",
  "fault.control": "Les caractères de contrôle (tabulations, sauts de ligne…) ne sont pas permis.",
  "fault.direction": "Les caractères qui inversent le sens du texte ne sont pas permis.",
  "fault.no_text": "Ce n’est pas un texte valide.",
  "fault.unseen": "Les caractères invisibles ne sont pas permis\u202F; il y a {character}.",
};
