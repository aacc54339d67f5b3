/**
 * How the page does in a room of 1,001 in which 60 messages a second are said, or as many as are asked for, and what
 * memory it has after 100,000 (0: that is not tried): for docs/benchmarks.md, and no check of run.sh, since it takes
 * minutes and is about time. `node flooded.mjs SALON_BINARY [MESSAGES [PER_SECOND]]`, with CHROMIUM (and PAGE_FROM) set
 * as run.sh sets them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { begin, composer, enter, newPage } from "./browser.mjs";
import { Server, check, freePort, until } from "./harness.mjs";

const MEMBERS = 1_000; // and the page
const SECONDS = 20;
const MESSAGES = Number(process.argv[3] ?? 100_000);
const PER_SECOND = Number(process.argv[4] ?? 60);
const ROOM = "flooded";

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, run } = await begin(server);

/** `salon bench` speaks in the room. Resolves when it has ended. */
async function bench(...options) {
  const child = spawn(process.argv[2], ["bench", "fan-out", "--url", `ws://127.0.0.1:${server.port}/ws?user=crowd-{id}`,
    "--join", `{"type":"join","room_id":"${ROOM}"}`, "--joined", "joined",
    "--message", `{"type":"broadcast","room_id":"${ROOM}","content":"{body}"}`, "--quiet", "--json", ...options], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`salon bench ended with ${code}`);
}

/**
 * What the page's thread does in so many seconds: frames, milliseconds of CPU, and what takes the most of these for
 * each frame. CPU, and not time: so it says something on a machine that is busy with other things, too.
 */
async function traced(devtools, seconds) {
  const events = [];
  const collect = ({ value }) => events.push(...value);
  devtools.on("Tracing.dataCollected", collect);
  const complete = once(devtools, "Tracing.tracingComplete");
  await devtools.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["devtools.timeline", "disabled-by-default-devtools.timeline", "blink", "cc", "toplevel"] } });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  await devtools.send("Tracing.end");
  await complete;
  devtools.off("Tracing.dataCollected", collect);
  const of = new Map();
  for (const event of events.filter(({ ph }) => ph === "X")) {
    const key = `${event.pid} ${event.tid}`;
    if (!of.has(key)) of.set(key, []);
    of.get(key).push(event);
  }
  // The one that commits frames.
  const thread = [...of.values()].sort((a, b) => b.filter(({ name }) => name === "Commit").length - a.filter(({ name }) => name === "Commit").length)[0];
  const own = new Map();
  const open = [];
  let cpu = 0;
  for (const { name, ts, dur, tdur = dur } of thread.sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    while (open.length && open.at(-1).end <= ts) open.pop();
    if (open.length) own.set(open.at(-1).name, own.get(open.at(-1).name) - tdur);
    else cpu += tdur;
    own.set(name, (own.get(name) ?? 0) + tdur);
    open.push({ name, end: ts + dur });
  }
  const frames = Math.max(1, thread.filter(({ name }) => name === "Commit").length);
  const most = [...own].sort(([, a], [, b]) => b - a).slice(0, 6).map(([name, all]) => `${name} ${(all / 1_000 / frames).toFixed(1)}`).join(", ");
  return { frames, cpu: cpu / 1_000, most };
}

await run(async () => {
  const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}` });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable");
  await devtools.send("HeapProfiler.enable");
  const spent = async () => {
    const { metrics } = await devtools.send("Performance.getMetrics");
    return (wanted) => metrics.find(({ name }) => name === wanted).value;
  };
  const memory = async (when) => {
    await devtools.send("HeapProfiler.collectGarbage");
    const of = await spent();
    console.log(`# ${when}: ${(of("JSHeapUsedSize") / 1e6).toFixed(1)} MB of script, ${of("Nodes")} nodes, ${of("JSEventListeners")} listeners`);
  };

  await check(`${PER_SECOND} messages a second in a room of ${MEMBERS + 1}`, async () => {
    await enter(page, "Reader", ROOM);
    await memory("before");
    const speaking = bench("-c", String(MEMBERS), "--speakers", "10", "--pace", String(PER_SECOND), "--seconds", String(SECONDS + 15));
    await until("all are there and it is said", async () => (await page.locator("#messages > li.message").count()) > 100, 60_000);
    // More updates than moments in which something comes there cannot be: a busy server says several at once.
    const moments = new Set();
    const heard = ({ timestamp }) => moments.add(Math.floor(timestamp * 60));
    devtools.on("Network.webSocketFrameReceived", heard);
    await devtools.send("Network.enable");
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await devtools.send("Network.disable");
    console.log(`# something came in ${(moments.size / 5).toFixed(1)} sixtieths of a second, a second`);
    const { frames, cpu, most } = await traced(devtools, 4);
    console.log(`# by a trace of 4 s: ${(cpu / frames).toFixed(1)} ms of CPU of the page's thread for each of ${frames} frames; the most of it ${most}`);
    const typed = composer(page).pressSequentially("typed while the room is flooded ".repeat(4), { delay: 100, timeout: 60_000 });
    const before = await spent();
    const seen = await page.evaluate((seconds) => new Promise((resolve) => {
      const list = document.getElementById("messages");
      const gaps = [];
      const tasks = [];
      let updates = 0;
      let came = 0;
      let changed = false;
      new MutationObserver((changes) => {
        changed = true;
        for (const { addedNodes } of changes) for (const node of addedNodes) if (node.matches?.("li.message")) came += 1;
      }).observe(list, { childList: true });
      new PerformanceObserver((all) => { for (const { duration } of all.getEntries()) tasks.push(duration); }).observe({ entryTypes: ["longtask"] });
      const began = performance.now();
      let last = began;
      requestAnimationFrame(function frame(now) {
        gaps.push(now - last);
        last = now;
        if (changed) updates += 1;
        changed = false;
        if (now - began < seconds * 1_000) return requestAnimationFrame(frame);
        gaps.sort((a, b) => a - b);
        return resolve({ frames: gaps.length / seconds, updates: updates / seconds, came: came / seconds, p99: gaps[Math.floor(gaps.length * 0.99)], worst: gaps.at(-1), long: tasks.length, longest: Math.max(0, ...tasks) });
      });
    }), SECONDS);
    console.log(`# a second: ${seen.came.toFixed(1)} messages drawn in ${seen.updates.toFixed(1)} of ${seen.frames.toFixed(1)} frames; between frames ${seen.p99.toFixed(0)} ms at p99, ${seen.worst.toFixed(0)} at most; ${seen.long} tasks over 50 ms, the longest ${seen.longest.toFixed(0)} ms`);
    const after = await spent();
    const each = (name) => `${((after(name) - before(name)) * 1e6 / (seen.came * SECONDS)).toFixed(0)} us`;
    console.log(`# of the page's thread for each message: ${each("TaskDuration")}, of that script ${each("ScriptDuration")}, style ${each("RecalcStyleDuration")}, layout ${each("LayoutDuration")}`);
    await typed;
    await speaking;
    await memory("after that");
  });

  if (MESSAGES > 0) await check(`${MESSAGES.toLocaleString("en")} messages`, async () => {
    const PART = Math.ceil(MESSAGES / 4);
    for (let part = 1; part <= 4; part += 1) {
      const began = Date.now();
      await bench("-c", "10", "--speakers", "10", "--pace", "saturated", "--messages", String(PART));
      await until("the page has them all", async () => {
        const seqs = await page.evaluate(async () => [...document.querySelectorAll("#messages > li.message")].at(-1)?.dataset.seq);
        const last = seqs;
        await new Promise((resolve) => setTimeout(resolve, 500));
        return last === await page.evaluate(() => [...document.querySelectorAll("#messages > li.message")].at(-1)?.dataset.seq);
      }, 300_000);
      await memory(`${(part * PART).toLocaleString("en")} messages more, in ${((Date.now() - began) / 1_000).toFixed(0)} s`);
    }
  });
});
