"""A family from outside the house that says what it has been given: pictures, masks, points and recordings.

It models each pixel by its mean. Its own data are blots, higher than they are wide, so that rows and columns cannot
be taken for each other; they have a sample rate, for the view that listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from playground import controls
from playground.contract import (
    Audio,
    Control,
    Curve,
    Family,
    Output,
    Reference,
    Scene,
    Sheet,
    View,
    Words,
    fact,
    knob,
)
from playground.data.pictures import ImageData, Pictures, image_data
from playground.data.sets import SETS, DataSet, Source

HEIGHT, WIDTH, RATE = 28, 20, 8000
CREDIT = "Blots, computed by this package; CC0 1.0"


def blots(files: object = None) -> ImageData:
    """Round blots at random places."""

    def part(n: int, seed: int) -> Pictures:
        centre = torch.rand(n, 2, 1, 1, generator=torch.Generator().manual_seed(seed)) * 0.6 + 0.2
        rows, columns = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
        far = (rows - centre[:, 0] * HEIGHT) ** 2 + (columns - centre[:, 1] * WIDTH) ** 2
        return Pictures((255 * torch.exp(-far / 20)).to(torch.uint8)[:, None])

    made = image_data("blots", part(64, 0), part(16, 1), (), CREDIT)
    return replace(made, info=replace(made.info, sample_rate=RATE))


SETS["blots"] = DataSet(
    {"en": "Blots", "ko": "얼룩"},
    {"en": "Round blots.", "ko": "둥근 얼룩입니다."},
    ("images",),
    CREDIT,
    (Source((), blots),),
)


@dataclass(frozen=True)
class Config:
    contrast: float = knob(1.0, "Contrast", "대비", low=0.0, high=1.0)
    channels: int = fact(1, high=3)
    height: int = fact(HEIGHT, high=64)
    width: int = fact(WIDTH, high=64)


class Sketch(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.channels, config.height, config.width))

    def fit(self, x: Tensor) -> None:
        """x: (N, C, H, W) in [0, 1]."""
        self.mean.copy_(self.config.contrast * x.mean(0))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) in [0, 1]."""
        return (self.mean + 0.2 * torch.randn(n, *self.mean.shape, generator=rng)).clamp(0, 1)


Model = Sketch


def save(model: Sketch, folder: Path) -> None:
    save_file(model.state_dict(), folder / "model.safetensors")


def load(folder: Path, config: Config) -> Sketch:
    model = Sketch(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model


# --- Views ----------------------------------------------------------------------------------------------------


def generate(model: Sketch, scene: Scene, n: int, picture: Tensor | None) -> Iterator[list[Output]]:
    """Samples, of which the first is the picture."""
    made = model.sample(n, scene.rng)
    if picture is not None:
        made[0] = picture
    yield [Sheet(made), said("a picture" if picture is not None else "no picture")]


def inpaint(model: Sketch, scene: Scene, picture: Tensor | None, mask: Tensor | None) -> Iterator[list[Output]]:
    """The picture, what the mask keeps of it, and the mask row by row."""
    given = scene.examples().batch(torch.arange(1))[0][0] if picture is None else picture
    kept = torch.ones_like(given[0], dtype=torch.bool) if mask is None else mask
    made = torch.stack([given, torch.where(kept, given, model.mean)])
    rows = ["".join("1" if on else "0" for on in row) for row in kept.tolist()]
    who = "yours" if picture is not None else "held-out"
    pixels = (255 * given).round().int().flatten().tolist()
    yield [Sheet(made), said(f"{who}; {tuple(kept.shape)}; {kept.dtype}"), said(" ".join(rows)), said(f"{pixels}")]


def plane(model: Sketch, scene: Scene, drawing: Tensor | None) -> Iterator[list[Output]]:
    points = torch.zeros(0, 2) if drawing is None else drawing
    axes = {"en": "x", "ko": "x"}, {"en": "y", "ko": "y"}
    drawn = Curve({"points": (points[:, 0].tolist(), points[:, 1].tolist())}, *axes, style="points")
    yield [*([drawn] if len(points) else []), said(f"{points.tolist()}")]


def listen(model: Sketch, scene: Scene, take: Audio | None) -> Iterator[list[Output]]:
    if take is None:
        yield [said("nothing")]
    else:
        loudest = float(take.samples.abs().max())
        yield [take, said(f"{len(take.samples) / take.rate:.2f} s at {take.rate} Hz, loudest {loudest:.2f}")]


def said(what: str) -> Words:
    return Words({"en": what, "ko": what})


FAMILY = Family(
    name="sketch",
    kind="image",
    title={"en": "Sketch", "ko": "스케치"},
    idea={"en": "Says what it has been given.", "ko": "받은 것을 말합니다."},
    paper="None: a family of the tests",
    Config=Config,
    Model=Sketch,
    trains_on=("images",),
    views=(
        View(
            "generate",
            {"en": "Generate", "ko": "생성"},
            {"en": "The first one is the picture.", "ko": "첫 번째가 받은 그림입니다."},
            (controls.count(8), controls.seed(), controls.picture()),
            generate,
        ),
        View(
            "inpaint",
            {"en": "Fill in", "ko": "채워 넣기"},
            {"en": "The picture, and what the mask keeps.", "ko": "그림과 마스크가 남긴 부분입니다."},
            (controls.picture(), Control("mask", "mask", {"en": "Mask", "ko": "마스크"}), controls.seed()),
            inpaint,
        ),
        View(
            "plane",
            {"en": "Plane", "ko": "평면"},
            {"en": "The points.", "ko": "점들입니다."},
            (Control("drawing", "drawing", {"en": "Your points", "ko": "내 점"}, high=400),),
            plane,
        ),
        View(
            "listen",
            {"en": "Listen", "ko": "듣기"},
            {"en": "The recording.", "ko": "녹음입니다."},
            (Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=5),),
            listen,
        ),
    ),
    reference=Reference(
        {"en": "The same", "ko": "같은 것"},
        "torch",
        "playground.families.image.sketch.Sketch",
        "playground.families.image.sketch",
        {"en": "The same.", "ko": "같습니다."},
    ),
)
