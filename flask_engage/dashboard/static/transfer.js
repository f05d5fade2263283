// Import and export: a file that is too large is told before it is sent, and an import that has
// come to its end shows the page of one that has.

for (const input of document.querySelectorAll("input[data-largest]")) {
  input.addEventListener("change", () => {
    const isTooLarge = [...input.files].some((file) => file.size > Number(input.dataset.largest));
    input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
    if (isTooLarge) input.reportValidity();
  });
}

for (const part of document.querySelectorAll("[data-refresh][data-standing]")) {
  new MutationObserver(() => {
    const now = part.querySelector("[data-standing]");
    if (now && now.dataset.standing !== part.dataset.standing) location.reload();
  }).observe(part, { childList: true });
}
