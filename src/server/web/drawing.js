/**
 * Which file draws which part, and when. The document follows from the state: an event changes the state, `redraw`
 * names the parts that are stale, and one `draw` per animation frame brings the document in line.
 */
import { byId } from "./dom.js";

/** The parts of the page, in the order they are drawn. */
const PARTS = ["log", "bar", "head", "places", "members", "typing", "composer", "connection", "notifications"];

/** @type {Map<string, () => void>} */
const draws = new Map();
const stale = new Set();
let drawing = false;

/** Sets the function that draws a part. */
export function drawnBy(part, draw) {
  if (!PARTS.includes(part)) throw new Error(`no part is called ${part}: expected one of ${PARTS.join(", ")}`);
  draws.set(part, draw);
}

/** Names parts that are stale. */
export function redraw(...parts) {
  for (const part of parts) stale.add(part);
  if (drawing) return;
  drawing = true;
  // A hidden page gets no animation frames, and its title still has to count.
  if (document.hidden) setTimeout(draw, 200);
  else requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const parts = new Set(stale);
  stale.clear();
  if (byId("app").hidden) return;
  if (parts.has("log")) parts.add("bar"); // it stands at a message
  for (const part of PARTS) if (parts.has(part)) draws.get(part)();
}
