/**
 * German, with du: what is said at the door. The keys are those of `en_door.js`.
 */
export const WORDS = {
  __proto__: null,
  direction: "ltr",
  language: "Sprache",

  // The door
  welcomeTo: "Willkommen bei {place}",
  invitedTo: "Du bist in den Raum „{room}“ eingeladen.",
  peopleThere: { one: "{count} Person ist dort.", other: "{count} Personen sind dort." },
  chooseNameAndEnter: "Wähl einen Namen und komm herein.",
  yourName: "Dein Name",
  howOthersSeeYou: "So sehen dich die anderen",
  room: "Raum",
  enter: "Eintreten",
  isHereAlready: "{name} ist schon hier. Bist du das auf einem anderen Gerät?",
  hasBeenHere: "{name} war schon einmal hier. Warst du das?",
  sameNameNow: "Ein Name ist hier eine Person: Beide Geräte lesen dieselben Direktnachrichten.",
  sameNameBefore: "Ein Name ist hier eine Person: Was nur an diesen Namen geschrieben wurde, sieht, wer unter ihm hereinkommt.",
  yesThatIsMe: "Ja, das bin ich",
  chooseAnotherName: "Anderen Namen wählen",
  operatorsName: "So heißt hier, wer den Server betreibt.",
  needsLink: "Du brauchst einen eigenen Link, um hier hereinzukommen. Öffne den, den du bekommen hast, oder bitte die Betreiber dieses Servers um einen.",
  comingIn: "Einen Moment …",
  askingServer: "Der Server wird gefragt …",
  tryingAgain: "{why} Neuer Versuch …",
  unreachable: "Der Server ist nicht erreichbar.",
  notLetIn: "Der Server hat dich nicht hereingelassen.",
  notLoaded: "Ein Teil dieser Seite konnte nicht geladen werden.",
  tryAgain: "Noch einmal versuchen",

  // Why a connection was closed, by the code of the server
  "close.1001": "Der Server wird beendet.",
  "close.1008": "Der Server hat die Verbindung nicht angenommen.",
  "close.1011": "Auf dem Server ist etwas schiefgegangen.",
  "close.1012": "Der Server startet neu.",
  "close.1013": "Der Server ist sehr beschäftigt.",
  "close.4001": "Auf diesem Server musst du dich anmelden.",
  "close.4003": "Du wurdest von diesem Server verbannt.",
  "close.4010": "Du wurdest von der Moderation entfernt.",
  "close.4100": "Von hier gibt es zu viele Verbindungen.",
  "close.4101": "Du hast in kurzer Zeit zu viel gesendet.",
  "close.4200": "Der Server hat um eine neue Verbindung gebeten.",
  "close.4201": "Dieser Browser hat nicht rechtzeitig geantwortet.",

  // What is wrong with a name, a note or a topic
  "fault.empty": "Bitte gib einen Namen ein.",
  "fault.reserved": "„*“ ist reserviert.",
  "fault.too_long": { one: "Das ist zu lang. Bitte lass ein Zeichen weg.", other: "Das ist zu lang. Bitte lass {count} Zeichen weg." },
  "fault.blank": "Leerzeichen am Anfang oder am Ende sind nicht erlaubt.",
  "fault.control": "Steuerzeichen (Tabulatoren, Zeilenumbrüche …) sind nicht erlaubt.",
  "fault.direction": "Zeichen, die die Schreibrichtung umkehren, sind nicht erlaubt.",
  "fault.no_text": "Das ist kein gültiger Text.",
  "fault.unseen": "Unsichtbare Zeichen sind nicht erlaubt; gefunden: {character}.",
};
