/**
 * What has been read, for the other devices of the reader and for the next visit: the server keeps one mark for each
 * conversation, and is sent the last one about once a second, however fast somebody reads.
 */
import { isAway, whenAttention } from "./attention.js";
import { active, client, people, rooms, whenRead } from "./conversations.js";
import { redraw } from "./drawing.js";

const EVERY = 1_000;
const AT_ONCE = 10; // marks in one go: of what may be sent most is for messages

/** Conversations whose mark the server does not have, and the client of their reader: the next one has read nothing. */
const toTell = new Map();
let timer = null;

function tell() {
  clearTimeout(timer);
  timer = null;
  let left = AT_ONCE;
  const salon = client;
  for (const [c, reader] of toTell) {
    if (left === 0) break;
    toTell.delete(c);
    if (reader !== salon || !(c.readSeq > c.told) || salon.state !== "connected") continue;
    if (c.kind === "room" && !salon.isJoined(c.id)) continue; // `joined` has the mark, and compares
    const [before, seq] = [c.told, c.readSeq];
    c.told = seq;
    left -= 1;
    salon.read(c.target, seq).catch(({ retry }) => {
      if (!retry || c.told !== seq) return; // `joined` compares behind a cut
      c.told = before;
      toTell.set(c, salon);
      timer ??= setTimeout(tell, EVERY);
    });
  }
  if (toTell.size) timer = setTimeout(tell, EVERY);
}

whenRead((c) => {
  toTell.set(c, client);
  timer ??= setTimeout(tell, EVERY);
});
window.addEventListener("pagehide", tell);

/** Whether what comes to a conversation is seen: it is on screen, at its end. A call further down is not seen. */
export const isSeen = (c) => c === active && !isAway() && !c.held && c.stuck && !c.detached;

/**
 * How many messages call the reader: the number in the title, and at the icon of the page where it is installed; and
 * whether there may be more.
 */
export function called() {
  const calling = [...rooms(), ...people()].filter((c) => c.urgent > 0 && !isSeen(c));
  return [calling.reduce((sum, c) => sum + c.urgent, 0), calling.some((c) => c.mayCallMore)];
}

/** A number of those that has a place of its own size. */
export const atMost = (count, more) => (count > 99 ? "99+" : `${count}${more ? "+" : ""}`);

let shown = 0;
export function showBadge(count) {
  if (count === shown || !navigator.setAppBadge) return;
  shown = count;
  (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {});
}

whenAttention(() => {
  if (!active) return;
  if (isAway() && active.unread === 0) active.newAfter = null;
  redraw("log", "places");
});
