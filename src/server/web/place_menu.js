/**
 * The menu behind the name of the room or person in the head: all that can be done with the conversation, wherever the
 * list of people is. The buttons beside that list are the ones that do it. Above them is what the head has no room for.
 */
import { active } from "./conversations.js";
import { byId, element } from "./dom.js";
import { narrow } from "./drawers.js";

const ACTIONS = ["notify-room", "mute", "change-title", "change-topic", "copy-link", "show-code", "leave"];

const menu = byId("place-menu");
const above = element("div", "menu-about"); // made here: the door needs none of it
above.id = "place-menu-about";
menu.prepend(above);
menu.setAttribute("aria-describedby", above.id);

/** An entry that is the button again, as it stands. */
function entryOf(button) {
  const parts = [...button.children].filter((part) => !part.classList.contains("sr-only")).map((part) => part.cloneNode(true));
  for (const part of parts) part.removeAttribute("id");
  const entry = element("button", "menu-item", ...parts);
  entry.type = "button";
  if (button.hasAttribute("aria-pressed")) entry.setAttribute("aria-pressed", button.getAttribute("aria-pressed"));
  entry.addEventListener("click", () => {
    menu.close();
    button.click();
  });
  return element("li", "", entry);
}

const EDGE = 12; // between a menu and the edge of the window

/** Beneath the name where there is room for it; on a phone where all menus are. */
function layBeneath(name) {
  const [at, { width }] = [name.getBoundingClientRect(), menu.getBoundingClientRect()];
  const left = getComputedStyle(name).direction === "rtl" ? at.right - width : at.left;
  const to = Math.max(EDGE, Math.min(left, innerWidth - width - EDGE));
  Object.assign(menu.style, narrow.matches ? { inset: "", margin: "" } : { inset: `${at.bottom + 4}px auto auto ${to}px`, margin: "0" });
}

/** A title that is cut in the head, and the topic, or the note of a person, as it is. */
function about() {
  const cut = [...byId("title").children].some((part) => part.scrollWidth > part.clientWidth + 1 && part.tagName === "BDI");
  return [cut ? active.title : "", byId("topic").textContent].filter(Boolean).map((text) => {
    const node = element("p", "", text);
    node.dir = "auto";
    return node;
  });
}

byId("title").addEventListener("click", () => {
  above.replaceChildren(...about());
  byId("place-menu-list").replaceChildren(...ACTIONS.map(byId).filter(({ hidden }) => !hidden).map(entryOf));
  menu.showModal();
  layBeneath(byId("title"));
});
