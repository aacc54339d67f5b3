// Before `npm pack` and `npm publish`: copies into this folder what is kept elsewhere in the repository, because npm
// packs no links. The client is the page's own file, and there is no other. `--empty`, afterwards, removes the copies.
import { copyFile, rm } from "node:fs/promises";

const COPIES = {
  "client.js": "../../src/server/web/client.js",
  "LICENSE-APACHE": "../../LICENSE-APACHE",
  "LICENSE-MIT": "../../LICENSE-MIT",
};

for (const [name, source] of Object.entries(COPIES)) {
  const copy = new URL(name, import.meta.url);
  if (process.argv.includes("--empty")) await rm(copy, { force: true });
  else await copyFile(new URL(source, import.meta.url), copy);
}
