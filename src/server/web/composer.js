/**
 * The message box: the text in it, whether it can be sent, and "is typing".
 */
import { parse, run, suggest } from "./commands.js";
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { toLatest } from "./history.js";
import { whenLeaving, whenOpened } from "./places.js";
import { contentProblem, send } from "./sending.js";
import { closeSuggestions, offer, suggestionsTake } from "./suggestions.js";
import { isBlank } from "./text.js";
import { keepUnsent } from "./unsent.js";
import { NOT_HERE } from "./words.js";

const TYPING_EVERY = 3_100; // a little more than the server's three seconds

const input = byId("composer-input");
let typingSent = -TYPING_EVERY; // when we last sent the server that we are typing, wherever that was
let typingTold = false; // whether the server still shows us as typing
let typingTimer = 0;

/** Writes what stands in the composer; it is the draft of the conversation, and kept. */
function write(text) {
  active.draft = text;
  if (input.value !== text) input.value = text;
  keepUnsent();
}

function drawComposer() {
  if (input.value !== active.draft) input.value = active.draft; // it was taken over from another tab
  const { content } = parse(input.value);
  const tooLong = content === undefined ? "" : contentProblem(active, content);
  byId("send").disabled = isBlank(input.value) || Boolean(tooLong);
  const problem = tooLong || active.problem || active.removed;
  byId("rejoin").hidden = !active.removed;
  byId("rejoin").textContent = active.epoch === null && active.removed !== NOT_HERE ? "Try again" : "Join again";
  if (byId("composer-problem").textContent !== problem) byId("composer-problem").textContent = problem;
}

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
  growComposer();
  active.problem = "";
  sendTyping(isBeingSaid());
  if (input.selectionEnd === input.value.length) offer(suggest(input.value));
  else closeSuggestions();
  redraw("composer");
});

input.addEventListener("keydown", (event) => {
  if (suggestionsTake(event)) return;
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  closeSuggestions();
  const written = input.value.trimEnd();
  const { content, ...command } = parse(written);
  if (content === undefined) obey(written, command);
  else if (!isBlank(content) && !contentProblem(active, content)) say(content);
  growComposer();
  redraw("composer", "log");
  if (!active.removed) input.focus();
});

function say(content) {
  if (active.detached) toLatest();
  active.stuck = true;
  active.newAfter = null;
  active.problem = send(active, content);
  if (active.problem) return;
  write("");
  typingTold = false; // the server ends "is typing" with the message
  clearTimeout(typingTimer);
}

function obey(written, command) {
  write(""); // a command may open another conversation, and this is no draft to come back to
  active.problem = "";
  sendTyping(false);
  const problem = run(command);
  if (!problem) return;
  write(written);
  active.problem = problem;
}

whenLeaving(() => sendTyping(false));
whenOpened((opened) => {
  input.value = opened.draft;
  closeSuggestions();
  growComposer();
});
drawnBy("composer", drawComposer);
