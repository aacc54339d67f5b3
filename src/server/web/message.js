/**
 * One entry of the log: a message, a notice of coming or going, a hole.
 */
import { avatar } from "./avatar.js";
import { OPERATOR, active, client, conversations, me, removeHelp } from "./conversations.js";
import { byId, element, icon } from "./dom.js";
import { redraw } from "./drawing.js";
import { nameParts } from "./lookalikes.js";
import { mentions, write } from "./text.js";
import { keepUnsent } from "./unsent.js";

const GROUP_WITHIN = 5 * 60_000;

let zone; // the time zone that times are shown in
let clockFormat;
let fullFormat;
let dayFormat;
let yearFormat;

/**
 * Looks at the time zone of the browser. Returns whether it is another one now: then all times on the page are stale.
 */
export function lookAtZone() {
  const offset = new Date().getTimezoneOffset();
  const now = `${new Intl.DateTimeFormat().resolvedOptions().timeZone} ${offset}`;
  if (now === zone) return false;
  zone = now;
  clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
  dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
  yearFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  for (const c of conversations.values()) for (const item of [...c.items, ...c.pending]) item.stale = true;
  return true;
}
lookAtZone();

/** The node of an item, made anew. `refresh` and `dress` do the rest. */
export function build(item) {
  item.stale = true;
  return item.type === "said" ? buildSaid(item) : element("li", item.type);
}

function buildSaid(item) {
  const author = element("button", "author");
  author.type = "button";
  author.tabIndex = -1; // the list of people is the way for the keyboard; three hundred tab stops are not
  author.dataset.person = item.sender;
  const text = element("p", "text");
  text.dir = "auto";
  if (item.deleted) text.append(element("em", "", "This message was deleted."));
  else write(text, item.content);
  const body = element("div", "body", element("p", "byline", author, element("span", "look"), element("time")), text);
  if (item.content.length > 2_000 || item.content.split("\n", 31).length > 30) {
    text.classList.add("long");
    const more = element("button", "quiet show-all", "Show all");
    more.type = "button";
    more.addEventListener("click", () => {
      text.classList.remove("long");
      more.remove();
    });
    body.append(more);
  }
  const node = element("li", "message", avatar(item.sender), body);
  node.classList.toggle("of-operator", item.sender === OPERATOR);
  node.classList.toggle("mine", item.sender === me);
  node.classList.toggle("mention", item.sender !== me && mentions(item.content, me, active?.members));
  return node;
}

/** Brings a node in line with the state of its item: pending, refused, sent. */
export function refresh(item) {
  item.stale = false;
  item.dressed = undefined;
  if (item.type === "announcement") return refreshAnnouncement(item);
  if (item.type === "gap") return item.node.replaceChildren(element("span", "", item.text));
  if (item.type === "help") return item.node.replaceChildren(helpCard(item));
  if (item.type === "notice") {
    const names = item.names.slice(0, 4).map((name, i, all) => [i === 0 ? "" : i === all.length - 1 && item.names.length <= 4 ? " and " : ", ", ...nameParts(name)]).flat();
    const others = item.names.length > 4 ? ` and ${item.names.length - 4} others` : "";
    return item.node.replaceChildren(element("span", "", ...names, others, item.kind === "joined" ? " joined" : " left"));
  }
  const pending = item.seq === undefined;
  const [name, ...mark] = nameParts(item.sender);
  item.node.querySelector(".author").replaceChildren(name);
  item.node.querySelector(".look").replaceChildren(...mark);
  const time = item.node.querySelector("time");
  time.textContent = clockFormat.format(item.ts);
  time.dateTime = new Date(item.ts).toISOString();
  time.title = fullFormat.format(item.ts);
  item.node.classList.toggle("pending", pending);
  item.node.classList.toggle("failed", Boolean(pending && item.failed));
  if (!pending) item.node.dataset.seq = item.seq;
  item.node.querySelector(".state")?.remove();
  if (!pending) return;
  const state = element("p", "state");
  if (item.failed) {
    const retry = element("button", "quiet", "Try again");
    const discard = element("button", "quiet", "Discard");
    retry.type = discard.type = "button";
    retry.addEventListener("click", () => {
      const { kind, target } = item.entry;
      const said = kind === "room" ? client.say(target, item.content) : client.direct(target, item.content);
      if (said) forget(item);
    });
    discard.addEventListener("click", () => forget(item));
    state.append(element("span", "", `Not sent. ${item.failed}`), retry, discard);
  } else {
    state.append("Sending …");
  }
  item.node.querySelector(".body").append(state);
}

/**
 * An announcement to everybody: that of the operator is a notice of its own look, that of a person looks like theirs.
 */
function refreshAnnouncement({ node, sender, content }) {
  const byOperator = sender === OPERATOR;
  node.classList.toggle("of-operator", byOperator);
  const who = byOperator ? [icon("bell"), "From the server"] : [avatar(sender, "small"), ...nameParts(sender), " to everybody"];
  const text = element("p", "text");
  text.dir = "auto";
  write(text, content);
  node.replaceChildren(element("div", "announced", element("p", "announced-by", ...who), text));
}

function helpCard({ lines }) {
  const list = element("dl", "help-lines", ...lines.map(({ usage, what }) => element("div", "", element("dt", "", element("code", "", usage)), element("dd", "", what))));
  const done = element("button", "quiet", "Dismiss");
  done.type = "button";
  done.addEventListener("click", () => {
    removeHelp(active);
    byId("composer-input").focus();
  });
  return element("div", "help-card", element("p", "help-title", "What you can write here ", element("span", "help-only", "Only you see this")), list, done);
}

function forget(item) {
  const c = conversations.get(`${item.entry.kind}:${item.entry.target}`);
  client.discard(item.entry.id);
  c.pending.splice(c.pending.indexOf(item), 1);
  c.problem = "";
  keepUnsent();
  redraw("log", "composer");
}

/** The dress of a message depends on its neighbour: the day, the "New" line, whether it continues a group. */
export function dress(item, previous, isNew) {
  const day = previous === null || dayOf(previous.ts) !== dayOf(item.ts) ? dayName(item.ts) : "";
  const continued = item.type === "said" && previous?.type === "said" && !day && !isNew && previous.sender === item.sender && item.sender !== OPERATOR && item.ts - previous.ts < GROUP_WITHIN;
  const dressed = `${day}|${isNew}|${continued}`;
  if (item.dressed === dressed) return;
  item.dressed = dressed;
  for (const line of item.node.querySelectorAll(":scope > .line")) line.remove();
  if (isNew) item.node.prepend(element("div", "line new-line", element("span", "", "New")));
  if (day) item.node.prepend(element("div", "line day-line", element("span", "", day)));
  item.node.classList.toggle("continued", continued);
}

function dayOf(ts) {
  const date = new Date(ts);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

function dayName(ts) {
  const day = dayOf(ts);
  const now = new Date();
  if (day === dayOf(now)) return "Today";
  if (day === dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return "Yesterday";
  return (new Date(ts).getFullYear() === now.getFullYear() ? dayFormat : yearFormat).format(ts);
}
