// What is made by hand: pictures, masks over them, points in the plane. By mouse, by finger, by keyboard or from a file.
(() => {
  const { el, say, fill, newId, Problem, button, medium, chooser, saver } = playground;

  const SIDE = 256; // of a surface, about, in its own pixels
  const STATES = 30; // that Undo can go back
  const UNDO = { en: "Undo", ko: "되돌리기" };
  const CLEAR = { en: "Clear", ko: "지우기" };
  const PICTURES = "image/png,image/jpeg,image/webp,image/gif,image/bmp";
  const KEYS = {
    en: "By keyboard: arrows move, Space paints, Shift with arrows paints on the way.",
    ko: "키보드: 화살표로 움직이고, 스페이스로 칠하고, Shift와 화살표로 이어 칠합니다.",
  };

  /**
   * A canvas that a pointer or the keyboard paints on. brush() is the diameter of what `paint(from, to, first)` leaves,
   * in the canvas's own pixels; `begin()` comes before a stroke and `done()` after it.
   */
  const surface = (label, width, height, { brush, begin, paint, done }) => {
    const keys = el("span", { class: "keys", id: newId("keys") }, say(KEYS));
    const name = { "aria-label": say(label), "aria-describedby": keys.id, role: "application", tabindex: 0 };
    const canvas = el("canvas", { width, height, class: "paint", ...name });
    const ring = el("span", { class: "ring", "aria-hidden": "true" });
    let at = [width / 2, height / 2];
    let held = null; // the pointer that paints
    const move = (place) => {
      at = place;
      const share = (part, whole) => `${(100 * part) / whole}%`;
      const [left, top] = [share(at[0], width), share(at[1], height)];
      Object.assign(ring.style, { left, top, width: share(brush(), width), height: share(brush(), height) });
    };
    const placeOf = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (held !== null || event.button !== 0) return;
      held = event.pointerId;
      canvas.setPointerCapture(held);
      begin();
      move(placeOf(event));
      paint(at, at, true);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (held !== null && event.pointerId !== held) return;
      const before = at;
      move(placeOf(event));
      if (held !== null) paint(before, at, false);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId !== held) return;
        held = null;
        done();
      });
    }
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const before = at;
      const far = width / 28;
      move([at[0] + step[0] * far, at[1] + step[1] * far].map((v, axis) => Math.min([width, height][axis] - 1, Math.max(1, v))));
      if (event.key !== " " && !event.shiftKey) return;
      begin();
      paint(before, at, true);
      done();
    });
    move(at);
    return { node: el("div", { class: "surface" }, [canvas, ring, keys]), canvas, resize: () => move(at) };
  };

  /** The states before the last changes: `mark()` before one, and a button that goes back. */
  const undoing = (read, write) => {
    const states = [];
    const back = button(UNDO, () => (write(states.pop()), (back.disabled = !states.length)));
    back.disabled = true;
    const mark = () => {
      states.push(read());
      if (states.length > STATES) states.shift();
      back.disabled = false;
    };
    return { mark, back };
  };

  const slider = (label, low, high, value, changed) => {
    const id = newId("brush");
    const input = el("input", { id, type: "range", min: low, max: high, step: 1, value, oninput: changed });
    return { node: el("div", { class: "brush" }, [el("label", { for: id }, say(label)), input]), get: () => Number(input.value) };
  };

  // --- Picture files

  const NO_PICTURE = { en: "This file is not a picture that can be read.", ko: "읽을 수 있는 사진 파일이 아닙니다." };
  const TOO_LARGE = {
    en: "This picture has {n} million pixels; at most {most} million can be used.",
    ko: "이 사진은 {n}만 화소입니다. {most}만 화소까지 쓸 수 있습니다.",
  };

  /** Draws the picture in a file over the whole canvas, cut to its shape from the middle. Raises `Problem`. */
  const drawFile = async (file, most, pen, [height, width]) => {
    const image = new Image();
    const address = URL.createObjectURL(file);
    const unreadable = () => new Problem(NO_PICTURE);
    try {
      await new Promise((resolve, reject) => {
        Object.assign(image, { onload: resolve, onerror: () => reject(unreadable()), src: address });
      });
      const [w, h] = [image.naturalWidth, image.naturalHeight];
      if (!w || !h || file.type.startsWith("image/svg")) throw unreadable();
      if (w * h > most) throw tooLarge(w * h, most);
      await image.decode().catch(() => Promise.reject(unreadable()));
      const { canvas } = pen;
      const scale = Math.max(canvas.width / w, canvas.height / h);
      // A picture of the model's own size is taken pixel by pixel.
      Object.assign(pen, { imageSmoothingEnabled: w !== width || h !== height, imageSmoothingQuality: "high" });
      const [left, top] = [(canvas.width - w * scale) / 2, (canvas.height - h * scale) / 2];
      pen.drawImage(image, left, top, w * scale, h * scale);
    } finally {
      URL.revokeObjectURL(address);
    }
  };

  const tooLarge = (pixels, most) => {
    const unit = say({ en: 1e6, ko: 1e4 });
    const told = (v) => (Math.ceil((10 * v) / unit) / 10).toLocaleString("en-US");
    return new Problem(TOO_LARGE, { n: told(pixels), most: told(most) });
  };

  /** A canvas that is not shown, the picture of a file on it. */
  const sheetOf = (width, height, ground) => {
    const pen = el("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
    pen.fillStyle = ground;
    pen.fillRect(0, 0, width, height);
    return pen;
  };

  /** The mean colour of each block of `scale` by `scale` pixels: (height, width, 3), row by row. */
  const blocks = (pen, [height, width], scale) => {
    const pixels = pen.getImageData(0, 0, width * scale, height * scale).data;
    const means = new Float64Array(height * width * 3);
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        const to = 3 * (Math.floor(y / scale) * width + Math.floor(x / scale));
        const from = 4 * (y * width * scale + x);
        for (let c = 0; c < 3; c++) means[to + c] += pixels[from + c] / (scale * scale);
      }
    }
    return means;
  };

  const scaleOf = ([height, width]) => Math.max(1, Math.round(SIDE / Math.max(height, width)));

  // What is pasted goes to the picture field that has the focus, else to the first one in sight.
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    const shown = [...document.querySelectorAll(".field-picture")].filter((node) => node.checkVisibility());
    const target = shown.find((node) => node.contains(document.activeElement)) ?? shown[0];
    if (!file || !target) return;
    event.preventDefault();
    target.dispatchEvent(new CustomEvent("given", { detail: file }));
  });

  // --- Pictures

  /** Painted large; what the model sees, and what is sent, is the mean of each block of pixels. */
  playground.kinds.picture = (spec, changed) => {
    const [height, width] = spec.size;
    const grey = spec.channels === 1;
    const scale = scaleOf(spec.size);
    const [wide, high] = [width * scale, height * scale];
    const ground = grey ? "#000" : "#fff";
    const thickness = () => Math.max(wide, high) / 11;
    const watchers = [];
    let data = null;

    const { node: painted, canvas } = surface(spec.label, wide, high, {
      brush: thickness,
      begin: () => mark(),
      paint: (from, to) => {
        Object.assign(pen, { strokeStyle: grey ? "#fff" : colour.value, lineWidth: thickness(), lineCap: "round" });
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(to[0] + 0.01, to[1]);
        pen.stroke();
      },
      done: () => finish(),
    });
    canvas.style.background = ground;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const blank = () => {
      pen.fillStyle = ground;
      pen.fillRect(0, 0, wide, high);
    };
    blank();

    const seen = el("canvas", { width, height, role: "img", "aria-label": say({ en: "What the model sees", ko: "모델이 보는 그림" }) });
    const glass = seen.getContext("2d");
    const preview = el("figure", { class: "seen", hidden: true }, [
      seen,
      el("figcaption", {}, fill({ en: "What the model sees: {w}×{h}", ko: "모델이 보는 그림: {w}×{h}" }, { w: width, h: height })),
    ]);

    /** Show and encode what the model sees, then tell. */
    const finish = (empty = false, quiet = false) => {
      const means = blocks(pen, spec.size, scale);
      const pixels = glass.createImageData(width, height);
      for (let i = 0; i < height * width; i++) {
        const [r, g, b] = means.subarray(3 * i, 3 * i + 3);
        const luma = 0.299 * r + 0.587 * g + 0.114 * b;
        pixels.data.set(grey ? [luma, luma, luma, 255] : [r, g, b, 255], 4 * i);
      }
      glass.putImageData(pixels, 0, 0);
      data = empty ? null : seen.toDataURL("image/png");
      preview.hidden = clear.disabled = save.disabled = empty;
      for (const look of watchers) look();
      if (!quiet) changed(true);
    };
    const read = () => ({ pixels: pen.getImageData(0, 0, wide, high), empty: data === null });
    const write = (state) => {
      pen.putImageData(state.pixels, 0, 0);
      finish(state.empty);
    };
    const { mark, back } = undoing(read, write);
    const clear = button(CLEAR, () => {
      mark();
      blank();
      finish(true);
    });
    const save = saver(spec, () => data);
    const load = (file) =>
      attempt(async () => {
        const sheet = sheetOf(wide, high, ground);
        await drawFile(file, spec.most, sheet, spec.size);
        mark();
        pen.drawImage(sheet.canvas, 0, 0);
        finish();
      });

    const advice = {
      en: "Draw, choose, drop or paste a picture. Left empty, held-out examples are used.",
      ko: "그리거나, 파일을 고르거나, 끌어다 놓거나, 붙여 넣으세요. 비워 두면 시험용 데이터를 씁니다.",
    };
    const { node, tools, attempt } = medium(spec, painted, advice);
    const colour = el("input", { type: "color", value: "#222222", id: newId("colour") });
    const pens = el("div", { class: "brush", hidden: grey }, [
      el("label", { for: colour.id }, say({ en: "Colour", ko: "색" })),
      colour,
    ]);
    tools.append(...chooser(PICTURES, load), back, clear, save, pens, preview);
    clear.disabled = save.disabled = true;

    node.addEventListener("given", (event) => load(event.detail));
    for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
      node.addEventListener(name, (event) => {
        event.preventDefault();
        node.classList.toggle("over", over);
        if (name === "drop" && event.dataTransfer.files.length) load(event.dataTransfer.files[0]);
      });
    }
    return {
      node,
      get: () => data,
      set: () => {},
      /** What the model sees, or null; `watch` is told when it is another. */
      seen: () => (data ? seen : null),
      watch: (look) => watchers.push(look),
      keep: () => (data ? canvas : null),
      restore: (kept) => {
        pen.imageSmoothingEnabled = kept.width !== wide || kept.height !== high;
        pen.drawImage(kept, 0, 0, wide, high);
        finish(false, true);
      },
    };
  };

  // --- Masks

  /** 1 where the picture is kept, 0 where it is painted over. */
  playground.kinds.mask = (spec, changed) => {
    const [height, width] = spec.size;
    const scale = scaleOf(spec.size);
    const most = Math.max(2, Math.floor(Math.min(height, width) / 2));
    let kept = new Uint8Array(height * width).fill(1);
    let ground = () => null; // the picture underneath
    let sample = null;
    const middling = Math.max(1, Math.round(width / 7));
    const brush = slider({ en: "Brush", ko: "붓 크기" }, 1, most, middling, () => resize());

    const { node: painted, canvas, resize } = surface(spec.label, width * scale, height * scale, {
      brush: () => brush.get() * scale,
      begin: () => mark(),
      paint: (from, to) => {
        const value = restoring.getAttribute("aria-pressed") === "true" ? 1 : 0;
        sweep(from.map((v) => v / scale), to.map((v) => v / scale), brush.get() / 2, value);
        show();
      },
      done: () => finish(),
    });
    const pen = canvas.getContext("2d");

    /** Every cell whose middle the brush passes over, and the one under its own middle however thin it is. */
    const sweep = (from, to, radius, value) => {
      const steps = Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])) + 1;
      for (let k = 0; k <= steps; k++) {
        const [x, y] = [0, 1].map((axis) => from[axis] + ((to[axis] - from[axis]) * k) / steps);
        for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(height - 1, y + radius); row++) {
          for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(width - 1, x + radius); column++) {
            const under = row === Math.floor(y) && column === Math.floor(x);
            if (under || Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) kept[row * width + column] = value;
          }
        }
      }
    };
    const share = el("output", { class: "hint" });
    const show = () => {
      pen.imageSmoothingEnabled = false;
      pen.fillStyle = "#8a94a6";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      const under = ground() ?? sample;
      if (under) pen.drawImage(under, 0, 0, canvas.width, canvas.height);
      pen.fillStyle = "rgb(206 92 40 / 85%)";
      kept.forEach((on, i) => on || pen.fillRect((i % width) * scale, Math.floor(i / width) * scale, scale, scale));
      const removed = kept.reduce((n, on) => n + 1 - on, 0);
      const percent = Math.round((100 * removed) / kept.length);
      share.textContent = removed ? fill({ en: "{percent}% to fill in", ko: "{percent}% 채우기" }, { percent }) : "";
      clear.disabled = save.disabled = !removed;
    };
    const finish = () => {
      show();
      changed(true);
    };
    const { mark, back } = undoing(
      () => kept.slice(),
      (state) => ((kept = state), finish()),
    );
    const turn = (change) => () => {
      mark();
      kept = kept.map(change);
      finish();
    };
    const clear = button(CLEAR, turn(() => 1));
    const invert = button({ en: "Invert", ko: "뒤집기" }, turn((on) => 1 - on));
    const restoring = button({ en: "Restore", ko: "되살리기" }, () => {
      restoring.setAttribute("aria-pressed", String(restoring.getAttribute("aria-pressed") !== "true"));
    });
    restoring.setAttribute("aria-pressed", "false");
    const save = saver(spec, () => {
      const sheet = sheetOf(width, height, "#000");
      sheet.fillStyle = "#fff";
      kept.forEach((on, i) => on && sheet.fillRect(i % width, Math.floor(i / width), 1, 1));
      return sheet.canvas.toDataURL("image/png");
    });
    const load = (file) =>
      attempt(async () => {
        const sheet = sheetOf(width * scale, height * scale, "#000");
        await drawFile(file, spec.most, sheet, spec.size);
        mark();
        const means = blocks(sheet, spec.size, scale);
        kept = kept.map((_, i) => Number(0.299 * means[3 * i] + 0.587 * means[3 * i + 1] + 0.114 * means[3 * i + 2] > 127.5));
        finish();
      });
    const advice = {
      en: "Paint over what the model should fill in. Without a picture of yours, held-out ones such as this are cut.",
      ko: "모델이 채울 부분을 칠하세요. 내 그림이 없으면 이런 시험용 그림을 가립니다.",
    };
    const { node, tools, attempt } = medium(spec, painted, advice);
    tools.append(...chooser(PICTURES, load), back, clear, invert, restoring, save, brush.node, share);
    show();

    return {
      node,
      get: () => (kept.includes(0) ? kept.join("") : null),
      set: () => {},
      /** Show the view's picture underneath, or a held-out one while there is none. */
      over: async (picture, example) => {
        ground = () => picture?.seen() ?? null;
        picture?.watch(show);
        const address = await example?.();
        if (!address) return;
        const image = Object.assign(new Image(), { src: address });
        await image.decode();
        sample = image;
        show();
      },
      keep: () => (kept.includes(0) ? { kept, width, height } : null),
      restore: (state) => {
        const from = (i, to, of) => Math.floor(((i + 0.5) * of) / to);
        kept = kept.map((_, i) => {
          const [row, column] = [from(Math.floor(i / width), height, state.height), from(i % width, width, state.width)];
          return state.kept[row * state.width + column];
        });
        show();
      },
    };
  };

  // --- Points in the plane

  const NO_POINTS = {
    en: "This file holds no list of points [[x, y], ...] between -1 and 1.",
    ko: "-1과 1 사이의 점 목록 [[x, y], ...]이 담긴 파일이 아닙니다.",
  };
  const TOO_MANY = {
    en: "This file holds {n} points; at most {most} can be used.",
    ko: "점이 {n}개 들어 있습니다. {most}개까지 쓸 수 있습니다.",
  };
  const ENOUGH = { en: "{most} points are drawn: no more are taken.", ko: "점 {most}개를 그렸습니다. 더 받지 않습니다." };

  /** [x, y] in [-1, 1], y upwards. A stroke leaves a point every so often, a tap leaves one. */
  playground.kinds.drawing = (spec, changed) => {
    const side = 480; // twice what is shown: sharp on most screens
    const apart = 0.03;
    let points = [];

    const { node: painted, canvas } = surface(spec.label, side, side, {
      brush: () => 14,
      begin: () => mark(),
      paint: (from, to, first) => {
        const [a, b] = [from, to].map(([x, y]) => [(2 * x) / side - 1, 1 - (2 * y) / side]);
        const last = first ? null : (points[points.length - 1] ?? a);
        if (!last) put(b);
        else {
          const length = Math.hypot(b[0] - last[0], b[1] - last[1]);
          for (let d = apart; d <= length; d += apart) put([0, 1].map((c) => last[c] + ((b[c] - last[c]) * d) / length));
        }
        show();
      },
      done: () => finish(),
    });
    const put = (point) => {
      if (points.length < spec.most) points.push(point.map((v) => Number(Math.min(1, Math.max(-1, v)).toFixed(4))));
    };
    const pen = canvas.getContext("2d");
    const count = el("output", { class: "hint" });
    const show = () => {
      pen.clearRect(0, 0, side, side);
      pen.fillStyle = "#26969c";
      for (const [x, y] of points) {
        pen.beginPath();
        pen.arc(((x + 1) / 2) * side, ((1 - y) / 2) * side, 5, 0, 7);
        pen.fill();
      }
      const words = points.length < spec.most ? { en: "{n} of {most} points", ko: "점 {n} / {most}개" } : ENOUGH;
      const [n, most] = [points.length, spec.most].map((v) => v.toLocaleString("en-US"));
      count.textContent = points.length ? fill(words, { n, most }) : "";
      clear.disabled = save.disabled = !points.length;
    };
    const finish = () => {
      show();
      changed(true);
    };
    const { mark, back } = undoing(
      () => points.slice(),
      (state) => ((points = state), finish()),
    );
    const clear = button(CLEAR, () => {
      mark();
      points = [];
      finish();
    });
    const save = saver(spec, () => `data:application/json,${encodeURIComponent(JSON.stringify(points))}`);
    const unit = (v) => typeof v === "number" && Math.abs(v) <= 1;
    const load = (file) =>
      attempt(async () => {
        let read = null;
        try {
          read = JSON.parse(file.size < 1e6 ? await file.text() : "");
        } catch {
          throw new Problem(NO_POINTS);
        }
        const fits = Array.isArray(read) && read.length && read.every((p) => Array.isArray(p) && p.length === 2 && p.every(unit));
        if (!fits) throw new Problem(NO_POINTS);
        if (read.length > spec.most) {
          const [n, most] = [read.length, spec.most].map((v) => v.toLocaleString("en-US"));
          throw new Problem(TOO_MANY, { n, most });
        }
        mark();
        points = read;
        finish();
      });
    const advice = {
      en: "Draw with strokes or dots. The square reaches from -1 to 1, y upwards.",
      ko: "선이나 점으로 그리세요. 네모는 -1부터 1까지이고 y는 위쪽입니다.",
    };
    const { node, tools, attempt } = medium(spec, painted, advice);
    tools.append(...chooser("application/json,.json", load), back, clear, save, count);
    show();
    return {
      node,
      get: () => (points.length ? points : null),
      set: () => {},
      keep: () => (points.length ? points : null),
      restore: (kept) => {
        points = kept.slice(0, spec.most);
        show();
      },
    };
  };
})();
