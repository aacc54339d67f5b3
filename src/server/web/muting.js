/**
 * Muted conversations: they call nobody. A muted room still does by the reader's name. The browser keeps which ones,
 * for each person who comes in here, and its tabs agree.
 */
import { redraw } from "./drawing.js";
import { store, stored } from "./storage.js";

const MUTED_MAX = 500;

/** The key under which the browser keeps what a person has muted. */
export const mutedKey = (name) => `salon.muted:${name}`;

let whose = "";
/** @type {Set<string>} */
let muted = new Set();

let keeps = true; // what was muted last is kept; a browser that keeps nothing has what this page knows
const kept = (name = whose) => new Set([stored(mutedKey(name))].flat().filter((key) => typeof key === "string").slice(-MUTED_MAX));

/** A person comes in, or another tab has muted something. */
export function lookAtMuted(name = whose) {
  if (keeps || name !== whose) [whose, muted] = [name, kept(name)];
  redraw("places", "notifications");
}

export const isMuted = (key) => muted.has(key);

/** Mutes a conversation, or no longer. */
export function mute(key, on) {
  if (keeps) muted = kept();
  muted.delete(key);
  if (on) muted.add(key);
  keeps = store(mutedKey(whose), [...muted].slice(-MUTED_MAX));
  redraw("places", "notifications");
}

window.addEventListener("storage", ({ key }) => { if (key === mutedKey(whose)) lookAtMuted(); });
