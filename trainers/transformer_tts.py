"""One loss, teacher forced: every step of a recording at once. Where asked for, espeak-ng's voices are learned first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from playground.families.speech.transformer_tts import TransformerTTS
from playground.spoken_batches import Spoken
from trainers.run import Run
from trainers.warm_up import synthetic

SYNTHETIC, TRAIN = "synthetic voices", "train"


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(6000, "Steps", "스텝 수", 1, 10_000_000, phase=TRAIN)
    synthetic: float = knob(
        0.0,
        "Share of the steps that it learns from espeak-ng's voices first",
        "먼저 espeak-ng 합성 음성으로 배우는 스텝의 비율",
        0,
        0.95,
    )
    batch_size: int = knob(16, "Recordings in a batch", "배치의 녹음 수", 1, 1024)
    learning_rate: float = knob(2e-3, "Learning rate at its peak", "최고 학습률", 0, 0.1)
    warm_up: int = knob(
        1000,
        "Steps until that peak; from there it falls as their root (0: constant from the first step)",
        "학습률이 최고가 될 때까지의 스텝 수. 그 뒤에는 제곱근에 반비례해 줄어듦 (0이면 처음부터 일정)",
        0,
        1_000_000,
    )
    guide: float = knob(
        1.0,
        "What guided attention counts (0: attention is left to itself)",
        "유도 어텐션의 비중 (0이면 어텐션을 이끌지 않음)",
        0,
        100,
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: TransformerTTS, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    optimizer = run.keep("optimizer", Adam(model.parameters(), recipe.learning_rate, betas=(0.9, 0.98), eps=1e-9))
    objective = run.distribute(model)
    for phase, spoken, before, steps in stages(model, data, recipe, run):
        model.experience.meet(spoken)
        for step, batch in run.batches(spoken, phase, steps):
            optimizer.param_groups[0]["lr"] = recipe.learning_rate * pace(before + step, recipe.steps, recipe.warm_up)
            loss, terms = objective(*batch, guide=recipe.guide)
            optimizer.zero_grad()
            run.backward(loss)
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield Progress(step, {"loss": loss.item(), **terms}, phase)


def stages(model: Any, data: Data, recipe: Recipe, run: Run) -> Iterator[tuple[str, Any, int, int]]:
    """(phase, what is learned from, the steps before it, its steps): synthetic voices where they are asked for, the data."""
    alphabet, first = model.config.alphabet, round(recipe.synthetic * recipe.steps)
    if run.done.get(SYNTHETIC, 0) < first:
        yield SYNTHETIC, synthetic(alphabet, model.config.sample_rate, first=model.config.voices), 0, first
    yield TRAIN, Spoken(data.train, alphabet), first, max(1, recipe.steps - first)


def pace(step: int, total: int, warm_up: int) -> float:
    """The learning rate as a share of its peak: Vaswani et al. (2017), eq. 3, and down to zero in the last fifth."""
    if not warm_up:
        return 1.0
    warm_up = min(warm_up, total // 5 + 1)
    rising, falling = step / warm_up, (warm_up / step) ** 0.5
    return min(rising, falling) * min(1.0, 5 * (1 - (step - 1) / total))


SMALL = {"reduction": 4, "width": 96, "encoder_layers": 2, "decoder_layers": 2, "feed_forward": 256, "filters": 64}
"""A net that learns single words in minutes."""

PRESETS = (
    Preset(
        "fast",
        {
            "en": "Single digits by four synthetic voices in three minutes: attention finds its diagonal first, then the words come.",
            "ko": "합성 음성 네 가지로 말한 숫자 하나씩을 3분 동안 배웁니다. 어텐션이 먼저 대각선을 찾고, 그다음 단어가 들립니다.",
        },
        dataset="espeak_digits:16000",
        recipe={"warm_up": 200},
        config=SMALL,
        minutes=3,
    ),
    Preset(
        "good",
        {
            "en": "The same voices and words for ten minutes: clearer. Strings of digits, or sentences, take a GPU or hours: attention "
            "finds its way through them in minutes, but what it looks up is heard only much later.",
            "ko": "같은 목소리와 단어를 10분 동안 배워 더 또렷합니다. 이어 말한 숫자나 문장은 GPU나 몇 시간이 필요합니다. 어텐션은 몇 분이면 "
            "길을 찾지만, 찾아본 것이 소리로 들리기까지는 훨씬 오래 걸립니다.",
        },
        dataset="espeak_digits:16000",
        recipe={"warm_up": 300},
        config=SMALL,
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped sentences, on one GPU: first espeak-ng's voices, whose texts are without end, then an hour of "
            "one woman. The shipped digits: the same on strings of digits, without espeak-ng.",
            "ko": "제공된 문장 목소리를 만든 설정입니다(GPU 한 대). 먼저 글이 무한한 espeak-ng의 음성으로, 다음에 한 여성의 한 시간 녹음으로 "
            "배웁니다. 제공된 숫자 목소리는 espeak-ng 없이 숫자열에서 같은 방법으로 배웠습니다.",
        },
        dataset="kathleen",
        recipe={"steps": 6000, "synthetic": 0.3, "batch_size": 64},
        config={"reduction": 3},
    ),
    Preset(
        "broken",
        {
            "en": "No guided attention, and a high learning rate from the first step to the last: attention stays spread over the "
            "whole text, so no step knows which sound is due. A first syllable, then a murmur that finds no end.",
            "ko": "유도 어텐션이 없고 높은 학습률이 처음부터 끝까지 그대로입니다. 어텐션이 글 전체에 퍼져 있어 어느 스텝도 무슨 소리를 낼 "
            "차례인지 모릅니다. 첫 음절 뒤로 웅얼거림만 이어지고 끝을 찾지 못합니다.",
        },
        dataset="digit_strings",
        recipe={"guide": 0.0, "warm_up": 0, "learning_rate": 1e-2},
        config=SMALL,
        minutes=2,
    ),
)
