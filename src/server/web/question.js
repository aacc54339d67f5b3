/**
 * A question that is answered before something is done that cannot be undone.
 */
import { byId } from "./dom.js";
import { t } from "./language.js";

let answer = () => {};

/** Asks; `yes` are the words of the button that does it. Resolves with whether it was pressed. */
export function ask({ title, text = "", yes, no = t("cancel") }) {
  byId("question-title").textContent = title;
  byId("question-text").replaceChildren(...[text].flat());
  byId("question-yes").textContent = yes;
  byId("question-no").textContent = no;
  byId("question").showModal();
  byId("question-no").focus(); // a second Enter must not mean: yes
  return new Promise((resolve) => { answer = resolve; });
}

byId("question-yes").addEventListener("click", () => byId("question").close("yes"));
byId("question-no").addEventListener("click", () => byId("question").close(""));
byId("question").addEventListener("close", () => {
  answer(byId("question").returnValue === "yes");
  byId("question").returnValue = "";
});
