/**
 * The service worker of the page, where browsers have them: over TLS, and on this machine. See `worker.js`.
 */
import { speakOn } from "./language.js";

const WORKER = "worker.js";
const LANGUAGE = /\/[a-z]{2}(?:_door)?-[0-9a-f]{12}\.js$/u;

async function install() {
  // The one address that may be made into a script here is this constant.
  const trusted = window.trustedTypes?.createPolicy("salon-worker", { createScriptURL: () => WORKER });
  await navigator.serviceWorker.register(trusted ? trusted.createScriptURL("") : WORKER);
}

/** On a first visit the words of the language come before the worker is there. It is asked for them, and keeps them. */
async function keepLanguage() {
  await speakOn(); // they may be on their way
  const words = performance.getEntriesByType("resource").filter(({ name }) => LANGUAGE.test(name));
  if (!words.length) return;
  const { serviceWorker } = navigator;
  if (!serviceWorker.controller) await new Promise((resolve) => serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  for (const { name } of words) await fetch(name);
}

// It is a convenience: where it fails, nothing is said.
if (window.isSecureContext && "serviceWorker" in navigator) install().then(keepLanguage).catch(() => {});
