// Browsers that cannot run the page say so, where else there would be nothing: this file alone is written for all of
// them, and has its words in it.
(function () {
  "use strict";
  var WORDS = {
    __proto__: null,
    de: ["Dieser Browser ist zu alt für Salon. Bitte nimm einen neueren: Chrome oder Edge 97, Firefox 104, Safari 15.4 oder später.",
      "Ein Teil dieser Seite konnte nicht geladen werden, oder dieser Browser ist zu alt für sie. Bitte lade die Seite noch einmal."],
    en: ["This browser is too old for Salon. Please use a newer one: Chrome or Edge 97, Firefox 104, Safari 15.4, or later.",
      "A part of this page could not be loaded, or this browser is too old for it. Please load the page again."],
    es: ["Este navegador es demasiado antiguo para Salon. Usa uno más nuevo: Chrome o Edge 97, Firefox 104, Safari 15.4 o posterior.",
      "No se pudo cargar una parte de esta página, o este navegador es demasiado antiguo para ella. Vuelve a cargar la página."],
    fr: ["Ce navigateur est trop ancien pour Salon. Veuillez en utiliser un plus récent\u00A0: Chrome ou Edge 97, Firefox 104, Safari 15.4 ou ultérieur.",
      "Une partie de cette page n’a pas pu être chargée, ou ce navigateur est trop ancien pour elle. Veuillez recharger la page."]
  };
  function isTooOld() {
    return !("noModule" in document.createElement("script")) || !Array.prototype.findLast || !Array.prototype.at || !Object.hasOwn ||
      !Element.prototype.replaceChildren || typeof HTMLDialogElement !== "function" || typeof HTMLDialogElement.prototype.showModal !== "function";
  }
  function say(which) {
    var language = String(navigator.language).slice(0, 2).toLowerCase();
    if (!WORDS[language]) language = "en";
    var parts = ["door", "app"];
    for (var i = 0; i < parts.length; i += 1) document.getElementById(parts[i]).setAttribute("hidden", "");
    var node = document.getElementById("too-old");
    node.removeAttribute("hidden");
    node.lang = language;
    node.textContent = WORDS[language][which];
  }
  function look() {
    if (isTooOld()) say(0);
    else if (!document.documentElement.hasAttribute("data-started")) say(1);
  }
  if (document.readyState === "complete") look();
  else window.addEventListener("load", look);
}());
