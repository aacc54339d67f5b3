/**
 * The page knows the English words of what is behind the door before any other file there runs: `app.js` imports this
 * one first.
 */
import { WORDS } from "./en.js";
import { learn } from "./language.js";

learn(WORDS);
