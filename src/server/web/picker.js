/**
 * The dialog that an emoji is picked in.
 */
import { byId, element } from "./dom.js";
import { EMOJI, callEmoji, findEmoji } from "./emoji.js";
import { emojiWords, spoken } from "./language.js";

let pick = () => {};

/** Opens the picker. `picked` gets the emoji. */
export function openPicker(picked) {
  pick = picked;
  byId("picker-input").value = "";
  draw();
  byId("picker").showModal();
  byId("picker-input").focus();
  // What they are called here comes when somebody looks for one; until then, and where it does not, by their names.
  emojiWords().then((words) => {
    if (!words || EMOJI[0].called) return;
    callEmoji(words);
    draw();
  }, () => {});
}

function draw() {
  const wanted = byId("picker-input").value.trim().replace(/^:|:$/gu, "");
  const found = wanted ? findEmoji(wanted, 60) : EMOJI;
  byId("picker-grid").replaceChildren(...found.map(({ picture, names, called }) => {
    const button = element("button", "picker-emoji", picture);
    button.type = "button";
    button.title = called ? `${called} :${names[0]}:` : `:${names[0]}:`;
    // The names are English. In other languages a screen reader has its own, until there are those of the page.
    if (called || spoken.language === "en") button.setAttribute("aria-label", called || names[0].replace(/_/gu, " "));
    return button;
  }));
  byId("picker-none").hidden = found.length > 0;
}

function take(button) {
  byId("picker").close();
  pick(button.textContent);
}

byId("picker-input").addEventListener("input", draw);
byId("picker-grid").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) take(button);
});
byId("picker-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = byId("picker-grid").querySelector("button");
  if (first) take(first);
});
byId("picker-grid").addEventListener("keydown", (event) => {
  const all = [...byId("picker-grid").children];
  const at = all.indexOf(document.activeElement);
  const columns = Math.max(1, all.findIndex((one) => one.offsetTop > all[0].offsetTop));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (at < 0 || step === undefined) return;
  event.preventDefault();
  (all[at + step] ?? (step < 0 ? byId("picker-input") : all.at(-1))).focus();
});
