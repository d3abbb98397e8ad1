// What is heard of what is drawn: sound that begins before it is whole, recordings side by side, the previews of Home.
(() => {
  const { el, say, fill, button } = playground;

  const FADE = 0.02; // seconds over which one piece of a growing sound gives way to the next
  const ENOUGH = 0.35; // seconds of sound with which to begin
  const AHEAD = 0.12; // seconds from a piece's coming to its being heard
  const HUSH = { en: "Stop the sound", ko: "소리 멈추기" };

  // --- Samples

  /** The samples and the rate of a WAV data URL of one channel and 16 bits, as drawing.wav_bytes makes them. */
  const samplesOf = (url) => {
    const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    let rate = 0;
    for (const { name, begin, length } of playground.chunks(bytes)) {
      if (name === "fmt ") rate = view.getUint32(begin + 4, true);
      if (name === "data") {
        const n = Math.min(length, bytes.length - begin) >> 1;
        return { rate, samples: Float32Array.from({ length: n }, (_, i) => view.getInt16(begin + 2 * i, true) / 32768) };
      }
    }
    return { rate, samples: new Float32Array(0) };
  };

  // --- A sound that grows

  /**
   * Plays a recording of which more and more arrives: each piece begins a little before the end of the one before,
   * which fades as it rises, so that no seam is heard. Where the next piece comes late, there is a pause.
   */
  class Stream {
    constructor(id) {
      Object.assign(this, { id, done: 0, origin: 0, gaps: 0, pieces: [], over: false });
      this.context = new AudioContext();
      this.context.resume();
    }

    /** All samples so far; `whole` once nothing more comes. */
    feed({ samples, rate }, whole) {
      if (this.over || !rate || samples.length / rate < (this.done || whole ? 0.01 : ENOUGH)) return;
      const over = Math.round(FADE * rate);
      if (whole && samples.length <= this.done) return this.endsWith(this.pieces.at(-1));
      if (!whole && samples.length - this.done < 4 * over) return;
      const from = Math.max(0, this.done - over);
      const piece = samples.slice(from);
      for (let i = 0; i < Math.min(over, piece.length); i++) {
        if (from > 0) piece[i] *= (i + 0.5) / over;
        if (!whole) piece[piece.length - 1 - i] *= (i + 0.5) / over;
      }
      const now = this.context.currentTime;
      if (this.done === 0) this.origin = now + AHEAD;
      let start = this.origin + from / rate;
      if (start < now) {
        this.gaps += 1;
        this.origin += now + AHEAD - start;
        start = now + AHEAD;
      }
      const buffer = this.context.createBuffer(1, piece.length, rate);
      buffer.copyToChannel(piece, 0);
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(this.context.destination);
      source.start(start);
      this.pieces.push(source);
      this.done = samples.length;
      this.end = start + piece.length / rate;
      if (whole) this.endsWith(source);
    }

    /** Nothing comes after this piece, which may have been heard already. */
    endsWith(source) {
      source.onended = () => this.stop();
      if (this.context.currentTime > this.end) this.stop();
    }

    stop() {
      if (this.over) return;
      this.over = true;
      for (const source of this.pieces) source.onended = null;
      this.context.close();
      this.changed?.();
    }
  }

  let playing = null; // one sound at a time on the page

  /** Takes up, feeds or ends the sound of a stage by what it shows now. */
  const stream = (stage) => {
    const outputs = stage.querySelector(":scope .outputs");
    const id = outputs?.dataset.drawing;
    const growing = outputs?.hasAttribute("data-growing");
    if (playing?.stage === stage && playing.id !== id) playing.stop();
    const audio = outputs?.querySelector("audio");
    if (!id || !audio?.src.startsWith("data:")) return;
    if (growing && playing?.id !== id && navigator.userActivation?.hasBeenActive !== false && stage.hushed !== id) {
      playing?.stop();
      playing = new Stream(id);
      playing.stage = stage;
      playing.changed = () => bar(stage);
    }
    if (playing?.id !== id) return;
    playing.feed(samplesOf(audio.src), !growing);
    Object.assign(stage.dataset, { streamed: playing.done, pieces: playing.pieces.length, gaps: playing.gaps });
    bar(stage);
  };

  /** The button that ends the sound, there only while it lasts. */
  const bar = (stage) => {
    const shown = stage.querySelector(".streaming");
    const wanted = playing?.stage === stage && !playing.over && playing.done > 0;
    if (!wanted) return shown?.remove();
    if (shown) return undefined;
    const hush = button(HUSH, () => {
      stage.hushed = playing?.id;
      playing?.stop();
    });
    stage.querySelector(".outputs")?.before(el("p", { class: "streaming acts" }, [hush]));
    return undefined;
  };

  // Whoever plays something else wants to hear that.
  document.addEventListener(
    "play",
    (event) => {
      playing?.stop();
      for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause();
    },
    true,
  );

  // --- Side by side

  const COMPARE = { en: "Listen, equally loud:", ko: "같은 크기로 듣기:" };
  const BLIND = { en: "Blind", ko: "이름 가리기" };
  const SHOW = { en: "Show the names", ko: "이름 보이기" };

  const named = (audio, place) => {
    const side = audio.closest(".side")?.querySelector("h3")?.textContent;
    const title = audio.closest("figure")?.querySelector("figcaption")?.textContent;
    return [side, title].filter(Boolean).join(": ") || fill({ en: "Recording {n}", ko: "녹음 {n}" }, { n: place + 1 });
  };

  /** Where a stage shows several recordings: one button for each, which goes on where the one before was. */
  const sideBySide = (stage) => {
    stage.querySelector(":scope .side-by-side")?.remove();
    const audios = [...stage.querySelectorAll("audio[data-gain]")];
    for (const audio of audios) audio.volume = Number(audio.dataset.gain);
    if (audios.length < 2 || stage.querySelector("[data-growing]")) return;
    let order = audios.map((_, i) => i);
    let blind = false;
    let current = null;
    const buttons = el("span", { class: "choices" });
    const play = (audio) => {
      const at = current && current !== audio ? current.currentTime : 0;
      current?.pause();
      current = audio;
      audio.currentTime = at < (audio.duration || Infinity) - 0.05 ? at : 0;
      audio.play();
      mark();
    };
    const mark = () => {
      for (const b of buttons.children) b.setAttribute("aria-pressed", String(audios[b.dataset.place] === current && !current.paused));
    };
    const build = () => {
      const words = (place, i) => (blind ? String(i + 1) : named(audios[place], place));
      const one = (place, i) => {
        const made = button(words(place, i), () => play(audios[place]));
        made.dataset.place = place;
        return made;
      };
      buttons.replaceChildren(...order.map(one));
      mark();
    };
    const hide = button(BLIND, () => {
      blind = !blind;
      order = audios.map((_, i) => i);
      if (blind) for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      hide.textContent = say(blind ? SHOW : BLIND);
      build();
    });
    for (const audio of audios) for (const what of ["pause", "ended", "play"]) audio.addEventListener(what, mark);
    build();
    const label = say(COMPARE);
    const node = el("div", { class: "side-by-side", role: "group", "aria-label": label }, [el("span", {}, label), buttons, hide]);
    stage.querySelector(".pair, .outputs").before(node);
  };

  // --- Stages

  const WATCHED = { childList: true, subtree: true, attributes: true, attributeFilter: ["src", "data-drawing", "data-growing"] };

  /** Gradio fills a stage again and again, at times by changing what stands there; what is heard of it is compared each time. */
  const watch = (stage) => {
    let before = [];
    const look = () => {
      const content = stage.querySelector(".pair, .outputs");
      const audios = [...stage.querySelectorAll("audio")];
      const now = [content, content?.dataset.drawing, content?.hasAttribute("data-growing"), ...audios.map((a) => a.getAttribute("src"))];
      if (now.length === before.length && now.every((part, i) => part === before[i])) return;
      before = now;
      sideBySide(stage);
      stream(stage);
    };
    new MutationObserver(look).observe(stage, WATCHED);
    look();
  };
  const watched = new WeakSet();
  const find = () => {
    for (const stage of document.querySelectorAll(".stage")) {
      if (watched.has(stage) || stage.parentElement.closest(".stage")) continue;
      watched.add(stage);
      watch(stage);
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    find();
    new MutationObserver(find).observe(document.body, { childList: true, subtree: true });
  });

  // --- Previews

  let preview = null;
  document.addEventListener("click", (event) => {
    const player = event.target instanceof Element ? event.target.closest("[data-play]") : null;
    if (!player) return;
    const same = preview?.dataset.of === player.dataset.play && !preview.paused;
    preview?.pause();
    if (same) return;
    preview = el("audio", { src: player.dataset.play, "data-of": player.dataset.play });
    preview.play();
  });
})();
