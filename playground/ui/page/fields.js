// One input for each kind of control: {node, get(), set(value)}; set() ignores what does not fit, so that an address
// made by hand does no harm.
(() => {
  const { el, say, newId } = playground;

  playground.field = (spec, changed) => {
    const make = kinds[spec.kind];
    if (!make) throw new Error(`no input for a ${spec.kind}`);
    const field = make(spec, changed);
    field.spec = spec;
    field.isDefault = () => JSON.stringify(field.get()) === JSON.stringify(spec.default ?? null);
    return field;
  };

  const labelled = (spec, id, input, extra = []) =>
    el("div", { class: `field field-${spec.kind}`, "data-name": spec.name }, [
      el("label", { for: id }, say(spec.label)),
      ...extra,
      input,
    ]);

  // --- Numbers

  const fits = (spec, value) =>
    Number.isFinite(value) &&
    (!spec.whole || Number.isInteger(value)) &&
    (spec.low === null || spec.low === undefined || value >= spec.low) &&
    (spec.high === null || spec.high === undefined || value <= spec.high);

  const stepOf = (spec) => spec.step ?? (spec.whole ? 1 : (spec.high - spec.low) / 100);

  const number = (spec, changed) => {
    const id = newId("number");
    const bounded = Number.isFinite(spec.low) && Number.isFinite(spec.high) && !spec.plain;
    const box = el("input", {
      id,
      type: "number",
      min: spec.low,
      max: spec.high,
      step: spec.plain || !bounded ? (spec.whole ? 1 : "any") : stepOf(spec),
      inputmode: spec.whole ? "numeric" : "decimal",
    });
    let value = spec.default;
    const show = () => {
      box.value = value;
      if (slider) {
        slider.value = value;
        slider.style.setProperty("--part", `${(100 * (value - spec.low)) / (spec.high - spec.low || 1)}%`);
      }
    };
    const slider = bounded
      ? el("input", {
          type: "range",
          min: spec.low,
          max: spec.high,
          step: stepOf(spec),
          "aria-label": say(spec.label),
          oninput: () => {
            value = Number(slider.value);
            show();
            changed(false);
          },
          onchange: () => changed(true),
        })
      : null;
    box.addEventListener("change", () => {
      const typed = Number(box.value);
      if (box.value !== "" && fits(spec, typed)) value = typed;
      show();
      changed(true);
    });
    show();
    const wanted = (raw) => (raw === "" || raw === null || typeof raw === "boolean" ? NaN : Number(raw));
    return {
      node: labelled(spec, id, el("div", { class: "number" }, slider, box)),
      get: () => value,
      set: (raw) => {
        if (fits(spec, wanted(raw))) value = wanted(raw);
        show();
      },
    };
  };

  const seed = (spec, changed) => {
    const made = number({ ...spec, kind: "seed", plain: true }, changed);
    const dice = el(
      "button",
      {
        type: "button",
        class: "quiet",
        onclick: () => {
          made.set(Math.floor(Math.random() * 100000));
          changed(true);
        },
      },
      say({ en: "New", ko: "새로" }),
    );
    dice.setAttribute("aria-label", say({ en: "New seed", ko: "새 시드" }));
    made.node.querySelector(".number").append(dice);
    return made;
  };

  // --- Words and choices

  const text = (spec, changed) => {
    const id = newId("text");
    const box = el("textarea", { id, rows: 2, maxlength: 2000, onchange: () => changed(true) });
    box.value = spec.default ?? "";
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        changed(true);
      }
    });
    return {
      node: labelled(spec, id, box),
      get: () => box.value,
      set: (raw) => {
        if (typeof raw === "string" && raw.length <= 2000) box.value = raw;
      },
    };
  };

  const choice = (spec, changed) => {
    const id = newId("choice");
    const options = spec.options.map(([label, value], place) => el("option", { value: place }, say(label)));
    const box = el("select", { id, onchange: () => changed(true) }, options);
    const placeOf = (raw) =>
      spec.options.findIndex(([, value]) => value === raw || (typeof raw === "string" && String(value) === raw));
    box.value = String(Math.max(0, placeOf(spec.default)));
    return {
      node: labelled(spec, id, box),
      get: () => spec.options[Number(box.value)]?.[1] ?? null,
      set: (raw) => {
        if (placeOf(raw) >= 0) box.value = String(placeOf(raw));
      },
    };
  };

  // --- Drawn by hand: pictures, masks, points

  const SHOWN = 196; // pixels on the page

  /** A canvas that a pointer (or, with a crosshair, the arrow keys and Space) paints on. */
  const canvasFor = (label, width, height, paint, done) => {
    const scale = Math.max(1, Math.round(SHOWN / Math.max(width, height)));
    const canvas = el("canvas", { width, height, tabindex: 0, role: "img", "aria-label": label, class: "paint" });
    canvas.style.width = `${width * scale}px`;
    canvas.style.height = `${height * scale}px`;
    let last = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = place(event);
      paint(last, last, true);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const here = place(event);
      paint(last, here, false);
      last = here;
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        if (last) done();
        last = null;
      });
    }
    let cursor = [width / 2, height / 2];
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const move = moves[event.key];
      if (move) {
        const size = Math.max(1, Math.round(width / 14));
        const before = cursor;
        cursor = [
          Math.min(width - 0.5, Math.max(0.5, cursor[0] + move[0] * size)),
          Math.min(height - 0.5, Math.max(0.5, cursor[1] + move[1] * size)),
        ];
        if (event.shiftKey) {
          paint(before, cursor, false);
          done();
        }
      } else if (event.key === " ") {
        paint(cursor, cursor, true);
        done();
      } else return;
      event.preventDefault();
    });
    return canvas;
  };

  const button = (label, onclick) => el("button", { type: "button", class: "quiet", onclick }, say(label));

  const CLEAR = { en: "Clear", ko: "지우기" };

  const group = (spec, canvas, buttons, hint) =>
    el("div", { class: `field field-${spec.kind}`, role: "group", "aria-label": say(spec.label), "data-name": spec.name }, [
      el("span", { class: "label" }, say(spec.label)),
      canvas,
      el("div", { class: "acts" }, buttons),
      el("p", { class: "hint" }, say(hint)),
    ]);

  const picture = (spec, changed) => {
    const [height, width] = spec.size;
    const side = 256;
    const canvas = canvasFor(say(spec.label), side, Math.round((side * height) / width), stroke, () => finish());
    canvas.style.width = `${SHOWN}px`;
    canvas.style.height = "auto";
    const pen = canvas.getContext("2d");
    let data = null;
    function stroke(from, to) {
      if (data === null) blank();
      pen.strokeStyle = "#fff";
      pen.lineWidth = side / 11;
      pen.lineCap = "round";
      pen.beginPath();
      pen.moveTo(...from);
      pen.lineTo(to[0] + 0.01, to[1]);
      pen.stroke();
    }
    const blank = () => {
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, canvas.width, canvas.height);
    };
    const finish = () => {
      data = canvas.toDataURL("image/png");
      changed(true);
    };
    const choose = el("input", { type: "file", accept: "image/png,image/jpeg,image/webp", class: "offscreen" });
    choose.setAttribute("aria-label", say(spec.label));
    choose.addEventListener("change", async () => {
      if (!choose.files.length) return;
      try {
        const image = await createImageBitmap(choose.files[0]);
        const scale = Math.max(canvas.width / image.width, canvas.height / image.height);
        blank();
        const [w, h] = [image.width * scale, image.height * scale];
        pen.drawImage(image, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
        finish();
      } catch {
        hint.textContent = say({ en: "This file is not a picture.", ko: "사진 파일이 아닙니다." });
      }
      choose.value = "";
    });
    const clear = () => {
      const had = data !== null;
      data = null;
      pen.clearRect(0, 0, canvas.width, canvas.height);
      if (had) changed(true);
    };
    const pick = button({ en: "Choose a file", ko: "파일 고르기" }, () => choose.click());
    const node = group(spec, canvas, [pick, button(CLEAR, clear), choose], {
      en: "Draw here or choose a picture. Left empty, held-out examples are used.",
      ko: "여기에 그리거나 사진을 고르세요. 비워 두면 시험용 데이터를 씁니다.",
    });
    const hint = node.querySelector(".hint");
    return { node, get: () => data, set: () => {} };
  };

  const mask = (spec, changed) => {
    const [height, width] = spec.size;
    const kept = new Uint8Array(height * width).fill(1);
    let touched = false;
    const canvas = canvasFor(say(spec.label), width, height, erase, () => changed(true));
    const pen = canvas.getContext("2d");
    function erase(from, to) {
      const radius = Math.max(1, width / 10);
      const steps = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])) + 1;
      for (let k = 0; k <= steps; k++) {
        const [x, y] = [from[0] + ((to[0] - from[0]) * k) / steps, from[1] + ((to[1] - from[1]) * k) / steps];
        for (let row = 0; row < height; row++) {
          for (let column = 0; column < width; column++) {
            if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) kept[row * width + column] = 0;
          }
        }
      }
      touched = true;
      show();
    }
    const show = () => {
      pen.clearRect(0, 0, width, height);
      kept.forEach((on, i) => {
        pen.fillStyle = on ? "#8a94a6" : "#c4572e";
        pen.fillRect(i % width, Math.floor(i / width), 1, 1);
      });
    };
    const clear = () => {
      kept.fill(1);
      if (touched) changed(true);
      touched = false;
      show();
    };
    show();
    const node = group(spec, canvas, [button(CLEAR, clear)], {
      en: "Paint over what the model should fill in.",
      ko: "모델이 채워 넣을 부분을 칠하세요.",
    });
    return { node, get: () => (touched ? Array.from(kept).join("") : null), set: () => {} };
  };

  const points = (spec, changed) => {
    const side = 196;
    let drawn = [];
    const canvas = canvasFor(say(spec.label), side, side, add, () => changed(true));
    const pen = canvas.getContext("2d");
    function add(from, to, first) {
      const last = drawn[drawn.length - 1];
      const here = [(to[0] / side) * 2 - 1, 1 - (to[1] / side) * 2].map((v) => Math.min(1, Math.max(-1, v)));
      if (first || !last || Math.hypot(here[0] - last[0], here[1] - last[1]) > 0.02) drawn.push(here);
      if (drawn.length > 2000) drawn = drawn.slice(-2000);
      pen.fillStyle = "#2f6fab";
      pen.beginPath();
      pen.arc(to[0], to[1], 2.5, 0, 7);
      pen.fill();
    }
    const clear = () => {
      const had = drawn.length;
      drawn = [];
      pen.clearRect(0, 0, side, side);
      if (had) changed(true);
    };
    const node = group(spec, canvas, [button(CLEAR, clear)], { en: "Draw points here.", ko: "여기에 점을 그리세요." });
    return { node, get: () => (drawn.length ? drawn : null), set: () => {} };
  };

  // --- Recordings

  /** Mono samples as a 16-bit WAV data URL. */
  const wav = (samples, rate) => {
    const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
    const word = (place, letters) => [...letters].forEach((c, i) => bytes.setUint8(place + i, c.charCodeAt(0)));
    word(0, "RIFF");
    bytes.setUint32(4, 36 + samples.length * 2, true);
    word(8, "WAVEfmt ");
    bytes.setUint32(16, 16, true);
    bytes.setUint16(20, 1, true);
    bytes.setUint16(22, 1, true);
    bytes.setUint32(24, rate, true);
    bytes.setUint32(28, rate * 2, true);
    bytes.setUint16(32, 2, true);
    bytes.setUint16(34, 16, true);
    word(36, "data");
    bytes.setUint32(40, samples.length * 2, true);
    samples.forEach((s, i) => bytes.setInt16(44 + i * 2, Math.max(-1, Math.min(1, s)) * 32767, true));
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(new Blob([bytes], { type: "audio/wav" }));
    });
  };

  /** Any recording that the browser can read, as WAV at the model's rate. */
  const asWav = async (blob, wanted) => {
    const rate = wanted || 16000;
    const context = new OfflineAudioContext(1, 1, rate);
    const decoded = await context.decodeAudioData(await blob.arrayBuffer());
    const samples = decoded.getChannelData(0).slice(0, rate * 60);
    return wav(samples, rate);
  };

  const recording = (spec, changed) => {
    let data = null;
    let recorder = null;
    const player = el("audio", { controls: true, hidden: true, "aria-label": say(spec.label) });
    const take = async (blob) => {
      try {
        data = await asWav(blob, spec.rate);
        player.src = data;
        player.hidden = false;
        changed(true);
      } catch {
        hint.textContent = say({ en: "This file is not a recording.", ko: "녹음 파일이 아닙니다." });
      }
    };
    const RECORD = { en: "Record", ko: "녹음" };
    const record = button(RECORD, async () => {
      if (recorder) return recorder.stop();
      try {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
        const parts = [];
        recorder = new MediaRecorder(stream);
        recorder.ondataavailable = (event) => parts.push(event.data);
        recorder.onstop = () => {
          stream.getTracks().forEach((track) => track.stop());
          recorder = null;
          record.textContent = say(RECORD);
          take(new Blob(parts));
        };
        recorder.start();
        record.textContent = say({ en: "End recording", ko: "녹음 끝내기" });
        setTimeout(() => recorder?.state === "recording" && recorder.stop(), 60000);
      } catch {
        hint.textContent = say({ en: "The microphone cannot be used here.", ko: "마이크를 쓸 수 없습니다." });
      }
    });
    const choose = el("input", { type: "file", accept: "audio/*", class: "offscreen" });
    choose.setAttribute("aria-label", say(spec.label));
    choose.addEventListener("change", () => {
      if (choose.files.length) take(choose.files[0]);
      choose.value = "";
    });
    const clear = button(CLEAR, () => {
      const had = data !== null;
      data = null;
      player.hidden = true;
      if (had) changed(true);
    });
    const pick = button({ en: "Choose a file", ko: "파일 고르기" }, () => choose.click());
    const node = group(spec, player, [record, pick, clear, choose], {
      en: "Recordings stay on this server only while they are used.",
      ko: "녹음은 쓰이는 동안에만 서버에 머뭅니다.",
    });
    const hint = node.querySelector(".hint");
    return { node, get: () => data, set: () => {} };
  };

  const kinds = { number, seed, text, choice, picture, mask, drawing: points, recording };
})();
