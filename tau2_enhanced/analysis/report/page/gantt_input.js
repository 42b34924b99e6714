// The timeline by mouse, touch and keyboard.

const CLICK_PX = 4;
const SCROLL_GOES_ON_MS = 250;

class GanttInput {
  constructor(gantt, view) {
    this.gantt = gantt;
    this.view = view;
    this.canvas = gantt.canvas;
    this.pointers = new Map();
    this.scrolledAt = -Infinity;
    const handlers = { pointerdown: "down", pointermove: "move", pointerup: "up", pointercancel: "up", pointerleave: "leave", keydown: "key" };
    for (const [event, handler] of Object.entries(handlers)) this.canvas.addEventListener(event, (given) => this[handler](given));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    document.addEventListener("wheel", (event) => this.wheelElsewhere(event), { passive: true });
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheelElsewhere(event) {
    if (event.target !== this.canvas) this.scrolledAt = event.timeStamp;
  }

  // A scroll of the page that comes past goes on; and what is shown whole can't be shown smaller.
  wheel(event) {
    const goesOn = event.timeStamp - this.scrolledAt < SCROLL_GOES_ON_MS;
    const isOut = event.deltaY > 0 && this.view.isWhole;
    if (goesOn || (isOut && !event.deltaX)) {
      this.scrolledAt = event.timeStamp;
      return;
    }
    event.preventDefault();
    this.gantt.pointedY = this.point(event).y;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.panBy(-event.deltaX, 0);
    else this.view.zoom(1.0018 ** -(event.deltaY * (event.deltaMode === 1 ? 30 : 1)), this.gantt.moment(this.point(event).x));
  }

  down(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const point = this.point(event);
    this.pointers.set(event.pointerId, point);
    this.start = { ...point, selects: event.shiftKey || point.y < AXIS_PX };
    this.hasMoved = this.pointers.size > 1;
    this.pinched = this.fingers();
    hideTip();
  }

  move(event) {
    const point = this.point(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.hover(event, point);
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size === 2) return this.pinch();
    this.hasMoved ||= Math.hypot(point.x - this.start.x, point.y - this.start.y) > CLICK_PX;
    if (!this.hasMoved) return;
    if (this.start.selects) this.mark(point.x);
    else this.panBy(point.x - before.x, point.y - before.y);
  }

  up(event) {
    const point = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!point || this.pointers.size) return;
    if (!this.hasMoved) this.click(point);
    else if (this.start.selects) this.selectRange(point.x);
  }

  leave() {
    hideTip();
    this.gantt.hovered = null;
    this.gantt.draw();
  }

  panBy(x, y) {
    this.gantt.scrollTo(this.view.top - y);
    this.view.pan((-x / (this.gantt.width - GUTTER_PX)) * this.view.span);
  }

  fingers() {
    const [one, other] = [...this.pointers.values()];
    return other && { middle: (one.x + other.x) / 2, apart: Math.max(12, Math.abs(one.x - other.x)) };
  }

  pinch() {
    const now = this.fingers();
    this.view.zoom(now.apart / this.pinched.apart, this.gantt.moment(this.pinched.middle));
    this.panBy(now.middle - this.pinched.middle, 0);
    this.pinched = now;
  }

  // The range that is being selected.
  mark(x) {
    this.gantt.paint();
    const { context, colours, height } = this.gantt;
    context.fillStyle = colours.mark;
    context.globalAlpha = 0.22;
    context.fillRect(Math.min(x, this.start.x), 0, Math.abs(x - this.start.x), height);
    context.globalAlpha = 1;
  }

  selectRange(x) {
    const [from, to] = [x, this.start.x].map((one) => this.gantt.moment(one)).sort((one, other) => one - other);
    this.view.glideTo(from, to);
  }

  click(point) {
    const found = this.gantt.under(point.x, point.y);
    if (found?.simulation === state.selected) this.gantt.show(state.selected);
    else if (found) selectSimulation(found.simulation);
  }

  hover(event, point) {
    const found = this.gantt.under(point.x, point.y);
    const before = this.gantt.hovered;
    if (found?.simulation !== before?.simulation || found?.call !== before?.call) {
      this.gantt.hovered = found;
      this.gantt.draw();
    }
    this.canvas.style.cursor = found ? "pointer" : point.y < AXIS_PX ? "col-resize" : "grab";
    if (found) showTip(event, found);
    else hideTip();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = this.view.span / 6;
    const actions = {
      "+": () => this.view.zoom(1.5),
      "=": () => this.view.zoom(1.5),
      "-": () => this.view.zoom(1 / 1.5),
      0: () => this.view.showAll(),
      ArrowLeft: () => this.view.pan(-step),
      ArrowRight: () => this.view.pan(step),
      ArrowUp: () => this.panBy(0, this.gantt.rowPx),
      ArrowDown: () => this.panBy(0, -this.gantt.rowPx),
      "[": () => selectNeighbour(-1),
      "]": () => selectNeighbour(1),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

// The simulation that began before or after the selected one, of those that the filters leave.
function selectNeighbour(step) {
  let simulation = state.selected < 0 ? (step > 0 ? -1 : SIMULATIONS.n) : state.selected;
  do simulation += step;
  while (simulation >= 0 && simulation < SIMULATIONS.n && !state.matches[simulation]);
  if (simulation >= 0 && simulation < SIMULATIONS.n) selectSimulation(simulation);
}

function hideTip() {
  byId("tip").hidden = true;
}

function showTip(event, found) {
  const tip = byId("tip");
  const [title, facts] = found.call === null ? simulationTip(found.simulation) : callTip(found.simulation, found.call);
  tip.replaceChildren(title, make("dl", {}, ...facts.filter(([, value]) => known(value)).map(pair)));
  tip.hidden = false;
  const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16;
  const top = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8);
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
}

function simulationTip(simulation) {
  const of = (name) => SIMULATIONS[name][simulation];
  const title = make("strong", {}, outcomeMark(of("outcome")), titleOf(simulation));
  return [title, simulationFacts(simulation).concat([["calls", `${countText(of("llm_calls"))} agent, ${countText(of("tool_calls"))} tool`]])];
}

function callTip(simulation, call) {
  const of = (name) => CALLS[name][call];
  const cached = of("cached_tokens") ? ` (${countText(of("cached_tokens"))} cached)` : "";
  const wait = of("retry_wait_us") ? `, waited ${durationText(of("retry_wait_us"))}` : "";
  const title = make("strong", {}, swatch(`var(--${of("kind")})`), `${CALL_NAMES[of("kind")]} ${of("name") ?? ""}`);
  return [title, [
    ["took", durationText(of("duration_us"))],
    ["first token", known(of("ttft_us")) ? durationText(of("ttft_us")) : null],
    ["began at", clockText(of("start_us"), 1e3)],
    ["in its task", `+${durationText(of("start_us") - SIMULATIONS.start_us[simulation])}`],
    ["tokens in", known(of("input_tokens")) ? countText(of("input_tokens")) + cached : null],
    ["tokens out", known(of("output_tokens")) ? countText(of("output_tokens")) : null],
    ["USD", known(of("cost_usd")) ? usdText(of("cost_usd")) : null],
    ["attempts", of("attempts") > 1 ? countText(of("attempts")) + wait : null],
    ["called by", of("requestor")],
    ["error", of("error") && make("b", { class: "failure" }, `✗ ${of("error")}`)],
    ["step", known(of("step")) ? countText(of("step")) : null],
    ["of", make("span", {}, outcomeMark(SIMULATIONS.outcome[simulation]), titleOf(simulation))],
  ]];
}
