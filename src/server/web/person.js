/**
 * The card of a person: who they are, how they are, and what can be done.
 */
import { avatar } from "./avatar.js";
import { active, client, me } from "./conversations.js";
import { opening } from "./dialogs.js";
import { byId, element } from "./dom.js";
import { t } from "./language.js";
import { nameParts } from "./lookalikes.js";
import { open } from "./places.js";
import { presence, rememberPresence, statusInWords, statusOf } from "./presence.js";
import { typeInto } from "./typing.js";

export function openPerson(name) {
  const draw = () => {
    const { note } = presence.get(name) ?? {};
    const status = statusOf(name);
    byId("person-card").replaceChildren(
      element("span", "avatar-box", avatar(name, "large"), element("span", `presence ${status}`)),
      element("h2", "person-name", ...nameParts(name)),
      element("p", "person-status status-words", name === me ? t("thisIsYou") : statusInWords(status)),
      ...note ? [element("p", "person-note", note)] : [],
    );
    byId("person-card").querySelector("h2").id = "person-name";
  };
  draw();
  byId("person-write").textContent = t(name === me ? "notesToYourself" : "write");
  byId("person-write").onclick = () => {
    byId("person").close();
    open("person", name);
    byId("composer-input").focus();
  };
  byId("person-mention").hidden = active.kind !== "room" || name === me;
  byId("person-mention").onclick = () => {
    byId("person").close();
    const input = byId("composer-input");
    const before = input.value.slice(0, input.selectionEnd);
    typeInto(input, `${before === "" || /\s$/u.test(before) ? "" : " "}@${name} `, input.selectionEnd);
  };
  byId("person").showModal();
  const isStill = opening(byId("person"));
  byId("person-write").focus();
  client.presence({ user_ids: [name] }).then(({ users }) => {
    const state = new Map(Object.entries(users)).get(name);
    if (state) rememberPresence(name, state);
    if (isStill()) draw();
  }).catch(() => {});
}

