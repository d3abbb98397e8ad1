"""What the page shows of a MelGAN: its copies beside others', what its discriminators make of them, where they differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from playground import controls
from playground.contract import Audio, Control, Curve, HeatMap, Mel, Output, Scene, Table, Text, Told, View
from playground.families.speech.melgan.config import OFFICIAL, QUIET, Config
from playground.families.speech.melgan.losses import magnitudes
from playground.families.speech.melgan.model import MelGAN, Vocoder
from playground.signal import edges, griffin_lim
from playground.signal.mel import log_mel
from playground.text import espeak

LONGEST = 4.0
"""Seconds of a recording that are copied, at most."""

WINDOW = 0.03
"""Seconds of a wave that are seen up close."""
DEEPEST, MOST = 70.0, 20.0
"""dB below the loudest that a spectrogram shows, and of a difference."""

SECONDS: Text = {"en": "time (s)", "ko": "시간(초)"}
KILOHERTZ: Text = {"en": "kHz", "ko": "kHz"}
PLAINLY: Text = {"en": "Its mels by Griffin-Lim", "ko": "멜을 Griffin-Lim으로"}
ORIGINAL: Text = {"en": "The recording", "ko": "원래 녹음"}
OWN: Text = {"en": "Your recording", "ko": "내 녹음"}
SYNTHETIC: Text = {
    "en": "espeak-ng's voice: the recordings are not on this machine",
    "ko": "espeak-ng의 목소리 (이 컴퓨터에 녹음이 없습니다)",
}
SENTENCES = ("The sun is warm, and the river runs slowly to the sea.", "Who would have thought that it could speak?")
VOICES = ("en-us", "en-us+f3")


def generate(model: Vocoder, scene: Scene, take: Audio | None = None) -> Iterator[list[Output]]:
    original = recorded(model, scene, take)
    mel = log_mel(original.samples, model.config.front)
    yield [Audio(copied(model, mel, len(original.samples)), original.rate, by(model)), original]


def by(model: Vocoder) -> Text:
    return {"en": f"Its mels by {model.title['en']}", "ko": f"멜을 {model.title['ko']}으로"}


def recorded(model: Vocoder, scene: Scene, take: Audio | None) -> Audio:
    """One's own recording at the model's rate, or a held-out one; a synthetic voice's where there is none."""
    front = model.config.front
    if take is not None:
        samples, said = edges.resample(take.samples, take.rate, front.rate), OWN
    else:
        samples, said = held_out(scene, front.rate)
    samples = samples[: round(LONGEST * front.rate)]
    return Audio(torch.nn.functional.pad(samples, (0, max(0, front.least - len(samples)))), front.rate, said)


def held_out(scene: Scene, rate: int) -> tuple[Tensor, Text]:
    draw = lambda n: int(torch.randint(n, (), generator=scene.rng))
    try:
        examples: Any = scene.examples()
    except Told:  # the data set is not on this machine
        spoken = espeak.speak(SENTENCES[draw(len(SENTENCES))], VOICES[draw(len(VOICES))])
        return edges.resample(torch.from_numpy(spoken.samples).float() / 32768, spoken.rate, rate), SYNTHETIC
    return examples.audio(draw(len(examples))), ORIGINAL


def copied(model: Vocoder, mel: Tensor, samples: int) -> Tensor:
    """What the model makes of a mel, as long as what the mel is of."""
    return model.vocode(mel)[:samples]


# --- Beside others --------------------------------------------------------------------------------------------


def vocoders(model: Vocoder, scene: Scene, take: Audio | None = None) -> Iterator[list[Output]]:
    original = recorded(model, scene, take)
    mel, rate = log_mel(original.samples, model.config.front), original.rate
    made = [original, Audio(copied(model, mel, len(original.samples)), rate, by(model))]
    yield [*made]
    made.append(Audio(plainly(model, mel, len(original.samples)), rate, PLAINLY))
    chosen: Text = {"en": "Its mels by the vocoder chosen on this page", "ko": "멜을 이 화면에서 고른 보코더로"}
    levels: Text = {"en": "mel error (dB)", "ko": "멜 오차(dB)"}
    rows = [[heard.title, round(mel_error(model, mel, heard.samples), 2)] for heard in made]
    yield [*made, Mel(mel, rate, chosen), Table([{"en": "heard", "ko": "들리는 것"}, levels], rows)]


def plainly(model: Vocoder, mel: Tensor, samples: int) -> Tensor:
    """What Griffin-Lim makes of a mel, without any model."""
    made = griffin_lim.griffin_lim(torch.cat([mel, mel[-1:]]), model.config.front)
    return made[:samples].clamp(-1, 1)


def mel_error(model: Vocoder, mel: Tensor, samples: Tensor) -> float:
    """How far the mel of a copy is from the one it was made of, in dB; what is silent in either counts as quiet."""
    again = log_mel(samples, model.config.front)
    return float(20 * (again.clamp_min(QUIET) - mel.clamp_min(QUIET)).abs().mean())


def difference(model: Vocoder, scene: Scene, take: Audio | None = None) -> Iterator[list[Output]]:
    original = recorded(model, scene, take)
    mel, n = log_mel(original.samples, model.config.front), len(original.samples)
    copies = {"ours": copied(model, mel, n), "plain": plainly(model, mel, n)}
    wanted = levels(original.samples, original.rate)
    seconds = (0.0, n / original.rate)
    kilohertz = (0.0, original.rate / 2000)
    picture = lambda values, title: HeatMap(values, SECONDS, KILOHERTZ, title, "bottom", seconds, kilohertz)
    outputs: list[Output] = [picture(wanted, {"en": "The recording (dB)", "ko": "원래 녹음 (dB)"})]
    for key, name in (("ours", model.title), ("plain", {"en": "Griffin-Lim", "ko": "Griffin-Lim"})):
        got = levels(copies[key], original.rate).clamp_min(float(wanted.min()))
        off = float((got - wanted).abs().mean())
        if key == "ours":
            outputs.append(picture(got, {"en": f"{name['en']} (dB)", "ko": f"{name['ko']} (dB)"}))
        said: Text = {
            "en": f"{name['en']} less the recording: {off:.1f} dB on average",
            "ko": f"{name['ko']}에서 원래 녹음을 뺀 것: 평균 {off:.1f} dB",
        }
        outputs.append(picture((got - wanted).clamp(-MOST, MOST), said))
    yield outputs


def levels(samples: Tensor, rate: int) -> Tensor:
    """Levels in dB, at most `DEEPEST` below the loudest, (frequencies, frames), in windows of 32 ms."""
    magnitudes_ = magnitudes(samples[None], rate * 32 // 1000)[0]
    decibels = 20 * magnitudes_.log10()
    return decibels.clamp_min(float(decibels.max()) - DEEPEST)


def waves(model: Vocoder, scene: Scene, moment: float, take: Audio | None = None) -> Iterator[list[Output]]:
    original = recorded(model, scene, take)
    mel, n = log_mel(original.samples, model.config.front), len(original.samples)
    copies = {model.title["en"]: copied(model, mel, n), "Griffin-Lim": plainly(model, mel, n)}
    width = min(n, round(WINDOW * original.rate))
    begin = min(max(0, round(moment * n) - width // 2), n - width)
    times = (1000 * torch.arange(begin, begin + width) / original.rate).tolist()
    outputs: list[Output] = []
    for name, copy in copies.items():
        series = {"x": original.samples, name: copy}
        lines = {key: (times, samples[begin : begin + width].tolist()) for key, samples in series.items()}
        title: Text = {"en": f"The recording, x, and {name}", "ko": f"원래 녹음 x와 {name}"}
        outputs.append(Curve(lines, {"en": "time (ms)", "ko": "시간(ms)"}, {"en": "amplitude", "ko": "진폭"}, title))
    yield outputs


# --- The discriminators ---------------------------------------------------------------------------------------


def scores(model: Vocoder, scene: Scene, take: Audio | None = None) -> Iterator[list[Output]]:
    original = recorded(model, scene, take)
    mel, n = log_mel(original.samples, model.config.front), len(original.samples)
    heard = {
        "D(x)": original.samples,
        "D(G(s))": copied(model, mel, n),
        "D(Griffin-Lim)": plainly(model, mel, n),
    }
    judged = {name: model.scores(samples) for name, samples in heard.items()}
    outputs: list[Output] = []
    for k in range(model.config.scales):
        hertz = original.rate // 2**k
        lines = {}
        for name, each in judged.items():
            times = (torch.arange(len(each[k])) + 0.5) * n / original.rate / len(each[k])
            lines[name] = (times.tolist(), each[k].tolist())
        title: Text = {"en": f"Discriminator at {hertz:,} Hz", "ko": f"{hertz:,} Hz로 듣는 판별자"}
        outputs.append(Curve(lines, SECONDS, {"en": "score", "ko": "점수"}, title))
    columns: list[Text] = [
        {"en": "share of windows taken for real", "ko": "진짜로 여긴 구간의 비율"},
        *(
            {"en": f"at {original.rate // 2**k:,} Hz", "ko": f"{original.rate // 2**k:,} Hz로"}
            for k in range(model.config.scales)
        ),
    ]
    rows = [[name, *(f"{float((s > 0).double().mean()):.0%}" for s in each)] for name, each in judged.items()]
    yield [*outputs, Table(columns, rows)]


# --- Speed ----------------------------------------------------------------------------------------------------


def speeds(model: Vocoder, scene: Scene, seconds: float) -> Iterator[list[Output]]:
    front = model.config.front
    mel = 3 * torch.rand(round(seconds * front.rate / front.hop), front.mels, generator=scene.rng) - 4
    with torch.random.fork_rng():
        published = MelGAN(Config(sample_rate=front.rate, **OFFICIAL))
    size = lambda made: sum(p.numel() for p in made.generator.parameters())
    makers: list[tuple[Any, int, Callable[[Tensor], Tensor]]] = [
        (model.title, size(model), model.vocode),
        ({"en": "published size, untrained", "ko": "논문 크기 (학습 안 함)"}, size(published), published.vocode),
        ("Griffin-Lim", 0, lambda m: griffin_lim.griffin_lim(m, front)),
    ]
    columns: list[Text] = [
        {"en": "vocoder", "ko": "보코더"},
        {"en": "parameters", "ko": "매개변수"},
        {"en": "seconds", "ko": "걸린 시간(초)"},
        {"en": "× real time", "ko": "실시간의 배수"},
    ]
    rows: list[list[Any]] = []
    for name, parameters, make in makers:
        make(mel[:8])
        began = time.perf_counter()
        made = make(mel)
        spent = time.perf_counter() - began
        rows.append([name, parameters, round(spent, 3), round(len(made) / front.rate / spent, 1)])
        yield [Table(columns, rows[:])]


# --- Controls -------------------------------------------------------------------------------------------------

TAKE = Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=LONGEST)
MOMENT = Control(
    "moment", "number", {"en": "Where (0: beginning, 1: end)", "ko": "위치 (0: 처음, 1: 끝)"}, 0.4, 0.0, 1.0, 0.01
)
SAID = Control("seconds", "number", {"en": "Seconds of sound", "ko": "소리의 길이(초)"}, 4.0, 0.5, 20.0, 0.5)

VIEWS = (
    View(
        "generate",
        {"en": "Vocode", "ko": "소리로 바꾸기"},
        {
            "en": "A held-out recording, or your own, heard again from its mels alone: some eighty loudnesses every 16 ms.",
            "ko": "학습에 쓰지 않은 녹음이나 내 녹음을 멜만으로 다시 들어 봅니다. 16ms마다 대역별 세기 수십 개뿐입니다.",
        },
        (TAKE, controls.seed()),
        generate,
    ),
    View(
        "vocoders",
        {"en": "Vocoders side by side", "ko": "보코더 비교"},
        {
            "en": "The recording, and its mels by this generator, by Griffin-Lim and by any other vocoder: who is metallic?",
            "ko": "원래 녹음과, 같은 멜을 이 생성자, Griffin-Lim, 다른 보코더로 바꾼 소리입니다. 어느 쪽이 금속성일까요?",
        },
        (TAKE, controls.seed()),
        vocoders,
    ),
    View(
        "difference",
        {"en": "Spectrogram difference", "ko": "스펙트로그램 차이"},
        {
            "en": "Where a copy is too loud or too quiet: Griffin-Lim smears harmonics, a generator misses the highest ones.",
            "ko": "사본이 어디서 너무 크거나 작은지 봅니다. Griffin-Lim은 배음을 번지게 하고, 생성자는 높은 배음을 놓칩니다.",
        },
        (TAKE, controls.seed()),
        difference,
    ),
    View(
        "scores",
        {"en": "What the discriminators say", "ko": "판별자의 점수"},
        {
            "en": "Scores window after window at each rate; above 0 is taken for a recording. Did Griffin-Lim fool them?",
            "ko": "속도마다 구간별로 매긴 점수입니다. 0보다 크면 진짜 녹음으로 여긴 것입니다. Griffin-Lim은 속였을까요?",
        },
        (TAKE, controls.seed()),
        scores,
        live=True,
    ),
    View(
        "waves",
        {"en": "Waves up close", "ko": "파형 확대"},
        {
            "en": "Thirty milliseconds: a mel does not say where a wave stands, so the copy's pulses come when they like.",
            "ko": "30밀리초의 파형입니다. 멜에는 파형의 위상이 없으므로 사본의 진동은 제자리에 있지 않아도 됩니다.",
        },
        (TAKE, MOMENT, controls.seed()),
        waves,
    ),
    View(
        "speeds",
        {"en": "Speed", "ko": "속도"},
        {
            "en": "How long some seconds of sound take, here and now: all samples are made at once.",
            "ko": "소리 몇 초를 만드는 데 걸리는 시간을 지금 이 컴퓨터에서 잽니다. 모든 표본을 한꺼번에 만듭니다.",
        },
        (SAID, controls.seed()),
        speeds,
    ),
)
