/**
 * The note beside our status, which others see: written behind our own name, or by `/status`.
 */
import { letGoOfBegun, note, offer, tidy } from "./begun.js";
import { me } from "./conversations.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import { setStatus } from "./people.js";
import { presence } from "./presence.js";
import { charactersOver } from "./text.js";
import { keepUnsent } from "./unsent.js";
import { characterProblem } from "./words.js";

const BYTES_MAX = 256;

const dialog = byId("note-dialog");

/** What is wrong with a note, in a sentence; the empty string if nothing is. */
export function noteProblem(note) {
  const over = charactersOver(note, BYTES_MAX);
  if (over) return t("noteTooLong", { count: over });
  const problem = characterProblem(note);
  return problem ? t("theNote", { problem }) : "";
}

const stands = () => presence.get(me)?.note ?? "";
let stood = ""; // what was there as the dialog opened

byId("me-name").addEventListener("click", () => {
  byId("note-problem").textContent = "";
  dialog.showModal();
  stood = stands();
  offer(byId("note-input"), "note", stood);
});
byId("note-input").addEventListener("input", () => {
  note("note", byId("note-input").value, stood);
  keepUnsent();
});
byId("note-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const written = tidy(byId("note-input").value);
  const isChanged = written !== stood && written !== stands();
  let problem = noteProblem(written);
  if (!problem && isChanged && stands() !== stood) { // on another device, say: that is not undone unseen
    stood = stands();
    problem = t("changedMeanwhile", { text: stood });
  }
  byId("note-problem").textContent = problem;
  if (problem) return;
  letGoOfBegun("note");
  keepUnsent();
  if (isChanged) setStatus(byId("me-status").value, written);
  dialog.close();
});
