/**
 * A click means what was under the pointer when it began. What has come there since is not clicked: neither by the
 * second click of two, where the first has put another button, another conversation or a dialog in its place, nor by a
 * finger that is lifted after it has rested on a message until the menu opened.
 */
import { active } from "./conversations.js";

let down; // the dialog in which the pointer came down; null outside of them
let first = []; // what the first of several clicks meant

const dialogOf = (node) => node.closest("dialog");
const meantBy = (node) => [node.closest("button, a, [role=option]"), dialogOf(node), active];

window.addEventListener("pointerdown", ({ target }) => { down = dialogOf(target); }, true);
for (const name of ["mousedown", "click"]) window.addEventListener(name, (event) => {
  const { detail, target } = event;
  if (detail === 0) return; // by a key, or by the page itself
  const meant = meantBy(target);
  if (detail === 1 && name === "click") first = meant;
  if ((detail === 1 || meant.every((one, n) => one === first[n])) && (down === undefined || down === dialogOf(target))) return;
  event.preventDefault(); // the focus stays where it is, too
  if (name === "click") event.stopImmediatePropagation();
}, true);
