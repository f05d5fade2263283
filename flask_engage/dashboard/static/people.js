// The list of people: choosing, moving by keys, and condition forms that offer only what fits.

const KIND_OF = { text: "s", number: "n", boolean: "b", time: "t", tags: "tags" };

export function setUpPeople() {
  document.querySelectorAll("form[data-condition]").forEach(setUpCondition);
  // Small screens begin with the sentence; the parts open when asked for.
  const builder = document.querySelector("details[data-builder]");
  if (builder && matchMedia("(max-width: 52rem)").matches) builder.open = false;
  const list = document.querySelector("[data-list]");
  if (list) {
    setUpChoice(list);
    setUpKeys(list);
  }
}

/* ---- conditions ---- */

function setUpCondition(form) {
  const subject = form.querySelector("[data-subject]");
  const operator = form.querySelector("[data-op]");
  const value = form.querySelector("[data-value]");
  const groups = [...operator.querySelectorAll("optgroup")];

  function kinds() {
    if (subject.selectedOptions) {
      const kind = subject.selectedOptions[0].dataset.kind;
      return [KIND_OF[kind] || kind];
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
    const chosen = operator.selectedOptions[0];
    if (!chosen || chosen.parentElement.disabled) {
      const same = [...operator.options].find(
        (option) => option.value === operator.value && !option.parentElement.disabled);
      const first = [...operator.options].find((option) => !option.parentElement.disabled);
      (same || first).selected = true;
    }
    suit();
  }

  function suit() {
    const type = operator.selectedOptions[0].dataset.input;
    value.closest(".field").hidden = !type;
    value.required = Boolean(type);
    value.disabled = !type;
    if (!type || value.type === type) return;
    const kept = value.value;
    value.type = type;
    if (type === "number") value.step = "any";
    value.value = kept; // dropped by the browser where it does not suit the new type
  }

  subject.addEventListener("input", narrow);
  operator.addEventListener("change", suit);
  narrow();
}

/* ---- choosing ---- */

function setUpChoice(list) {
  const boxes = [...list.querySelectorAll('tbody .check')];
  const whole = list.querySelector("[data-all]");
  const said = list.querySelector("[data-chosen]");
  if (!whole || !boxes.length) return;
  whole.hidden = false;
  let last = null;

  function tell() {
    const count = boxes.filter((box) => box.checked).length;
    whole.checked = count === boxes.length;
    whole.indeterminate = count > 0 && count < boxes.length;
    said.textContent = `${count} / ${boxes.length}`;
  }

  whole.addEventListener("change", () => {
    boxes.forEach((box) => { box.checked = whole.checked; });
    tell();
  });
  list.addEventListener("click", (event) => {
    const index = boxes.indexOf(event.target);
    if (index < 0) return;
    if (event.shiftKey && last !== null) {
      const [from, to] = [Math.min(index, last), Math.max(index, last)];
      for (let at = from; at <= to; at += 1) boxes[at].checked = boxes[index].checked;
    }
    last = index;
    tell();
  });
  list.addEventListener("change", tell);
  list.addEventListener("reset", () => setTimeout(tell));
  addEventListener("pageshow", tell);
  tell();
}

/* ---- keys: j and k move, x chooses, Enter opens, / searches ---- */

function setUpKeys(list) {
  const rows = [...list.querySelectorAll("tbody tr")];
  let at = -1;

  function move(to) {
    if (at >= 0) rows[at].classList.remove("at");
    at = Math.max(0, Math.min(rows.length - 1, to));
    rows[at].classList.add("at");
    rows[at].querySelector("a.person").focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not(.check), textarea, select, dialog")) return;
    if (event.key === "j") move(at + 1);
    else if (event.key === "k") move(at < 0 ? 0 : at - 1);
    else if (event.key === "x" && at >= 0) {
      const box = rows[at].querySelector(".check");
      if (box) box.click();
    } else if (event.key === "/") document.querySelector("[data-search]").focus();
    else return;
    event.preventDefault();
  });
}
