// The builder of filters: forms that offer what fits and what exists, and say what they would
// find while they are filled in. Without it the same forms work, one page at a time.
import { isFilledIn } from "./early.js";

const KIND_OF = { text: "s", number: "n", boolean: "b", time: "t", tags: "tags" };
const PAUSE = 250; // ms between the last key and the question
const BACK = "engage-filter-changed";

export function setUpBuilder() {
  const forms = [...document.querySelectorAll("form[data-build]")];
  for (const form of forms) {
    const isEarly = isFilledIn(form); // before anything here is set to what fits
    form.querySelectorAll("[data-asked]").forEach((fields) => setUpAsked(fields));
    form.querySelectorAll("[data-tests]").forEach(setUpTests);
    form.querySelectorAll("[data-offer]").forEach((input) => setUpOffer(form, input));
    setUpWhich(form);
    setUpPreview(form, isEarly);
    showProblem(form);
  }
  document.querySelectorAll("[data-written]").forEach(setUpCopies);
  if (forms.length) setUpReturn();
}

/* ---- one comparison: its operators fit the subject, its value fits the operator ---- */

function setUpAsked(fields) {
  const subject = fields.querySelector("[data-subject]");
  const operator = fields.querySelector("[data-op]");
  const value = fields.querySelector("[data-value]");
  const unit = fields.querySelector("[data-unit-field]");
  const groups = [...operator.querySelectorAll("optgroup")];

  function kinds() {
    if (!subject) return null;
    if (subject.selectedOptions) {
      const kind = subject.selectedOptions[0].dataset.kind;
      return kind ? [KIND_OF[kind] || kind] : null;
    }
    const known = [...document.getElementById("known-attributes").options]
      .find((option) => option.value === subject.value);
    return known ? known.dataset.kind.split(" ").map((kind) => KIND_OF[kind]) : null;
  }

  function narrow() {
    const wanted = kinds();
    for (const group of groups) {
      const fits = !group.dataset.kind || !wanted || wanted.includes(group.dataset.kind);
      group.hidden = group.disabled = !fits;
    }
    const code = (option) => option.value.split(":").pop();
    const chosen = operator.selectedOptions[0];
    if (!chosen || chosen.parentElement.disabled) {
      const free = [...operator.options].filter((option) => !option.parentElement.disabled);
      (free.find((option) => chosen && code(option) === code(chosen)) || free[0]).selected = true;
    }
    suit();
  }

  function suit() {
    const input = operator.selectedOptions[0].dataset.input;
    // Numbers stay texts: a field for numbers would drop what is none before it is said.
    const isDay = input === "date" && /^(\d{4}-\d\d-\d\d)?$/.test(value.value);
    value.inputMode = input === "number" || input === "span" ? "decimal" : "text";
    value.closest(".field").hidden = !input;
    value.closest(".field").classList.toggle("all", input !== "span");
    value.disabled = !input;
    if (unit) unit.hidden = input !== "span";
    value.type = isDay ? "date" : "text";
  }

  if (subject) subject.addEventListener("input", narrow);
  operator.addEventListener("change", suit);
  if (subject && subject.value) narrow();
  else suit();
}

/* ---- what an event or visit must be like: as many rows as are needed ---- */

function setUpTests(box) {
  const more = document.createElement("button");
  more.type = "button";
  more.className = "btn btn-s";
  more.textContent = box.dataset.tests;
  box.append(more);
  const spare = () => [...box.querySelectorAll("[data-spare]")];
  const tell = () => { more.hidden = !spare().length; };
  spare().forEach((row) => { row.hidden = true; });
  more.addEventListener("click", () => {
    const row = spare()[0];
    delete row.dataset.spare;
    row.hidden = false;
    row.querySelector("input, select").focus();
    tell();
  });
  tell();
}

/* ---- how often, or when first or last ---- */

function setUpWhich(form) {
  const which = form.querySelector("[name=which]");
  if (!which) return;
  function suit() {
    const counted = which.value === "count";
    form.querySelectorAll("[data-counted]").forEach((field) => { field.hidden = !counted; });
    form.querySelector("[data-moment]").hidden = counted;
  }
  which.addEventListener("change", suit);
  suit();
}

/* ---- what the filter would be ---- */

function setUpPreview(form, isEarly) {
  const place = form.querySelector("[data-found-now]");
  const touched = new Set();
  let waiting = null;
  let request = null;

  async function look() {
    if (request) request.abort();
    const mine = new AbortController();
    request = mine;
    const query = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(`${form.dataset.build}?${query}`, {
        headers: { Accept: "application/json" }, credentials: "same-origin", signal: mine.signal,
      });
      if (!answer.ok) throw new Error(answer.statusText);
      tell(await answer.json());
    } catch (error) {
      if (error.name !== "AbortError") place.textContent = "";
    }
  }

  function tell(found) {
    const problem = found.problem;
    place.replaceChildren();
    if (!problem) {
      const number = document.createElement("b");
      number.textContent = found.matching;
      place.append(`${found.sentence} – `, number, found.hint ? `. ${found.hint}` : "");
      return sayWrong(form, null);
    }
    const field = form.elements[problem.field];
    if (field && !touched.has(problem.field)) return sayWrong(form, null);
    return sayWrong(form, problem);
  }

  function later(event) {
    if (event.target.name) touched.add(event.target.name);
    clearTimeout(waiting);
    waiting = setTimeout(look, PAUSE);
  }
  form.addEventListener("input", later);
  form.addEventListener("change", later);
  if (isEarly) look();
  form.addEventListener("submit", () => {
    clearTimeout(waiting);
    if (request) request.abort();
  });
}

function sayWrong(form, problem) {
  const place = form.querySelector("[data-wrong]");
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  place.hidden = !problem;
  place.querySelector("span").textContent = problem ? problem.text : "";
  const field = problem && problem.field && form.elements[problem.field];
  if (!field || !field.setAttribute) return;
  place.id = place.id || `wrong-${field.id}`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", place.id);
}

/* What the server found wrong is said beside the field that it names. */
function showProblem(form) {
  const place = form.querySelector("[data-wrong]");
  const [, field, text] = /^([a-z_]+(?:-\d)?): ([^]*)$/.exec(place.textContent.trim()) || [];
  if (place.hidden || !field || !form.elements[field]) return;
  sayWrong(form, { field, text });
  form.elements[field].focus();
}

/* ---- the values that exist ---- */

function setUpOffer(form, input) {
  let request = null;
  let waiting = null;
  let asked = null;
  const list = document.createElement("datalist");
  list.id = `${input.id}-offered`;

  function question() {
    const fields = input.closest("[data-asked]");
    const subject = fields && fields.querySelector("[data-subject], [name^=prop-]");
    const event = form.elements.event;
    const option = fields && fields.querySelector("[data-op]").selectedOptions[0];
    const isValue = "value" in input.dataset;
    const isList = Boolean(isValue && option && option.dataset.input === "list");
    const before = isList ? input.value.slice(0, input.value.lastIndexOf(",") + 1) : "";
    if (isValue && input.type === "date") return null;
    return {
      before: before && `${before} `,
      query: new URLSearchParams({
        of: input.dataset.offer,
        name: subject && subject !== input ? subject.value : "",
        event: event && event !== input ? event.value : "",
        search: input.value.slice(before.length).trim(),
      }),
    };
  }

  async function offer() {
    const found = question();
    const text = found && `${found.before}|${found.query}`;
    if (!found || text === asked) return;
    asked = text;
    if (request) request.abort();
    request = new AbortController();
    try {
      const answer = await fetch(`${form.dataset.values}?${found.query}`, {
        headers: { Accept: "application/json" }, credentials: "same-origin", signal: request.signal,
      });
      if (!answer.ok) return;
      show(found.before, (await answer.json()).values);
    } catch (error) {
      if (error.name === "AbortError") return;
      asked = null; // the next key asks again
    }
  }

  function show(before, values) {
    list.replaceChildren(...values.map((one) => {
      const option = document.createElement("option");
      option.value = before + one.value;
      option.label = `${one.value} · ${one.count.toLocaleString("en")}`;
      return option;
    }));
    if (!list.isConnected) input.after(list);
    input.setAttribute("list", list.id);
  }

  if (!input.dataset.offer) return;
  input.addEventListener("focus", offer);
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(offer, PAUSE);
  });
}

/* ---- the filter to take along ---- */

function setUpCopies(box) {
  const told = box.querySelector("[data-copy-told]");
  for (const button of box.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.closest("figure").querySelector("pre");
      try {
        await navigator.clipboard.writeText(text.textContent);
        told.textContent = "";
        told.textContent = button.dataset.copied;
        button.textContent = button.dataset.copied;
      } catch {
        getSelection().selectAllChildren(text); // no right to the clipboard: it is one key away
        told.textContent = button.dataset.failed;
        button.textContent = button.dataset.failed;
      }
    });
  }
}

/* ---- after a change the keyboard goes on where it was: at the filter ---- */

function setUpReturn() {
  const section = document.querySelector("[data-filter]");
  const note = () => sessionStorage.setItem(BACK, "yes");
  section.addEventListener("submit", note);
  section.addEventListener("click", (event) => { if (event.target.closest("a[href]")) note(); });
  // On small screens the parts are folded away, but not while one of them is being filled in.
  const parts = section.querySelector("[data-builder]");
  const beside = section.querySelector("#beside");
  if (parts && (beside || section.querySelector(".pop[open]"))) parts.open = true;
  if (beside && location.hash === "#beside") beside.focus();
  const changed = sessionStorage.getItem(BACK);
  sessionStorage.removeItem(BACK);
  // Where the address names a place, the browser goes there itself.
  if (!changed || location.hash || section.contains(document.activeElement)) return;
  const place = section.querySelector("[data-builder] > summary, .adders summary");
  if (place) place.focus({ preventScroll: true });
}
