/**
 * The card for what does not mend itself: banned, removed, a link that has ended. It says what happened in a sentence
 * and has one button, which does what can be done. Nothing behind it can be used meanwhile.
 */
import { client, me, proven } from "./conversations.js";
import { byId, element } from "./dom.js";
import { CLOSE_WORDS } from "./words.js";

const OWN = 1000; // we have closed it ourselves

const CARDS = new Map([
  [4001, { title: "You are signed out", text: "The link that you came in by has ended, or was damaged. Please open a new one, or ask whoever runs this server for one.", button: "Look again" }],
  [4003, { title: "You have been banned from this server", text: "Whoever runs the server can lift that.", button: "Try again" }],
  [4010, { title: "You have been removed by a moderator", text: "You may come back, unless you have been asked not to.", button: "Come back" }],
]);

let onSignedOut = () => {};
/** What the button does for a link that has ended. */
export function whenSignedOut(listener) { onSignedOut = listener; }

let code = null;

/** Shows the card, or takes it away, as the connection is. */
export function drawEnded(connection) {
  const over = connection.state === "closed" && connection.code !== OWN;
  if (!over) {
    if (byId("ended").hidden) return;
    byId("ended").hidden = true;
    for (const part of ["places", "conversation", "details"]) byId(part).inert = false;
    return;
  }
  code = connection.code;
  const { title, text, button } = CARDS.get(code) ?? { title: "Disconnected", text: CLOSE_WORDS[code] ?? connection.reason ?? "", button: "Connect again" };
  byId("ended-title").textContent = title;
  byId("ended-text").replaceChildren(text, ...me && code !== 4001 ? [" You are here as ", element("bdi", "", me), "."] : []);
  byId("ended-button").textContent = button;
  if (!byId("ended").hidden) return;
  byId("ended").hidden = false;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const part of ["places", "conversation", "details"]) byId(part).inert = true;
  byId("ended-button").focus();
}

byId("ended-button").addEventListener("click", () => {
  if (code === 4001 && proven) return onSignedOut();
  client.connect();
});
