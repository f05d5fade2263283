// What opens over the page, and what says that something was done.

const STAYS = 6000; // milliseconds that a toast is there

/* A button with data-opens="id" opens the dialog `id`; the browser keeps the focus within. */
export function setUpDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
    const closer = event.target.closest("dialog [data-closes]");
    if (closer) closer.closest("dialog").close();
    // The veil belongs to the dialog, but lies outside of its box.
    if (event.target.matches("dialog.dialog") && !isWithin(event, event.target)) event.target.close();
  });
}

export function isWithin(event, element) {
  const box = element.getBoundingClientRect();
  return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
}

/* A toast goes by itself, but not while somebody points at it. What can still be undone stays
   until it is put away. */
export function setUpToasts() {
  for (const toast of document.querySelectorAll(".toasts > .toast:not(:has(form, a))")) {
    let timer = 0;
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => toast.remove(), STAYS); };
    for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, () => clearTimeout(timer));
    for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, wait);
    wait();
  }
  // What was done is told once, not again when the page is loaded anew.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    history.replaceState(history.state, "", here);
  }
}
