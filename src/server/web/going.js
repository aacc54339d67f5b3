/**
 * Going out, also to come in under another name: it asks first. One press may be a mistake, and what the browser keeps
 * comes back with the name, if it is not to be forgotten.
 */
import { forgetAnnouncements } from "./announcements.js";
import { active, client, forgetPlaces, me, people, proven, rooms, savePlaces } from "./conversations.js";
import { byId, element, named } from "./dom.js";
import { openDoor } from "./door.js";
import { closeDrawers } from "./drawers.js";
import { phrase, t } from "./language.js";
import { listed } from "./lists.js";
import { setAddress } from "./places.js";
import { sessionToken } from "./storage.js";
import { letGoOfUnsent } from "./unsent.js";

let wanted = ""; // the name to come in under again

/** Asks. `name` is what the door will propose. */
export function askToGo(name = "") {
  wanted = name;
  closeDrawers();
  const waiting = client.outbox.length;
  const [many, more] = [rooms().length, people().length];
  const places = listed([...many ? [t("roomsCount", { count: many })] : [], ...more ? [t("conversationsCount", { count: more })] : []]).join("");
  byId("going-title").replaceChildren(...phrase("goOutAs", { name: named(me) }));
  byId("going-text").replaceChildren(
    ...phrase(places ? "keepsPlaces" : "keepsNothing", { places, name: named(me) }),
    ...waiting ? [" ", element("strong", "", t("notSentCount", { count: waiting }))] : [],
    ...proven ? [" ", t("needsLinkForThat")] : [],
  );
  byId("going").showModal();
}

byId("change-name").addEventListener("click", () => askToGo());

byId("going-keep").addEventListener("click", () => goOut({ forgotten: false }));
byId("going-forget").addEventListener("click", () => goOut({ forgotten: true }));

function goOut({ forgotten }) {
  byId("going").close();
  forgetAnnouncements();
  letGoOfUnsent({ forgotten });
  client.close();
  if (forgotten) forgetPlaces(me);
  else savePlaces();
  sessionToken(null);
  const place = active?.kind === "room" ? { room: active.id } : wanted && active ? { with: active.id } : {};
  const fields = new URLSearchParams({ ...place, ...wanted ? { name: wanted } : {} });
  setAddress(`${fields}` ? `#${fields}` : location.pathname);
  openDoor();
  byId("messages").replaceChildren(); // the next person at this door has not been told of them
}
