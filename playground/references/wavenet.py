"""transformers' `GPT2LMHeadModel` over mu-law bytes: samples as words, the same likelihood in bits a sample.

A window of samples follows four words that say what WaveNet is told too: the speaker, the class, and the places in the
recording at which the window begins and ends. A word is spoken window by window, half of each carried on to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from transformers import GPT2Config, GPT2LMHeadModel

from playground import controls
from playground.contract import Audio, BadSetting, Control, Data, Output, Progress, Scene, View, fact, knob
from playground.families.speech.wavenet import alphabet
from playground.families.speech.wavenet.guides import Durations
from playground.families.speech.wavenet.views import PACE, someone, speaker, temperature, word
from playground.signal import mulaw
from trainers.run import Run
from trainers.wavenet import Heard, follow

__all__ = ["IN_CONFIG", "VIEW", "Config", "Model", "Recipe", "load", "save", "train"]

IN_CONFIG = ("durations.log_mean", "durations.log_deviation")
"""The settings keep them."""

PLACES = 64
"""Words for places in a recording, the last for its end."""
TOLD = 4
"""Words before the samples of a window."""


@dataclass(frozen=True)
class Config:
    classes: int = fact(0, 1000)
    speakers: tuple = fact(())
    sample_rate: int = fact(8_000, 48_000)
    emphasis: float = knob(
        0.85, "Pre-emphasis before mu-law, as ours", "mu-law 앞의 프리엠퍼시스 (우리 구현과 같음)", 0, 0.97
    )
    context: int = knob(512, "Samples in a window", "한 창의 표본 수", 16, 4096)
    width: int = knob(96, "Numbers in a word's vector", "낱말 벡터의 크기", 16, 1024)
    layers: int = knob(4, "Layers", "층 수", 1, 24)
    heads: int = knob(4, "Heads of attention", "어텐션 헤드 수", 1, 16)

    vocoder: ClassVar[bool] = False
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise BadSetting(
                f"width = {self.width}: must be a multiple of the {self.heads} heads",
                f"width = {self.width}: 헤드 수 {self.heads}의 배수여야 합니다",
            )

    @property
    def told(self) -> tuple[int, int, int]:
        """How many words there are for speakers, classes and places."""
        return max(1, len(self.speakers)), max(1, self.classes), PLACES


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(6000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(8, "Recordings in a batch, a window of each", "배치의 녹음 수 (하나에 창 하나)", 1, 1024)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("bf16", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


class Model(nn.Module):
    """forward(windows (B, TOLD + n)) is the training objective, in bits a sample."""

    def __init__(self, config: Config, net: GPT2LMHeadModel | None = None):
        super().__init__()
        self.config = config
        speakers, classes, _ = config.told
        self.durations = Durations(classes, speakers) if config.classes else None
        self.net = net or GPT2LMHeadModel(
            GPT2Config(
                vocab_size=mulaw.LEVELS + sum(config.told),
                n_positions=TOLD + config.context,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=None,
                eos_token_id=None,
            )
        )
        self.net.set_attn_implementation("eager")  # on a processor a third faster to train than the fused one

    def told(self, begin: int, end: int, total: int, label: int, speaker: int) -> Tensor:
        """The words (TOLD,) before the samples begin ... end of a recording of `total`."""
        speakers, classes, places = self.config.told
        first = mulaw.LEVELS + speakers + classes
        place = lambda t: first + round(t / total * (places - 1))
        return torch.tensor([mulaw.LEVELS + speaker, mulaw.LEVELS + speakers + label, place(begin), place(end)])

    def windows(self, total: int) -> Iterator[tuple[int, int, int]]:
        """(begin, first new sample, end) of windows that reach through `total` samples, half of each new but the first."""
        done, context = 0, self.config.context
        while done < total:
            begin = max(0, min(done - context // 2, total - context))
            yield begin, done, min(begin + context, total)
            done = min(begin + context, total)

    def nats(self, words: Tensor) -> Tensor:
        """-ln p (B, n) of the samples in windows (B, TOLD + n)."""
        logits = self.net(words[:, :-1], use_cache=False).logits[:, TOLD - 1 :, : mulaw.LEVELS].float()
        return F.cross_entropy(logits.transpose(1, 2), words[:, TOLD:], reduction="none")

    def forward(self, windows: Sequence[Tensor]) -> Tensor:
        """-log2 p(x) a sample, averaged over each of the windows (TOLD + n_i,) and then over them."""
        equal = {len(w) for w in windows}
        parts = [torch.stack([w for w in windows if len(w) == n]) for n in sorted(equal)]
        return torch.cat([self.nats(part).mean(1) for part in parts]).mean() / math.log(2)

    def bits_of(self, symbols: Tensor, label: int, speaker: int) -> Tensor:
        """-log2 p of each sample of a whole recording (T,), in bits, with at least half a window before it: (T,)."""
        parts = []
        for begin, new, end in self.windows(len(symbols)):
            words = torch.cat([self.told(begin, end, len(symbols), label, speaker), symbols[begin:end]])
            parts.append(self.nats(words[None])[0, new - begin :])
        return torch.cat(parts) / math.log(2)

    def drawing(
        self, label: int, speaker: int, samples: int, total: int, *, rng: torch.Generator, temperature: float = 1.0
    ) -> Iterator[Tensor]:
        """The first `samples` in [-1, 1] of a recording of `total`, window by window."""
        return alphabet.decode(self.drawn(label, speaker, samples, total, rng, temperature), self.config.emphasis)

    def drawn(
        self, label: int, speaker: int, samples: int, total: int, rng: torch.Generator, temperature: float
    ) -> Iterator[Tensor]:
        """Their symbols, by the library's `generate`."""
        symbols = torch.zeros(0, dtype=torch.int64)
        words = list(range(mulaw.LEVELS, self.net.config.vocab_size))
        for begin, new, end in self.windows(total):
            if new >= samples:
                return
            ids = torch.cat([self.told(begin, end, total, label, speaker), symbols[begin:]])[None]
            more = min(end, samples) - new
            with torch.random.fork_rng():  # `generate` draws from the global generator
                torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
                made = self.net.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    do_sample=True,
                    temperature=temperature,
                    top_k=0,
                    max_new_tokens=more,
                    min_new_tokens=more,
                    suppress_tokens=words,
                )
            symbols = torch.cat([symbols, made[0, -more:]])
            yield symbols[new:]


def train(model: Model, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    context = model.config.context
    heard: Any = Heard(data.train, model.config.sample_rate, model.config.emphasis)
    if model.durations is not None:
        model.durations.learn(*heard.durations())
    fast = run.keep("fast", deepcopy(model))
    optimizer = run.keep("optimizer", AdamW(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.95)))
    objective = run.distribute(fast)
    warm_up = min(200, recipe.steps // 10 + 1)
    for step, (symbols, labels, speakers) in run.batches(heard, phase="train", steps=recipe.steps):
        falling = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(step / warm_up, 1.0) * max(falling, 1e-3)
        windows = []
        for s, own, who, u in zip(symbols, labels.tolist(), speakers.tolist(), run.rand(len(labels)), strict=True):
            begin = int(u * (max(0, len(s) - context) + 1))
            end = min(begin + context, len(s))
            windows.append(torch.cat([model.told(begin, end, len(s), own, who).to(s), s[begin:end]]))
        loss = objective(windows)
        optimizer.zero_grad()
        run.backward(loss)
        clip_grad_norm_(fast.parameters(), 1.0)
        optimizer.step()
        follow(model, fast, min(recipe.average, step / (step + 10)))
        yield Progress(step, {"loss": loss.item()})


# --- Files and views ------------------------------------------------------------------------------------------


def save(model: Model, folder: Path) -> None:
    if model.durations is not None:
        model.net.config.durations = {name: b.tolist() for name, b in model.durations.named_buffers()}
    model.net.save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    net = GPT2LMHeadModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model = Model(config, net)
    if model.durations is not None:
        for name, buffer in model.durations.named_buffers():
            buffer.copy_(torch.tensor(net.config.durations[name]))
    return model


def generate(
    model: Model,
    scene: Scene,
    temperature: float,
    most: float,
    label: int | None = None,
    speaker: int | None = None,
    pace: float = 1.0,
) -> Iterator[list[Output]]:
    word, who, rate = label or 0, someone(speaker, scene), model.config.sample_rate
    total = round(rate * (pace * model.durations.draw(word, who, scene.rng) if model.durations else most))
    made = torch.zeros(0)
    for part in model.drawing(word, who, min(total, round(most * rate)), total, rng=scene.rng, temperature=temperature):
        made = torch.cat([made, part])
        yield [Audio(made, rate)]


MOST = Control("most", "number", {"en": "Seconds, at most", "ko": "길이(초), 최대"}, 0.2, 0.05, 2.0, 0.05)
VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {
        "en": "Samples as words of GPT-2, a few hundred a second: only the beginning, unless more is asked for.",
        "ko": "표본을 GPT-2의 낱말로 삼아 1초에 수백 개씩 뽑습니다. 더 요청하지 않으면 앞부분만 만듭니다.",
    },
    (word(), speaker(), temperature(), PACE, MOST, controls.seed()),
    generate,
)
