/**
 * The state of the connection: the banner, and the moments when it pays to ask for a sign of life.
 */
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { lookAtZone } from "./message.js";
import { narrow } from "./drawers.js";
import { drawEnded } from "./ended.js";
import { refreshPublicRooms } from "./places.js";
import { CLOSE_WORDS } from "./words.js";

let connection = { state: "idle" };
let stalled = false;
let everConnected = false;
let firstTry = true;
let countdown = null;
let roomsLeft = 0;

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
  byId("link-state").textContent = stalled ? "No answer" : new Map([["connected", roomsLeft ? "Joining" : "Connected"], ["connecting", "Connecting"], ["waiting", "Reconnecting"], ["closed", "Disconnected"]]).get(state) ?? "";
  const why = CLOSE_WORDS[code] ?? "";
  let text = "";
  let spoken = "";
  button.hidden = state === "connecting";
  button.textContent = "Try now";
  if (state === "connected" && stalled) {
    text = spoken = "The server does not answer. Waiting for it …";
    button.hidden = true;
  } else if (state === "connected" && roomsLeft) {
    text = `Joining ${roomsLeft} more ${roomsLeft === 1 ? "room" : "rooms"} …`;
    spoken = "Connected. Joining the rooms …";
    button.hidden = true;
  } else if (state === "connected") {
    spoken = "Connected";
  } else if (state === "connecting") {
    text = spoken = everConnected ? "Reconnecting …" : "Connecting …";
  } else if (state === "waiting") {
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    spoken = `${why || (everConnected ? "The connection was lost." : "The server cannot be reached.")} Reconnecting.`;
    text = `${why || (everConnected ? "Connection lost." : "The server cannot be reached.")} Reconnecting ${seconds ? `in\u00A0${seconds}\u00A0s` : "now"}\u00A0…`;
    countdown = setTimeout(() => redraw("connection"), 500);
  } else if (state === "closed") {
    spoken = `Disconnected. ${why || reason || ""}`; // and a card says it
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
  redraw("log"); // "Today" becomes "Yesterday"
  if (client?.state === "connected" && !document.hidden && !narrow.matches) refreshPublicRooms();
}, 60_000);

drawnBy("connection", drawConnection);
