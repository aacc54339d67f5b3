/** A real Chromium for the checks: pages that share nothing, and what is done in them and read from them. */
import { mkdir, mkdtemp, readFile, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { WITHIN, check, equal, summary, until } from "./harness.mjs";

const complaints = [];

const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ...process.env.PAGE_FROM ? ["--disable-features=LocalNetworkAccessChecks"] : []],
});

/**
 * Starts the servers and a browser, and tells where pictures go. What is done there is given to `run`, which then ends
 * them all and, with what came of the checks, the process.
 */
export async function begin(...servers) {
  const pictures = process.env.SCREENSHOTS ?? await mkdtemp(path.join(tmpdir(), "salon-screenshots-"));
  await mkdir(pictures, { recursive: true });
  const end = () => Promise.all(servers.map((server) => server.kill("SIGTERM")));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end().finally(() => process.exit(130)));
  for (const server of servers) await check(`a server starts on ${server.port}`, () => server.start());
  if (summary.failed()) process.exit(summary());
  const browser = await launch();
  const run = async (checks) => {
    try {
      await checks();
      await check("no complaint of the browser: no CSP violation, no error in the console, no exception", () => equal(complaints, [], "complaints"));
    } finally {
      await browser.close();
      await end();
    }
    console.log(`pictures: ${pictures}`);
    process.exit(summary());
  };
  return { browser, pictures, run };
}

/** axe-core, for a page to evaluate. */
const axe = () => readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * For work at the page: its files come from a folder, with the headers of the server, and nothing is built anew. (For
 * the browser such a page is from nowhere; so it is let out of what keeps pages from elsewhere away from this machine.)
 */
async function serveFrom(folder, context, origin) {
  const names = new Set(await readdir(folder));
  const types = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml", webmanifest: "application/manifest+json" };
  const { headers } = await fetch(`${origin}/`);
  const nameOf = (url) => (url.pathname === "/" ? "index.html" : url.pathname.slice(1));
  await context.route((url) => url.origin === origin && names.has(nameOf(url)), async (route) => {
    const name = nameOf(new URL(route.request().url()));
    const body = await readFile(path.join(folder, name));
    await route.fulfill({ body, headers: { "Content-Type": types[name.split(".").pop()], "Content-Security-Policy": headers.get("content-security-policy"), "Cache-Control": "no-cache" } });
  });
}

/**
 * What a browser complains of while there is no way to the server. Which code it is, is chance: a wire that is cut
 * amid a request, before it or behind its connection gives three of them.
 */
export const isUnreachable = (text) => /WebSocket|net::ERR/u.test(text);

/**
 * A page of its own context. What it complains of goes to `complaints`, but for what `expected` says is no surprise.
 * `page.sockets` counts the WebSockets it has opened.
 */
export async function newPage(browser, { origin, expected = () => false, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", serviceWorkers: "block", ...options });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  if (process.env.PAGE_FROM) await serveFrom(process.env.PAGE_FROM, context, origin);
  const page = await context.newPage();
  watch(page, expected);
  page.sockets = 0;
  page.on("websocket", () => { page.sockets += 1; });
  page.origin = origin;
  return page;
}

function watch(page, expected) {
  page.setDefaultTimeout(WITHIN);
  page.on("console", (message) => { if (message.type() === "error" && !expected(message.text())) complaints.push(`${message.text()} (${message.location().url})`); });
  page.on("pageerror", (error) => complaints.push(`pageerror: ${error.message}`));
}

/** Another tab of the same browser as a page. */
export async function newTab(page, address, expected = () => false) {
  const tab = await page.context().newPage();
  watch(tab, expected);
  await tab.goto(address);
  return tab;
}

export async function enter(page, name, room, by = "mouse") {
  await page.goto(`${page.origin}/#${new URLSearchParams({ room })}`);
  await page.locator("#door-name").fill(name);
  if (by === "mouse") await page.getByRole("button", { name: "Enter" }).click();
  // A name that somebody has come in under before is asked about.
  await page.locator("#door-question:not([hidden]), #app[data-connection=connected]").first().waitFor();
  if (await page.locator("#door-question").isVisible()) await page.getByRole("button", { name: "Yes, that is me" }).click();
  await connected(page);
}

/** Comes in under a name that somebody has here, as another device of theirs. */
export async function comeAgain(page, name, room) {
  await page.goto(`${page.origin}/#${new URLSearchParams({ room })}`);
  await page.locator("#door-name").fill(name);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.getByRole("button", { name: "Yes, that is me" }).click();
  await connected(page);
}

/** Goes out by the door, which asks first. */
export async function goOut(page, answer = "Go out") {
  await page.getByRole("button", { name: "Leave and choose another name" }).click();
  await page.getByRole("button", { name: answer, exact: true }).click();
  await page.locator("#door").waitFor();
  // What is drawn of this connection is there until the next one is drawn, and would be taken for that.
  await page.evaluate(() => { delete document.getElementById("app").dataset.connection; });
}

/** Closes a page as a person does, and waits until it has said and kept all that it does then. */
export const shut = async (page) => {
  const closed = page.waitForEvent("close");
  await page.close({ runBeforeUnload: true });
  await closed;
};

/** Where something is, once it is somewhere: what is being drawn anew has no place for a moment. */
export const boxOf = (locator) => until("it has a place", () => locator.boundingBox());

/** What stands in the address. `page.url()` may be a moment behind that. */
export const hashOf = (page) => page.evaluate(() => location.hash);

/** A client that was cut off waits up to 20 s between two tries. */
export const connected = (page) => page.locator("#app[data-connection=connected]").waitFor({ timeout: WITHIN + 20_000 });
export const composer = (page) => page.locator("#composer-input");
export const say = async (page, text) => {
  await composer(page).fill(text);
  await composer(page).press("Enter");
};
/** The texts in the log that are not pending, in order. */
export const texts = (page) => page.locator("#messages > li.message:not(.pending) .text").allTextContents();
export const members = (page) => page.locator("#members .member-name").allTextContents();
export const roomsOf = (page) => page.locator("#room-list .place-name").allTextContents();
export const sees = (page, text) => until(`“${text}” is on the page`, async () => (await texts(page)).includes(text));
export const titled = (page, name) => until(`the title is ${name}`, async () => (await page.locator("#title bdi").first().textContent()) === name);

/** Has the page believe that it is in a background tab, or is not. */
export const hide = (page, hidden) => page.evaluate((hidden) => {
  if (hidden) Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
  else delete document.hidden;
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

/** Has somebody without a page speak, in one room or to one person, a hundred messages at a time. */
export const speak = (page, user, target, contents) => page.evaluate(async ({ url, user, target, contents }) => {
  const { SalonClient } = await import("/client.js");
  const salon = new SalonClient({ url, user });
  const welcome = new Promise((resolve) => salon.on("welcome", resolve));
  salon.connect();
  await welcome;
  if (target.room_id) await salon.join(target.room_id);
  for (let at = 0; at < contents.length; at += 100) {
    const part = contents.slice(at, at + 100);
    let left = part.length;
    await new Promise((resolve) => {
      const stop = salon.on("sent", () => { left -= 1; if (left === 0) { stop(); resolve(); } });
      for (const content of part) if (target.room_id) salon.say(target.room_id, content); else salon.direct(target.user_id, content);
    });
  }
  salon.close();
}, { url: `${page.origin.replace("http", "ws")}/ws`, user, target, contents });

/** What the server answers to another device of somebody: `what` is a method of `SalonClient`. */
export const asks = (page, user, what, ...words) => page.evaluate(async ({ url, user, what, words }) => {
  const { SalonClient } = await import("/client.js");
  const salon = new SalonClient({ url, user });
  await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
  const answer = await salon[what](...words);
  salon.close();
  return answer;
}, { url: `${page.origin.replace("http", "ws")}/ws`, user, what, words });

/** What somebody has read and not read with each person, as the server has it: `{name: [read, unread]}`. */
export const marks = async (page, user) => {
  const { conversations } = await asks(page, user, "talks");
  return Object.fromEntries(conversations.map(({ user_id, read, unread }) => [user_id, [read, unread]]));
};

/** Whether axe has nothing to say of the page as it is, or nothing that `counts`; else it says what and where. */
export async function audit(page, state, counts = () => true) {
  await page.evaluate(await axe());
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter(counts).map(({ id, nodes }) => `${id} (${nodes.map(({ target, any }) => `${target} ${any[0]?.message ?? ""}`).join("; ")})`);
  if (bad.length) throw new Error(`${state}: ${bad.join(", ")}`);
}
export const isSerious = ({ impact }) => impact === "serious" || impact === "critical";
