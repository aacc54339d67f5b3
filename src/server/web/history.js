/**
 * Pages of history from the server: the window of a conversation moves, and conversations with a person catch up.
 */
import { active, client, confirmHere, conversation, conversations, keptPlaces, me, readUpTo, restartedHere, rooms, said, takeDirect, takePage } from "./conversations.js";
import { redraw } from "./drawing.js";

export const PAGE = 50;
const LETTERS_FROM = 40; // people who are asked about
const LETTERS_EVERY = 500; // so that it costs little of what may be sent
const PAUSE = 3_000; // after a page of history was refused

/** Reads the messages to and from a person since we last knew. Live messages wait until that is done. */
export async function syncPerson(c) {
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
    takePage(c, page);
    // An epoch begins with its first message. While there is none, it is nothing to hold the server to.
    c.epoch = c.lastSeq > 0 ? page.epoch : null;
    if (fresh) c.start = page.next === undefined;
    // A reader who had read nothing yet has read nothing of the later messages, whichever epoch they began.
    if (c.readSeq === undefined) c.readSeq = c.storedEpoch === page.epoch || c.storedRead === 0 ? c.storedRead : c.lastSeq;
    c.storedEpoch = page.epoch;
    // Nobody else spoke before it.
    for (const { sender, seq } of page.items) if (sender === me && seq === c.readSeq + 1) readUpTo(c, seq);
    // Messages that we sent from another device meanwhile; if the outbox holds something, they may be from this one.
    const mine = page.items.findLast(({ sender }) => sender === me);
    if (mine && c.pending.length === 0) readUpTo(c, mine.seq);
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
  if (c === active && c.newAfter === null && c.unread > 0) c.markNew();
  redraw("log", "places", "head");
}

let asking = null; // the client whose letters are looked for
const asked = new Set();

/**
 * Looks for messages of people with whom we have no conversation, from while we were away. The server has no list of
 * them, and can be asked about one name at a time. We ask about each person who is here now, once; others show up when
 * they write again.
 */
export async function lookForLetters() {
  const salon = client;
  if (asking === salon) return;
  if (asking === null || asking.userId !== salon.userId) asked.clear();
  asking = salon;
  try {
    const names = new Set();
    for (const room of rooms()) for (const name of room.members) names.add(name);
    for (const name of (await salon.online({ limit: LETTERS_FROM })).users) names.add(name);
    // Not to be opened again but for something new.
    const closed = new Map(keptPlaces(me).left.map(([key, , epoch, seq]) => [key, { epoch, seq }]));
    for (const name of names) {
      if (asked.size >= LETTERS_FROM || salon !== client || salon.state !== "connected") break;
      if (name === me || asked.has(name) || conversations.has(`person:${name}`)) continue;
      await new Promise((resolve) => setTimeout(resolve, LETTERS_EVERY));
      const page = await salon.history({ user_id: name }, { limit: 1 }).catch(({ code }) => ({ items: [], failed: code !== "user_not_found" }));
      if (page.failed) continue;
      asked.add(name);
      if (page.items.length === 0 || conversations.has(`person:${name}`) || salon !== client) continue;
      const before = closed.get(`person:${name}`);
      const known = before?.epoch === page.epoch ? before.seq : 0;
      if (page.items[page.items.length - 1].seq <= known) continue;
      const c = conversation("person", name);
      c.readSeq = known; // read up to our own last message too, which the page of history shows
      await syncPerson(c);
    }
  } catch { /* the next connection looks again */ }
  if (asking === salon) asking = null;
}

export async function loadOlder() {
  const c = active;
  const first = c.firstSaid;
  if (c.loading || c.start || client.state !== "connected" || !first || performance.now() < c.pausedUntil) return;
  if (first.epoch !== c.epoch) {
    c.start = true; // older messages were of an epoch that the server has forgotten
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
    else c.pausedUntil = performance.now() + PAUSE;
  }
  c.loading = false;
  redraw("log");
}

export async function loadNewer() {
  const c = active;
  if (c.loading || !c.detached || client.state !== "connected" || performance.now() < c.pausedUntil) return;
  const last = c.lastSaid;
  if (!last || last.epoch !== c.epoch) return toLatest();
  c.loading = true;
  try {
    const page = await client.history(c.target, { after: last.seq, limit: PAGE });
    if (page.epoch === c.epoch) {
      takePage(c, page);
      // Live messages passed by while we were away from the end; we are back when nothing is missing up to the last of
      // them.
      if (page.next === undefined && (c.lastSaid?.seq ?? 0) >= c.lastSeq) c.detached = false;
      c.trim("oldest");
    }
  } catch {
    c.pausedUntil = performance.now() + PAUSE;
  }
  c.loading = false;
  redraw("log");
}

export async function toLatest() {
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
