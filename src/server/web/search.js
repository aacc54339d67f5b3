/**
 * Searching what was said: in all that the reader is in, or narrowed by `from:`, `in:` and days. A result leads to
 * the message in its place; the results are there again when the search is opened again.
 */
import { avatar } from "./avatar.js";
import { active, client, conversations, me, rooms } from "./conversations.js";
import { byId, element, named } from "./dom.js";
import { phrase, t } from "./language.js";
import { timeOf } from "./message.js";
import { goToMessage, open } from "./places.js";
import { presence } from "./presence.js";
import { inWords } from "./words.js";

const AFTER = 250; // the search begins when nothing was typed for so long
const PAGE = 20;
const PAGES_AT_ONCE = 5; // pages that are asked for until there is something to show

let timer = null;
let asked = 0;
let cursor = null;
let where = null;
let reader = null; // the client of who has searched

export function openSearch(text = null) {
  if (reader !== client) { // somebody else was here before
    asked += 1;
    byId("search-input").value = "";
    byId("search-list").replaceChildren();
  }
  reader = client;
  if (text !== null) byId("search-input").value = text;
  byId("search").showModal();
  byId("search-input").select();
  if (text !== null || byId("search-list").childElementCount === 0) look();
}

/**
 * `{text, where, after}` of what was written: `from:ada in:kitchen after:2026-11-20 the words`. A name with blanks
 * stands in quotes. What is said after a day or before one is not of that day. A day is NaN where something is wrong.
 */
function parseSearch(written) {
  const where = {};
  let after;
  const text = written.replace(/(^|\s)(from|in|on|after|before):(?:"([^"]*)"|(\S*))/giu, (_, space, key, quoted, bare) => {
    const value = quoted ?? bare;
    const what = key[0].toLowerCase();
    if (value === "") after = NaN;
    else if (what === "f") where.sender = value.replace(/^@/u, "");
    else if (what === "i") Object.assign(where, value.startsWith("@") ? { user_id: value.slice(1) } : { room_id: value.replace(/^#/u, "") });
    else {
      const [, year, month, day] = /^(\d{4})-(\d{1,2})-(\d{1,2})$/u.exec(value) ?? [];
      const [begin, end] = [0, 1].map((days) => new Date(year, month - 1, Number(day) + days).getTime());
      if (what !== "a") where.before = what === "o" ? end : begin;
      if (what !== "b") after = what === "o" ? begin : end;
    }
    return space;
  }).trim();
  return { text, where, after };
}

const isLike = (one, other) => one.toLocaleLowerCase() === other.toLocaleLowerCase();

/** Puts the names that are meant into `where`: a title is the name of its room, and small letters are no other name. */
function realNames(where) {
  const names = [me, ...presence.keys()];
  for (const key of ["sender", "user_id"]) if (where[key] && !names.includes(where[key])) where[key] = names.find((name) => isLike(name, where[key])) ?? where[key];
  const { room_id: wanted } = where;
  if (wanted && !conversations.has(`room:${wanted}`)) where.room_id = rooms().find(({ id, title }) => isLike(id, wanted) || isLike(title, wanted))?.id ?? wanted;
}

async function look(more = false) {
  clearTimeout(timer);
  const found = parseSearch(byId("search-input").value);
  if (!more) {
    where = found;
    cursor = undefined;
    byId("search-list").replaceChildren();
  }
  byId("search-more").hidden = true;
  const { text, after, where: { before } } = where;
  const isWrong = [before, after].some(Number.isNaN);
  if (isWrong || text === "") return says(t(isWrong || byId("search-input").value.trim() === "" ? "narrowIt" : "writeAWord"));
  realNames(where.where);
  const number = asked += 1;
  says(more ? "" : t("searching"));
  try {
    // A page may be empty though there is another one.
    for (let pages = 0, shown = 0; pages < PAGES_AT_ONCE && shown === 0; pages += 1) {
      const page = await client.search(text, { ...where.where, limit: PAGE, cursor });
      if (number !== asked) return;
      // The server knows no such thing; the newest come first.
      const items = page.items.filter(({ ts }) => !(ts < after));
      byId("search-list").append(...items.map(resultOf));
      shown = items.length;
      cursor = shown < page.items.length ? undefined : page.next;
      if (cursor === undefined) break;
    }
    byId("search-more").hidden = cursor === undefined;
    says(byId("search-list").childElementCount > 0 ? "" : cursor === undefined ? t("nothingFound") : t("nothingYet"));
  } catch (error) {
    if (number === asked) says(error.code === "bad_request" ? t("noSuchName") : inWords(error));
  }
}

function says(words) { byId("search-status").textContent = words; }

function resultOf(item) {
  const partner = item.sender === me ? item.user_id : item.sender;
  const time = timeOf(item.ts);
  const place = item.room_id === undefined ? phrase("foundWith", { name: named(partner), time })
    : phrase("foundIn", { room: named(conversations.get(`room:${item.room_id}`)?.title ?? item.room_id), time });
  const button = element("button", "result", avatar(item.sender, "medium"), element("span", "result-words",
    element("span", "result-head", element("bdi", "result-sender", item.sender), element("span", "result-place", ...place)),
    element("span", "result-text", ...marked(item.content))));
  button.type = "button";
  button.addEventListener("click", () => {
    byId("search").close();
    if (item.room_id === undefined) open("person", partner);
    else open("room", item.room_id);
    goToMessage(active, `${item.seq}.`);
  });
  return element("li", "", button);
}

const CONTEXT = 80; // characters before the first hit

/** A text around the first word that was looked for, with the words marked. */
function marked(content) {
  const words = where.text.replace(/"/gu, " ").split(/\s+/u).filter(Boolean).map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/gu, "\\$&"));
  const pattern = new RegExp(`(${words.join("|")})`, "giu");
  const first = content.search(pattern);
  const from = first > CONTEXT ? content.indexOf(" ", first - CONTEXT) + 1 : 0;
  const shown = `${from > 0 ? "… " : ""}${content.slice(from, from + 300)}`;
  return shown.split(pattern).map((part, n) => (n % 2 ? element("mark", "", part) : part));
}

byId("search-input").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, AFTER);
});
byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
byId("search-more").addEventListener("click", () => look(true));
byId("search").addEventListener("keydown", (event) => {
  const all = [byId("search-input"), ...byId("search-list").querySelectorAll(".result")];
  const at = all.indexOf(document.activeElement);
  if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || at < 0) return;
  event.preventDefault();
  all[Math.max(0, Math.min(all.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))].focus();
});
byId("open-search").addEventListener("click", () => openSearch());
