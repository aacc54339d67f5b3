/**
 * One entry of the log: a message, a notice of coming or going, a hole.
 */
import { avatar } from "./avatar.js";
import { active, answeredBy, client, conversations, me, removeHelp } from "./conversations.js";
import { byId, element, icon, named } from "./dom.js";
import { redraw } from "./drawing.js";
import { emojiNamed } from "./emoji.js";
import { phrase, spoken, t } from "./language.js";
import { listed } from "./lists.js";
import { nameParts } from "./lookalikes.js";
import { write } from "./markup.js";
import { OPERATOR } from "./names.js";
import { callsMe } from "./pieces.js";
import { focusComposer } from "./places.js";
import { send } from "./sending.js";
import { cut } from "./text.js";
import { quoted } from "./history.js";
import { keepUnsent } from "./unsent.js";

const GROUP_WITHIN = 10 * 60_000;
const GROUP_OF = 10; // messages behind one name
const QUOTE_CHARACTERS = 200;

let zone; // the time zone that times are shown in
let clockFormat;
let fullFormat;
let dayFormat;
let yearFormat;

/**
 * Looks at the time zone of the browser, and at the language. Returns whether one is another now: then all times on the
 * page are stale.
 */
export function lookAtZone() {
  const offset = new Date().getTimezoneOffset();
  const { locale } = spoken;
  const now = `${new Intl.DateTimeFormat().resolvedOptions().timeZone} ${offset} ${locale}`;
  if (now === zone) return false;
  zone = now;
  clockFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  fullFormat = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
  dayFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
  yearFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  for (const c of conversations.values()) for (const item of [...c.items, ...c.pending]) item.stale = true;
  return true;
}
lookAtZone();

/** A moment with its day, as the reader says it. */
export const fullTime = (ms) => fullFormat.format(ms);

/** @type {WeakMap<Element, object>} */
const items = new WeakMap();
/** The item that a node of the log stands for; undefined for the lines between them. */
export const itemOf = (node) => items.get(node);

/** The time of day, and the day too where it is another one. */
export function timeOf(ts) {
  const time = clockFormat.format(ts);
  if (dayOf(ts) === dayOf(Date.now())) return time;
  return dayOf(ts) === yesterday() ? t("timeYesterday", { time }) : t("timeOnDay", { time, day: dateOf(ts) });
}

/** The node of an item, made anew. `refresh` and `dress` do the rest. */
export function build(item) {
  item.stale = true;
  item.continued = undefined;
  const node = item.type === "said" ? buildSaid(item) : element("li", item.type);
  items.set(node, item);
  return node;
}

function buildSaid(item) {
  const author = element("button", "author");
  author.type = "button";
  author.tabIndex = -1; // the list of people is the way for the keyboard; three hundred tab stops are not
  author.dataset.person = item.sender;
  const body = element("div", "body", element("p", "byline", author, element("span", "look"), element("time")));
  const node = element("li", "message", avatar(item.sender), body);
  node.classList.toggle("of-operator", item.sender === OPERATOR);
  node.classList.toggle("mine", item.sender === me);
  item.rewritten = true;
  item.whole = false;
  return node;
}

/**
 * Writes what a message says, which may be another text than before: the node stays, and so does what is around it,
 * and the text, if it would be the same.
 */
function rewrite(item) {
  item.rewritten = false;
  const { node } = item;
  const body = node.querySelector(".body");
  const before = [...body.querySelectorAll(":scope > :is(.text, .show-all)")];
  const text = element("div", "text");
  text.dir = "auto";
  if (item.deleted) text.append(element("em", "", t("wasDeleted")));
  else write(text, item.content, { me, names: /[@\uFF20]/u.test(item.content) ? [me, ...active?.members ?? []] : [], room: item.mentions === "room" });
  const parts = [text];
  if (!item.whole && (item.content.length > 2_000 || item.content.split("\n", 31).length > 30)) {
    text.classList.add("long");
    const more = element("button", "quiet show-all", t("showAll"));
    more.type = "button";
    more.addEventListener("click", () => {
      item.whole = true;
      text.classList.remove("long");
      keepFocus(node, () => more.remove());
    });
    parts.push(more);
  }
  if (item.edited && !item.deleted) {
    text.classList.add("edited");
    text.dataset.words = t("edited"); // written by the style: the text is what was said, and no more
    text.title = t("editedAt", { time: fullFormat.format(item.edited) });
  }
  if (before.length !== parts.length || before.some((part, n) => !part.isEqualNode(parts[n]))) {
    for (const part of before) part.remove();
    body.querySelector(".byline").after(...parts);
  }
  node.classList.toggle("deleted", item.deleted === true);
  node.classList.toggle("mention", item.sender !== me && callsMe(item, me, active?.members));
}

/**
 * Changes what is in a message. If somebody who goes by the keyboard was at a part that is there no more, they are at
 * what has come in its place, else at the message. (What is typed behind a click is written in the composer.)
 */
function keepFocus(node, change) {
  const at = node.querySelector(":focus-visible");
  change();
  if (!at || at.isConnected) return;
  const nameOf = (part) => `${part.className} ${part.dataset.emoji ?? part.href ?? part.textContent}`;
  const same = [...node.querySelectorAll("button, a")].find((part) => nameOf(part) === nameOf(at));
  if (!same) node.tabIndex = -1;
  (same ?? node).focus({ preventScroll: true });
}

/** Brings a node in line with the state of its item: pending, refused, sent. */
export function refresh(item) {
  const { node } = item;
  // It was read aloud as it came, and is not once more for what changes at it.
  if (item.type === "said" && node.isConnected) node.setAttribute("aria-live", "off");
  keepFocus(node, () => draw(item));
}

function draw(item) {
  item.stale = false;
  if (item.type === "gap") return item.node.replaceChildren(element("span", "", item.text));
  if (item.type === "help") return item.node.replaceChildren(helpCard(item));
  if (item.type === "notice" && item.kind !== undefined) {
    const values = { name: named(item.by), [item.kind]: element("q", "", item.text) };
    const said = item.kind === "title" ? phrase(item.text ? "titleSet" : "titleGone", values) : phrase(item.text ? "topicSet" : "topicGone", values);
    return item.node.replaceChildren(element("span", "", ...said));
  }
  if (item.type === "notice") {
    const came = item.joined.length ? phrase("joined", { count: item.joined.length, names: some(item.joined) }) : [];
    const went = item.left.length ? phrase("leftRoom", { count: item.left.length, names: some(item.left) }) : [];
    return item.node.replaceChildren(element("span", "", ...came, ...came.length && went.length ? [" · "] : [], ...went));
  }
  if (item.rewritten) rewrite(item);
  const pending = item.seq === undefined;
  const [name, ...mark] = nameParts(item.sender);
  item.node.querySelector(".author").replaceChildren(name);
  item.node.querySelector(".look").replaceChildren(...mark);
  const time = item.node.querySelector("time");
  // Beside a message without a head there is no room for "PM", which stands at the head of its group.
  time.replaceChildren(...clockFormat.formatToParts(item.ts).map(({ type, value }) => (type === "dayPeriod" ? element("span", "half", value) : value)));
  time.dateTime = new Date(item.ts).toISOString();
  time.title = fullFormat.format(item.ts);
  drawQuote(item);
  if (!pending) drawReactions(item);
  item.node.classList.toggle("pending", pending);
  item.node.classList.toggle("failed", Boolean(pending && item.failed));
  if (!pending) item.node.dataset.seq = item.seq;
  item.node.querySelector(".state")?.remove();
  if (!pending) return;
  const state = element("p", "state");
  if (item.failed) {
    const retry = element("button", "quiet", t("tryAgain"));
    const discard = element("button", "quiet", t("discard"));
    retry.type = discard.type = "button";
    retry.addEventListener("click", () => {
      const { reply_to: seq, epoch } = item.entry;
      const c = conversationOf(item);
      c.problem = send(c, item.content, { seq, epoch });
      if (!c.problem) forget(item);
      redraw("composer");
    });
    discard.addEventListener("click", () => forget(item));
    state.append(element("span", "", t("notSentWhy", { why: item.failed })), retry, discard);
  } else {
    state.append(t(client.state === "connected" ? "sending" : "waiting"));
  }
  item.node.querySelector(".body").append(state);
}

/** Names, the first of many. */
const some = (all) => listed([...all.slice(0, 4).map((name) => nameParts(name)), ...all.length > 4 ? [t("others", { count: all.length - 4 })] : []]);

/** The message that this one answers, in a line above it. */
function drawQuote(item) {
  const body = item.node.querySelector(".body");
  body.querySelector(":scope > .quote")?.remove();
  const of = answeredBy(active, item);
  if (of === null || item.deleted) return;
  const answered = quoted(active, of);
  const words = answered === undefined ? ["…"] : answered.deleted ? [t("answeredGone")] : [element("bdi", "quote-author", answered.sender), element("span", "quote-text", plain(answered.content))];
  const quote = element("button", "quote", icon("reply"), ...words);
  quote.type = "button";
  quote.title = t("goToAnswered");
  body.querySelector(".byline").after(quote);
}

/** The beginning of a text in one line. */
export const plain = (content) => cut(content, QUOTE_CHARACTERS).replace(/\s+/gu, " ");

function drawReactions(item) {
  const body = item.node.querySelector(".body");
  body.querySelector(":scope > .reactions")?.remove();
  if (!item.reactions?.length) return;
  const row = element("div", "reactions", ...item.reactions.map(({ emoji, count, users, me: mine }) => {
    const shown = emojiNamed(emoji.replace(/^:|:$/gu, "")) ?? emoji;
    const button = element("button", "reaction", element("span", "", shown), element("span", "reaction-count", String(count)));
    button.type = "button";
    button.dataset.emoji = emoji;
    button.setAttribute("aria-pressed", String(mine));
    const others = count - users.length;
    const names = listed([...users.map((user) => (user === me ? t("you") : user)), ...others > 0 ? [t("moreCount", { count: others })] : []]).join("");
    button.title = names;
    button.setAttribute("aria-label", `${shown}, ${names}`);
    return button;
  }));
  const more = element("button", "react-more", icon("smile"));
  more.type = "button";
  more.setAttribute("aria-label", t("addReaction"));
  row.append(more);
  body.append(row);
}

function helpCard({ lines }) {
  const list = element("dl", "help-lines", ...lines.map(({ usage, what }) => element("div", "", element("dt", "", element("code", "", usage)), element("dd", "", what))));
  const done = element("button", "quiet", t("dismiss"));
  done.type = "button";
  done.addEventListener("click", () => {
    removeHelp(active);
    byId("composer-input").focus();
  });
  return element("div", "help-card", element("p", "help-title", `${t("helpTitle")} `, element("span", "help-only", t("helpOnlyYou"))), list, done);
}

const conversationOf = ({ entry }) => conversations.get(`${entry.kind}:${entry.target}`);

function forget(item) {
  if (item.node.contains(document.activeElement)) focusComposer();
  const c = conversationOf(item);
  client.discard(item.entry.id);
  c.pending.splice(c.pending.indexOf(item), 1);
  c.problem = "";
  keepUnsent();
  redraw("log", "composer");
}

/**
 * The lines above an item: its day, if it is the first of it, and "New". They depend on what stands before, and so
 * does whether a message continues a group. A name that stands where a group became too long, or above the first
 * message that was loaded, stays when earlier ones come: it would move what is read.
 */
export function linesAbove(item, previous, isNew) {
  const lines = [];
  const day = previous === null || dayOfItem(previous) !== dayOfItem(item) ? dayName(item.ts) : "";
  if (day) {
    item.dayNode ??= element("li", "line day-line", element("span", "", day));
    if (item.dayNode.textContent !== day) item.dayNode.firstChild.textContent = day;
    lines.push(item.dayNode);
  }
  if (isNew) {
    newLine.firstChild.textContent = t("new");
    lines.push(newLine);
  }
  const grouped = previous?.type === "said" && previous.sender === item.sender && item.sender !== OPERATOR && item.ts - previous.ts < GROUP_WITHIN;
  const full = previous === null || (grouped && (previous.inGroup ?? 0) >= GROUP_OF);
  if (full) item.leads = true;
  const continued = item.type === "said" && lines.length === 0 && grouped && !item.leads;
  item.inGroup = continued ? (previous.inGroup ?? 0) + 1 : 1;
  if (item.continued !== continued) {
    item.continued = continued;
    item.node.classList.toggle("continued", continued);
  }
  return lines;
}

/** There is one such line on the page. */
export const newLine = element("li", "line new-line", element("span"));

function dayOf(ts) {
  const date = new Date(ts);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

/** The same of an item, which is asked for all that are shown each time one comes. */
function dayOfItem(item) {
  if (item.day?.ts !== item.ts || item.day.zone !== zone) item.day = { ts: item.ts, zone, number: dayOf(item.ts) };
  return item.day.number;
}

function dayName(ts) {
  const day = dayOf(ts);
  return day === dayOf(Date.now()) ? t("today") : day === yesterday() ? t("yesterday") : dateOf(ts);
}

function yesterday() {
  const now = new Date();
  return dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1));
}

function dateOf(ts) { return (new Date(ts).getFullYear() === new Date().getFullYear() ? dayFormat : yearFormat).format(ts); }
