/**
 * What the server sends, and its effects on the state of the page.
 */
import { announce } from "./announcements.js";
import { connectionIs, linkEndsAt, roomsLeftAre, stalledIs } from "./connection.js";
import {
  active, addGap, addNotice, addDescription, callMe, client, conversation, conversations, me, leftPlace, messageAt, missName, noticeName, people, readUpTo, rememberPlaces, restartedHere, take, takeChange, takeDirect, takeReaction, writeCallsAnew,
} from "./conversations.js";
import { byId } from "./dom.js";
import { redraw } from "./drawing.js";
import { catchUp, lookForCalls, showMissed, syncPerson } from "./history.js";
import { known, t } from "./language.js";
import { OPERATOR } from "./names.js";
import { notify } from "./notifications.js";
import { drawMe, holdStatus } from "./people.js";
import { describeRoom, enterReadRoom, leaveHereToo, lookAtRooms, nameRoom } from "./places.js";
import { followPresence, followRoom, presence, rememberPresence } from "./presence.js";
import { keepUnsent } from "./unsent.js";
import { inWords } from "./words.js";

const BUFFER_MAX = 300;
const TYPING_LASTS = 7_000;

/** What is read and unread of a room that we have come into, or come back into. */
function takeMark(c, joined) {
  const { epoch, seq, read = 0, unread = 0, first, reset } = joined;
  if (!first && !reset) return joined.read === undefined ? undefined : c.takeMark(joined);
  if (first && c.storedHeld && c.storedEpoch === epoch && c.storedRead < read) {
    Object.assign(c, { readSeq: c.storedRead, told: read, held: c !== active }); // what is replayed is counted
  } else if (first && c.storedEpoch === epoch && c.storedRead <= seq && ( joined.read === undefined || c.storedRead > read)) {
    c.readSeq = c.storedRead; // the server does not know it yet; what is replayed is counted
    if (joined.read !== undefined) c.takeMark(joined);
  } else if (first && (joined.read === undefined || (read === 0 && c.storedRead === undefined))) {
    c.readSeq = c.counted = seq; // nobody has missed what was said before they first came
    if (joined.read !== undefined) c.takeMark(joined);
  } else {
    c.readSeq = undefined;
    c.takeMark({ read, unread, seq });
  }
}

/** Whether a message has a number that another one has here, or had: a direct message does not say its epoch. */
function isOfAnother(c, { seq, sender, content }) {
  if (seq > c.lastSeq) return false;
  const there = messageAt(c, { seq, epoch: c.epoch });
  return there?.sender !== sender || (there.content !== content && !there.edited && !there.deleted);
}

/** Takes in the events of a client, for as long as it is ours. */
export function listen(salon) {
  // A name that is changed at the door leaves a former client behind; its later events are not for us.
  const on = (name, listener) => salon.on(name, (detail) => { if (salon === client) listener(detail); });

  let until; // when the ban ends that the last goodbye has told of
  on("goodbye", (goodbye) => { until = goodbye.until; });

  on("state", (detail) => {
    if (detail.state === "connecting") until = undefined;
    connectionIs({ ...detail, until });
    for (const c of conversations.values()) {
      for (const item of c.pending) item.stale = true; // whether it waits or is sent
      if (detail.state === "connected") continue;
      c.typing.clear();
      c.followed = c.replaying = false;
    }
    redraw("log", "composer", "typing");
  });

  on("stalled", stalledIs);
  on("joining", roomsLeftAre);
  on("outbox", keepUnsent);
  on("status", holdStatus);

  on("welcome", ({ user_id, status, expires_at }) => {
    linkEndsAt(expires_at);
    if (me !== user_id) {
      callMe(user_id);
      drawMe();
    }
    // A status that was set on another device changes it here too.
    salon.presence({ user_ids: [me] }, true).then(({ users }) => {
      const held = new Map(Object.entries(users)).get(me);
      if (status === undefined && held) holdStatus(held); // a server that does not say it in its welcome
    }).catch(() => {});
    lookAtRooms();
    const known = people();
    if (known.length) followPresence(known.map((c) => c.id));
    for (const c of known) c.synced = false;
    (async () => {
      const before = new Map(people().map((c) => [c, c.unread]));
      const listed = catchUp();
      if (active?.kind === "person") syncPerson(active);
      await listed;
      for (const c of people()) {
        if (salon !== client) return;
        // The others are read when they are opened.
        if (c.synced || !(c === active || c.epoch !== null || c.unread > 0 || c.held)) continue;
        await syncPerson(c);
        // Written while we were away.
        if (c.unread > (before.get(c) ?? 0) && c.lastSaid && c.lastSaid.sender !== me) notify(c, c.lastSaid);
      }
    })();
  });

  on("joined", (joined) => {
    const c = conversation("room", joined.room_id);
    const before = c.unread;
    c.problem = c.removed = "";
    c.full = false;
    c.replaying = true;
    c.unlisted = false;
    c.count = joined.members;
    if (joined.reset) restartedHere(c);
    c.epoch = joined.epoch;
    takeMark(c, joined);
    if (joined.first) {
      c.start = joined.seq === 0;
      c.lastSeq = joined.seq;
      if (c === active && c.unread > 0) c.markNew();
    } else {
      if (joined.reset) c.lastSeq = joined.seq;
      if (!c.stuck) showMissed(c, before); // at the end, the line comes with what is replayed
    }
    if (c === active) {
      followRoom(c);
      describeRoom(c);
    }
    rememberPlaces();
    redraw("places", "head", "composer", "log");
  });

  on("join_delayed", ({ room_id, error }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c || error.code === "rate_limited") return;
    c.problem = t("triedAgain", { why: inWords(error) });
    if (c === active) redraw("composer");
  });

  on("join_refused", ({ room_id, error }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    c.full = error.code === "too_many_rooms"; // it stays one of ours, for when there is room
    c.members.clear();
    c.count = 0;
    c.problem = "";
    c.removed = known("join", error.code) ?? inWords(error);
    // Not one of our rooms. Its messages stay on the page for as long as it is looked at.
    if (!c.full && !c.isBegun) { // what was not sent is still to be seen
      if (c === active) c.unlisted = true;
      else conversations.delete(c.key);
    }
    if (!c.full) leftPlace(c);
    rememberPlaces();
    redraw("places", "members", "head", "composer");
  });

  on("left", ({ room_id, reason }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    c.members.clear();
    c.count = 0;
    c.typing.clear();
    c.problem = "";
    c.removed = t("notHere");
    addGap(c, known("left", reason) ?? t("left.closed"));
    leftPlace(c);
    rememberPlaces();
    redraw("members", "head", "typing", "composer");
  });

  on("message", (message) => {
    const c = conversations.get(`room:${message.room_id}`);
    if (!c) return;
    take(c, message, message.epoch);
    if (message.sender !== me && message.seq > c.readSeq) notify(c, message);
    const byName = c.calls.get(message.seq);
    if (c !== active && !c.replaying && (c.muted ? byName : byName !== undefined)) byId("announcer").textContent = t("mentionFrom", { name: message.sender, room: c.title });
    if (c.items.length && c.items[0].seq === 1 && c.items[0].epoch === c.epoch) c.start = true;
  });

  const partner = ({ sender, user_id }) => conversations.get(`person:${user_id === me ? sender : user_id}`);
  const placeOf = (change) => (change.room_id === undefined ? partner(change) : conversations.get(`room:${change.room_id}`));
  for (const kind of ["edited", "deleted"]) on(kind, (change) => {
    const c = placeOf(change);
    if (c) takeChange(c, kind === "deleted" ? { ...change, deleted: true } : change);
  });
  on("reaction", (change) => {
    const c = placeOf(change);
    if (c) takeReaction(c, change);
  });
  on("read", ({ room_id, user_id, seq }) => {
    const c = conversations.get(room_id === undefined ? `person:${user_id}` : `room:${room_id}`);
    if (!c) { // another device is in a room that this one does not know; people come from the list of conversations
      if (room_id !== undefined && seq > 0) enterReadRoom(room_id);
      return;
    }
    if (seq === 0) { // left for good on another device
      c.told = 0;
      if (room_id !== undefined) leaveHereToo(c, Date.now());
      return;
    }
    c.told = Math.max(c.told, seq);
    readUpTo(c, seq);
  });

  on("direct", (message) => {
    const c = conversation("person", message.sender === me ? message.user_id : message.sender);
    // The first one, or one of a life that has begun anew: its history says which epoch that is.
    if (c.epoch === null || isOfAnother(c, message)) c.synced = false;
    if (!c.synced || c.syncing) {
      if (c.readSeq === undefined && c.storedRead === undefined) c.readSeq = message.sender === me ? message.seq : message.seq - 1;
      c.unknown = false;
      c.buffer.push(message);
      if (c.buffer.length > BUFFER_MAX) c.buffer.shift();
      syncPerson(c);
    } else {
      takeDirect(c, message);
    }
    if (message.sender === me) return;
    notify(c, message);
    if (c !== active && !c.muted) byId("announcer").textContent = t("newMessageFrom", { name: message.sender });
  });

  on("announcement", (announcement) => {
    if (announcement.sender !== OPERATOR) noticeName(announcement.sender);
    announce(announcement);
    notify(null, announcement);
  });

  on("queued", (entry) => {
    const c = conversation(entry.kind, entry.target);
    c.pending.push({ type: "said", entry, sender: me, content: entry.content, ts: entry.queuedAt, failed: null });
    redraw("log");
  });

  on("sent", ({ entry, seq, ts }) => {
    const c = conversations.get(`${entry.kind}:${entry.target}`);
    const waiting = c?.pending.find((item) => item.entry.id === entry.id);
    if (!waiting || c.buffer.some((message) => message.id === entry.id)) return;
    // Confirmed without an echo on this connection: it was said before the connection was lost.
    c.pending.splice(c.pending.indexOf(waiting), 1);
    if (c.kind === "person" && (!c.synced || c.epoch === null)) syncPerson(c); // its history has it
    else if (!c.detached && (c.lastSaid?.epoch === c.epoch ? seq >= c.firstSaid.seq : true)) c.insert(Object.assign(waiting, { epoch: c.epoch, seq, ts: ts ?? waiting.ts, reply_to: entry.reply_to }));
    redraw("log");
  });

  on("refused", ({ entry, error }) => {
    const c = conversations.get(`${entry.kind}:${entry.target}`);
    const waiting = c?.pending.find((item) => item.entry.id === entry.id);
    if (!waiting) return;
    waiting.failed = inWords(error);
    waiting.stale = true;
    if (error.code === "not_found" && waiting.entry.reply_to !== undefined) { // said again, it answers nothing
      waiting.entry.reply_to = waiting.entry.epoch = undefined;
      waiting.failed = t("answeredNotThere");
    }
    keepUnsent();
    c.problem = t("messageNotSent", { why: waiting.failed });
    redraw("log", "composer");
  });

  on("gap", ({ room_id, why }) => {
    const c = conversations.get(`room:${room_id}`);
    if (c) addGap(c, known("gap", why) ?? t("gap.missing"));
  });

  on("online_users", ({ room_id, users, count }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    c.members = new Set(users);
    if (c.replaying) {
      writeCallsAnew(c);
      showMissed(c);
    }
    c.replaying = false;
    lookForCalls(c);
    for (const name of users) noticeName(name);
    if (c === active) redraw("log");
    c.count = count ?? users.length;
    if (c === active) redraw("members", "head");
  });

  on("user_joined", ({ room_id, user_id }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    if (!c.members.has(user_id)) {
      c.members.add(user_id);
      c.count += 1;
    }
    c.count = Math.max(c.count, c.members.size);
    noticeName(user_id);
    if (!presence.has(user_id)) presence.set(user_id, { status: "online" });
    if (c.followed) followPresence([user_id]);
    if (user_id !== me) addNotice(c, "joined", user_id);
    if (c === active) redraw("members", "head");
  });

  on("user_left", ({ room_id, user_id }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    if (c.members.delete(user_id)) c.count -= 1;
    c.typing.delete(user_id);
    if (user_id !== me) addNotice(c, "left", user_id);
    missName(user_id);
    if (c === active) redraw("members", "head", "typing");
  });

  // Somebody who had not been here when their conversation was asked for, after a restart say, has been here now.
  const isHere = (name, { status, note }) => {
    rememberPresence(name, { status, note });
    const c = conversations.get(`person:${name}`);
    if (c?.unknown && status !== "offline") syncPerson(c);
  };
  on("presence_state", ({ users }) => { for (const [name, state] of Object.entries(users)) isHere(name, state); });
  on("presence", ({ user_id, status, note }) => isHere(user_id, { status, note }));

  on("topic", ({ room_id, name, topic, sender }) => {
    const c = conversations.get(`room:${room_id}`);
    if (!c) return;
    const before = [c.name, c.topic];
    c.topic = topic;
    nameRoom(c, name);
    for (const [at, now] of [c.name, c.topic].entries()) {
      // Without a sender it is told as it stands.
      if (sender !== undefined && now !== before[at]) addDescription(c, ["title", "topic"][at], sender, now);
    }
    if (c === active) redraw("head");
  });

  on("typing", ({ room_id, user_id, typing }) => {
    const c = conversations.get(room_id === undefined ? `person:${user_id}` : `room:${room_id}`);
    if (!c || user_id === me) return;
    if (typing && c.typing.size < 50) c.typing.set(user_id, performance.now() + TYPING_LASTS);
    else c.typing.delete(user_id);
    if (c === active) redraw("typing");
  });

  on("error", (error) => {
    if (!active) return;
    active.problem = inWords(error);
    redraw("composer");
  });
}
