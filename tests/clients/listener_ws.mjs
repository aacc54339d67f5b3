// A listener of the JSON dialect with the `ws` client from npm, for twenty_speakers.py.
//
//   node listener_ws.mjs PORT ROOM TOTAL CUTS
//
// Prints `ready` when it has joined, cuts its connection so many times on the way and resumes by `since`, and ends with
// all contents in the order heard, as JSON.
import assert from "node:assert/strict";
import WebSocket from "ws";

const [port, room, total, cuts] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];
const heard = [];
const cutAt = Array.from({ length: cuts }, (_, n) => Math.floor((total * (n + 1)) / (cuts + 1)));
let epoch = null;

function connect() {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?user=node`, { perMessageDeflate: false });
  let left = false; // what was received before the cut may still be told after it
  socket.on("open", () => {
    const since = epoch ? { epoch, seq: heard.length } : undefined;
    socket.send(JSON.stringify({ type: "join", room_id: room, since }));
  });
  socket.on("message", (data) => {
    if (left) return;
    const message = JSON.parse(data.toString());
    if (message.type === "joined") {
      assert.equal(message.recovered, epoch !== null);
      if (epoch === null) console.log("ready");
      epoch = message.epoch;
    } else if (message.type === "broadcast") {
      assert.equal(message.seq, heard.length + 1);
      heard.push(message.content);
      if (heard.length === total) {
        left = true;
        socket.close();
        console.log(JSON.stringify(heard));
      } else if (heard.length === cutAt[0]) {
        left = true;
        cutAt.shift();
        socket.terminate();
        setTimeout(connect, 1000); // much is said meanwhile
      }
    } else {
      assert.ok(["welcome", "online_users", "user_joined", "user_left"].includes(message.type), data.toString());
    }
  });
}

connect();
