// Whom one has chosen in the list: kept from page to page, by id, or as all that match.
// Kept in this tab only. What is sent is ids, or the list's own filter and search: never both.

const KEPT = "engage-chosen";

export function setUpChoice(list) {
  const bar = list.querySelector("[data-bar]");
  if (!bar) return;
  const words = JSON.parse(bar.dataset.words);
  const most = Number(list.dataset.most);
  const said = bar.querySelector("[data-chosen]");
  const beyond = bar.querySelector("[data-beyond]");
  const unseen = bar.querySelector("[data-beyond-told]");
  const whole = bar.querySelector("[data-whole]");
  const all = whole.querySelector("input");
  const carried = list.querySelector("[data-ids]");
  let chosen = new Set();
  let last = null;
  let count = null; // of all that match, once it is known

  const boxes = () => [...list.querySelectorAll("tbody .check")];
  const value = (name) => (list.querySelector(`[data-part] > input[name="${name}"]`) || { value: "" }).value;
  const number = (one) => one.toLocaleString("en");
  const fill = (text, one) => text.replace("%s", one);

  /* ---- kept from page to page ---- */

  function keep() {
    const kept = { filter: value("filter"), q: value("q"), ids: [...chosen], all: all.checked };
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
    } catch (error) {
      beyond.title = String(error); // no room: this page's boxes still work
    }
  }

  function recall() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(KEPT));
    } catch (error) {
      kept = null;
    }
    // Another filter is another list; and whom something was done to is not chosen any more.
    const isOver = new URL(location.href).searchParams.has("outcome");
    if (!kept || isOver || kept.filter !== value("filter")) return;
    chosen = new Set(kept.ids);
    all.checked = kept.all && kept.q === value("q");
  }

  /* ---- what is seen ---- */

  function show() {
    const here = boxes();
    for (const box of here) box.checked = all.checked || chosen.has(box.value);
    tell();
  }

  function tell() {
    const here = boxes();
    const ticked = here.filter((box) => box.checked).length;
    const page = list.querySelector("[data-all]");
    if (page) {
      page.hidden = false;
      page.checked = here.length > 0 && ticked === here.length;
      page.indeterminate = ticked > 0 && ticked < here.length;
    }
    const others = chosen.size - here.filter((box) => chosen.has(box.value)).length;
    const some = all.checked ? count : chosen.size;
    const [everybody, counted] = value("q") ? [words.wholeFound, words.allFound] : [words.whole, words.all];
    said.textContent = some === null ? everybody : fill(words.chosen, number(some));
    const more = Boolean(list.querySelector(".pager a"));
    unseen.hidden = all.checked || others === 0;
    beyond.textContent = unseen.hidden ? "" : fill(more ? words.beyond : words.outside, number(others));
    whole.hidden = !(all.checked || more && here.length > 0 && ticked === here.length);
    whole.lastElementChild.textContent = count === null ? everybody : fill(counted, number(count));
    bar.classList.toggle("is-on", all.checked || chosen.size > 0);
    document.body.classList.toggle("has-chosen", all.checked || chosen.size > 0);
    carried.value = [...chosen].filter((id) => !here.some((box) => box.value === id)).join(" ");
  }

  function take(box) {
    if (!box.checked) chosen.delete(box.value);
    else if (chosen.size < most) chosen.add(box.value);
    else {
      box.checked = false;
      return false;
    }
    return true;
  }

  function changed(some) {
    // One who is left out: then it is not all any more, but whom one sees without them.
    if (all.checked) {
      all.checked = false;
      chosen = new Set();
      some = boxes();
    }
    const room = some.every(take);
    keep();
    tell();
    if (!room) said.textContent = fill(words.most, number(most));
  }

  /* ---- choosing ---- */

  list.addEventListener("click", (event) => {
    const here = boxes();
    const index = here.indexOf(event.target);
    if (index < 0) return;
    const from = last === null || !event.shiftKey ? index : here.indexOf(last);
    const [low, high] = from < 0 ? [index, index] : [Math.min(index, from), Math.max(index, from)];
    const some = here.slice(low, high + 1);
    for (const box of some) box.checked = here[index].checked;
    last = here[index];
    changed(some);
  });
  list.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      const here = boxes();
      for (const box of here) box.checked = event.target.checked;
      if (all.checked) chosen = new Set();
      all.checked = false;
      changed(here);
    } else if (event.target === all) {
      keep();
      if (all.checked) show();
      else tell();
    }
  });
  function nobody() {
    chosen = new Set();
    all.checked = false;
    last = null;
    keep();
    show();
  }
  list.addEventListener("reset", (event) => {
    event.preventDefault();
    nobody();
  });
  list.addEventListener("engage:nobody", nobody);
  bar.querySelector("[data-drop-beyond]").addEventListener("click", () => {
    const here = boxes().map((box) => box.value);
    chosen = new Set([...chosen].filter((id) => here.includes(id)));
    keep();
    tell();
    if (!chosen.size) list.querySelector("[data-all]").focus();
    else bar.querySelector(".btn-main").focus();
  });
  list.addEventListener("engage:list", () => {
    count = null;
    last = null;
    if (all.checked) all.checked = false; // it was said of another search
    keep();
    show();
  });
  list.addEventListener("engage:count", (event) => {
    const found = event.detail;
    count = found && found.exact !== null ? found.exact : found ? null : boxes().length;
    tell();
  });
  addEventListener("pageshow", () => { recall(); show(); });
  recall();
  keep();
  show();
}
