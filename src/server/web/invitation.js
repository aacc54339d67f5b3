/**
 * The address of a room, to be given to others: as text, and as a code for the camera of a phone.
 */
import { active } from "./conversations.js";
import { copyAloud } from "./copying.js";
import { byId, element, named } from "./dom.js";
import { phrase, t } from "./language.js";
import { invitationTo } from "./places.js";
import { qrOf } from "./qr.js";

/** Whether this machine is at the address, and no other one. */
const isThisMachine = (host) => host === "localhost" || host === "[::1]" || /^127\./u.test(host);

const QUIET = 4; // modules around a code that are white

/** A field with the address of a room, and what can be done with it. */
export function invitation(c) {
  const field = element("input");
  field.type = "text";
  field.readOnly = true;
  field.dir = "ltr"; // also in a page that is read from right to left
  field.value = invitationTo(c);
  field.setAttribute("aria-label", t("addressOfRoom"));
  field.addEventListener("focus", () => field.select());
  const button = (words, run) => {
    const node = element("button", "secondary", words);
    node.type = "button";
    node.addEventListener("click", run);
    return node;
  };
  const share = navigator.share ? [button(t("share"), () => navigator.share({ title: c.title, url: field.value }).catch(() => {}))] : [];
  const note = isThisMachine(location.hostname) ? [element("p", "hello-text invitation-note", t("onlyThisMachine"))] : [];
  return element("div", "invitation", field, button(t("copy"), () => copyAloud(field.value, t("invitationLink"))), button(t("qrCode"), () => showCode(c)), ...share, ...note);
}

/** Shows the code of a room's address. An address that is too long for one is shown alone. */
function showCode(c) {
  const address = invitationTo(c);
  const rows = qrOf(address);
  byId("qr-title").replaceChildren(...phrase("comeInto", { room: named(c.title) }));
  byId("qr-code").replaceChildren(...rows ? [picture(rows)] : []);
  Object.assign(byId("qr-address"), { textContent: address, dir: "ltr" });
  byId("qr").showModal();
  byId("qr-close").focus();
}

function picture(rows) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const size = rows.length + 2 * QUIET;
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", t("qrOfAddress"));
  const dark = rows.flatMap((row, y) => row.map((is, x) => (is ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "")));
  path.setAttribute("d", dark.join(""));
  svg.append(path);
  return svg;
}

byId("show-code").addEventListener("click", () => showCode(active));
