/**
 * The service worker of the page, where browsers have them: over TLS, and on this machine. See `worker.js`.
 */
const WORKER = "worker.js";
const LANGUAGE = /\/[a-z]{2}-[0-9a-f]{12}\.js$/u;

async function install() {
  // The one address that may be made into a script here is this constant.
  const trusted = window.trustedTypes?.createPolicy("salon-worker", { createScriptURL: () => WORKER });
  await navigator.serviceWorker.register(trusted ? trusted.createScriptURL("") : WORKER);
}

/** On a first visit the words of the language come before the worker is there. It is asked for them, and keeps them. */
async function keepLanguage() {
  const words = performance.getEntriesByType("resource").find(({ name }) => LANGUAGE.test(name));
  if (!words) return;
  const { serviceWorker } = navigator;
  if (!serviceWorker.controller) await new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  await fetch(words.name);
}

// It is a convenience: where it fails, nothing is said.
if (window.isSecureContext && "serviceWorker" in navigator) install().then(keepLanguage).catch(() => {});
