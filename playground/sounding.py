"""What views yield that is not sound yet, made audible: mels by a vocoder, WORLD parameters by WORLD.

Griffin-Lim needs no model and is always there. Any family or reference whose model has `vocode` is offered beside it,
by its shipped checkpoints:

    vocode(mel, rng)   mel (T, mels) log10 of the one front end -> samples (T * hop or so,) in [-1, 1]; rng draws
    vocodes(config)    optional, on the class: whether a model of that configuration can, where not all can
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from playground import checkpoint as checkpoints
from playground import registry
from playground.contract import Audio, BadSetting, DataInfo, Mel, Output, Text, Told, World
from playground.signal import edges, griffin_lim, world
from playground.signal.mel import DIGITS, SPEECH, Front

GRIFFIN_LIM = "griffin_lim"
ITERATIONS = 32
CONTEXT, FRESH = 24, 8
"""Frames of what came before that a vocoder is given again with the next part, and how many new ones make a part."""
SHORTEST = 4
"""Frames: shorter mels are lengthened by their last frame."""


@dataclass(frozen=True)
class Vocoder:
    """What makes mels audible. key: "griffin_lim", or "FAMILY/SIDE/CHECKPOINT". rate: Hz of its mels, 0 for any."""

    key: str
    title: Text
    rate: int = 0


# --- Which there are ------------------------------------------------------------------------------------------


def vocoders() -> list[Vocoder]:
    """Griffin-Lim, then every shipped checkpoint that has `vocode`; no weights are loaded for that."""
    found = [Vocoder(GRIFFIN_LIM, {"en": "Griffin-Lim (no model)", "ko": "Griffin-Lim (모델 없음)"})]
    for name, side in registry.vocoders():
        family = registry.family(name)
        title = family.title if side == "ours" else family.reference.title
        able = [folder for folder in checkpoints.shipped(name, side) if _able(name, side, folder)]
        for folder in able:
            said = {k: f"{words}: {folder.name}" if len(able) > 1 else words for k, words in title.items()}
            found.append(Vocoder(f"{name}/{side}/{folder.name}", said, _info(folder, side).sample_rate))
    return found


def vocoder(key: str | None) -> Vocoder:
    """The vocoder of that key, Griffin-Lim for none. Raises `BadSetting`."""
    known = {v.key: v for v in vocoders()}
    if (key or GRIFFIN_LIM) not in known:
        listed = ", ".join(known)
        raise BadSetting(f"vocoder = {key!r}: there are {listed}", f"보코더 = {key!r}: 있는 보코더: {listed}")
    return known[key or GRIFFIN_LIM]


def _described(folder: Path, side: str) -> dict[str, Any]:
    name = "config.json" if side == "ours" else "playground.json"
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _info(folder: Path, side: str) -> DataInfo:
    return checkpoints.read_fields(DataInfo, _described(folder, side)["data"], str(folder))


def _able(name: str, side: str, folder: Path) -> bool:
    """Whether the checkpoint can sound mels, by its configuration. A reference declares it for all of its own."""
    test = getattr(registry.family(name).Model, "vocodes", None) if side == "ours" else None
    if test is None:
        return True
    config = checkpoints.read_fields(registry.family(name).Config, _described(folder, side)["config"], str(folder))
    return bool(test(config))


@lru_cache(maxsize=4)
def _model(key: str) -> nn.Module:
    name, side, folder = key.split("/")
    return checkpoints.load(registry.root(name) / "checkpoints" / name / side / folder).model


# --- Sound ----------------------------------------------------------------------------------------------------


def front_of(mel: Mel) -> Front:
    """The front end that the mel's shape and rate are of. Raises `Told` where they are of none."""
    for front in (SPEECH, DIGITS):
        if (mel.rate, mel.values.shape[-1]) == (front.rate, front.mels):
            return front
    odd = f"{mel.values.shape[-1]} mel bands at {mel.rate:,} Hz"
    raise Told(
        f"{odd} cannot be sounded.", f"{mel.rate:,} Hz의 멜 {mel.values.shape[-1]}대역은 소리로 바꿀 수 없습니다."
    )


@torch.inference_mode()
def sound(output: Mel | World, key: str | None = None, seed: int = 0) -> Audio:
    """The output as a recording; its title says by what. Equal seeds give equal sound.

    A mel of another rate than the vocoder's is sounded by Griffin-Lim. Raises `Told`.
    """
    if isinstance(output, World):
        return Audio(
            world.synthesise(output).clamp(-1, 1), output.rate, _titled(output.title, {"en": "WORLD", "ko": "WORLD"})
        )
    by = vocoder(key)
    if by.rate not in (0, output.rate):
        by = vocoder(GRIFFIN_LIM)
    samples = _vocoded(output.values, front_of(output), by.key, seed)
    return Audio(samples, output.rate, _titled(output.title, by.title))


def _vocoded(values: Tensor, front: Front, key: str, seed: int) -> Tensor:
    """(T, mels) -> (T * hop,) samples in [-1, 1], or as many as the vocoder gives."""
    short = max(0, SHORTEST - len(values))
    mel = torch.cat([values, values[-1:].expand(short, -1)]).float() if short else values.float()
    if key == GRIFFIN_LIM:
        samples = griffin_lim.griffin_lim(mel, front, ITERATIONS)
    else:
        samples = _model(key).vocode(mel, torch.Generator().manual_seed(seed))  # type: ignore[operator]
    return samples.detach().float().cpu().clamp(-1, 1)[: len(values) * front.hop]


def _titled(title: Text | None, by: Text) -> Text:
    return {k: f"{title[k]}, {words}" if title else words for k, words in by.items()}


def loudness(audios: Sequence[Audio | None]) -> list[float]:
    """What each recording is multiplied by, at most 1, so that all are equally loud; 1 for what is none."""
    wanted = []
    for audio in audios:
        samples = None if audio is None else audio.samples.detach().float()
        peak = 0.0 if samples is None or not len(samples) else float(samples.abs().max())
        if samples is None or audio is None or peak == 0 or not bool(samples.isfinite().all()):
            wanted.append(0.0)
        else:
            wanted.append(float(edges.level(samples, audio.rate).abs().max()) / peak)
    most = max(wanted, default=0.0)
    return [gain / most if gain and most else 1.0 for gain in wanted]


class Sounder:
    """Sounds the outputs of one drawing as they grow: of a mel that has grown, only what is new."""

    def __init__(self, key: str | None = None, seed: int = 0):
        self.by, self.seed = vocoder(key), seed
        self._grown: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, outputs: Sequence[Output], whole: bool) -> list[Audio | None]:
        """What is heard of each output: itself, if it is a recording; None for what has no sound (yet).

        While more is to come, a mel's parts are vocoded one after another and faded into each other; once it is
        whole, it is vocoded as one.
        """
        return [self._of(i, output, whole) for i, output in enumerate(outputs)]

    def _of(self, i: int, output: Output, whole: bool) -> Audio | None:
        if isinstance(output, Audio):
            return output
        if isinstance(output, World):
            return sound(output) if whole else None
        if not isinstance(output, Mel):
            return None
        if whole:
            return sound(output, self.by.key, self.seed)
        return self._grow(i, output)

    @torch.inference_mode()
    def _grow(self, i: int, mel: Mel) -> Audio | None:
        values, front = mel.values.detach().float().cpu(), front_of(mel)
        before, heard = self._grown.get(i, (values[:0], torch.zeros(0)))
        n = len(before)
        if len(values) < n or not torch.allclose(values[:n], before, atol=1e-4):
            before, heard, n = values[:0], torch.zeros(0), 0  # it is another one
        if len(values) - n >= FRESH:
            start = max(0, n - CONTEXT)
            key = self.by.key if self.by.rate in (0, mel.rate) else GRIFFIN_LIM
            part = _vocoded(values[start:], front, key, self.seed)
            heard = crossfaded(heard, part, start * front.hop, front.hop)
            self._grown[i] = (values, heard)
        return Audio(heard, mel.rate, _titled(mel.title, self.by.title)) if len(heard) else None


def crossfaded(before: Tensor, part: Tensor, start: int, over: int) -> Tensor:
    """`before` (T,) continued by `part`, which begins at sample `start` of the whole, the last `over` samples blended."""
    if not len(before):
        return part
    over = min(over, len(before) - start)
    at = len(before) - over  # where the blend begins
    ramp = (torch.arange(over) + 0.5) / over
    new = part[at - start :]
    if len(new) <= over:
        return before
    blend = before[at:] * (1 - ramp) + new[:over] * ramp
    return torch.cat([before[:at], blend, new[over:]])


def plainly(output: Audio | Mel | World, seconds: float | None = None) -> Audio:
    """The recording that a mel or WORLD parameters stand for, by no model; of those the first `seconds` only."""
    if isinstance(output, Audio):
        return output
    if isinstance(output, Mel):
        frames = None if seconds is None else round(seconds * output.rate / front_of(output).hop)
        return sound(replace(output, values=output.values[:frames]))
    n = None if seconds is None else round(1000 * seconds / output.frame_ms)
    return sound(replace(output, f0=output.f0[:n], envelope=output.envelope[:n], aperiodicity=output.aperiodicity[:n]))
