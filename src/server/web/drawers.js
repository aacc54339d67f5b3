/**
 * On narrow screens the rooms and the people are drawers. And the keys that work everywhere.
 */
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { refreshPublicRooms, whenOpened } from "./places.js";

export const narrow = matchMedia("(max-width: 759px)"); // the rooms are a drawer; the same widths stand in app.css
const medium = matchMedia("(max-width: 1119px)"); // the people are one
const isDrawer = { places: () => narrow.matches, details: () => medium.matches };
let openedFrom = null;

function openDrawer(id) {
  closeDrawers();
  if (!isDrawer[id]()) return;
  openedFrom = document.activeElement;
  byId("app").dataset.drawer = id;
  byId("conversation").inert = true;
  for (const other of ["places", "details"]) byId(other).inert = other !== id;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "true");
  byId(id).querySelector("button").focus();
  if (id === "places" && client.state === "connected") refreshPublicRooms();
}

export function closeDrawers() {
  const id = byId("app").dataset.drawer;
  if (!id) return;
  delete byId("app").dataset.drawer;
  for (const part of ["conversation", "places", "details"]) byId(part).inert = false;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "false");
  openedFrom?.focus();
  openedFrom = null;
}

for (const button of document.querySelectorAll("[data-open]")) button.addEventListener("click", () => openDrawer(button.dataset.open));
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", closeDrawers);
byId("backdrop").addEventListener("click", closeDrawers);
narrow.addEventListener("change", closeDrawers);
medium.addEventListener("change", closeDrawers);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("composer-input").focus();
});
whenOpened(closeDrawers);

document.addEventListener("keydown", (event) => {
  if (byId("app").hidden || byId("finder").open) return;
  if (event.key === "Escape") closeDrawers();
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const all = [...document.querySelectorAll("#room-list .place, #person-list .place")];
    const at = all.findIndex((button) => button.hasAttribute("aria-current"));
    all.at((at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length)?.click();
    byId("composer-input").focus();
  }
});
