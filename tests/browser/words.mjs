/**
 * The table of all that the page says, without a browser: each key is there and is used, in each language with the same
 * placeholders and the plurals that the language has, and nothing that is read or heard stands outside of it.
 * `node words.mjs`; see run.sh.
 */
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import vm from "node:vm";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse } from "acorn";
import { ancestor } from "acorn-walk";
import { check, equal, summary } from "./harness.mjs";

const web = fileURLToPath(new URL("../../src/server/web/", import.meta.url));
const folder = await mkdtemp(path.join(tmpdir(), "salon-words-"));
await cp(web, folder, { recursive: true });
await writeFile(path.join(folder, "package.json"), "{\"type\":\"module\"}");
const load = (name) => import(pathToFileURL(path.join(folder, name)));

const door = (await load("en_door.js")).WORDS;
const rest = (await load("en.js")).WORDS;
const english = { ...door, ...rest };
const { LANGUAGES, known, learn, phrase, speak, speakOn, spoken, t } = await load("language.js");
const CODES = LANGUAGES.map(([code]) => code);
const [others, tables] = [new Map(), new Map()];
for (const code of CODES.filter((code) => code !== "en")) {
  tables.set(code, { door: (await load(`${code}_door.js`)).WORDS, rest: (await load(`${code}.js`)).WORDS });
  others.set(code, { ...tables.get(code).door, ...tables.get(code).rest });
}

// Not read for keys: the tables, the client (which others take without the page), what speaks where nothing else does,
// and what says nothing.
const APART = [...CODES.flatMap((code) => [`${code}_door.js`, `${code}.js`, `${code}_emoji.js`]), "client.js", "old.js", "worker.js"];
const read = (name) => readFile(path.join(web, name), "utf8");
const html = await read("index.html");
const modules = new Map();
for (const name of (await readdir(web)).filter((file) => file.endsWith(".js") && !APART.includes(file))) {
  modules.set(name, await read(name));
}
const treeOf = (source) => parse(source, { ecmaVersion: 2022, sourceType: "module" });

const TAKES_KEY = ["t", "phrase"];
const isWords = (node) => node.type === "CallExpression" && node.callee.type === "Identifier" && [...TAKES_KEY, "known"].includes(node.callee.name);

/** The keys that an argument may be: a literal, or a choice between such. */
function keysOf(node) {
  if (node.type === "Literal" && typeof node.value === "string") return [node.value];
  if (node.type === "ConditionalExpression") return [...keysOf(node.consequent), ...keysOf(node.alternate)];
  throw new Error(`a key that is neither a literal nor a choice: ${node.type}`);
}

/** What a module takes from the table: keys, the kinds of codes, and what it takes before the words are there. */
function usesOf(source) {
  const [keys, kinds, early] = [[], [], []];
  ancestor(treeOf(source), {
    CallExpression(node, _, above) {
      if (!isWords(node)) return;
      if (node.callee.name === "known") kinds.push(...keysOf(node.arguments[0]));
      else keys.push(...keysOf(node.arguments[0]));
      if (!above.some(({ type }) => /Function/u.test(type))) early.push(keysOf(node.arguments[0])[0]);
    },
  });
  return { keys, kinds, early };
}

const HTML_KEY = /\sdata-t(?:-[a-z-]+)?="([^"]*)"/gu;

await check("every text that the page asks for is in the table, and every text of the table is asked for", () => {
  const [keys, kinds] = [new Set([...html.matchAll(HTML_KEY)].map(([, key]) => key)), new Set()];
  for (const [name, source] of modules) {
    // The file that looks things up takes keys from others.
    const uses = name === "language.js" ? { keys: ["direction"], kinds: [] } : usesOf(source);
    for (const key of uses.keys) keys.add(key);
    for (const kind of uses.kinds) kinds.add(kind);
  }
  equal([...keys].filter((key) => !(key in english)), [], "keys that are not in the table");
  equal([...kinds].filter((kind) => !Object.keys(english).some((key) => key.startsWith(`${kind}.`))), [], "kinds of codes that are not in the table");
  equal(Object.keys(english).filter((key) => !keys.has(key) && !kinds.has(key.split(".")[0])), [], "keys that nobody asks for");
  equal(Object.keys(door).filter((key) => key in rest), [], "keys that are there twice");
  equal(keys.size > 200, true, "that these are many");
});

await check("no table of words, and no other object of the page, has a key twice: the last one would win", async () => {
  const twiceIn = (source) => {
    const twice = [];
    const nameOf = ({ key, computed }) => (computed ? undefined : key?.name ?? key?.value);
    ancestor(treeOf(source), {
      ObjectExpression({ properties }) {
        const names = properties.map(nameOf).filter((name) => name !== undefined);
        if (properties.some(({ kind }) => kind && kind !== "init")) return; // a getter and a setter are a pair
        twice.push(...names.filter((name, at) => names.indexOf(name) !== at));
      },
    });
    return twice;
  };
  equal(twiceIn("const WORDS = { a: 1, \"b.c\": 2, a: 3, \"b.c\": { a: 4 } };"), ["a", "b.c"], "what is found");
  for (const name of (await readdir(web)).filter((file) => file.endsWith(".js"))) equal(twiceIn(await read(name)), [], name);
});

await check("what is said at the door is in the table of the door", () => {
  const [, part] = /<main id="door"([^]*?)<\/main>/u.exec(html);
  const asked = [...part.matchAll(HTML_KEY)].map(([, key]) => key);
  for (const name of ["door.js", "words.js"]) asked.push(...usesOf(modules.get(name)).keys);
  equal(asked.filter((key) => !(key in door)), [], "keys that come only with the rest");
  for (const kind of ["close", "fault"]) equal(Object.keys(rest).filter((key) => key.startsWith(`${kind}.`)), [], `codes of the kind ${kind}`);
});

await check("nothing is looked up before the words of the language are there", () => {
  for (const [name, source] of modules) if (name !== "language.js") equal(usesOf(source).early, [], name);
});

const placeholders = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/gu)].map(([, name]) => name))].sort();
const formsOf = (entry) => (typeof entry === "string" ? { other: entry } : entry);

await check("each language has the same keys with the same placeholders, and the plurals that it has", () => {
  for (const [code, table] of tables) {
    equal(Object.keys(table.door).sort(), Object.keys(door).sort(), `the keys of ${code} at the door`);
    equal(Object.keys(table.rest).sort(), Object.keys(rest).sort(), `the keys of ${code} behind it`);
  }
  for (const [code, words] of [["en", english], ...others]) {
    const categories = [...new Intl.PluralRules(code).resolvedOptions().pluralCategories].sort();
    for (const [key, entry] of Object.entries(words)) {
      const here = `${key} in ${code}`;
      equal(typeof entry, typeof english[key], `the kind of ${here}`);
      if (typeof entry !== "string") equal(Object.keys(entry).sort(), categories, `the forms of ${here}`);
      equal(placeholders(formsOf(entry).other), placeholders(formsOf(english[key]).other), `the placeholders of ${here}`);
      // One may be said without a number.
      for (const text of Object.values(formsOf(entry))) {
        equal(placeholders(formsOf(entry).other).filter((name) => name !== "count" && !placeholders(text).includes(name)), [], `what is missing in ${here}`);
        equal(/\S/u.test(text) && text.trim() === text, true, `words in ${here}`);
      }
    }
  }
});

await check("a text with a number that has no forms names no things", () => {
  // "{count}+ new" is about no number that is known.
  const bare = Object.entries(english).filter(([, entry]) => typeof entry === "string" && /\{count\}/u.test(entry)).map(([key]) => key);
  equal(bare.sort(), ["newMany", "newManySince", "peopleHere"], "texts");
});

await check("each language has its own signs: quotation marks, apostrophes, blanks", () => {
  const textsOf = (words) => Object.entries(words).flatMap(([key, entry]) => Object.values(formsOf(entry)).map((text) => [key, text]));
  const odd = (words, pattern, ...but) => textsOf(words).filter(([key, text]) => pattern.test(text) && !but.includes(key)).map(([key]) => key);
  for (const [code, words] of [["en", english], ...others]) {
    equal(odd(words, /'|\.\.\./u), [], `straight apostrophes and dots in ${code}`);
    equal(odd(words, /"/u, "toWhom", "help.msg"), [], `straight quotation marks in ${code}, but for those that are typed`);
  }
  equal(odd(english, /[„«»]/u), [], "quotation marks in English");
  equal(odd(others.get("de"), /[”«»]|^[^„]*“/u), [], "quotation marks in German");
  equal(odd(others.get("es"), /[“”„]/u), [], "quotation marks in Spanish");
  equal(odd(others.get("es"), /[?!]/u).filter((key) => !/[¿¡]/u.test(others.get("es")[key])), [], "questions in Spanish that nothing opens");
  // In commands a colon is a sign, and in times and signs it belongs to what is beside it.
  equal(odd(others.get("fr"), /[^\u202F\u00A0][?!;»]|«[^\u00A0]|\p{L}:(?=\s|$)| :/u, "usage.emoji"), [], "signs in French without their blank");
});

// Literals: a word that is read or heard.

const SINKS = new Set(["textContent", "innerText", "title", "placeholder", "ariaLabel", "alt", "label", "problem", "removed", "failed"]);
// From which argument on a function shows what it is given, and up to which.
const SHOWN_BY = new Map([
  ["element", [2]], ["append", [0]], ["prepend", [0]], ["replaceChildren", [0]], ["before", [0]], ["after", [0]], ["named", [0, 0]], ["toast", [0, 0]], ["doorSays", [0, 0]],
  ["says", [0, 0]], ["copyAloud", [0, 1]], ["addGap", [1, 1]], ["Option", [0, 0]],
]);
// Names of keys and of things of the browser, and the name of the program.
const NAMES = new Set(["Salon", "Enter", "Escape", "Tab", "Delete", "Files", "Notification", "BroadcastChannel", "Symbol", "English", "Deutsch", "Español", "Français"]);
const isName = (text) => NAMES.has(text) || /^(?:Arrow(?:Up|Down|Left|Right)|Page(?:Up|Down))$/u.test(text);
const textOf = (node) => (node.type === "TemplateElement" ? node.value.raw : typeof node.value === "string" ? node.value : "");
const isWord = (text) => /\p{L}{2}/u.test(text) && !isName(text.trim());

/** Where in a call, or in what is given to a property, a literal is shown as it stands. */
function isShown(above) {
  for (let at = above.length - 2; at >= 0; at -= 1) {
    const [node, inside] = [above[at], above[at + 1]];
    if (node.type === "CallExpression" || node.type === "NewExpression") {
      if (isWords(node) || inside === node.callee) return false;
      const name = node.callee.name ?? node.callee.property?.name;
      const place = node.arguments.indexOf(inside);
      if (name === "setAttribute") return place === 1 && /^(?:aria-label|title|placeholder|alt)$/u.test(node.arguments[0].value ?? "");
      const [from, to = Infinity] = SHOWN_BY.get(name) ?? [Infinity];
      return place >= from && place <= to;
    }
    if (node.type === "AssignmentExpression") return inside === node.right && SINKS.has(node.left.property?.name ?? node.left.name);
    if (node.type === "Property") return inside === node.value && ["title", "text", "yes", "no", "words", "usage"].includes(node.key.name);
    if (node.type === "ConditionalExpression" && inside === node.test) return false;
    if (node.type === "BinaryExpression" && node.operator !== "+") return false;
    if (/Function|Statement|Declarat/u.test(node.type)) return false;
  }
  return false;
}

/**
 * The literals of a module that somebody would read: a sentence or a capital wherever it stands, and any word where it
 * is shown.
 */
function literalsOf(source) {
  const found = [];
  const look = (node, _, above) => {
    const text = textOf(node);
    const parent = above.at(-2);
    if (!isWord(text) || /^(?:Import|Export)/u.test(parent.type) || above.some(isWords)) return;
    if (above.some((one) => one.type === "NewExpression" && ["Error", "RegExp"].includes(one.callee.name))) return;
    const isSentence = /^\p{Lu}\p{Ll}+/u.test(text.trim()) || /\p{Ll} \p{Ll}.*[.?!…]/u.test(text);
    if (isSentence || isShown(above)) found.push(text.trim());
  };
  ancestor(treeOf(source), { Literal: look, TemplateElement: look });
  return found;
}

await check("no module has a text in it that somebody reads or hears", () => {
  for (const [source, ...texts] of [
    ["node.textContent = \"hello\";", "hello"], ["element(\"p\", \"quiet line\", \"hello\");", "hello"], ["element(\"p\", \"quiet line\", t(\"hello\"));"],
    ["node.title = on ? \"is on\" : \"\";", "is on"], ["node.setAttribute(\"aria-label\", `${n} hellos`);", "hellos"], ["node.setAttribute(\"role\", \"group\");"],
    ["const SAID = \"Hello there\";", "Hello there"], ["function f() { return \"no such room.\"; }", "no such room."], ["toast(`all ${what} gone`);", "all", "gone"],
    ["if (key === \"Enter\") node.className = \"avatar small\";"], ["ask({ title: t(\"a\"), yes: \"do it\" });", "do it"], ["throw new Error(\"Not found\");"],
  ]) equal(literalsOf(source), texts, source);
  for (const [name, source] of modules) {
    // The names of emoji are codes, which are written as they are in each language.
    if (name !== "emoji.js") equal(literalsOf(source), [], name);
  }
});

await check("index.html has no text of its own but the name, and what is said without JavaScript in each language", () => {
  const body = html.slice(html.indexOf("<body>")).replace(/<!--[^]*?-->/gu, "");
  const without = /<noscript>([^]*?)<\/noscript>/u.exec(body)[1];
  equal([...without.matchAll(/<p [^>]*>/gu)].map(([tag]) => /lang="(\w+)"/u.exec(tag)?.[1] ?? "en"), ["en", ...others.keys()], "languages without JavaScript");
  const shown = body.replace(/<noscript>[^]*?<\/noscript>/u, "");
  equal(shown.replace(/<[^>]*>/gu, "\n").split("\n").map((text) => text.trim()).filter((text) => /\p{L}/u.test(text)), ["Salon"], "texts");
  equal([...shown.matchAll(/\s(?:aria-label|title|placeholder|alt)="([^"]+)"/gu)].map(([, text]) => text), [], "attributes");
});

await check("the style has no words in it", async () => {
  for (const name of ["door.css", "app.css"]) {
    equal([...(await read(name)).matchAll(/[\s;{]content:\s*([^;}]*)/gu)].map(([, value]) => value).filter((value) => /[a-z]{2}/iu.test(value.replace(/attr\([a-z-]*\)|\\[0-9a-f]+/giu, ""))), [], name);
  }
});

await check("a browser that is too old is told so in its language", async () => {
  const source = await read("old.js");
  const told = (language) => {
    const node = () => ({ setAttribute() {}, removeAttribute() {}, textContent: "", lang: "" });
    const nodes = new Map(["door", "app", "too-old"].map((id) => [id, node()]));
    const document = { readyState: "complete", createElement: () => ({}), getElementById: (id) => nodes.get(id) };
    vm.runInNewContext(source, { document, navigator: { language }, window: {}, HTMLDialogElement: undefined, Element: function Element() {} });
    const { lang, textContent } = nodes.get("too-old");
    return [lang, textContent.split(" ")[0]];
  };
  equal(["en-US", "de", "es-MX", "fr-CA", "constructor", undefined].map(told), [["en", "This"], ["de", "Dieser"], ["es", "Este"], ["fr", "Ce"], ["en", "This"], ["en", "This"]], "the words");
});

await check("every code of an error has words, and so has every code that closes a connection", async () => {
  const wire = await readFile(fileURLToPath(new URL("../../docs/wire.md", import.meta.url)), "utf8");
  const errors = wire.slice(wire.indexOf("\n### error\n"), wire.indexOf("\n### goodbye\n"));
  const codes = [...errors.matchAll(/^\| `(\w+)` \|/gmu)].map(([, code]) => code);
  equal(codes.length > 15, true, "that there are many");
  equal(codes.filter((code) => !(`error.${code}` in english)), [], "errors without words");
  const closes = [...wire.matchAll(/^\| (4\d{3}) /gmu)].map(([, code]) => code);
  equal(closes.length > 0, true, "that there are some");
  equal(closes.filter((code) => !(`close.${code}` in english)), [], "close codes without words");
  const client = await read("client.js");
  const made = [...client.matchAll(/SalonError\(\{ code: "(\w+)"/gu)].map(([, code]) => code);
  equal(made.filter((code) => !(`error.${code}` in english)), [], "errors of the client without words");
  const faults = [...client.matchAll(/return [^;]*\{ code: "(\w+)"/gu)].map(([, code]) => code).filter((code) => !made.includes(code));
  equal([...new Set([...faults, "blank", "unseen"])].filter((code) => !(`fault.${code}` in english)), [], "faults without words");
  for (const [name, source] of modules) equal(/import \{[^}]*\b(?:nameProblem|characterProblem)\b[^}]*\} from "\.\/client\.js"/u.test(source), false, `English of the client in ${name}`);
});

// Speaking

const asks = async (languages, chosen = null) => {
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages } });
  globalThis.document = { documentElement: {} };
  globalThis.localStorage = { getItem: () => (chosen === null ? null : JSON.stringify(chosen)) };
  globalThis.sessionStorage = { getItem: () => null };
  await speak();
  await speakOn();
  return [document.documentElement.lang, spoken.locale, document.documentElement.dir];
};
const { listed } = await load("lists.js");
learn(rest);

await check("the language is the one that was chosen, or the first that the browser asks for and the page has", async () => {
  for (const [languages, chosen, expected] of [
    [["en-GB", "de"], null, ["en", "en-GB"]], [["de-AT", "en"], null, ["de", "de-AT"]], [["nl", "FR-ca", "en"], null, ["fr", "fr-CA"]], [["ja"], null, ["en", "en"]], [[], null, ["en", "en"]],
    [["en-GB"], "es", ["es", "es"]], [["es-MX", "en"], "es", ["es", "es-MX"]], [["fr"], "xx", ["fr", "fr"]], [["fr"], 7, ["fr", "fr"]], [["en-US@posix"], null, ["en", "en"]], [["constructor"], null, ["en", "en"]],
  ]) equal(await asks(languages, chosen), [...expected, "ltr"], `${languages} and ${chosen}`);
});

await check("numbers, plurals and lists are those of the language", async () => {
  const said = () => [t("toLatestNew", { count: 1 }), t("toLatestNew", { count: 12_345 }), t("peopleThere", { count: 0 }), listed(["Ada", "Bob", "Isa"]).join("")];
  const plain = (all) => all.map((text) => text.replace(/[\u00A0\u202F]/gu, " "));
  await asks(["en-GB"]);
  equal(said(), ["1 new message: to the latest", "12,345 new messages: to the latest", "0 people are there.", "Ada, Bob and Isa"], "English");
  await asks(["de"]);
  equal(said(), ["1 neue Nachricht: zur neuesten", "12.345 neue Nachrichten: zur neuesten", "0 Personen sind dort.", "Ada, Bob und Isa"], "German");
  await asks(["es"]);
  equal(said(), ["1 mensaje nuevo: ir al último", "12.345 mensajes nuevos: ir al último", "Hay 0 personas dentro.", "Ada, Bob e Isa"], "Spanish");
  await asks(["fr"]);
  equal(plain(said()), ["1 nouveau message : aller au dernier", "12 345 nouveaux messages : aller au dernier", "0 personne s’y trouve.", "Ada, Bob et Isa"], "French");
  equal(plain([t("toLatestNew", { count: 1_000_000 })]), ["1 000 000 de nouveaux messages : aller au dernier"], "a million");
});

await check("values stand where the language wants them, also when they are nodes; a code that is no key has no words", async () => {
  await asks(["de"]);
  const node = { textContent: "Ada" };
  equal(phrase("goOutAs", { name: node }), ["Als ", node, " hinausgehen?"], "a node");
  equal(phrase("writeTo", { name: [node, "!"] }), [node, "!", " schreiben"], "several");
  equal(t("invitedTo", { room: "{name} $& {room}" }), "Du bist in den Raum „{name} $& {room}“ eingeladen.", "a value that looks like a placeholder");
  equal([known("error", "forbidden"), known("error", "constructor"), known("error", "__proto__"), known("toString", "")], ["Das darfst du hier nicht.", undefined, undefined, undefined], "codes");
});

await rm(folder, { recursive: true });
process.exit(summary());
