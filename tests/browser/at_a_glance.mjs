/**
 * What is seen without looking for it: the place that one is at, the message that one edits, the beginning of a list,
 * and that somebody is here again. `node at_a_glance.mjs SALON_BINARY`; see run.sh.
 */
import path from "node:path";
import { begin, composer, connected, enter, isUnreachable, newPage as openPage, say, sees, speak, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off", "--history", "400");
const { browser, pictures, run } = await begin(server);
let away = false; // the server is
const expected = (text) => away && isUnreachable(text);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, expected, ...options });
const focusIn = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
/** Whether a node is in view in what scrolls around it. */
const inView = (page, node, around) => page.evaluate(([node, around]) => {
  const [one, frame] = [node, around].map((selector) => document.querySelector(selector).getBoundingClientRect());
  return one.top >= frame.top && one.bottom <= frame.bottom;
}, [node, around]);

await run(async () => {
  const ada = await newPage();
  await enter(ada, "Ada", "kitchen");

  await check("the place that is opened is in view in the list, and rooms stand by their numbers", async () => {
    const rooms = Array.from({ length: 12 }, (_, n) => `room ${n + 1}`);
    const other = await newPage({ viewport: { width: 1280, height: 420 } });
    await enter(other, "Olga", "kitchen");
    for (const room of [...rooms].reverse()) {
      await say(other, `/join ${room}`);
      await titled(other, room);
    }
    equal(await other.locator("#room-list .place-name").allTextContents(), ["kitchen", ...rooms], "rooms");
    const scrolled = () => other.locator(".places-scroll").evaluate((list) => list.scrollTop);
    await say(other, "/join room 12");
    await titled(other, "room 12");
    await until("the last room is in view", () => inView(other, ".place[aria-current]", ".places-scroll"));
    if (!(await scrolled() > 0)) throw new Error("the list is not longer than its view");
    await say(other, "/join kitchen");
    await titled(other, "kitchen");
    await until("the first one is", () => inView(other, ".place[aria-current]", ".places-scroll"));
    await ada.reload();
    await connected(ada);
    await until("another person is shown the rooms by number", async () => (await ada.locator("#public-list .place-name").allTextContents()).join() === rooms.join() || Promise.reject(new Error(await ada.locator("#public-list .place-name").allTextContents())));
    await other.context().close();
  });

  await check("keys go past the button for earlier messages, which would take the focus with it", async () => {
    await speak(ada, "Speaker", { room_id: "kitchen" }, Array.from({ length: 90 }, (_, n) => `line ${n + 1}`));
    await sees(ada, "line 90");
    await ada.reload();
    await connected(ada);
    await sees(ada, "line 90");
    await ada.locator("#log").focus();
    await ada.keyboard.press("Tab");
    if (await focusIn(ada) === "BODY") throw new Error("the focus is nowhere");
    equal(await ada.locator("#log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40), true, "the view stays at the end");
    await ada.locator("#log").focus();
    await ada.keyboard.press("Home");
    await until("the beginning is loaded by keys", async () => (await ada.locator("#messages > li.message").count()) >= 90);
  });

  await check("the list of commands is shown from its beginning, and what is said behind it does not take it away", async () => {
    const low = await newPage({ viewport: { width: 1280, height: 460 } });
    await enter(low, "Lou", "kitchen");
    await sees(low, "line 90");
    await say(low, "/help");
    await until("its title is in view", () => inView(low, ".help-title", "#log"));
    await low.screenshot({ path: path.join(pictures, "help-low.png") });
    await say(ada, "Said meanwhile");
    await sees(low, "Said meanwhile");
    equal(await inView(low, ".help-title", "#log"), true, "it is in view still");
    await low.context().close();
  });

  await check("the message that is edited is marked until that is done or left", async () => {
    await say(ada, "One");
    await say(ada, "Two");
    await sees(ada, "Two");
    const marked = () => ada.locator("#messages > .in-edit .text").allTextContents();
    await composer(ada).press("ArrowUp");
    await until("it is marked", async () => (await marked()).join() === "Two");
    await ada.screenshot({ path: path.join(pictures, "in-edit.png") });
    await composer(ada).press("Escape");
    await until("no longer", async () => (await marked()).length === 0);
    await composer(ada).press("ArrowUp");
    await until("it is marked again", async () => (await marked()).join() === "Two");
    await composer(ada).fill("Three");
    await composer(ada).press("Enter");
    await sees(ada, "Three");
    await until("no longer", async () => (await marked()).length === 0);
  });

  await check("the bar of a message under the pointer goes while one writes", async () => {
    await ada.locator("#messages > li.message").last().hover();
    await ada.locator("#message-bar:not([hidden])").waitFor();
    await composer(ada).pressSequentially("x");
    await until("the bar is gone", () => ada.locator("#message-bar").isHidden());
    await composer(ada).fill("");
  });

  await check("where messages move under a pointer that rests, the bar does not run after them, and comes when it moves", async () => {
    const page = await newPage();
    await enter(page, "Rena", "stream");
    await speak(page, "Speaker", { room_id: "stream" }, Array.from({ length: 40 }, (_, n) => `line ${n}`));
    await sees(page, "line 39");
    await page.mouse.move(640, 400);
    await page.mouse.move(641, 400);
    await page.locator("#message-bar:not([hidden])").waitFor();
    await page.evaluate(() => {
      window.places = 0;
      new MutationObserver((changes) => { window.places += changes.length; }).observe(document.getElementById("message-bar"), { attributeFilter: ["style"] });
    });
    for (let n = 0; n < 20; n += 1) {
      await speak(page, "Speaker", { room_id: "stream" }, [`more ${n}`]);
      await sees(page, `more ${n}`);
    }
    await page.locator("#message-bar").waitFor({ state: "hidden" });
    const places = await page.evaluate(() => window.places);
    equal(places < 6, true, `places that it had: ${places}`);
    await page.mouse.move(642, 400);
    await page.locator("#message-bar:not([hidden])").waitFor();
    await page.context().close();
  });

  await check("earlier messages that come above move nothing in view, wherever in a group the first one stood", async () => {
    // They come by fifties, and the names stand behind each tenth.
    await speak(ada, "Speaker", { room_id: "long" }, Array.from({ length: 297 }, (_, n) => `line ${n + 1}`));
    for (const place of [300, 0]) {
      const reader = await newPage();
      await enter(reader, `Reader ${place}`, "long");
      await sees(reader, "line 297");
      const count = () => reader.locator("#messages > li.message").count();
      await reader.evaluate(() => {
        window.inView = () => {
          const { top, bottom } = document.getElementById("log").getBoundingClientRect();
          const texts = [...document.querySelectorAll("#messages > li.message .text")].map((node) => [node.textContent, node.getBoundingClientRect()]);
          return texts.filter(([, text]) => text.top >= top && text.bottom <= bottom).map(([words, text]) => [words, text.top]);
        };
      });
      for (let rounds = 0; await reader.locator("#log-start").getAttribute("data-state") !== "room:long start"; rounds += 1) {
        if (rounds > 8) throw new Error(`${await count()} are there, and no more come`);
        await until("nothing is asked for", async () => !(await reader.locator("#log-start").getAttribute("data-state")).endsWith(" loading"));
        const [before, had] = await reader.evaluate((place) => {
          const log = document.getElementById("log");
          log.dispatchEvent(new WheelEvent("wheel", { bubbles: true })); // the reader moves, nothing leads
          log.scrollTop = place;
          return [window.inView(), document.querySelectorAll("#messages > li.message").length];
        }, place);
        await until("earlier ones are there", async () => (await count()) > had);
        const moved = new Map(await reader.evaluate(() => window.inView()));
        equal(before.filter(([words, top]) => !(Math.abs(moved.get(words) - top) < 1)), [], `from ${place} px on, behind ${had} messages, what has moved`);
      }
      equal(await count(), 297, "all of them");
      await reader.context().close();
    }
  });

  await check("no way to the latest is offered where a window that gets higher shows the end, and what is said is followed", async () => {
    const reader = await newPage({ viewport: { width: 1280, height: 500 } });
    await enter(reader, "Lara", "tower");
    for (let n = 0; n < 12; n += 1) await say(reader, `storey ${n}\nof it`);
    await sees(reader, "storey 11\nof it");
    await reader.evaluate(() => {
      const log = document.getElementById("log");
      log.dispatchEvent(new WheelEvent("wheel", { bubbles: true }));
      log.scrollTo({ top: 0, behavior: "instant" });
    });
    await reader.locator("#to-latest:not([hidden])").waitFor();
    await reader.setViewportSize({ width: 1280, height: 2_000 });
    await reader.locator("#to-latest").waitFor({ state: "hidden" });
    await reader.setViewportSize({ width: 1280, height: 500 });
    await until("the end is in view", () => reader.evaluate(() => { const { scrollHeight, scrollTop, clientHeight } = document.getElementById("log"); return scrollTop > 0 && scrollHeight - scrollTop - clientHeight < 5; }));
    await reader.context().close();
  });

  await check("a banner that comes above the messages, or goes, moves nothing that one reads", async () => {
    const reader = await newPage();
    await enter(reader, "Rita", "kitchen");
    await sees(reader, "Three");
    // At once: a wheel would have it move for a while.
    await reader.evaluate(() => {
      const log = document.getElementById("log");
      log.dispatchEvent(new WheelEvent("wheel", { bubbles: true }));
      log.scrollBy({ top: -500, behavior: "instant" });
    });
    await until("she reads further up", () => reader.locator("#to-latest:not([hidden])").count());
    const place = () => reader.evaluate(() => Math.round([...document.querySelectorAll("#messages > li.message")].find((node) => node.querySelector(".text").textContent === "line 80").getBoundingClientRect().top));
    await until("all that was said is there", async () => (await reader.locator("#log-start").getAttribute("data-state")).endsWith(" start"));
    const before = await place();
    away = true;
    await server.kill();
    await reader.locator("#banner:not([hidden])").waitFor();
    equal(await place(), before, "where a message is when the banner is there");
    await server.start();
    await reader.evaluate(() => window.dispatchEvent(new Event("online")));
    await connected(reader);
    await until("the banner is gone", () => reader.locator("#banner").isHidden());
    equal(await place(), before, "where it is when it is gone");
    away = false;
    await reader.context().close();
  });

  await check("somebody who comes back after us from a restart is known to be here, and can be written to", async () => {
    const ben = await newPage();
    await enter(ben, "Ben", "kitchen");
    await say(ada, "/msg Ben A word");
    await titled(ada, "Ben");
    await sees(ada, "A word");
    away = true;
    await server.kill();
    await ben.goto("about:blank");
    await server.start();
    await ada.evaluate(() => window.dispatchEvent(new Event("online")));
    await connected(ada);
    const start = () => ada.locator("#log-start").textContent();
    await until("he has not been here yet", async () => (await start()).startsWith("Nobody of this name has been here yet"));
    away = false;
    await ben.goto(`${ben.origin}/#room=kitchen`);
    await connected(ben);
    await until("he has", async () => !(await start()).includes("Nobody") || Promise.reject(new Error(await start())));
    await say(ada, "Another word");
    await until("it is said", async () => (await ada.locator("#messages > li.message:not(.pending) .text").allTextContents()).includes("Another word"));
    await ben.context().close();
  });
});
