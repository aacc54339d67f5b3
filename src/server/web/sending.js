/**
 * Saying something: whether it can be said, and putting it on the way.
 */
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { enterRoom } from "./places.js";

const CONTENT_BYTES = 16_384; // until the server has said what it takes

/** What is wrong with a message, in a sentence; nothing is the empty string. */
export function contentProblem(content) {
  const most = client.limits.content_bytes ?? CONTENT_BYTES;
  const bytes = new TextEncoder().encode(content).length;
  return bytes > most ? `That is ${(bytes - most).toLocaleString()} bytes longer than a message can be.` : "";
}

/** Sends a message. Answers what is wrong, like `contentProblem`. */
export function send(c, content) {
  const problem = contentProblem(content);
  if (problem) return problem;
  // Who was put out comes back by joining, and not by going on as if nothing had been.
  if (c.removed) {
    byId("rejoin").focus();
    return c.removed;
  }
  if (c.kind === "room" && !client.has(c.id)) enterRoom(c);
  const entry = c.kind === "room" ? client.say(c.id, content) : client.direct(c.id, content);
  return entry ? "" : "Too many messages are waiting to be sent.";
}
