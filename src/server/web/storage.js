/**
 * What the browser keeps for us. A convenience: its absence (private windows, full disks) is no error.
 */

export function stored(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

export function store(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* not kept */ }
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
