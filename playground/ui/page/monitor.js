// A run: its buttons, its state, its curve. The server sends what is new; nothing here decides how the run goes.
(() => {
  const { el, say, fill, duration, mine } = playground;

  const STATES = {
    none: { en: "Not training", ko: "학습 전" },
    queued: { en: "Waiting, place {place} in the queue{wait}", ko: "대기 {place}번째{wait}" },
    waiting: { en: "Waiting for the trainer", ko: "학습 프로세스를 기다리는 중" },
    starting: { en: "Starting", ko: "시작하는 중" },
    running: { en: "Training", ko: "학습 중" },
    held: { en: "Held after a step", ko: "한 스텝 뒤 멈춤" },
    stopping: { en: "Stopping", ko: "멈추는 중" },
    stopped: { en: "Stopped", ko: "멈춤" },
    finished: { en: "Finished", ko: "완료" },
    failed: { en: "Failed", ko: "실패" },
    lost: { en: "Interrupted", ko: "중단됨" },
  };
  const SILENCE = 8000; // milliseconds
  const ACTIVE = ["queued", "starting", "running", "held", "stopping"];
  const LABELS = {
    train: { en: "Train", ko: "학습" },
    race: { en: "Race", ko: "경주" },
    stop: { en: "Stop", ko: "멈춤" },
    resume: { en: "Resume", ko: "이어하기" },
    step: { en: "Step", ko: "한 스텝" },
  };

  /** Which buttons do something in a state. */
  const allowed = (state) => ({
    train: !ACTIVE.includes(state),
    stop: ACTIVE.includes(state) && state !== "stopping",
    resume: ["held", "stopped", "failed", "lost"].includes(state),
    step: state !== "stopping" && state !== "starting",
  });

  class Monitor {
    /** props.schema: {family, key, unit, sides, race, titles}; what it is told stands at `playground.monitor`. */
    constructor(element, props, trigger) {
      Object.assign(this, { element, trigger, schema: props.schema, heard: Date.now() });
      Object.assign(this, { run: null, last: 0, state: "none", watching: false, answer: playground.patience() });
      this.buttons = this.makeButtons();
      this.line = el("p", { class: "state", role: "status", "aria-live": "polite" });
      this.counts = el("p", { class: "counts" });
      this.bar = el("progress", { max: 1, value: 0, "aria-label": say({ en: "Progress", ko: "진행" }) });
      this.message = el("p", { class: "message", role: "alert", hidden: true });
      this.sides = Object.fromEntries(this.schema.sides.map((side) => [side, this.makeSide(side)]));
      const label = say({ en: "Training", ko: "학습" });
      element.append(
        el("div", { class: "buttons", role: "group", "aria-label": label }, Object.values(this.buttons)),
        ...[this.line, this.bar, this.counts, this.message],
        el("div", { class: `curves sides-${this.schema.sides.length}` }, Object.values(this.sides).map((s) => s.node)),
      );
      this.show("none");
      this.takeUp();
      this.watchdog = setInterval(() => this.listen(), 2000);
    }

    makeButtons() {
      const actions = this.schema.race ? ["train", "stop", "resume"] : ["train", "stop", "resume", "step"];
      return Object.fromEntries(
        actions.map((action) => {
          const label = LABELS[this.schema.race && action === "train" ? "race" : action];
          const kind = action === "train" ? "primary" : "";
          const press = () => this.press(action);
          return [action, el("button", { type: "button", class: kind, "data-action": action, onclick: press }, say(label))];
        }),
      );
    }

    /** A curve, and in a race the side's name and its newest picture. */
    makeSide(side) {
      const curve = playground.curve(this.schema.unit);
      const picture = el("img", { class: "preview", hidden: true, alt: say({ en: "Preview", ko: "미리 보기" }) });
      const { race, titles } = this.schema;
      const node = el("div", { class: "side" }, race ? [el("h3", {}, say(titles[side])), curve.node, picture] : [curve.node]);
      return { node, curve, picture };
    }

    // --- What is asked

    press(action) {
      if (!allowed(this.state)[action]) return;
      const anew = action === "train" || (action === "step" && (!this.run || this.state === "finished"));
      if (anew) {
        this.forget();
        this.heard = Date.now();
        this.trigger("train", { step: action === "step" });
      } else {
        this.trigger(action, { run: this.run });
      }
      if (action === "train") this.show("starting");
      if (action === "stop") this.show("stopping");
    }

    attach() {
      if (!this.run || this.watching) return;
      this.watching = true;
      this.heard = Date.now();
      this.trigger("attach", { run: this.run, after: this.last });
      this.answer.asked();
    }

    /** A reload takes up the run that this browser watched last, or the one that a link names. */
    takeUp() {
      const asked = playground.address.all();
      const linked = asked.tab === this.schema.key && /^[\w-]{16,64}$/.test(asked.run ?? "");
      this.run = (linked ? asked.run : mine.read(this.schema.key).current) ?? null;
      this.attach();
    }

    /**
     * The server speaks every second while a run is under way. Where it falls silent (a laptop that slept, a stream
     * that was lost), the page asks again; the server then ends the watcher before.
     */
    listen() {
      if (!this.element.isConnected) return clearInterval(this.watchdog);
      if (Date.now() - this.heard < SILENCE || document.hidden) return;
      if (this.run && this.watching) {
        this.watching = false;
        this.attach();
      } else if (!this.run && this.state === "starting") this.show("none");
    }

    // --- What is told

    /** A run was submitted, or could not be. */
    begin(feed) {
      if (feed.refused) return this.refused(feed);
      this.forget();
      this.run = feed.run;
      this.keep(feed);
      this.show(feed.status.state, feed.status);
      this.attach();
    }

    take(feed) {
      if ((feed?.run ?? feed?.gone) !== this.run) return; // a message of the run before
      this.heard = Date.now();
      this.answer.heard();
      if (feed.refused) return this.refused(feed);
      for (const [n, side, step, values] of feed.points) {
        if (n > this.last) this.sides[side]?.curve.add([[step, values]]);
      }
      this.last = Math.max(this.last, feed.last);
      this.showPictures(feed.previews ?? {});
      const before = this.state;
      this.show(feed.status.state, feed.status);
      this.showCounts(feed.status);
      this.watching = feed.live;
      const learnt = !feed.live && ["finished", "stopped"].includes(this.state) && ACTIVE.includes(before);
      if (learnt && !this.schema.race) {
        playground.tell("learnt", { family: this.schema.family, token: `run:${this.run}` });
      }
    }

    refused(feed) {
      this.watching = false;
      if (feed.gone) {
        mine.change(this.schema.key, (m) => {
          m.runs = (m.runs ?? []).filter((r) => r.id !== feed.gone);
          delete m.current;
        });
        playground.tell("mine", { family: this.schema.family });
        this.forget();
      }
      this.show("none");
      this.message.textContent = feed.refused;
      this.message.hidden = false;
    }

    /** The run's id stays in this browser: it is the only key to the run. */
    keep(feed) {
      mine.change(this.schema.key, (m) => {
        const others = (m.runs ?? []).filter((r) => r.id !== feed.run);
        m.runs = [...others, { id: feed.run, said: feed.said }].slice(-8);
        m.current = feed.run;
      });
      playground.tell("mine", { family: this.schema.family });
    }

    forget() {
      Object.assign(this, { run: null, last: 0 });
      for (const { curve, picture } of Object.values(this.sides)) {
        curve.clear();
        picture.hidden = true;
      }
      this.message.hidden = true;
      this.bar.value = 0;
      this.counts.textContent = "";
    }

    // --- What is shown

    show(state, status = {}) {
      this.state = state;
      const wait = status.wait > 1 ? say({ en: ", about ", ko: ", 약 " }) + duration(status.wait) : "";
      const words = state === "queued" && !status.place ? "waiting" : state;
      this.line.textContent = fill(STATES[words] ?? state, { place: status.place, wait });
      this.element.dataset.state = state;
      const can = allowed(state);
      for (const [action, button] of Object.entries(this.buttons)) button.disabled = !can[action];
    }

    showCounts({ step, total, seconds, left, message }) {
      this.element.dataset.step = step;
      this.bar.value = total ? step / total : 0;
      const parts = [];
      if (total) parts.push(`${say(this.schema.unit)} ${step.toLocaleString("en-US")} / ${total.toLocaleString("en-US")}`);
      if (seconds > 0) parts.push(fill({ en: "{t} so far", ko: "{t} 지남" }, { t: duration(seconds) }));
      if (left > 0.5 && ACTIVE.includes(this.state)) {
        parts.push(fill({ en: "about {t} left", ko: "약 {t} 남음" }, { t: duration(left) }));
      }
      this.counts.textContent = parts.join(" · ");
      this.message.textContent = message ? say(message) : "";
      this.message.hidden = !message;
    }

    showPictures(previews) {
      for (const [side, data] of Object.entries(previews)) {
        const picture = this.sides[side]?.picture;
        if (picture) Object.assign(picture, { src: data, hidden: false });
      }
    }
  }

  /**
   * Triggers train, stop, resume, step and attach. Train is answered by `begun`, the others but attach by `obeyed`;
   * attach by `value`, again and again: what watching.feed describes. They are apart so that none overwrites another.
   */
  playground.monitor = (element, props, trigger, watch) => {
    const monitor = new Monitor(element, props, trigger);
    watch("begun", () => monitor.begin(props.begun));
    watch("obeyed", () => monitor.attach());
    watch("value", () => monitor.take(props.value));
  };
})();
