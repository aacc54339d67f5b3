/**
 * Words for codes: those of the server, and what is wrong with a name. A code may be any word, "constructor" too.
 */
import { characterFault, nameFault } from "./client.js";
import { known } from "./language.js";

/** An error of the server in words; one that there are no words for says what the server says. */
export const inWords = (error) => known("error", error.code) ?? error.message;

/** Why a connection was closed; the empty string where nothing is known of the code. */
export const whyClosed = (code) => known("close", code) ?? "";

const faultInWords = (fault) => fault && known("fault", fault.code, fault);

/** What is wrong with a name for a user or a room, in a sentence; null if nothing is. */
export const nameProblem = (name) => faultInWords(nameFault(name));

/** What is wrong with the characters of a note or a topic, in a sentence; null if nothing is. */
export const characterProblem = (text) => faultInWords(characterFault(text));

/** The close code of a server that needs a token. */
export const UNAUTHORIZED = 4001;
