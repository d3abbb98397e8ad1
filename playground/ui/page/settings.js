// The form of a training: preset, data, and every setting of the recipe and the architecture.
(() => {
  const { el, say, fill, field, newId, mine, address } = playground;

  const SEED = {
    name: "seed",
    kind: "seed",
    label: { en: "Seed", ko: "시드" },
    default: 0,
    low: 0,
    high: 2147483647,
    whole: true,
    step: 1,
  };
  const MINUTES = {
    name: "minutes",
    kind: "number",
    plain: true,
    label: { en: "Minutes (0: as many steps as below)", ko: "시간(분, 0이면 아래 횟수대로)" },
    default: 0,
    low: 0,
    high: 600,
  };
  const START = {
    name: "start",
    kind: "choice",
    label: { en: "Begin from", ko: "시작점" },
    default: false,
    options: [
      [{ en: "scratch", ko: "처음부터" }, false],
      [{ en: "the checkpoint shown", ko: "보이는 체크포인트" }, true],
    ],
  };

  const OWN = {
    pictures: {
      option: { en: "My pictures ({kept})", ko: "내 사진 ({kept}장)" },
      remove: { en: "Delete my pictures", ko: "내 사진 삭제" },
    },
    recordings: {
      option: { en: "My recordings ({kept})", ko: "내 녹음 ({kept}개)" },
      joined: { en: "Spoken digits and my recordings ({kept})", ko: "말한 숫자와 내 녹음 ({kept}개)" },
      remove: { en: "Delete my recordings", ko: "내 녹음 삭제" },
    },
  };
  const RECORD = { en: "Say digits to train on", ko: "학습할 숫자 말하기" };

  /** The token of the upload among the data, or "". */
  const tokenOf = (dataset) => dataset.match(/(?:^|\+)own:([0-9a-f]+)/)?.[1] ?? "";

  /** The fields whose value is not the preset's, by name. */
  const differing = (fields, preset) =>
    Object.fromEntries(
      fields
        .filter((f) => JSON.stringify(f.get()) !== JSON.stringify(preset[f.spec.name] ?? f.spec.default))
        .map((f) => [f.spec.name, f.get()]),
    );

  class Settings {
    /** form: what forms.settings_form describes. */
    constructor(element, props, trigger, server) {
      Object.assign(this, { props, trigger, server, form: props.schema });
      const tell = () => this.tell();
      this.seed = field(SEED, tell);
      this.minutes = field(MINUTES, tell);
      this.start = field(START, tell);
      // Steps that are asked for are not rescaled to the preset's time.
      const counted = () => (this.minutes.set(0), this.tell());
      this.recipe = this.form.recipe.map((spec) => field(spec, spec.counts ? counted : tell));
      this.config = this.form.config.map((spec) => field(spec, tell));
      this.sentence = el("p", { class: "hint sentence", "aria-live": "polite" });
      this.presets = this.presetChoice();
      this.buildData();
      this.prompting = this.promptingPart();
      const prompts = this.prompting ? playground.closedPart(RECORD, [this.prompting.node]) : null;
      element.append(...[this.presets, this.sentence, this.dataField, this.remove, prompts, this.closed()].filter(Boolean));
      this.take(address.all());
      element.addEventListener("change", () => this.remember());
      playground.hear("own", (detail) => this.addOwn(detail));
    }

    presetOf(name) {
      return this.form.presets.find((p) => p.name === name) ?? this.form.presets[0];
    }

    presetChoice() {
      const group = newId("preset");
      const choices = this.form.presets.map((preset) => {
        const id = newId("radio");
        const choose = () => this.choose(preset.name);
        return el("span", {}, [
          el("input", { type: "radio", id, name: group, value: preset.name, onchange: choose }),
          el("label", { for: id }, say(preset.label)),
        ]);
      });
      return el("fieldset", { class: "segments" }, el("legend", {}, say({ en: "Preset", ko: "설정" })), choices);
    }

    /** Everything as the preset has it. */
    choose(name) {
      this.preset = this.presetOf(name);
      this.dataset = this.preset.dataset;
      this.sentence.textContent = say(this.preset.about);
      for (const radio of this.presets.querySelectorAll("input")) radio.checked = radio.value === this.preset.name;
      this.minutes.set(this.preset.minutes);
      for (const f of this.recipe) f.set(this.preset.recipe[f.spec.name] ?? f.spec.default);
      for (const f of this.config) f.set(this.preset.config[f.spec.name] ?? f.spec.default);
      this.listData();
      this.tell();
    }

    // --- Data

    buildData() {
      const id = newId("dataset");
      this.data = el("select", { id, onchange: () => this.chooseData(this.data.value) });
      const label = el("label", { for: id }, say({ en: "Data", ko: "데이터" }));
      this.dataField = el("div", { class: "field", "data-name": "dataset" }, [label, this.data]);
      const remove = { type: "button", class: "quiet", hidden: true, onclick: () => this.deleteOwn() };
      this.remove = el("button", remove, say(OWN[this.form.own || "pictures"].remove));
    }

    chooseData(name) {
      this.dataset = name;
      this.data.value = name;
      this.remove.hidden = !tokenOf(name);
      this.tell();
    }

    listData() {
      const absent = { en: " (download, {megabytes} MB)", ko: " (내려받기 {megabytes} MB)" };
      const named = (d) => say(d.label) + (d.absent ? fill(absent, d) : "");
      const own = this.own();
      const { option, joined } = OWN[this.form.own || "pictures"];
      const others = this.form.prompts?.others;
      const base = this.dataset.split(":")[0];
      this.data.replaceChildren(
        // A preset may ask for a size ("emoji:32"): the data set's own entry stands for it.
        ...this.form.datasets.map((d) => el("option", { value: d.name === base ? this.dataset : d.name }, named(d))),
        ...own.map(({ token, kept }) => el("option", { value: `own:${token}` }, fill(option, { kept }))),
        ...(others ? own : []).map(({ token, kept }) => el("option", { value: `${others}+own:${token}` }, fill(joined, { kept }))),
      );
      this.data.value = this.dataset;
      this.remove.hidden = !tokenOf(this.dataset);
      this.prompting?.show();
    }

    /** The uploads of this browser for this family. (They were all pictures once: hence the name they are kept under.) */
    own() {
      return mine.read(this.form.family).pictures ?? [];
    }

    /** A part in which a person says digits; what is sent comes back as a notice. */
    promptingPart() {
      if (!this.form.prompts) return null;
      const send = (said) => {
        this.added = said.more;
        this.trigger("keep", said);
      };
      return playground.prompting(this.form.prompts, () => this.own(), send);
    }

    addOwn({ family, token, kept }) {
      if (family !== this.form.family) return;
      const others = this.own().filter((p) => p.token !== this.added); // what was added to has become the new one
      mine.change(family, (m) => (m.pictures = [...others, { token, kept }].slice(-5)));
      this.added = null;
      this.prompting?.sent(true);
      this.dataset = `own:${token}`;
      this.listData();
      this.tell();
    }

    deleteOwn() {
      const token = tokenOf(this.dataset);
      mine.change(this.form.family, (m) => (m.pictures = (m.pictures ?? []).filter((p) => p.token !== token)));
      this.dataset = this.preset.dataset;
      this.listData();
      this.tell();
      this.trigger("forget", { token });
    }

    // --- The closed part

    closed() {
      return playground.closedPart({ en: "All settings", ko: "모든 설정" }, [
        this.seed.node,
        this.minutes.node,
        this.start.node,
        el("h3", {}, say({ en: "Training", ko: "학습" })),
        ...this.recipe.map((f) => f.node),
        el("h3", {}, say({ en: "Architecture", ko: "구조" })),
        ...this.config.map((f) => f.node),
        el("div", { class: "acts" }, [
          this.copier("command", { en: "Copy as command line", ko: "명령줄로 복사" }),
          this.copier("python", { en: "Copy as Python", ko: "파이썬으로 복사" }),
        ]),
      ]);
    }

    copier(what, label) {
      const copy = async (event) => {
        const button = event.currentTarget;
        const made = await this.server.repeat({ ...this.value(), family: this.form.family });
        if (made.error) this.trigger("trouble", { message: made.error });
        else playground.copy(made[what], button);
      };
      return el("button", { type: "button", class: "quiet", onclick: copy }, say(label));
    }

    // --- What the server and the address are told

    value() {
      return {
        preset: this.preset.name,
        dataset: this.dataset,
        seed: this.seed.get(),
        minutes: this.minutes.get(),
        start: this.start.get(),
        recipe: differing(this.recipe, this.preset.recipe),
        config: differing(this.config, this.preset.config),
      };
    }

    tell() {
      this.props.value = this.value();
    }

    remember() {
      const now = this.value();
      const flat = { tab: this.form.family, preset: now.preset };
      if (now.dataset !== this.preset.dataset && !tokenOf(now.dataset)) flat.data = now.dataset;
      if (now.seed) flat.run_seed = now.seed;
      if (now.minutes !== this.preset.minutes) flat.minutes = now.minutes;
      for (const [name, v] of Object.entries(now.recipe)) flat[`recipe.${name}`] = v;
      for (const [name, v] of Object.entries(now.config)) flat[`config.${name}`] = v;
      address.set(flat);
    }

    /** Take what an address names, as far as it fits. */
    take(asked) {
      const here = asked.tab === this.form.family;
      this.choose(here ? asked.preset : "");
      if (!here) return;
      if ([...this.data.options].some((option) => option.value === asked.data)) this.chooseData(asked.data);
      if (asked.run_seed) this.seed.set(asked.run_seed);
      if (asked.minutes) this.minutes.set(asked.minutes);
      for (const f of this.recipe) if (`recipe.${f.spec.name}` in asked) f.set(asked[`recipe.${f.spec.name}`]);
      for (const f of this.config) if (`config.${f.spec.name}` in asked) f.set(asked[`config.${f.spec.name}`]);
      this.tell();
    }
  }

  playground.settings = (element, props, trigger, watch, server) => {
    const settings = new Settings(element, props, trigger, server);
    watch("notice", () => {
      const { own, refused } = props.notice ?? {};
      if (own) playground.tell("own", { family: props.schema.family, ...own });
      if (refused) settings.prompting?.sent(false);
    });
  };
})();
