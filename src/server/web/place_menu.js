/**
 * The menu behind the name of the room or person in the head: all that can be done with the conversation, wherever the
 * list of people is. The buttons beside that list are the ones that do it.
 */
import { byId, element } from "./dom.js";

const ACTIONS = ["notify-room", "mute", "change-title", "change-topic", "copy-link", "show-code", "leave"];

const menu = byId("place-menu");

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

byId("title").addEventListener("click", () => {
  byId("place-menu-list").replaceChildren(...ACTIONS.map(byId).filter(({ hidden }) => !hidden).map(entryOf));
  menu.showModal();
});
