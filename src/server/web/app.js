/**
 * The chat page: coming in and going out. `client.js` keeps the connection; the other files are a subject each:
 *
 * - kept: `conversations.js`, `history.js`, `presence.js`, `storage.js`, and `incoming.js` for what the server says
 * - drawn: `log.js` and `message.js`, `sidebar.js`, `people.js`, `connection.js`, each a part of the page that `drawing.js` calls when it is stale
 * - done: `places.js` goes somewhere; `composer.js` takes what is written, `commands.js` with `suggestions.js` does it or `sending.js`
 *   sends it; `finder.js` and `drawers.js` open and close; `notifications.js` calls a reader who is away
 * - helpers: `dom.js`, `avatar.js`, `text.js`, `words.js`
 *
 * Imports point from what is done to what is kept. What is kept never asks the document.
 */
import { SalonClient, nameProblem } from "./client.js";
import { firstConnection } from "./connection.js";
import { active, begin, client, conversation, conversations, forgetPlaces, me, readElsewhere, rooms, savePlaces } from "./conversations.js";
import { byId, named } from "./dom.js";
import { redraw } from "./drawing.js";
import { closeDrawers, narrow } from "./drawers.js";
import { PAGE } from "./history.js";
import { listen } from "./incoming.js";
import { drawMe } from "./people.js";
import { DEFAULT_ROOM, goInto, open, revisit } from "./places.js";
import { presence } from "./presence.js";
import { sessionToken, store, stored, subjectOf } from "./storage.js";
import { CLOSE_WORDS, inWords } from "./words.js";
import "./log.js";
import "./composer.js";
import "./finder.js";
import "./sidebar.js";

window.addEventListener("storage", ({ key }) => { if (key === "salon.places") readElsewhere(stored(key)); });

window.addEventListener("pagehide", savePlaces);

function addressed() {
  const fields = new URLSearchParams(location.hash.slice(1));
  return { room: fields.get("room"), name: fields.get("name"), person: fields.get("with"), token: fields.get("token") };
}

// The door: how one comes in here, and under which name.

const NAMES_MAX = 20;
const NEEDS_LINK = "You need a link of your own to come in here. Please open the one that you were given, or ask whoever runs this server for one.";
const UNAUTHORIZED = 4001;

/** The connection that asks something before anybody comes in. */
let doorstep = null;
let knownOpen = false; // the server takes names

function serverAddress() {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

/**
 * Asks the server something on a connection of its own, which joins nothing and ends with the answer of `question`; or with
 * `{code}`, if the server lets nobody in. Another one takes its place, and then nothing is answered.
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
  byId("door-name").value = name ?? stored("salon.name") ?? "";
  byId("door-room").value = room ?? DEFAULT_ROOM;
  byId("door-where").textContent = room ? `You are invited to the room “${room}”.` : "";
  byId("door-problem").textContent = "";
  doorShows(null);
  // Whether names count here is told by no address of the server, only by its welcome.
  const { code } = knownOpen ? {} : await askAtDoor(undefined, async () => ({}));
  if (code === UNAUTHORIZED) return doorSays(NEEDS_LINK);
  knownOpen = true;
  if (!room) byId("door-where").textContent = "Choose a name and come in.";
  askForName(code ? CLOSE_WORDS[code] ?? "" : "");
}

function askForName(problem = "") {
  doorShows("door-form");
  byId("door-problem").textContent = problem;
  byId("door-name").focus();
}

byId("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("door-name").value.trim();
  const room = byId("door-room").value.trim() || DEFAULT_ROOM;
  const wrongName = nameProblem(name);
  const wrongRoom = nameProblem(room);
  byId("door-name").setAttribute("aria-invalid", String(Boolean(wrongName)));
  byId("door-room").setAttribute("aria-invalid", String(Boolean(wrongRoom)));
  if (wrongName || wrongRoom) {
    byId("door-problem").textContent = wrongName ? `Your name: ${wrongName}` : `The room: ${wrongRoom}`;
    byId(wrongName ? "door-name" : "door-room").focus();
    return;
  }
  byId("door-problem").textContent = "";
  if (usedBefore(name)) return comeIn(name, room);
  if (doorstep?.userId === name) return; // it is being asked
  // The devices of one's own name are told as they are, also of who is invisible. This one is among them.
  const { code, devices } = await askAtDoor(name, (salon) => salon.presence({ user_ids: [name] }).then(({ users }) => users[name] ?? {}));
  if (code) return askForName(CLOSE_WORDS[code] ?? "The server did not let you in.");
  if (!(devices > 1)) return comeIn(name, room);
  byId("door-question-title").replaceChildren(named(name), " is here already. Is that you on another device?");
  byId("door-same").onclick = () => comeIn(name, room);
  doorShows("door-question");
  byId("door-other").focus(); // what a second Enter does should not be to become somebody
});

byId("door-other").addEventListener("click", () => {
  askForName();
  byId("door-name").select();
});
byId("door-question").addEventListener("keydown", (event) => { if (event.key === "Escape") byId("door-other").click(); });

/** Names that somebody came in under in this browser are not asked about again. */
function usedBefore(name) {
  const names = stored("salon.names");
  return name === stored("salon.name") || (Array.isArray(names) && names.includes(name));
}

function comeIn(name, room) {
  const names = stored("salon.names");
  store("salon.names", [...new Set([...(Array.isArray(names) ? names : []), name])].slice(-NAMES_MAX));
  store("salon.name", name);
  enter({ name, room });
}

function enter({ name, room, person, token }) {
  endAsking();
  presence.clear();
  firstConnection();
  byId("door").hidden = true;
  byId("app").hidden = false;
  const called = name ?? subjectOf(token) ?? ""; // the server has the last word
  begin(new SalonClient({ url: serverAddress(), user: name, token }), called);
  listen(client);
  if (!token) needNoLink(client);
  const places = stored("salon.places");
  if (places?.name === called) {
    for (const { id, epoch, read } of places.people ?? []) Object.assign(conversation("person", id), { storedEpoch: epoch, storedRead: read });
    for (const { id, epoch, read } of places.rooms ?? []) Object.assign(conversation("room", id), { storedEpoch: epoch, storedRead: read });
  }
  for (const { id } of rooms()) client.join(id, { history: PAGE });
  const how = { instead: true };
  if (person && !nameProblem(person)) open("person", person, how);
  else if (room) open("room", room, how);
  else {
    const last = conversations.get(places?.active) ?? rooms()[0];
    open(last?.kind ?? "room", last?.id ?? DEFAULT_ROOM, how);
  }
  client.connect();
  drawMe();
  if (!narrow.matches) byId("composer-input").focus();
}

/** A name that was enough once may not be today. */
function needNoLink(salon) {
  salon.on("state", ({ state, code }) => {
    if (salon !== client || state !== "closed" || code !== UNAUTHORIZED) return;
    knownOpen = false;
    openDoor();
  });
}

byId("change-name").addEventListener("click", () => {
  client.close();
  forgetPlaces();
  sessionToken(null);
  history.replaceState(null, "", active?.kind === "room" ? `#room=${encodeURIComponent(active.id)}` : location.pathname);
  closeDrawers();
  openDoor();
});

/** A link with another token was opened in this tab. One of the same person goes on where we are; another person begins anew. */
function renew(token, place) {
  sessionToken(token);
  history.replaceState(null, "", location.pathname); // the token is nobody's to read over a shoulder
  if (byId("app").hidden || subjectOf(token) !== me) {
    client?.close();
    knownOpen = false;
    return enter({ token, person: place.person, room: place.room && !nameProblem(place.room) ? place.room : undefined });
  }
  client.authenticate(token).catch((error) => {
    active.problem = `The new link was not taken. ${inWords(error)}`;
    redraw("composer");
  });
  client.connect(); // where the old one had run out
  goTo(place.person || place.room ? place : active.kind === "room" ? { room: active.id } : { person: active.id }, { instead: true });
}

/** Where the address leads, after a link or the Back button changed it. */
function goTo({ room, person }, how) {
  if (person && !nameProblem(person)) open("person", person, how);
  else if (room && !nameProblem(room)) (history.state?.visited ? revisit : goInto)(room, how);
}

window.addEventListener("hashchange", () => {
  const { room, person, name, token } = addressed();
  if (token) return renew(token, { room, person });
  if (byId("app").hidden) return openDoor();
  if (name && name !== me) { client.close(); return openDoor(); }
  goTo({ room, person });
});

// Coming in: a known name goes straight to the chat; a name in the link that is not ours is only proposed.
{
  const { name, room, person, token: given } = addressed();
  const token = sessionToken(given ?? undefined);
  const known = stored("salon.name");
  const roomOk = room && !nameProblem(room) ? room : undefined;
  if (token) enter({ token, room: roomOk, person });
  else if (typeof known === "string" && !nameProblem(known) && (!name || name === known)) enter({ name: known, room: roomOk, person });
  else openDoor();
}
