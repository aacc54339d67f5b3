/**
 * Text that has not arrived: drafts, also those of dialogs, messages on the outbox, and refused messages. The browser
 * keeps them, so that neither a reload nor a closed tab loses them.
 *
 * Each load of the page keeps a record of its own, so that tabs do not overwrite each other. A record that its page has
 * closed, or that no page has touched for a while (a browser that was killed), is taken over by the next page of the
 * same person. A message keeps its id, and so is said once, whichever page sends it.
 */
import { allBegun, letGoOfAllBegun, takeBegun } from "./begun.js";
import { nameFault, uuid } from "./client.js";
import { t } from "./language.js";
import { active, client, conversation, conversations, me } from "./conversations.js";
import { redraw } from "./drawing.js";
import { forget, keysOf, store, stored } from "./storage.js";

const PREFIX = "salon.unsent:";
const SAVE_AFTER = 150;
const TOUCH_EVERY = 20_000;
const STALE_AFTER = 150_000; // more than browsers let a timer of a hidden page wait
const RECORDS_MAX = 50; // records of people who have not come back; past them the oldest are forgotten
const DRAFT_CHARACTERS = 100_000;

const key = `${PREFIX}${uuid()}`;
let timer = null;
let kept = true; // the record is up to date
let holds = false; // there is a record of this page
let taken = false; // another page has it now

/** Text was written, sent or confirmed: the record is written in a moment. */
export function keepUnsent() {
  timer ??= setTimeout(save, SAVE_AFTER);
}

function record(closed) {
  const drafts = [];
  const refused = [];
  for (const c of conversations.values()) {
    if (c.draft.trim() !== "" || c.reply || c.editing) drafts.push([c.kind, c.id, [c.behind, c.draft].filter(Boolean).join("\n").slice(0, DRAFT_CHARACTERS), contextOf(c)]);
    for (const { entry, failed } of c.pending) if (failed) refused.push({ ...bare(entry), failed });
  }
  return { name: me, at: Date.now(), closed, drafts, begun: allBegun(), refused, outbox: client?.outbox.map(bare) ?? [] };
}

/** What a draft answers or was about, and the message that is written anew in its place; of others it keeps no text. */
function contextOf({ reply, editing, lost }) {
  if (!reply && !editing && !lost) return undefined;
  return { reply, lost, editing: editing && { ...editing, text: editing.text.slice(0, DRAFT_CHARACTERS) } };
}

const bare = ({ id, kind, target, content, reply_to, epoch, queuedAt, firstSent }) => ({ id, kind, target, content, reply_to, epoch, queuedAt, firstSent });
const isEmpty = ({ drafts, begun: fields, refused, outbox }) => drafts.length + fields.length + refused.length + outbox.length === 0;

function save(closed = false) {
  clearTimeout(timer);
  timer = null;
  if (!client || taken) return;
  redraw("places");
  const now = record(closed);
  if (isEmpty(now)) {
    forget(key);
    kept = true;
    holds = false;
  } else {
    kept = holds = store(key, now);
  }
}

/**
 * A page that stood still may find that another one has taken over its record and sends what is in it. Then it begins
 * anew, without that.
 */
function beginAnewIfTaken() {
  if (!client || !holds || stored(key) !== null) return false;
  taken = true;
  location.reload();
  return true;
}

/** The person has gone out. Unsent text waits until they come in again, or is forgotten. */
export function letGoOfUnsent({ forgotten = false } = {}) {
  if (!forgotten) save(true);
  letGoOfAllBegun();
  if (forgotten) {
    clearTimeout(timer);
    timer = null;
    for (const one of keysOf(PREFIX)) if (one === key || stored(one)?.name === me) forget(one);
    holds = false;
    return;
  }
  // The record stays behind under a key of its own: this page goes on with another one.
  const left = stored(key);
  if (left && store(`${PREFIX}${uuid()}`, left)) forget(key);
  holds = false;
}

/**
 * Takes over the records that pages of a person have left behind: `{drafts, begun, refused, outbox}`. They are there
 * until `isHere` is called, when what is in them is on this page: what kills the page before that loses nothing. What
 * this page cannot read is left out.
 */
function takeOver(name) {
  const [drafts, fields, refused, outbox] = [[], [], new Map(), new Map()];
  const records = keysOf(PREFIX).filter((one) => one !== key).map((one) => ({ one, left: stored(one) }))
    .filter(({ left }) => left && (left.closed || Date.now() - left.at > STALE_AFTER)).sort((a, b) => a.left.at - b.left.at);
  const ours = records.filter((record) => record.left.name === name);
  for (const { left } of ours) {
    const good = (part, isGood) => (Array.isArray(left[part]) ? left[part].filter(isGood) : []);
    drafts.push(...good("drafts", isDraft));
    fields.push(...good("begun", isField));
    for (const entry of good("outbox", isEntry)) outbox.set(entry.id, entry);
    for (const entry of good("refused", isEntry)) refused.set(entry.id, entry);
  }
  for (const { one } of records.filter((record) => record.left.name !== name).slice(0, -RECORDS_MAX)) forget(one);
  for (const id of refused.keys()) outbox.delete(id);
  return {
    drafts,
    begun: fields,
    refused: [...refused.values()],
    outbox: [...outbox.values()],
    isHere() {
      save();
      for (const { one } of ours) forget(one);
      if (!kept) save(); // now there is place for it
    },
  };
}

const isPlace = (kind, id) => (kind === "room" || kind === "person") && typeof id === "string" && !nameFault(id);
const isDraft = (one) => Array.isArray(one) && isPlace(one[0], one[1]) && typeof one[2] === "string";
const isField = (one) => Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string";
const isEntry = (one) => isPlace(one?.kind, one?.target) && typeof one.id === "string" && typeof one.content === "string" && Number.isFinite(one.queuedAt);

/**
 * The outbox and status for the client of a person who comes in, and `show`, which puts the rest on the page once the
 * conversations are there.
 */
export function unsentOf(name) {
  const { outbox, ...left } = takeOver(name);
  return { outbox, show: () => show({ ...left, outbox: client.outbox }) };
}

/** Puts what was left behind on the page. `outbox` are entries as the client has them, which may change them. */
function show({ drafts, begun: fields, refused, outbox, isHere }) {
  for (const entry of outbox) wait(entry, null);
  for (const { failed, ...entry } of refused) wait(entry, failed);
  for (const [kind, id, text, context] of drafts) draft(place(kind, id), text, context);
  fields.forEach(takeBegun);
  isHere();
}

/** A conversation with unsent text; a room that we are no longer in is shown as such. */
function place(kind, id) {
  const there = conversations.has(`${kind}:${id}`);
  const c = conversation(kind, id);
  if (!there && kind === "room") c.removed = t("notHere");
  return c;
}

function wait(entry, failed) {
  const c = place(entry.kind, entry.target);
  if (!failed) c.removed = ""; // it is joined, as before
  c.pending.push({ type: "said", entry, sender: me, content: entry.content, ts: entry.queuedAt, failed });
}

/**
 * A draft that was left behind, with the answer or the edit that was begun. Where something else is begun already, in
 * another tab that was closed as well or here, the texts are kept in one.
 */
function draft(c, text, context) {
  const { reply, editing, lost } = isContext(context ?? {}) ? context ?? {} : {};
  const anew = !c.draft && !c.reply;
  if (anew && reply && (c.epoch ?? reply.epoch) === reply.epoch) c.reply = reply;
  c.addToDraft(text);
  if (lost) c.lost = String(lost);
  if (!editing) return;
  if (!c.editing && (c.epoch ?? editing.epoch) === editing.epoch && !(c === active && c.draft)) c.editing = editing;
  else if (editing.text !== editing.before) c.addToDraft(editing.text);
}

/** Whether a record has a context as this page writes it. */
function isContext(context) {
  const isAbout = (one, ...texts) => !one || ([one.epoch, ...texts].every((text) => typeof text === "string") && Number.isSafeInteger(one.seq));
  const { reply, editing } = context;
  return isAbout(reply, reply?.sender) && isAbout(editing, editing?.before, editing?.text);
}

// A page that goes closes its record; one that the browser brings back from memory finds it taken, or goes on with it.
window.addEventListener("pagehide", () => save(true));
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted && !beginAnewIfTaken()) save();
});

// The browser asks before leaving only if text would be lost.
window.addEventListener("beforeunload", (event) => {
  save();
  if (!kept) event.preventDefault();
});

// After a sleep of the machine all records look old, and most have a page that is about to touch them.
let touched = Date.now();
let adoptFrom = 0;

setInterval(() => {
  const now = Date.now();
  const slept = Math.abs(now - touched) > STALE_AFTER / 2;
  if (slept) adoptFrom = now + STALE_AFTER;
  touched = now;
  if (slept && beginAnewIfTaken()) return;
  if (!client || document.getElementById("app").hidden) return;
  if (!isEmpty(record())) save();
  if (now >= adoptFrom) adoptLater();
}, TOUCH_EVERY);

/** A tab that is open takes over the record of one that was killed, and sends its messages again under their ids. */
function adoptLater() {
  const left = takeOver(me);
  const resumed = left.outbox.filter((entry) => client.resume(entry)).map(({ id }) => id);
  show({ ...left, outbox: client.outbox.filter(({ id }) => resumed.includes(id)) });
  if (!isEmpty(left)) redraw("log", "places", "composer");
}
