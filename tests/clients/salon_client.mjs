/**
 * The npm package `clients/js` against the binary: what is packed, its types, the bot of its README, and that nothing
 * is lost or said twice over `kill -9` and cuts at any byte.
 *
 *     node salon_client.mjs SALON REPOSITORY
 *
 * In a folder that has `typescript`; Node 22 or newer. It packs and installs the package there, and starts servers of
 * its own on free loopback ports. It stands on the harness of the browser suites.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { run } from "./checks.mjs";
import { Server, freePort, until } from "./harness.mjs";

const [salon, repository] = process.argv.slice(2);
const execute = promisify(execFile);
const SOURCE = path.join(repository, "src/server/web/client.js");

const folder = await mkdtemp(path.join(tmpdir(), "salon-client-"));
const { stdout: packing } = await execute("npm", ["pack", "--json", "--pack-destination", folder], { cwd: path.join(repository, "clients/js") });
const [packed] = JSON.parse(packing);
await writeFile(path.join(folder, "package.json"), "{\"private\":true,\"type\":\"module\"}");
await execute("npm", ["install", "--silent", "--no-audit", "--no-fund", path.join(folder, packed.filename)], { cwd: folder });
const installed = path.join(folder, "node_modules/salon-client");
const client = await import(path.join(installed, "client.js"));
const { SalonClient } = client;

// Servers and people -------------------------------------------------------------------------------------------------

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** A server on a port of its own, which can be killed and started again there, with the same file. */
async function serve(...options) {
  const server = new Server(salon, await freePort(), "--rate", "off", "--log", "warn", ...options);
  running.add(server);
  await server.start();
  server.url = `ws://127.0.0.1:${server.port}/ws`;
  return server;
}

/**
 * Stands before a server, and ends each connection behind a number of bytes in either direction: wherever that is, in
 * the head, in a frame, in a character. After `heal` it ends none.
 */
class Cuts {
  cuts = 0;
  #healed = false;
  #pairs = new Set();
  static async before(server, seed, most) {
    const proxy = new Cuts();
    const next = randomness(seed);
    proxy.listener = net.createServer((near) => {
      const far = net.connect(server.port, "127.0.0.1");
      const pair = { near, far };
      proxy.#pairs.add(pair);
      const end = () => { near.destroy(); far.destroy(); proxy.#pairs.delete(pair); };
      for (const [from, to] of [[near, far], [far, near]]) {
        let left = Math.floor(next() * most);
        from.on("data", (data) => {
          if (proxy.#healed || data.length <= left) {
            left -= data.length;
            to.write(data);
            return;
          }
          proxy.cuts += 1;
          from.removeAllListeners("data");
          to.write(data.subarray(0, left), end);
        });
        from.on("error", end).on("close", end);
      }
    }).listen(0, "127.0.0.1");
    await once(proxy.listener, "listening");
    proxy.url = `ws://127.0.0.1:${proxy.listener.address().port}/ws`;
    return proxy;
  }
  heal() { this.#healed = true; }
  close() {
    this.listener.close();
    for (const { near, far } of this.#pairs) { near.destroy(); far.destroy(); }
  }
}

/** Numbers between 0 and 1, the same for a seed (mulberry32). */
function randomness(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: expected ${b}, found ${a}`);
}

/** All that was heard, of all people, by event: what the types have to describe. */
const heard = new Map();
const answers = [];

/** Somebody who writes down what is heard. Back-off is short: `random` is a hundredth of what it is. */
function person(url, user, options = {}) {
  const salon = new SalonClient({ url, user, random: () => Math.random() / 100, ...options });
  const events = [];
  for (const name of declaredEvents()) {
    salon.on(name, (detail) => {
      events.push([name, detail]);
      if (!heard.has(name)) heard.set(name, new Map());
      heard.get(name).set(shape(detail), structuredCloneable(detail));
    });
  }
  salon.connect();
  const of = (...names) => events.filter(([name]) => names.includes(name)).map(([, detail]) => detail);
  return { salon, events, of };
}

/** Which fields something has: of each shape one is enough. */
const shape = (detail) => (detail instanceof Error ? "error" : JSON.stringify(Object.entries(detail).map(([key, value]) => [key, typeof value])));
const structuredCloneable = (detail) => (detail instanceof Error ? detail : JSON.parse(JSON.stringify(detail, (key, value) => {
  if (key === "socket") return null;
  return value instanceof Error ? { $error: true } : value;
})));

/** Keeps an answer for the check of the types, and hands it on. */
async function answered(method, promise) {
  const answer = await promise;
  if (answer !== null) answers.push([method, answer]);
  return answer;
}

// Types --------------------------------------------------------------------------------------------------------------

const declarations = ts.createSourceFile("client.d.ts", await readFile(path.join(installed, "client.d.ts"), "utf8"), ts.ScriptTarget.Latest, true);
const declared = (name) => declarations.statements.find((statement) => statement.name?.text === name);
const exported = (statement) => statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
function declaredEvents() { return declared("EventMap").members.map((member) => member.name.text); }
/** How many parameters must be given. */
const required = ({ parameters }) => parameters.filter(({ questionToken, initializer }) => !questionToken && !initializer).length;

async function compile(name, text) {
  await writeFile(path.join(folder, name), text);
  const program = ts.createProgram([path.join(folder, name)], {
    strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, types: [],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start }) => {
    const at = file ? `${path.basename(file.fileName)}:${file.getLineAndCharacterOfPosition(start).line + 1}` : "";
    return `${at}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

const EXAMPLE = `
import { SalonClient, SalonError, nameProblem, normalName, type EventMap, type SavedEntry, type Target } from "salon-client";

const kept: SavedEntry[] = JSON.parse("[]");
const salon = new SalonClient({ url: "wss://chat.example/ws", token: "t", outbox: kept, WebSocket });
const stop: () => void = salon.on("message", (m) => {
  const text: string = m.deleted ? "" : m.content ?? "";
  const place: [string, number, number] = [m.epoch, m.seq, m.ts];
  if (m.sender !== salon.userId) salon.say(m.room_id, text + place.join(), { reply_to: m.seq });
});
salon.on("refused", ({ entry, error }) => { const code: string = error.code; console.log(entry.target, code); });
salon.on("outbox", ({ entries }) => { const save: SavedEntry[] = entries; console.log(save.length); });
salon.on("state", ({ state, retryAt }) => { if (state === "waiting") console.log(retryAt); });
const person: Target = { user_id: normalName("bob") };
try {
  const joined = await salon.join("lobby", { history: 50 });
  if (joined) console.log(joined.seq, joined.unread ?? 0);
  for (let next: number | undefined; ;) {
    const page = await salon.history(person, next === undefined ? {} : { before: next });
    for (const { sender, content, reactions = [] } of page.items) console.log(sender, content, reactions[0]?.count);
    if (page.next === undefined) break;
    next = page.next;
  }
  const done = await salon.edit({ room_id: "lobby" }, 3, "text");
  if (done.type === "edited") console.log(done.content);
  const { delivered } = await salon.request<{ delivered: string[] }>("multicast", { user_ids: ["bob"], content: "x" });
  console.log(delivered);
} catch (error) {
  if (error instanceof SalonError && error.retry) console.log(error.retryAfter);
}
console.log(nameProblem("x"), salon.limits.rate?.per_second, salon.lengthProblem("room", "lobby", "x")?.most);
stop();
salon.close();
const never = (map: EventMap) => map.gap.from;
console.log(never);
// @ts-expect-error there is no such event
salon.on("messages", () => {});
// @ts-expect-error a status is one of four
void salon.status("asleep");
// @ts-expect-error a conversation is of a room or of a person
void salon.history({});
// @ts-expect-error it is said to a room
salon.say({ room_id: "lobby" }, "x");
// @ts-expect-error an address is needed
new SalonClient({ user: "ada" });
`;

// The checks ---------------------------------------------------------------------------------------------------------

const MESSAGES = 120; // of each speaker

/** Speakers and listeners in a room, while `trouble` goes on; then all must have everything once and in order. */
async function nothingIsLost(server, url, trouble) {
  const speakers = ["ada", "bob"].map((name) => person(url, name));
  const listener = person(url, "eve");
  const all = [...speakers, listener];
  for (const { salon } of all) salon.join("den", { history: 200 });
  await until("all are in the room", () => all.every(({ salon }) => salon.isJoined("den")));
  const speaking = speakers.map(async ({ salon }, at) => {
    for (let n = 0; n < MESSAGES; n += 1) {
      await until("there is room on the outbox", () => salon.outbox.length < 5);
      salon.say("den", `${at}:${n}`);
      if (n % 4 === 0) await pause(5);
    }
  });
  await trouble(() => listener.of("message").length);
  await Promise.all(speaking);
  await until("everything is confirmed", () => speakers.every(({ salon }) => salon.outbox.length === 0));
  await until("everything is heard", () => all.every(({ of }) => of("message").length >= 2 * MESSAGES));
  const expected = [0, 1].map((at) => Array.from({ length: MESSAGES }, (_, n) => `${at}:${n}`));
  for (const { of, salon } of all) {
    const messages = of("message");
    equal(messages.map(({ seq }) => seq), messages.map((_, n) => n + 1), `numbers that ${salon.userId} hears`);
    for (const at of [0, 1]) equal(messages.map(({ content }) => content).filter((content) => content.startsWith(`${at}:`)), expected[at], `what ${salon.userId} hears`);
    equal(of("gap"), [], `gaps of ${salon.userId}`);
    equal(of("joined").filter(({ reset }) => reset).length, 0, "rooms that begin anew");
  }
  for (const { of } of speakers) {
    equal(of("refused"), [], "what is refused");
    equal(of("sent").map(({ entry }) => entry.content), of("queued").map(({ content }) => content), "what is confirmed");
  }
  // The last of the trouble may come when everything has been heard.
  await until("the listener is connected", () => listener.salon.state === "connected");
  const { items } = await listener.salon.history({ room_id: "den" }, { limit: 200 });
  equal(items.at(-1).seq, 2 * MESSAGES, "the last number of the history");
  for (const { salon } of all) salon.close();
}

const checks = {
  "the packed client is the page's own file, byte for byte, and nothing else is packed": async () => {
    equal(packed.files.map(({ path: name }) => name), ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "client.d.ts", "client.js", "package.json"], "files");
    equal(Buffer.compare(await readFile(path.join(installed, "client.js")), await readFile(SOURCE)), 0, "client.js");
    for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
      equal(Buffer.compare(await readFile(path.join(installed, name)), await readFile(path.join(repository, name))), 0, name);
    }
    const { dependencies, license, version } = JSON.parse(await readFile(path.join(installed, "package.json"), "utf8"));
    const cargo = await readFile(path.join(repository, "Cargo.toml"), "utf8");
    equal([dependencies, license, version], [undefined, ...["license", "version"].map((key) => cargo.match(new RegExp(`^${key} = "(.*)"$`, "m"))[1])], "package.json");
  },

  "types: each export, each member with its parameters and each event is declared, and no other": async () => {
    const runtime = Object.keys(client).sort();
    const values = declarations.statements.filter((statement) => exported(statement) && (ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement)));
    equal(values.map(({ name }) => name.text).sort(), runtime, "exports");
    for (const statement of values.filter(ts.isFunctionDeclaration)) equal(required(statement), client[statement.name.text].length, `parameters of ${statement.name.text}`);
    const members = Object.getOwnPropertyDescriptors(SalonClient.prototype);
    delete members.constructor;
    const listed = declared("SalonClient").members.filter((member) => !ts.isConstructorDeclaration(member));
    equal(listed.map(({ name }) => name.text).sort(), Object.keys(members).sort(), "members");
    for (const member of listed) {
      const { value, set } = members[member.name.text];
      const what = `${member.name.text} at run time`;
      if (ts.isMethodDeclaration(member)) equal(value?.length, required(member), `parameters of ${what}`);
      else equal([value, set], [undefined, undefined], `${what}: a value that is only read`);
    }
    const error = new client.SalonError({ code: "x" });
    const fields = declared("SalonError").members.filter((member) => !ts.isConstructorDeclaration(member)).map(({ name }) => name.text);
    equal(fields.sort(), Object.keys(error).filter((key) => !["stack", "message"].includes(key)).sort(), "fields of an error");
    const source = await readFile(SOURCE, "utf8");
    const table = source.split("\n").filter((line) => line.startsWith(" * | `")).flatMap((line) => line.split("|")[1].match(/`(\w+)`/gu) ?? []).map((name) => name.slice(1, -1));
    equal(declaredEvents().sort(), [...new Set(table.filter((name) => name !== "connect"))].sort(), "events");
    const emitted = [...source.matchAll(/#emit\("(\w+)"/gu)].map(([, name]) => name);
    equal([...new Set(emitted)].filter((name) => !declaredEvents().includes(name)), [], "events that are not declared");
    const options = declared("Options").members.map(({ name }) => name.text).sort();
    const taken = source.match(/constructor\(\{ ([^)]*?) \}\) \{\n    this\.#url/u)[1].split(", ").map((part) => part.split(/[ =]/u)[0]);
    equal(options, taken.sort(), "options");
  },

  "types: an example compiles under --strict, and what is wrong does not": async () => equal(await compile("example.mts", EXAMPLE), [], "errors"),

  "the bot of the README answers": async () => {
    const readme = await readFile(path.join(installed, "README.md"), "utf8");
    const code = readme.match(/```js\n([^]*?)```/u)[1];
    if (code.trimEnd().split("\n").length > 20) throw new Error("it has more than 20 lines");
    await writeFile(path.join(folder, "bot.mjs"), code);
    const server = await serve("--store", "memory");
    const bot = spawn(process.execPath, ["bot.mjs", server.url, "lobby"], { cwd: folder, stdio: "inherit" });
    running.add(bot);
    const { salon, of } = person(server.url, "ada");
    salon.join("lobby");
    await until("the bot is there", () => of("user_joined", "online_users").some(({ user_id, users = [] }) => user_id === "robin" || users.includes("robin")));
    salon.say("lobby", "!hello");
    await until("it answers", () => of("message").length === 2);
    const [asked, { sender, content, reply_to }] = of("message");
    equal([sender, content, reply_to], ["robin", "Hello, ada", asked.seq], "the answer");
    const asOf = performance.now();
    const ended = once(bot, "exit");
    bot.kill("SIGINT");
    equal((await ended)[0], 0, "its status at the end");
    if (performance.now() - asOf > 3_000) throw new Error("something holds up the end of the process after close()");
    running.delete(bot);
    salon.close();
    await server.kill();
  },

  "each event and each answer is as its type says": async () => {
    const server = await serve("--store", "memory");
    const [ada, ada2, bob] = ["ada", "ada", "bob"].map((name) => person(server.url, name));
    const room = { room_id: "den" };
    await until("all are welcome", () => [ada, ada2, bob].every(({ salon }) => salon.state === "connected"));
    await answered("createRoom", ada.salon.createRoom("den", { name: "The den", topic: "foxes" }));
    equal((await ada.salon.request("ping")).type, "pong", "any request");
    for (const { salon } of [ada, ada2, bob]) await answered("join", salon.join("den", { history: 10 }));
    await answered("join", ada.salon.join("den"));
    await answered("topic", bob.salon.topic("den", "two foxes"));
    await answered("topic", bob.salon.topic("den", "two foxes"));
    await until("the topic is heard", () => ada.of("topic").some(({ topic, sender }) => topic === "two foxes" && sender === "bob"));
    await answered("title", bob.salon.title("den", "The lair"));
    await answered("title", bob.salon.title("den", "The lair"));
    await until("the title is heard", () => ada.of("topic").some(({ name, topic, sender }) => name === "The lair" && topic === "two foxes" && sender === "bob"));
    bob.salon.typing(room, true);
    bob.salon.typing({ user_id: "ada" }, true);
    await until("typing is heard", () => ada.of("typing").length === 2);
    await answered("presence", ada.salon.presence({ user_ids: ["bob"] }, true));
    await answered("presence", ada.salon.presence(room));
    await answered("status", bob.salon.status("away", "at lunch"));
    await until("the status is heard", () => ada.of("presence").length === 1);
    await answered("status", ada2.salon.status("busy"));
    ada.salon.say("den", "one");
    await until("it is heard", () => bob.of("message").length === 1);
    bob.salon.say("den", "two", { reply_to: 1 });
    await until("it is heard", () => ada.of("message").length === 2 && ada2.of("message").length === 2);
    await answered("edit", ada.salon.edit(room, 1, "one!"));
    await answered("edit", ada.salon.edit(room, 1, "one!"));
    await answered("react", bob.salon.react(room, 1, "👍", true));
    await answered("react", bob.salon.react(room, 1, "👍", true));
    await answered("history", ada.salon.history(room, { limit: 1 }));
    await answered("history", ada.salon.history(room));
    await answered("search", ada.salon.search("two"));
    await answered("search", ada.salon.search("two", { room_id: "den", limit: 1 }));
    await answered("read", ada.salon.read(room, 2));
    await until("the mark is heard", () => ada2.of("read").length === 1);
    await answered("delete", ada.salon.delete(room, 1));
    bob.salon.say("den", "@room, tea");
    await until("a room is called", () => ada.of("message").at(-1).mentions === "room");
    await answered("edit", bob.salon.edit(room, ada.of("message").at(-1).seq, "@room, cake"));
    await until("so it is by an edit", () => ada.of("edited").at(-1).mentions === "room");
    await answered("history", ada.salon.history(room));
    ada.salon.direct("bob", "psst");
    await until("it is heard on all devices", () => [ada, ada2, bob].every(({ of }) => of("direct").length === 1));
    bob.salon.direct("ada", "yes?", { reply_to: 1 });
    await until("it is heard on all devices", () => [ada, ada2, bob].every(({ of }) => of("direct").length === 2));
    await answered("edit", ada.salon.edit({ user_id: "bob" }, 1, "psst!"));
    await answered("react", ada.salon.react({ user_id: "bob" }, 2, ":wave:", true));
    await answered("delete", ada.salon.delete({ user_id: "bob" }, 1));
    await answered("history", ada.salon.history({ user_id: "bob" }));
    await answered("read", ada.salon.read({ user_id: "bob" }, 2));
    for (const [method, ...fields] of [["talks"], ["members", "den"], ["room", "den"], ["rooms"], ["rooms", { limit: 1 }], ["rooms", { read: true }], ["online"]]) await answered(method, ada.salon[method](...fields));
    // The announcement itself is the answer.
    await ada.salon.request("broadcast", { room_id: "*", content: "tea" }).catch(() => {});
    await until("the announcement is heard", () => bob.of("announcement").length === 1);
    const late = person(server.url, "late");
    late.salon.join("den", { history: 20 });
    await until("the replay is heard", () => late.of("online_users").length > 0);
    ada.salon.say("*", "not a room");
    ada.salon.direct("nobody", "not there");
    ada.salon.join("*").catch(() => {});
    await until("refusals are told", () => ada.of("refused").length === 2 && ada.of("join_refused").length === 1);
    const refused = await ada.salon.history(room, { before: 1, epoch: "0000000000000000" }).then(() => null, (error) => error);
    equal([refused instanceof client.SalonError, refused.code, refused.retry], [true, "epoch_changed", false], "an error");
    await answered("leave", late.salon.leave("den"));
    await until("the end is heard", () => ada.of("user_left").length === 1);
    await server.kill("SIGTERM");
    await until("the goodbye is heard", () => bob.of("goodbye").length === 1);
    for (const { salon } of [ada, ada2, bob, late]) salon.close();

    const lines = ["import { SalonError, type EventMap, type SalonClient } from \"salon-client\";", "declare const error: SalonError;", "type Answer<K extends keyof SalonClient> = SalonClient[K] extends (...given: never[]) => Promise<infer T> ? NonNullable<T> : never;"];
    const literal = (value) => JSON.stringify(value).replaceAll("{\"$error\":true}", "error");
    for (const [name, shapes] of heard) {
      for (const [kind, detail] of shapes) lines.push(kind === "error" ? `error satisfies EventMap["${name}"];` : `(${literal(detail)}) satisfies EventMap["${name}"];`);
    }
    for (const [method, answer] of answers) lines.push(`(${literal(answer)}) satisfies Answer<"${method}">;`);
    equal(await compile("observed.mts", `${lines.join("\n")}\n`), [], "differences");
    // Each event but those that take a fault of the server, or half a minute.
    const rare = ["stalled", "join_delayed", "gap", "error", "left"];
    equal(declaredEvents().filter((name) => !heard.has(name) && !rare.includes(name)), [], "events that were not heard");
  },

  "kill -9 of the server, three times amid traffic: nothing lost, nothing twice, order kept": async () => {
    const server = await serve("--store", path.join(folder, "killed.db"));
    await nothingIsLost(server, server.url, async (count) => {
      for (const part of [1, 2, 3]) {
        await until("some was said", () => count() > (part * MESSAGES) / 3);
        await server.kill();
        await server.start();
      }
    });
    await server.kill();
  },

  "cuts at any byte: nothing lost, nothing twice, order kept": async () => {
    const server = await serve("--store", path.join(folder, "cut.db"));
    const proxy = await Cuts.before(server, 7, 7_000);
    await nothingIsLost(server, proxy.url, async (count) => {
      await until("most was said", () => count() > 1.8 * MESSAGES);
      proxy.heal();
    });
    if (proxy.cuts < 20) throw new Error(`expected 20 cuts, found ${proxy.cuts}`);
    proxy.close();
    await server.kill();
  },

  "an outbox that another process goes on with is said once, also what the server had already": async () => {
    const server = await serve("--store", path.join(folder, "outbox.db"));
    const before = person(server.url, "ada");
    await before.salon.join("den").catch(() => {});
    await until("we are in", () => before.salon.isJoined("den"));
    const said = before.salon.say("den", "had already");
    await until("it is confirmed", () => before.of("sent").length === 1);
    const waits = before.salon.say("den", "on the way");
    const kept = JSON.parse(JSON.stringify([{ ...said, socket: null }, { ...waits, socket: null }]));
    before.salon.close();
    await server.kill();
    await server.start();
    const after = person(server.url, "ada", { outbox: kept });
    after.salon.join("den", { history: 10 });
    await until("both are confirmed", () => after.salon.outbox.length === 0);
    const { items } = await after.salon.history({ room_id: "den" });
    equal(items.map(({ content }) => content), ["had already", "on the way"], "the history");
    equal(after.of("refused"), [], "what is refused");
    after.salon.close();
    await server.kill();
  },
};

await run(checks);
