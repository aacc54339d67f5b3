/**
 * Saying something: whether it can be said, and putting it on the way.
 */
import { utf8Length } from "./client.js";
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { enterRoom } from "./places.js";

const CONTENT_BYTES = 16_384; // until the server has said what it takes

/** What is wrong with a message, in a sentence; nothing is the empty string. */
export function contentProblem({ kind, id: target }, content) {
  const most = client.limits.content_bytes ?? CONTENT_BYTES;
  const problem = client.lengthProblem(kind, target, content) ?? (utf8Length(content) > most ? { bytes: utf8Length(content), most } : null);
  if (!problem) return "";
  // In characters, as people count: what one of this text takes on the average is what the rest is divided by.
  const characters = [...content].length;
  const over = Math.max(1, Math.ceil((problem.bytes - problem.most) / (problem.bytes / characters)));
  return `That is too long for one message, by about ${over.toLocaleString()} ${over === 1 ? "character" : "characters"}. Please send it in parts.`;
}

/** Sends a message. Answers what is wrong, like `contentProblem`. */
export function send(c, content) {
  const problem = contentProblem(c, content);
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
