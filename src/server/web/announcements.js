/**
 * What is said to everybody: a card above the messages of whatever is on screen, until the reader is done with it, also
 * over a reload. The operator's has a look that no person's has.
 */
import { avatar } from "./avatar.js";
import { byId, clearList, drawList, element, icon } from "./dom.js";
import { phrase, t } from "./language.js";
import { nameParts } from "./lookalikes.js";
import { write } from "./markup.js";
import { timeOf } from "./message.js";
import { OPERATOR } from "./names.js";
import { storeInTab, storedInTab } from "./storage.js";

const SHOWN_MAX = 5; // the newest
const CHARACTERS_MAX = 20_000; // kept of each

const KEY = "salon.announcements";
const kept = storedInTab(KEY);
let shown = Array.isArray(kept) ? kept.filter(({ content }) => typeof content === "string") : [];

export function announce({ sender, content, ts = Date.now() }) {
  shown = [...shown, { sender, content: content.slice(0, CHARACTERS_MAX), ts }].slice(-SHOWN_MAX);
  draw();
}

function dismiss(one) {
  shown = shown.filter((other) => other !== one);
  draw();
  byId("composer-input").focus();
}

/** Draws the cards, also those that were there before a reload. */
export function drawAnnouncements() {
  clearList(byId("announcements"));
  draw();
}

/** A card that is there stays, with the focus and what is selected in it, and is not read aloud again. */
function draw() {
  storeInTab(KEY, shown);
  drawList(byId("announcements"), shown.map((one) => ({ key: one })).reverse(), ({ key }) => card(key), (node, { key }) => {
    const time = node.querySelector("time");
    if (time.textContent !== timeOf(key.ts)) time.textContent = timeOf(key.ts);
  });
}

function card(one) {
  const { sender, content, ts } = one;
  const byOperator = sender === OPERATOR;
  const who = byOperator ? [icon("bell"), t("fromServer")] : [avatar(sender, "small"), ...phrase("toEverybody", { name: nameParts(sender) })];
  const text = element("p", "text");
  text.dir = "auto";
  write(text, content);
  const done = element("button", "icon-button small", icon("close"));
  done.type = "button";
  done.setAttribute("aria-label", t("dismissAnnouncement"));
  done.title = t("dismiss");
  done.addEventListener("click", () => dismiss(one));
  return element("li", `announcement ${byOperator ? "of-operator" : ""}`, element("div", "announced", element("p", "announced-by", ...who), text), element("time", "", timeOf(ts)), done);
}

/** Somebody else comes in: what was announced to the one before is done with. */
export function forgetAnnouncements() {
  shown = [];
  drawAnnouncements();
}
