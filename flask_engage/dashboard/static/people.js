// The list of people: searching while one types, columns, and moving by keys.
import { setUpChoice } from "./chosen.js";
import { isFilledIn } from "./early.js";
import { setUpAsking, setUpGoingOn } from "./bulk.js";
import { setUpUnfinished } from "./unfinished.js";

const PAUSE = 250; // ms without a key before the list is asked for
const SLOW = 150; // ms after which an answer is late enough for a skeleton

export function setUpPeople() {
  // Small screens begin with the sentence; the parts open when asked for.
  const builder = document.querySelector("details[data-builder]");
  if (builder && matchMedia("(max-width: 52rem)").matches) builder.open = false;
  setUpCounts(document);
  setUpSegmentChoice();
  setUpGoingOn();
  setUpUnfinished();
  const list = document.querySelector("[data-list]:not([data-goes-on])");
  if (!list) return;
  setUpChoice(list);
  setUpAsking(list);
  setUpKeys(list);
  setUpSearch(list);
  setUpWaiting(list);
  setUpColumns();
  setUpOutcome();
}

/* ---- numbers that follow the page ---- */

async function asked(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  return answer.ok ? answer.json() : null;
}

/* What is asked for each list; an answer to an earlier one comes too late. */
let newest = 0;

async function setUpCounts() {
  const part = document.querySelector("[data-part]");
  const found = document.querySelector("[data-found]");
  const number = newest += 1;
  if (!part) return;
  const searched = Boolean(part.dataset.query);
  if (found) found.textContent = searched ? part.dataset.count : "";
  const matching = [...document.querySelectorAll("[data-matching], [data-message-all]")];
  speakOf(part);
  if (!part.dataset.countFrom) {
    part.dispatchEvent(new CustomEvent("engage:count", { bubbles: true, detail: null }));
    return;
  }
  const count = await asked(part.dataset.countFrom).catch(() => null);
  if (number !== newest) return;
  for (const place of matching) {
    if (place.dataset.messageAll === undefined) place.textContent = !count ? "–" : searched ? count.found : count.matching;
    else if (count && count.short) place.textContent = place.dataset.messageAll.replace("{n}", count.short);
  }
  if (count && found && searched) found.textContent = count.found;
  if (count && searched) nameFound(count.exact);
  part.dispatchEvent(new CustomEvent("engage:count", { bubbles: true, detail: count }));
}

/* While one searches, the page speaks of those found: its sentence, and to whom one may write. */
function speakOf(part) {
  const query = part.dataset.query;
  const isAnybody = Boolean(part.querySelector("tbody tr"));
  for (const one of document.querySelectorAll("[data-if-searched]")) one.hidden = !query;
  for (const one of document.querySelectorAll("[data-unless-searched]")) one.hidden = Boolean(query);
  for (const one of document.querySelectorAll("[data-if-found]")) one.hidden = !(query && isAnybody);
  for (const one of document.querySelectorAll("[data-search-words]")) one.textContent = query;
  for (const one of document.querySelectorAll("[data-search-value]")) one.value = query;
  const number = document.querySelector("[data-matching]");
  if (number && (part.dataset.count || asksAnew)) number.textContent = part.dataset.count || "…";
  asksAnew = true;
  const button = document.querySelector("[data-message-found]");
  if (button && !part.dataset.count) button.textContent = button.dataset.messageSome;
}

/* The page as it came has its number, or says that it counts; a list put into it has not. */
let asksAnew = false;

/* Those of a search are written to by name, which has its bounds. */
function nameFound(count) {
  const button = document.querySelector("[data-message-found]");
  if (!button) return;
  const most = Number(document.querySelector("[data-list]").dataset.most);
  button.closest("form").hidden = !count || count > most;
  const words = count === 1 ? button.dataset.messageOne : button.dataset.messageFound;
  if (count) button.textContent = words.replace("{n}", count.toLocaleString("en"));
}

function setUpSegmentChoice() {
  const choice = document.querySelector("[data-go]");
  if (!choice) return;
  choice.form.querySelector("[data-no-script]").hidden = true;
  choice.addEventListener("change", () => choice.form.requestSubmit());
}

/* ---- searching while one types: the list is put in the place of the one before ---- */

function setUpSearch(list) {
  const field = document.querySelector("[data-search]");
  const failed = document.querySelector("[data-failed]");
  if (!field) return;
  let timer = 0;
  let question = null;
  let shown = location.href.split("#")[0];
  let wrote = 0;

  function address() {
    const wanted = new URL(field.form.action);
    for (const [name, value] of new FormData(field.form)) {
      if (name !== "q" || value.trim()) wanted.searchParams.append(name, name === "q" ? value.trim() : value);
    }
    return wanted.href;
  }

  async function load(wanted) {
    if (question) question.abort();
    const mine = question = new AbortController();
    const part = list.querySelector("[data-part]");
    list.setAttribute("aria-busy", "true");
    const late = setTimeout(() => showSkeleton(part), SLOW);
    try {
      const asking = new URL(wanted);
      asking.searchParams.set("part", "list");
      const answer = await fetch(asking, { signal: mine.signal, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const made = document.createRange().createContextualFragment(await answer.text());
      part.replaceWith(made.querySelector("[data-part]"));
      failed.hidden = true;
      shown = wanted;
      list.dispatchEvent(new CustomEvent("engage:list"));
      await setUpCounts();
    } catch (error) {
      if (error.name === "AbortError") return;
      failed.hidden = false;
      part.hidden = false;
    } finally {
      clearTimeout(late);
      if (mine === question) {
        list.removeAttribute("aria-busy");
        for (const bones of list.querySelectorAll(".skeleton")) bones.remove();
        part.hidden = false;
      }
    }
  }

  function search() {
    clearTimeout(timer);
    const wanted = address();
    if (wanted === shown && failed.hidden) return;
    // What is typed in one go is one step back.
    const now = Date.now();
    history[now - wrote < 3000 ? "replaceState" : "pushState"]({ people: true }, "", wanted);
    wrote = now;
    load(wanted);
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  document.querySelector("[data-again]").addEventListener("click", () => load(address()));
  if (isFilledIn(field.form)) search();
  addEventListener("popstate", () => {
    const here = location.href.split("#")[0];
    if (here === shown) return;
    field.value = new URL(here).searchParams.get("q") || "";
    wrote = 0;
    load(here);
  });
  list.addEventListener("click", (event) => {
    if (!event.target.closest("[data-drop]")) return;
    event.preventDefault();
    field.value = "";
    search();
    field.focus();
  });
  keepInTouch(field);
}

/* Other links and forms of the page were made for the search that it began with. */
function keepInTouch(field) {
  const now = () => field.value.trim();
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-filter] a[href], [data-columns] a[href]");
    if (!link || link.getAttribute("href").startsWith("#")) return;
    const target = new URL(link.href);
    target.searchParams.delete("q");
    if (now()) target.searchParams.set("q", now());
    link.href = target.href;
  });
  document.addEventListener("formdata", (event) => {
    const form = event.target;
    if (form === field.form || form.method !== "get" || !form.closest("[data-filter], [data-columns]")) return;
    event.formData.delete("q");
    if (now()) event.formData.set("q", now());
  });
}

function showSkeleton(part) {
  const bones = document.querySelector("template[data-skeleton]");
  if (!part.isConnected || !bones || part.hidden) return;
  part.before(bones.content.cloneNode(true));
  part.hidden = true;
}

/* Another order or page is a page of its own. Of a million people some orders take a second: until
   the page is there, what comes is shown in its shape. */
function setUpWaiting(list) {
  let late = 0;
  list.addEventListener("click", (event) => {
    const link = event.target.closest("thead a[href], .pager a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    list.setAttribute("aria-busy", "true");
    late = setTimeout(() => showSkeleton(list.querySelector("[data-part]")), SLOW);
  });
  // Back to a page that the browser has kept as it was left.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    clearTimeout(late);
    list.removeAttribute("aria-busy");
    for (const bones of list.querySelectorAll(".skeleton")) bones.remove();
    list.querySelector("[data-part]").hidden = false;
  });
}

/* ---- columns ---- */

function setUpColumns() {
  const box = document.querySelector("[data-columns]");
  if (!box) return;
  const said = box.querySelector("[data-moved]");
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest("li");
    const other = button.dataset.move === "1" ? row.nextElementSibling : row.previousElementSibling;
    if (other && button.dataset.move === "1") other.after(row);
    else if (other) other.before(row);
    button.focus();
    const place = [...row.parentElement.children].indexOf(row) + 1;
    said.textContent = said.dataset.words.replace("{name}", row.dataset.name).replace("{n}", place);
  });
  const narrow = box.querySelector("[data-narrow]");
  narrow.hidden = false;
  const field = narrow.querySelector("input");
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of box.querySelectorAll("li")) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
  });
}

/* What was done is told once. */
function setUpOutcome() {
  const here = new URL(location.href);
  if (here.searchParams.has("outcome")) {
    here.searchParams.delete("outcome");
    history.replaceState(history.state, "", here);
  }
  const button = document.querySelector("[data-put-away]");
  if (button) button.addEventListener("click", () => button.closest(".toast").remove());
}

/* ---- keys: j and k move, x chooses, a goes to what can be done, u undoes, Esc chooses nobody ---- */

function setUpKeys(list) {
  let at = null;
  const rows = () => [...list.querySelectorAll("tbody tr")];

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const from = at && at.isConnected ? all.indexOf(at) : -1;
    if (at) at.classList.remove("at");
    at = all[Math.max(0, Math.min(all.length - 1, from < 0 ? 0 : from + step))];
    at.classList.add("at");
    at.querySelector("a.person").focus({ preventScroll: true });
    at.scrollIntoView({ block: "nearest" });
  }

  list.addEventListener("focusin", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row || row === at) return;
    if (at) at.classList.remove("at");
    at = row;
    at.classList.add("at");
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const within = event.target.closest("input:not(.check), textarea, select, dialog, details[open] .pop-box");
    if (within) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x" && at && at.isConnected) {
      const box = at.querySelector(".check");
      if (box) box.click();
    } else if (event.key === "Enter" && event.target.matches("tbody .check")) event.target.closest("tr").querySelector("a.person").click();
    else if (event.key === "Escape" && !document.querySelector("details[data-pop][open], dialog[open]")) list.dispatchEvent(new CustomEvent("engage:nobody"));
    else if (event.key === "a" && list.querySelector(".select-bar.is-on")) list.querySelector(".select-bar .btn-main").focus();
    else if (event.key === "u" && document.querySelector("[data-came]")) document.querySelector("[data-came]").requestSubmit();
    else if (event.key === "/") document.querySelector("[data-search]").focus();
    else return;
    event.preventDefault();
  });
}
