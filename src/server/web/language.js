/**
 * The words of the page in the language of its reader. All of them are in one table: `en_door.js` and `en.js` in
 * English, and two with the same keys for each other language, which are loaded where it is spoken: what is said at the
 * door comes before all else (the server tells the browser of it together with the page), and the rest behind it. A
 * text has its placeholders by name, `{room}`; one about a number has a form for each kind of number that its language
 * knows, by `count`. `index.html` names its texts by `data-t`, and the other files theirs by `t`, `phrase` and `known`.
 * `direction` is that of the language: with `rtl` the page is mirrored.
 *
 * A further language is two files with all the keys and one with what emoji are called, a line in `LANGUAGES` and
 * `OTHERS` here, one in `build.rs` and four in `site.rs`, two sentences in `old.js`, and one in `index.html` for
 * browsers without JavaScript.
 *
 * This draws nothing anew: behind the door the page is loaded again with another language.
 */
import { WORDS as DOOR } from "./en_door.js";
import { store, storeInTab, stored, storedInTab } from "./storage.js";

const KEY = "salon.language";

/** The languages, by their own names. */
export const LANGUAGES = [["de", "Deutsch"], ["en", "English"], ["es", "Español"], ["fr", "Français"]];
const OTHERS = new Map([
  ["de", [() => import("./de_door.js"), () => import("./de.js"), () => import("./de_emoji.js")]],
  ["es", [() => import("./es_door.js"), () => import("./es.js"), () => import("./es_emoji.js")]],
  ["fr", [() => import("./fr_door.js"), () => import("./fr.js"), () => import("./fr_emoji.js")]],
]);

const english = { ...DOOR, __proto__: null };
let words = english;
/**
 * The language that is spoken, and the same with the country of the reader, if the browser knows it: dates differ in
 * that.
 */
export const spoken = { language: "en", locale: "en" };
let numbers = new Intl.NumberFormat("en");
let plurals = new Intl.PluralRules("en");

const baseOf = (tag) => tag.toLowerCase().split("-")[0];

/** What the reader has chosen, or else the first of the browser's languages that the page has. */
function wanted() {
  const chosen = stored(KEY) ?? storedInTab(KEY);
  return [chosen, ...navigator.languages.map(baseOf)].find((one) => LANGUAGES.some(([code]) => code === one)) ?? "en";
}

/** Begins to speak the language that is wanted, with what is said at the door; or English, if that is not to be had. */
export async function speak() {
  const code = wanted();
  const [door] = OTHERS.get(code) ?? [];
  [words, spoken.language] = door ? await door().then(({ WORDS }) => [{ __proto__: null, ...WORDS }, code], () => [english, "en"]) : [english, "en"];
  const { language } = spoken;
  const tag = navigator.languages.find((one) => baseOf(one) === language) ?? language;
  try { [spoken.locale] = Intl.getCanonicalLocales(tag); } catch { spoken.locale = language; }
  numbers = new Intl.NumberFormat(spoken.locale);
  plurals = new Intl.PluralRules(spoken.locale);
  document.documentElement.lang = language;
  document.documentElement.dir = t("direction");
}

/** Takes the words of the language that are not needed at the door. Fails where they are not to be had. */
export async function speakOn() {
  const table = words; // that of another language, if one is chosen meanwhile, has its own
  const [, rest] = OTHERS.get(spoken.language) ?? [];
  if (rest) Object.assign(table, (await rest()).WORDS);
}

/** What emoji are called in the language; the empty string in English, in which they have their names. */
export async function emojiWords() {
  const [, , names] = OTHERS.get(spoken.language) ?? [];
  return names ? (await names()).NAMES : "";
}

/** The English words that are not needed at the door. */
export function learn(more) { Object.assign(english, more); }

/** The reader chooses a language: for this browser, which speaks it from the next `speak` on. */
export function choose(code) { if (!store(KEY, code)) storeInTab(KEY, code); }

/** A text, with values in the places of their names; numbers are written as the language writes them. */
export const t = (key, values) => phrase(key, values).join("");

/** The same as strings and nodes in their order, for `element` and `append`. A value may be a node, or several. */
export function phrase(key, values = {}) {
  let text = words[key] ?? english[key] ?? key;
  if (typeof text !== "string") text = text[plurals.select(values.count)] ?? text.other;
  return text.split(/\{(\w+)\}/u).flatMap((part, n) => (n % 2 ? shown(values[part]) : part)).filter((part) => part !== "");
}

const shown = (value) => (typeof value === "number" ? inDigits(value) : value);

/** The text for a code, which may be any word; undefined where there is none. */
export const known = (kind, code, values) => (`${kind}.${code}` in english ? t(`${kind}.${code}`, values) : undefined);

/** A number as the language writes it. */
export const inDigits = (number) => numbers.format(number);

const ATTRIBUTES = ["aria-label", "title", "placeholder"];

/** Writes the texts that elements name: `data-t` for what is in them, `data-t-title` and the like for attributes. */
export function fillIn(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const name of ATTRIBUTES) {
    for (const node of root.querySelectorAll(`[data-t-${name}]`)) node.setAttribute(name, t(node.getAttribute(`data-t-${name}`)));
  }
}

/** Fills a select with the languages. */
export function offerLanguages(select) {
  select.replaceChildren(...LANGUAGES.map(([code, name]) => {
    const option = new Option(name, code, false, code === spoken.language);
    option.lang = code;
    return option;
  }));
}
