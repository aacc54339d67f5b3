/**
 * Two people, and sometimes three, meet in the chat page, in browser contexts that share nothing, and everything that
 * may go wrong between them does. `node two_people.mjs SALON_BINARY`; see run.sh.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { audit, begin, comeAgain, connected, enter, hide, isSerious, isUnreachable, members, newPage as openPage, say, sees, texts, titled } from "./browser.mjs";
import { Server, Wire, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort());
const unlimited = new Server(process.argv[2], await freePort(), "--rate", "off"); // for floods
const { browser, pictures, run } = await begin(server, unlimited);
const wire = await new Wire().open(server.port);

// Only a refused connection while we keep the server away is expected.
let serverAway = false;
const expected = (text) => serverAway && isUnreachable(text);
const newPage = ({ port = server.port, ...options } = {}) => openPage(browser, { origin: `http://127.0.0.1:${port}`, expected, ...options });
/** Waits until the log of each page is exactly this, from `after` on. */
const agree = async (pages, expected, after = 0) => {
  for (const page of pages) {
    await until(`the log is ${JSON.stringify(expected)}`, async () => {
      const found = (await texts(page)).slice(after);
      return JSON.stringify(found) === JSON.stringify(expected) || Promise.reject(new Error(JSON.stringify(found)));
    });
  }
};
const times = async (page, text) => (await texts(page)).filter((t) => t === text).length;
/** What the browser says about a page that nobody looks at; `false` brings the reader back. */

const ada = await newPage({ port: wire.port });
const linus = await newPage();
const ROOM = "the kitchen";

await run(async () => {
  await check("a name that the server would refuse is refused at the door, in words", async () => {
    await linus.goto(`${linus.origin}/`);
    await linus.locator("#door-name").fill("\u202Esunil");
    await linus.getByRole("button", { name: "Enter" }).click();
    await until("the problem is named", async () => (await linus.locator("#door-problem").textContent()).includes("direction"));
  });

  await check("two people choose names and come into one room", async () => {
    await enter(ada, "Ada Lovelace", ROOM);
    await enter(linus, "Linus", ROOM);
    equal(await ada.locator("#title bdi").textContent(), ROOM, "the title");
  });

  await check("each sees the other in the list of people", async () => {
    for (const page of [ada, linus]) {
      await until("both are listed", async () => (await members(page)).sort().join() === "Ada Lovelace,Linus");
    }
  });

  await check("they talk both ways, and each message is there once", async () => {
    await say(ada, "Is the kettle on?");
    await sees(linus, "Is the kettle on?");
    await say(linus, "It is.\nTwo minutes.");
    await sees(ada, "It is.\nTwo minutes.");
    await agree([ada, linus], ["Is the kettle on?", "It is.\nTwo minutes."]);
    await until("nothing is pending", async () => await ada.locator(".pending").count() === 0);
  });

  await check("Shift+Enter begins a new line and sends nothing", async () => {
    const input = ada.locator("#composer-input");
    await input.focus();
    await ada.keyboard.type("one");
    await ada.keyboard.press("Shift+Enter");
    await ada.keyboard.type("two");
    equal(await input.inputValue(), "one\ntwo", "the composer");
    equal(await ada.locator("#messages > li.message").count(), 2, "messages");
    await input.fill("");
  });

  await check("typing is seen, and ends with the message", async () => {
    await linus.locator("#composer-input").pressSequentially("Milk?");
    await until("Ada sees it", async () => (await ada.locator("#typing").textContent()).includes("Linus is typing"));
    await linus.keyboard.press("Enter");
    await sees(ada, "Milk?");
    await until("it is over", async () => (await ada.locator("#typing").textContent()) === "");
  });

  await check("a direct message makes an unread entry, and opening it reads it", async () => {
    await linus.locator(".member", { hasText: "Ada Lovelace" }).click();
    await until("the conversation is open", async () => (await linus.locator("#title bdi").textContent()) === "Ada Lovelace");
    await say(linus, "Just between us: the biscuits are hidden.");
    await sees(linus, "Just between us: the biscuits are hidden.");
    const entry = ada.locator("#person-list .place", { hasText: "Linus" });
    await until("the badge counts one", async () => (await entry.locator(".badge").textContent()).startsWith("1"));
    await agree([ada], ["Is the kettle on?", "It is.\nTwo minutes.", "Milk?"]); // the room does not hear it
    await entry.click();
    await sees(ada, "Just between us: the biscuits are hidden.");
    await until("the badge is gone", async () => await entry.locator(".badge").count() === 0);
    await say(ada, "Top shelf?");
    await agree([ada, linus], ["Just between us: the biscuits are hidden.", "Top shelf?"]);
    for (const page of [ada, linus]) await page.locator("#room-list .place", { hasText: ROOM }).click();
    for (const page of [ada, linus]) await sees(page, "Milk?");
  });

  await check("markup in texts, names and rooms is text", async () => {
    const nasty = ["<img src=x onerror=\"document.title='owned'\">", "<script>document.title='owned'</script>", "<b>bold</b> &amp; [x](javascript:alert(1)) javascript:alert(1)"];
    const mallory = await newPage();
    await enter(mallory, "<img src=x onerror=alert(1)>", ROOM);
    for (const text of nasty) await say(mallory, text);
    for (const page of [ada, linus]) {
      for (const text of nasty) await sees(page, text);
      await until("the name is listed as it is", async () => (await members(page)).includes("<img src=x onerror=alert(1)>"));
      equal(await page.evaluate(() => document.querySelectorAll("#app img:not([src='icon.svg']), #app script, #messages b, #messages a").length), 0, "elements made from text");
    }
    await mallory.goto(`${mallory.origin}/#${new URLSearchParams({ room: "<u>attic</u>" })}`);
    await mallory.reload();
    await connected(mallory);
    equal(await mallory.locator("#title bdi").textContent(), "<u>attic</u>", "the title");
    equal(await mallory.locator("u").count(), 0, "elements made from the room's name");
    await mallory.context().close();
  });

  await check("http and https addresses become links that are safe to follow, nothing else does", async () => {
    await say(ada, "See https://example.org/tea_(drink)?a=1&b=2, or (http://example.org/x). ftp://example.org stays.");
    await sees(linus, "See https://example.org/tea_(drink)?a=1&b=2, or (http://example.org/x). ftp://example.org stays.");
    const links = await linus.locator("#messages a").evaluateAll((all) => all.map((a) => [a.textContent, a.href, a.rel, a.target]));
    equal(links, [
      ["https://example.org/tea_(drink)?a=1&b=2", "https://example.org/tea_(drink)?a=1&b=2", "noopener noreferrer", "_blank"],
      ["http://example.org/x", "http://example.org/x", "noopener noreferrer", "_blank"],
    ], "the links");
  });

  await check("a third person who comes later reads what was said", async () => {
    const grace = await newPage();
    await enter(grace, "Grace", ROOM);
    await agree([grace], await texts(linus));
    await until("the others see Grace", async () => (await members(ada)).includes("Grace"));
    await grace.context().close();
    await until("and see her leave", async () => !(await members(ada)).includes("Grace"));
  });

  await check("three people talk at once: each sees who types, and all see the same in the same order", async () => {
    const grace = await newPage();
    await enter(grace, "Grace", ROOM);
    // Before that nobody hears of what she types.
    await until("Grace is in the room", async () => (await members(grace)).includes("Grace"));
    const before = (await texts(linus)).length;
    const linusTypes = linus.locator("#composer-input").pressSequentially("l");
    await Promise.all([linusTypes, grace.locator("#composer-input").pressSequentially("g")]);
    await until("Ada sees two of them type", async () => /(Linus and Grace|Grace and Linus) are typing/.test(await ada.locator("#typing").textContent()));
    const speakers = { "Ada Lovelace": ada, Linus: linus, Grace: grace };
    await Promise.all(Object.entries(speakers).map(async ([name, page]) => {
      for (let i = 1; i <= 8; i += 1) await say(page, `${name} says ${i}`);
    }));
    for (const page of Object.values(speakers)) {
      await until("all of it arrived", async () => (await texts(page)).length >= 24 && await page.locator(".pending").count() === 0 && (await texts(page)).filter((text) => / says \d$/.test(text)).length === 24);
    }
    const heard = (await texts(linus)).slice(before);
    equal([...heard].sort(), Object.keys(speakers).flatMap((name) => Array.from({ length: 8 }, (_, i) => `${name} says ${i + 1}`)).sort(), "what was said");
    for (const name of Object.keys(speakers)) equal(heard.filter((text) => text.startsWith(name)), Array.from({ length: 8 }, (_, i) => `${name} says ${i + 1}`), `the order of ${name}`);
    await agree([ada], heard, before);
    equal((await texts(grace)).slice(-24), heard, "what Grace sees");
    await grace.context().close();
    await until("Grace has left", async () => !(await members(ada)).includes("Grace"));
  });

  await check("a cut wire: what is said meanwhile on both sides arrives once and in order", async () => {
    const before = (await texts(linus)).length;
    serverAway = true;
    wire.cut();
    await ada.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await say(ada, "Said into the void, 1");
    await say(ada, "Said into the void, 2");
    await until("they wait", async () => await ada.locator(".pending").count() === 2);
    await say(linus, "Ada? You are gone.");
    await sees(linus, "Ada? You are gone.");
    wire.mend();
    await connected(ada);
    serverAway = false;
    await sees(linus, "Said into the void, 2");
    await until("nothing is pending", async () => await ada.locator(".pending").count() === 0);
    const expected = ["Ada? You are gone.", "Said into the void, 1", "Said into the void, 2"];
    await agree([ada, linus], expected, before);
  });

  await check("a message that arrived but whose echo was lost is not said twice", async () => {
    serverAway = true;
    wire.deafen();
    await say(ada, "Heard, but unanswered");
    await sees(linus, "Heard, but unanswered");
    await until("it is pending", async () => await ada.locator(".pending").count() === 1);
    wire.cut();
    await ada.locator("#banner:not([hidden])").waitFor();
    wire.mend();
    await connected(ada);
    serverAway = false;
    await until("it is confirmed", async () => await ada.locator(".pending").count() === 0);
    await say(ada, "And on we go");
    await sees(linus, "And on we go");
    await agree([ada], await texts(linus));
    for (const page of [ada, linus]) equal(await times(page, "Heard, but unanswered"), 1, "copies");
  });

  await check("a direct message whose echo was lost is not said twice either, and what came meanwhile is there", async () => {
    await ada.locator("#person-list .place", { hasText: "Linus" }).click();
    await linus.locator("#person-list .place", { hasText: "Ada Lovelace" }).click();
    await sees(ada, "Top shelf?");
    serverAway = true;
    wire.deafen();
    await say(ada, "Found them");
    await sees(linus, "Found them");
    wire.cut();
    await ada.locator("#banner:not([hidden])").waitFor();
    await say(linus, "Oh no");
    await say(ada, "Sorry");
    wire.mend();
    await connected(ada);
    serverAway = false;
    await sees(linus, "Sorry");
    await until("nothing is pending", async () => await ada.locator(".pending").count() === 0);
    await agree([ada, linus], ["Just between us: the biscuits are hidden.", "Top shelf?", "Found them", "Oh no", "Sorry"]);
    for (const page of [ada, linus]) await page.locator("#room-list .place", { hasText: ROOM }).click();
    for (const page of [ada, linus]) await sees(page, "And on we go");
  });

  await check("a reload comes back to the same room under the same name, with every message once", async () => {
    const before = await texts(linus);
    await linus.reload();
    await connected(linus);
    await agree([linus], before);
    equal(await linus.locator("#me-name").textContent(), "Linus", "the name");
  });

  await check("one person on two devices: both show everything once, and nobody sees two people", async () => {
    const tablet = await newPage();
    await comeAgain(tablet, "Linus", ROOM);
    await say(tablet, "From the other device");
    for (const page of [ada, linus, tablet]) await sees(page, "From the other device");
    await say(linus, "And from this one");
    for (const page of [ada, linus, tablet]) await sees(page, "And from this one");
    await agree([linus, tablet], await texts(ada));
    for (const page of [ada, linus, tablet]) {
      equal(await times(page, "From the other device"), 1, "copies");
      equal((await members(page)).filter((name) => name === "Linus").length, 1, "entries in the list of people");
    }
    await tablet.context().close();
  });

  await check("a wire that has gone silent is noticed without the help of the network", async () => {
    serverAway = true;
    wire.deafen();
    // Otherwise it is noticed a ping interval later.
    await ada.evaluate(() => window.dispatchEvent(new Event("offline")));
    await ada.locator("#banner:not([hidden])").waitFor();
    wire.cut();
    wire.mend();
    await connected(ada);
    serverAway = false;
    await say(linus, "There you are");
    await sees(ada, "There you are");
    equal(await times(ada, "There you are"), 1, "copies");
  });

  await check("“Try now” does not wait for the next attempt", async () => {
    serverAway = true;
    wire.cut();
    await ada.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    // Nobody knows now how people are: neither their list, nor the head of a conversation, nor somebody's card says so.
    const seen = (selector) => ada.locator(selector).evaluateAll((all) => all.map((node) => getComputedStyle(node).visibility).join());
    equal(await seen("#members .status-words"), "hidden,hidden", "in the list");
    await ada.evaluate(() => { location.hash = "#with=Linus"; });
    await until("the words are those of a person", async () => (await ada.locator("#topic.status-words").textContent()) === "online");
    equal(await seen("#topic"), "hidden", "in the head");
    await ada.evaluate((room) => { location.hash = `#${new URLSearchParams({ room })}`; }, ROOM);
    await titled(ada, ROOM);
    wire.mend();
    // Either the button or the timer is first; both must end connected.
    await ada.locator("#try-now").click({ timeout: 2_000 }).catch(() => {});
    await connected(ada);
    await until("the banner is gone", async () => await ada.locator("#banner").isHidden());
    await until("it is said again how people are", async () => (await seen("#members .status-words")) === "visible,visible");
    serverAway = false;
  });

  await check("a long cut: all that was said meanwhile comes, many times what is sent at once", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Long Away", "long");
    const crowd = await newPage();
    await crowd.goto(`${crowd.origin}/`);
    const MESSAGES = 35; // as many as may be said at once, of 15,000 characters
    serverAway = true;
    wire.cut();
    await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await crowd.evaluate(({ url, messages }) => new Promise((resolve, reject) => {
      const speaker = new WebSocket(url);
      let echoed = 0;
      speaker.onopen = () => { for (let n = 1; n <= messages; n += 1) speaker.send(`long ${n} ${"x".repeat(15_000)}`); };
      speaker.onmessage = ({ data }) => { if (JSON.parse(data).type === "chat" && (echoed += 1) === messages) resolve(); };
      speaker.onclose = ({ code }) => reject(new Error(`closed with ${code} after ${echoed} messages`));
    }), { url: `ws://127.0.0.1:${server.port}/ws/long?username=Speaker`, messages: MESSAGES });
    wire.mend();
    for (const away of [page, ada]) await connected(away);
    serverAway = false;
    await until("the last of them is shown", async () => (await texts(page)).at(-1)?.startsWith(`long ${MESSAGES} `));
    equal(await page.locator("#messages > .gap").count(), 0, "holes");
    const seqs = await page.locator("#messages > li.message").evaluateAll((all) => all.map((li) => Number(li.dataset.seq)));
    equal(seqs.join(), Array.from({ length: MESSAGES }, (_, n) => n + 1).join(), "numbers");
    for (const done of [page, crowd]) await done.context().close();
  });

  await check("the server is killed and started again: both say so, come back and talk", async () => {
    serverAway = true;
    await server.kill();
    for (const page of [ada, linus]) await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await say(linus, "Written while the server was down");
    await server.start();
    for (const page of [ada, linus]) await connected(page);
    serverAway = false;
    await sees(ada, "Written while the server was down");
    await say(ada, "Back again");
    await sees(linus, "Back again");
    await sees(ada, "Back again");
    for (const page of [ada, linus]) {
      // What is kept in memory ended with the server.
      await page.locator("#messages > .gap", { hasText: "new history" }).waitFor();
      equal(await times(page, "Back again"), 1, "copies");
      equal(await times(page, "Is the kettle on?"), 1, "what was said before is still on the page");
      await until("both are listed", async () => (await members(page)).sort().join() === "Ada Lovelace,Linus");
    }
  });

  await check("close codes: 4010 ends it in words, 4200 comes back at once, 1012 after the time the server named", async () => {
    const page = await newPage();
    const visits = [];
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      visits.push({ socket, at: Date.now() });
      socket.send(JSON.stringify({ type: "welcome", user_id: "Visitor", session_id: "s", limits: {}, ping_interval_ms: 25_000 }));
    });
    // A person who has been here is asked nothing.
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Visitor")));
    await page.goto(`${page.origin}/#${new URLSearchParams({ room: ROOM })}`);
    await connected(page);
    // What the banner says is gone when the next connection stands.
    await page.evaluate(() => {
      window.told = [];
      new MutationObserver(() => window.told.push(document.getElementById("banner-text").textContent)).observe(document.getElementById("banner-text"), { childList: true });
    });
    await visits[0].socket.close({ code: 4200, reason: "" });
    await until("a second visit", () => visits.length === 2);
    await connected(page);
    visits[1].socket.send(JSON.stringify({ type: "goodbye", reason: "restarting", reconnect: true, after_ms: 1_000 }));
    const closedAt = Date.now();
    await visits[1].socket.close({ code: 1012, reason: "" });
    await until("the banner has said so", () => page.evaluate(() => window.told.some((text) => text.includes("restarting"))));
    await until("a third visit", () => visits.length === 3);
    if (visits[2].at - closedAt < 1_000) throw new Error(`it came back after ${visits[2].at - closedAt} ms`);
    await connected(page);
    await visits[2].socket.close({ code: 4010, reason: "" });
    await page.locator("#app[data-connection=closed]").waitFor();
    await until("the page says why", async () => (await page.locator("#ended-title").textContent()).includes("removed by a moderator"));
    await page.getByRole("button", { name: "Come back" }).click();
    await connected(page);
    equal(visits.length, 4, "connections");
    await page.context().close();
  });

  await check("the title of a hidden page marks that there is more, and counts what calls its reader", async () => {
    await hide(ada, true);
    await say(linus, "Anybody?");
    await until("the title marks it", async () => (await ada.title()).startsWith("• "));
    await say(linus, "@Ada Lovelace, you?");
    await until("the title counts", async () => (await ada.title()).startsWith("(1) "));
    await hide(ada, false);
    await until("and forgets", async () => !/^[(•]/.test(await ada.title()));
  });

  await check("the keyboard alone: from the name to a sent message, a person, and back", async () => {
    const page = await newPage();
    await page.goto(`${page.origin}/#${new URLSearchParams({ room: ROOM })}`);
    await until("the name has the focus", () => page.evaluate(() => document.activeElement.id === "door-name"));
    await page.keyboard.type("Margaret");
    await page.keyboard.press("Enter");
    await connected(page);
    await until("the composer has the focus", () => page.evaluate(() => document.activeElement.id === "composer-input"));
    await page.keyboard.type("Typed without a mouse");
    await page.keyboard.press("Enter");
    await sees(linus, "Typed without a mouse");
    await until("the people are listed", async () => (await members(page)).includes("Linus"));
    const reach = async (what, selector) => {
      for (let i = 0; i < 40; i += 1) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((s) => document.activeElement.matches(s), selector)) {
          const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
          if (outline === "none") throw new Error(`the focus on ${what} cannot be seen`);
          return;
        }
      }
      throw new Error(`Tab does not reach ${what}`);
    };
    await reach("the people", "#members .member");
    await page.keyboard.press("Enter");
    await until("a direct conversation opened", async () => (await page.locator("#composer-label").textContent()).startsWith("Message to ") && await page.evaluate(() => document.activeElement.id === "composer-input"));
    await reach("the rooms", "#room-list .place");
    await page.keyboard.press("Enter");
    await until("the room is back", async () => (await page.locator("#title bdi").textContent()) === ROOM);
    await page.setViewportSize({ width: 360, height: 740 });
    await page.locator("#open-places").focus();
    await page.keyboard.press("Enter");
    await page.locator("#app[data-drawer=places]").waitFor();
    await page.keyboard.press("Escape");
    await until("Escape closed the drawer and the focus is back", () => page.evaluate(() => !document.getElementById("app").dataset.drawer && document.activeElement.id === "open-places"));
    await page.context().close();
  });

  await check("commands by keyboard: /join, /msg, /status, /leave and their suggestions", async () => {
    const page = await newPage();
    await enter(page, "Dorothy", ROOM);
    const input = page.locator("#composer-input");
    const options = () => page.locator("#suggestions:not([hidden]) [role=option]").count();
    const problem = (words) => until(`the problem says “${words}”`, async () => (await page.locator("#composer-problem").textContent()).includes(words));
    const title = (name) => until(`the title is ${name}`, async () => (await page.locator("#title bdi").textContent()) === name);
    await input.focus();

    await page.keyboard.type("/");
    await until("all commands are listed", async () => await options() === 12);
    equal(await page.locator("#suggestions [aria-selected=true]").getAttribute("id"), await input.getAttribute("aria-activedescendant"), "the active option");
    await page.keyboard.press("ArrowDown");
    equal(await page.locator("#suggestions [aria-selected=true] bdi").textContent(), "/leave [ROOM]", "the chosen command");
    await page.keyboard.press("Escape");
    equal(await options(), 0, "options after Escape");
    equal(await input.inputValue(), "/", "what was written");
    await page.keyboard.type("jo");
    await until("one is left", async () => await options() === 1);
    await page.keyboard.press("Enter");
    equal(await input.inputValue(), "/join ", "the completed command");
    await page.keyboard.type("the attic");
    await page.keyboard.press("Enter");
    await title("the attic");
    equal(await input.inputValue(), "", "the composer");

    await say(page, "/msg \"Ada Lovelace\" Are you in?");
    await title("Ada Lovelace");
    await sees(page, "Are you in?");
    await ada.locator("#person-list .place", { hasText: "Dorothy" }).click();
    await agree([ada], ["Are you in?"]);
    await input.focus();
    await page.keyboard.type("/msg ad");
    await until("a name is proposed", async () => await options() === 1);
    await page.keyboard.press("Tab");
    equal(await input.inputValue(), "/msg \"Ada Lovelace\" ", "the completed name");
    await input.fill("");

    await say(page, "/status away back at five");
    await ada.locator("#title .presence.away").waitFor();
    equal(await ada.locator("#topic").textContent(), "back at five", "the note");
    equal(await page.locator("#me-status").inputValue(), "away", "the field");
    await input.pressSequentially("/sta");
    for (const option of ["/status", "busy"]) await page.locator("#suggestions [role=option]", { hasText: option }).click();
    equal(await input.inputValue(), "/status busy ", "what the mouse chose");
    equal(await page.evaluate(() => document.activeElement.id), "composer-input", "the focus");
    await page.keyboard.press("Enter");
    await ada.locator("#title .presence.busy").waitFor();
    await say(page, "/status sleepy");
    await problem("“sleepy” is no status");
    await say(page, "/status invisible");
    await ada.locator("#title .presence.offline").waitFor();
    await say(page, "/status online");
    await ada.locator("#title .presence:not(.offline):not(.away)").waitFor();

    await say(page, "/leave nowhere");
    await problem("not in the room “nowhere”");
    await say(page, "/leave the attic");
    await until("the attic is not listed", async () => !(await page.locator("#room-list .place-name").allTextContents()).includes("the attic"));
    await title("Ada Lovelace"); // what is on screen stays there
    await ada.locator("#room-list .place", { hasText: ROOM }).click();
    await page.context().close();
  });

  await check("an unknown command says so and is not sent; // sends a slash; /help is for the reader alone", async () => {
    const before = (await texts(linus)).length;
    const input = ada.locator("#composer-input");
    await say(ada, "/frobnicate now");
    await until("the problem is named", async () => (await ada.locator("#composer-problem").textContent()).includes("no command “/frobnicate”"));
    equal(await input.inputValue(), "/frobnicate now", "what was written");
    await input.fill("");
    await say(ada, "//usr/bin/env is a path");
    await agree([linus], ["/usr/bin/env is a path"], before);
    await until("there is no problem", async () => (await ada.locator("#composer-problem").textContent()) === "");
    await say(ada, "/help");
    await ada.locator("#messages .help").waitFor();
    for (const usage of ["/join ROOM", "/leave [ROOM]", "/msg NAME [TEXT]", "/status STATUS [NOTE]", "/help", "//TEXT"]) await ada.locator("#messages .help code", { hasText: usage }).first().waitFor();
    await say(ada, "/help");
    await say(ada, "Said after the help");
    await sees(linus, "Said after the help");
    equal(await ada.locator("#messages .help").count(), 1, "lists of commands");
    equal(await linus.locator("#messages .help").count(), 0, "lists of commands that Linus sees");
    equal((await texts(linus)).slice(before), ["/usr/bin/env is a path", "Said after the help"], "what was sent");
    await ada.getByRole("button", { name: "Dismiss" }).click();
    await until("it is gone", async () => await ada.locator("#messages .help").count() === 0);
  });

  await check("notifications: never asked for unprompted, then for direct messages, one's name, and a room that was chosen", async () => {
    const page = await newPage();
    await page.context().grantPermissions(["notifications"], { origin: page.origin });
    await page.addInitScript(() => {
      window.asked = 0;
      window.told = [];
      const Real = window.Notification;
      window.Notification = class extends Real {
        static requestPermission() { window.asked += 1; return Real.requestPermission(); }
        constructor(title, options) {
          super(title, options);
          window.told.push({ title, body: options.body });
          window.latest = this;
        }
      };
    });
    await enter(page, "Hedy", ROOM);
    const told = () => page.evaluate(() => window.told.map(({ title, body }) => `${title}: ${body}`));
    await hide(page, true);
    await say(linus, "Hedy, before she wanted to be told");
    await sees(page, "Hedy, before she wanted to be told");
    equal(await told(), [], "notifications before the button");
    await hide(page, false);

    const bell = page.getByRole("button", { name: "Notifications" });
    equal(await page.locator("#notify-room").isVisible(), false, "the room's button");
    await bell.click();
    await until("it is pressed", async () => await bell.getAttribute("aria-pressed") === "true");
    await say(linus, "Hedy, while you look");
    await sees(page, "Hedy, while you look");
    equal(await told(), [], "notifications while the page is looked at");

    await hide(page, true);
    await say(linus, "Hedys are not Hedy's namesakes? @hedy!");
    await say(linus, "Hedysarum is a plant");
    await sees(page, "Hedysarum is a plant");
    await linus.locator(".member", { hasText: "Hedy" }).click();
    await say(linus, "Between us");
    await until("the title counts the call and the message", async () => (await page.title()).startsWith("(2) "));
    await linus.locator("#room-list .place", { hasText: ROOM }).click();
    equal(await told(), ["Linus in the kitchen: Hedys are not Hedy's namesakes? @hedy!", "Linus: Between us"], "notifications");
    await page.evaluate(() => window.latest.onclick());
    await until("the notification leads to the conversation", async () => (await page.locator("#title bdi").textContent()) === "Linus");
    await hide(page, false);

    await page.locator("#room-list .place", { hasText: ROOM }).click();
    await page.locator("#notify-room").click();
    await until("it is chosen", async () => await page.locator("#notify-room").getAttribute("aria-pressed") === "true");
    await page.reload();
    await connected(page);
    await sees(page, "Hedysarum is a plant"); // and has read it: what comes to a reader who is away, calls
    await until("the choice was kept", async () => await bell.getAttribute("aria-pressed") === "true" && await page.locator("#notify-room").getAttribute("aria-pressed") === "true");
    equal(await page.evaluate(() => window.asked), 0, "permissions asked for: they had been given");
    await hide(page, true);
    await say(linus, "Not a word about her");
    await until("she is told", async () => (await told()).includes("Linus in the kitchen: Not a word about her"));
    await hide(page, false);
    await bell.click();
    await until("it is off", async () => await bell.getAttribute("aria-pressed") === "false");
    await hide(page, true);
    await say(linus, "Hedy, are you still there?");
    await sees(page, "Hedy, are you still there?");
    equal((await told()).length, 1, "notifications after they were turned off");
    await page.context().close();
  });

  await check("without permission the bell asks when it is pressed, and says when it may not", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      window.asked = 0;
      Object.defineProperty(Notification, "permission", { get: () => window.asked ? "denied" : "default" });
      Notification.requestPermission = async () => { window.asked += 1; return "denied"; };
    });
    await enter(page, "Hedwig", ROOM);
    equal(await page.evaluate(() => window.asked), 0, "permissions asked for before the button");
    await page.getByRole("button", { name: "Notifications" }).click();
    await until("it says so", async () => (await page.locator("#notify-problem").textContent()).includes("no notifications"));
    equal(await page.evaluate(() => window.asked), 1, "permissions asked for");
    equal(await page.getByRole("button", { name: "Notifications" }).getAttribute("aria-pressed"), "false", "the bell");
    await page.context().close();
  });

  await check("where browsers have no notifications, on pages without TLS, the bell says why", async () => {
    const page = await newPage();
    await page.addInitScript(() => Object.defineProperty(window, "isSecureContext", { get: () => false }));
    await enter(page, "Hedi", ROOM);
    await page.getByRole("button", { name: "Notifications" }).click();
    await until("it says so", async () => (await page.locator("#notify-problem").textContent()).includes("HTTPS"));
    await page.context().close();
  });

  await check("10,000 messages in a room: the log stays small, and the page still answers", async () => {
    const MESSAGES = 10_000;
    const AT_ONCE = 200; // said before their echo is waited for
    const page = await newPage({ port: unlimited.port });
    await enter(page, "Reader", "flood");
    await page.evaluate(() => {
      const list = document.getElementById("messages");
      window.most = 0;
      new MutationObserver(() => { window.most = Math.max(window.most, list.childElementCount); }).observe(list, { childList: true });
    });
    const crowd = await newPage({ port: unlimited.port });
    await crowd.goto(`${crowd.origin}/`);
    await crowd.evaluate(({ url, messages, atOnce }) => new Promise((resolve, reject) => {
      const flood = new WebSocket(url);
      let said = 0;
      let echoed = 0;
      const more = () => { while (said < messages && said - echoed < atOnce) flood.send(`drop ${said += 1}`); };
      flood.onopen = more;
      flood.onmessage = ({ data }) => {
        if (JSON.parse(data).type !== "chat") return;
        echoed += 1;
        if (echoed === messages) resolve();
        else if (said - echoed < atOnce / 2) more();
      };
      flood.onclose = ({ code }) => reject(new Error(`the flood's connection was closed with ${code} after ${echoed} messages`));
    }), { url: `ws://127.0.0.1:${unlimited.port}/ws/flood?username=Flood`, messages: MESSAGES, atOnce: AT_ONCE });
    await crowd.context().close();
    await until("the last message is shown", async () => (await texts(page)).at(-1) === `drop ${MESSAGES}`, 60_000);
    const most = await page.evaluate(() => window.most);
    if (most > 400) throw new Error(`${most} nodes in the log`);
    equal(await page.locator("#messages > .gap").count(), 0, "holes");
    const seqs = await page.locator("#messages > li.message").evaluateAll((all) => all.map((li) => Number(li.dataset.seq)));
    for (let i = 1; i < seqs.length; i += 1) if (seqs[i] !== seqs[i - 1] + 1) throw new Error(`a hole after ${seqs[i - 1]}`);
    await page.locator("#composer-input").pressSequentially("Still here");
    await until("the button answers to what is typed", () => page.locator("#send").isEnabled());
    await page.keyboard.press("Enter");
    await sees(page, "Still here");
    await page.context().close();
  });

  await check("a busy room stays bounded: the log keeps a window, and scrolling up brings what left it", async () => {
    const crowd = await newPage();
    await crowd.goto(`${crowd.origin}/`);
    const page = await newPage();
    await enter(page, "Reader", "busy");
    const SPEAKERS = 20; // 900 messages: a little less than the server keeps
    const EACH = 45; // more than may be said at once: the client has to keep to the server's rate
    await crowd.evaluate(async ({ url, speakers, each }) => {
      const { SalonClient } = await import("/client.js");
      await Promise.all(Array.from({ length: speakers }, async (_, n) => {
        const client = new SalonClient({ url, user: `speaker ${n}` });
        let left = each;
        const done = new Promise((resolve) => client.on("sent", () => { left -= 1; if (left === 0) resolve(); }));
        client.join("busy");
        client.connect();
        for (let i = 0; i < each; i += 1) client.say("busy", `message ${i} of ${n}`);
        await done;
        client.close();
      }));
    }, { url: `ws://127.0.0.1:${server.port}/ws`, speakers: SPEAKERS, each: EACH });
    const seqs = () => page.locator("#messages > li.message").evaluateAll((all) => all.map((li) => Number(li.dataset.seq)));
    await until("the last message is shown", async () => (await seqs()).at(-1) === SPEAKERS * EACH);
    const said = (await texts(page)).map((text) => text.match(/^message (\d+) of (\d+)$/).slice(1).map(Number));
    const latest = new Map();
    for (const [i, n] of said) {
      if (latest.has(n) && latest.get(n) !== i - 1) throw new Error(`speaker ${n}: ${i} came after ${latest.get(n)}`);
      latest.set(n, i);
    }
    const nodes = await page.evaluate(() => document.getElementById("messages").childElementCount);
    if (nodes > 400) throw new Error(`${nodes} nodes in the log`);
    const lowest = (await seqs())[0];
    await until("the first message came back", async () => {
      await page.evaluate(() => { document.getElementById("log").scrollTop = 0; });
      return (await seqs())[0] === 1;
    });
    const now = await seqs();
    if (!(lowest > 1)) throw new Error("the window never moved");
    for (let i = 1; i < now.length; i += 1) if (now[i] !== now[i - 1] + 1) throw new Error(`a hole after ${now[i - 1]}`);
    if (now.length > 400) throw new Error(`${now.length} nodes in the log`);
    await page.locator("#to-latest").click();
    await until("the end is back", async () => (await seqs()).at(-1) === SPEAKERS * EACH);
    await crowd.context().close();
    await page.context().close();
  });

  // A conversation to look at, and the four looks of the page.
  await ada.context().close();
  await linus.context().close();
  const salon = "garden";
  const cast = await newPage();
  await cast.goto(`${cast.origin}/`);
  await cast.evaluate(async ({ url, room, topic, others, lines }) => {
    const { SalonClient } = await import("/client.js");
    const clients = window.cast = {};
    const ready = async (name) => {
      if (clients[name]) return clients[name];
      const client = clients[name] = new SalonClient({ url, user: name });
      const welcome = new Promise((resolve) => client.on("welcome", resolve));
      client.connect();
      await welcome;
      if (Object.keys(clients).length === 1) {
        await client.createRoom(room, { topic });
        for (const other of others) await client.createRoom(other);
      }
      await client.join(room);
      return client;
    };
    window.speak = async (name, say) => {
      const client = await ready(name);
      const sent = new Promise((resolve) => client.on("sent", resolve));
      say(client);
      await sent;
    };
    for (const [name, content] of lines) await window.speak(name, (client) => client.say(room, content));
    await clients["Noor Haddad"].status("away");
    await clients.Henrik.status("busy");
    for (const name of ["Aiko", "Ines Weber"]) await clients[name].join("book club");
  }, {
    url: `ws://127.0.0.1:${server.port}/ws`,
    room: salon,
    topic: "The shared garden behind the library. Work days on Saturdays at ten",
    others: ["book club", "lobby", "lost and found", "music"],
    lines: [
      ["Noor Haddad", "Good morning! The seedlings survived the frost 🌱"],
      ["Noor Haddad", "All but two of the tomatoes."],
      ["Henrik", "That is better than mine. I lost the whole tray on the balcony."],
      ["Ines Weber", "I have spare ones, about a dozen. Moneymaker and some that a neighbour swears are Brandywine."],
      ["Ines Weber", "Come by any time before six, they are on the bench next to the water butt."],
      ["Henrik", "You are a saint. I will bring the good compost in exchange."],
      ["Aiko", "Did anybody read this? https://example.org/journal/no-dig-beds"],
      ["Aiko", "Two years of side by side beds, and the one nobody dug gave about a tenth more. The photographs alone are worth it."],
      ["Maya", "Reading it now. The part about cardboard is what I did last autumn, and the worms moved in within weeks."],
      ["Noor Haddad", "So no digging on Saturday after all, Maya? My back says thank you 😅"],
      ["Maya", "We still need everyone for the fence. Ten o'clock, bring gloves."],
      ["Ines Weber", "I will be there. Cake or soup?"],
      ["Aiko", "🍰"],
      ["Henrik", "Both. It is supposed to rain."],
    ],
  });

  const LOOKS = [
    { colorScheme: "light", width: 360, height: 740 },
    { colorScheme: "dark", width: 360, height: 740 },
    { colorScheme: "light", width: 1440, height: 900 },
    { colorScheme: "dark", width: 1440, height: 900 },
  ];

  for (const { colorScheme, width, height } of LOOKS) {
    const narrow = width === 360;
    const look = `${narrow ? "phone" : "desktop"}-${colorScheme}`;
    // Axe is put into the page from outside; only this context lets it in.
    const page = await newPage({ port: wire.port, colorScheme, viewport: { width, height }, deviceScaleFactor: narrow ? 2 : 1, bypassCSP: true, reducedMotion: "reduce" });
    const picture = (name) => page.screenshot({ path: path.join(pictures, `${name}.png`) });
    const looked = async (state) => {
      await picture(`${look}-${state}`);
      await audit(page, state, isSerious);
    };

    await check(`axe finds nothing serious, ${look}: door, room, drawers, finder`, async () => {
      await page.goto(`${page.origin}/#${new URLSearchParams({ room: salon })}`);
      await page.locator("#door-name").fill("Maya");
      await looked("door");
      await page.getByRole("button", { name: "Enter" }).click();
      await page.locator("#door-question").waitFor(); // Maya is in the cast
      await looked("same-name");
      await page.getByRole("button", { name: "Yes, that is me" }).click();
      await connected(page);
      await sees(page, "Both. It is supposed to rain.");
      await until("everybody is listed", async () => (await members(page)).length === 5);
      await until("and how they are", async () => await page.locator("#members .presence.away").count() === 1);
      await looked("room");
      await say(page, "/help");
      await page.locator("#messages .help").waitFor();
      await page.locator("#composer-input").pressSequentially("/");
      await page.locator("#suggestions [aria-selected=true]").waitFor();
      await looked("commands");
      await page.locator("#composer-input").fill("/frobnicate");
      await page.keyboard.press("Enter");
      await page.locator("#composer-problem", { hasText: "no command" }).waitFor();
      await looked("unknown-command");
      await page.locator("#composer-input").fill("");
      await page.getByRole("button", { name: "Dismiss" }).click();
      await page.context().grantPermissions(["notifications"], { origin: page.origin });
      await page.evaluate(() => document.getElementById("notify").click());
      await until("the room can be chosen", () => page.locator("#notify-room:not([hidden])").count());
      await page.evaluate(() => document.getElementById("notify-room").click());
      await page.locator("#notify-room[aria-pressed=true]").waitFor({ state: "attached" });
      await looked("notifications");
      for (const drawer of narrow ? ["places", "details"] : []) {
        await page.locator(`#open-${drawer}`).click();
        await page.locator(`#app[data-drawer=${drawer}]`).waitFor();
        await looked(drawer);
        await page.keyboard.press("Escape");
      }
      await page.evaluate(() => document.getElementById("add-room").click());
      await page.locator("#finder-list .place", { hasText: "music" }).waitFor();
      await looked("finder");
      await page.keyboard.press("Escape");
    });

    await check(`the page as it looks, ${look}`, async () => {
      // Another room has news, somebody wrote to Maya alone, and somebody is typing.
      await page.evaluate(() => { location.hash = "#room=book+club"; });
      await until("Maya is in the book club", async () => (await page.locator("#people-count").textContent()) === "3");
      await page.evaluate((room) => { location.hash = `#room=${room}`; }, salon);
      await sees(page, "Both. It is supposed to rain.");
      await until("nothing is unread in the book club", async () => await page.locator("#room-list .unread-dot").count() === 0);
      await cast.evaluate(async () => {
        await window.speak("Aiko", (client) => client.say("book club", "Chapter nine for Thursday, then?"));
        await window.speak("Ines Weber", (client) => client.say("book club", "Nine and ten, they are short."));
        await window.speak("Aiko", (client) => client.direct("Maya", "Shall I pick you up on Saturday?"));
      });
      await page.locator("#person-list .badge").waitFor({ state: "attached" });
      await until("the book club has news", async () => (await page.locator("#room-list .unread-dot").textContent()).startsWith("2"));
      // Typing is relayed at most once in three seconds, so it is asked for until it is seen.
      await until("somebody is typing", async () => {
        await cast.evaluate((room) => window.cast["Ines Weber"].typing({ room_id: room }, true), salon);
        return page.locator("#typing.someone").waitFor({ timeout: 500 }).then(() => true, () => false);
      });
      await page.evaluate(() => document.activeElement.blur());
      await page.mouse.move(0, 0);
      await picture(look);
    });

    await check(`axe finds nothing serious, ${look}: direct conversation, refused message, no connection`, async () => {
      await page.evaluate(() => document.querySelector("#person-list .place").click());
      await sees(page, "Shall I pick you up on Saturday?");
      await say(page, "Gladly. Half past nine?");
      await until("it is said", async () => await page.locator(".pending").count() === 0);
      await looked("direct");
      await page.evaluate(() => { location.hash = "#with=Nobody+Yet"; });
      await until("the conversation is open", async () => (await page.locator("#title bdi").textContent()) === "Nobody Yet");
      await say(page, "Hello?");
      await page.locator(".failed").waitFor();
      await looked("refused");
      await page.locator(".failed").getByRole("button", { name: "Discard" }).click();
      await page.evaluate((room) => { location.hash = `#room=${room}`; }, salon);
      serverAway = true;
      wire.cut();
      await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
      await say(page, "I will bring the ladder.");
      await looked("no-connection");
      await page.context().close();
      wire.mend();
      serverAway = false;
    });
  }

  await check("by https:// the page is a secure context, speaks by wss://, and both ways in lead to one room", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "salon-certificate-"));
    const [key, cert] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
      "-keyout", key, "-out", cert], { stdio: "ignore" });
    const tlsPort = await freePort();
    const both = new Server(process.argv[2], await freePort(), "--tls-listen", `127.0.0.1:${tlsPort}`, "--tls-cert", cert, "--tls-key", key);
    try {
      await both.start();
      const [sealed, bare] = [await newPage({ ignoreHTTPSErrors: true }), await newPage({ port: both.port })];
      sealed.origin = `https://127.0.0.1:${tlsPort}`;
      const urls = [];
      sealed.on("websocket", (socket) => urls.push(socket.url()));
      await enter(sealed, "Vera", "sealed");
      await enter(bare, "Ben", "sealed");
      await say(sealed, "Nobody on the way reads this.");
      await sees(bare, "Nobody on the way reads this.");
      await say(bare, "Mine everybody could.");
      await agree([sealed, bare], ["Nobody on the way reads this.", "Mine everybody could."]);
      equal(await sealed.evaluate(() => isSecureContext), true, "a secure context");
      equal(urls.every((url) => url.startsWith(`wss://127.0.0.1:${tlsPort}/ws`)) && urls.length > 0, true, urls.join());
      await sealed.context().close();
      await bare.context().close();
    } finally {
      await both.kill("SIGTERM");
      await rm(folder, { recursive: true });
    }
  });
});
