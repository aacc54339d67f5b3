// The cases of `tests/cases/*.json`. See `README.md` there.
import { readFile } from "node:fs/promises";

/** A text as the files write it: a string, or a list of parts that follow each other. */
export function text(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(text).join("");
  if ("times" in value) return text(value.of).repeat(value.times);
  if ("names" in value) return Array.from({ length: value.names }, (_, n) => `"n${String(n).padStart(3, "0")}"`).join(",");
  return Array.from({ length: value.fields }, (_, n) => `"field${n}":${n}`).join(",");
}

export const load = async (name) => JSON.parse(await readFile(new URL(`${name}.json`, import.meta.url), "utf8"));

/** What the server sends for a row of `requests.json`: the texts, or the one error. */
export function answers(row) {
  if (row.hear) return row.hear.map(text);
  const id = "id" in row ? `"id":${JSON.stringify(row.id)},` : "";
  return [`{"type":"error",${id}"code":"${row.code}","message":${JSON.stringify(text(row.message))},"retry":false}`];
}

/** What the client sends for a row of `requests.json`. */
export const requests = (row) => ("code" in row ? [text(row.say)] : row.say.map(text));
