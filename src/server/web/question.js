/**
 * A question that is answered before something is done that cannot be undone.
 */
import { byId, element } from "./dom.js";
import { t } from "./language.js";
import { cut } from "./text.js";

let answer = () => {};

/** Asks; `yes` are the words of the button that does it. Resolves with whether it was pressed. */
export function ask({ title, text = "", yes, no = t("cancel") }) {
  answer(false); // of another one, whose end the browser has not told yet: it would be the answer to this one
  byId("question").returnValue = "";
  byId("question-title").textContent = title;
  byId("question-text").replaceChildren(...[text].flat());
  byId("question-yes").textContent = yes;
  byId("question-no").textContent = no;
  byId("question").showModal();
  byId("question-no").focus(); // a second Enter must not mean: yes
  return new Promise((resolve) => { answer = resolve; });
}

const WORDS = 120; // characters of a message: the question stays in view

/** The message that a question is about. */
export const askedAbout = (content) => element("q", "asked-about", content.length > WORDS ? `${cut(content, WORDS)} …` : content);

byId("question-yes").addEventListener("click", () => byId("question").close("yes"));
byId("question-no").addEventListener("click", () => byId("question").close(""));
byId("question").addEventListener("close", () => {
  if (byId("question").open) return;
  answer(byId("question").returnValue === "yes");
  byId("question").returnValue = "";
});
