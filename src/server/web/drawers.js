/**
 * On narrow screens the rooms and the people are drawers. On a wide one the people are a column, for as long as the
 * reader wants it; two who write to each other need none.
 */
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { refreshPublicRooms, setAddress, whenOpened } from "./places.js";
import { store, stored } from "./storage.js";

export const narrow = matchMedia("(max-width: 759px)"); // the rooms are a drawer; the same widths stand in app.css
const medium = matchMedia("(max-width: 1119px)"); // the people are one
const isDrawer = { places: () => narrow.matches, details: () => medium.matches };
const EDGE = 24; // pixels at the side of the screen from which the rooms are pulled out; a message is pulled further in
const FAR = 48; // pixels that a finger pulls them
let openedFrom = null;

export let goesBack = false; // a drawer has been closed, and its step in the history of the browser is not gone yet
let waits = null; // the drawer that is opened then

function openDrawer(id) {
  closeDrawers();
  if (!isDrawer[id]()) {
    if (id === "details") turnColumn();
    return;
  }
  if (goesBack) {
    waits = id;
    return;
  }
  openedFrom = document.activeElement;
  byId("app").dataset.drawer = id;
  setAddress(location.href, { instead: false, state: { ...history.state, drawer: true } });
  byId("conversation").inert = true;
  for (const other of ["places", "details"]) byId(other).inert = other !== id;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "true");
  byId(id).querySelector("button").focus();
  if (id === "places" && client.state === "connected") refreshPublicRooms();
}

let wanted = stored("salon.people") !== false; // the column of the people of a room
let asked = false; // the same of a conversation of two, which is shown when it is asked for

function turnColumn() {
  if (active.kind === "room") store("salon.people", wanted = !wanted);
  else asked = !asked;
  drawColumn();
}

function drawColumn() {
  const isThere = active.kind === "room" ? wanted : asked;
  byId("app").classList.toggle("without-people", !isThere);
  if (!medium.matches) byId("open-details").setAttribute("aria-expanded", String(isThere));
}

export function closeDrawers() {
  if (!byId("app").dataset.drawer) return;
  close();
  if (!history.state?.drawer) return;
  goesBack = true;
  history.back();
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
  byId("open-details").setAttribute("aria-expanded", "false");
  if (active) drawColumn();
});

// A finger that comes in from where lines begin pulls the list of rooms out; one that moves back pushes it in. (The
// browser scrolls up and down alone: `touch-action`.)
let finger = null;

/** How far a point is from where lines begin. */
const along = ({ clientX }) => (getComputedStyle(document.documentElement).direction === "rtl" ? innerWidth - clientX : clientX);

byId("app").addEventListener("pointerdown", (event) => {
  const isOpen = byId("app").dataset.drawer === "places";
  const begins = event.pointerType === "touch" && event.isPrimary && narrow.matches && (isOpen || (!byId("app").dataset.drawer && along(event) < EDGE));
  finger = begins ? { isOpen, from: along(event), y: event.clientY } : null;
});
byId("app").addEventListener("pointermove", (event) => {
  if (!finger || !event.isPrimary) return;
  const far = (along(event) - finger.from) * (finger.isOpen ? -1 : 1);
  const across = Math.abs(event.clientY - finger.y);
  if (across > FAR / 2 && across > far) finger = null;
  else if (far > FAR) {
    const { isOpen } = finger;
    finger = null;
    if (isOpen) closeDrawers();
    else openDrawer("places");
  }
});
for (const name of ["pointerup", "pointercancel"]) byId("app").addEventListener(name, () => { finger = null; });

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("composer-input").focus();
});
whenOpened(close); // what is opened takes the place of the drawer in the history, too
whenOpened(() => {
  asked = false;
  drawColumn();
});

// Back closes what is open, and goes nowhere.
window.addEventListener("popstate", () => {
  goesBack = false;
  if (byId("app").dataset.drawer && !history.state?.drawer) close();
  const next = waits;
  waits = null;
  if (next) openDrawer(next);
});
