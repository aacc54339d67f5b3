/**
 * Notifications of the browser, for readers who asked for them by the button: while nobody looks at the page, about
 * direct messages, about messages that call one by name or with everybody in the room, and about every message of the
 * rooms chosen for that. Of what is muted, only one's name in a room is told.
 *
 * Nobody is asked for permission unless they press the button. The choice is kept in the browser. One notification
 * stands for a conversation, the latest, and all go when the page is looked at again.
 *
 * Not there: phones that show notifications only through a service worker (`new Notification` throws); there the
 * button is not shown. On pages without TLS that are not on this machine browsers have none, and the button says so.
 */
import { isAway, whenAttention } from "./attention.js";
import { active, client, me } from "./conversations.js";
import { byId, icon } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { t } from "./language.js";
import { mute } from "./muting.js";
import { open, whenOpened } from "./places.js";
import { store, stored } from "./storage.js";
import { callsMe, mentions } from "./pieces.js";
import { cut } from "./text.js";

const BODY_CHARACTERS = 240;
const ROOMS_MAX = 200;
const SHOWN_MAX = 20;

const kept = stored("salon.notifications");
let wanted = kept?.on === true;
const wholeRooms = new Set(Array.isArray(kept?.rooms) ? kept.rooms.slice(0, ROOMS_MAX) : []);
let works = "Notification" in window || !window.isSecureContext;
/** @type {Map<string, Notification>} */
const shown = new Map();

const isOn = () => works && wanted && window.isSecureContext && Notification.permission === "granted";

/**
 * Shows a message of somebody else, if the reader is away and it is of a kind they asked for. What is said to everybody
 * is in no conversation.
 */
export function notify(c, message) {
  const { sender, content, deleted } = message;
  if (deleted) return;
  if (!isAway() || !isOn()) return;
  if (c?.kind === "room" && c.muted && !mentions(content, me, c.members)) return;
  if (c?.kind === "room" && !wholeRooms.has(c.id) && !callsMe(message, me, c.members)) return;
  if (c?.kind === "person" && c.muted) return;
  const title = c === null ? t("toEverybody", { name: sender }) : c.kind === "room" ? t("inRoom", { name: sender, room: c.title }) : sender;
  const key = c?.key ?? "*";
  const body = content.length > BODY_CHARACTERS ? `${cut(content, BODY_CHARACTERS)} …` : content;
  let notification;
  try {
    notification = new Notification(title, { body, icon: "icon.svg", tag: `salon ${me} ${key}` });
  } catch {
    works = false; // only through a service worker
    return redraw("notifications");
  }
  shown.delete(key);
  shown.set(key, notification);
  if (shown.size > SHOWN_MAX) shown.delete(shown.keys().next().value);
  const reader = client;
  notification.onclick = () => {
    window.focus();
    if (c && reader === client) open(c.kind, c.id);
    notification.close();
  };
}

function remember() {
  store("salon.notifications", { on: wanted, rooms: [...wholeRooms].slice(-ROOMS_MAX) });
  redraw("notifications");
}

byId("notify").addEventListener("click", async () => {
  if (!window.isSecureContext) {
    byId("notify-problem").textContent = t("notifyInsecure");
    return;
  }
  wanted = !isOn();
  if (wanted && Notification.permission !== "granted") await Notification.requestPermission();
  byId("notify-problem").textContent = wanted && Notification.permission === "denied" ? t("notifyDenied") : "";
  wanted = wanted && Notification.permission === "granted";
  remember();
});

byId("notify-room").addEventListener("click", () => {
  if (!wholeRooms.delete(active.id)) wholeRooms.add(active.id);
  remember();
});

byId("mute").addEventListener("click", () => toggleMute(active));

/** Mutes a conversation, or no longer, and says so. */
export function toggleMute(c) {
  mute(c.key, !c.muted);
  byId("announcer").textContent = t(c.muted ? "mutedNow" : "mutedNoMore", { place: c.title });
}

whenAttention(() => {
  if (isAway()) return;
  for (const notification of shown.values()) notification.close();
  shown.clear();
});

function drawNotifications() {
  const on = isOn();
  const button = byId("notify");
  button.hidden = !works;
  button.setAttribute("aria-pressed", String(on));
  button.title = t(on ? "notifyOn" : "notifyOff");
  button.replaceChildren(icon(on ? "bell" : "bell-off"));
  const room = byId("notify-room");
  room.hidden = !on || active.kind !== "room" || active.muted;
  room.setAttribute("aria-pressed", String(wholeRooms.has(active.id)));
  const muting = byId("mute");
  muting.setAttribute("aria-pressed", String(active.muted));
  muting.title = t(active.kind === "room" ? "mutedRoom" : "mutedConversation");
  byId("mute-text").textContent = t(active.kind === "room" ? "muteRoom" : "muteConversation");
}

whenOpened(() => redraw("notifications"));
drawnBy("notifications", drawNotifications);
