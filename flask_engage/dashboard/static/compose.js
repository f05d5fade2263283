// Writing a message: the preview follows while one types, and sending asks first.
import { isFilledIn } from "./early.js";

const PAUSE = 300; // ms without a key before the preview is asked for

export function setUpCompose() {
  const form = document.querySelector("form[data-compose]");
  if (!form) return;
  setUpPreview(form);
  setUpQuestion(form);
  setUpLeaving(form);
}

function setUpPreview(form) {
  const glass = form.querySelector("[data-glass]");
  const blank = form.querySelector("[data-blank]");
  let timer = 0;
  let question = null;

  async function ask() {
    if (question) question.abort();
    question = new AbortController();
    try {
      const response = await fetch(form.dataset.preview, {
        method: "POST",
        body: new FormData(form),
        signal: question.signal,
        headers: { Accept: "application/json" }
      });
      if (!response.ok) return;
      const answer = await response.json();
      tell(form, answer.problems);
      if (answer.document) glass.srcdoc = answer.document;
      blank.hidden = Boolean(answer.document);
    } catch (error) {
      if (error.name !== "AbortError") blank.hidden = false;
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  if (isFilledIn(form)) ask();
}

/* Says beside each field what is wrong with it, as the server's own page would. */
function tell(form, problems) {
  for (const field of form.querySelectorAll(".input")) {
    const text = problems[field.name] || "";
    const id = `${field.id}-wrong`;
    let note = document.getElementById(id);
    if (!text) {
      if (note) note.remove();
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
      continue;
    }
    if (!note) {
      note = document.createElement("p");
      note.id = id;
      note.className = "wrong";
      note.append(icon("alert"), document.createElement("span"));
      field.after(note);
    }
    note.lastElementChild.textContent = text;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", id);
  }
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  made.append(use);
  return made;
}

function setUpQuestion(form) {
  const dialog = form.querySelector("[data-ask]");
  form.querySelector("[data-review]").addEventListener("click", (event) => {
    if (form.querySelector("[aria-invalid]") || !form.body.value.trim() && !form.title.value.trim()) return; // the server says why
    event.preventDefault();
    dialog.showModal();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
}

/* What was written is not lost by a slip. */
function setUpLeaving(form) {
  let touched = isFilledIn(form);
  form.addEventListener("input", () => { touched = true; });
  form.addEventListener("submit", () => { touched = false; });
  addEventListener("beforeunload", (event) => { if (touched) event.preventDefault(); });
}
