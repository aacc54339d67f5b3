/**
 * The bar above the messages: how many are new since when, a way to the first of them, and a way to be done with them.
 * It is there while the line "New" is not in view, or something behind it is not read.
 */
import { isAway } from "./attention.js";
import { active, readAll } from "./conversations.js";
import { byId } from "./dom.js";
import { redraw } from "./drawing.js";
import { t } from "./language.js";
import { timeOf, newLine } from "./message.js";

const COUNTED_UP_TO = 1_000; // the server counts no further

export function drawNewBar() {
  const c = active;
  const log = byId("log").getBoundingClientRect();
  const line = newLine.isConnected ? newLine.getBoundingClientRect() : null;
  const inView = line !== null && line.bottom > log.top && line.top < log.bottom;
  if (inView && !isAway() && !c.landing) c.newSeen = true;
  const count = Math.max(c.newCount, c.unread);
  const there = c.newAfter !== null && !c.landing && count > 0 && (c.unread > 0 || !c.newSeen) && !(inView && c.stuck);
  byId("new-bar").hidden = !there;
  if (!there) return;
  const first = c.items.find((item) => item.type === "said" && item.seq > c.newAfter && item.epoch === (c.newEpoch ?? c.epoch));
  const many = count === COUNTED_UP_TO;
  const words = line !== null && first ? t(many ? "newManySince" : "newSince", { count, time: timeOf(first.ts) }) : t(many ? "newMany" : "newCount", { count });
  if (byId("new-bar-text").textContent !== words) byId("new-bar-text").textContent = words;
  byId("new-bar-jump").hidden = inView;
}

byId("new-bar-jump").addEventListener("click", () => {
  active.landing = true;
  active.sought = false;
  redraw("log");
  byId("log").focus();
});

byId("new-bar-read").addEventListener("click", () => {
  active.held = false;
  readAll(active);
  active.newAfter = null;
  redraw("log", "places");
  byId("composer-input").focus();
});
