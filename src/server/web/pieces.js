/**
 * What a text means by the signs in it: code, bold, italic and struck out words, quotes, lists, links, and the people
 * it calls. A text is parsed into pieces that together are the text again, sign for sign. What is drawn of it
 * (`markup.js`) and whom it calls are both read from them: code calls nobody.
 *
 * A piece is a string, or `{kind, open, inside, close}`, where `open` and `close` are the signs.
 */
import { callsIn, links, loweredOf } from "./text.js";

const PIECES_MAX = 400; // in a message; past them the rest stays as it is written
const DEPTH_MAX = 4;
const CANDIDATES_MAX = 20; // ends that are looked at for one beginning

const WORD = /[\p{L}\p{M}\p{N}]/u;

/** The pieces of a text. `names` are the people that it may call; with `room` it calls everybody by `@room`. */
export function parse(content, names = [], room = false) {
  if (!/[`*_~>@\uFF20]|^(?:[-•]|\d+[.)]) |https?:/imu.test(content)) return content === "" ? [] : [content];
  const state = { left: PIECES_MAX, room };
  names = /[@\uFF20]/u.test(content) ? loweredOf(names) : new Map();
  const pieces = [];
  let at = 0;
  let plain = 0; // where the lines begin that are no block
  const flush = (end) => {
    if (end > plain) pieces.push(...parseInline(content.slice(plain, end), names, state, 0));
    plain = end;
  };
  while (at < content.length && state.left > 0) {
    const end = lineEnd(content, at);
    const line = content.slice(at, end);
    const block = fenceAt(content, at, line) ?? quoteAt(content, at, line, names, state) ?? itemAt(content, at, line, names, state);
    if (block) {
      flush(at);
      state.left -= 1;
      pieces.push(block.piece);
      at = plain = block.end;
    } else {
      at = end;
    }
  }
  flush(content.length);
  return pieces;
}

/** Whether what is written behind a text, on a line of its own, is within code of several lines. */
export function isFenceOpen(text) {
  const last = parse(`${text}\n.`).at(-1);
  return last.kind === "fence" && last.close === "";
}

/** Behind the line break, which belongs to the line. */
function lineEnd(content, at) {
  const end = content.indexOf("\n", at);
  return end < 0 ? content.length : end + 1;
}

function fenceAt(content, at, line) {
  const [, fence] = /^(`{3,})[^`\n]*\n?$/u.exec(line) ?? [];
  if (!fence) return null;
  const begin = at + line.length;
  let from = begin;
  while (from < content.length) {
    const end = lineEnd(content, from);
    const [, close] = /^(`{3,})[ \t]*\n?$/u.exec(content.slice(from, end)) ?? [];
    if (close && close.length >= fence.length) return { piece: { kind: "fence", open: line, inside: [content.slice(begin, from)], close: content.slice(from, end) }, end };
    from = end;
  }
  return begin < content.length ? { piece: { kind: "fence", open: line, inside: [content.slice(begin)], close: "" }, end: content.length } : null;
}

function quoteAt(content, at, line, names, state) {
  const inside = [];
  let from = at;
  while (from < content.length) {
    const end = lineEnd(content, from);
    const [open] = /^> ?/u.exec(content.slice(from, end)) ?? [];
    if (open === undefined || (from === at && !/^> ?\S/u.test(line))) break;
    inside.push({ kind: "sign", open, inside: [], close: "" }, ...parseInline(content.slice(from + open.length, end), names, state, 1));
    from = end;
  }
  return from > at ? { piece: { kind: "quote", open: "", inside, close: "" }, end: from } : null;
}

function itemAt(content, at, line, names, state) {
  const [, bullet, number] = /^ {0,8}(?:([-*•] )|(\d{1,4}[.)] ))\S/u.exec(line) ?? [];
  if (bullet === undefined && number === undefined) return null;
  const sign = line.slice(0, line.indexOf(bullet ?? number) + (bullet ?? number).length);
  return { piece: { kind: bullet ? "bullet" : "number", open: sign, inside: parseInline(line.slice(sign.length), names, state, 1), close: "" }, end: at + line.length };
}

const SIGNS = new Map([["***", "both"], ["___", "both"], ["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]]);

function parseInline(text, names, state, depth) {
  const pieces = [];
  const addresses = depth > DEPTH_MAX ? [] : links(text);
  const calls = depth > DEPTH_MAX || !(names.size || state.room) ? [] : callsIn(text, names, state.room);
  const never = new Set(); // signs that are not in the rest of the text
  let plain = 0;
  let at = 0;
  const take = (piece, end) => {
    if (at > plain) pieces.push(text.slice(plain, at));
    pieces.push(piece);
    state.left -= 1;
    at = plain = end;
  };
  const special = /[`*_~]/gu;
  while (at < text.length && state.left > 0) {
    special.lastIndex = at;
    const sign = special.exec(text)?.index ?? text.length;
    while (addresses.length && addresses[0].start < at) addresses.shift();
    while (calls.length && calls[0].start < at) calls.shift();
    const address = addresses[0]?.start ?? text.length;
    const call = calls[0]?.start ?? text.length;
    at = Math.min(sign, address, call);
    if (at === text.length) break;
    if (at === address) {
      const { end, href, shown } = addresses.shift();
      take({ kind: "link", open: "", inside: [text.slice(at, end)], close: "", href, shown }, end);
    } else if (at === call) {
      const { end, name } = calls.shift();
      take({ kind: "call", open: "", inside: [text.slice(at, end)], close: "", name }, end);
    } else {
      const span = text[at] === "`" ? codeAt(text, at, never) : depth < DEPTH_MAX ? spanAt(text, at, never, names, state, depth) : null;
      if (span) take(span.piece, span.end);
      else at += /^(.)\1*/u.exec(text.slice(at, at + 64))[0].length;
    }
  }
  if (plain < text.length) pieces.push(text.slice(plain));
  return pieces;
}

function codeAt(text, at, never) {
  const [ticks] = /^`+/u.exec(text.slice(at, at + 64));
  if (never.has(ticks)) return null;
  for (let from = at + ticks.length, looked = 0; looked < CANDIDATES_MAX; looked += 1) {
    const end = text.indexOf(ticks, from);
    if (end < 0) {
      never.add(ticks);
      return null;
    }
    const [run] = /^`+/u.exec(text.slice(end, end + 64));
    if (run.length === ticks.length && end > at + ticks.length) {
      return { piece: { kind: "code", open: ticks, inside: [text.slice(at + ticks.length, end)], close: ticks }, end: end + ticks.length };
    }
    from = end + run.length;
  }
  return null;
}

/** A sign begins where a word may begin, and ends where one may end: neither 2*3*4 nor snake_case_names are meant. */
function spanAt(text, at, never, names, state, depth) {
  const sign = [3, 2].map((length) => text.slice(at, at + length)).find((longer) => SIGNS.has(longer)) ?? text[at];
  const kind = SIGNS.get(sign);
  if (kind === undefined || never.has(sign) || WORD.test(text[at - 1] ?? "")) return null;
  const begin = at + sign.length;
  if (!/[^\s]/u.test(text[begin] ?? " ") || text[begin] === sign[0]) return null;
  for (let from = begin, looked = 0; looked < CANDIDATES_MAX; looked += 1) {
    const end = text.indexOf(sign, from);
    if (end < 0) {
      never.add(sign);
      return null;
    }
    const behind = text[end + sign.length] ?? "";
    if (end > begin && !/\s/u.test(text[end - 1]) && !WORD.test(behind) && behind !== sign[0] && text[end - 1] !== sign[0]) {
      const inside = text.slice(begin, end);
      if (inside.includes("\n\n")) return null;
      const piece = { kind, open: sign, inside: parseInline(inside, names, state, depth + 1), close: sign };
      return { piece: kind === "both" ? bothOf(piece) : piece, end: end + sign.length };
    }
    from = end + 1;
  }
  return null;
}

/** Three signs are bold in italic. */
function bothOf({ open, inside }) {
  const [one, two] = [open.slice(0, 1), open.slice(1)];
  return { kind: "em", open: one, inside: [{ kind: "strong", open: two, inside, close: two }], close: one };
}

// The people it calls

const callsBy = (all, name) => all.some((piece) => typeof piece !== "string" && ((piece.kind === "call" && piece.name === name) || callsBy(piece.inside, name)));

/**
 * Whether a text calls a person: by `@` and the name, as `callsIn` finds it, outside of code. Where one of `others` has
 * a longer name that begins so, "bob smith" beside "bob", that one is called alone. `@room` calls everybody only where
 * the server says so: `callsMe` looks at that too.
 */
export function mentions(content, name, others = []) {
  if (name === "" || !/[@\uFF20]/u.test(content)) return false;
  const [lowered, sought] = [content, name].map((text) => text.normalize("NFC").toLowerCase());
  return lowered.includes(sought) && callsBy(parse(content, [name, ...others]), name);
}

/** Whether a message calls a person: by the name, or with everybody in the room, as the server says. */
export function callsMe({ content = "", mentions: whom }, name, others) { return whom === "room" || mentions(content, name, others); }
