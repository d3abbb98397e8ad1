// What every part of the page uses: words, elements, the URL, the visitor's own runs, messages between parts.
const playground = (window.playground = {});

/** Where the script lies that hears the microphone: it runs on the audio thread, so it is a file of its own. */
playground.capture = document.currentScript.dataset.capture;

(() => {
  const COOKIE = "playground_language";
  const chosen = document.cookie.match(new RegExp(`(?:^|; )${COOKIE}=(en|ko)`))?.[1];
  if (chosen && !navigator.language.startsWith(chosen)) {
    // Gradio asks the browser which language to show; the visitor has said otherwise on this page.
    Object.defineProperty(navigator, "language", { get: () => chosen, configurable: true });
  }
  playground.language = (chosen || navigator.language).startsWith("ko") ? "ko" : "en";
  document.documentElement.lang = playground.language;

  playground.setLanguage = (language) => {
    document.cookie = `${COOKIE}=${language}; path=/; max-age=31536000; SameSite=Lax`;
    location.reload();
  };
  playground.setTheme = (theme) => {
    document.body.classList.toggle("dark", theme === "dark");
    localStorage.setItem("playground.theme", theme);
  };
  const remembered = localStorage.getItem("playground.theme");
  if (remembered) {
    // Gradio sets the class from the system's preference once it has started: put the visitor's choice back.
    const settle = () => {
      const dark = remembered === "dark";
      if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    };
    document.addEventListener("DOMContentLoaded", () => {
      settle();
      const watcher = new MutationObserver(settle);
      watcher.observe(document.body, { attributes: true, attributeFilter: ["class"] });
      setTimeout(() => watcher.disconnect(), 5000);
    });
  }
})();

/** The text in the page's language; a plain string is a name and stays as it is. */
playground.say = (text) => (text && typeof text === "object" ? text[playground.language] : text ?? "");

/** "{n} of {m}" with its values put in. */
playground.fill = (text, values) => playground.say(text).replace(/\{(\w+)\}/g, (_, key) => values[key]);

/** An element: attributes by name, "on..." as listeners, children as nodes or text. */
playground.el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
};

/** Fields behind a line that opens them. */
playground.closedPart = (label, children) =>
  playground.el("details", { class: "more" }, [
    playground.el("summary", {}, playground.say(label)),
    playground.el("div", { class: "fields" }, children),
  ]);

let countedIds = 0;
playground.newId = (stem) => `${stem}-${++countedIds}`;

/** Parts of the page tell each other what happened: playground.tell("picked", {...}). */
playground.tell = (what, detail) => document.dispatchEvent(new CustomEvent(`playground:${what}`, { detail }));
playground.hear = (what, listener) =>
  document.addEventListener(`playground:${what}`, (event) => listener(event.detail));

/** The settings in the address, and how to change them without loading the page again. */
playground.address = {
  all: () => Object.fromEntries(new URLSearchParams(location.search)),
  set: (settings) => {
    const kept = new URLSearchParams();
    for (const name of ["__theme", "view_api"]) {
      const value = new URLSearchParams(location.search).get(name);
      if (value) kept.set(name, value);
    }
    for (const [name, value] of Object.entries(settings)) {
      if (value !== null && value !== undefined && value !== "" && String(value).length <= 300) kept.set(name, value);
    }
    history.replaceState(history.state, "", `${location.pathname}?${kept}`);
  },
};

/** The runs, uploads and checkpoints of this browser, by family; their ids are the only keys to them. */
playground.mine = {
  read: (family) => {
    try {
      return JSON.parse(localStorage.getItem(`playground.mine.${family}`)) || {};
    } catch {
      return {};
    }
  },
  write: (family, mine) => localStorage.setItem(`playground.mine.${family}`, JSON.stringify(mine)),
  change: (family, change) => {
    const mine = playground.mine.read(family);
    change(mine);
    playground.mine.write(family, mine);
  },
};

playground.copy = async (text, button) => {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = playground.el("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  if (button.dataset.busy) return;
  button.dataset.busy = "1";
  button.textContent = playground.say(
    done ? { en: "Copied", ko: "복사했습니다" } : { en: "Could not copy", ko: "복사하지 못했습니다" },
  );
  setTimeout(() => {
    button.textContent = before;
    delete button.dataset.busy;
  }, 1500);
};

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const copier = target?.closest("[data-copy]");
  if (copier) playground.copy(copier.dataset.copy, copier);
  const chooser = target?.closest("[data-language]");
  if (chooser) playground.setLanguage(chooser.dataset.language);
  if (target?.closest("[data-theme-switch]")) {
    playground.setTheme(document.body.classList.contains("dark") ? "light" : "dark");
  }
});

/**
 * Gradio ends a page's stream of answers when nothing is under way; a request made just then finds the stream still
 * open, and its answers are never heard. So whoever waits for an answer says that it has asked, and that it has heard:
 * in between, ever more rarely, another request is made, which opens the stream again for all that wait.
 */
playground.patience = () => {
  let timer = null;
  const heard = () => clearTimeout(timer);
  const wait = (milliseconds) => {
    timer = setTimeout(() => (playground.wake?.(), wait(2 * milliseconds)), milliseconds);
  };
  return { asked: () => (heard(), wait(1500)), heard };
};

/** The settings that a picture of this playground carries in its tEXt chunk, a recording in its comment; or null. */
playground.settingsOf = async (file) => {
  const bytes = new DataView(await file.arrayBuffer());
  const letters = (from, to) => String.fromCharCode(...new Uint8Array(bytes.buffer.slice(from, to)));
  if (bytes.byteLength < 20) return null;
  if (letters(0, 4) === "RIFF") return playground.settingsOfSound(new Uint8Array(bytes.buffer));
  if (letters(1, 4) !== "PNG") return null;
  for (let place = 8; place + 12 <= bytes.byteLength; ) {
    const length = bytes.getUint32(place);
    if (letters(place + 4, place + 8) === "tEXt" && length < 20000) {
      const [key, text] = letters(place + 8, place + 8 + length).split("\0");
      if (key === "playground") {
        try {
          return JSON.parse(text);
        } catch {
          return null;
        }
      }
    }
    place += 12 + length;
  }
  return null;
};

/** The chunks of a RIFF file between two places in its bytes, each { name, begin, length } of its body. */
playground.chunks = function* (bytes, place = 12, end = bytes.length) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  while (place + 8 <= Math.min(end, bytes.length)) {
    const length = view.getUint32(place + 4, true);
    yield { name: String.fromCharCode(...bytes.subarray(place, place + 4)), begin: place + 8, length };
    place += 8 + length + (length % 2);
  }
};

/** The same of a WAV: JSON in its LIST INFO ICMT chunk. */
playground.settingsOfSound = (bytes) => {
  for (const list of playground.chunks(bytes)) {
    if (list.name !== "LIST" || String.fromCharCode(...bytes.subarray(list.begin, list.begin + 4)) !== "INFO") continue;
    for (const { name, begin, length } of playground.chunks(bytes, list.begin + 4, list.begin + list.length)) {
      if (name !== "ICMT" || length >= 20000) continue;
      try {
        return JSON.parse(new TextDecoder().decode(bytes.subarray(begin, begin + length)).replace(/\0+$/, ""));
      } catch {
        return null;
      }
    }
  }
  return null;
};

/** Open the page again with the settings of a picture or a recording in its address. */
playground.restore = async (file) => {
  const found = await playground.settingsOf(file);
  if (!found || typeof found.family !== "string") return false;
  const { family, ...rest } = found;
  playground.address.set({ tab: family, ...rest });
  location.reload();
  return true;
};

// A page that is left drops its streams, and Gradio reports it: that the stream of answers was aborted, and then
// "Unexpected error" for each answer under way. Those two are left out while the page goes, and nothing else is.
(() => {
  const AGES = 5000; // milliseconds: a page that is still here then was not left
  const report = console.error;
  let left = -Infinity;
  const dropped = ([what, why]) =>
    (what instanceof DOMException && what.name === "AbortError") ||
    (what === "Unexpected error" && why?.startsWith("Connection errored out"));
  console.error = (...told) => {
    if (performance.now() - left > AGES || !dropped(told)) report.apply(console, told);
  };
  for (const going of ["beforeunload", "pagehide"]) addEventListener(going, () => (left = performance.now()));
})();

/** "3 min 20 s", in words that a screen reader can read out. */
playground.duration = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = whole % 60;
  const units = playground.say({ en: [" h", " min", " s"], ko: ["시간", "분", "초"] });
  if (hours) return `${hours}${units[0]} ${minutes}${units[1]}`;
  if (minutes) return minutes >= 10 ? `${minutes}${units[1]}` : `${minutes}${units[1]} ${rest}${units[2]}`;
  return `${rest}${units[2]}`;
};

playground.number = (value) => {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(1);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
};
