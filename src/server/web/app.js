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
import { byId } from "./dom.js";
import { redraw } from "./drawing.js";
import { closeDrawers, narrow } from "./drawers.js";
import { PAGE } from "./history.js";
import { listen } from "./incoming.js";
import { drawMe } from "./people.js";
import { inWords } from "./words.js";
import { DEFAULT_ROOM, goInto, open, revisit } from "./places.js";
import { presence } from "./presence.js";
import { sessionToken, store, stored, subjectOf } from "./storage.js";
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

function openDoor(problem = "") {
  const { room, name } = addressed();
  document.title = "Salon";
  byId("app").hidden = true;
  byId("door").hidden = false;
  byId("door-name").value = name ?? stored("salon.name") ?? "";
  byId("door-room").value = room ?? DEFAULT_ROOM;
  byId("door-where").textContent = room ? `You are invited to the room “${room}”.` : "Choose a name and come in.";
  byId("door-problem").textContent = problem;
  byId("door-name").focus();
}

byId("door-form").addEventListener("submit", (event) => {
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
  store("salon.name", name);
  enter({ name, room });
});

function enter({ name, room, person, token }) {
  presence.clear();
  firstConnection();
  byId("door").hidden = true;
  byId("app").hidden = false;
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  const called = name ?? subjectOf(token) ?? ""; // the server has the last word
  begin(new SalonClient({ url: url.href, user: name, token }), called);
  listen(client);
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
