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
    document.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a[data-tab]") : null;
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      playground.address.set({ tab: link.dataset.tab });
      trigger("open", { tab: link.dataset.tab });
      window.scrollTo({ top: 0 });
    });
  };

  /** props.schema.families; triggers draw, halt and hub, with value {family, controls}. */
  playground.compare = (element, props, trigger, watch) => {
    const { families } = props.schema;
    const asked = playground.address.all();
    const here = asked.tab === "compare";
    let family = families.find((f) => here && f.name === asked.family) ?? families[0];
    if (!family) return;
    let fields = [];

    const id = newId("family");
    const select = el(
      "select",
      {
        id,
        onchange: () => {
          family = families.find((f) => f.name === select.value);
          build({});
          remember();
        },
      },
      families.map((f) => el("option", { value: f.name }, say(f.title))),
    );
    const about = el("p", { class: "hint" });
    const inputs = el("div", { class: "inputs" });
    const draw = el("button", { type: "button", class: "primary", onclick: () => go() }, say({ en: "Compare", ko: "비교하기" }));
    const halt = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => trigger("halt", {}) }, say({ en: "Halt", ko: "중단" }));
    const missing = el("p", { class: "hint" }, say({ en: "There is no pair of checkpoints to compare yet; the race below needs none.", ko: "아직 비교할 체크포인트 쌍이 없습니다. 아래 경주는 할 수 있습니다." }));
    const hub = el("div", { class: "hub" });
    const controls = () => Object.fromEntries(fields.map((f) => [f.spec.name, f.get()]));
    const store = () => {
      props.value = { family: family.name, controls: controls() };
    };
    const remember = () => {
      const plain = fields.filter((f) => ["number", "seed", "choice", "text"].includes(f.spec.kind));
      playground.address.set({ tab: "compare", family: family.name, ...Object.fromEntries(plain.map((f) => [f.spec.name, f.get()])) });
    };
    const go = () => {
      store();
      remember();
      trigger("draw", {});
    };
    const build = (values) => {
      select.value = family.name;
      about.textContent = say(family.about);
      fields = family.fields.map((spec) => field(spec, (settled) => settled && store()));
      for (const f of fields) if (f.spec.name in values) f.set(values[f.spec.name]);
      inputs.replaceChildren(...fields.map((f) => f.node));
      draw.disabled = !family.ready;
      missing.hidden = family.ready;
      showHub();
      playground.compared = family.name;
      playground.tell("compared", { family: family.name });
      store();
    };
    const showHub = () => {
      hub.replaceChildren();
      if (!family.hub) return;
      const { repo, megabytes, about: said } = family.hub;
      const label = fill({ en: "Draw with {repo} (downloads {megabytes} MB)", ko: "{repo}로 그리기 ({megabytes} MB 내려받음)" }, { repo, megabytes });
      hub.append(
        el("p", { class: "hint" }, say(said)),
        el("button", { type: "button", class: "quiet", onclick: () => (store(), trigger("hub", {})) }, label),
      );
    };
    element.append(
      el("div", { class: "field" }, [el("label", { for: id }, say({ en: "Family", ko: "모델" })), select]),
      about,
      inputs,
      el("div", { class: "acts" }, [draw, halt]),
      missing,
      hub,
    );
    build(here ? asked : {});
    if (here && asked.family && family.ready) go();
    watch("busy", () => {
      halt.hidden = !props.busy;
      element.setAttribute("aria-busy", String(Boolean(props.busy)));
    });
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
