/**
 * The message box: what is written, whether it can be sent, and "is typing".
 */
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { toLatest } from "./history.js";
import { enterRoom, whenLeaving, whenOpened } from "./places.js";

const TYPING_EVERY = 3_100; // a little more than the server's three seconds

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

whenLeaving((left) => {
  left.draft = input.value;
  sendTyping(false);
});
whenOpened((opened) => {
  input.value = opened.draft;
  growComposer();
});
drawnBy("composer", drawComposer);
