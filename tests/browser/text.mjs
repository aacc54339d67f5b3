/**
 * What needs no browser: where links end and what they show, who is called, which emoji are large, what looks alike,
 * and whether the scripts are written in what the browsers of `old.js` know. `node text.mjs`; see run.sh.
 */
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse } from "acorn";
import { full } from "acorn-walk";
import reader from "jsqr";
import { load as cases, text } from "../cases/cases.mjs";
import { check, equal, summary } from "./harness.mjs";

const web = fileURLToPath(new URL("../../src/server/web/", import.meta.url));
// A folder that says that these are modules, which the one of the page need not.
const folder = await mkdtemp(path.join(tmpdir(), "salon-scripts-"));
await cp(web, folder, { recursive: true });
await writeFile(path.join(folder, "package.json"), "{\"type\":\"module\"}");
const load = (name) => import(pathToFileURL(path.join(folder, name)));
const { callsIn, isEmojiOnly, links, isBlank } = await load("text.js");
const { mentions, parse: pieces } = await load("pieces.js");
const rawOf = (all) => all.map((piece) => (typeof piece === "string" ? piece : piece.open + rawOf(piece.inside) + piece.close)).join("");
const { EMOJI, callEmoji, emojiNamed, findEmoji } = await load("emoji.js");
const { difference, see, skeleton } = await load("lookalikes.js");
const { qrOf } = await load("qr.js");
(await load("language.js")).learn((await load("en.js")).WORDS);
const { SalonClient, encode, nameProblem, normalName, utf8Length, wellFormed } = await load("client.js");

await check("a link ends where the address does, and shows where it leads", () => {
  for (const [text, ...shown] of [
    ["https://example.com/foo。次の文", "https://example.com/foo"],
    ["/a https://example.com/a、続き", "https://example.com/a"],
    ["（https://example.com/b）です", "https://example.com/b"],
    ["「https://example.com/c」", "https://example.com/c"],
    ["https://example.com/j，see https://example.com/k！", "https://example.com/j", "https://example.com/k"],
    ["`https://example.com/l` https://example.com/m|n https://example.com/o\u200Bp", "https://example.com/l", "https://example.com/m", "https://example.com/o"],
    ["https://example.com/q\u2060 https://example.com/r\u00AD", "https://example.com/q", "https://example.com/r"],
    ["https://example.com/s؟ https://example.com/t،", "https://example.com/s", "https://example.com/t"],
    ["https://example.com/日本語/x", "https://example.com/日本語/x"],
    ["(https://example.org/tea_(drink)?a=1&b=2).", "https://example.org/tea_(drink)?a=1&b=2"],
    ["https://www.аррӏе.com/", "https://www.xn--80ak6aa92e.com/"], // Cyrillic
    ["https://bücher.example/ü", "https://xn--bcher-kva.example/ü"],
    // U+2044 reads as a slash.
    ["https://bank.example⁄login.evil.example/", "https://bank.xn--examplelogin-xk0g.evil.example/"],
    ["https://bank.example∕login.evil.example/", "https://bank.xn--examplelogin-ni5g.evil.example/"], // U+2215
    ["https://ｂank.example/", "https://bank.example/"],
    ["https://0x7f.1/", "https://127.0.0.1/"],
    ["https://2130706433/", "https://127.0.0.1/"],
    ["https://bank.example%2eevil.example/", "https://bank.example.evil.example/"],
    ["https://bank.example\\@evil.example/", "https://bank.example"],
    ["https://EXAMPLE.org:443/ http://[::1]/x", "https://EXAMPLE.org:443/", "http://[::1]/x"],
    ["https://bank.example@evil.example/"], ["https://evil.example/\u202Egnp.exe"], ["javascript:alert(1) ftp://example.org"],
  ]) equal(links(text).map((link) => link.shown), shown, text);
});

await check("@room calls everybody where the server says so, by the rule of the server", () => {
  for (const [text, ...places] of [
    ["@room, tea", 0], ["tea, (@ROOM)", 6], ["\uFF20room", 0], ["@room @rooms @room-mates @room@x @room_ `@room` x@room /@room @@room @room", 0, 69], ["@ada @room", 0, 5],
  ]) equal(callsIn(text, ["ada"], true).map(({ start }) => start), places, text);
  equal(callsIn("@room", ["ada"]), [], "where it does not say so");
  equal(pieces("**@room** `@room`", [], true).map(({ inside }) => inside?.[0].kind), ["call", undefined, undefined], "in a text");
});

await check("only @ and a name calls somebody, and neither a word nor an address does", () => {
  for (const [text, name, called] of [
    ["@太郎さん、こんにちは", "太郎", true], ["@太郎丸さん", "太郎", false], ["こんにちは@太郎", "太郎", true], ["@adaさん", "ada", true], ["@철수가", "철수", true],
    ["ada@example.org", "Ada", false], ["https://example.org/@ada", "Ada", false], ["https://example.org/will/ will you wait", "Will", false],
    ["@ada, tea?", "Ada", true], ["(@ADA)", "ada", true], ["@adam", "ada", false], ["Ada, tea?", "Ada", false], ["x.@ada", "ada", false],
    ["@ada@example.org", "ada", false], ["@ada\u0301", "ada", false], ["@C++!", "c++", true], ["@Ada Lovelace, hi", "Ada Lovelace", true], ["@here", "ada", false],
    ["@jose\u0301", "jos\u00E9", true], ["@@ada", "ada", false], ["@", "ada", false], ["@ada", "", false],
  ]) equal(mentions(text, name, ["太郎丸"]), called, `${text} for ${name}`);
});

await check("a longer name that begins so is the one that is called, and a hyphen goes on a word", () => {
  const here = ["bob", "bob smith", "bob-lee", "Ada", "太郎", "太郎 丸"];
  for (const [text, ...called] of [
    ["@bob hi", "bob"], ["@bob smith hi", "bob smith"], ["@Bob Smith, hi", "bob smith"], ["@bob-lee hi", "bob-lee"], ["@bob smithers", "bob"], ["@bob-leeward"],
    ["@Ada-lyn"], ["@Ada\u2010lyn"], ["@Ada - tea?", "Ada"], ["@Ada-", "Ada"], ["@Ada—tea?"], ["@Ada's tea", "Ada"], ["@太郎 丸さん", "太郎 丸"], ["@太郎 さん", "太郎"],
    ["@bob smith and @bob", "bob", "bob smith"], ["\uFF20bob hi", "bob"], ["\uFF20太郎さん", "太郎"], ["a\uFF20bob"],
  ]) equal(here.filter((name) => mentions(text, name, here)), called, text);
});

/** The pieces of a text in short: `kind(what is in it)`. */
const short = (all) => all.map((piece) => (typeof piece === "string" ? piece : `${piece.kind}(${piece.kind === "sign" ? piece.open : short(piece.inside)})`)).join("");

await check("signs in a text mean code, bold, italic, struck out, quotes and lists, where they stand as people write them", () => {
  for (const [text, meant] of [
    ["plain", "plain"], ["", ""],
    ["a `b` c", "a code(b) c"], ["``a`b``", "code(a`b)"], ["`a", "`a"], ["``", "``"], ["`**a**`", "code(**a**)"],
    ["**a** *b* _c_ __d__ ~~e~~", "strong(a) em(b) em(c) strong(d) s(e)"], ["**a *b* c**", "strong(a em(b) c)"], ["***a*** ___b c___", "em(strong(a)) em(strong(b c))"], ["***a **b***", "em(strong(a **b))"], ["***a ~~b~~***!", "em(strong(a s(b)))!"],
    ["*** a***", "*** a***"], ["***a", "***a"], ["****a****", "****a****"], ["a***b***c", "a***b***c"], ["***a\n\nb***", "***a\n\nb***"], ["**a *b***", "**a *b***"], ["*a **b***", "*a **b***"],
    ["2*3*4 snake_case_name a**b**c", "2*3*4 snake_case_name a**b**c"], ["* a*", "bullet(a*)"], ["*a *", "*a *"], ["** **", "** **"], ["(*a*)!", "(em(a))!"], ["*a\nb*", "em(a\nb)"], ["*a\n\nb*", "*a\n\nb*"],
    ["*https://example.org/a_b_c*", "em(link(https://example.org/a_b_c))"], ["https://example.org/_a_", "link(https://example.org/_a)_"],
    ["> a\n> *b*\nc", "quote(sign(> )a\nsign(> )em(b)\n)c"], [">", ">"], ["a > b", "a > b"], [">_<", "quote(sign(>)_<)"],
    ["- a\n- b\nc", "bullet(a\n)bullet(b\n)c"], ["1. a\n2. b", "number(a\n)number(b)"], ["-a", "-a"], ["1.5", "1.5"], ["- ", "- "],
    ["```\n*a*\n```\nb", "fence(*a*\n)b"], ["```js\nx", "fence(x)"], ["```", "```"], ["a ```b``` c", "a code(b) c"], ["````\n```\n````", "fence(```\n)"],
    ["@ada, *hi* @bob smith!", "call(@ada), em(hi) call(@bob smith)!"], ["**@ada**", "strong(call(@ada))"], ["`@ada`", "code(@ada)"], ["ada@example.org", "ada@example.org"],
  ]) equal(short(pieces(text, ["ada", "bob", "bob smith"])), meant, text);
});

await check("whom a text calls is what is drawn of it: code calls nobody, and signs around a name do not hide it", () => {
  const calls = (all) => all.flatMap((piece) => (typeof piece === "string" ? [] : piece.kind === "call" ? [piece.name] : calls(piece.inside)));
  for (const [text, called] of [
    ["`@Anna`", false], ["```\n@Anna\n```", false], ["```\n@Anna", false], ["``a` @Anna``", false], ["_@Anna_", true], ["**@Anna** `@Anna`", true], ["~~@Anna~~", true], ["__@Anna, tea?__", true],
    ["> @Anna", true], ["- _@Anna_", true], ["@jose\u0301 @Anna", true], ["`@Anna", true], ["https://example.org/@Anna", false],
  ]) equal([mentions(text, "Anna", ["Bob"]), calls(pieces(text, ["Anna", "Bob"])).includes("Anna")], [called, called], text);
  equal(short(pieces("@jose\u0301! _@\u1112\u1161\u11AB_", ["jos\u00E9", "\uD55C"])), "call(@jose\u0301)! em(call(@\u1112\u1161\u11AB))", "letters in parts");
});

await check("the pieces of a text are the text, sign for sign, whatever is in it, and are done in no time", () => {
  const alphabet = ["*", "**", "_", "`", "```", "~~", "\n", "> ", "- ", "1. ", " ", "a", "b", "@ada", "https://example.org/", "\u00e9", "\u{1F370}", "(", ")"];
  let seed = 16;
  const random = (below) => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed % below; };
  for (let n = 0; n < 4_000; n += 1) {
    const text = Array.from({ length: random(24) }, () => alphabet[random(alphabet.length)]).join("");
    equal(rawOf(pieces(text, ["ada"])), text, `seed 16, text ${n}`);
  }
  for (const sign of ["*", "**a ", "_a ", "`", "~~a ", "> ", "- a\n", "```\n", "*a", "@ada "]) {
    const text = sign.repeat(16_384 / sign.length);
    equal(rawOf(pieces(text, ["ada"])), text, JSON.stringify(sign));
  }
});

await check("a text calls those whose names stand behind an @, the longest name first", () => {
  equal(callsIn("@bob smith, @Bob and @ada-lyn; x@bob https://example.org/@bob", ["bob", "bob smith", "ada"]).map(({ start, name }) => [start, name]), [[0, "bob smith"], [12, "bob"]], "calls");
  equal(callsIn("@bob ".repeat(500), ["bob"]).length, 400, "at most so many");
});

await check("emoji are found by their names", () => {
  equal([emojiNamed("thumbsup"), emojiNamed("+1"), emojiNamed("constructor")], ["👍", "👍", undefined], "by name");
  equal(findEmoji("tea", 3).map(({ picture }) => picture)[0], "🍵", "a name that is meant");
  equal(findEmoji("nothing of that name", 3), [], "none");
});

await check("a text of which nobody would see anything is none", () => {
  for (const text of ["", " \n", "\u200B", "\u3164", "\u2060\uFEFF \u2800", "\u{E0041}"]) equal(isBlank(text), true, escape(text));
  for (const text of ["a", ".\u200B", "\u0600", "🍰", "\uFFFD"]) equal(isBlank(text), false, escape(text));
});

await check("who is here is gone through once for a text, however often it calls", () => {
  let gone = 0;
  const others = { *[Symbol.iterator]() { gone += 1; yield* ["太郎丸", "花子"]; } };
  equal([mentions("@太郎丸 ".repeat(1_600), "太郎", others), gone], [false, 1], "a longer name, 1,600 times");
  equal(mentions("@太郎丸 ".repeat(300) + "@太郎さん", "太郎", others), true, "and the name itself behind 300 of it");
});

await check("emoji are found by what they are called in the language of the reader, and keep their names", async () => {
  const found = (text) => findEmoji(text, 3).map(({ picture }) => picture);
  for (const [code, rows] of [
    ["de", [["herz", "❤️"], ["Rakete", "🚀"], ["geburtstag", "🎂"], ["DAUMEN", "👍"], ["rocket", "🚀"]]],
    ["es", [["corazon", "❤️"], ["cohete", "🚀"], ["cumpleaños", "🎂"], ["rocket", "🚀"]]],
    ["fr", [["fusée", "🚀"], ["fusee", "🚀"], ["anniversaire", "🎂"], ["rocket", "🚀"]]],
  ]) {
    const { NAMES } = await load(`${code}_emoji.js`);
    const names = NAMES.split("|");
    equal([names.length, names.every((name) => /^[\p{Ll}\p{N}][\p{Ll}\p{N} ’'-]*$/u.test(name) && name === name.trim())], [EMOJI.length, true], `names in ${code}`);
    callEmoji(NAMES);
    for (const [text, picture] of rows) equal(found(text)[0], picture, `${text} in ${code}`);
  }
  equal(emojiNamed("herz"), undefined, "a name between colons");
  callEmoji(EMOJI.map(() => "").join("|"));
  equal(found("rakete"), [], "in English");
});

await check("one to three emoji are large, whatever they are made of; what is text is not", () => {
  for (const text of ["🍰", "🇩🇪", "🇩🇪🇫🇷 🇪🇸", "1️⃣", "#⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👨‍👩‍👧", "👍🏽", "❤️", "❤", "☕", "👩🏽‍💻", "🏳️‍🌈"]) equal(isEmojiOnly(text), true, text);
  for (const text of ["™", "©", "®", "™️", "ℹ", "↔", "1", "123", "#", "", "🍰🍰🍰🍰", "a🍰", "🇩", "\u200D"]) equal(isEmojiOnly(text), false, text);
});

await check("names that look alike are told apart by what is different", () => {
  for (const [one, other] of [["alice", "аlice"], ["Bob", "bob"], ["ren\u00E9", "rene\u0301"], ["alice", "ali\u200Bce"], ["paypal", "раураl"], ["kim", "krn"].slice(0, 1).concat("kirn")]) equal(skeleton(one), skeleton(other), `${one} and ${other}`);
  for (const [one, other] of [["alice", "alicia"], ["Анна", "Anton"], ["person1", "person2"], ["ada", "adam"]]) equal(skeleton(one) === skeleton(other), false, `${one} and ${other}`);
  equal([see("alice"), difference("alice"), see("аlice"), see("аlice")], [false, null, true, false], "seen");
  equal([difference("аlice").short, difference("alice")], ["U+0430", null], "the marks");
  see("Bob");
  see("bob");
  equal([difference("Bob").short, difference("bob").short], ["not bob", "not Bob"], "the marks");
  for (const name of ["__proto__", "constructor", "toString"]) equal([see(name), difference(name)], [false, null], name);
});

await check("what is sent is measured as it goes over the wire, and is well-formed text", () => {
  equal(wellFormed("a\uD800b\uDC00c\uD83C\uDF70"), "a\uFFFDb\uFFFDc\u{1F370}", "halves of characters");
  equal(JSON.parse(encode({ content: "\\ud800 \uD800" })).content, "\\ud800 \uFFFD", "halves of characters in JSON, and what is written like one");
  const client = new SalonClient({ url: "ws://127.0.0.1/ws", user: "ada" });
  equal(client.lengthProblem("room", "den", "\u0001".repeat(12_000)), null, "before the server has said what it takes");
  equal(utf8Length(encode({ content: "\u0001" })), 20, "a control character");
  equal([nameProblem("é".repeat(64)), nameProblem("é".repeat(65)), nameProblem("x".repeat(130))],
    [null, "That is too long. Please leave out one character.", "That is too long. Please leave out 2 characters."], "names at the limit");
});

await check("a name is one that the server takes, in the form that it keeps", async () => {
  // The rows that src/chat/name.rs is held to: a name that is let through here is let in there.
  for (const row of await cases("names")) {
    const name = text(row.name);
    equal(nameProblem(name) === null, !("refused" in row), escape(name));
    if (!("refused" in row)) equal(normalName(name), text(row.kept ?? row.name), escape(name));
  }
  equal(nameProblem("\uD800") === null, false, "half a character, which no JSON can hold");
});

await check("the scripts need no more than the browsers that old.js lets in", async () => {
  for (const name of (await readdir(web)).filter((file) => file.endsWith(".js"))) {
    const source = await readFile(path.join(web, name), "utf8");
    const old = name === "old.js";
    const tree = parse(source, { ecmaVersion: old ? 5 : 2022, sourceType: old ? "script" : "module" });
    const patterns = [];
    full(tree, (node) => {
      if (node.regex) patterns.push(`/${node.regex.pattern}/${node.regex.flags}`);
      if (typeof node.value === "string") patterns.push(node.value);
      if (node.type === "TemplateElement") patterns.push(node.value.raw);
    });
    equal(patterns.filter((pattern) => /\(\?<[=!]/.test(pattern)), [], `lookbehind in ${name}`);
    equal(patterns.filter((pattern) => /^\/[^]*\/[a-z]*[vd][a-z]*$/.test(pattern) && pattern.length > 3 && /\/[dgimsuvy]+$/.test(pattern)), [], `flags of patterns in ${name}`);
    const newer = [".toSorted(", ".toReversed(", ".toSpliced(", ".with(", "Object.groupBy", ".isWellFormed(", ".toWellFormed(", "Promise.withResolvers", "Promise.try", "Array.fromAsync", "structuredClone("];
    equal(newer.filter((call) => source.includes(call)), [], `what only newer browsers have, in ${name}`);
  }
});

await check("another reader reads each QR code, of all versions that are drawn, and there is none past them", () => {
  const read = reader.default ?? reader;
  const [scale, quiet] = [3, 4];
  const sizes = new Set();
  for (let length = 1; length <= 666; length += length < 40 ? 11 : 17) {
    const text = Array.from({ length }, (_, at) => "https://chat.example/#room=caf%C3%A9&x=".charAt(at % 38)).join("");
    const rows = qrOf(text);
    const size = (rows.length + 2 * quiet) * scale;
    const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
    for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) {
      if (rows[Math.floor(y / scale) - quiet]?.[Math.floor(x / scale) - quiet]) pixels.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
    }
    equal(read(pixels, size, size)?.data, text, `${length} bytes`);
    sizes.add(rows.length);
  }
  equal([sizes.size, Math.max(...sizes), qrOf("x".repeat(666)).length, qrOf("x".repeat(667))], [20, 97, 97, null], "sizes");
});

await check("no object that inherits something is looked into by a word that somebody wrote or sent", async () => {
  // Tables of words have no prototype; what the server keys by names is made a Map of.
  for (const name of (await readdir(web)).filter((file) => file.endsWith(".js"))) {
    const source = await readFile(path.join(web, name), "utf8");
    equal(source.match(/\busers\[|\bWORDS = \{(?!\s*__proto__: null)/gu) ?? [], [], name);
  }
});

await rm(folder, { recursive: true });
process.exit(summary());
