"""Expectation-maximisation from a flat start; phones are split by context half way, and once more near the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from playground.contract import BadSetting, Data, Preset, Progress, knob
from playground.families.speech.hmm import HMM, Script, Takes
from playground.signal import edges, world
from playground.signal.checks import BadSound
from playground.text import of
from trainers.run import Run

TOLD_EVERY = 100
"""Recordings analysed between two reports."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A training recording: its place in the data set, its script, and what the model sees of it, (T, 3 D) float32."""

    place: int
    script: Script
    o: np.ndarray


@dataclass(frozen=True)
class Recipe:
    iterations: int = knob(12, "EM iterations", "EM 반복 수", 1, 10_000, phase="em")
    recordings: int = knob(1500, "Recordings to learn from, at most", "학습에 쓸 최대 녹음 수", 1, 100_000)
    floor: float = knob(
        0.01,
        "Least variance of a state, as a share of that of all frames",
        "상태 분산의 하한 (전체 분산 대비 비율)",
        1e-6,
        1,
    )


def train(model: HMM, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    if run.done.get("em", 0) < recipe.iterations:
        heard = yield from analysed(model, data, recipe.recordings)
        yield from fit(model, together(heard), recipe, run)


def fit(model: HMM, takes: list[Takes], recipe: Recipe, run: Run) -> Iterator[Progress]:
    for step in run.steps("em", recipe.iterations):
        if step == 1:
            model.flat_start(takes, recipe.floor)
        likelihood = model.em_step(takes, recipe.floor, split=step in split_at(recipe.iterations))
        run.examples += sum(len(t.ends) for t in takes)
        contexts = {} if model.config.words else {"contexts": float(model.spectrum.leaves_of_roots().sum())}
        yield Progress(step, {"log-likelihood (nats a frame)": likelihood, **contexts}, phase="em")


def split_at(iterations: int) -> tuple[int, int]:
    """When phones are split by context: half way, and once more by what has been learnt since."""
    return (iterations + 1) // 2, (5 * iterations + 5) // 6


def analysed(model: HMM, data: Data, most: int) -> Generator[Progress, None, list[Heard]]:
    """At most so many of the training recordings, evenly chosen. What is silent, or too short for its text, is left out.

    Reports are of no whole step: nothing is saved meanwhile, and a resumed run analyses anew.
    """
    train: Any = data.train
    chosen = torch.linspace(0, len(train) - 1, min(len(train), most)).round().long().tolist()
    heard = []
    for k, i in enumerate(chosen):
        if k and k % TOLD_EVERY == 0:
            yield Progress(k // TOLD_EVERY, {"recordings analysed": float(k)}, phase="analysis", whole=False)
        speaker = 0 if train.speakers is None else int(train.speakers[i])
        if model.config.words:
            said = model.word(int(train.labels[i]), speaker)
        else:
            said = model.sentence(of(model.config.symbols).read(train.texts[i]).symbols, speaker)
        try:
            features = world.analyse(edges.trim(train.audio(i), train.rate), train.rate)
        except BadSound:
            continue
        if len(features) >= model.shortest(said) > 0:
            heard.append(Heard(i, said, model.observed(features).numpy()))
    if not heard:
        raise BadSetting(
            "no recording is long enough for what is said in it; choose fewer states",
            "말한 내용에 비해 모든 녹음이 너무 짧습니다. 상태 수를 줄이세요",
        )
    return heard


def together(heard: Sequence[Heard]) -> list[Takes]:
    """The recordings of each word of each speaker in a row; every sentence by itself."""
    groups: dict[Any, list[Heard]] = {}
    for take in heard:
        groups.setdefault(int(take.script.units[0]) if len(take.script) == 1 else (take.place,), []).append(take)
    return [
        Takes(g[0].script, np.concatenate([take.o for take in g]), np.cumsum([len(take.o) for take in g]))
        for g in groups.values()
    ]


PRESETS = (
    Preset(
        "fast",
        {
            "en": "Ten digits in four synthetic voices, in a few seconds.",
            "ko": "합성 음성 네 가지로 말한 숫자 열 개를 몇 초 만에 배웁니다.",
        },
        dataset="espeak_digits",
        config={"phone_states": 3, "splits": 500},
        recipe={"iterations": 8},
    ),
    Preset(
        "good",
        {
            "en": "Phones instead of words: reads any English text in four synthetic voices, after a few minutes.",
            "ko": "단어 대신 음소를 배웁니다. 몇 분이면 합성 음성 네 가지로 어떤 영어 글이든 읽습니다.",
        },
        dataset="espeak",
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped digits: six people, half a minute. The sentences are the same recipe on recordings "
            "with texts.",
            "ko": "제공된 숫자 체크포인트를 만든 설정입니다. 여섯 사람의 녹음으로 30초쯤 걸립니다. 문장은 글이 딸린 녹음에 같은 "
            "방법을 쓴 것입니다.",
        },
        dataset="spoken_digits",
    ),
    Preset(
        "broken",
        {
            "en": "One state a word: nothing is hidden, and nothing can come after anything else. Each word is the average of "
            "all its sounds, a hum held for as long as the word lasts.",
            "ko": "단어마다 상태가 하나뿐이라 숨은 것도 순서도 없습니다. 단어의 모든 소리를 평균한 웅웅거림이 단어의 길이만큼 "
            "이어집니다.",
        },
        dataset="espeak_digits",
        config={"word_states": 1, "phone_states": 1},
        recipe={"iterations": 8},
    ),
)
