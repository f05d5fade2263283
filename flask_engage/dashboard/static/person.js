// A person's timeline goes on by itself as one scrolls. Without this file its link loads a page.
// J and K go from person to person of the list.

const AHEAD = "600px"; // how far from the window's edge more is asked for
const SLOWEST = 15000;

function setUpStory(story) {
  const entries = story.querySelector("[data-entries]");
  const said = story.querySelector("[data-said]");
  const failed = story.querySelector("[data-failed]");
  const words = JSON.parse(story.dataset.words);
  let isBusy = false;
  const watcher = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) load(false);
  }, { rootMargin: AHEAD });

  const link = () => story.querySelector("[data-earlier] a");

  function watch() {
    watcher.disconnect();
    if (link()) watcher.observe(link());
  }

  async function load(isAsked) {
    const from = link();
    if (isBusy || !from) return;
    isBusy = true;
    story.setAttribute("aria-busy", "true");
    from.setAttribute("aria-busy", "true");
    failed.hidden = true;
    try {
      const answer = await fetch(from.dataset.part, { headers: { Accept: "text/html" }, credentials: "same-origin", signal: AbortSignal.timeout(SLOWEST) });
      const found = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = found && found.querySelector("[data-more]");
      if (!part) throw new Error(answer.status);
      take(part, found.querySelector("[data-earlier]"), from, isAsked);
      watch();
    } catch {
      // It stays a link, and a press tries again; by itself nothing more is asked for.
      watcher.disconnect();
      from.removeAttribute("aria-busy");
      failed.hidden = false;
    }
    story.removeAttribute("aria-busy");
    isBusy = false;
  }

  function take(part, next, from, isAsked) {
    const days = entries.querySelectorAll("[data-day]");
    const first = part.querySelector("[data-day]");
    if (first && days.length && days[days.length - 1].dataset.day === first.dataset.day) first.remove();
    const fresh = [...part.children];
    const hadFocus = isAsked || from.contains(document.activeElement);
    entries.append(...fresh);
    const place = story.querySelector("[data-earlier]");
    if (next) place.replaceWith(next); else place.remove();
    const count = fresh.filter((one) => one.matches(".happened")).length;
    said.textContent = words.more.replace("%s", count) + (next ? "" : ` ${words.end}`);
    if (hadFocus && fresh.length) {
      fresh[0].tabIndex = -1;
      fresh[0].focus({ preventScroll: true });
    }
  }

  story.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-earlier] a");
    if (!pressed || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    load(true);
  });
  watch();
}

document.querySelectorAll("[data-story]").forEach(setUpStory);

/* ---- keys: j and k go on in the list that one came from, as they move in it ---- */

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, dialog, details[open] .pop-box") || document.querySelector("dialog[open]")) return;
  const link = ["j", "k"].includes(event.key) && document.querySelector(`.steps [data-key="${event.key}"]`);
  if (!link) return;
  event.preventDefault();
  link.click();
});
