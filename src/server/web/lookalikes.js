/**
 * Names that look alike and are not the same: "аlice" with a Cyrillic а beside "alice", "bob" beside "Bob". Such a name
 * is shown with a mark that says what is different. This knows the letters that fonts draw the same, and no more: it is
 * help for the eye, and proves nothing.
 */
import { element } from "./dom.js";
import { t } from "./language.js";

const NAMES_MAX = 5_000; // seen on this page; past them it begins anew

// Letters of other scripts that fonts draw as Latin ones, each with what it looks like.
const LOOKS = new Map([
  ..."аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwӏlкkмmтtвbнhгrпnьb".matchAll(/(.)(.)/gu), // Cyrillic
  ..."αaοoνvρpιiκkυuτtχxεeηnγyωw".matchAll(/(.)(.)/gu), // Greek
  ..."օoսuցgհhոnѕsյj".matchAll(/(.)(.)/gu), // Armenian
  ..."ıiɑaɡgɩiʟlʀrɴnʜhᴏoᴀaᴄcᴇeᴋkᴛtꜱs".matchAll(/(.)(.)/gu), // Latin beyond ASCII
].map(([, one, other]) => [one, other]));

/** The looks of a name, for comparing: two names with the same looks look alike. */
export function skeleton(name) {
  const plain = name.normalize("NFKD").toLowerCase().replace(/[\p{Cf}\p{M}\s\u115F\u1160\u3164\uFFA0]/gu, "");
  return [...plain].map((letter) => LOOKS.get(letter) ?? letter).join("").replace(/[|l1]/gu, "i").replace(/0/gu, "o").replace(/rn/gu, "m").replace(/vv/gu, "w");
}

/** The names that were seen, by kind and looks: a room does not look like a person. @type {Map<string, Set<string>>} */
const seen = new Map();
const keyOf = (name, kind) => `${kind} ${skeleton(name)}`;
let count = 0;

/** Remembers that a name is on the page. Returns whether it is the first time that it looks like another one. */
export function see(name, kind = "person") {
  const looks = keyOf(name, kind);
  const alike = seen.get(looks) ?? new Set();
  if (alike.has(name)) return false;
  if (count >= NAMES_MAX) {
    seen.clear();
    count = 0;
  }
  count += 1;
  seen.set(looks, alike.add(name));
  return alike.size > 1;
}

/** Forgets a name that is nowhere on the page, if it looks like another one. Returns whether that is so. */
export function lose(name, isShown) {
  const alike = seen.get(keyOf(name, "person"));
  return alike?.size > 1 && !isShown() && alike.delete(name);
}

const isPlain = (name) => /^[\x20-\x7E]*$/u.test(name);
const codePoint = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** The difference of a name to those that look like it: `{short, long}`, or null where none has been seen. */
export function difference(name, kind = "person") {
  const twin = [...seen.get(keyOf(name, kind)) ?? []].find((other) => other !== name);
  if (twin === undefined) return null;
  const odd = [...new Set(name)].filter((character) => !twin.includes(character) && !isPlain(character)).slice(0, 3).map(codePoint);
  if (odd.length) return { short: odd.join(" "), long: t("notTheSameCharacters", { name: twin, characters: odd.join(", ") }) };
  if (isPlain(name) && !isPlain(twin)) return null; // the other one has the mark
  return { short: t("notName", { name: twin }), long: t("notTheSame", { name: twin }) };
}

/** A name and, where it looks like another one, their difference. */
export function nameParts(name, className = "", kind = "person") {
  const parts = [element("bdi", className, name)];
  const told = difference(name, kind);
  if (!told) return parts;
  const mark = element("bdi", "lookalike", told.short);
  mark.title = told.long;
  return [...parts, mark];
}
