"""What the page shows of a Transformer TTS: speech, every head of attention, positions, the end, the postnet, the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from playground import alignment, controls
from playground.alignment import SYMBOL, TIME, diagonality, focus
from playground.contract import (
    Audio,
    Control,
    Curve,
    HeatMap,
    Mel,
    Output,
    Scene,
    Sheet,
    Table,
    Text,
    View,
)
from playground.families.speech.transformer_tts.model import Speech, TransformerTTS
from playground.families.speech.transformer_tts.samplers import SAMPLERS
from playground.speaking import CONTROLS, Utterance, aloud, first, seconds_of
from playground.spoken_batches import level_mel, restored
from playground.text import Reading

TEXT_DECODER, DECODER, ENCODER = "text", "decoder", "encoder"
TALL, WIDE = 96, 144
"""Pixels of a head's picture."""
LINGER = 1.0
"""Seconds for which the voice is made to go on after its end."""
STEP: Text = {"en": "step", "ko": "스텝"}
PROBABILITY: Text = {"en": "probability, share", "ko": "확률, 비율"}


def generate(
    model: TransformerTTS, scene: Scene, speaker: int | None = None, **texts: str | None
) -> Iterator[list[Output]]:
    yield from aloud(model, scene, speaker, texts, saying(model, scene, speaker or 0))


def saying(model: TransformerTTS, scene: Scene, speaker: int) -> Callable[[Reading], Utterance]:
    """Says a sentence; the same one again, because attention went astray, with a steady one. (A counterpart draws anew.)"""
    last: list[Reading] = []

    def say(reading: Reading) -> Utterance:
        again = last[-1:] == [reading]
        last.append(reading)
        if again and isinstance(model, TransformerTTS):
            return model.speak(reading.ids, speaker, rng=scene.rng, steady=True).utterance
        return model.say(reading, speaker, scene.rng)

    return say


# --- Looking inside -------------------------------------------------------------------------------------------


def heads(
    model: TransformerTTS,
    scene: Scene,
    which: str,
    speaker: int | None = None,
    **texts: str | None,
) -> Iterator[list[Output]]:
    reading = first(model, texts)
    said = model.speak(reading.ids, speaker or 0, rng=scene.rng)
    layers = weights_of(model, reading, said, speaker, which)  # (layers, H, T or N, T or N)
    captions = []
    for i, layer in enumerate(layers):
        for j, head in enumerate(layer):
            mark = "*" if which == TEXT_DECODER and j < said.guided else ""
            captions.append(f"{i + 1}.{j + 1}{mark}  {focus(head):.2f} / {diagonality(head):.2f}")
    pictures = layers.flatten(0, 1).transpose(1, 2).flip(1)  # time to the right, what is attended to upwards
    pictures = (pictures / pictures.amax((1, 2), keepdim=True)).sqrt()[:, None]
    name: Text = {
        "en": "layer.head, sure of one place / near the diagonal; * guided. To the right: what looks; upwards: what is looked at",
        "ko": "층.헤드, 한 곳에 집중한 정도 / 대각선에 가까운 정도. *는 유도된 헤드. 가로: 보는 쪽, 세로: 보이는 쪽",
    }
    yield [
        Sheet(F.interpolate(pictures, size=(TALL, WIDE)), captions, model.config.heads, name),
        Mel(said.mel, model.config.sample_rate, {"en": f"“{reading.words}”", "ko": f"“{reading.words}” 문장"}),
    ]


def weights_of(model: TransformerTTS, reading: Reading, said: Speech, speaker: int | None, which: str) -> Tensor:
    """(layers, H, from, to) of one of the three attentions, over the sentence as it was spoken."""
    if which == TEXT_DECODER:
        return said.attention
    if which == ENCODER:
        return torch.cat(model.text_of(reading.ids, speaker or 0).among).cpu()
    return torch.cat(model.drawn_along(reading.ids, said.before, speaker or 0).among).cpu()


def positions(
    model: TransformerTTS,
    scene: Scene,
    text_scale: float,
    frame_scale: float,
    speaker: int | None = None,
    **texts: str | None,
) -> Iterator[list[Output]]:
    reading = first(model, texts)
    other = deepcopy(model)
    rows = []
    for name, side, factor in (
        ("text / 글", other.text_place, text_scale),
        ("time / 시간", other.frame_place, frame_scale),
    ):
        learned = float(side.alpha)
        side.alpha.data.mul_(factor)
        rows.append([name, f"{learned:.3f}", f"{float(side.alpha):.3f}"])
    said = other.speak(reading.ids, speaker or 0, rng=scene.rng)
    columns: list[Text] = [
        {"en": "positions of", "ko": "위치의 대상"},
        {"en": "alpha, as learned", "ko": "배운 alpha"},
        {"en": "alpha, as used here", "ko": "여기서 쓴 alpha"},
    ]
    symbols, _, _ = other.asked(reading.ids, speaker or 0)
    read = F.normalize(other.placed(symbols, torch.ones_like(symbols, dtype=torch.bool))[0].cpu())
    yield [
        Mel(said.mel, model.config.sample_rate),
        alignment.picture(said.alignment, seconds_of(model, len(said.mel))),
        Table(columns, rows),
        HeatMap(
            read @ read.T,
            SYMBOL,
            SYMBOL,
            {
                "en": "How alike two symbols are to the encoder: by where they stand, or by what they are",
                "ko": "인코더에게 두 기호가 닮은 정도: 놓인 자리 때문이거나 같은 소리라서",
            },
        ),
    ]


def ending(
    model: TransformerTTS,
    scene: Scene,
    threshold: float,
    speaker: int | None = None,
    **texts: str | None,
) -> Iterator[list[Output]]:
    reading = first(model, texts)
    said = model.speak(reading.ids, speaker or 0, rng=scene.rng, threshold=threshold, linger=LINGER)
    step = seconds_of(model, model.config.reduction)
    times = [step * (k + 1) for k in range(len(said.stop))]
    where = said.alignment.argmax(1) / max(1, len(reading.ids) - 1)
    over = (said.stop > threshold).nonzero().flatten().tolist()
    at = times[over[0]] if over else times[-1]
    series: dict[str, tuple[Any, Any]] = {
        "P(end)": (times, said.stop.tolist()),
        "n / N": (times, where.tolist()),
        "threshold": ([times[0], times[-1]], [threshold, threshold]),
    }
    if over:
        series["end"] = ([at, at], [0.0, 1.0])
    name: Text = {
        "en": "How probable the end is, and the share of the text that attention has passed",
        "ko": "끝일 확률과, 어텐션이 지나온 글의 비율",
    }
    yield [
        Curve(series, TIME, PROBABILITY, name),
        Mel(
            said.mel,
            model.config.sample_rate,
            {"en": f"Made to go on after its end at {at:.2f} s", "ko": f"{at:.2f}초에 끝났지만 더 말하게 한 소리"},
        ),
    ]


def postnet(
    model: TransformerTTS, scene: Scene, speaker: int | None = None, **texts: str | None
) -> Iterator[list[Output]]:
    said = model.speak(first(model, texts).ids, speaker or 0, rng=scene.rng)
    rate, length = model.config.sample_rate, seconds_of(model, len(said.mel))
    yield [
        Mel(said.before, rate, {"en": "Before the postnet", "ko": "포스트넷 전"}),
        Mel(said.mel, rate, {"en": "After it", "ko": "포스트넷 후"}),
        HeatMap(
            (said.mel - said.before).T,
            TIME,
            {"en": "mel band", "ko": "멜 대역"},
            {"en": "What it adds (log10 of magnitude)", "ko": "더한 값 (크기의 log10)"},
            "bottom",
            (0.0, length),
        ),
    ]


def recited(model: TransformerTTS, scene: Scene) -> Iterator[list[Output]]:
    """A held-out recording: read along with it, then its text spoken freely."""
    examples: Any = scene.examples()
    i = int(torch.randint(len(examples), (), generator=scene.rng))
    reading = model.config.alphabet.read(examples.texts[i])
    voice = 0 if examples.speakers is None or model.config.voices == 1 else int(examples.speakers[i])
    mel = restored(level_mel(examples.audio(i), model.config.front).float())
    along = model.read_along(reading.ids, mel, voice)
    free = model.speak(reading.ids, voice, rng=scene.rng)
    rate = model.config.sample_rate
    error = float((along.mel[: len(mel)] - mel).abs().mean())
    yield [
        Audio(
            examples.audio(i), rate, {"en": f"The recording: “{reading.words}”", "ko": f"원래 녹음: “{reading.words}”"}
        ),
        Mel(mel, rate, {"en": "Its mel, by the vocoder", "ko": "그 멜을 보코더로"}),
        Mel(
            along.mel,
            rate,
            {
                "en": f"Each step after the recording's own frames (off by {20 * error:.1f} dB)",
                "ko": f"녹음의 프레임을 들으며 그린 것 (차이 {20 * error:.1f} dB)",
            },
        ),
        alignment.picture(along.alignment, seconds_of(model, len(along.mel))),
        Mel(free.mel, rate, {"en": "Each step after its own", "ko": "자기 프레임만 들으며 그린 것"}),
        alignment.picture(free.alignment, seconds_of(model, len(free.mel))),
    ]


def cache(
    model: TransformerTTS, scene: Scene, speaker: int | None = None, **texts: str | None
) -> Iterator[list[Output]]:
    reading = first(model, texts)
    said = model.speak(reading.ids, speaker or 0, rng=scene.rng)
    steps, length = len(said.stop), seconds_of(model, len(said.mel))
    names: dict[str, Text] = {
        "cached": {"en": "keys and values kept", "ko": "키와 값을 기억"},
        "full": {"en": "all computed again", "ko": "모두 다시 계산"},
    }
    series: dict[str, tuple[Any, Any]] = {}
    rows: list[list[Any]] = []
    for sampler, draws in SAMPLERS.items():
        began, ends = time.perf_counter(), []
        for _ in islice(draws(model, model.text_of(reading.ids, speaker or 0), scene.rng), steps):
            ends.append(1000 * (time.perf_counter() - began))
        series[sampler] = (list(range(1, steps + 1)), ends)
        rows.append([" / ".join(names[sampler].values()), f"{ends[-1] / 1000:.2f}", f"{ends[-1] / 1000 / length:.3f}"])
    columns: list[Text] = [
        {"en": "sampler", "ko": "표집 방법"},
        {"en": "seconds", "ko": "걸린 시간(초)"},
        {"en": "seconds for one of speech", "ko": "소리 1초당 시간(초)"},
    ]
    yield [
        Curve(series, STEP, {"en": "milliseconds so far", "ko": "지금까지 걸린 시간(밀리초)"}),
        Table(columns, rows),
        Mel(said.mel, model.config.sample_rate),
    ]


# --- Controls -------------------------------------------------------------------------------------------------

WHICH = Control(
    "which",
    "choice",
    {"en": "Attention", "ko": "어텐션"},
    default=TEXT_DECODER,
    choices=(
        ({"en": "of the speech to the text", "ko": "소리에서 글로"}, TEXT_DECODER),
        ({"en": "of the speech to itself", "ko": "소리에서 소리로"}, DECODER),
        ({"en": "of the text to itself", "ko": "글에서 글로"}, ENCODER),
    ),
)


def scale(name: str, en: str, ko: str) -> Control:
    return Control(name, "number", {"en": en, "ko": ko}, default=1.0, low=0, high=2, step=0.1)


THRESHOLD = Control(
    "threshold",
    "number",
    {"en": "Taken for the end above", "ko": "끝으로 볼 확률"},
    default=0.5,
    low=0.01,
    high=0.99,
    step=0.01,
)

VIEWS = (
    View(
        "generate",
        {"en": "Speak", "ko": "말하기"},
        {
            "en": "Type a text and hear it; below, the place in the text that each moment of speech attends to.",
            "ko": "글을 쓰면 소리 내어 읽습니다. 아래는 소리의 순간마다 글의 어느 자리를 보는지 나타냅니다.",
        },
        CONTROLS,
        generate,
    ),
    View(
        "heads",
        {"en": "Every head", "ko": "모든 헤드"},
        {
            "en": "The attention of every head of every layer: the guided ones read along, the others look for what they like.",
            "ko": "모든 층, 모든 헤드의 어텐션입니다. 유도된 헤드는 글을 따라 읽고, 나머지는 저마다 다른 곳을 봅니다.",
        },
        (WHICH, *CONTROLS),
        heads,
    ),
    View(
        "positions",
        {"en": "Positions", "ko": "위치"},
        {
            "en": "Without positions attention knows no order: turn their learned loudness down, or up, and watch it lose its way.",
            "ko": "위치를 모르면 어텐션은 순서를 모릅니다. 배운 크기를 줄이거나 키우면 길을 잃습니다.",
        },
        (
            scale("text_scale", "Positions in the text, times", "글의 위치 크기 배율"),
            scale("frame_scale", "Positions in time, times", "시간의 위치 크기 배율"),
            *CONTROLS,
        ),
        positions,
    ),
    View(
        "ending",
        {"en": "The end", "ko": "끝"},
        {
            "en": "When the voice thinks that it is over, and what it says when it is made to go on.",
            "ko": "목소리가 언제 끝났다고 생각하는지, 더 말하게 하면 무엇을 말하는지 봅니다.",
        },
        (THRESHOLD, *CONTROLS),
        ending,
    ),
    View(
        "postnet",
        {"en": "Postnet", "ko": "포스트넷"},
        {
            "en": "Frames drawn one after another are blurred; convolutions over all of them sharpen the picture.",
            "ko": "차례로 그린 프레임은 흐릿합니다. 전체를 훑는 합성곱이 그림을 또렷하게 만듭니다.",
        },
        CONTROLS,
        postnet,
    ),
    View(
        "recited",
        {"en": "Beside a recording", "ko": "녹음과 비교"},
        {
            "en": "A held-out recording, its mel by the chosen vocoder, the voice reading along as in training, the voice on its own.",
            "ko": "학습에 쓰지 않은 녹음, 그 멜을 고른 보코더로 들은 소리, 학습할 때처럼 녹음을 들으며 읽은 소리, 혼자 읽은 소리입니다.",
        },
        (controls.seed(),),
        recited,
    ),
    View(
        "cache",
        {"en": "Cache", "ko": "캐시"},
        {
            "en": "The time so far at every step, with the keys and values of all steps before kept, and without.",
            "ko": "앞선 스텝의 키와 값을 기억할 때와 그러지 않을 때, 스텝마다 지금까지 걸린 시간입니다.",
        },
        CONTROLS,
        cache,
    ),
)
