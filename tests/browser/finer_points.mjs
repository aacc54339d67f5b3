/**
 * The finer points of the chat page: where links lead, where Back leads, what is said of a server that does not answer,
 * and who is asked what at the door. `node finer_points.mjs SALON_BINARY`; see run.sh.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { audit, begin, comeAgain, composer, connected, enter, goOut, hashOf, isSerious, isUnreachable, marks, members, newPage as openPage, newTab, roomsOf, say, sees, shut, texts, titled } from "./browser.mjs";
import { Server, Wire, check, equal, freePort, until } from "./harness.mjs";

const secret = path.join(await mkdtemp(path.join(tmpdir(), "salon-secret-")), "secret");
await writeFile(secret, "0123456789abcdef0123456789abcdef");
const admin = await freePort();
const server = new Server(process.argv[2], await freePort(), "--admin", `127.0.0.1:${admin}`);
const sealed = new Server(process.argv[2], await freePort(), "--auth", "jwt", "--auth-key", `HS256:${secret}`, "--auth-grace", "2s");
const { browser, pictures, run } = await begin(server, sealed);
const wire = await new Wire().open(server.port);

// Only a refused connection while we keep the server away is expected.
let serverAway = false;
const expected = (text) => serverAway && isUnreachable(text);
const newPage = ({ port = server.port, ...options } = {}) => openPage(browser, { origin: `http://127.0.0.1:${port}`, expected, ...options });
const token = (sub, ...options) => execFileSync(process.argv[2], ["token", "--secret-file", secret, "--sub", sub, ...options], { encoding: "utf8" }).trim();
const visit = async (page, fields) => page.goto(`${page.origin}/#${new URLSearchParams(fields)}`);
const title = (page) => page.locator("#title bdi").textContent();
const problem = (page) => page.locator("#composer-problem").textContent();
const call = async (name, body) => {
  const response = await fetch(`http://127.0.0.1:${admin}/api/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${await response.text()}`);
  return response.json();
};

await run(async () => {
  const ada = await newPage({ port: wire.port });
  const bob = await newPage();
  await enter(ada, "Ada", "kitchen");
  await enter(bob, "Bob", "kitchen");

  await check("an address that reads as another one is no link", async () => {
    for (const text of ["see https://\u202Exyz@evil.example/moc.knab now", "https://evil.example/\u202Egnp.exe", "https://bank.example\u2066@evil.example/", "https://evil.example/\u200Fx",
      "https://bank.example@evil.example/", "https://bank.example:443@evil.example/login"]) await say(ada, text);
    await say(ada, "but https://example.org/@ada?x=a@b is one");
    await sees(bob, "but https://example.org/@ada?x=a@b is one");
    equal(await bob.locator("#messages a").evaluateAll((all) => all.map((a) => [a.textContent, a.href, a.dir])), [["https://example.org/@ada?x=a@b", "https://example.org/@ada?x=a@b", "ltr"]], "the links");
  });

  await check("a new link with a token in the same tab is used: in place, after the end, and by another person", async () => {
    const page = await newPage({ port: sealed.port });
    const heard = []; // what the server says, on all connections
    page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => heard.push(JSON.parse(payload))));
    const goodbyes = () => heard.filter(({ type }) => type === "goodbye").length;
    await visit(page, { token: token("Grace", "--ttl", "12s"), room: "team" });
    await connected(page);
    await say(page, "Before");
    await sees(page, "Before");
    await visit(page, { token: token("Grace", "--ttl", "20s") }); // without a room: nothing else changes
    await until("the server took it", () => heard.some(({ type, expires_at }) => type === "ack" && expires_at));
    equal(await hashOf(page), "#room=team", "the address");
    equal(page.sockets, 1, "connections");
    equal(goodbyes(), 0, "goodbyes");
    // The second one ends too, but not before its time; the first would have ended earlier than its warning comes.
    await until("the second token runs out", () => heard.some(({ code }) => code === "token_expired"), 40_000);
    equal(heard.filter(({ code }) => code === "token_expired").length, 1, "warnings");
    await page.locator("#app[data-connection=closed]").waitFor();
    await visit(page, { token: token("Grace"), room: "other" });
    await connected(page);
    await titled(page, "other");
    equal(await hashOf(page), "#room=other", "the address");
    await page.locator("#room-list .place", { hasText: "team" }).click();
    await sees(page, "Before");
    await visit(page, { token: token("Gräce", "--rooms", "hall"), room: "hall" });
    await until("it is somebody else's page", async () => (await page.locator("#me-name").textContent()) === "Gräce");
    await titled(page, "hall"); // drawn anew: until then the connection is that of the one before
    await connected(page);
    equal(await roomsOf(page), ["hall"], "rooms");
    await visit(page, { token: `${token("Gräce").slice(0, -4)}AAAA` });
    await until("a bad one is refused in words", async () => (await problem(page)).startsWith("The new link was not taken."));
    equal(await page.locator("#app").getAttribute("data-connection"), "connected", "the connection");
    await page.context().close();
  });

  await check("the banner of a lost connection stays in sight while it is tried again, and not that of a first one", async () => {
    const page = await newPage();
    const attempts = [];
    // A person who has been here is asked nothing.
    await page.addInitScript(() => localStorage.setItem("salon.name", JSON.stringify("Faye")));
    await page.routeWebSocket(/\/ws\?/, (socket) => {
      attempts.push(socket);
      if (attempts.length === 1) socket.connectToServer();
    }); // any other is left without an answer
    await visit(page, { room: "kitchen" });
    await connected(page);
    const looks = () => page.evaluate(() => {
      const { display, visibility, animationName } = getComputedStyle(document.getElementById("banner"));
      return { display, visibility, animationName };
    });
    await attempts[0].close({ code: 1012 });
    await until("it is tried again", () => attempts.length === 2);
    await until("it says so", async () => (await page.locator("#banner-text").textContent()) === "Reconnecting …");
    equal(await looks(), { display: "flex", visibility: "visible", animationName: "none" }, "the banner");
    await page.reload();
    await until("a first one", async () => (await page.locator("#banner-text").textContent()) === "Connecting …");
    equal((await looks()).animationName, "appear", "the banner of a first connection waits");
    await page.context().close();
  });

  await check("who was put out of a room is told once, sees nobody there, and comes back by a button", async () => {
    const page = await newPage();
    await enter(page, "Mallory", "kitchen");
    await until("Ada sees Mallory", async () => (await members(ada)).includes("Mallory"));
    await call("kick", { user_id: "Mallory", room_id: "kitchen" });
    await until("Ada sees Mallory go", async () => !(await members(ada)).includes("Mallory"));
    const rejoin = page.getByRole("button", { name: "Join again" });
    await rejoin.waitFor();
    equal(await page.evaluate(() => document.body.innerText.split("removed from this room by a moderator").length - 1), 1, "how often it is said");
    equal(await problem(page), "You are not in this room.", "what stands above the composer");
    equal([await page.locator("#details-title").textContent(), (await members(page)).length, await page.locator("#members-more").textContent()], ["People", 0, ""], "the people");
    await composer(page).fill("Hello?");
    await composer(page).press("Enter");
    await until("the way back has the focus", () => page.evaluate(() => document.activeElement.id === "rejoin"));
    equal(await composer(page).inputValue(), "Hello?", "what was written");
    await page.screenshot({ path: path.join(pictures, "put-out.png") });
    // To look elsewhere and back is not to join.
    await composer(page).fill("/msg Ada");
    await composer(page).press("Enter");
    await titled(page, "Ada");
    equal(await rejoin.isVisible(), false, "the button, in another conversation");
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(page, "kitchen");
    await rejoin.focus();
    equal((await members(ada)).includes("Mallory"), false, "Mallory in the kitchen");
    await page.keyboard.press("Enter");
    await until("Mallory is back", async () => (await members(ada)).includes("Mallory"));
    await until("the button is gone", async () => await rejoin.isHidden() && (await problem(page)) === "");
    await until("the people are there", async () => (await page.locator("#details-title").textContent()) === "People · 3");
    equal(await page.evaluate(() => document.activeElement.id), "composer-input", "the focus");
    await page.context().close();
  });

  await check("Back and Forward go through the conversations, and joins no room that was left", async () => {
    const page = await newPage();
    await visit(page, { room: "elsewhere", name: "Barbara" }); // a name in the link is no place of its own
    await enter(page, "Barbara", "kitchen");
    const first = await page.evaluate(() => history.length);
    await say(page, "/join attic");
    await titled(page, "attic");
    await page.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(page, "kitchen");
    await page.locator("#room-list .place", { hasText: "kitchen" }).click(); // where one is, one does not go
    await page.locator("#members .member", { hasText: "Ada" }).click();
    await titled(page, "Ada");
    equal(await page.evaluate(() => history.length) - first, 3, "places behind the first");
    for (const name of ["kitchen", "attic", "kitchen"]) {
      await page.goBack();
      await titled(page, name);
    }
    for (const name of ["attic", "kitchen", "Ada"]) {
      await page.goForward();
      await titled(page, name);
    }
    await say(page, "/leave attic"); // what is on screen stays there
    await until("it is left", async () => (await roomsOf(page)).join() === "kitchen");
    await titled(page, "Ada");
    await page.goBack();
    await titled(page, "kitchen");
    await page.goBack();
    await titled(page, "attic");
    equal(await problem(page), "You are not in this room.", "what stands above the composer");
    equal(await roomsOf(page), ["kitchen"], "rooms");
    await page.goForward();
    await titled(page, "kitchen");
    await page.goBack();
    await page.getByRole("button", { name: "Join again" }).click();
    await until("the attic is a room of hers again", async () => (await roomsOf(page)).join() === "attic,kitchen" && (await problem(page)) === "");
    equal(page.sockets > 0 && await page.evaluate(() => performance.getEntriesByType("navigation").length), 1, "loads of the page");
    await page.context().close();
  });

  await check("what is answered on another device, or read in another tab, is no longer unread", async () => {
    const [desk, phone] = [await newPage(), await newPage()];
    await enter(desk, "Katherine", "kitchen");
    await comeAgain(phone, "Katherine", "kitchen");
    const unread = (page) => page.locator("#person-list .badge").count();
    await say(bob, "/msg Katherine Lunch?");
    for (const page of [desk, phone]) await until("one is unread", async () => await unread(page) === 1 && (await page.title()).startsWith("(1)"));
    await say(phone, "/msg Bob At one.");
    await until("it is read at the desk too", async () => await unread(desk) === 0 && !(await desk.title()).startsWith("("));
    // What was answered while a device was away. Nobody looks at it before: that would read it everywhere.
    await say(phone, "/join kitchen");
    await titled(phone, "kitchen");
    await say(bob, "Where?");
    await until("one is unread again", async () => await unread(desk) === 1);
    await shut(desk);
    await say(phone, "/msg Bob At the gate.");
    await sees(phone, "At the gate.");
    await say(phone, "/join kitchen");
    await titled(phone, "kitchen");
    await until("the server has the mark", async () => (await marks(bob, "Katherine")).Bob[1] === 0);
    const again = await newTab(desk, `${desk.origin}/#room=kitchen`);
    await connected(again);
    await again.locator("#person-list .place", { hasText: "Bob" }).click();
    await sees(again, "At the gate.");
    equal(await again.locator(".new-line").count(), 0, "lines that say New");
    await again.locator("#room-list .place", { hasText: "kitchen" }).click();
    await titled(again, "kitchen");
    // Two tabs: the second one only reads.
    const tab = await newTab(desk, `${desk.origin}/#room=kitchen`);
    await connected(tab);
    await say(bob, "See you.");
    for (const page of [again, tab]) await until("one is unread in both tabs", async () => { const found = await unread(page); return found === 1 || Promise.reject(new Error(`${page === tab ? "the new one" : "the other"}: ${found}`)); });
    await tab.locator("#person-list .place", { hasText: "Bob" }).click();
    await until("it is read in the other tab", async () => await unread(again) === 0);
    for (const page of [again, phone]) await page.context().close();
    await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
  });

  await check("a room that is not open leaves the list, by command and by link, and is none of those a reload joins", async () => {
    const page = await newPage({ port: sealed.port });
    await visit(page, { token: token("Rosalind", "--rooms", "lab"), room: "lab" });
    await connected(page);
    await until("she is in the lab", async () => (await members(page)).join() === "Rosalind");
    await say(page, "/join cellar");
    await until("it says so", async () => (await problem(page)) === "This room is not open to you.");
    equal([await title(page), await roomsOf(page)], ["cellar", ["lab"]], "the title, the rooms");
    await composer(page).fill("Anybody?");
    await composer(page).press("Enter");
    await until("the only way on has the focus", () => page.evaluate(() => document.activeElement.textContent === "Try again"));
    equal(await page.locator("#messages > li.message").count(), 0, "messages");
    await page.screenshot({ path: path.join(pictures, "a-room-that-is-not-open.png") });
    await page.keyboard.press("Enter");
    await until("it was asked again", async () => (await problem(page)) === "This room is not open to you.");
    await composer(page).fill("");
    await page.goBack();
    await titled(page, "lab");
    equal(await problem(page), "", "a problem in the lab");
    await say(page, "In the lab");
    await sees(page, "In the lab");
    // As the first thing, by a link: what is joined with the connection is refused in words too.
    await visit(page, { room: "cellar" });
    await titled(page, "cellar");
    await page.reload();
    await connected(page);
    await until("it says so", async () => (await problem(page)) === "This room is not open to you.");
    equal(await roomsOf(page), ["lab"], "rooms");
    // What is written there is kept.
    await composer(page).fill("Anybody?");
    await page.locator("#room-list .place", { hasText: "lab" }).click();
    await page.locator("#room-list .place", { hasText: "cellar" }).locator(".draft-mark").waitFor();
    await page.reload();
    await connected(page);
    await page.locator("#room-list .place", { hasText: "cellar" }).click();
    equal(await composer(page).inputValue(), "Anybody?", "the draft");
    await page.context().close();
  });

  const LOOKS = [["light", 360, 740], ["dark", 360, 740], ["light", 1440, 900], ["dark", 1440, 900]];
  const audited = (colorScheme, width, height, options) => newPage({ colorScheme, viewport: { width, height }, deviceScaleFactor: width === 360 ? 2 : 1, bypassCSP: true, reducedMotion: "reduce", ...options });
  const looked = async (page, name) => {
    await page.screenshot({ path: path.join(pictures, `${name}.png`) });
    await audit(page, name, isSerious);
  };

  await check("a name that is here already is not taken without a question, and only once in a browser", async () => {
    const page = await newPage();
    await visit(page, { room: "kitchen" });
    const field = page.locator("#door-name");
    await field.fill("Bob");
    await page.keyboard.press("Enter");
    const question = page.getByRole("group", { name: "Bob is here already. Is that you on another device?" });
    await question.waitFor();
    await until("the careful answer has the focus", () => page.evaluate(() => document.activeElement.id === "door-other"));
    equal(await page.locator("#app").isVisible(), false, "the chat");
    // While it is asked, nobody came in: what is said to Bob goes to Bob's own device alone.
    await until("Bob has one device", () => bob.evaluate(async ({ url }) => {
      const { SalonClient } = await import("/client.js");
      const asking = new SalonClient({ url, user: "Asker" });
      await new Promise((resolve) => { asking.on("welcome", resolve); asking.connect(); });
      const { users } = await asking.presence({ user_ids: ["Bob"] });
      asking.close();
      return users.Bob.devices === 1;
    }, { url: `ws://127.0.0.1:${server.port}/ws` }));
    await page.keyboard.press("Escape");
    await until("the name is asked for again", () => page.evaluate(() => document.activeElement.id === "door-name" && document.getElementById("door-question").hidden));
    equal(await page.evaluate(() => localStorage.getItem("salon.name")), null, "a name that is kept");
    // A person who hides is there too.
    await say(bob, "/status invisible");
    await until("Bob is invisible", async () => (await bob.locator("#me-status").inputValue()) === "offline");
    await field.fill("Bob");
    await page.keyboard.press("Enter");
    await question.waitFor();
    await say(bob, "/status online");
    await page.getByRole("button", { name: "Choose another name" }).click();
    await field.fill("Bobby");
    await page.keyboard.press("Enter");
    await connected(page);
    equal(await page.locator("#me-name").textContent(), "Bobby", "the name");
    // The second device is asked once; the third time it is known.
    await goOut(page);
    await field.fill("Bob");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Yes, that is me" }).click();
    await connected(page);
    equal(await page.locator("#me-name").textContent(), "Bob", "the name");
    for (const name of ["Bobby", "Bob"]) {
      await goOut(page);
      await field.fill(name);
      await page.keyboard.press("Enter");
      await connected(page);
    }
    await page.context().close();
  });

  await check("where tokens are needed no name is asked for, also of who was here when names were enough", async () => {
    for (const known of [null, "Dorothy"]) {
      const page = await newPage({ port: sealed.port });
      if (known) await page.addInitScript((name) => localStorage.setItem("salon.name", JSON.stringify(name)), known);
      await visit(page, { room: "team" });
      await until("it says what is needed", async () => (await page.locator("#door-status").textContent()).startsWith("You need a link of your own"));
      equal([await page.locator("#door-name").isVisible(), await page.locator("#app").isVisible()], [false, false], "a field for a name, the chat");
      await visit(page, { token: token("Dorothy"), room: "team" }); // the link, in the same tab
      await connected(page);
      equal([await page.locator("#door").isVisible(), await page.locator("#me-name").textContent()], [false, "Dorothy"], "the door, the name");
      await page.context().close();
    }
  });

  for (const [colorScheme, width, height] of LOOKS) {
    const look = `${width === 360 ? "phone" : "desktop"}-${colorScheme}`;
    await check(`axe finds nothing serious, ${look}: a link is needed, put out of a room`, async () => {
      const closed = await audited(colorScheme, width, height, { port: sealed.port });
      await visit(closed, { room: "team" });
      await until("it says what is needed", async () => (await closed.locator("#door-status").textContent()).startsWith("You need"));
      await looked(closed, `${look}-needs-link`);
      await closed.context().close();
      const page = await audited(colorScheme, width, height);
      await enter(page, `Visitor ${look}`, "kitchen");
      await until("the others are listed", async () => (await members(page)).includes("Bob"));
      await call("kick", { user_id: `Visitor ${look}`, room_id: "kitchen" });
      await page.getByRole("button", { name: "Join again" }).waitFor();
      await looked(page, `${look}-put-out`);
      await page.context().close();
    });
  }

  await check("a server that does not answer is asked, and the page says so long before it gives the connection up", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Silvia", "kitchen");
    const sent = [];
    await page.evaluate(() => {
      window.spoken = [];
      new MutationObserver(() => window.spoken.push(document.getElementById("connection-status").textContent)).observe(document.getElementById("connection-status"), { childList: true });
    });
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload).type)));
    await page.reload(); // so that its frames are seen
    await connected(page);
    await until("Silvia is in the kitchen", async () => (await members(page)).includes("Silvia"));
    await say(page, "Before");
    await sees(page, "Before");
    serverAway = true;
    wire.deafen();
    const pings = sent.filter((type) => type === "ping").length;
    await say(page, "Is anybody there?");
    await page.locator("#banner:not([hidden])", { hasText: "The server does not answer" }).waitFor();
    equal(await page.locator("#app").getAttribute("data-connection"), "connected", "the connection, which has not been given up");
    equal(sent.filter((type) => type === "ping").length, pings + 1, "pings");
    equal([await page.locator("#connection-status").textContent(), await page.locator("#link-state").textContent(), await page.locator("#try-now").isVisible()], ["The server does not answer. Waiting for it …", "No answer", false], "what is spoken, the state, the button");
    await page.screenshot({ path: path.join(pictures, "no-answer.png") });
    wire.deaf = false;
    await say(bob, "I am."); // anything that is heard ends it
    await sees(page, "I am.");
    await until("the banner is gone", async () => await page.locator("#banner").isHidden() && (await page.locator("#link-state").textContent()) === "Connected");
    // What was lost on the wire is sent again, and once.
    await until("it is confirmed", async () => await page.locator(".pending").count() === 0, 40_000);
    serverAway = false;
    equal((await texts(bob)).filter((text) => text === "Is anybody there?").length, 1, "copies");
    await page.context().close();
    await connected(ada);
  });

  await check("@ proposes those who are here, and Enter completes what is begun and sends what is written in full", async () => {
    const page = await newPage();
    await enter(page, "Hypatia", "kitchen");
    await until("Bob is here", async () => (await members(page)).includes("Bob"));
    const options = () => page.locator("#suggestions:not([hidden]) .suggestion-label").allTextContents();
    await composer(page).focus();
    await page.keyboard.type("Tea, @");
    await until("everybody else is proposed", async () => (await options()).includes("Bob") && !(await options()).includes("Hypatia"));
    equal(await page.locator("#suggestions [aria-selected=true]").count(), 0, "chosen ones");
    await page.keyboard.type("b");
    await until("Bob is proposed", async () => (await options()).join() === "Bob" || Promise.reject(new Error((await options()).join())));
    equal(await composer(page).getAttribute("aria-activedescendant"), "suggestion-0", "what a screen reader hears as chosen");
    await page.screenshot({ path: path.join(pictures, "at-name.png") });
    await page.keyboard.press("Enter");
    equal(await composer(page).inputValue(), "Tea, @Bob ", "the composer");
    equal(await options(), [], "options");
    await page.keyboard.press("Enter");
    await sees(bob, "Tea, @Bob");
    await bob.locator("#messages > li.mention", { hasText: "Tea, @Bob" }).waitFor();
    await page.keyboard.type("@bob");
    equal(await options(), [], "options for what is written in full");
    await page.keyboard.press("Enter");
    await sees(bob, "@bob");
    await page.keyboard.type("ada@b");
    equal(await options(), [], "options within a word");
    await page.context().close();
  });

  await check("/msg finds a name with spaces that is here, without quotes", async () => {
    const alice = await newPage();
    await enter(alice, "Alice Liddell", "kitchen");
    await until("Bob sees Alice", async () => (await members(bob)).includes("Alice Liddell"));
    await say(bob, "/msg Alice Liddell hello there");
    await titled(bob, "Alice Liddell");
    await alice.locator("#person-list .place", { hasText: "Bob" }).click();
    await sees(alice, "hello there");
    equal((await bob.locator("#person-list .place-name").allTextContents()).includes("Alice"), false, "a conversation with nobody");
    await bob.locator("#room-list .place", { hasText: "kitchen" }).click();
    await alice.context().close();
  });

  await check("a topic is changed in the head and by /topic, by those inside, and all of them see it", async () => {
    const [one, other] = [await newPage(), await newPage()];
    await enter(one, "Teodora", "orchard");
    await enter(other, "Ulrich", "orchard");
    const topic = (page) => page.locator("#topic").textContent();
    const lines = (page) => page.locator("#messages > .notice").allTextContents();
    await say(one, "/topic   Apples  and pears ");
    for (const page of [one, other]) await until("the topic is there", async () => (await topic(page)) === "Apples and pears");
    for (const page of [one, other]) await until("it is said who did it", async () => (await lines(page)).some((line) => line.includes("Teodora set the topic: Apples and pears")));
    await other.locator("#edit-topic").click();
    equal(await other.locator("#topic-input").inputValue(), "Apples and pears", "what is to be changed");
    await audit(other, "the field for the topic");
    await other.locator("#topic-input").fill(`a${"ä".repeat(200)}`);
    await other.keyboard.press("Enter");
    await until("it is too long", async () => (await other.locator("#topic-problem").textContent()) === "That topic is too long, by about 73 characters.");
    await other.locator("#topic-input").fill("long ".repeat(51));
    await other.locator("#topic-input").press("Enter");
    await until("a long one is there", async () => (await topic(one)).startsWith("long long"));
    equal(await one.locator("#title bdi").evaluate((name) => name.scrollWidth - name.clientWidth), 0, "how much of the name a long topic hides");
    // What is selected in the head is selected still when somebody has come.
    const selected = await one.evaluate(() => {
      document.querySelector("#title bdi").isTheOne = true;
      const topic = document.getElementById("topic").firstChild;
      getSelection().setBaseAndExtent(topic, 0, topic, 9);
      return getSelection().toString();
    });
    const third = await newPage();
    await enter(third, "Umberto", "orchard");
    await until("they are counted", async () => (await one.locator("#people-count").textContent()) === "3");
    equal(await one.evaluate(() => [getSelection().toString(), document.querySelector("#title bdi").isTheOne]), [selected, true], "what is selected, and the name");
    await third.context().close();
    await until("and gone", async () => (await one.locator("#people-count").textContent()) === "2");
    await other.locator("#edit-topic").click();
    await other.locator("#topic-input").fill("Quinces <b>");
    await other.keyboard.press("Enter");
    for (const page of [one, other]) await until("another one is there", async () => (await topic(page)) === "Quinces <b>");
    await one.reload();
    await connected(one);
    await until("it is there after a reload", async () => (await topic(one)) === "Quinces <b>");
    await say(one, "/topic");
    await one.locator("#topic-dialog[open]").waitFor();
    await one.locator("#topic-input").fill("");
    await one.keyboard.press("Enter");
    for (const page of [one, other]) await until("it is gone", async () => (await topic(page)) === "");
    await until("it is said that it is", async () => (await lines(other)).some((line) => line.includes("Teodora removed the topic")));
    await say(one, "/msg Ulrich Hello");
    await titled(one, "Ulrich");
    equal(await one.locator("#edit-topic").isVisible(), false, "a topic of a conversation");
    await say(one, "/topic x");
    await until("only rooms have one", async () => (await one.locator("#composer-problem").textContent()) === "Only rooms have a topic.");
    for (const page of [one, other]) await page.context().close();
  });

  await check("a title is changed in the menu of the room and by /title, by those inside, and all of them see it", async () => {
    const [one, other, outside] = [await newPage(), await newPage(), await newPage()];
    await enter(one, "Teodora", "grove");
    await enter(other, "Ulrich", "grove");
    await enter(outside, "Vera", "meadow");
    const title = (page) => page.locator("#title bdi").textContent();
    const lines = (page) => page.locator("#messages > .notice").allTextContents();
    await say(one, "/title   The old  grove ");
    for (const page of [one, other]) {
      await until("the title is there, with the id", async () => (await title(page)) === "The old grove" && (await page.locator("#title .room-id").textContent()) === "grove");
      await until("it is in the list", async () => (await page.locator("#room-list .place-name").allTextContents()).includes("The old grove"));
      await until("it is said who did it", async () => (await lines(page)).some((line) => line.includes("Teodora set the title: The old grove")));
      equal((await lines(page)).filter((line) => line.includes("topic")), [], "what is said of the topic, which stays");
    }
    await other.locator("#title").click();
    await other.locator("#place-menu").getByRole("button", { name: "Change the title" }).click();
    equal([await other.locator("#topic-title").textContent(), await other.locator("#topic-input").inputValue()], ["Title of The old grove", "The old grove"], "what is to be changed");
    await audit(other, "the field for the title");
    await other.locator("#topic-input").fill(`a${"ä".repeat(200)}`);
    await other.keyboard.press("Enter");
    await until("it is too long", async () => (await other.locator("#topic-problem").textContent()) === "That title is too long, by about 73 characters.");
    await other.locator("#topic-input").fill("Grove <b>");
    await other.keyboard.press("Enter");
    for (const page of [one, other]) await until("another one is there", async () => (await title(page)) === "Grove <b>");
    await one.reload();
    await connected(one);
    await until("it is there after a reload", async () => (await title(one)) === "Grove <b>");
    await say(outside, "/join grove");
    await until("who comes in sees it", async () => (await title(outside)) === "Grove <b>");
    await say(one, "/title");
    await one.locator("#topic-dialog[open]").waitFor();
    await one.locator("#topic-input").fill("");
    await one.keyboard.press("Enter");
    for (const page of [one, other, outside]) await until("it is called by its id again", async () => (await title(page)) === "grove" && (await page.locator("#title .room-id").count()) === 0);
    await until("it is said that it is", async () => (await lines(other)).some((line) => line.includes("Teodora removed the title")));
    await say(one, "/msg Ulrich Hello");
    await titled(one, "Ulrich");
    await say(one, "/title x");
    await until("only rooms have one", async () => (await one.locator("#composer-problem").textContent()) === "Only rooms have a title.");
    for (const page of [one, other, outside]) await page.context().close();
  });

  await check("a room is called by its title, with the id beside it", async () => {
    await ada.evaluate(async (url) => {
      const { SalonClient } = await import("/client.js");
      const maker = new SalonClient({ url, user: "Maker" });
      await new Promise((resolve) => { maker.on("welcome", resolve); maker.connect(); });
      await maker.createRoom("tea", { name: "Tea room <b>", topic: "leaves" });
      maker.close();
    }, `ws://127.0.0.1:${wire.port}/ws`);
    const page = await newPage();
    await enter(page, "Camellia", "kitchen");
    const listed = page.locator("#public-list .place", { hasText: "Tea room <b>" });
    equal(await listed.locator(".room-id").textContent(), "tea", "the id in the list");
    await listed.click();
    await titled(page, "Tea room <b>");
    equal(await page.locator("#title .room-id").textContent(), "tea", "the id");
    await until("it is everywhere", async () => (await page.title()).startsWith("Tea room <b> ·") && (await composer(page).getAttribute("placeholder")) === "Message Tea room <b>");
    equal(await roomsOf(page), ["kitchen", "Tea room <b>"], "rooms");
    equal(await hashOf(page), "#room=tea", "the address");
    await page.reload();
    await connected(page);
    await titled(page, "Tea room <b>");
    await until("a welcome", async () => (await page.locator(".hello-title").textContent()) === "Welcome to Tea room <b>");
    await page.context().close();
  });

  for (const [colorScheme, width, height] of LOOKS) {
    const look = `${width === 360 ? "phone" : "desktop"}-${colorScheme}`;
    await check(`axe finds nothing serious, ${look}: names after an @, a room with a title`, async () => {
      const page = await audited(colorScheme, width, height);
      await enter(page, `Guest ${look}`, "tea");
      await titled(page, "Tea room <b>");
      await looked(page, `${look}-title`);
      await visit(page, { room: "kitchen" });
      await until("Bob is here", async () => (await members(page)).includes("Bob"));
      await composer(page).pressSequentially("@");
      await page.locator("#suggestions:not([hidden])").waitFor();
      await looked(page, `${look}-at`);
      await page.context().close();
    });
  }

  const focusIsAt = (page) => page.evaluate(() => {
    const at = document.activeElement;
    return at.dataset.emoji ?? (at.closest("li")?.querySelector(".place-name, .member-name, .text")?.textContent || at.id || at.tagName);
  });

  await check("the focus stays where it is while a list is sorted anew: rooms, people", async () => {
    const page = await newPage();
    const eve = await newPage();
    await enter(eve, "Eve", "b-room");
    await enter(page, "Fay", "a-room");
    for (const room of ["b-room", "c-room"]) {
      await say(page, `/join ${room}`);
      await titled(page, room);
    }
    await page.locator("#room-list .place", { hasText: "b-room" }).focus();
    await say(eve, "@Fay come");
    await until("the room is first", async () => (await roomsOf(page))[0] === "b-room");
    equal(await focusIsAt(page), "b-room", "the focus, as its room rises");
    await page.locator("#room-list .place", { hasText: "a-room" }).focus();
    // As another tab mutes it.
    await page.evaluate(() => {
      localStorage.setItem("salon.muted:Fay", JSON.stringify(["room:a-room"]));
      window.dispatchEvent(new StorageEvent("storage", { key: "salon.muted:Fay" }));
    });
    await until("the room is last", async () => (await roomsOf(page)).at(-1) === "a-room");
    equal(await focusIsAt(page), "a-room", "the focus, as its room sinks");
    await page.locator("#room-list .place", { hasText: "b-room" }).click();
    await titled(page, "b-room");
    await until("both are there", async () => (await members(page)).join() === "Eve,Fay");
    await page.locator("#members .member", { hasText: "Eve" }).focus();
    await eve.locator("#me-status").selectOption("away");
    await until("the people are sorted anew", async () => (await members(page)).join() === "Fay,Eve");
    equal(await focusIsAt(page), "Eve", "the focus, as she sinks");
    for (const one of [page, eve]) await one.context().close();
  });

  await check("the focus stays at a message: a reaction taken back, one that somebody else gives too, Show all; and beside an announcement", async () => {
    const page = await newPage();
    const eve = await newPage();
    await enter(page, "Gwen", "focus");
    await enter(eve, "Eve", "focus");
    const long = Array.from({ length: 60 }, (_, n) => `row ${n}`).join("\n");
    await say(eve, long);
    await page.locator(".show-all").focus();
    await page.keyboard.press("Enter");
    await until("it is whole", async () => await page.locator(".show-all").count() === 0);
    equal(await focusIsAt(page), long, "the focus, when all is shown");
    await say(eve, "a joke");
    await sees(page, "a joke");
    await sees(eve, "a joke");
    const react = async (one) => {
      await one.locator("#messages > li.message", { hasText: "a joke" }).hover();
      await one.locator("#bar-react").click();
      await one.locator("#picker-input").fill("tea");
      await one.keyboard.press("Enter");
    };
    await react(page);
    await page.locator(".reaction").focus();
    await react(eve);
    await until("two have reacted", async () => (await page.locator(".reaction-count").textContent()) === "2");
    equal(await focusIsAt(page), "🍵", "the focus, as somebody else reacts too");
    await react(eve);
    await until("one is left", async () => (await page.locator(".reaction-count").textContent()) === "1");
    await page.keyboard.press("Enter");
    await until("none is left", async () => await page.locator(".reaction").count() === 0);
    equal(await focusIsAt(page), "a joke", "the focus, when the last one is taken back");
    await react(page);
    await page.locator(".reaction").click();
    await until("none is left", async () => await page.locator(".reaction").count() === 0);
    await page.keyboard.type("typed behind a click");
    equal(await composer(page).inputValue(), "typed behind a click", "the composer");
    await call("broadcast", { content: "First" });
    const card = page.locator("#announcements .announcement", { hasText: "First" }).locator("button");
    await card.focus();
    await call("broadcast", { content: "Second" });
    await page.locator("#announcements .announcement", { hasText: "Second" }).waitFor();
    equal(await card.evaluate((button) => button === document.activeElement), true, "the focus at the first announcement");
    for (const one of [page, eve]) await one.context().close();
  });

  await check("what is drawn anew is not read aloud once more: at a reconnect, and as a name comes that looks like another", async () => {
    const page = await newPage({ port: wire.port });
    await enter(page, "Hana", "aloud");
    await say(bob, "/join aloud");
    for (let n = 0; n < 10; n += 1) await say(bob, `@Hana number ${n}`);
    await sees(page, "@Hana number 9");
    await page.evaluate(() => {
      window.aloud = [];
      const isAloud = (node) => document.getElementById("log").getAttribute("aria-live") === "polite" && node.closest("[aria-live]").getAttribute("aria-live") === "polite";
      new MutationObserver((records) => {
        for (const { target, addedNodes } of records) for (const node of addedNodes) if (isAloud(target)) window.aloud.push(node.textContent);
      }).observe(document.getElementById("messages"), { childList: true, subtree: true });
    });
    const texts = await page.locator("#messages .text").elementHandles();
    serverAway = true;
    wire.cut();
    await page.locator("#app[data-connection=waiting]").waitFor();
    wire.mend();
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await connected(page);
    serverAway = false;
    await say(bob, "and then");
    await sees(page, "and then");
    equal(await Promise.all(texts.map((text) => text.evaluate(({ isConnected }) => isConnected))), texts.map(() => true), "texts that stand");
    const other = await newPage();
    await enter(other, "bob", "aloud");
    await page.locator("#messages .look *").first().waitFor({ state: "attached" });
    await say(bob, "at last");
    await sees(page, "at last");
    const aloud = (await page.evaluate(() => window.aloud)).filter((text) => !/joined|left/u.test(text));
    equal(aloud.filter((text) => !text.includes("and then") && !text.includes("at last")), [], "what is read aloud beside what is new");
    equal(["and then", "at last"].map((text) => aloud.some((one) => one.includes(text))), [true, true], "what is new is read aloud");
    for (const one of [page, other]) await one.context().close();
    await say(bob, "/join kitchen");
  });

  await check("a message that was on its way as its author is put out is sent again when they are back, and not before", async () => {
    const nora = await newPage();
    const heard = [];
    let isHeld = false;
    await nora.routeWebSocket(/\/ws\?/u, (socket) => {
      const there = socket.connectToServer();
      socket.onMessage((text) => {
        if (isHeld && text.includes("words that wait")) heard.push(text);
        else there.send(text);
      });
    });
    await enter(nora, "Nora", "kitchen");
    isHeld = true;
    await composer(nora).fill("words that wait");
    await composer(nora).press("Enter");
    await until("it is on its way", () => heard.length > 0);
    await call("kick", { user_id: "Nora", room_id: "kitchen" });
    await nora.locator(".failed").waitFor();
    isHeld = false;
    const again = nora.locator(".failed").getByRole("button", { name: "Try again" });
    await again.click();
    await until("the way back has the focus", () => nora.evaluate(() => document.activeElement.id === "rejoin"));
    equal([await nora.locator(".failed").count(), await again.count()], [1, 1], "messages that were not sent, ways to send them");
    await nora.keyboard.press("Enter");
    await until("Nora is back", async () => (await members(ada)).includes("Nora"));
    await again.click();
    await until("it is said", async () => (await nora.locator("#messages > li.message:not(.pending) .text").allTextContents()).includes("words that wait"));
    equal(await nora.locator(".pending").count(), 0, "messages that wait");
    await nora.context().close();
    await until("Nora has left", async () => !(await members(ada)).includes("Nora"));
  });
});
