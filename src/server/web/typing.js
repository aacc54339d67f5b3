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
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, from, to, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
