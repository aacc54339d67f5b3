/**
 * The pictures of the README, made from the real page: `node pictures.mjs SALON_BINARY [FOLDER]`, with CHROMIUM set as
 * run.sh sets it, on a machine that has fonts (Debian: fonts-inter and fonts-noto-color-emoji). They go to
 * `docs/screenshots`, or to the folder, as WebP of less than 100 kB each.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { begin, composer, enter, newPage as openPage, say, sees, speak, titled } from "./browser.mjs";
import { Server, check, freePort, until } from "./harness.mjs";

const BYTES_MAX = 100_000;

const folder = process.argv[3] ?? fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
await mkdir(folder, { recursive: true });
const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, run } = await begin(server);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });

/** People without a page: they stay in their rooms, and one can be asked to do something. */
const people = (page, crowd) => page.evaluate(async ({ url, crowd }) => {
  const { SalonClient } = await import("/client.js");
  window.crowd ??= {};
  for (const [user, rooms, status, note] of crowd) {
    const salon = new SalonClient({ url, user, status: { status, note } });
    const welcome = new Promise((resolve) => salon.on("welcome", resolve));
    salon.connect();
    await welcome;
    for (const room of rooms) await salon.join(room);
    window.crowd[user] = salon;
  }
}, { url: `${page.origin.replace("http", "ws")}/ws`, crowd });
/** Has one of them do something: `run` gets their client, and `given`. */
const asks = (page, user, run, given) => page.evaluate(`window.crowd[${JSON.stringify(user)}] && (${run})(window.crowd[${JSON.stringify(user)}], ${JSON.stringify(given)})`);
const speaks = async (page, user, room_id, content, reply_to) => {
  await asks(page, user, (salon, { room_id, content, reply_to }) => new Promise((resolve) => {
    const stop = salon.on("sent", () => { stop(); resolve(); });
    salon.say(room_id, content, { reply_to });
  }), { room_id, content, reply_to });
};
const reacts = (page, user, room_id, of, emoji) => asks(page, user, (salon, { room_id, of, emoji }) => salon.react({ room_id }, of, emoji, true), { room_id, of, emoji });

/** Keeps what is on screen as a picture, by the browser. */
async function keep(page, name, quality = 0.9) {
  const png = (await page.screenshot()).toString("base64");
  const maker = await newPage({ bypassCSP: true });
  await maker.goto(`${maker.origin}/icon.svg`);
  let webp;
  for (let fine = quality; ; fine -= 0.06) {
    webp = Buffer.from(await maker.evaluate(async ({ png, fine }) => {
      const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      canvas.getContext("2d").drawImage(picture, 0, 0);
      const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: fine })).arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }, { png, fine }), "base64");
    if (webp.length < BYTES_MAX || fine < 0.3) break;
  }
  await maker.context().close();
  if (webp.length >= BYTES_MAX) throw new Error(`${name}: ${webp.length} bytes`);
  await writeFile(path.join(folder, `${name}.webp`), webp);
  console.log(`# ${name}.webp: ${webp.length.toLocaleString()} bytes`);
}

await run(async () => {
  const stage = await newPage();
  await stage.goto(stage.origin);
  const room = "launch";
  await people(stage, [["Host", [], "online", ""]]);
  await asks(stage, "Host", (salon, room) => salon.createRoom(room, { topic: "Version 2, Thursday 10:00 UTC" }), room);
  await people(stage, [
    ["Marta Lind", ["launch", "general", "design"], "online", ""],
    ["Yusuf", ["launch", "general"], "busy", "on call until six"],
    ["Priya", ["launch", "design"], "online", ""],
    ["Tom", ["launch", "general", "lunch"], "away", "at lunch"],
    ["Zoë", ["launch"], "online", ""],
  ]);
  const enterAs = async (page) => {
    await page.addInitScript(() => localStorage.setItem("salon.sent", "9"));
    await enter(page, "Ada Lovelace", "general");
    for (const other of ["design", "lunch", room]) {
      await say(page, `/join ${other}`);
      await titled(page, other);
    }
  };
  const desktop = await newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5, reducedMotion: "reduce" });

  await check("a conversation as people have it", async () => {
    await speaks(stage, "Marta Lind", room, "Good morning! Who has the numbers from last night?");
    await speaks(stage, "Yusuf", room, "I do. Everybody heard everything, and the log stayed quiet.");
    await reacts(stage, "Priya", room, 2, "🎉");
    await reacts(stage, "Tom", room, 2, "🎉");
    await enterAs(desktop);
    await sees(desktop, "Good morning! Who has the numbers from last night?");
    await speaks(stage, "Yusuf", room, "It is one line, if you want to see it yourself:\n```\nsalon bench fan-out --seconds 30\n```");
    await say(desktop, "Lovely. I will put it into the notes, **with** the p99.");
    await sees(desktop, "Lovely. I will put it into the notes, **with** the p99.");
    await reacts(stage, "Marta Lind", room, 6, "💚");
    await speaks(stage, "Priya", room, "The new page is ready for a look: https://chat.example/#room=launch");
    await speaks(stage, "Zoë", room, "Très joli 👏");
    await speaks(stage, "Marta Lind", room, "@Ada Lovelace, can you say two words about it at ten?", 8);
    await say(desktop, "Gladly. Two words: *it works*.");
    await speak(stage, "Tom", { room_id: "lunch" }, ["Soup today", "and @Ada Lovelace, there is pie"]);
    await speak(stage, "Priya", { room_id: "design" }, ["Dark mode has a new green", "Opinions?"]);
    await speak(stage, "Yusuf", { user_id: "Ada Lovelace" }, ["Do you have five minutes after the call?"]);
    await until("all is there", async () => (await desktop.locator("#room-list .badge").count()) === 1 && (await desktop.locator("#person-list .badge").count()) === 1);
    await asks(stage, "Priya", (salon, room_id) => { salon.typing({ room_id }, true); }, room);
    await desktop.locator("#typing.someone").waitFor();
    await composer(desktop).blur();
    await desktop.mouse.move(640, 20);
  });
  await check("the page, light", () => keep(desktop, "desktop"));
  await check("the same in the dark", async () => {
    await desktop.emulateMedia({ colorScheme: "dark" });
    await keep(desktop, "dark");
  });
  await check("the same on a phone", async () => {
    const phone = await newPage({ viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, reducedMotion: "reduce" });
    await phone.goto(`${phone.origin}/#room=${room}`);
    await phone.locator("#door-name").fill("Marta Lind");
    await phone.getByRole("button", { name: "Enter" }).tap();
    await phone.getByRole("button", { name: "Yes, that is me" }).tap();
    await sees(phone, "Gladly. Two words: *it works*.");
    await keep(phone, "phone");
    await phone.context().close();
  });
  await desktop.context().close();
});
