// Owns: which of the two themes stands before the first paint. A classic script, so that the page
// never flashes in the other one; everything else is a module. The choice is kept per browser.
(function () {
  "use strict";
  var root = document.documentElement;
  try {
    var chosen = localStorage.getItem("greenroom.theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // A browser that keeps nothing follows the system.
  }
})();
