// The report's data: columns as arrays that all have a value for each row.

const DATA = JSON.parse(byId("data").textContent);

const CALL_NAMES = {
  llm_call: "agent model",
  expert_call: "expert",
  user_sim: "user simulator",
  evaluator: "judge",
  tool_call: "tool",
};
const OUTCOME_MARKS = { passed: "✓", failed: "✗", "no verdict": "–", unfinished: "…" };

function unpacked(table, name) {
  const column = table[name];
  if (column === undefined) return new Array(table.n).fill(null);
  if (Array.isArray(column)) return column;
  if (column === null || typeof column !== "object") return new Array(table.n).fill(column);
  const at = Array.isArray(column.at) ? column.at : new Array(table.n).fill(column.at);
  return at.map((place) => (place < 0 ? null : column.texts[place]));
}

function columnsOf(table, names) {
  return Object.fromEntries(names.map((name) => [name, unpacked(table, name)]));
}

const SIMULATIONS = {
  n: DATA.simulations.n,
  ...columnsOf(DATA.simulations, [
    "run", "domain", "task", "trial", "outcome", "agent_model", "ended_by", "reward", "start_us", "span_us",
    "duration_us", "steps", "llm_calls", "tool_calls", "tool_errors", "retries", "input_tokens", "cached_tokens",
    "output_tokens", "cost_usd", "counts", "lane", "calls",
  ]),
};
const CALLS = {
  n: DATA.calls.n,
  ...columnsOf(DATA.calls, [
    "kind", "name", "step", "start_us", "duration_us", "ttft_us", "retry_wait_us", "input_tokens", "cached_tokens",
    "output_tokens", "attempts", "cost_usd", "requestor", "error",
  ]),
};

// Where each simulation's calls begin; those of the last one end at the last number.
const FIRST_CALL = [0];
for (const calls of SIMULATIONS.calls) FIRST_CALL.push(FIRST_CALL.at(-1) + calls);

// Starts count from the call before; from here on, from the run's start.
function addUpStarts() {
  for (let simulation = 0; simulation < SIMULATIONS.n; simulation++) {
    let at = SIMULATIONS.start_us[simulation];
    for (let call = FIRST_CALL[simulation]; call < FIRST_CALL[simulation + 1]; call++) {
      at += CALLS.start_us[call];
      CALLS.start_us[call] = at;
    }
  }
}
addUpStarts();

// The timeline's rows: a name, or the title of a run that stands above the run's rows, and simulations in the order of time.
function laneRows() {
  const rows = [];
  const places = DATA.lanes.map(({ run, thread }, lane) => {
    const isFirst = lane === 0 || DATA.lanes[lane - 1].run !== run;
    if (DATA.head.runs.length > 1 && isFirst) rows.push({ title: run ?? "no run", simulations: [] });
    rows.push({ name: thread ?? String(lane + 1), simulations: [] });
    return rows.length - 1;
  });
  SIMULATIONS.lane = SIMULATIONS.lane.map((lane) => (lane === null ? null : places[lane]));
  SIMULATIONS.lane.forEach((lane, simulation) => {
    if (lane !== null) rows[lane].simulations.push(simulation);
  });
  return rows;
}
const LANES = laneRows();

// From the first simulation's start to the last one's end.
function extent() {
  let from = Infinity;
  let to = -Infinity;
  for (const simulation of LANES.flatMap((lane) => lane.simulations)) {
    from = Math.min(from, SIMULATIONS.start_us[simulation]);
    to = Math.max(to, endOf(simulation));
  }
  return from < to ? { from, to } : { from: 0, to: 1e6 };
}

function endOf(simulation) {
  return SIMULATIONS.start_us[simulation] + SIMULATIONS.span_us[simulation];
}

function titleOf(simulation) {
  const { domain, task, trial } = SIMULATIONS;
  const parts = [domain[simulation], task[simulation] === null ? null : `task ${task[simulation]}`];
  return [...parts, trial[simulation] === null ? null : `trial ${trial[simulation]}`].filter(known).join(" · ");
}
