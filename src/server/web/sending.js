/**
 * Sending a message: whether it can be sent, and putting it on the way.
 */
import { utf8Length } from "./client.js";
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import { enterRoom } from "./places.js";
import { cut } from "./text.js";

const CONTENT_BYTES = 16_384; // until the server has sent its limits

/** What is wrong with a message, in a sentence; the empty string if nothing is. */
export function contentProblem({ kind, id: target }, content) {
  const most = client.limits.content_bytes ?? CONTENT_BYTES;
  const problem = client.lengthProblem(kind, target, content) ?? (utf8Length(content) > most ? { bytes: utf8Length(content), most } : null);
  if (!problem) return "";
  // In characters, as people count: the bytes that are too many, divided by the average character of this text.
  const characters = [...content].length;
  const over = Math.max(1, Math.ceil((problem.bytes - problem.most) / (problem.bytes / characters)));
  return t("tooLong", { count: over });
}

/** Cuts a text that is too long into parts that are not: where a line ends, or a word, and through no sign. */
export function inParts(c, content) {
  const parts = [];
  let left = content;
  while (left && contentProblem(c, left)) {
    let [low, high] = [1, left.length];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (contentProblem(c, left.slice(0, middle))) high = middle - 1;
      else low = middle;
    }
    low = cut(left, low).length;
    const line = left.lastIndexOf("\n", low);
    const word = left.lastIndexOf(" ", low);
    const end = line > low / 2 ? line : word > low / 2 ? word : Math.max(1, low);
    parts.push(left.slice(0, end).trimEnd());
    left = left.slice(end).replace(/^[ \n]/u, "");
  }
  return [...parts, left].filter((part) => part.trim() !== "");
}

/** Sends a message, which may answer one. Returns what is wrong, like `contentProblem`. */
export function send(c, content, reply = null) {
  const problem = contentProblem(c, content);
  if (problem) return problem;
  // A person who was put out comes back by joining, and not by writing on as if nothing had happened.
  if (c.removed) {
    byId("rejoin").focus();
    return c.removed;
  }
  if (c.kind === "room" && !client.has(c.id)) enterRoom(c);
  const { seq: reply_to, epoch } = reply ?? {};
  const entry = c.kind === "room" ? client.say(c.id, content, { reply_to, epoch }) : client.direct(c.id, content, { reply_to });
  return entry ? "" : t("outboxFull");
}
