/**
 * A message as text and links. Whatever it says, this makes text nodes and http(s) `<a>` nodes and nothing else.
 */
import { element } from "./dom.js";

let named = { name: "", pattern: /$^/u };

/** Whether a text has a name in it, as a word of its own: "Ada" is in "@ada, tea?" and not in "Adam". */
export function mentions(content, name) {
  if (named.name !== name) {
    const literal = name.normalize("NFC").replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
    named = { name, pattern: new RegExp(`(?<![\\p{L}\\p{M}\\p{N}_])${literal}(?![\\p{L}\\p{M}\\p{N}_])`, "iu") };
  }
  return name !== "" && named.pattern.test(content.normalize("NFC"));
}

const LINKS_MAX = 40; // in one message; the rest stays text

const ADDRESS = /https?:\/\/[^\s<>"“”„«»]+/giu;
const TURNS_TEXT = /\p{Bidi_Control}/u; // invisible, and lets an address read as another one
const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*\s*){1,3}$/u;

/** Writes `content` into a node. */
export function write(node, content) {
  if (content.length <= 40 && EMOJI_ONLY.test(content)) node.classList.add("jumbo");
  let end = 0;
  let links = 0;
  for (const match of content.matchAll(ADDRESS)) {
    if (links === LINKS_MAX) break;
    const address = trimAddress(match[0]);
    let url;
    try { url = new URL(address); } catch { continue; }
    if (url.protocol !== "http:" && url.protocol !== "https:") continue;
    // A link leads where it seems to lead: https://bank.example@evil.example does not. Such an address stays text.
    if (TURNS_TEXT.test(match[0]) || url.username || url.password) continue;
    const link = element("a", "", address);
    link.dir = "ltr"; // also in a text that is written from right to left
    link.href = url.href;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    node.append(content.slice(end, match.index), link);
    end = match.index + address.length;
    links += 1;
  }
  node.append(content.slice(end));
}

/** Punctuation after an address belongs to the sentence; a closing bracket belongs to the address only if it was opened in it. */
function trimAddress(address) {
  const opening = { ")": "(", "]": "[", "}": "{" };
  const count = (character) => address.split(character).length - 1;
  const surplus = {};
  for (const close of Object.keys(opening)) surplus[close] = count(close) - count(opening[close]);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (surplus[last] > 0) surplus[last] -= 1;
    else if (!/[.,;:!?'’…*_]/u.test(last)) break;
  }
  return address.slice(0, end);
}
