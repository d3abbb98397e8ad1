// The live curve: one canvas, fed by deltas, sharp on any screen, never folding back on itself.
(() => {
  const { el, number, say } = playground;
  const MOST = 1500; // points kept of a series; then every second one goes
  const SERIES = 8;

  /** {node, clear(), add(points), names()}; a point is [step, {name: value}]. */
  playground.curve = (unit) => {
    const canvas = el("canvas", { role: "img", tabindex: 0 });
    const legend = el("div", { class: "legend" });
    const readout = el("output", { class: "readout", "aria-live": "off" });
    const node = el("div", { class: "curve" }, [legend, el("div", { class: "plot" }, canvas), readout]);
    const series = new Map(); // name -> {steps: [], values: [], shown}
    let hover = null;
    let asked = false;

    const redraw = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        draw(canvas, series, unit, hover);
      });
    };
    new ResizeObserver(redraw).observe(node);
    new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });

    const showLegend = () => {
      legend.replaceChildren(
        ...[...series].map(([name, line], place) =>
          el(
            "button",
            {
              type: "button",
              class: "chip",
              "aria-pressed": String(line.shown),
              style: `--colour: var(--series-${(place % SERIES) + 1})`,
              onclick: (event) => {
                line.shown = !line.shown;
                event.currentTarget.setAttribute("aria-pressed", String(line.shown));
                redraw();
              },
            },
            name,
          ),
        ),
      );
    };

    /** After a resume the steps since the last save come again: the old ones give way. */
    const append = (line, step, value) => {
      while (line.steps.length && line.steps[line.steps.length - 1] >= step) {
        line.steps.pop();
        line.values.pop();
      }
      line.steps.push(step);
      line.values.push(value);
      if (line.steps.length > MOST) {
        line.steps = line.steps.filter((_, i) => i % 2 === 0 || i > MOST - 50);
        line.values = line.values.filter((_, i) => i % 2 === 0 || i > MOST - 50);
      }
    };

    const add = (points) => {
      const known = series.size;
      for (const [step, values] of points) {
        for (const [name, value] of Object.entries(values)) {
          if (!series.has(name)) series.set(name, { steps: [], values: [], shown: alike(series, value) });
          append(series.get(name), step, value);
        }
      }
      if (series.size !== known) showLegend();
      describe();
      redraw();
    };

    const describe = () => {
      const newest = [...series].map(([name, line]) => `${name} ${number(line.values[line.values.length - 1])}`);
      canvas.setAttribute("aria-label", `${say({ en: "Curve", ko: "곡선" })}: ${newest.join(", ")}`);
      tellSteps();
      if (hover === null) readout.textContent = newest.join("   ");
    };

    /** What is drawn, for whoever cannot see it: every step, and how often a line goes back (never). */
    const tellSteps = () => {
      const steps = new Set();
      let folds = 0;
      for (const line of series.values()) {
        line.steps.forEach((step, i) => {
          steps.add(step);
          folds += i > 0 && step <= line.steps[i - 1];
        });
      }
      canvas.dataset.steps = JSON.stringify([...steps].sort((a, b) => a - b));
      canvas.dataset.folds = String(folds);
    };

    const readAt = (step) => {
      const parts = [...series].map(([name, line]) => {
        const place = nearest(line.steps, step);
        return place < 0 ? "" : `${name} ${number(line.values[place])}`;
      });
      readout.textContent = `${say(unit)} ${Math.round(step)}   ${parts.join("   ")}`;
    };
    canvas.addEventListener("pointermove", (event) => {
      const span = stepSpan(series);
      if (!span) return;
      const box = canvas.getBoundingClientRect();
      const part = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      hover = span[0] + Math.min(1, Math.max(0, part)) * (span[1] - span[0]);
      readAt(hover);
      redraw();
    });
    canvas.addEventListener("pointerleave", () => {
      hover = null;
      describe();
      redraw();
    });
    const clear = () => {
      series.clear();
      showLegend();
      describe();
      redraw();
    };
    clear();
    return { node, add, clear };
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
