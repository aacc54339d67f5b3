/**
 * The list over the composer that proposes how to go on. The focus stays in the field: arrows choose, Tab and Enter
 * take, Escape closes. The field is a textbox with `aria-autocomplete`, and `aria-activedescendant` tells a screen
 * reader the chosen entry.
 */
import { byId, element } from "./dom.js";
import { t } from "./language.js";
import { typeInto } from "./typing.js";

const input = byId("composer-input");
const list = byId("suggestions");
let offered = [];
let chosen = -1;
let behind = ""; // the text behind the place that is completed
let told = ""; // what a screen reader was told of the list

/** Shows `entries`, or hides the list where there are none. */
export function offer({ entries, chosen: first }, after = "") {
  behind = after;
  const announcer = byId("announcer");
  if (offered.length !== entries.length && (entries.length || announcer.textContent === told)) {
    announcer.textContent = told = entries.length ? t("suggestionCount", { count: entries.length }) : "";
  }
  offered = entries;
  list.hidden = entries.length === 0;
  list.replaceChildren(...entries.map(({ label, what }, at) => {
    const option = element("li", "suggestion", element("bdi", "suggestion-label", label), element("span", "suggestion-what", what));
    option.id = `suggestion-${at}`;
    option.setAttribute("role", "option");
    return option;
  }));
  choose(first);
}

export function closeSuggestions() { offer({ entries: [], chosen: -1 }); }

/** Whether the list made use of a key. */
export function suggestionsTake(event) {
  if (offered.length === 0 || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return false;
  switch (event.key) {
    case "ArrowDown": choose((chosen + 1) % offered.length); break;
    case "ArrowUp": choose((Math.max(chosen, 0) - 1 + offered.length) % offered.length); break;
    case "Tab": take(Math.max(chosen, 0)); break;
    case "Escape": closeSuggestions(); break;
    case "Enter":
      if (chosen < 0) return false;
      take(chosen);
      break;
    default: return false;
  }
  event.preventDefault();
  event.stopPropagation();
  return true;
}

function choose(at) {
  chosen = at;
  for (const [i, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(i === at));
  if (at < 0) return input.removeAttribute("aria-activedescendant");
  input.setAttribute("aria-activedescendant", `suggestion-${at}`);
  list.children[at].scrollIntoView({ block: "nearest" });
}

function take(at) {
  const { text } = offered[at];
  typeInto(input, text, 0, input.value.length - behind.length + Number(text.endsWith(" ") && behind.startsWith(" ")));
}

list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays where it is
list.addEventListener("click", (event) => {
  const at = [...list.children].indexOf(event.target.closest("[role=option]"));
  if (at >= 0) take(at);
});
input.addEventListener("blur", closeSuggestions);
