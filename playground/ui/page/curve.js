// The live curve: one canvas, fed by deltas, sharp on any screen, never folding back on itself.
(() => {
  const { el, number, say } = playground;
  const MOST = 1500; // points kept of a series; then every second one goes
  const SERIES = 10;

  class LiveCurve {
    constructor(unit) {
      Object.assign(this, { unit, series: new Map(), hover: null, asked: false });
      this.canvas = el("canvas", { role: "img", tabindex: 0 });
      this.legend = el("div", { class: "legend" });
      this.empty = el("p", { class: "hint" }, say({ en: "The curve grows here.", ko: "곡선이 여기에 그려집니다." }));
      this.readout = el("output", { class: "readout", "aria-live": "off" });
      const plot = el("div", { class: "plot" }, [this.canvas, this.empty]);
      this.node = el("div", { class: "curve" }, [this.legend, plot, this.readout]);
      new ResizeObserver(() => this.redraw()).observe(this.node);
      const look = { attributes: true, attributeFilter: ["class"] };
      new MutationObserver(() => this.redraw()).observe(document.body, look); // light or dark
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerleave", () => this.leave());
      this.clear();
    }

    clear() {
      this.series.clear();
      this.showLegend();
      this.describe();
      this.redraw();
    }

    /** points: [step, {name: value}] in the order of the steps. */
    add(points) {
      const known = this.series.size;
      for (const [step, values] of points) {
        for (const [name, value] of Object.entries(values)) {
          if (!this.series.has(name)) this.series.set(name, { steps: [], values: [], shown: alike(this.series, value) });
          append(this.series.get(name), step, value);
        }
      }
      if (this.series.size !== known) this.showLegend();
      this.describe();
      this.redraw();
    }

    redraw() {
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame(() => {
        this.asked = false;
        draw(this.canvas, this.series, this.unit, this.hover);
      });
    }

    showLegend() {
      this.empty.hidden = this.series.size > 0;
      this.legend.replaceChildren(...[...this.series].map(([name, line], place) => this.chip(name, line, place)));
    }

    /** A line's name, which switches it on and off. */
    chip(name, line, place) {
      const toggle = (event) => {
        line.shown = !line.shown;
        event.currentTarget.setAttribute("aria-pressed", String(line.shown));
        this.redraw();
      };
      const style = `--colour: var(--series-${(place % SERIES) + 1})`;
      const pressed = String(line.shown);
      return el("button", { type: "button", class: "chip", "aria-pressed": pressed, style, onclick: toggle }, name);
    }

    describe() {
      const newest = [...this.series].map(([name, line]) => `${name} ${number(line.values[line.values.length - 1])}`);
      this.canvas.setAttribute("aria-label", `${say({ en: "Curve", ko: "곡선" })}: ${newest.join(", ")}`);
      this.tellSteps();
      if (this.hover === null) this.readout.textContent = newest.join("   ");
    }

    /** What is drawn, for whoever cannot see it: every step, and how often a line goes back (never). */
    tellSteps() {
      const steps = new Set();
      let folds = 0;
      for (const line of this.series.values()) {
        line.steps.forEach((step, i) => {
          steps.add(step);
          folds += i > 0 && step <= line.steps[i - 1];
        });
      }
      this.canvas.dataset.steps = JSON.stringify([...steps].sort((a, b) => a - b));
      this.canvas.dataset.folds = String(folds);
    }

    // --- The pointer reads values

    point(event) {
      const span = stepSpan(this.series);
      if (!span) return;
      const box = this.canvas.getBoundingClientRect();
      const part = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      this.hover = span[0] + Math.min(1, Math.max(0, part)) * (span[1] - span[0]);
      const parts = [...this.series].map(([name, line]) => {
        const place = nearest(line.steps, this.hover);
        return place < 0 ? "" : `${name} ${number(line.values[place])}`;
      });
      this.readout.textContent = `${say(this.unit)} ${Math.round(this.hover)}   ${parts.join("   ")}`;
      this.redraw();
    }

    leave() {
      this.hover = null;
      this.describe();
      this.redraw();
    }
  }

  /** {node, add(points), clear()} */
  playground.curve = (unit) => new LiveCurve(unit);

  /** After a resume the steps since the last save come again: the old ones give way. */
  const append = (line, step, value) => {
    while (line.steps.length && line.steps[line.steps.length - 1] >= step) {
      line.steps.pop();
      line.values.pop();
    }
    line.steps.push(step);
    line.values.push(value);
    if (line.steps.length > MOST) {
      const kept = (_, i) => i % 2 === 0 || i > MOST - 50;
      line.steps = line.steps.filter(kept);
      line.values = line.values.filter(kept);
    }
  };

  const LEFT = 52;
  const RIGHT = 10;
  const TOP = 8;
  const BOTTOM = 24;

  /** Whether a new line can share the axis of the first one; the others wait to be switched on. */
  const alike = (series, value) => {
    const first = series.values().next().value?.values[0];
    if (first === undefined) return true;
    return series.size < 4 && value * first > 0 && Math.abs(value) < 6 * Math.abs(first) && Math.abs(first) < 6 * Math.abs(value);
  };

  const nearest = (steps, step) => {
    if (!steps.length) return -1;
    let [low, high] = [0, steps.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] < step) low = middle + 1;
      else high = middle;
    }
    return low > 0 && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
  };

  const shownLines = (series) => [...series.values()].filter((line) => line.shown && line.steps.length);

  const stepSpan = (series) => {
    const lines = shownLines(series);
    if (!lines.length) return null;
    const first = Math.min(...lines.map((line) => line.steps[0]));
    const last = Math.max(...lines.map((line) => line.steps[line.steps.length - 1]));
    return first === last ? [first - 1, last + 1] : [first, last];
  };

  /** Lowest and highest value, without the few wild ones at the start of a training. */
  const valueSpan = (lines) => {
    const all = lines.flatMap((line) => line.values).sort((a, b) => a - b);
    const cut = all.length > 60 ? Math.floor(all.length * 0.01) : 0;
    const [low, high] = [all[cut], all[all.length - 1 - cut]];
    const room = (high - low) * 0.06 || Math.abs(low) * 0.1 || 1;
    return [low - room, high + room];
  };

  const ticks = (low, high, most) => {
    let step = 10 ** Math.floor(Math.log10((high - low) / most));
    step *= [1, 2, 5, 10, 20].find((m) => (high - low) / (m * step) <= most) ?? 20;
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) found.push(k * step);
    return found;
  };

  const colour = (canvas, name) => getComputedStyle(canvas).getPropertyValue(name).trim();

  const draw = (canvas, series, unit, hover) => {
    const box = canvas.parentElement.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [box.width, box.height];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const ink = colour(canvas, "--ink-soft");
    pen.font = `12px ${getComputedStyle(canvas).fontFamily}`;
    const lines = shownLines(series);
    const span = stepSpan(series);
    if (!span) return;
    const values = valueSpan(lines);
    const x = (step) => LEFT + ((step - span[0]) / (span[1] - span[0])) * (width - LEFT - RIGHT);
    const y = (value) => TOP + ((values[1] - value) / (values[1] - values[0])) * (height - TOP - BOTTOM);
    axes(pen, { width, height, ink, line: colour(canvas, "--line"), span, values, x, y, unit });
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, TOP - 2, width - LEFT - RIGHT, height - TOP - BOTTOM + 4);
    pen.clip();
    [...series.values()].forEach((line, place) => {
      if (!line.shown || !line.steps.length) return;
      pen.strokeStyle = pen.fillStyle = colour(canvas, `--series-${(place % SERIES) + 1}`);
      pen.lineWidth = 1.6;
      pen.lineJoin = "round";
      pen.beginPath();
      line.steps.forEach((step, i) => (i ? pen.lineTo(x(step), y(line.values[i])) : pen.moveTo(x(step), y(line.values[i]))));
      pen.stroke();
      if (line.steps.length <= 2) {
        line.steps.forEach((step, i) => {
          pen.beginPath();
          pen.arc(x(step), y(line.values[i]), 3.5, 0, 7);
          pen.fill();
        });
      }
    });
    if (hover !== null) {
      pen.strokeStyle = ink;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x(hover), TOP);
      pen.lineTo(x(hover), height - BOTTOM);
      pen.stroke();
    }
    pen.restore();
  };

  const axes = (pen, { width, height, ink, line, span, values, x, y, unit }) => {
    pen.fillStyle = ink;
    pen.strokeStyle = line;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const tick of ticks(...values, 4)) {
      pen.beginPath();
      pen.moveTo(LEFT, Math.round(y(tick)) + 0.5);
      pen.lineTo(width - RIGHT, Math.round(y(tick)) + 0.5);
      pen.stroke();
      pen.fillText(number(Number(tick.toPrecision(6))), LEFT - 6, y(tick));
    }
    pen.textBaseline = "top";
    pen.textAlign = "center";
    const named = say(unit);
    const room = pen.measureText(named).width + 12;
    for (const tick of ticks(...span, Math.max(2, Math.floor(width / 110)))) {
      if (Number.isInteger(tick) && x(tick) < width - RIGHT - room) pen.fillText(number(tick), x(tick), height - BOTTOM + 8);
    }
    pen.textAlign = "right";
    pen.fillText(named, width - RIGHT, height - BOTTOM + 8);
  };
})();
