/**
 * People: the members, their status, their typing; and our own status.
 */
import { avatar, hue, initials } from "./avatar.js";
import { active, client, me, proven, statusKey } from "./conversations.js";
import { byId, drawList, element } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { phrase, t } from "./language.js";
import { compare } from "./lists.js";
import { difference, nameParts } from "./lookalikes.js";
import { open, whenOpened } from "./places.js";
import { STATUSES, presence, statusInWords, statusOf } from "./presence.js";
import { forget, store, stored } from "./storage.js";
import { inWords } from "./words.js";

const MEMBERS_SHOWN = 200;
const FILTER_OVER = 30; // people; with fewer, one looks
const STATUS_AGAIN = 1_000; // until a status is sent again, where the server does not say how long to wait

/**
 * The status of a person when they were last here in this browser, for a client to begin with. Undefined for plain
 * `online`.
 */
export function chosenStatus(name) {
  const kept = stored(statusKey(name));
  return kept && STATUSES.includes(kept.status) && typeof kept.note === "string" ? { status: kept.status, note: kept.note } : undefined;
}

let shown = null; // the status that the select shows
let held = null; // the status that the server holds, as far as we know

/**
 * Shows our status. The browser keeps it over reloads and closed tabs, so that a person who hid is hidden again before
 * anybody sees them.
 */
function showStatus(status) {
  shown = status;
  byId("me-status").value = status.status;
  byId("me-status").title = status.note;
  presence.set(me, { status: status.status, note: status.note || undefined });
  redraw("members", "head");
}

/** The server holds this status of ours, or will with the connection that begins. */
export function holdStatus({ status, note = "" }) {
  held = { status, note };
  if (status === "online" && note === "") forget(statusKey(me));
  else store(statusKey(me), held);
  showStatus(held);
}

/**
 * Sets our status. Without a connection it is sent when there is one. `refused` gets the error of a status that the
 * server does not take.
 */
export function setStatus(status, note = "", refused = () => {}) {
  const wanted = { status, note };
  showStatus(wanted);
  byId("announcer").textContent = t(note ? "statusIsWithNote" : "statusIs", { status: status === "offline" ? t("invisible") : statusInWords(status), note });
  sayStatus(wanted, active, refused);
}

function sayStatus(wanted, c, refused) {
  const salon = client;
  salon.status(wanted.status, wanted.note).then(() => { if (shown === wanted) holdStatus(wanted); }, (error) => {
    if (shown !== wanted || salon !== client) return; // another one has been chosen
    if (error.code === "disconnected") return holdStatus(wanted); // it is sent with the next connection
    c.problem = wanted.note && error.code === "bad_request" ? t("noteNotTaken") : inWords(error);
    if (error.retry) setTimeout(() => { if (shown === wanted && salon === client) sayStatus(wanted, c, refused); }, error.retryAfter ?? STATUS_AGAIN);
    else {
      showStatus(held);
      refused();
    }
    redraw("composer");
  });
}

/** The sentence about who can read a direct conversation; it promises no more than is true. */
export function privacyOf(name) {
  if (name === me) return t(proven ? "privacyOwn" : "privacyOwnFree");
  return t(proven ? "privacyTwo" : "privacyTwoFree", { name });
}

const EVERYBODY_MAX = 2_000; // names of a big room that are read
const EVERYBODY_FOR = 60_000; // and how long they are good for

/**
 * All who are in a conversation. Of a big room the server sends a sample by itself; the other names are asked for when
 * they are needed, and `more` is called when they are there.
 */
export function everybody(c, more = () => {}) {
  if (c.kind !== "room") return [c.id];
  if (c.count <= c.members.size) return [...c.members];
  const now = performance.now();
  if (!c.asking && !(now - c.everybodyAt < EVERYBODY_FOR)) {
    c.asking = true;
    readEverybody(c).catch(() => {}).then(() => {
      c.asking = false;
      c.everybodyAt = performance.now();
      redraw("members");
      more();
    });
  }
  return [...new Set([...c.members, ...c.everybody ?? []])];
}

async function readEverybody(c) {
  const names = [];
  let cursor;
  do {
    const page = await client.members(c.id, { limit: 200, cursor });
    for (const { user_id } of page.members) names.push(user_id);
    cursor = page.next;
  } while (cursor !== undefined && names.length < EVERYBODY_MAX);
  c.everybody = names;
}

byId("members-more").addEventListener("click", () => {
  active.allShown = true;
  everybody(active);
  redraw("members");
});


byId("members-filter-input").addEventListener("input", () => redraw("members"));
whenOpened(() => { byId("members-filter-input").value = ""; });

function drawMembers() {
  const c = active;
  const names = c.kind === "room" ? c.allShown ? everybody(c) : [...c.members] : [...new Set([me, c.id])];
  const rank = { online: 0, busy: 1, away: 2, offline: 3 };
  names.sort((a, b) => (rank[statusOf(a)] ?? 0) - (rank[statusOf(b)] ?? 0) || compare(a, b));
  const count = c.kind === "room" ? Math.max(c.count, names.length) : names.length;
  const filtered = count > FILTER_OVER && c.kind === "room";
  byId("members-filter").hidden = !filtered;
  const wanted = filtered ? byId("members-filter-input").value.trim().toLocaleLowerCase() : "";
  const found = wanted ? everybody(c, () => redraw("members")).filter((name) => name.toLocaleLowerCase().includes(wanted)) : names;
  const shown = found.slice(0, c.allShown ? EVERYBODY_MAX : MEMBERS_SHOWN);
  byId("details-title").textContent = c.kind === "room" && !c.removed ? t("peopleHere", { count }) : t("people");
  byId("members-more").hidden = count <= shown.length || wanted !== "";
  byId("members-more").disabled = c.allShown === true;
  byId("members-more").textContent = count > shown.length ? t(c.allShown ? "andSoManyMore" : "showMore", { count: count - shown.length }) : "";
  drawList(byId("members"), shown.map((name) => ({ key: name, name })), ({ name }) => {
    const button = element("button", "member");
    button.type = "button";
    button.addEventListener("click", () => { open("person", name); byId("composer-input").focus(); });
    return element("li", "", button);
  }, (node, { name }) => {
    const { note } = presence.get(name) ?? {};
    const status = c.kind === "room" && !presence.has(name) ? "online" : statusOf(name);
    const state = `${status} ${note ?? ""} ${name === me} ${difference(name)?.short ?? ""}`;
    if (node.dataset.state === state) return;
    node.dataset.state = state;
    const button = node.firstElementChild;
    const words = element("span", "member-words", ...nameParts(name, "member-name"));
    if (name === me) words.append(element("span", "you", t("you")));
    const visible = note || status !== "online" ? "member-note" : "sr-only";
    words.append(element("span", note ? visible : `${visible} status-words`, note || statusInWords(status)));
    button.replaceChildren(element("span", "avatar-box", avatar(name, "medium"), element("span", `presence ${status}`)), words);
    button.classList.toggle("offline", status === "offline");
    button.title = name === me ? t("notesToYourself") : t("writeTo", { name });
  });
}

function drawTyping() {
  const now = performance.now();
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
    if (names.length === 1) node.append(element("span", "", ...phrase("isTyping", { name: nameParts(names[0]) })));
    else if (names.length === 2) node.append(element("span", "", ...phrase("areTyping", { first: nameParts(names[0]), second: nameParts(names[1]) })));
    else node.append(element("span", "", t("manyAreTyping", { count: names.length })));
    setTimeout(() => redraw("typing"), next - now + 20);
  }
}

export function drawMe() {
  const node = byId("me-avatar");
  node.style = hue(me);
  node.textContent = initials(me);
  redraw("places");
}

byId("me-status").addEventListener("change", (event) => setStatus(event.target.value));

drawnBy("members", drawMembers);
drawnBy("typing", drawTyping);
