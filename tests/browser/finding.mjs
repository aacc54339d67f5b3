/**
 * Finding: what was said, where to go, who is here; and the keys. `node finding.mjs SALON_BINARY`; see run.sh.
 */
import path from "node:path";
import { audit, begin, boxOf, composer, connected, enter, newPage as openPage, say, sees, speak, texts, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, pictures, run } = await begin(server);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
const focused = (page, id) => until(`#${id} has the focus`, () => page.evaluate((id) => document.activeElement.id === id, id));
const nothingFound = "Nothing was found. Whole words are looked for.";
const results = (page) => page.locator("#search-list .result-text").allTextContents();

/** Keeps back what the server says to a page and `holds` is true of; `letGo` lets all of it come. */
async function held(page) {
  const waiting = [];
  const wire = { holds: () => false, waiting, letGo() { for (const send of waiting.splice(0)) send(); } };
  await page.routeWebSocket(/\/ws\?/u, (socket) => {
    const there = socket.connectToServer();
    there.onMessage((text) => {
      if (wire.holds(JSON.parse(text))) waiting.push(() => socket.send(text));
      else socket.send(text);
    });
  });
  return wire;
}

await run(async () => {
  const ada = await newPage();
  const bob = await newPage();
  await enter(ada, "Ada", "kitchen");
  await enter(bob, "Bob", "kitchen");

  await check("search finds words in rooms and conversations, is narrowed by from: and in:, and leads to the place", async () => {
    await say(bob, "The kettle is in the cupboard");
    for (let n = 0; n < 80; n += 1) await say(bob, `filler ${n}`);
    await sees(ada, "filler 79");
    await say(ada, "Which kettle?");
    await sees(ada, "Which kettle?");
    await say(bob, "/msg Ada kettle, between us");
    await ada.locator("#person-list .badge").waitFor(); // a search is of what is there when it begins
    await say(ada, "/join attic");
    await titled(ada, "attic");
    await composer(ada).evaluate((input) => input.blur());
    await ada.keyboard.press("/");
    await focused(ada, "search-input");
    await ada.keyboard.type("kettle");
    await until("three are found", async () => (await results(ada)).length === 3 || Promise.reject(new Error(JSON.stringify(await results(ada)))));
    equal(await ada.locator("#search-list mark").count(), 3, "words that are marked");
    await ada.screenshot({ path: path.join(pictures, "search.png") });
    await ada.locator("#search-input").fill("from:Bob in:kitchen kettle");
    await until("one is left", async () => (await results(ada)).join() === "The kettle is in the cupboard");
    await ada.keyboard.press("ArrowDown");
    await ada.keyboard.press("Enter");
    await titled(ada, "kitchen");
    await until("it is shown in its place", () => ada.evaluate(() => {
      const node = document.querySelector("#messages > li.shown");
      const log = document.getElementById("log").getBoundingClientRect();
      const { top, bottom } = node?.getBoundingClientRect() ?? {};
      return node?.querySelector(".text").textContent === "The kettle is in the cupboard" && top > log.top && bottom < log.bottom;
    }));
    await ada.goBack();
    await titled(ada, "attic");
    await ada.locator("#open-search").click();
    equal(await results(ada), ["The kettle is in the cupboard"], "the results, opened again");
    await ada.locator("#search-input").fill("nothing of that kind");
    await until("nothing is found", async () => (await ada.locator("#search-status").textContent()) === nothingFound);
    await ada.keyboard.press("Escape");
  });

  await check("a search takes names as people write them: the title of a room, small letters; and says how a day is written", async () => {
    const page = await newPage();
    await enter(page, "Tilda", "kitchen");
    await page.locator("#add-room").click();
    await page.locator("#finder-input").fill("p-7");
    await page.locator("#finder-room-title").fill("Great Project");
    await page.locator("#finder-submit").click();
    await titled(page, "Great Project");
    await say(page, "a kettle of our own");
    await sees(page, "a kettle of our own");
    await page.locator("#open-search").click();
    for (const where of ["in:\"great project\"", "in:P-7", "in:p-7", "from:tilda", "from:@Tilda"]) {
      await page.locator("#search-input").fill(`kettle nobody ${where}`);
      await until("nothing is found", async () => (await page.locator("#search-status").textContent()) === nothingFound || Promise.reject(new Error(`${where}: ${await page.locator("#search-status").textContent()}`)));
      await page.locator("#search-input").fill(`kettle ${where}`);
      await until(`it is found ${where}`, async () => (await results(page)).join() === "a kettle of our own");
    }
    // A day is that of the reader, from its beginning to its end.
    const [before, day, next] = await page.locator("#messages > li.message time").last().evaluate((time) => [-1, 0, 1].map((days) => {
      const day = new Date(time.dateTime);
      day.setDate(day.getDate() + days);
      return `${day.getFullYear()}-${day.getMonth() + 1}-${String(day.getDate()).padStart(2, "0")}`;
    }));
    const nothing = async () => (await page.locator("#search-status").textContent()) === nothingFound;
    for (const [where, isFound] of [[`on:${day}`, true], [`on:${before}`, false], [`on:${next}`, false], [`after:${before}`, true], [`after:${day}`, false], [`before:${next}`, true], [`before:${day}`, false], [`after:${before} before:${next}`, true]]) {
      for (const [text, finds] of [[isFound ? "nobody" : "kettle own", !isFound], [`kettle own ${where}`, isFound]]) {
        await page.locator("#search-input").fill(text);
        await until(`it is found: ${finds}: ${text}`, finds ? async () => (await results(page)).join() === "a kettle of our own" : nothing);
      }
    }
    for (const wrong of ["kettle before:yesterday", "kettle after:2026", "kettle on:monday", "from:", "kettle from:", "from: Tilda"]) {
      await page.locator("#search-input").fill("nobody");
      await until("nothing is found", nothing);
      await page.locator("#search-input").fill(wrong);
      await until(`it says how: ${wrong}`, async () => (await page.locator("#search-status").textContent()).includes("before:2026-01-31") || Promise.reject(new Error(await page.locator("#search-status").textContent())));
    }
    await page.locator("#search-input").fill("from:Tilda");
    await until("it says what is missing", async () => (await page.locator("#search-status").textContent()) === "Write a word to look for, too.");
    await page.context().close();
  });

  await check("Ctrl+K goes to a room, a person or a command by a few letters", async () => {
    await ada.keyboard.press("Control+k");
    await focused(ada, "switcher-input");
    await ada.keyboard.type("kit");
    await until("the kitchen is first", async () => (await ada.locator("#switcher-list .suggestion-label").first().textContent()) === "kitchen");
    await ada.keyboard.press("Enter");
    await titled(ada, "kitchen");
    await focused(ada, "composer-input");
    await ada.keyboard.press("Control+k");
    await ada.keyboard.type("bo");
    await ada.keyboard.press("Enter");
    await titled(ada, "Bob");
    await ada.keyboard.press("Control+k");
    await ada.keyboard.type("/sta");
    await ada.keyboard.press("Enter");
    await until("the command is begun", async () => (await composer(ada).inputValue()) === "/status ");
    await composer(ada).fill("");
  });

  await check("Ctrl+K and the name of what is on screen lead to the message box, and one's own name to one's notes", async () => {
    const page = await newPage();
    await enter(page, "Kitty", "kitchen");
    await page.keyboard.press("Control+k");
    const labels = () => page.locator("#switcher-list .suggestion-label").allTextContents();
    equal((await labels()).filter((one) => ["kitchen", "Kitty"].includes(one)), [], "what is offered unasked");
    await page.keyboard.type("kitchen");
    await until("it is offered", async () => (await labels())[0] === "kitchen" || Promise.reject(new Error(await labels())));
    equal(await page.locator("#switcher-none").isVisible(), false, "nothing of that name");
    await page.keyboard.press("Enter");
    await page.locator("#switcher:not([open])").waitFor({ state: "attached" });
    await focused(page, "composer-input");
    await titled(page, "kitchen");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("@kitty");
    await until("it says what is there", async () => (await page.locator("#switcher-list [aria-selected=true]").textContent()) === "KKittyNotes to yourself" || Promise.reject(new Error(await page.locator("#switcher-list").textContent())));
    await page.keyboard.press("Enter");
    await titled(page, "Kitty");
    await focused(page, "composer-input");
    await page.context().close();
  });

  await check("Ctrl+K finds a room with a title by its id too, and shows both", async () => {
    const page = await newPage();
    await enter(page, "Kim", "kitchen");
    for (const id of ["k-17", "k-18"]) {
      await say(page, `/join ${id}`);
      await titled(page, id);
      await say(page, "/title The same title");
      await titled(page, "The same title");
    }
    await say(page, "/join kitchen");
    await titled(page, "kitchen");
    const shown = () => page.locator("#switcher-list .suggestion").evaluateAll((all) => all.map((one) => [".suggestion-label", ".room-id"].map((part) => one.querySelector(part)?.textContent).join(" ")));
    await page.keyboard.press("Control+k");
    await page.keyboard.type("the same");
    await until("both are shown", async () => (await shown()).sort().join() === "The same title k-17,The same title k-18");
    await page.locator("#switcher-input").fill("k-18");
    await until("one is found by its id", async () => (await shown()).join() === "The same title k-18");
    await page.keyboard.press("Enter");
    await titled(page, "The same title");
    equal(await page.locator("#title .room-id").textContent(), "k-18", "where it leads");
    await page.context().close();
  });

  await check("what comes later leaves the choice in Ctrl+K where it is", async () => {
    const page = await newPage();
    let send = null;
    await page.routeWebSocket(/\/ws\?/u, (socket) => {
      const there = socket.connectToServer();
      socket.onMessage((text) => {
        if (JSON.parse(text).type === "online") send = () => there.send(text);
        else there.send(text);
      });
    });
    await enter(page, "Kay", "kitchen");
    await page.keyboard.press("Control+k");
    await until("it is asked who is here", () => send !== null);
    await page.keyboard.type("a");
    await page.keyboard.press("ArrowDown");
    const chosen = () => page.locator("#switcher-list [aria-selected=true] .suggestion-label").textContent();
    const before = await chosen();
    if (before === await page.locator("#switcher-list .suggestion-label").first().textContent()) throw new Error("the first is chosen still");
    await page.evaluate(() => new MutationObserver(() => { window.drawn = true; }).observe(document.getElementById("switcher-list"), { childList: true }));
    send();
    await until("the people are there", () => page.evaluate(() => window.drawn));
    equal(await chosen(), before, "what is chosen");
    await page.context().close();
  });

  await check("keys: PageUp in the message box scrolls, Escape goes to the end, and what is typed is written wherever the focus is", async () => {
    await ada.keyboard.press("Control+k");
    await ada.keyboard.type("kitchen");
    await ada.keyboard.press("Enter");
    await titled(ada, "kitchen");
    await sees(ada, "Which kettle?");
    await say(ada, "/join cellar");
    await titled(ada, "cellar");
    for (let n = 0; n < 40; n += 1) await say(ada, `line ${n}`);
    await ada.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(ada, "kitchen");
    await sees(ada, "Which kettle?");
    const below = () => ada.evaluate(() => { const log = document.getElementById("log"); return log.scrollHeight - log.scrollTop - log.clientHeight; });
    await until("it is at the end", async () => await below() < 5);
    for (let n = 0; n < 2; n += 1) await composer(ada).press("PageUp");
    await until("it has scrolled", async () => await below() > 500);
    await ada.keyboard.press("Escape");
    await until("it is at the end again", async () => await below() < 5);
    // What has scrolled is told a frame later, when it is the past: it undoes nothing that was asked for meanwhile.
    const scrolledAndThen = (action) => ada.evaluate((action) => {
      const log = document.getElementById("log");
      log.scrollBy({ top: -2 * log.clientHeight });
      if (action === "Escape") document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
      else [...document.querySelectorAll("#room-list .place")].find((place) => place.textContent.includes(action)).click();
    }, action);
    const framesPass = () => ada.evaluate(() => new Promise((passed) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(passed)))));
    await scrolledAndThen("Escape");
    await framesPass();
    await until("it is at the end, though it had scrolled in the same frame", async () => await below() < 5);
    await scrolledAndThen("cellar");
    await titled(ada, "cellar");
    await framesPass();
    await until("another room opens at its end", async () => await below() < 5);
    await ada.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(ada, "kitchen");
    await ada.locator("#room-list .place", { hasText: "attic" }).focus();
    await ada.keyboard.type("typed");
    equal(await composer(ada).inputValue(), "typed", "the composer");
    await composer(ada).fill("");
  });

  await check("keys: what a screen reader was told of proposals goes with them, and what it was told since stays", async () => {
    const page = await newPage();
    await enter(page, "Rea", "kitchen");
    const told = () => page.locator("#announcer").textContent();
    for (const [close, stays] of [["Escape", ""], ["Backspace", ""], ["Escape", "New message from Bob"]]) {
      await composer(page).fill("");
      await page.keyboard.type("@Bo");
      await until("it is told", async () => (await told()) === "1 suggestion" || Promise.reject(new Error(await told())));
      if (stays) await speak(bob, "Bob", { user_id: "Rea" }, ["psst"]);
      await until("it was told since", async () => (await told()).includes(stays));
      for (let n = 0; n < 3 && await page.locator("#suggestions").isVisible(); n += 1) await page.keyboard.press(close);
      await page.locator("#suggestions").waitFor({ state: "hidden" });
      equal(await told(), stays, `what is told behind ${close}`);
    }
    await page.context().close();
  });

  await check("keys of an input method are none of the page: Escape leaves the view, arrows the choice, Enter the message", async () => {
    const page = await newPage();
    await enter(page, "Oki", "conversion");
    for (let n = 0; n < 40; n += 1) await say(page, `line ${n}`);
    await sees(page, "line 39");
    const pressed = (id, key, fields) => page.evaluate(({ id, key, fields }) => {
      document.getElementById(id).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...fields }));
    }, { id, key, fields });
    const below = () => page.evaluate(() => { const log = document.getElementById("log"); return log.scrollHeight - log.scrollTop - log.clientHeight; });
    await until("it is at the end", async () => await below() < 5);
    await composer(page).press("PageUp");
    await until("it has scrolled", async () => await below() > 300);
    await until("the way to the end is offered", () => page.locator("#to-latest").isVisible());
    await composer(page).fill("/he");
    for (const fields of [{ isComposing: true }, { keyCode: 229 }]) {
      for (const key of ["Enter", "Escape"]) await pressed("composer-input", key, fields);
      equal([await composer(page).inputValue(), await page.locator("#suggestions").isVisible(), await page.locator("#to-latest").isVisible()], ["/he", true, true], "what is written, the suggestions, the way to the end");
    }
    await composer(page).fill("");
    for (const fields of [{ isComposing: true }, { keyCode: 229 }]) {
      await pressed("composer-input", "Escape", fields);
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      equal(await page.locator("#to-latest").isVisible(), true, "the way to the end is offered still");
    }
    await page.keyboard.press("Control+k");
    await page.locator("#switcher-list .suggestion").nth(1).waitFor();
    const chosen = () => page.locator("#switcher-list [aria-selected=true]").getAttribute("id");
    const before = await chosen();
    await pressed("switcher-input", "ArrowDown", { isComposing: true });
    equal(await chosen(), before, "what is chosen");
    await page.context().close();
  });

  await check("/nick comes in again under another name, and /me says what one does", async () => {
    const page = await newPage();
    await enter(page, "Before", "kitchen");
    await say(page, "/me waves");
    await sees(ada, "_waves_");
    await say(page, "/nick After");
    // It asks what the icon of the door asks; and who stays is who they were.
    await page.locator("#going[open]").waitFor();
    await page.getByRole("button", { name: "Stay" }).click();
    equal([await page.locator("#app").isVisible(), await page.locator("#door").isVisible(), await page.locator("#me-name").textContent()], [true, false, "Before"], "the page, the door, the name");
    await say(page, "/nick After");
    await page.getByRole("button", { name: "Go out", exact: true }).click();
    await page.locator("#door").waitFor();
    equal(await page.locator("#door-name").inputValue(), "After", "the name at the door");
    await page.getByRole("button", { name: "Enter" }).click();
    await connected(page);
    await until("the name is another", async () => (await page.locator("#me-name").textContent()) === "After");
    await page.context().close();
  });

  await check("/join and the finder take @name for a person, and make no room of it", async () => {
    const page = await newPage();
    await enter(page, "Joiner", "kitchen");
    await say(page, "/join @Bob");
    await titled(page, "Bob");
    equal([await page.locator("#title svg").count(), await page.locator("#room-list .place-name").allTextContents()], [0, ["kitchen"]], "the sign of a room, and rooms");
    await say(page, "/leave @Bob");
    await titled(page, "kitchen");
    await page.locator("#add-room").click();
    await page.locator("#finder-input").fill("@Bob");
    equal([await page.locator("#finder-submit").textContent(), await page.locator("#finder-topic-part").isVisible()], ["Write", false], "the button, and a title for a new room");
    await page.locator("#finder-input").press("Enter");
    await titled(page, "Bob");
    equal(await page.locator("#room-list .place-name").allTextContents(), ["kitchen"], "rooms");
    await page.context().close();
  });

  await check("an author, also by the avatar, opens a card with what can be done", async () => {
    await ada.locator("#messages > li.message:not(.continued) > .avatar").last().click();
    await ada.locator("#person[open]").waitFor();
    await ada.keyboard.press("Escape");
    await ada.locator("#messages > li.message:not(.continued) .author", { hasText: "Bob" }).last().click();
    equal(await ada.locator("#person-card .person-name").textContent(), "Bob", "the name");
    await ada.locator("#person-mention").click();
    equal(await composer(ada).inputValue(), "@Bob ", "the composer");
    await composer(ada).fill("");
  });

  await check("an answer to a dialog that was closed, or is about somebody else now, does nothing: a room that is made, the card of a person", async () => {
    const page = await newPage();
    const wire = await held(page);
    await enter(page, "Quy", "kitchen");
    // Whatever an answer does, it does before what comes behind it is drawn.
    const passed = async (target, sign) => {
      await speak(ada, "Bob", target, [sign]);
      await sees(page, sign);
    };
    wire.holds = ({ created }) => created !== undefined;
    await page.locator("#add-room").click();
    await page.locator("#finder-input").fill("slow");
    await page.locator("#finder-topic").fill("What takes its time");
    await page.keyboard.press("Enter");
    await until("the answer is on its way", () => wire.waiting.length === 1);
    await page.keyboard.press("Escape");
    await say(page, "/msg Bob");
    await titled(page, "Bob");
    await composer(page).pressSequentially("for you ");
    wire.letGo();
    await passed({ user_id: "Quy" }, "behind the room");
    await titled(page, "Bob");
    await page.keyboard.type("alone");
    equal(await composer(page).inputValue(), "for you alone", "what is written to Bob");
    await composer(page).fill("");

    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(page, "kitchen");
    for (const name of ["Ada", "Bob"]) {
      await speak(ada, name, { room_id: "kitchen" }, [`a word of ${name}`]);
      await sees(page, `a word of ${name}`);
    }
    const card = (name) => page.locator("#messages > li.message", { hasText: `a word of ${name}` }).locator(".author").click();
    wire.holds = ({ users }) => users?.Ada !== undefined;
    await card("Ada");
    await until("the answer about Ada is on its way", () => wire.waiting.length > 0);
    await page.keyboard.press("Escape");
    await card("Bob");
    wire.letGo();
    await passed({ room_id: "kitchen" }, "behind the card");
    equal(await page.locator("#person-card .person-name").textContent(), "Bob", "the name on the card");
    await page.context().close();
  });

  await check("a menu and a dialog go with the conversation that they were opened for, as a notification leads to another", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      window.told = [];
      window.Notification = class {
        static permission = "granted";
        constructor() { window.told.push(this); }
        close() {}
      };
      localStorage.setItem("salon.notifications", JSON.stringify({ on: true, rooms: [] }));
    });
    await enter(page, "Sam", "menus");
    await say(page, "a message");
    await sees(page, "a message");
    const away = (isAway) => page.evaluate((isAway) => {
      if (isAway) Object.defineProperty(document, "hasFocus", { configurable: true, value: () => false });
      else delete document.hasFocus;
      window.dispatchEvent(new Event(isAway ? "blur" : "focus"));
    }, isAway);
    const openings = [
      ["#place-menu", async () => { await page.locator("#title").click(); }],
      ["#message-menu", async () => {
        await page.locator("#messages > li.message").last().hover();
        await page.locator("#bar-more").click();
      }],
      ["#topic-dialog", async () => { await page.locator("#edit-topic").click(); }],
    ];
    for (const [n, [dialog, open]] of openings.entries()) {
      await open();
      await page.locator(`${dialog}[open]`).waitFor();
      await away(true);
      await say(bob, `/msg Sam psst ${n}`);
      await until("it is told", () => page.evaluate((n) => window.told.length === n + 1, n));
      await away(false);
      await page.evaluate(() => window.told.at(-1).onclick());
      await titled(page, "Bob");
      equal(await page.locator("dialog[open]").count(), 0, `dialogs that are open (${dialog})`);
      await page.locator("#room-list .place", { hasText: "menus" }).click();
      await titled(page, "menus");
    }
    await page.context().close();
  });

  await check("the dialog for a new room keeps what was written: let go of beside it, closed, reloaded; and says what is too long", async () => {
    const page = await newPage();
    await enter(page, "Uma", "kitchen");
    const fields = ["#finder-input", "#finder-room-title", "#finder-topic"];
    const written = async () => Promise.all(fields.map((field) => page.locator(field).inputValue()));
    await page.locator("#add-room").click();
    for (const [n, text] of ["studio", "The studio", "Colours"].entries()) await page.locator(fields[n]).fill(text);
    const { x, y, height } = await boxOf(page.locator("#finder-room-title"));
    const beside = (await boxOf(page.locator("#finder"))).x - 20;
    await page.mouse.move(x + 40, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(beside, y + height / 2);
    await page.mouse.up();
    equal(await page.locator("#finder").evaluate(({ open }) => open), true, "it is open, as the mouse is let go of beside it");
    await page.mouse.click(beside, y);
    await until("a click beside it closes it", () => page.locator("#finder").evaluate(({ open }) => !open));
    await page.locator("#add-room").click();
    equal(await written(), ["studio", "The studio", "Colours"], "what is offered");
    await page.keyboard.press("Escape");
    await page.reload();
    await connected(page);
    await page.locator("#add-room").click();
    equal(await written(), ["studio", "The studio", "Colours"], "what is offered after a reload");
    await page.locator("#finder-room-title").fill("x".repeat(300));
    await page.keyboard.press("Enter");
    await until("the title is too long", async () => (await page.locator("#finder-problem").textContent()) === "That title is too long, by about 44 characters.");
    await page.locator("#finder-room-title").fill("The studio");
    await page.keyboard.press("Enter");
    await titled(page, "The studio");
    await page.locator("#add-room").click();
    equal(await written(), ["", "", ""], "what is offered when it is made");
    await page.context().close();
  });

  await check("words for a room that somebody else has made meanwhile are asked about, and are not lost", async () => {
    for (const [answer, title, offered] of [["Save", "The tea room", ""], ["Do not", "tea Do not", "The tea room"]]) {
      const page = await newPage();
      await enter(page, "Una", "kitchen");
      const room = `tea ${answer}`;
      await page.locator("#add-room").click();
      await page.locator("#finder-input").fill(room);
      await page.locator("#finder-room-title").fill("The tea room");
      await say(bob, `/join ${room}`);
      await titled(bob, room);
      await page.keyboard.press("Enter");
      await page.locator("#question[open]").waitFor();
      equal(await page.locator("#question-title").textContent(), `Somebody else has made ${room} meanwhile`, "the question");
      await page.locator("#question").getByRole("button", { name: answer, exact: true }).click();
      await titled(page, title);
      await titled(bob, title);
      const kept = () => page.evaluate(() => [localStorage, sessionStorage].flatMap((storage) => Object.values(storage)).some((text) => text.includes("title:tea Save")));
      if (offered === "") await until("nothing is begun", async () => !await kept());
      else {
        await page.locator("#title").click();
        await page.locator("#place-menu").getByRole("button", { name: "Change the title" }).click();
        equal(await page.locator("#topic-input").inputValue(), offered, "what is offered");
      }
      await page.context().close();
    }
    await say(bob, "/join kitchen");
    await titled(bob, "kitchen");
  });

  await check("in a room of 130 everybody can be called, found and listed, not only those of the sample", async () => {
    const crowd = await newPage();
    await crowd.goto(`${crowd.origin}/`);
    await crowd.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      window.crowd = await Promise.all(Array.from({ length: 130 }, async (_, n) => {
        const salon = new SalonClient({ url, user: `person${String(n).padStart(3, "0")}` });
        const there = new Promise((resolve) => salon.on("joined", resolve));
        salon.join("plaza");
        salon.connect();
        await there;
        return salon;
      }));
    }, `ws://127.0.0.1:${server.port}/ws`);
    const page = await newPage();
    await enter(page, "Inez", "plaza");
    await until("131 are here", async () => (await page.locator("#details-title").textContent()) === "People · 131");
    for (const begun of ["person09", "person12", "person00"]) {
      await composer(page).fill("");
      await composer(page).pressSequentially(`ask @${begun}`);
      await until(`those who begin with ${begun} are proposed`, async () => {
        const labels = await page.locator("#suggestions:not([hidden]) .suggestion-label").allTextContents();
        return labels.length === 8 && labels.every((label) => label.startsWith(begun));
      });
    }
    await composer(page).fill("");
    await page.locator("#members-filter-input").fill("person12");
    await until("they are found", async () => (await page.locator("#members .member-name").count()) === 10);
    await page.locator("#members-filter-input").fill("");
    await page.locator("#members-more").click();
    await until("all are listed", async () => (await page.locator("#members .member-name").count()) === 131);
    await page.context().close();
    await crowd.context().close();
  });

  await check("on a phone Back closes the drawer and stays in the room, what is opened from it is one step, and targets are 44 px", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await enter(phone, "Phyllis", "kitchen");
    await composer(phone).fill("/join attic");
    await phone.locator("#send").tap();
    await titled(phone, "attic");
    const open = () => phone.evaluate(() => document.getElementById("app").dataset.drawer ?? "");
    await phone.locator("#open-places").tap();
    await until("it is open", async () => await open() === "places");
    const small = await phone.evaluate(() => [...document.querySelectorAll("#places button, .conversation-head button, #composer button")]
      .filter((button) => button.offsetParent && (button.offsetHeight < 44 || button.offsetWidth < 44)).map((button) => `${button.id || button.className} ${button.offsetWidth}x${button.offsetHeight}`));
    equal(small, [], "targets under 44 px");
    await phone.goBack();
    await until("it is closed", async () => await open() === "");
    await titled(phone, "attic");
    await phone.locator("#open-places").tap();
    await phone.locator("#room-list .place", { hasText: "kitchen" }).tap();
    await titled(phone, "kitchen");
    await phone.goBack();
    await titled(phone, "attic");
    await phone.context().close();
  });

  await check("on a phone Back closes a dialog and goes nowhere; one that is closed otherwise costs no step", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await enter(phone, "Philip", "kitchen");
    await composer(phone).fill("/join attic");
    await phone.locator("#send").tap();
    await titled(phone, "attic");
    const open = () => phone.locator("dialog[open]").count();
    for (const [button, dialog] of [["#open-search", "#search"], ["#title", "#place-menu"], ["#emoji", "#picker"]]) {
      await phone.locator(button).tap();
      await phone.locator(`${dialog}[open]`).waitFor();
      await phone.goBack();
      await until("it is closed", async () => await open() === 0);
      await titled(phone, "attic");
    }
    await phone.locator("#open-places").tap();
    await phone.locator("#me-name").tap();
    await phone.locator("#note-dialog[open]").waitFor();
    await phone.goBack();
    await until("all is closed", async () => await open() === 0 && await phone.evaluate(() => document.getElementById("app").dataset.drawer === undefined));
    await titled(phone, "attic");
    for (const [button, close] of [["#open-search", "#search-close"], ["#emoji", "#picker-close"]]) {
      await phone.locator(button).tap();
      await phone.locator(close).tap();
      await until("it is closed", async () => await open() === 0);
    }
    await phone.goBack();
    await titled(phone, "kitchen");
    await phone.locator("#open-places").tap();
    await phone.locator("#add-room").tap();
    await phone.locator("#finder-input").fill("loft");
    await phone.keyboard.press("Enter");
    await titled(phone, "loft");
    await phone.goBack();
    await titled(phone, "kitchen");
    await phone.context().close();
  });

  await check("a dialog that is opened while a drawer is on its way out stays, and Back closes it; so does the question of the door, which closes the drawer", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await phone.addInitScript(() => {
      const { back } = History.prototype;
      History.prototype.back = function later() { window.goNow = () => back.call(this); }; // a browser that is busy
    });
    await enter(phone, "Paula", "kitchen");
    await composer(phone).fill("/join attic");
    await phone.locator("#send").tap();
    await titled(phone, "attic");
    const open = () => phone.locator("#search[open]").count();
    const gone = () => phone.evaluate(() => new Promise((resolve) => {
      window.addEventListener("popstate", () => setTimeout(resolve), { once: true });
      window.goNow();
    }));
    await phone.locator("#open-places").tap();
    await phone.locator("#app[data-drawer=places]").waitFor();
    await phone.keyboard.press("Escape");
    await phone.locator("#app:not([data-drawer])").waitFor();
    await phone.locator("#open-search").tap();
    await phone.locator("#search[open]").waitFor();
    await gone();
    equal(await open(), 1, "dialogs that are open");
    await phone.goBack();
    await until("Back closes it", async () => await open() === 0);
    await titled(phone, "attic");
    await phone.locator("#open-places").tap();
    await phone.getByRole("button", { name: "Leave and choose another name" }).tap();
    await phone.locator("#going[open]").waitFor();
    await gone();
    await phone.getByRole("button", { name: "Go out", exact: true }).tap();
    await phone.locator("#door").waitFor();
    await phone.context().close();
  });

  await check("pictures and files are refused in a sentence, and a file that is dropped does not take the place of the page", async () => {
    const refused = await ada.evaluate(() => {
      const data = new DataTransfer();
      data.items.add(new File(["x"], "x.png", { type: "image/png" }));
      const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(drop);
      return drop.defaultPrevented;
    });
    equal([refused, (await ada.locator("#toast").textContent()).startsWith("Only text can be sent here")], [true, true], "the drop, the words");
  });

  for (const [colorScheme, width, height] of [["light", 360, 740], ["dark", 360, 740], ["light", 1440, 900], ["dark", 1440, 900]]) {
    await check(`axe finds nothing, ${colorScheme}, ${width} px: search, Ctrl+K, a person, an empty room`, async () => {
      const page = await newPage({ colorScheme, viewport: { width, height }, bypassCSP: true, reducedMotion: "reduce" });
      const name = `Axe ${colorScheme} ${width}`;
      await enter(page, name, `empty ${name}`);
      const looked = async (what) => {
        await page.screenshot({ path: path.join(pictures, `finding-${what}-${colorScheme}-${width}.png`) });
        await audit(page, what);
      };
      await page.locator(".invitation").waitFor();
      await looked("empty");
      await page.keyboard.press("Control+k");
      await page.locator("#switcher-list .suggestion").first().waitFor();
      await looked("switcher");
      await page.keyboard.press("Escape");
      await page.locator("#open-search").click();
      await page.locator("#search-input").fill("kettle");
      await until("it was answered", async () => (await page.locator("#search-status").textContent()) === nothingFound);
      await looked("search");
      await page.keyboard.press("Escape");
      await say(page, "Hello");
      await page.locator(".author").last().click();
      await looked("person");
      await page.context().close();
    });
  }
});
