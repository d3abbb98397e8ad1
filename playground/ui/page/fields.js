// One input for each kind of control: {node, get(), set(value)}; set() ignores what does not fit, so that an address
// made by hand does no harm. Numbers, words and choices are here; painting.js and recording.js add the other kinds,
// which an address cannot hold: those have keep() and restore(kept) for when the form around them is built anew.
(() => {
  const { el, say, newId } = playground;

  playground.field = (spec, changed) => {
    const make = playground.kinds[spec.kind];
    if (!make) throw new Error(`no input for a ${spec.kind}`);
    const field = make(spec, changed);
    field.spec = spec;
    return field;
  };

  /** The fields of a view. A mask is painted over the view's picture, or over the one that `example()` promises. */
  playground.fields = (specs, changed, example) => {
    const made = specs.map((spec) => playground.field(spec, changed));
    const picture = made.find((f) => f.spec.kind === "picture");
    for (const f of made) f.over?.(picture, example);
    return made;
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

  playground.kinds = { number, seed, text, choice };

  // --- What pictures, masks, drawings and recordings have in common

  /** An error meant for the person at the page. */
  playground.Problem = class extends Error {
    constructor(text, values = {}) {
      super(playground.fill(text, values));
    }
  };

  playground.button = (label, onclick) => el("button", { type: "button", class: "quiet", onclick }, say(label));

  /**
   * A field that holds a file's worth: `thing` beside its tools, and a line of advice, which gives way to what went
   * wrong until something goes right.
   */
  playground.medium = (spec, thing, advice, more = []) => {
    const hint = el("p", { class: "hint", role: "status" }, say(advice));
    const tools = el("div", { class: "tools" });
    const about = { class: `field medium field-${spec.kind}`, role: "group", "aria-label": say(spec.label) };
    const node = el("div", { ...about, "data-name": spec.name }, [
      el("span", { class: "label" }, say(spec.label)),
      el("div", { class: "body" }, [thing, tools]),
      ...more,
      hint,
    ]);
    const tell = (words, wrong) => {
      hint.textContent = words;
      hint.classList.toggle("error", wrong);
    };
    /** Does what may go wrong in a way that people can mend, and tells them. */
    const attempt = async (act) => {
      try {
        await act();
        tell(say(advice), false);
      } catch (error) {
        if (!(error instanceof playground.Problem)) throw error;
        tell(error.message, true);
      }
    };
    return { node, tools, attempt };
  };

  const CHOOSE = { en: "Choose a file", ko: "파일 고르기" };
  const SAVE = { en: "Save", ko: "저장" };

  /** A button that asks for a file of the kinds in `accept`, and gives it to `take`. */
  playground.chooser = (accept, take) => {
    const input = el("input", { type: "file", accept, class: "offscreen", tabindex: -1, "aria-hidden": "true" });
    input.addEventListener("change", () => {
      const [file] = input.files;
      input.value = "";
      if (file) take(file);
    });
    return [playground.button(CHOOSE, () => input.click()), input];
  };

  /** A button that saves what the field holds, under the name that a copied command line gives it. */
  playground.saver = (spec, address) => {
    const save = () => el("a", { download: spec.file, href: address() }).click();
    return playground.button(SAVE, save);
  };
})();
