/**
 * What is kept: rooms, and what two people say to each other. Nothing here touches the document or asks the server.
 *
 * Everything has a maximum. A conversation holds a window of its messages, which is exactly what is in the document; `history.js`
 * moves the window with pages of history from the server.
 */
import { redraw } from "./drawing.js";
import { store } from "./storage.js";

const WINDOW = 300; // messages of the conversation on screen, and so of nodes in the log
const WINDOW_ELSEWHERE = 60; // of the others
const WINDOW_CHARACTERS = 600_000;
const PEOPLE_MAX = 100; // direct conversations
const NOTICES_UP_TO = 50; // members of a room where coming and going is worth a line

/** A room, or what two people say to each other. `items` rise in (epoch, seq); `pending` are ours and not confirmed yet. */
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
    this.newAfter = null; // where the "New" line stands
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
    this.draft = "";
    this.synced = false;
    this.syncing = false;
    this.buffer = [];
    this.unknown = false;
    this.problem = "";
    this.removed = ""; // what is said in place of a problem while we are not in the room, though we were
    this.unlisted = false; // a room on screen that we are not in and that goes when something else is looked at
  }

  get target() { return this.kind === "room" ? { room_id: this.id } : { user_id: this.id }; }
  get title() { return this.name || this.id; }
  get unread() { return this.readSeq === undefined ? 0 : Math.max(0, this.lastSeq - this.readSeq); }
  get firstSaid() { return this.items.find((item) => item.type === "said"); }
  get lastSaid() { return this.items.findLast((item) => item.type === "said"); }

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
    // What is said now comes after the notice that somebody came; what was said before goes by its seq.
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
export let me = "";

export const rooms = () => [...conversations.values()].filter((c) => c.kind === "room" && !c.unlisted);
export const people = () => [...conversations.values()].filter((c) => c.kind === "person");

/** Somebody comes in: nothing is kept yet. */
export function begin(salon, name) {
  client = salon;
  me = name;
  active = null;
  conversations.clear();
}

/** The server says who we are. */
export function callMe(name) { me = name; }

/** The conversation on screen is another one now, or none. */
export function activate(c) { active = c; }

export function conversation(kind, id) {
  const key = `${kind}:${id}`;
  let found = conversations.get(key);
  if (!found) {
    found = new Conversation(kind, id);
    conversations.set(key, found);
    if (kind === "person") {
      const quiet = people().filter((c) => c !== active && c.unread === 0 && c.pending.length === 0 && c !== found);
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

/** Keeps at once what is to be kept, if anything is. */
export function savePlaces() {
  if (placesTimer === null) return;
  clearTimeout(placesTimer);
  placesTimer = null;
  const place = (c) => ({ id: c.id, epoch: c.epoch ?? c.storedEpoch, read: c.readSeq ?? c.storedRead });
  store("salon.places", { name: me, rooms: rooms().filter((c) => !c.removed).map(place), people: people().slice(-PEOPLE_MAX).map(place), active: active?.key });
}

export function forgetPlaces() {
  clearTimeout(placesTimer);
  placesTimer = null;
  store("salon.places", null);
}

export function markRead() {
  if (!active || document.hidden || !active.stuck || active.detached) return;
  if (active.readSeq === active.lastSeq) return;
  active.readSeq = active.lastSeq;
  rememberPlaces();
  redraw("places");
}

/** The reader has got as far as that, here or on another device. */
export function readUpTo(c, seq) {
  if (c.readSeq !== undefined && c.readSeq >= seq) return;
  c.readSeq = seq;
  rememberPlaces();
  redraw("places");
}

/** What another tab of this browser has read is read here too. */
export function readElsewhere(places) {
  if (places?.name !== me) return;
  for (const [kind, list] of [["room", places.rooms], ["person", places.people]]) {
    for (const { id, epoch, read } of list ?? []) {
      const c = conversations.get(`${kind}:${id}`);
      if (c && c.epoch === epoch && c.readSeq < Math.min(read, c.lastSeq)) {
        c.readSeq = Math.min(read, c.lastSeq);
        redraw("places", "log");
      }
    }
  }
}

export function restartedHere(c) {
  if (c.items.length) addGap(c, "The server began a new history here.");
  c.lastSeq = 0;
  c.readSeq = 0;
  c.newAfter = null;
}

export function said(message, epoch) {
  return { type: "said", epoch, seq: message.seq, sender: message.sender, content: message.content, ts: message.ts };
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
  if (c === active && !mine && c.newAfter === null && (document.hidden || !c.stuck)) c.newAfter = c.lastSeq;
  const alreadyRead = c.readSeq === undefined || c.unread === 0;
  if (!c.detached) {
    c.insert(item);
    if (c.stuck || c !== active) c.trim("oldest");
    else c.trim("newest");
  }
  c.lastSeq = Math.max(c.lastSeq, message.seq);
  // What we said on another device, we said having read: it comes without the `id` of this one's outbox.
  if (mine && (alreadyRead || c === active || message.id === undefined)) readUpTo(c, c.lastSeq);
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
