/**
 * The message box: the text in it, whether it can be sent, and "is typing".
 */
import { parse, run, suggest } from "./commands.js";
import { active, client, lastOfOurs, letGoOfDeleted, messageAt } from "./conversations.js";
import { toast } from "./copying.js";
import { byId, element, named } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { quoted, toLatest } from "./history.js";
import { phrase, t } from "./language.js";
import { plain } from "./message.js";
import { openPicker } from "./picker.js";
import { isFenceOpen } from "./pieces.js";
import { whenLeaving, whenOpened } from "./places.js";
import { ask, askedAbout } from "./question.js";
import { contentProblem, inParts, send } from "./sending.js";
import { store, stored } from "./storage.js";
import { closeSuggestions, offer, suggestionsTake } from "./suggestions.js";
import { isBlank } from "./text.js";
import { typeInto } from "./typing.js";
import { keepUnsent } from "./unsent.js";
import { inWords } from "./words.js";

const TYPING_EVERY = 3_100; // a little more than the server's three seconds

const EDITS_KEPT = 20; // of a conversation, that the reader has ended

const input = byId("composer-input");
let typingSent = -TYPING_EVERY; // when we last sent the server that we are typing, wherever that was
let typingTold = false; // whether the server still shows us as typing
let typingTimer = 0;

/** What stands in the composer: a message that is written anew, or the draft of the conversation. */
const written = (c) => (c.editing ? c.editing.text : c.draft);

/** Writes what stands in the composer. A draft is kept. */
function write(text) {
  if (active.editing) active.editing.text = text;
  else active.draft = text;
  if (input.value !== text) input.value = text;
  keepUnsent();
}

function drawComposer() {
  const context = active.editing ?? active.reply;
  const about = context && active.epoch === context.epoch ? quoted(active, context) : undefined;
  if (about?.deleted) letGoOfDeleted(active, context.seq);
  drawContext(about);
  if (input.value !== written(active)) { // it was taken over from another tab, or an edit has ended
    input.value = written(active);
    growComposer();
  }
  lookAtCode();
  const { content } = active.editing ? { content: input.value } : parse(input.value);
  const tooLong = content === undefined ? "" : contentProblem(active, content);
  byId("send").disabled = isBlank(input.value) || Boolean(tooLong);
  byId("send").setAttribute("aria-label", t(active.editing ? "save" : "send"));
  if (isBlank(active.draft) && !active.behind) active.lost = "";
  const problem = tooLong || active.problem || active.removed || (active.editing ? "" : active.lost);
  byId("send-parts").hidden = !tooLong || active.editing !== null || active.removed !== "";
  byId("rejoin").hidden = !active.removed;
  byId("rejoin").textContent = t(active.epoch === null && active.removed !== t("notHere") ? "tryAgain" : "joinAgain");
  if (byId("composer-problem").textContent !== problem) byId("composer-problem").textContent = problem;
}

/** What the text will be: an answer to a message, or another text of one. What that says may have to be asked for. */
function drawContext(about) {
  const { reply, editing } = active;
  for (const node of byId("messages").querySelectorAll(":scope > .in-edit")) node.classList.remove("in-edit");
  if (editing) messageAt(active, editing)?.node?.classList.add("in-edit");
  byId("composer-context").hidden = reply === null && editing === null;
  if (editing) byId("composer-context-text").replaceChildren(t("youEdit"));
  else if (reply) byId("composer-context-text").replaceChildren(...phrase(about ? "youAnswerText" : "youAnswer", { name: named(reply.sender), text: about ? plain(about.content) : "" }));
}

/** Begins a command. What is written there waits, and comes back when the command is done, or is taken away. */
export function beginCommand(text) {
  leaveEdit(active);
  const { draft, behind } = active;
  active.behind = behind || draft;
  write(text);
  contextChanged();
  focusAtEnd();
  propose();
}

/** What was written is done with: what waited behind it comes back. */
function done(c = active) {
  [c.draft, c.behind] = [c.behind, ""];
  if (c === active) write(c.draft);
}

/** Answers a message. */
export function answer(item) {
  begin({ reply: { epoch: item.epoch, seq: item.seq, sender: item.sender } });
}

/** Writes a message of ours anew. The draft waits meanwhile. */
export function editMessage(item) {
  const { epoch, seq, content } = item;
  if (active.editing?.seq === seq && active.editing.epoch === epoch) return focusAtEnd();
  const kept = active.edits.get(seq);
  begin({ editing: { epoch, seq, before: kept?.before ?? content, text: content } });
  if (kept) typeInto(input, kept.text, 0, content.length);
}

function begin({ reply = active.reply, editing = null }) {
  if (active.editing) keepEdit(active);
  Object.assign(active, { reply, editing, problem: "" });
  if (reply) active.lost = "";
  contextChanged();
  focusAtEnd();
}

/** An edit that is left for a command: what was written waits behind that. */
function leaveEdit(c) {
  const { editing } = c;
  c.editing = null;
  if (editing && !isBlank(editing.text) && editing.text !== editing.before) c.addToDraft(editing.text);
}

/** Another message is answered or written anew, or none any more. */
function contextChanged() {
  input.value = written(active);
  growComposer();
  keepUnsent();
  redraw("composer");
}

function focusAtEnd() {
  input.focus();
  input.setSelectionRange(input.value.length, input.value.length);
}

/** Ends the edit, or else the answer, which the draft behind an edit may be. Returns whether there was one. */
function endContext() {
  if (active.editing) keepEdit(active);
  else if (active.behind) done();
  else if (active.reply) active.reply = null;
  else return false;
  active.problem = "";
  contextChanged();
  return true;
}

/**
 * The reader ends an edit, or begins another one, or an answer. Its text comes back where the message is edited again,
 * and can be undone there; none is kept that says nothing, or what the message says.
 */
function keepEdit(c) {
  const { editing } = c;
  const { seq, before, text } = editing;
  c.editing = null;
  c.edits.delete(seq);
  if (isBlank(text) || [before, quoted(c, editing)?.content].includes(text)) return;
  c.edits.set(seq, { before, text });
  if (c.edits.size > EDITS_KEPT) c.edits.delete(c.edits.keys().next().value);
  toast(t("editKept"));
}

byId("composer-context-end").addEventListener("click", () => {
  endContext();
  input.focus();
});

/** For browsers without `field-sizing: content`. */
const sizesItself = CSS.supports("field-sizing", "content");
function growComposer() {
  if (!sizesItself) input.rows = Math.min(8, input.value.split("\n").length);
}

/** Nobody else learns that a command is being written. */
const isBeingSaid = () => !isBlank(parse(input.value).content ?? "");

function sendTyping(typing) {
  clearTimeout(typingTimer);
  if (!typing) {
    if (typingTold) client.typing(active.target, false);
    typingTold = false;
    return;
  }
  if (active.kind === "room" && !client.isJoined(active.id)) return;
  const wait = typingSent + TYPING_EVERY - performance.now();
  if (wait <= 0) {
    typingSent = performance.now();
    typingTold = true;
    client.typing(active.target, true);
  } else if (!typingTold) {
    // The server passes on one in three seconds; a person who has just sent a message and writes the next is seen a
    // little later.
    typingTimer = setTimeout(() => sendTyping(isBeingSaid()), wait);
  }
}

input.addEventListener("input", () => {
  write(input.value);
  if (active.behind && !active.editing && input.value === "") done();
  growComposer();
  active.problem = "";
  sendTyping(isBeingSaid());
  propose();
  redraw("composer");
});

/** Proposes how to go on: with a name or an emoji also amid the text, with a command at its end. */
function propose() {
  const at = input.selectionEnd;
  const behind = input.value.slice(at);
  if (input.selectionStart !== at || /^[\p{L}\p{N}]/u.test(behind)) closeSuggestions();
  else offer(suggest(input.value.slice(0, at), { commands: behind === "" && !active.editing, more: () => { if (document.activeElement === input) propose(); } }), behind);
}

/** On a phone Enter makes a line, and the button sends: there is no Shift+Enter. */
const touches = matchMedia("(pointer: coarse)");
const enterSends = () => !touches.matches;
function labelEnter() { input.enterKeyHint = enterSends() ? "send" : "enter"; }
touches.addEventListener("change", labelEnter);
labelEnter();

input.addEventListener("keydown", (event) => {
  if (suggestionsTake(event)) return;
  const plainKey = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
  if (event.key === "Enter" && plainKey && isFenceOpen(input.value.slice(0, input.selectionStart))) return; // of code
  if (event.key === "Enter" && !event.shiftKey && !event.altKey && (enterSends() || event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    // A key that is held may be in another conversation by now, with a draft that nobody has meant to send.
    if (!event.repeat) byId("composer").requestSubmit();
  } else if (event.key === "ArrowUp" && plainKey && input.value === "" && lastOfOurs(active)) {
    event.preventDefault();
    editMessage(lastOfOurs(active));
  } else if (event.key === "Escape" && plainKey && endContext()) {
    event.preventDefault();
    event.stopPropagation();
  } else if ((event.key === "PageUp" || event.key === "PageDown") && plainKey && input.scrollHeight <= input.clientHeight + 2) {
    event.preventDefault();
    const log = byId("log");
    active.landing = false;
    log.scrollBy({ top: (event.key === "PageUp" ? -0.9 : 0.9) * log.clientHeight });
  }
});

// Typing with the focus nowhere is meant for the message.
document.addEventListener("keydown", (event) => {
  if (byId("app").hidden || document.querySelector("dialog[open]") || byId("app").dataset.drawer) return;
  if (event.ctrlKey || event.altKey || event.metaKey || event.key.length !== 1 || event.key === " ") return;
  if (document.activeElement !== document.body && !document.activeElement.closest(".place, .member")) return;
  if (event.key === "/" && document.activeElement === document.body) return; // it searches
  input.focus(); // and the key is written there
});

byId("emoji").addEventListener("click", () => openPicker((emoji) => typeInto(input, emoji)));

// Files are not sent here, and a page that a dropped file takes the place of is worse than a sentence.
input.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length && !event.clipboardData.getData("text/plain")) {
    event.preventDefault();
    toast(t("onlyText"));
  }
});
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
  if (name === "drop" || event.type === "drop") toast(t("onlyText"));
});

/** Text that was about a message that is gone is sent to others only if that is meant. Returns whether it is. */
async function isMeant() {
  const c = active;
  const { lost, draft } = c;
  if (!await ask({ title: t("sendAnew"), text: lost, yes: t("send") }) || c !== active || c.editing || c.draft !== draft) return false;
  c.lost = "";
  return true;
}

byId("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  closeSuggestions();
  if (active.editing) {
    save();
    return redraw("composer");
  }
  const written = input.value.trimEnd();
  const { content, ...command } = parse(written);
  if (content === undefined) obey(written, command);
  else if (!isBlank(content) && !contentProblem(active, content) && (!active.lost || await isMeant())) say(content);
  growComposer();
  redraw("composer", "log");
  if (!active.removed) input.focus();
});

function say(content) {
  toLatest();
  active.newAfter = null;
  active.problem = send(active, content, active.reply);
  if (active.problem) return;
  active.reply = null;
  learnt();
  done();
  typingTold = false; // the server ends "is typing" with the message
  clearTimeout(typingTimer);
}

/** Saves a message that was written anew. It stays in the composer until the server has it. */
async function save() {
  const c = active;
  const { editing } = c;
  const content = editing.text.trimEnd();
  c.problem = "";
  if (c.epoch !== editing.epoch) { // until the server has said that it is the same message, nothing is done to it
    c.problem = t("notSavedYet");
    return;
  }
  const deletes = isBlank(content);
  if (!deletes && contentProblem(c, content)) return;
  let [known, sure] = [editing.before, !deletes];
  for (;;) { // the message may change once more while something is asked
    const now = quoted(c, editing);
    if (!now) { // it is asked for
      c.problem = t("notSavedYet");
      return redraw("composer");
    }
    const { deleted, content: shown } = now; // the message is this one, and says something else then
    const isOther = !deleted && ![known, editing.sent, content].includes(shown); // by another device of ours
    if (!isOther && sure) {
      editing.sent = content;
      const { target } = c;
      change(c, editing, deletes ? client.delete(target, editing.seq) : shown === content ? Promise.resolve() : client.edit(target, editing.seq, content));
      return;
    }
    if (!await ask(isOther ? { title: t("editedElsewhere"), text: askedAbout(shown), yes: t("save") } : { title: t("deleteYours"), text: t("nothingLeft"), yes: t("delete") })) return;
    // While that was asked the server may have begun anew, with another message of this number.
    if (c.editing !== editing || c.epoch !== editing.epoch) return;
    if (isOther) known = shown;
    else sure = true;
  }
}

function change(c, editing, answered) {
  const { text } = editing;
  answered.then(() => {
    if (c.editing !== editing) return;
    if (editing.text !== text) { // somebody has written on while the server was asked: that is not lost
      if (isBlank(text)) letGoOfDeleted(c, editing.seq);
      else [editing.before, c.problem] = [text.trimEnd(), t("savedWithout")];
      return;
    }
    c.editing = null;
    c.edits.delete(editing.seq);
    if (c === active) contextChanged();
    else keepUnsent();
  }, (error) => {
    if (error.code === "not_found") letGoOfDeleted(c, editing.seq);
    else c.problem = t("notSaved", { why: inWords(error) });
  }).then(() => redraw("composer"));
}

// A text that is too long for one message goes in several, cut where a line or a word ends.
byId("send-parts").addEventListener("click", async () => {
  if (active.lost && !await isMeant()) return;
  const { content } = parse(input.value);
  const parts = content === undefined ? [] : inParts(active, content);
  for (const [n, part] of parts.entries()) {
    active.problem = send(active, part, active.reply);
    if (active.problem) {
      write(parts.slice(n).join("\n"));
      break;
    }
    active.reply = null; // the first part was the answer
  }
  if (parts.length && !active.problem) {
    toLatest();
    done();
  }
  growComposer();
  redraw("composer", "log");
  input.focus();
});

const HINT_FOR = 5; // messages, in this browser
let known = Number(stored("salon.sent") ?? 0);

/** What Ctrl and Enter do while Enter makes a line, within code; else the empty string. */
let inCode = "";

/**
 * Names the keys, in the language of the reader. The hint is for those who have not sent much yet, but within code,
 * where Enter does not do what it does elsewhere.
 */
export function sayKeys() {
  const key = (name) => element("kbd", "", name);
  const [enter, again] = [key(t("keyEnter")), key(t("keyEnter"))];
  byId("composer-hint").replaceChildren(...inCode ? phrase("codeHint", { enter, ctrl: key(t("keyCtrl")), again, what: inCode })
    : phrase("composerHint", { enter, shift: key(t("keyShift")), again, slash: key("/") }));
  byId("composer-hint").hidden = !inCode && known >= HINT_FOR;
}

function lookAtCode() {
  const before = inCode;
  inCode = enterSends() && isFenceOpen(input.value.slice(0, input.selectionStart)) ? t(active.editing ? "save" : "send") : "";
  if (inCode !== before) sayKeys();
}
document.addEventListener("selectionchange", () => { if (document.activeElement === input) lookAtCode(); });

function learnt() {
  if (known < HINT_FOR) store("salon.sent", known += 1);
  sayKeys();
}

function obey(written, command) {
  const c = active;
  const { behind } = c;
  done(); // a command may open another conversation, and this is no draft to come back to
  active.problem = "";
  sendTyping(false);
  const problem = run(command);
  if (!problem) return;
  active.problem = problem;
  if (active !== c) return active.addToDraft(written);
  c.behind = behind;
  write(written);
}

whenLeaving(() => sendTyping(false));
whenOpened((opened) => {
  input.value = written(opened);
  closeSuggestions();
  growComposer();
});
drawnBy("composer", drawComposer);
