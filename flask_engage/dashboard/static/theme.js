// Light or dark by choice. The choice is a cookie, so that the server's next page has it at once.
export function setUpTheme() {
  const button = document.querySelector("[data-theme-switch]");
  const root = document.documentElement;
  const wishesDark = matchMedia("(prefers-color-scheme: dark)");
  button.hidden = false;
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : wishesDark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    document.cookie = `engage_theme=${root.dataset.theme}; path=${document.body.dataset.cookiePath}; max-age=31536000; samesite=lax`;
  });
}
