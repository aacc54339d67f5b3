/**
 * Twelve situations as pictures, at four widths, light and dark, to be looked at; none of them may have anything to
 * scroll sideways. `node situations.mjs SALON_BINARY`; see run.sh. The pictures go to SCREENSHOTS.
 */
import path from "node:path";
import { begin, composer, connected, enter, isUnreachable, newPage as openPage, say, sees, speak, titled } from "./browser.mjs";
import { Server, Wire, check, freePort, until } from "./harness.mjs";

const WIDTHS = [[360, 740], [820, 1180], [1440, 900], [2560, 1440]];

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const wire = await new Wire().open(server.port);
const { browser, pictures, run } = await begin(server);
let cut = false;
const expected = (text) => cut && isUnreachable(text);
const newPage = (port = server.port) => openPage(browser, { origin: `http://127.0.0.1:${port}`, expected, reducedMotion: "reduce" });

/** The page as it is, at each width, light and dark. */
async function keep(page, name) {
  const wide = [];
  for (const [width, height] of WIDTHS) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await page.screenshot({ path: path.join(pictures, `${name}-${width}-${colorScheme}.png`) });
    }
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) wide.push(`${width}: ${over}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  if (wide.length) throw new Error(`${name} is too wide, in pixels: ${wide.join(", ")}`);
}

const situation = (name, page, arrange) => check(name, async () => {
  await arrange();
  await keep(page, name);
});
const go = async (page, name) => {
  await page.locator(".place", { hasText: name }).first().click();
  await titled(page, name);
};

await run(async () => {
  const page = await newPage();
  const other = await newPage();
  await situation("door", page, async () => {
    await page.goto(`${page.origin}/#room=kitchen`);
    await page.locator("#door-name").waitFor();
  });
  await enter(other, "Bob", "kitchen");
  await situation("name-is-here", page, async () => {
    await page.locator("#door-name").fill("Bob");
    await page.keyboard.press("Enter");
    await page.locator("#door-question:not([hidden])").waitFor();
  });
  await situation("empty-room", page, async () => {
    await page.getByRole("button", { name: "another name" }).click();
    await enter(page, "Ada Lovelace", "attic");
    await page.locator(".hello").waitFor();
  });
  await situation("conversation", page, async () => {
    await say(page, "/join kitchen");
    await titled(page, "kitchen");
    for (const [name, text] of [["Bob", "Good morning! Is there tea?"], ["Zoë", "I make some. **Two** cups, *very* hot, `earl grey`."],
      ["Bob", "The list:\n- milk\n- https://example.org/a/rather/long/path/that/does/not/end?with=more&and=more\n> nobody said it would be short"],
      ["Zoë", "```\nfn main() {\n    println!(\"a line of code that is wider than a phone, and is scrolled inside its box\");\n}\n```"],
      ["Bob", "شكرا جزيلا"], ["Zoë", "@Ada Lovelace, can you bring a spoon?"]]) await speak(other, name, { room_id: "kitchen" }, [text]);
    await sees(page, "شكرا جزيلا");
    await say(page, "Of course. 🥄");
    await sees(page, "Of course. 🥄");
  });
  await situation("message-menu", page, async () => {
    await page.locator("#messages > li.message", { hasText: "Good morning" }).hover();
    await page.locator("#bar-more").click();
    await page.locator("#message-menu").waitFor();
  });
  await situation("answer", page, async () => {
    await page.keyboard.press("Escape");
    await page.locator("#messages > li.message", { hasText: "Good morning" }).hover();
    await page.locator("#bar-more").click();
    await page.locator("#message-menu").getByRole("button", { name: "Reply", exact: true }).click();
    await composer(page).fill("Yes, and a second line\nwith :tea");
  });
  await situation("unread", page, async () => {
    await composer(page).fill("");
    await go(page, "attic");
    await speak(other, "Bob", { room_id: "kitchen" }, Array.from({ length: 60 }, (_, n) => `while you were away, ${n + 1}`));
    await speak(other, "Zoë", { user_id: "Ada Lovelace" }, ["psst", "are you there?"]);
    await until("it is counted", async () => (await page.locator("#person-list .badge").count()) === 1);
    await go(page, "kitchen");
    await page.locator("#messages > .new-line").waitFor();
  });
  await situation("two-people", page, async () => {
    await go(page, "Zoë");
    await sees(page, "are you there?");
  });
  await situation("search", page, async () => {
    await go(page, "kitchen");
    await say(page, "/search away");
    await page.locator("#search-list .result-text").first().waitFor();
  });
  await situation("announcement", page, async () => {
    await page.keyboard.press("Escape");
    await other.evaluate(async () => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url: `${location.origin.replace("http", "ws")}/ws`, user: "Bob" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      const heard = new Promise((resolve) => salon.on("announcement", resolve));
      salon.request("broadcast", { room_id: "*", content: "The kitchen is closed from noon on." }).catch(() => {});
      await heard;
      salon.close();
    });
    await until("it is there", () => page.locator("body", { hasText: "closed from noon" }).count());
  });
  const away = await newPage(wire.port);
  await situation("no-connection", away, async () => {
    await enter(away, "Far Away", "kitchen");
    cut = true;
    wire.cut();
    await away.locator("#banner:not([hidden])").waitFor();
    await say(away, "Into the void");
    await away.locator(".pending").waitFor();
  });
  wire.mend();
  await connected(away);
  cut = false;
  await situation("question", page, async () => {
    await composer(page).fill("half of a sentence");
    await page.locator("#leave").click();
    await page.locator("#question[open]").waitFor();
  });
  wire.close();
});
