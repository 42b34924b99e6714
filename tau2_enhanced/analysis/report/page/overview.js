// The strip above the timeline: what ran at once over the whole run, and which part of it is shown.

class Overview {
  constructor(canvas, view) {
    this.canvas = canvas;
    this.view = view;
    this.draw = oncePerFrame(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
  }

  get room() {
    return this.canvas.clientWidth - GUTTER_PX;
  }

  x(us) {
    return GUTTER_PX + ((us - this.view.least) / (this.view.most - this.view.least)) * this.room;
  }

  moment(event) {
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    return this.view.least + ((x - GUTTER_PX) / this.room) * (this.view.most - this.view.least);
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.begin = { x: event.clientX, us: this.moment(event) };
  }

  move(event) {
    if (!this.begin || Math.abs(event.clientX - this.begin.x) <= CLICK_PX) return;
    const now = this.moment(event);
    this.view.set(Math.min(now, this.begin.us), Math.max(now, this.begin.us));
  }

  up(event) {
    if (this.begin && Math.abs(event.clientX - this.begin.x) <= CLICK_PX) {
      const half = this.view.span / 2;
      this.view.glideTo(this.begin.us - half, this.begin.us + half);
    }
    this.begin = null;
  }

  paint() {
    const context = prepared(this.canvas);
    const colours = palette();
    const found = DATA.concurrency;
    if (found) this.levels(context, colours, found);
    this.window(context, colours);
  }

  levels(context, colours, found) {
    const height = this.canvas.clientHeight;
    const known = [found.simulations, found.model_calls, found.waiting_to_retry].filter(Boolean);
    const peak = Math.max(...known.map((level) => level.peak));
    const y = (level) => height - 1 - (level / peak) * (height - 12);
    if (found.simulations) this.area(context, colours, found, found.simulations.mean_over_time, y);
    if (found.simulations) this.outline(context, found, found.simulations, y, colours.soft);
    if (found.model_calls) this.outline(context, found, found.model_calls, y, colours.llm_call, 1.5);
    if (found.waiting_to_retry) this.outline(context, found, found.waiting_to_retry, y, colours.failed, 1.5);
    this.words(context, colours, found, height);
  }

  area(context, colours, found, means, y) {
    context.fillStyle = colours.track;
    this.steps(context, found, means, y);
    context.lineTo(this.x((found.start_ms + found.bin_ms * means.length) * 1e3), y(0));
    context.lineTo(this.x(found.start_ms * 1e3), y(0));
    context.fill();
  }

  steps(context, found, means, y) {
    context.beginPath();
    means.forEach((mean, bin) => {
      const [from, to] = [bin, bin + 1].map((edge) => this.x((found.start_ms + found.bin_ms * edge) * 1e3));
      context.lineTo(from, y(mean));
      context.lineTo(to, y(mean));
    });
  }

  outline(context, found, level, y, colour, width = 1) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    this.steps(context, found, level.mean_over_time, y);
    context.stroke();
    context.lineWidth = 1;
  }

  words(context, colours, found, height) {
    context.font = `10px ${colours.font}`;
    context.textBaseline = "alphabetic";
    const lines = [
      found.simulations && [`${decimalText(found.simulations.mean, 1)} running`, colours.soft],
      found.model_calls && [`${decimalText(found.model_calls.mean, 1)} calling`, colours.llm_call],
      found.waiting_to_retry && [`${decimalText(found.waiting_to_retry.mean, 1)} waiting`, colours.failed],
    ].filter(Boolean);
    lines.forEach(([text, colour], place) => {
      context.fillStyle = colour;
      context.fillText(text, 2, height - 4 - 13 * (lines.length - 1 - place), GUTTER_PX - 8);
    });
  }

  window(context, colours) {
    const height = this.canvas.clientHeight;
    const [from, to] = [this.x(this.view.from), this.x(this.view.to)];
    if (this.view.isWhole) return;
    context.fillStyle = colours.paper;
    context.globalAlpha = 0.72;
    context.fillRect(GUTTER_PX, 0, from - GUTTER_PX, height);
    context.fillRect(to, 0, this.canvas.clientWidth - to, height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.ink;
    context.strokeRect(from - 0.5, 0.5, Math.max(2, to - from) + 1, height - 1);
  }
}
