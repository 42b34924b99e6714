// The timeline's drawing: a row for each worker, a bar for each simulation, and from near its calls.

const GUTTER_PX = 78;
const AXIS_PX = 22;
const MOST_PX = 620;
// From this median width of simulations on their calls are shown, in rows at least that high.
const NEAR_PX = 110;
const NEAR_ROW_PX = 28;
const CALL_HALVES = { llm_call: 0, expert_call: 0, user_sim: 1, evaluator: 1 };
const DARK_CALLS = new Set(["llm_call"]);

class Gantt {
  constructor(canvas, view) {
    this.canvas = canvas;
    this.view = view;
    this.hovered = null;
    this.median = medianSpan();
    this.farRowPx = Math.min(42, Math.max(7, Math.floor(520 / Math.max(1, LANES.length))));
    this.rowPx = this.farRowPx;
    this.pointedY = AXIS_PX;
    this.height = Math.min(MOST_PX, AXIS_PX + this.rowPx * LANES.length + 2);
    canvas.style.height = `${this.height}px`;
    this.draw = oncePerFrame(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(canvas);
    on("filter", this.draw);
    on("selection", this.draw);
  }

  get width() {
    return this.canvas.clientWidth;
  }

  get mostTop() {
    return Math.max(0, AXIS_PX + this.rowPx * LANES.length + 2 - this.height);
  }

  x(us) {
    return GUTTER_PX + ((us - this.view.from) / this.view.span) * (this.width - GUTTER_PX);
  }

  moment(x) {
    return this.view.from + ((x - GUTTER_PX) / (this.width - GUTTER_PX)) * this.view.span;
  }

  y(lane) {
    return AXIS_PX + lane * this.rowPx - this.view.top;
  }

  // Whether simulations are wide enough to show their calls.
  get isNear() {
    return (this.median / this.view.span) * this.width >= NEAR_PX;
  }

  // Rows grow where calls are shown; what the pointer is on stays there.
  fitRows() {
    const rowPx = this.isNear ? Math.max(NEAR_ROW_PX, this.farRowPx) : this.farRowPx;
    const below = this.pointedY - AXIS_PX;
    if (rowPx !== this.rowPx) this.view.top = ((this.view.top + below) * rowPx) / this.rowPx - below;
    this.rowPx = rowPx;
    this.scrollTo(this.view.top);
  }

  scrollTo(top) {
    this.view.top = Math.min(this.mostTop, Math.max(0, top));
  }

  show(simulation) {
    if (simulation < 0 || SIMULATIONS.lane[simulation] === null) return;
    this.showLane(SIMULATIONS.lane[simulation]);
    this.view.showAround(SIMULATIONS.start_us[simulation], endOf(simulation));
  }

  // Scrolls to the row, and lets it stay in sight when rows grow.
  showLane(lane) {
    const middle = (this.height - AXIS_PX) / 2;
    const y = lane * this.rowPx - this.view.top;
    if (y < 0 || y > this.height - AXIS_PX - this.rowPx) this.scrollTo(lane * this.rowPx - middle);
    this.pointedY = Math.min(this.height, Math.max(AXIS_PX, this.y(lane) + this.rowPx / 2));
  }

  paint() {
    this.fitRows();
    this.context = prepared(this.canvas);
    this.colours = palette();
    this.hatch = hatching(this.context, this.colours.soft);
    this.dots = dotting(this.context);
    const first = Math.max(0, Math.floor(this.view.top / this.rowPx));
    const last = Math.min(LANES.length, Math.ceil((this.view.top + this.height - AXIS_PX) / this.rowPx));
    this.axis();
    this.clip(GUTTER_PX, AXIS_PX);
    for (let lane = first; lane < last; lane++) this.lane(lane);
    this.context.restore();
    this.clip(0, AXIS_PX);
    this.names(first, last);
    this.scrollbar();
    this.context.restore();
  }

  clip(left, top) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(left, top, this.width - left, this.height - top);
    this.context.clip();
  }

  axis() {
    const { context, colours } = this;
    const { step, moments } = ticks(this.view, this.width - GUTTER_PX);
    context.font = `11px ${colours.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const at of moments) {
      const x = Math.round(this.x(at)) + 0.5;
      context.strokeStyle = colours.rule;
      line(context, x, AXIS_PX - 4, x, this.height);
      context.fillStyle = colours.soft;
      if (x > GUTTER_PX + 14 && x < this.width - 16) context.fillText(clockText(at, step), x, AXIS_PX / 2 - 1);
    }
  }

  names(first, last) {
    const { context, colours } = this;
    const every = Math.ceil(12 / this.rowPx);
    context.font = `11px ${colours.font}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (let lane = first; lane < last; lane++) {
      const { name, title } = LANES[lane];
      const y = this.y(lane) + this.rowPx / 2;
      context.fillStyle = title ? colours.ink : colours.soft;
      if (title) context.fillText(title, 2, y);
      else if (lane % every === 0) context.fillText(name, 2, y, GUTTER_PX - 8);
    }
  }

  scrollbar() {
    if (!this.mostTop) return;
    const room = this.height - AXIS_PX;
    const share = room / (this.mostTop + room);
    this.context.fillStyle = this.colours.mark;
    this.context.fillRect(this.width - 4, AXIS_PX + share * this.view.top, 4, share * room);
  }

  lane(lane) {
    const own = LANES[lane].simulations;
    let coveredTo = -Infinity;
    for (let place = firstEndingAfter(own, this.view.from); place < own.length; place++) {
      const simulation = own[place];
      const [x0, x1] = [this.x(SIMULATIONS.start_us[simulation]), this.x(endOf(simulation))];
      if (x0 > this.width) break;
      if (x1 < coveredTo + 0.5 && simulation !== state.selected) continue;
      this.simulation(simulation, Math.max(x0, -9), Math.min(x1, this.width + 9), this.y(lane));
      coveredTo = Math.max(x1, x0 + 1);
    }
  }

  simulation(simulation, x0, x1, y) {
    const { context } = this;
    const gap = this.rowPx > 14 ? 4 : 1.5;
    const box = { x: x0, y: y + gap / 2, width: Math.max(1, x1 - x0 - 0.75), height: this.rowPx - gap };
    context.globalAlpha = state.matches[simulation] ? 1 : 0.13;
    if (this.isNear) this.near(simulation, box);
    else this.far(simulation, box);
    context.globalAlpha = 1;
    this.frame(simulation, box);
  }

  frame(simulation, box) {
    const isSelected = simulation === state.selected;
    if (!isSelected && this.hovered?.simulation !== simulation) return;
    this.context.strokeStyle = this.colours.ink;
    this.context.lineWidth = isSelected ? 2 : 1;
    this.context.strokeRect(box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1);
    this.context.lineWidth = 1;
  }

  far(simulation, box) {
    this.outcome(simulation, box);
    if (box.width < 15 || box.height < 11) return;
    const outcome = SIMULATIONS.outcome[simulation];
    const task = SIMULATIONS.task[simulation] ?? "";
    const long = `${OUTCOME_MARKS[outcome]} ${task}`;
    const text = this.fits(long, box.width - 6) ? long : OUTCOME_MARKS[outcome];
    const { width } = this.context.measureText(text);
    this.outcomeText(outcome, text, box.x + (box.width - width) / 2, width, box);
  }

  // Words on an outcome's colour; on a pattern they stand on what is beneath it.
  outcomeText(outcome, text, x, width, box) {
    const { context, colours } = this;
    if (this.pattern(outcome)) {
      context.fillStyle = this.ground(outcome);
      context.fillRect(x - 3, box.y + 1, width + 6, box.height - 2);
    }
    context.fillStyle = { passed: "#1d2b26", failed: "#ffffff", unfinished: "#1d2b26" }[outcome] ?? colours.ink;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(text, x, box.y + box.height / 2 + 0.5);
  }

  outcome(simulation, box) {
    const { context, colours } = this;
    const outcome = SIMULATIONS.outcome[simulation];
    context.fillStyle = this.ground(outcome);
    context.fillRect(box.x, box.y, box.width, box.height);
    if (!this.pattern(outcome)) return;
    context.fillStyle = this.pattern(outcome);
    context.fillRect(box.x, box.y, box.width, box.height);
    if (box.width < 3 || box.height < 5) return;
    context.strokeStyle = colours.soft;
    context.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
  }

  ground(outcome) {
    return outcome === "no verdict" ? this.colours.paper : this.colours[outcome];
  }

  pattern(outcome) {
    return { "no verdict": this.hatch, unfinished: this.dots }[outcome];
  }

  // A simulation from near: its outcome and task above, its calls below.
  near(simulation, box) {
    const { context, colours } = this;
    const headPx = box.height >= 23 ? 11 : 3;
    context.fillStyle = colours.track;
    context.fillRect(box.x, box.y, box.width, box.height);
    this.outcome(simulation, { ...box, height: headPx });
    if (headPx > 3) this.heading(simulation, { ...box, height: headPx });
    const band = { ...box, y: box.y + headPx + 1, height: box.height - headPx - 1 };
    if (!SIMULATIONS.calls[simulation]) return;
    for (let call = FIRST_CALL[simulation]; call < FIRST_CALL[simulation + 1]; call++) this.call(call, band);
    for (let call = FIRST_CALL[simulation]; call < FIRST_CALL[simulation + 1]; call++) this.failure(call, band);
  }

  heading(simulation, box) {
    const left = Math.max(box.x, GUTTER_PX);
    const room = box.x + box.width - left - 8;
    const outcome = SIMULATIONS.outcome[simulation];
    const names = [titleOf(simulation), `task ${SIMULATIONS.task[simulation]}`, ""].map((name) => `${OUTCOME_MARKS[outcome]} ${name}`);
    this.context.font = `10px ${this.colours.font}`;
    const name = names.find((one) => this.context.measureText(one).width < room);
    if (name) this.outcomeText(outcome, name, left + 4, this.context.measureText(name).width, box);
  }

  call(call, band) {
    const box = this.callBox(call, band);
    if (box.x > this.width || box.x + box.width < GUTTER_PX - 200) return;
    const { context, colours } = this;
    const kind = CALLS.kind[call];
    const wait = CALLS.retry_wait_us[call];
    if (wait) this.wait(this.x(CALLS.start_us[call] - wait), box);
    context.fillStyle = colours[kind] ?? colours.other;
    context.fillRect(box.x, box.y, box.width, box.height);
    if (this.hovered?.call === call) {
      context.strokeStyle = colours.ink;
      context.strokeRect(box.x + 0.5, box.y + 0.5, Math.max(1, box.width - 1), box.height - 1);
    }
    if (box.width > 26 && box.height >= 9) {
      const name = kind === "tool_call" ? (CALLS.name[call] ?? "tool") : CALL_NAMES[kind];
      const seen = { ...box, x: Math.max(box.x, GUTTER_PX), width: Math.min(box.x + box.width, this.width) - Math.max(box.x, GUTTER_PX) };
      if (this.fits(name, seen.width - 6)) this.text(name, seen, DARK_CALLS.has(kind) ? "#fff" : "#1d1d1d");
    }
  }

  // The agent's calls are in the upper half, the user's and the judge's in the lower one; tools take both.
  callBox(call, band) {
    const half = CALL_HALVES[CALLS.kind[call]];
    const x = this.x(CALLS.start_us[call]);
    const width = Math.max(1, this.x(CALLS.start_us[call] + CALLS.duration_us[call]) - x);
    if (half === undefined) return { x, width, y: band.y, height: band.height };
    return { x, width, y: band.y + (half * band.height) / 2, height: band.height / 2 };
  }

  wait(x, box) {
    const { context } = this;
    context.fillStyle = this.colours.paper;
    context.fillRect(x, box.y, box.x - x, box.height);
    context.fillStyle = this.hatch;
    context.fillRect(x, box.y, box.x - x, box.height);
  }

  failure(call, band) {
    if (CALLS.error[call] === null) return;
    const box = this.callBox(call, band);
    const [x, y] = [box.x + Math.min(box.width / 2, 6), box.y + box.height / 2];
    const { context, colours } = this;
    for (const [style, width] of [[colours.paper, 4], [colours.failed, 2]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      line(context, x - 3, y - 3, x + 3, y + 3);
      line(context, x - 3, y + 3, x + 3, y - 3);
    }
    context.lineWidth = 1;
  }

  fits(text, room) {
    this.context.font = `10px ${this.colours.font}`;
    return this.context.measureText(text).width <= room;
  }

  text(text, box, colour) {
    const { context } = this;
    context.font = `10px ${this.colours.font}`;
    context.fillStyle = colour;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, box.x + box.width / 2, box.y + box.height / 2 + 0.5);
  }

  // What lies under a point of the canvas: a simulation and, from near, a call of it.
  under(x, y) {
    const lane = Math.floor((y - AXIS_PX + this.view.top) / this.rowPx);
    if (x < GUTTER_PX || y < AXIS_PX || !LANES[lane]) return null;
    const simulation = this.nearest(LANES[lane].simulations, x);
    if (simulation === null) return null;
    return { simulation, call: this.isNear ? this.callUnder(simulation, x, y - this.y(lane)) : null };
  }

  nearest(own, x) {
    const place = firstEndingAfter(own, this.moment(x - 2));
    const simulation = own[place];
    if (simulation === undefined || this.x(SIMULATIONS.start_us[simulation]) > x + 2) return null;
    return simulation;
  }

  // Of the calls near the pointer the one whose edge is nearest, then the shortest: short tools can be hit.
  callUnder(simulation, x, y) {
    let best = null;
    let least = [3.5, Infinity];
    const isUpper = y < this.rowPx / 2 + 5;
    for (let call = FIRST_CALL[simulation]; call < FIRST_CALL[simulation + 1]; call++) {
      const half = CALL_HALVES[CALLS.kind[call]];
      const [x0, x1] = [this.x(CALLS.start_us[call]), this.x(CALLS.start_us[call] + CALLS.duration_us[call])];
      const away = Math.max(0, x0 - x, x - x1) + (half !== undefined && (half === 0) !== isUpper ? 1.5 : 0);
      if (away < least[0] || (away === least[0] && x1 - x0 < least[1])) {
        best = call;
        least = [away, x1 - x0];
      }
    }
    return best;
  }
}

function firstEndingAfter(own, us) {
  let [low, high] = [0, own.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(own[middle]) < us) low = middle + 1;
    else high = middle;
  }
  return low;
}

function medianSpan() {
  const spans = LANES.flatMap(({ simulations }) => simulations.map((simulation) => SIMULATIONS.span_us[simulation]));
  spans.sort((one, other) => one - other);
  return spans[spans.length >> 1] ?? 1;
}
