// Recordings: by the microphone, or from a file. What is sent is 16-bit WAV of one channel at the model's rate.
(() => {
  const { el, say, fill, Problem, button, medium, chooser, saver } = playground;

  const SILENT = 0.004; // the loudest sample of a recording in which nothing is heard
  const RATE = 16000; // of a model that names none
  const BARS = 120; // of a recording's level
  const TROUBLES = {
    none: { en: "No microphone was found. Choose a file instead.", ko: "마이크를 찾지 못했습니다. 파일을 골라 주세요." },
    refused: {
      en: "The microphone was not allowed. Allow it for this page in the browser's address bar, or choose a file.",
      ko: "마이크 사용이 허용되지 않았습니다. 브라우저 주소창에서 허용하거나 파일을 골라 주세요.",
    },
    busy: {
      en: "The microphone could not be opened; another program may be using it.",
      ko: "마이크를 열지 못했습니다. 다른 프로그램이 쓰고 있을 수 있습니다.",
    },
    insecure: {
      en: "Browsers give the microphone only to pages by https or on this computer. Choose a file instead.",
      ko: "브라우저는 https나 이 컴퓨터의 페이지에만 마이크를 허용합니다. 파일을 골라 주세요.",
    },
    silent: {
      en: "Nothing was heard. Is the microphone muted? The recording was not kept.",
      ko: "아무 소리도 들리지 않았습니다. 마이크가 꺼져 있나요? 녹음을 남기지 않았습니다.",
    },
    unreadable: { en: "This file is not a recording that can be read.", ko: "읽을 수 있는 녹음 파일이 아닙니다." },
    long: {
      en: "This recording lasts {n}; at most {most} can be used.",
      ko: "이 녹음은 {n}입니다. {most}까지 쓸 수 있습니다.",
    },
  };
  const RECORD = { en: "Record", ko: "녹음" };
  const STOP = { en: "Stop", ko: "멈춤" };
  const ADVICE = {
    en: "Nothing is recorded before you press Record. A recording stays in this page until you delete it or leave; for each drawing it is sent to this server, used, and not kept there.",
    ko: "녹음을 누르기 전에는 아무것도 녹음하지 않습니다. 녹음은 삭제하거나 떠날 때까지 이 페이지에만 있고, 그릴 때마다 서버로 보내 쓰인 뒤 서버에 남지 않습니다.",
  };

  const problem = (kind, values) => new Problem(TROUBLES[kind], values);

  // --- Samples

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

  const atRate = async (samples, rate, wanted) => {
    if (rate === wanted || !samples.length) return samples;
    const context = new OfflineAudioContext(1, Math.ceil((samples.length * wanted) / rate), wanted);
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    source.start();
    return (await context.startRendering()).getChannelData(0);
  };

  const loudest = (samples) => samples.reduce((most, s) => Math.max(most, Math.abs(s)), 0);

  /** Seconds that a file says it lasts, read from its head; Infinity where it does not say. Raises `Problem`. */
  const lasting = (file) =>
    new Promise((resolve, reject) => {
      const address = URL.createObjectURL(file);
      const audio = new Audio();
      const done = (act) => () => (URL.revokeObjectURL(address), act());
      audio.preload = "metadata";
      audio.onloadedmetadata = done(() => resolve(audio.duration));
      audio.onerror = done(() => reject(problem("unreadable")));
      audio.src = address;
    });

  const checkLength = (seconds, most) => {
    const [n, limit] = [seconds, most].map((v) => playground.duration(Math.ceil(v)));
    if (seconds > most + 0.05) throw problem("long", { n, most: limit });
  };

  /** The samples of any recording that the browser can read, at `rate`. Raises `Problem`. */
  const fromFile = async (file, rate, most) => {
    const seconds = await lasting(file);
    if (Number.isFinite(seconds)) checkLength(seconds, most);
    else if (file.size > 20e6) throw problem("unreadable");
    try {
      const context = new OfflineAudioContext(1, 1, rate);
      const decoded = await context.decodeAudioData(await file.arrayBuffer());
      checkLength(decoded.duration, most);
      const samples = new Float32Array(decoded.length);
      for (let c = 0; c < decoded.numberOfChannels; c++) {
        decoded.getChannelData(c).forEach((s, i) => (samples[i] += s / decoded.numberOfChannels));
      }
      return samples;
    } catch (error) {
      throw error instanceof Problem ? error : problem("unreadable");
    }
  };

  // --- The microphone

  const REFUSALS = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "none", OverconstrainedError: "none" };

  /** Hears until `stop()`; `hear(samples)` is given every block as it comes. Raises `Problem`. */
  const listen = async (hear) => {
    if (!navigator.mediaDevices) throw problem("insecure");
    const context = new AudioContext();
    let stream = null;
    try {
      // As it sounds: what calls do against echo and noise would change a voice.
      const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
      await context.audioWorklet.addModule(playground.capture);
      await context.resume();
    } catch (error) {
      stream?.getTracks().forEach((track) => track.stop());
      context.close();
      throw problem(REFUSALS[error.name] ?? "busy");
    }
    const node = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit", numberOfOutputs: 0 });
    node.port.onmessage = (event) => hear(event.data);
    context.createMediaStreamSource(stream).connect(node);
    return {
      rate: context.sampleRate,
      stop: async () => {
        stream.getTracks().forEach((track) => track.stop());
        await context.close();
      },
    };
  };

  const joined = (parts) => {
    const whole = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    let place = 0;
    for (const part of parts) {
      whole.set(part, place);
      place += part.length;
    }
    return whole;
  };

  /** What other parts of the page record with. */
  playground.recorder = { listen, atRate, wav, loudest, joined };

  // --- The field

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  playground.kinds.recording = (spec, changed) => {
    const rate = spec.rate || RATE;
    const label = say(spec.label);
    let data = null;
    let samples = null; // at `rate`
    let microphone = null; // while it hears

    const wave = el("canvas", { width: 600, height: 88, class: "wave", role: "img", "aria-label": `${label}: ${say({ en: "level", ko: "소리 크기" })}` });
    const time = el("output", { class: "hint time" });
    const player = el("audio", { controls: true, hidden: true, "aria-label": label });
    const pen = wave.getContext("2d");

    /** Bars as high as the levels, room for `all` of them across. */
    const draw = (levels, all) => {
      pen.clearRect(0, 0, wave.width, wave.height);
      pen.fillStyle = microphone ? "#cf5c2b" : "#26969c";
      levels.forEach((level, bar) => {
        const high = Math.max(2, wave.height * Math.sqrt(Math.min(1, level)));
        pen.fillRect((bar * wave.width) / all, (wave.height - high) / 2, Math.max(1, wave.width / all - 1), high);
      });
    };
    const levelsOf = (heard, bars) =>
      Array.from({ length: bars }, (_, bar) => {
        const [from, to] = [bar, bar + 1].map((b) => Math.floor((b * heard.length) / bars));
        return loudest(heard.subarray(from, to));
      });
    const show = () => {
      const has = data !== null;
      player.hidden = !has;
      if (has) player.src = data;
      else player.removeAttribute("src");
      remove.disabled = save.disabled = !has;
      time.textContent = has ? fill({ en: "{n} s", ko: "{n}초" }, { n: (samples.length / rate).toFixed(1) }) : "";
      draw(has ? levelsOf(samples, BARS) : [], BARS);
    };
    /** Take samples at some rate as the recording. Raises `Problem` for silence, and leaves what was there. */
    const take = async (heard, its) => {
      const made = (await atRate(heard, its, rate)).subarray(0, Math.floor(spec.most * rate));
      if (loudest(made) < SILENT) throw problem("silent");
      data = await wav(made, rate);
      samples = made;
      show();
      changed(true);
    };

    // --- By microphone

    const begin = async () => {
      const parts = [];
      const levels = [];
      let heard = 0;
      const opened = await listen((block) => {
        if (!microphone) return;
        parts.push(block);
        levels.push(loudest(block));
        heard += block.length;
        const most = spec.most * opened.rate;
        draw(levels, Math.max(60, most / block.length));
        time.textContent = `${clock(heard / opened.rate)} / ${clock(spec.most)}`;
        if (!node.isConnected || heard >= most) end();
      });
      microphone = { ...opened, parts };
      record.textContent = say(STOP);
      node.classList.add("hearing");
    };
    const end = async () => {
      if (!microphone) return;
      const { rate: its, stop, parts } = microphone;
      microphone = null;
      record.textContent = say(RECORD);
      node.classList.remove("hearing");
      await stop();
      show();
      if (node.isConnected) await attempt(() => take(joined(parts), its));
    };
    const record = button(RECORD, async () => {
      if (microphone) return end();
      record.disabled = true;
      await attempt(begin);
      record.disabled = false;
    });

    // --- The rest

    const remove = button({ en: "Delete", ko: "삭제" }, () => {
      data = samples = null;
      show();
      changed(true);
    });
    const save = saver(spec, () => data);
    const load = (file) => attempt(async () => take(await fromFile(file, rate, spec.most), rate));
    const { node, tools, attempt } = medium(spec, el("div", { class: "heard" }, [wave, time]), ADVICE, [player]);
    tools.append(record, ...chooser("audio/*", load), remove, save);
    show();
    return {
      node,
      get: () => data,
      set: () => {},
      keep: () => (data ? { data, samples, rate } : null),
      restore: (kept) => {
        if (kept.rate !== rate) return take(kept.samples, kept.rate);
        ({ data, samples } = kept);
        return show();
      },
    };
  };
})();
