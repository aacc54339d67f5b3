/**
 * The state of the page: rooms, and conversations of two people. Nothing here touches the document or asks the server.
 *
 * Everything has a maximum. A conversation holds a window of its messages, which is exactly what is in the document;
 * `history.js` moves the window with pages of history from the server.
 */
import { normalName } from "./client.js";
import { redraw } from "./drawing.js";
import { see } from "./lookalikes.js";
import { forget, keysOf, store, stored } from "./storage.js";

const WINDOW = 300; // messages of the conversation on screen, and so of nodes in the log
const WINDOW_ELSEWHERE = 60; // of the others
const WINDOW_CHARACTERS = 600_000;
const PEOPLE_MAX = 100; // direct conversations
const ROOMS_KEPT = 500; // in the list of the browser
const LEFT_KEPT = 100;
const NOTICES_UP_TO = 50; // members of a room where coming and going is worth a line

/**
 * A room, or the conversation of two people. `items` rise in (epoch, seq); `pending` are ours and not confirmed yet.
 */
class Conversation {
  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
    this.key = `${kind}:${id}`;
    this.items = [];
    this.pending = [];
    this.epoch = null;
    this.lastSeq = 0;
    this.readSeq = undefined; // undefined until we know where the reader stopped
    this.carried = 0; // unread messages of an epoch that has ended
    this.newAfter = null; // where the "New" line stands: behind that seq
    this.newEpoch = null; // ... of that epoch
    this.oldRead = null; // where the reader stopped in an epoch that has ended: `{epoch, seq}`
    this.landing = false; // the view goes to the "New" line as soon as it is there
    this.replaying = false; // the replay is on its way
    this.start = false; // nothing older is to be had
    this.gone = false; // ... because the server no longer keeps it
    this.detached = false; // the newest messages are outside the window
    this.loading = false;
    this.stuck = true; // the reader is at the end and follows it
    this.pausedUntil = 0; // no page of history is asked for before: the last one was refused
    this.members = new Set();
    this.count = 0;
    this.name = ""; // a title of the room, if it has one that is not its id
    this.topic = "";
    this.typing = new Map();
    this.draft = ""; // the text in the composer
    this.since = Date.now(); // when we went there
    this.synced = false;
    this.syncing = false;
    this.buffer = [];
    this.unknown = false;
    this.problem = "";
    this.removed = ""; // the sentence in place of a problem while we are not in the room, though we were
    this.unlisted = false; // a room on screen that we are not in and that goes when something else is looked at
  }

  get target() { return this.kind === "room" ? { room_id: this.id } : { user_id: this.id }; }
  get title() { return this.name || this.id; }
  get unread() { return this.carried + (this.readSeq === undefined ? 0 : Math.max(0, this.lastSeq - this.readSeq)); }
  get firstSaid() { return this.items.find((item) => item.type === "said"); }
  get lastSaid() { return this.items.findLast((item) => item.type === "said"); }

  /** Draws the line "New" where the reader has stopped, if there is more, and leads the view there. */
  markNew() {
    const { epoch, seq } = this.oldRead ?? { epoch: null, seq: this.readSeq };
    this.newAfter = this.unread > 0 ? seq : null;
    this.newEpoch = this.newAfter === null ? null : epoch;
    this.landing = this.newAfter !== null;
    this.stuck = !this.landing;
  }

  /** Everything is read, or everything up to a message. */
  read(seq = this.lastSeq) {
    this.carried = 0;
    this.oldRead = null;
    this.readSeq = seq;
  }

  /** Puts a message where it belongs. What is there already is not put twice. */
  insert(item) {
    let at = this.items.length;
    while (at > 0) {
      const before = this.items[at - 1];
      if (before.type === "said" && before.epoch === item.epoch) {
        if (before.seq === item.seq) return false;
        if (before.seq < item.seq) break;
      } else if (before.type === "said" || before.type === "gap") {
        break; // another epoch ends here
      }
      at -= 1;
    }
    // A new message comes after the notice that somebody came; an older one goes by its seq.
    this.items.splice(item.seq > this.lastSeq ? this.items.length : at, 0, item);
    return true;
  }

  /** Keeps the window in bounds by forgetting at one of its ends. */
  trim(end) {
    const most = this === active ? WINDOW : WINDOW_ELSEWHERE;
    let characters = 0;
    for (const item of this.items) characters += item.content?.length ?? 20;
    while (this.items.length > most || (characters > WINDOW_CHARACTERS && this.items.length > 10)) {
      const item = end === "oldest" ? this.items.shift() : this.items.pop();
      characters -= item.content?.length ?? 20;
      if (end === "oldest") this.start = this.gone = false;
      else this.detached = true;
    }
  }
}

/** @type {Map<string, Conversation>} */
export const conversations = new Map();
/** @type {import("./client.js").SalonClient} */
export let client = null;
/** @type {Conversation} */
export let active = null;
/** The name in which the operator speaks by default. Where names are free, nobody can come in under it. */
export const OPERATOR = "server";
export let me = "";
/** Whether a token says who we are; otherwise anybody may come in under any name. */
export let proven = false;

export const rooms = () => [...conversations.values()].filter((c) => c.kind === "room" && !c.unlisted);
export const people = () => [...conversations.values()].filter((c) => c.kind === "person");

/** A person comes in: nothing is kept yet. */
export function begin(salon, name, byToken) {
  client = salon;
  me = name;
  proven = byToken;
  active = null;
  conversations.clear();
  gone.clear();
  if (name) noticeName(name);
}

/** The server says who we are. */
export function callMe(name) {
  me = name;
  noticeName(name);
}

/** A name is on the page. One that looks like another one changes how both are shown. */
export function noticeName(name) {
  if (!see(name)) return;
  for (const c of conversations.values()) for (const item of c.items) item.stale = true;
  redraw("log", "members", "places", "head", "typing");
}

/** A room is in a list. */
export function noticeRoom(id) { if (see(id, "room")) redraw("places", "head"); }

/** The conversation on screen is another one now, or none. */
export function activate(c) { active = c; }

export function conversation(kind, name) {
  const id = normalName(name);
  const key = `${kind}:${id}`;
  let found = conversations.get(key);
  if (!found) {
    found = new Conversation(kind, id);
    conversations.set(key, found);
    if (kind === "room") noticeRoom(id);
    if (kind === "person") {
      noticeName(id);
      const quiet = people().filter((c) => c !== active && c.unread === 0 && c.pending.length === 0 && c.draft === "" && c !== found);
      if (people().length > PEOPLE_MAX && quiet.length) conversations.delete(quiet[0].key);
      rememberPlaces(); // also one that somebody else began
    }
    redraw("places");
  }
  return found;
}

let placesTimer = null;
export function rememberPlaces() {
  clearTimeout(placesTimer);
  placesTimer = setTimeout(savePlaces, 300);
}

/**
 * Places that were left here: when, and what the last message was.
 * @type {Map<string, {at: number, epoch: ?string, seq: number}>}
 */
const gone = new Map();

/** A place has been left: it is none of those that the browser keeps, also for other tabs. */
export function leftPlace(c) {
  gone.set(c.key, { at: Date.now(), epoch: c.epoch, seq: c.lastSeq });
  rememberPlaces();
}

const placesKey = (name) => `salon.places:${name}`;

/** The key under which the browser keeps a person's status. */
export const statusKey = (name) => `salon.status:${name}`;

/** The places that the browser keeps of a person: `{rooms, people, left, active}`. */
export function keptPlaces(name) {
  const kept = stored(placesKey(name));
  const former = kept ?? stored("salon.places"); // as versions before wrote it
  const places = kept ?? (former?.name === name ? former : {});
  const list = (part) => (Array.isArray(places[part]) ? places[part] : []);
  return { rooms: list("rooms"), people: list("people"), left: list("left"), active: places.active };
}

/**
 * Keeps at once what is to be kept, if anything is. Other tabs keep theirs in the same place: what is there stays
 * there, unless it was left here since, and what was left there does not come back unless we went in since.
 */
export function savePlaces() {
  if (placesTimer === null) return;
  clearTimeout(placesTimer);
  placesTimer = null;
  const kept = keptPlaces(me);
  const left = new Map(kept.left.map(([key, at, epoch, seq]) => [key, { at, epoch, seq }]));
  for (const [key, one] of gone) if (one.at >= (left.get(key)?.at ?? 0)) left.set(key, one);
  const merged = (kind, list, ours, most) => {
    const places = new Map(list.map((place) => [place.id, place]));
    for (const c of ours) {
      const { id, readSeq = c.storedRead, epoch } = c;
      const there = places.get(id);
      const sameEpoch = there !== undefined && there.epoch === (epoch ?? c.storedEpoch);
      const read = sameEpoch && there.read > (readSeq ?? -1) ? there.read : readSeq;
      places.delete(id); // the places of the last person come last
      places.set(id, { id, epoch: epoch ?? c.storedEpoch, read, at: Math.max(c.since, there?.at ?? 0) });
    }
    for (const place of [...places.values()]) {
      const at = left.get(`${kind}:${place.id}`)?.at;
      if (at === undefined) continue;
      if (at >= (place.at ?? 0)) places.delete(place.id);
      else left.delete(`${kind}:${place.id}`);
    }
    return [...places.values()].slice(-most);
  };
  store(placesKey(me), {
    rooms: merged("room", kept.rooms, rooms().filter((c) => !c.removed || c.full), ROOMS_KEPT),
    people: merged("person", kept.people, people(), PEOPLE_MAX),
    left: [...left].map(([key, { at, epoch, seq }]) => [key, at, epoch, seq]).slice(-LEFT_KEPT),
    active: active?.key,
  });
}

/** Forgets the places of a person. */
export function forgetPlaces(name) {
  clearTimeout(placesTimer);
  placesTimer = null;
  forget(placesKey(name));
  forget(statusKey(name));
  if (stored("salon.places")?.name === name) forget("salon.places");
}

/** Forgets the places of names that have not been used for long. */
export function keepPlacesOf(names) {
  for (const keyOf of [placesKey, statusKey]) {
    const wanted = new Set([...names, me].map(keyOf));
    for (const key of keysOf(keyOf(""))) if (!wanted.has(key)) forget(key);
  }
}

/** Whether a record that another tab has kept is ours. */
export const isOurPlaces = (key) => key === placesKey(me);

export function markRead() {
  if (!active || document.hidden || !active.stuck || active.detached) return;
  if (active.unread === 0 && active.readSeq === active.lastSeq) return;
  active.read();
  rememberPlaces();
  redraw("places");
}

/** The reader has got as far as that, here or on another device. */
export function readUpTo(c, seq) {
  if (c.readSeq !== undefined && c.readSeq >= seq) return;
  c.read(seq);
  rememberPlaces();
  redraw("places");
}

/** Messages that another tab of this browser has read are read here too. */
export function readElsewhere(places) {
  for (const [kind, list] of [["room", places.rooms], ["person", places.people]]) {
    for (const { id, epoch, read } of list ?? []) {
      const c = conversations.get(`${kind}:${id}`);
      if (c && c.epoch === epoch && c.readSeq < Math.min(read, c.lastSeq)) {
        c.read(Math.min(read, c.lastSeq));
        redraw("places", "log");
      }
    }
  }
}

export function restartedHere(c) {
  if (c.items.length) addGap(c, "The server began a new history here.");
  // Unread messages are on the page, and stay unread.
  if (c.unread > 0 && c.oldRead === null) c.oldRead = { epoch: c.epoch, seq: c.readSeq };
  c.carried = c.unread;
  if (c.newAfter !== null) c.newEpoch ??= c.epoch;
  c.lastSeq = 0;
  c.readSeq = 0;
}

export function said(message, epoch) {
  const { seq, sender, content = "", ts, deleted } = message;
  return { type: "said", epoch, seq, sender, content, ts, deleted };
}

/** A message has another text, or none any more. */
export function takeChange(c, { of, content, deleted }) {
  const item = c.items.find((one) => one.type === "said" && one.seq === of && one.epoch === c.epoch);
  if (!item) return;
  Object.assign(item, { content: content ?? "", deleted });
  item.node?.remove();
  delete item.node; // it is made anew
  if (c === active) redraw("log");
  redraw("places");
}

export function takePage(c, page) {
  for (const message of page.items) {
    c.insert(said(message, page.epoch));
    if (message.sender === me && message.id !== undefined) confirmHere(c, message);
    c.lastSeq = Math.max(c.lastSeq, message.seq);
  }
}

/** A message that is new to us: ours turns from pending to said and keeps its node. */
export function take(c, message, epoch) {
  const mine = message.sender === me;
  const waiting = mine && message.id !== undefined ? c.pending.find((item) => item.entry.id === message.id) : undefined;
  const item = waiting ? Object.assign(waiting, said(message, epoch), { failed: null }) : said(message, epoch);
  if (waiting) c.pending.splice(c.pending.indexOf(waiting), 1);
  c.typing.delete(message.sender);
  noticeName(message.sender);
  if (c === active && !mine && c.newAfter === null && (document.hidden || !c.stuck)) Object.assign(c, { newAfter: c.lastSeq, newEpoch: null });
  const alreadyRead = c.readSeq === undefined || c.unread === 0;
  if (!c.detached) {
    c.insert(item);
    if (c.stuck || c !== active) c.trim("oldest");
    else c.trim("newest");
  }
  c.lastSeq = Math.max(c.lastSeq, message.seq);
  // When we speak on another device we have read up to there: that message comes without the `id` of this outbox. A
  // replayed message of ours comes so, too, and others have spoken since: we have read up to there, and no further.
  if (mine && (alreadyRead || c === active || message.id === undefined)) readUpTo(c, message.seq);
  if (c === active) redraw("log", "typing");
  redraw("places");
}

export function takeDirect(c, message) {
  if (message.seq <= c.lastSeq && c.epoch) return confirmHere(c, message);
  if (c.readSeq === undefined) c.readSeq = message.sender === me ? message.seq : message.seq - 1;
  take(c, message, c.epoch);
}

/** Ours was already there (a page of history overtook the echo): only the waiting copy has to go. */
export function confirmHere(c, { id }) {
  const at = c.pending.findIndex((item) => item.entry?.id === id);
  if (at >= 0) c.pending.splice(at, 1);
  redraw("log");
}

/** Somebody speaks to everybody: that is in no room, and shown where the reader is. */
export function addAnnouncement(c, { sender, content }) {
  c.items.push({ type: "announcement", sender, content, ts: Date.now() });
  redraw("log");
}

export function addGap(c, text) {
  if (!c.detached && c.items.at(-1)?.type !== "gap") c.items.push({ type: "gap", text, ts: Date.now() });
  redraw("log");
}

/** The list of commands, at the end, for the reader alone; one is enough. */
export function addHelp(c, lines) {
  c.items = c.items.filter((item) => item.type !== "help");
  c.items.push({ type: "help", lines, ts: Date.now() });
  redraw("log");
}

export function removeHelp(c) {
  c.items = c.items.filter((item) => item.type !== "help");
  redraw("log");
}

export function addNotice(c, kind, name) {
  if (c.detached || c.count > NOTICES_UP_TO) return;
  const last = c.items.at(-1);
  if (last?.type === "notice" && last.kind === kind && c.pending.length === 0) {
    if (!last.names.includes(name) && last.names.length < 20) last.names.push(name);
    last.stale = true;
  } else {
    c.items.push({ type: "notice", kind, names: [name], ts: Date.now() });
    c.trim(c.stuck || c !== active ? "oldest" : "newest");
  }
  if (c === active) redraw("log");
}
