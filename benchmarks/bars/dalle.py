"""DALL-E: pictures that are what was asked for, by a program that reads shapes, by the nearest emoji, by the digit judge."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality import Bar, real_read
from playground import data, metrics
from playground.checkpoint import Checkpoint
from playground.data import ImageData, shapes
from playground.families.image.dalle.text import NUMBERS

CAPTIONS = 500
NAMES = 200
CANDIDATES = 8
BATCH = 50
EMOJI, DIGITS = "emoji", "words"
"""Names of the shipped checkpoints beside the default one."""


def load(name: str) -> ImageData:
    found = data.load(name)
    assert isinstance(found, ImageData)
    return found


def drawn(made: Checkpoint, texts: list[str], best_of: int = 1) -> Tensor:
    """A picture (C, H, W) for each text, of seed 0; the judge's choice among `best_of`."""
    rng, parts = torch.Generator().manual_seed(0), []
    model, size = made.model, max(1, BATCH // best_of)
    for first in range(0, len(texts), size):
        some = texts[first : first + size]
        parts.append(model.best(some, best_of, rng=rng) if best_of > 1 else model.sample(some, rng=rng))  # type: ignore
    return torch.cat(parts)


def right(texts: list[str], pictures: Tensor) -> float:
    return float(np.mean([shapes.shows(text, picture) for text, picture in zip(texts, pictures, strict=True)]))


def held_out(n: int, korean: bool = False) -> list[str]:
    """At least CAPTIONS captions that training never had."""
    test = load("shapes").test
    texts = test.texts_ko if korean else test.texts
    assert texts is not None
    return list(texts[: max(CAPTIONS, min(n, len(texts)))])


def unseen_right(made: Checkpoint, n: int) -> float:
    return right(texts := held_out(n), drawn(made, texts))


def unseen_right_in_korean(made: Checkpoint, n: int) -> float:
    return right(texts := held_out(n, korean=True), drawn(made, texts))


def best_right(made: Checkpoint, n: int) -> float:
    return right(texts := held_out(CAPTIONS), drawn(made, texts, CANDIDATES))


def rebuilt_right(made: Checkpoint, n: int) -> float:
    """What the codes leave of true pictures: no drawing can be better."""
    texts = held_out(n)
    x, _ = load("shapes").test.batch(torch.arange(len(texts)))
    return right(texts, torch.cat([made.model.reconstruct(part) for part in x.split(BATCH)]))  # type: ignore[operator]


@lru_cache(maxsize=1)
def _true(n: int) -> tuple[list[shapes.Caption], Tensor]:
    """n captions of all there are, each with a true picture."""
    rng = np.random.RandomState(1)
    captions = [shapes.captions()[i] for i in rng.randint(len(shapes.captions()), size=n)]
    return captions, shapes.draw(captions, rng).float() / 255


def true_accepted(n: int) -> float:
    captions, pictures = _true(1000)
    return right([caption.en for caption in captions], pictures)


def changed_accepted(made: Checkpoint, n: int) -> float:
    """Share of true pictures that pass for their caption with one word changed."""
    captions, pictures = _true(1000)
    wrong = [
        shapes.shows(other.en, picture)
        for caption, picture in zip(captions, pictures, strict=True)
        for other in islice(shapes.altered(caption), 0, None, 5)
    ]
    return float(np.mean(wrong))


def named(made: Checkpoint, n: int, korean: bool = False) -> float:
    """Share of NAMES training names whose drawing lies nearest, of all training pictures, to the named one."""
    train = load(made.about.dataset).train
    texts = train.texts_ko if korean else train.texts
    assert texts is not None
    known = torch.tensor([i for i, text in enumerate(texts) if text])
    chosen = known[torch.linspace(0, len(known) - 1, NAMES).long()]
    every = train.batch(torch.arange(len(train)))[0].flatten(1)
    pictures = drawn(made, [texts[i] for i in chosen.tolist()]).flatten(1)
    return float((torch.cdist(pictures, every).argmin(1) == chosen).float().mean())


def read_as_asked(made: Checkpoint, n: int) -> float:
    """Share of digits asked for by word, in English and Korean in turn, read with over 0.95 confidence as that digit."""
    n = min(n, 1000)
    labels = torch.arange(n) % 10
    texts = [NUMBERS[str(label)][i // 10 % 2] for i, label in enumerate(labels.tolist())]
    return metrics.recognisable(drawn(made, texts), labels).share


BARS = (
    Bar("never seen, fully right", unseen_right, "higher", target=0.9, floor=true_accepted),
    Bar("the same in Korean", unseen_right_in_korean, "higher", floor=true_accepted),
    Bar("the same, best of 8 by the judge", best_right, "higher", floor=true_accepted, counts=False, ours_only=True),
    Bar("rebuilt, fully right", rebuilt_right, "higher", floor=true_accepted),
    Bar("checker: one word changed, accepted", changed_accepted, target=0.01, counts=False, ours_only=True),
    Bar("emoji it was taught, nearest to their name", named, "higher", target=0.5, counts=False, checkpoint=EMOJI),
    Bar("the same by their Korean names", partial(named, korean=True), "higher", counts=False, checkpoint=EMOJI),
    Bar("digits by word, as asked", read_as_asked, "higher", floor=real_read, checkpoint=DIGITS),
)
