/**
 * Going somewhere: entering rooms, opening conversations, leaving them.
 */
import { activate, active, client, conversation, conversations, leftAt, leftElsewhere, leftPlace, me, noticeRoom, people, rememberPlacesNow, rooms } from "./conversations.js";
import { byId } from "./dom.js";
import { redraw } from "./drawing.js";
import { PAGE, loadLatest, syncPerson } from "./history.js";
import { t } from "./language.js";
import { DEFAULT_ROOM } from "./names.js";
import { followPresence, followRoom } from "./presence.js";
import { ask } from "./question.js";
import { keptPlaces } from "./storage.js";

/** Rooms that anybody may join, as the server last listed them. */
export let publicRooms = [];

/** Functions of other files that run when a conversation is left or opened. */
const onLeaving = [];
const onOpened = [];
export function whenLeaving(listener) { onLeaving.push(listener); }
export function whenOpened(listener) { onOpened.push(listener); }

/**
 * Shows a room or a person, entering the room first where needed. The place before is where the Back button leads,
 * unless this one takes its place in the history of the browser: `instead`.
 */
export function open(kind, id, { instead = false } = {}) {
  const next = conversation(kind, id);
  // A person who was put out comes back by asking for it, and not by looking in.
  if (kind === "room" && !client.has(id) && !next.removed) enterRoom(next);
  if (active && active !== next) {
    const left = active;
    for (const listener of onLeaving) listener(left);
    activate(next);
    left.trim(left.stuck ? "oldest" : "newest");
    for (const item of [...left.items, ...left.pending]) delete item.node;
    left.newAfter = left.newEpoch = null;
    left.landing = false;
    if (left.unlisted && left.isBegun) left.unlisted = false; // what is written there is to be seen
    if (left.unlisted) conversations.delete(left.key);
  }
  activate(next);
  active.shownAt = performance.now();
  active.held = false;
  active.markNew();
  byId("messages").replaceChildren();
  loadLatest();
  for (const listener of onOpened) listener(active);
  const address = `#${new URLSearchParams(kind === "room" ? { room: id } : { with: id })}`;
  // What a link or the Back button brought into the address is a place already; it may only be spelt another way.
  setAddress(address, { instead: instead || history.state?.drawer === true || history.state?.step === true || leadsTo(kind, id), state: VISITED });
  if (kind === "person" && !active.synced) syncPerson(active);
  if (kind === "room") {
    describeRoom(active);
    followRoom(active);
  }
  if (kind === "person" && client.state === "connected") followPresence([id]);
  rememberPlacesNow();
  redraw("log", "head", "places", "members", "typing", "composer");
}

/**
 * The state that the history of the browser keeps with a place where we have been: coming back there by Back is no wish
 * to join.
 */
const VISITED = { visited: true };

/**
 * Writes the address of the page, as a new place or `instead` of the last one. A browser that takes no more for now
 * (Safari: 100 in 30 s) keeps the old one.
 */
export function setAddress(address, { instead = true, state = null } = {}) {
  try {
    if (instead) history.replaceState(state, "", address);
    else history.pushState(state, "", address);
  } catch { /* what is shown is what counts */ }
}

/** The address of a room, to be given to others. */
export const invitationTo = (c) => new URL(`#${new URLSearchParams({ room: c.id })}`, location.href).href;

/**
 * The address of a message: it is found again only in the epoch that it is of. That of a direct message names both who
 * can read it.
 */
export function linkTo(c, { seq, epoch }) {
  const place = c.kind === "room" ? { room: c.id } : { with: c.id, by: me };
  return new URL(`#${new URLSearchParams({ ...place, at: `${seq}.${epoch.slice(0, EPOCH_DIGITS)}` })}`, location.href).href;
}

const EPOCH_DIGITS = 8; // of it, in an address

/** The view of a conversation goes to the message that an address names. */
export function goToMessage(c, at) {
  const [, seq, epoch] = /^(\d{1,15})\.(.{0,8})$/u.exec(at ?? "") ?? [];
  if (seq === undefined) return;
  c.goTo = { seq: Number(seq), epoch };
  redraw("log");
}

function leadsTo(kind, id) {
  const fields = new URLSearchParams(location.hash.slice(1));
  return kind === "person" ? fields.get("with") === id : !fields.has("with") && fields.get("room") === id;
}

const isKnownRoom = (id) => conversations.has(`room:${id}`) || publicRooms.some(({ room_id }) => room_id === id);

/**
 * A name without the sign that is written before it: `#den` is den, `@bob` is bob; but if one of that very name exists,
 * it is meant.
 */
export function withoutSign(sign, name) {
  if (!name.startsWith(sign) || name.length === sign.length) return name;
  if (sign === "#" ? isKnownRoom(name) : conversations.has(`person:${name}`)) return name;
  return name.slice(sign.length);
}

/** Whether a name that was written for a room is meant for a person: it has their sign, and no room is called so. */
export const isOfPerson = (name) => name.startsWith("@") && name !== "@" && !isKnownRoom(name);

/** Puts the focus into the composer after a choice, but not where that opens a keyboard over half of the screen. */
export function focusComposer() {
  if (!matchMedia("(pointer: coarse)").matches) byId("composer-input").focus();
}

/** Goes into a room because the reader asked for that, also where they had been put out. */
export function goInto(id, how) {
  Object.assign(conversation("room", id), { removed: "", full: false, unlisted: false, since: Date.now() });
  open("room", id, how);
}

/** Looks at a room again by Back or Forward. One that was left meanwhile is shown as one that can be joined. */
export function revisit(id) {
  if (!conversations.has(`room:${id}`)) Object.assign(conversation("room", id), { removed: t("notHere"), unlisted: true, start: true });
  open("room", id);
}

export function enterRoom(room) {
  // Messages of before may be on the page: what was said since is to come behind them.
  const since = room.epoch === null ? undefined : { epoch: room.epoch, seq: room.lastSeq };
  client.join(room.id, { history: PAGE, since }).catch(() => {}); // `join_refused` and `join_delayed` say so
}

/** A room is called by a title from now on, or by its id. */
export function nameRoom(room, name) {
  const title = name && name !== room.id ? name : "";
  if (room.name === title) return;
  room.name = title;
  delete byId("log-start").dataset.state; // it has the title in it
  redraw("head", "places", "log");
}

export function describeRoom(room) {
  if (!client.isJoined(room.id)) return;
  client.room(room.id).then((info) => {
    room.topic = info.topic ?? "";
    nameRoom(room, info.name);
    if (room === active) redraw("head");
  }).catch(() => {});
}

/**
 * Leaves a room, or closes a conversation with a person, and shows another one. What is written there and nobody has
 * yet would be lost with it: that is asked about.
 */
export async function leave(left) {
  if (left.isBegun) {
    const sure = await ask({ title: left.kind === "room" ? t("leaveRoomQuestion", { room: left.title }) : t("closeConversationQuestion", { name: left.title }), text: t("leaveLoses"), yes: t(left.kind === "room" ? "leave" : "close") });
    if (!sure || conversations.get(left.key) !== left) return;
  }
  if (left.kind === "room") {
    client.leave(left.id).catch(() => {});
    forgetRead(left.id);
  }
  leftPlace(left);
  Object.assign(left, { draft: "", behind: "", reply: null, editing: null });
  conversations.delete(left.key);
  if (left !== active) { // what is on screen stays there
    refreshPublicRooms();
    return redraw("places");
  }
  const next = [...conversations.values()].filter((c) => !c.unlisted).reduce((last, c) => (c.shownAt > (last?.shownAt ?? 0) ? c : last), null) ?? rooms()[0] ?? people()[0];
  activate(null);
  open(next?.kind ?? "room", next?.id ?? DEFAULT_ROOM, { instead: true });
  focusComposer(); // the button that has the focus leaves another one now
  refreshPublicRooms();
}

/** Rooms that have been left, by whom, and whose mark the server may have still. */
const toForget = new Map();

/** No device of the reader is led into a room by what was read there. Without a connection, the next one says so. */
function forgetRead(id) {
  toForget.set(id, me);
  if (client.has(id)) toForget.delete(id); // gone into again meanwhile
  else client.read({ room_id: id }, 0).then(() => toForget.delete(id), (error) => { if (error.code !== "disconnected") toForget.delete(id); });
}

/**
 * A place that was left in another tab or on another device is left here too, unless something is written there. One
 * on screen stays there, to be joined again.
 */
export function leaveHereToo(c, at) {
  if (c.removed || c.isBegun || (c.kind === "person" && c === active)) return;
  leftElsewhere(c, at);
  rememberPlacesNow();
  if (c.kind === "room") client.leave(c.id).catch(() => {});
  if (c === active) {
    Object.assign(c, { removed: t("notHere"), unlisted: true, count: 0 });
    c.members.clear();
    c.typing.clear();
  } else {
    conversations.delete(c.key);
  }
  redraw("places", "members", "head", "typing", "composer");
}

/** A room that was gone into in another tab is gone into here too. It stays in the list, and nothing else changes. */
export function enterHereToo({ id, epoch, read, at = 0 }) {
  const key = `room:${id}`;
  const there = conversations.get(key);
  if (!epoch || client.has(id) || (there && !there.removed) || !(at > (leftAt(key) ?? 0))) return;
  const c = conversation("room", id);
  Object.assign(c, { removed: "", full: false, unlisted: false, since: at });
  if (!there) Object.assign(c, { storedEpoch: epoch, storedRead: read });
  enterRoom(c);
  redraw("places", "composer");
}

byId("leave").addEventListener("click", () => leave(active));
byId("rejoin").addEventListener("click", () => {
  goInto(active.id);
  byId("composer-input").focus();
});

export function refreshPublicRooms() {
  return client.rooms({ limit: 100 }).then((page) => listRooms(page.rooms)).catch(() => {});
}

function listRooms(listed) {
  publicRooms = listed;
  for (const { room_id, name } of listed) {
    noticeRoom(room_id);
    const room = conversations.get(`room:${room_id}`);
    if (room) nameRoom(room, name);
  }
  redraw("places");
}

const ROOMS_PAGE = 200;
const ROOMS_PAGES = 5; // that are looked through for rooms of ours
let lookedAt = null; // the client that has looked through all of them

/** The server lists its rooms: for the first time to a client, also those where the reader has been elsewhere. */
export function lookAtRooms() {
  for (const [id, name] of [...toForget]) if (name === me) forgetRead(id);
  return lookedAt === client ? refreshPublicRooms() : enterKnownRooms();
}

/** Goes into a room where the reader has read something on another device, unless it was left in this browser. */
export function enterReadRoom(id) {
  const key = `room:${id}`;
  if (conversations.has(key) || leftAt(key) !== undefined || rooms().length >= (client.limits.rooms ?? Infinity)) return;
  enterRoom(conversation("room", id));
  redraw("places");
}

/**
 * Goes into the rooms where the reader has been on another device: where the server has a mark of theirs. One where
 * they read something later is told by the server (`read`). A room that was left in this browser is gone into by nobody
 * but the reader.
 */
async function enterKnownRooms() {
  const salon = client;
  const left = new Map(keptPlaces(me).left.map(([key, , , seq]) => [key, seq]));
  let cursor;
  try {
    for (let n = 0; n < ROOMS_PAGES && (n === 0 || cursor !== undefined); n += 1) {
      const page = await salon.rooms({ limit: ROOMS_PAGE, cursor, read: true });
      if (salon !== client) return;
      if (n === 0) listRooms(page.rooms.slice(0, 100));
      for (const { room_id, read = 0 } of page.rooms) {
        const key = `room:${room_id}`;
        // Left while there was no connection. Where more is read, the reader has been there since, on another device.
        if (read > 0 && read <= left.get(key)) forgetRead(room_id);
        if (read > 0 && !left.has(key)) enterReadRoom(room_id);
      }
      cursor = page.next;
    }
    lookedAt = salon;
  } catch { /* the next connection looks again */ }
}
