/**
 * The storage of the browser. A convenience: its absence (private windows, full disks) is no error.
 */

export function stored(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

/** Returns whether it is kept. */
export function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(key) {
  try { localStorage.removeItem(key); } catch { /* there is nothing */ }
}

/** The values of all keys that begin so. */
export function keysOf(prefix) {
  try { return Object.keys(localStorage).filter((key) => key.startsWith(prefix)); } catch { return []; }
}

/** A value that lasts as long as the tab, over reloads. */
export function storedInTab(key) {
  try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; }
}

export function storeInTab(key, value) {
  try { sessionStorage.setItem(key, JSON.stringify(value)); } catch { /* not kept */ }
}

/** A token comes in with the link and lasts as long as the tab. */
export function sessionToken(token) {
  try {
    if (token === undefined) return sessionStorage.getItem("salon.token");
    if (token === null) sessionStorage.removeItem("salon.token");
    else sessionStorage.setItem("salon.token", token);
  } catch { /* not kept */ }
  return token;
}

/** The claims of a token, unverified: the server checks the signature. None where it cannot be read. */
function claimsOf(token) {
  try {
    const claims = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(claims, (byte) => byte.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}

/** The subject of a token. Undefined where there is no token, or it cannot be read. */
export function subjectOf(token) {
  const { sub } = claimsOf(token);
  return typeof sub === "string" ? sub : undefined;
}

/** The roles of a token. */
export function rolesOf(token) {
  const { roles } = claimsOf(token);
  return Array.isArray(roles) ? roles : [];
}

/** The key under which the browser keeps the places of a person. */
export const placesKey = (name) => `salon.places:${name}`;

/** The places that the browser keeps of a person: `{rooms, people, left, active}`. */
export function keptPlaces(name) {
  const kept = stored(placesKey(name));
  const former = kept ?? stored("salon.places"); // as versions before wrote it
  const places = kept ?? (former?.name === name ? former : {});
  const list = (part) => (Array.isArray(places[part]) ? places[part] : []);
  return { rooms: list("rooms"), people: list("people"), left: list("left"), active: places.active };
}
