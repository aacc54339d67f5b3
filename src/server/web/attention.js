/**
 * Whether somebody looks at the page: it is on screen, and has the focus. A window beside the one that is worked in is
 * seen by nobody for sure: there nothing is read by itself, and its reader is called.
 */
export const isAway = () => document.hidden || !document.hasFocus();

/** Runs a function when that has changed. */
export function whenAttention(listener) {
  document.addEventListener("visibilitychange", listener);
  for (const name of ["focus", "blur"]) window.addEventListener(name, listener);
}
