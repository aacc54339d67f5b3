/**
 * Pages of history from the server: the window of a conversation moves, and conversations with a person catch up.
 */
import { active, answersAreStale, client, confirmHere, conversation, conversations, me, messageAt, readUpTo, restartedHere, said, takeAnew, takeDirect, takePage } from "./conversations.js";
import { redraw } from "./drawing.js";
import { t } from "./language.js";
import { keptPlaces } from "./storage.js";

export const PAGE = 50;
const TALKS_MAX = 100; // conversations that are listed, the latest
const TALKS_WITHIN = 2_000;
const LOADING_LOOKS = 60; // a page that is on its way is waited for, for three seconds
const PAUSE = 3_000; // after a page of history was refused

/** Reads the messages to and from a person since we last knew. Live messages wait until that is done. */
export async function syncPerson(c, again = false) {
  if (c.syncing || client.state !== "connected") return;
  const before = c.unread;
  c.syncing = true;
  c.loading = true;
  redraw("log");
  try {
    const after = c.lastSeq;
    let page = await client.history(c.target, c.epoch && after ? { after, limit: 200 } : { limit: PAGE });
    // What is here already, as it stands now.
    if (c.epoch === page.epoch && c.items.length) takeAnew(c, await client.history(c.target, { limit: PAGE }));
    if (c.epoch && page.epoch !== c.epoch) {
      restartedHere(c);
      page = after ? await client.history(c.target, { limit: PAGE }) : page;
    } else if (c.epoch && after && page.next !== undefined) {
      // Too much was said meanwhile: begin with the newest page again, but for somebody who reads elsewhere.
      c.detached = c === active && !c.stuck;
      if (!c.detached) c.items = [];
      page = await client.history(c.target, { limit: PAGE });
    }
    if (c.readSeq === undefined && !c.talk) await caughtUp;
    if (c.talk) takeTalk(c, c.talk);
    const fresh = c.items.length === 0;
    c.epoch = page.epoch;
    takePage(c, page, { meanwhile: true });
    // An epoch begins with its first message. While there is none, it is nothing to hold the server to.
    if (c.lastSeq === 0) c.epoch = null;
    if (fresh) c.start = page.next === undefined;
    // A reader who had read nothing yet has read nothing of the later messages, whichever epoch they began.
    if (c.readSeq === undefined) {
      c.readSeq = c.storedEpoch === page.epoch || c.storedRead === 0 ? c.storedRead : c.lastSeq;
      c.counted = 0;
      for (const message of page.items) c.countUnread(message);
    }
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
  // The first message came while it was asked: only now it is known of which epoch it is.
  if (c.synced && c.epoch === null && c.buffer.length && !again) return syncPerson(c, true);
  if (c.talk) takeTalk(c, c.talk);
  for (const message of c.buffer.splice(0)) {
    if (c.synced) takeDirect(c, message);
    else if (message.sender === me) confirmHere(c, message); // the next sync brings it
  }
  showMissed(c, before);
  redraw("log", "places", "head", "composer");
}

let caughtUp = Promise.resolve();

/**
 * Reads which conversations there are and what is unread in them, from while we were away and from other devices. Their
 * messages are read when they are opened. Nothing waits long for a server that does not say it.
 */
export function catchUp() {
  looks = CALLS_ALL;
  caughtUp = Promise.race([readTalks(), new Promise((resolve) => setTimeout(resolve, TALKS_WITHIN))]);
  return caughtUp;
}

async function readTalks() {
  const salon = client;
  // Those that were closed here are opened again by something new.
  const closed = new Map(keptPlaces(me).left.map(([key, at, , seq]) => [key, { at, seq }]));
  let listed = 0;
  let cursor;
  try {
    do {
      const page = await salon.talks({ limit: TALKS_MAX, cursor });
      if (salon !== client) return;
      for (const talk of page.conversations) {
        const key = `person:${talk.user_id}`;
        const before = closed.get(key);
        if (!conversations.has(key) && before && (talk.unread === 0 || (talk.seq <= before.seq && talk.ts <= before.at))) continue;
        const c = conversation("person", talk.user_id);
        c.lastAt = talk.ts;
        // Its history says whether it is of the same epoch.
        if (c.syncing || (c.epoch !== null && !c.synced)) c.talk = talk;
        else takeTalk(c, talk);
      }
      listed += page.conversations.length;
      cursor = page.next;
    } while (cursor !== undefined && listed < TALKS_MAX);
  } catch { /* there is no such list for this person, or the next connection asks again */ }
  redraw("places");
}

function takeTalk(c, talk) {
  const before = c.unread;
  c.talk = null;
  if (c.storedHeld && c.readSeq === undefined && c.storedRead < talk.read) {
    Object.assign(c, { readSeq: c.storedRead, told: talk.read, held: c !== active }); // its history is counted
  } else {
    c.takeMark(talk);
  }
  showMissed(c, before);
}

/**
 * Something was said in the conversation on screen that its reader has not been led to: without a connection the page
 * may be in view, and its reader away. One who was at the end is led there; one who reads elsewhere stays there. So
 * much was unread before.
 */
export function showMissed(c, before = c.unread) {
  if (c !== active || c.unread === 0 || c.held) return;
  if (c.stuck) c.markNew();
  else if (c.newAfter === null || before === 0) c.drawNew();
}

const CALLS_PAGE = 200; // messages in a page that is looked through for calls
const CALLS_PAGES = 5; // of a room: the server counts no further
const CALLS_ALL = 50; // of all rooms of a connection
const CALLS_EVERY = 250; // between two pages

let looks = 0; // that are left
let looking = Promise.resolve();

/**
 * Unread messages that the window of a room does not hold may call the reader: they are looked through for that, one
 * page after the other, and not kept. Where they are not to be had, the badge counts what is known, with a "+".
 */
export function lookForCalls(c) {
  c.unlooked = 0;
  if (c.unread === 0 || c.firstUnread) return;
  c.unlooked = c.firstSaid?.epoch === c.epoch ? c.firstSaid.seq : c.lastSeq + 1;
  redraw("places");
  looking = looking.then(() => lookThrough(c)).catch(() => {});
}

async function lookThrough(c) {
  const [salon, { epoch }] = [client, c];
  for (let pages = CALLS_PAGES; pages > 0 && looks > 0 && c.mayCallMore; pages -= 1) {
    looks -= 1;
    const page = await salon.history(c.target, { before: c.unlooked, limit: CALLS_PAGE, epoch });
    if (salon !== client || epoch !== c.epoch) return;
    for (const message of page.items) if (message.sender !== me && !message.deleted && message.seq > c.readSeq) c.noteCall(message);
    c.unlooked = page.next ?? 0;
    redraw("places");
    await new Promise((resolve) => setTimeout(resolve, CALLS_EVERY));
  }
}

/**
 * Moves the window to the messages around one. Returns whether they were to be had; undefined, if that could not be
 * asked. What comes meanwhile is behind the window, until the reader gets there.
 */
export async function goAround(c, seq) {
  for (let n = 0; c.loading && n < LOADING_LOOKS; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  if (c.loading || client.state !== "connected") return undefined;
  const before = c.detached;
  c.loading = c.detached = true;
  c.stuck = c.sought = false;
  redraw("log");
  let done;
  try {
    const gone = ({ code }) => {
      if (code !== "history_gone") throw new Error(code);
      return { items: [], gap: true };
    };
    const [older, newer] = await Promise.all([client.history(c.target, { before: seq + 1, limit: PAGE }).catch(gone), client.history(c.target, { after: seq, limit: PAGE })]);
    done = false;
    if (newer.epoch === c.epoch) {
      c.items = [...older.items, ...newer.items].map((message) => said(message, newer.epoch));
      c.start = older.next === undefined;
      c.gone = c.start && older.gap !== undefined;
      c.detached = newer.next !== undefined || c.passed > (c.lastSaid?.seq ?? 0);
      done = c.items.length > 0;
    }
  } catch {
    pause(c);
  }
  if (!done) c.detached = before || c.passed > (c.lastSaid?.seq ?? 0);
  c.loading = false;
  redraw("log");
  return done;
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
    if (page.epoch === c.epoch && c.firstSaid === first) { // the window may be elsewhere by now
      const older = page.items.filter((m) => m.seq < first.seq).map((m) => said(m, page.epoch));
      c.items.unshift(...older);
      c.start = page.next === undefined;
      c.gone = c.start && page.gap !== undefined;
      c.trim("newest");
    }
  } catch (error) {
    if (error.code !== "history_gone") pause(c);
    else if (c.firstSaid === first) c.start = c.gone = true;
  }
  c.loading = false;
  redraw("log");
}

export async function loadNewer() {
  const c = active;
  if (c.loading || !c.detached || client.state !== "connected" || performance.now() < c.pausedUntil) return;
  const last = c.lastSaid;
  if (!last) return toLatest();
  // Behind the end of an epoch the next one begins.
  const anew = last.epoch !== c.epoch;
  c.loading = true;
  try {
    const page = await client.history(c.target, { after: anew ? 0 : last.seq, limit: PAGE });
    if (page.epoch === c.epoch && c.lastSaid === last) {
      if (anew && c.items.at(-1).type !== "gap") c.items.push({ type: "gap", text: t("newHistory"), ts: Date.now() });
      takePage(c, page);
      // Live messages passed by while we were away from the end; we are back when nothing is missing up to the last of
      // them.
      if (page.next === undefined && (c.lastSaid?.seq ?? 0) >= c.passed) c.detached = false;
      c.trim("oldest");
    }
  } catch {
    pause(c);
  }
  c.loading = false;
  redraw("log");
}

/** Shows the end of the conversation on screen and follows it. */
export function toLatest() {
  active.follow();
  return loadLatest();
}

/**
 * Puts the newest messages into a window that is elsewhere. Until they are there, and where they are not to be had, it
 * stays what it was.
 */
export async function loadLatest() {
  const c = active;
  // What cannot be asked for now, or waits for another page, is asked for by a later draw.
  if (c.detached && !c.loading && client.state === "connected" && performance.now() >= c.pausedUntil) {
    c.loading = true;
    redraw("log");
    try {
      const page = await client.history(c.target, { limit: PAGE });
      if (page.epoch !== c.epoch) throw new Error(page.epoch);
      c.items = [];
      c.detached = false;
      takePage(c, page);
      if (c.passed > c.lastSaid?.seq) c.detached = true; // by what came meanwhile
      c.start = page.next === undefined;
      c.gone = false;
    } catch {
      pause(c);
    }
    c.loading = false;
  }
  redraw("log");
}

/** A page was refused: none is asked for for a while. A view that waits for one asks again. */
function pause(c) {
  c.pausedUntil = performance.now() + PAUSE;
  setTimeout(() => redraw("log"), PAUSE);
}

const QUOTES_MAX = 300; // messages that are answered, kept of a conversation

/**
 * A message that another one answers, or that is written anew: from the window or from the server. Undefined until it
 * is known. One of an epoch that has ended may still be in the window, and is to be had nowhere else.
 */
export function quoted(c, { seq, epoch }) {
  const item = messageAt(c, { seq, epoch });
  if (item) return item;
  if (epoch === null || epoch !== c.epoch) return { deleted: true };
  if (c.quotes.has(seq)) return c.quotes.get(seq) ?? undefined;
  if (client.state !== "connected") return undefined;
  if (c.quotes.size >= QUOTES_MAX) c.quotes.delete(c.quotes.keys().next().value);
  c.quotes.set(seq, null);
  client.history(c.target, { before: seq + 1, limit: 1, epoch }).then(({ items: [found], ...page }) => {
    if (page.epoch === c.epoch) c.quotes.set(seq, found?.seq === seq ? found : { deleted: true });
  }, ({ code }) => {
    if (c.epoch !== epoch) return;
    if (code === "history_gone") c.quotes.set(seq, { deleted: true });
    else c.quotes.delete(seq);
  }).then(() => {
    answersAreStale(c, { seq, epoch });
    if (c === active) redraw("log", "composer");
  });
  return undefined;
}
