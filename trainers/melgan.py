"""A warm-up on spectra, then the adversarial game: the discriminators' turn, the generator's, two optimisers in sight."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from playground.contract import Data, Examples, Preset, Progress, knob
from playground.families.speech.melgan import QUIET, DiscriminatorTurn, GeneratorTurn, Vocoder, WarmUp
from playground.signal.mel import Front, log_mel
from trainers.run import Run

ROUNDING = 2e-5
"""Adam's eps: see that of `trainers.gan`."""


@dataclass(frozen=True)
class Recipe:
    warm_up: int = knob(
        2000,
        "Steps of the warm-up, on spectra and mels alone",
        "스펙트럼과 멜만 비교하는 준비 스텝 수",
        0,
        10_000_000,
        phase="warm-up",
    )
    steps: int = knob(
        2000, "Steps of the game, each a turn of both players", "게임 스텝 수 (두 선수가 한 번씩)", 1, 10_000_000, phase="train"
    )  # fmt: skip
    batch_size: int = knob(8, "Pieces of recordings in a batch", "배치의 녹음 조각 수", 2, 1024)
    frames: int = knob(32, "Frames in a piece (16 ms each)", "조각 하나의 프레임 수 (16ms씩)", 16, 1024)
    generator_rate: float = knob(1e-3, "Generator's learning rate", "생성자의 학습률", 0, 0.1)
    discriminator_rate: float = knob(5e-4, "Discriminators' learning rate", "판별자의 학습률", 0, 0.1)
    matching: float = knob(10.0, "Weight of feature matching (lambda)", "특징 맞추기의 가중치 (람다)", 0, 1000)
    spectral: float = knob(
        20.0, "Weight of the spectra during the game; 0 in the paper", "게임 중 스펙트럼 비교의 가중치 (논문에서는 0)", 0, 1000
    )  # fmt: skip
    average: float = knob(
        0.999, "Decay of the averaged generator, at its slowest", "평균 생성자의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: Vocoder, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    front = model.config.front
    heard: Any = Heard(data.train, front, recipe.frames, run.device)
    fast = run.keep("fast", deepcopy(model.generator))  # the weights being trained; the model's own are their average
    betas = (0.5, 0.9)  # as published
    g_optimizer = run.keep("g_optimizer", Adam(fast.parameters(), recipe.generator_rate, betas, eps=ROUNDING))
    d_optimizer = run.keep(
        "d_optimizer", Adam(model.critics.parameters(), recipe.discriminator_rate, betas, eps=ROUNDING)
    )
    warm_up = run.distribute(WarmUp(fast, front))
    d_turn = run.distribute(DiscriminatorTurn(model.critics))
    g_turn = run.distribute(GeneratorTurn(fast, model.critics, front, recipe.matching, recipe.spectral))

    for step, (mel, x) in run.batches(heard, phase="warm-up", steps=recipe.warm_up):
        loss = warm_up(mel, x)
        g_optimizer.zero_grad()
        run.backward(loss)
        g_optimizer.step()
        follow(model.generator, fast, min(recipe.average, step / (step + 10)))
        yield Progress(step, {"spectral distance": loss.item()}, phase="warm-up")

    for step, (mel, x) in run.batches(heard, phase="train", steps=recipe.steps):
        slowed = 1 - (step - 1) / recipe.steps
        for optimizer, rate in ((d_optimizer, recipe.discriminator_rate), (g_optimizer, recipe.generator_rate)):
            optimizer.param_groups[0]["lr"] = rate * slowed

        model.critics.requires_grad_(True)
        with torch.no_grad():
            made = fast(mel)
        loss, scores = d_turn(x, made)
        d_optimizer.zero_grad()
        run.backward(loss)
        d_optimizer.step()
        yield Progress(step, {"D loss": loss.item(), **scores}, phase="discriminator", whole=False)

        model.critics.requires_grad_(False)
        loss, terms = g_turn(mel, x)
        g_optimizer.zero_grad()
        run.backward(loss)
        g_optimizer.step()
        done = recipe.warm_up + step
        follow(model.generator, fast, min(recipe.average, done / (done + 10)))
        yield Progress(step, {"G loss": loss.item(), **terms}, phase="generator")


@torch.no_grad()
def follow(slow: torch.nn.Module, fast: torch.nn.Module, decay: float) -> None:
    """slow <- decay slow + (1 - decay) fast, for every weight."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - decay)


class Heard:
    """Pieces of recordings with their mels. Every frame that a piece can begin at is an example of its own.

    The mels are those of whole recordings, made once. A little silence follows each recording, so that the generator
    learns to end.
    """

    def __init__(self, examples: Examples, front: Front, frames: int, device: torch.device):
        self.frames, self.hop = frames, front.hop
        samples, mels, firsts, at = [], [], [], 0
        for i in range(len(examples)):
            own: Any = examples.x[i].to(device)
            n = max(frames, len(own) // front.hop + SILENCE)
            own = F.pad(own[: n * front.hop], (0, max(0, n * front.hop - len(own))))
            samples.append(own)
            mels.append(log_mel(own.float() / 32768, front)[:n].clamp_min(QUIET).half())
            firsts.append(torch.arange(at, at + n - frames + 1, device=device))
            at += n
        self.samples, self.mels, self.firsts = torch.cat(samples), torch.cat(mels), torch.cat(firsts)

    @property
    def train(self) -> Heard:
        return self

    def __len__(self) -> int:
        return len(self.firsts)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(mels (B, frames, mels), samples (B, frames * hop) in [-1, 1])."""
        firsts = self.firsts[indices.to(self.firsts.device)]
        places = firsts[:, None] + torch.arange(self.frames, device=firsts.device)  # (B, frames)
        x = self.samples.view(-1, self.hop)[places].flatten(1)
        return self.mels[places].float(), x.float() / 32768


SILENCE = 4
"""Frames of it after each recording."""

SMALL = {"channels": 8, "critic_channels": 8, "critic_limit": 64}
"""Nets for a processor."""
QUICK = {"generator_rate": 2e-3, "discriminator_rate": 1e-3, "frames": 16}
"""Short pieces and long steps for them."""

PRESETS = (
    Preset(
        "fast",
        {
            "en": "Synthetic digits in three minutes: a buzz with the right vowels, on its way to a voice.",
            "ko": "합성 음성의 숫자를 3분 동안 배웁니다. 모음은 맞지만 아직 윙윙거리는, 목소리가 되어 가는 소리입니다.",
        },
        dataset="espeak_digits",
        config=SMALL,
        recipe=QUICK,
        minutes=3,
    ),
    Preset(
        "good",
        {
            "en": "Digits by six people in ten minutes of two processor cores.",
            "ko": "코어 두 개로 10분 동안 여섯 사람이 말한 숫자를 배웁니다.",
        },
        dataset="spoken_digits",
        config=SMALL,
        recipe=QUICK,
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: sentences by one reader and digits by six, for whatever is to be said.",
            "ko": "제공된 체크포인트를 만든 설정: 한 사람이 읽은 문장과 여섯 사람의 숫자를 함께 배워 어떤 말이든 소리로 바꿉니다.",
        },
        dataset="kathleen+spoken_digits:16000",
        recipe={"batch_size": 64, "warm_up": 5000, "steps": 7000},
    ),
    Preset(
        "broken",
        {
            "en": "The discriminators alone: no warm-up, no feature matching, no spectra. Nobody compares the sound with what the "
            "mel asks for, and the game is too young to care: a chord of fixed tones, the beat of the net's own upsampling, "
            "whatever was said.",
            "ko": "판별자만으로 배웁니다. 준비 단계도, 특징 맞추기도, 스펙트럼 비교도 없습니다. 멜이 요구하는 소리와 견주는 것이 없고 "
            "판별자도 아직 서툽니다. 무엇을 말했든 신경망의 업샘플링 간격에서 생기는 일정한 음들만 울립니다.",
        },
        dataset="espeak_digits",
        config=SMALL,
        recipe={**QUICK, "warm_up": 0, "matching": 0.0, "spectral": 0.0},
        minutes=1,
    ),
)
