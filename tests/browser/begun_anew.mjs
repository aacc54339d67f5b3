/**
 * Conversations whose numbers begin anew while something is on its way: what was meant for one message is done to no
 * other one that has its number now. The server is played, so that it begins anew in the moment that counts.
 * `node begun_anew.mjs SALON_BINARY`; see run.sh.
 */
import { begin, composer, connected, newPage as openPage, say, sees } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort());
const { browser, run } = await begin(server);

/** Somebody in the room den, before a server that is played: what it has of the room, what it hears, what it says. */
async function visit(name) {
  const page = await openPage(browser, { origin: `http://127.0.0.1:${server.port}` });
  await page.addInitScript((name) => localStorage.setItem("salon.name", JSON.stringify(name)), name);
  const played = { page, epoch: "first", said: [], heard: [], held: new Set(), waiting: [], refuses: false };
  played.tell = (message) => played.socket.send(JSON.stringify(message));
  const answers = {
    join: ({ id, room_id, since }) => {
      const recovered = since?.epoch === played.epoch;
      played.tell({ type: "joined", id, room_id, user_id: name, epoch: played.epoch, seq: played.said.length, recovered, members: 1, read: 0, unread: 0 });
      for (const message of played.said) if (!recovered || message.seq > since.seq) played.tell({ type: "broadcast", room_id, ...message });
      played.tell({ type: "online_users", room_id, users: [name], count: 1 });
    },
    history: ({ id, before = Infinity, after, limit = 50, epoch, user_id, room_id }) => {
      if (epoch !== undefined && epoch !== played.epoch) return played.tell({ type: "error", id, code: "epoch_changed", message: "anew", retry: false });
      const all = played.said.filter(({ seq }) => seq < before && seq > (after ?? 0));
      const items = after === undefined ? all.slice(-limit) : all.slice(0, limit);
      const next = items.length === all.length ? undefined : after === undefined ? items[0].seq : items.at(-1).seq;
      return played.tell({ type: "history", id, user_id, room_id, epoch: played.epoch, items, next });
    },
    broadcast: ({ id, room_id, content, reply_to }) => {
      if (played.refuses) return played.tell({ type: "error", id, code: "forbidden", message: "no", retry: false });
      return played.say({ sender: name, content, reply_to, id }, room_id);
    },
  };
  played.say = (message, room_id = "den") => {
    played.said.push({ ...message, seq: played.said.length + 1, ts: Date.now() });
    played.tell({ type: "broadcast", room_id, ...played.said.at(-1) });
  };
  /** The numbers begin anew, with these messages. */
  played.beginAnew = (...messages) => {
    played.epoch = `after ${played.epoch}`;
    played.said = messages.map((message, n) => ({ ...message, seq: n + 1, ts: Date.now() }));
  };
  played.answerHeld = () => {
    played.held.clear();
    for (const answer of played.waiting.splice(0)) answer();
  };
  await page.routeWebSocket(/\/ws\?/, (socket) => {
    played.socket = socket;
    socket.onMessage((data) => {
      const message = JSON.parse(data);
      played.heard.push(message);
      const answer = () => answers[message.type]?.(message);
      if (played.held.has(message.type)) played.waiting.push(answer);
      else answer();
    });
    played.tell({ type: "welcome", user_id: name, session_id: "s", limits: {}, ping_interval_ms: 25_000 });
  });
  await page.goto(`${page.origin}/#room=den`);
  await connected(page);
  await until("it is there", async () => (await page.locator("#title bdi").textContent()) === "den");
  return played;
}

const onMessage = async (page, text, key) => {
  await page.locator("#log").focus();
  await page.keyboard.press("ArrowUp");
  await page.locator("#messages > li.message", { hasText: text }).last().focus();
  await page.keyboard.press(key);
};
const quotes = (page, text) => page.locator("#messages > li.message", { hasText: text }).last().locator(".quote").allTextContents();

await run(async () => {
  await check("an answer that waited while the room began anew answers nothing, also when it is tried again after a refusal", async () => {
    const played = await visit("Ada");
    const { page } = played;
    played.say({ sender: "Bob", content: "a question" });
    await sees(page, "a question");
    await onMessage(page, "a question", "r");
    played.held.add("broadcast");
    await say(page, "an answer");
    await until("it is sent", () => played.waiting.length === 1);
    await until("it is drawn with what it answers", async () => (await quotes(page, "an answer")).join() === "Boba question");
    played.waiting = [];
    played.beginAnew({ sender: "Eve", content: "of a stranger" });
    played.socket.close({ code: 4200 });
    await sees(page, "of a stranger");
    await until("it is sent again", () => played.waiting.length === 1);
    equal(await quotes(page, "an answer"), [], "what it is shown to answer");
    played.refuses = true;
    played.answerHeld();
    await page.locator(".failed").waitFor();
    played.refuses = false;
    await page.reload(); // and as it is kept
    await connected(page);
    await page.locator(".failed").getByRole("button", { name: "Try again" }).click();
    await sees(page, "an answer");
    equal(played.heard.filter(({ type }) => type === "broadcast").map(({ reply_to }) => reply_to ?? 0), [1, 0, 0], "what was sent");
    equal(await quotes(page, "an answer"), [], "what it is shown to answer");
    await page.context().close();
  });

  await check("an answer shows the words of the message that it answers, and not of one that has its number later", async () => {
    const played = await visit("Ada");
    const { page } = played;
    // More than a page shows at once, so that what is answered has to be asked for.
    played.said = Array.from({ length: 60 }, (_, n) => ({ sender: "Bob", content: `line ${n + 1}`, seq: n + 1, ts: Date.now() }));
    played.held.add("history");
    played.say({ sender: "Bob", content: "an old answer", reply_to: 3 });
    await sees(page, "an old answer");
    await until("it is asked for", () => played.waiting.length > 0);
    const late = played.waiting.splice(0);
    // While that is on its way the room begins anew, and somebody answers the message that has its number now.
    played.held.clear();
    played.beginAnew(...Array.from({ length: 60 }, (_, n) => ({ sender: "Eve", content: `new ${n + 1}` })));
    played.tell({ type: "joined", room_id: "den", user_id: "Ada", epoch: played.epoch, seq: 60, recovered: false, members: 1, read: 0, unread: 0 });
    played.held.add("history");
    played.say({ sender: "Eve", content: "a new answer", reply_to: 3 });
    await sees(page, "a new answer");
    await until("it is asked for", () => played.waiting.length > 0);
    const { epoch, said } = played;
    Object.assign(played, { epoch: "first", said: [{ sender: "Bob", content: "line 3", seq: 3, ts: 0 }] });
    for (const answer of late) answer();
    Object.assign(played, { epoch, said });
    played.answerHeld();
    await until("the new one is known", async () => (await quotes(page, "a new answer")).join() === "Evenew 3");
    equal(await quotes(page, "an old answer"), ["A message that is not there any more"], "what the old one answers");
    await page.locator("#messages > li.message", { hasText: "an old answer" }).locator(".quote").click();
    await until("it says so", async () => (await page.locator("#toast").textContent()).startsWith("That message is no longer kept"));
    await page.context().close();
  });

  await check("a conversation of two that begins anew while both are there shows what is said in it, without a new connection", async () => {
    const played = await visit("Ada");
    const { page } = played;
    await say(page, "/msg Bob");
    await until("it is open", async () => (await page.locator("#title bdi").textContent()) === "Bob");
    const direct = (content) => {
      played.said.push({ sender: "Bob", content, seq: played.said.length + 1, ts: Date.now() });
      played.tell({ type: "direct", user_id: "Ada", ...played.said.at(-1) });
    };
    // One that comes amid the first question has the next one ask which epoch it is.
    for (const content of ["one", "two", "three"]) {
      direct(content);
      await sees(page, content);
    }
    const asked = () => played.heard.filter(({ type, user_id }) => type === "history" && user_id === "Bob").length;
    let [before, alike] = [asked(), 0];
    await until("it has what it asked for", () => {
      alike = asked() === before ? alike + 1 : 0;
      before = asked();
      return before > 0 && alike === 20;
    });
    played.tell({ type: "direct", user_id: "Ada", ...played.said.at(-1) }); // the same once more
    direct("four");
    await sees(page, "four");
    equal(asked(), before, "pages that were asked for while nothing was odd");
    played.beginAnew();
    direct("anew");
    await sees(page, "anew");
    direct("and more");
    await sees(page, "and more");
    equal(await page.locator("#messages > li.message .text").allTextContents(), ["one", "two", "three", "four", "anew", "and more"], "messages");
    equal(played.heard.filter(({ type }) => type === "join").length, 1, "joins, of which each connection has one");
    await page.context().close();
  });

  await check("a reaction that stands at a message of before is no way to react to another one", async () => {
    const played = await visit("Ada");
    const { page } = played;
    played.say({ sender: "Bob", content: "a joke", reactions: [{ emoji: "👍", count: 1, users: ["Eve"], me: false }] });
    await sees(page, "a joke");
    played.beginAnew({ sender: "Eve", content: "bad news" });
    played.tell({ type: "joined", room_id: "den", user_id: "Ada", epoch: played.epoch, seq: 0, recovered: false, members: 1, read: 0, unread: 0 });
    played.tell({ type: "broadcast", room_id: "den", ...played.said[0] });
    await sees(page, "bad news");
    await page.locator("#messages > li.message", { hasText: "a joke" }).locator(".reaction").click();
    await until("it says so", async () => (await page.locator("#toast").textContent()).startsWith("That was not done"));
    await composer(page).fill("/me laughs");
    await composer(page).press("Enter");
    await until("what came behind it is there", () => played.heard.some(({ type }) => type === "broadcast"));
    equal(played.heard.filter(({ type }) => type === "react"), [], "what the server heard");
    await page.context().close();
  });

  await check("a click on the open room, which has begun anew, shows what there was until the newest messages are there", async () => {
    const played = await visit("Lea");
    const { page } = played;
    const shown = () => page.locator("#messages > li.message .text").allTextContents();
    played.said = Array.from({ length: 600 }, (_, n) => ({ sender: "Bob", content: `old ${n + 1}`, seq: n + 1, ts: Date.now() }));
    played.say({ sender: "Bob", content: "the last" });
    await sees(page, "the last");
    await page.evaluate((hash) => { location.hash = hash; }, `#room=den&at=40.${played.epoch.slice(0, 8)}`);
    await until("it is there", async () => (await shown()).includes("old 40") && !(await shown()).includes("the last"));
    played.beginAnew({ sender: "Eve", content: "new 1" });
    played.socket.close({ code: 4200 });
    await until("it is joined again", () => played.heard.filter(({ type }) => type === "join").length === 2);
    played.held.add("history");
    await page.locator(".place[aria-current]").click();
    await until("the newest are asked for", () => played.waiting.length > 0);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    equal((await shown()).includes("old 40"), true, "that what there was is shown");
    played.say({ sender: "Eve", content: "new 2" });
    played.answerHeld();
    await until("the new ones are there", async () => (await shown()).join() === "new 1,new 2" || Promise.reject(new Error(`${await shown()}`)));
    await page.context().close();
  });

  await check("scrolling on from old messages, in a room that has begun anew meanwhile, comes to the first new ones and reads no others", async () => {
    const played = await visit("Kim");
    const { page } = played;
    const many = (sender, count, what) => Array.from({ length: count }, (_, n) => ({ sender, content: `${what} ${n + 1}`, seq: n + 1, ts: Date.now() }));
    const texts = () => page.locator("#messages > li.message .text").allTextContents();
    // The window is amid 600 messages.
    played.said = many("Bob", 600, "old");
    played.say({ sender: "Bob", content: "the last" });
    await sees(page, "the last");
    await page.evaluate((hash) => { location.hash = hash; }, `#room=den&at=40.${played.epoch.slice(0, 8)}`);
    await until("it is there", async () => (await texts()).includes("old 40") && !(await texts()).includes("the last"));
    played.beginAnew();
    played.socket.close({ code: 4200 });
    await until("it is joined again", () => played.heard.filter(({ type }) => type === "join").length === 2);
    for (const message of many("Eve", 200, "new")) played.say(message);
    const left = () => page.locator("#to-latest-text").textContent();
    await until("they are counted", async () => await left() === "200" || Promise.reject(new Error(await left())));
    await until("the first are there", async () => {
      if (!(await texts()).includes("new 1")) await page.locator("#log").press("End");
      return (await texts()).includes("new 1");
    });
    const said = await texts();
    const shown = said.slice(said.indexOf("new 1"));
    equal(shown, Array.from({ length: shown.length }, (_, n) => `new ${n + 1}`), "what is shown of the new ones");
    equal([shown.length < 200, Number(await left()) >= 200 - shown.length], [true, true], `${shown.length} are shown, and ${await left()} unread`);
    equal(await page.locator("#messages > li.gap").count(), 1, "lines that say that it begins anew");
    await page.context().close();
  });
});
