// A person says digits as they are asked for, and a set of recordings is made of them.
(() => {
  const { el, say, fill, field, button, Problem } = playground;

  const CONSENT = {
    en: "I agree that these recordings are kept on this server until I delete them, for my trainings alone; everyone who speaks agrees too.",
    ko: "내가 삭제할 때까지 녹음을 이 서버에 보관하고 내 학습에만 쓰는 데 동의합니다. 말하는 사람도 모두 동의했습니다.",
  };
  const NAME = { en: "Who speaks", ko: "말하는 사람" };
  const ROUNDS = { en: "Times each digit", ko: "숫자마다 몇 번" };
  const ADD = { en: "Add to", ko: "추가할 곳" };
  const START = { en: "Start", ko: "시작" };
  const STOP = { en: "Stop", ko: "멈춤" };
  const AGAIN = { en: "Last one again", ko: "마지막 것 다시" };
  const DISCARD = { en: "Discard", ko: "버리기" };
  const USE = { en: "Use {n} recordings", ko: "녹음 {n}개 쓰기" };
  const SAY = { en: "Say: {word}", ko: "말해 주세요: {word}" };
  const SAID = { en: "{n} of {all}", ko: "{all}개 중 {n}개" };
  const UNHEARD = { en: "Nothing was heard. Once more:", ko: "아무 소리도 들리지 않았습니다. 다시 한번:" };
  const READY = { en: "Press Start: a digit appears, you have {s} seconds to say it in English, then comes the next.", ko: "시작을 누르면 숫자가 나옵니다. {s}초 안에 영어로 말하면 다음 숫자가 나옵니다." };
  const SILENT = 0.01; // louder than a quiet room
  const PAUSE = 350; // milliseconds between two digits

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  /**
   * spec: forms.prompts. own: () -> [{token, kept}]. send({name, more, takes}) gives the takes to the server.
   * Returns {node, sent(accepted)}.
   */
  playground.prompting = (spec, own, send) => {
    const { listen, atRate, wav, loudest, joined } = playground.recorder;
    let takes = []; // [digit, data URL]
    let run = null; // while it records

    const plain = { plain: true, whole: true, low: 1, high: 10 };
    const rounds = field({ ...plain, name: "rounds", kind: "number", label: ROUNDS, default: 1 }, () => show());
    const name = el("input", { type: "text", maxlength: 40, autocomplete: "off" });
    const agree = el("input", { type: "checkbox", onchange: () => show() });
    const more = el("select", {});
    const prompt = el("p", { class: "prompt", role: "status", "aria-live": "assertive" });
    const meter = el("progress", { max: 1, value: 0, "aria-label": say({ en: "Level", ko: "소리 크기" }) });
    const count = el("p", { class: "hint" });

    const all = () => Array.from({ length: rounds.get() * spec.words.length }, (_, i) => i % spec.words.length);
    const show = () => {
      record.textContent = say(run ? STOP : START);
      record.disabled = !agree.checked && !run;
      again.disabled = discard.disabled = !takes.length || Boolean(run);
      use.disabled = !takes.length || Boolean(run);
      use.textContent = fill(USE, { n: takes.length });
      count.textContent = takes.length || run ? fill(SAID, { n: takes.length, all: all().length }) : "";
      if (!run) {
        prompt.textContent = fill(READY, { s: spec.seconds });
        meter.value = 0;
      }
      const options = [["", { en: "a new set", ko: "새 모음" }], ...own().map(({ token, kept }) => [token, { en: `my recordings (${kept})`, ko: `내 녹음 (${kept}개)` }])];
      const chosen = more.value;
      more.replaceChildren(...options.map(([value, words]) => el("option", { value }, say(words))));
      more.value = options.some(([value]) => value === chosen) ? chosen : "";
    };

    /** One digit after another until all are said or somebody stops. */
    const begin = async () => {
      let parts = [];
      const opened = await listen((block) => {
        parts.push(block);
        meter.value = Math.sqrt(Math.min(1, loudest(block)));
      });
      run = { stop: false };
      const mine = run;
      show();
      try {
        let unheard = false;
        while (!mine.stop && takes.length < all().length && node.isConnected) {
          const digit = all()[takes.length];
          prompt.textContent = `${unheard ? `${say(UNHEARD)} ` : ""}${fill(SAY, { word: `${digit} (${spec.words[digit]})` })}`;
          node.dataset.prompt = digit;
          parts = [];
          await wait(spec.seconds * 1000);
          const heard = await atRate(joined(parts), opened.rate, spec.rate);
          if (mine.stop) break;
          unheard = loudest(heard) < SILENT;
          if (!unheard) takes.push([digit, await wav(heard, spec.rate)]);
          count.textContent = fill(SAID, { n: takes.length, all: all().length });
          await wait(PAUSE);
        }
      } finally {
        await opened.stop();
        run = null;
        delete node.dataset.prompt;
        show();
      }
    };

    const attempt = async (act) => {
      trouble.hidden = true;
      try {
        await act();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        trouble.textContent = error.message;
        trouble.hidden = false;
      }
    };
    const record = button(START, async () => {
      if (run) run.stop = true;
      else await attempt(begin);
    });
    const again = button(AGAIN, () => (takes.pop(), show()));
    const discard = button(DISCARD, () => ((takes = []), show()));
    const use = button(USE, () => {
      use.disabled = true;
      const bare = takes.map(([digit, url]) => [digit, url.slice(url.indexOf(",") + 1)]);
      send({ name: name.value, more: more.value, takes: bare });
    });
    const trouble = el("p", { class: "hint error", role: "alert", hidden: true });
    const labelled = (text, input) => el("label", { class: "field" }, [el("span", {}, say(text)), input]);
    const node = el("div", { class: "prompting" }, [
      el("label", { class: "consent" }, [agree, el("span", {}, say(CONSENT))]),
      el("div", { class: "inputs" }, [labelled(NAME, name), rounds.node, labelled(ADD, more)]),
      prompt,
      meter,
      count,
      trouble,
      el("div", { class: "acts" }, [record, again, discard, use]),
    ]);
    show();
    return {
      node,
      show,
      sent: (accepted) => {
        if (accepted) takes = [];
        show();
      },
    };
  };
})();
