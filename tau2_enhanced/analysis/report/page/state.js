// Which simulations are meant and which one is selected; whoever shows them is told of changes.

const FILTERED_BY = ["domain", "outcome", "agent_model", "run"];
const state = { matches: new Uint8Array(SIMULATIONS.n).fill(1), count: SIMULATIONS.n, selected: -1 };
const listeners = { filter: [], selection: [] };

const SEARCHED = Array.from({ length: SIMULATIONS.n }, (_, simulation) =>
  ["run", "domain", "task", "outcome", "ended_by", "agent_model"]
    .map((name) => SIMULATIONS[name][simulation] ?? "")
    .join("\n")
    .toLowerCase(),
);

function on(what, listener) {
  listeners[what].push(listener);
}

function tell(what) {
  for (const listener of listeners[what]) listener();
}

// `wanted` has a value for each of FILTERED_BY and `text`; an empty one is any.
function filterSimulations(wanted) {
  const words = wanted.text.toLowerCase().split(/\s+/).filter(known);
  const names = FILTERED_BY.filter((name) => wanted[name]);
  state.count = 0;
  for (let simulation = 0; simulation < SIMULATIONS.n; simulation++) {
    const chosen = names.every((name) => SIMULATIONS[name][simulation] === wanted[name]);
    const matches = chosen && words.every((word) => SEARCHED[simulation].includes(word));
    state.matches[simulation] = matches ? 1 : 0;
    state.count += matches ? 1 : 0;
  }
  tell("filter");
}

function selectSimulation(simulation) {
  if (simulation === state.selected) return;
  state.selected = simulation;
  tell("selection");
}

function startFilters() {
  const form = byId("filters");
  for (const name of FILTERED_BY) fillChoice(form.elements[name], SIMULATIONS[name]);
  const apply = () => filterSimulations(Object.fromEntries(new FormData(form)));
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  on("filter", showCount);
  showCount();
}

function fillChoice(select, column) {
  const counts = new Map();
  for (const value of column) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  select.append(make("option", { value: "" }, "all"));
  for (const [value, count] of [...counts].sort((one, other) => COLLATOR.compare(one[0], other[0]))) {
    select.append(make("option", { value }, `${value} (${countText(count)})`));
  }
  select.closest("label").hidden = counts.size < 2;
}

function showCount() {
  const all = `${countText(SIMULATIONS.n)} ${SIMULATIONS.n === 1 ? "simulation" : "simulations"}`;
  byId("count").textContent = state.count === SIMULATIONS.n ? all : `${countText(state.count)} of ${all}`;
}
