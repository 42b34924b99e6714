// The table of simulations: only the rows in sight are in the page, so thousands of them scroll at ease.

const ROW_PX = 27;
const BEYOND = 8;
const MOST_PRINTED = 500;
const SIMULATION_COLUMNS = [
  column("domain", "text", 10, (s) => SIMULATIONS.domain[s]),
  column("task", "text", 30, (s) => SIMULATIONS.task[s]),
  column("trial", "count", 5.5, (s) => SIMULATIONS.trial[s]),
  column("result", "outcome", 16, (s) => SIMULATIONS.outcome[s]),
  column("reward", "number", 6.5, (s) => SIMULATIONS.reward[s]),
  column("ended by", "text", 15, endedBy),
  column("s", "number", 7, (s) => (SIMULATIONS.duration_us[s] === null ? null : SIMULATIONS.duration_us[s] / 1e6)),
  column("steps", "count", 5.5, (s) => SIMULATIONS.steps[s]),
  column("agent calls", "count", 7, (s) => SIMULATIONS.llm_calls[s]),
  column("tool calls", "count", 6, (s) => SIMULATIONS.tool_calls[s]),
  column("tool errors", "few", 6, (s) => SIMULATIONS.tool_errors[s]),
  column("retries", "few", 6.5, (s) => SIMULATIONS.retries[s]),
  column("tokens in", "count", 8, (s) => SIMULATIONS.input_tokens[s]),
  column("tokens out", "count", 7, (s) => SIMULATIONS.output_tokens[s]),
  column("cost USD", "usd", 7.5, (s) => SIMULATIONS.cost_usd[s]),
  column("agent model", "text", 18, (s) => SIMULATIONS.agent_model[s]),
];

function column(name, kind, width, value) {
  return { name, kind, width, value };
}

function endedBy(simulation) {
  const reason = SIMULATIONS.ended_by[simulation] ?? "no end in the log";
  return SIMULATIONS.counts[simulation] ? reason : `${reason} (repeated)`;
}

class SimulationTable {
  constructor(scroller) {
    this.scroller = scroller;
    this.columns = SIMULATION_COLUMNS.filter((one) => one.name === "task" || this.isUsed(one));
    this.order = Array.from({ length: SIMULATIONS.n }, (_, simulation) => simulation);
    this.shown = this.order;
    this.body = make("tbody");
    const head = sortableHead(this.columns, (place, direction) => this.sort(place, direction));
    const widths = make("colgroup", {}, ...this.columns.map(({ width }) => sized(make("col"), width)));
    this.table = make("table", { "aria-labelledby": "simulations-title" }, widths, head, this.body);
    scroller.append(this.table);
    this.listen();
  }

  isUsed({ value }) {
    return this.constructor.some((simulation) => value(simulation) !== null);
  }

  static some(holds) {
    for (let simulation = 0; simulation < SIMULATIONS.n; simulation++) if (holds(simulation)) return true;
    return false;
  }

  listen() {
    const render = oncePerFrame(() => this.render());
    this.scroller.addEventListener("scroll", render, { passive: true });
    new ResizeObserver(render).observe(this.scroller);
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-simulation]");
      if (row) selectSimulation(Number(row.dataset.simulation));
    });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    on("filter", () => this.refill());
    on("selection", () => this.reveal());
    addEventListener("beforeprint", () => this.render(true, MOST_PRINTED));
    addEventListener("afterprint", () => this.render(true));
    this.refill();
  }

  sort(place, direction) {
    const { kind, value } = this.columns[place];
    const keys = Array.from({ length: SIMULATIONS.n }, (_, simulation) => sortKey({ kind }, value(simulation)));
    this.order.sort((one, other) => compareKeys(keys[one], keys[other], direction) || one - other);
    this.refill();
  }

  refill() {
    this.shown = this.order.filter((simulation) => state.matches[simulation]);
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    this.scroller.scrollTop = 0;
    this.render(true);
  }

  // `all` is how many rows to show whether in sight or not.
  render(anew = false, all = 0) {
    const from = all ? 0 : Math.max(0, Math.floor(this.scroller.scrollTop / ROW_PX) - BEYOND);
    const to = Math.min(this.shown.length, all || from + Math.ceil(this.scroller.clientHeight / ROW_PX) + 2 * BEYOND);
    if (!anew && from === this.from && to === this.to) return;
    [this.from, this.to] = [from, to];
    const rows = this.shown.slice(from, to).map((simulation, place) => this.row(simulation, from + place));
    const after = all ? 0 : this.shown.length - to;
    if (!rows.length) rows.push(make("tr", {}, make("td", { colspan: this.columns.length }, "No simulation matches.")));
    this.body.replaceChildren(space(from), ...rows, space(after));
  }

  row(simulation, place) {
    const isSelected = simulation === state.selected;
    const cells = this.columns.map(({ kind, value }) => simulationCell(kind, value(simulation)));
    const row = make("tr", { "aria-rowindex": place + 2, "data-simulation": simulation }, ...cells);
    if (isSelected) row.setAttribute("aria-current", "true");
    if (!SIMULATIONS.counts[simulation]) row.className = "repeated";
    return row;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target !== this.scroller || !this.shown.length) return;
    event.preventDefault();
    const place = this.shown.indexOf(state.selected);
    const next = place < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, place + step));
    selectSimulation(this.shown[next]);
  }

  // Scrolls until the selected row is in sight.
  reveal() {
    const top = this.shown.indexOf(state.selected) * ROW_PX;
    const room = this.scroller.clientHeight - this.table.tHead.offsetHeight - ROW_PX;
    if (top >= 0 && top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top > this.scroller.scrollTop + room) this.scroller.scrollTop = top - room;
    this.render(true);
  }
}

function sized(element, width) {
  element.style.width = `${width}ch`;
  return element;
}

function space(rows) {
  const row = make("tr", { "aria-hidden": "true", class: "space" });
  row.style.height = `${rows * ROW_PX}px`;
  return row;
}

function simulationCell(kind, value) {
  if (kind === "outcome") return make("td", { class: "text" }, outcomeMark(value), value);
  if (kind === "count") return make("td", { class: "number" }, countText(value));
  if (kind === "few") return make("td", { class: "number" }, value ? countText(value) : "");
  if (kind === "usd") return make("td", { class: "number" }, usdText(value));
  if (kind === "number") return make("td", { class: "number" }, known(value) ? decimalText(value, 2) : UNKNOWN);
  return textCell(value);
}

function outcomeMark(outcome) {
  const mark = make("i", { class: `outcome ${outcome.replace(" ", "-")}`, "aria-hidden": "true" });
  mark.textContent = OUTCOME_MARKS[outcome];
  return mark;
}

function startSimulations() {
  const { simulations, calls } = DATA.left_out;
  byId("left-out").hidden = !simulations;
  byId("left-out").textContent =
    `To keep this file small, the ${countText(calls)} calls of the ${countText(simulations)} fastest simulations are left out; ` +
    "all numbers include them.";
  return new SimulationTable(document.querySelector("#simulations .scroll"));
}
