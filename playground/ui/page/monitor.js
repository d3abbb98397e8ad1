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
  const BUTTONS = {
    train: { en: "Train", ko: "학습" },
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

  /**
   * props.schema: {family, unit, sides: [""] or ["ours", "reference"], steps: whether there is a Step button}.
   * props.value: what the server sends, see watching.py. Triggers train, stop, resume, step, attach.
   */
  playground.monitor = (element, props, trigger, watch) => {
    const { family, unit, sides, key } = props.schema;
    let run = null;
    let last = 0;
    let state = "none";
    let watching = false;
    let heard = Date.now();

    const actions = props.schema.race ? ["train", "stop", "resume"] : ["train", "stop", "resume", "step"];
    const labels = { ...BUTTONS, ...(props.schema.race ? { train: { en: "Race", ko: "경주" } } : {}) };
    const buttons = Object.fromEntries(
      actions.map((action) => [
        action,
        el(
          "button",
          { type: "button", class: action === "train" ? "primary" : "", "data-action": action, onclick: () => press(action) },
          say(labels[action]),
        ),
      ]),
    );
    const line = el("p", { class: "state", role: "status", "aria-live": "polite" });
    const counts = el("p", { class: "counts" });
    const bar = el("progress", { max: 1, value: 0, "aria-label": say({ en: "Progress", ko: "진행" }) });
    const message = el("p", { class: "message", role: "alert", hidden: true });
    const curves = Object.fromEntries(sides.map((side) => [side, playground.curve(unit)]));
    const live = Object.fromEntries(
      sides.map((side) => [side, el("img", { class: "preview", hidden: true, alt: say({ en: "Preview", ko: "미리 보기" }) })]),
    );

    const sideTitle = (side) => (props.schema.titles ? el("h3", {}, say(props.schema.titles[side])) : null);
    element.append(
      el("div", { class: "buttons", role: "group", "aria-label": say({ en: "Training", ko: "학습" }) }, Object.values(buttons)),
      line,
      bar,
      counts,
      message,
      el(
        "div",
        { class: `curves sides-${sides.length}` },
        sides.map((side) =>
          el("div", { class: "side" }, [sideTitle(side), curves[side].node, props.schema.race ? live[side] : null]),
        ),
      ),
    );

    const press = (action) => {
      if (!allowed(state)[action]) return;
      if (action === "train" || (action === "step" && (!run || ["none", "finished"].includes(state)))) {
        forget();
        heard = Date.now();
        trigger("train", { step: action === "step" });
      } else {
        trigger(action, { run });
        if (!watching && action !== "stop") setTimeout(attach, 150);
      }
      if (action === "train") show("starting");
      if (action === "stop") show("stopping");
      refresh();
    };
    const attach = () => {
      if (!run || watching) return;
      watching = true;
      heard = Date.now();
      trigger("attach", { run, after: last });
    };
    // The server speaks every second while a run is under way. Where it falls silent (a laptop that slept, a stream
    // that was lost), the page asks again; the server then ends the watcher before.
    const watchdog = setInterval(() => {
      if (!element.isConnected) return clearInterval(watchdog);
      if (Date.now() - heard < SILENCE || document.hidden) return;
      if (run && watching) {
        watching = false;
        attach();
      } else if (!run && state === "starting") show("none");
    }, 2000);
    const forget = () => {
      run = null;
      last = 0;
      Object.values(curves).forEach((curve) => curve.clear());
      Object.values(live).forEach((image) => (image.hidden = true));
      message.hidden = true;
      bar.value = 0;
      counts.textContent = "";
    };
    const refresh = () => {
      const can = allowed(state);
      for (const [action, button] of Object.entries(buttons)) button.disabled = !can[action];
    };
    const show = (now, status = {}) => {
      state = now;
      const wait = status.wait > 1 ? say({ en: ", about ", ko: ", 약 " }) + duration(status.wait) : "";
      const words = now === "queued" && !status.place ? "waiting" : now;
      line.textContent = fill(STATES[words] ?? { en: now, ko: now }, { place: status.place, wait });
      element.dataset.state = now;
      refresh();
    };

    const take = (feed) => {
      heard = Date.now();
      if (!feed || !feed.run) {
        if (feed?.refused) {
          watching = false;
          if (feed.gone) {
            mine.change(key, (m) => {
              m.runs = (m.runs ?? []).filter((r) => r.id !== feed.gone);
              delete m.current;
            });
            playground.tell("mine", { family });
            forget();
          }
          show("none");
          message.textContent = feed.refused;
          message.hidden = false;
        }
        return;
      }
      if (run && feed.run !== run) return; // a message of the run before
      if (feed.run !== run) {
        forget();
        run = feed.run;
        keep(feed);
      }
      for (const [n, side, step, values] of feed.points) {
        if (n <= last) continue;
        curves[side]?.add([[step, values]]);
      }
      for (const [side, data] of Object.entries(feed.previews ?? {})) {
        if (live[side] && data) {
          live[side].src = data;
          live[side].hidden = false;
        }
      }
      last = Math.max(last, feed.last);
      element.dataset.step = feed.status.step;
      const before = state;
      show(feed.status.state, feed.status);
      showCounts(feed.status);
      watching = feed.live && !feed.begun;
      if (feed.begun) attach();
      if (!feed.live && ["finished", "stopped"].includes(state) && ACTIVE.includes(before) && !props.schema.race) {
        playground.tell("learnt", { family, token: `run:${run}` });
      }
    };
    const showCounts = (status) => {
      const { step, total, seconds, left } = status;
      bar.value = total ? step / total : 0;
      const parts = [];
      if (total) parts.push(`${say(unit)} ${step.toLocaleString("en-US")} / ${total.toLocaleString("en-US")}`);
      if (seconds > 0) parts.push(fill({ en: "{t} so far", ko: "{t} 지남" }, { t: duration(seconds) }));
      if (left > 0.5 && ACTIVE.includes(state)) parts.push(fill({ en: "about {t} left", ko: "약 {t} 남음" }, { t: duration(left) }));
      counts.textContent = parts.join(" · ");
      message.textContent = status.message ? say(status.message) : "";
      message.hidden = !status.message;
    };
    const keep = (feed) => {
      mine.change(key, (m) => {
        const others = (m.runs ?? []).filter((r) => r.id !== feed.run);
        m.runs = [...others, { id: feed.run, said: feed.said }].slice(-8);
        m.current = feed.run;
      });
      playground.tell("mine", { family });
    };

    show("none");
    watch("value", () => take(props.value));
    // A reload takes up the run that this browser watched last, or the one that a link names.
    const asked = playground.address.all();
    const linked = asked.tab === key && /^[\w-]{16,64}$/.test(asked.run ?? "") ? asked.run : null;
    const remembered = linked ?? mine.read(key).current;
    if (remembered) {
      run = remembered;
      attach();
    }
  };
})();
