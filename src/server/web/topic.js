/**
 * The title and the topic of a room: how it is called and what is above its messages. They are changed in the list of
 * what can be done with the room, the topic also in its head, or by `/title` and `/topic`. The server says who may.
 */
import { begin, begunOf, letGoOfBegun, note, offer, tidy } from "./begun.js";
import { active, client } from "./conversations.js";
import { opening } from "./dialogs.js";
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

const keyOf = (kind, room) => `${kind}:${room.id}`;

/** Asks the server for it. Until that has said yes, it is begun, and offered again. Rejects with what is wrong. */
function change(kind, room, text) {
  const key = keyOf(kind, room);
  begin(key, text);
  return KINDS[kind].change(room.id, text)
    .then(() => { if (begunOf(key) === text) letGoOfBegun(key); })
    .finally(keepUnsent);
}

function tell(room, error) {
  room.problem = inWords(error);
  if (room === active) redraw("composer");
}

/**
 * Has a room be called by a title, or be about something; by its id and about nothing, if the text is empty. Returns
 * what is wrong, or the empty string; what the server does not take is told with the room, and to `refused`.
 */
export function describe(kind, room, words, refused = () => {}) {
  const text = tidy(words);
  const problem = problemOf(kind, text);
  if (problem || text === KINDS[kind].stands(room)) return problem;
  change(kind, room, text).catch((error) => {
    refused();
    tell(room, error);
  });
  return "";
}

/** What the dialog is about: `{kind, room, stood, isStill, saving}`. `stood` is what was there as it opened. */
let changed = null;

/** Opens the field for the title or the topic of the room that is on screen. */
export function openDescription(kind) {
  const stood = KINDS[kind].stands(active);
  byId("topic-title").replaceChildren(...KINDS[kind].of(named(active.title)));
  byId("topic-input").placeholder = KINDS[kind].hint();
  byId("topic-problem").textContent = "";
  byId("topic-dialog").showModal();
  changed = { kind, room: active, stood, isStill: opening(byId("topic-dialog")), saving: false };
  offer(byId("topic-input"), keyOf(kind, active), stood);
}

for (const [id, kind] of [["edit-topic", "topic"], ["change-topic", "topic"], ["change-title", "title"]]) byId(id).addEventListener("click", () => openDescription(kind));
byId("topic-input").addEventListener("input", () => {
  note(keyOf(changed.kind, changed.room), byId("topic-input").value, changed.stood);
  keepUnsent();
});
byId("topic-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const it = changed;
  if (it.saving) return;
  const { kind, room, stood } = it;
  const text = tidy(byId("topic-input").value);
  const stands = KINDS[kind].stands(room);
  const says = (problem) => { byId("topic-problem").textContent = problem; };
  const problem = problemOf(kind, text);
  if (problem) return says(problem);
  if (text !== stood && text !== stands) {
    if (stands !== stood) { // somebody else has set it meanwhile: that is not undone unseen
      it.stood = stands;
      return says(t("changedMeanwhile", { text: stands }));
    }
    it.saving = true;
    const error = await change(kind, room, text).then(() => null, (refused) => refused);
    it.saving = false;
    if (error) return it.isStill() ? says(inWords(error)) : tell(room, error);
  } else {
    letGoOfBegun(keyOf(kind, room));
    keepUnsent();
  }
  if (it.isStill()) byId("topic-dialog").close();
});
