/**
 * What is shown: links, mentions, emoji, names that look alike, marks that are piled up, times, and what is said at the
 * door. `node what_is_shown.mjs SALON_BINARY`; see run.sh. Where links end and who is called is in `text.mjs`, row by
 * row.
 */
import { audit, begin, boxOf, composer, connected, enter, goOut, hashOf, isSerious, members, newPage as openPage, roomsOf, say, sees, texts, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";
import path from "node:path";

const admin = await freePort();
const server = new Server(process.argv[2], await freePort(), "--admin", `127.0.0.1:${admin}`);
const { browser, pictures, run } = await begin(server);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
const problem = (page) => page.locator("#composer-problem").textContent();

await run(async () => {
  const ada = await newPage();
  const bob = await newPage();
  await enter(ada, "Ada", "kitchen");
  await enter(bob, "Bob", "kitchen");

  await check("a link shows the host that it leads to, and a sentence behind it is no part of it", async () => {
    await say(ada, "https://www.аррӏе.com/ と https://example.com/a、続き");
    await bob.locator("#messages a").nth(1).waitFor();
    equal(await bob.locator("#messages a").evaluateAll((all) => all.map((a) => [a.textContent, a.href, a.title])), [
      ["https://www.xn--80ak6aa92e.com/", "https://www.xn--80ak6aa92e.com/", "Written as https://www.аррӏе.com/"],
      ["https://example.com/a", "https://example.com/a", ""],
    ], "the links");
  });

  await check("a mention is @ and the name; the bare word, an e-mail address and a link are none", async () => {
    for (const text of ["bob, are you there?", "bob@example.org", "https://example.org/@bob", "@bob さん", "@Bobさん"]) await say(ada, text);
    await sees(bob, "@Bobさん");
    equal(await bob.locator("#messages > li.mention .text").allTextContents(), ["@bob さん", "@Bobさん"], "mentions");
  });

  await check("a name in code calls nobody, and one in italics does: what is drawn is what is counted", async () => {
    const before = await bob.locator("#messages > li.mention").count();
    for (const text of ["`@Bob` code", "```\n@Bob\n```", "_@Bob_ italics"]) await say(ada, text);
    await sees(bob, "_@Bob_ italics");
    const rows = await bob.locator("#messages > li.message").evaluateAll((all) => all.slice(-3).map((node) => [node.classList.contains("mention"), node.querySelector(".call") !== null]));
    equal([rows, await bob.locator("#messages > li.mention").count()], [[[false, false], [false, false], [true, true]], before + 1], "rows in amber, and names that are marked");
  });

  await check("a mention in another room is said to a screen reader, and other messages there are not", async () => {
    await say(bob, "/join elsewhere");
    await titled(bob, "elsewhere");
    await bob.evaluate(() => {
      window.heard = [];
      new MutationObserver(() => window.heard.push(document.getElementById("announcer").textContent)).observe(document.getElementById("announcer"), { childList: true });
    });
    for (const text of ["no name", "@Bob, are you there?", "no name again", "@Bob, hello?"]) await say(ada, text);
    await until("it is said", async () => (await bob.evaluate(() => window.heard)).length === 2);
    equal(await bob.evaluate(() => window.heard), Array(2).fill("Ada mentions you in kitchen"), "what is said");
    await say(bob, "/leave elsewhere");
    await titled(bob, "kitchen");
  });

  await check("marks that are piled on a letter stay in their message", async () => {
    await say(ada, `Z${"\u0301\u0348".repeat(25)}`);
    await until("it is there", async () => (await texts(bob)).some((text) => text.startsWith("Z\u0301")));
    const style = await bob.locator("#messages .text").last().evaluate((node) => getComputedStyle(node).overflowY);
    equal(style, "clip", "what becomes of what is over the edge");
  });

  await check("emoji alone are large, also flags, keys and tags; signs are not", async () => {
    for (const text of ["🇩🇪", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "™", "©"]) await say(ada, text);
    await sees(bob, "©");
    equal(await bob.locator("#messages .jumbo").allTextContents(), ["🇩🇪", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"], "the large ones");
  });

  const broadcast = async (fields) => {
    const response = await fetch(`http://127.0.0.1:${admin}/api/broadcast`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) });
    equal(response.status, 200, "the status");
  };

  await check("what the operator says to everybody looks like nobody's, and what a person says is theirs", async () => {
    await broadcast({ content: "Tea at https://example.org/tea." });
    await broadcast({ sender: "Ada", content: "Or coffee." });
    const last = bob.locator("#announcements > li.announcement").first(); // the latest, which is above the others
    await until("both are there", async () => (await last.textContent()).includes("Or coffee."));
    const shown = await bob.locator("#announcements > li.announcement").evaluateAll((all) => all.slice(0, 2).reverse().map((one) => [
      one.classList.contains("of-operator"), one.querySelector(".announced-by").lastChild.textContent, one.querySelectorAll(".avatar").length, one.querySelector("a")?.href ?? "",
    ]));
    equal(shown, [[true, "From the server", 0, "https://example.org/tea"], [false, " to everybody", 1, ""]], "by the operator, name and end, avatars, links");
    equal(await last.locator("bdi").textContent(), "Ada", "the person");
    await bob.screenshot({ path: path.join(pictures, "announcements.png") });
    // They stay over a look elsewhere and a reload, until they are dismissed one by one.
    await say(bob, "/join elsewhere");
    await titled(bob, "elsewhere");
    equal(await bob.locator("#announcements .announcement").count(), 2, "announcements in another room");
    await bob.reload();
    await connected(bob);
    equal(await bob.locator("#announcements .announcement").count(), 2, "announcements after a reload");
    for (const left of [1, 0]) {
      await bob.getByRole("button", { name: "Dismiss this announcement" }).first().click();
      await until("one less", async () => await bob.locator("#announcements .announcement").count() === left);
    }
    await bob.reload();
    await connected(bob);
    equal(await bob.locator("#announcements .announcement").count(), 0, "announcements that were dismissed");
    await say(bob, "/leave elsewhere");
    await titled(bob, "kitchen");
  });

  await check("a note that the server would not take is told in words: it stays written, and nothing changes", async () => {
    for (const [note, words] of [["\u202Eevil", "reverse the direction"], ["a\tb", "Control characters"], ["a\u200Bb", "nobody sees"]]) {
      await say(ada, `/status away ${note}`);
      await until("it is told", async () => (await problem(ada)).startsWith("The note: ") && (await problem(ada)).includes(words));
      equal([await composer(ada).inputValue(), await ada.locator("#me-status").inputValue()], [`/status away ${note}`, "online"], "what is written, the status");
      equal(await ada.evaluate(() => localStorage.getItem("salon.status:Ada")), null, "what is kept");
    }
    await composer(ada).fill("");
    // Whatever else a server refuses, too.
    const page = await newPage();
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Refused")));
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      socket.onMessage((data) => {
        const { type, id, room_id, rooms } = JSON.parse(data);
        if (type === "status") socket.send(JSON.stringify({ type: "error", id, code: "bad_request", message: "field `note` of the wire", retry: false }));
        if (type === "join") for (const one of rooms ?? [{ room_id }]) socket.send(JSON.stringify({ type: "joined", id, room_id: one.room_id, user_id: "Refused", epoch: "e", seq: 0, recovered: true, members: 1 }));
      });
      socket.send(JSON.stringify({ type: "welcome", user_id: "Refused", session_id: "s", limits: {}, ping_interval_ms: 25_000, status: "online" }));
    });
    await page.goto(`${page.origin}/#room=kitchen`);
    await connected(page);
    await say(page, "/status away from here");
    await until("it is told", async () => (await problem(page)) === "The server does not take this note.");
    equal([await composer(page).inputValue(), await page.locator("#me-status").inputValue(), await page.evaluate(() => localStorage.getItem("salon.status:Refused"))],
      ["/status away from here", "online", null], "what is written, the status, what is kept");
    await page.context().close();
  });

  await check("a name of characters that nobody sees is told in words, by command and in a link", async () => {
    for (const [command, words] of [["/join a\u200Bb", "The room: Characters that nobody sees"], ["/msg a\u200Bb", "The name: Characters that nobody sees"]]) {
      await say(ada, command);
      await until("it is told", async () => (await problem(ada)).startsWith(words));
      await composer(ada).fill("");
    }
    for (const hash of ["room=a%E2%80%8Bb", "with=a%E2%80%8Bb"]) {
      await ada.evaluate((hash) => { location.hash = hash; }, hash);
      await until("it is told", async () => (await problem(ada)).includes("in the link: Characters that nobody sees"));
      await composer(ada).pressSequentially("x");
      await composer(ada).fill("");
    }
    equal(await roomsOf(ada), ["kitchen"], "the rooms");
  });

  await check("a text of which nobody sees anything is not sent", async () => {
    for (const text of ["\u200B", "\u3164 \u2060"]) {
      await composer(ada).fill(text);
      equal(await ada.locator("#send").isDisabled(), true, "the button is off");
      await ada.keyboard.press("Enter");
    }
    await composer(ada).fill("");
    await say(ada, "Seen");
    await sees(bob, "Seen");
    equal((await texts(bob)).filter((text) => /^[\u200B\u3164\u2060 ]*$/u.test(text)), [], "texts that show nothing");
  });

  await check("the hint in the composer takes one line, however long the name of the room is", async () => {
    const page = await newPage({ viewport: { width: 320, height: 640 } });
    await enter(page, "Narrow", "a room with a name ".repeat(6).trim());
    const height = await composer(page).evaluate((node) => node.getBoundingClientRect().height);
    if (height > 50) throw new Error(`the composer is ${height} px high`);
    await page.context().close();
  });

  await check("the wash of a mention that is the first of its day covers neither the day nor the line New", async () => {
    const page = await newPage();
    await enter(page, "Washer", "laundry");
    await page.evaluate(() => Object.defineProperty(document, "hasFocus", { configurable: true, value: () => false }));
    await say(ada, "/join laundry");
    await titled(ada, "laundry");
    await say(ada, "@Washer, ready?");
    await page.locator("#messages > li.mention").waitFor();
    equal(await page.evaluate(() => [".day-line", ".new-line"].map((line) => {
      const node = document.querySelector(`#messages > ${line}`);
      return [node.closest(".mention"), getComputedStyle(node).backgroundColor];
    })), [[null, "rgba(0, 0, 0, 0)"], [null, "rgba(0, 0, 0, 0)"]], "the lines");
    await page.context().close();
    await say(ada, "/leave laundry");
    await titled(ada, "kitchen");
  });

  await check("a room with an Arabic or Hebrew name has it beside its sign", async () => {
    await say(ada, "/join مطبخ");
    const gap = () => ada.evaluate(() => {
      const place = document.querySelector("#room-list .place[aria-current]");
      const range = document.createRange();
      range.selectNodeContents(place.querySelector(".place-name"));
      return range.getBoundingClientRect().left - place.querySelector(".place-hash").getBoundingClientRect().right;
    });
    await until("it is listed", async () => (await ada.locator(".place[aria-current] .place-name").textContent()) === "مطبخ");
    if (await gap() > 30) throw new Error(`${await gap()} px between the sign and the name`);
    await say(ada, "/leave مطبخ");
    await titled(ada, "kitchen");
  });

  await check("a room that is made in the finder may have a topic", async () => {
    await ada.locator("#add-room").click();
    await ada.locator("#finder-input").fill("garden club");
    await ada.locator("#finder-topic").fill("Seeds and slugs");
    equal(await ada.locator("#finder-submit").textContent(), "Create", "the button");
    await ada.keyboard.press("Enter");
    await titled(ada, "garden club");
    await until("it has its topic", async () => (await ada.locator("#topic").textContent()) === "Seeds and slugs");
    await ada.locator("#add-room").click();
    await ada.locator("#finder-input").fill("kitchen");
    equal([await ada.locator("#finder-topic").isVisible(), await ada.locator("#finder-submit").textContent()], [false, "Join"], "a room that is there");
    await ada.keyboard.press("Escape");
    await say(ada, "/leave garden club");
    await titled(ada, "kitchen");
  });

  await check("an announcement keeps its lines", async () => {
    await broadcast({ sender: "Ops", content: "Back at ten.\nTea at eleven." });
    const line = bob.locator("#announcements .announcement .text", { hasText: "Tea at eleven" });
    await line.waitFor();
    equal((await line.evaluate((node) => node.innerText)).split("\n").length, 2, "lines");
  });

  await check("half a character is mended before it is sent", async () => {
    await composer(ada).evaluate((input) => { input.value = "half \uD83C and whole \u{1F370}"; input.dispatchEvent(new Event("input")); });
    await composer(ada).press("Enter");
    for (const page of [ada, bob]) await sees(page, "half \uFFFD and whole \u{1F370}");
    equal([await ada.locator(".pending").count(), await problem(ada)], [0, ""], "what waits, the problem");
  });

  await check("words that every object knows are no status, no command and no person", async () => {
    for (const word of ["constructor", "__proto__", "toString"]) {
      await say(ada, `/status ${word}`);
      await until("it says so", async () => (await problem(ada)).startsWith(`“${word}” is no status.`));
      equal(await ada.locator("#me-status").inputValue(), "online", "the status");
    }
    await composer(ada).fill("");
    const page = await newPage();
    await enter(page, "constructor", "__proto__");
    await say(page, "hello");
    await sees(page, "hello");
    equal(await members(page), ["constructor"], "the people");
    await page.context().close();
  });

  await check("the sign before a name is none of it: by command, in the finder and at the door", async () => {
    await say(ada, "/join #den");
    await titled(ada, "den");
    await say(ada, "/msg @Bob hello there");
    await titled(ada, "Bob");
    await ada.locator("#add-room").click();
    await ada.locator("#finder-input").fill("#attic");
    await ada.keyboard.press("Enter");
    await titled(ada, "attic");
    await ada.locator("#add-person").click();
    await ada.locator("#finder-input").fill("@Bob");
    await ada.keyboard.press("Enter");
    await titled(ada, "Bob");
    await say(ada, "/join \"#quoted\""); // in quotes it is meant
    await titled(ada, "#quoted");
    await say(ada, "/leave #quoted");
    await say(ada, "/leave #den");
    await until("the rooms", async () => (await roomsOf(ada)).join() === "attic,kitchen");
    const page = await newPage();
    await page.goto(`${page.origin}/`);
    await page.locator("#door-name").fill("@Grace");
    await page.locator("#door-room").fill("#attic");
    await page.keyboard.press("Enter");
    await connected(page);
    equal([await page.locator("#me-name").textContent(), await page.locator("#title bdi").textContent()], ["Grace", "attic"], "the name, the room");
    await page.context().close();
    const other = await newPage();
    await other.goto(`${other.origin}/`);
    await other.locator("#door-name").fill("Heidi");
    await other.locator("#door-room").fill("@Ada");
    await other.keyboard.press("Enter");
    await connected(other);
    equal([await other.locator("#title bdi").textContent(), await hashOf(other), await roomsOf(other)], ["Ada", "#with=Ada", []], "who is written to, the address, the rooms");
    await other.context().close();
    const invited = await newPage(); // the address of a room says which room it is
    await enter(invited, "Ivan", "@Ada");
    equal(await roomsOf(invited), ["@Ada"], "the room of a link");
    await invited.context().close();
    await ada.locator("#room-list .place", { hasText: "kitchen" }).click();
  });

  await check("names that look alike are told apart", async () => {
    const [cyrillic, small] = [await newPage(), await newPage()];
    for (const text of ["First of a group", "Second of it", "Third of it"]) await say(bob, text);
    await sees(bob, "Third of it");
    const height = () => bob.locator("#messages > li.message").evaluateAll((all) => all.slice(-3).map((one) => one.clientHeight));
    const before = await height();
    await enter(cyrillic, "Аda", "kitchen");
    await enter(small, "bob", "kitchen");
    const marks = () => bob.locator("#members .member").evaluateAll((all) => all.map((one) => [one.querySelector(".member-name").textContent, one.querySelector(".lookalike")?.textContent ?? ""]));
    await until("both are marked", async () => {
      const found = new Map(await marks());
      return found.get("Аda") === "U+0410" && found.get("Ada") === "" && found.get("bob") === "not Bob" && found.get("Bob") === "not bob";
    });
    const tags = bob.locator("#messages > li.message .lookalike");
    await until("the name of the group has the mark, and nothing is longer", async () => {
      const found = [await height(), await tags.evaluateAll((all) => all.filter((one) => one.checkVisibility() && one.closest(".continued")).length), await tags.last().textContent()];
      return JSON.stringify(found) === JSON.stringify([before, 0, "not bob"]) || Promise.reject(new Error(JSON.stringify([before, ...found])));
    });
    await say(cyrillic, "It is me, Ada.");
    await sees(bob, "It is me, Ada.");
    equal(await bob.locator("#messages > li.message").last().locator(".lookalike").textContent(), "U+0410", "the mark at the message");
    await bob.screenshot({ path: path.join(pictures, "lookalikes.png") });
    for (const page of [cyrillic, small]) await page.context().close();
    // One who has gone and said nothing is nowhere on the page: the other's mark goes too. What was said stays there.
    await until("Bob has no mark any more, and Ada's other self has one at what it said", async () => {
      const found = new Map(await marks());
      return found.size === 2 && found.get("Bob") === "" && (await bob.locator("#messages > li.message").last().locator(".lookalike").textContent()) === "U+0410" || Promise.reject(new Error(JSON.stringify([...found])));
    });
    // Rooms too; and a room that is called like a person is not one that looks like them.
    await say(ada, "/join kitchеn"); // with a Cyrillic е
    await until("the head has a mark", async () => (await ada.locator("#title .lookalike").textContent()) === "U+0435");
    await say(ada, "/leave kitchеn");
    await titled(ada, "kitchen");
    await say(ada, "/join Bob");
    await titled(ada, "Bob");
    equal(await ada.locator("#title .lookalike").count(), 0, "marks at a room of the name of a person");
    await say(ada, "/leave Bob");
    await ada.locator("#room-list .place", { hasText: "kitchen" }).click();
  });

  await check("another time zone while the page is open: times are shown in it", async () => {
    const page = await newPage();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Emulation.setTimezoneOverride", { timezoneId: "Europe/London" });
    await enter(page, "Traveller", "kitchen");
    await sees(page, "It is me, Ada.");
    const times = () => page.locator("#messages time").evaluateAll((all) => all.map((time) => time.textContent));
    const before = await times();
    await devtools.send("Emulation.setTimezoneOverride", { timezoneId: "Asia/Tokyo" });
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await until("all times are others", async () => (await times()).every((time, at) => time !== before[at]));
    await page.context().close();
  });

  await check("a clock that is set back stops neither typing nor what is shown of it", async () => {
    await composer(bob).pressSequentially("a");
    await until("Ada sees it", async () => (await ada.locator("#typing").textContent()).includes("Bob"));
    await composer(bob).fill("");
    for (const page of [ada, bob]) await page.evaluate(() => { const real = Date.now; Date.now = () => real() - 3_600_000; });
    await until("it is over", async () => (await ada.locator("#typing").textContent()) === "");
    await until("it is seen again", async () => {
      await composer(bob).pressSequentially("b");
      return (await ada.locator("#typing").textContent()).includes("Bob");
    });
    await say(bob, "Typed an hour ago");
    await sees(ada, "Typed an hour ago");
  });

  await check("a browser that takes no more addresses: head, list and messages agree", async () => {
    const page = await newPage();
    await enter(page, "Often", "kitchen");
    await say(page, "/join attic");
    await titled(page, "attic");
    await page.evaluate(() => { for (const name of ["pushState", "replaceState"]) history[name] = () => { throw new DOMException("100 in 30 s", "SecurityError"); }; });
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(page, "kitchen");
    equal(await page.locator("#room-list .place[aria-current] .place-name").textContent(), "kitchen", "the one in the list");
    await say(page, "In the kitchen");
    await sees(bob, "In the kitchen");
    await page.context().close();
  });

  await check("a click on a room puts the focus where one writes; on a phone it opens no keyboard", async () => {
    await ada.locator("#room-list .place", { hasText: "attic" }).click();
    await ada.keyboard.type("straight away");
    equal(await composer(ada).inputValue(), "straight away", "the composer");
    await composer(ada).fill("");
    const phone = await newPage({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await enter(phone, "Phone", "kitchen");
    await phone.locator("#open-places").tap();
    await phone.locator("#public-list .place", { hasText: "attic" }).tap();
    await titled(phone, "attic");
    equal(await phone.evaluate(() => document.activeElement.id === "composer-input"), false, "the focus in the composer");
    await phone.context().close();
  });

  await check("the door says where one is invited, and how many are there", async () => {
    const page = await newPage();
    await page.goto(`${page.origin}/#room=kitchen`);
    await until("it says so", async () => /^You are invited to the room “kitchen”\. \d+ people are there\.$/u.test(await page.locator("#door-where").textContent()));
    equal(await page.locator("#door-room").isVisible(), false, "a field for the room");
    await page.context().close();
  });

  await check("a wrong name at the door: the field is red and the words stand beneath it", async () => {
    const page = await newPage();
    await page.goto(`${page.origin}/`);
    const field = page.locator("#door-name");
    await field.fill("é".repeat(70));
    await page.keyboard.press("Enter");
    await until("it is said", async () => (await page.locator("#door-problem").textContent()) === "That is too long. Please leave out 6 characters.");
    const looks = () => field.evaluate((node) => {
      const problem = document.getElementById(node.getAttribute("aria-describedby")).getBoundingClientRect();
      const probe = document.body.appendChild(Object.assign(document.createElement("i"), { className: "problem", textContent: "x" }));
      const red = getComputedStyle(probe).color;
      probe.remove();
      return { focused: document.activeElement === node, red: getComputedStyle(node).borderTopColor === red, beneath: problem.top >= node.getBoundingClientRect().bottom && problem.bottom <= document.getElementById("door-room").getBoundingClientRect().top };
    });
    equal(await looks(), { focused: true, red: true, beneath: true }, "the field");
    await page.screenshot({ path: path.join(pictures, "wrong-name.png") });
    await field.fill("server");
    await page.keyboard.press("Enter");
    await until("it is said", async () => (await page.locator("#door-problem").textContent()) === "That is the name of whoever runs this server.");
    await field.fill("Fine");
    await page.locator("#door-room").fill("*");
    await page.keyboard.press("Enter");
    await until("the room is named", async () => (await page.locator("#door-room-problem").textContent()).includes("reserved") && (await page.locator("#door-problem").textContent()) === "");
    await page.context().close();
  });

  await check("the name of somebody who is away is asked about, and no promise is made that free names cannot keep", async () => {
    const first = await newPage();
    await enter(first, "Charles", "kitchen");
    await first.context().close();
    await until("Charles is away", async () => !(await members(ada)).includes("Charles"));
    await say(ada, "/msg Charles For you alone");
    await sees(ada, "For you alone");
    await until("it is said who reads it", async () => (await ada.locator(".hello-text").textContent()).startsWith("Names are free on this server"));
    const page = await newPage();
    await page.goto(`${page.origin}/#room=kitchen`);
    await page.locator("#door-name").fill("Charles");
    await page.keyboard.press("Enter");
    await page.getByRole("group", { name: "Charles has been here before. Was that you?" }).waitFor();
    equal(await page.locator("#app").isVisible(), false, "the chat");
    await page.screenshot({ path: path.join(pictures, "name-of-somebody-away.png") });
    await page.getByRole("button", { name: "Choose another name" }).click();
    await page.locator("#door-name").fill("Nobody has been this");
    await page.keyboard.press("Enter");
    await connected(page);
    await page.context().close();
  });

  await check("the door asks before it lets out, and what the browser keeps comes back with the name", async () => {
    const page = await newPage();
    await enter(page, "Wanda", "kitchen");
    await say(page, "/join attic");
    await say(page, "/msg Bob Bye");
    await sees(page, "Bye");
    await page.getByRole("button", { name: "Leave and choose another name" }).click();
    await until("it asks", async () => (await page.locator("#going-text").textContent()) === "This browser keeps your 2 rooms and 1 conversation for when you come in as Wanda again.");
    await page.screenshot({ path: path.join(pictures, "going-out.png") });
    await page.keyboard.press("Escape");
    equal(await page.locator("#app").isVisible(), true, "the chat");
    await goOut(page);
    await page.locator("#door-name").fill("Wanda");
    await page.keyboard.press("Enter");
    await connected(page);
    equal([await roomsOf(page), await page.locator("#person-list .place-name").allTextContents()], [["attic", "kitchen"], ["Bob"]], "rooms and people");
    await goOut(page, "Go out and forget all here");
    await page.locator("#door-name").fill("Wanda");
    await page.locator("#door-room").fill("kitchen");
    await page.keyboard.press("Enter");
    await connected(page);
    equal(await roomsOf(page), ["kitchen"], "rooms");
    await page.context().close();
  });

  await check("a browser that is too old is told so, and not left with an empty page", async () => {
    for (const [what, script] of [["no dialogs", "delete window.HTMLDialogElement"], ["no findLast", "delete Array.prototype.findLast"]]) {
      const page = await newPage({ expectedErrors: true });
      await page.addInitScript(script);
      await page.goto(`${page.origin}/`);
      await until(`with ${what} it says so`, async () => (await page.locator("#too-old").textContent()).startsWith("This browser is too old for Salon."));
      await page.context().close();
    }
    // A part is missing: of the door, of what is behind it, and of its look.
    for (const [part, where] of [[/\/(?:names|door-[0-9a-f]+)\.js$/u, "#too-old"], [/\/(?:text|app-[0-9a-f]+)\.js$/u, "#door-status"], [/\/app(?:-[0-9a-f]+)?\.css$/u, "#door-status"]]) {
      const page = await newPage({ expected: () => true });
      await page.route(part, (route) => route.abort());
      await page.goto(`${page.origin}/`);
      if (where === "#door-status") {
        // Nobody has had that name.
        await page.locator("#door-name").fill(`Early for ${part.source.replace(/\W/gu, "")}`);
        await page.keyboard.press("Enter");
      }
      await until(`without ${part} it says so`, async () => (await page.locator(where).textContent()).startsWith("A part of this page"));
      equal(await page.locator(where).isVisible(), true, "to be seen");
      await page.context().close();
    }
  });

  await check("a text that was drawn before it was known who is here calls them all the same", async () => {
    const page = await newPage();
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Early bird")));
    let socket;
    await page.routeWebSocket(/\/ws\?/, (one) => {
      socket = one;
      one.onMessage((data) => {
        const { type, id } = JSON.parse(data);
        if (type !== "join") return;
        one.send(JSON.stringify({ type: "joined", id, room_id: "hall", user_id: "Early bird", epoch: "e", seq: 1, recovered: false, members: 2 }));
        one.send(JSON.stringify({ type: "broadcast", room_id: "hall", sender: "Bob", content: "@Zoe Lee, tea?", seq: 1, ts: Date.now() }));
      });
      one.send(JSON.stringify({ type: "welcome", user_id: "Early bird", session_id: "s", limits: {}, ping_interval_ms: 25_000 }));
    });
    await page.goto(`${page.origin}/#room=hall`);
    await until("it is drawn", async () => (await texts(page)).join() === "@Zoe Lee, tea?");
    equal(await page.locator(".call").count(), 0, "calls, while nobody is known");
    socket.send(JSON.stringify({ type: "online_users", room_id: "hall", users: ["Early bird", "Bob", "Zoe Lee"], count: 3 }));
    await until("it calls Zoe Lee", async () => (await page.locator(".call").allTextContents()).join() === "@Zoe Lee");
    equal(await texts(page), ["@Zoe Lee, tea?"], "the text");
    await page.context().close();
  });

  await check("a page that is read from right to left is mirrored: sides, drawers, marks; and nothing scrolls sideways", async () => {
    for (const [width, height] of [[1280, 800], [390, 844]]) {
      const page = await newPage({ viewport: { width, height }, reducedMotion: "reduce" });
      await enter(page, `Mirror ${width}`, "kitchen");
      await say(page, "@Bob, from right to left");
      await page.evaluate(() => { document.documentElement.dir = "rtl"; });
      equal(await page.locator(".invitation input").evaluate((field) => getComputedStyle(field).direction), "ltr", "the address of the room");
      await page.locator("#title").click();
      const [name, menu] = [await boxOf(page.locator("#title")), await boxOf(page.locator("#place-menu"))];
      if (width > 1000) equal(Math.round(name.x + name.width - menu.x - menu.width), 0, "where the menu of the room ends");
      equal(menu.x >= 0 && menu.x + menu.width <= width && menu.y + menu.height <= height, true, "the menu in the window");
      await page.keyboard.press("Escape");
      const centre = (part) => page.locator(part).evaluate((node) => { const { left, right } = node.getBoundingClientRect(); return (left + right) / 2 / innerWidth; });
      const [places, details, send] = [await centre("#places"), await centre("#details"), await centre("#send")];
      if (width > 1000) equal([places > 0.8, details < 0.2], [true, true], `the sides: ${places}, ${details}`);
      else equal([places > 1, details < 0], [true, true], `the drawers are away: ${places}, ${details}`);
      equal(send < 0.5, true, `the button: ${send}`);
      equal(await page.evaluate(() => [document.documentElement, document.getElementById("log")].map((node) => node.scrollWidth > node.clientWidth)), [false, false], "sideways scrolling");
      if (width < 1000) {
        await page.locator("#open-places").click();
        const open = await centre("#places");
        equal(open > 0.5 && open < 1, true, `the drawer: ${open}`);
      }
      await page.screenshot({ path: path.join(pictures, `mirrored-${width}.png`) });
      await page.context().close();
    }
  });

  for (const [colorScheme, width, height] of [["light", 390, 844], ["dark", 390, 844], ["light", 1280, 800], ["dark", 1280, 800]]) {
    const look = `${width === 390 ? "phone" : "desktop"}-${colorScheme}`;
    await check(`axe finds nothing serious, ${look}: a wrong name, names that look alike, the question before going out`, async () => {
      const page = await newPage({ colorScheme, viewport: { width, height }, bypassCSP: true, reducedMotion: "reduce" });
      const looked = async (state) => {
        await page.screenshot({ path: path.join(pictures, `shown-${look}-${state}.png`) });
        await audit(page, state, isSerious);
      };
      await page.goto(`${page.origin}/#room=kitchen`);
      await page.locator("#door-name").fill("*");
      await page.keyboard.press("Enter");
      await page.locator("#door-problem", { hasText: "reserved" }).waitFor();
      await looked("wrong-name");
      await enter(page, `adа ${look}`, "kitchen"); // with a Cyrillic a
      await until("Bob is here", async () => (await members(page)).includes("Bob"));
      await say(bob, "/msg @kitchen"); // somebody of the name of a room
      await titled(bob, "kitchen");
      await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
      await page.evaluate(() => document.getElementById("change-name").click());
      await page.locator("#going").waitFor();
      await looked("going-out");
      await page.keyboard.press("Escape");
      await looked("room");
      await page.context().close();
    });
  }

  for (const width of [360, 1280]) {
    await check(`a topic and a title that are cut in the head can be read: ${width} px`, async () => {
      const page = await newPage({ viewport: { width, height: 740 }, bypassCSP: true });
      const [name, topic] = [`A title ${"that goes on ".repeat(18)}`.trim(), `About ${"this and that, ".repeat(15)}`.trim()];
      await enter(page, `Reader ${width}`, `long ${width}`);
      await say(page, `/title ${name}`);
      await titled(page, name);
      await say(page, `/topic ${topic}`);
      await until("it is above the messages", async () => (await page.locator("#topic").textContent()) === topic);
      equal(await page.locator("#topic").getAttribute("title"), topic, "what is under the pointer");
      if (width > 600) {
        await page.locator(".place[aria-current]").hover();
        equal(await page.locator(".place[aria-current]").getAttribute("title"), `${name} · long ${width}`, "what is under the pointer in the list");
        const other = page.locator("#public-list .place", { hasText: "long 360" }); // of the check before
        await other.hover();
        equal(await other.getAttribute("title"), `Join ${name} · long 360`, "what is under the pointer where it can be joined");
      }
      await page.locator("#title").click();
      await page.locator("#place-menu[open]").waitFor();
      const parts = page.locator("#place-menu-about > p");
      equal(await parts.allTextContents(), [name, topic], "what is in the menu");
      equal(await parts.evaluateAll((all) => all.every((part) => {
        const { left, right, top, bottom } = part.getBoundingClientRect();
        return part.scrollWidth <= part.clientWidth && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
      })), true, "it is all in view");
      await page.screenshot({ path: path.join(pictures, `long-topic-${width}.png`) });
      await audit(page, "the menu of a room with a long topic", isSerious);
      await page.context().close();
    });
  }
});
