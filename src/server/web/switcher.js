/**
 * Ctrl+K: to any room, person or command by a few letters of it.
 */
import { avatar } from "./avatar.js";
import { commandNames } from "./commands.js";
import { beginCommand } from "./composer.js";
import { active, client, me, people, rooms } from "./conversations.js";
import { byId, element, icon } from "./dom.js";
import { t } from "./language.js";
import { everybody } from "./people.js";
import { goInto, open, publicRooms, refreshPublicRooms } from "./places.js";
import { roomId } from "./sidebar.js";

const SHOWN_MAX = 12;

let online = [];
let offered = [];
let chosen = 0;

export function openSwitcher() {
  if (document.querySelector("dialog[open]")) return;
  byId("switcher-input").value = "";
  draw();
  byId("switcher").showModal();
  byId("switcher-input").focus();
  refreshPublicRooms().then(() => draw(true));
  client.online({ limit: 200 }).then(({ users }) => {
    online = users;
    draw(true);
  }).catch(() => {});
}

/** How well a name fits; less is better, and Infinity is not at all. */
function fit(name, wanted) {
  const lower = name.toLocaleLowerCase();
  if (lower === wanted) return 0;
  if (lower.startsWith(wanted)) return 1;
  if (lower.split(/[\s._-]+/u).some((word) => word.startsWith(wanted))) return 2;
  return lower.includes(wanted) ? 3 : Infinity;
}

function all() {
  const found = new Map();
  const add = (key, entry) => { if (!found.has(key)) found.set(key, entry); };
  for (const c of [...rooms(), ...people()].sort((a, b) => b.urgent - a.urgent || (b.unread > 0) - (a.unread > 0))) {
    if (c !== active) add(c.key, { id: c.id, name: c.title, what: c.unread > 0 ? t("unreadHere", { count: c.unread, shown: c.unread }) : "", kind: c.kind, run: () => open(c.kind, c.id) });
  }
  for (const { room_id, name } of publicRooms) add(`room:${room_id}`, { id: room_id, name: name ?? room_id, what: t("toJoin"), kind: "room", run: () => goInto(room_id) });
  for (const name of [...everybody(active, () => draw(true)), ...online]) if (name !== me) add(`person:${name}`, { id: name, name, what: t("toWrite"), kind: "person", run: () => open("person", name) });
  // Oneself, and what is on screen: where they are asked for by name. The latter leads to the message box.
  add(`person:${me}`, { id: me, name: me, what: t("notesToYourself"), kind: "person", byName: true, run: () => open("person", me) });
  found.delete(active.key);
  add(active.key, { id: active.id, name: active.title, what: "", kind: active.kind, byName: true, run: () => {} });
  for (const { name, usage, what } of commandNames()) add(`command:${name}`, { id: name, name: usage, what, kind: "command", run: () => beginCommand(`/${name} `) });
  return [...found.values()];
}

function draw(keeps = false) {
  const wanted = byId("switcher-input").value.trim().replace(/^[#@/]/u, "").toLocaleLowerCase();
  const kind = new Map([["#", "room"], ["@", "person"], ["/", "command"]]).get(byId("switcher-input").value.trim()[0]);
  const before = offered[chosen];
  offered = all().filter((one) => (kind ? one.kind === kind : wanted !== "" || one.kind !== "command") && (wanted !== "" || !one.byName))
    .map((one, at) => ({ one, at, rank: Math.min(fit(one.name.replace(/^\//u, ""), wanted), fit(one.id, wanted)) })).filter(({ rank }) => rank < Infinity)
    .sort((a, b) => a.rank - b.rank || a.at - b.at).slice(0, SHOWN_MAX).map(({ one }) => one);
  byId("switcher-list").replaceChildren(...offered.map(({ id, name, what, kind: of }, at) => {
    const mark = of === "person" ? avatar(name, "small") : element("span", "place-hash", icon(of === "room" ? "hash" : "more"));
    const option = element("li", "suggestion", mark, element("bdi", "suggestion-label", name), ...of === "room" ? roomId(id, name) : [], element("span", "suggestion-what", what));
    option.id = `switcher-${at}`;
    option.setAttribute("role", "option");
    return option;
  }));
  byId("switcher-none").hidden = offered.length > 0;
  // What comes later takes nobody's choice.
  choose(keeps && before ? Math.max(0, offered.findIndex(({ kind: of, id }) => of === before.kind && id === before.id)) : 0);
}

function choose(at) {
  chosen = at;
  for (const [n, option] of [...byId("switcher-list").children].entries()) option.setAttribute("aria-selected", String(n === at));
  const option = byId("switcher-list").children[at];
  if (!option) return byId("switcher-input").removeAttribute("aria-activedescendant");
  byId("switcher-input").setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function take(at) {
  const one = offered[at];
  if (!one) return;
  byId("switcher").close();
  one.run();
  byId("composer-input").focus();
}

byId("switcher-input").addEventListener("input", () => draw());
byId("switcher-input").addEventListener("keydown", (event) => {
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && offered.length) {
    event.preventDefault();
    choose((chosen + (event.key === "ArrowDown" ? 1 : -1) + offered.length) % offered.length);
  }
});
byId("switcher-form").addEventListener("submit", (event) => {
  event.preventDefault();
  take(chosen);
});
byId("switcher-list").addEventListener("click", (event) => take([...byId("switcher-list").children].indexOf(event.target.closest("[role=option]"))));
