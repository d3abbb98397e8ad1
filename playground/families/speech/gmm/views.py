"""What is shown of the model: words, one voice as another, the Gaussians themselves, and what they cannot do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from playground import controls
from playground.contract import (
    Audio,
    Control,
    Curve,
    DataInfo,
    HeatMap,
    Output,
    Scene,
    Table,
    Text,
    View,
    Words,
    World,
)
from playground.families.speech.gmm.config import ANYONE, CEPSTRA
from playground.families.speech.gmm.mixture import KINDS, Mixture
from playground.families.speech.gmm.model import GMM, POSITION
from playground.families.speech.gmm.takes import PITCH, SHORTEST, analysed, evenly, melody, positions
from playground.signal import checks, edges, world
from playground.signal.difference import of_features
from playground.signal.mlpg import with_deltas
from playground.signal.world import Features

LONGEST = 8.0
"""Seconds of a recording of one's own."""
SIZES = (1, 2, 4, 8, 16, 32)
"""Gaussians that `bic` tries."""
ITERATIONS = 10
FLOOR = 0.01
RING = 48
"""Points of an ellipse."""
ROWS = 96
"""Of a heat map, about: few Gaussians are drawn as bands."""
TIME: Text = {"en": "time (s)", "ko": "시간(초)"}
PLANES: dict[str, tuple[int, int]] = {"time": (0, 2), "sound": (2, 3), "energy": (0, 1)}
"""Columns of a word's frames that are drawn: the position is column 0, c_m column m + 1."""
AXES: tuple[Text, ...] = (
    {"en": "position in the word", "ko": "단어 안의 위치"},
    {"en": "energy (c0)", "ko": "에너지 (c0)"},
    {"en": "first mel-cepstrum (c1)", "ko": "첫째 멜 켑스트럼 (c1)"},
    {"en": "second mel-cepstrum (c2)", "ko": "둘째 멜 켑스트럼 (c2)"},
)


# --- What the controls ask for --------------------------------------------------------------------------------


def named(info: DataInfo, label: int, voice: int | None) -> Text:
    word = info.class_names[label]
    who = info.speakers[voice] if voice is not None and len(info.speakers) > 1 else ""
    by: Text = {"en": f" by {who}" if who else "", "ko": f" ({who}의 목소리)" if who else ""}
    return {"en": f"Word {word}{by['en']}", "ko": f"단어 {word}{by['ko']}"}


def remark(model: GMM, info: DataInfo, labels: Sequence[int], voice: int) -> list[Output]:
    """What a listener should be told where a voice never said a word."""
    missing = [info.class_names[label] for label in labels if model.unit(label, voice)[1] != voice]
    if not missing:
        return []
    words, who = ", ".join(missing), info.speakers[voice]
    return [
        Words(
            {
                "en": f"{who} never said {words} in training: another voice is heard there.",
                "ko": f"학습에 {who}의 {words} 녹음이 없어, 그 단어는 다른 목소리로 들립니다.",
            }
        )
    ]


def takes_of(examples: Any, label: int, voice: int | None) -> list[int]:
    """The held-out recordings of a word, by one voice or by all (None)."""
    fits = torch.ones(len(examples), dtype=torch.bool) if examples.labels is None else examples.labels == label
    if voice is not None and examples.speakers is not None:
        fits = fits & (examples.speakers == voice)
    return torch.nonzero(fits)[:, 0].tolist()


def held_out(scene: Scene, label: int, voice: int | None) -> Tensor | None:
    """One of them at random, (T,); None where there is none."""
    examples: Any = scene.examples()
    found = takes_of(examples, label, voice)
    return examples.audio(found[int(torch.randint(len(found), (), generator=scene.rng))]) if found else None


def recording(scene: Scene, take: Audio | None, label: int, voice: int | None) -> Tensor:
    """(T,) samples at the model's rate: one's own recording, or a held-out one. Raises `BadSound`."""
    if take is not None:
        return take.samples
    found = held_out(scene, label, voice)
    if found is None:
        raise checks.BadSound(
            "no held-out recording says this: record it, or choose another word or voice",
            "이것을 말한 시험용 녹음이 없습니다. 직접 녹음하거나 다른 단어나 목소리를 고르세요",
        )
    return found


def titled(spoken: Features, title: Text) -> World:
    return replace(spoken.world(), title=title)


# --- Views ----------------------------------------------------------------------------------------------------


def generate(
    model: GMM, scene: Scene, label: int, spread: float, share: float, speaker: int = 0
) -> Iterator[list[Output]]:
    labels = list(range(scene.info.classes)) if label == controls.EACH_IN_TURN else [label]
    told = remark(model, scene.info, labels, speaker)
    said: list[World] = []
    for word in labels:
        said.append(model.speak(word, speaker, rng=scene.rng, spread=spread, share=share).world())
        yield [world.joined(said), *told]


def distortion(spoken: Features, wanted: Features) -> float:
    """Mel-cepstral distortion along the best alignment, in dB; the energy is left out."""
    return round(of_features(spoken, wanted).distortion, 2)


def convert(
    model: GMM, scene: Scene, label: int, source: int, target: int, share: float, take: Audio | None
) -> Iterator[list[Output]]:
    rate, speakers = scene.info.sample_rate, scene.info.speakers
    samples = recording(scene, take, label, source)
    spoken = analysed(samples, rate)
    made = model.convert(spoken, target, ANYONE if take is not None else source, share)
    who: Text = {"en": "Your recording", "ko": "내 녹음"}
    if take is None:
        who = {"en": f"Source: {speakers[source]}", "ko": f"원래 목소리: {speakers[source]}"}
    heard = edges.level(edges.trim(samples, rate), rate)
    name = speakers[target]
    outputs: list[Output] = [
        Audio(heard, rate, who),
        titled(made, {"en": f"Converted: as {name} would say it", "ko": f"변환: {name}의 목소리로"}),
    ]
    own = held_out(scene, label, target) if take is None else None
    if own is not None:
        wanted = analysed(own, rate)
        plain = model.convert(spoken, target, source, 0.0)
        outputs.append(
            Audio(
                edges.level(edges.trim(own, rate), rate),
                rate,
                {"en": f"Target: {name} saying it", "ko": f"목표: {name}이(가) 직접 말한 것"},
            )
        )
        outputs.append(
            Table(
                ({"en": "Distortion to the target", "ko": "목표와의 왜곡"}, {"en": "dB", "ko": "dB (데시벨)"}),
                [
                    [{"en": "source", "ko": "원래 목소리"}, distortion(spoken, wanted)],
                    [
                        {"en": "converted, without global variance", "ko": "변환, 전역 분산 없이"},
                        distortion(plain, wanted),
                    ],
                    [
                        {"en": "converted, as heard", "ko": "변환, 들리는 그대로"},
                        distortion(made, wanted),
                    ],
                ],
            )
        )
    yield outputs


def placed(model: GMM, spoken: Features, unit: int) -> Tensor:
    """The frames z (T, 1 + 3 static) of a recording as those of a unit, in the units that its mixture works in."""
    x, _ = melody(spoken)
    z = torch.cat([positions(x, model.trace(unit))[:, None], with_deltas(x).double()], dim=1)
    return z / model.word_scale


def ellipses(model: GMM, scene: Scene, label: int, plane: str, speaker: int = 0) -> Iterator[list[Output]]:
    unit, voice = model.unit(label, speaker)
    columns = list(PLANES[plane])
    scale, mixture = model.word_scale[columns], model.words
    shown = mixture.pi[unit] > 1e-3
    sigma = mixture.covariance(unit, columns)[shown]  # (k, 2, 2)
    angle = torch.linspace(0, 2 * math.pi, RING, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])  # (2, RING)
    rings = mixture.mu[unit, shown][:, columns, None] + 2 * torch.linalg.cholesky(sigma) @ circle  # (k, 2, RING)
    rings = rings.mT.reshape(-1, 2) * scale
    clouds = {"Gaussians (2 sigma)": rings}
    if columns[0] == POSITION.start:
        n = 160
        mean, _ = model.frames(unit, n)
        clouds["regression"] = torch.stack([evenly(n), mean[:, columns[1] - 1]], dim=1)
    examples: Any = scene.examples()
    own = [
        placed(model, analysed(examples.audio(i), scene.info.sample_rate), unit)[:, columns] * scale
        for i in takes_of(examples, label, voice)
    ]
    clouds = {"held-out frames": torch.cat(own), **clouds} if own else clouds
    series = {name: (cloud[:, 0].tolist(), cloud[:, 1].tolist()) for name, cloud in clouds.items()}
    yield [
        Curve(series, AXES[columns[0]], AXES[columns[1]], named(scene.info, label, voice), style="points"),
        *remark(model, scene.info, [label], speaker),
    ]


def responsibilities(
    model: GMM, scene: Scene, label: int, take: Audio | None, speaker: int = 0
) -> Iterator[list[Output]]:
    unit, voice = model.unit(label, speaker)
    samples = recording(scene, take, label, voice)
    spoken = analysed(samples, scene.info.sample_rate)
    r = model.words.responsibilities(unit, placed(model, spoken, unit))  # (T, K)
    order = model.words.mu[unit, :, 0].argsort()
    seconds = len(spoken) * spoken.frame_ms / 1000
    axis: Text = {"en": "Gaussian", "ko": "가우스"}
    title: Text = {
        "en": "Which Gaussian answers for each frame, in the order of their positions",
        "ko": "각 프레임을 맡는 가우스, 위치 순서대로",
    }
    heard = edges.level(edges.trim(samples, scene.info.sample_rate), scene.info.sample_rate)
    drawn = r[:, order].T.float().repeat_interleave(max(1, ROWS // len(order)), dim=0)
    yield [
        HeatMap(drawn, TIME, axis, title, "bottom", (0.0, seconds), (0.0, float(len(order)))),
        Audio(heard, scene.info.sample_rate, named(scene.info, label, None if take is not None else voice)),
    ]


def bic(model: GMM, scene: Scene, label: int) -> Iterator[list[Output]]:
    examples: Any = scene.examples()
    frames = [
        analysed(examples.audio(i), scene.info.sample_rate).cepstra.double() for i in takes_of(examples, label, None)
    ]
    if len(frames) < 2:
        yield [Words({"en": "Two held-out recordings are needed.", "ko": "시험용 녹음이 두 개는 있어야 합니다."})]
        return
    fitted, other = torch.cat(frames[::2]), torch.cat(frames[1::2])
    scale = fitted.std(0)
    fitted, other = fitted / scale, other / scale
    found: dict[str, dict[str, list[float]]] = {"BIC": {}, "held out": {}}
    sizes: Text = {"en": "Gaussians", "ko": "가우스 수"}
    for kind in KINDS:
        for size in SIZES:
            mixture = Mixture(1, size, CEPSTRA, kind)
            mixture.start(0, fitted, fitted, FLOOR, scene.rng)
            for _ in range(ITERATIONS):
                mixture.em_step(0, fitted, FLOOR)
            found["BIC"].setdefault(kind, []).append(mixture.bic(0, fitted) / len(fitted))
            found["held out"].setdefault(kind, []).append(-2 * float(mixture.log_prob(0, other).mean()))
        lines = {name: {k: (SIZES, y) for k, y in curves.items()} for name, curves in found.items()}
        yield [
            Curve(
                lines["BIC"],
                sizes,
                {"en": "BIC a frame", "ko": "프레임당 BIC"},
                {"en": "Schwarz's criterion: the lower, the better", "ko": "슈바르츠 기준: 낮을수록 좋음"},
            ),
            Curve(
                lines["held out"],
                sizes,
                {"en": "-2 log p a frame", "ko": "프레임당 -2 log p"},
                {"en": "Frames of other recordings", "ko": "다른 녹음의 프레임"},
            ),
        ]


def babble(model: GMM, scene: Scene, label: int, share: float, speaker: int = 0) -> Iterator[list[Output]]:
    unit, _ = model.unit(label, speaker)
    n = max(SHORTEST, round(float(model.pace[unit, 0].exp())))
    z = model.words.sample(unit, n, scene.rng) * model.word_scale
    frames = z[:, 1 : 1 + model.config.static].float()  # each drawn by itself, its place in the word forgotten
    frames[:, PITCH] += float(model.pitch[unit, 0])
    alone = Features.of(frames, model.config.sample_rate)
    said = model.speak(label, speaker, rng=scene.rng, spread=0.0, share=share)
    yield [
        titled(alone, {"en": "Frames drawn one by one", "ko": "프레임을 하나씩 뽑음"}),
        titled(said, {"en": "Regression on time", "ko": "시간에 대한 회귀"}),
        Words(
            {
                "en": "Both come from the same mixture. It knows which frames belong to the word, not in which order: "
                "without time it babbles.",
                "ko": "둘은 같은 혼합 분포에서 나왔습니다. 혼합 분포는 단어에 어떤 프레임이 있는지 알 뿐 그 순서는 모르므로, "
                "시간이 없으면 옹알이가 됩니다.",
            }
        ),
        *remark(model, scene.info, [label], speaker),
    ]


# --- Controls -------------------------------------------------------------------------------------------------


def _voice(name: str, en: str, ko: str, default: int) -> Control:
    return Control(
        name, "choice", {"en": en, "ko": ko}, default, choices=controls.speaker_names, when=controls.several_speakers
    )


WORD = Control("label", "choice", {"en": "Word", "ko": "단어"}, 7, choices=controls.class_names)
VOICE = _voice("speaker", "Voice", "목소리", 0)
TAKE = Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=LONGEST)
SHARE = Control("share", "number", {"en": "Global variance given back", "ko": "되돌릴 전역 분산"}, 1.0, 0.0, 1.0, 0.05)
SPREAD = Control(
    "spread", "number", {"en": "Variety of pace and pitch", "ko": "빠르기와 높이의 다양함"}, 0.5, 0.0, 2.0, 0.05
)
PLANE = Control(
    "plane",
    "choice",
    {"en": "Plane", "ko": "평면"},
    "time",
    choices=(
        ({"en": "position and c1", "ko": "위치와 c1"}, "time"),
        ({"en": "c1 and c2", "ko": "c1과 c2 평면"}, "sound"),
        ({"en": "position and energy", "ko": "위치와 에너지"}, "energy"),
    ),
)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Each frame is what the mixture expects at its place in the word. Take the variance away and it mumbles.",
            "ko": "각 프레임은 단어의 그 자리에서 혼합 분포가 기대하는 것입니다. 분산을 빼면 웅얼거립니다.",
        },
        (controls.label(), VOICE, SPREAD, SHARE, controls.seed()),
        generate,
    ),
    View(
        "convert",
        {"en": "Convert a voice", "ko": "목소리 바꾸기"},
        {
            "en": "A held-out recording, or your own, in another's voice: the words stay, timbre and pitch change.",
            "ko": "시험용 녹음이나 내 녹음을 다른 사람의 목소리로 바꿉니다. 말은 그대로이고 음색과 높이가 바뀝니다.",
        },
        (
            TAKE,
            _voice("source", "From", "원래 목소리", 1),
            _voice("target", "To", "목표 목소리", 0),
            WORD,
            SHARE,
            controls.seed(),
        ),
        convert,
        when=controls.several_speakers,
    ),
    View(
        "ellipses",
        {"en": "Gaussians", "ko": "가우스들"},
        {
            "en": "The Gaussians of a word among held-out frames; along time, the regression runs through them.",
            "ko": "시험용 프레임 사이에 놓인 한 단어의 가우스들입니다. 시간 축에서는 회귀 곡선이 이들을 지나갑니다.",
        },
        (WORD, VOICE, PLANE),
        ellipses,
    ),
    View(
        "responsibilities",
        {"en": "Who answers", "ko": "책임 분담"},
        {
            "en": "Which Gaussian a recording's frames belong to, over time: each sound of the word has its own.",
            "ko": "녹음의 프레임이 시간에 따라 어느 가우스에 속하는지 보여 줍니다. 단어의 소리마다 제 가우스가 있습니다.",
        },
        (TAKE, WORD, VOICE, controls.seed()),
        responsibilities,
    ),
    View(
        "bic",
        {"en": "How many", "ko": "몇 개가 좋을까"},
        {
            "en": "More Gaussians always fit better; what they cost in parameters decides, and frames not seen agree.",
            "ko": "가우스가 많을수록 늘 더 잘 맞습니다. 매개변수의 값을 치르고 나면 알맞은 수가 정해지고, 보지 못한 "
            "프레임도 그렇게 말합니다.",
        },
        (WORD, controls.seed()),
        bic,
    ),
    View(
        "babble",
        {"en": "Without time", "ko": "시간이 없으면"},
        {
            "en": "Frames drawn independently from the word's mixture are no word; the same mixture with time is.",
            "ko": "단어의 혼합 분포에서 프레임을 따로따로 뽑으면 단어가 되지 않습니다. 시간을 주면 단어가 됩니다.",
        },
        (WORD, VOICE, SHARE, controls.seed()),
        babble,
    ),
)
