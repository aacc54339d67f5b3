/**
 * Sending a message: whether it can be sent, and putting it on the way.
 */
import { utf8Length } from "./client.js";
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { enterRoom } from "./places.js";

const CONTENT_BYTES = 16_384; // until the server has sent its limits

/** What is wrong with a message, in a sentence; the empty string if nothing is. */
export function contentProblem({ kind, id: target }, content) {
  const most = client.limits.content_bytes ?? CONTENT_BYTES;
  const problem = client.lengthProblem(kind, target, content) ?? (utf8Length(content) > most ? { bytes: utf8Length(content), most } : null);
  if (!problem) return "";
  // In characters, as people count: the bytes that are too many, divided by the average character of this text.
  const characters = [...content].length;
  const over = Math.max(1, Math.ceil((problem.bytes - problem.most) / (problem.bytes / characters)));
  return `That is too long for one message, by about ${over.toLocaleString()} ${over === 1 ? "character" : "characters"}. Please send it in parts.`;
}

/** Sends a message. Returns what is wrong, like `contentProblem`. */
export function send(c, content) {
  const problem = contentProblem(c, content);
  if (problem) return problem;
  // A person who was put out comes back by joining, and not by writing on as if nothing had happened.
  if (c.removed) {
    byId("rejoin").focus();
    return c.removed;
  }
  if (c.kind === "room" && !client.has(c.id)) enterRoom(c);
  const entry = c.kind === "room" ? client.say(c.id, content) : client.direct(c.id, content);
  return entry ? "" : "Too many messages are waiting to be sent.";
}
