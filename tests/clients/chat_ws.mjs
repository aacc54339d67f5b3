// Both dialects of Salon with the `ws` client from npm.
//
//   node chat_ws.mjs PORT
//
// Prints a line for each check and ends with `N passed, M failed`.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { answers, load, requests, text } from "./cases/cases.mjs";
import { run } from "./checks.mjs";

const base = `ws://127.0.0.1:${process.argv[2]}`;
const WAIT = 10_000; // ms until something that must come is given up

/** A connection that remembers what it heard and was not asked for. */
class Line {
  constructor(path, options = {}) {
    this.socket = new WebSocket(base + path, options.protocols ?? [], { perMessageDeflate: true, ...options });
    this.heard = [];
    this.waiting = [];
    this.closed = new Promise((resolve) => this.socket.on("close", (code) => resolve(code)));
    this.opened = new Promise((resolve, reject) => {
      this.socket.on("open", () => resolve(this));
      this.socket.on("unexpected-response", (_, response) => reject(new Error(`status ${response.statusCode}`)));
      this.socket.on("error", reject);
    });
    this.socket.on("message", (data, binary) => {
      assert.equal(binary, false);
      this.heard.push(JSON.parse(data.toString()));
      this.waiting.forEach((look) => look());
    });
  }

  say(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** The next message with these fields; others are kept for later. */
  hear(wanted) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing like ${JSON.stringify(wanted)} came`)), WAIT);
      const look = () => {
        const at = this.heard.findIndex((m) => Object.entries(wanted).every(([key, value]) => m[key] === value));
        if (at < 0) return;
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== look);
        resolve(this.heard.splice(at, 1)[0]);
      };
      this.waiting.push(look);
      look();
    });
  }

  async end() {
    this.socket.close(1000);
    return this.closed;
  }
}

const come = (name) => new Line(`/ws?user=${name}`, { protocols: ["salon.v1"] }).opened;

const checks = {
  async "welcome, join, talk, leave"() {
    const [alice, bob] = [await come("js-alice"), await come("js-bob")];
    assert.equal(alice.socket.protocol, "salon.v1");
    assert.equal((await alice.hear({ type: "welcome" })).user_id, "js-alice");
    alice.say({ type: "join_room", room_id: "js" });
    await alice.hear({ type: "joined" });
    bob.say({ type: "join", room_id: "js", id: 3 });
    assert.equal((await bob.hear({ type: "joined", id: 3 })).members, 2);
    await alice.hear({ type: "user_joined", user_id: "js-bob" });
    for (let n = 0; n < 100; n++) alice.say({ type: "chat", room_id: "js", content: `n${n}`, id: n });
    for (let n = 0; n < 100; n++) {
      const heard = await bob.hear({ type: "broadcast" });
      assert.deepEqual([heard.content, heard.seq, heard.id], [`n${n}`, n + 1, undefined]);
      assert.equal((await alice.hear({ type: "broadcast" })).id, n);
    }
    bob.say({ type: "leave_room", room_id: "js" });
    await bob.hear({ type: "left", room_id: "js" });
    await alice.hear({ type: "user_left", user_id: "js-bob" });
    assert.equal(await alice.end(), 1000);
    assert.equal(await bob.end(), 1000);
  },

  async "fragmented and large messages arrive whole"() {
    const alice = await come("js-large");
    alice.say({ type: "join", room_id: "js-large" });
    const content = "x".repeat(16_000) + "é€😀";
    const text = Buffer.from(JSON.stringify({ type: "broadcast", room_id: "js-large", content }));
    for (let at = 0; at < text.length; at += 1000) {
      alice.socket.send(text.subarray(at, at + 1000), { fin: at + 1000 >= text.length, binary: false });
    }
    assert.equal((await alice.hear({ type: "broadcast" })).content, content);
    alice.socket.send("x".repeat(70_000));
    assert.equal(await alice.closed, 1009);
  },

  async "typing, status, rooms, members, online"() {
    const [alice, bob] = [await come("js-a2"), await come("js-b2")];
    for (const person of [alice, bob]) {
      person.say({ type: "join", room_id: "js-lists", id: "j" });
      await person.hear({ type: "joined", id: "j" });
    }
    alice.say({ type: "typing", room_id: "js-lists", typing: true });
    assert.equal((await bob.hear({ type: "typing" })).user_id, "js-a2");
    alice.say({ type: "status", status: "away", note: "lunch", id: "s" });
    await alice.hear({ type: "ack", id: "s" });
    bob.say({ type: "members", room_id: "js-lists", id: "m" });
    const members = (await bob.hear({ type: "members", id: "m" })).members;
    assert.deepEqual(members.map((m) => [m.user_id, m.status]).sort(), [["js-a2", "away"], ["js-b2", "online"]]);
    bob.say({ type: "rooms", id: "r", limit: 200 });
    const rooms = (await bob.hear({ type: "rooms", id: "r" })).rooms;
    assert.equal(rooms.find((room) => room.room_id === "js-lists")?.joined, true);
    bob.say({ type: "online", id: "o", limit: 200 });
    assert.ok((await bob.hear({ type: "online", id: "o" })).users.includes("js-a2"));
    await alice.end();
    await bob.end();
  },

  async "the plain dialect, verbatim"() {
    const bob = await new Line("/ws/js-plain?username=js-bob3").opened;
    assert.deepEqual(await bob.hear({}), {
      type: "user_joined", content: "js-bob3 joined the room", room: "js-plain", username: "js-bob3",
    });
    assert.deepEqual(await bob.hear({}), { type: "online_users", content: "js-bob3", room: "js-plain", username: "" });
    bob.say('"quoted" \\ and\nlines');
    assert.deepEqual(await bob.hear({ type: "chat" }), {
      type: "chat", content: '"quoted" \\ and\nlines', room: "js-plain", username: "js-bob3",
    });
    await bob.end();
  },

  async "pings and pongs carry their data"() {
    const alice = await come("js-ping");
    const pong = new Promise((resolve) => alice.socket.on("pong", (data) => resolve(data.toString())));
    alice.socket.ping("hello");
    assert.equal(await pong, "hello");
    await alice.end();
  },

  async "requests that other harnesses send too"() {
    const neighbour = await come("neighbour");
    neighbour.say({ type: "join", room_id: "next door" });
    await neighbour.hear({ type: "joined" });
    let run = 0;
    for (const [test, rows] of Object.entries(await load("requests"))) {
      for (const row of rows) {
        run += 1;
        if (test === "the_plain_dialect") {
          await ask(row, run, "/ws/ROOM0000?username=USER0000", 2, ["the end", '{"type":"chat","content":"the end"']);
        } else {
          await ask(row, run, "/ws?user=USER0000", 1, ['{"type":"ping","id":99}', '{"type":"pong","id":99,']);
        }
      }
    }
    assert.ok(run > 100);
    await neighbour.end();
  },

  async "doors at which other harnesses knock too"() {
    for (const [n, row] of (await load("doors")).entries()) {
      const named = (value) => text(value).replaceAll("USER0000", `js-d${1000 + n}`).replaceAll("ROOM0000", `js-o${n}`);
      const line = new Line(named(row.target), row.origin ? { origin: row.origin } : {});
      if ("user" in row) {
        await line.opened;
        assert.equal((await line.hear({ type: "welcome" })).user_id, named(row.user), row.what);
        await line.end();
      } else {
        await assert.rejects(line.opened, new RegExp(`status ${row.status}`), row.what);
      }
    }
  },
};

/** Sends a row of `requests.json`, and then `last`, whose answer begins with the second of its texts. */
async function ask(row, run, path, opened, last) {
  const named = (text) => text.replaceAll("USER0000", `ju${100000 + run}`).replaceAll("ROOM0000", `jr${100000 + run}`);
  const socket = new WebSocket(base + named(path));
  const heard = [];
  const whole = new Promise((resolve, reject) => {
    const late = () => reject(new Error(`${row.what}: the end of ${heard.length} answers did not come`));
    const timer = setTimeout(late, WAIT);
    socket.on("error", reject);
    socket.on("message", (data) => {
      heard.push(steady(data.toString()));
      if (!heard.at(-1).startsWith(last[1])) return;
      clearTimeout(timer);
      resolve();
    });
  });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  for (const said of [...requests(row), last[0]]) socket.send(named(said));
  await whole;
  socket.close(1000);
  assert.deepEqual(heard.slice(opened, -1), answers(row).map(named), row.what);
}

/** Zeros for what differs from run to run. */
const steady = (heard) => heard
  .replaceAll(/"(session_id|epoch)":"[0-9a-f]{16}"/g, '"$1":"0000000000000000"')
  .replaceAll(/"(ts|created_at)":[0-9]{13}/g, '"$1":0000000000000');

await run(checks);
