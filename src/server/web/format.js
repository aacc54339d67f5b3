/**
 * The button beside the message box for those who do not know the signs that `pieces.js` reads: it writes them around
 * what is selected, or before its lines.
 */
import { byId, element } from "./dom.js";
import { known } from "./language.js";
import { typeInto } from "./typing.js";

const input = byId("composer-input");
const menu = byId("format-menu");

/** Signs around the selection, which stays selected; without one the cursor stands between them. */
function around(open, close = open) {
  const { selectionStart: from, selectionEnd: to, value } = input;
  typeInto(input, `${open}${value.slice(from, to)}${close}`, from, to);
  input.setSelectionRange(from + open.length, to + open.length);
}

/** A sign before each line of the selection. */
function before(sign) {
  const { selectionStart: from, selectionEnd: to, value } = input;
  const start = value.lastIndexOf("\n", from - 1) + 1;
  const lines = value.slice(start, to).split("\n").map((line) => sign + line);
  typeInto(input, lines.join("\n"), start, to);
}

/** Code of several lines has lines of its own for its signs. */
function code() {
  const { selectionStart: from, selectionEnd: to, value } = input;
  if (value.slice(from, to).includes("\n")) around("```\n", "\n```");
  else around("`");
}

const FORMS = [
  ["bold", () => around("**")], ["italic", () => around("*")], ["struckOut", () => around("~~")],
  ["code", code], ["quote", () => before("> ")], ["list", () => before("- ")],
];

byId("format").addEventListener("click", () => {
  byId("format-list").replaceChildren(...FORMS.map(([what, write]) => {
    const entry = element("button", `menu-item format-${what}`, element("span", "", known("format", what)));
    entry.type = "button";
    entry.addEventListener("click", () => {
      menu.close();
      write();
    });
    return element("li", "", entry);
  }));
  menu.showModal();
});
