/**
 * Small helpers for making and arranging elements. Text of people reaches the document as text only, never as markup.
 */

export const byId = (id) => document.getElementById(id);

/** An element with a class and what is in it; text stays text. */
export function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const named = (name) => element("bdi", "", name);

/**
 * Makes the children of `parent` the nodes of `entries`, in order, moving and rebuilding as little as possible. The one
 * with the focus is not moved, which would take the focus from it: the others are moved around it.
 */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  let held = parent.contains(document.activeElement) ? document.activeElement : null;
  while (held && held.parentNode !== parent) held = held === parent ? null : held.parentNode;
  let cursor = parent.firstElementChild;
  for (const node of nodes) {
    if (node === held) while (cursor !== node) { // what is before it comes behind it
      const next = cursor.nextElementSibling;
      parent.append(cursor);
      cursor = next;
    }
    if (node === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(node, cursor);
  }
}

const keyed = new WeakMap();

/** Draws `entries` as the children of `parent`, keeping the node of every `key` that was there before. */
export function drawList(parent, entries, build, update) {
  const before = keyed.get(parent) ?? new Map();
  const after = new Map();
  for (const entry of entries) {
    const node = before.get(entry.key) ?? build(entry);
    update(node, entry);
    after.set(entry.key, node);
  }
  keyed.set(parent, after);
  arrange(parent, [...after.values()]);
}

/** Forgets the nodes of a list whose entries are about something else now. */
export function clearList(parent) {
  keyed.delete(parent);
  parent.replaceChildren();
}
