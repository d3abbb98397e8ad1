"""One loss: bits a sample. Every recording is its own sequence; long ones are heard in parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from playground.families.speech.wavenet import WaveNet, alphabet
from playground.families.speech.wavenet.config import STEP
from playground.signal import edges
from playground.signal.mel import Front, log_mel
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(6000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(2, "Recordings in a batch", "배치의 녹음 수", 1, 1024)
    crop: int = knob(
        2048, "Samples of a recording heard at once, at most", "한 번에 듣는 표본 수 (최대)", 64, 1_000_000
    )
    learning_rate: float = knob(4e-3, "Learning rate", "학습률", 0, 0.1)
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("bf16", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: WaveNet, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    config = model.config
    heard: Any = Heard(data.train, config.sample_rate, config.emphasis, config.front if config.vocoder else None)
    if model.durations is not None:
        model.durations.learn(*heard.durations())
    fast = run.keep("fast", deepcopy(model))  # the weights being trained; the model itself is their slow average
    optimizer = run.keep("optimizer", Adam(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(fast)
    warm_up = min(100, recipe.steps // 10 + 1)

    for step, (symbols, *told) in run.batches(heard, phase="train", steps=recipe.steps):
        rising, falling = step / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(rising, 1.0) * max(falling, 1e-3)

        totals = torch.tensor([len(s) for s in symbols], device=run.device)
        begins = (run.rand(len(totals)) * ((totals - recipe.crop).clamp(min=0) // STEP + 1)).long() * STEP
        parts = [s[begin : begin + recipe.crop] for s, begin in zip(symbols, begins.tolist(), strict=True)]
        loss = objective(parts, begins, totals, *told)
        optimizer.zero_grad()
        run.backward(loss)
        clip_grad_norm_(fast.parameters(), 1.0)
        optimizer.step()
        follow(model, fast, min(recipe.average, step / (step + 10)))
        yield Progress(step, {"loss": loss.item()})


@torch.no_grad()
def follow(slow: torch.nn.Module, fast: torch.nn.Module, decay: float) -> None:
    """slow <- decay slow + (1 - decay) fast, for every weight."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - decay)


class Heard:
    """Recordings as the net takes them: (symbols, what its guide is told beside the place), each a list.

    Told labels and speakers, it hears words, trimmed and made equally loud. Told mels of a front end, a vocoder's, it
    hears recordings as loud as they are, silence and all.
    """

    def __init__(self, examples: Any, rate: int, emphasis: float, front: Front | None = None):
        self.examples, self.rate, self.emphasis, self.front = examples, rate, emphasis, front
        self.labels, self.speakers = (
            torch.zeros(len(examples), dtype=torch.int64) if known is None else known
            for known in (examples.labels, examples.speakers)
        )

    @property
    def train(self) -> Heard:
        return self

    def __len__(self) -> int:
        return len(self.labels)

    def samples(self, i: int) -> Tensor:
        return self.examples.audio(i) if self.front else prepared(self.examples.audio(i), self.rate)

    def durations(self) -> tuple[Tensor, Tensor, Tensor]:
        """(seconds, labels, speakers) of all recordings, (N,) each."""
        seconds = [len(self.samples(i)) / self.rate for i in range(len(self))]
        return torch.tensor(seconds), self.labels, self.speakers

    def batch(self, indices: Tensor) -> tuple[Any, ...]:
        recordings = [self.samples(int(i)) for i in indices]
        symbols = [alphabet.encode(x, self.emphasis) for x in recordings]
        if self.front is None:
            return symbols, self.labels[indices], self.speakers[indices]
        return symbols, [log_mel(lengthened(x, self.front.least), self.front) for x in recordings]


def prepared(samples: Tensor, rate: int) -> Tensor:
    """A word as it is learnt and judged: without the silence around it, as loud as all others."""
    return edges.level(edges.trim(samples, rate), rate)


def lengthened(samples: Tensor, least: int) -> Tensor:
    """Recordings (T,) with silence after their end where they have fewer than `least` samples."""
    return torch.nn.functional.pad(samples, (0, max(0, least - len(samples))))


PRESETS = (
    Preset(
        "fast",
        {
            "en": "Synthetic digits in three minutes, by a net of half the width: hoarse, but you hear which digit it is.",
            "ko": "합성 음성의 숫자를 3분 만에, 너비가 절반인 신경망으로 배웁니다. 목쉰 소리지만 어떤 숫자인지 들립니다.",
        },
        dataset="espeak_digits",
        config={"channels": 32, "skip": 32, "features": 32},
        minutes=3,
    ),
    Preset(
        "good",
        {
            "en": "Real digits by six people in ten minutes.",
            "ko": "여섯 사람이 말한 실제 숫자를 10분 동안 배웁니다.",
        },
        dataset="spoken_digits",
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: the same recipe for longer.",
            "ko": "제공된 체크포인트를 만든 설정: 같은 방법으로 더 오래 학습합니다.",
        },
        dataset="spoken_digits",
        minutes=90,
    ),
    Preset(
        "broken",
        {
            "en": "A receptive field of two milliseconds: one stack of four layers hears 16 samples, less than a period of any "
            "voice. It is told the colour of each vowel, but cannot know when the last pulse was: there is no pitch, and the "
            "word is whispered over a rumble.",
            "ko": "수용 영역이 2밀리초입니다. 네 층짜리 묶음 하나는 표본 16개만 들으며, 이는 어떤 목소리의 한 주기보다도 짧습니다. "
            "모음의 음색은 조건으로 받지만 앞의 진동이 언제였는지 알 수 없습니다. 음높이가 사라지고 웅웅거리는 잡음 위의 속삭임이 됩니다.",
        },
        dataset="espeak_digits",
        config={"stacks": 1, "layers": 4, "channels": 32, "skip": 32, "features": 32},
        minutes=1,
    ),
)
