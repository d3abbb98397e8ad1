"""What is shown of the model: speech, chains, ways through them, trajectories, durations, contexts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from playground import controls
from playground.contract import (
    Audio,
    BadSetting,
    Control,
    Curve,
    DataInfo,
    Graph,
    HeatMap,
    Output,
    Scene,
    Table,
    Text,
    View,
    Words,
    World,
)
from playground.families.speech.hmm.config import Config
from playground.families.speech.hmm.model import HMM
from playground.families.speech.hmm.script import FACT_NAMES, Script
from playground.signal import edges, world
from playground.signal.world import Features
from playground.text import of, unread

ENGLISH = "The early train was late, but nobody seemed to mind."
KOREAN = "동생이 강가에서 노래를 만들었습니다."
PAUSE = "(pause)"
PITCH = 0
"""Value of the control of columns that asks for log F0; others are mel-cepstra."""
TIME: Text = {"en": "time (s)", "ko": "시간(초)"}
STATE: Text = {"en": "state", "ko": "상태"}
FREQUENCY: Text = {"en": "frequency (Hz)", "ko": "주파수(Hz)"}
MILLISECONDS: Text = {"en": "milliseconds", "ko": "밀리초"}


# --- What is to be said ---------------------------------------------------------------------------------------


def scripts(
    model: HMM, scene: Scene, label: int | None, speaker: int | None, text: str | None
) -> Iterator[tuple[Script, Text]]:
    """The words or sentences that the controls ask for, each with its name."""
    voice = speaker or 0
    who = scene.info.speakers[voice] if len(scene.info.speakers) > 1 else ""
    by: Text = {"en": f", spoken by {who}" if who else "", "ko": f" ({who}의 목소리)" if who else ""}
    if model.config.words:
        n = scene.info.classes
        for index in range(n) if label in (None, controls.EACH_IN_TURN) else [label]:
            name = scene.info.class_names[index]
            yield model.word(index, voice), {"en": f"Word {name}{by['en']}", "ko": f"단어 {name}{by['ko']}"}
    else:
        for reading in of(model.config.symbols).sentences(text or ""):
            if not reading.empty:
                said: Text = {"en": f"“{reading.words}”{by['en']}", "ko": f"“{reading.words}” 문장{by['ko']}"}
                yield model.sentence(reading.symbols, voice), said


def first(model: HMM, scene: Scene, label: int | None, speaker: int | None, text: str | None) -> tuple[Script, Text]:
    """The first of them. Raises `BadSetting` where nothing is to be said."""
    found = next(scripts(model, scene, label, speaker, text), None)
    if found is None:
        raise BadSetting("text: there is nothing to be said in it", "글: 말할 것이 없습니다")
    return found


def remarks(model: HMM, scripts_: Sequence[Script], text: str | None) -> list[Output]:
    """What a listener should be told: signs that were not read, sounds that were never heard."""
    told: list[Output] = []
    if text is not None and (signs := unread(of(model.config.symbols).read(text).unknown)):
        told.append(Words(signs))
    units = {int(unit) for said in scripts_ for unit in said.units if not model.heard[unit]}
    if units and model.config.words:
        told.append(
            Words(
                {
                    "en": "This voice never said this word in training: what sounds is the average of all words.",
                    "ko": "이 목소리가 이 단어를 말한 녹음이 학습에 없었습니다. 들리는 것은 모든 단어의 평균입니다.",
                }
            )
        )
    elif units:
        names = " ".join(unit_name(model.config, unit) for unit in sorted(units))
        told.append(
            Words({"en": f"Never heard in training: {names}", "ko": f"학습 중에 들어 본 적이 없는 소리: {names}"})
        )
    return told


def unit_name(config: Config, unit: int) -> str:
    return PAUSE if unit == 0 else config.phones[unit - 1]


# --- Views ----------------------------------------------------------------------------------------------------


def generate(
    model: HMM,
    scene: Scene,
    pace: float,
    variation: float,
    lively: float,
    pitch: float,
    label: int | None = None,
    speaker: int | None = None,
    text: str | None = None,
    text_ko: str | None = None,
) -> Iterator[list[Output]]:
    text = text_ko if text is None else text
    parts: list[World] = []
    done: list[Script] = []
    for said, name in scripts(model, scene, label, speaker, text):
        spoken = model.speak(said, rng=scene.rng, variation=variation, pace=pace, lively=lively)
        parts.append(raised(spoken.features, pitch).world())
        done.append(said)
        title = name if len(parts) == 1 else {"en": f"{len(parts)} in a row", "ko": f"이어서 {len(parts)}개"}
        yield [replace(world.joined(parts), title=title)]
    told = remarks(model, done, text)
    nothing = Words({"en": "There is nothing to be said.", "ko": "말할 것이 없습니다."})
    if told or not parts:
        yield [*([replace(world.joined(parts), title=title)] if parts else [nothing]), *told]


def raised(features: Features, semitones: float) -> Features:
    return replace(features, log_f0=features.log_f0 + semitones / 12 * float(np.log(2)))


def graph(
    model: HMM, scene: Scene, label: int | None = None, speaker: int | None = None, phone: int | None = None
) -> Iterator[list[Output]]:
    config = model.config
    unit = phone or 0
    if config.words:
        unit = int(model.word(max(0, label or 0), speaker or 0).units[0])
    stay = model.stay[unit].cpu().tolist()
    loops = [(s, s, p) for s, p in enumerate(stay)]
    edges_ = [edge for s, p in enumerate(stay) for edge in (loops[s], (s, s + 1, 1 - p))]
    title: Text = {
        "en": "From frame to frame (5 ms): stay, or go on",
        "ko": "한 프레임(5 ms)마다 머무르거나 다음으로 갑니다",
    }
    yield [Graph([*map(str, range(1, len(stay) + 1)), "•"], edges_, title), sounds(model, unit)]


def sounds(model: HMM, unit: int) -> HeatMap:
    """The spectra of a unit's states side by side, in dB."""
    states = model.config.states
    at = range(unit * states, (unit + 1) * states)
    cepstra = model.spectrum.mean[list(at), : world.ORDER + 1].cpu()
    level = 10 * world.envelope_of(cepstra, model.config.sample_rate).log10()  # (S, bins)
    title: Text = {"en": "What each state sounds like (dB)", "ko": "상태마다의 소리 (dB)"}
    nyquist = model.config.sample_rate / 2
    level = level.repeat_interleave(16, dim=0).float()  # wide enough to be seen
    return HeatMap(level.T, STATE, FREQUENCY, title, "bottom", (0.5, states + 0.5), (0, nyquist))


def path(
    model: HMM, scene: Scene, take: Audio | None, text: str | None = None, text_ko: str | None = None
) -> Iterator[list[Output]]:
    text = text_ko if text is None else text
    audio, truth = take, ""
    speaker = 0
    if audio is None:
        examples = scene.examples()
        lengths = torch.tensor([len(examples.x[i]) for i in range(len(examples))])
        # Of sentences a short one, whose states can be told apart.
        among = torch.argsort(lengths)[: len(lengths) if model.config.words else max(1, len(lengths) // 4)]
        i = int(among[torch.randint(len(among), (1,), generator=scene.rng)])
        audio = Audio(examples.audio(i), model.config.sample_rate)  # type: ignore[attr-defined]
        heard_by = examples.speakers  # type: ignore[attr-defined]
        speaker = 0 if heard_by is None or not scene.info.speakers else int(heard_by[i])
        if model.config.words and examples.labels is not None:
            truth = scene.info.class_names[int(examples.labels[i])]
        elif examples.texts is not None:
            text = examples.texts[i]
    features = world.analyse(edges.trim(audio.samples, audio.rate), audio.rate)
    o = model.observed(features)
    if model.config.words:
        yield [audio, *recognised(model, scene, features, o, truth)]
        return
    symbols = [symbol for part in of(model.config.symbols).sentences(text or "") for symbol in part.symbols]
    said = model.sentence(symbols, speaker)
    if not symbols or len(o) < model.shortest(said):
        short: Text = {
            "en": "The recording is too short for this text.",
            "ko": "녹음이 이 글을 말하기에는 너무 짧습니다.",
        }
        yield [audio, Words(short)]
        return
    way = model.path(o, said)
    yield [audio, over_spectrogram(features, way, len(said) * model.config.states), segments(model, said, way)]


def recognised(model: HMM, scene: Scene, features: Features, o: Tensor, truth: str) -> list[Output]:
    """The way of a recording through the word that explains it best, and how much worse the other words do."""
    config = model.config
    every = {(w, v): model.word(w, v) for w in range(config.classes) for v in range(config.voices)}
    score = {key: model.log_likelihood(o, said) / len(o) for key, said in every.items() if len(o) >= config.states}
    if not score:
        return [Words({"en": "The recording is too short.", "ko": "녹음이 너무 짧습니다."})]
    best = max(score, key=score.__getitem__)
    by_word = [max(score[w, v] for v in range(config.voices)) for w in range(config.classes)]
    name, who = scene.info.class_names[best[0]], scene.info.speakers[best[1]] if len(config.speakers) > 1 else ""
    said: Text = {
        "en": f"Explained best by the chain of {name}"
        + (f" as {who} says it" if who else "")
        + (f"; what was said is {truth}." if truth else "."),
        "ko": f"가장 잘 설명하는 사슬은 {name}"
        + (f", {who}의 목소리" if who else "")
        + (f"입니다. 실제로 말한 것은 {truth}입니다." if truth else "입니다."),
    }
    shares = model.shares(o, every[best])
    seconds = len(o) * features.frame_ms / 1000
    title: Text = {"en": "Probability of each state", "ko": "상태별 확률"}
    return [
        over_spectrogram(features, model.path(o, every[best]), config.states),
        HeatMap(shares.T.float(), TIME, STATE, title, "bottom", (0, seconds), (0.5, config.states + 0.5)),
        Curve(
            {"words": (list(range(config.classes)), [value - max(by_word) for value in by_word])},
            {"en": "word", "ko": "단어"},
            {"en": "log-likelihood a frame, below the best (nats)", "ko": "프레임당 로그 가능도, 최고와의 차 (나트)"},
            style="bars",
        ),
        Words(said),
    ]


def over_spectrogram(features: Features, way: Tensor, states: int) -> HeatMap:
    """The spectrum of a recording in dB, and on it the staircase of the states that it passes through."""
    level = 10 * world.envelope_of(features.cepstra, features.rate).log10().T  # (bins, T)
    level = level.clamp_min(float(level.max()) - 70)
    bins, n = level.shape
    height = (way.float() + 0.5) / states * bins
    stair = (torch.arange(bins)[:, None] - height).abs() <= max(1.0, bins / 120)  # (bins, T)
    level = torch.where(stair, level.max() + 10, level)
    title: Text = {"en": "The likeliest way through the states (staircase)", "ko": "가장 그럴듯한 상태의 길(계단)"}
    seconds = n * features.frame_ms / 1000
    return HeatMap(level, TIME, FREQUENCY, title, "bottom", (0, seconds), (0, features.rate / 2))


def segments(model: HMM, said: Script, way: Tensor) -> Table:
    """When each phone is said."""
    places = way // model.config.states
    frames = torch.bincount(places, minlength=len(said))
    ends = frames.cumsum(0)
    ms = world.FRAME_MS
    rows = [
        (unit_name(model.config, int(said.units[p])), float((ends[p] - frames[p]) * ms), float(frames[p] * ms))
        for p in range(len(said))
        if frames[p]
    ]
    columns: list[Text] = [
        {"en": "phone", "ko": "음소"},
        {"en": "begins (ms)", "ko": "시작 (ms)"},
        {"en": "lasts (ms)", "ko": "길이 (ms)"},
    ]
    return Table(columns, rows)


def trajectory(
    model: HMM,
    scene: Scene,
    column: int,
    label: int | None = None,
    speaker: int | None = None,
    text: str | None = None,
    text_ko: str | None = None,
) -> Iterator[list[Output]]:
    said, _ = first(model, scene, max(0, label or 0), speaker, text_ko if text is None else text)
    spoken = model.speak(said, rng=scene.rng)
    ways: dict[str, tuple[Features, Text]] = {
        "state means": (
            model.trajectory(spoken.script, spoken.path, smooth=False, lively=0.0),
            {"en": "State means, without deltas", "ko": "델타 없이 상태 평균만"},
        ),
        "with deltas": (
            model.trajectory(spoken.script, spoken.path, lively=0.0),
            {"en": "With deltas (MLPG)", "ko": "델타 포함 (MLPG)"},
        ),
        "with deltas and global variance": (
            spoken.features,
            {"en": "With deltas and global variance", "ko": "델타와 전역 분산 포함"},
        ),
    }
    of_column = lambda f: (f.log_f0.exp() if column == PITCH else f.cepstra[:, column]).tolist()
    seconds = (torch.arange(len(spoken.path)) * world.FRAME_MS / 1000).tolist()
    lines = {name: (seconds, of_column(features)) for name, (features, _) in ways.items()}
    y: Text = {"en": "F0 (Hz)", "ko": "F0 (Hz) 값"} if column == PITCH else {"en": f"c{column}", "ko": f"c{column} 값"}
    yield [Curve(lines, TIME, y), *(replace(f.world(), title=title) for f, title in ways.values())]


def durations(
    model: HMM, scene: Scene, n: int, label: int | None = None, speaker: int | None = None
) -> Iterator[list[Output]]:
    config, ms = model.config, world.FRAME_MS
    if not config.words:
        yield [phone_durations(model)]
        return
    said = model.word(max(0, label or 0), speaker or 0)
    unit = int(said.units[0])
    covariance = model.duration_covariance[unit].cpu()
    sigma = covariance.diag().clamp_min(1e-12).sqrt()
    correlation = (covariance / sigma / sigma[:, None]).clamp(-1, 1)
    at, sides = list(range(1, config.states + 1)), (0.5, config.states + 0.5)
    drawn = [model.lengths(said, scene.rng)[0] for _ in range(n)]
    lines = {f"draw {k + 1}": (at, (ms * lengths).tolist()) for k, lengths in enumerate(drawn)}
    mean = model.durations.mean[unit].cpu()
    title: Text = {"en": "Correlation of the states' durations", "ko": "상태 길이 사이의 상관"}
    yield [
        Curve({"mean": (at, (ms * mean).tolist())}, STATE, MILLISECONDS, style="bars"),
        Curve(lines, STATE, MILLISECONDS, {"en": "Drawn together", "ko": "함께 뽑은 길이"}),
        HeatMap(correlation.float(), STATE, STATE, title, x_range=sides, y_range=sides),
    ]


def phone_durations(model: HMM) -> Table:
    config, ms = model.config, world.FRAME_MS
    total = model.durations.mean[: config.units].sum(1).cpu() * ms
    spread = model.duration_covariance.sum((1, 2)).clamp_min(0).sqrt().cpu() * ms
    order = [unit for unit in torch.argsort(total, descending=True).tolist() if model.heard[unit]]
    rows = [(unit_name(config, u), float(total[u]), float(spread[u]), int(model.heard[u])) for u in order]
    columns: list[Text] = [
        {"en": "phone", "ko": "음소"},
        {"en": "mean (ms)", "ko": "평균 (ms)"},
        {"en": "unexplained by context, σ (ms)", "ko": "문맥으로 설명되지 않는 σ (ms)"},
        {"en": "heard", "ko": "들은 횟수"},
    ]
    return Table(columns, rows)


def contexts(model: HMM, scene: Scene, phone: int) -> Iterator[list[Output]]:
    """The first questions of the trees of a phone, and how many contexts its states are told apart in."""
    config = model.config
    trees = {
        "spectrum": (model.spectrum, {"en": "spectrum", "ko": "스펙트럼"}),
        "pitch": (model.pitch, {"en": "pitch", "ko": "높이"}),
        "duration": (model.durations, {"en": "durations", "ko": "길이"}),
    }
    counts = {
        name: forest.leaves_of_roots().reshape(config.units, -1).sum(1).tolist() for name, (forest, _) in trees.items()
    }
    lines = {name: (list(range(config.units)), values) for name, values in counts.items()}
    rows: list[tuple[Any, ...]] = []
    for forest, stream in trees.values():
        per_unit = forest.roots // config.units
        for state in range(per_unit):
            asked = int(forest.question[phone * per_unit + state])
            where = {"en": "all", "ko": "전체"} if per_unit == 1 else str(state + 1)
            rows.append(
                (stream, where, question_text(model, asked), int(forest.leaves_of_roots()[phone * per_unit + state]))
            )
    columns: list[Text] = [
        {"en": "what", "ko": "무엇"},
        STATE,
        {"en": "first question", "ko": "첫 질문"},
        {"en": "contexts", "ko": "문맥 수"},
    ]
    title: Text = {"en": f"Trees of {unit_name(config, phone)}", "ko": f"{unit_name(config, phone)}의 나무"}
    axis: Text = {"en": "phone, as in the list", "ko": "음소 (목록 순서)"}
    yield [Table(columns, rows, title), Curve(lines, axis, {"en": "contexts", "ko": "문맥 수"}, style="bars")]


def question_text(model: HMM, asked: int) -> Text:
    sets, speakers = model.sets.cpu().numpy(), model.config.speakers
    if asked < 0:
        return {"en": "none", "ko": "없음"}
    if asked < 2 * len(sets):
        side, place = divmod(asked, len(sets))
        names = " ".join(unit_name(model.config, int(u)) for u in np.flatnonzero(sets[place]))
        before: Text = {"en": "Is the sound before one of", "ko": "앞소리가 다음 중 하나인가:"}
        behind: Text = {"en": "Is the sound after one of", "ko": "뒷소리가 다음 중 하나인가:"}
        return {k: f"{words} {names}" for k, words in (behind if side else before).items()}
    fact = asked - 2 * len(sets)
    if fact < len(FACT_NAMES):
        return FACT_NAMES[fact]
    who = speakers[fact - len(FACT_NAMES)] if speakers else "-"
    return {"en": f"Does {who} speak?", "ko": f"{who}의 목소리인가?"}


# --- Controls -------------------------------------------------------------------------------------------------


def _phones(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    return [
        ({"en": "pause", "ko": "쉼"}, 0),
        *(({"en": phone, "ko": phone}, i + 1) for i, phone in enumerate(config.phones)),
    ]


def _columns(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    cepstra = [({"en": f"mel-cepstrum c{k}", "ko": f"멜 켑스트럼 c{k}"}, k) for k in (1, 2, 3, 4, 8, 12, 16, 20, 24)]
    return [*cepstra, ({"en": "pitch", "ko": "높이"}, PITCH)]


def _phonetic(config: Any, info: DataInfo) -> bool:
    return not config.words


def _english(config: Any, info: DataInfo) -> bool:
    return _phonetic(config, info) and of(config.symbols).language == "en"


def _korean(config: Any, info: DataInfo) -> bool:
    return _phonetic(config, info) and of(config.symbols).language == "ko"


def number(name: str, en: str, ko: str, default: float, low: float, high: float, step: float) -> Control:
    return Control(name, "number", {"en": en, "ko": ko}, default, low, high, step)


SPEAKER = Control(
    "speaker",
    "choice",
    {"en": "Voice", "ko": "목소리"},
    0,
    choices=controls.speaker_names,
    when=controls.several_speakers,
)
WORD = Control(
    "label",
    "choice",
    {"en": "Word", "ko": "단어"},
    0,
    choices=controls.class_names,
    when=lambda config, info: config.words,
)
PHONE = Control("phone", "choice", {"en": "Phone", "ko": "음소"}, 1, choices=_phones, when=_phonetic)
TEXT = Control("text", "text", {"en": "Text", "ko": "글"}, ENGLISH, when=_english)
TEXT_KO = Control("text_ko", "text", {"en": "Korean text", "ko": "글"}, KOREAN, when=_korean)
COLUMN = Control("column", "choice", {"en": "What to follow", "ko": "따라갈 값"}, 1, choices=_columns)
SAID = (WORD, SPEAKER, TEXT, TEXT_KO)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Durations are drawn, the states' Gaussians give the likeliest trajectory, and WORLD makes it sound.",
            "ko": "길이를 뽑고, 상태의 가우스 분포에서 가장 그럴듯한 궤적을 구해 WORLD로 소리 냅니다.",
        },
        (
            controls.label(),
            TEXT,
            TEXT_KO,
            SPEAKER,
            number("pace", "Pace", "빠르기", 1.0, 0.5, 2.0, 0.05),
            number("variation", "Variation of durations", "길이의 변화", 1.0, 0.0, 2.0, 0.1),
            number("lively", "Global variance given back", "되돌려 준 전역 분산", 1.0, 0.0, 1.0, 0.1),
            number("pitch", "Raised by (semitones)", "높이 올리기 (반음)", 0.0, -12.0, 12.0, 1.0),
            controls.seed(),
        ),
        generate,
    ),
    View(
        "graph",
        {"en": "States", "ko": "상태"},
        {
            "en": "The chain of a word or phone: how likely it stays where it is, and what each state sounds like.",
            "ko": "단어나 음소의 사슬입니다. 제자리에 머무를 확률과 상태마다의 소리를 봅니다.",
        },
        (WORD, SPEAKER, PHONE),
        graph,
    ),
    View(
        "path",
        {"en": "Way through the states", "ko": "상태의 길"},
        {
            "en": "A held-out recording, or yours, on its likeliest way through the chain: the staircase on its spectrum.",
            "ko": "학습에 쓰지 않은 녹음이나 내 녹음이 사슬을 지나는 가장 그럴듯한 길을 스펙트럼 위에 계단으로 그립니다.",
        },
        (
            Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=10.0),
            TEXT,
            TEXT_KO,
            controls.seed(),
        ),
        path,
    ),
    View(
        "trajectory",
        {"en": "Trajectories", "ko": "궤적"},
        {
            "en": "Steps without deltas, a smooth curve with them, and what global variance gives back: look, then listen.",
            "ko": "델타가 없으면 계단, 있으면 매끄러운 곡선이 되고, 전역 분산은 줄어든 폭을 되돌려 줍니다. 보고 들어 보세요.",
        },
        (*SAID, COLUMN, controls.seed()),
        trajectory,
    ),
    View(
        "durations",
        {"en": "Durations", "ko": "길이"},
        {
            "en": "How long each state or phone lasts, and how the durations of a word's states hang together.",
            "ko": "상태나 음소가 얼마나 오래 가는지, 한 단어의 상태 길이들이 서로 어떻게 얽혀 있는지 봅니다.",
        },
        (
            WORD,
            SPEAKER,
            Control("n", "number", {"en": "Draws", "ko": "뽑는 횟수"}, 6, 1, 20, 1),
            controls.seed(),
        ),
        durations,
    ),
    View(
        "contexts",
        {"en": "Contexts", "ko": "문맥"},
        {
            "en": "What a phone's trees ask first of its surroundings, and how many contexts each phone is told apart in.",
            "ko": "음소의 나무가 주변에 관해 처음 묻는 것과, 음소마다 몇 가지 문맥으로 나뉘는지 봅니다.",
        },
        (PHONE,),
        contexts,
        when=_phonetic,
    ),
)
