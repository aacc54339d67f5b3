/**
 * What somebody sees who is kicked or banned: by real calls of the HTTP API. `node moderation.mjs SALON_BINARY`; see
 * run.sh.
 */
import path from "node:path";
import { begin, composer, connected, enter as comeIn, goOut, members, newPage, say, sees } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const admin = await freePort();
const server = new Server(process.argv[2], await freePort(), "--admin", `127.0.0.1:${admin}`);
const { browser, pictures, run } = await begin(server);

async function call(name, body) {
  const response = await fetch(`http://127.0.0.1:${admin}/api/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json();
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

async function enter(name, options = {}) {
  const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
  await comeIn(page, name, "kitchen");
  return page;
}

/** A card says that it is over and why, to the eye and to a screen reader; behind it is nothing to be used. */
async function isOver(page, title, button, words) {
  await page.locator("#app[data-connection=closed]").waitFor();
  equal([await page.locator("#ended-title").textContent(), await page.locator("#ended-button").textContent()], [title, button], "the card");
  equal(await page.evaluate(() => [document.activeElement.id, document.getElementById("conversation").inert, document.getElementById("banner").hidden]), ["ended-button", true, true], "the focus, what is behind");
  equal(await page.locator("#connection-status").textContent(), `Disconnected. ${words}`, "what is spoken");
  const sockets = page.sockets;
  // The longest first wait of a client that reconnects is 500 ms; a day later is the same here.
  await page.clock.install();
  await page.clock.fastForward("24:00:00");
  equal(page.sockets, sockets, "connections");
  equal(await page.locator("#app").getAttribute("data-connection"), "closed", "the connection");
}

await run(async () => {
  const ada = await enter("Ada");
  const mallory = await enter("Mallory");
  await until("they see each other", async () => (await members(ada)).length === 2);

  await check("who is removed from a room is told there, and stays connected", async () => {
    equal(await call("kick", { user_id: "Mallory", room_id: "kitchen" }), { type: "ack", left: 1 }, "the answer");
    await until("Mallory is told", async () => (await mallory.locator("#messages").textContent()).includes("You have been removed from this room by a moderator."));
    await until("Ada sees it", async () => (await members(ada)).join() === "Ada");
    equal(await mallory.locator("#app").getAttribute("data-connection"), "connected", "the connection");
    await composer(mallory).fill("Hello?");
    await composer(mallory).press("Enter");
    await until("it is not sent", async () => (await mallory.locator("#composer-problem").textContent()) === "You are not in this room.");
    equal(await composer(mallory).inputValue(), "Hello?", "what was written");
    equal(await mallory.locator("#messages > li.message").count(), 0, "messages");
    await mallory.screenshot({ path: path.join(pictures, "removed-from-a-room.png") });
    await composer(mallory).fill("/join kitchen");
    await composer(mallory).press("Enter");
    await until("Mallory is back", async () => (await members(ada)).length === 2);
  });

  await check("one who is removed twice and comes back reads it once", async () => {
    for (let n = 0; n < 2; n += 1) {
      await call("kick", { user_id: "Mallory", room_id: "kitchen" });
      await until("Ada sees it", async () => (await members(ada)).length === 1);
      await mallory.getByRole("button", { name: "Join again" }).click();
      await until("Mallory is back", async () => (await members(ada)).length === 2 && await mallory.getByRole("button", { name: "Join again" }).isHidden());
    }
    equal(await mallory.locator("#messages > li.gap").count(), 1, "lines");
  });

  await check("what an operator publishes stands in the room", async () => {
    equal((await call("publish", { room_id: "kitchen", sender: "bot", content: "The kettle is on." })).sender, "bot", "the sender");
    for (const page of [ada, mallory]) await until("it is read", async () => (await page.locator("#messages").textContent()).includes("The kettle is on."));
  });

  await check("who is asked to reconnect does, without a word to anybody", async () => {
    const sockets = mallory.sockets;
    equal(await call("disconnect", { user_id: "Mallory" }), { type: "ack", closed: 1 }, "the answer");
    await until("there is another connection", () => mallory.sockets > sockets);
    await connected(mallory);
    equal((await members(ada)).length, 2, "people");
  });

  await check("who is kicked is told so, and does not reconnect", async () => {
    const kicked = await enter("Kay");
    await until("Ada sees Kay", async () => (await members(ada)).includes("Kay"));
    equal(await call("kick", { user_id: "Kay" }), { type: "ack", closed: 1 }, "the answer");
    await isOver(kicked, "You have been removed by a moderator", "Come back", "You have been removed by a moderator.");
    await until("Ada sees it", async () => !(await members(ada)).includes("Kay"));
    await kicked.screenshot({ path: path.join(pictures, "kicked.png") });
    await kicked.getByRole("button", { name: "Come back" }).click();
    await connected(kicked);
    await until("one can write on", () => kicked.evaluate(() => document.activeElement.id === "composer-input"));
  });

  await check("who is banned is told so, does not reconnect, and is turned away until it is lifted", async () => {
    equal((await call("ban", { user_id: "Mallory", seconds: 3 * 86_400, note: "spam" })).closed, 1, "the sessions");
    await isOver(mallory, "You have been banned from this server", "Try again", "You have been banned from this server.");
    const { until: end } = (await call("bans", {})).bans[0];
    const words = await mallory.evaluate((end) => new Intl.DateTimeFormat(navigator.language, { dateStyle: "full", timeStyle: "short" }).format(end), end);
    const isSaid = async () => (await mallory.locator("#ended-text").textContent()).startsWith(`You can come back from ${words} on. Whoever runs the server can lift it before.`);
    await until("it is said until when", isSaid);
    await mallory.screenshot({ path: path.join(pictures, "banned.png") });
    const sockets = mallory.sockets;
    await mallory.getByRole("button", { name: "Try again" }).click();
    await until("it was tried once", () => mallory.sockets === sockets + 1);
    await until("and is over", async () => await mallory.locator("#ended").isVisible() && (await mallory.locator("#ended-title").textContent()) === "You have been banned from this server");
    // The same for one who loads the page anew.
    await mallory.reload();
    await mallory.getByRole("button", { name: "Try again" }).waitFor();
    await until("it is said to them too", isSaid);
    equal(await mallory.evaluate(() => document.getElementById("conversation").inert), true, "a composer that is of no use");
    equal(await members(ada).then((names) => names.includes("Mallory")), false, "Mallory is there");
    equal(await call("unban", { user_id: "Mallory" }), { type: "ack", banned: true }, "the answer");
    await mallory.getByRole("button", { name: "Try again" }).click();
    await connected(mallory);
    await until("Ada sees Mallory", async () => (await members(ada)).includes("Mallory"));
  });

  await check("who is banned for a while comes back by themselves when it is over", async () => {
    const page = await enter("Brief");
    equal((await call("ban", { user_id: "Brief", seconds: 2 })).closed, 1, "the sessions");
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await page.locator("#ended").waitFor({ state: "hidden" });
    await connected(page);
    await until("Ada sees them", async () => (await members(ada)).includes("Brief"));
  });

  await check("so does one whose machine has slept over the end of the ban, and one whose clock is ahead of the server's", async () => {
    const HOUR = 3_600_000;
    for (const [name, ahead, later] of [
      ["Sleeper", 0, async (page) => {
        await page.clock.setSystemTime(Date.now() + 2 * HOUR); // and no timer runs
        await page.clock.runFor(61_000); // but that of each minute
      }],
      ["Ahead", 2 * HOUR, (page) => page.clock.fastForward(61_000)],
    ]) {
      const page = await enter(name);
      await page.clock.install({ time: Date.now() + ahead });
      await page.reload(); // so that all timers of the page are of that clock
      await connected(page);
      await call("ban", { user_id: name, seconds: 3_600 });
      await page.getByRole("button", { name: "Try again" }).waitFor();
      const sockets = page.sockets;
      await call("unban", { user_id: name });
      await until("the card is drawn", () => page.evaluate(() => document.activeElement.id === "ended-button"));
      equal(page.sockets, sockets, `${name}: tries before that`);
      await later(page);
      await page.locator("#ended").waitFor({ state: "hidden" });
      await connected(page);
      await page.context().close();
    }
  });

  await check("messages that are not on screen are not copied with all of the page: behind the card of a ban, and at the door", async () => {
    for (const [name, leaves] of [["Copied", () => call("ban", { user_id: "Copied", seconds: 3_600 })], ["Gone", goOut]]) {
      const page = await enter(name, { permissions: ["clipboard-read", "clipboard-write"] });
      for (const text of ["between us", "and nobody else"]) await say(page, text);
      await sees(page, "and nobody else");
      await page.evaluate(() => navigator.clipboard.writeText("nothing yet"));
      // Words at the foot of the page: a selection of all of it ends there, behind the messages.
      await composer(page).press("ArrowUp");
      await page.keyboard.type("!");
      await page.keyboard.press("Escape");
      await page.locator("#toast:not([hidden])").waitFor();
      await leaves(page);
      await page.locator("#ended:not([hidden]), #door:not([hidden])").first().waitFor();
      await page.mouse.click(5, 5);
      await page.keyboard.press("Control+a");
      equal(await page.evaluate(() => getSelection().getRangeAt(0).intersectsNode(document.getElementById("messages"))), true, `${name}: the selection is around the messages`);
      await page.keyboard.press("Control+c");
      const copied = await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())).replace("nothing yet", ""));
      equal(/between us|nobody else/u.test(copied), false, `${name}: what is copied, ${copied}`);
      if (name === "Gone") equal(await page.locator("#messages > li").count(), 0, "messages in the page of one who has gone out");
      await page.context().close();
    }
  });
});
