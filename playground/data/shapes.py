"""Captioned coloured shapes: every picture is drawn from its caption, so that a picture can be checked against it.

A caption names one thing ("a small red circle") or two ("a small red circle left of a large blue square"). Some
captions are held out of training: those with a thing in `HELD_OUT`, each of whose attributes and pairs of attributes
training does show, and a tenth of all pairs of other things. The held-out part has only such captions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from playground.data.pictures import BadData, ImageData, Pictures, image_data

CREDIT = "Coloured shapes, drawn by this project; CC0 1.0"
SIDE = 32
SIZES = {"small": 4.0, "large": 6.5}
"""Size -> radius in pixels: half the width of a circle, square or cross, and a little less than half a triangle's."""
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (50, 80, 220),
    "yellow": (240, 200, 40),
    "purple": (150, 60, 180),
    "black": (30, 30, 30),
}
"""Colour -> RGB, on a white ground."""
SHAPES = ("circle", "square", "triangle", "cross")
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
"""Relation -> (x, y) direction from the second thing to the first; y points down."""

KOREAN = {
    "small": "작은",
    "large": "큰",
    "circle": "원",
    "square": "사각형",
    "triangle": "삼각형",
    "cross": "십자가",
    "red": "빨간색",
    "green": "초록색",
    "blue": "파란색",
    "yellow": "노란색",
    "purple": "보라색",
    "black": "검은색",
    "left of": "왼쪽에",
    "right of": "오른쪽에",
    "above": "위에",
    "below": "아래에",
}

MARGIN = 1.5
"""Least distance of a thing from the edges, and of two things from each other, in pixels."""
SLANT = 4.0
"""How far two things may be out of line, across their relation, in pixels; their centres are at least 9.5 apart."""


class Thing(NamedTuple):
    size: str
    colour: str
    shape: str


class Caption(NamedTuple):
    """One thing, or two things and how the first lies to the second."""

    first: Thing
    relation: str = ""
    second: Thing | None = None

    @property
    def en(self) -> str:
        first = "a " + " ".join(self.first)
        return first if self.second is None else f"{first} {self.relation} a {' '.join(self.second)}"

    @property
    def ko(self) -> str:
        first = " ".join(KOREAN[word] for word in self.first)
        if self.second is None:
            return first
        return f"{' '.join(KOREAN[word] for word in self.second)} {KOREAN[self.relation]} 있는 {first}"


THINGS = tuple(Thing(*words) for words in product(SIZES, COLOURS, SHAPES))
HELD_OUT = frozenset(
    Thing(size, colour, SHAPES[(i + 1) % len(SHAPES)])
    for i, (size, colour) in enumerate(zip(["small"] * 3 + ["large"] * 3, COLOURS, strict=True))
)
"""The things that no training picture shows: one of each colour."""

_RANK = dict(zip(THINGS, np.random.RandomState(0).permutation(len(THINGS)).tolist(), strict=True))


def attributes() -> dict[str, tuple[str, ...]]:
    """Every word that a caption can use, by attribute: size, colour, shape and relation."""
    return {"size": tuple(SIZES), "colour": tuple(COLOURS), "shape": SHAPES, "relation": tuple(RELATIONS)}


def is_held_out(caption: Caption) -> bool:
    """Whether training never shows this caption, nor the same things in any other relation."""
    if caption.first in HELD_OUT or caption.second in HELD_OUT:
        return True
    return caption.second is not None and (_RANK[caption.first] + _RANK[caption.second]) % 10 == 0


@lru_cache(maxsize=1)
def captions() -> tuple[Caption, ...]:
    """Every caption there is: 48 of one thing, then 9,216 of two."""
    pairs = (Caption(first, relation, second) for first, relation, second in product(THINGS, RELATIONS, THINGS))
    return (*(Caption(thing) for thing in THINGS), *pairs)


@lru_cache(maxsize=1)
def _by_text() -> dict[str, Caption]:
    return {text: caption for caption in captions() for text in (caption.en, caption.ko)}


def parse(text: str) -> Caption:
    """The caption written as `text`, in English or Korean; `BadData` where it is none."""
    caption = _by_text().get(" ".join(text.lower().split()))
    if caption is None:
        example = Caption(THINGS[0], "left of", THINGS[-1])
        raise BadData(
            f"{text!r} is not a caption of shapes. One is: {example.en}",
            f"{text!r}은(는) 도형을 설명하는 글이 아닙니다. 예: {example.ko}",
        )
    return caption


def altered(caption: Caption) -> Iterator[Caption]:
    """Every caption that differs in one word, but for those that say the same of two equal things."""
    for place, thing in (("first", caption.first), ("second", caption.second)):
        if thing is not None:
            for kind, words in (("size", SIZES), ("colour", COLOURS), ("shape", SHAPES)):
                others = (word for word in words if word != getattr(thing, kind))
                yield from (caption._replace(**{place: thing._replace(**{kind: word})}) for word in others)  # type: ignore[arg-type]
    if caption.second is not None:
        x, y = RELATIONS[caption.relation]
        for relation, direction in RELATIONS.items():
            turned = caption.first == caption.second and direction == (-x, -y)
            if relation != caption.relation and not turned:
                yield caption._replace(relation=relation)


# --- Drawing --------------------------------------------------------------------------------------------------


def draw(captions: Sequence[Caption], rng: np.random.RandomState) -> torch.Tensor:
    """One picture for each caption, (N, 3, 32, 32) uint8: the caption decides all but the places, `rng` those."""
    first, second = _places(captions, rng)
    done = np.empty((len(captions), 3, SIDE, SIDE), np.uint8)
    for start in range(0, len(captions), 256):  # what fits a processor's cache is painted several times faster
        chunk = slice(start, start + 256)
        pictures = np.full(done[chunk].shape, 255.0)
        _paint(pictures, [caption.first for caption in captions[chunk]], first[chunk])
        _paint(pictures, [caption.second for caption in captions[chunk]], second[chunk])
        done[chunk] = pictures.round()
    return torch.from_numpy(done)


def _places(captions: Sequence[Caption], rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) as (x, y) in pixels of the first and of the second thing, wholly inside and not touching."""
    r1 = np.array([SIZES[caption.first.size] for caption in captions])
    r2 = np.array([SIZES[caption.second.size] if caption.second else 0.0 for caption in captions])
    u, v, w, s = rng.rand(4, len(captions))

    # A single thing lies anywhere.
    low, high = r1 + MARGIN, SIDE - MARGIN - r1
    alone = np.stack([low + u * (high - low), low + v * (high - low)], 1)  # (N, 2)

    # Two things, along the relation: the first at `a`, the second further by at least both radii and the gap ...
    apart = r1 + r2 + MARGIN
    a = low + u * (SIDE - MARGIN - r2 - apart - low)
    b = a + apart + v * (SIDE - MARGIN - r2 - apart - a)
    # ... and across it: nearly in line.
    c = low + w * (high - low)
    d = np.clip(c + SLANT * (2 * s - 1), r2 + MARGIN, SIDE - MARGIN - r2)

    direction = np.array([RELATIONS.get(caption.relation, (0, 0)) for caption in captions])  # (N, 2)
    forward = direction.sum(1) < 0  # left of, above: the first has the smaller coordinate
    along = np.where(forward, (a, b), (SIDE - a, SIDE - b))  # (2, N)
    upright = direction[:, :1] == 0  # (N, 1)
    first = np.where(upright, np.stack([c, along[0]], 1), np.stack([along[0], c], 1))
    second = np.where(upright, np.stack([d, along[1]], 1), np.stack([along[1], d], 1))
    return np.where(direction.any(1, keepdims=True), first, alone), second


def _paint(pictures: np.ndarray, things: Sequence[Thing | None], centres: np.ndarray) -> None:
    """Lay each thing over its picture (N, 3, H, W) in place, its edges softened over one pixel."""
    grid = np.arange(SIDE) + 0.5
    for shape in SHAPES:
        chosen = [(n, thing) for n, thing in enumerate(things) if thing and thing.shape == shape]
        if not chosen:
            continue
        rows = np.array([n for n, _ in chosen])
        x = grid[None, None, :] - centres[rows, 0, None, None]  # (n, 1, W)
        y = grid[None, :, None] - centres[rows, 1, None, None]  # (n, H, 1)
        radius = np.array([SIZES[thing.size] for _, thing in chosen])[:, None, None]
        colour = np.array([COLOURS[thing.colour] for _, thing in chosen], float)[:, :, None, None]
        cover = np.clip(0.5 - distance(shape, x, y, radius), 0, 1)[:, None]  # (n, 1, H, W)
        pictures[rows] = (1 - cover) * pictures[rows] + cover * colour


def distance(shape: str, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """About the signed distance in pixels from (x, y) to the outline of a shape at the origin; negative inside."""
    if shape == "circle":
        return np.sqrt(x * x + y * y) - radius
    if shape == "square":
        return np.maximum(abs(x), abs(y)) - 0.9 * radius
    if shape == "triangle":  # equilateral, its tip up and 0.9 radii above the centre, as its base is below
        y = y - 0.3 * radius
        return np.maximum(y, np.sqrt(0.75) * abs(x) - 0.5 * y) - 0.6 * radius
    if shape == "cross":
        bar = radius / 3
        return np.minimum(np.maximum(abs(x) - radius, abs(y) - bar), np.maximum(abs(x) - bar, abs(y) - radius))
    raise ValueError(f"{shape!r}: no such shape")


# --- Reading a picture ----------------------------------------------------------------------------------------

INK = 60.0
"""Distance from white, in RGB, from which a pixel belongs to a thing."""
SPECK = 5
"""Pixels of ink that are overlooked: less than a third of the smallest cross."""
STRAY = 75.0
"""How far a thing's colour, and each of its pixels, may lie from the one it is named by, in RGB; no two of the six are
nearer than 104."""
ROUGH = 0.3
"""How much of a thing's area its cover may differ by from that of the shape it is read as."""
SOLID = 0.8
"""Share of its darkest pixels' distance from white at which a pixel shows the colour itself, not a softened edge."""


class Seen(NamedTuple):
    """A thing in a picture, and the (x, y) of its centre of mass in pixels."""

    thing: Thing
    x: float
    y: float


def read(picture: torch.Tensor) -> list[Seen] | None:
    """The things in a picture (3, 32, 32) in [0, 1]; None where some ink is no thing that there is."""
    from scipy import ndimage

    rgb = picture.detach().cpu().double().mul(255).permute(1, 2, 0).numpy()  # (H, W, 3)
    ink = np.linalg.norm(255 - rgb, axis=2)  # (H, W)
    places, n = ndimage.label(ink > INK, np.ones((3, 3)))
    found = []
    for k in range(1, n + 1):
        here = places == k
        if here.sum() <= SPECK:
            continue
        seen = _thing(rgb, ink, here)
        if seen is None:
            return None
        found.append(seen)
    return found


def _thing(rgb: np.ndarray, ink: np.ndarray, here: np.ndarray) -> Seen | None:
    """What one patch of ink shows, by its colour and by the shape and size whose cover it comes nearest to."""
    rest = np.pad(here, 1)
    near = rest[:-2, 1:-1] | rest[2:, 1:-1] | rest[1:-1, :-2] | rest[1:-1, 2:] | here  # with its softened edge
    solid = here & (ink >= SOLID * ink[here].max())
    mean = rgb[solid].mean(0)
    colour, distance_to_it = min(
        ((name, float(np.linalg.norm(mean - values))) for name, values in COLOURS.items()), key=lambda pair: pair[1]
    )
    if distance_to_it > STRAY:
        return None
    axis = 255 - np.array(COLOURS[colour], float)
    share = np.clip((255 - rgb) @ axis / (axis @ axis), 0, 1)  # (H, W), of the colour over white
    other = np.linalg.norm(255 - rgb - share[..., None] * axis, axis=2)  # what is left: ink of another colour
    if (here & (other > STRAY)).sum() > SPECK:
        return None
    cover = share * near
    grid = np.arange(SIDE) + 0.5
    x, y = float((cover.sum(0) @ grid) / cover.sum()), float((cover.sum(1) @ grid) / cover.sum())
    fits = {(size, shape): _misfit(cover, shape, size, x, y) for size in SIZES for shape in SHAPES}
    (size, shape), misfit = min(fits.items(), key=lambda pair: pair[1])
    return Seen(Thing(size, colour, shape), x, y) if misfit < ROUGH else None


def _misfit(cover: np.ndarray, shape: str, size: str, x: float, y: float) -> float:
    """By how much of the shape's area the cover (H, W) differs from it, their centres of mass laid on each other."""
    radius = SIZES[size]
    grid = np.arange(SIDE) + 0.5

    def drawn(x: float, y: float) -> np.ndarray:
        u, v = grid[None, :] - x, grid[:, None] - y
        return np.clip(0.5 - distance(shape, u, v, np.full((1, 1), radius)), 0, 1)

    middle = drawn(SIDE / 2, SIDE / 2)
    lower = float((middle.sum(1) @ grid) / middle.sum()) - SIDE / 2  # of a triangle's mass, below its centre
    return float(abs(cover - drawn(x, y - lower)).sum() / middle.sum())


def shows(text: str, picture: torch.Tensor) -> bool:
    """Whether a picture (3, 32, 32) in [0, 1] shows what a caption says, and nothing else.

    Every thing must have its size, colour and shape, and two of them lie as the caption says, more so than across.
    Raises `BadData` where `text` is no caption.
    """
    caption, seen = parse(text), read(picture)
    wanted = [thing for thing in (caption.first, caption.second) if thing]
    if seen is None or sorted(s.thing for s in seen) != sorted(wanted):
        return False
    if caption.second is None:
        return True
    right, down = RELATIONS[caption.relation]

    def lie(a: Seen, b: Seen) -> bool:
        along = (a.x - b.x) * right + (a.y - b.y) * down
        across = (a.x - b.x) * down + (a.y - b.y) * right
        return (a.thing, b.thing) == (caption.first, caption.second) and along > abs(across)

    return lie(*seen) or lie(*reversed(seen))


# --- The data set ---------------------------------------------------------------------------------------------


def shapes(n_train: int = 20_000, n_test: int = 2_000, seed: int = 0) -> ImageData:
    """The captioned data set: a quarter of the pictures show one thing, the others two."""
    rng = np.random.RandomState(seed)

    def part(n: int, held_out: bool) -> Pictures:
        allowed = [caption for caption in captions() if is_held_out(caption) == held_out]
        n_single = sum(caption.second is None for caption in allowed)
        single = rng.rand(n) < 0.25
        index = np.where(single, rng.randint(n_single, size=n), rng.randint(n_single, len(allowed), size=n))
        chosen = [allowed[i] for i in index]
        texts, texts_ko = (tuple(caption.en for caption in chosen), tuple(caption.ko for caption in chosen))
        return Pictures(draw(chosen, rng), None, texts, texts_ko, shows)

    train, test = part(n_train, held_out=False), part(n_test, held_out=True)
    return image_data("shapes", train, test, (), "Coloured shapes, drawn by this project; CC0 1.0")
