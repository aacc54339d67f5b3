/**
 * The keys that work wherever the focus is; and those that are none of the page.
 */
import { client } from "./conversations.js";
import { byId } from "./dom.js";
import { closeDrawers } from "./drawers.js";
import { toLatest } from "./history.js";
import { openSearch } from "./search.js";
import { openSwitcher } from "./switcher.js";

// A key that an input method takes, to choose, to end or to give up a conversion, is no key of any part of the page.
window.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229) event.stopPropagation();
}, { capture: true });

document.addEventListener("keydown", (event) => {
  if (byId("app").hidden || !byId("ended").hidden || event.defaultPrevented) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return openSwitcher();
  }
  if (document.querySelector("dialog[open]")) return;
  if (command && event.shiftKey && event.key.toLowerCase() === "f") {
    event.preventDefault();
    return openSearch();
  }
  if (event.key === "/" && !command && !event.altKey && !document.activeElement.matches("input, textarea, select")) {
    event.preventDefault();
    return openSearch();
  }
  if (event.key === "Escape") {
    if (byId("app").dataset.drawer) closeDrawers();
    else if (client) toLatest();
  }
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const all = [...document.querySelectorAll("#room-list .place, #person-list .place")];
    // With Shift, to the next that has something unread.
    const wanted = event.shiftKey ? all.filter((button) => button.matches(".unread, [aria-current]")) : all;
    const at = wanted.findIndex((button) => button.hasAttribute("aria-current"));
    wanted.at((at + (event.key === "ArrowDown" ? 1 : -1) + wanted.length) % wanted.length)?.click();
    byId("composer-input").focus();
  }
});
