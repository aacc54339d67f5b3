/**
 * What a text means by the signs in it: code, bold, italic and struck out words, quotes, lists, links, and the people
 * it calls. A text is parsed into pieces that together are the text again, sign for sign, and written as nodes; nothing
 * in it ever becomes markup of the page. The signs stay in the nodes, not shown: what is copied is what was written.
 *
 * A piece is a string, or `{kind, open, inside, close}`, where `open` and `close` are the signs.
 */
import { element, icon } from "./dom.js";
import { t } from "./language.js";
import { callsIn, isEmojiOnly, links } from "./text.js";

const PIECES_MAX = 400; // in a message; past them the rest stays as it is written
const DEPTH_MAX = 4;
const CANDIDATES_MAX = 20; // ends that are looked at for one beginning
const FOLD_OVER = 12; // lines of code

const WORD = /[\p{L}\p{M}\p{N}]/u;

/** The pieces of a text. `names` are the people that it may call; with `room` it calls everybody by `@room`. */
export function parse(content, names = [], room = false) {
  if (!/[`*_~>@\uFF20]|^(?:[-•]|\d+[.)]) |https?:/imu.test(content)) return content === "" ? [] : [content];
  const state = { left: PIECES_MAX, room };
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

/** The text of pieces, with the signs. */
export const rawOf = (pieces) => pieces.map((piece) => (typeof piece === "string" ? piece : piece.open + rawOf(piece.inside) + piece.close)).join("");

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
  const calls = depth > DEPTH_MAX || !(names.length || state.room) ? [] : callsIn(text, names, state.room);
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

// Nodes

/** Writes a text into a node. `me` is the name whose calls stand out, as those of everybody in the room do. */
export function write(node, content, { names = [], me = "", room = false } = {}) {
  if (isEmojiOnly(content)) {
    node.classList.add("jumbo");
    node.append(content);
    return;
  }
  node.append(...parse(content, names, room).map((piece) => nodeOf(piece, me)));
}

/** Signs are there for those who copy, and not for those who read. */
function signs(text) {
  const node = element("span", "sign", text);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function nodeOf(piece, me) {
  if (typeof piece === "string") return piece;
  const { kind, open, inside, close } = piece;
  if (kind === "link") return linkOf(piece);
  if (kind === "call") {
    const node = element("span", "call", inside[0]);
    if (piece.name === me || piece.name === null) node.classList.add("called");
    return node;
  }
  if (kind === "sign") return signs(open);
  if (kind === "fence") return fenceOf(piece);
  const parts = [...open ? [signs(open)] : [], ...inside.map((one) => nodeOf(one, me)), ...close ? [signs(close)] : []];
  if (kind === "quote") return element("blockquote", "", ...parts);
  if (kind === "bullet") return element("span", "list-item bullet", ...parts);
  if (kind === "number") return element("span", "list-item", element("span", "", open), ...parts.slice(1));
  return element(kind, "", ...parts);
}

function linkOf({ inside: [written], href, shown }) {
  const link = element("a", "", shown);
  link.dir = "ltr"; // also in a text that is written from right to left
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  if (shown !== written) link.title = t("writtenAs", { address: written });
  return link;
}

function fenceOf({ open, inside: [code], close }) {
  const lines = code.replace(/\n$/u, "").split("\n").length;
  const pre = element("pre", "", signs(open), element("code", "", code), signs(close));
  pre.dir = "ltr";
  pre.tabIndex = 0; // it may be scrolled sideways
  const copy = element("button", "code-copy icon-button small", icon("copy"));
  copy.type = "button";
  copy.title = t("copyCode");
  copy.setAttribute("aria-label", t("copyCode"));
  const box = element("div", "code-box", pre, copy);
  if (lines <= FOLD_OVER) return box;
  box.classList.add("folded");
  const fold = element("button", "code-fold");
  fold.type = "button";
  const label = () => {
    const words = box.classList.contains("folded") ? t("showAllLines", { count: lines }) : t("showLess");
    fold.dataset.words = words; // written by the style: the text of a message is what was said, and no more
    fold.setAttribute("aria-label", words);
    fold.setAttribute("aria-expanded", String(!box.classList.contains("folded")));
  };
  fold.addEventListener("click", () => {
    box.classList.toggle("folded");
    label();
  });
  label();
  box.append(fold);
  return box;
}
