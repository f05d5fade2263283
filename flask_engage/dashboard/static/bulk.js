// What is done to many people: the question stands over the list, long work goes on by itself.

import { forget, keep } from "./unfinished.js";

export function setUpAsking(list) {
  const dialog = document.createElement("dialog");
  dialog.className = "bulk";
  dialog.setAttribute("aria-labelledby", "bulk-title");
  document.body.append(dialog);
  let straight = false;

  document.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (event.target !== list || !button || button.dataset.asks === undefined || straight) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    button.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams(new FormData(list, button));
      body.set("part", "1");
      const answer = await fetch(button.getAttribute("formaction") || list.getAttribute("action"), { method: "POST", body, credentials: "same-origin" });
      const text = await answer.text();
      if (!answer.ok && answer.status !== 400) throw new Error(String(answer.status));
      if (/<!doctype/i.test(text)) throw new Error("a whole page");
      dialog.replaceChildren(document.createRange().createContextualFragment(text));
      dialog.showModal();
    } catch (error) {
      straight = true; // the page itself says what is wrong
      list.requestSubmit(button);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }, true);

  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog && !event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) event.preventDefault();
    else if (form.dataset.asked === "export") setTimeout(() => dialog.close()); // a file comes, the page stays
    else {
      if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
      form.dataset.sent = "yes";
      if (form.dataset.checked) return;
      event.preventDefault();
      check(form, event.submitter);
    }
  });

  // What was typed wrongly is told in the dialog; only what can be done leaves the page.
  async function check(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    body.set("part", "1");
    body.set("check", "1");
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, credentials: "same-origin" }).catch(() => null);
    const text = answer && answer.status === 400 ? await answer.text().catch(() => "") : "";
    if (!form.isConnected || !dialog.open) return; // it was closed meanwhile
    delete form.dataset.sent;
    if (text && !/<!doctype/i.test(text)) {
      show(text);
      return;
    }
    form.dataset.checked = "yes"; // if anything else is wrong, the page itself says what
    form.requestSubmit(button);
  }

  function show(text) {
    dialog.replaceChildren(document.createRange().createContextualFragment(text));
    const field = dialog.querySelector("[aria-invalid]");
    if (field) field.focus();
    if (field) field.setSelectionRange(field.value.length, field.value.length);
  }
  addEventListener("pageshow", () => dialog.close());
}

/* ---- work that takes longer than a request ---- */

export function setUpGoingOn() {
  const form = document.querySelector("form[data-goes-on]");
  if (!form) return;
  const words = form.querySelector("[data-words]");
  const bar = form.querySelector("progress");
  const go = form.querySelector("[data-resume]");
  const stop = form.querySelector("[data-stop]");
  const failed = form.querySelector("[data-failed]");
  let runs = true;
  let isOver = false;

  const mind = (event) => event.preventDefault();

  async function run() {
    runs = true;
    go.hidden = true;
    failed.hidden = true;
    addEventListener("beforeunload", mind);
    keep(form, words.textContent, true);
    try {
      while (runs) {
        const answer = await fetch(form.getAttribute("action"), {
          method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin", headers: { Accept: "application/json" }
        });
        if (!answer.ok) throw new Error(String(answer.status));
        const told = await answer.json();
        if (told.to) return leave(told.to);
        form.elements.work.value = told.work;
        words.textContent = told.words;
        keep(form, words.textContent, true);
        if (bar.hasAttribute("max")) bar.value = told.seen;
        const back = new URL(stop.href);
        if (told.outcome) back.searchParams.set("outcome", told.outcome);
        stop.href = back.href;
      }
      leave(stop.href);
    } catch (error) {
      removeEventListener("beforeunload", mind);
      keep(form, words.textContent, false);
      failed.hidden = false;
      go.hidden = false;
      go.focus();
    }
    return undefined;
  }

  // Done, or stopped on purpose: there is nothing to go on with.
  function leave(address) {
    isOver = true;
    forget(form.dataset.owner);
    removeEventListener("beforeunload", mind);
    location.assign(address);
  }

  stop.addEventListener("click", (event) => {
    if (!go.hidden) { // nothing is under way
      isOver = true;
      forget(form.dataset.owner);
      return;
    }
    event.preventDefault();
    runs = false; // after the batch that has begun
    stop.setAttribute("aria-busy", "true");
  });
  addEventListener("pagehide", () => {
    if (!isOver) keep(form, words.textContent, false);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  run();
}
