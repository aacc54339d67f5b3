/**
 * The chat page. `client.js` keeps the connection; this file keeps conversations and draws them.
 *
 * Three rules hold everywhere in here:
 *
 * - What people wrote reaches the document as text only: `textContent`, and `<a>` nodes made for http and https addresses.
 * - What is drawn follows from what is kept: an event changes a `Conversation`, `redraw` names the parts that are stale, and one
 *   `draw` per animation frame brings the document in line, reusing the nodes that are there.
 * - Everything has a maximum. A conversation holds a window of its messages, which is exactly what is in the document; scrolling
 *   moves the window with pages of history from the server.
 */
import { SalonClient, nameProblem } from "./client.js";

// What is kept --------------------------------------------------------------------------------------------------------

const WINDOW = 300; // messages of the conversation on screen, and so of nodes in the log
const WINDOW_ELSEWHERE = 60; // of the others
const WINDOW_CHARACTERS = 600_000;
const PAGE = 50;
const PAUSE = 3_000; // after a page of history was refused
const PEOPLE_MAX = 100; // direct conversations
const LINKS_MAX = 40; // in one message; the rest stays text
const MEMBERS_SHOWN = 200;
const PRESENCE_MAX = 5_000;
const BUFFER_MAX = 300;
const SUBSCRIBE_UP_TO = 100; // members of a room whose presence we follow
const NOTICES_UP_TO = 50; // members of a room where coming and going is worth a line
const GROUP_WITHIN = 5 * 60_000;
const TYPING_EVERY = 3_100; // a little more than the server's three seconds
const TYPING_LASTS = 7_000;
const DEFAULT_ROOM = "lobby";

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
    this.topic = "";
    this.typing = new Map();
    this.draft = "";
    this.synced = false;
    this.syncing = false;
    this.buffer = [];
    this.unknown = false;
    this.problem = "";
  }

  get target() { return this.kind === "room" ? { room_id: this.id } : { user_id: this.id }; }
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
const conversations = new Map();
/** @type {Map<string, {status: string, note?: string}>} */
const presence = new Map();
/** @type {SalonClient} */
let client = null;
/** @type {Conversation} */
let active = null;
let me = "";
let myStatus = "online";
let publicRooms = [];
let connection = { state: "idle" };
let everConnected = false;

const byId = (id) => document.getElementById(id);
const rooms = () => [...conversations.values()].filter((c) => c.kind === "room");
const people = () => [...conversations.values()].filter((c) => c.kind === "person");

// Storage: a convenience, so its absence (private windows, full disks) is no error.

function stored(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

function store(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* not kept */ }
}

/** A token comes in with the link and lasts as long as the tab. */
function sessionToken(token) {
  try {
    if (token === undefined) return sessionStorage.getItem("salon.token");
    if (token === null) sessionStorage.removeItem("salon.token");
    else sessionStorage.setItem("salon.token", token);
  } catch { /* not kept */ }
  return token;
}

let placesTimer = null;
function rememberPlaces() {
  clearTimeout(placesTimer);
  placesTimer = setTimeout(() => {
    const place = (c) => ({ id: c.id, epoch: c.epoch, read: c.readSeq });
    store("salon.places", { name: me, rooms: rooms().map(place), people: people().slice(-PEOPLE_MAX).map(place), active: active?.key });
  }, 300);
}

// The door ------------------------------------------------------------------------------------------------------------

function addressed() {
  const fields = new URLSearchParams(location.hash.slice(1));
  return { room: fields.get("room"), name: fields.get("name"), person: fields.get("with"), token: fields.get("token") };
}

function openDoor(problem = "") {
  const { room, name } = addressed();
  document.title = "Salon";
  byId("app").hidden = true;
  byId("door").hidden = false;
  byId("door-name").value = name ?? stored("salon.name") ?? "";
  byId("door-room").value = room ?? DEFAULT_ROOM;
  byId("door-where").textContent = room ? `You are invited to the room “${room}”.` : "Choose a name and come in.";
  byId("door-problem").textContent = problem;
  byId("door-name").focus();
}

byId("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("door-name").value.trim();
  const room = byId("door-room").value.trim() || DEFAULT_ROOM;
  const wrongName = nameProblem(name);
  const wrongRoom = nameProblem(room);
  byId("door-name").setAttribute("aria-invalid", String(Boolean(wrongName)));
  byId("door-room").setAttribute("aria-invalid", String(Boolean(wrongRoom)));
  if (wrongName || wrongRoom) {
    byId("door-problem").textContent = wrongName ? `Your name: ${wrongName}` : `The room: ${wrongRoom}`;
    byId(wrongName ? "door-name" : "door-room").focus();
    return;
  }
  store("salon.name", name);
  enter({ name, room });
});

function enter({ name, room, person, token }) {
  me = name ?? "";
  conversations.clear();
  presence.clear();
  active = null;
  everConnected = false;
  byId("door").hidden = true;
  byId("app").hidden = false;
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  client = new SalonClient({ url: url.href, user: name, token });
  listen(client);
  const places = stored("salon.places");
  if (places?.name === me) {
    for (const { id, epoch, read } of places.people ?? []) Object.assign(conversation("person", id), { storedEpoch: epoch, storedRead: read });
    for (const { id, epoch, read } of places.rooms ?? []) Object.assign(conversation("room", id), { storedEpoch: epoch, storedRead: read });
  }
  for (const { id } of rooms()) client.join(id, { history: PAGE });
  if (person && !nameProblem(person)) open("person", person);
  else if (room) open("room", room);
  else {
    const last = conversations.get(places?.active) ?? rooms()[0];
    open(last?.kind ?? "room", last?.id ?? DEFAULT_ROOM);
  }
  client.connect();
  drawMe();
  if (!narrow.matches) byId("composer-input").focus();
}

byId("change-name").addEventListener("click", () => {
  client.close();
  store("salon.places", null);
  sessionToken(null);
  clearTimeout(placesTimer);
  history.replaceState(null, "", active?.kind === "room" ? `#room=${encodeURIComponent(active.id)}` : location.pathname);
  closeDrawers();
  openDoor();
});

// Conversations -------------------------------------------------------------------------------------------------------

function conversation(kind, id) {
  const key = `${kind}:${id}`;
  let found = conversations.get(key);
  if (!found) {
    found = new Conversation(kind, id);
    conversations.set(key, found);
    if (kind === "person") {
      const quiet = people().filter((c) => c !== active && c.unread === 0 && c.pending.length === 0 && c !== found);
      if (people().length > PEOPLE_MAX && quiet.length) conversations.delete(quiet[0].key);
    }
    redraw("places");
  }
  return found;
}

/** Shows a room or a person, entering the room first where needed. */
function open(kind, id) {
  const next = conversation(kind, id);
  if (kind === "room" && !client.has(id)) enterRoom(next);
  if (active && active !== next) {
    const left = active;
    left.draft = byId("composer-input").value;
    sendTyping(false);
    active = next;
    left.trim(left.stuck ? "oldest" : "newest");
    for (const item of left.items) delete item.node;
    for (const item of left.pending) delete item.node;
    left.newAfter = null;
  }
  active = next;
  active.newAfter = active.unread > 0 ? active.readSeq : null;
  active.stuck = true;
  byId("messages").replaceChildren();
  if (active.detached) toLatest();
  byId("composer-input").value = active.draft;
  growComposer();
  closeDrawers();
  const address = new URLSearchParams(kind === "room" ? { room: id } : { with: id });
  history.replaceState(null, "", `#${address}`);
  if (kind === "person" && !active.synced) syncPerson(active);
  if (kind === "room") describeRoom(active);
  if (kind === "person" && client.state === "connected") followPresence([id]);
  rememberPlaces();
  redraw("log", "head", "places", "members", "typing", "composer");
}

function enterRoom(room) {
  client.join(room.id, { history: PAGE }).catch((error) => {
    if (error.code === "disconnected") return;
    room.problem = inWords(error);
    redraw("composer");
  });
}

function describeRoom(room) {
  if (!client.isJoined(room.id)) return;
  client.room(room.id).then((info) => {
    room.topic = info.topic ?? "";
    if (room === active) redraw("head");
  }).catch(() => {});
}

byId("leave").addEventListener("click", () => {
  const left = active;
  if (left.kind === "room") client.leave(left.id).catch(() => {});
  conversations.delete(left.key);
  const next = rooms()[0] ?? people()[0];
  active = null;
  open(next?.kind ?? "room", next?.id ?? DEFAULT_ROOM);
  refreshPublicRooms();
});

function markRead() {
  if (!active || document.hidden || !active.stuck || active.detached) return;
  if (active.readSeq === active.lastSeq) return;
  active.readSeq = active.lastSeq;
  rememberPlaces();
  redraw("places");
}

function refreshPublicRooms() {
  return client.rooms({ limit: 100 }).then((page) => {
    publicRooms = page.rooms;
    redraw("places");
  }).catch(() => {});
}

/** Reads what was said to and by a person since we last knew. Live messages wait until that is done. */
async function syncPerson(c) {
  if (c.syncing || client.state !== "connected") return;
  c.syncing = true;
  c.loading = true;
  redraw("log");
  try {
    const after = c.lastSeq;
    let page = await client.history(c.target, c.epoch && after ? { after, limit: 200 } : { limit: PAGE });
    if (c.epoch && page.epoch !== c.epoch) {
      restartedHere(c);
      page = after ? await client.history(c.target, { limit: PAGE }) : page;
    } else if (c.epoch && after && page.next !== undefined) {
      c.items = []; // too much was said meanwhile: begin with the newest page again
      page = await client.history(c.target, { limit: PAGE });
    }
    const fresh = c.items.length === 0;
    c.epoch = page.epoch;
    takePage(c, page);
    if (fresh) c.start = page.next === undefined;
    if (c.readSeq === undefined) c.readSeq = c.storedEpoch === page.epoch ? c.storedRead : c.lastSeq;
    c.synced = true;
    c.unknown = false;
  } catch (error) {
    if (error.code === "user_not_found") {
      if (c.epoch) restartedHere(c);
      c.epoch = null;
      c.synced = false;
      c.unknown = true;
      c.start = true;
    } else if (client.state === "connected") {
      setTimeout(() => { if (!c.synced) syncPerson(c); }, 5_000);
    }
  }
  c.syncing = c.loading = false;
  for (const message of c.buffer.splice(0)) {
    if (c.synced) takeDirect(c, message);
    else if (message.sender === me) confirmHere(c, message); // the next sync brings it
  }
  if (c === active) c.newAfter ??= c.unread > 0 ? c.readSeq : null;
  redraw("log", "places", "head");
}

function restartedHere(c) {
  if (c.items.length) addGap(c, "The server began a new history here.");
  c.lastSeq = 0;
  c.readSeq = 0;
  c.newAfter = null;
}

function said(message, epoch) {
  return { type: "said", epoch, seq: message.seq, sender: message.sender, content: message.content, ts: message.ts };
}

function takePage(c, page) {
  for (const message of page.items) {
    c.insert(said(message, page.epoch));
    if (message.sender === me && message.id !== undefined) confirmHere(c, message);
    c.lastSeq = Math.max(c.lastSeq, message.seq);
  }
}

/** A message that is new to us: ours turns from pending to said and keeps its node. */
function take(c, message, epoch) {
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
  if (mine && (alreadyRead || c === active)) c.readSeq = c.lastSeq;
  if (c === active) redraw("log", "typing");
  redraw("places");
}

function takeDirect(c, message) {
  if (message.seq <= c.lastSeq && c.epoch) return confirmHere(c, message);
  if (c.readSeq === undefined) c.readSeq = message.sender === me ? message.seq : message.seq - 1;
  take(c, message, c.epoch);
}

/** Ours was already there (a page of history overtook the echo): only the waiting copy has to go. */
function confirmHere(c, { id }) {
  const at = c.pending.findIndex((item) => item.entry?.id === id);
  if (at >= 0) c.pending.splice(at, 1);
  redraw("log");
}

function addGap(c, text) {
  if (!c.detached && c.items.at(-1)?.type !== "gap") c.items.push({ type: "gap", text, ts: Date.now() });
  redraw("log");
}

function addNotice(c, kind, name) {
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

// The window moves ----------------------------------------------------------------------------------------------------

async function loadOlder() {
  const c = active;
  const first = c.firstSaid;
  if (c.loading || c.start || client.state !== "connected" || !first || Date.now() < c.pausedUntil) return;
  if (first.epoch !== c.epoch) {
    c.start = true; // what is older was of an epoch that the server has forgotten
    c.gone = true;
    return redraw("log");
  }
  c.loading = true;
  redraw("log");
  try {
    const page = await client.history(c.target, { before: first.seq, limit: PAGE });
    if (page.epoch === c.epoch) {
      const older = page.items.filter((m) => m.seq < first.seq).map((m) => said(m, page.epoch));
      c.items.unshift(...older);
      c.start = page.next === undefined;
      c.gone = c.start && page.gap !== undefined;
      c.trim("newest");
    }
  } catch (error) {
    if (error.code === "history_gone") c.start = c.gone = true;
    else c.pausedUntil = Date.now() + PAUSE;
  }
  c.loading = false;
  redraw("log");
}

async function loadNewer() {
  const c = active;
  if (c.loading || !c.detached || client.state !== "connected" || Date.now() < c.pausedUntil) return;
  const last = c.lastSaid;
  if (!last || last.epoch !== c.epoch) return toLatest();
  c.loading = true;
  try {
    const page = await client.history(c.target, { after: last.seq, limit: PAGE });
    if (page.epoch === c.epoch) {
      takePage(c, page);
      // Live messages passed by while we were away from the end; we are back when nothing is missing up to the last of them.
      if (page.next === undefined && (c.lastSaid?.seq ?? 0) >= c.lastSeq) c.detached = false;
      c.trim("oldest");
    }
  } catch {
    c.pausedUntil = Date.now() + PAUSE;
  }
  c.loading = false;
  redraw("log");
}

async function toLatest() {
  const c = active;
  c.stuck = true;
  if (c.detached && client.state === "connected") {
    c.detached = false;
    c.items = [];
    c.loading = true;
    redraw("log");
    try {
      const page = await client.history(c.target, { limit: PAGE });
      takePage(c, page);
      c.start = page.next === undefined;
      c.gone = false;
    } catch { /* the reader can scroll */ }
    c.loading = false;
  }
  redraw("log");
}

// What the server says ------------------------------------------------------------------------------------------------

function listen(salon) {
  // A name changed at the door leaves a former client behind; what it still says is not for us.
  const on = (name, listener) => salon.on(name, (detail) => { if (salon === client) listener(detail); });

  on("state", (detail) => {
    connection = detail;
    if (detail.state !== "connected") for (const c of conversations.values()) c.typing.clear();
    redraw("connection", "composer", "typing");
  });

  on("welcome", ({ user_id }) => {
    everConnected = true;
    if (me !== user_id) {
      me = user_id;
      drawMe();
    }
    presence.set(me, { status: myStatus });
    if (myStatus !== "online") salon.status(myStatus).catch(() => {});
    refreshPublicRooms();
    const known = people();
    if (known.length) followPresence(known.map((c) => c.id));
    for (const c of known) c.synced = false;
    (async () => { for (const c of known) if (!c.synced) await syncPerson(c); })();
  });

  on("joined", (joined) => {
    const c = conversation("room", joined.room_id);
    c.problem = "";
    c.count = joined.members;
    if (joined.reset) restartedHere(c);
    c.epoch = joined.epoch;
    if (joined.first) {
      c.start = joined.seq === 0;
      c.readSeq = c.storedEpoch === joined.epoch && c.storedRead <= joined.seq ? c.storedRead : joined.seq;
      c.lastSeq = joined.seq;
      if (c === active && c.unread > 0) c.newAfter = c.readSeq;
    } else if (joined.reset) {
      c.lastSeq = joined.seq;
    }
    if (joined.members <= SUBSCRIBE_UP_TO) salon.presence({ room_id: c.id }, true).catch(() => {});
    if (c === active) describeRoom(c);
    rememberPlaces();
    redraw("places", "head", "composer", "log");
  });

  on("message", (message) => {
    const c = conversation("room", message.room_id);
    take(c, message, message.epoch);
    if (c.items.length && c.items[0].seq === 1 && c.items[0].epoch === c.epoch) c.start = true;
  });

  on("direct", (message) => {
    const c = conversation("person", message.sender === me ? message.user_id : message.sender);
    if (!c.synced || c.syncing) {
      if (c.readSeq === undefined && c.storedEpoch === undefined) c.readSeq = message.sender === me ? message.seq : message.seq - 1;
      c.unknown = false;
      c.buffer.push(message);
      if (c.buffer.length > BUFFER_MAX) c.buffer.shift();
      syncPerson(c);
    } else {
      takeDirect(c, message);
    }
    if (c !== active && message.sender !== me) byId("announcer").textContent = `New message from ${message.sender}`;
  });

  on("announcement", ({ sender, content }) => {
    if (active) {
      active.items.push({ type: "gap", text: `${sender} to everybody: ${content}`, ts: Date.now() });
      redraw("log");
    }
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
    if (c.kind === "person" && !c.synced) syncPerson(c); // its history has it
    else if (!c.detached && (c.lastSaid?.epoch === c.epoch ? seq >= c.firstSaid.seq : true)) c.insert(Object.assign(waiting, { epoch: c.epoch, seq, ts: ts ?? waiting.ts }));
    redraw("log");
  });

  on("refused", ({ entry, error }) => {
    const c = conversations.get(`${entry.kind}:${entry.target}`);
    const waiting = c?.pending.find((item) => item.entry.id === entry.id);
    if (!waiting) return;
    waiting.failed = inWords(error);
    waiting.stale = true;
    c.problem = `Your message was not sent. ${waiting.failed}`;
    redraw("log", "composer");
  });

  on("gap", ({ room_id, why }) => addGap(conversation("room", room_id), GAP_WORDS[why] ?? GAP_WORDS.missing));

  on("online_users", ({ room_id, users, count }) => {
    const c = conversation("room", room_id);
    c.members = new Set(users);
    c.count = count ?? users.length;
    if (c === active) redraw("members", "head");
  });

  on("user_joined", ({ room_id, user_id }) => {
    const c = conversation("room", room_id);
    if (!c.members.has(user_id)) {
      c.members.add(user_id);
      c.count += 1;
    }
    c.count = Math.max(c.count, c.members.size);
    if (!presence.has(user_id)) presence.set(user_id, { status: "online" });
    if (c.count <= SUBSCRIBE_UP_TO) followPresence([user_id]);
    if (user_id !== me) addNotice(c, "joined", user_id);
    if (c === active) redraw("members", "head");
  });

  on("user_left", ({ room_id, user_id }) => {
    const c = conversation("room", room_id);
    if (c.members.delete(user_id)) c.count -= 1;
    c.typing.delete(user_id);
    if (user_id !== me) addNotice(c, "left", user_id);
    if (c === active) redraw("members", "head", "typing");
  });

  on("presence_state", ({ users }) => {
    for (const [name, state] of Object.entries(users)) rememberPresence(name, state);
  });
  on("presence", ({ user_id, status, note }) => rememberPresence(user_id, { status, note }));

  on("typing", ({ room_id, user_id, typing }) => {
    const c = conversations.get(room_id === undefined ? `person:${user_id}` : `room:${room_id}`);
    if (!c || user_id === me) return;
    if (typing && c.typing.size < 50) c.typing.set(user_id, Date.now() + TYPING_LASTS);
    else c.typing.delete(user_id);
    if (c === active) redraw("typing");
  });

  on("error", (error) => {
    if (!active) return;
    active.problem = inWords(error);
    redraw("composer");
  });
}

const GAP_WORDS = {
  expired: "Older messages from while you were away are no longer kept.",
  epoch_changed: "The server began a new history here.",
  missing: "Some messages are missing here.",
};

const ERROR_WORDS = {
  unauthorized: "You need to sign in to do that.",
  token_expired: "Your sign-in has run out. Please open the page again.",
  forbidden: "You are not allowed to do that here.",
  room_not_found: "There is no such room.",
  user_not_found: "Nobody of that name has been here yet.",
  not_joined: "You are not in this room. Join it first.",
  too_large: "It is too long. Please send it in parts.",
  too_many_rooms: "You are in as many rooms as you can be. Leave one first.",
  room_full: "The room is full.",
  rate_limited: "That was too fast. Please wait a moment.",
  history_gone: "Those messages are no longer kept.",
  overloaded: "The server is very busy. Please try again.",
  backend_down: "The server cannot store messages at the moment. Please try again.",
  internal: "Something went wrong on the server. Please try again.",
  disconnected: "There is no connection at the moment.",
  timeout: "The server did not answer. Please try again.",
  unconfirmed: "The connection was lost before it was confirmed. It may have been delivered.",
};

const CLOSE_WORDS = {
  1001: "The server is going away.",
  1008: "The server did not accept the connection.",
  1011: "Something went wrong on the server.",
  1012: "The server is restarting.",
  1013: "The server is very busy.",
  4001: "This server needs you to sign in.",
  4003: "You have been banned from this server.",
  4010: "You have been removed by a moderator.",
  4100: "There are too many connections from here.",
  4101: "You sent too much in a short time.",
};

function inWords(error) { return ERROR_WORDS[error.code] ?? error.message; }

function rememberPresence(name, { status, note }) {
  if (presence.size >= PRESENCE_MAX && !presence.has(name)) presence.clear();
  presence.set(name, { status, note });
  redraw("members", "places", "head");
}

/** Follows people's presence, gathered for a moment so that a crowd coming in is one request. */
const toFollow = new Set();
let followTimer = null;
function followPresence(names) {
  for (const name of names) toFollow.add(name);
  clearTimeout(followTimer);
  followTimer = setTimeout(() => {
    const batch = [...toFollow].slice(0, 100);
    for (const name of batch) toFollow.delete(name);
    client.presence({ user_ids: batch }, true).catch(() => {});
    if (toFollow.size) followPresence([]);
  }, 200);
}

// Drawing -------------------------------------------------------------------------------------------------------------

const stale = new Set();
let drawing = false;

function redraw(...parts) {
  for (const part of parts) stale.add(part);
  if (drawing) return;
  drawing = true;
  // A hidden page gets no animation frames, and its title still has to count.
  if (document.hidden) setTimeout(draw, 200);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const parts = new Set(stale);
  stale.clear();
  if (!active || byId("app").hidden) return;
  if (parts.has("log")) drawLog();
  if (parts.has("head")) drawHead();
  if (parts.has("places")) drawPlaces();
  if (parts.has("members")) drawMembers();
  if (parts.has("typing")) drawTyping();
  if (parts.has("composer")) drawComposer();
  if (parts.has("connection")) drawConnection();
}

/** An element with a class and what is in it; text stays text. */
function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const named = (name) => element("bdi", "", name);

/** Makes the children of `parent` the nodes of `entries`, in order, moving and rebuilding as little as possible. */
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  let cursor = parent.firstElementChild;
  for (const node of nodes) {
    if (node === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(node, cursor);
  }
}

const keyed = new WeakMap();
function drawList(parent, entries, build, update) {
  const before = keyed.get(parent) ?? new Map();
  const after = new Map();
  for (const entry of entries) {
    const node = before.get(entry.key) ?? build(entry);
    update(node, entry);
    after.set(entry.key, node);
  }
  keyed.set(parent, after);
  arrange(parent, [...after.values()]);
}

const hues = new Map();
function hue(name) {
  let value = hues.get(name);
  if (value === undefined) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    value = `hue-${((hash ^ (hash >>> 13)) >>> 0) % 12}`;
    if (hues.size > PRESENCE_MAX) hues.clear();
    hues.set(name, value);
  }
  return value;
}

const segmenter = Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;
function initials(name) {
  const first = (word) => (segmenter ? segmenter.segment(word)[Symbol.iterator]().next().value?.segment : [...word][0]) ?? "";
  const words = name.split(/[\s._\-–—]+/u).filter((word) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(word));
  if (words.length === 0) return first(name) || "?";
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : "")).toLocaleUpperCase();
}

function avatar(name, extra = "") {
  const node = element("span", `avatar ${hue(name)} ${extra}`, initials(name));
  node.setAttribute("aria-hidden", "true");
  return node;
}

// The log

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const yearFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

function dayOf(ts) {
  const date = new Date(ts);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

function dayName(ts) {
  const day = dayOf(ts);
  const now = new Date();
  if (day === dayOf(now)) return "Today";
  if (day === dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return "Yesterday";
  return (new Date(ts).getFullYear() === now.getFullYear() ? dayFormat : yearFormat).format(ts);
}

function drawLog() {
  const c = active;
  const log = byId("log");
  const list = byId("messages");
  const shown = c.detached ? c.items : [...c.items, ...c.pending];
  // A bulk change (another conversation, a page of history) is not read out, only what is new at the end.
  const last = list.lastElementChild;
  const bulk = !last || !shown[0]?.node || !shown.some((item) => item.node === last);
  if (bulk) log.setAttribute("aria-live", "off");

  const anchor = c.stuck ? null : anchorOf(log, list);
  let previous = null;
  let newShown = false;
  const nodes = [];
  for (const item of shown) {
    if (!item.node) {
      item.node = item.type === "said" ? buildSaid(item) : element("li", item.type);
      item.stale = true;
    }
    if (item.stale || (item.type === "said" && item.node.classList.contains("pending") === (item.seq !== undefined))) refresh(item);
    const isNew = !newShown && c.newAfter !== null && item.type === "said" && item.seq > c.newAfter && item.epoch === c.epoch;
    newShown ||= isNew;
    dress(item, previous, isNew);
    nodes.push(item.node);
    previous = item;
  }
  arrange(list, nodes);
  drawLogStart(c);

  if (c.stuck) toEnd();
  else if (anchor?.node.isConnected) log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
  if (bulk) requestAnimationFrame(() => log.setAttribute("aria-live", "polite"));
  markRead();
  drawToLatest();
  // A page may be shorter than the screen.
  if (log.scrollHeight <= log.clientHeight + 200 && c.items.length) loadOlder();
}

/** The first message in view, and where it is: what the reader looks at stays there when the window moves. */
function anchorOf(log, list) {
  const top = log.getBoundingClientRect().top;
  const nodes = list.children;
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (nodes[middle].getBoundingClientRect().bottom <= top) low = middle + 1;
    else high = middle;
  }
  return nodes[low] ? { node: nodes[low], top: nodes[low].getBoundingClientRect().top } : null;
}

function drawLogStart(c) {
  const node = byId("log-start");
  const state = c.loading ? "loading" : c.start ? (c.gone ? "gone" : c.unknown ? "unknown" : "start") : c.items.length ? "more" : "none";
  const key = `${c.key} ${state}`;
  if (node.dataset.state === key) return;
  node.dataset.state = key;
  node.replaceChildren();
  if (state === "loading") node.append(element("p", "quiet-line", "Loading messages …"));
  if (state === "gone") node.append(element("p", "quiet-line", "Earlier messages are no longer kept."));
  if (state === "unknown") node.append(element("p", "quiet-line", "Nobody of this name has been here yet. Messages can be sent once they have."));
  if (state === "more") {
    const button = element("button", "quiet", "Show earlier messages");
    button.type = "button";
    button.addEventListener("click", loadOlder);
    node.append(button);
  }
  if (state === "start") {
    const hello = element("div", "hello");
    if (c.kind === "room") {
      hello.append(element("span", "hello-icon", icon("hash")), element("p", "hello-title", "Welcome to ", named(c.id)));
      hello.append(element("p", "hello-text", "This is the beginning of the room. Say something, or invite others with the link."));
    } else {
      hello.append(avatar(c.id, "large"), element("p", "hello-title", named(c.id)));
      hello.append(element("p", "hello-text", c.id === me ? "Notes to yourself: nobody else reads them." : "Only the two of you read what is written here."));
    }
    node.append(hello);
  }
}

function buildSaid(item) {
  const author = element("button", "author", named(item.sender));
  author.type = "button";
  author.tabIndex = -1; // the list of people is the way for the keyboard; three hundred tab stops are not
  author.dataset.person = item.sender;
  const text = element("p", "text");
  text.dir = "auto";
  write(text, item.content);
  const body = element("div", "body", element("p", "byline", author, element("time")), text);
  if (item.content.length > 2_000 || item.content.split("\n", 31).length > 30) {
    text.classList.add("long");
    const more = element("button", "quiet show-all", "Show all");
    more.type = "button";
    more.addEventListener("click", () => {
      text.classList.remove("long");
      more.remove();
    });
    body.append(more);
  }
  const node = element("li", "message", avatar(item.sender), body);
  node.classList.toggle("mine", item.sender === me);
  return node;
}

/** Brings a node in line with what became of its item: pending, refused, said. */
function refresh(item) {
  item.stale = false;
  item.dressed = undefined;
  if (item.type === "gap") return item.node.replaceChildren(element("span", "", item.text));
  if (item.type === "notice") {
    const names = item.names.slice(0, 4).map((name, i, all) => [i === 0 ? "" : i === all.length - 1 && item.names.length <= 4 ? " and " : ", ", named(name)]).flat();
    const others = item.names.length > 4 ? ` and ${item.names.length - 4} others` : "";
    return item.node.replaceChildren(element("span", "", ...names, others, item.kind === "joined" ? " joined" : " left"));
  }
  const pending = item.seq === undefined;
  const time = item.node.querySelector("time");
  time.textContent = clockFormat.format(item.ts);
  time.dateTime = new Date(item.ts).toISOString();
  time.title = fullFormat.format(item.ts);
  item.node.classList.toggle("pending", pending);
  item.node.classList.toggle("failed", Boolean(pending && item.failed));
  if (!pending) item.node.dataset.seq = item.seq;
  item.node.querySelector(".state")?.remove();
  if (!pending) return;
  const state = element("p", "state");
  if (item.failed) {
    const retry = element("button", "quiet", "Try again");
    const discard = element("button", "quiet", "Discard");
    retry.type = discard.type = "button";
    retry.addEventListener("click", () => { forget(item); client[item.entry.kind === "room" ? "say" : "direct"](item.entry.target, item.content); });
    discard.addEventListener("click", () => forget(item));
    state.append(element("span", "", `Not sent. ${item.failed}`), retry, discard);
  } else {
    state.append("Sending …");
  }
  item.node.querySelector(".body").append(state);
}

function forget(item) {
  const c = conversations.get(`${item.entry.kind}:${item.entry.target}`);
  client.discard(item.entry.id);
  c.pending.splice(c.pending.indexOf(item), 1);
  c.problem = "";
  redraw("log", "composer");
}

/** What a message wears depends on its neighbour: the day, the "New" line, whether it continues a group. */
function dress(item, previous, isNew) {
  const day = previous === null || dayOf(previous.ts) !== dayOf(item.ts) ? dayName(item.ts) : "";
  const continued = item.type === "said" && previous?.type === "said" && !day && !isNew && previous.sender === item.sender && item.ts - previous.ts < GROUP_WITHIN;
  const dressed = `${day}|${isNew}|${continued}`;
  if (item.dressed === dressed) return;
  item.dressed = dressed;
  for (const line of item.node.querySelectorAll(":scope > .line")) line.remove();
  if (isNew) item.node.prepend(element("div", "line new-line", element("span", "", "New")));
  if (day) item.node.prepend(element("div", "line day-line", element("span", "", day)));
  item.node.classList.toggle("continued", continued);
}

const ADDRESS = /https?:\/\/[^\s<>"“”„«»]+/giu;
const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*\s*){1,3}$/u;

/** Text and links. Whatever the text says, this makes text nodes and http(s) `<a>` nodes and nothing else. */
function write(node, content) {
  if (content.length <= 40 && EMOJI_ONLY.test(content)) node.classList.add("jumbo");
  let end = 0;
  let links = 0;
  for (const match of content.matchAll(ADDRESS)) {
    if (links === LINKS_MAX) break;
    const address = trimAddress(match[0]);
    let url;
    try { url = new URL(address); } catch { continue; }
    if (url.protocol !== "http:" && url.protocol !== "https:") continue;
    const link = element("a", "", address);
    link.href = url.href;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    node.append(content.slice(end, match.index), link);
    end = match.index + address.length;
    links += 1;
  }
  node.append(content.slice(end));
}

/** Punctuation after an address belongs to the sentence; a closing bracket belongs to the address only if it was opened in it. */
function trimAddress(address) {
  const opening = { ")": "(", "]": "[", "}": "{" };
  const count = (character) => address.split(character).length - 1;
  const surplus = {};
  for (const close of Object.keys(opening)) surplus[close] = count(close) - count(opening[close]);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (surplus[last] > 0) surplus[last] -= 1;
    else if (!/[.,;:!?'’…*_]/u.test(last)) break;
  }
  return address.slice(0, end);
}

function drawToLatest() {
  const away = !active.stuck || active.detached;
  const unread = active.unread;
  byId("to-latest").hidden = !away;
  byId("to-latest-text").textContent = unread > 0 ? `${unread} new ${unread === 1 ? "message" : "messages"}` : "Latest messages";
}

let lastTop = 0;
function toEnd() {
  const log = byId("log");
  log.scrollTop = log.scrollHeight;
  lastTop = log.scrollTop;
}

byId("log").addEventListener("scroll", () => {
  const c = active;
  if (!c) return;
  const log = byId("log");
  const below = log.scrollHeight - log.scrollTop - log.clientHeight;
  // Only scrolling up lets go of the end: a composer that grows also leaves something below.
  if (below < 40) c.stuck = !c.detached;
  else if (log.scrollTop < lastTop) c.stuck = false;
  lastTop = log.scrollTop;
  if (c.stuck) markRead();
  if (log.scrollTop < 400) loadOlder();
  if (below < 400 && c.detached) loadNewer();
  drawToLatest();
}, { passive: true });

byId("messages").addEventListener("click", (event) => {
  const author = event.target.closest(".author");
  if (author) open("person", author.dataset.person);
});

byId("to-latest").addEventListener("click", () => {
  toLatest();
  byId("composer-input").focus();
});

// The end stays in view when the keyboard of a phone opens or the composer grows.
new ResizeObserver(() => { if (active?.stuck) toEnd(); }).observe(byId("log"));

// Around it

function statusOf(name) { return presence.get(name)?.status ?? "offline"; }
const STATUS_WORDS = { online: "online", away: "away", busy: "busy", offline: "offline" };

function drawHead() {
  const c = active;
  const title = byId("title");
  if (c.kind === "room") title.replaceChildren(icon("hash"), named(c.id));
  else title.replaceChildren(element("span", `presence ${statusOf(c.id)}`), named(c.id));
  byId("topic").textContent = c.kind === "room" ? c.topic : c.id === me ? "Notes to yourself" : presence.get(c.id)?.note ?? STATUS_WORDS[statusOf(c.id)] ?? statusOf(c.id);
  byId("people-count").textContent = c.kind === "room" ? String(c.count) : "";
  byId("open-details").classList.toggle("uncounted", c.kind !== "room");
  byId("copy-link").hidden = c.kind !== "room";
  byId("leave-text").textContent = c.kind === "room" ? "Leave room" : "Close conversation";
  const where = c.kind === "room" ? `Message to the room ${c.id}` : `Message to ${c.id}`;
  byId("composer-label").textContent = where;
  byId("composer-input").placeholder = c.kind === "room" ? `Message #${c.id}` : `Message ${c.id}`;
}

function placeButton(entry) {
  const button = element("button", "place");
  button.type = "button";
  return element("li", "", button);
}

function updatePlace(node, { c }) {
  const button = node.firstElementChild;
  const current = c === active;
  const state = `${current} ${document.hidden} ${c.unread} ${c.kind === "person" ? statusOf(c.id) : ""}`;
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  const mark = c.kind === "room" ? element("span", "place-hash", icon("hash")) : element("span", "avatar-box", avatar(c.id, "small"), element("span", `presence ${statusOf(c.id)}`));
  button.replaceChildren(mark, element("bdi", "place-name", c.id));
  if (c.unread > 0 && !(current && !document.hidden)) {
    const badge = element("span", "badge", c.unread > 99 ? "99+" : String(c.unread), element("span", "sr-only", " unread"));
    button.append(badge);
    button.classList.add("unread");
  } else {
    button.classList.remove("unread");
  }
  if (current) button.setAttribute("aria-current", "page");
  else button.removeAttribute("aria-current");
  button.onclick = () => open(c.kind, c.id);
}

function drawPlaces() {
  const entry = (c) => ({ key: c.key, c });
  const byName = (a, b) => a.id.localeCompare(b.id);
  drawList(byId("room-list"), rooms().sort(byName).map(entry), placeButton, updatePlace);
  drawList(byId("person-list"), people().sort((a, b) => (b.unread > 0) - (a.unread > 0) || byName(a, b)).map(entry), placeButton, updatePlace);
  byId("person-empty").hidden = people().length > 0;
  const others = publicRooms.filter((room) => !conversations.has(`room:${room.room_id}`)).slice(0, 20);
  byId("public-section").hidden = others.length === 0;
  drawList(byId("public-list"), others.map((room) => ({ key: room.room_id, room })), placeButton, updatePublic);
  const elsewhere = [...conversations.values()].reduce((sum, c) => sum + (c === active ? 0 : c.unread), 0);
  byId("places-badge").hidden = elsewhere === 0;
  byId("open-places").setAttribute("aria-label", elsewhere ? `Rooms and direct messages, ${elsewhere} unread` : "Rooms and direct messages");
  const total = elsewhere + (document.hidden ? active.unread : 0);
  document.title = `${total ? `(${total > 99 ? "99+" : total}) ` : ""}${active.id} · Salon`;
}

function updatePublic(node, { room }) {
  const button = node.firstElementChild;
  const state = String(room.members);
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  button.replaceChildren(element("span", "place-hash", icon("hash")), element("bdi", "place-name", room.room_id));
  if (room.members) button.append(element("span", "place-members", String(room.members), element("span", "sr-only", room.members === 1 ? " person" : " people")));
  button.title = `Join ${room.room_id}`;
  button.onclick = () => {
    if (byId("finder").open) byId("finder").close();
    open("room", room.room_id);
  };
}

function drawMembers() {
  const c = active;
  const names = c.kind === "room" ? [...c.members] : [...new Set([me, c.id])];
  const rank = { online: 0, busy: 1, away: 2, offline: 3 };
  names.sort((a, b) => (rank[statusOf(a)] ?? 0) - (rank[statusOf(b)] ?? 0) || a.localeCompare(b));
  const count = c.kind === "room" ? Math.max(c.count, names.length) : names.length;
  const shown = names.slice(0, MEMBERS_SHOWN);
  byId("details-title").textContent = c.kind === "room" ? `People · ${count}` : "People";
  byId("members-more").textContent = count > shown.length ? `and ${count - shown.length} more` : "";
  drawList(byId("members"), shown.map((name) => ({ key: name, name })), ({ name }) => {
    const button = element("button", "member");
    button.type = "button";
    button.addEventListener("click", () => { open("person", name); byId("composer-input").focus(); });
    return element("li", "", button);
  }, (node, { name }) => {
    const { note } = presence.get(name) ?? {};
    const status = c.kind === "room" && !presence.has(name) ? "online" : statusOf(name);
    const state = `${status} ${note ?? ""} ${name === me}`;
    if (node.dataset.state === state) return;
    node.dataset.state = state;
    const button = node.firstElementChild;
    const words = element("span", "member-words", element("bdi", "member-name", name));
    if (name === me) words.append(element("span", "you", "you"));
    words.append(element("span", note || status !== "online" ? "member-note" : "sr-only", note || (STATUS_WORDS[status] ?? status)));
    button.replaceChildren(element("span", "avatar-box", avatar(name, "medium"), element("span", `presence ${status}`)), words);
    button.classList.toggle("offline", status === "offline");
    button.title = name === me ? "Notes to yourself" : `Write to ${name}`;
  });
}

function drawTyping() {
  const now = Date.now();
  let next = Infinity;
  for (const [name, until] of active.typing) {
    if (until <= now) active.typing.delete(name);
    else next = Math.min(next, until);
  }
  const names = [...active.typing.keys()];
  const node = byId("typing");
  node.replaceChildren();
  node.classList.toggle("someone", names.length > 0);
  if (names.length) {
    const dots = element("span", "typing-dots", element("span"), element("span"), element("span"));
    dots.setAttribute("aria-hidden", "true");
    node.append(dots);
    if (names.length === 1) node.append(element("span", "", named(names[0]), " is typing"));
    else if (names.length === 2) node.append(element("span", "", named(names[0]), " and ", named(names[1]), " are typing"));
    else node.append(element("span", "", `${names.length} people are typing`));
    setTimeout(() => redraw("typing"), next - now + 20);
  }
}

function drawMe() {
  byId("me-name").textContent = me || "…";
  const node = byId("me-avatar");
  node.className = `avatar ${hue(me)}`;
  node.textContent = initials(me);
}

// The connection

let countdown = null;
function drawConnection() {
  clearTimeout(countdown);
  const { state, code, reason, retryAt } = connection;
  const app = byId("app");
  const banner = byId("banner");
  const button = byId("try-now");
  app.dataset.connection = state;
  byId("link-state").textContent = { connected: "Connected", connecting: "Connecting", waiting: "Reconnecting", closed: "Disconnected" }[state] ?? "";
  const why = CLOSE_WORDS[code] ?? "";
  let text = "";
  let spoken = "";
  button.hidden = state === "connecting";
  button.textContent = "Try now";
  if (state === "connected") {
    spoken = "Connected";
  } else if (state === "connecting") {
    text = spoken = everConnected ? "Reconnecting …" : "Connecting …";
  } else if (state === "waiting") {
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    spoken = `${why || (everConnected ? "The connection was lost." : "The server cannot be reached.")} Reconnecting.`;
    text = `${why || (everConnected ? "Connection lost." : "The server cannot be reached.")} Reconnecting ${seconds ? `in\u00A0${seconds}\u00A0s` : "now"}\u00A0…`;
    countdown = setTimeout(() => redraw("connection"), 500);
  } else if (state === "closed") {
    text = spoken = `Disconnected. ${why || reason || ""}`;
    button.textContent = "Connect again";
  }
  banner.hidden = state === "connected" || state === "idle";
  if (byId("banner-text").textContent !== text) byId("banner-text").textContent = text;
  if (byId("connection-status").textContent !== spoken) byId("connection-status").textContent = spoken;
}

byId("try-now").addEventListener("click", () => {
  client.connect();
  byId("composer-input").focus();
});

// The browser's word about the network is a hint, not a fact (a server on this machine needs none): ask the server.
for (const name of ["online", "offline"]) window.addEventListener(name, () => client?.probe());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (active?.unread === 0) active.newAfter = null;
  } else {
    client?.probe();
    redraw("log", "places");
    if (client?.state === "connected") refreshPublicRooms();
  }
});
setInterval(() => {
  redraw("log"); // "Today" becomes "Yesterday"
  if (client?.state === "connected" && !document.hidden && !narrow.matches) refreshPublicRooms();
}, 60_000);

// The composer --------------------------------------------------------------------------------------------------------

const input = byId("composer-input");
let typingSent = 0; // when the server was last told that we are typing, wherever that was
let typingTold = false; // whether it takes us to be typing still
let typingTimer = 0;

function contentProblem(content) {
  const most = client.limits.content_bytes ?? 16_384;
  const bytes = new TextEncoder().encode(content).length;
  return bytes > most ? `That is ${(bytes - most).toLocaleString()} bytes longer than a message can be.` : "";
}

function drawComposer() {
  const tooLong = contentProblem(input.value);
  byId("send").disabled = input.value.trim() === "" || Boolean(tooLong);
  const problem = tooLong || active.problem;
  if (byId("composer-problem").textContent !== problem) byId("composer-problem").textContent = problem;
}

/** For browsers without `field-sizing: content`. */
const sizesItself = CSS.supports("field-sizing", "content");
function growComposer() {
  if (!sizesItself) input.rows = Math.min(8, input.value.split("\n").length);
}

function sendTyping(typing) {
  clearTimeout(typingTimer);
  if (!typing) {
    if (typingTold) client.typing(active.target, false);
    typingTold = false;
    return;
  }
  const wait = typingSent + TYPING_EVERY - Date.now();
  if (wait <= 0) {
    typingSent = Date.now();
    typingTold = true;
    client.typing(active.target, true);
  } else if (!typingTold) {
    // The server passes on one in three seconds; who has just sent a message and writes the next is seen a little later.
    typingTimer = setTimeout(() => sendTyping(input.value.trim() !== ""), wait);
  }
}

input.addEventListener("input", () => {
  growComposer();
  active.problem = "";
  sendTyping(input.value.trim() !== "");
  redraw("composer");
});

input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = input.value.replace(/\s+$/u, "");
  if (content.trim() === "" || contentProblem(content)) return;
  if (active.detached) toLatest();
  if (active.kind === "room" && !client.has(active.id)) enterRoom(active);
  active.stuck = true;
  active.newAfter = null;
  const entry = active.kind === "room" ? client.say(active.id, content) : client.direct(active.id, content);
  if (entry) {
    input.value = "";
    active.problem = "";
    typingTold = false; // the server ends "is typing" with the message
    clearTimeout(typingTimer);
  } else {
    active.problem = "Too many messages are waiting to be sent.";
  }
  growComposer();
  redraw("composer", "log");
  input.focus();
});

// Drawers, the finder, keys -------------------------------------------------------------------------------------------

const narrow = matchMedia("(max-width: 759px)"); // the rooms are a drawer; the same widths stand in app.css
const medium = matchMedia("(max-width: 1119px)"); // the people are one
const isDrawer = { places: () => narrow.matches, details: () => medium.matches };
let openedFrom = null;

function openDrawer(id) {
  closeDrawers();
  if (!isDrawer[id]()) return;
  openedFrom = document.activeElement;
  byId("app").dataset.drawer = id;
  byId("conversation").inert = true;
  for (const other of ["places", "details"]) byId(other).inert = other !== id;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "true");
  byId(id).querySelector("button").focus();
  if (id === "places" && client.state === "connected") refreshPublicRooms();
}

function closeDrawers() {
  const id = byId("app").dataset.drawer;
  if (!id) return;
  delete byId("app").dataset.drawer;
  for (const part of ["conversation", "places", "details"]) byId(part).inert = false;
  document.querySelector(`[data-open=${id}]`).setAttribute("aria-expanded", "false");
  openedFrom?.focus();
  openedFrom = null;
}

for (const button of document.querySelectorAll("[data-open]")) button.addEventListener("click", () => openDrawer(button.dataset.open));
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", closeDrawers);
byId("backdrop").addEventListener("click", closeDrawers);
narrow.addEventListener("change", closeDrawers);
medium.addEventListener("change", closeDrawers);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  input.focus();
});

document.addEventListener("keydown", (event) => {
  if (byId("app").hidden || byId("finder").open) return;
  if (event.key === "Escape") closeDrawers();
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const all = [...document.querySelectorAll("#room-list .place, #person-list .place")];
    const at = all.findIndex((button) => button.hasAttribute("aria-current"));
    all.at((at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length)?.click();
    input.focus();
  }
});

let finding = "room";
let peopleHere = [];
function openFinder(kind) {
  finding = kind;
  const forRoom = kind === "room";
  byId("finder-title").textContent = forRoom ? "Join or create a room" : "Write to somebody";
  byId("finder-label").textContent = forRoom ? "Name of the room" : "Name of the person";
  byId("finder-submit").textContent = forRoom ? "Join" : "Write";
  byId("finder-list-title").textContent = forRoom ? "Rooms you can join" : "Here now";
  byId("finder-input").value = "";
  byId("finder-problem").textContent = "";
  keyed.delete(byId("finder-list"));
  byId("finder-list").replaceChildren();
  byId("finder").showModal();
  byId("finder-input").focus();
  drawFinder();
  const fetched = forRoom ? refreshPublicRooms() : client.online({ limit: 200 }).then((page) => { peopleHere = page.users; }).catch(() => {});
  fetched.then(drawFinder);
}

/** The list under the field: what there was when the finder opened, narrowed by what is typed. */
function drawFinder() {
  const wanted = byId("finder-input").value.trim().toLocaleLowerCase();
  const matches = (name) => name.toLocaleLowerCase().includes(wanted);
  let entries;
  if (finding === "room") {
    entries = publicRooms.filter((room) => !conversations.has(`room:${room.room_id}`) && matches(room.room_id)).map((room) => ({ key: room.room_id, room }));
    drawList(byId("finder-list"), entries, placeButton, updatePublic);
  } else {
    entries = peopleHere.filter((name) => name !== me && matches(name)).map((name) => ({ key: name, name }));
    drawList(byId("finder-list"), entries, placeButton, (node, { name }) => {
      const button = node.firstElementChild;
      if (button.childElementCount > 0) return;
      button.append(element("span", "avatar-box", avatar(name, "small"), element("span", `presence ${presence.get(name)?.status ?? "online"}`)), element("bdi", "place-name", name));
      button.onclick = () => {
        byId("finder").close();
        open("person", name);
        input.focus();
      };
    });
  }
  byId("finder-list-title").hidden = entries.length === 0;
}

byId("add-room").addEventListener("click", () => openFinder("room"));
byId("add-person").addEventListener("click", () => openFinder("person"));
byId("finder-close").addEventListener("click", () => byId("finder").close());
byId("finder-input").addEventListener("input", drawFinder);
byId("finder").addEventListener("click", (event) => { if (event.target === byId("finder")) byId("finder").close(); });
byId("finder-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("finder-input").value.trim();
  const problem = nameProblem(name);
  byId("finder-problem").textContent = problem ?? "";
  if (problem) return;
  byId("finder").close();
  open(finding, name);
  input.focus();
});

byId("copy-link").addEventListener("click", async () => {
  const link = new URL(`#${new URLSearchParams({ room: active.id })}`, location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    byId("copy-link-text").textContent = "Link copied";
  } catch {
    window.prompt("The invitation link:", link); // pages without TLS have no clipboard
  }
  setTimeout(() => { byId("copy-link-text").textContent = "Copy invitation link"; }, 2_500);
});

byId("me-status").addEventListener("change", (event) => {
  myStatus = event.target.value;
  presence.set(me, { status: myStatus });
  if (client.state === "connected") client.status(myStatus).catch((error) => { active.problem = inWords(error); redraw("composer"); });
  redraw("members");
});

window.addEventListener("hashchange", () => {
  const { room, person, name } = addressed();
  if (byId("app").hidden) return openDoor();
  if (name && name !== me) { client.close(); return openDoor(); }
  if (person && !nameProblem(person)) open("person", person);
  else if (room && !nameProblem(room)) open("room", room);
});

// Coming in: a known name goes straight to the chat; a name in the link that is not ours is only proposed.
{
  const { name, room, person, token: given } = addressed();
  const token = sessionToken(given ?? undefined);
  const known = stored("salon.name");
  const roomOk = room && !nameProblem(room) ? room : undefined;
  if (token) enter({ token, room: roomOk, person });
  else if (typeof known === "string" && !nameProblem(known) && (!name || name === known)) enter({ name: known, room: roomOk, person });
  else openDoor();
}
