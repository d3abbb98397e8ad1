"""What the page shows of a WaveNet: sound as it is made, how far it listens back, and what it expects next."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from playground import controls
from playground.contract import Audio, Control, Curve, DataInfo, HeatMap, Output, Scene, Table, Text, View
from playground.families.speech.wavenet import alphabet
from playground.families.speech.wavenet.config import STEP, Config
from playground.families.speech.wavenet.model import WaveNet
from playground.families.speech.wavenet.samplers import SAMPLERS
from playground.signal import edges, griffin_lim, mulaw
from playground.signal.mel import log_mel

ANYONE = -1
"""Value of the speaker control that draws a speaker for every word."""
PAUSE = 0.15
"""Seconds of silence between two words."""
LONGEST = 4.0
"""Seconds of a held-out recording that are copied, at most."""

SECONDS: Text = {"en": "time (s)", "ko": "시간(초)"}
MILLISECONDS: Text = {"en": "time (ms)", "ko": "시간(ms)"}
AMPLITUDE: Text = {"en": "amplitude", "ko": "진폭"}


# --- Generating -----------------------------------------------------------------------------------------------


def generate(
    model: WaveNet,
    scene: Scene,
    temperature: float,
    label: int | None = None,
    speaker: int | None = None,
    pace: float = 1.0,
    seconds: float = 0.0,
    take: Audio | None = None,
) -> Iterator[list[Output]]:
    if model.config.vocoder:
        yield from copied(model, scene, take, temperature)
        return
    made = torch.zeros(0)
    for word in range(scene.info.classes) if label == controls.EACH_IN_TURN else [label or 0]:
        who = someone(speaker, scene)
        samples = length(model, word, who, pace, seconds, scene)
        for part in model.drawing(
            model.told_labels(word, who, samples), samples, rng=scene.rng, temperature=temperature
        ):
            made = torch.cat([made, part])
            yield [Audio(made, model.config.sample_rate)]
        made = torch.cat([made, torch.zeros(round(PAUSE * model.config.sample_rate))])


def copied(model: WaveNet, scene: Scene, take: Audio | None, temperature: float) -> Iterator[list[Output]]:
    original, mel = recorded(model, scene, take)
    rate, h = model.config.sample_rate, model.told_mel(mel)
    before = [Audio(original, rate, {"en": "The recording", "ko": "원래 녹음"})]
    plain = griffin_lim.griffin_lim(mel, model.config.front).clamp(-1, 1)
    after = [Audio(plain, rate, {"en": "Its mels by Griffin-Lim", "ko": "멜을 Griffin-Lim으로"})]
    made = torch.zeros(0)
    for part in model.drawing(h, len(original), rng=scene.rng, temperature=temperature):
        made = torch.cat([made, part])
        yield [*before, Audio(made, rate, {"en": "Its mels by WaveNet", "ko": "멜을 WaveNet으로"}), *after]


def someone(speaker: int | None, scene: Scene) -> int:
    """The speaker asked for; one drawn where it is anyone."""
    if speaker is None or speaker == ANYONE:
        return int(torch.randint(max(1, len(scene.info.speakers)), (), generator=scene.rng))
    return speaker


def length(model: WaveNet, label: int, speaker: int, pace: float, seconds: float, scene: Scene) -> int:
    """Samples of a word, its duration drawn and multiplied; where there are no words, the seconds asked for."""
    if not model.config.classes:
        return round(seconds * model.config.sample_rate)
    return max(STEP, round(pace * model.duration(label, speaker, scene.rng)))


def recorded(model: WaveNet, scene: Scene, take: Audio | None) -> tuple[Tensor, Tensor]:
    """(samples, mel) of one's own recording, or of a held-out one."""
    front = model.config.front
    if take is not None:
        samples = edges.resample(take.samples, take.rate, front.rate)
    else:
        examples: Any = scene.examples()
        samples = examples.audio(int(torch.randint(len(examples), (), generator=scene.rng)))
    samples = samples[: round(LONGEST * front.rate)]
    samples = torch.nn.functional.pad(samples, (0, max(0, front.least - len(samples))))
    return samples, log_mel(samples, front)


# --- Looking inside -------------------------------------------------------------------------------------------


def spoken(
    model: WaveNet, scene: Scene, temperature: float, label: int | None, speaker: int | None
) -> tuple[Tensor, Tensor]:
    """(symbols (T,), h) to look into: a word that the model says; of a vocoder a held-out recording."""
    if model.config.vocoder:
        heard, mel = recorded(model, scene, None)
        heard = heard[: model.config.sample_rate]
        return alphabet.encode(heard, model.config.emphasis), model.told_mel(mel)[: -(-len(heard) // STEP)]
    word, who = label or 0, someone(speaker, scene)
    samples = length(model, word, who, 1.0, 0.5, scene)
    h = model.told_labels(word, who, samples)
    u = torch.rand(samples, generator=scene.rng, dtype=torch.float64)
    return torch.cat([*SAMPLERS["compiled"](model, h, u, temperature)]), h


def window(total: int, moment: float, milliseconds: float, rate: int) -> slice:
    """So many milliseconds of `total` samples, the middle at `moment` of the whole, 0 to 1."""
    n = min(total, round(milliseconds / 1000 * rate))
    begin = min(max(0, round(moment * total) - n // 2), total - n)
    return slice(begin, begin + n)


def expectations(
    model: WaveNet,
    scene: Scene,
    moment: float,
    milliseconds: float,
    temperature: float,
    label: int | None = None,
    speaker: int | None = None,
) -> Iterator[list[Output]]:
    symbols, h = spoken(model, scene, temperature, label, speaker)
    rate = model.config.sample_rate
    seen = window(len(symbols), moment, milliseconds, rate)
    p = model.predict(symbols, h)[seen].softmax(1)  # (columns, 256)
    times = (1000 * torch.arange(seen.start, seen.stop) / rate).tolist()
    edges_ms = (times[0], times[-1] + 1000 / rate)
    bits = -p.gather(1, symbols[seen, None])[:, 0].clamp_min(1e-12).log2()
    entropy = torch.special.entr(p).sum(1) / math.log(2)
    level: Text = {"en": "mu-law value", "ko": "mu-law 값"}
    title: Text = {"en": "Probability of the next sample (log10)", "ko": "다음 표본의 확률 (log10)"}
    curve_title: Text = {"en": "How open the choice was, and how surprising", "ko": "선택의 불확실성과 놀라움"}
    yield [
        HeatMap(p.T.clamp_min(1e-4).log10(), MILLISECONDS, level, title, "bottom", edges_ms, (0, mulaw.LEVELS)),
        Curve({"x": (times, mulaw.decode(symbols[seen]).tolist())}, MILLISECONDS, AMPLITUDE),
        Curve(
            {"entropy": (times, entropy.tolist()), "-log2 p": (times, bits.tolist())},
            MILLISECONDS,
            {"en": "bits", "ko": "비트"},
            curve_title,
        ),
    ]


def zoom(
    model: WaveNet,
    scene: Scene,
    moment: float,
    temperature: float,
    label: int | None = None,
    speaker: int | None = None,
) -> Iterator[list[Output]]:
    symbols, h = spoken(model, scene, temperature, label, speaker)
    rate, y = model.config.sample_rate, mulaw.decode(symbols)
    p = model.predict(symbols, h).softmax(1)
    low, high = (quantile(p, q) for q in (0.05, 0.95))
    outputs: list[Output] = [Audio(torch.cat([*alphabet.decode([symbols], model.config.emphasis)]), rate)]
    for milliseconds in (100.0, 10.0):
        seen = window(len(y), moment, milliseconds, rate)
        times = (1000 * torch.arange(seen.start, seen.stop) / rate).tolist()
        lines = {"x": (times, y[seen].tolist())}
        if milliseconds == 10:
            lines |= {"5 %": (times, low[seen].tolist()), "95 %": (times, high[seen].tolist())}
        said: Text = {
            "en": f"{milliseconds:g} milliseconds, as the net draws it",
            "ko": f"신경망이 그리는 그대로의 {milliseconds:g}밀리초",
        }
        outputs.append(Curve(lines, MILLISECONDS, AMPLITUDE, said))
    yield outputs


def quantile(p: Tensor, q: float) -> Tensor:
    """The amplitude below which a share q of each distribution p (T, 256) lies: (T,)."""
    return mulaw.decode((p.cumsum(1) < q).sum(1).clamp(max=mulaw.LEVELS - 1))


DIRECTIONS = 4
"""Random directions in which a layer's output is asked what it depends on."""


def reach(
    model: WaveNet, scene: Scene, temperature: float, label: int | None = None, speaker: int | None = None
) -> Iterator[list[Output]]:
    config = model.config
    symbols, h = spoken(model, scene, temperature, label, speaker)
    ms, layers = 1000 / config.sample_rate, list(range(1, len(config.dilations) + 1))
    fields = (1 + torch.tensor(config.dilations).cumsum(0)) * ms
    layer: Text = {"en": "layer", "ko": "층"}
    about: Text = {"en": "Receptive field by layer", "ko": "층별 수용 영역"}
    bars = Curve({"ms": (layers, fields.tolist())}, layer, {"en": "ms", "ko": "밀리초"}, about, "bars")
    yield [bars]
    back: Text = {"en": "milliseconds back", "ko": "과거로 거슬러 간 밀리초"}
    title: Text = {
        "en": "How much each layer's output changes with a sample of the past (log10, the nearest is 0)",
        "ko": "과거의 표본이 각 층의 출력을 얼마나 바꾸는지 (log10, 가장 큰 값이 0)",
    }
    found = influences(model, symbols, h, scene.rng)
    yield [bars, HeatMap(found, back, layer, title, "bottom", (0, found.shape[1] * ms), (0.5, len(layers) + 0.5))]


def influences(model: WaveNet, symbols: Tensor, h: Tensor, rng: torch.Generator) -> Tensor:
    """log10 of the size of d(skips up to layer l at the loudest moment) / d(input k samples earlier): (layers, k).

    Measured by gradients in random directions; the largest of each layer is 0, and -4 stands for what is less.
    """
    config = model.config
    late = torch.arange(len(symbols)) >= min(config.receptive_field, len(symbols) - 1)
    at = int((mulaw.decode(symbols).abs() + late).argmax())  # the loudest of those with a whole past
    steps = slice(max(0, (at - config.receptive_field) // STEP), at // STEP + 1)
    begin = steps.start * STEP
    with torch.inference_mode(False), torch.enable_grad():
        inputs = model.shifted(symbols, len(h)).clone()[begin : steps.stop * STEP]
        x = model.embed(inputs).detach().requires_grad_()
        rows = []
        for skips in model.skips(x, h[steps].clone()):
            size = torch.zeros(len(x))
            for _ in range(DIRECTIONS):
                direction = torch.randn(config.skip, generator=rng)
                (slope,) = torch.autograd.grad(skips[at - begin] @ direction, x, retain_graph=True)
                size += slope.norm(dim=1)
            rows.append(size[: at - begin + 1].flip(0)[: config.receptive_field])
    found = torch.stack([torch.nn.functional.pad(r, (0, config.receptive_field - len(r))) for r in rows])
    return (found / found.amax(1, keepdim=True).clamp_min(1e-30)).clamp_min(1e-4).log10()


TRIED = {"naive": 48, "cached": 400, "compiled": 8_000}
"""Samples that each sampler draws when it is timed."""


def speeds(
    model: WaveNet, scene: Scene, temperature: float, label: int | None = None, speaker: int | None = None
) -> Iterator[list[Output]]:
    most, rate = max(TRIED.values()), model.config.sample_rate
    if model.config.vocoder:
        h = model.told_mel(torch.full((-(-most // model.config.front.hop), model.config.front.mels), -3.0))
    else:
        h = model.told_labels(label or 0, someone(speaker, scene), most)
    u = torch.rand(most, generator=scene.rng, dtype=torch.float64)
    columns: list[Text] = [
        {"en": "sampler", "ko": "표집 방법"},
        {"en": "samples a second", "ko": "초당 표본 수"},
        {"en": "× real time", "ko": "실시간의 배수"},
        {"en": "the same samples as the first", "ko": "첫째와 같은 표본"},
    ]
    rows: list[list[Any]] = []
    first: Tensor | None = None
    for name, sampler in SAMPLERS.items():
        n = TRIED[name]
        drawn = lambda n=n, sampler=sampler: torch.cat([*sampler(model, h[: -(-n // STEP)], u[:n], temperature)])
        drawn() if name == "compiled" else None  # what is compiled at its first use is ready at its second
        began = time.perf_counter()
        symbols = drawn()
        pace = n / (time.perf_counter() - began)
        first = symbols if first is None else first
        same = int((symbols[: len(first)] == first).sum())
        rows.append([name, round(pace), round(pace / rate, 3), f"{same} / {len(first)}"])
        yield [Table(columns, rows[:])]


# --- Controls -------------------------------------------------------------------------------------------------


def says_words(config: Config, info: DataInfo) -> bool:
    return controls.has_classes(config, info)


def babbles(config: Config, info: DataInfo) -> bool:
    return not config.vocoder and not config.classes


def several_speakers(config: Config, info: DataInfo) -> bool:
    return not config.vocoder and controls.several_speakers(config, info)


def copies(config: Config, info: DataInfo) -> bool:
    return config.vocoder


def _speakers(config: Config, info: DataInfo) -> list[tuple[Text, int]]:
    anyone: tuple[Text, int] = ({"en": "anyone", "ko": "아무나"}, ANYONE)
    return [anyone, *controls.speaker_names(config, info)]


def temperature() -> Control:
    words: Text = {"en": "Temperature", "ko": "온도"}
    return Control("temperature", "number", words, 0.9, 0.1, 1.5, 0.05)


def speaker() -> Control:
    words: Text = {"en": "Speaker", "ko": "화자"}
    return Control("speaker", "choice", words, ANYONE, choices=_speakers, when=several_speakers)


def word() -> Control:
    return Control("label", "choice", {"en": "Class", "ko": "클래스"}, 0, choices=controls.class_names, when=says_words)


def moment() -> Control:
    words: Text = {"en": "Where (0: beginning, 1: end)", "ko": "위치 (0: 처음, 1: 끝)"}
    return Control("moment", "number", words, 0.4, 0.0, 1.0, 0.01)


PACE = Control(
    "pace",
    "number",
    {"en": "Duration, × the drawn one", "ko": "길이 (뽑은 길이의 배수)"},
    1.0,
    0.5,
    2.0,
    0.05,
    when=says_words,
)
BABBLE = Control("seconds", "number", {"en": "Seconds", "ko": "길이(초)"}, 2.0, 0.2, 10.0, 0.1, when=babbles)
TAKE = Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=LONGEST, when=copies)
WIDE = Control("milliseconds", "number", {"en": "Milliseconds shown", "ko": "보이는 밀리초"}, 40.0, 5.0, 100.0, 5.0)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Sample after sample, each drawn from what the net expects after all those before it; it sounds while it is made.",
            "ko": "앞선 표본을 모두 듣고 다음 표본의 분포를 예측해 하나씩 뽑습니다. 만들어지는 대로 소리가 납니다.",
        },
        (controls.label(), speaker(), temperature(), PACE, BABBLE, TAKE, controls.seed()),
        generate,
    ),
    View(
        "expectations",
        {"en": "What it expects", "ko": "다음 표본의 분포"},
        {
            "en": "The softmax over 256 values, moment by moment: narrow where the wave can be foreseen, wide in a hiss.",
            "ko": "값 256개의 소프트맥스를 시간에 따라 그립니다. 파형을 내다볼 수 있으면 좁고, 쉿소리에서는 넓습니다.",
        },
        (word(), speaker(), moment(), WIDE, temperature(), controls.seed()),
        expectations,
    ),
    View(
        "zoom",
        {"en": "Zoom in", "ko": "파형 확대"},
        {
            "en": "From the word to a tenth of a second to ten milliseconds: what the net has to draw, one sample at a time.",
            "ko": "낱말에서 0.1초, 다시 10밀리초로 확대합니다. 신경망은 이 파형을 표본 하나씩 그려야 합니다.",
        },
        (word(), speaker(), moment(), temperature(), controls.seed()),
        zoom,
    ),
    View(
        "reach",
        {"en": "Receptive field", "ko": "수용 영역"},
        {
            "en": "How far back each layer hears, by its dilations and as measured: far beyond one period of a voice (4 to 12 ms), or no pitch.",
            "ko": "층마다 얼마나 먼 과거까지 듣는지, 구조로 계산한 값과 실제로 잰 값입니다. 목소리의 한 주기(4~12밀리초)보다 훨씬 길어야 음높이가 생깁니다.",
        },
        (word(), speaker(), temperature(), controls.seed()),
        reach,
    ),
    View(
        "speeds",
        {"en": "Three samplers", "ko": "표집 방법 세 가지"},
        {
            "en": "The same samples drawn naively, with each layer's past remembered, and that compiled: timed here and now.",
            "ko": "같은 표본을 그대로, 층의 과거를 기억하며, 그것을 컴파일해서 뽑습니다. 지금 이 컴퓨터에서 잰 속도입니다.",
        },
        (word(), speaker(), temperature(), controls.seed()),
        speeds,
    ),
)
