"""`transformers.FastSpeech2ConformerModel`, told by an HMM of ours how long each sound lasts.

FastSpeech 2 needs durations to learn from. So the recipe first fits an HMM to the same recordings by our own steps, reads
the frames of each state (of a word) or phone (of a sentence) off its likeliest path, and then trains the net on mel
spectrograms with those durations. The HMM stays with the net: it says where a text has pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import FastSpeech2ConformerConfig, FastSpeech2ConformerModel

from playground import controls
from playground.contract import Data, Mel, Output, Progress, Scene, View, Words, knob
from playground.families.speech import hmm as ours
from playground.families.speech.hmm import HMM, Script
from playground.families.speech.hmm.script import KINDS
from playground.families.speech.hmm.views import SPEAKER, TEXT, TEXT_KO, remarks, scripts
from playground.signal import edges, world
from playground.signal.mel import DIGITS, SPEECH, Front, log_mel
from trainers import hmm as trainer
from trainers.run import Run

__all__ = ["VIEW", "Config", "Model", "Recipe", "load", "save", "train"]

GAP = 12
"""Frames of silence between two words or sentences."""


@dataclass(frozen=True)
class Config(ours.Config):
    hidden: int = knob(120, "Width of encoder and decoder", "인코더와 디코더의 너비", 16, 512)
    layers: int = knob(2, "Layers of each", "층 수", 1, 8)

    @property
    def front(self) -> Front:
        return SPEECH if self.sample_rate == SPEECH.rate else DIGITS

    @property
    def tokens(self) -> int:
        """0 pads. Of words: a token for each state of each class. Of phones: one for each stress, and one a kind of pause."""
        return 1 + (self.classes * self.states if self.words else 3 * self.units + len(KINDS))


@dataclass(frozen=True)
class Recipe(trainer.Recipe):
    steps: int = knob(3000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(16, "Recordings in a batch", "배치의 녹음 수", 1, 256)
    learning_rate: float = knob(1e-3, "Learning rate", "학습률", 0, 0.1)
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


class Model(nn.Module):
    """Log10 mels of the one front end."""

    def __init__(self, config: Config, net: FastSpeech2ConformerModel | None = None):
        super().__init__()
        self.config = config
        self.aligner = HMM(config)
        self.net = net or FastSpeech2ConformerModel(settings(config))

    def forward(
        self, tokens: Tensor, durations: Tensor, mels: Tensor, pitch: Tensor, energy: Tensor, speakers: Tensor
    ) -> Tensor:
        """The library's own loss: absolute error of the mels before and after the postnet, squared errors of the rest."""
        return self.net(
            input_ids=tokens,
            attention_mask=(tokens > 0).long(),
            spectrogram_labels=mels,
            duration_labels=durations,
            pitch_labels=pitch[..., None],
            energy_labels=energy[..., None],
            speaker_ids=speakers,
        ).loss

    def tokens(self, said: Script) -> Tensor:
        """(L,) int64 of a script: a word's states, or a sentence's phones and pauses."""
        if self.config.words:
            first = 1 + said.units[0] // self.config.voices * self.config.states
            return torch.from_numpy(first + np.arange(self.config.states))
        stress = said.facts[:, 0] + 2 * said.facts[:, 1]
        ids = np.where(said.kinds >= 0, 3 * self.config.units + said.kinds, 3 * said.units + stress)
        return torch.from_numpy(1 + ids)

    def speaker(self, said: Script) -> int:
        return said.voice % self.config.voices

    @torch.no_grad()
    def speak(self, said: Script) -> Tensor:
        """Log10 mels (T, mels) of a script, with those pauses that the HMM would make."""
        said = self.aligner.said(said)
        device = next(self.net.parameters()).device
        tokens, speaker = self.tokens(said)[None].to(device), torch.tensor([self.speaker(said)], device=device)
        return self.net(input_ids=tokens, speaker_ids=speaker).spectrogram[0].float().cpu()


def settings(config: Config) -> FastSpeech2ConformerConfig:
    wide, layers = config.hidden, config.layers
    dropped = ("dropout_rate", "positional_dropout_rate", "attention_dropout_rate")
    gentle = {f"{side}_{name}": 0.1 for side in ("encoder", "decoder") for name in dropped}  # minutes do not overfit
    return FastSpeech2ConformerConfig(
        vocab_size=config.tokens,
        num_mel_bins=config.front.mels,
        hidden_size=wide,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=2,
        encoder_linear_units=2 * wide,
        decoder_linear_units=2 * wide,
        speech_decoder_postnet_layers=3,
        speech_decoder_postnet_units=wide,
        duration_predictor_channels=wide,
        pitch_predictor_layers=2,
        pitch_predictor_channels=wide,
        energy_predictor_channels=wide,
        encoder_kernel_size=7,
        decoder_kernel_size=15,
        speech_decoder_postnet_dropout=0.1,
        encoder_normalize_before=True,
        decoder_normalize_before=True,
        **gentle,
        num_speakers=config.voices if config.voices > 1 else None,
    )


# --- Learning from alignments ---------------------------------------------------------------------------------


class Lessons:
    """Recordings as the net is taught them, by the place of each."""

    def __init__(self, model: Model, data: Data, heard: list[trainer.Heard]):
        self.made = [lesson(model, data, take) for take in heard]
        # Pitch and energy are predicted and fed back: in units of their own spread.
        for name in ("pitch", "energy"):
            every = torch.cat([made[name] for made in self.made])
            for made in self.made:
                made[name] = (made[name] - every.mean()) / every.std().clamp_min(1e-6)

    @property
    def train(self) -> Lessons:
        return self

    def __len__(self) -> int:
        return len(self.made)

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        chosen = [self.made[int(i)] for i in indices]
        padded = lambda name, value=0.0: pad_sequence([c[name] for c in chosen], batch_first=True, padding_value=value)
        speakers = torch.stack([c["speaker"] for c in chosen])
        return (
            padded("tokens"), padded("durations"), padded("mels", -100.0), padded("pitch"), padded("energy"), speakers,
        )  # fmt: skip


def lesson(model: Model, data: Data, take: trainer.Heard) -> dict[str, Tensor]:
    """Tokens with their durations in mel frames, their mean log F0 and their mean level, and the mels (T, mels)."""
    train: Any = data.train
    aligner, front = model.aligner, model.config.front
    mels = log_mel(edges.trim(train.audio(take.place), train.rate), front)
    way = aligner.path(torch.from_numpy(take.o), take.script)
    parts = way if model.config.words else way // model.config.states
    frames = torch.bincount(parts, minlength=len(take.script) * (model.config.states if model.config.words else 1))
    spoken = frames > 0
    said = take.script if model.config.words else take.script.select(spoken.numpy())
    log_f0 = torch.from_numpy(take.o[:, world.ORDER + 1]).split(frames[spoken].tolist())
    ends = (frames[spoken].cumsum(0) * world.FRAME_MS / 1000 * front.rate / front.hop).round().long()
    ends = ends.clamp(max=len(mels))
    ends[-1] = len(mels)
    durations = ends.diff(prepend=torch.zeros(1, dtype=torch.long))
    starts = (
        (ends - durations).clamp(max=len(mels) - 1).tolist()
    )  # of a sound shorter than a frame, the frame it falls in
    level = [mels[start : max(end, start + 1)].mean() for start, end in zip(starts, ends.tolist(), strict=True)]
    return {
        "tokens": model.tokens(said),
        "durations": durations,
        "mels": mels,
        "pitch": torch.stack([part.mean() for part in log_f0]),
        "energy": torch.stack(level),
        "speaker": torch.tensor(model.speaker(said)),
    }


def train(model: Model, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    model.aligner.cpu()  # EM is the processor's work, wherever the net is trained
    heard = yield from trainer.analysed(model.aligner, data, recipe.recordings)
    yield from trainer.fit(model.aligner, trainer.together(heard), recipe, run)
    lessons = Lessons(model, data, heard)
    optimizer = run.keep("optimizer", torch.optim.Adam(model.net.parameters(), recipe.learning_rate, betas=(0.9, 0.98)))
    objective = run.distribute(model)
    warm_up = min(300, recipe.steps // 10 + 1)
    for step, batch in run.batches(lessons, phase="train", steps=recipe.steps):  # type: ignore[arg-type]
        falling = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(step / warm_up, 1.0) * max(falling, 1e-3)
        loss = objective(*batch)
        optimizer.zero_grad()
        run.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.net.parameters(), 1.0)
        optimizer.step()
        yield Progress(step, {"loss": loss.item()})


# --- The view -------------------------------------------------------------------------------------------------


def generate(
    model: Model,
    scene: Scene,
    label: int | None = None,
    speaker: int | None = None,
    text: str | None = None,
    text_ko: str | None = None,
) -> Iterator[list[Output]]:
    text, rate = text_ko if text is None else text, model.config.sample_rate
    row: list[Tensor] = []
    done: list[Script] = []
    for said, name in scripts(model.aligner, scene, label, speaker, text):
        mels = model.speak(said)
        row += [torch.full((GAP if row else 0, mels.shape[1]), float(mels.min())), mels]
        done.append(said)
        title = name if len(done) == 1 else {"en": f"{len(done)} in a row", "ko": f"이어서 {len(done)}개"}
        yield [Mel(torch.cat(row), rate, title)]
    told = remarks(model.aligner, done, text)
    if not row:
        told = [Words({"en": "There is nothing to be said.", "ko": "말할 것이 없습니다."}), *told]
    if told:
        yield [*([Mel(torch.cat(row), rate, title)] if row else []), *told]


VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {
        "en": "Durations, pitch and level are predicted, then the mel spectrogram; equal for every seed.",
        "ko": "길이와 높이, 크기를 예측한 다음 멜 스펙트로그램을 그립니다. 시드가 달라도 같습니다.",
    },
    (controls.label(), TEXT, TEXT_KO, SPEAKER, controls.seed()),
    generate,
)


def save(model: Model, folder: Path) -> None:
    model.net.save_pretrained(folder, safe_serialization=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.aligner.state_dict().items()},
        folder / "aligner.safetensors",
    )


def load(folder: Path, config: Config) -> Model:
    net = FastSpeech2ConformerModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    for weight in net.parameters():  # mapped from the file they lie at odd addresses, where sums are rounded otherwise
        weight.data = weight.data.clone()
    model = Model(config, net)
    model.aligner.load_state_dict(load_file(folder / "aligner.safetensors"))
    return model
