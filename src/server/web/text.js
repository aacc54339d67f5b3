/**
 * What is in a text: addresses that can be followed, emoji, the people it calls, and where it may be cut.
 */
import { utf8Length } from "./client.js";

/** A family, a flag, a letter with its marks are one sign to people, however many the computer counts. */
export const segmenter = Intl.Segmenter ? new Intl.Segmenter() : null;

/** The beginning of a text, cut through no sign, if one sign is not longer. */
export function cut(text, most) {
  if (text.length <= most) return text;
  const { index } = segmenter?.segment(text.slice(0, most + 100)).containing(most) ?? {};
  return text.slice(0, index || most).replace(/[\uD800-\uDBFF]$/u, "");
}

const LINKS_MAX = 40; // in one message; the rest stays text

// An address ends at a blank, at a character that no address has, and at the punctuation and brackets of the scripts
// that write no blank behind them. Invisible characters end it too.
const ADDRESS = new RegExp([
  "https?://[^\\s<>\"`|\\\\\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}\\p{Cn}\\p{Z}",
  "\\u00AB\\u00BB\\u2018\\u201A-\\u201F\\u2039\\u203A", // quotation marks, but for the apostrophe
  // East Asian, vertical and small forms.
  "\\u3000-\\u3004\\u3008-\\u3020\\u3030\\u303D\\u30FB\\uFE10-\\uFE1F\\uFE30-\\uFE6F",
  "\\uFF01-\\uFF0F\\uFF1A-\\uFF20\\uFF3B-\\uFF40\\uFF5B-\\uFF65", // full width
  // Other scripts.
  "\\u0589\\u05BE\\u05C3\\u060C\\u061B\\u061F\\u06D4\\u0964\\u0965\\u0E5A\\u0E5B\\u104A\\u104B\\u1362-\\u1368\\u17D4\\u17D5",
  "]+",
].join(""), "giu");
const TURNS_TEXT = /\p{Bidi_Control}/u; // invisible, and lets an address read as another one
const AUTHORITY = /^https?:\/\/([^/?#\\]*)/iu;

// Emoji: a flag, a keycap, or a picture with its modifiers. Old text symbols (© ® ™, arrows) do not count.
const PICTURE = "(?:\\p{Emoji_Presentation}|[\\u2600-\\u27BF\\u2B00-\\u2BFF\\u{1F000}-\\u{1FAFF}]|(?![©®™\\u2139])\\p{Extended_Pictographic}\\uFE0F)";
const UNIT = `${PICTURE}(?:\\uFE0F|\\p{Emoji_Modifier})?(?:[\\u{E0020}-\\u{E007E}]+\\u{E007F})?`;
const EMOJI_ONLY = new RegExp(
  `^(?:(?:\\p{Regional_Indicator}{2}|[0-9#*]\\uFE0F?\\u20E3|(?=\\p{Extended_Pictographic})${UNIT}(?:\\u200D\\p{Extended_Pictographic}(?:\\uFE0F|\\p{Emoji_Modifier})?)*)\\s*){1,3}$`, "u");

/** By how many characters, about, a text is longer than so many bytes. */
export function charactersOver(text, most) {
  const bytes = utf8Length(text);
  return bytes > most ? Math.max(1, Math.ceil((bytes - most) / (bytes / [...text].length))) : 0;
}

/** Whether a text is one to three emoji and nothing else. */
export function isEmojiOnly(content) { return content.length <= 60 && EMOJI_ONLY.test(content); }

/** Whether nobody would see anything of a text. */
export function isBlank(content) { return !/[^\s\u2800\p{Default_Ignorable_Code_Point}]/u.test(content); }

/** The addresses in a text that may be followed: `{start, end, href, shown}`, where `shown` is the text to display. */
export function links(content) {
  const found = [];
  for (const match of content.matchAll(ADDRESS)) {
    if (found.length === LINKS_MAX) break;
    const address = trimAddress(match[0]);
    let url;
    try { url = new URL(address); } catch { continue; }
    if (url.protocol !== "http:" && url.protocol !== "https:") continue;
    // A link leads where it seems to lead: https://bank.example@evil.example does not. Such an address stays text.
    const [behind] = /^\S*/u.exec(content.slice(match.index + match[0].length));
    if (TURNS_TEXT.test(behind) || url.username || url.password) continue;
    found.push({ start: match.index, end: match.index + address.length, href: url.href, shown: honest(address, url) });
  }
  return found;
}

/**
 * An address as it is displayed: with the host that will be asked for, wherever the written host differs or has more
 * than ASCII in it.
 */
function honest(address, url) {
  const [whole, authority] = AUTHORITY.exec(address);
  const host = authority.replace(/:\d*$/u, "");
  if (host.toLowerCase() === url.hostname) return address;
  return `${url.protocol}//${url.host}${address.slice(whole.length)}`;
}

/**
 * Punctuation after an address belongs to the sentence; a closing bracket belongs to the address only if it was opened
 * in it.
 */
function trimAddress(address) {
  const opening = new Map([[")", "("], ["]", "["], ["}", "{"]]);
  const surplus = new Map();
  for (const [close, open] of opening) surplus.set(close, address.split(close).length - address.split(open).length);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (surplus.get(last) > 0) surplus.set(last, surplus.get(last) - 1);
    else if (!/[.,;:!?'’…*_]/u.test(last)) break;
  }
  return address.slice(0, end);
}

// Mentions

const NAME_CHARACTERS = 128; // the longest name
const WORD = /[\p{L}\p{M}\p{N}_]/u;
// No blank ends a word.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u30FC]/u;
const IN_ADDRESS = /[\p{L}\p{M}\p{N}_.+\-/@=%&#~]/u; // before an @ it makes an e-mail address, or a path

/**
 * Whether a name ends there, so that no longer word goes on: "@ada-lyn" does not call ada, nor does "@ada@example.org".
 */
function endsAt(text, end, name) {
  const after = characterAt(text, end);
  if (after === "@") return false; // an address of another network
  if (/\p{Pd}/u.test(after)) return !WORD.test(characterAt(text, end + after.length));
  if (!WORD.test(after) || UNSPACED.test(after)) return true;
  return UNSPACED.test([...name.normalize("NFC")].pop()) && !/\p{M}/u.test(after);
}

const characterAt = (text, at) => String.fromCodePoint(text.codePointAt(at) ?? 32);

const ROOM = /^@room(?![\p{Alphabetic}\p{N}_\-@`])/iu;
const BEFORE_ROOM = /[\p{Alphabetic}\p{N}_.+\-/@=%&#~`]$/u; // the rule is the server's: docs/wire.md

/** Whether the server finds an `@room` at that place of a text, in which it stands with the sign of a keyboard. */
const isRoomAt = (text, at) => ROOM.test(text.slice(at, at + 8)) && !BEFORE_ROOM.test(text.slice(Math.max(0, at - 2), at));

const CALLS_MAX = 400; // in one text

/** Names in the form in which they are looked for. */
export const loweredOf = (names) => new Map([...names].map((name) => [name, name.normalize("NFC").toLowerCase()]));

/** Where a name ends that a text has from there on; its letters may be in parts: "e" and an accent. */
function rawEnd(text, from, lower) {
  for (let end = from + lower.length; end < from + 4 * lower.length; end += 1) {
    if (text.slice(from, end).normalize("NFC").toLowerCase() === lower && !/^\p{M}/u.test(text.slice(end, end + 2))) return end;
  }
  return from + lower.length;
}

/**
 * Where a text calls people, by `@` and the name, as a word of its own: "@ada, tea?" and not "@adam", nor the bare
 * word, since names are often words; nor an e-mail address or a link. Where words are written without blanks, more may
 * follow: "@太郎さん". The longest name that fits at each place: `{start, end, name}`. With `room` it calls all who are in
 * the room: there `name` is null. `names` are a list, or what `loweredOf` has made of it.
 */
export function callsIn(content, names, room = false) {
  if (!/[@\uFF20]/u.test(content)) return [];
  const known = names instanceof Map ? names : loweredOf(names);
  const inParts = content !== content.normalize("NFC");
  const text = content.replace(ADDRESS, (address) => " ".repeat(address.length)).replace(/\uFF20/gu, "@");
  const found = [];
  for (let at = text.indexOf("@"); at >= 0 && found.length < CALLS_MAX; at = text.indexOf("@", at + 1)) {
    const [before] = /(?:[\uD800-\uDBFF][\uDC00-\uDFFF]|[^])$/u.exec(text.slice(Math.max(0, at - 2), at)) ?? [""];
    if (room && isRoomAt(text, at)) {
      found.push({ start: at, end: at + "@room".length, name: null });
      continue;
    }
    if (before && IN_ADDRESS.test(before) && !UNSPACED.test(before)) continue;
    const called = text.slice(at + 1, at + 1 + (NAME_CHARACTERS + 2) * (inParts ? 4 : 1)).normalize("NFC").toLowerCase();
    let best = null;
    for (const [name, lower] of known) {
      if (lower !== "" && called.startsWith(lower) && (best === null || lower.length > best.lower.length) && endsAt(called, lower.length, lower)) best = { name, lower };
    }
    if (best) found.push({ start: at, end: inParts ? rawEnd(text, at + 1, best.lower) : at + 1 + best.name.length, name: best.name });
  }
  return found;
}
