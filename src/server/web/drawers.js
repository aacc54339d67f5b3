/**
 * On narrow screens the rooms and the people are drawers.
 */
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { refreshPublicRooms, setAddress, whenOpened } from "./places.js";

export const narrow = matchMedia("(max-width: 759px)"); // the rooms are a drawer; the same widths stand in app.css
const medium = matchMedia("(max-width: 1119px)"); // the people are one
const isDrawer = { places: () => narrow.matches, details: () => medium.matches };
let openedFrom = null;

function openDrawer(id) {
  closeDrawers();
  if (!isDrawer[id]()) return;
  openedFrom = document.activeElement;
  byId("app").dataset.drawer = id;
  setAddress(location.href, { instead: false, state: { ...history.state, drawer: true } });
  byId("conversation").inert = true;
  for (const other of ["places", "details"]) byId(other).inert = other !== id;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "true");
  byId(id).querySelector("button").focus();
  if (id === "places" && client.state === "connected") refreshPublicRooms();
}

export function closeDrawers() {
  if (!byId("app").dataset.drawer) return;
  close();
  if (history.state?.drawer) history.back();
}

function close() {
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
for (const width of [narrow, medium]) width.addEventListener("change", () => {
  const id = byId("app").dataset.drawer;
  if (id && !isDrawer[id]()) closeDrawers(); // it is a column now
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("composer-input").focus();
});
whenOpened(close); // what is opened takes the place of the drawer in the history, too

// Back closes what is open, and goes nowhere.
window.addEventListener("popstate", () => { if (byId("app").dataset.drawer && !history.state?.drawer) close(); });
