/**
 * The square with initials that stands for a person, in a hue computed from the name.
 */
import { element } from "./dom.js";
import { difference } from "./lookalikes.js";
import { segmenter } from "./text.js";

/** The chroma of the first of 24 hues, in thousandths: that of the others where so much is not too much for them. */
const CHROMAS = [145, 140, 130, 125, 115, 110, 105, 105, 110, 115, 110, 100, 100, 100, 100, 115, 125, 140];

/** The chroma and the hue of a name, as a style. */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = ((hash ^ (hash >>> 13)) >>> 0) % 24;
  return `--look:${(CHROMAS[hash] ?? 145) / 1_000} ${hash * 15 + 8}`;
}

export function initials(name, short = false) {
  const first = (word) => (segmenter ? segmenter.segment(word)[Symbol.iterator]().next().value?.segment : [...word][0]) ?? "";
  const words = name.split(/[\s._\-–—]+/u).filter((word) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(word));
  if (words.length === 0) return first(name) || "?";
  const [one, two] = [first(words[0]), words.length > 1 ? first(words.at(-1)) : ""];
  // A word alone gives two letters: Ada and Anna are not the same square.
  const letters = short ? one : one + (two || (/^\p{Script=Latin}/u.test(one) ? first(words[0].slice(one.length)).toLowerCase() : ""));
  if (!short && !two) return letters[0] === undefined ? "?" : difference(name) ? letters : one.toLocaleUpperCase() + letters.slice(one.length);
  return difference(name) ? letters : letters.toLocaleUpperCase(); // beside Bob, bob has a small one
}

export function avatar(name, extra = "") {
  const node = element("span", `avatar ${extra}`, initials(name, extra === "small"));
  node.style = hue(name);
  node.setAttribute("aria-hidden", "true");
  return node;
}
