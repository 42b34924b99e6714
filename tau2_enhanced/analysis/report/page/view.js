// Which part of the run the timeline shows: from and to in µs, and how far its rows are scrolled.

const WHOLE_RUN = extent();
const SHORTEST_US = 20;
const MARGIN = 0.015;
const GLIDE_MS = 220;

class View {
  constructor(changed) {
    this.changed = changed;
    this.top = 0;
    this.glide = 0;
    const margin = MARGIN * (WHOLE_RUN.to - WHOLE_RUN.from);
    this.least = WHOLE_RUN.from - margin;
    this.most = WHOLE_RUN.to + margin;
    this.from = this.least;
    this.to = this.most;
  }

  get span() {
    return this.to - this.from;
  }

  get isWhole() {
    return this.span >= 0.9999 * (this.most - this.least);
  }

  set(from, to) {
    cancelAnimationFrame(this.glide);
    this.place(from, to);
  }

  place(from, to) {
    const span = Math.min(Math.max(to - from, SHORTEST_US), this.most - this.least);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - span / 2, this.least), this.most - span);
    this.to = this.from + span;
    this.changed();
  }

  // The moment `at` stays where it is.
  zoom(factor, at = (this.from + this.to) / 2) {
    this.set(at - (at - this.from) / factor, at + (this.to - at) / factor);
  }

  pan(us) {
    this.set(this.from + us, this.to + us);
  }

  showAll() {
    this.glideTo(this.least, this.most);
  }

  showAround(from, to) {
    const margin = Math.max(0.04 * (to - from), SHORTEST_US / 2);
    this.glideTo(from - margin, to + margin);
  }

  glideTo(from, to) {
    cancelAnimationFrame(this.glide);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.place(from, to);
    const [fromBefore, toBefore, begin] = [this.from, this.to, performance.now()];
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - begin) / GLIDE_MS));
      const eased = 1 - (1 - done) ** 3;
      this.place(fromBefore + (from - fromBefore) * eased, toBefore + (to - toBefore) * eased);
      if (done < 1) this.glide = requestAnimationFrame(step);
    };
    this.glide = requestAnimationFrame(step);
  }
}

// Moments for an axis: a round step so that about `room / 90` of them fit.
function ticks(view, room) {
  const rough = view.span / Math.max(1, room / 90);
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400].map((s) => s * 1e6);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = rough < 1e6 ? [1, 2, 5, 10].map((n) => n * power).find((one) => one >= rough) : (steps.find((one) => one >= rough) ?? 86400e6);
  const found = [];
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) found.push(at);
  return { step, moments: found };
}
