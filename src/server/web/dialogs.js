/**
 * What all dialogs have in common: a click beside one closes it, and so do its button for that and, where fingers work,
 * Back, which then goes nowhere; and all go when another conversation comes on screen, by a notification say.
 *
 * For Back an open dialog has a step in the history of the browser, if no drawer beneath it has one. The step stays
 * when the dialog is closed otherwise: the next dialog and the next place take it, and Back goes past it.
 */
import { goesBack } from "./drawers.js";
import { focusComposer, setAddress, whenOpened } from "./places.js";

const touches = matchMedia("(pointer: coarse)");
const all = [...document.querySelectorAll("dialog")];
const close = () => { for (const dialog of all) if (dialog.open) dialog.close(""); };
let step = ""; // the address at which the step is
let spared = false; // a dialog was opened while the step of a drawer was on its way out, which takes no dialog along

for (const dialog of all) {
  let pressed = null; // what the pointer came down on: text is selected as far as beside the dialog
  dialog.addEventListener("pointerdown", ({ target }) => { pressed = target; });
  dialog.addEventListener("click", ({ target }) => { if (target === dialog && pressed === dialog) dialog.close(""); });
  dialog.querySelector("[id$=-close]")?.addEventListener("click", () => dialog.close(""));
  // The button that opened it may have gone meanwhile; and the bar of a message is no place to write at.
  dialog.addEventListener("close", () => { if (document.activeElement.matches("body, dialog:not([open]) *, #message-bar :not(:focus-visible)")) focusComposer(); });
  new MutationObserver(() => {
    spared ||= dialog.open && goesBack;
    if (!dialog.open || !touches.matches || history.state?.step || history.state?.drawer) return;
    step = location.href;
    setAddress(step, { state: { ...history.state, under: true } });
    setAddress(step, { instead: false, state: { ...history.state, under: false, step: true } });
  }).observe(dialog, { attributeFilter: ["open"] });
}

const openings = new WeakMap();

/**
 * A dialog is opened, or is about something else now. Returns whether it is open still, and for that: an answer that
 * comes late asks first.
 */
export function opening(dialog) {
  const number = (openings.get(dialog) ?? 0) + 1;
  openings.set(dialog, number);
  return () => dialog.open && openings.get(dialog) === number;
}

// In a menu arrows go from one entry to the next.
for (const menu of document.querySelectorAll("dialog.menu")) menu.addEventListener("keydown", (event) => {
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const entries = [...menu.querySelectorAll(".menu-list button")];
  entries.at((entries.indexOf(document.activeElement) + way + entries.length) % entries.length).focus();
});

window.addEventListener("popstate", () => {
  const stale = step === location.href && history.state?.under;
  const open = all.find((dialog) => dialog.open);
  step = "";
  if (open && spared) open.setAttribute("open", ""); // now it has a step of its own
  else if (open) close();
  else if (stale) history.back();
  spared = false;
});

// What is asked in a dialog is about what was on screen as it opened: it goes with that.
let shown = null;
whenOpened((opened) => {
  if (opened !== shown) close();
  shown = opened;
  step = "";
});
