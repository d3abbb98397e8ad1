// How a checkpoint is looked at: which one, which view, with which controls.
(() => {
  const { el, say, newId, mine, address } = playground;

  const MORE = { en: "More controls", ko: "더 많은 조절" };
  const REPEATABLE = ["number", "seed", "choice", "text"];
  const SETTLE = 120; // milliseconds after the last change before it is drawn

  const keyOf = ({ spec }) => `${spec.kind} ${spec.name}`;

  class Views {
    /** form: what family.views_form describes; role "makes" generates, "looks" shows the other views. */
    constructor(element, props, trigger, server) {
      Object.assign(this, { element, props, trigger, server, form: props.schema, fields: [], active: null, drawn: false });
      this.kept = new Map(); // the visitor's pictures and recordings, by control
      Object.assign(this, { asked: 0, answer: playground.patience() });
      this.makes = this.form.role === "makes";
      this.tabs = el("div", { class: "viewtabs", role: "tablist", "aria-label": say({ en: "Views", ko: "보기" }) });
      this.tabs.addEventListener("keydown", (event) => this.moveTab(event));
      this.about = el("p", { class: "hint" });
      this.inputs = el("div", { class: "inputs" });
      this.vocoder = this.form.vocoders ? playground.field(this.form.vocoders, () => this.changed(true)) : null;
      this.vocoder?.node.classList.add("vocoder"); // in sight where a mel is shown: see style.css
      const act = this.makes ? { en: "Generate", ko: "생성" } : { en: "Draw", ko: "그리기" };
      this.draw = el("button", { type: "button", class: "primary", onclick: () => this.go(true) }, say(act));
      const halt = { type: "button", class: "quiet", hidden: true, onclick: () => this.stop() };
      this.halt = el("button", halt, say({ en: "Halt", ko: "중단" }));
      const acts = el("div", { class: "acts" }, [this.draw, this.halt]);
      if (this.makes) {
        this.picker = new Picker(this.form, (token) => trigger("pick", { token }));
        element.append(el("div", { class: "lead-row" }, [this.picker.node, acts]), this.about, this.inputs);
        if (this.vocoder) element.append(this.vocoder.node);
      } else {
        element.append(this.tabs, this.about, this.inputs, acts);
        if (this.vocoder) element.append(this.vocoder.node);
      }
      this.begin(address.all());
    }

    /** Show what an address names; a link with settings draws them, otherwise the shipped picture is there already. */
    begin(asked) {
      const here = asked.tab === this.form.family;
      const named = here && this.form.views.some((v) => v.key === asked.view);
      if (here && asked.vocoder) this.vocoder?.set(asked.vocoder);
      this.build(named ? asked.view : undefined, named ? asked : {});
      this.props.value = this.value();
      const settled = named && Object.keys(asked).some((key) => !["tab", "__theme", "view"].includes(key));
      if (this.makes && here && asked.checkpoint && asked.checkpoint !== this.form.checkpoint) {
        this.trigger("pick", { token: asked.checkpoint });
      } else if (this.makes && settled) this.go(false);
      if (!this.makes) this.drawWhenSeen();
      if (!this.makes && named) setTimeout(() => this.element.scrollIntoView({ block: "nearest" }), 300);
    }

    drawWhenSeen() {
      const look = (entries) => {
        this.inSight = entries[entries.length - 1].isIntersecting;
        if (this.inSight && !this.drawn) this.go(false);
      };
      new IntersectionObserver(look, { threshold: 0.6 }).observe(this.element);
    }

    /** Another checkpoint: its own views and controls, the values kept where they fit. */
    change(form) {
      if (JSON.stringify(form) === JSON.stringify(this.form)) return;
      const before = { key: this.active?.key, values: this.controls() };
      this.form = form;
      this.picker?.show(form);
      this.build(before.key, before.values);
      this.drawn = false;
      if (this.makes || this.inSight) this.go(false);
    }

    // --- The view's inputs

    build(key, values) {
      this.tabs.hidden = this.makes || !this.form.views.length;
      const open = (view) => () => (this.show(view.key), this.go(true));
      this.tabs.replaceChildren(
        ...this.form.views.map((view) =>
          el("button", { type: "button", role: "tab", "data-view": view.key, onclick: open(view) }, say(view.name)),
        ),
      );
      this.show(key, values);
    }

    show(key, values = {}) {
      this.active = this.form.views.find((v) => v.key === key) ?? this.form.views[0] ?? null;
      for (const tab of this.tabs.children) {
        const on = tab.dataset.view === this.active?.key;
        tab.setAttribute("aria-selected", String(on));
        tab.tabIndex = on ? 0 : -1;
      }
      this.about.textContent = this.active ? say(this.active.about) : "";
      this.keep();
      const example = () => this.server.example({ family: this.form.family, checkpoint: this.form.checkpoint });
      this.fields = playground.fields(this.active?.fields ?? [], (settled) => this.changed(settled), example);
      for (const f of this.fields) if (f.spec.name in values) f.set(values[f.spec.name]);
      for (const f of this.fields) if (this.kept.has(keyOf(f))) f.restore(this.kept.get(keyOf(f)));
      const sighted = this.makes ? this.fields.slice(0, this.form.inSight) : this.fields;
      const rest = this.fields.slice(sighted.length).map((f) => f.node);
      if (this.makes) rest.push(restoring());
      this.inputs.replaceChildren(...sighted.map((f) => f.node), ...(rest.length ? [playground.closedPart(MORE, rest)] : []));
      this.draw.disabled = !this.active || !this.form.checkpoint;
      this.element.closest(".looks, .makes")?.classList.toggle("without", !this.active);
    }

    /** What a person has painted, recorded or chosen stays: in the next view, and with the next checkpoint. */
    keep() {
      for (const f of this.fields) {
        const kept = f.keep?.();
        if (kept) this.kept.set(keyOf(f), kept);
        else this.kept.delete(keyOf(f));
      }
    }

    moveTab(event) {
      const all = [...this.tabs.children];
      const place = all.indexOf(document.activeElement);
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move || place < 0) return;
      const next = all[(place + move + all.length) % all.length];
      next.focus();
      next.click();
    }

    // --- Drawing

    controls() {
      return Object.fromEntries(this.fields.map((f) => [f.spec.name, f.get()]));
    }

    value() {
      const { family, checkpoint } = this.form;
      const sounded = this.vocoder ? { vocoder: this.vocoder.get() } : {};
      return { family, checkpoint, view: this.active?.key ?? "", controls: this.controls(), asked: this.asked, ...sounded };
    }

    changed(settled) {
      if (!settled) return;
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.go(true), SETTLE);
    }

    go(byHand) {
      if (!this.active || !this.form.checkpoint) return;
      this.drawn = true;
      this.asked += 1;
      this.props.value = this.value();
      if (byHand) this.remember();
      this.trigger("draw", {});
      this.answer.asked();
    }

    remember() {
      const flat = { tab: this.form.family, view: this.active.key };
      const { checkpoint, shipped } = this.form;
      if (checkpoint !== shipped[0] && !checkpoint.startsWith("upload:")) flat.checkpoint = checkpoint;
      for (const f of this.fields) if (REPEATABLE.includes(f.spec.kind)) flat[f.spec.name] = f.get();
      if (this.vocoder && this.vocoder.get() !== this.vocoder.spec.default) flat.vocoder = this.vocoder.get();
      address.set(flat);
    }

    stop() {
      this.trigger("halt", {});
      this.setBusy([this.asked, false]);
    }

    setBusy([asked, busy]) {
      if (asked !== this.asked) return; // of a drawing before the newest
      this.answer.heard();
      this.halt.hidden = !busy;
      this.element.setAttribute("aria-busy", String(Boolean(busy)));
    }
  }

  /** A button that takes the settings out of a picture or a recording that this playground has made. */
  const restoring = () => {
    const choose = el("input", { type: "file", accept: "image/png,audio/wav", class: "offscreen", tabindex: -1, "aria-hidden": "true" });
    const label = { en: "Take settings from a file", ko: "파일에서 설정 가져오기" };
    const button = el("button", { type: "button", class: "quiet", onclick: () => choose.click() }, say(label));
    choose.addEventListener("change", async () => {
      if (choose.files.length && !(await playground.restore(choose.files[0]))) {
        button.textContent = say({ en: "This file carries no settings", ko: "설정이 들어 있지 않은 파일입니다" });
      }
      choose.value = "";
    });
    return el("div", { class: "acts" }, [button, choose]);
  };

  /** The choice of a checkpoint: shipped ones, and the visitor's own runs. */
  class Picker {
    constructor(form, picked) {
      const id = newId("checkpoint");
      this.select = el("select", { id, onchange: () => picked(this.select.value) });
      const label = el("label", { for: id }, say({ en: "Checkpoint", ko: "체크포인트" }));
      this.node = el("div", { class: "field picker", "data-name": "checkpoint" }, [label, this.select]);
      this.show(form);
      playground.hear("mine", ({ family }) => family === this.form.family && this.show(this.form));
    }

    show(form) {
      this.form = form;
      const named = (kind, name) => `${say(kind)}: ${name}`;
      const options = [
        ...form.shipped.map((token) => [token, named({ en: "Shipped", ko: "제공됨" }, token.split(":")[1])]),
        ...(mine.read(form.family).runs ?? []).map(({ id, said }) => [`run:${id}`, named({ en: "My run", ko: "내 학습" }, say(said))]),
      ];
      if (form.checkpoint && !options.some(([token]) => token === form.checkpoint)) {
        const own = form.checkpoint.startsWith("upload:");
        options.push([form.checkpoint, say(own ? { en: "My file", ko: "내 파일" } : { en: "Shared with me", ko: "공유받은 것" })]);
      }
      if (!options.length) options.push(["", say({ en: "None yet", ko: "아직 없음" })]);
      this.select.replaceChildren(...options.map(([token, label]) => el("option", { value: token }, label)));
      this.select.value = form.checkpoint;
      this.select.disabled = !form.checkpoint && options.length < 2;
    }
  }

  /** Triggers "draw" with the newest value, "halt", and "pick" when another checkpoint is chosen. */
  playground.views = (element, props, trigger, watch, server) => {
    const views = new Views(element, props, trigger, server);
    watch("schema", () => views.change(props.schema));
    watch("busy", () => views.setBusy(props.busy));
    if (views.makes) {
      playground.hear("learnt", ({ family, token }) => family === views.form.family && trigger("pick", { token }));
    }
  };
})();
