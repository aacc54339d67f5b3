/**
 * The status of people (online, away, busy, offline) and their note. We watch the people who are on screen.
 */
import { client } from "./conversations.js";
import { redraw } from "./drawing.js";
import { known } from "./language.js";

const PRESENCE_MAX = 5_000;

/** @type {Map<string, {status: string, note?: string}>} */
export const presence = new Map();

/** What a status may be. */
export const STATUSES = ["online", "away", "busy", "offline"];

export const statusInWords = (status) => known("status", status) ?? status;

export function statusOf(name) { return presence.get(name)?.status ?? "offline"; }

const FOLLOW_UP_TO = 100; // members of a room

/** Asks for the status of the people of a room, and watches them; once in a connection, when the room is looked at. */
export function followRoom(c) {
  if (c.followed || !client.isJoined(c.id) || c.count > FOLLOW_UP_TO) return;
  c.followed = true;
  client.presence({ room_id: c.id }, true).catch(() => { c.followed = false; });
}

export function rememberPresence(name, { status, note }) {
  if (presence.size >= PRESENCE_MAX && !presence.has(name)) presence.clear();
  presence.set(name, { status, note });
  redraw("members", "places", "head");
}

/** Watches people; they are gathered for a moment, so that a crowd coming in is one request. */
const toFollow = new Set();
let followTimer = null;
export function followPresence(names) {
  for (const name of names) toFollow.add(name);
  clearTimeout(followTimer);
  followTimer = setTimeout(() => {
    const batch = [...toFollow].slice(0, 100);
    for (const name of batch) toFollow.delete(name);
    client.presence({ user_ids: batch }, true).catch(() => {});
    if (toFollow.size) followPresence([]);
  }, 200);
}
