/**
 * The state of the page: rooms, and conversations of two people. Nothing here touches the document or asks the server.
 *
 * Everything has a maximum. A conversation holds a window of its messages, which is exactly what is in the document;
 * `history.js` moves the window with pages of history from the server.
 */
import { normalName } from "./client.js";
import { redraw } from "./drawing.js";
import { t } from "./language.js";
import { lose, see } from "./lookalikes.js";
import { forget, keptPlaces, keysOf, placesKey, rolesOf, store, stored } from "./storage.js";
import { isAway } from "./attention.js";
import { isMuted, lookAtMuted, mutedKey } from "./muting.js";
import { callsMe, mentions } from "./pieces.js";

const WINDOW = 300; // messages of the conversation on screen, and so of nodes in the log
const WINDOW_STEP = 60; // of them go at once where new ones come: each time, all that is drawn moves
const WINDOW_ELSEWHERE = 60; // of the others
const WINDOW_CHARACTERS = 600_000;
const PEOPLE_MAX = 100; // direct conversations
const ROOMS_KEPT = 500; // in the list of the browser
const LEFT_KEPT = 500; // places that were left last
const NOTICES_UP_TO = 10; // members of a room where coming and going is worth a line
const CALLS_MAX = 100; // unread mentions that are counted
const REACTORS_MAX = 20; // names kept of a reaction, as the server sends them

/**
 * A room, or the conversation of two people. `items` rise in (epoch, seq); `pending` are ours and not confirmed yet.
 */
class Conversation {
  #epoch = null;

  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
    this.key = `${kind}:${id}`;
    this.items = [];
    this.pending = [];
    this.lastSeq = 0;
    this.readSeq = undefined; // undefined until we know where the reader stopped
    this.fresh = 0; // messages of others behind that
    this.counted = 0; // the seq up to which they are counted, by the server or here
    this.calls = new Map(); // the seq of each of them that calls us: whether by name, or only with everybody here
    this.unlooked = 0; // messages before that seq were not looked through for calls
    this.told = 0; // the mark that the server has
    this.held = false; // the reader wants it unread from `readSeq` on: nothing is read by being seen
    this.carried = 0; // unread messages of an epoch that has ended
    this.newAfter = null; // where the "New" line stands: behind that seq
    this.newEpoch = null; // ... of that epoch
    this.oldRead = null; // where the reader stopped in an epoch that has ended: `{epoch, seq}`
    this.newCount = 0; // how many were unread when that line was drawn
    this.newSeen = false; // the line has been in view
    this.landing = false; // the view goes to the "New" line as soon as it is there
    this.sought = false; // the messages around that line have been asked for
    this.skipped = false; // the view was led past unread messages: nothing is read until it shows the first of them
    this.replaying = false; // the replay is on its way
    this.start = false; // nothing older is to be had
    this.gone = false; // ... because the server no longer keeps it
    this.detached = false; // the newest messages are outside the window
    this.passed = 0; // the seq of the last message that came meanwhile
    this.loading = false;
    this.stuck = true; // the reader is at the end and follows it
    this.wished = false; // the view goes somewhere at the next draw; what scrolls before that says nothing
    this.pausedUntil = 0; // no page of history is asked for before: the last one was refused
    this.members = new Set();
    this.count = 0;
    this.name = ""; // a title of the room, if it has one that is not its id
    this.topic = "";
    this.typing = new Map();
    this.draft = ""; // the text in the composer
    this.behind = ""; // the draft that waits until a command in its place is done
    this.lost = ""; // that the message is gone which the draft was about: it is asked about before it is sent
    this.reply = null; // the message that it answers: `{epoch, seq, sender}`
    this.editing = null; // the message that is written anew, in the place of the draft: `{epoch, seq, before, text}`
    this.edits = new Map(); // what was written in edits that the reader has ended, by seq: `{before, text}`
    this.quotes = new Map(); // messages that are answered, by seq: `{sender, content}`; null while they are asked for
    this.goTo = null; // the seq of a message that the view goes to as soon as it can
    this.since = Date.now(); // when we went there
    this.shownAt = 0; // when it was on screen last
    this.lastAt = 0; // when something was said here last, as far as the server has said it
    this.talk = null; // what the server says of its mark, until its epoch is known
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

  /** The life of the numbers here, as far as it is known. */
  get epoch() { return this.#epoch; }
  set epoch(epoch) {
    if (epoch !== this.#epoch) { // they are by number
      this.quotes.clear();
      this.edits.clear();
    }
    this.#epoch = epoch;
    if (epoch === null) return;
    // What is begun is about a message of one epoch. In another one its number is that of another message.
    if (this.reply && this.reply.epoch !== epoch) {
      this.reply = null;
      this.lose(t("replyGone"));
    }
    if (this.editing && this.editing.epoch !== epoch) this.endEdit(t("editOfOldHistory"));
  }

  /** Something is written here that nobody has yet. */
  get isBegun() { return this.draft.trim() !== "" || this.reply !== null || this.editing !== null || this.pending.length > 0; }

  /** Text that finds another one in its place comes behind it. */
  addToDraft(text) {
    if (text === "" || `\n${this.draft}\n`.includes(`\n${text}\n`)) return;
    this.draft = this.draft ? `${this.draft}\n${text}` : text;
  }

  /** The message that is written anew is not to be had. What was written becomes the draft. */
  endEdit(problem) {
    const { text, before } = this.editing;
    this.editing = null;
    if (text.trim() === "" || text === before) return;
    this.addToDraft(text);
    this.lose(problem);
  }

  /** The message is gone that the draft was about. */
  lose(words) { this[this.draft.trim() === "" ? "problem" : "lost"] = words; }

  get unread() { return this.carried + this.fresh; }
  get muted() { return isMuted(this.key); }
  /** Unread messages that are meant for the reader alone, or call them. */
  get urgent() {
    if (this.kind === "room") return this.muted ? [...this.calls.values()].filter((byName) => byName).length : this.calls.size;
    return this.muted ? 0 : this.unread;
  }
  /** Whether there may be more of those in a room than are known. */
  get mayCallMore() { return this.unlooked > this.readSeq + 1; }
  /** Unread messages that the reader wants to hear of. */
  get calling() { return this.muted ? this.urgent : this.unread; }
  get firstSaid() { return this.items.find((item) => item.type === "said"); }
  get lastSaid() { return this.items.findLast((item) => item.type === "said"); }

  /** Draws the line "New" where the reader has stopped, if there is more. */
  drawNew() {
    const { epoch, seq } = this.oldRead ?? { epoch: null, seq: this.readSeq };
    this.newAfter = this.unread > 0 ? seq : null;
    this.newEpoch = this.newAfter === null ? null : epoch;
    this.newCount = this.unread;
    this.newSeen = this.sought = false;
  }

  /** ... and leads the view there. */
  markNew() {
    this.drawNew();
    this.landing = this.newAfter !== null;
    this.skipped = false;
    this.stuck = !this.landing;
    this.wished = true;
  }

  /** The view goes to the end, whatever else it was led to, and follows it. */
  follow() {
    this.landing = false;
    this.stuck = this.wished = true;
  }

  /** Whether the window holds what stands before the line "New", or there is nothing to be had before it. */
  get reachesNew() {
    const first = this.firstSaid;
    return this.start || this.sought || !first || first.epoch !== this.epoch || this.newEpoch !== null || first.seq <= this.newAfter + 1;
  }

  /** The first message behind the mark, if the window holds what stands before it: else it is not known. */
  get firstUnread() {
    const at = this.items.findIndex((item) => item.type === "said" && item.epoch === this.epoch && item.seq > this.readSeq);
    const first = this.items[at];
    return this.start || first?.seq === this.readSeq + 1 || this.items.slice(0, at).some(({ type }) => type === "said") ? first : undefined;
  }

  /** Everything is read, or everything up to an entry. */
  read(seq = this.lastSeq) {
    this.carried = 0;
    this.oldRead = null;
    this.fresh = this.unreadBehind(seq);
    this.forgetCalls(seq);
    this.readSeq = seq;
  }

  /** Calls up to an entry are read. */
  forgetCalls(upTo) { for (const seq of this.calls.keys()) if (seq <= upTo) this.calls.delete(seq); }

  /** A message of somebody else that is not read calls us, as it stands, or does not. */
  noteCall(message) {
    const { seq, content = "" } = message;
    if (this.kind !== "room") return;
    this.calls.delete(seq);
    if (this.calls.size < CALLS_MAX && callsMe(message, me, this.members)) this.calls.set(seq, mentions(content, me, this.members));
  }

  /** Messages of others that stay unread when all up to an entry is read. */
  unreadBehind(seq) {
    if (seq >= this.lastSeq) return 0;
    const ours = this.items.filter((item) => item.type === "said" && item.epoch === this.epoch);
    const countFrom = (after, upTo) => ours.filter((item) => item.sender !== me && !item.deleted && item.seq > after && item.seq <= upTo).length;
    // A window that holds all of them is exact.
    if (!this.detached && !this.replaying && ours.length && (this.start || ours[0].seq <= seq + 1)) return countFrom(seq, Infinity);
    return Math.max(0, Math.min(this.fresh - countFrom(this.readSeq ?? 0, seq), this.lastSeq - seq));
  }

  /** Unread messages are counted once, in whatever way they come. */
  countUnread(message) {
    const { seq, sender, deleted } = message;
    const isNew = sender !== me && !deleted && this.readSeq !== undefined && seq > this.readSeq;
    if (isNew) this.noteCall(message);
    if (seq <= this.counted) return;
    this.counted = seq;
    if (isNew) this.fresh += 1;
  }

  /**
   * The server says what is read and how many messages behind that are not, as of the entry `seq`. Where we have read
   * further here, that stands, and the server is told.
   */
  takeMark({ read, unread, seq }) {
    this.told = read;
    if (this.held || (this.readSeq !== undefined && this.readSeq > read)) {
      // Of those that it counts, at most so many are read here. (A room counts what is said again to it.)
      if (!this.held && this.kind === "person" && seq > this.counted) [this.fresh, this.counted] = [Math.max(this.fresh, unread - this.readSeq + read), seq];
      return readHere(this);
    }
    this.readSeq = read;
    this.fresh = unread;
    this.counted = Math.max(seq, this.counted);
    this.forgetCalls(read);
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
    const left = this.items.length > most && this === active && end === "oldest" ? most - WINDOW_STEP : most;
    while (this.items.length > left || (characters > WINDOW_CHARACTERS && this.items.length > 10)) {
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
/** Whether a token says who we are; otherwise anybody may come in under any name. */
export let proven = false;
/** What a token says that we may do; the server has the last word. */
export let roles = [];

export const rooms = () => [...conversations.values()].filter((c) => c.kind === "room" && !c.unlisted);
export const people = () => [...conversations.values()].filter((c) => c.kind === "person");

/** A person comes in: nothing is kept yet. */
export function begin(salon, name, token) {
  client = salon;
  me = name;
  proven = Boolean(token);
  roles = rolesOf(token);
  active = null;
  conversations.clear();
  gone.clear();
  lookAtMuted(name);
  if (name) noticeName(name);
}

/** The server says who we are. */
export function callMe(name) {
  me = name;
  lookAtMuted(name);
  noticeName(name);
}

/** A name is on the page. One that looks like another one changes how both are shown. */
export function noticeName(name) { if (see(name)) writeNamesAnew(); }

/** Somebody has gone. A name that looks like theirs is told apart from it for as long as it is on the page. */
export function missName(name) {
  const isShown = () => name === me || [...conversations.values()].some((c) => c.id === name || c.members.has(name) || c.items.some(({ sender }) => sender === name));
  if (lose(name, isShown)) writeNamesAnew();
}

function writeNamesAnew() {
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
      const quiet = people().filter((c) => c !== active && c.unread === 0 && !c.isBegun && c !== found);
      if (people().length > PEOPLE_MAX && quiet.length) conversations.delete(quiet[0].key);
      rememberPlaces(); // also one that somebody else began
    }
    redraw("places");
  }
  return found;
}

let placesTimer = null;
const SAVE_WITHIN = 300;

/** The browser keeps the places in a moment, also while there is something new all the time. */
export function rememberPlaces() { placesTimer ??= setTimeout(savePlaces, SAVE_WITHIN); }

/** Somebody goes somewhere, or leaves: the browser keeps it at once, for a tab that is opened now. */
export function rememberPlacesNow() {
  rememberPlaces();
  savePlaces();
}

/**
 * Places that were left here: when, and what the last message was.
 * @type {Map<string, {at: number, epoch: ?string, seq: number}>}
 */
const gone = new Map();

/** A place has been left: it is none of those that the browser keeps, also for other tabs. */
export function leftPlace(c) {
  gone.set(c.key, { at: Date.now(), epoch: c.epoch, seq: c.lastSeq });
  rememberPlacesNow();
}

/** A place was left in another tab, at that time. */
export function leftElsewhere(c, at) { gone.set(c.key, { at, epoch: c.epoch, seq: c.lastSeq }); }

/** When a place was left, here or in another tab; undefined if it was not. */
export const leftAt = (key) => gone.get(key)?.at;

/** The key under which the browser keeps a person's status. */
export const statusKey = (name) => `salon.status:${name}`;

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
      places.set(id, { id, epoch: epoch ?? c.storedEpoch, read: c.held ? readSeq : read, held: c.held || undefined, at: Math.max(c.since, there?.at ?? 0) });
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
    left: [...left].map(([key, { at, epoch, seq }]) => [key, at, epoch, seq]).sort(([, one], [, other]) => one - other).slice(-LEFT_KEPT),
    active: active?.key,
  });
}

/** Forgets the places of a person. */
export function forgetPlaces(name) {
  clearTimeout(placesTimer);
  placesTimer = null;
  forget(placesKey(name));
  forget(statusKey(name));
  forget(mutedKey(name));
  if (stored("salon.places")?.name === name) forget("salon.places");
}

/** Forgets the places of names that have not been used for long. */
export function keepPlacesOf(names) {
  for (const keyOf of [placesKey, statusKey, mutedKey]) {
    const wanted = new Set([...names, me].map(keyOf));
    for (const key of keysOf(keyOf(""))) if (!wanted.has(key)) forget(key);
  }
}

/** Whether a record that another tab has kept is ours. */
export const isOurPlaces = (key) => key === placesKey(me);

/** Functions of other files that run when the reader has got further. */
const onRead = [];
export function whenRead(listener) { onRead.push(listener); }
function readHere(c) { for (const listener of onRead) listener(c); }

/** All that is there is read. */
export function readAll(c) {
  if (c.unread === 0 && c.readSeq === c.lastSeq) return;
  c.read();
  readHere(c);
  rememberPlaces();
  redraw("places");
}

export function markRead() {
  if (!active || isAway() || active.held || !active.stuck || active.detached) return;
  readAll(active);
}

/** The reader has got as far as that, here or on another device. */
export function readUpTo(c, seq) {
  if (c.held || (c.readSeq !== undefined && c.readSeq >= seq)) return;
  c.read(seq);
  readHere(c);
  rememberPlaces();
  redraw("places");
}

/** The reader wants a message and what follows it unread. The server keeps its mark, which never goes back. */
export function unreadFrom(c, seq) {
  const before = c.readSeq ?? 0;
  c.carried = 0;
  c.oldRead = null;
  c.readSeq = seq - 1;
  const upTo = c.detached ? before : Infinity;
  const more = c.items.filter((item) => item.type === "said" && item.epoch === c.epoch && item.sender !== me && !item.deleted && item.seq >= seq && item.seq <= upTo);
  c.fresh = (c.detached ? c.fresh : 0) + more.length;
  for (const item of more) c.countUnread(item);
  c.held = true;
  c.newAfter = seq - 1;
  c.newEpoch = null;
  c.newCount = c.fresh;
  c.newSeen = true;
  rememberPlaces();
  redraw("log", "places");
}

/** Messages that another tab of this browser has read are read here too. */
export function readElsewhere(places) {
  for (const [kind, list] of [["room", places.rooms], ["person", places.people]]) {
    for (const { id, epoch, read } of list ?? []) {
      const c = conversations.get(`${kind}:${id}`);
      if (c && c.epoch === epoch && !c.held && c.readSeq < Math.min(read, c.lastSeq)) {
        c.read(Math.min(read, c.lastSeq));
        redraw("places", "log");
      }
    }
  }
}

export function restartedHere(c) {
  if (c.items.length) addGap(c, t("newHistory"));
  // Unread messages are on the page, and stay unread.
  if (c.unread > 0 && c.oldRead === null) c.oldRead = { epoch: c.epoch, seq: c.readSeq };
  c.carried = c.unread;
  if (c.newAfter !== null) c.newEpoch ??= c.epoch;
  c.lastSeq = c.readSeq = c.fresh = c.counted = c.unlooked = c.told = c.passed = 0;
  c.calls.clear();
  c.held = false;
  for (const item of [...c.items, ...c.pending]) item.stale = true; // what they answer has another number now, or none
}

export function said(message, epoch) {
  const { seq, sender, content = "", ts, deleted, edited, reply_to, mentions: whom, reactions } = message;
  return { type: "said", epoch, seq, sender, content, ts, deleted, edited, reply_to, mentions: whom, reactions };
}

/**
 * The message that an item answers, `{seq, epoch}`, or null. What waits to be sent answers what its entry says, which
 * the client changes when the room begins anew.
 */
export function answeredBy(c, item) {
  const { reply_to: seq, epoch = c.epoch } = item.seq === undefined ? item.entry ?? {} : item;
  return seq === undefined ? null : { seq, epoch };
}

/** Another text is known of a message: what answers it shows that. */
export function answersAreStale(c, { seq, epoch }) {
  for (const item of [...c.items, ...c.pending]) {
    const answered = answeredBy(c, item);
    if (answered?.seq === seq && answered.epoch === epoch) item.stale = true;
  }
}

/** The last message of ours, which can be edited. */
export const lastOfOurs = (c) => c.items.findLast((item) => item.type === "said" && item.sender === me && !item.deleted && item.epoch === c.epoch);

/** A message of the window; also of an epoch that has ended. */
export const messageAt = (c, { seq, epoch }) => c.items.find((one) => one.type === "said" && one.seq === seq && one.epoch === epoch);

const saidAs = (c, seq) => messageAt(c, { seq, epoch: c.epoch });

/** Takes the parts of a message as they are now. Its node is made anew, and takes the place of the old one. */
function amend(c, item, parts) {
  Object.assign(item, parts);
  item.stale = item.rewritten = true;
  c.quotes.delete(item.seq);
  answersAreStale(c, item);
  if (c === active) redraw("log");
}

/** It is known who is here: texts that may call somebody are written with that, also those that were drawn before. */
export function writeCallsAnew(c) {
  for (const item of c.items) if (item.type === "said" && /[@\uFF20]/u.test(item.content)) item.stale = item.rewritten = true;
  if (c === active) redraw("log");
}

/** A message has another text, or none any more. */
export function takeChange(c, { of, seq, ts, content, mentions: whom, deleted }) {
  c.lastSeq = Math.max(c.lastSeq, seq);
  const item = saidAs(c, of);
  c.quotes.delete(of);
  if (!item) { // it may be answered in the window, or be written anew
    answersAreStale(c, { seq: of, epoch: c.epoch });
    if (c === active) redraw("log", "composer");
    return;
  }
  if (deleted && !item.deleted && item.sender !== me && of > (c.readSeq ?? 0) && of <= c.counted) c.fresh = Math.max(0, c.fresh - 1);
  if (deleted) {
    c.calls.delete(of);
    letGoOfDeleted(c, of);
  }
  amend(c, item, deleted ? { content: "", deleted: true, mentions: undefined, reactions: undefined } : { content, edited: ts, mentions: whom });
  if (!deleted && item.sender !== me && of > (c.readSeq ?? Infinity)) c.noteCall(item);
  redraw("places");
}

/** A message is deleted, or was: it is neither answered nor written anew. Text that was begun stays. */
export function letGoOfDeleted(c, seq) {
  if (c.reply?.seq === seq) {
    c.reply = null;
    c.lose(t("replyGone"));
  }
  if (c.editing?.seq === seq) c.endEdit(t("editGone"));
  if (c === active) redraw("composer");
}

/** Somebody reacts to a message, or no longer does. Carried out again it changes nothing. */
export function takeReaction(c, { of, seq, sender, emoji, on }) {
  c.lastSeq = Math.max(c.lastSeq, seq);
  const item = saidAs(c, of);
  if (!item || item.deleted) return;
  const reactions = (item.reactions ?? []).map((one) => ({ ...one, users: [...one.users] }));
  let one = reactions.find((reaction) => reaction.emoji === emoji);
  if (one === undefined) reactions.push(one = { emoji, count: 0, users: [], me: false });
  const there = sender === me ? one.me : one.users.includes(sender);
  if (there === on) return;
  one.count += on ? 1 : -1;
  if (sender === me) one.me = on;
  if (!on) one.users = one.users.filter((user) => user !== sender);
  else if (one.users.length < REACTORS_MAX) one.users.push(sender);
  amend(c, item, { reactions: reactions.filter(({ count }) => count > 0) });
}

/** Messages that are here already, as they stand now. */
export function takeAnew(c, page) {
  for (const message of page.items) {
    const item = page.epoch === c.epoch ? saidAs(c, message.seq) : undefined;
    const { content, deleted, edited, mentions: whom, reactions } = said(message, page.epoch);
    if (item && JSON.stringify([item.content, item.deleted, item.edited, item.mentions, item.reactions]) !== JSON.stringify([content, deleted, edited, whom, reactions])) amend(c, item, { content, deleted, edited, mentions: whom, reactions });
  }
}

/**
 * A page of history. Where it is of what was said `meanwhile`, a window that does not reach the end has a hole before
 * it: then it is behind the window, like what comes live.
 */
export function takePage(c, page, { meanwhile = false } = {}) {
  if (page.epoch !== c.epoch) return; // the numbers have begun anew while it was on its way
  for (const message of page.items) {
    if (meanwhile && c.detached) c.passed = Math.max(c.passed, message.seq);
    else c.insert(said(message, page.epoch));
    if (message.sender === me && message.id !== undefined) confirmHere(c, message);
    c.lastSeq = Math.max(c.lastSeq, message.seq);
    c.countUnread(message);
  }
}

/** A message that is new to us: ours turns from pending to said and keeps its node. */
export function take(c, message, epoch) {
  const mine = message.sender === me;
  const waiting = mine && message.id !== undefined ? c.pending.find((item) => item.entry.id === message.id) : undefined;
  const item = waiting ? Object.assign(waiting, said(message, epoch), { failed: null }) : said(message, epoch);
  if (waiting) c.pending.splice(c.pending.indexOf(waiting), 1);
  if (item.mentions) item.stale = item.rewritten = true; // it was drawn before the server said so
  c.typing.delete(message.sender);
  noticeName(message.sender);
  if (c === active && !mine && (c.newAfter === null || c.unread === 0) && (isAway() || !c.stuck)) Object.assign(c, { newAfter: c.lastSeq, newEpoch: null, newCount: 0, newSeen: false });
  const alreadyRead = c.readSeq === undefined || c.unread === 0;
  if (!c.detached) {
    c.insert(item);
    if (c.stuck || c !== active) c.trim("oldest");
    else c.trim("newest");
  } else {
    c.passed = message.seq;
  }
  c.lastSeq = Math.max(c.lastSeq, message.seq);
  c.countUnread(message);
  if (c === active && isAway() && c.newAfter !== null && c.newSeen === false) c.newCount = Math.max(c.newCount, c.unread);
  // When we speak on another device we have read up to there: that message comes without the `id` of this outbox. A
  // replayed message of ours comes so, too, and others have spoken since: we have read up to there, and no further.
  if (mine && (alreadyRead || (c === active && c.stuck) || message.id === undefined)) readUpTo(c, message.seq);
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
  // What is said again, with nothing but coming and going in between, is said once.
  const last = c.items.findLast(({ type }) => type !== "notice");
  if (!c.detached && c.items.at(-1)?.type !== "gap" && !(last?.type === "gap" && last.text === text)) c.items.push({ type: "gap", text, ts: Date.now() });
  redraw("log");
}

/** Somebody has changed the title or the topic (`kind`) of a room while we were there. */
export function addDescription(c, kind, by, text) {
  if (!c.detached) c.items.push({ type: "notice", by, kind, text, joined: [], left: [], ts: Date.now() });
  c.trim(c.stuck || c !== active ? "oldest" : "newest");
  if (c === active) redraw("log");
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
  if (last?.type === "notice" && last.kind === undefined && c.pending.length === 0) {
    // One line for all of them; who left and came again is there, and has done nothing else.
    const other = last[kind === "joined" ? "left" : "joined"];
    const at = other.indexOf(name);
    if (at >= 0) other.splice(at, 1);
    if (!(at >= 0 && kind === "joined") && !last[kind].includes(name) && last[kind].length < 20) last[kind].push(name);
    if (last.joined.length + last.left.length === 0) c.items.pop();
    last.stale = true;
  } else {
    c.items.push({ type: "notice", joined: [], left: [], [kind]: [name], ts: Date.now() });
    c.trim(c.stuck || c !== active ? "oldest" : "newest");
  }
  if (c === active) redraw("log");
}
