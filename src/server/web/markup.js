/**
 * What a text means by the signs in it (`pieces.js`), as nodes. Nothing in it ever becomes markup of the page. The
 * signs stay in the nodes, not shown: what is copied is what was written.
 */
import { element, icon } from "./dom.js";
import { t } from "./language.js";
import { parse } from "./pieces.js";
import { isEmojiOnly } from "./text.js";

const FOLD_OVER = 12; // lines of code

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
