/**
 * A click means what was under the pointer when it began. What has come there since is not clicked: neither by the
 * second click of two, where the first has put another button, another conversation or a dialog in its place, nor by a
 * finger that is lifted after it has rested on a message until the menu opened.
 */
import { active } from "./conversations.js";

let down; // the dialog in which the pointer came down for this click; null outside of them, undefined without a pointer
let first = []; // what the first of several clicks meant

const dialogOf = (node) => node.closest("dialog");
/** A reaction is drawn anew when it is answered, and means the same still. */
function meantBy(node) {
  const at = node.closest("button, a, [role=option]");
  return [at?.dataset.emoji ?? at, node.closest("li.message"), dialogOf(node), active];
}

window.addEventListener("pointerdown", ({ target }) => { down = dialogOf(target); }, true);
window.addEventListener("keydown", () => { down = undefined; }, true);
for (const name of ["mousedown", "click"]) window.addEventListener(name, (event) => {
  const { detail, target } = event;
  if (detail === 0) return; // by a key, or by the page itself
  const meant = meantBy(target);
  const begun = down;
  if (name === "click") {
    down = undefined;
    if (detail === 1) first = meant;
  }
  if ((detail === 1 || meant.every((one, n) => one === first[n])) && (begun === undefined || begun === dialogOf(target))) return;
  event.preventDefault(); // the focus stays where it is, too
  if (name === "click") event.stopImmediatePropagation();
}, true);
