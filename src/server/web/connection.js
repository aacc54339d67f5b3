/**
 * The state of the connection: the banner, and the moments when it pays to ask for a sign of life.
 */
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { known, t } from "./language.js";
import { lookAtZone, timeOf } from "./message.js";
import { narrow } from "./drawers.js";
import { drawEnded } from "./ended.js";
import { refreshPublicRooms } from "./places.js";
import { whyClosed } from "./words.js";

let connection = { state: "idle" };
let stalled = false;
let everConnected = false;
let firstTry = true;
let countdown = null;
let roomsLeft = 0;
let linkEnds;

const WARNS_BEFORE = 5 * 60_000;

export function connectionIs(detail) {
  connection = detail;
  everConnected ||= detail.state === "connected";
  if (detail.state !== "connecting") firstTry = false;
  redraw("connection");
}

/** The connection stands and the server says nothing, or something again. */
export function stalledIs(detail) {
  stalled = detail.stalled;
  redraw("connection");
}

/** We are not in so many of our rooms yet. */
export function roomsLeftAre({ left }) {
  roomsLeft = left;
  redraw("connection");
}

/** The link that we came in by ends then, if it does. */
export function linkEndsAt(time) {
  linkEnds = time;
  redraw("connection");
}

/** A person comes in: this connection is their first. */
export function firstConnection() {
  everConnected = stalled = false;
  roomsLeft = 0;
  firstTry = true;
}

function drawConnection() {
  clearTimeout(countdown);
  const { state, code, reason, retryAt } = connection;
  const app = byId("app");
  const banner = byId("banner");
  const button = byId("try-now");
  app.dataset.connection = state;
  app.classList.toggle("stalled", stalled);
  banner.classList.toggle("patient", firstTry || (state === "connected" && !stalled && roomsLeft > 0));
  byId("link-state").textContent = known("state", stalled ? "stalled" : state === "connected" && roomsLeft ? "joining" : state) ?? "";
  const why = whyClosed(code);
  let text = "";
  let spoken = "";
  button.hidden = state !== "waiting";
  button.textContent = t("tryNow");
  if (state === "connected" && stalled) {
    text = spoken = t("noAnswerYet");
  } else if (state === "connected" && roomsLeft) {
    text = t("joiningRooms", { count: roomsLeft });
    spoken = t("connectedJoining");
  } else if (state === "connected" && linkEnds - Date.now() < WARNS_BEFORE) {
    text = spoken = t("linkEnds", { time: timeOf(linkEnds) });
  } else if (state === "connected") {
    spoken = t("state.connected");
  } else if (state === "connecting") {
    text = spoken = t(everConnected ? "reconnecting" : "connecting");
  } else if (state === "waiting") {
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    spoken = t("whyReconnecting", { why: why || t(everConnected ? "connectionWasLost" : "unreachable") });
    text = t(seconds ? "whyReconnectingIn" : "whyReconnectingNow", { why: why || t(everConnected ? "connectionLost" : "unreachable"), seconds });
    countdown = setTimeout(() => redraw("connection"), 500);
  } else if (state === "closed") {
    spoken = t("disconnectedWhy", { why: why || reason || "" }); // and a card says it
  }
  drawEnded(connection);
  banner.hidden = text === "";
  app.classList.toggle("joining", state === "connected" && roomsLeft > 0);
  if (byId("banner-text").textContent !== text) byId("banner-text").textContent = text;
  if (byId("connection-status").textContent !== spoken) byId("connection-status").textContent = spoken;
}

byId("try-now").addEventListener("click", () => {
  client.connect();
  byId("composer-input").focus();
});

// The browser's word about the network is a hint, not a fact (a server on this machine needs none): ask the server.
for (const name of ["online", "offline"]) window.addEventListener(name, () => client?.probe());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    client?.probe();
    lookAtZone();
    // Messages of that time begin where the reader had stopped.
    if (active?.unread > 0 && active.stuck && !active.held) active.markNew();
    redraw("log", "places");
    if (client?.state === "connected") refreshPublicRooms();
  }
});

setInterval(() => {
  lookAtZone();
  redraw("log", "connection"); // "Today" becomes "Yesterday", and a link may end soon
  if (client?.state === "connected" && !document.hidden && !narrow.matches) refreshPublicRooms();
}, 60_000);

drawnBy("connection", drawConnection);
