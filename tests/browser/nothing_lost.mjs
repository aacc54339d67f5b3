/**
 * Nothing is lost: rooms, messages, drafts, unread counts and one's own status, over reloads, restarts, cuts and
 * several tabs. `node nothing_lost.mjs SALON_BINARY`; see run.sh.
 */
import path from "node:path";
import { asks, begin, comeAgain, composer, connected, enter, goOut, hide, isUnreachable, members, newPage as openPage, newTab as openTab, roomsOf, say, sees, shut, speak, texts, titled } from "./browser.mjs";
import { Server, Wire, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort());
const { browser, pictures, run } = await begin(server);
const wire = await new Wire().open(server.port);

// Only a refused connection while we keep the server away is expected.
let serverAway = false;
const expected = (text) => serverAway && isUnreachable(text);
const origin = `http://127.0.0.1:${server.port}`;
const newPage = ({ port = server.port, ...options } = {}) => openPage(browser, { origin: `http://127.0.0.1:${port}`, expected, ...options });
const linkState = (page) => page.locator("#link-state").textContent();
const badge = (page, name) => page.locator(".place", { hasText: name }).locator(".badge, .unread-dot").count();
const newTab = (page, address) => openTab(page, address, expected);
const restart = async (...pages) => {
  serverAway = true;
  await server.kill();
  for (const page of pages) await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
  await server.start();
};
/** What the browser says about a page that nobody looks at; `false` brings the reader back. */

await run(async () => {
  const bob = await newPage();
  await enter(bob, "Bob", "kitchen");

  await check("a title, a topic and a note that were not saved are offered again when their dialog opens, also after a reload", async () => {
    const page = await newPage();
    await enter(page, "Dora", "attic");
    const fields = [
      ["#topic-input", async () => { await page.locator("#edit-topic").click(); }],
      ["#topic-input", async () => {
        await page.locator("#title").click();
        await page.locator("#place-menu").getByRole("button", { name: "Change the title" }).click();
      }],
      ["#note-input", async () => { await page.locator("#me-name").click(); }],
    ];
    const offered = async (at) => {
      await fields[at][1]();
      const value = await page.locator(fields[at][0]).inputValue();
      await page.keyboard.press("Escape");
      return value;
    };
    for (const [at, [input, open]] of fields.entries()) {
      await open();
      await page.locator(input).fill(`words ${at}`);
      await page.keyboard.press("Escape");
    }
    for (const at of [0, 1, 2]) equal(await offered(at), `words ${at}`, "what is offered");
    const marks = (room) => page.evaluate((room) => [[...document.querySelectorAll("#room-list .place")].find((place) => place.querySelector(".place-name").textContent === room), document.getElementById("me-name")].map((one) => one.querySelectorAll(".draft-mark").length), room);
    const marked = (room, ...counts) => until(`${room} and the own name have so many marks: ${counts}`, async () => (await marks(room)).join() === counts.join() || Promise.reject(new Error(await marks(room))));
    await marked("attic", 1, 1);
    await say(page, "/join cellar");
    await titled(page, "cellar");
    await marked("attic", 1, 1);
    equal(await marks("cellar"), [0, 1], "the marks of another room");
    equal([await offered(0), await offered(1)], ["", ""], "of another room");
    await say(page, "/join attic");
    await titled(page, "attic");
    await page.reload();
    await connected(page);
    await marked("attic", 1, 1);
    for (const at of [0, 1, 2]) equal(await offered(at), `words ${at}`, "what is offered after a reload");
    for (const [at, [input, open]] of fields.entries()) {
      await open();
      await page.keyboard.type(" and more");
      equal(await page.locator(input).inputValue(), `words ${at} and more`, "what is typed");
      await page.locator(input).fill(`words ${at}`);
      await page.keyboard.press("Escape");
    }
    for (const [input, open] of fields) {
      await open();
      await page.locator(input).press("Enter");
    }
    await until("they are saved", async () => (await page.locator("#topic").textContent()) === "words 0" && (await page.locator("#title bdi").textContent()) === "words 1");
    await fields[0][1]();
    await page.locator("#topic-input").fill("other words");
    await page.locator("#topic-input").fill("words 0");
    await page.keyboard.press("Escape");
    const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("salon.unsent:") && JSON.parse(localStorage[key]).begun?.length).length);
    await until("nothing is kept of them", async () => (await kept()) === 0);
    await until("there are no marks", async () => (await page.locator(".draft-mark").count()) === 0);
    await page.context().close();
  });

  await check("three tabs with forty rooms each are in all of them ten seconds after a restart, and say so until they are", async () => {
    const many = Array.from({ length: 40 }, (_, n) => ({ id: `room ${n}` }));
    const first = await newPage();
    await first.addInitScript((rooms) => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Ada"));
      localStorage.setItem("salon.places:Ada", JSON.stringify({ rooms, people: [], left: [], active: "room:room 0" }));
    }, many);
    const started = Date.now();
    await first.goto(`${first.origin}/`);
    await connected(first);
    const tabs = [first, await newTab(first, `${origin}/`), await newTab(first, `${origin}/`)];
    const all = async () => (await Promise.all(tabs.map(linkState))).every((state) => state === "Connected");
    await until("all tabs are in all rooms", all);
    console.log(`# three tabs came into 40 rooms each in ${Date.now() - started} ms`);
    for (const tab of tabs) {
      await tab.evaluate(() => {
        window.told = [];
        new MutationObserver(() => window.told.push(`${document.getElementById("link-state").textContent}: ${document.getElementById("banner-text").textContent}`))
          .observe(document.getElementById("banner-text"), { childList: true, characterData: true, subtree: true });
      });
    }
    await restart(...tabs);
    const back = Date.now();
    await until("all tabs are in all rooms again", all);
    const took = Date.now() - back;
    console.log(`# and again ${took} ms after a restart`);
    serverAway = false;
    if (took > 10_000) throw new Error(`it took ${took} ms`);
    for (const tab of tabs) equal((await tab.evaluate(() => window.told)).some((words) => words.startsWith("Connected: Joining")), false, "“Connected” while rooms are missing");
    const members = await bob.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url, user: "Counter" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      const { rooms } = await salon.rooms({ limit: 200 });
      salon.close();
      return rooms.filter(({ room_id, members }) => room_id.startsWith("room ") && members === 1).length;
    }, `ws://127.0.0.1:${server.port}/ws`);
    equal(members, 40, "rooms that the server has Ada in");
    await first.context().close();
    await connected(bob);
  });

  await check("the page says which rooms are missing, as long as they are", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      localStorage.setItem("salon.name", JSON.stringify("Slow"));
      localStorage.setItem("salon.places:Slow", JSON.stringify({ rooms: [{ id: "a" }, { id: "b" }, { id: "c" }], people: [], left: [] }));
    });
    const asked = [];
    let socket;
    await page.routeWebSocket(/\/ws\?/, (one) => {
      socket = one;
      one.onMessage((data) => { const message = JSON.parse(data); if (message.type === "join") asked.push(...message.rooms ?? [message]); });
      one.send(JSON.stringify({ type: "welcome", user_id: "Slow", session_id: "s", limits: {}, ping_interval_ms: 25_000 }));
    });
    await page.goto(`${page.origin}/#room=a`);
    await until("all are asked for", () => asked.length === 3);
    await page.locator("#banner:not([hidden])", { hasText: "Joining 3 more rooms" }).waitFor();
    equal(await linkState(page), "Joining", "the state");
    for (const [n, room_id] of ["a", "b", "c"].entries()) {
      socket.send(JSON.stringify({ type: "joined", room_id, user_id: "Slow", epoch: "e", seq: 0, recovered: false, members: 1 }));
      if (n === 1) {
        await page.locator("#banner:not([hidden])", { hasText: "Joining 1 more room …" }).waitFor();
        await page.screenshot({ path: path.join(pictures, "joining.png") });
      }
    }
    await until("it is over", async () => await linkState(page) === "Connected" && await page.locator("#banner").isHidden());
    await page.context().close();
  });

  await check("two tabs do not overwrite each other's rooms, and a room that is left in one does not come back", async () => {
    const one = await newPage();
    await enter(one, "Tabs", "kitchen");
    const two = await newTab(one, `${origin}/#room=kitchen`);
    await connected(two);
    await say(one, "/join attic");
    await titled(one, "attic");
    await one.locator("#room-list .place", { hasText: "kitchen" }).click();
    await say(two, "/join cellar");
    await titled(two, "cellar");
    await two.reload();
    await one.reload();
    for (const page of [one, two]) await connected(page);
    equal(await roomsOf(one), ["attic", "cellar", "kitchen"], "rooms of the first");
    await say(one, "/leave attic");
    await until("it is left", async () => (await roomsOf(one)).join() === "cellar,kitchen");
    await one.reload();
    // The other tab, which is there still, keeps its list.
    await two.locator("#room-list .place", { hasText: "kitchen" }).click();
    await two.reload();
    for (const page of [one, two]) {
      await connected(page);
      equal(await roomsOf(page), ["cellar", "kitchen"], "rooms");
    }
    await one.context().close();
  });

  await check("a room that is gone into in one tab is there in the others, also in one that is opened in the same moment", async () => {
    const one = await newPage();
    await enter(one, "Walker", "kitchen");
    const two = await newTab(one, `${origin}/#room=kitchen`);
    await connected(two);
    await say(one, "/join attic");
    await until("the other tab has it too", async () => (await roomsOf(two)).join() === "attic,kitchen");
    await titled(two, "kitchen");
    await speak(bob, "Speaker", { room_id: "attic" }, ["up here"]);
    await until("what is said there is counted", async () => (await two.locator("#room-list .unread-dot").textContent()).startsWith("1"));
    await composer(one).fill("/join cellar");
    const kept = await one.evaluate(() => {
      document.getElementById("composer").requestSubmit();
      return JSON.parse(localStorage.getItem("salon.places:Walker")).rooms.map(({ id }) => id).sort();
    });
    equal(kept, ["attic", "cellar", "kitchen"], "what a tab that is opened now finds");
    await say(one, "/leave cellar");
    await until("left in both", async () => [one, two].length === (await Promise.all([one, two].map(roomsOf))).filter((rooms) => rooms.join() === "attic,kitchen").length);
    await say(one, "/join cellar");
    await until("and there again", async () => (await roomsOf(two)).join() === "attic,cellar,kitchen");
    await one.context().close();
  });

  await check("places are kept while there is something new all the time", async () => {
    const page = await newPage();
    await enter(page, "Flooded", "stream");
    await page.evaluate(() => {
      const { setItem } = Storage.prototype;
      window.kept = 0;
      Storage.prototype.setItem = function set(key, value) {
        if (key.startsWith("salon.places:")) window.kept += 1;
        return setItem.call(this, key, value);
      };
    });
    // Something is new every tenth of a second, for as long as it takes.
    await bob.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url, user: "Speaker" });
      const joined = new Promise((resolve) => salon.on("joined", resolve));
      salon.join("stream");
      salon.connect();
      await joined;
      let n = 0;
      const timer = setInterval(() => salon.say("stream", `line ${n += 1}`), 100);
      window.endOfFlood = () => { clearInterval(timer); salon.close(); };
    }, `ws://127.0.0.1:${server.port}/ws`);
    await sees(page, "line 1");
    await page.evaluate(() => { window.kept = 0; });
    await until("they are kept meanwhile", () => page.evaluate(() => window.kept > 0));
    await bob.evaluate(() => window.endOfFlood());
    await page.context().close();
  });

  const context = (page) => page.locator("#composer-context:not([hidden]) #composer-context-text").textContent();
  const onMessage = async (page, text, key) => {
    await page.locator("#messages > li.message", { hasText: text }).last().focus();
    await page.keyboard.press(key);
  };
  /** Somebody who has said something in a room, and answers and edits there. */
  const mender = async (name, room) => {
    const page = await newPage();
    await enter(page, name, room);
    await say(page, "my first words");
    await sees(page, "my first words");
    await speak(bob, "Asker", { room_id: room }, ["a question"]);
    await sees(page, "a question");
    // Messages are reached by the arrows.
    await page.locator("#log").focus();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowUp");
    return page;
  };

  await check("an answer and an edit that were begun are there after a reload, and mean the same messages", async () => {
    const page = await mender("Mender", "workshop");
    await say(page, "/msg Bob");
    await titled(page, "Bob");
    await say(page, "helo Bob");
    await sees(page, "helo Bob");
    await page.locator("#room-list .place", { hasText: "workshop" }).click();
    await sees(page, "a question");
    await page.locator("#log").focus();
    await page.keyboard.press("ArrowUp");
    await onMessage(page, "a question", "r");
    await page.keyboard.type("an ans");
    await page.locator("#person-list .place", { hasText: "Bob" }).click();
    await titled(page, "Bob");
    await sees(page, "helo Bob");
    await composer(page).press("ArrowUp");
    await composer(page).fill("hello B");
    await page.reload();
    await connected(page);
    equal(await context(page), "You edit your message", "what is done in the conversation");
    equal(await composer(page).inputValue(), "hello B", "the text");
    await page.locator("#room-list .draft-mark").waitFor();
    await composer(page).fill("hello Bob");
    await composer(page).press("Enter");
    await sees(page, "hello Bob");
    equal(await page.locator("#composer-context").isHidden(), true, "the edit is over");
    await page.locator("#room-list .place", { hasText: "workshop" }).click();
    equal(await composer(page).inputValue(), "an ans", "the text");
    await until("what is answered", async () => (await context(page)) === "You answer Asker: a question");
    equal(await page.evaluate(() => Object.entries(localStorage).some(([key, value]) => key.startsWith("salon.unsent:") && value.includes("a question"))), false, "the words of others are kept");
    await composer(page).fill("an answer");
    await composer(page).press("Enter");
    await page.locator("#messages > li.message:not(.pending)", { hasText: "an answer" }).locator(".quote", { hasText: "a question" }).waitFor();
    await page.reload();
    await connected(page);
    equal([await page.locator("#composer-context").isHidden(), await composer(page).inputValue()], [true, ""], "what is begun");
    await page.context().close();
  });

  await check("two tabs that edit and answer leave all that was written to the next one", async () => {
    const page = await mender("Twofold", "workshop 2");
    const other = await newTab(page, `${origin}/#room=workshop+2`);
    await connected(other);
    await sees(other, "a question");
    for (const [tab, text] of [[page, "my first words, mended"], [other, "my first words, mended otherwise"]]) {
      await composer(tab).press("ArrowUp");
      await composer(tab).fill(text);
    }
    const third = await newTab(page, `${origin}/#room=workshop+2`);
    await connected(third);
    equal([await composer(third).inputValue(), await third.locator("#composer-context").isHidden()], ["", true], "nothing of tabs that are there");
    await sees(third, "a question");
    await third.locator("#log").focus();
    await third.keyboard.press("ArrowUp");
    await onMessage(third, "a question", "r");
    await third.keyboard.type("an answer to come");
    const { context: of } = { context: page.context() };
    for (const tab of [page, other, third]) await shut(tab);
    const next = await of.newPage();
    await next.goto(`${origin}/#room=workshop+2`);
    await connected(next);
    await until("one is edited", async () => (await context(next)) === "You edit your message");
    const edited = await composer(next).inputValue();
    await composer(next).press("Escape");
    const draft = await composer(next).inputValue();
    equal([edited, ...draft.split("\n")].sort(), ["an answer to come", "my first words, mended", "my first words, mended otherwise"], "what was written");
    await of.close();
  });

  await check("a message that was deleted while it was written anew: what was written becomes the draft, and so it does at once", async () => {
    const page = await mender("Losing", "workshop 3");
    const erase = (text) => bob.evaluate(async ({ url, text }) => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url, user: "Losing" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      await salon.join("workshop 3");
      const { items } = await salon.history({ room_id: "workshop 3" }, { limit: 20 });
      await salon.delete({ room_id: "workshop 3" }, items.findLast(({ content }) => content === text).seq);
      salon.close();
    }, { url: `ws://127.0.0.1:${server.port}/ws`, text });
    const mended = { text: "and more words", problem: "The message that you edited is no longer there. What you wrote is in the message box." };
    await composer(page).press("ArrowUp");
    await composer(page).fill(mended.text);
    const of = page.context();
    await shut(page);
    await erase("my first words");
    const next = await of.newPage();
    await next.goto(`${origin}/#room=workshop+3`);
    await connected(next);
    const isDraft = async () => {
      await until("the edit is over", async () => await next.locator("#composer-context").isHidden() && (await next.locator("#composer-problem").textContent()) === mended.problem);
      equal(await composer(next).inputValue(), mended.text, "the draft");
    };
    await isDraft();
    // Live.
    await composer(next).fill("");
    await say(next, "other words");
    await sees(next, "other words");
    await composer(next).press("ArrowUp");
    await composer(next).fill(mended.text);
    await erase("other words");
    await isDraft();
    // The text is sent as a new message only by whoever means that: also after a reload, and typed on.
    const sent = async () => (await next.locator("#messages > li.message .text").allTextContents()).filter((text) => text.startsWith(mended.text)).length;
    await next.keyboard.type("!");
    await next.reload();
    await connected(next);
    const question = next.locator("#question[open] #question-title");
    const asksFirst = async () => {
      await composer(next).press("Enter");
      equal(await question.textContent(), "Send it as a new message?", "the question");
      await next.keyboard.press("Enter"); // a second one means no
      await next.locator("#question:not([open])").waitFor({ state: "attached" });
    };
    await asksFirst();
    equal([await composer(next).inputValue(), await next.locator("#composer-problem").textContent(), await sent()], [`${mended.text}!`, mended.problem, 0], "what stands there, why, and what was sent");
    await composer(next).fill("");
    await until("nothing is said of it", async () => (await next.locator("#composer-problem").textContent()) === "");
    await say(next, "something else");
    await sees(next, "something else");
    // An answer to a message that goes is none: that is said, and asked about.
    await composer(next).fill(mended.text);
    await speak(bob, "Losing", { room_id: "workshop 3" }, ["to be answered"]);
    await sees(next, "to be answered");
    await next.locator("#log").focus();
    await next.keyboard.press("ArrowUp");
    await onMessage(next, "to be answered", "r");
    await until("it is answered", async () => (await context(next)) === "You answer Losing: to be answered");
    await erase("to be answered");
    await until("it is not", async () => await next.locator("#composer-context").isHidden());
    equal(await composer(next).inputValue(), mended.text, "the draft");
    await composer(next).focus();
    await next.keyboard.type(".");
    equal(await next.locator("#composer-problem").textContent(), "The message that you answered is no longer there.", "the reason");
    await asksFirst();
    await composer(next).press("Enter");
    await next.locator("#question-yes").click();
    await sees(next, `${mended.text}.`);
    equal([await composer(next).inputValue(), await next.locator("#composer-problem").textContent()], ["", ""], "what is left");
    await say(next, "and another one");
    await sees(next, "and another one");
    await of.close();
  });

  await check("in another life of the room what was begun means no message of it", async () => {
    const page = await mender("Twice", "workshop 4");
    await onMessage(page, "a question", "r");
    await page.keyboard.type("an answer");
    const other = await newTab(page, `${origin}/#room=workshop+4`);
    await connected(other);
    await sees(other, "a question");
    await composer(other).press("ArrowUp");
    await composer(other).fill("an edit");
    // The one is there when the server has forgotten all, the other one comes after that.
    await shut(page);
    serverAway = true;
    await server.kill();
    await other.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await server.start();
    await connected(other);
    await until("the edit is over", async () => await other.locator("#composer-context").isHidden() && (await composer(other).inputValue()) === "an edit");
    equal(await other.locator("#composer-problem").textContent(), "The message that you edited is of a history that the server no longer has. What you wrote is in the message box.", "the reason");
    const next = await newTab(other, `${origin}/#room=workshop+4`);
    await connected(next);
    await until("it is no answer", async () => (await composer(next).inputValue()) === "an answer" && await next.locator("#composer-context").isHidden());
    await connected(bob);
    serverAway = false;
    await other.context().close();
  });

  await check("what was written while there was no connection is said after a reload, once and in order; drafts are there, and marked elsewhere", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Writer", "kitchen");
    await say(page, "Before");
    await sees(bob, "Before");
    const states = () => page.locator("#messages .pending .state").allTextContents();
    const says = (...words) => until(`the states are ${words}`, async () => (await states()).join() === words.join() || Promise.reject(new Error(await states())));
    wire.deafen();
    await say(page, "On its way");
    await says("Sending …");
    serverAway = true;
    wire.cut();
    await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await says("Waiting …");
    await say(page, "Into the void, 1");
    await says("Waiting …", "Waiting …");
    await say(page, "/msg Bob Into the void, alone");
    await composer(page).fill("a draft for Bob");
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await page.locator("#person-list .draft-mark").waitFor();
    await say(page, "Into the void, 2");
    await composer(page).fill("a draft for the kitchen");
    let asked = 0;
    page.on("dialog", (dialog) => { asked += 1; dialog.accept(); });
    wire.mend();
    await page.reload();
    await connected(page);
    serverAway = false;
    await sees(bob, "Into the void, 2");
    await until("nothing waits", async () => await page.locator(".pending").count() === 0);
    const all = ["Before", "On its way", "Into the void, 1", "Into the void, 2"];
    equal([(await texts(bob)).slice(-4), (await texts(page)).slice(-4)], [all, all], "what Bob reads, and the writer");
    equal([await composer(page).inputValue(), asked], ["a draft for the kitchen", 0], "the draft, questions before leaving");
    await page.locator("#person-list .draft-mark").waitFor();
    await page.screenshot({ path: path.join(pictures, "drafts.png") });
    await page.locator("#person-list .place", { hasText: "Bob" }).click();
    await sees(page, "Into the void, alone");
    equal(await composer(page).inputValue(), "a draft for Bob", "the draft");
    // A tab that is closed leaves its drafts to the next one of the same person, and only to that.
    const address = `${page.origin}/#with=Bob`;
    await shut(page);
    const next = await newTab(page, address);
    await connected(next);
    await until("the draft is there", async () => (await composer(next).inputValue()) === "a draft for Bob");
    const third = await newTab(page, address);
    await connected(third);
    equal(await composer(third).inputValue(), "", "the draft of another tab");
    await page.context().close();
  });

  await check("what a browser that was killed has left is taken over after a while, and not from a tab that is there", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Phoenix"));
      const record = (name, at, text) => JSON.stringify({ name, at, closed: false, drafts: [["room", "kitchen", `draft ${text}`]], refused: [],
        outbox: [{ id: crypto.randomUUID(), kind: "room", target: "kitchen", content: `message ${text}`, queuedAt: at, firstSent: 0 }] });
      localStorage.setItem("salon.unsent:1", record("Phoenix", Date.now() - 151_000, "of a dead tab"));
      localStorage.setItem("salon.unsent:2", record("Phoenix", Date.now(), "of another tab"));
      localStorage.setItem("salon.unsent:3", record("Somebody", 0, "of somebody else"));
      localStorage.setItem("salon.unsent:4", "not a record");
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    await sees(bob, "message of a dead tab");
    equal(await composer(page).inputValue(), "draft of a dead tab", "the draft");
    equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => /^salon\.unsent:\d$/.test(key)).sort()), ["salon.unsent:2", "salon.unsent:3", "salon.unsent:4"], "what is left");
    equal((await texts(bob)).some((text) => /of another tab|of somebody else/.test(text)), false, "what is not to be said");
    await page.context().close();
  });

  await check("what a closed page has left is there until it is kept anew, and what of it cannot be read takes nothing else along", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Heir"));
      const entry = { kind: "room", target: "kitchen", queuedAt: Date.now(), firstSent: 0 };
      localStorage.setItem("salon.unsent:left", JSON.stringify({ name: "Heir", at: Date.now(), closed: true,
        drafts: [["room", undefined, "no place"], null, ["room", "kitchen", "the draft of before"], ["house", "kitchen", "no kind"]],
        refused: [{ id: "r1", ...entry, target: 7, content: "x", failed: "no" }, { id: "r2", ...entry, content: "refused before", failed: "No." }],
        outbox: [{ id: crypto.randomUUID(), ...entry, content: undefined }, 5] }));
      const { removeItem } = Storage.prototype;
      window.safe = [];
      Storage.prototype.removeItem = function remove(key) {
        const others = Object.keys(localStorage).filter((one) => one !== key && one.startsWith("salon.unsent:"));
        if (key === "salon.unsent:left") window.safe.push(others.some((one) => ["the draft of before", "refused before"].every((text) => localStorage.getItem(one).includes(text))));
        return removeItem.call(this, key);
      };
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    equal(await composer(page).inputValue(), "the draft of before", "the draft");
    equal(await page.locator(".failed .text").allTextContents(), ["refused before"], "what was refused");
    equal(await page.evaluate(() => window.safe), [true], "whether it is kept elsewhere when it is forgotten");
    await page.context().close();
  });

  await check("a draft of few letters is not taken for a part of another one", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Brief"));
      for (const [n, text] of ["I know", "no", "two\nlines", "I know"].entries()) {
        localStorage.setItem(`salon.unsent:${n}`, JSON.stringify({ name: "Brief", at: n, closed: true, drafts: [["room", "kitchen", text]], refused: [], outbox: [] }));
      }
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    equal(await composer(page).inputValue(), "I know\nno\ntwo\nlines", "the draft");
    await page.context().close();
  });

  await check("a room with something that nobody has yet is not left without a question", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Hasty", "kitchen");
    await say(page, "/join den");
    await titled(page, "den");
    const question = page.locator("#question[open]");
    for (const [what, begin] of [
      ["a draft", () => composer(page).fill("half of a sen")],
      ["what waits", async () => {
        serverAway = true;
        wire.cut();
        await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
        await composer(page).fill("");
        await say(page, "into the void");
      }],
    ]) {
      await begin();
      await page.locator("#leave").click();
      await question.getByRole("button", { name: "Cancel" }).click();
      equal(await page.locator("#title bdi").textContent(), "den", `where one is, with ${what}`);
    }
    equal([await page.locator(".pending").count(), await page.locator("#question-title").textContent()], [1, "Leave the room den?"], "what waits, the question");
    wire.mend();
    await connected(page);
    serverAway = false;
    await until("nothing waits", async () => await page.locator(".pending").count() === 0);
    await composer(page).fill("another half");
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await say(page, "/leave den");
    await question.getByRole("button", { name: "Leave" }).click();
    await until("it is left", async () => (await roomsOf(page)).join() === "kitchen");
    await say(page, "/join den");
    await titled(page, "den");
    await page.locator("#leave").click();
    await until("with nothing begun nothing is asked", async () => (await roomsOf(page)).join() === "kitchen");
    await page.context().close();
  });

  await check("a page whose record another one has taken while it stood still does not say the same once more", async () => {
    const page = await newPage();
    await enter(page, "Sleeper", "kitchen");
    await composer(page).fill("a draft that another page has");
    const records = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("salon.unsent:")));
    await until("it is kept", async () => (await records()).length === 1);
    await page.evaluate(() => {
      for (const key of Object.keys(localStorage)) if (key.startsWith("salon.unsent:")) localStorage.removeItem(key);
      window.before = true;
      window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    });
    await until("the page begins anew", async () => (await page.evaluate(() => window.before)) === undefined);
    await connected(page);
    equal([await composer(page).inputValue(), await records()], ["", []], "what it had before");
    await page.context().close();
  });

  await check("what many people have left in a browser does not hide one's own, nor grows for ever", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Late"));
      const record = (name, at) => JSON.stringify({ name, at, closed: true, drafts: [["room", "kitchen", `of ${name}`]], refused: [], outbox: [] });
      for (let n = 0; n < 60; n += 1) localStorage.setItem(`salon.unsent:${n}`, record(`guest ${n}`, n));
      localStorage.setItem("salon.unsent:own", record("Late", 5));
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    equal(await composer(page).inputValue(), "of Late", "one's own");
    const left = await page.evaluate(() => Object.keys(localStorage).filter((key) => /^salon\.unsent:\d+$/.test(key)).map((key) => Number(key.slice(13))));
    equal([left.length, Math.min(...left)], [50, 10], "the newest of the others");
    await page.context().close();
  });

  await check("a browser that keeps nothing asks before it loses something, and only then", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Private", "kitchen");
    await page.evaluate(() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; });
    const asked = [];
    page.on("dialog", (dialog) => { asked.push(dialog.type()); dialog.accept(); });
    await composer(page).click();
    await page.keyboard.type("a draft");
    await page.close({ runBeforeUnload: true });
    await until("it asked", () => asked.join() === "beforeunload");
    await page.context().close();
  });

  await check("a message that is too long on the wire is told before it is sent", async () => {
    const page = await newPage();
    await enter(page, "Long", "kitchen");
    await composer(page).fill("\u0001".repeat(12_000));
    const problem = page.locator("#composer-problem");
    await until("it is told", async () => (await problem.textContent()).startsWith("That is too long for one message, by about "));
    equal(await page.locator("#send").isDisabled(), true, "the button is off");
    await page.keyboard.press("Enter");
    equal([page.sockets, await page.locator(".pending").count()], [page.sockets, 0], "what waits");
    await composer(page).fill("\u0001".repeat(10_000));
    await until("a little less is fine", async () => (await problem.textContent()) === "");
    await page.context().close();
  });

  await check("a server that closes with 1009 gets the message once, and what waits behind it is sent", async () => {
    const page = await newPage();
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Big")));
    let visits = 0;
    const heard = [];
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      visits += 1;
      socket.onMessage((data) => {
        const message = JSON.parse(data);
        if (message.type === "join") socket.send(JSON.stringify({ type: "joined", id: message.id, room_id: "kitchen", user_id: "Big", epoch: "e", seq: heard.length, recovered: true, members: 1 }));
        if (message.type !== "broadcast") return;
        if (message.content.length > 100) return socket.close({ code: 1009 });
        heard.push(message.content);
        socket.send(JSON.stringify({ ...message, sender: "Big", seq: heard.length, ts: Date.now() }));
      });
      socket.send(JSON.stringify({ type: "welcome", user_id: "Big", session_id: "s", limits: {}, ping_interval_ms: 25_000 }));
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    await say(page, "x".repeat(200));
    await say(page, "behind it");
    await until("it is said", () => heard.join() === "behind it");
    await page.locator(".failed").waitFor();
    equal([visits, await page.locator(".failed").count()], [2, 1], "connections, messages that failed");
    await page.reload(); // also that one is kept
    await connected(page);
    await page.locator(".failed").getByRole("button", { name: "Discard" }).click();
    await until("it is gone", async () => await page.locator(".failed").count() === 0);
    await page.context().close();
  });

  await check("parts that stop in the middle, since too much waits, have been the answer once", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Parted"));
      const outbox = Array.from({ length: 198 }, (_, n) => ({ id: crypto.randomUUID(), kind: "person", target: "Zoe", content: `${n}`, queuedAt: Date.now(), firstSent: 0 }));
      localStorage.setItem("salon.unsent:left", JSON.stringify({ name: "Parted", at: 0, closed: true, drafts: [], refused: [], outbox }));
    });
    const heard = [];
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      const tell = (message) => socket.send(JSON.stringify(message));
      socket.onMessage((data) => {
        const { type, id, room_id, content, reply_to } = JSON.parse(data);
        if (type === "broadcast") heard.push([content.length, reply_to ?? 0]);
        if (type !== "join") return;
        tell({ type: "joined", id, room_id, user_id: "Parted", epoch: "e", seq: 1, recovered: false, members: 1 });
        tell({ type: "broadcast", room_id, sender: "Bob", content: "a question", seq: 1, ts: Date.now() });
      });
      tell({ type: "welcome", user_id: "Parted", session_id: "s", limits: { content_bytes: 1_000 }, ping_interval_ms: 25_000 });
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await sees(page, "a question");
    await page.locator("#log").focus();
    await page.keyboard.press("ArrowUp");
    await onMessage(page, "a question", "r");
    const part = "word ".repeat(150).trim();
    await composer(page).fill([part, part, part].join("\n"));
    await page.getByRole("button", { name: "Send in parts" }).click();
    await until("it stops", async () => (await page.locator("#composer-problem").textContent()) === "Too many messages are waiting to be sent.");
    equal([await composer(page).inputValue(), await page.locator("#composer-context").isHidden()], [part, true], "what is left, whether it answers");
    await until("the first was the answer", () => heard.join() === [part.length, 1].join());
    equal(await page.locator(".pending").count(), 2, "what waits");
    await page.context().close();
  });

  await check("what is unread stays unread when the server starts again", async () => {
    const page = await newPage();
    await enter(page, "Reader", "kitchen");
    await say(page, "/join elsewhere");
    await titled(page, "elsewhere");
    await say(bob, "One");
    await say(bob, "Two");
    await until("two are unread", async () => (await page.locator("#room-list .unread-dot").textContent()).startsWith("2"));
    await restart(page, bob);
    for (const one of [page, bob]) await connected(one);
    serverAway = false;
    await until("the page is in its rooms", async () => await linkState(page) === "Connected");
    await say(bob, "Three");
    await until("three are unread", async () => (await page.locator("#room-list .unread-dot").textContent()).startsWith("3"));
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await sees(page, "Three");
    equal(await page.locator("#messages > .new-line + li .text").allTextContents(), ["One"], "what the line New stands before");
    await until("it is read", async () => await badge(page, "kitchen") === 0);
    await page.context().close();
  });

  await check("what others say in a room where I have spoken is unread after a reload and in a new tab", async () => {
    const page = await newPage();
    await enter(page, "Speaker of old", "kitchen");
    await say(page, "I speak first");
    await sees(page, "I speak first");
    await say(page, "/join elsewhere");
    await titled(page, "elsewhere");
    for (const text of ["Unread one", "Unread two"]) await say(bob, text);
    const unread = (tab) => until("two are unread", async () => (await tab.locator("#room-list .unread-dot").textContent()).startsWith("2"));
    await unread(page);
    await page.reload();
    await until("it is in both rooms", async () => await linkState(page) === "Connected");
    await unread(page);
    const tab = await newTab(page, `${page.origin}/#room=elsewhere`);
    await until("it is in both rooms", async () => await linkState(tab) === "Connected");
    await unread(tab);
    await tab.locator("#room-list .place", { hasText: "kitchen" }).click();
    await sees(tab, "Unread two");
    equal(await tab.locator("#messages > .new-line + li .text").allTextContents(), ["Unread one"], "what the line New stands before");
    await page.context().close();
  });

  await check("a conversation that I opened before anything was said: unread after a reload, and one history over a reconnect", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Opener", "kitchen");
    await say(page, "/msg Bob");
    await titled(page, "Bob");
    await page.locator(".hello").waitFor();
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await say(bob, "/msg Opener First of all");
    await say(bob, "And second");
    const entry = page.locator("#person-list .place", { hasText: "Bob" });
    const unread = () => until("two are unread", async () => (await entry.locator(".badge").textContent()).startsWith("2"));
    await unread();
    await page.reload();
    await connected(page);
    await unread();
    await entry.click();
    await sees(page, "And second");
    await say(page, "And third");
    await sees(page, "And third");
    serverAway = true;
    wire.cut();
    await page.locator("#banner:not([hidden])", { hasText: "Reconnecting" }).waitFor();
    await say(bob, "And fourth");
    wire.mend();
    await connected(page);
    await sees(page, "And fourth");
    serverAway = false;
    equal([await texts(page), await page.locator("#messages .gap").count()], [["First of all", "And second", "And third", "And fourth"], 0], "what stands there, and the notices");
    await page.context().close();
    await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
  });

  await check("an epoch that a server gives before the first message and not after it is none to the page", async () => {
    const page = await newPage();
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Opener")));
    const said = [];
    let visits = 0;
    let socket;
    const write = (sender, user_id, content) => {
      said.push({ sender, user_id, content, seq: said.length + 1, ts: Date.now() });
      socket.send(JSON.stringify({ type: "direct", ...said.at(-1) }));
    };
    await page.routeWebSocket(/\/ws\?/, (one) => {
      socket = one;
      visits += 1;
      one.onMessage((data) => {
        const { type, id, user_id, limit, after = 0 } = JSON.parse(data);
        if (type !== "history") return;
        const items = said.filter(({ seq }) => seq > after).slice(-limit);
        one.send(JSON.stringify({ type: "history", id, user_id, epoch: said.length ? "of what is said" : `of the question ${visits}`, items }));
      });
      one.send(JSON.stringify({ type: "welcome", user_id: "Opener", session_id: "s", limits: {}, ping_interval_ms: 25_000 }));
    });
    await page.goto(`${page.origin}/#with=Zoe`);
    await page.locator(".hello").waitFor();
    write("Zoe", "Opener", "First of all");
    write("Zoe", "Opener", "And second");
    await sees(page, "And second");
    socket.close({ code: 4200 });
    await until("it is there again", () => visits === 2);
    write("Zoe", "Opener", "And third");
    await sees(page, "And third");
    equal([await texts(page), await page.locator("#messages .gap").count()], [["First of all", "And second", "And third"], 0], "what stands there, and the notices");
    await page.context().close();
  });

  await check("a tab stays who it is: whoever comes in by another tab of the browser is somebody else", async () => {
    const page = await newPage();
    await enter(page, "Own", "kitchen");
    const other = await newTab(page, `${page.origin}/#room=kitchen`);
    await connected(other);
    await goOut(other);
    await other.locator("#door-name").fill("Zed");
    await other.keyboard.press("Enter");
    await connected(other);
    for (const [tab, name] of [[page, "Own"], [other, "Zed"]]) {
      await tab.reload();
      await connected(tab);
      equal(await tab.locator("#me-name").textContent(), name, "the name after a reload");
    }
    await page.context().close();
  });

  await check("a room that is left in one tab is left in the others, but where something is written", async () => {
    const page = await newPage();
    await enter(page, "Leaver", "kitchen");
    for (const room of ["attic", "cellar", "den"]) {
      await say(page, `/join ${room}`);
      await titled(page, room);
    }
    const other = await newTab(page, `${page.origin}/#room=attic`);
    await until("it is in its rooms", async () => await linkState(other) === "Connected" && (await roomsOf(other)).length === 4);
    await composer(other).fill("not to be lost");
    await other.locator("#room-list .place", { hasText: "cellar" }).click();
    await titled(other, "cellar");
    for (const room of ["attic", "den", "cellar"]) await say(page, `/leave ${room}`);
    await until("the rooms of the other tab", async () => (await roomsOf(other)).join() === "attic,kitchen");
    await other.getByRole("button", { name: "Join again" }).click();
    await until("it is there again", async () => (await roomsOf(other)).includes("cellar") && (await members(other)).includes("Leaver"));
    await page.context().close();
  });

  await check("a room that was left stays left, however many were; rooms of another device are looked for until the server has listed them", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      if (localStorage.getItem("salon.name")) return;
      localStorage.setItem("salon.name", JSON.stringify("Nomad"));
      const left = Array.from({ length: 500 }, (_, n) => [`room:${n === 0 ? "den" : n}`, n + 1, "e", 1]);
      localStorage.setItem("salon.places:Nomad", JSON.stringify({ rooms: [{ id: "kitchen" }], people: [], left }));
    });
    let visits = 0;
    let listings = 0;
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      visits += 1;
      const tell = (message) => socket.send(JSON.stringify(message));
      socket.onMessage((data) => {
        const { type, id, room_id, read, rooms } = JSON.parse(data);
        for (const room of type === "join" ? rooms ?? [{ room_id }] : []) tell({ type: "joined", id: rooms ? undefined : id, room_id: room.room_id, user_id: "Nomad", epoch: "e", seq: 1, recovered: false, members: 1 });
        if (type === "leave") tell({ type: "left", id, room_id, user_id: "Nomad" });
        if (type !== "rooms") return;
        if (read) listings += 1;
        if (visits === 1 && read) return socket.close({ code: 4200 });
        tell({ type: "rooms", id, rooms: ["den", "attic"].map((room_id) => ({ room_id, name: room_id, members: 1, created_at: 1, read: 1, unread: 0 })) });
      });
      tell({ type: "welcome", user_id: "Nomad", session_id: "s", limits: {}, ping_interval_ms: 25_000 });
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await until("the rooms of another device are there, but for one that was left here", async () => (await roomsOf(page)).join() === "attic,kitchen");
    equal([visits, listings], [2, 2], "connections, listings");
    for (const room of ["den", "cellar"]) {
      await say(page, `/join ${room}`);
      await titled(page, room);
    }
    for (const room of ["den", "cellar"]) await say(page, `/leave ${room}`);
    await until("they are left", async () => (await roomsOf(page)).join() === "attic,kitchen");
    const left = await page.evaluate(() => JSON.parse(localStorage.getItem("salon.places:Nomad")).left.map(([key]) => key));
    equal([left.length, left.slice(-2)], [500, ["room:den", "room:cellar"]], "what is kept of them");
    await page.reload();
    await until("the same rooms are there", async () => (await roomsOf(page)).join() === "attic,kitchen");
    await page.context().close();
  });

  await check("whoever was invisible when the tab was closed is invisible in the next one, and nobody hears of it", async () => {
    const page = await newPage();
    await page.goto(`${page.origin}/#room=kitchen`);
    await page.locator("#door-name").fill("Shade");
    await page.keyboard.press("Enter");
    await connected(page);
    await page.locator("#me-status").selectOption("offline");
    await until("Bob sees nobody", () => bob.locator("#members .member.offline", { hasText: "Shade" }).count());
    const context = page.context();
    await page.close();
    await until("Shade has left", async () => !(await members(bob)).includes("Shade"));
    await bob.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url, user: "Watcher" });
      window.heard = [];
      salon.on("presence", ({ user_id, status }) => window.heard.push([user_id, status]));
      const welcome = new Promise((resolve) => salon.on("welcome", resolve));
      salon.connect();
      await welcome;
      await salon.presence({ user_ids: ["Shade", "Shown"] }, true);
      window.watcher = salon;
    }, `ws://127.0.0.1:${server.port}/ws`);
    const next = await context.newPage();
    await next.goto(`${origin}/#room=kitchen`);
    await connected(next);
    equal(await next.locator("#me-status").inputValue(), "offline", "the select");
    await say(next, "I am here all the same"); // behind it everything is heard that is to be heard
    await sees(bob, "I am here all the same");
    await next.locator("#me-status").selectOption("busy");
    await until("the watcher hears of what is shown", () => bob.evaluate(() => window.heard.length > 0));
    equal(await bob.evaluate(() => window.heard), [["Shade", "busy"]], "what the watcher heard");
    await next.locator("#me-status").selectOption("online");
    await until("nothing is kept", () => next.evaluate(() => localStorage.getItem("salon.status:Shade") === null));
    await bob.evaluate(() => window.watcher.close());
    await context.close();
  });

  await check("120 messages in a tab in the background: the reader comes back to the line New, and what was not in view is unread", async () => {
    const page = await newPage();
    await enter(page, "Away", "hall");
    await say(page, "Here until now");
    await sees(page, "Here until now");
    await hide(page, true);
    await speak(bob, "Speaker", { room_id: "hall" }, Array.from({ length: 120 }, (_, n) => `line ${n + 1}`));
    await until("it counts, and the title says that there is more", async () => (await page.locator(".place[aria-current] .unread-dot").textContent()).startsWith("99+") && (await page.title()).startsWith("• "));
    await hide(page, false);
    const view = () => page.evaluate(() => {
      const log = document.getElementById("log").getBoundingClientRect();
      const line = document.querySelector(".new-line")?.getBoundingClientRect();
      return { line: line ? Math.round((line.top - log.top) / log.height * 100) : null, above: document.querySelector("#messages > .new-line + li .text")?.textContent };
    });
    await until("the line is in view", async () => (await view()).line === 25);
    equal((await view()).above, "line 1", "what the line stands before");
    await page.screenshot({ path: path.join(pictures, "back-at-new.png") });
    const unread = async () => Number((await page.locator("#to-latest-text").textContent()).replace(",", "") || 0);
    await until("what is in view is read", async () => { const left = await unread(); return (left > 80 && left < 120) || Promise.reject(new Error(`${left} unread`)); });
    await page.locator("#to-latest").click();
    await until("the end is read", async () => await page.locator("#to-latest").isHidden() && (await page.title()).startsWith("hall"));
    // The same in a room that is opened: the line stands before the first unread message, however many the page holds.
    await say(page, "/join porch");
    await titled(page, "porch");
    await speak(bob, "Speaker", { room_id: "hall" }, Array.from({ length: 150 }, (_, n) => `more ${n + 1}`));
    await until("150 are unread", async () => (await page.locator("#room-list .unread-dot").textContent()).startsWith("99+"));
    await page.locator("#room-list .place", { hasText: "hall" }).click();
    await until("the line is in view", async () => (await view()).line === 25 && (await view()).above === "more 1");
    if (!(await unread() > 110)) throw new Error(`${await unread()} unread`);
    // After a reload it is the same place.
    await page.reload();
    await connected(page);
    await until("the line is in view again", async () => { const { line, above } = await view(); return line === 25 && /^more \d+$/.test(above) && above !== "more 150"; });
    await page.context().close();
  });

  await check("a message to somebody who is away is there when they come back, also from somebody they had no conversation with", async () => {
    const page = await newPage();
    await enter(page, "Homer", "kitchen");
    await page.goto("about:blank");
    await until("Homer is away", async () => !(await members(bob)).includes("Homer"));
    await say(bob, "/msg Homer While you were away, 1");
    await say(bob, "While you were away, 2");
    await sees(bob, "While you were away, 2");
    await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    const entry = page.locator("#person-list .place", { hasText: "Bob" });
    await until("two are unread", async () => (await entry.locator(".badge").textContent()).startsWith("2"));
    await entry.click();
    await sees(page, "While you were away, 2");
    await until("they are read", async () => await entry.locator(".badge").count() === 0);
    // A conversation that was closed is opened by a new message, and by no old one.
    await say(page, "/leave");
    await until("none is open", async () => await page.locator("#person-list .place").count() === 0);
    await page.reload();
    await connected(page);
    await page.goto("about:blank");
    await until("Homer is away", async () => !(await members(bob)).includes("Homer"));
    await say(bob, "/msg Homer And 3");
    await sees(bob, "And 3");
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    await until("one is unread", async () => (await entry.locator(".badge").textContent()).startsWith("1"));
    await page.context().close();
    await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
  });

  await check("a command that Ctrl+K begins over a draft, or over an edit, loses neither", async () => {
    const page = await newPage();
    await enter(page, "Kit", "kitchen");
    const is = (text) => until(`“${text}” is in the message box`, async () => await composer(page).inputValue() === text || Promise.reject(new Error(await composer(page).inputValue())));
    const begin = async (name) => {
      await page.keyboard.press("Control+k");
      await page.keyboard.type(`/${name}`);
      await page.keyboard.press("Enter");
      await is(`/${name} `);
    };
    await composer(page).fill("a thought of ten minutes");
    await begin("status");
    await page.keyboard.type("busy");
    await page.keyboard.press("Enter");
    await until("the status is set", async () => await page.locator("#me-status").inputValue() === "busy");
    await is("a thought of ten minutes");
    await begin("topic");
    for (let n = 0; n < 2; n += 1) await page.keyboard.press("Escape"); // the first one closes what is proposed
    await is("a thought of ten minutes");
    await begin("topic");
    await composer(page).fill("");
    await is("a thought of ten minutes");
    await begin("status");
    await page.reload();
    await connected(page);
    await is("a thought of ten minutes\n/status ");
    await composer(page).fill("said");
    await page.keyboard.press("Enter");
    await sees(page, "said");
    await page.keyboard.press("ArrowUp");
    await composer(page).fill("said otherwise");
    await begin("status");
    await page.keyboard.type("online");
    await page.keyboard.press("Enter");
    await is("said otherwise");
    await page.context().close();
  });

  await check("what the page writes into the message box can be undone: signs, an emoji, a proposal, a name", async () => {
    const page = await newPage();
    await enter(page, "Una", "kitchen");
    const is = (text) => until(`“${text}” is in the message box`, async () => await composer(page).inputValue() === text || Promise.reject(new Error(await composer(page).inputValue())));
    const undone = async (text) => {
      for (let n = 0; n < 9 && await composer(page).inputValue() !== text; n += 1) await page.keyboard.press("Control+z");
      equal(await composer(page).inputValue(), text, "what is left");
    };
    await page.keyboard.type("tea or coffee");
    await page.keyboard.press("Control+a");
    await page.locator("#format").click();
    await page.getByRole("button", { name: "Bold" }).click();
    await is("**tea or coffee**");
    await page.keyboard.type("neither"); // of what is still selected
    await is("**neither**");
    await undone("tea or coffee");
    await page.keyboard.press("End");
    await page.locator("#emoji").click();
    await page.locator("#picker-grid button").first().click();
    await until("it is there", async () => (await composer(page).inputValue()).length > "tea or coffee".length);
    await undone("tea or coffee");
    await page.keyboard.press("End");
    await page.keyboard.type(" @Bo");
    await page.locator("#suggestions .suggestion").first().waitFor();
    await page.keyboard.press("Tab");
    await is("tea or coffee @Bob ");
    await undone("tea or coffee @Bo");
    await page.context().close();
  });

  await check("the select says what the server holds: after a reload, on a second device, and after a long absence", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Hidden", "kitchen");
    const status = (one) => one.locator("#me-status").inputValue();
    await page.locator("#me-status").selectOption("offline");
    await until("Bob sees nobody", () => bob.locator("#members .member.offline", { hasText: "Hidden" }).count());
    await page.reload();
    await connected(page);
    await until("it is invisible still", async () => await status(page) === "offline");
    const second = await newPage();
    await comeAgain(second, "Hidden", "kitchen");
    await until("on the second device too", async () => await status(second) === "offline");
    await second.locator("#me-status").selectOption("away");
    await until("and on the first", async () => await status(page) === "away");
    await second.context().close();
    await say(page, "/status busy in a meeting");
    const note = bob.locator("#members .member", { hasText: "Hidden" }).locator(".member-note");
    await until("Bob reads the note", async () => (await note.textContent()) === "in a meeting");
    // Away for longer than the server waits: it has forgotten, and is told again.
    serverAway = true;
    wire.cut();
    await until("Hidden has left", async () => !(await members(bob)).includes("Hidden"));
    wire.mend();
    await connected(page); // it waits longer and longer
    serverAway = false;
    await until("Bob reads the note again", async () => await note.count() === 1 && (await note.textContent()) === "in a meeting");
    equal(await status(page), "busy", "the select");
    await page.context().close();
  });

  for (const last of ["older", "newer"]) {
    await check(`of a topic that was begun in two tabs the newer one is offered; the ${last} one was closed last`, async () => {
      const older = await newPage();
      await enter(older, `Tove ${last}`, "attic");
      const newer = await newTab(older, older.url());
      await connected(newer);
      const begun = async (tab, text) => {
        await tab.locator("#edit-topic").click();
        await tab.locator("#topic-input").fill(text);
        await until("it is kept", () => tab.evaluate((text) => Object.keys(localStorage).some((key) => key.startsWith("salon.unsent:") && localStorage[key].includes(text)), text));
      };
      await begun(older, "the older words");
      await begun(newer, "the newer words");
      for (const tab of last === "older" ? [newer, older] : [older, newer]) await tab.goto("about:blank");
      await older.goto(`${origin}/#room=attic`);
      await connected(older);
      await older.locator("#edit-topic").click();
      equal(await older.locator("#topic-input").inputValue(), "the newer words", "what is offered");
      await older.context().close();
    });
  }

  await check("what one person has read and found is nothing of the next one in the same tab", async () => {
    const linus = await newPage();
    await enter(linus, "Linus", "busy");
    await say(bob, "/join busy");
    await say(bob, "the first one");
    await sees(linus, "the first one");
    const marks = async () => {
      const { rooms } = await asks(bob, "Linus", "rooms", { read: true });
      return rooms.filter(({ room_id }) => room_id === "busy").map(({ read }) => read);
    };
    await until("the server has his mark", async () => (await marks())[0] > 0);
    await linus.context().close();
    const page = await newPage();
    // The moment in which marks are told comes when the check says so.
    await page.addInitScript(() => {
      window.moments = [];
      const { setTimeout: later } = window;
      window.setTimeout = (run, ms, ...rest) => (ms === 1_000 ? window.moments.push(run) : later(run, ms, ...rest));
    });
    await enter(page, "Alva", "busy");
    await say(bob, "the second one");
    await sees(page, "the second one");
    await until("it is read", () => page.evaluate(() => window.moments.length > 0));
    await page.locator("#open-search").click();
    await page.locator("#search-input").fill("second");
    await page.locator("#search-list .result").waitFor();
    await page.keyboard.press("Escape");
    await say(page, "/join quiet");
    await titled(page, "quiet");
    await goOut(page);
    await page.locator("#door-name").fill("Linus");
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByRole("button", { name: "Yes, that is me" }).click();
    await connected(page);
    await titled(page, "quiet");
    const before = await marks();
    await page.evaluate(() => { for (const run of window.moments.splice(0)) run(); });
    equal(await marks(), before, "his mark in the room that she has read");
    await page.locator("#open-search").click();
    equal([await page.locator("#search-input").inputValue(), await page.locator("#search-list .result").count()], ["", 0], "what he has searched for, and found");
    await page.context().close();
    await say(bob, "/join kitchen");
  });

  await check("a title that somebody else has set while its dialog was open is not undone: saved as it was, or not before that is said", async () => {
    const page = await newPage();
    await enter(page, "Vera", "titles");
    await say(page, "/title First");
    await titled(page, "First");
    await say(bob, "/join titles");
    await titled(bob, "First");
    const open = async () => {
      await page.locator("#title").click();
      await page.locator("#place-menu").getByRole("button", { name: "Change the title" }).click();
    };
    const isOpen = () => page.locator("#topic-dialog").evaluate((dialog) => dialog.open);
    await open();
    await say(bob, "/title Second");
    await titled(page, "Second");
    await page.keyboard.press("Enter");
    await until("it is closed", async () => !await isOpen());
    await open();
    equal(await page.locator("#topic-input").inputValue(), "Second", "what stands");
    await say(bob, "/title Third");
    await titled(page, "Third");
    await page.keyboard.type("Fourth");
    await page.keyboard.press("Enter");
    await until("it is said", async () => (await page.locator("#topic-problem").textContent()).startsWith("That has become “Third” meanwhile."));
    await titled(bob, "Third");
    await page.keyboard.press("Enter");
    await titled(bob, "Fourth");
    await until("it is closed", async () => !await isOpen());
    await page.context().close();
    await say(bob, "/join kitchen");
  });

  await check("a title that was saved without a connection stays in its dialog, one that was commanded in the composer; what is set at last is all that is left", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Wanda", "offline");
    const said = () => page.locator("#composer-problem").textContent();
    let signs = 0;
    const open = async () => {
      await page.locator("#title").click();
      await page.locator("#place-menu").getByRole("button", { name: "Change the title" }).click();
    };
    const away = async () => {
      serverAway = true;
      wire.cut();
      await page.locator("#app[data-connection=waiting]").waitFor();
    };
    const back = async () => {
      wire.mend();
      await page.evaluate(() => window.dispatchEvent(new Event("online")));
      await connected(page);
      serverAway = false;
      signs += 1;
      await speak(bob, "Sign", { room_id: "offline" }, [`it is in the room ${signs}`]);
      await sees(page, `it is in the room ${signs}`);
    };
    await away();
    await say(page, "/title Teh room");
    await until("it is there still", async () => await composer(page).inputValue() === "/title Teh room" && await said() !== "");
    await back();
    equal(await composer(page).inputValue(), "/title Teh room", "what is in the composer");
    await say(page, "/title The room");
    await titled(page, "The room");
    await open();
    equal(await page.locator("#topic-input").inputValue(), "The room", "what is offered when another title is set");
    await away();
    await page.locator("#topic-input").fill("Our room");
    await page.keyboard.press("Enter");
    await until("the dialog says so", async () => (await page.locator("#topic-problem").textContent()) !== "");
    await back();
    await page.keyboard.press("Enter");
    await titled(page, "Our room");
    await until("it is closed", () => page.locator("#topic-dialog").evaluate((dialog) => !dialog.open));
    await page.context().close();
  });
});
