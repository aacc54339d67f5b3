/**
 * The service worker: it keeps the files of the page, so that the page opens at once, and without a network too. A
 * visit is answered by what is kept, and brings what is new for the next one. It keeps nothing of what is said.
 */
const CACHE = "salon-page";
const KEPT = /\/(?:(?:door|app|old)-[0-9a-f]{12}\.(?:js|css)|icon\.svg|manifest\.webmanifest)$/u;
const PACKED = /(?:door|app|old|[a-z]{2}(?:_door|_emoji)?)-[0-9a-f]{12}\.(?:js|css)/gu;
const LANGUAGE = /(?:^|\/)([a-z]{2}(?:_door|_emoji)?-)[0-9a-f]{12}\.js$/u; // kept once it was asked for

const shell = () => new URL("./", self.registration.scope).href;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(renew());
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && url.href.split(/[?#]/u)[0] === shell()) {
    event.waitUntil(renew().catch(() => {}));
    event.respondWith(kept(shell()).then((there) => there ?? fetch(request)));
  } else if (KEPT.test(url.pathname)) {
    event.respondWith(kept(request).then((there) => there ?? fetch(request)));
  } else if (LANGUAGE.test(url.pathname)) {
    event.respondWith(kept(request).then((there) => there ?? takeLanguage(request)));
  }
});

const kept = async (request) => (await caches.open(CACHE)).match(request);

async function takeLanguage(request) {
  const words = await fetch(request);
  if (words.ok) await (await caches.open(CACHE)).put(request, words.clone());
  return words;
}

const namesIn = (text) => text.match(PACKED) ?? [];

let renewed = Promise.resolve();

/**
 * Takes the page as the server has it now, with the files that it names, and lets go of those that it does not. One
 * after the other: two at once, around an upgrade of the server, would let go of each other's files.
 */
function renew() {
  renewed = renewed.catch(() => {}).then(takeAnew);
  return renewed;
}

async function takeAnew() {
  const page = await fetch(shell(), { cache: "no-cache" });
  if (!page.ok) return;
  const cache = await caches.open(CACHE);
  const names = new Set([...namesIn(await page.clone().text()), "icon.svg", "manifest.webmanifest"]);
  const wanted = [];
  const spoken = (await cache.keys()).map(({ url }) => LANGUAGE.exec(url)?.[1]);
  for (const name of names) { // those that a script names come behind it
    if (LANGUAGE.test(name) && !spoken.includes(LANGUAGE.exec(name)[1])) continue;
    const file = new URL(name, shell()).href;
    wanted.push(file);
    if (!(await cache.match(file))) await cache.add(file);
    if (name.startsWith("door-")) for (const other of namesIn(await (await cache.match(file)).text())) names.add(other);
  }
  await cache.put(shell(), page);
  for (const { url } of await cache.keys()) if (url !== shell() && !wanted.includes(url)) await cache.delete(url);
}
