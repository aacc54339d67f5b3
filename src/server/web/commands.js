/**
 * Commands: what can be done by writing `/…` into the composer.
 *
 * A name may stand in quotes, and must where it has spaces, more text follows, and no known person has it:
 * `/msg "Ada Lovelace" good morning`. `#den` is the room den and `@bob` is bob, but for names that are known with the
 * sign, or stand in quotes. A text that begins with a slash is written with two. A text that looks like a command and
 * is none is never sent.
 */
import { normalName } from "./client.js";
import { findEmoji } from "./emoji.js";
import { everybody, setStatus } from "./people.js";
import { active, addHelp, client, conversations, me, people, proven, rooms } from "./conversations.js";
import { askToGo } from "./going.js";
import { toLatest } from "./history.js";
import { LANGUAGES, choose, known, t } from "./language.js";
import { compare } from "./lists.js";
import { noteProblem } from "./note.js";
import { toggleMute } from "./notifications.js";
import { STATUSES, statusOf } from "./presence.js";
import { goInto, isOfPerson, leave, open, publicRooms, withoutSign } from "./places.js";
import { openSearch } from "./search.js";
import { contentProblem, send } from "./sending.js";
import { isBlank } from "./text.js";
import { describe, openDescription } from "./topic.js";
import { nameProblem } from "./words.js";

const SUGGESTIONS_MAX = 8;
const EVERYBODY = "room"; // behind an @

/** `run` returns what is wrong, or nothing. `complete` proposes how to go on behind the name of the command. */
const COMMANDS = [
  { name: "join", run: join, complete: joinable },
  { name: "leave", run: leaveRoom, complete: leavable },
  { name: "msg", run: message, complete: writable },
  { name: "status", run: status, complete: statuses },
  { name: "title", run: (words) => description("title", words) },
  { name: "topic", run: (words) => description("topic", words) },
  { name: "me", run: (rest) => (isBlank(rest) ? t("whatDoYouDo") : send(active, `_${rest.replace(/\s+/gu, " ")}_`)) },
  { name: "nick", run: rename },
  { name: "search", run: (rest) => openSearch(rest) },
  { name: "mute", run: () => toggleMute(active) },
  { name: "language", run: speak, complete: languages },
  { name: "help", run: help },
];
/** What else can be written, and keys. */
const BESIDES = ["slash", "mention", "signs", "emoji", "switcher", "searchKey", "up", "escape", "places", "arrows"];

/** How something is written, and what it does. */
const described = (name) => ({ name, usage: known("usage", name), what: known("help", name) });

/** For those who look for a command. */
export const commandNames = () => COMMANDS.map(({ name }) => described(name));

const STATUS_NAMES = new Map([...STATUSES.map((name) => [name, name]), ["invisible", "offline"]]);

/** Reads what was written: `{content}` is a message to send, `{command, rest}` a command to run. */
export function parse(written) {
  if (written.startsWith("//")) return { content: written.slice(1) };
  const found = written.match(/^\/(\S*)\s*([^]*)$/u);
  return found ? { command: found[1], rest: found[2].trim() } : { content: written };
}

/** Runs a command. Returns what is wrong, in a sentence, or the empty string. */
export function run({ command, rest }) {
  const found = COMMANDS.find(({ name }) => name === command.toLowerCase());
  return found ? found.run(rest) ?? "" : t("noCommand", { name: command });
}

const NONE = { entries: [], chosen: -1 };

/** Proposals for an emoji whose name is being written after a colon. */
function suggestEmoji(written) {
  const [, before, begun] = /^([^]*(?:^|\s)):([\p{L}\p{N}_+-]{2,})$/u.exec(written) ?? [];
  if (begun === undefined) return NONE;
  const entries = findEmoji(begun, SUGGESTIONS_MAX).map(({ picture, names }) => ({ text: `${before}${picture} `, label: `${picture}  :${names.find((name) => name.includes(begun.toLowerCase())) ?? names[0]}:`, what: "" }));
  return { entries, chosen: entries.length ? 0 : -1 };
}

/**
 * Proposals for a name that is being written after an @: the people who are here. Enter sends a name that is complete,
 * and completes one that is only begun.
 */
function suggestName(written, more) {
  const at = Math.max(written.lastIndexOf("@"), written.lastIndexOf("\uFF20"));
  const begun = written.slice(at + 1).toLocaleLowerCase();
  if (at < 0 || /\S/u.test(written[at - 1] ?? "") || begun.includes("\n")) return { entries: [], chosen: -1 };
  const names = everybody(active, more).filter((name) => name !== me);
  const wordStarts = (name) => begun !== "" && name.split(/[\s._-]+/u).some((word) => word.startsWith(begun));
  if ([...mayCallRoom(active) ? [EVERYBODY] : [], ...names].some((name) => name.toLocaleLowerCase() === begun.trimEnd())) return { entries: [], chosen: -1 };
  const entries = names.filter((name) => name.toLocaleLowerCase().startsWith(begun) || wordStarts(name.toLocaleLowerCase()))
    .map((name) => ({ text: `${written.slice(0, at)}@${name} `, label: name, what: statusOf(name) === "online" ? "" : known("be", statusOf(name)) ?? "" }))
    .sort(byLabel);
  if (mayCallRoom(active) && EVERYBODY.startsWith(begun)) entries.push({ text: `${written.slice(0, at)}@${EVERYBODY} `, label: EVERYBODY, what: t("callsAll", { count: active.count }) });
  const first = entries.slice(0, SUGGESTIONS_MAX);
  // It is offered however many names begin so.
  if (entries.length > SUGGESTIONS_MAX && entries.at(-1).label === EVERYBODY) first[SUGGESTIONS_MAX - 1] = entries.at(-1);
  return { entries: first, chosen: first.length && begun ? 0 : -1 };
}

/** Whether the server lets us call all who are in a room that we are in; it has the last word. */
const mayCallRoom = (c) => c.kind === "room" && c.count > 0 && c.count <= (client.limits.mention_room ?? 0);

/**
 * Proposals for the beginning of a command, a name or an emoji: `{entries: [{text, label, what}], chosen}`, where
 * `text` takes the place of the beginning. `more` is called when there may be others.
 */
export function suggest(written, { commands = true, more = () => {} } = {}) {
  if (!commands || parse(written).command === undefined) {
    const names = suggestName(written, more);
    return names.entries.length ? names : suggestEmoji(written);
  }
  const [, name, space, rest] = written.match(/^\/(\p{L}*)(\s+)?(.*)$/u) ?? [];
  if (name === undefined || (!space && rest)) return { entries: [], chosen: -1 };
  if (!space) {
    const entries = COMMANDS.filter((one) => one.name.startsWith(name.toLowerCase()))
      .map((one) => ({ text: `/${one.name}${one.complete ? " " : ""}`, label: described(one.name).usage, what: described(one.name).what }));
    // Enter runs a command that is complete, and completes one that is only begun.
    return { entries, chosen: entries.length && COMMANDS.every((one) => one.name !== name) ? 0 : -1 };
  }
  const command = COMMANDS.find((one) => one.name === name.toLowerCase());
  const begun = rest.replace(/^["“]/u, "").toLocaleLowerCase();
  const entries = (command?.complete?.() ?? [])
    .filter(({ label }) => label.toLocaleLowerCase().startsWith(begun))
    .slice(0, SUGGESTIONS_MAX)
    .map((entry) => ({ ...entry, text: `/${command.name} ${entry.text}` }))
    .filter(({ text }) => text.trim() !== written.trim());
  return { entries, chosen: -1 };
}

// Each command

/** What a name is of: `@bob` is a person, if no room is called so, and others are rooms. */
function placeOf(words) {
  const name = wholeName(words);
  if (isQuoted(words)) return { kind: "room", name };
  return isOfPerson(name) ? { kind: "person", name: withoutSign("@", name) } : { kind: "room", name: withoutSign("#", name) };
}

function join(words) {
  const { kind, name } = placeOf(words);
  if (!name) return t("whichRoom");
  const problem = nameProblem(name);
  if (problem) return t(kind === "room" ? "theRoom" : "theName", { problem });
  if (kind === "room") goInto(name);
  else open(kind, name);
}

function leaveRoom(words) {
  const { kind, name } = placeOf(words);
  const left = name ? conversations.get(`${kind}:${name}`) : active;
  if (!left) return t("notInRoom", { room: name });
  leave(left);
}

function message(words) {
  const plain = isQuoted(words) ? words : withoutSign("@", words); // "@Ada Lovelace hello" too
  const [name, text] = takeKnownName(words) ?? takeKnownName(plain) ?? takeName(plain);
  if (!name) return t("toWhom");
  const problem = nameProblem(name);
  if (problem) return t("theName", { problem });
  const tooLong = contentProblem({ kind: "person", id: name }, text);
  if (tooLong) return tooLong;
  open("person", name);
  return isBlank(text) ? "" : send(active, text);
}

function status(words) {
  const [first, note] = takeName(words);
  const wanted = STATUS_NAMES.get(first.toLowerCase());
  if (!wanted) return t(first ? "noStatus" : "whichStatus", { word: first });
  const problem = noteProblem(note);
  if (problem) return problem;
  const c = active;
  setStatus(wanted, note, () => {
    if (c.draft === "") c.draft = `/status ${words}`; // to be mended
  });
}

function description(kind, words) {
  if (active.kind !== "room" || active.removed) return t(kind === "title" ? "titlesOfRooms" : "topicsOfRooms");
  const c = active;
  if (words) return describe(kind, c, words, () => {
    if (c.draft === "") c.draft = `/${kind} ${words}`; // to be tried again
  });
  return openDescription(kind);
}

function rename(name) {
  if (proven) return t("linkSaysWho");
  const wanted = normalName(withoutSign("@", wholeName(name)));
  const problem = wanted === "" ? t("writeNick") : nameProblem(wanted);
  if (problem) return problem;
  if (wanted !== me) askToGo(wanted);
  return "";
}

function speak(words) {
  const wanted = words.toLocaleLowerCase();
  const [code] = LANGUAGES.find((names) => names.some((name) => name.toLocaleLowerCase() === wanted)) ?? [];
  if (code === undefined) return t("whichLanguage");
  choose(code);
  location.reload();
  return "";
}

function help() {
  toLatest();
  addHelp(active, [...commandNames(), ...BESIDES.map(described)]);
}

// What may follow

const byLabel = (a, b) => compare(a.label, b.label);

function joinable() {
  return publicRooms.filter((room) => !client.isJoined(room.room_id))
    .map((room) => ({ text: room.room_id, label: room.room_id, what: t("peopleCount", { count: room.members ?? 0 }) }));
}

function leavable() {
  return rooms().map((c) => ({ text: c.id, label: c.id, what: c === active ? t("thisRoom") : "" })).sort(byLabel);
}

function writable() {
  const names = new Set([...active.members, ...people().map((c) => c.id)]);
  names.delete(me);
  return [...names].map((name) => ({ text: `${quoted(name)} `, label: name, what: "" })).sort(byLabel);
}

function statuses() {
  return STATUSES.map((name) => ({ text: `${name} `, label: name, what: known("be", name) }));
}

function languages() { return LANGUAGES.map(([code, name]) => ({ text: code, label: code, what: name })); }

// Names in quotes

/** The first name or word, and what follows it. */
function takeName(words) {
  const [, straight, curly, bare, rest] = words.match(/^(?:"([^"]*)"|“([^”]*)”|(\S*))\s*([^]*)$/u);
  return [normalName(straight ?? curly ?? bare), rest];
}

/** A name of a person who is here or in a conversation, also with spaces and without quotes; the longest that fits. */
function takeKnownName(words) {
  const known = [...active.members, ...people().map((c) => c.id)].filter((name) => words.startsWith(name) && /^(?:\s|$)/u.test(words.slice(name.length)));
  if (known.length === 0) return null;
  const name = known.reduce((longest, one) => (one.length > longest.length ? one : longest));
  return [name, words.slice(name.length).trim()];
}

/** A name after which nothing follows needs no quotes and may have them. */
function wholeName(words) {
  const [name, rest] = takeName(words);
  return rest === "" ? name : normalName(words);
}

const isQuoted = (words) => /^["“]/u.test(words);

function quoted(name) {
  if (!/\s/u.test(name) && !/^["“#@]/u.test(name)) return name;
  return name.includes("\"") ? `“${name}”` : `"${name}"`;
}
