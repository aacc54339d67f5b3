/**
 * The title and the topic of a room: how it is called and what is above its messages. They are changed in the list of
 * what can be done with the room, the topic also in its head, or by `/title` and `/topic`. The server says who may.
 */
import { begin, letGoOfBegun, note, offer } from "./begun.js";
import { active, client } from "./conversations.js";
import { byId, named } from "./dom.js";
import { redraw } from "./drawing.js";
import { phrase, t } from "./language.js";
import { charactersOver } from "./text.js";
import { keepUnsent } from "./unsent.js";
import { characterProblem, inWords } from "./words.js";

const BYTES_MAX = 256;

/** Of each: what stands, how it is changed, and its words. */
const KINDS = {
  title: {
    stands: ({ name }) => name,
    change: (id, text) => client.title(id, text),
    of: (room) => phrase("titleOf", { room }),
    hint: () => t("titlePlaceholder"),
    isWrong: (problem) => t("theTitle", { problem }),
    isTooLong: (count) => t("titleTooLong", { count }),
  },
  topic: {
    stands: ({ topic }) => topic,
    change: (id, text) => client.topic(id, text),
    of: (room) => phrase("topicOf", { room }),
    hint: () => t("topicPlaceholder"),
    isWrong: (problem) => t("theTopic", { problem }),
    isTooLong: (count) => t("topicTooLong", { count }),
  },
};

/** What is wrong with a title or a topic, in a sentence; the empty string if nothing is. */
export function problemOf(kind, text) {
  const { isWrong, isTooLong } = KINDS[kind];
  const over = charactersOver(text, BYTES_MAX);
  if (over) return isTooLong(over);
  const problem = characterProblem(text);
  return problem ? isWrong(problem) : "";
}

/**
 * Has a room be called by a title, or be about something; by its id and about nothing, if the text is empty. Returns
 * what is wrong, or the empty string.
 */
export function describe(kind, room, words) {
  const text = words.trim().replace(/\s+/gu, " ");
  const problem = problemOf(kind, text);
  if (problem || text === KINDS[kind].stands(room)) return problem;
  const key = `${kind}:${room.id}`;
  KINDS[kind].change(room.id, text).then(() => letGoOfBegun(key), (error) => {
    begin(key, text);
    room.problem = inWords(error);
    if (room === active) redraw("composer");
  }).then(keepUnsent);
  return "";
}

let changed = null; // what the dialog is about: `{kind, room, key}`

/** Opens the field for the title or the topic of the room that is on screen. */
export function openDescription(kind) {
  changed = { kind, room: active, key: `${kind}:${active.id}` };
  byId("topic-title").replaceChildren(...KINDS[kind].of(named(active.title)));
  byId("topic-input").placeholder = KINDS[kind].hint();
  byId("topic-problem").textContent = "";
  byId("topic-dialog").showModal();
  offer(byId("topic-input"), changed.key, KINDS[kind].stands(active));
}

for (const [id, kind] of [["edit-topic", "topic"], ["change-topic", "topic"], ["change-title", "title"]]) byId(id).addEventListener("click", () => openDescription(kind));
byId("topic-input").addEventListener("input", () => {
  note(changed.key, byId("topic-input").value, KINDS[changed.kind].stands(changed.room));
  keepUnsent();
});
byId("topic-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = describe(changed.kind, changed.room, byId("topic-input").value);
  byId("topic-problem").textContent = problem;
  if (problem) return;
  letGoOfBegun(changed.key);
  keepUnsent();
  byId("topic-dialog").close();
});
