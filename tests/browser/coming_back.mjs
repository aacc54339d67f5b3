/**
 * Coming back: what is unread is known on every device, the reader is led to the first of it however far back it is,
 * and only what was seen is read. `node coming_back.mjs SALON_BINARY`; see run.sh.
 */
import path from "node:path";
import { begin, comeAgain, composer, connected, enter, isUnreachable, marks, members, newPage as openPage, roomsOf, say, sees, speak, texts, titled } from "./browser.mjs";
import { Server, Wire, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off", "--history", "10000");
const { browser, pictures, run } = await begin(server);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
const go = async (page, name) => {
  await page.locator(".place", { hasText: name }).first().click();
  await titled(page, name);
};
/** What the list says of a conversation: `badge 2` for what calls the reader, `dot 2` for the rest. */
const unread = (page, name) => page.evaluate((name) => {
  const place = [...document.querySelectorAll("#room-list .place, #person-list .place")].find((one) => one.querySelector(".place-name").textContent === name);
  if (!place) return "no such place";
  const [badge, dot] = [".badge", ".unread-dot"].map((one) => place.querySelector(one)?.textContent.match(/^\d+\+?/)[0]);
  return badge ? `badge ${badge}` : dot ? `dot ${dot}` : "";
}, name);
const shows = (page, name, what) => until(`${name} shows “${what}”`, async () => { const found = await unread(page, name); return found === what || Promise.reject(new Error(found)); });
const bar = (page) => page.locator("#new-bar:not([hidden])");
const view = (page) => page.evaluate(() => {
  const log = document.getElementById("log").getBoundingClientRect();
  const line = document.querySelector("#messages > .new-line");
  return { line: line ? Math.round((line.getBoundingClientRect().top - log.top) / log.height * 100) : null, first: line?.nextElementSibling.querySelector(".text").textContent };
});
/** How much of the messages is below the view, in pixels. */
const below = (page) => page.evaluate(() => { const { scrollHeight, scrollTop, clientHeight } = document.getElementById("log"); return scrollHeight - scrollTop - clientHeight; });
const lines = (count, what = "line") => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);
/** A window that is seen beside the one that is worked in; `true` brings the reader back. */
const focus = (page, focused) => page.evaluate((focused) => {
  if (focused) delete document.hasFocus;
  else Object.defineProperty(document, "hasFocus", { configurable: true, value: () => false });
  window.dispatchEvent(new Event(focused ? "focus" : "blur"));
}, focused);
/** How much the page says is unread behind what is in view. */
const left = async (page) => Number((await page.locator("#to-latest-text").textContent()).replace(",", ""));
/** The message at the top of the view. */
const top = (page) => page.evaluate(() => {
  const { top } = document.getElementById("log").getBoundingClientRect();
  return [...document.querySelectorAll("#messages > li.message .text")].find((text) => text.getBoundingClientRect().bottom > top + 5).textContent;
});
const rests = async (page) => {
  let [top, alike] = [NaN, 0];
  await until("the view rests", async () => {
    const now = await page.evaluate(() => document.getElementById("log").scrollTop);
    alike = now === top ? alike + 1 : 0;
    top = now;
    return alike === 40; // a second: what Chromium sets in motion takes less
  });
};
/** The reader goes up from the end. */
const up = async (page, by) => {
  await page.locator("#log").hover();
  await page.mouse.wheel(0, -by);
  await until("the view has moved", async () => await below(page) > by - 200);
  await rests(page);
};
/** A page on a wire of its own. */
const wired = async () => {
  const wire = await new Wire().open(server.port);
  return { wire, page: await newPage({ origin: `http://127.0.0.1:${wire.port}`, expected: isUnreachable }) };
};
const cut = async (page, wire) => {
  wire.cut();
  await page.locator("#app[data-connection=waiting]").waitFor();
};
const mend = async (page, wire) => {
  wire.mend();
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await connected(page);
};

await run(async () => {
  const bob = await newPage();
  await enter(bob, "Bob", "kitchen");

  await check("a second device shows the same conversations, counts and marks, also of somebody who has gone", async () => {
    const first = await newPage();
    await enter(first, "Ida", "kitchen");
    await speak(bob, "Zoe", { user_id: "Ida" }, ["One", "Two"]);
    await shows(first, "Zoe", "badge 2");
    await go(first, "Zoe");
    await sees(first, "Two");
    await until("the server has the mark", async () => (await marks(bob, "Ida")).Zoe.join() === "2,0");
    await go(first, "kitchen");
    await speak(bob, "Zoe", { user_id: "Ida" }, ["Three"]);
    await shows(first, "Zoe", "badge 1");
    const second = await newPage();
    await comeAgain(second, "Ida", "kitchen");
    await shows(second, "Zoe", "badge 1");
    await until("the title counts it", async () => (await second.title()).startsWith("(1) "));
    await go(second, "Zoe");
    await until("the line is before what is new", async () => (await view(second)).first === "Three");
    await shows(first, "Zoe", ""); // read on the other device
    await until("and its title forgets", async () => (await first.title()).startsWith("kitchen"));
    for (const page of [first, second]) await page.context().close();
  });

  await check("a room that was left is left on every device, and stays away in a new browser, also if it was left without a connection", async () => {
    const here = await newPage();
    await enter(here, "Lea", "kitchen");
    const places = (page) => page.locator("#room-list .place-name").allTextContents();
    const known = () => bob.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url, user: "Lea" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      const { rooms } = await salon.rooms({ read: true });
      salon.close();
      return rooms.filter(({ read }) => read > 0).map(({ room_id }) => room_id).join();
    }, `ws://127.0.0.1:${server.port}/ws`);
    await say(here, "In the kitchen");
    await sees(here, "In the kitchen");
    for (const room of ["attic", "cellar"]) {
      await say(here, `/join ${room}`);
      await titled(here, room);
      await say(here, `In the ${room}`);
      await sees(here, `In the ${room}`);
    }
    await until("the server has the marks", async () => await known() === "attic,cellar,kitchen" || Promise.reject(new Error(await known())));
    const wire = await new Wire().open(server.port);
    const there = await newPage({ origin: `http://127.0.0.1:${wire.port}`, expected: isUnreachable });
    await comeAgain(there, "Lea", "kitchen");
    await until("the other device has the rooms", async () => (await places(there)).join() === "attic,cellar,kitchen" || Promise.reject(new Error(await places(there))));
    await go(here, "attic");
    await say(here, "/leave");
    await until("the other device has left it", async () => (await places(there)).join() === "cellar,kitchen" || Promise.reject(new Error(await places(there))));
    await until("the server has no mark of it", async () => await known() === "cellar,kitchen" || Promise.reject(new Error(await known())));
    await here.context().close();
    await go(there, "cellar");
    wire.cut();
    await until("the wire is cut", async () => await there.locator("#banner:not([hidden])").count() > 0);
    await say(there, "/leave");
    await titled(there, "kitchen");
    wire.mend();
    await there.evaluate(() => window.dispatchEvent(new Event("online")));
    await until("the server has no mark of that either", async () => await known() === "kitchen" || Promise.reject(new Error(await known())));
    const fresh = await newPage();
    await comeAgain(fresh, "Lea", "kitchen");
    equal(await places(fresh), ["kitchen"], "rooms in a new browser");
    for (const page of [there, fresh]) await page.context().close();
    wire.close();
  });

  await check("messages to somebody who was away for long: all of them are counted, in a browser that has never been here", async () => {
    const page = await newPage();
    await enter(page, "Rip", "kitchen");
    await page.context().close();
    await until("Rip is away", async () => !(await members(bob)).includes("Rip"));
    await speak(bob, "Wilhelm", { user_id: "Rip" }, lines(75, "letter"));
    const fresh = await newPage();
    await comeAgain(fresh, "Rip", "kitchen");
    await shows(fresh, "Wilhelm", "badge 75");
    await go(fresh, "Wilhelm");
    await until("the line is before the first", async () => (await view(fresh)).first === "letter 1");
    await fresh.context().close();
  });

  await check("1,200 unread messages: the line stands before the first of them, a quarter down, and only what was in view is read", async () => {
    const page = await newPage();
    await enter(page, "Mona", "hall");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "hall" }, lines(1_200));
    await shows(page, "hall", "dot 99+");
    await go(page, "hall");
    await until("the line is in view", async () => { const { line, first } = await view(page); return (line === 25 && first === "line 1") || Promise.reject(new Error(`${line} ${first}`)); });
    await until("the bar says how many and since when", async () => /^1,200 new since \d\d:\d\d$/u.test(await bar(page).locator("#new-bar-text").textContent()));
    equal(await page.locator("#new-bar-jump").isVisible(), false, "a button to where the reader is");
    await page.screenshot({ path: path.join(pictures, "1200-new.png") });
    const left = () => page.locator("#to-latest-text").textContent().then((words) => Number(words.replace(",", "") || 0));
    if (!(await left() > 1_150 && await left() < 1_200)) throw new Error(`${await left()} are unread`);
    // Reading on reads on, page after page.
    const before = await left();
    for (let n = 0; n < 8; n += 1) {
      await page.locator("#log").press("PageDown");
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    }
    await until("less is unread", async () => await left() < before - 60);
    // A machine that is busy goes on with the last pages for a while.
    let [now, alike] = [await left(), 0];
    await until("reading has ended", async () => {
      const then = now;
      now = await left();
      alike = now === then ? alike + 1 : 0;
      return alike === 20;
    });
    // After a reload it goes on there.
    await page.reload();
    await connected(page);
    await until("the line is where the reader stopped", async () => { const { line, first } = await view(page); return line === 25 && Math.abs(1_200 - Number(first.slice(5)) - now) < 20 || Promise.reject(new Error(`${line} ${first} ${now}`)); });
    // To the end, and back by the bar.
    await page.locator("#to-latest").click();
    await until("the end is there", async () => (await texts(page)).at(-1) === "line 1200");
    await page.locator("#new-bar-read").click({ timeout: 1_000 }).catch(() => {});
    await shows(page, "hall", "");
    await page.context().close();
  });

  await check("a page that was at the end while 200 messages came: the bar leads to the first, and Mark read is done with it", async () => {
    const page = await newPage();
    await enter(page, "Cleo", "barn");
    await say(page, "At the end");
    await sees(page, "At the end");
    await focus(page, false);
    await speak(bob, "Speaker", { room_id: "barn" }, lines(200, "straw"));
    await sees(page, "straw 200");
    await until("nothing is read in a window without the focus", async () => (await page.title()).startsWith("• "));
    await until("the bar counts", async () => (await bar(page).locator("#new-bar-text").textContent()).startsWith("200 new"));
    await page.locator("#new-bar-jump").click();
    await until("the line is in view", async () => { const { line, first } = await view(page); return line === 25 && first === "straw 1"; });
    await focus(page, true);
    await page.locator("#new-bar-read").click();
    await until("it is over", async () => await page.locator("#new-bar").isHidden() && await page.locator(".new-line").count() === 0 && (await page.title()).startsWith("barn"));
    await page.context().close();
  });

  await check("a link into the middle of what is unread reads nothing that was not seen", async () => {
    const page = await newPage();
    await enter(page, "Lina", "cloister");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "cloister" }, lines(400));
    await shows(page, "cloister", "dot 99+");
    await say(page, "/search \"line 200\"");
    await page.locator("#search-list .result").click();
    await titled(page, "cloister");
    await sees(page, "line 200");
    await until("the bar says that all is new", async () => await bar(page).locator("#new-bar-text").textContent() === "400 new");
    const left = () => page.locator("#to-latest-text").textContent();
    equal(await left(), "400", "unread messages");
    const moved = () => page.evaluate(() => document.getElementById("log").scrollTop);
    const before = await moved();
    for (let n = 0; n < 3; n += 1) await page.locator("#log").press("PageDown");
    await until("the view has moved", async () => await moved() > before);
    equal(await left(), "400", "unread messages, further down");
    await bar(page).getByRole("button", { name: "Jump" }).click();
    await until("it leads to the first", async () => { const { line, first } = await view(page); return (line === 25 && first === "line 1") || Promise.reject(new Error(`${line} ${first}`)); });
    await until("what is in view is read", async () => Number(await left()) < 400 && Number(await left()) > 350);
    await page.context().close();
  });

  await check("where the view is led while a key still moves it, it is where it was led", async () => {
    const page = await newPage();
    await enter(page, "Milo", "attic");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "attic" }, lines(400));
    await shows(page, "attic", "dot 99+");
    // Keys, and in the same moment what leads elsewhere: a browser goes on with the first.
    const amid = async (key, then, what) => {
      await page.locator("#log").focus();
      for (let n = 0; n < 2; n += 1) await page.keyboard.press(key);
      await page.evaluate(then, what);
    };
    await say(page, "/search \"line 200\"");
    await page.locator("#search-list .result").click();
    await titled(page, "attic");
    await sees(page, "line 200");
    await amid("PageDown", () => document.getElementById("new-bar-jump").click());
    await rests(page);
    equal(JSON.stringify(await view(page)), JSON.stringify({ line: 25, first: "line 1" }), "where Jump leads");
    // To another room and back: its end is in view, and followed.
    await page.locator("#new-bar-read").click();
    await page.locator("#to-latest").click();
    await sees(page, "line 400");
    await speak(bob, "Speaker", { room_id: "porch" }, lines(100, "step"));
    await go(page, "porch");
    await bar(page).getByRole("button", { name: "Mark read" }).click();
    await page.locator("#to-latest:not([hidden])").click();
    await shows(page, "porch", "");
    await amid("PageUp", (name) => [...document.querySelectorAll("#room-list .place")].find((place) => place.textContent.includes(name)).click(), "attic");
    await rests(page);
    equal(await below(page) < 40, true, "the end of the other room is in view");
    await speak(bob, "Speaker", { room_id: "attic" }, ["one more"]);
    await until("and followed", () => page.evaluate(() => { const last = [...document.querySelectorAll("#messages .text")].at(-1); return last.textContent === "one more" && last.getBoundingClientRect().bottom <= document.getElementById("log").getBoundingClientRect().bottom; }));
    // The keyboard of a phone that opens as a room does hides nothing.
    const size = page.viewportSize();
    await go(page, "porch");
    await go(page, "attic");
    await page.setViewportSize({ ...size, height: size.height - 250 });
    await rests(page);
    equal(await below(page) < 40, true, "the end is in view above the keyboard");
    await page.setViewportSize(size);
    // The reader moves it on at once.
    await page.locator("#log").focus();
    await page.keyboard.press("PageUp");
    await until("the reader moves it", async () => await below(page) > 300);
    await page.context().close();
  });

  await check("what was said while there was no connection is new, also on a page that was in view all the time", async () => {
    const wire = await new Wire().open(server.port);
    const page = await newPage({ origin: `http://127.0.0.1:${wire.port}`, expected: isUnreachable });
    await enter(page, "Luca", "pantry");
    await speak(bob, "Zoe", { user_id: "Luca" }, ["psst"]);
    await say(page, "Off to lunch");
    await sees(page, "Off to lunch");
    await shows(page, "Zoe", "badge 1");
    for (const [place, target, said] of [["pantry", { room_id: "pantry" }, "Off to lunch"], ["Zoe", { user_id: "Luca" }, "psst"]]) {
      await go(page, place);
      await sees(page, said);
      wire.cut();
      await page.locator("#banner:not([hidden])").waitFor();
      await say(page, `Not sent before lunch, to ${place}`);
      await speak(bob, "Zoe", target, lines(400, `for ${place},`));
      wire.mend();
      await page.evaluate(() => window.dispatchEvent(new Event("online")));
      await connected(page);
      await until("the line is before the first", async () => { const { line, first } = await view(page); return (line === 25 && first === `for ${place}, 1`) || Promise.reject(new Error(`${line} ${first}`)); });
      await until("the bar says how many", async () => { const words = await page.locator("#new-bar:not([hidden]) #new-bar-text").allTextContents(); return /^400 new since/u.test(words.join()) || Promise.reject(new Error(`${place}: ${words.join()}`)); });
    }
    await page.context().close();
    wire.close();
  });

  await check("a short cut in a conversation of two, amid its unread messages, leaves them unread and leaves none out", async () => {
    const { wire, page } = await wired();
    await enter(page, "Anka", "kitchen");
    await speak(bob, "Zoe", { user_id: "Anka" }, lines(5, "old"));
    await go(page, "Zoe");
    await sees(page, "old 5");
    await shows(page, "Zoe", "");
    await go(page, "kitchen");
    await speak(bob, "Zoe", { user_id: "Anka" }, lines(300, "letter"));
    await shows(page, "Zoe", "badge 99+");
    await go(page, "Zoe");
    await until("the line is before the first", async () => (await view(page)).first === "letter 1");
    await until("some are read", async () => await left(page) < 300 && await left(page) > 250);
    await rests(page);
    const before = await left(page);
    await cut(page, wire);
    await speak(bob, "Zoe", { user_id: "Anka" }, ["one more"]);
    await mend(page, wire);
    await until("one more is counted", async () => await left(page) === before + 1 || Promise.reject(new Error(await left(page))));
    equal((await texts(page)).includes("one more"), false, "what is not next to what is shown is shown");
    // Read to the end: none is left out.
    await until("the end is there", async () => {
      await page.locator("#log").press("End");
      return (await texts(page)).at(-1) === "one more";
    });
    const said = await texts(page);
    equal(said.slice(said.indexOf("letter 100")), [...lines(300, "letter").slice(99), "one more"], "what is shown");
    await page.context().close();
    wire.close();
  });

  await check("a room that is opened, or whose end is asked for, as the connection stalls is never blank, and shows its end when that is to be had", async () => {
    const { wire, page } = await wired();
    await enter(page, "Dana", "kitchen");
    await say(page, "/join stable");
    await titled(page, "stable");
    await speak(bob, "Speaker", { room_id: "stable" }, lines(400, "horse"));
    await sees(page, "horse 400");
    const stall = async (what) => {
      await say(page, "/search \"horse 40\"");
      await page.locator("#search-list .result", { hasText: "horse 40" }).last().click();
      await sees(page, "horse 40");
      await what();
      await cut(page, wire);
      await until("what was there is there", async () => (await texts(page)).includes("horse 40"));
      equal((await page.locator("#log-start").textContent()).startsWith("This is the beginning"), false, "the beginning of the room is shown");
      await mend(page, wire);
      await until("the end is there", async () => (await texts(page)).at(-1) === "horse 400" && await below(page) < 40);
    };
    await stall(async () => {
      wire.deafen();
      await composer(page).press("Escape");
      await page.locator("#log-start", { hasText: "Loading" }).waitFor();
    });
    await stall(async () => {
      await go(page, "kitchen");
      wire.deafen();
      await go(page, "stable");
      await page.locator("#log-start", { hasText: "Loading" }).waitFor();
    });
    await page.context().close();
    wire.close();
  });

  await check("somebody who reads further up in a room or a conversation of two stays there over a cut, however much was said meanwhile", async () => {
    const { wire, page } = await wired();
    await enter(page, "Jim", "library");
    await speak(bob, "Zoe", { user_id: "Jim" }, ["hello"]);
    await shows(page, "Zoe", "badge 1");
    await go(page, "Zoe");
    await shows(page, "Zoe", "");
    await go(page, "library"); // so that there is no line when it is opened again
    for (const [place, target] of [["Zoe", { user_id: "Jim" }], ["library", { room_id: "library" }]]) {
      await go(page, place);
      await speak(bob, "Zoe", target, lines(60, "old"));
      await sees(page, "old 60");
      await until("the end is read", async () => await page.locator("#new-bar").isHidden() && await below(page) < 40 || page.locator("#to-latest").click({ timeout: 1_000 }).catch(() => {}).then(() => false));
      for (const [count, what] of [[1, "one more"], [300, "many"]]) {
        await up(page, 900);
        const message = await top(page);
        equal(await left(page), 0, "unread messages");
        await cut(page, wire);
        await speak(bob, "Zoe", target, lines(count, what));
        await mend(page, wire);
        await until(`${place}: ${count} are new`, async () => (await left(page)) === count || Promise.reject(new Error(await left(page))));
        await until("the bar says so", async () => (await bar(page).locator("#new-bar-text").textContent()).startsWith(`${count} new`));
        equal(await top(page), message, `${place}: what is at the top of the view`);
        await bar(page).getByRole("button", { name: "Jump" }).click();
        await until("the bar leads to the first", async () => (await view(page)).first === `${what} 1` || Promise.reject(new Error(JSON.stringify(await view(page)))));
        await page.locator("#new-bar-read").click({ timeout: 1_000 }).catch(() => {});
        await page.locator("#to-latest:not([hidden])").click({ timeout: 1_000 }).catch(() => {});
        await until("the end is there", async () => (await texts(page)).at(-1) === `${what} ${count}` && await below(page) < 40);
        await until("all is read", async () => (await left(page)) === 0);
      }
    }
    await page.context().close();
    wire.close();
  });

  await check("what comes while the reader is further up is behind the line, and not what was read long ago", async () => {
    const page = await newPage();
    await enter(page, "Hal", "tower");
    await speak(bob, "Speaker", { room_id: "tower" }, lines(60, "old"));
    await sees(page, "old 60");
    await shows(page, "tower", "");
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "tower" }, lines(3, "read"));
    await shows(page, "tower", "dot 3");
    await go(page, "tower");
    await until("the line is before the first", async () => (await view(page)).first === "read 1");
    await shows(page, "tower", "");
    await speak(bob, "Speaker", { room_id: "tower" }, lines(30, "seen"));
    await sees(page, "seen 30");
    await until("the end is in view", async () => await below(page) < 40);
    await up(page, 600);
    await speak(bob, "Speaker", { room_id: "tower" }, lines(40, "unread"));
    await until("the bar counts", async () => (await bar(page).locator("#new-bar-text").textContent()).startsWith("40 new since"));
    await bar(page).getByRole("button", { name: "Jump" }).click();
    await until("it leads to the first", async () => { const { line, first } = await view(page); return (line === 25 && first === "unread 1") || Promise.reject(new Error(`${line} ${first}`)); });
    await page.context().close();
  });

  await check("a room that was left elsewhere, and is gone into again where it is still on screen, has no hole", async () => {
    const page = await newPage();
    await enter(page, "Eva", "forge");
    await speak(bob, "Speaker", { room_id: "forge" }, lines(10, "before"));
    await sees(page, "before 10");
    const tab = await page.context().newPage();
    await tab.goto(`${page.origin}/#room=forge`);
    await connected(tab);
    await titled(tab, "forge");
    await say(tab, "/leave");
    await page.locator("#rejoin").waitFor();
    await speak(bob, "Speaker", { room_id: "forge" }, lines(80, "away"));
    await page.bringToFront();
    await page.locator("#rejoin").click();
    await until("the line is before the first", async () => (await view(page)).first === "away 1" || Promise.reject(new Error(JSON.stringify(await view(page)))));
    await page.locator("#to-latest").click();
    await until("all is there", async () => (await texts(page)).at(-1) === "away 80");
    equal(await texts(page), [...lines(10, "before"), ...lines(80, "away")], "messages");
    await page.context().close();
  });

  await check("a long message at the end that the reader shows whole stays where it is when somebody speaks", async () => {
    const page = await newPage();
    await enter(page, "Xia", "archive");
    const fence = "```";
    for (const [what, text] of [["Show all", lines(120, "row").join("\n")], ["Show all 28 lines", [fence, ...lines(28, "row"), fence].join("\n")]]) {
      await speak(bob, "Speaker", { room_id: "archive" }, ["before", text]);
      const more = page.getByRole("button", { name: what, exact: true });
      await more.waitFor();
      await until("the end is in view", async () => await below(page) < 40);
      await more.click();
      await until("it is whole", async () => await below(page) > 150);
      const less = page.getByRole("button", { name: "Show less", exact: true });
      if (await less.count()) {
        await less.last().click();
        await until("what is folded again is at the end, and followed", () => page.locator("#to-latest").isHidden());
        await more.click();
        await until("it is whole again", async () => await below(page) > 150);
      }
      await page.locator("#log").hover();
      await page.mouse.wheel(0, 50);
      await rests(page);
      const row = await page.evaluate(() => document.getElementById("log").scrollTop);
      await speak(bob, "Speaker", { room_id: "archive" }, [`an aside to ${what}`]);
      await sees(page, `an aside to ${what}`);
      await until("the aside is unread", async () => await left(page) === 1);
      equal(await page.evaluate(() => document.getElementById("log").scrollTop), row, "where the view is");
      await page.locator("#to-latest").click();
      await until("it is read at the end", async () => await left(page) === 0);
    }
    await page.context().close();
  });

  await check("a window that gets narrower or wider, and a phone that is turned, move no reader and read nothing", async () => {
    const long = (count, what) => lines(count, what).map((line) => `${line} ${"with words that take some room ".repeat(9)}`);
    const wide = { width: 1280, height: 800 };
    const tall = { width: 390, height: 844 };
    for (const [name, sizes] of [["Fay", [wide, { width: 560, height: 800 }, wide]], ["Roy", [tall, { width: 844, height: 390 }, tall]]]) {
      const page = await newPage({ viewport: sizes[0] });
      const room = `turning-${name}`;
      await enter(page, name, room);
      await speak(bob, "Speaker", { room_id: room }, long(45, "old"));
      await until("the end is there", async () => (await texts(page)).at(-1)?.startsWith("old 45 "));
      await until("and read", async () => await left(page) === 0 && await below(page) < 40 || page.locator("#to-latest").click({ timeout: 1_000 }).catch(() => {}).then(() => false));
      await up(page, 300);
      await speak(bob, "Speaker", { room_id: room }, long(40, "new"));
      await until("they are unread", async () => await left(page) === 40);
      const message = await top(page);
      for (const size of sizes.slice(1)) {
        await page.setViewportSize(size);
        await until("it is so wide", () => page.evaluate((width) => window.innerWidth === width, size.width));
        await rests(page);
        equal(await top(page), message, `${name}: what is at the top of the view at ${size.width} px`);
      }
      equal(await left(page), 40, `${name}: unread messages`);
      await page.context().close();
    }
  });

  await check("where the server refuses the messages at the line for now, nothing is read, and they are asked for again", async () => {
    const page = await newPage();
    let refused = 0;
    await page.routeWebSocket(/\/ws/u, (socket) => {
      const there = socket.connectToServer();
      socket.onMessage((text) => {
        const { type, id, before } = JSON.parse(text);
        if (type !== "history" || before === undefined || refused >= 2) return there.send(text);
        refused += 1;
        return socket.send(JSON.stringify({ type: "error", id, code: "backend_down", message: "not now", retry: false }));
      });
    });
    await enter(page, "Rea", "vault");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "vault" }, lines(300));
    await shows(page, "vault", "dot 99+");
    await go(page, "vault");
    await until("it was refused", () => refused === 2);
    await until("the line is before the first all the same", async () => { const { line, first } = await view(page); return (line === 25 && first === "line 1") || Promise.reject(new Error(`${line} ${first}`)); });
    if (!(Number(await page.locator("#to-latest-text").textContent()) > 250)) throw new Error(`${await page.locator("#to-latest-text").textContent()} are unread`);
    await page.context().close();
  });

  await check("who was called further back than the page holds has the badge all the same", async () => {
    const page = await newPage();
    await enter(page, "Nele", "cellar");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await until("the server has the mark", () => page.evaluate(() => Object.keys(localStorage).some((key) => /"cellar".*"porch"/u.test(localStorage[key]))));
    await page.goto("about:blank");
    await speak(bob, "Speaker", { room_id: "cellar" }, ["@Nele, look", ...lines(250), "@Nele, look again", ...lines(250)]);
    await page.goto(`${page.origin}/#room=porch`);
    await connected(page);
    await shows(page, "cellar", "badge 2");
    await until("the title counts them", async () => (await page.title()).startsWith("(2) "));
    // Further back than is looked at for one room there may be more of them: the number says so.
    await page.goto("about:blank");
    await speak(bob, "Speaker", { room_id: "cellar" }, [...lines(1_200), "@Nele, look once more", ...lines(60)]);
    await page.goto(`${page.origin}/#room=porch`);
    await connected(page);
    await shows(page, "cellar", "badge 1+");
    await until("so does the title", async () => (await page.title()).startsWith("(1+) "));
    await page.context().close();
  });

  await check("unread messages that are exactly what a page brings are read as they come into view", async () => {
    const page = await newPage();
    await enter(page, "Fifi", "gallery");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await say(page, "/join porch");
    await titled(page, "porch");
    await until("the browser has the mark", () => page.evaluate(() => Object.keys(localStorage).some((key) => /"gallery".*"porch"/u.test(localStorage[key]))));
    await page.goto("about:blank");
    await speak(bob, "Speaker", { room_id: "gallery" }, lines(50));
    await page.goto(`${page.origin}/#room=gallery`);
    await connected(page);
    await until("the line is before the first", async () => (await view(page)).first === "line 1");
    await until("what is in view is read", async () => { const left = Number(await page.locator("#to-latest-text").textContent()); return (left > 0 && left < 45) || Promise.reject(new Error(`${left} are unread`)); });
    await page.context().close();
  });

  await check("edits, deletions and reactions are not counted as messages", async () => {
    const page = await newPage();
    await enter(page, "Nora", "attic");
    await say(page, "A first one");
    await sees(page, "A first one");
    await say(page, "/join cellar");
    await titled(page, "cellar");
    await bob.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const salon = window.acting = new SalonClient({ url, user: "Actor" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      const { seq: last } = await salon.join("attic");
      const say = (content) => new Promise((resolve) => { salon.on("sent", ({ seq }) => resolve(seq)); salon.say("attic", content); });
      await salon.react({ room_id: "attic" }, last, "👍", true);
      const seq = await say("Mine");
      await salon.edit({ room_id: "attic" }, seq, "Mine, better");
      await salon.react({ room_id: "attic" }, seq, "🎉", true);
      window.mine = seq;
    }, `ws://127.0.0.1:${server.port}/ws`);
    await shows(page, "attic", "dot 1");
    await page.reload();
    await connected(page);
    await shows(page, "attic", "dot 1");
    await bob.evaluate(() => window.acting.delete({ room_id: "attic" }, window.mine));
    await shows(page, "attic", "");
    await bob.evaluate(() => window.acting.close());
    await page.context().close();
  });

  await check("a room that the reader goes into and reads on one device is there on the other", async () => {
    const here = await newPage();
    await enter(here, "Twain", "kitchen");
    const there = await newPage();
    await comeAgain(there, "Twain", "kitchen");
    equal(await roomsOf(there), ["kitchen"], "rooms before");
    await speak(bob, "Speaker", { room_id: "river" }, ["one", "two"]);
    await say(here, "/join river");
    await titled(here, "river");
    await say(here, "three");
    await sees(here, "three");
    await until("the room is there", async () => (await roomsOf(there)).join() === "kitchen,river" || Promise.reject(new Error(await roomsOf(there))));
    await shows(there, "river", "");
    await titled(there, "kitchen");
    for (const page of [here, there]) await page.context().close();
  });

  await check("a second device has the rooms, with what is unread in them, but for those that were left on it", async () => {
    const page = await newPage();
    await enter(page, "Nomad", "kitchen");
    for (const room of ["harbour", "market"]) {
      await say(page, `/join ${room}`);
      await titled(page, room);
      await say(page, `here in the ${room}`);
      await sees(page, `here in the ${room}`);
    }
    await go(page, "kitchen");
    await speak(bob, "Speaker", { room_id: "harbour" }, ["one", "two"]);
    const second = await newPage();
    await comeAgain(second, "Nomad", "kitchen");
    await until("the rooms are there", async () => (await roomsOf(second)).join() === "harbour,kitchen,market" || Promise.reject(new Error(await roomsOf(second))));
    await shows(second, "harbour", "dot 2");
    await shows(second, "market", "");
    await say(second, "/leave market");
    await until("it is left", async () => (await roomsOf(second)).join() === "harbour,kitchen");
    await second.reload();
    await connected(second);
    await shows(second, "harbour", "dot 2");
    equal(await roomsOf(second), ["harbour", "kitchen"], "rooms after a reload");
    // One that nothing had been said in is there once something has been read in it.
    await say(page, "/join shed");
    await titled(page, "shed");
    await go(page, "kitchen");
    await speak(bob, "Speaker", { room_id: "shed" }, ["@Nomad first"]);
    await shows(page, "shed", "badge 1");
    await go(page, "shed");
    await until("the room is there", async () => (await roomsOf(second)).join() === "harbour,kitchen,shed" || Promise.reject(new Error(await roomsOf(second))));
    await second.context().close();
    await page.context().close();
  });

  await check("mentions have a badge of their own, the rest a dot; the title counts mentions and direct messages", async () => {
    const page = await newPage();
    await enter(page, "Otto", "kitchen");
    await say(page, "/join loft");
    await titled(page, "loft");
    await speak(bob, "Speaker", { room_id: "kitchen" }, ["one", "two", "@Otto three"]);
    await shows(page, "kitchen", "badge 1");
    await speak(bob, "Speaker", { user_id: "Otto" }, ["four"]);
    await until("the title counts two", async () => (await page.title()).startsWith("(2) "));
    await page.screenshot({ path: path.join(pictures, "unread.png") });
    await go(page, "kitchen");
    await until("one is left", async () => (await page.title()).startsWith("(1) "));
    await page.context().close();
  });

  await check("a call in the open room, further down than the view, is counted until it is seen, also after a reload", async () => {
    const page = await newPage();
    await enter(page, "Below", "cave");
    await speak(bob, "Speaker", { room_id: "cave" }, Array.from({ length: 60 }, (_, n) => `before ${n}`));
    await sees(page, "before 59");
    await page.locator("#log").focus();
    await page.keyboard.press("Home");
    await page.locator("#to-latest").waitFor();
    await speak(bob, "Speaker", { room_id: "cave" }, [...Array.from({ length: 40 }, (_, n) => `behind ${n}`), "@Below come down"]);
    const isCounted = async () => {
      await shows(page, "cave", "badge 1");
      await until("the title counts it", async () => (await page.title()).startsWith("(1) "));
      await page.locator("#new-bar").waitFor();
    };
    await isCounted();
    await page.reload();
    await connected(page);
    await isCounted();
    await page.locator("#to-latest").click();
    await shows(page, "cave", "");
    await until("the title forgets", async () => (await page.title()).startsWith("cave"));
    await page.context().close();
  });

  await check("the bar of what is new covers no heading of a room", async () => {
    for (const width of [1280, 360]) {
      const page = await newPage({ viewport: { width, height: 740 } });
      await enter(page, `Reader ${width}`, `hall-${width}`);
      await say(page, "/join loft");
      await titled(page, "loft");
      await speak(bob, "Speaker", { room_id: `hall-${width}` }, Array.from({ length: 60 }, (_, n) => `new ${n}`));
      await page.evaluate((room) => { location.hash = `#room=${room}`; }, `hall-${width}`);
      await titled(page, `hall-${width}`);
      await page.locator("#new-bar").waitFor();
      await until("the heading is below the bar", () => page.evaluate(() => {
        document.getElementById("log").scrollTop = 0;
        const [bar, heading] = ["#new-bar", "#log-start .hello-icon"].map((what) => document.querySelector(what)?.getBoundingClientRect());
        return bar.height > 0 && heading?.top >= bar.bottom;
      }));
      await page.context().close();
    }
  });

  await check("what is muted calls nobody but by their name in a room, in all tabs and after a reload", async () => {
    const page = await newPage({ permissions: ["notifications"] });
    await page.addInitScript(() => {
      window.told = [];
      window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted"; constructor(title, { body }) { window.told.push(`${title}: ${body}`); } close() {} };
    });
    await enter(page, "Serena", "kitchen");
    await page.getByRole("button", { name: "Notifications" }).click();
    for (const place of ["/join loud", "/msg Zoe"]) {
      await say(page, place);
      await titled(page, place.split(" ")[1]);
    }
    const mute = page.locator("#mute"); // beside the people, of whom there is no column for two
    await page.locator("#title").click();
    await page.locator("#place-menu").getByRole("button", { name: /^Mute this/ }).click();
    await until("the button for a conversation is pressed", async () => (await mute.getAttribute("aria-pressed")) === "true");
    await go(page, "loud");
    await until("the button for a room is not", async () => (await mute.getAttribute("aria-pressed")) === "false");
    await say(page, "/mute");
    await until("it is muted", async () => (await mute.getAttribute("aria-pressed")) === "true");
    await go(page, "kitchen");
    await focus(page, false);
    await speak(bob, "Zoe", { room_id: "loud" }, ["one", "two"]);
    await speak(bob, "Zoe", { user_id: "Serena" }, ["psst"]);
    await speak(bob, "Zoe", { room_id: "loud" }, ["@Serena three"]);
    await shows(page, "loud", "badge 1");
    await shows(page, "Zoe", "");
    equal(await page.evaluate(() => window.told), ["Zoe in loud: @Serena three"], "what was told");
    equal((await page.title()).startsWith("(1) "), true, await page.title());
    await focus(page, true);
    await page.reload();
    await connected(page);
    await shows(page, "loud", "badge 1");
    await shows(page, "Zoe", "");
    const tab = await page.context().newPage();
    await tab.goto(`${page.origin}/#room=kitchen`);
    await connected(tab);
    await shows(tab, "Zoe", "");
    await go(tab, "Zoe");
    await say(tab, "/mute");
    await go(tab, "kitchen");
    await speak(bob, "Zoe", { user_id: "Serena" }, ["psst!"]);
    await shows(page, "Zoe", "badge 1");
    await page.context().close();
  });

  await check("@room calls everybody: it is proposed, marked, counted and told, unless the room is muted, as long as it stands", async () => {
    const page = await newPage({ permissions: ["notifications"] });
    await page.addInitScript(() => {
      window.told = [];
      window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted"; constructor(title, { body }) { window.told.push(`${title}: ${body}`); } close() {} };
    });
    await enter(page, "Rosa", "parlour");
    await page.getByRole("button", { name: "Notifications" }).click();
    await say(page, "/join annex");
    await titled(page, "annex");
    const ann = await newPage();
    await enter(ann, "Ann", "parlour");
    await until("Rosa is here", async () => (await members(ann)).includes("Rosa"));
    await composer(ann).pressSequentially("@ro");
    const proposals = () => ann.locator("#suggestions:not([hidden]) .suggestion").allTextContents();
    await until("the room is proposed behind the people", async () => (await proposals()).join() === "Rosa,roomcalls all 2 who are here" || Promise.reject(new Error((await proposals()).join())));
    await ann.keyboard.type("om: tea");
    await ann.keyboard.press("Enter");
    await ann.locator("#messages .call.called", { hasText: "@room" }).waitFor();
    await shows(page, "parlour", "badge 1");
    await until("the title counts it", async () => (await page.title()).startsWith("(1) "));
    await focus(page, false);
    await say(ann, "and `@room` in code, or rooms, call nobody");
    await say(ann, "@room: cake");
    await until("it is told", async () => (await page.evaluate(() => window.told)).join() === "Ann in parlour: @room: cake");
    await shows(page, "parlour", "badge 2");
    // An edit takes the call away, and tells nobody of another one.
    await sees(ann, "@room: cake");
    await composer(ann).press("ArrowUp");
    await composer(ann).fill("cake");
    await ann.keyboard.press("Enter");
    await shows(page, "parlour", "badge 1");
    await sees(ann, "cake");
    await composer(ann).press("ArrowUp");
    await composer(ann).fill("@Room, cake!");
    await ann.keyboard.press("Enter");
    await shows(page, "parlour", "badge 2");
    await sees(ann, "@Room, cake!");
    equal(await page.evaluate(() => window.told), ["Ann in parlour: @room: cake"], "what was told");
    await focus(page, true);
    await page.reload();
    await connected(page);
    await shows(page, "parlour", "badge 2");
    await go(page, "parlour");
    await until("two are marked", async () => (await page.locator("#messages > li.mention").count()) === 2);
    equal(await page.locator("#messages > li.mention .call.called").allTextContents(), ["@room", "@Room"], "what is marked");
    await shows(page, "parlour", "");
    // Somebody who has muted the room is called by name alone.
    await say(page, "/mute");
    await go(page, "annex");
    await focus(page, false);
    await say(ann, "@room: more");
    await say(ann, "@Rosa: more");
    await shows(page, "parlour", "badge 1");
    equal(await page.evaluate(() => window.told), ["Ann in parlour: @Rosa: more"], "what was told since");
    for (const one of [page, ann]) await one.context().close();
  });

  await check("in a browser that keeps nothing what is muted stays so for as long as the page is there; who is muted is not read aloud", async () => {
    const page = await newPage();
    await enter(page, "Serene", "kitchen");
    await page.evaluate(() => { Storage.prototype.setItem = () => { throw new DOMException("no", "SecurityError"); }; });
    for (const name of ["Zoe", "Yan"]) {
      await say(page, `/msg ${name}`);
      await titled(page, name);
      await say(page, "/mute");
    }
    const mute = page.locator("#mute");
    for (const name of ["Zoe", "Yan"]) {
      await go(page, name);
      await until(`${name} is muted`, async () => (await mute.getAttribute("aria-pressed")) === "true");
    }
    await go(page, "kitchen");
    for (const name of ["Xia", "Zoe"]) await speak(bob, name, { user_id: "Serene" }, ["psst"]);
    await shows(page, "Xia", "badge 1");
    await go(page, "Zoe");
    await sees(page, "psst");
    equal(await page.locator("#announcer").textContent(), "New message from Xia", "what is read aloud");
    await page.context().close();
  });

  await check("“Mark unread from here” stays, over a look elsewhere and over a reload", async () => {
    const page = await newPage();
    await enter(page, "Paul", "study");
    await say(page, "/join den");
    await titled(page, "den");
    await speak(bob, "Speaker", { room_id: "study" }, lines(6, "page"));
    await go(page, "study");
    await sees(page, "page 6");
    await shows(page, "study", "");
    await page.locator("#messages > li.message", { hasText: "page 4" }).hover();
    await page.locator("#bar-more").click();
    await page.getByRole("button", { name: "Mark unread from here" }).click();
    await shows(page, "study", "dot 3");
    await go(page, "den");
    await shows(page, "study", "dot 3");
    await page.reload();
    await connected(page);
    await shows(page, "study", "dot 3");
    await go(page, "study");
    await until("the line is there", async () => (await view(page)).first === "page 4");
    await shows(page, "study", "");
    await page.context().close();
  });

  await check("a window that is seen without having the focus tells of a direct message, and reads nothing", async () => {
    const page = await newPage({ permissions: ["notifications"] });
    await page.addInitScript(() => {
      window.told = [];
      window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted"; constructor(title, { body }) { window.told.push(`${title}: ${body}`); } close() {} };
    });
    await enter(page, "Quinn", "kitchen");
    await page.getByRole("button", { name: "Notifications" }).click();
    await focus(page, false);
    await speak(bob, "Zoe", { user_id: "Quinn" }, ["Are you there?"]);
    await until("it is told", async () => (await page.evaluate(() => window.told)).join() === "Zoe: Are you there?");
    await go(page, "Zoe");
    await shows(page, "Zoe", "badge 1");
    await focus(page, true);
    await shows(page, "Zoe", "");
    await page.context().close();
  });
});
