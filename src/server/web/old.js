// For browsers that cannot run the page: they say so, where else there would be nothing. This file alone is written for
// all of them.
(function () {
  "use strict";
  function isTooOld() {
    return !("noModule" in document.createElement("script")) || !Array.prototype.findLast || !Array.prototype.at || !Object.hasOwn ||
      !Element.prototype.replaceChildren || typeof HTMLDialogElement !== "function" || typeof HTMLDialogElement.prototype.showModal !== "function";
  }
  function say(words) {
    var parts = ["door", "app"];
    for (var i = 0; i < parts.length; i += 1) document.getElementById(parts[i]).setAttribute("hidden", "");
    var node = document.getElementById("too-old");
    node.removeAttribute("hidden");
    node.textContent = words;
  }
  function look() {
    if (isTooOld()) say("This browser is too old for Salon. Please use a newer one: Chrome or Edge 97, Firefox 104, Safari 15.4, or later.");
    else if (!document.documentElement.hasAttribute("data-started")) say("A part of this page could not be loaded, or this browser is too old for it. Please load the page again.");
  }
  if (document.readyState === "complete") look();
  else window.addEventListener("load", look);
}());
