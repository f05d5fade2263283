// Work on many people whose page was closed in its midst: the browser keeps it, by operator, and the
// list offers to go on. It is signed: only the server says whether it is still good, and for whom.

const NAME = "engage-work-";
const ALIVE = 10000; // ms: a page at work is heard of at least this often, the list waits for it
const AGAIN = 1000; // ms: what other windows keep and forget is looked at this often
const BACK = ["filter", "q", "sort", "dir", "c", "segment", "after"];

// A browser may refuse to keep anything: then nothing is offered, and the work itself goes on.
function stored(use) {
  try {
    return use(localStorage);
  } catch (error) {
    console.info("Interrupted work can't be kept here:", error.message);
    return null;
  }
}

const OPENED = Date.now(); // the server says how long is left: the clocks of the two may differ

export function keep(form, words, isAlive) {
  const fields = [...new FormData(form)].filter(([name]) => BACK.includes(name));
  const whom = form.querySelector("[data-whom]").textContent;
  const { work, action } = form.elements;
  const said = { work: work.value, action: action.value, fields, words, whom, until: OPENED + Number(form.dataset.seconds) * 1000, seen: isAlive ? Date.now() : 0 };
  stored((store) => store.setItem(NAME + form.dataset.owner, JSON.stringify(said)));
}

export function forget(owner) {
  stored((store) => store.removeItem(NAME + owner));
}

function found(owner) {
  const said = stored((store) => JSON.parse(store.getItem(NAME + owner)));
  return said && said.until > Date.now() ? said : null;
}

function dropOld() {
  stored((store) => {
    for (const key of Object.keys(store).filter((one) => one.startsWith(NAME))) {
      if (!found(key.slice(NAME.length))) store.removeItem(key);
    }
  });
}

export function setUpUnfinished() {
  const bar = document.querySelector("[data-unfinished]");
  if (!bar) return;
  const owner = bar.dataset.unfinished;
  const form = bar.querySelector("form");
  const titles = JSON.parse(bar.dataset.titles);

  function say(where, words) {
    const place = bar.querySelector(where);
    if (place.textContent !== words) place.textContent = words; // what stays isn't read out again
  }

  function show() {
    const said = found(owner);
    const isAtWork = said && said.seen + ALIVE > Date.now(); // in another window
    bar.hidden = !said || isAtWork || !titles[said.action];
    if (bar.hidden) return;
    say("[data-title]", titles[said.action]);
    say("[data-words]", said.words);
    say("[data-whom]", said.whom);
  }

  form.addEventListener("submit", (event) => {
    const said = found(owner);
    if (!said || said.seen + ALIVE > Date.now()) { // another window was quicker
      event.preventDefault();
      show();
      return;
    }
    form.elements.action.value = said.action;
    form.elements.work.value = said.work;
    if (said.action === "delete") form.action = form.dataset.deletes;
    for (const [name, value] of said.fields) {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
      form.append(field);
    }
    forget(owner); // the page that follows keeps it anew, as far as it is then
  });
  bar.querySelector("[data-forget]").addEventListener("click", () => {
    forget(owner);
    show();
  });
  dropOld();
  show();
  setInterval(show, AGAIN);
}
