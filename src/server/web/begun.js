/**
 * Text in the field of a dialog that was closed before it was saved: a title, a topic, a note. It is offered again when
 * the dialog opens, and kept by the browser with what else is unsent (`unsent.js`).
 */

/** By what it is: `note`, `title:ROOM`, `topic:ROOM`. */
export const begun = new Map();

/** Puts what was begun into the field of a dialog, else what stands, which is then selected. */
export function offer(input, key, stands) {
  const text = begun.get(key);
  input.value = text ?? stands;
  if (text === undefined) input.select();
  else input.setSelectionRange(text.length, text.length);
}

/** Notes what is in a field now; what stands is nothing that is begun. */
export function note(key, text, stands) {
  if (text === stands) begun.delete(key);
  else begun.set(key, text);
}
