/**
 * The page where tokens say who comes: by links with tokens that the binary made. `node tokens.mjs SALON_BINARY`; see
 * run.sh.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { begin, composer, connected, hashOf, members, newPage, say, texts, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const secret = path.join(await mkdtemp(path.join(tmpdir(), "salon-secret-")), "secret");
await writeFile(secret, "0123456789abcdef0123456789abcdef");
const server = new Server(process.argv[2], await freePort(), "--auth", "jwt", "--auth-key", `HS256:${secret}`, "--auth-grace", "2s", "--create-rooms", "role");
const { browser, pictures, run } = await begin(server);
const token = (sub, ...options) => execFileSync(process.argv[2], ["token", "--secret-file", secret, "--sub", sub, ...options], { encoding: "utf8" }).trim();
const visit = async (fields) => {
  const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}` });
  await page.goto(`${page.origin}/#${new URLSearchParams(fields)}`);
  return page;
};
const problem = (page) => page.locator("#composer-problem").textContent();

await run(async () => {
  const ada = await visit({ token: token("Ada", "--roles", "create"), room: "kitchen" });
  const linus = await visit({ token: token("Linus", "--rooms", "kitchen,team-*"), room: "kitchen" });

  await check("a link with a token comes in under its name, and the token leaves the address", async () => {
    for (const page of [ada, linus]) await connected(page);
    for (const page of [ada, linus]) await until("both are there", async () => (await members(page)).sort().join() === "Ada,Linus");
    await say(ada, "Tea?");
    await until("Linus reads it", async () => (await texts(linus)).includes("Tea?"));
    equal((await hashOf(linus)).includes("token"), false, "a token in the address");
  });

  await check("the token is out of the address before anything is loaded, also if the rest of the page never comes", async () => {
    const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}`, expected: (text) => /ERR_FAILED/.test(text) });
    await page.route(/\/app[-.0-9a-f]*\.js/, (route) => route.abort());
    const hash = () => page.evaluate(() => location.hash);
    await page.goto(`${page.origin}/#${new URLSearchParams({ token: token("Ada"), room: "kitchen" })}`);
    await page.getByRole("button", { name: "Try again" }).waitFor();
    equal(await hash(), "#room=kitchen", "the address");
    await page.evaluate((hash) => { location.hash = hash; }, `#${new URLSearchParams({ token: token("Linus"), room: "kitchen" })}`);
    await until("the token of another link is out too", async () => await hash() === "#room=kitchen");
    await page.unroute(/\/app[-.0-9a-f]*\.js/);
    await page.reload();
    await connected(page);
    equal([await page.locator("#me-name").textContent(), await hash()], ["Linus", "#room=kitchen"], "who has come in, the address");
    await page.context().close();
  });

  await check("who needs a link first is where they were on the way to when they have it, in the same tab", async () => {
    await say(ada, "See above");
    await until("it is said", async () => (await texts(ada)).includes("See above"));
    await ada.locator("#messages > li.message", { hasText: "Tea?" }).hover();
    await ada.evaluate(() => Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: (text) => { window.link = text; return Promise.resolve(); } } }));
    await ada.locator("#bar-link").click();
    const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}` });
    await page.goto(await ada.evaluate(() => window.link));
    await until("a link is asked for", async () => (await page.locator("#door-status").textContent()).startsWith("You need a link of your own"));
    await page.evaluate((hash) => { location.hash = hash; }, `#${new URLSearchParams({ token: token("Late") })}`);
    await connected(page);
    equal(await hashOf(page), "#room=kitchen", "the address");
    await until("the message is shown", () => page.evaluate(() => document.querySelector("#messages > li.shown .text")?.textContent === "Tea?"));
    await page.context().close();
  });

  await check("the token goes by the sub-protocol, or the first message where it is long, and never in the address of the socket", async () => {
    const rooms = Array.from({ length: 60 }, (_, n) => `${n} ${"x".repeat(60)}`).join(",");
    for (const given of [token("Ada"), token("Ada", "--rooms", `kitchen,${rooms}`)]) {
      const page = await newPage(browser, { origin: `http://127.0.0.1:${server.port}` });
      const urls = [];
      page.on("websocket", (socket) => urls.push(socket.url()));
      await page.goto(`${page.origin}/#${new URLSearchParams({ token: given, room: "kitchen" })}`);
      await connected(page);
      equal(urls, [`ws://127.0.0.1:${server.port}/ws`], `the addresses, with a token of ${given.length} characters`);
      await page.context().close();
    }
  });

  await check("a reload comes back without the link", async () => {
    await linus.reload();
    await connected(linus);
    await until("Linus is there", async () => (await members(linus)).includes("Linus"));
  });

  await check("@room is proposed to those whose token has a role for it, and calls nobody from others", async () => {
    const mod = await visit({ token: token("Mod", "--roles", "moderate"), room: "kitchen" });
    await connected(mod);
    for (const page of [mod, linus]) await until("all are here", async () => (await members(page)).sort().join() === "Ada,Linus,Mod");
    const proposed = async (page) => {
      await composer(page).fill("");
      await composer(page).pressSequentially("@");
      await page.locator("#suggestions:not([hidden])").waitFor();
      const labels = await page.locator("#suggestions .suggestion-label").allTextContents();
      await composer(page).fill("");
      return labels;
    };
    equal([await proposed(mod), await proposed(linus)], [["Ada", "Linus", "room"], ["Ada", "Mod"]], "what is proposed");
    await say(linus, "@room from Linus");
    await say(mod, "@room from Mod");
    for (const name of ["Linus", "Mod"]) await until(`Ada reads ${name}`, async () => (await texts(ada)).includes(`@room from ${name}`));
    await ada.locator("#messages > li.mention", { hasText: "from Mod" }).waitFor();
    equal(await ada.locator("#messages > li.mention").allTextContents().then((all) => all.length), 1, "what calls Ada");
    equal(await ada.locator("#messages .call").allTextContents(), ["@room"], "what is marked");
    await mod.context().close();
  });

  await check("a link with other rights gives them at once, in the same tab, and what is written stays", async () => {
    const page = await visit({ token: token("Nora"), room: "kitchen" });
    await until("Nora is in the room", async () => (await members(page)).includes("Nora"));
    const proposesRoom = async () => {
      await composer(page).fill("@ro");
      await until("it has been looked for", () => page.evaluate(() => document.getElementById("composer-input").value === "@ro"));
      return await page.locator("#suggestions .suggestion-label", { hasText: /^room$/u }).count() > 0;
    };
    equal(await proposesRoom(), false, "whether @room is proposed");
    await composer(page).fill("half a sentence");
    await page.evaluate((hash) => { location.hash = hash; }, `#${new URLSearchParams({ token: token("Nora", "--roles", "moderate") })}`);
    await until("there is another connection", () => page.sockets === 2);
    await connected(page);
    await titled(page, "kitchen");
    await until("what was written is there", async () => await composer(page).inputValue() === "half a sentence");
    await until("@room is proposed", proposesRoom);
    await page.locator("#messages > li.message", { hasText: "Tea?" }).first().hover();
    await page.locator("#bar-more").click();
    equal(await page.locator("#message-menu .delete").count(), 1, "a way to delete what others said");
    await page.context().close();
  });

  await check("a room the token is not for stays closed, in words", async () => {
    await say(linus, "/join cellar");
    await until("it says so", async () => (await problem(linus)) === "This room is not open to you.");
    await linus.screenshot({ path: path.join(pictures, "a-closed-room.png") });
    await composer(linus).fill("@ro");
    equal(await linus.locator("#suggestions .suggestion-label").allTextContents(), [], "who can be called there");
    await composer(linus).fill("");
    equal(await linus.locator("#app").getAttribute("data-connection"), "connected", "the connection");
    await say(linus, "/join team-nobody-made");
    await until("nor may one be made", async () => /make one|not open/.test(await problem(linus)));
    for (const room of ["team-nobody-made", "cellar"]) await say(linus, `/leave ${room}`);
    await until("Linus is in the kitchen again", async () => (await linus.locator("#title bdi").textContent()) === "kitchen");
  });

  await check("without a token the page says at the door that a link is needed, and does not try again by itself", async () => {
    const nobody = await visit({ room: "kitchen" });
    await until("it says so", async () => (await nobody.locator("#door-status").textContent()).startsWith("You need a link of your own"));
    equal(await nobody.locator("#door-name").isVisible(), false, "a field for a name");
    equal(nobody.sockets, 1, "connections");
    await nobody.screenshot({ path: path.join(pictures, "sign-in.png") });
  });

  await check("a token that does not hold gets nobody in", async () => {
    const mallory = await visit({ token: `${token("Ada").slice(0, -4)}AAAA`, room: "kitchen" });
    await mallory.locator("#app[data-connection=closed]").waitFor();
    equal(await mallory.locator("#ended-title").textContent(), "You are signed out", "the card");
    await mallory.screenshot({ path: path.join(pictures, "signed-out.png") });
    await mallory.locator("#ended-button").click();
    await until("the door says what is needed", async () => (await mallory.locator("#door-status").textContent()).startsWith("You need a link of your own"));
    equal(await mallory.evaluate(() => sessionStorage.getItem("salon.token")), null, "a token that is kept");
  });

  await check("a token that ends warns, then ends the session", async () => {
    const brief = await visit({ token: token("Brief", "--ttl", "20s"), room: "kitchen" });
    const banner = (page) => page.locator("#banner-text").textContent();
    await until("it says when, and what to do", async () => /^Your link ends at .*\d\. Open a new one/u.test(await banner(brief)));
    equal([await brief.locator("#banner").isVisible(), await brief.locator("#try-now").isVisible(), await banner(linus)], [true, false, ""], "a banner, a button there, and what is said of a link that lasts");
    const stays = await visit({ token: token("Stays", "--ttl", "60s"), room: "kitchen" });
    await until("it is told", async () => (await banner(stays)).startsWith("Your link ends"));
    await stays.evaluate((hash) => { location.hash = hash; }, `#${new URLSearchParams({ token: token("Stays") })}`);
    await until("with another link nothing ends", async () => await banner(stays) === "");
    equal(stays.sockets, 1, "connections");
    await stays.context().close();
    await brief.locator("#app[data-connection=closed]").waitFor();
    equal(await brief.locator("#ended-title").textContent(), "You are signed out", "the card");
    await until("Ada sees it", async () => !(await members(ada)).includes("Brief"));
  });

  await check("a tab that is opened beside one that came in by a link comes in by the same", async () => {
    const tab = await linus.context().newPage();
    await tab.goto(`http://127.0.0.1:${server.port}/#room=kitchen`);
    await connected(tab);
    equal(await tab.locator("#me-name").textContent(), "Linus", "the name");
    await tab.close();
  });

  await check("so does one that had to wait for the answer, since the other tab was busy", async () => {
    await linus.evaluate(() => {
      const { postMessage } = BroadcastChannel.prototype;
      BroadcastChannel.prototype.postMessage = function post(data) { window.answerNow = () => postMessage.call(this, data); };
    });
    const tab = await linus.context().newPage();
    await tab.goto(`http://127.0.0.1:${server.port}/#room=kitchen`);
    await until("a link is asked for", async () => (await tab.locator("#door-status").textContent()).startsWith("You need a link of your own"));
    await until("the other tab was asked", () => linus.evaluate(() => Boolean(window.answerNow)));
    await linus.evaluate(() => window.answerNow());
    await connected(tab);
    equal([await tab.locator("#me-name").textContent(), await hashOf(tab)], ["Linus", "#room=kitchen"], "the name, the address");
    await tab.close();
  });

  await check("a tab that has waited for a link for long takes none that another tab is asked for later", async () => {
    const tab = await linus.context().newPage();
    await tab.addInitScript(() => {
      const { setTimeout } = window;
      window.setTimeout = (run, after, ...rest) => { // the time of the door is over when the check says so
        if (after !== 10_000) return setTimeout(run, after, ...rest);
        window.isOver = run;
        return 0;
      };
    });
    await tab.goto(`http://127.0.0.1:${server.port}/#room=kitchen`);
    await until("a link is asked for", async () => (await tab.locator("#door-status").textContent()).startsWith("You need a link of your own"));
    await tab.evaluate(() => {
      window.isOver?.();
      new BroadcastChannel("salon.tokens").onmessage = ({ data }) => { window.heard = data; };
    });
    await linus.evaluate(() => window.answerNow());
    await until("it has come by", () => tab.evaluate(() => Boolean(window.heard?.token)));
    equal([await tab.locator("#door").isVisible(), (await tab.locator("#door-status").textContent()).startsWith("You need a link")], [true, true], "the door, and that it says so");
    await tab.close();
  });

  await check("the others have noticed nothing", async () => {
    await say(linus, "Milk?");
    await until("Ada reads it", async () => (await texts(ada)).includes("Milk?"));
  });
});
