/**
 * The dialog that finds a room to join or a person to write to.
 */
import { avatar } from "./avatar.js";
import { begin, begunOf, letGoOfBegun, note, tidy } from "./begun.js";
import { normalName } from "./client.js";
import { client, conversation, conversations, me } from "./conversations.js";
import { opening } from "./dialogs.js";
import { byId, clearList, drawList, element } from "./dom.js";
import { t } from "./language.js";
import { goInto, isOfPerson, open, publicRooms, refreshPublicRooms, withoutSign } from "./places.js";
import { presence } from "./presence.js";
import { ask } from "./question.js";
import { placeButton, updatePublic } from "./sidebar.js";
import { describe, problemOf } from "./topic.js";
import { keepUnsent } from "./unsent.js";
import { inWords, nameProblem } from "./words.js";

const FIELDS = ["finder-input", "finder-room-title", "finder-topic"];
const BEGUN = "room"; // a room with a title or a topic that was not made yet: its fields, on a line each

let finding = "room";
let peopleHere = [];
let isAsked = () => false; // whether what the dialog was submitted for is what it is about

/** The dialog is about something else now. An answer that is on its way is for nobody. */
function renew() {
  isAsked = opening(byId("finder"));
  byId("finder-submit").disabled = false;
}

function openFinder(kind) {
  finding = kind;
  const forRoom = kind === "room";
  byId("finder-title").textContent = t(forRoom ? "joinOrCreate" : "writeToSomebody");
  byId("finder-label").textContent = t(forRoom ? "nameOfRoom" : "nameOfPerson");
  byId("finder-submit").textContent = t(forRoom ? "join" : "write");
  byId("finder-list-title").textContent = t(forRoom ? "roomsToJoin" : "hereNow");
  const left = (forRoom && begunOf(BEGUN)?.split("\n")) || [];
  for (const [n, id] of FIELDS.entries()) byId(id).value = left[n] ?? "";
  byId("finder-problem").textContent = "";
  byId("finder-topic-part").hidden = true;
  clearList(byId("finder-list"));
  byId("finder").showModal();
  renew();
  byId("finder-input").focus();
  byId("finder-input").select();
  drawFinder();
  const fetched = forRoom ? refreshPublicRooms() : client.online({ limit: 200 }).then((page) => { peopleHere = page.users; }).catch(() => {});
  fetched.then(drawFinder);
}


/**
 * The list under the field: rooms and people as they were when the finder opened, narrowed by the text in the field.
 */
function drawFinder() {
  const wanted = nameIn().toLocaleLowerCase();
  const matches = (name) => name.toLocaleLowerCase().includes(wanted);
  let entries;
  if (finding === "room") {
    entries = publicRooms.filter((room) => !conversations.has(`room:${room.room_id}`) && (matches(room.room_id) || matches(room.name ?? ""))).map((room) => ({ key: room.room_id, room }));
    drawList(byId("finder-list"), entries, placeButton, updatePublic);
  } else {
    entries = peopleHere.filter((name) => name !== me && matches(name)).map((name) => ({ key: name, name }));
    drawList(byId("finder-list"), entries, placeButton, (node, { name }) => {
      const button = node.firstElementChild;
      if (button.childElementCount > 0) return;
      button.append(element("span", "avatar-box", avatar(name, "small"), element("span", `presence ${presence.get(name)?.status ?? "online"}`)), element("bdi", "place-name", name));
      button.onclick = () => {
        byId("finder").close();
        open("person", name);
        byId("composer-input").focus();
      };
    });
  }
  byId("finder-list-title").hidden = entries.length === 0;
  // A room that nobody has made is made by going in; then it may have a title and a topic.
  const isNew = isOfRoom() && wanted !== "" && !conversations.has(`room:${nameIn()}`) && !publicRooms.some(({ room_id }) => room_id === nameIn());
  byId("finder-topic-part").hidden = !isNew;
  byId("finder-submit").textContent = t(!isOfRoom() ? "write" : isNew ? "create" : "join");
}

/** What is in the field is of a room, or of a person. */
const isOfRoom = () => finding === "room" && !isOfPerson(normalName(byId("finder-input").value));

/** The name in the field, without the sign before it. */
const nameIn = () => normalName(withoutSign(isOfRoom() ? "#" : "@", byId("finder-input").value.trim()));

byId("add-room").addEventListener("click", () => openFinder("room"));
byId("add-person").addEventListener("click", () => openFinder("person"));
byId("finder-input").addEventListener("input", () => {
  renew();
  drawFinder();
});
for (const id of FIELDS) byId(id).addEventListener("input", () => {
  if (finding !== "room") return;
  const written = FIELDS.map((one) => byId(one).value);
  note(BEGUN, written[1] || written[2] ? written.join("\n") : "", "");
  keepUnsent();
});
byId("finder-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = nameIn();
  const given = (id) => (byId("finder-topic-part").hidden ? undefined : tidy(byId(id).value) || undefined);
  const [title, topic] = [given("finder-room-title"), given("finder-topic")];
  let problem = nameProblem(name) ?? (problemOf("title", title ?? "") || problemOf("topic", topic ?? ""));
  let there = null; // the room, if somebody has made it meanwhile
  if (!problem && (title || topic)) {
    const isStillAsked = isAsked;
    byId("finder-submit").disabled = true;
    problem = await client.createRoom(name, { name: title, topic }).then((room) => { if (!room.created) there = room; }, inWords);
    if (!isStillAsked()) return;
    byId("finder-submit").disabled = false;
  }
  byId("finder-problem").textContent = problem ?? "";
  if (problem) return;
  byId("finder").close();
  if (isOfRoom()) {
    if (title || topic) {
      letGoOfBegun(BEGUN);
      keepUnsent();
    }
    goInto(name);
  } else {
    open("person", name);
  }
  byId("composer-input").focus();
  if (there) offerWords(there, { title, topic });
});

/** The words for a room that somebody else has made meanwhile: they are offered where they can be changed, and now. */
async function offerWords({ room_id, name, topic }, words) {
  const ours = Object.entries(words).filter(([kind, text]) => text && text !== { title: name, topic }[kind]);
  if (!ours.length) return;
  for (const [kind, text] of ours) begin(`${kind}:${room_id}`, text);
  keepUnsent();
  const room = conversation("room", room_id);
  if (!await ask({ title: t("madeMeanwhile", { room: name ?? room_id }), text: t("saveYours"), yes: t("save"), no: t("doNot") })) return;
  for (const [kind, text] of ours) describe(kind, room, text);
}
