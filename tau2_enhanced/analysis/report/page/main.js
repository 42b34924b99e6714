// The page from top to bottom.

function showHead() {
  const { runs, began, ended, domains, models, outcomes, facts, warnings } = DATA.head;
  byId("runs").textContent = runs.join(" · ") || "Results";
  const day = began && ended && (began.slice(0, 10) === ended.slice(0, 10) ? ended.slice(11) : ended);
  byId("when").textContent = [began && `${began} to ${day}`, domains.join(", ")].filter(known).join(" · ");
  byId("models").append(...models.map(pair));
  byId("facts").append(...facts.map(factBox));
  byId("warnings").append(...warnings.map((warning) => make("li", {}, warning)));
  showOutcomes(outcomes);
}

function factBox({ name, value, note }) {
  return make("div", {}, make("dt", {}, name), make("dd", { class: "value" }, value), make("dd", { class: "note" }, note));
}

function showOutcomes(outcomes) {
  const found = Object.entries(outcomes);
  const bar = make("div", { class: "stack", "aria-hidden": "true" });
  const words = make("p");
  for (const [outcome, count] of found) {
    const part = make("i", { class: outcome.replace(" ", "-") });
    part.style.flexGrow = count;
    bar.append(part);
    words.append(make("span", {}, outcomeMark(outcome), `${countText(count)} ${outcome}`));
  }
  if (found.length) byId("outcomes").append(words, bar);
}

function showLegend() {
  const kinds = Object.keys(CALL_NAMES).filter((kind) => CALLS.kind.includes(kind));
  const calls = kinds.map((kind) => make("li", {}, swatch(`var(--${kind})`), CALL_NAMES[kind]));
  const outcomes = Object.keys(OUTCOME_MARKS).filter((outcome) => SIMULATIONS.outcome.includes(outcome)).map((outcome) => make("li", {}, outcomeMark(outcome), outcome));
  const more = [];
  if (CALLS.retry_wait_us.some(known)) more.push(make("li", {}, swatch(null, true), "waiting to retry"));
  if (CALLS.error.some(known)) more.push(make("li", {}, make("b", { class: "failure" }, "✗"), " failed call"));
  byId("legend").append(...outcomes, make("li", { class: "soft" }, "zoomed in:"), ...calls, ...more);
}

function startTimeline() {
  const view = new View(() => {
    gantt.draw();
    overview.draw();
  });
  const gantt = new Gantt(byId("gantt"), view);
  if (DATA.head.runs.length > 1) byId("strip-run").textContent = `, of ${DATA.concurrency?.run ?? "no run"}`;
  const overview = new Overview(byId("overview"), view);
  const input = new GanttInput(gantt, view);
  const zooms = { in: () => view.zoom(2), out: () => view.zoom(0.5), all: () => view.showAll() };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", zooms[button.dataset.zoom]);
  }
  on("selection", () => gantt.show(state.selected));
  const repaint = () => [gantt, overview].forEach((chart) => chart.paint());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  printInLight(repaint);
  const showCall = (simulation, call) => {
    gantt.hovered = { simulation, call };
    gantt.showLane(SIMULATIONS.lane[simulation]);
    view.showAround(CALLS.start_us[call] - (CALLS.retry_wait_us[call] ?? 0), CALLS.start_us[call] + CALLS.duration_us[call]);
    input.canvas.scrollIntoView({ block: "nearest" });
  };
  return { view, gantt, showCall };
}

function printInLight(repaint) {
  const print = (isPrinting) => {
    document.documentElement.classList.toggle("printing", isPrinting);
    repaint();
  };
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
}

function start() {
  showHead();
  showTables();
  byId("explore").hidden = SIMULATIONS.n === 0;
  if (SIMULATIONS.n === 0) return {};
  startFilters();
  byId("timeline").hidden = LANES.length === 0;
  showLegend();
  const { view, gantt, showCall } = startTimeline();
  startDetails(showCall);
  startSimulations();
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") selectSimulation(-1);
  });
  return { view, gantt };
}

// For those who ask the page from the browser's console.
const report = { state, simulations: SIMULATIONS, calls: CALLS, ...start() };
