/**
 * The service worker of the page, where browsers have them: over TLS, and on this machine. See `worker.js`.
 */
const WORKER = "worker.js";

async function install() {
  // The one address that may be made into a script here is this constant.
  const trusted = window.trustedTypes?.createPolicy("salon-worker", { createScriptURL: () => WORKER });
  await navigator.serviceWorker.register(trusted ? trusted.createScriptURL("") : WORKER);
}

if (window.isSecureContext && "serviceWorker" in navigator) install().catch(() => {}); // it is a convenience
