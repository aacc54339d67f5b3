/**
 * English: what is said at the door, which comes before all else. The rest is in `en.js`.
 */
export const WORDS = {
  __proto__: null,
  direction: "ltr",
  language: "Language",

  // The door
  welcomeTo: "Welcome to {place}",
  invitedTo: "You are invited to the room “{room}”.",
  peopleThere: { one: "{count} person is there.", other: "{count} people are there." },
  chooseNameAndEnter: "Choose a name and come in.",
  yourName: "Your name",
  howOthersSeeYou: "How others will see you",
  room: "Room",
  enter: "Enter",
  isHereAlready: "{name} is here already. Is that you on another device?",
  hasBeenHere: "{name} has been here before. Was that you?",
  sameNameNow: "One name is one person here: both devices read the same direct messages.",
  sameNameBefore: "One name is one person here: what was written to that name alone is shown to whoever comes in under it.",
  yesThatIsMe: "Yes, that is me",
  chooseAnotherName: "Choose another name",
  operatorsName: "That is the name of whoever runs this server.",
  needsLink: "You need a link of your own to come in here. Please open the one that you were given, or ask whoever runs this server for one.",
  comingIn: "Coming in …",
  askingServer: "Asking the server …",
  tryingAgain: "{why} Trying again …",
  unreachable: "The server cannot be reached.",
  notLetIn: "The server did not let you in.",
  notLoaded: "A part of this page could not be loaded.",
  tryAgain: "Try again",

  // Why a connection was closed, by the code of the server
  "close.1001": "The server is going away.",
  "close.1008": "The server did not accept the connection.",
  "close.1011": "Something went wrong on the server.",
  "close.1012": "The server is restarting.",
  "close.1013": "The server is very busy.",
  "close.4001": "This server needs you to sign in.",
  "close.4003": "You have been banned from this server.",
  "close.4010": "You have been removed by a moderator.",
  "close.4100": "There are too many connections from here.",
  "close.4101": "You sent too much in a short time.",
  "close.4200": "The server asked for a new connection.",
  "close.4201": "This browser did not answer in time.",

  // What is wrong with a name, a note or a topic
  "fault.empty": "Please enter a name.",
  "fault.reserved": "“*” is reserved.",
  "fault.too_long": { one: "That is too long. Please leave out one character.", other: "That is too long. Please leave out {count} characters." },
  "fault.blank": "A blank at the beginning or the end is not allowed.",
  "fault.control": "Control characters (tabs, line breaks …) are not allowed.",
  "fault.direction": "Characters that reverse the direction of text are not allowed.",
  "fault.no_text": "That is not valid text.",
  "fault.unseen": "Characters that nobody sees are not allowed; this has {character}.",
};
