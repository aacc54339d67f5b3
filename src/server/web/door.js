/**
 * The door: how one comes in here, and under which name. It is what a first visit is shown, and so it is a script of
 * its own with what it imports, which is little; all the rest, `app.js`, follows when the door has been drawn.
 */
import { SalonClient, normalName } from "./client.js";
import { byId, element, named } from "./dom.js";
import { choose, fillIn, offerLanguages, phrase, speak, speakOn, t } from "./language.js";
import { DEFAULT_ROOM, OPERATOR } from "./names.js";
import { sessionToken, store, storedInTab, stored } from "./storage.js";
import { UNAUTHORIZED, nameProblem, whyClosed } from "./words.js";

document.documentElement.setAttribute("data-started", ""); // `old.js` looks

let rest = null;

/** What the language says at the door is on its way, or here. */
let spoken = null;

/**
 * What is behind the door: it is fetched once, and there when the script, the style and the rest of the words are. With
 * another language it lacks the words of that alone.
 */
function app() {
  rest ??= Promise.all([spoken.then(() => import("./app.js")), styled()]).then(([script]) => script, (error) => {
    rest = null; // it is fetched again for whoever comes in then
    throw error;
  });
  return Promise.all([rest, spoken.then(speakOn)]).then(([script]) => script);
}

function styled() {
  const link = element("link");
  link.rel = "stylesheet";
  link.href = "app.css";
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => {
      link.remove();
      reject(new Error("no style"));
    };
    document.head.append(link);
  });
}

let goesIn = false;
let goings = 0;

/**
 * Goes in by what is behind the door. A browser that has to wait for that says so, if it takes long. One goes in once:
 * meanwhile there is no form, and of several ways in the last one counts.
 */
async function goIn(how) {
  endAsking();
  const going = goings += 1;
  doorShows(null);
  doorSays(t("comingIn"), "patient");
  goesIn = true;
  const script = await app().catch(() => null);
  if (going !== goings) return undefined;
  goesIn = false;
  if (script) {
    doorSays("");
    return how(script);
  }
  byId("door").hidden = false;
  doorSays(`${t("notLoaded")} `);
  const again = element("button", "secondary", t("tryAgain"));
  again.type = "button";
  // A browser that could not load a script does not ask for it a second time in the same page.
  again.addEventListener("click", () => location.reload());
  byId("door-status").append(again);
  return again.focus();
}

/** What the address of the page says, but for a token, which is none of what stays there. */
export function addressed() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const name = (field) => (fields.has(field) ? normalName(fields.get(field)) : null);
  return { room: name("room"), name: name("name"), person: name("with"), by: name("by"), at: fields.get("at") };
}

/**
 * Takes the token out of the address, if one has come, before anything is loaded or asked: nobody shall read it over a
 * shoulder, nor in the history of the browser. The tab keeps it.
 */
function takeToken() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const token = fields.get("token");
  if (token === null) return null;
  fields.delete("token");
  try {
    history.replaceState(history.state, "", `${fields}` ? `#${fields}` : location.pathname + location.search);
  } catch { /* a browser that takes no more for now: the place that is gone to takes its place */ }
  return token ? sessionToken(token) : null;
}

const NAMES_MAX = 20;
const ROOMS_LOOKED_AT = 200; // at the door, for how many are in the one that somebody is invited to

/** The connection that asks something before anybody comes in. */
let doorstep = null;
let asking = ""; // the name that it asks about
let knownOpen = false; // the server takes names
let wanted = null; // where somebody was on the way to who needs a link of their own first

export function serverAddress() {
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
  doorSays(t("askingServer"), "patient");
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
      else if (state === "waiting" && salon === doorstep) doorSays(t("tryingAgain", { why: whyClosed(code) || t("unreachable") }));
    });
    salon.connect();
  });
}

const TABS_WITHIN = 300;
const TABS_UNTIL = 10_000;

/**
 * A tab that was opened beside one that came in by a link comes in by the same: the link of a tab is asked for. Where
 * there is none the door says so soon; a tab that is busy may answer later than that, but not at any time.
 */
function askOtherTabs() {
  const waits = () => !goesIn && !byId("door").hidden;
  setTimeout(() => { if (waits()) doorSays(t("needsLink")); }, TABS_WITHIN);
  if (!("BroadcastChannel" in window)) return;
  const tabs = new BroadcastChannel("salon.tokens");
  setTimeout(() => tabs.close(), TABS_UNTIL);
  tabs.onmessage = ({ data }) => { if (data.token && waits()) goIn((app) => app.renew(data.token, addressed())); };
  tabs.postMessage({ asked: true });
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

/** Shows the door. `again`: what was known of who may come in may not hold any more. */
export async function openDoor({ again = false } = {}) {
  if (again) knownOpen = false;
  const { room, name } = addressed();
  document.title = "Salon";
  byId("app").hidden = true;
  byId("door").hidden = false;
  byId("door").classList.remove("patient");
  byId("door-name").value = name ?? storedInTab("salon.name") ?? stored("salon.name") ?? "";
  byId("door-room").value = room ?? DEFAULT_ROOM;
  for (const part of document.querySelectorAll("#door-room, label[for=door-room]")) part.hidden = Boolean(room) && !nameProblem(room);
  byId("door-title").textContent = t("welcomeTo", { place: location.hostname === "localhost" || /^[\d.:[\]]+$/u.test(location.hostname) ? "Salon" : location.hostname });
  byId("door-where").textContent = room ? t("invitedTo", { room }) : "";
  fieldProblem("name", "");
  fieldProblem("room", "");
  doorShows(null);
  // Only the welcome of the server says whether names count here; no address does.
  const { code, rooms: open = [] } = knownOpen ? {} : await askAtDoor(undefined, (salon) => salon.rooms({ limit: ROOMS_LOOKED_AT }));
  if (code === UNAUTHORIZED) {
    wanted = addressed();
    return askOtherTabs();
  }
  knownOpen = true;
  const inside = open.find(({ room_id }) => room_id === room);
  if (inside?.members) byId("door-where").textContent += ` ${t("peopleThere", { count: inside.members })}`;
  if (!room) byId("door-where").textContent = t("chooseNameAndEnter");
  askForName(whyClosed(code));
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
  const name = normalName(bare("@", byId("door-name").value.trim()));
  const room = normalName(bare("#", byId("door-room").value.trim())) || DEFAULT_ROOM;
  const person = bare("@", room);
  const wrongName = name === OPERATOR ? t("operatorsName") : nameProblem(name) ?? "";
  const wrongRoom = nameProblem(person) ?? "";
  fieldProblem("name", wrongName);
  fieldProblem("room", wrongRoom);
  if (wrongName || wrongRoom) return byId(wrongName ? "door-name" : "door-room").focus();
  // A person with rooms of their own here comes back into those, and not into one that they did not ask for.
  const place = room !== (addressed().room ?? DEFAULT_ROOM) && new URLSearchParams(person === room ? { room } : { with: person });
  if (usedBefore(name)) return comeIn(name, place);
  if (doorstep && asking === name) return; // it is being asked
  asking = name;
  // The server tells anybody whether the name has been here. Then we ask whether it is here: a session of the same name
  // is told its devices as they are, also when it is invisible, and the one that asks is among them.
  const { code, before } = await askAtDoor(undefined, (salon) => salon.history({ user_id: name }, { limit: 1 })
    .then(() => ({ before: true }), (error) => { if (error.code === "disconnected") throw error; return { before: false }; }));
  if (code) return askForName(whyClosed(code) || t("notLetIn"));
  const { code: closed, devices } = await askAtDoor(name, (salon) => salon.presence({ user_ids: [name] })
    .then(({ users }) => new Map(Object.entries(users)).get(name) ?? {}));
  if (closed) return askForName(whyClosed(closed) || t("notLetIn"));
  if (!(devices > 1) && !before) return comeIn(name, place);
  byId("door-question-title").replaceChildren(...phrase(devices > 1 ? "isHereAlready" : "hasBeenHere", { name: named(name) }));
  byId("door-question-text").textContent = t(devices > 1 ? "sameNameNow" : "sameNameBefore");
  byId("door-same").onclick = () => comeIn(name, place);
  doorShows("door-question");
  byId("door-other").focus(); // a second Enter must not mean: yes, that is me
});

byId("door-other").addEventListener("click", () => {
  askForName();
  byId("door-name").select();
});
byId("door-question").addEventListener("keydown", (event) => { if (event.key === "Escape") byId("door-other").click(); });

/** A name without the sign that is written before it. */
function bare(sign, name) { return name.startsWith(sign) && name.length > sign.length ? name.slice(sign.length) : name; }

/** A name that was used in this browser is not asked about again. */
function usedBefore(name) {
  const names = stored("salon.names");
  return name === stored("salon.name") || (Array.isArray(names) && names.includes(name));
}

/** Comes in under a name, to where the address leads. A place that was written comes into it: it outlasts a reload. */
function comeIn(name, place) {
  const names = stored("salon.names");
  const known = [...new Set([...(Array.isArray(names) ? names : []), name])].slice(-NAMES_MAX);
  store("salon.names", known);
  store("salon.name", name);
  if (place) history.replaceState(null, "", `#${place}`);
  return goIn((app) => app.enter({ name, known }));
}

// Another language: what is behind the door is loaded again in it, and the door is written anew.
document.addEventListener("change", async ({ target }) => {
  if (!target.matches(".languages")) return;
  choose(target.value);
  if (!byId("app").hidden || goesIn) return location.reload();
  const [name, room] = [byId("door-name").value, byId("door-room").value];
  spoken = speak();
  await spoken;
  fillIn(byId("door"));
  for (const select of document.querySelectorAll(".languages")) select.value = target.value;
  await openDoor();
  [byId("door-name").value, byId("door-room").value] = [name, room];
  target.focus();
});

window.addEventListener("hashchange", async () => {
  const token = takeToken();
  await spoken;
  let place = addressed();
  if (token && !place.room && !place.person) place = { ...wanted };
  if (token) return goIn((app) => app.renew(token, place));
  if (goesIn) return undefined; // and looks at the address then
  if (byId("app").hidden) return openDoor();
  return app().then((app) => app.follow(place));
});

/** Coming in: a known name goes straight to the chat; a name in the link that is not ours is only proposed. */
function arrive(token) {
  fillIn(byId("door"));
  for (const select of document.querySelectorAll(".languages")) offerLanguages(select);
  const { name } = addressed();
  // A tab stays who it is, whoever came in by another one since.
  const known = storedInTab("salon.name") ?? stored("salon.name");
  const comesIn = token ? { token } : typeof known === "string" && !nameProblem(known) && (!name || name === known) ? { name: known } : null;
  if (comesIn) {
    byId("door").classList.add("patient");
    byId("door").hidden = false;
    goIn((app) => app.enter(comesIn));
  } else {
    openDoor();
    requestAnimationFrame(() => setTimeout(() => app().catch(() => {}))); // when the door has been drawn
  }
}

const token = takeToken() ?? sessionToken();
spoken = speak();
spoken.then(() => arrive(token));
