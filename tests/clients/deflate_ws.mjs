// permessage-deflate with the `ws` client from npm.
//
//   node deflate_ws.mjs CHAT_PORT ECHO_PORT
//
// CHAT_PORT is `salon serve --deflate`. Prints a line for each check and ends with `N passed, M failed`.
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { run } from "./checks.mjs";

const [chat, echo] = process.argv.slice(2).map((port) => `ws://127.0.0.1:${port}`);
const LONG = "a line that is worth compressing, ".repeat(40);
const within = () => ({ signal: AbortSignal.timeout(10_000) }); // until something that must come is given up

async function open(url, perMessageDeflate) {
  const socket = new WebSocket(url, { perMessageDeflate });
  socket.on("upgrade", (response) => (socket.agreed = response.headers["sec-websocket-extensions"] ?? ""));
  await once(socket, "open", within());
  return socket;
}

/** The first message that is of this type, from now on. */
async function hear(socket, type) {
  for (;;) {
    const [data] = await once(socket, "message", within());
    const message = JSON.parse(data.toString());
    if (message.type === type) return message;
  }
}

async function end(socket) {
  socket.close(1000);
  assert.equal((await once(socket, "close", within()))[0], 1000);
}

const checks = {
  async "echo of every agreement"() {
    const noise = Buffer.from(Array.from({ length: 70_000 }, (_, n) => (n * n * 31 + (n >> 3)) & 0xff));
    for (const serverNoContextTakeover of [false, true])
      for (const clientNoContextTakeover of [false, true])
        for (const serverMaxWindowBits of [undefined, 9, 15])
          for (const clientMaxWindowBits of [undefined, true, 9, 15]) {
            const options = {
              threshold: 0, serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits,
            };
            const socket = await open(echo, options);
            assert.match(socket.agreed, /^permessage-deflate; server_no_context_takeover/);
            assert.equal(socket.agreed.includes("client_no"), clientNoContextTakeover);
            for (const message of ["", "a", LONG, "€😀".repeat(20_000), noise, Buffer.alloc(300_000), LONG, noise]) {
              socket.send(message);
              const [data, binary] = await once(socket, "message", within());
              assert.equal(binary, typeof message !== "string");
              assert.ok(data.equals(Buffer.from(message)));
            }
            // In fragments.
            for (const [at, word] of [..."fragments"].entries()) socket.send(word, { fin: at === 8, compress: true });
            assert.equal((await once(socket, "message", within()))[0].toString(), "fragments");
            await end(socket);
          }
  },
  async "a window of 2^8 is declined, and the connection goes on without"() {
    const socket = await open(echo, { serverMaxWindowBits: 8 });
    assert.equal(socket.agreed, "");
    socket.send(LONG);
    assert.equal((await once(socket, "message", within()))[0].toString(), LONG);
    await end(socket);
  },
  async "one room with and without"() {
    const [alice, bob] = [await open(`${chat}/ws/w-room?username=w-alice`, true), await open(`${chat}/ws/w-room?username=w-bob`, false)];
    assert.equal(alice.agreed, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    assert.equal(bob.agreed, "");
    for (const content of [LONG, "short", LONG + "!"]) {
      const heard = [hear(alice, "chat"), hear(bob, "chat")];
      alice.send(content);
      for (const message of await Promise.all(heard)) assert.equal(message.content, content);
    }
    await end(alice);
    await end(bob);
  },
};

await run(checks);
