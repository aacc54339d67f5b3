/**
 * `client.js` against a server that is played: what it sends, and when it stops. No browser, no network, and the time
 * is given. `node client.mjs`; see run.sh.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { mock } from "node:test";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { check, equal, summary } from "./harness.mjs";

const folder = await mkdtemp(path.join(tmpdir(), "salon-client-"));
const source = fileURLToPath(new URL("../../src/server/web/client.js", import.meta.url));
await cp(source, path.join(folder, "client.js"));
await writeFile(path.join(folder, "package.json"), "{\"type\":\"module\"}");
const { SalonClient } = await import(pathToFileURL(path.join(folder, "client.js")));
globalThis.CustomEvent ??= class extends Event {
  constructor(name, { detail }) {
    super(name);
    this.detail = detail;
  }
};

let now = 1_000;
mock.method(performance, "now", () => now);
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

/** Timers that were started and have neither ended nor been ended. */
const timers = new Set();
for (const kind of ["Timeout", "Interval"]) {
  const [start, end] = [globalThis[`set${kind}`], globalThis[`clear${kind}`]];
  globalThis[`set${kind}`] = (run, ms) => {
    const timer = start(() => {
      if (kind === "Timeout") timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
    return timer;
  };
  globalThis[`clear${kind}`] = (timer) => {
    timers.delete(timer);
    end(timer);
  };
}
const pass = (ms) => {
  for (let left = ms; left > 0; left -= 5) {
    now += 5;
    mock.timers.tick(5);
  }
};

/** The other end: what was opened, and what was sent on each connection. */
class Socket {
  static opened = [];
  readyState = 1;
  sent = [];
  constructor(url, protocols) {
    Object.assign(this, { url: new URL(url), protocols });
    Socket.opened.push(this);
  }
  send(data) { this.sent.push(JSON.parse(data)); }
  close() {}
  say(message) { this.onmessage({ data: JSON.stringify(message) }); }
  end(code) { this.onclose({ code, reason: "" }); }
  of(type) { return this.sent.filter((message) => message.type === type); }
}
const LIMITS = { message_bytes: 65_536, content_bytes: 16_384, rooms: 128, rate: { per_second: 20, burst: 40 } };
const client = (options = {}) => new SalonClient({ url: "ws://127.0.0.1/ws", user: "ada", WebSocket: Socket, random: () => 0.5, ...options });
const welcome = (salon, fields = {}) => {
  salon.connect();
  const socket = Socket.opened.at(-1);
  socket.say({ type: "welcome", user_id: "ada", session_id: "s", limits: LIMITS, ping_interval_ms: 25_000, ...fields });
  return socket;
};
const joined = (socket, room_id, id) => socket.say({ type: "joined", id, room_id, user_id: "ada", epoch: "e", seq: 7, recovered: false, members: 1 });
const rooms = (count) => Array.from({ length: count }, (_, n) => `room ${n}`);

await check("with a server that takes lists, all rooms are asked for by one message, and again with what was heard", () => {
  const salon = client();
  const left = [];
  salon.on("joining", (detail) => left.push(detail.left));
  for (const room of rooms(40)) salon.join(room, { history: 50 });
  const socket = welcome(salon, { limits: { ...LIMITS, join_rooms: 128 } });
  equal(socket.of("join").map((message) => message.rooms.length), [40], "rooms in each join");
  equal(socket.of("join")[0].rooms[0], { room_id: "room 0", history: 50 }, "a room");
  for (const { room_id } of socket.of("join")[0].rooms) joined(socket, room_id);
  equal([left[0], left.at(-1), left.length, salon.roomsLeft], [40, 0, 41, 0], "rooms that are left");
  socket.end(4200);
  pass(5);
  const again = welcome(salon, { limits: { ...LIMITS, join_rooms: 16 } });
  equal(again.of("join").map((message) => message.rooms.length), [16, 16, 8], "rooms in each join, where 16 are the most");
  equal(again.of("join")[0].rooms[0], { room_id: "room 0", since: { epoch: "e", seq: 0 }, history: 50 }, "a room that was heard of");
  salon.close();
});

await check("a room that begins another life while we are in it is told of like one we come back to", () => {
  const salon = client();
  const heard = [];
  salon.on("gap", ({ epoch, from, to, why }) => heard.push(`gap ${epoch} ${from}-${to} ${why}`));
  salon.on("joined", ({ epoch, seq, reset }) => heard.push(`joined ${epoch} ${seq} ${reset}`));
  salon.on("message", ({ epoch, seq, replayed }) => heard.push(`${epoch} ${seq} ${replayed}`));
  salon.join("den", { history: 50 });
  const socket = welcome(salon);
  const message = (seq) => socket.say({ type: "broadcast", room_id: "den", sender: "bob", content: "x", seq, ts: 1 });
  const replay = (...seqs) => {
    seqs.forEach(message);
    socket.say({ type: "online_users", room_id: "den", users: ["ada"], count: 1 });
  };
  joined(socket, "den", socket.of("join")[0].id);
  replay(7);
  const again = (epoch, seq) => socket.say({ type: "joined", room_id: "den", user_id: "ada", epoch, seq, recovered: false, members: 1 });
  heard.length = 0;
  socket.say({ type: "gap", room_id: "den", epoch: "f", from: 1, to: 3, why: "epoch_changed" });
  again("f", 5);
  replay(4, 5);
  message(6);
  equal(heard, ["gap f 1-3 epoch_changed", "joined f 5 true", "f 4 true", "f 5 true", "f 6 false"], "numbers go on");
  equal(salon.position("den"), { epoch: "f", seq: 6 }, "the position");
  heard.length = 0;
  again("g", 0);
  replay();
  message(1);
  equal(heard, ["joined g 0 true", "g 1 false"], "numbers begin anew");
  equal(salon.position("den"), { epoch: "g", seq: 1 }, "the position");
  salon.close();
});

await check("a room that we were put out of while a join was on its way is left when the server lets us in", () => {
  const salon = client();
  const heard = [];
  for (const name of ["joined", "left", "error", "message"]) salon.on(name, ({ room_id, code }) => heard.push(`${name} ${room_id ?? code}`));
  const socket = welcome(salon);
  salon.join("den").catch(() => {});
  socket.say({ type: "left", room_id: "den", reason: "kicked" });
  joined(socket, "den", socket.of("join")[0].id);
  socket.say({ type: "broadcast", room_id: "den", sender: "bob", content: "x", seq: 8, ts: 1 });
  equal(socket.of("leave").map(({ room_id }) => room_id), ["den"], "rooms that are left");
  socket.say({ type: "error", id: socket.of("leave")[0].id, code: "not_joined", message: "" });
  equal(heard, ["left den"], "what is heard");
  // It is joined again by asking for it.
  salon.join("den");
  joined(socket, "den", socket.of("join")[1].id);
  equal([salon.isJoined("den"), socket.of("leave").length], [true, 1], "in it, and left once");
  // One that was asked for and left at once is left once.
  salon.join("nook").catch(() => {});
  salon.leave("nook").catch(() => {});
  joined(socket, "nook", socket.of("join")[2].id);
  equal(socket.of("leave").map(({ room_id }) => room_id), ["den", "nook"], "rooms that are left");
  salon.close();
});

await check("a room that is being left is asked for when that is over, also if it came too fast; the server is told again if it has us there", () => {
  const salon = client();
  salon.join("den");
  const socket = welcome(salon);
  joined(socket, "den", socket.of("join")[0].id);
  const left = (id) => socket.say({ type: "left", id, room_id: "den", user_id: "ada" });
  salon.leave("den").catch(() => {});
  salon.join("den").catch(() => {});
  const order = () => socket.sent.filter(({ type }) => ["join", "leave"].includes(type)).map(({ type }) => type);
  equal(order(), ["join", "leave"], "while it is left");
  const { id } = socket.of("leave")[0];
  socket.say({ type: "error", id, code: "rate_limited", message: "slowly", retry: true, retry_after_ms: 100 });
  equal(order(), ["join", "leave"], "while that waits");
  pass(1_000);
  equal(order(), ["join", "leave", "leave"], "when it is sent again");
  left(id);
  equal(order(), ["join", "leave", "leave", "join"], "when it is over");
  joined(socket, "den", socket.of("join")[1].id);
  equal(salon.isJoined("den"), true, "the room");
  // By a request of the caller's own.
  salon.request("leave", { room_id: "den" }).catch(() => {});
  left(socket.of("leave")[2].id);
  equal([salon.has("den"), order().length], [false, 5], "the room");
  const broadcast = () => socket.say({ type: "broadcast", room_id: "den", sender: "bob", content: "x", seq: 9, ts: 1 });
  broadcast();
  broadcast();
  equal(order().slice(5), ["leave"], "what the server is told that has us there all the same");
  salon.close();
});

await check("a list is no longer than a message may be", () => {
  const salon = client();
  for (const room of rooms(40)) salon.join(`${room} ${"x".repeat(100)}`);
  const socket = welcome(salon, { limits: { ...LIMITS, join_rooms: 128, message_bytes: 1_024 } });
  equal(socket.of("join").reduce((sum, message) => sum + message.rooms.length, 0) + salon.roomsLeft >= 40, true, "rooms");
  for (const message of socket.of("join")) equal(Buffer.byteLength(JSON.stringify(message)) <= 1_024, true, "the length of a message");
  salon.close();
});

await check("in a list each room has its own answer: one that is refused for good, one that is tried again", () => {
  const salon = client();
  const told = [];
  for (const name of ["join_refused", "join_delayed"]) salon.on(name, ({ room_id, error }) => told.push([name, room_id, error.code]));
  for (const room of ["a", "b", "c"]) salon.join(room);
  const socket = welcome(salon, { limits: { ...LIMITS, join_rooms: 128 } });
  const { id } = socket.of("join")[0];
  socket.say({ type: "error", room_id: "a", code: "forbidden", message: "no", retry: false });
  socket.say({ type: "error", room_id: "b", code: "room_full", message: "full", retry: true });
  joined(socket, "c");
  socket.say({ type: "ack", id, joined: 1, refused: 2 });
  equal(told, [["join_refused", "a", "forbidden"], ["join_delayed", "b", "room_full"]], "what is told");
  equal([salon.has("a"), salon.has("b"), salon.roomsLeft], [false, true, 1], "rooms");
  pass(2_000);
  equal(socket.of("join").slice(1).map(({ room_id }) => room_id), ["b"], "what is asked again");
  salon.close();
});

await check("a list that is refused as a whole is asked for again as a whole", () => {
  const salon = client();
  for (const room of ["a", "b", "c"]) salon.join(room);
  const socket = welcome(salon, { limits: { ...LIMITS, join_rooms: 128 } });
  socket.say({ type: "error", id: socket.of("join")[0].id, code: "rate_limited", message: "slow", retry: true, retry_after_ms: 48 });
  pass(47);
  equal(socket.of("join").length, 1, "before the time");
  pass(500);
  equal(socket.of("join").map((message) => message.rooms.length), [3, 3], "rooms in each join");
  salon.close();
});

await check("without lists, rooms are asked for at a pace, for as long as the server says `retry`", () => {
  const salon = client();
  for (const room of rooms(40)) salon.join(room);
  const socket = welcome(salon);
  equal(socket.of("join").length, 11, "at once: ten, and the first of the others");
  const refusals = new Map();
  let answered = 0;
  let most = 0;
  for (let step = 0; step < 40_000 && salon.roomsLeft; step += 1) {
    const asked = socket.of("join").slice(answered);
    if (step > 0) most = Math.max(most, asked.length);
    for (const { id, room_id } of asked) {
      answered += 1;
      const times = refusals.get(room_id) ?? 0;
      refusals.set(room_id, times + 1);
      if (times < 8) socket.say({ type: "error", id, code: "rate_limited", message: "slow", retry: true, retry_after_ms: 48 });
      else joined(socket, room_id, id);
    }
    pass(25);
  }
  equal(salon.roomsLeft, 0, "rooms that are left");
  equal(most, 1, "joins at one instant, after the first");
  salon.close();
});

await check("what is too long for the limits of the server is refused without being sent", () => {
  for (const [limits, content, sent] of [
    [{}, "x".repeat(16_384), 1], [{}, "x".repeat(16_385), 0], [{}, "\u0001".repeat(12_000), 0], [{}, "\u0001".repeat(10_890), 1],
    [{ content_bytes: 10 }, "é".repeat(5), 1], [{ content_bytes: 10 }, "é".repeat(5) + "x", 0], [{ message_bytes: 200 }, "x".repeat(150), 0],
  ]) {
    const salon = client();
    const refused = [];
    salon.on("refused", ({ error }) => refused.push(error.code));
    salon.direct("bob", content); // before the limits are known
    const socket = welcome(salon, { limits: { ...LIMITS, ...limits } });
    equal([socket.of("direct").length, refused.length, salon.lengthProblem("person", "bob", content) === null], [sent, 1 - sent, sent === 1], `${content.length} characters, ${JSON.stringify(limits)}`);
    salon.close();
  }
});

await check("a message at which the server closes with 1009 is refused, and what waits behind it is sent", () => {
  const salon = client();
  const refused = [];
  salon.on("refused", ({ entry, error }) => refused.push([entry.content.length, error.code]));
  const first = welcome(salon);
  salon.direct("bob", "x".repeat(15_000));
  salon.direct("bob", "behind it");
  salon.direct("eve", "beside it");
  first.end(1009);
  pass(1_000);
  const second = welcome(salon);
  equal(refused, [[15_000, "too_large"]], "refused");
  equal(second.of("direct").map(({ content }) => content), ["behind it", "beside it"], "sent again");
  salon.close();
});

await check("an outbox that was kept is gone on with under the same ids", () => {
  const former = client();
  let kept = [];
  former.on("outbox", ({ entries }) => { kept = JSON.parse(JSON.stringify(entries)); });
  former.say("den", "one");
  former.direct("bob", "two");
  equal(kept.map(({ content }) => content), ["one", "two"], "kept");
  const salon = client({ outbox: kept });
  salon.join("den");
  const socket = welcome(salon);
  joined(socket, "den", socket.of("join")[0].id);
  equal([...socket.of("direct"), ...socket.of("broadcast")].map(({ id }) => id), [kept[1].id, kept[0].id], "ids");
  socket.say({ type: "ack", id: kept[0].id, room_id: "den", seq: 8, ts: 1, dup: true });
  equal(salon.outbox.map(({ content }) => content), ["two"], "the outbox");
  salon.close();
});

await check("the status is in the address where it hides, is said first behind a welcome, and follows what the server holds", () => {
  const rows = [ // what we set; what the server holds; what is sent; what is told
    [null, { status: "offline" }, [], ["offline", ""]],
    [{ status: "busy", note: "in a meeting" }, { status: "online" }, ["busy", "in a meeting"], null],
    [{ status: "busy", note: "in a meeting" }, { status: "busy" }, ["busy", "in a meeting"], null],
    [{ status: "busy", note: "in a meeting" }, { status: "busy", note: "in a meeting" }, [], null],
    [{ status: "online", note: "" }, { status: "offline" }, [], ["offline", ""]],
    [{ status: "offline", note: "" }, {}, ["offline", undefined], null], // a server that does not say
  ];
  for (const [set, held, sent, told] of rows) {
    const salon = client({ status: set ?? undefined });
    let heard = null;
    salon.on("status", ({ status, note }) => { heard = [status, note]; });
    salon.join("den");
    const socket = welcome(salon, held);
    const row = JSON.stringify([set, held]);
    equal(socket.url.searchParams.get("status"), set && set.status !== "online" ? set.status : null, `the address, ${row}`);
    equal(socket.of("status").flatMap(({ status, note }) => [status, note]), sent, `sent, ${row}`);
    if (sent.length) equal(socket.sent[0].type, "status", `the first message, ${row}`);
    equal(heard, told, `told, ${row}`);
    salon.close();
  }
});

await check("a status that the server refuses is not said again, and no word but a status is in the address", () => {
  const salon = client();
  const socket = welcome(salon, { status: "online" });
  salon.status("busy").catch(() => {});
  salon.status("dancing").catch(() => {});
  socket.say({ type: "error", id: socket.of("status").at(-1).id, code: "bad_request", message: "no such status", retry: false });
  return Promise.resolve().then(() => {}).then(() => {}).then(() => {
    socket.end(1006);
    pass(1_000);
    equal(Socket.opened.at(-1).url.searchParams.get("status"), "busy", "what was set before");
    salon.close();
    const other = client({ status: { status: "dancing", note: "" } });
    other.connect();
    equal(Socket.opened.at(-1).url.searchParams.get("status"), null, "no status");
    other.close();
  });
});

await check("a name in another form is the one that the server tells", () => {
  const salon = client({ user: "Zoe\u0308" });
  const heard = [];
  salon.on("joining", ({ left }) => heard.push(left));
  salon.join("cafe\u0301");
  const socket = welcome(salon);
  equal(socket.url.searchParams.get("user"), "Zo\u00EB", "the address");
  joined(socket, "caf\u00E9", socket.of("join")[0].id);
  equal([salon.isJoined("cafe\u0301"), salon.isJoined("caf\u00E9"), heard], [true, true, [1, 0]], "it is the room that was asked for");
  salon.say("cafe\u0301", "hello");
  equal(socket.of("broadcast").map(({ room_id }) => room_id), ["caf\u00E9"], "what is said there");
  salon.leave("cafe\u0301").catch(() => {});
  equal(salon.has("caf\u00E9"), false, "left");
  salon.close();
});

await check("a token is a sub-protocol, or the first message where it is too long, and never in the address", () => {
  for (const [token, protocols, first] of [["a.b-c_d", ["salon.v1", "token.a.b-c_d"], undefined], ["x".repeat(8_192), ["salon.v1"], "auth"], ["not one", ["salon.v1"], "auth"]]) {
    const salon = client({ token });
    salon.connect();
    const socket = Socket.opened.at(-1);
    socket.onopen();
    equal([socket.protocols, socket.url.search, socket.sent[0]?.type], [protocols, "", first], `a token of ${token.length} characters`);
    salon.close();
  }
});

await check("an answer that waits while its room begins another life answers none there: its number is another message's", () => {
  for (const [epochs, options, answers] of [
    [["e", "e"], {}, 5], [["e", "f"], {}, undefined], // said while we were in the room, which begins anew or not
    [["e"], { epoch: "e" }, 5], [["f"], { epoch: "e" }, undefined], // written in another life of the page
  ]) {
    const salon = client();
    salon.join("den");
    const enter = (epoch) => {
      const socket = welcome(salon);
      socket.say({ type: "joined", id: socket.of("join")[0].id, room_id: "den", user_id: "ada", epoch, seq: 7, recovered: true, members: 1 });
      return socket;
    };
    if (epochs.length > 1) {
      enter(epochs[0]).end(1006);
      pass(1_000);
      Socket.opened.at(-1).end(1006); // the connection is away still
    }
    const { id } = salon.say("den", "yes", { reply_to: 5, ...options });
    const kept = JSON.parse(JSON.stringify(salon.outbox));
    pass(2_000);
    equal(enter(epochs.at(-1)).of("broadcast").map(({ reply_to }) => reply_to ?? null), [answers ?? null], JSON.stringify([epochs, options]));
    salon.close();
    const next = client({ outbox: kept });
    next.join("den");
    const socket = welcome(next);
    socket.say({ type: "joined", id: socket.of("join")[0].id, room_id: "den", user_id: "ada", epoch: epochs.at(-1), seq: 7, recovered: true, members: 1 });
    equal(socket.of("broadcast").map((said) => [said.id, said.reply_to ?? null]), [[id, answers ?? null]], `kept, ${JSON.stringify([epochs, options])}`);
    next.close();
  }
});

await check("what is said of a room that we are not in is no event, but for what we have read there, and answers a request all the same", async () => {
  const kinds = [
    { type: "broadcast", sender: "bob", content: "x", seq: 8, ts: 1 },
    { type: "edited", of: 7, sender: "bob", content: "y", seq: 9, ts: 1 },
    { type: "deleted", of: 7, sender: "bob", seq: 10, ts: 1 },
    { type: "reaction", of: 7, sender: "bob", emoji: "👍", on: true, seq: 11, ts: 1 },
    { type: "read", seq: 11 },
    { type: "gap", epoch: "e", from: 1, to: 12, why: "expired" },
    { type: "online_users", users: ["bob"], count: 1 },
    { type: "user_joined", user_id: "bob" },
    { type: "user_left", user_id: "bob" },
    { type: "typing", user_id: "bob", typing: true },
    { type: "presence_state", users: { bob: { status: "online", devices: 1 } } },
    { type: "left", reason: "kicked" },
    { type: "joined", user_id: "ada", epoch: "e", seq: 7, recovered: false, members: 1 },
  ];
  const names = { broadcast: "message" };
  for (const kind of kinds) {
    const name = kind.type === "broadcast" ? "message" : kind.type;
    const salon = client();
    const heard = [];
    salon.on(name, ({ room_id }) => heard.push(room_id));
    const socket = welcome(salon);
    const last = (type) => socket.of(type).at(-1).id;
    salon.join("left");
    joined(socket, "left", last("join"));
    salon.leave("left").catch(() => {});
    salon.join("closed").catch(() => {});
    socket.say({ type: "error", id: last("join"), code: "forbidden", message: "no", retry: false });
    heard.length = 0;
    for (const room_id of ["never asked for", "left", "closed"]) socket.say({ ...kind, room_id });
    const answered = salon.request("history", {});
    socket.say({ ...kind, room_id: "never asked for", id: last("history") });
    const events = kind.type === "read" ? ["never asked for", "left", "closed", "never asked for"] : [];
    equal([heard, salon.roomsLeft, (await answered).type], [events, 0, kind.type], `${kind.type} of rooms that are not ours: events, rooms, the answer`);
    salon.join("ours");
    joined(socket, "ours", last("join"));
    heard.length = 0;
    socket.say({ ...kind, room_id: "ours" });
    equal(heard, ["ours"], `${kind.type} of a room of ours`);
    salon.close();
  }
});

await check("no timer is left of a client that is closed or has lost its connection, whatever it was doing", async () => {
  const rows = {
    "that was never connected": () => {},
    "whose connection is not open yet": (salon) => salon.connect(),
    "that was not welcomed yet": (salon) => {
      salon.connect();
      Socket.opened.at(-1).onopen();
    },
    "that is connected": (salon) => { welcome(salon); },
    "with a request that is not answered": (salon) => {
      welcome(salon);
      salon.history({ room_id: "den" }).catch(() => {});
    },
    "with a request that is to be sent again": (salon) => {
      const socket = welcome(salon);
      salon.history({ room_id: "den" }).catch(() => {});
      socket.say({ type: "error", id: socket.of("history")[0].id, code: "rate_limited", message: "slow", retry: true, retry_after_ms: 900 });
    },
    "with a join that is not answered": (salon) => {
      salon.join("den");
      welcome(salon);
    },
    "with a join that waits": (salon) => {
      for (const room of rooms(40)) salon.join(room);
      welcome(salon);
    },
    "with a message that is not confirmed": (salon) => {
      welcome(salon);
      salon.direct("bob", "hello");
    },
  };
  for (const [what, begin] of Object.entries(rows)) for (const [how, end, left] of [
    ["closed", (salon) => salon.close(), 0],
    ["banned", () => Socket.opened.at(-1).end(4003), 0],
    ["cut off", () => Socket.opened.at(-1).end(1006), 1], // the wait for the next connection
    ["cut off, and closed then", (salon) => { Socket.opened.at(-1).end(1006); salon.close(); }, 0],
  ]) {
    equal(timers.size, 0, "timers before");
    const salon = client();
    begin(salon);
    if (salon.state === "idle" && how !== "closed") continue;
    end(salon);
    equal(timers.size, left, `timers of one ${what}, ${how}`);
    salon.close();
  }
});

await check("one class starts the timers of the client", async () => {
  const text = (await readFile(source, "utf8")).replace(/^class Timers \{$[^]*?^\}$/mu, "");
  equal(text.match(/\b(?:set|clear)(?:Timeout|Interval)\b/gu) ?? [], [], "timers outside of it");
});

await rm(folder, { recursive: true });
process.exit(summary());
