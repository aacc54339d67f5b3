/**
 * What is copied from the log: the text of messages as it was written, sign for sign, and where it is more than one
 * message, who said it and when.
 */
import { copyAloud } from "./copying.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import { itemOf, timeOf } from "./message.js";

document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || document.activeElement?.matches("input, textarea")) return;
  const range = selection.getRangeAt(0);
  const log = byId("messages");
  if (byId("app").hidden || byId("conversation").inert) return; // the messages are not on screen
  if (!range.intersectsNode(log)) return; // it may begin above the messages, and end below them
  const parts = [];
  for (const node of log.querySelectorAll(":scope > li.message")) {
    if (!range.intersectsNode(node)) continue;
    const text = node.querySelector(".text");
    if (!text || !range.intersectsNode(text)) continue;
    const part = document.createRange();
    part.selectNodeContents(text);
    if (part.comparePoint(range.startContainer, range.startOffset) === 0) part.setStart(range.startContainer, range.startOffset);
    if (part.comparePoint(range.endContainer, range.endOffset) === 0) part.setEnd(range.endContainer, range.endOffset);
    parts.push({ item: itemOf(node), text: part.toString() });
  }
  const said = parts.filter(({ text }) => text !== "");
  if (said.length === 0) return;
  event.preventDefault();
  event.clipboardData.setData("text/plain", said.length === 1 ? said[0].text : said.map(({ item, text }) => `${item.sender} ${timeOf(item.ts)}\n${text}`).join("\n\n"));
});

byId("messages").addEventListener("click", (event) => {
  const button = event.target.closest(".code-copy");
  if (button) copyAloud(button.parentElement.querySelector("code").textContent.replace(/\n$/u, ""), t("code"));
});
