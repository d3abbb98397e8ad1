// Links between tabs, and the form of the Compare tab.
(() => {
  const { el, say, field, fill, newId } = playground;

  /** Cards and other links with data-tab open their tab in place; with a modifier key they stay links. */
  playground.links = (element, props, trigger) => {
    // Gradio has no Korean for this one label of its own.
    const name = () => {
      for (const menu of document.querySelectorAll('[aria-label="More tabs"]')) {
        menu.setAttribute("aria-label", say({ en: "More tabs", ko: "다른 탭" }));
      }
    };
    new MutationObserver(name).observe(document.querySelector("#tabs") ?? document.body, { childList: true, subtree: true });
    name();
    playground.wake = () => trigger("wake", {});
    document.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a[data-tab]") : null;
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      playground.address.set({ tab: link.dataset.tab });
      trigger("open", { tab: link.dataset.tab });
      window.scrollTo({ top: 0 });
    });
  };

  const HALT = { en: "Halt", ko: "중단" };
  const MISSING = {
    en: "There is no pair of checkpoints to compare yet; the race below needs none.",
    ko: "아직 비교할 체크포인트 쌍이 없습니다. 아래 경주는 할 수 있습니다.",
  };

  class Compare {
    /** props.schema.families: what comparison._described says of each. */
    constructor(element, props, trigger) {
      Object.assign(this, { element, props, trigger, fields: [], families: props.schema.families });
      Object.assign(this, { asked: 0, answer: playground.patience() });
      const id = newId("family");
      const options = this.families.map((f) => el("option", { value: f.name }, say(f.title)));
      this.select = el("select", { id, onchange: () => this.choose(this.select.value) }, options);
      this.about = el("p", { class: "hint" });
      this.inputs = el("div", { class: "inputs" });
      this.vocoder = playground.field(props.schema.vocoders, () => this.go());
      this.vocoder.node.classList.add("vocoder");
      const compare = { type: "button", class: "primary", onclick: () => this.go() };
      this.draw = el("button", compare, say({ en: "Compare", ko: "비교하기" }));
      const halt = { type: "button", class: "quiet", hidden: true, onclick: () => this.stop() };
      this.halt = el("button", halt, say(HALT));
      this.missing = el("p", { class: "hint" }, say(MISSING));
      this.hub = el("div", { class: "hub" });
      const label = el("label", { for: id }, say({ en: "Family", ko: "모델" }));
      const acts = el("div", { class: "acts" }, [this.draw, this.halt]);
      element.append(el("div", { class: "field" }, [label, this.select]), this.about, this.inputs, acts, this.vocoder.node, this.missing, this.hub);
      this.begin(playground.address.all());
    }

    begin(asked) {
      const here = asked.tab === "compare";
      if (here && asked.vocoder) this.vocoder.set(asked.vocoder);
      this.build(here ? asked.family : "", here ? asked : {});
      if (here && asked.family && this.family.ready) this.go();
    }

    choose(name) {
      this.build(name, {});
      this.remember();
    }

    build(name, values) {
      const family = this.families.find((f) => f.name === name) ?? this.families[0];
      this.family = family;
      this.select.value = family.name;
      this.about.textContent = say(family.about);
      this.fields = playground.fields(family.fields, (settled) => settled && this.store());
      for (const f of this.fields) if (f.spec.name in values) f.set(values[f.spec.name]);
      this.inputs.replaceChildren(...this.fields.map((f) => f.node));
      this.draw.disabled = !family.ready;
      this.missing.hidden = family.ready;
      this.showHub(family.hub);
      playground.compared = family.name;
      playground.tell("compared", { family: family.name });
      this.store();
    }

    /** The pretrained model of the hub, behind a button that says what it downloads. */
    showHub(hub) {
      this.hub.replaceChildren();
      if (!hub) return;
      const words = { en: "Draw with {repo} (downloads {megabytes} MB)", ko: "{repo}로 그리기 ({megabytes} MB 내려받음)" };
      const draw = () => this.ask("hub");
      const button = el("button", { type: "button", class: "quiet", onclick: draw }, fill(words, hub));
      this.hub.append(el("p", { class: "hint" }, say(hub.about)), button);
    }

    controls() {
      return Object.fromEntries(this.fields.map((f) => [f.spec.name, f.get()]));
    }

    store() {
      const vocoder = this.vocoder.get();
      this.props.value = { family: this.family.name, controls: this.controls(), asked: this.asked, vocoder };
    }

    remember() {
      const plain = this.fields.filter((f) => ["number", "seed", "choice", "text"].includes(f.spec.kind));
      const values = Object.fromEntries(plain.map((f) => [f.spec.name, f.get()]));
      if (this.vocoder.get() !== this.vocoder.spec.default) values.vocoder = this.vocoder.get();
      playground.address.set({ tab: "compare", family: this.family.name, ...values });
    }

    go() {
      this.remember();
      this.ask("draw");
    }

    ask(what) {
      this.asked += 1;
      this.store();
      this.trigger(what, {});
      this.answer.asked();
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

  /** Triggers draw, halt and hub, with value {family, controls}. */
  playground.compare = (element, props, trigger, watch) => {
    if (!props.schema.families.length) return;
    const compare = new Compare(element, props, trigger);
    watch("busy", () => compare.setBusy(props.busy));
  };

  /** What to race: the family that is compared, a preset, minutes for each. */
  playground.racer = (element, props) => {
    const { families } = props.schema;
    let family = families[0];
    let preset = null;
    const store = () => {
      props.value = { family: family.name, preset: preset.get(), minutes: minutes.get() };
    };
    const label = { en: "Minutes for each", ko: "각각의 시간(분)" };
    const minutes = field({ name: "minutes", kind: "number", plain: true, label, default: 0.5, low: 0.1, high: 30 }, store);
    const inputs = el("div", { class: "inputs" });
    element.append(inputs);
    const build = (name) => {
      family = families.find((f) => f.name === name) ?? family;
      const options = family.presets.map((p) => [p.label, p.name]);
      const said = { en: `Preset of ${say(family.title)}`, ko: `${say(family.title)} 설정` };
      preset = field({ name: "preset", kind: "choice", label: said, default: options[0]?.[1], options }, store);
      inputs.replaceChildren(preset.node, minutes.node);
      store();
    };
    if (!family) return;
    build(playground.compared ?? family.name);
    playground.hear("compared", (detail) => build(detail.family));
  };
})();
