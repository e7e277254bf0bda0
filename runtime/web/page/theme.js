// Sets the theme before anything is drawn, lest a dark room sees a white flash. Not a module, because those wait.
"use strict";
(() => {
  const THEMES = ["auto", "light", "dark", "sun"];
  const KEY = "vr-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      const kept = localStorage.getItem(KEY);
      return THEMES.includes(kept) ? kept : "auto";
    } catch {
      return "auto"; // storage can be forbidden
    }
  }

  let theme = chosen();

  function show() {
    const shown = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
    document.documentElement.dataset.theme = shown;
    const button = document.getElementById("theme");
    if (button) {
      document.getElementById("theme-word").textContent = theme[0].toUpperCase() + theme.slice(1);
      button.setAttribute("aria-label", `Theme: ${theme}. Change`);
      button.title = `Theme: ${theme}`;
    }
    dispatchEvent(new Event("theme"));
  }

  function next() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // holds until the page is closed
    }
    show();
  }

  show();
  system.addEventListener("change", show);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", next);
    show();
  });
})();
