/**
 * Names in their order, and several things in a sentence, as the language of the page has it.
 */
import { spoken } from "./language.js";

const collators = new Map(); // a collator for each locale

/** The order of two names; "room 2" stands before "room 10". */
export function compare(one, other) {
  const { locale } = spoken;
  if (!collators.has(locale)) collators.set(locale, new Intl.Collator(locale, { numeric: true }));
  return collators.get(locale).compare(one, other);
}

/** Several things as the language lists them, "a, b and c": each a string, a node or several, and what is between. */
export function listed(things) {
  const texts = things.map((thing) => [thing].flat().map((part) => part.textContent ?? part).join(""));
  let at = -1;
  return new Intl.ListFormat(spoken.locale).formatToParts(texts).flatMap(({ type, value }) => {
    if (type !== "element") return value;
    at += 1;
    return things[at];
  });
}
