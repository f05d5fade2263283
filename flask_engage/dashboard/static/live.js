// The newest events, kept up to date: new rows come in at the top and nothing that one reads moves.

const EVERY = 2500;
const SLOWEST = 30000;
const MOST_ROWS = 200;
const SAID_EVERY = 15000; // a busy minute is told in a few sentences, not in one for every look

export function setUpLive() {
  document.querySelectorAll("[data-refresh]").forEach(keepFresh);
  const feed = document.querySelector("[data-feed]");
  if (!feed) return;
  const words = JSON.parse(feed.dataset.words);
  words.ahead = Date.parse(feed.dataset.now) - Date.now(); // by how much the server's clock is
  setInterval(() => tellAges(feed, words), 20000);
  if (feed.dataset.live) follow(feed, words);
}

function follow(feed, words) {
  const rows = feed.querySelector("[data-rows]");
  const said = feed.querySelector("[data-said]");
  const more = feed.querySelector("[data-more]");
  const state = document.querySelector("[data-state]");
  const button = document.querySelector("[data-pause]");
  const away = feed.querySelector("[data-away]");
  let waiting = []; // rows that came while one was reading further down
  let timer = null;
  let failures = 0;
  let isPaused = false;
  let isOut = false;
  let unsaid = 0;
  let saidAt = -SAID_EVERY;

  async function look() {
    timer = null;
    try {
      const url = new URL(feed.dataset.source, location.href);
      url.searchParams.set("mark", feed.dataset.mark);
      const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin", signal: AbortSignal.timeout(10000) });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return leave();
      if (!answer.ok) throw new Error(answer.status);
      failures = 0;
      away.hidden = true;
      if (answer.status === 200) take(await answer.text());
    } catch {
      failures += 1;
      away.hidden = failures < 2; // one that went wrong is no news
    }
    if (waiting.length && isAtTop()) show();
    say();
    tell();
    plan();
  }

  function take(text) {
    const table = new DOMParser().parseFromString(text, "text/html").querySelector("table[data-mark]");
    if (!table) throw new Error("no rows");
    feed.dataset.mark = table.dataset.mark;
    const known = new Set([...rows.children, ...waiting].map((row) => row.dataset.id));
    const fresh = [...table.querySelectorAll("tr[data-id]")].filter((row) => !known.has(row.dataset.id));
    if (!fresh.length) return;
    waiting = [...fresh, ...waiting].slice(0, MOST_ROWS);
    more.lastElementChild.textContent = counted(waiting.length);
    more.hidden = false;
    unsaid += fresh.length;
  }

  /* Tells those who hear the page, now and then, how many came. */
  function say() {
    if (!unsaid || performance.now() - saidAt < SAID_EVERY) return;
    said.textContent = counted(unsaid);
    unsaid = 0;
    saidAt = performance.now();
  }

  const counted = (count) => words.new[count === 1 ? 0 : 1].replace("%s", count);
  const table = rows.closest("table");
  const isAtTop = () => table.hidden || rows.getBoundingClientRect().top > 0 && !rows.contains(document.activeElement);

  function show() {
    const shown = waiting.map((row) => document.adoptNode(row));
    waiting = [];
    more.hidden = true;
    for (const row of shown) row.classList.add("fresh");
    rows.prepend(...shown);
    sort();
    while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
    table.hidden = false;
    const empty = feed.querySelector("[data-empty]");
    if (empty) empty.remove();
    tellAges(feed, words);
  }

  /* What happened earlier may be stored later: it goes where it belongs. */
  function sort() {
    const time = (row) => Date.parse(row.querySelector("time").dateTime);
    const list = [...rows.children];
    const sorted = [...list].sort((a, b) => time(b) - time(a) || Number(b.dataset.id) - Number(a.dataset.id));
    if (sorted.some((row, index) => row !== list[index])) rows.append(...sorted);
  }

  function plan() {
    clearTimeout(timer);
    timer = null;
    if (isPaused || isOut || document.hidden) return;
    timer = setTimeout(look, Math.min(EVERY * 2 ** Math.max(0, failures - 1), SLOWEST));
  }

  function leave() {
    isOut = true;
    feed.querySelector("[data-out]").hidden = false;
    button.hidden = true;
    tell();
  }

  function tell() {
    state.hidden = isOut;
    state.lastElementChild.textContent = isPaused ? words.paused : failures > 1 ? words.late : words.live;
    state.className = `tag ${isPaused ? "" : failures > 1 ? "tag-warn" : "tag-good"}`;
    button.lastElementChild.textContent = isPaused ? words.resume : words.pause;
    const use = button.querySelector("use");
    use.setAttribute("href", `${document.body.dataset.icons}#${isPaused ? "play" : "pause"}`);
  }

  button.addEventListener("click", () => {
    isPaused = !isPaused;
    tell();
    if (isPaused) plan();
    else look();
  });
  more.addEventListener("click", () => {
    show();
    scrollTo({ top: 0 });
    const first = rows.querySelector("a");
    if (first) first.focus({ preventScroll: true });
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) plan();
    else if (!timer && !isPaused && !isOut) look();
  });
  addEventListener("scroll", () => { if (waiting.length && isAtTop()) show(); }, { passive: true });
  button.hidden = false;
  tell();
  plan();
}

/* A part of a page that the server makes anew every few seconds. */
function keepFresh(part) {
  const away = part.parentElement.querySelector("[data-away]");
  let timer = null;
  let failures = 0;
  const seconds = () => Number(part.querySelector("[data-every]").dataset.every);

  async function look() {
    timer = null;
    try {
      const answer = await fetch(part.dataset.source, { credentials: "same-origin", signal: AbortSignal.timeout(10000) });
      if ([401, 403, 404].includes(answer.status)) return;
      if (!answer.ok) throw new Error(answer.status);
      const text = await answer.text();
      // What one is about to press or has marked stays where it is.
      const isInUse = part.contains(document.activeElement) || part.contains(getSelection().anchorNode) && !getSelection().isCollapsed;
      failures = 0;
      if (!isInUse) part.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
    } catch {
      failures += 1;
    }
    away.hidden = failures < 2;
    plan();
  }

  function plan() {
    clearTimeout(timer);
    timer = document.hidden ? null : setTimeout(look, 1000 * seconds());
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) plan();
    else if (!timer) look();
  });
  plan();
}

/* "2 min ago" grows older while one looks. */
function tellAges(within, words) {
  for (const time of within.querySelectorAll("time[data-age]")) {
    const minutes = Math.floor((Date.now() + words.ahead - Date.parse(time.dateTime)) / 60000);
    if (minutes < 0 || minutes >= 2880) continue; // days don't pass while one looks
    const unit = minutes < 60 ? words.min.replace("%s", minutes) : words.h.replace("%s", Math.floor(minutes / 60));
    time.textContent = minutes < 1 ? words.now : words.ago.replace("%s", unit);
  }
}
