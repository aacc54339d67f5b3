/** A real Chromium for the checks: pages that share nothing, and what is done in them and read from them. */
import { chromium } from "playwright-core";

export const complaints = [];

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/**
 * A page of its own context. What it complains of goes to `complaints`, but for what `expected` says is no surprise.
 * `page.sockets` counts the WebSockets it has opened.
 */
export async function newPage(browser, { origin, expected = () => false, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.sockets = 0;
  page.on("websocket", () => { page.sockets += 1; });
  page.on("console", (message) => { if (message.type() === "error" && !expected(message.text())) complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(`pageerror: ${error.message}`));
  page.origin = origin;
  return page;
}

export async function enter(page, name, room, by = "mouse") {
  await page.goto(`${page.origin}/#${new URLSearchParams({ room })}`);
  await page.locator("#door-name").fill(name);
  if (by === "mouse") await page.getByRole("button", { name: "Enter" }).click();
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

export const connected = (page) => page.locator("#app[data-connection=connected]").waitFor();
export const composer = (page) => page.locator("#composer-input");
export const say = async (page, text) => {
  await composer(page).fill(text);
  await composer(page).press("Enter");
};
/** The texts in the log that are not pending, in order. */
export const texts = (page) => page.locator("#messages > li.message:not(.pending) .text").allTextContents();
export const members = (page) => page.locator("#members .member-name").allTextContents();
