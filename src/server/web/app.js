/**
 * The chat page: coming in and going out. `client.js` keeps the connection; the other files are a subject each:
 *
 * - kept: `conversations.js`, `history.js`, `reading.js`, `presence.js`, `storage.js`, `unsent.js`, and `incoming.js`
 *   for what the server says
 * - drawn: `log.js` with `unread.js` and `message.js`, `announcements.js`, `sidebar.js`, `people.js`, `connection.js`
 *   with `ended.js`, each a part of the page that `drawing.js` calls when it is stale
 * - done: `places.js` goes somewhere; `composer.js` takes what is written, `commands.js` with `suggestions.js` does it
 *   or `sending.js` sends it; `actions.js` is what is done with a message, `selection.js` what is copied; `keys.js`,
 *   `switcher.js`, `search.js`, `finder.js`, `picker.js`, `person.js`, `question.js` and `drawers.js` open and close;
 *   `notifications.js` calls a reader who is away
 * - kept by the browser: `worker.js`, which `installing.js` puts there
 * - helpers: `dom.js`, `attention.js`, `avatar.js`, `copying.js`, `emoji.js`, `lookalikes.js`, `markup.js`, `text.js`,
 *   `words.js`; and `old.js`, which speaks where a browser is too old for all these
 *
 * Imports point from what is done to what is kept. What is kept never asks the document.
 */
import { SalonClient, nameProblem, normalName } from "./client.js";
import { firstConnection } from "./connection.js";
import {
  OPERATOR, active, begin, client, conversation, conversations, forgetPlaces, isOurPlaces, keepPlacesOf, keptPlaces, me, people, proven, readElsewhere, rooms, savePlaces,
} from "./conversations.js";
import { byId, element, named } from "./dom.js";
import { redraw } from "./drawing.js";
import { forgetAnnouncements } from "./announcements.js";
import { whenSignedOut } from "./ended.js";
import { closeDrawers, narrow } from "./drawers.js";
import { PAGE } from "./history.js";
import { listen } from "./incoming.js";
import { chosenStatus, drawMe, holdStatus } from "./people.js";
import { DEFAULT_ROOM, enterHereToo, focusComposer, goInto, goToMessage, leaveHereToo, open, revisit, setAddress, withoutSign } from "./places.js";
import { presence } from "./presence.js";
import { sessionToken, store, storeInTab, stored, storedInTab, subjectOf } from "./storage.js";
import { letGoOfUnsent, unsentOf } from "./unsent.js";
import { CLOSE_WORDS, inWords } from "./words.js";
import "./actions.js";
import "./installing.js";
import "./keys.js";
import "./selection.js";
import "./log.js";
import "./composer.js";
import "./finder.js";
import "./sidebar.js";

document.documentElement.setAttribute("data-started", ""); // `old.js` looks

window.addEventListener("storage", ({ key }) => {
  if (key === null || byId("app").hidden || !isOurPlaces(key)) return;
  const places = keptPlaces(me);
  readElsewhere(places);
  for (const [left, at] of places.left) {
    const c = conversations.get(left);
    if (c && c.since <= at) leaveHereToo(c, at);
  }
  for (const room of places.rooms) enterHereToo(room);
});

window.addEventListener("pagehide", savePlaces);

function addressed() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const name = (field) => (fields.has(field) ? normalName(fields.get(field)) : null);
  return { room: name("room"), name: name("name"), person: name("with"), token: fields.get("token"), at: fields.get("at") };
}

// The door: how one comes in here, and under which name.

const NAMES_MAX = 20;
const ROOMS_LOOKED_AT = 200; // at the door, for how many are in the one that somebody is invited to
const NEEDS_LINK = "You need a link of your own to come in here. Please open the one that you were given, or ask whoever runs this server for one.";
const UNAUTHORIZED = 4001;

/** The connection that asks something before anybody comes in. */
let doorstep = null;
let asking = ""; // the name that it asks about
let knownOpen = false; // the server takes names

function serverAddress() {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

/**
 * Asks the server something on a connection of its own, which joins nothing and ends with the answer of `question`; or
 * with `{code}`, if the server lets nobody in. The next question takes its place; then the first has no answer.
 */
function askAtDoor(user, question) {
  endAsking();
  const salon = new SalonClient({ url: serverAddress(), user });
  doorstep = salon;
  doorSays("Asking the server …", "patient");
  return new Promise((resolve) => {
    const answer = (found) => {
      if (salon !== doorstep) return;
      endAsking();
      resolve(found);
    };
    // A question that a cut wire took away is asked again after the next welcome.
    salon.on("welcome", () => question(salon).then(answer, ({ code }) => { if (code !== "disconnected") answer({}); }));
    salon.on("state", ({ state, code }) => {
      if (state === "closed") answer({ code });
      else if (state === "waiting" && salon === doorstep) doorSays(`${CLOSE_WORDS[code] ?? "The server cannot be reached."} Trying again …`);
    });
    salon.connect();
  });
}

const TABS_WITHIN = 300;

/** A tab that was opened beside one that came in by a link comes in by the same: the link of a tab is asked for. */
function askOtherTabs() {
  if (!("BroadcastChannel" in window)) return Promise.resolve(null);
  const channel = new BroadcastChannel("salon.tokens");
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => { if (data.token) resolve(data.token); };
    setTimeout(() => resolve(null), TABS_WITHIN);
    channel.postMessage({ asked: true });
  }).finally(() => channel.close());
}

if ("BroadcastChannel" in window) {
  const channel = new BroadcastChannel("salon.tokens");
  channel.onmessage = ({ data }) => {
    if (data.asked && proven && client?.state === "connected") channel.postMessage({ token: sessionToken() });
  };
}

function endAsking() {
  const salon = doorstep;
  doorstep = null;
  salon?.close();
  doorSays("");
}

function doorSays(text, manner = "") {
  byId("door-status").className = `door-status ${manner}`;
  byId("door-status").textContent = text;
}

/** Shows one of the parts of the door, or none of them. */
function doorShows(part) {
  for (const one of ["door-form", "door-question"]) byId(one).hidden = one !== part;
}

async function openDoor() {
  const { room, name } = addressed();
  document.title = "Salon";
  byId("app").hidden = true;
  byId("door").hidden = false;
  byId("door-name").value = name ?? storedInTab("salon.name") ?? stored("salon.name") ?? "";
  byId("door-room").value = room ?? DEFAULT_ROOM;
  for (const part of document.querySelectorAll("#door-room, label[for=door-room]")) part.hidden = Boolean(room) && !nameProblem(room);
  byId("door-title").textContent = `Welcome to ${location.hostname === "localhost" || /^[\d.:[\]]+$/u.test(location.hostname) ? "Salon" : location.hostname}`;
  byId("door-where").textContent = room ? `You are invited to the room “${room}”.` : "";
  fieldProblem("name", "");
  fieldProblem("room", "");
  doorShows(null);
  // Only the welcome of the server says whether names count here; no address does.
  const { code, rooms: open = [] } = knownOpen ? {} : await askAtDoor(undefined, (salon) => salon.rooms({ limit: ROOMS_LOOKED_AT }));
  if (code === UNAUTHORIZED) {
    const token = await askOtherTabs();
    if (token && !byId("door").hidden) return renew(token, addressed());
    return doorSays(NEEDS_LINK);
  }
  knownOpen = true;
  const inside = open.find(({ room_id }) => room_id === room);
  if (inside?.members) byId("door-where").textContent += ` ${counted(inside.members, "person is", "people are")} there.`;
  if (!room) byId("door-where").textContent = "Choose a name and come in.";
  askForName(code ? CLOSE_WORDS[code] ?? "" : "");
}

function askForName(problem = "") {
  doorShows("door-form");
  byId("door-problem").textContent = problem;
  byId("door-name").focus();
}

/** Shows beneath a field what is wrong with it; the empty string clears it. */
function fieldProblem(field, problem) {
  byId(field === "name" ? "door-problem" : "door-room-problem").textContent = problem;
  byId(`door-${field}`).setAttribute("aria-invalid", String(problem !== ""));
}

byId("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = normalName(withoutSign("@", byId("door-name").value.trim()));
  let room = normalName(withoutSign("#", byId("door-room").value.trim())) || DEFAULT_ROOM;
  const wrongName = name === OPERATOR ? "That is the name of whoever runs this server." : nameProblem(name) ?? "";
  const wrongRoom = nameProblem(room) ?? "";
  fieldProblem("name", wrongName);
  fieldProblem("room", wrongRoom);
  if (wrongName || wrongRoom) return byId(wrongName ? "door-name" : "door-room").focus();
  // A person with rooms of their own here comes back into those, and not into one that they did not ask for.
  if (room === DEFAULT_ROOM && !addressed().room && keptPlaces(name).rooms.length) room = undefined;
  if (usedBefore(name)) return comeIn(name, room);
  if (doorstep && asking === name) return; // it is being asked
  asking = name;
  // The server tells anybody whether the name has been here. Then we ask whether it is here: a session of the same name
  // is told its devices as they are, also when it is invisible, and the one that asks is among them.
  const { code, before } = await askAtDoor(undefined, (salon) => salon.history({ user_id: name }, { limit: 1 })
    .then(() => ({ before: true }), (error) => { if (error.code === "disconnected") throw error; return { before: false }; }));
  if (code) return askForName(CLOSE_WORDS[code] ?? "The server did not let you in.");
  const { code: closed, devices } = await askAtDoor(name, (salon) => salon.presence({ user_ids: [name] })
    .then(({ users }) => new Map(Object.entries(users)).get(name) ?? {}));
  if (closed) return askForName(CLOSE_WORDS[closed] ?? "The server did not let you in.");
  if (!(devices > 1) && !before) return comeIn(name, room);
  byId("door-question-title").replaceChildren(named(name), devices > 1 ? " is here already. Is that you on another device?" : " has been here before. Was that you?");
  byId("door-question-text").textContent = devices > 1 ? "One name is one person here: both devices read the same direct messages."
    : "One name is one person here: what was written to that name alone is shown to whoever comes in under it.";
  byId("door-same").onclick = () => comeIn(name, room);
  doorShows("door-question");
  byId("door-other").focus(); // a second Enter must not mean: yes, that is me
});

byId("door-other").addEventListener("click", () => {
  askForName();
  byId("door-name").select();
});
byId("door-question").addEventListener("keydown", (event) => { if (event.key === "Escape") byId("door-other").click(); });

/** A name that was used in this browser is not asked about again. */
function usedBefore(name) {
  const names = stored("salon.names");
  return name === stored("salon.name") || (Array.isArray(names) && names.includes(name));
}

function comeIn(name, room) {
  const names = stored("salon.names");
  const known = [...new Set([...(Array.isArray(names) ? names : []), name])].slice(-NAMES_MAX);
  store("salon.names", known);
  store("salon.name", name);
  keepPlacesOf(known);
  enter({ name, room });
}

function enter({ name, room, person, token, at = addressed().at }) {
  endAsking();
  presence.clear();
  firstConnection();
  byId("door").hidden = true;
  byId("app").hidden = false;
  const called = name ?? subjectOf(token) ?? ""; // the server has the last word
  if (name) storeInTab("salon.name", name);
  const unsent = unsentOf(called);
  const status = chosenStatus(called);
  begin(new SalonClient({ url: serverAddress(), user: name, token, outbox: unsent.outbox, status }), called, token);
  listen(client);
  if (!token) needNoLink(client);
  const places = keptPlaces(called);
  for (const kind of ["people", "rooms"]) for (const { id, epoch, read, held, at } of places[kind]) {
    Object.assign(conversation(kind === "people" ? "person" : "room", id), { storedEpoch: epoch, storedRead: read, storedHeld: held === true, since: at ?? 0 });
  }
  unsent.show();
  holdStatus(status ?? { status: "online" });
  for (const { id, removed } of rooms()) if (!removed) client.join(id, { history: PAGE });
  const how = { instead: true };
  if (person && !nameProblem(person)) open("person", person, how);
  else if (room) open("room", room, how);
  else {
    const last = conversations.get(places.active) ?? rooms()[0];
    open(last?.kind ?? "room", last?.id ?? DEFAULT_ROOM, how);
  }
  if (room || person) goToMessage(active, at);
  client.connect();
  drawMe();
  if (!narrow.matches) focusComposer();
}

/** A name that was enough once may not be today. */
function needNoLink(salon) {
  salon.on("state", ({ state, code }) => {
    if (salon !== client || state !== "closed" || code !== UNAUTHORIZED) return;
    knownOpen = false;
    openDoor();
  });
}

// Going out asks first: one press may be a mistake, and what the browser keeps comes back with the name, if it is not
// to be forgotten.

const counted = (count, one, more) => `${count} ${count === 1 ? one : more}`;

byId("change-name").addEventListener("click", () => {
  closeDrawers();
  const waiting = client.outbox.length;
  byId("going-title").replaceChildren("Go out as ", named(me), "?");
  byId("going-text").replaceChildren(
    `This browser keeps your ${[[rooms(), "room"], [people(), "conversation"]].filter(([of]) => of.length).map(([of, one]) => counted(of.length, one, `${one}s`)).join(" and ") || "places"}`,
    " for when you come in as ", named(me), " again.",
    ...waiting ? [element("strong", "", ` ${counted(waiting, "message is", "messages are")} not sent yet.`)] : [],
    proven ? " You need your link for that." : "",
  );
  byId("going").showModal();
});

byId("going-close").addEventListener("click", () => byId("going").close());
byId("going").addEventListener("click", (event) => { if (event.target === byId("going")) byId("going").close(); });
byId("going-keep").addEventListener("click", () => goOut({ forgotten: false }));
byId("going-forget").addEventListener("click", () => goOut({ forgotten: true }));

/** A link has ended: the door says what is needed. Other tabs may have another one. */
whenSignedOut(() => {
  letGoOfUnsent();
  client.close();
  savePlaces();
  sessionToken(null);
  knownOpen = false;
  openDoor();
});

function goOut({ forgotten }) {
  byId("going").close();
  forgetAnnouncements();
  letGoOfUnsent({ forgotten });
  client.close();
  if (forgotten) forgetPlaces(me);
  else savePlaces();
  sessionToken(null);
  setAddress(active?.kind === "room" ? `#room=${encodeURIComponent(active.id)}` : location.pathname);
  openDoor();
}

/**
 * A link with another token was opened in this tab. One of the same person goes on where we are; another person begins
 * anew.
 */
function renew(token, place) {
  sessionToken(token);
  setAddress(location.pathname); // nobody shall read the token over a shoulder
  if (byId("app").hidden || subjectOf(token) !== me) {
    if (client) letGoOfUnsent();
    client?.close();
    knownOpen = false;
    return enter({ token, person: place.person, at: place.at, room: place.room && !nameProblem(place.room) ? place.room : undefined });
  }
  client.authenticate(token).catch((error) => {
    active.problem = `The new link was not taken. ${inWords(error)}`;
    redraw("composer");
  });
  client.connect(); // where the old one had run out
  goTo(place.person || place.room ? place : active.kind === "room" ? { room: active.id } : { person: active.id }, { instead: true });
}

/** Where the address leads, after a link or the Back button changed it. */
function goTo({ room, person, at }, how) {
  if (person && !nameProblem(person)) open("person", person, how);
  else if (room && !nameProblem(room)) (history.state?.visited ? revisit : goInto)(room, how);
  else return sayWrongPlace({ room, person });
  goToMessage(active, at);
}

/** A link that leads nowhere says why. */
function sayWrongPlace({ room, person }) {
  const problem = person ? nameProblem(person) : room && nameProblem(room);
  if (!problem) return;
  active.problem = `${person ? "The name" : "The room"} in the link: ${problem}`;
  redraw("composer");
}

window.addEventListener("hashchange", () => {
  const { room, person, name, token, at } = addressed();
  if (token) return renew(token, { room, person, at });
  if (byId("app").hidden) return openDoor();
  if (name && name !== me) {
    letGoOfUnsent();
    client.close();
    return openDoor();
  }
  goTo({ room, person, at });
});

// Coming in: a known name goes straight to the chat; a name in the link that is not ours is only proposed.
{
  const { name, room, person, token: given } = addressed();
  const token = sessionToken(given ?? undefined);
  // A tab stays who it is, whoever came in by another one since.
  const known = storedInTab("salon.name") ?? stored("salon.name");
  const roomOk = room && !nameProblem(room) ? room : undefined;
  if (token) enter({ token, room: roomOk, person });
  else if (typeof known === "string" && !nameProblem(known) && (!name || name === known)) enter({ name: known, room: roomOk, person });
  else openDoor();
  if (client) sayWrongPlace({ room, person });
}
