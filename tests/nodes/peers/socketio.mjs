// A node of a chat on Socket.IO 4 and its adapter for Redis streams, as its documentation has it:
//
//   node socketio.mjs PORT REDIS_PORT [recovery]
//
// A client names its room in the handshake, and is in it with the answer. What it says is said to all of the room, to
// itself too. `recovery`: with connection state recovery, by which a client that comes back is sent what it has
// missed; so each message brings its place in the stream.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redis, recovery] = process.argv.slice(2);
const client = createClient({ url: `redis://127.0.0.1:${redis}` });
await client.connect();
const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(client),
  transports: ["websocket"],
  serveClient: false,
  // Clients of the bench answer no pings; those of Salon are not asked either.
  pingInterval: 3_600_000,
  ...(recovery && { connectionStateRecovery: {} }),
});
io.on("connection", (socket) => {
  const { room } = socket.handshake.auth;
  socket.join(room);
  socket.on("say", (text) => io.to(room).emit("say", text));
});
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 }, () => console.log("listening"));
