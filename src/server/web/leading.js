/**
 * Where the view of the messages was led to, it stays until the reader moves it. A browser goes on for a moment with
 * what a key or a wheel has set in motion before: Chromium adds up to two pages to the place that it is given, and
 * what nobody has looked at would be read.
 */
import { byId } from "./dom.js";

const GOES_ON = 1_000; // ms; what was in motion rests by then

const log = byId("log");
let place = null;
let until = 0;

export function leadTo(top) {
  log.scrollTop = top;
  place = log.scrollTop;
  until = performance.now() + GOES_ON;
}

/** Undoes what the reader has not done. */
export function keepPlace() {
  if (performance.now() > until) place = null;
  if (place !== null) log.scrollTop = place;
}

/** What came or went above has moved the place. */
export function placeMoved() {
  if (place !== null) place = log.scrollTop;
}

for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) window.addEventListener(name, () => { place = null; }, { capture: true, passive: true });
