// A trend, day by day: the mouse points, the arrow keys walk, and each day is read out.
export function setUpCharts() {
  for (const plot of document.querySelectorAll("[data-chart] [data-plot]")) setUpPlot(plot);
}

function setUpPlot(plot) {
  const days = [...plot.querySelectorAll(".chart-days > li")];
  if (!days.length) return;
  const words = days.map((day) => day.textContent.replace(/\s+/g, " ").trim());
  let at = days.length - 1;

  // To assistive technology it is a scale with one step for each day, whose value is read out.
  plot.tabIndex = 0;
  plot.setAttribute("role", "slider");
  plot.setAttribute("aria-readonly", "true");
  plot.setAttribute("aria-valuemin", "1");
  plot.setAttribute("aria-valuemax", String(days.length));

  function tell(to, isShown = true) {
    days[at].classList.remove("at");
    at = Math.max(0, Math.min(days.length - 1, to));
    days[at].classList.toggle("at", isShown);
    plot.setAttribute("aria-valuenow", String(at + 1));
    plot.setAttribute("aria-valuetext", words[at]);
  }

  plot.addEventListener("focus", () => tell(at, plot.matches(":focus-visible")));
  plot.addEventListener("blur", () => tell(at, false));
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const later = plot.matches(":dir(rtl)") ? -1 : 1;
    const steps = { ArrowRight: at + later, ArrowLeft: at - later, ArrowUp: at + 1, ArrowDown: at - 1, PageUp: at + 7, PageDown: at - 7, Home: 0, End: days.length - 1 };
    if (event.key === "Escape") tell(at, false);
    else if (event.key in steps) tell(steps[event.key]);
    else return;
    if (event.key !== "Escape") event.preventDefault();
  });
  tell(at, false);
}
