/**
 * The card for what does not mend itself: banned, removed, a link that has ended. It says what happened in a sentence
 * and has one button, which does what can be done. Nothing behind it can be used meanwhile.
 */
import { client, me, proven } from "./conversations.js";
import { byId, named } from "./dom.js";
import { phrase, t } from "./language.js";
import { fullTime } from "./message.js";
import { focusComposer } from "./places.js";
import { whyClosed } from "./words.js";

const OWN = 1000; // we have closed it ourselves

/** The title, the text and the button of the cards, by close code. `until`: it ends by itself then. */
const CARDS = new Map([
  [4001, () => [t("signedOut"), t("signedOutText"), t("lookAgain")]],
  [4003, (until) => [t("banned"), until > Date.now() ? t("bannedUntil", { time: fullTime(until) }) : t("bannedText"), t("tryAgain")]],
  [4010, () => [t("kicked"), t("kickedText"), t("comeBack")]],
]);

let onSignedOut = () => {};
/** What the button does for a link that has ended. */
export function whenSignedOut(listener) { onSignedOut = listener; }

let code = null;
let lifted = null; // a ban ends by itself
let [told, end] = [null, 0]; // the close that the card is of, and when its ban has ended, by the clock of this machine
const AGAIN = 60_000; // until the next try, where that clock says that a ban has ended that the server has just told of
const LONGEST_WAIT = 2 ** 31 - 1; // of a timer

/** Shows the card, or takes it away, as the connection is. */
export function drawEnded(connection) {
  clearTimeout(lifted);
  const over = connection.state === "closed" && connection.code !== OWN;
  if (!over) {
    if (byId("ended").hidden) return;
    byId("ended").hidden = true;
    for (const part of ["places", "conversation", "details"]) byId(part).inert = false;
    return focusComposer();
  }
  code = connection.code;
  if (code === 4003 && connection.until) {
    const now = Date.now();
    if (told !== connection) [told, end] = [connection, connection.until > now ? connection.until : now + AGAIN];
    // It may be over since long: timers stand still while the machine sleeps.
    lifted = setTimeout(() => { if (!byId("app").hidden) client.connect(); }, Math.min(end - now, LONGEST_WAIT));
  }
  const [title, text, button] = CARDS.get(code)?.(connection.until) ?? [t("disconnected"), whyClosed(code) || connection.reason || "", t("connectAgain")];
  byId("ended-title").textContent = title;
  byId("ended-text").replaceChildren(text, ...me && code !== 4001 ? [" ", ...phrase("hereAs", { name: named(me) })] : []);
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
