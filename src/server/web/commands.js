/**
 * Commands: what can be done by writing `/…` into the composer.
 *
 * A name may stand in quotes, and must where it has spaces, more text follows, and no known person has it:
 * `/msg "Ada Lovelace" good morning`. `#den` is the room den and `@bob` is bob, but for names that are known with the
 * sign, or stand in quotes. A text that begins with a slash is written with two. A text that looks like a command and
 * is none is never sent.
 */
import { characterProblem, nameProblem, normalName, utf8Length } from "./client.js";
import { findEmoji } from "./emoji.js";
import { everybody, setStatus } from "./people.js";
import { active, addHelp, client, conversations, me, people, proven, rooms } from "./conversations.js";
import { toLatest } from "./history.js";
import { toggleMute } from "./notifications.js";
import { statusOf } from "./presence.js";
import { goInto, leave, open, publicRooms, withoutSign } from "./places.js";
import { openSearch } from "./search.js";
import { contentProblem, send } from "./sending.js";
import { isBlank } from "./text.js";

const NOTE_BYTES_MAX = 256;
const SUGGESTIONS_MAX = 8;

/** `run` returns what is wrong, or nothing. `complete` proposes how to go on behind the name of the command. */
const COMMANDS = [
  { name: "join", usage: "/join ROOM", what: "Go into a room. One that does not exist is made.", run: join, complete: joinable },
  { name: "leave", usage: "/leave [ROOM]", what: "Leave this room or another one.", run: leaveRoom, complete: leavable },
  { name: "msg", usage: "/msg NAME [TEXT]", what: "Write to one person. A name that is not here and has spaces stands in \"quotes\".", run: message, complete: writable },
  { name: "status", usage: "/status STATUS [NOTE]", what: "Be online, away, busy or offline, which is invisible, with a note if you like.", run: status, complete: statuses },
  { name: "me", usage: "/me TEXT", what: "Say what you do, in italics.", run: (rest) => (isBlank(rest) ? "What do you do? Write /me TEXT." : send(active, `_${rest.replace(/\s+/gu, " ")}_`)) },
  { name: "nick", usage: "/nick NAME", what: "Come in again under another name.", run: rename },
  { name: "search", usage: "/search WORDS", what: "Find what was said. from:NAME, in:ROOM and before:2026-01-31 narrow it.", run: (rest) => openSearch(rest) },
  { name: "mute", usage: "/mute", what: "Mute this conversation, or no longer. Only your name calls you from a muted room.", run: () => toggleMute(active) },
  { name: "help", usage: "/help", what: "Show this list.", run: help },
];
/** For those who look for a command. */
export const commandNames = () => COMMANDS;
const ESCAPE = { usage: "//TEXT", what: "Send a text that begins with a slash." };
const KEYS = [
  { usage: "**bold** *italic* ~~no~~", what: "Signs in a text; also `code`, ``` around lines of code, > quotes and - lists." },
  { usage: ":name:", what: "An emoji: two letters behind the colon propose some." },
  { usage: "Ctrl+K", what: "Go to any room, person or command." },
  { usage: "/ or Ctrl+Shift+F", what: "Search, with the focus outside the message box." },
  { usage: "Up", what: "In the empty message box: edit your last message." },
  { usage: "Esc", what: "End what is open; then go to the latest message." },
  { usage: "Alt+Up, Alt+Down", what: "To the next place; with Shift, to the next with something unread." },
  { usage: "Up, Down", what: "In the messages: from one to the next. Enter opens what can be done, R replies, E edits, + reacts." },
];
const MENTION = { usage: "@NAME", what: "In a text: calls somebody. There is no @here: nobody can call a whole room." };

const STATUSES = { __proto__: null, online: "here", away: "not at the keyboard", busy: "better not disturbed", offline: "invisible to others" };
const STATUS_NAMES = new Map([...Object.keys(STATUSES).map((name) => [name, name]), ["invisible", "offline"]]);

/** Reads what was written: `{content}` is a message to send, `{command, rest}` a command to run. */
export function parse(written) {
  if (written.startsWith("//")) return { content: written.slice(1) };
  const found = written.match(/^\/(\S*)\s*([^]*)$/u);
  return found ? { command: found[1], rest: found[2].trim() } : { content: written };
}

/** Runs a command. Returns what is wrong, in a sentence, or the empty string. */
export function run({ command, rest }) {
  const known = COMMANDS.find(({ name }) => name === command.toLowerCase());
  if (known) return known.run(rest) ?? "";
  return `There is no command “/${command}”. Write /help for a list, or begin with // to send a text that starts with a slash.`;
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
  if (names.some((name) => name.toLocaleLowerCase() === begun.trimEnd())) return { entries: [], chosen: -1 };
  const entries = names.filter((name) => name.toLocaleLowerCase().startsWith(begun) || wordStarts(name.toLocaleLowerCase()))
    .map((name) => ({ text: `${written.slice(0, at)}@${name} `, label: name, what: statusOf(name) === "online" ? "" : STATUSES[statusOf(name)] ?? "" }))
    .sort(byName)
    .slice(0, SUGGESTIONS_MAX);
  return { entries, chosen: entries.length && begun ? 0 : -1 };
}

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
    const entries = COMMANDS.filter((known) => known.name.startsWith(name.toLowerCase()))
      .map((known) => ({ text: `/${known.name}${known.complete ? " " : ""}`, label: known.usage, what: known.what }));
    // Enter runs a command that is complete, and completes one that is only begun.
    return { entries, chosen: entries.length && COMMANDS.every((known) => known.name !== name) ? 0 : -1 };
  }
  const known = COMMANDS.find((one) => one.name === name.toLowerCase());
  const begun = rest.replace(/^["“]/u, "").toLocaleLowerCase();
  const entries = (known?.complete?.() ?? [])
    .filter(({ label }) => label.toLocaleLowerCase().startsWith(begun))
    .slice(0, SUGGESTIONS_MAX)
    .map((entry) => ({ ...entry, text: `/${known.name} ${entry.text}` }))
    .filter(({ text }) => text.trim() !== written.trim());
  return { entries, chosen: -1 };
}

// Each command

function join(room) {
  const name = isQuoted(room) ? wholeName(room) : withoutSign("#", wholeName(room));
  if (!name) return "Which room? Write /join ROOM.";
  const problem = nameProblem(name);
  if (problem) return `The room: ${problem}`;
  goInto(name);
}

function leaveRoom(room) {
  const name = isQuoted(room) ? wholeName(room) : withoutSign("#", wholeName(room));
  const left = name ? conversations.get(`room:${name}`) : active;
  if (!left) return `You are not in the room “${name}”.`;
  leave(left);
}

function message(words) {
  const plain = isQuoted(words) ? words : withoutSign("@", words); // "@Ada Lovelace hello" too
  const [name, text] = takeKnownName(words) ?? takeKnownName(plain) ?? takeName(plain);
  if (!name) return "To whom? Write /msg NAME TEXT, a name with spaces in \"quotes\".";
  const problem = nameProblem(name);
  if (problem) return `The name: ${problem}`;
  const tooLong = contentProblem({ kind: "person", id: name }, text);
  if (tooLong) return tooLong;
  open("person", name);
  return isBlank(text) ? "" : send(active, text);
}

function status(words) {
  const [first, note] = takeName(words);
  const wanted = STATUS_NAMES.get(first.toLowerCase());
  if (!wanted) return `${first ? `“${first}” is no status.` : "Which status?"} Write /status online, away, busy or offline, and a note if you like.`;
  const bytes = utf8Length(note);
  if (bytes > NOTE_BYTES_MAX) {
    const over = Math.max(1, Math.ceil((bytes - NOTE_BYTES_MAX) / (bytes / [...note].length)));
    return `That note is too long, by about ${over} ${over === 1 ? "character" : "characters"}.`;
  }
  const problem = characterProblem(note);
  if (problem) return `The note: ${problem}`;
  const c = active;
  setStatus(wanted, note, () => {
    if (c.draft === "") c.draft = `/status ${words}`; // to be mended
  });
}

function rename(name) {
  if (proven) return "Your link says who you are here.";
  const wanted = normalName(withoutSign("@", wholeName(name)));
  const problem = wanted === "" ? "Write /nick NAME." : nameProblem(wanted);
  if (problem) return problem;
  location.hash = `#${new URLSearchParams({ ...active.kind === "room" ? { room: active.id } : { with: active.id }, name: wanted })}`;
  return "";
}

function help() {
  toLatest();
  addHelp(active, [...COMMANDS, ESCAPE, MENTION, ...KEYS].map(({ usage, what }) => ({ usage, what })));
}

// What may follow

const byName = (a, b) => a.label.localeCompare(b.label);

function joinable() {
  return publicRooms.filter((room) => !client.isJoined(room.room_id))
    .map((room) => ({ text: room.room_id, label: room.room_id, what: room.members === 1 ? "1 person" : `${room.members} people` }));
}

function leavable() {
  return rooms().map((c) => ({ text: c.id, label: c.id, what: c === active ? "this room" : "" })).sort(byName);
}

function writable() {
  const names = new Set([...active.members, ...people().map((c) => c.id)]);
  names.delete(me);
  return [...names].map((name) => ({ text: `${quoted(name)} `, label: name, what: "" })).sort(byName);
}

function statuses() {
  return Object.entries(STATUSES).map(([name, what]) => ({ text: `${name} `, label: name, what }));
}

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
