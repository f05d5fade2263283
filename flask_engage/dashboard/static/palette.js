// Ctrl-K: go to anything that has a name. Pages and segments are found in the page itself, at
// once; people are asked for, and an answer that is no longer wanted is not waited for.
import { isWithin } from "./over.js";

const PAUSE = 130; // milliseconds without a key before anybody is asked
const PAGES = 5, SEGMENTS = 6, RECENT = 6;

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function make(tag, given = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

function drawing(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function setUpPalette() {
  const dialog = document.querySelector("[data-palette]");
  if (!dialog) return;
  const input = dialog.querySelector("[role=combobox]");
  const list = dialog.querySelector("[role=listbox]");
  const said = dialog.querySelector(".palette-said");
  const bones = dialog.querySelector(".palette-bones");
  const words = JSON.parse(dialog.dataset.words);
  const places = placesOf(dialog);
  const recent = recentOf(dialog.dataset.base);
  let people = { text: "", found: [], isComplete: true, problem: "" };
  let chosen = ""; // the address that is chosen: it stays while people arrive
  let timer = 0;
  let asking = null;

  /* ---- what there is for a text ---- */

  function matching(kind, wanted, most) {
    const ranked = [];
    for (const place of places) {
      if (place.kind !== kind) continue;
      const label = folded(place.label);
      if (wanted.every((word) => label.includes(word))) ranked.push([label.startsWith(wanted[0] || "") ? 0 : 1, place]);
    }
    return ranked.sort((one, other) => one[0] - other[0]).slice(0, most).map((pair) => pair[1]);
  }

  function groups() {
    const text = input.value.trim();
    const wanted = folded(text).split(/\s+/).filter(Boolean);
    if (!text) return [[words.recent, recent.all()], [words.pages, matching("page", [], 8)], [words.segments, matching("segment", [], SEGMENTS)]];
    const search = { kind: "search", label: words.search.replace("%s", text), href: `${dialog.dataset.people}?q=${encodeURIComponent(text)}` };
    return [
      [words.people, people.text ? people.found : []],
      [words.pages, matching("page", wanted, PAGES)],
      [words.segments, matching("segment", wanted, SEGMENTS)],
      [words.more, [search]],
    ];
  }

  /* ---- showing it ---- */

  function option(one, number) {
    const row = make("a", { role: "option", id: `palette-${number}`, href: one.href, tabindex: "-1", "aria-selected": "false" });
    if (one.initials) row.append(make("span", { class: `face tint-${one.tint}`, "aria-hidden": "true" }, one.initials));
    else row.append(drawing(one.icon || { segment: "bookmark", search: "search", person: "people" }[one.kind] || "next"));
    row.append(make("bdi", { class: "clip", title: one.label }, one.label));
    if (one.more && one.more !== one.label) row.append(make("bdi", { class: "clip sub", title: one.more }, one.more));
    row.append(make("kbd", { "aria-hidden": "true" }, "↵"));
    row.entry = one;
    return row;
  }

  function show() {
    const shown = groups().filter((group) => group[1].length);
    let number = 0;
    list.replaceChildren(...shown.map(([name, entries], at) => make("div", { role: "group", "aria-labelledby": `palette-name-${at}` },
      make("div", { class: "palette-name", id: `palette-name-${at}`, role: "presentation" }, name),
      ...entries.map((one) => option(one, number++)))));
    const waits = Boolean(asking || timer);
    bones.hidden = !(waits && !people.found.length && input.value.trim());
    list.setAttribute("aria-busy", String(waits));
    const rows = options();
    choose(rows.find((row) => row.getAttribute("href") === chosen) || rows[0], false);
    tell(number, waits);
  }

  function tell(count, waits) {
    const text = input.value.trim();
    said.classList.toggle("bad", Boolean(people.problem));
    if (people.problem) said.textContent = people.problem;
    else if (!text) said.textContent = words.hint;
    else if (waits) said.textContent = words.searching;
    else if (count <= 1) said.textContent = words.nothing.replace("%s", text);
    else said.textContent = (count === 2 ? words.one : words.many.replace("%s", String(count - 1))) + (people.isComplete ? "" : ` ${words.incomplete}`);
  }

  const options = () => [...list.querySelectorAll("[role=option]")];

  function choose(row, isMoved = true) {
    for (const one of list.querySelectorAll("[aria-selected=true]")) one.setAttribute("aria-selected", "false");
    if (!row) return input.removeAttribute("aria-activedescendant");
    row.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", row.id);
    if (isMoved) chosen = row.getAttribute("href");
    row.scrollIntoView({ block: "nearest" });
  }

  /* ---- asking for people ---- */

  function stop() {
    clearTimeout(timer);
    timer = 0;
    if (asking) asking.abort();
    asking = null;
  }

  function ask() {
    stop();
    const text = input.value.trim();
    chosen = "";
    if (!text) people = { text: "", found: [], isComplete: true, problem: "" };
    else timer = setTimeout(() => fetchPeople(text), PAUSE);
    show();
  }

  async function fetchPeople(text) {
    timer = 0;
    const mine = asking = new AbortController();
    let answer = { text, found: [], isComplete: true, problem: "" };
    try {
      const got = await fetch(`${dialog.dataset.source}?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" }, credentials: "same-origin", signal: mine.signal });
      if (got.ok) {
        const held = await got.json();
        answer = { ...answer, found: held.people.map((one) => ({ kind: "person", ...one })), isComplete: held.complete };
      } else answer.problem = got.status === 404 ? words.out : words.away;
    } catch (error) {
      if (error.name === "AbortError") return;
      answer.problem = words.away;
    }
    if (asking !== mine) return;
    asking = null;
    people = answer;
    show();
  }

  /* ---- keys and clicks ---- */

  function open() {
    if (dialog.open) return dialog.close();
    input.value = "";
    ask();
    dialog.showModal();
    input.focus();
  }

  input.addEventListener("input", ask);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const rows = options();
    const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    const steps = { ArrowDown: (at + 1) % rows.length, ArrowUp: (at - 1 + rows.length) % rows.length, Home: 0, End: rows.length - 1 };
    if (event.key === "Enter") {
      if (rows[at]) rows[at].dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
    } else if (event.key in steps && rows.length && !event.shiftKey) choose(rows[steps[event.key]]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (!row) return;
    recent.keep(row.entry);
    if (!event.ctrlKey && !event.metaKey) dialog.close();
  });
  list.addEventListener("pointermove", (event) => {
    const row = event.target.closest("[role=option]");
    if (row && row.getAttribute("aria-selected") !== "true") choose(row);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog && event.detail && !isWithin(event, dialog)) dialog.close(); });
  dialog.addEventListener("close", stop);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || event.shiftKey || event.altKey || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    open();
  });
  for (const button of document.querySelectorAll("[data-palette-open]")) {
    button.hidden = false;
    button.addEventListener("click", open);
  }
  if (/mac|iphone|ipad/i.test(navigator.platform)) for (const key of document.querySelectorAll("[data-palette-key]")) key.textContent = "⌘ K";
}

/* The pages and segments that the page itself links to, and what the palette has besides. */
function placesOf(dialog) {
  const links = [...document.querySelectorAll("#side nav a"), ...dialog.querySelectorAll("[data-more] a")];
  return links.map((link) => {
    const name = link.querySelector("[data-segment]");
    const use = link.querySelector("use");
    const label = name ? name.dataset.segment : link.textContent.trim();
    return { kind: name ? "segment" : "page", label, href: link.getAttribute("href"), icon: use ? use.getAttribute("href").split("#")[1] : "" };
  });
}

/* What was opened from here before. It is kept no longer than this tab: names of people are in it. */
function recentOf(base) {
  const key = `engage-recent:${base}`;
  const isOurs = (one) => one && typeof one.label === "string" && typeof one.href === "string" && one.href.startsWith(base);
  function all() {
    try {
      return JSON.parse(sessionStorage.getItem(key) || "[]").filter(isOurs).slice(0, RECENT);
    } catch {
      return []; // a browser that keeps nothing, or something that isn't ours
    }
  }
  function keep(one) {
    if (one.kind === "search") return;
    try {
      sessionStorage.setItem(key, JSON.stringify([one, ...all().filter((other) => other.href !== one.href)].slice(0, RECENT)));
    } catch {
      // A browser that keeps nothing: there is nothing recent, then.
    }
  }
  return { all, keep };
}
