/**
 * What can be done with a message: the bar that shows at the one under the pointer or with the focus, the menu behind
 * it, which a long press opens too, the answer that a swipe begins, and the keys.
 */
import { active, answeredBy, client, me, roles, unreadFrom } from "./conversations.js";
import { answer, editMessage } from "./composer.js";
import { copyAloud, toast } from "./copying.js";
import { byId, element, icon } from "./dom.js";
import { drawnBy } from "./drawing.js";
import { QUICK } from "./emoji.js";
import { t } from "./language.js";
import { showMessage } from "./log.js";
import { itemOf } from "./message.js";
import { openPicker } from "./picker.js";
import { focusComposer, linkTo, open } from "./places.js";
import { ask, askedAbout } from "./question.js";
import { inWords } from "./words.js";

const PRESS = 500; // how long a finger rests on a message that is asked for its menu
const SLOP = 10; // pixels that it may move meanwhile
const SWIPE = 64; // pixels that a finger pulls a message to answer it
const EDGE = 24; // pixels at the sides of the screen, which are for going back

const bar = byId("message-bar");
const messages = byId("messages");
let at = null; // the node that the bar is at
let awaited = null; // the node under the pointer, which nothing can be done with yet: it is on its way to the server

const isOurs = (item) => item.sender === me;
const mayDelete = (item) => isOurs(item) || (active.kind === "room" && mayModerate());
const mayModerate = () => roles.includes("moderate") || roles.includes("admin");
const canBeUsed = (item) => item?.type === "said" && item.seq !== undefined && !item.deleted && item.epoch === active.epoch;

function failed(error) { toast(t("notDone", { why: inWords(error) })); }

export function react(item, emoji) {
  if (!canBeUsed(item)) return toast(t("notDoneGone"));
  const mine = item.reactions?.some((one) => one.emoji === emoji && one.me);
  client.react(active.target, item.seq, emoji, !mine).catch(failed);
}

export async function remove(item) {
  const c = active;
  const sure = await ask({ title: isOurs(item) ? t("deleteYours") : t("deleteTheirs", { name: item.sender }), text: askedAbout(item.content), yes: t("delete") });
  if (!sure) return;
  // While that was asked the server may have begun anew, with another message of this number.
  if (c.epoch === item.epoch) client.delete(c.target, item.seq).catch(failed);
  else toast(t("notDoneBegunAnew"));
}

/** What can be done with an item: `{what, words, icon, key, run}`. */
function actionsOf(item) {
  const c = active;
  const all = [
    { what: "reply", words: t("reply"), icon: "reply", run: () => answer(item) },
    { what: "edit", words: t("edit"), icon: "pencil", run: () => editMessage(item), when: isOurs(item) },
    { what: "copy", words: t("copyText"), icon: "copy", run: () => copyAloud(item.content, t("text")) },
    { what: "link", words: t("copyLink"), icon: "link", run: () => copyAloud(linkTo(c, item), t("link")) },
    { what: "unread", words: t("markUnread"), icon: "unread", run: () => { if (c.epoch === item.epoch) unreadFrom(c, item.seq); } },
    { what: "write", words: t("writeTo", { name: item.sender }), icon: "people", run: () => open("person", item.sender), when: !isOurs(item) && active.kind === "room" },
    { what: "delete", words: t("delete"), icon: "bin", run: () => remove(item), when: mayDelete(item) },
  ];
  return all.filter(({ when = true }) => when);
}

// The bar

function showBar(node) {
  const item = node && itemOf(node);
  if (!canBeUsed(item)) {
    hideBar();
    awaited = item?.type === "said" && item.seq === undefined ? node : null;
    return;
  }
  const frame = bar.parentElement.getBoundingClientRect();
  const { top, bottom } = node.getBoundingClientRect();
  if (bottom < frame.top + 8 || top > frame.bottom - 8) return hideBar();
  if (at !== node) byId("bar-edit").hidden = !isOurs(item);
  at = node;
  awaited = null;
  bar.hidden = false;
  bar.style.setProperty("top", `${Math.max(2, top - frame.top - 14)}px`);
}

/**
 * A button that the pointer has pressed there leaves the focus where one writes; the keyboard goes back to the message,
 * for the next Enter is none of what is being written.
 */
function hideBar() {
  const node = at;
  const [held, keys] = [bar.contains(document.activeElement), isUsedByKeys()];
  at = awaited = null;
  bar.hidden = true;
  if (keys) (node?.isConnected ? node : byId("log")).focus({ preventScroll: true });
  else if (held) focusComposer();
}

const isUsedByKeys = () => bar.querySelector(":focus-visible") !== null;

let pointer = ""; // where it was last

const placeOf = ({ clientX, clientY }) => `${clientX} ${clientY}`;

// Where messages move under a pointer that rests, the bar does not run after them: it comes when the pointer moves. (Of
// such a move the browser tells by `mouseover` alone, with the place where the pointer was.)
messages.addEventListener("mouseover", (event) => {
  const node = event.target.closest("li.message");
  if (placeOf(event) === pointer && node !== at && node !== awaited && !isUsedByKeys()) hideBar();
});
messages.addEventListener("mousemove", (event) => {
  pointer = placeOf(event);
  const node = event.target.closest("li.message");
  if (node !== at) showBar(node);
});
byId("log").parentElement.addEventListener("mouseleave", () => { if (!bar.contains(document.activeElement)) hideBar(); });
messages.addEventListener("focusin", (event) => showBar(event.target.closest("li.message")));
byId("log").addEventListener("scroll", () => { if (at) showBar(at); }, { passive: true });
byId("composer-input").addEventListener("input", hideBar); // it covers what one may be reading, until the pointer moves
drawnBy("bar", () => {
  if (at && !(at.isConnected && canBeUsed(itemOf(at)))) hideBar();
  else if (awaited?.matches(":hover")) showBar(awaited);
});

function barItem() { return at && canBeUsed(itemOf(at)) ? itemOf(at) : null; }
const onBar = (id, run) => byId(id).addEventListener("click", () => {
  const item = barItem();
  if (item) run(item);
});
onBar("bar-react", (item) => openPicker((emoji) => react(item, emoji)));
onBar("bar-reply", answer);
onBar("bar-edit", editMessage);
onBar("bar-link", (item) => copyAloud(linkTo(active, item), t("link")));
onBar("bar-more", openMenu);

// The menu

function openMenu(item) {
  const menu = byId("message-menu");
  const quick = QUICK.map((emoji) => {
    const button = element("button", "picker-emoji", emoji);
    button.addEventListener("click", () => { menu.close(); react(item, emoji); });
    return button;
  });
  const more = element("button", "picker-emoji", icon("smile"));
  more.setAttribute("aria-label", t("anotherReaction"));
  more.addEventListener("click", () => { menu.close(); openPicker((emoji) => react(item, emoji)); });
  byId("menu-quick").replaceChildren(...quick, more);
  byId("menu-list").replaceChildren(...actionsOf(item).map(({ what, words, icon: name, run }) => {
    const button = element("button", `menu-item ${what}`, icon(name), element("span", "", words));
    button.addEventListener("click", () => { menu.close(); run(); });
    return element("li", "", button);
  }));
  for (const button of menu.querySelectorAll("button")) button.type = "button";
  menu.showModal();
  byId("menu-list").querySelector("button").focus();
}

// A long press on touch

let press = null;
messages.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "touch" || event.target.closest("button, a, pre")) return;
  const node = event.target.closest("li.message");
  if (!node || !canBeUsed(itemOf(node))) return;
  const timer = setTimeout(() => {
    press = null;
    getSelection()?.removeAllRanges();
    if (node.isConnected) openMenu(itemOf(node));
  }, PRESS);
  press = { timer, node, x: event.clientX, y: event.clientY };
});
function endPress() {
  clearTimeout(press?.timer);
  press = null;
}
messages.addEventListener("pointermove", (event) => {
  if (!press) return;
  const [along, across] = [pulled(event, press), Math.abs(event.clientY - press.y)];
  if (Math.hypot(along, across) <= SLOP) return;
  const { node, x, y } = press;
  endPress();
  if (along > 2 * across && Math.min(x, innerWidth - x) > EDGE) pull = { node, x, y, far: 0 };
});
for (const name of ["pointerup", "pointercancel"]) messages.addEventListener(name, endPress);

// A message that is pulled to the side is answered. (The browser scrolls up and down alone: `touch-action`.)

let pull = null;

/** How far a finger has moved from where it came down, in the direction of reading. */
function pulled({ clientX }, { x }) { return (clientX - x) * (getComputedStyle(document.documentElement).direction === "rtl" ? -1 : 1); }

messages.addEventListener("pointermove", (event) => {
  if (!pull) return;
  pull.far = Math.max(0, Math.min(pulled(event, pull), SWIPE * 1.25));
  pull.node.classList.add("pulled");
  pull.node.classList.toggle("enough", pull.far >= SWIPE);
  pull.node.style.setProperty("--pulled", `${pull.far}px`);
});

function endPull(answers) {
  if (!pull) return;
  const { node, far } = pull;
  pull = null;
  node.classList.remove("pulled", "enough");
  node.style.removeProperty("--pulled");
  const item = itemOf(node);
  if (answers && far >= SWIPE && node.isConnected && canBeUsed(item)) answer(item);
}
messages.addEventListener("pointerup", () => endPull(true));
messages.addEventListener("pointercancel", () => endPull(false));

// What stands in a message: its reactions, and the message that it answers

messages.addEventListener("click", (event) => {
  const node = event.target.closest("li.message");
  const item = node && itemOf(node);
  if (!item) return;
  // Where nothing hovers, a tap shows the time of a message that has no name above it.
  if (event.pointerType === "touch" && !event.target.closest("button, a")) node.classList.toggle("tapped");
  const reaction = event.target.closest(".reaction");
  if (reaction) react(item, reaction.dataset.emoji);
  if (event.target.closest(".react-more")) openPicker((emoji) => react(item, emoji));
  if (event.target.closest(".quote")) showMessage(answeredBy(active, item)).then((there) => { if (!there) toast(t("messageGone")); });
});

// Keys: in the log, arrows go from message to message

byId("log").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button, a")) return;
  const node = event.target.closest("li.message");
  const item = node && itemOf(node);
  if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    const all = [...messages.querySelectorAll(":scope > li.message")];
    const from = node ? all.indexOf(node) : event.key === "ArrowUp" ? all.length : all.length - 1;
    const next = all[from + (event.key === "ArrowUp" ? -1 : 1)];
    event.preventDefault();
    if (!next) return;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    showBar(next);
    return;
  }
  if (!canBeUsed(item)) return;
  const run = new Map([
    ["Enter", () => openMenu(item)], ["r", () => answer(item)], ["e", () => { if (isOurs(item)) editMessage(item); }],
    ["+", () => openPicker((emoji) => react(item, emoji))], ["Delete", () => { if (mayDelete(item)) remove(item); }],
  ]).get(event.key);
  if (!run) return;
  event.preventDefault();
  run();
});
