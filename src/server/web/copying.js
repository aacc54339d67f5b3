/**
 * Putting text into the clipboard, also on pages without TLS, where browsers offer the old way alone.
 */
import { byId } from "./dom.js";
import { t } from "./language.js";

/** Returns whether it is there. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "sr-only";
  field.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  let done = false;
  try { done = document.execCommand("copy"); } catch { /* it is not there any more */ }
  field.remove();
  before?.focus();
  return done;
}

let timer = null;

/** Words at the foot of the page for a moment, also for those who hear it. */
export function toast(words) {
  clearTimeout(timer);
  byId("toast").textContent = words;
  byId("toast").hidden = false;
  byId("announcer").textContent = words;
  timer = setTimeout(() => { byId("toast").hidden = true; }, 3_000);
}

/** Copies, and says what became of it. */
export async function copyAloud(text, what) {
  toast(await copy(text) ? t("copied", { what }) : t("notCopied", { what, text }));
}
