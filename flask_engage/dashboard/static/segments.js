// How many people each segment has, and the last thirty days as a line beside its name.

const SPACE = "http://www.w3.org/2000/svg";
const SMALL = matchMedia("(max-width: 52rem)");

export function setUpSegmentCounts() {
  const rail = document.querySelector("[data-segment-counts]");
  if (!rail) return;
  const menu = document.querySelector("details[data-menu]");
  if (!SMALL.matches) ask(rail);
  else menu.addEventListener("toggle", () => ask(rail), { once: true }); // not before it is seen
}

async function ask(rail) {
  try {
    const answer = await fetch(rail.dataset.segmentCounts, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (answer.ok) tell(rail, await answer.json());
  } catch (error) {
    // The names are there all the same; numbers come with the next page.
  }
}

function tell(rail, counts) {
  for (const place of rail.querySelectorAll("[data-segment]")) {
    const [number, isExact, points, words] = counts[place.dataset.segment] || [];
    if (number === undefined) continue;
    place.textContent = number.toLocaleString("en") + (isExact ? "" : "+");
    if (points) place.before(line(points, words));
    if (points) place.classList.remove("end");
  }
}

function line(points, words) {
  const drawing = document.createElementNS(SPACE, "svg");
  for (const [name, value] of Object.entries({
    class: "end", viewBox: "0 0 40 14", width: 40, height: 14, role: "img", "aria-label": words, fill: "none", stroke: "currentColor", opacity: 0.7
  })) drawing.setAttribute(name, value);
  const title = document.createElementNS(SPACE, "title");
  title.textContent = words;
  const shape = document.createElementNS(SPACE, "polyline");
  shape.setAttribute("points", points);
  drawing.append(title, shape);
  return drawing;
}
