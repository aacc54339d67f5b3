/**
 * The page as browsers keep it: packed, compressed, and there without a network. `node installed.mjs SALON_BINARY`; see
 * run.sh.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import vm from "node:vm";
import { begin, composer, connected, enter, isUnreachable, newPage as openPage, say, texts } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort());
const { browser, pictures, run } = await begin(server);
const origin = `http://127.0.0.1:${server.port}`;
let serverAway = false;
const expected = (text) => serverAway && (isUnreachable(text) || /fetch/.test(text));
const newPage = (options = {}) => openPage(browser, { origin, expected, ...options });
const SLOW_3G = { offline: false, latency: 400, downloadThroughput: 400_000 / 8, uploadThroughput: 400_000 / 8 };

await run(async () => {
  await check("a first visit is a handful of requests, compressed, the door before the rest; a second one asks for one file", async () => {
    const page = await newPage();
    // The frame in which the door is drawn: what is asked for behind it begins later.
    await page.addInitScript(() => new MutationObserver((_, observer) => {
      if (document.getElementById("door")?.hidden !== false) return;
      observer.disconnect();
      requestAnimationFrame(() => { window.drawnAt = performance.now(); });
    }).observe(document, { subtree: true, childList: true, attributeFilter: ["hidden"] }));
    const seen = [];
    page.on("response", async (response) => seen.push({ name: new URL(response.url()).pathname, status: response.status(), cached: response.fromServiceWorker(), headers: await response.allHeaders() }));
    await page.goto(`${origin}/`);
    await page.locator("#door-name").waitFor();
    await until("all are there", () => ["door", "app"].every((part) => seen.some(({ name }) => new RegExp(`^/${part}-[0-9a-f]{12}\\.js$`).test(name))));
    for (const part of ["door", "app"]) {
      const script = seen.find(({ name }) => new RegExp(`^/${part}-[0-9a-f]{12}\\.js$`).test(name));
      equal([script?.headers["content-encoding"], script?.headers["cache-control"], script?.headers.vary], ["br", "public, max-age=31536000, immutable", "Accept-Encoding"], `the headers of the script ${part}`);
    }
    if (seen.length > 9) throw new Error(seen.map(({ name }) => name).join(" "));
    const parts = () => page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => /(?:door|app)-/.test(name)).map(({ name, transferSize, startTime }) => ({ name: new URL(name).pathname.replace(/-[0-9a-f]+/, ""), transferSize, startTime })));
    await until("the rest is there", async () => (await parts()).length === 4);
    const first = await parts();
    equal(first.map(({ transferSize }) => transferSize > 0), [true, true, true, true], "files that came over the wire");
    const drawn = await page.evaluate(() => window.drawnAt);
    for (const { name, startTime } of first) equal([name, startTime >= drawn], [name, name.startsWith("/app")], "asked for when the door has been drawn");
    await page.reload();
    await page.locator("#door-name").waitFor();
    await until("all are there again", async () => (await parts()).length === 4);
    equal((await parts()).map(({ transferSize }) => transferSize), [0, 0, 0, 0], "bytes that came over the wire for them the second time");
    await page.context().close();
  });

  for (const [locale, files] of [["en-GB", 8], ["de", 10]]) await check(`on a slow line the door is there soon, and the second time at once (${locale})`, async () => {
    const page = await newPage({ locale, serviceWorkers: "allow" });
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Network.enable");
    await devtools.send("Network.emulateNetworkConditions", SLOW_3G);
    const visit = async () => {
      const began = Date.now();
      await page.goto(`${origin}/`, { waitUntil: "commit" });
      const took = [];
      for (const part of ["#door:not([hidden])", "#door-form:not([hidden])"]) {
        await page.waitForFunction((part) => document.querySelector(part), part);
        took.push(Date.now() - began);
      }
      return took;
    };
    const [door, form] = await visit();
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await until("the page is kept", async () => await page.evaluate(async () => (await (await caches.open("salon-page")).keys()).length) === files);
    await page.goto("about:blank");
    const [again, formAgain] = await visit();
    console.log(`# slow 3G (${locale}): the door after ${door} ms, its form after ${form} ms; ${again} and ${formAgain} ms the second time`);
    await page.context().close();
  });

  await check("without the server the page opens from what the browser keeps, with what was written, and goes on when it is back", async () => {
    const page = await newPage({ serviceWorkers: "allow" });
    await enter(page, "Ida", "kitchen");
    await say(page, "Before");
    await until("it is said", async () => (await texts(page)).includes("Before") && await page.locator(".pending").count() === 0);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await until("the page is kept", () => page.evaluate(async () => (await (await caches.open("salon-page")).keys()).length === 8));
    serverAway = true;
    await server.kill();
    // Nobody knows how people are then.
    await page.locator("#banner:not([hidden])").waitFor();
    equal(await page.locator("#members .presence").first().evaluate((node) => getComputedStyle(node).backgroundColor === getComputedStyle(document.getElementById("details")).backgroundColor), true, "a presence that is not lit");
    await page.reload();
    await page.locator("#banner:not([hidden])", { hasText: /cannot be reached|Reconnecting/ }).waitFor();
    await say(page, "Written without a network");
    await page.screenshot({ path: path.join(pictures, "offline.png") });
    equal(await composer(page).inputValue(), "", "the composer");
    await server.start();
    await connected(page);
    serverAway = false;
    await until("it is said", async () => (await texts(page)).includes("Written without a network") && await page.locator(".pending").count() === 0);
    await page.context().close();
  });

  await check("a page in German is German without the server too, and a first visit in German keeps no other language", async () => {
    const page = await newPage({ locale: "de", serviceWorkers: "allow" });
    await page.goto(`${origin}/`);
    await page.locator("#door-form:not([hidden])").waitFor();
    const languages = () => page.evaluate(async () => (await (await caches.open("salon-page")).keys()).map(({ url }) => /\/([a-z]{2}(?:_door)?)-[0-9a-f]{12}\.js$/u.exec(url)?.[1]).filter(Boolean).sort());
    await until("the words are kept", async () => String(await languages()) === "de,de_door");
    serverAway = true;
    await server.kill();
    await page.reload();
    await page.locator("#door-status", { hasText: "Der Server ist nicht erreichbar." }).waitFor();
    equal(await page.evaluate(() => document.documentElement.lang), "de", "the language");
    await server.start();
    await page.locator("#door-form:not([hidden])").waitFor();
    serverAway = false;
    await page.context().close();
  });

  await check("visits around an upgrade leave a page with its files, in whatever order things are done", async () => {
    const source = process.env.PAGE_FROM ? await readFile(path.join(process.env.PAGE_FROM, "worker.js"), "utf8") : await (await fetch(`${origin}/worker.js`)).text();
    for (let seed = 1; seed <= 300; seed += 1) {
      let state = seed;
      const slowly = async (give) => {
        state = (state * 48_271) % 2_147_483_647;
        for (let n = state % 12; n > 0; n -= 1) await null;
        return give();
      };
      let version = "1";
      const kept = new Map();
      const name = (kind, version) => `${kind}-${version.repeat(12)}.js`;
      const served = (url) => {
        const version = url.match(/-(\d)/)?.[1];
        return url.includes("door-") ? `import("${name("app", version)}")` : "";
      };
      const made = (text) => ({ ok: true, text: async () => text, clone: () => made(text) });
      const cache = {
        match: (url) => slowly(() => kept.get(url.url ?? url)),
        add: (url) => slowly(() => { kept.set(url, made(served(url))); }),
        put: (url, page) => slowly(() => { kept.set(url, page); }),
        delete: (url) => slowly(() => kept.delete(url)),
        keys: () => slowly(() => [...kept.keys()].map((url) => ({ url }))),
      };
      const on = {};
      const self = { registration: { scope: "http://salon/" }, addEventListener: (kind, listener) => { on[kind] = listener; }, skipWaiting() {}, clients: {} };
      vm.runInNewContext(source, { self, URL, Set, location: { origin: "http://salon" }, caches: { open: () => slowly(() => cache) }, fetch: () => slowly(() => made(name("door", version))) });
      const waited = [];
      const visit = () => on.fetch({ request: { method: "GET", mode: "navigate", url: "http://salon/" }, waitUntil: (what) => waited.push(what), respondWith: (what) => waited.push(what) });
      on.install({ waitUntil: (what) => waited.push(what) });
      visit();
      await slowly(() => { version = "2"; });
      visit();
      visit();
      await Promise.all(waited);
      const page = await kept.get("http://salon/").text();
      const missing = [page, page.replace("door", "app")].filter((file) => !kept.has(`http://salon/${file}`));
      equal([missing, kept.size], [[], 5], `with the order of ${seed}: files that are missing, files that are kept`);
    }
  });

  await check("the page can be installed: a manifest with a name, a start and an icon that are there", async () => {
    const manifest = await (await fetch(`${origin}/manifest.webmanifest`)).json();
    equal([manifest.name, manifest.display, manifest.start_url], ["Salon", "standalone", "./"], "the manifest");
    for (const { src } of manifest.icons) equal((await fetch(`${origin}/${src}`)).status, 200, src);
  });
});
