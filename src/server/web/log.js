/**
 * The message window: exactly the items of the active conversation, in order, and where the reader stands in them.
 */
import { avatar } from "./avatar.js";
import { privacyOf } from "./people.js";
import { isAway } from "./attention.js";
import { active, client, markRead, messageAt, readUpTo } from "./conversations.js";
import { arrange, byId, element, icon, named } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { goAround, loadLatest, loadNewer, loadOlder, toLatest } from "./history.js";
import { invitation } from "./invitation.js";
import { inDigits, phrase, t } from "./language.js";
import { keepPlace, leadTo, placeMoved } from "./leading.js";
import { build, itemOf, linesAbove, newLine, refresh } from "./message.js";
import { openPerson } from "./person.js";
import { drawNewBar } from "./unread.js";

function drawLog() {
  const c = active;
  const log = byId("log");
  const list = byId("messages");
  const shown = c.detached ? c.items : [...c.items, ...c.pending];
  // A bulk change (another conversation, a page of history) is not read out, only what is new at the end.
  const last = list.lastElementChild;
  const bulk = !last || !shown[0]?.node || !shown.some((item) => item.node === last);
  if (bulk) log.setAttribute("aria-live", "off");

  keepPlace();
  keepMessage();
  const anchor = c.stuck ? null : anchorOf(log, list);
  let previous = null;
  let newShown = false;
  const nodes = [];
  for (const item of shown) {
    item.node ??= build(item);
    if (item.stale || (item.type === "said" && item.node.classList.contains("pending") === (item.seq !== undefined))) refresh(item);
    const isNew = !newShown && c.newAfter !== null && item.type === "said" && item.seq > c.newAfter && item.epoch === (c.newEpoch ?? c.epoch);
    newShown ||= isNew;
    nodes.push(...linesAbove(item, previous, isNew && (previous?.type === "said" || c.reachesNew)), item.node);
    previous = item;
  }
  arrange(list, nodes);
  drawLogStart(c);

  const { wished } = c;
  c.wished = false;
  if (c.goTo !== null && goesTo(c)) return;
  if (c.landing) land(c);
  else if (c.stuck && c.detached && canAsk(c)) loadLatest();
  else if (c.stuck) toEnd(c);
  else if (anchor?.node.isConnected) log.scrollTop += topOfText(anchor.node) - anchor.top;
  if (wished) leadTo(log.scrollTop);
  placeMoved();
  noteMessage();
  if (bulk) requestAnimationFrame(() => log.setAttribute("aria-live", "polite"));
  readWhatIsSeen();
  drawToLatest();
  // A page may be shorter than the screen.
  if (log.scrollHeight <= log.clientHeight + 200 && c.items.length) loadOlder();
}

/**
 * Leads the view to the line "New", which stands a quarter down from the top; to the end, where that shows the line as
 * well. Messages around a line that the window does not hold are asked for, wherever they are, until there is an
 * answer.
 */
function land(c) {
  const log = byId("log");
  const busy = isBusy(c);
  if ((!c.reachesNew || (c.detached && !c.sought && c.newEpoch === null && !newLine.isConnected)) && !busy) {
    if (performance.now() >= c.pausedUntil) goAround(c, c.newAfter).then((found) => { c.sought = found !== undefined; });
    return;
  }
  const line = newLine.isConnected ? newLine : null;
  const top = line ? topOf(line) - log.clientHeight / 4 : Infinity;
  const end = log.scrollHeight - log.clientHeight;
  if (line && (top < end || c.detached)) {
    c.stuck = false;
    leadTo(top);
    lastTop = log.scrollTop;
  } else {
    c.stuck = !c.detached;
    toEnd();
    leadTo(log.scrollTop);
  }
  if (!busy) c.landing = false;
}

const isBusy = (c) => c.replaying || c.loading || c.syncing;

/** Whether messages of it are to be had now, and none are on their way. */
const canAsk = (c) => client.state === "connected" && !isBusy(c) && performance.now() >= c.pausedUntil && (c.kind === "room" ? client.isJoined(c.id) : c.synced);

const topOf = (node) => node.getBoundingClientRect().top - byId("log").getBoundingClientRect().top + byId("log").scrollTop;

/** Goes to the message that a link names, as soon as it can be asked for. Returns whether the view is on its way. */
function goesTo(c) {
  if (!canAsk(c)) return false;
  const { seq, epoch } = c.goTo;
  c.goTo = null;
  const there = c.epoch?.startsWith(epoch) ? showMessage({ seq, epoch: c.epoch }) : Promise.resolve(false);
  there.then((found) => {
    if (found) return;
    c.problem = t("linkedGone");
    redraw("composer", "log");
  });
  return true;
}

/** Shows a message of the conversation on screen, wherever it is. Returns whether it is to be had. */
export async function showMessage(of) {
  const c = active;
  if (!messageAt(c, of) && !(of.epoch === c.epoch && await goAround(c, of.seq))) return false;
  const item = messageAt(c, of);
  if (c !== active || !item) return false;
  c.stuck = c.landing = false;
  c.skipped = c.unread > 0 && of.epoch === c.epoch && of.seq > c.readSeq;
  drawLog();
  const log = byId("log");
  leadTo(topOf(item.node) - log.clientHeight / 3);
  lastTop = log.scrollTop;
  item.node.classList.remove("shown");
  requestAnimationFrame(() => item.node.classList.add("shown"));
  drawToLatest();
  return true;
}

/**
 * Messages in view and above have been read; at the end, all of them. Nothing is read while messages from a time
 * without a connection come, nor where the view is led past unread ones, by a link or a search.
 */
function readWhatIsSeen() {
  const c = active;
  if (isAway() || c.landing || c.held || c.loading || c.replaying || (c.syncing && c.lastSeq > 0)) return;
  if (c.stuck && !c.detached) return markRead();
  const first = c.firstUnread?.node?.getBoundingClientRect();
  const { top, bottom } = byId("log").getBoundingClientRect();
  if (!first) return;
  if (first.bottom > top && first.top < bottom) c.skipped = false;
  if (c.skipped) return;
  const nodes = byId("messages").children;
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (nodes[middle].getBoundingClientRect().bottom > bottom + 4) high = middle;
    else low = middle + 1;
  }
  for (let at = low - 1; at >= 0; at -= 1) {
    const { type, seq, epoch } = itemOf(nodes[at]) ?? {};
    if (type !== "said" || seq === undefined) continue;
    if (epoch === c.epoch && c.readSeq !== undefined) readUpTo(c, seq);
    return;
  }
}

/** Where what a message says begins: its name above may come or go. */
const topOfText = (node) => (node.querySelector(":scope > .body > .text") ?? node).getBoundingClientRect().top;

/**
 * The message at the top of the view, and how much of it is above, as a part of it. Where the width changes all lines
 * are broken anew, and it is at the top again.
 */
let kept = null;

function noteMessage() {
  const log = byId("log");
  const node = anchorOf(log, byId("messages"))?.node;
  const { top, height } = node?.getBoundingClientRect() ?? {};
  if (log.clientWidth > 0) kept = { node, part: (log.getBoundingClientRect().top - top) / height, width: log.clientWidth };
}

/** Returns whether the width has changed. */
function keepMessage() {
  const log = byId("log");
  if (!kept || kept.width === log.clientWidth) return false;
  if (!log.clientWidth) return true; // it is hidden, and keeps its place until it is not
  const { node, part } = kept;
  kept = null;
  if (active.stuck || !node?.isConnected) return true;
  const { top, height } = node.getBoundingClientRect();
  log.scrollTop += top + part * height - log.getBoundingClientRect().top;
  placeMoved();
  lastTop = log.scrollTop;
  return true;
}

/** The first message in view, and its place: it stays there when the window moves. */
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
  while (nodes[low] && itemOf(nodes[low]) === undefined) low += 1; // a line may go with what stood before it
  return nodes[low] ? { node: nodes[low], top: topOfText(nodes[low]) } : null;
}

function drawLogStart(c) {
  const node = byId("log-start");
  const state = c.loading ? "loading" : c.start ? (c.gone ? "gone" : c.unknown ? "unknown" : "start") : c.items.length ? "more" : "none";
  const key = `${c.key} ${state}`;
  if (node.dataset.state === key) return;
  node.dataset.state = key;
  node.replaceChildren();
  if (state === "loading") node.append(element("p", "quiet-line", t("loadingMessages")));
  if (state === "gone") node.append(element("p", "quiet-line", t("earlierGone")));
  if (state === "unknown") node.append(element("p", "quiet-line", t("nobodyOfName")));
  if (state === "more") {
    const button = element("button", "quiet", t("showEarlier"));
    button.type = "button";
    button.tabIndex = -1; // keys scroll to where more is loaded; what is loaded would take the focus with the button
    button.addEventListener("click", loadOlder);
    node.append(button);
  }
  if (state === "start") {
    const hello = element("div", "hello");
    if (c.kind === "room") {
      hello.append(element("span", "hello-icon", icon("hash")), element("p", "hello-title", ...phrase("welcomeToRoom", { room: named(c.title) })));
      hello.append(element("p", "hello-text", t("roomBegins")), invitation(c));
    } else {
      hello.append(avatar(c.id, "large"), element("p", "hello-title", named(c.id)));
      hello.append(element("p", "hello-text", privacyOf(c.id)));
    }
    node.append(hello);
  }
}

function drawToLatest() {
  const away = !active.stuck || active.detached;
  const unread = active.unread;
  byId("to-latest").hidden = !away;
  drawNewBar();
  const words = unread > 0 ? t("toLatestNew", { count: unread }) : t("toLatest");
  if (byId("to-latest").title === words) return; // what is written anew is drawn anew
  byId("to-latest-text").textContent = unread > 0 ? inDigits(unread) : "";
  byId("to-latest").setAttribute("aria-label", words);
  byId("to-latest").title = words;
}

let lastTop = 0;

const NEAR = 40; // px above the end are at the end

/** How much is below the view. */
function belowView() {
  const log = byId("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight;
}

/** Shows the end; of a list of commands that has just come and is longer than the view, the beginning. */
function toEnd(c = active) {
  const log = byId("log");
  log.scrollTop = log.scrollHeight;
  const last = c.items.at(-1);
  if (last?.type === "help" && !last.seen && last.node) {
    last.seen = true;
    const over = log.getBoundingClientRect().top - last.node.getBoundingClientRect().top;
    c.stuck = over <= 0;
    if (over > 0) log.scrollTop -= over;
  }
  lastTop = log.scrollTop;
  placeMoved();
}

byId("log").addEventListener("scroll", () => {
  const c = active;
  if (!c || c.wished) return;
  keepPlace();
  keepMessage();
  const log = byId("log");
  const below = belowView();
  // Only scrolling up ends the following of the end: a composer that grows also leaves something below.
  // Where the end is asked for, it stays asked for.
  if (below < NEAR) c.stuck ||= !c.detached;
  else if (log.scrollTop < lastTop || c.landing) c.stuck = false;
  lastTop = log.scrollTop;
  noteMessage();
  readWhatIsSeen();
  if (log.scrollTop < 400) loadOlder();
  if (below < 400 && c.detached) loadNewer();
  drawToLatest();
}, { passive: true });

byId("messages").addEventListener("click", (event) => {
  const author = event.target.closest(".author, .message > .avatar");
  if (author) openPerson(itemOf(author.closest("li")).sender);
  // The reader has made a message longer, to read it: what is below it is not followed, until it is shorter again.
  const c = active;
  const far = belowView() >= NEAR;
  if (c.wished || c.detached || c.landing || c.stuck !== far) return;
  c.stuck = !far;
  drawToLatest();
});

byId("to-latest").addEventListener("click", () => {
  toLatest();
  byId("composer-input").focus();
});

// A reader who moves the view themselves is led nowhere.
for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) byId("log").addEventListener(name, () => { if (active) active.landing = false; }, { passive: true });

// The end stays in view when the keyboard of a phone opens or the composer grows; and what a reader looks at stays
// where it is when a banner or an announcement comes above it, or goes, and when the width changes.
let topOfLog = 0;
new ResizeObserver(() => {
  const { top } = byId("log").getBoundingClientRect();
  const moved = top - topOfLog;
  topOfLog = top;
  if (active?.stuck) return toEnd();
  if (!active) return;
  if (!keepMessage() && moved !== 0) {
    byId("log").scrollTop += moved;
    placeMoved();
    lastTop = byId("log").scrollTop;
  }
  noteMessage();
  // What is higher now may show the end.
  const c = active;
  if (c.wished || c.landing || c.detached || !byId("log").clientHeight || belowView() >= NEAR) return;
  c.stuck = true;
  readWhatIsSeen();
  drawToLatest();
}).observe(byId("log"));

drawnBy("log", drawLog);
