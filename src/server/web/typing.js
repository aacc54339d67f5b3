/**
 * Writing into a field for its reader.
 */

/**
 * Writes into a field in the place of what is selected, or from somewhere to somewhere, as the keyboard would: the
 * reader can undo it.
 */
export function typeInto(field, text, from = field.selectionStart, to = field.selectionEnd) {
  field.focus();
  field.setSelectionRange(from, to);
  document.execCommand("insertText", false, text); // the only way that can be undone
}
