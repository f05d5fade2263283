// What was filled in before the scripts were here, or was kept by the browser over a reload: no
// event tells of it any more, so whoever listens asks once.

export function isFilledIn(form) {
  return [...form.elements].some(isOther);
}

/* Whether a field holds something else than the server put there. */
function isOther(field) {
  if (field.type === "hidden") return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) {
    const first = [...field.options].findIndex((option) => option.defaultSelected);
    return !field.multiple && field.selectedIndex !== Math.max(first, 0);
  }
  return "defaultValue" in field && field.value !== field.defaultValue;
}
