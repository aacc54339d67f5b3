/**
 * The chat page behind its door: going in and out. `door.js` is where one comes in, and takes this file and all others
 * when the door has been drawn. `client.js` keeps the connection; the other files are a subject each:
 *
 * - kept: `conversations.js`, `history.js`, `reading.js`, `presence.js`, `storage.js`, `unsent.js` with `begun.js`,
 *   and `incoming.js` for what the server says
 * - drawn: `log.js` with `unread.js` and `message.js`, `announcements.js`, `sidebar.js`, `people.js`, `connection.js`
 *   with `ended.js`, each a part of the page that `drawing.js` calls when it is stale
 * - done: `places.js` goes somewhere; `composer.js` takes what is written, `commands.js` with `suggestions.js` does it
 *   or `sending.js` sends it; `actions.js` is what is done with a message, `selection.js` what is copied; `keys.js`,
 *   `switcher.js`, `search.js`, `finder.js`, `picker.js`, `format.js`, `person.js`, `invitation.js`, `place_menu.js`,
 *   `note.js`, `topic.js`, `question.js`, `going.js` and `drawers.js` open and close, with `dialogs.js`;
 *   `notifications.js` calls a reader who is away, but for what is muted: `muting.js`
 * - kept by the browser: `worker.js`, which `installing.js` puts there
 * - helpers: `dom.js`, `attention.js`, `avatar.js`, `clicks.js`, `copying.js`, `emoji.js`, `lists.js`,
 *   `lookalikes.js`, `markup.js` with `pieces.js`, `names.js`, `qr.js`, `text.js`, `typing.js`, `words.js`; and
 *   `old.js`, which speaks where a browser is too old for all these
 * - said: `language.js`, with the words of the page in tables, two for each language: `en_door.js`, `en.js` by
 *   `english.js`; `de_door.js`, `de.js` and so on, with `de_emoji.js` for the picker
 *
 * Imports point from what is done to what is kept. What is kept never asks the document.
 */
import "./english.js";
import { SalonClient } from "./client.js";
import { sayKeys } from "./composer.js";
import { firstConnection, linkEndsAt } from "./connection.js";
import {
  active, begin, client, conversation, conversations, isOurPlaces, keepPlacesOf, me, proven, readElsewhere, roles, rooms, savePlaces,
} from "./conversations.js";
import { byId } from "./dom.js";
import { addressed, openDoor, serverAddress } from "./door.js";
import { redraw } from "./drawing.js";
import { drawAnnouncements } from "./announcements.js";
import { whenSignedOut } from "./ended.js";
import { narrow } from "./drawers.js";
import { PAGE } from "./history.js";
import { listen } from "./incoming.js";
import { fillIn, t } from "./language.js";
import { lookAtZone } from "./message.js";
import { DEFAULT_ROOM } from "./names.js";
import { chosenStatus, drawMe, holdStatus } from "./people.js";
import { enterHereToo, focusComposer, goInto, goToMessage, leaveHereToo, open, revisit, setAddress } from "./places.js";
import { presence } from "./presence.js";
import { keptPlaces, rolesOf, sessionToken, storeInTab, subjectOf } from "./storage.js";
import { letGoOfUnsent, unsentOf } from "./unsent.js";
import { UNAUTHORIZED, inWords, nameProblem } from "./words.js";
import "./clicks.js";
import "./actions.js";
import "./dialogs.js";
import "./installing.js";
import "./keys.js";
import "./selection.js";
import "./log.js";
import "./composer.js";
import "./finder.js";
import "./format.js";
import "./place_menu.js";
import "./sidebar.js";

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

if ("BroadcastChannel" in window) {
  const channel = new BroadcastChannel("salon.tokens");
  channel.onmessage = ({ data }) => {
    if (data.asked && proven && client?.state === "connected") channel.postMessage({ token: sessionToken() });
  };
}

/** Somebody comes in, to where the address leads. `known` are the names that were used in this browser. */
export function enter({ name, token, known, ...place }) {
  if (known) keepPlacesOf(known);
  fillIn(document);
  lookAtZone();
  drawAnnouncements();
  sayKeys();
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
  const to = { ...addressed(), ...place };
  const { room, person, at } = asSeen(to);
  if (person && !nameProblem(person)) open("person", person, how);
  else if (room && !nameProblem(room)) open("room", room, how);
  else {
    const last = conversations.get(places.active) ?? rooms()[0];
    open(last?.kind ?? "room", last?.id ?? DEFAULT_ROOM, how);
  }
  if (room || person) goToMessage(active, at);
  sayWrongPlace(to);
  client.connect();
  drawMe();
  if (!narrow.matches) focusComposer();
}

/** A name that was enough once may not be today. */
function needNoLink(salon) {
  salon.on("state", ({ state, code }) => {
    if (salon !== client || state !== "closed" || code !== UNAUTHORIZED) return;
    openDoor({ again: true });
  });
}

/** A link has ended: the door says what is needed. Other tabs may have another one. */
whenSignedOut(() => {
  letGoOfUnsent();
  client.close();
  savePlaces();
  sessionToken(null);
  openDoor({ again: true });
});

/**
 * A link with another token was opened in this tab. One of the same person goes on where we are; another person begins
 * anew, and so does one with other rights, which the server says at the beginning of a connection.
 */
export function renew(token, place) {
  const anew = () => {
    if (client) letGoOfUnsent();
    client?.close();
    return enter({ token, ...place });
  };
  sessionToken(token);
  setAddress(location.pathname);
  if (byId("app").hidden || subjectOf(token) !== me) return anew();
  client.authenticate(token).then((answer) => {
    if (`${rolesOf(token)}` !== `${roles}`) anew();
    else if (answer) linkEndsAt(answer.expires_at);
  }, (error) => {
    active.problem = t("newLinkNotTaken", { why: inWords(error) });
    redraw("composer");
  });
  client.connect(); // where the old one had run out
  goTo(place.person || place.room ? place : active.kind === "room" ? { room: active.id } : { person: active.id }, { instead: true });
}

/** Where the address leads, after a link or the Back button changed it. */
function goTo(place, how) {
  const { room, person, by, at } = asSeen(place);
  if (person && !nameProblem(person)) open("person", person, by ? { instead: true } : how);
  else if (room && !nameProblem(room)) (history.state?.visited ? revisit : goInto)(room, how);
  else return sayWrongPlace(place);
  goToMessage(active, at);
}

/** A place as we see it: the address of a direct message names two, of whom one is us. */
function asSeen(place) {
  const { person, by } = place;
  if (!by || !person || !me || by === me) return place;
  return { ...place, person: person === me ? by : null };
}

/** A link that leads nowhere says why. */
function sayWrongPlace(place) {
  const { room, person } = asSeen(place);
  const problem = person ? nameProblem(person) : room && nameProblem(room);
  const isOfOthers = place.person && !person;
  if (!problem && !isOfOthers) return;
  active.problem = isOfOthers ? t("linkOfOthers") : t(person ? "nameInLink" : "roomInLink", { problem });
  redraw("composer");
}

/** Where the address leads, after it was changed while we are in. */
export function follow({ name, ...place }) {
  if (name && name !== me) {
    letGoOfUnsent();
    client.close();
    return openDoor();
  }
  goTo(place);
}
