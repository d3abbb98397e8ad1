// The two forms of a family: what to train (settings), and how to look at a checkpoint (views).
(() => {
  const { el, say, field, newId, mine, address } = playground;

  const MORE = { en: "More controls", ko: "더 많은 조절" };
  const DRAW = { en: "Draw", ko: "그리기" };
  const HALT = { en: "Halt", ko: "중단" };

  const closedPart = (label, children) =>
    el("details", { class: "more" }, [el("summary", {}, say(label)), el("div", { class: "fields" }, children)]);

  // --- Settings of a training

  playground.settings = (element, props, trigger, watch, server) => {
    const form = props.schema;
    const address = playground.address.all();
    const here = address.tab === form.family;
    let presetName = form.presets[0]?.name;
    let dataset = form.presets[0]?.dataset;

    const tell = () => {
      props.value = value();
    };
    const presetOf = (name) => form.presets.find((p) => p.name === name) ?? form.presets[0];
    const radios = newId("preset");
    const sentence = el("p", { class: "hint sentence", "aria-live": "polite" });
    const presets = el(
      "fieldset",
      { class: "segments" },
      el("legend", {}, say({ en: "Preset", ko: "설정" })),
      form.presets.map((preset) => {
        const id = newId("radio");
        return el("span", {}, [
          el("input", {
            type: "radio",
            id,
            name: radios,
            value: preset.name,
            onchange: () => choose(preset.name),
          }),
          el("label", { for: id }, say(preset.label)),
        ]);
      }),
    );

    const dataId = newId("dataset");
    const data = el("select", {
      id: dataId,
      onchange: () => {
        dataset = data.value;
        tell();
      },
    });
    const listDatasets = () => {
      const own = mine.read(form.family).pictures ?? [];
      data.replaceChildren(
        ...form.datasets.map((d) =>
          el(
            "option",
            { value: d.name },
            say(d.label) + (d.absent ? say({ en: ` (download, ${d.megabytes} MB)`, ko: ` (내려받기 ${d.megabytes} MB)` }) : ""),
          ),
        ),
        ...own.map(({ token, kept }) =>
          el("option", { value: `own:${token}` }, say({ en: `My pictures (${kept})`, ko: `내 사진 (${kept}장)` })),
        ),
      );
      const base = dataset.split(":")[0];
      if (![...data.options].some((o) => o.value === dataset) && [...data.options].some((o) => o.value === base)) {
        // A preset may ask for a size ("emoji:32"): the data set's own entry stands for it.
        [...data.options].find((o) => o.value === base).value = dataset;
      }
      data.value = dataset;
      remove.hidden = !dataset.startsWith("own:");
    };
    const remove = el(
      "button",
      {
        type: "button",
        class: "quiet",
        hidden: true,
        onclick: () => {
          const token = dataset.slice(4);
          mine.change(form.family, (kept) => {
            kept.pictures = (kept.pictures ?? []).filter((p) => p.token !== token);
          });
          dataset = presetOf(presetName).dataset;
          listDatasets();
          tell();
          trigger("forget", { token });
        },
      },
      say({ en: "Delete my pictures", ko: "내 사진 삭제" }),
    );
    data.addEventListener("change", () => (remove.hidden = !dataset.startsWith("own:")));

    const seed = field({ name: "seed", kind: "seed", label: { en: "Seed", ko: "시드" }, default: 0, low: 0, high: 2147483647, whole: true, step: 1 }, tell);
    const minutes = field({ name: "minutes", kind: "number", plain: true, label: { en: "Minutes (0: as many steps as below)", ko: "시간(분, 0이면 아래 횟수대로)" }, default: 0, low: 0, high: 600 }, tell);
    const start = field({ name: "start", kind: "choice", label: { en: "Begin from", ko: "시작점" }, default: false, options: [[{ en: "scratch", ko: "처음부터" }, false], [{ en: "the checkpoint shown", ko: "보이는 체크포인트" }, true]] }, tell);
    // Steps that are asked for are not rescaled to the preset's time.
    const counted = () => (minutes.set(0), tell());
    const recipe = form.recipe.map((spec) => field(spec, spec.counts ? counted : tell));
    const config = form.config.map((spec) => field(spec, tell));

    const differing = (fields, preset) =>
      Object.fromEntries(
        fields
          .filter((f) => JSON.stringify(f.get()) !== JSON.stringify(preset[f.spec.name] ?? f.spec.default))
          .map((f) => [f.spec.name, f.get()]),
      );
    const value = () => {
      const preset = presetOf(presetName);
      return {
        preset: presetName,
        dataset,
        seed: seed.get(),
        minutes: minutes.get(),
        start: start.get(),
        recipe: differing(recipe, preset.recipe),
        config: differing(config, preset.config),
      };
    };
    const choose = (name) => {
      const preset = presetOf(name);
      presetName = preset.name;
      dataset = preset.dataset;
      sentence.textContent = say(preset.about);
      for (const radio of presets.querySelectorAll("input")) radio.checked = radio.value === preset.name;
      minutes.set(preset.minutes);
      for (const [fields, values] of [[recipe, preset.recipe], [config, preset.config]]) {
        for (const f of fields) f.set(values[f.spec.name] ?? f.spec.default);
      }
      listDatasets();
      tell();
    };

    const copier = (what, label) =>
      el(
        "button",
        {
          type: "button",
          class: "quiet",
          onclick: async (event) => {
            const button = event.currentTarget;
            const made = await server.repeat({ ...value(), family: form.family });
            if (made.error) trigger("trouble", { message: made.error });
            else playground.copy(made[what], button);
          },
        },
        say(label),
      );
    element.append(
      presets,
      sentence,
      el("div", { class: "field", "data-name": "dataset" }, [el("label", { for: dataId }, say({ en: "Data", ko: "데이터" })), data]),
      remove,
      closedPart({ en: "All settings", ko: "모든 설정" }, [
        seed.node,
        minutes.node,
        start.node,
        el("h3", {}, say({ en: "Training", ko: "학습" })),
        ...recipe.map((f) => f.node),
        el("h3", {}, say({ en: "Architecture", ko: "구조" })),
        ...config.map((f) => f.node),
        el("div", { class: "acts" }, [
          copier("command", { en: "Copy as command line", ko: "명령줄로 복사" }),
          copier("python", { en: "Copy as Python", ko: "파이썬으로 복사" }),
        ]),
      ]),
    );
    choose(here && form.presets.some((p) => p.name === address.preset) ? address.preset : presetName);
    if (here) fromAddress(address, { seed, minutes, recipe, config }, (name) => {
      if ([...data.options].some((o) => o.value === name)) data.value = dataset = name;
    });
    tell();
    playground.hear("pictures", ({ family, token, kept }) => {
      if (family !== form.family) return;
      mine.change(family, (m) => (m.pictures = [...(m.pictures ?? []), { token, kept }].slice(-5)));
      dataset = `own:${token}`;
      listDatasets();
      tell();
    });
    watch("notice", () => {
      if (props.notice?.pictures) playground.tell("pictures", { family: form.family, ...props.notice.pictures });
    });
    element.addEventListener("change", () => {
      const now = value();
      const flat = { tab: form.family, preset: now.preset };
      if (now.dataset !== presetOf(now.preset).dataset && !now.dataset.startsWith("own:")) flat.data = now.dataset;
      if (now.seed) flat.run_seed = now.seed;
      if (now.minutes !== presetOf(now.preset).minutes) flat.minutes = now.minutes;
      for (const [name, v] of Object.entries(now.recipe)) flat[`recipe.${name}`] = v;
      for (const [name, v] of Object.entries(now.config)) flat[`config.${name}`] = v;
      playground.address.set(flat);
    });
  };

  const fromAddress = (address, { seed, minutes, recipe, config }, setData) => {
    if (address.data) setData(address.data);
    if (address.run_seed) seed.set(address.run_seed);
    if (address.minutes) minutes.set(address.minutes);
    for (const [fields, stem] of [[recipe, "recipe."], [config, "config."]]) {
      for (const f of fields) if (stem + f.spec.name in address) f.set(address[stem + f.spec.name]);
    }
  };

  // --- Views of a checkpoint

  /**
   * props.schema: {family, role: "makes" | "looks", checkpoint, views: [...], shipped: [...], inSight}.
   * Triggers "draw" with the newest value, "halt", and (role "makes") "pick" when another checkpoint is chosen.
   */
  playground.views = (element, props, trigger, watch) => {
    let form = props.schema;
    const makes = form.role === "makes";
    const asked = playground.address.all();
    const here = asked.tab === form.family;
    let active = null;
    let fields = [];
    let drawn = false;

    const tabs = el("div", { class: "viewtabs", role: "tablist", "aria-label": say({ en: "Views", ko: "보기" }) });
    const about = el("p", { class: "hint" });
    const inputs = el("div", { class: "inputs" });
    const draw = el("button", { type: "button", class: "primary", onclick: () => go(true) }, say(makes ? { en: "Generate", ko: "생성" } : DRAW));
    const halt = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => trigger("halt", {}) }, say(HALT));
    const picker = makes ? playground.picker(form, (token) => trigger("pick", { token })) : null;

    const controls = () => Object.fromEntries(fields.map((f) => [f.spec.name, f.get()]));
    let waiting = null;
    const changed = (settled) => {
      if (!settled) return;
      clearTimeout(waiting);
      waiting = setTimeout(() => go(true), 120);
    };
    const go = (byHand) => {
      if (!active || !form.checkpoint) return;
      drawn = true;
      props.value = { family: form.family, checkpoint: form.checkpoint, view: active.key, controls: controls() };
      if (byHand) remember();
      trigger("draw", {});
    };
    const remember = () => {
      const flat = { tab: form.family, view: active.key };
      if (form.checkpoint !== form.shipped[0] && !form.checkpoint.startsWith("upload:")) flat.checkpoint = form.checkpoint;
      for (const f of fields) {
        if (["number", "seed", "choice", "text"].includes(f.spec.kind)) flat[f.spec.name] = f.get();
      }
      playground.address.set(flat);
    };
    const show = (key, values = {}) => {
      active = form.views.find((v) => v.key === key) ?? form.views[0] ?? null;
      for (const tab of tabs.children) {
        const on = tab.dataset.view === active?.key;
        tab.setAttribute("aria-selected", String(on));
        tab.tabIndex = on ? 0 : -1;
      }
      about.textContent = active ? say(active.about) : "";
      fields = (active?.fields ?? []).map((spec) => field(spec, changed));
      for (const f of fields) if (f.spec.name in values) f.set(values[f.spec.name]);
      const visible = makes ? fields.slice(0, form.inSight) : fields;
      const rest = [...fields.slice(visible.length).map((f) => f.node), ...(makes ? [restoring()] : [])];
      inputs.replaceChildren(...visible.map((f) => f.node), ...(rest.length ? [closedPart(MORE, rest)] : []));
      draw.disabled = !active || !form.checkpoint;
      element.closest(".looks, .makes")?.classList.toggle("without", !active);
    };
    const restoring = () => {
      const choose = el("input", { type: "file", accept: "image/png", class: "offscreen", tabindex: -1, "aria-hidden": "true" });
      const label = { en: "Take settings from a picture", ko: "그림에서 설정 가져오기" };
      const button = el("button", { type: "button", class: "quiet", onclick: () => choose.click() }, say(label));
      choose.addEventListener("change", async () => {
        if (choose.files.length && !(await playground.restore(choose.files[0]))) {
          button.textContent = say({ en: "This picture carries no settings", ko: "설정이 들어 있지 않은 그림입니다" });
        }
        choose.value = "";
      });
      return el("div", { class: "acts" }, [button, choose]);
    };
    const build = (key, values) => {
      tabs.hidden = makes || form.views.length < 1;
      tabs.replaceChildren(
        ...form.views.map((view) =>
          el(
            "button",
            {
              type: "button",
              role: "tab",
              "data-view": view.key,
              onclick: () => {
                show(view.key);
                go(true);
              },
            },
            say(view.name),
          ),
        ),
      );
      show(key, values);
    };
    tabs.addEventListener("keydown", (event) => {
      const all = [...tabs.children];
      const place = all.indexOf(document.activeElement);
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move || place < 0) return;
      const next = all[(place + move + all.length) % all.length];
      next.focus();
      next.click();
    });

    const acts = el("div", { class: "acts" }, [draw, halt]);
    element.append(...(picker ? [el("div", { class: "lead-row" }, [picker.node, acts]), about, inputs] : [tabs, about, inputs, acts]));
    const mineHere = here && form.views.some((v) => v.key === asked.view);
    build(mineHere ? asked.view : undefined, mineHere ? asked : {});
    props.value = { family: form.family, checkpoint: form.checkpoint, view: active?.key ?? "", controls: controls() };

    // A link that names settings shows what it names; otherwise the shipped picture is there already.
    const named = mineHere && Object.keys(asked).some((k) => !["tab", "__theme", "view"].includes(k));
    if (makes && here && asked.checkpoint && asked.checkpoint !== form.checkpoint) trigger("pick", { token: asked.checkpoint });
    else if (named && makes) go(false);
    let inSight = false;
    if (!makes) {
      const look = (entries) => {
        inSight = entries[entries.length - 1].isIntersecting;
        if (inSight && !drawn) go(false);
      };
      new IntersectionObserver(look, { threshold: 0.6 }).observe(element);
      if (mineHere) setTimeout(() => element.scrollIntoView({ block: "nearest" }), 300);
    }

    watch("schema", () => {
      if (JSON.stringify(form) === JSON.stringify(props.schema)) return;
      const before = { key: active?.key, values: controls() };
      form = props.schema;
      picker?.show(form);
      build(before.key, before.values);
      drawn = false;
      if (makes || inSight) go(false);
    });
    watch("busy", () => {
      halt.hidden = !props.busy;
      element.setAttribute("aria-busy", String(Boolean(props.busy)));
    });
    if (makes) playground.hear("learnt", ({ family, token }) => family === form.family && trigger("pick", { token }));
  };

  /** The choice of a checkpoint: shipped ones, the visitor's own runs and uploads. */
  playground.picker = (form, picked) => {
    const id = newId("checkpoint");
    const select = el("select", { id, onchange: () => picked(select.value) });
    const show = (now) => {
      const own = mine.read(now.family);
      const options = [
        ...now.shipped.map((token) => [token, `${say({ en: "Shipped", ko: "제공됨" })}: ${token.split(":")[1]}`]),
        ...(own.runs ?? []).map(({ id, said }) => [`run:${id}`, `${say({ en: "My run", ko: "내 학습" })}: ${say(said)}`]),
        ...(own.uploads ?? []).map(({ token, name }) => [token, `${say({ en: "My file", ko: "내 파일" })}: ${name}`]),
      ];
      if (now.checkpoint && !options.some(([token]) => token === now.checkpoint)) {
        options.push([now.checkpoint, say({ en: "Shared with you", ko: "공유받은 것" })]);
      }
      if (!options.length) options.push(["", say({ en: "None yet", ko: "아직 없음" })]);
      select.replaceChildren(...options.map(([token, label]) => el("option", { value: token }, label)));
      select.value = now.checkpoint;
      select.disabled = !now.checkpoint && options.length < 2;
    };
    let last = form;
    show(form);
    playground.hear("mine", ({ family }) => family === last.family && show(last));
    return {
      node: el("div", { class: "field picker", "data-name": "checkpoint" }, [el("label", { for: id }, say({ en: "Checkpoint", ko: "체크포인트" })), select]),
      show: (now) => {
        last = now;
        show(now);
      },
    };
  };
})();
