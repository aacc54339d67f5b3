/**
 * The list of rooms and direct conversations, and the head of the one on screen.
 */
import { isAway } from "./attention.js";
import { avatar } from "./avatar.js";
import { begunOf } from "./begun.js";
import { active, conversations, me, people, rooms } from "./conversations.js";
import { byId, drawList, element, icon } from "./dom.js";
import { drawnBy } from "./drawing.js";
import { inDigits, t } from "./language.js";
import { compare } from "./lists.js";
import { difference, nameParts } from "./lookalikes.js";
import { copyAloud } from "./copying.js";
import { focusComposer, invitationTo, open, publicRooms } from "./places.js";
import { presence, statusInWords, statusOf } from "./presence.js";
import { atMost, called, isSeen, showBadge } from "./reading.js";

const OTHERS_SHOWN = 20; // rooms that the reader is not in

/** Gives a node what is in it, unless it has just that: what is selected or pointed at there then stays. */
function fill(node, ...children) {
  const filled = node.cloneNode();
  filled.append(...children);
  if (!node.isEqualNode(filled)) node.replaceChildren(...filled.childNodes);
}

function drawHead() {
  const c = active;
  const title = byId("title");
  if (c.kind === "room") fill(title, icon("hash"), ...roomName(c.id, c.name));
  else fill(title, element("span", `presence ${statusOf(c.id)}`), ...nameParts(c.id));
  const note = c.id === me ? t("notesToYourself") : presence.get(c.id)?.note;
  fill(byId("topic"), c.kind === "room" ? c.topic : note ?? statusInWords(statusOf(c.id)));
  byId("topic").title = byId("topic").textContent; // it may be cut
  byId("topic").classList.toggle("status-words", c.kind !== "room" && note === undefined);
  const isOurs = c.kind === "room" && !c.removed;
  for (const id of ["edit-topic", "change-topic", "change-title"]) byId(id).hidden = !isOurs;
  byId("people-count").textContent = c.kind === "room" && !c.removed ? inDigits(c.count) : "";
  byId("people-words").textContent = c.kind === "room" && !c.removed ? t("peopleShowCount", { count: c.count }) : t("peopleShow");
  byId("open-details").classList.toggle("uncounted", c.kind !== "room");
  for (const id of ["copy-link", "show-code"]) byId(id).hidden = c.kind !== "room";
  byId("invite").hidden = c.kind !== "room" || c.count >= 2 || c.removed !== "";
  byId("leave-text").textContent = t(c.kind !== "room" ? "closeConversation" : c.removed ? "closeRoom" : "leaveRoom");
  const where = c.kind === "room" ? t("messageToRoom", { room: c.title }) : t("messageTo", { name: c.id });
  byId("composer-label").textContent = where;
  byId("composer-input").placeholder = c.kind === "room" && !c.name ? t("messageHash", { room: c.id }) : t("messageHere", { name: c.name || c.id });
}

function drawPlaces() {
  const entry = (c) => ({ key: c.key, c });
  const rank = (c) => (c !== active && c.urgent > 0 ? 2 : c.muted ? -1 : c !== active && c.unread > 0 ? 1 : 0);
  const byRank = (a, b) => rank(b) - rank(a) || compare(a.title, b.title);
  drawList(byId("room-list"), rooms().sort(byRank).map(entry), placeButton, updatePlace);
  drawList(byId("person-list"), people().sort(byRank).map(entry), placeButton, updatePlace);
  byId("person-empty").hidden = people().length > 0;
  const others = publicRooms.filter((room) => !conversations.has(`room:${room.room_id}`)).sort((a, b) => compare(a.name, b.name)).slice(0, OTHERS_SHOWN);
  byId("public-section").hidden = others.length === 0;
  drawList(byId("public-list"), others.map((room) => ({ key: room.room_id, room })), placeButton, updatePublic);
  showCurrent();
  fill(byId("me-name"), me || "…", ...isBegun("note") ? [draftMark()] : []);
  const elsewhere = [...conversations.values()].reduce((sum, c) => sum + (c === active ? 0 : c.calling), 0);
  byId("places-badge").hidden = elsewhere === 0;
  const [urgent, uncounted] = called();
  byId("places-badge").classList.toggle("urgent", urgent > 0);
  const words = elsewhere ? t("roomsUnread", { count: elsewhere }) : t("roomsAndMessages");
  if (byId("open-places").getAttribute("aria-label") !== words) byId("open-places").setAttribute("aria-label", words);
  // The title counts what calls the reader, and marks that there is more.
  const more = elsewhere + (isAway() ? active.calling : 0) > 0;
  const title = `${urgent ? `(${atMost(urgent, uncounted)}) ` : more ? "• " : ""}${active.title} · Salon`;
  if (document.title !== title) document.title = title;
  showBadge(urgent);
}

let shownLast = null;

/** What has been opened is in view in the list, too. */
function showCurrent() {
  if (active === shownLast) return;
  shownLast = active;
  const place = document.querySelector(".places-scroll .place[aria-current]");
  if (!place) return;
  const list = place.closest(".places-scroll");
  const [at, view] = [place.getBoundingClientRect(), list.getBoundingClientRect()];
  if (at.top < view.top) list.scrollTop -= view.top - at.top + place.offsetHeight;
  else if (at.bottom > view.bottom) list.scrollTop += at.bottom - view.bottom + place.offsetHeight;
}

/** The title of a room, and its difference to one that looks like it. */
const roomName = (id, title, className = "") => [...title && title !== id ? [element("bdi", className, title)] : nameParts(id, className, "room"), ...roomId(id, title)];

/** A room with a title keeps its id beside it: titles are not unique, and commands and links take the id. */
export function roomId(id, title) { return title && title !== id ? [Object.assign(element("span", "room-id", id), { dir: "auto" })] : []; }

/** A name as it is where it is not cut: for a pointer, since others hear it as it is. */
const whole = (id, title) => (title && title !== id ? `${title} · ${id}` : id);

export function placeButton(entry) {
  const button = element("button", "place");
  button.type = "button";
  return element("li", "", button);
}

function updatePlace(node, { c }) {
  const button = node.firstElementChild;
  const current = c === active;
  const seen = isSeen(c) || (current && !isAway() && !c.held && c.urgent === 0);
  const state = `${current} ${seen} ${c.unread} ${c.urgent} ${c.mayCallMore} ${c.kind === "person" ? statusOf(c.id) : c.name} ${difference(c.id, c.kind)?.short ?? ""} ${hasDraft(c)} ${c.removed !== ""} ${c.muted}`;
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  const mark = c.kind === "room" ? element("span", "place-hash", icon("hash")) : element("span", "avatar-box", avatar(c.id, "small"), element("span", `presence ${statusOf(c.id)}`));
  button.replaceChildren(mark, ...c.kind === "room" ? roomName(c.id, c.name, "place-name") : nameParts(c.id, "place-name"));
  if (hasDraft(c)) button.append(draftMark());
  if (c.muted) button.append(mutedMark());
  const unread = !seen && c.calling > 0;
  const unreadWords = (count) => t("unreadHere", { count, shown: atMost(count) });
  const shown = atMost(c.urgent, c.mayCallMore);
  if (unread && c.urgent > 0) button.append(element("span", "badge", seenOnly(shown), " ", element("span", "sr-only", c.kind === "person" ? unreadWords(c.urgent) : t("mentionsHere", { count: c.urgent, shown }))));
  else if (unread) button.append(element("span", "unread-dot", element("span", "sr-only", unreadWords(c.unread))));
  button.onpointerenter = () => { button.title = whole(c.id, c.name); };
  button.classList.toggle("unread", unread);
  button.classList.toggle("muted", c.muted);
  if (current) button.setAttribute("aria-current", "page");
  else button.removeAttribute("aria-current");
  button.onclick = () => {
    open(c.kind, c.id);
    focusComposer();
  };
}

/** A text that is there for the eye, and is said in other words beside. */
function seenOnly(text) {
  const node = element("span", "", text);
  node.setAttribute("aria-hidden", "true");
  return node;
}

const isBegun = (key) => begunOf(key) !== undefined;

/** Whether a conversation has a draft that is not on screen: in the box of one elsewhere, or in a dialog. */
const hasDraft = (c) => (c.kind === "room" && (isBegun(`title:${c.id}`) || isBegun(`topic:${c.id}`))) || (c !== active && (c.draft.trim() !== "" || c.reply !== null || c.editing !== null || c.pending.some(({ failed }) => failed)));

function draftMark() {
  const mark = element("span", "draft-mark", icon("pencil"), element("span", "sr-only", ` ${t("notSentYet")}`));
  mark.title = t("somethingNotSent");
  return mark;
}

function mutedMark() {
  const mark = element("span", "draft-mark", icon("bell-off"), element("span", "sr-only", ` ${t("isMuted")}`));
  mark.title = t("muted");
  return mark;
}

export function updatePublic(node, { room }) {
  const button = node.firstElementChild;
  const state = `${room.members} ${room.name} ${difference(room.room_id, "room")?.short ?? ""}`;
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  button.replaceChildren(element("span", "place-hash", icon("hash")), ...roomName(room.room_id, room.name, "place-name"));
  if (room.members) button.append(element("span", "place-members", icon("people"), seenOnly(String(room.members)), " ", element("span", "sr-only", t("peopleCount", { count: room.members }))));
  button.title = t("joinRoom", { room: whole(room.room_id, room.name) });
  button.onclick = () => {
    if (byId("finder").open) byId("finder").close();
    open("room", room.room_id);
    focusComposer();
  };
}

for (const id of ["copy-link", "invite"]) byId(id).addEventListener("click", () => copyAloud(invitationTo(active), t("invitationLink")));

drawnBy("head", drawHead);
drawnBy("places", drawPlaces);
