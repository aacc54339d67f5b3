/**
 * What the checks stand on: a server that can be killed and started again, a wire that can be cut, and a counter of
 * results.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

/** How many milliseconds a condition is waited for. A machine that is busy with other things is slow, and not wrong. */
export const WITHIN = Number(process.env.WITHIN ?? 30_000);

/** Asks until the answer is truthy. The only way of waiting in here: always for a condition, never for time to pass. */
export async function until(what, question, within = WITHIN) {
  const end = Date.now() + within;
  let last;
  while (Date.now() < end) {
    try {
      last = await question();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not within ${within} ms: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
}

/**
 * A port for a server, also while that is away: none of those that systems give to whoever connects, as pages do all
 * the time.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = net.createServer().listen(port, "127.0.0.1");
    if (!await once(server, "listening").then(() => true, () => false)) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** The binary under test. `start` after `kill` is a restart on the same port. */
export class Server {
  #process = null;
  #log = [];

  constructor(binary, port, ...options) {
    this.binary = binary;
    this.port = port;
    this.options = options;
  }

  async start() {
    const child = spawn(this.binary, ["serve", "--listen", `127.0.0.1:${this.port}`, ...(this.options.includes("--admin") ? [] : ["--admin", "off"]), ...this.options], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, SALON_STORE: "memory" } });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => { this.#log = [...this.#log, String(data)].slice(-100); });
    }
    const failed = new Promise((_, reject) => {
      child.once("error", (error) => {
        this.#process = null;
        reject(error);
      });
      child.once("exit", (code, signal) => { if (this.#process === child) reject(new Error(`the server ended (${code ?? signal}):\n${this.#log.join("")}`)); });
    });
    failed.catch(() => {});
    await Promise.race([failed, until("the server answers /health", () => this.#healthy())]);
  }

  async kill(signal = "SIGKILL") {
    const child = this.#process;
    if (!child) return;
    this.#process = null;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  /** It stands still, with all its connections, until `thaw`. */
  freeze() { this.#process.kill("SIGSTOP"); }
  thaw() { this.#process.kill("SIGCONT"); }

  #healthy() {
    return new Promise((resolve) => {
      const request = http.get({ host: "127.0.0.1", port: this.port, path: "/health", agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on("error", () => resolve(false));
    });
  }
}

/** A TCP proxy in front of the server: the wire of one person, which can lose what the server says, and break. */
export class Wire {
  #server;
  #pairs = new Set();
  #broken = false;
  deaf = false;
  heard = 0; // bytes from the client since `deaf` was set

  async open(target) {
    this.#server = net.createServer((client) => {
      if (this.#broken) return client.destroy();
      const server = net.connect(target, "127.0.0.1");
      const pair = [client, server];
      this.#pairs.add(pair);
      for (const socket of pair) {
        socket.setNoDelay(true);
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#pairs.delete(pair);
          client.destroy();
          server.destroy();
        });
      }
      client.on("data", (data) => {
        if (this.deaf) this.heard += data.length;
        server.write(data);
      });
      server.on("data", (data) => { if (!this.deaf) client.write(data); });
    }).listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    return this;
  }

  /** From now on the client hears nothing, and what it says still arrives. */
  deafen() {
    this.deaf = true;
    this.heard = 0;
  }

  cut() {
    this.#broken = true;
    for (const pair of [...this.#pairs]) for (const socket of pair) socket.destroy();
  }

  mend() {
    this.#broken = false;
    this.deaf = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}

let passed = 0;
let failed = 0;

const NEEDED = /^(?:a server starts|no complaint)/u; // whatever ONLY says

/**
 * One line per check. A check that fails does not end the run: what follows may still tell something. For work at one
 * of them, ONLY is a part of its name.
 */
export async function check(what, body) {
  if (process.env.ONLY && !what.includes(process.env.ONLY) && !NEEDED.test(what)) return;
  try {
    await body();
    passed += 1;
    console.log(`ok - ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${what}`);
    console.log(String(error?.stack ?? error).split("\n").slice(0, 12).map((line) => `#   ${line}`).join("\n"));
  }
}

export function summary() {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

summary.failed = () => failed > 0;

export function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}
