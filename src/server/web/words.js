/**
 * Words for the codes of the server. None of these tables inherits anything: a code may be any word, "constructor" too.
 */

export const GAP_WORDS = {
  __proto__: null,
  expired: "Older messages from while you were away are no longer kept.",
  epoch_changed: "The server began a new history here.",
  missing: "Some messages are missing here.",
};

export const NOT_HERE = "You are not in this room.";

export const LEFT_WORDS = {
  __proto__: null,
  kicked: "You have been removed from this room by a moderator.",
  closed: "This room is no longer open to you.",
};

/** Why a room could not be entered, where these words are better than the general ones. */
export const JOIN_WORDS = {
  __proto__: null,
  forbidden: "This room is not open to you.",
  room_not_found: "There is no such room, and you may not make one.",
};

const ERROR_WORDS = {
  __proto__: null,
  unauthorized: "You need to sign in to do that.",
  token_expired: "Your sign-in has run out. Please open the page again.",
  forbidden: "You are not allowed to do that here.",
  room_not_found: "There is no such room.",
  user_not_found: "Nobody of that name has been here yet.",
  not_found: "That message is no longer there.",
  not_joined: "You are not in this room. Join it first.",
  too_large: "It is too long. Please send it in parts.",
  too_many_rooms: "You are in as many rooms as you can be. Leave one first.",
  room_full: "The room is full.",
  rate_limited: "That was too fast. Please wait a moment.",
  history_gone: "Those messages are no longer kept.",
  overloaded: "The server is very busy. Please try again.",
  backend_down: "The server cannot store messages at the moment. Please try again.",
  internal: "Something went wrong on the server. Please try again.",
  disconnected: "There is no connection at the moment.",
  timeout: "The server did not answer. Please try again.",
  unconfirmed: "The connection was lost before it was confirmed. It may have been delivered.",
};

export const CLOSE_WORDS = {
  __proto__: null,
  1001: "The server is going away.",
  1008: "The server did not accept the connection.",
  1011: "Something went wrong on the server.",
  1012: "The server is restarting.",
  1013: "The server is very busy.",
  4001: "This server needs you to sign in.",
  4003: "You have been banned from this server.",
  4010: "You have been removed by a moderator.",
  4100: "There are too many connections from here.",
  4101: "You sent too much in a short time.",
};

export const STATUS_WORDS = { __proto__: null, online: "online", away: "away", busy: "busy", offline: "offline" };

/** An error of the server in words; `otherwise` where there are no words for its code. */
export function inWords(error, otherwise = error.message) { return ERROR_WORDS[error.code] ?? otherwise; }

/** The close code of a server that needs a token. */
export const UNAUTHORIZED = 4001;

/** A number of things, in words. */
export const counted = (count, one, more) => `${count} ${count === 1 ? one : more}`;
