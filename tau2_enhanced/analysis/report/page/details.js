// The selected simulation: what it came to, and its calls in order.

const MOST_LISTED = 1000;
const CALL_HEADINGS = [
  ["step", "number"], ["call"], ["when"], ["ms", "number"], ["tokens in", "number"], ["out", "number"], ["USD", "number"],
];

function startDetails(showCall) {
  const panel = byId("details");
  const show = () => {
    panel.hidden = state.selected < 0;
    panel.replaceChildren(...(panel.hidden ? [] : detailParts(state.selected, showCall)));
  };
  on("selection", show);
}

function detailParts(simulation, showCall) {
  const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => selectSimulation(-1));
  const title = make("h2", { id: "details-title" }, titleOf(simulation));
  const facts = make("dl", {}, ...simulationFacts(simulation).map(pair));
  const calls = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Calls" }, callTable(simulation, showCall));
  return [make("div", { class: "bar" }, title, close), facts, calls];
}

function pair([name, value]) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value));
}

function simulationFacts(simulation) {
  const of = (name) => SIMULATIONS[name][simulation];
  const outcome = make("span", {}, outcomeMark(of("outcome")), of("outcome"));
  const facts = [
    ["result", outcome],
    ["reward", known(of("reward")) ? String(of("reward")) : null],
    ["ended by", endedBy(simulation)],
    ["took", durationText(of("duration_us"))],
    ["began at", known(of("start_us")) ? clockText(of("start_us"), 1e5) : null],
    ["steps", known(of("steps")) ? countText(of("steps")) : null],
    ["tokens", `${countText(of("input_tokens"))} in, ${countText(of("output_tokens"))} out`],
    ["USD", known(of("cost_usd")) ? usdText(of("cost_usd")) : null],
    ["tool errors", of("tool_errors") ? countText(of("tool_errors")) : null],
    ["retries", of("retries") ? countText(of("retries")) : null],
    ["agent model", of("agent_model")],
    ["run", DATA.head.runs.length > 1 ? of("run") : null],
  ];
  return facts.filter(([, value]) => known(value));
}

function callTable(simulation, showCall) {
  const first = FIRST_CALL[simulation];
  const last = FIRST_CALL[simulation + 1];
  if (first === last) return make("p", { class: "note" }, "No timed calls of it are in this report.");
  const shown = Array.from({ length: Math.min(last - first, MOST_LISTED) }, (_, place) => first + place);
  const head = make("tr", {}, ...CALL_HEADINGS.map(([name, kind]) => make("th", { scope: "col", class: kind }, name)));
  const body = make("tbody", {}, ...shown.map((call) => callRow(simulation, call, showCall)));
  if (shown.length < last - first) {
    const more = `and ${countText(last - first - shown.length)} more calls`;
    body.append(make("tr", {}, make("td", { colspan: CALL_HEADINGS.length }, more)));
  }
  return make("table", { class: "calls", "aria-labelledby": "details-title" }, make("thead", {}, head), body);
}

function callRow(simulation, call, showCall) {
  const of = (name) => CALLS[name][call];
  const kind = CALL_NAMES[of("kind")];
  const title = `${kind} ${of("name") ?? ""}: show it in the timeline`;
  const shown = of("kind") === "tool_call" ? (of("name") ?? kind) : kind;
  const button = make("button", { type: "button", title }, swatch(`var(--${of("kind")})`), shown);
  button.addEventListener("click", () => showCall(simulation, call));
  const failed = known(of("error"));
  const name = make("td", { class: "text" }, button);
  if (failed) name.append(" ", make("b", { class: "failure" }, `✗ ${of("error")}`));
  else if (of("attempts") > 1) name.append(" ", make("span", { class: "soft" }, `${of("attempts")} attempts`));
  const number = (text) => make("td", { class: "number" }, text);
  return make("tr", { class: failed ? "failed" : undefined },
    number(known(of("step")) ? countText(of("step")) : ""),
    name,
    make("td", {}, waterfall(simulation, call)),
    numberCell(numberText(of("duration_us") / 1e3), 3),
    number(known(of("input_tokens")) ? countText(of("input_tokens")) : ""),
    number(known(of("output_tokens")) ? countText(of("output_tokens")) : ""),
    number(of("cost_usd") ? usdText(of("cost_usd")) : ""));
}

// Where in its simulation a call lies.
function waterfall(simulation, call) {
  const span = SIMULATIONS.span_us[simulation] || 1;
  const from = (CALLS.start_us[call] - SIMULATIONS.start_us[simulation]) / span;
  const wait = (CALLS.retry_wait_us[call] ?? 0) / span;
  const bar = make("i", { class: "bar" });
  placed(bar, from, CALLS.duration_us[call] / span);
  bar.style.background = `var(--${CALLS.kind[call]})`;
  const waited = make("i", { class: "hatched" });
  placed(waited, from - wait, wait);
  return make("span", { class: "waterfall" }, ...(wait ? [waited] : []), bar);
}
