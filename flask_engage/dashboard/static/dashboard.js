// What makes the pages nicer. Without it everything still works, by links and plain forms.
import { setUpTheme } from "./theme.js";
import { setUpZone } from "./zone.js";
import { setUpPeople } from "./people.js";
import { setUpSegmentCounts } from "./segments.js";
import { setUpBuilder } from "./builder.js";
import { setUpCompose } from "./compose.js";
import { setUpLive } from "./live.js";
import { setUpDialogs, setUpToasts } from "./over.js";
import { setUpCharts } from "./chart.js";
import { setUpPalette } from "./palette.js";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* One popover at a time; a click beside it or Escape closes it. */
function setUpPopovers() {
  const pops = all("details[data-pop]");
  const close = (except) => pops.forEach((pop) => { if (pop !== except) pop.open = false; });
  for (const pop of pops) {
    pop.addEventListener("toggle", () => {
      if (!pop.open) return;
      close(pop);
      const first = pop.querySelector(".pop-box :is(select, input:not([type=hidden]))");
      if (first) first.focus();
    });
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest("details[data-pop]")) close(null);
  });
  document.addEventListener("keydown", (event) => {
    const pop = pops.find((one) => one.open);
    if (event.key !== "Escape" || !pop) return;
    pop.open = false;
    pop.querySelector("summary").focus();
  });
}

/* On small screens the menu opens over the page. */
function setUpMenu() {
  const menu = document.querySelector("details[data-menu]");
  const side = document.getElementById("side");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  side.addEventListener("click", (event) => { if (event.target.closest("a")) menu.open = false; });
}

/* A form is sent once, however often its button is pressed. */
function setUpForms() {
  for (const form of all('form[method="post"]')) {
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
      if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
    });
    addEventListener("pageshow", () => {
      delete form.dataset.sent;
      all("[aria-busy]", form).forEach((button) => button.removeAttribute("aria-busy"));
    });
  }
}

setUpTheme();
setUpZone();
setUpMenu();
setUpPopovers();
setUpToasts();
setUpPeople();
setUpBuilder();
setUpSegmentCounts();
setUpCompose();
setUpLive();
setUpForms();
setUpDialogs();
setUpCharts();
setUpPalette();
