/**
 * How the connection is doing: the banner, and the moments when it is worth asking.
 */
import { active, client } from "./conversations.js";
import { byId } from "./dom.js";
import { drawnBy, redraw } from "./drawing.js";
import { narrow } from "./drawers.js";
import { refreshPublicRooms } from "./places.js";
import { CLOSE_WORDS } from "./words.js";

let connection = { state: "idle" };
let stalled = false;
let everConnected = false;
let firstTry = true;
let countdown = null;

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

/** Somebody comes in: this connection is a first one. */
export function firstConnection() {
  everConnected = stalled = false;
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
  banner.classList.toggle("patient", firstTry);
  byId("link-state").textContent = stalled ? "No answer" : { connected: "Connected", connecting: "Connecting", waiting: "Reconnecting", closed: "Disconnected" }[state] ?? "";
  const why = CLOSE_WORDS[code] ?? "";
  let text = "";
  let spoken = "";
  button.hidden = state === "connecting";
  button.textContent = "Try now";
  if (state === "connected" && stalled) {
    text = spoken = "The server does not answer. Waiting for it …";
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
    text = spoken = `Disconnected. ${why || reason || ""}`;
    button.textContent = "Connect again";
  }
  banner.hidden = (state === "connected" && !stalled) || state === "idle";
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
  if (document.hidden) {
    if (active?.unread === 0) active.newAfter = null;
  } else {
    client?.probe();
    redraw("log", "places");
    if (client?.state === "connected") refreshPublicRooms();
  }
});

setInterval(() => {
  redraw("log"); // "Today" becomes "Yesterday"
  if (client?.state === "connected" && !document.hidden && !narrow.matches) refreshPublicRooms();
}, 60_000);

drawnBy("connection", drawConnection);
