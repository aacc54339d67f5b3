/**
 * The page in other languages: what the browser asks for, what the reader chooses, and whether the longer words have
 * room. `node languages.mjs SALON_BINARY`; see run.sh. What is in the table is held by `words.mjs`.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { audit, begin, composer, connected, newPage as openPage, say, sees, speak, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, pictures, run } = await begin(server);
const origin = `http://127.0.0.1:${server.port}`;
const newPage = (locale, options = {}) => openPage(browser, { origin, locale, reducedMotion: "reduce", ...options });

/** Comes in by the door, in whatever language that is. */
async function enter(page, name, room) {
  await page.goto(`${origin}/#${new URLSearchParams({ room })}`);
  await page.locator("#door-name").fill(name);
  await page.locator("#door-form .primary").click();
  await connected(page);
}

/** The languages whose words have been loaded. */
const loaded = (page) => page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => /\/(de|es|fr|en)(?:_door)?(?:-[0-9a-f]+)?\.js$/u.exec(name)?.[1]).filter((code) => code && code !== "en").filter((code, n, all) => all.indexOf(code) === n));

/** What a reader sees cut off: a text that is wider or higher than its place, where words may not be left out. */
const cutOff = (page) => page.evaluate(() => {
  const mayBe = ".place-name, .me-name, .room-id, .conversation-title *, .quote, .quote *, .member-name, .member-note, .suggestion-what, .invitation input, .sr-only, .skip, pre, .text, .log, .places-scroll, .members, .composer-context *, textarea, .result *, bdi";
  const inner = document.querySelector("dialog[open]") ?? document.body;
  return [...inner.querySelectorAll("button, label, h1, h2, h3, p, span, summary, option, a, kbd, dt, dd, select")].filter((node) => {
    if (node.matches(mayBe) || !node.checkVisibility() || !/\p{L}/u.test(node.textContent)) return false;
    if (node.matches("option")) return false;
    const box = node.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) return false;
    const beyond = box.left < -1 && box.right > 1 || box.right > innerWidth + 1 && box.left < innerWidth - 1;
    return beyond || (getComputedStyle(node).overflow !== "visible" && (node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1));
  }).map((node) => `${node.tagName.toLowerCase()}.${node.className || node.id}: ${node.textContent.trim().slice(0, 60)}`);
});

/** A field whose placeholder has no room says half of it. */
const cutPlaceholders = (page) => page.evaluate(() => {
  const inner = document.querySelector("dialog[open]") ?? document.body;
  const pen = document.createElement("canvas").getContext("2d");
  return [...inner.querySelectorAll("input[placeholder], textarea[placeholder]")].filter((field) => field.checkVisibility() && field.value === "").filter((field) => {
    const style = getComputedStyle(field);
    pen.font = style.font;
    return pen.measureText(field.placeholder).width > field.clientWidth - parseFloat(style.paddingInlineStart) - parseFloat(style.paddingInlineEnd) + 1;
  }).map((field) => field.placeholder);
});

async function fits(page, where) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: path.join(pictures, `${where.replace(/[^a-z0-9]+/giu, "-")}.png`) });
  equal([await cutOff(page), await cutPlaceholders(page)], [[], []], `what is cut off: ${where}`);
  equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `pixels to scroll sideways: ${where}`);
  await audit(page, where);
}

await run(async () => {
  await check("an English page loads the words of no other language, and says so", async () => {
    const page = await newPage("en-US");
    await enter(page, "Emma", "kitchen");
    equal(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), ["en", "ltr"], "the language");
    equal(await loaded(page), [], "words");
    await page.context().close();
  });

  for (const [locale, width, height] of [["de", 360, 740], ["de", 1440, 900], ["fr", 360, 740], ["es", 360, 740]]) {
    const code = locale;
    await check(`the page in ${code} at ${width} pixels: nothing is cut off, and axe finds nothing`, async () => {
      const page = await newPage(locale, { viewport: { width, height } });
      const at = (what) => `${what} ${code} ${width}`;
      await page.goto(`${origin}/`);
      await page.locator("#door-form:not([hidden])").waitFor();
      equal(await page.evaluate(() => document.documentElement.lang), code, "the language");
      equal(await loaded(page), [code], "words");
      await fits(page, at("door"));
      await page.locator("#door-name").fill("\u200B");
      await page.keyboard.press("Enter");
      await page.locator("#door-problem:not(:empty)").waitFor();
      await fits(page, at("a wrong name"));
      await enter(page, `Uli ${code} ${width}`, `kueche-${code}-${width}`);
      await page.locator(".hello").waitFor();
      await fits(page, at("empty room"));
      await say(page, "Guten Morgen");
      await sees(page, "Guten Morgen");
      await speak(page, "Bob", { room_id: `kueche-${code}-${width}` }, ["Hallo zusammen"]);
      await sees(page, "Hallo zusammen");
      await fits(page, at("room"));
      await say(page, "/help");
      await page.locator(".help-card").waitFor();
      await fits(page, at("help"));
      await composer(page).fill("/");
      await page.locator("#suggestions:not([hidden])").waitFor();
      await fits(page, at("commands"));
      await composer(page).fill("");
      for (const drawer of ["places", "details"]) {
        const opens = page.locator(`[data-open=${drawer}]`);
        const isDrawer = width < 760;
        if (isDrawer) await opens.click();
        await fits(page, at(drawer));
        if (isDrawer) await page.keyboard.press("Escape");
        if (isDrawer) await page.locator("#app:not([data-drawer])").waitFor();
      }
      for (const [what, opens] of [
        ["search", () => page.locator("#open-search").click()], ["switcher", () => page.keyboard.press("Control+k")],
        ["message menu", async () => { await page.locator("#messages > li.message", { hasText: "Guten Morgen" }).hover(); await page.locator("#bar-more").click(); }],
        ["picker", () => page.locator("#emoji").click()],
      ]) {
        await opens();
        await page.locator("dialog[open]").waitFor();
        await fits(page, at(what));
        await page.keyboard.press("Escape");
        await until("it is closed", async () => await page.locator("dialog[open]").count() === 0);
      }
      await page.context().close();
    });
  }

  await check("numbers, plurals, days and the names of things are those of the language", async () => {
    const page = await newPage("de-AT");
    await enter(page, "Vera", "salon");
    await say(page, "Servus");
    await sees(page, "Servus");
    equal(await page.locator("#messages .day-line").first().textContent(), "Heute", "the day");
    const title = await page.locator("#messages > li.message time").first().getAttribute("title");
    const today = await page.evaluate(() => new Intl.DateTimeFormat("de-AT", { dateStyle: "full" }).format());
    equal(title.startsWith(today), true, `the date ${title}, which begins with ${today}`);
    await say(page, "/join flur");
    await titled(page, "flur");
    await speak(page, "Bob", { room_id: "salon" }, ["@Vera eins"]);
    const words = () => page.locator("#room-list .place", { hasText: "salon" }).locator(".badge .sr-only").textContent();
    await until("one calls", async () => (await words()).trim() === "1 Erwähnung");
    await speak(page, "Bob", { room_id: "salon" }, ["@Vera zwei"]);
    await until("two call", async () => (await words()).trim() === "2 Erwähnungen");
    await page.locator("#room-list .place", { hasText: "salon" }).click();
    await until("the bar says so", async () => /^2 neu seit \d\d:\d\d$/u.test(await page.locator("#new-bar-text").textContent()) || await page.locator("#messages > .new-line").textContent() === "Neu");
    equal(await page.locator("#composer-input").getAttribute("placeholder"), "Nachricht an #salon", "the message box");
    await say(page, "/join");
    await until("what is wrong is said", async () => (await page.locator("#composer-problem").textContent()) === "Welcher Raum? Schreib /join RAUM.");
    await page.context().close();
  });

  await check("an error of the server and a card are said in the language", async () => {
    const page = await newPage("fr");
    await enter(page, "Zoé", "salon-fr");
    await say(page, "/msg Quelquun Bonjour");
    await until("the message is refused in French", async () => (await page.locator("#messages .state").first().textContent()).startsWith("Non envoyé. Personne de ce nom n’est encore venu ici."));
    await page.context().close();
  });

  await check("a language that was chosen at the door, under the rooms or by a command is there after a reload, and nothing typed is lost", async () => {
    const page = await newPage("en-GB");
    await page.goto(`${origin}/`);
    await page.locator("#door-form:not([hidden])").waitFor();
    await page.locator("#door-name").fill("Lena");
    await page.locator("#door .languages").selectOption("de");
    await until("the door is German", async () => (await page.locator("#door-form .primary").textContent()) === "Eintreten");
    equal([await page.locator("#door-name").inputValue(), await page.evaluate(() => document.documentElement.lang)], ["Lena", "de"], "the name that was written, and the language");
    equal(await page.locator("#door .languages").evaluate((select) => select === document.activeElement), true, "the focus is where it was");
    await page.locator("#door-form .primary").click();
    await connected(page);
    equal([await page.locator("#rooms-title").textContent(), await page.locator("#places .languages").inputValue()], ["Räume", "de"], "the page behind the door");
    await page.reload();
    await connected(page);
    equal([await page.locator("#rooms-title").textContent(), await loaded(page)], ["Räume", ["de"]], "after a reload");
    await composer(page).fill("halb geschrieben");
    await page.locator("#places .languages").selectOption("es");
    await until("the page is Spanish", async () => (await page.locator("#rooms-title").textContent().catch(() => "")) === "Salas");
    await connected(page);
    equal([await composer(page).inputValue(), await page.evaluate(() => document.documentElement.lang)], ["halb geschrieben", "es"], "the draft, and the language");
    await composer(page).fill("");
    await say(page, "/language klingonisch");
    await until("it says which there are", async () => (await page.locator("#composer-problem").textContent()) === "¿Qué idioma? Escribe /language en, de, es o fr.");
    await say(page, "/language English");
    await until("the page is English", async () => (await page.locator("#rooms-title").textContent().catch(() => "")) === "Rooms");
    await page.reload();
    await connected(page);
    equal(await page.locator("#rooms-title").textContent(), "Rooms", "after a reload");
    await page.context().close();
  });

  await check("a language that is written from right to left mirrors the page", async () => {
    const page = await newPage("de");
    const words = await readFile(new URL("../../src/server/web/de_door.js", import.meta.url), "utf8");
    await page.route(/\/de_door(?:-[0-9a-f]+)?\.js$/u, (route) => route.fulfill({ contentType: "text/javascript", body: words.replace("direction: \"ltr\"", "direction: \"rtl\"") }));
    await enter(page, "Rana", "salon-rtl");
    const [places, log] = await page.evaluate(() => ["places", "log"].map((id) => document.getElementById(id).getBoundingClientRect().left));
    equal([await page.evaluate(() => getComputedStyle(document.documentElement).direction), places > log], ["rtl", true], "the direction, and the rooms at the right");
    await page.context().close();
  });

  await check("a page whose words do not come is English, and says so", async () => {
    const page = await newPage("de", { expected: (text) => /ERR_FAILED|Failed to load/u.test(text) });
    await page.route(/\/de_door(?:-[0-9a-f]+)?\.js$/u, (route) => route.abort());
    await page.goto(`${origin}/`);
    await page.locator("#door-form:not([hidden])").waitFor();
    equal([await page.locator("#door-form .primary").textContent(), await page.evaluate(() => document.documentElement.lang)], ["Enter", "en"], "the door, and the language");
    await page.context().close();
  });

  await check("where only the words behind the door do not come, the door says so, and they are asked for again", async () => {
    const page = await newPage("de", { expected: (text) => /ERR_FAILED|Failed to load/u.test(text) });
    let gone = true;
    await page.route(/\/de(?:-[0-9a-f]+)?\.js$/u, (route) => (gone ? route.abort() : route.fallback()));
    await page.goto(`${origin}/`);
    await page.locator("#door-name").fill("Wim");
    await page.locator("#door-room").fill("#werkstatt");
    await page.locator("#door-form .primary").click();
    await page.locator("#door-status", { hasText: "Ein Teil dieser Seite konnte nicht geladen werden." }).waitFor();
    gone = false;
    await page.locator("#door-status button").click();
    await connected(page);
    equal([await page.locator("#rooms-title").textContent(), await page.locator("#title bdi").first().textContent()], ["Räume", "werkstatt"], "the page behind the door, and the room");
    await page.context().close();
  });
});
