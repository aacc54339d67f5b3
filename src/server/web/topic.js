/**
 * The topic of a room: what is above its messages, and changed there, in the list of what can be done with the room, or
 * by `/topic`. The server says who may.
 */
import { active, client } from "./conversations.js";
import { byId, named } from "./dom.js";
import { redraw } from "./drawing.js";
import { phrase, t } from "./language.js";
import { charactersOver } from "./text.js";
import { characterProblem, inWords } from "./words.js";

const BYTES_MAX = 256;

/** What is wrong with a topic, in a sentence; the empty string if nothing is. */
function topicProblem(topic) {
  const over = charactersOver(topic, BYTES_MAX);
  if (over) return t("topicTooLong", { count: over });
  const problem = characterProblem(topic);
  return problem ? t("theTopic", { problem }) : "";
}

/** Has a room be about something; about nothing, if the text is empty. Returns what is wrong, or the empty string. */
export function changeTopic(room, text) {
  const topic = text.trim().replace(/\s+/gu, " ");
  const problem = topicProblem(topic);
  if (problem || topic === room.topic) return problem;
  client.topic(room.id, topic).catch((error) => {
    room.problem = inWords(error);
    if (room === active) redraw("composer");
  });
  return "";
}

let changed = null; // the room that the dialog is about

/** Opens the field for the topic of the room that is on screen. */
export function openTopic() {
  changed = active;
  byId("topic-title").replaceChildren(...phrase("topicOf", { room: named(changed.title) }));
  byId("topic-input").value = changed.topic;
  byId("topic-problem").textContent = "";
  byId("topic-dialog").showModal();
  byId("topic-input").select();
}

for (const id of ["edit-topic", "change-topic"]) byId(id).addEventListener("click", openTopic);
byId("topic-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = changeTopic(changed, byId("topic-input").value);
  byId("topic-problem").textContent = problem;
  if (!problem) byId("topic-dialog").close();
});
