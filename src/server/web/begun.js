/**
 * Text in the field of a dialog that was closed before it was saved: a title, a topic, a note, a new room. It is
 * offered again when the dialog opens, and kept by the browser with what else is unsent (`unsent.js`).
 */

/**
 * By what it is (`note`, `title:ROOM`, `topic:ROOM`, `room` for one that is not made yet): `{text, at}`, with the time
 * when it was written.
 * @type {Map<string, {text: string, at: number}>}
 */
const fields = new Map();

export const begunOf = (key) => fields.get(key)?.text;
export const letGoOfBegun = (key) => fields.delete(key);
export const letGoOfAllBegun = () => fields.clear();

export const begin = (key, text, at = Date.now()) => fields.set(key, { text, at });

/** Takes what another tab has left. Of a field that was begun in several, what was written last is kept. */
export function takeBegun([key, text, at = 0]) {
  if (!(fields.get(key)?.at > at)) begin(key, text, at);
}

/** All that is begun, for a record: `[key, text, at]`. */
export const allBegun = () => [...fields].map(([key, { text, at }]) => [key, text, at]);

/** Puts what was begun into the field of a dialog, else what stands, which is then selected. */
export function offer(input, key, stands) {
  const text = begunOf(key);
  input.value = text ?? stands;
  input.focus();
  if (text === undefined) input.select();
  else input.setSelectionRange(text.length, text.length);
}

/** What is meant by what is in a field, which is one line. */
export const tidy = (text) => text.trim().replace(/\s+/gu, " ");

/** Notes what is in a field now; what stands is nothing that is begun. */
export function note(key, text, stands) {
  if (text === stands) fields.delete(key);
  else begin(key, text);
}
