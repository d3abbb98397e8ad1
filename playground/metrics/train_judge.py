"""Trains the digit judge and measures its reference statistics: `python -m playground.metrics.train_judge`.

Sixteen epochs of MNIST's 60,000 training pictures, each slightly turned, scaled, sheared and shifted; AdamW on a
one-cycle schedule; the shipped weights are their running average. About five minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from playground import data
from playground.metrics import digit_judge, frechet, judging
from playground.metrics.digit_judge import Config, Judge
from playground.metrics.recognition import share_read

BATCH = 128
EPOCHS = 16
LEARNING_RATE = 4e-3


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digit judge on MNIST and measure its reference statistics.")
    parser.add_argument("--out", type=Path, default=digit_judge.FOLDER, help="folder to write")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"passes over the data (default {EPOCHS})")
    options = parser.parse_args()
    digits = data.load("mnist")
    labels, test_labels = digits.train.labels, digits.test.labels
    assert labels is not None and test_labels is not None
    started = time.monotonic()
    model = train(digits.train.x, labels, options.epochs)
    minutes = (time.monotonic() - started) / 60
    figures = measure(model, digits.train.x, digits.test.x, test_labels)
    write(options.out, model, figures, options.epochs, minutes)
    print(f"{options.out}: accuracy {figures['accuracy']:.4f} in {minutes:.1f} minutes")


def train(x: Tensor, labels: Tensor, epochs: int, seed: int = 0) -> Judge:
    """A judge trained on pictures x (N, 1, 28, 28) uint8 with labels (N,)."""
    torch.manual_seed(seed)
    model = Judge(Config()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = len(x) // BATCH

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        for indices in torch.randperm(len(x)).split(BATCH)[:batches]:
            yield jitter(x[indices].float() / 255), labels[indices]

    return judging.fit(model, epoch, epochs, epochs * batches, LEARNING_RATE, decay=0.999)


def jitter(x: Tensor) -> Tensor:
    """Pictures (N, 1, H, W) turned by up to 12 degrees, scaled and sheared by up to 12%, shifted by up to 2 pixels."""
    n = len(x)
    angle, shear, scale_x, scale_y, shift_x, shift_y = (torch.rand(6, n) * 2 - 1).unbind()
    cos, sin = torch.cos(0.21 * angle), torch.sin(0.21 * angle)
    a, b = 1 + 0.12 * scale_x, 1 + 0.12 * scale_y
    # grid_sample's coordinates run from -1 to 1: two of 28 pixels are 4/28.
    rows = [a * cos, -b * sin + 0.12 * shear, shift_x * 4 / 28, a * sin, b * cos, shift_y * 4 / 28]
    grid = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False).contiguous(memory_format=torch.channels_last)


def measure(model: Judge, train_x: Tensor, test_x: Tensor, test_labels: Tensor) -> dict[str, Tensor]:
    """The reference statistics that `frechet.statistics` describes, all double precision."""
    probabilities = digit_judge.probabilities_of(test_x, model)
    figures = frechet.gaussian(digit_judge.features_of(test_x, model))
    sets = {"fd_pca64": pca_reconstructions(train_x, 64, 10_000)}
    sets |= {f"fd_train_{n}": train_x[:n] for n in frechet.FLOORS}
    for name, pictures in sets.items():
        figures[name] = torch.tensor(frechet.distance_to(figures, pictures, model), dtype=torch.float64)
    figures["accuracy"] = (probabilities.argmax(1) == test_labels).double().mean()
    figures["share_as_asked"] = torch.tensor(share_read(probabilities, test_labels), dtype=torch.float64)
    figures["share_as_any"] = torch.tensor(share_read(probabilities, None), dtype=torch.float64)
    return {name: value.double() for name, value in figures.items()}


def pca_reconstructions(x: Tensor, components: int, n: int) -> Tensor:
    """The first n pictures of x (N, 1, H, W) uint8, kept to x's leading principal components, clipped to [0, 1]."""
    flat = x.flatten(1).double() / 255  # (N, D)
    mean = flat.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(flat.T))  # ascending eigenvalues; (D, D)
    basis = vectors[:, -components:]
    kept = (flat[:n] - mean) @ basis @ basis.T + mean
    return kept.clamp(0, 1).float().view(-1, *x.shape[1:])


def write(folder: Path, model: Judge, figures: dict[str, Tensor], epochs: int, minutes: float) -> None:
    """Write the judge's folder: weights, config, statistics, model card, checksums."""
    judging.write(folder, model, Config(), figures, card(model, figures, epochs, minutes))


def card(model: Judge, figures: dict[str, Tensor], epochs: int, minutes: float) -> str:
    pca64 = figures["fd_pca64"]
    return f"""---
license: apache-2.0
library_name: pytorch
datasets: [ylecun/mnist]
tags: [image-classification, evaluation]
---

# The digit judge

A small convolutional classifier of handwritten digits ({sum(p.numel() for p in model.parameters()):,} parameters). It
judges what the playground's image families generate: its {Config().features} features are the space of Frechet
distance and k-NN precision and recall, its confidence (over 0.95) says whether a sample can be read.

| figure | value |
| --- | --- |
| accuracy on MNIST's 10,000 test pictures | {figures["accuracy"]:.2%} |
| of them read as their label with over 0.95 confidence | {figures["share_as_asked"]:.2%} |
| of them read as any digit with over 0.95 confidence | {figures["share_as_any"]:.2%} |
| Frechet distance of PCA-64 reconstructions (the unit of rFD) | {pca64:.4f} |
| rFD of the first 10,000 training pictures (floor) | {figures["fd_train_10000"] / pca64:.3f} |
| rFD of the first 1,000 training pictures (floor) | {figures["fd_train_1000"] / pca64:.3f} |

**Data**: MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0; trained on its 60,000 training pictures only.

**Recipe**: {epochs} epochs of batches of {BATCH}, cross-entropy, AdamW (weight decay 0.05) on a one-cycle schedule to
{LEARNING_RATE}, dropout 0.3 before the last layer, pictures turned by up to 12 degrees, scaled and sheared by up to
12%, shifted by up to 2 pixels; running average of the weights at 0.999. {minutes:.1f} minutes on two CPU cores. Made by
`python -m playground.metrics.train_judge`, which also measured `statistics.safetensors`.

**Limits**: it knows grey digits on black at 28x28 and nothing else; it gives every picture some digit, so a share read
"as any digit" is no proof of a digit. Raw distances differ between judges: compare rFD, and only with equal numbers of
pictures.

**Licence**: Apache-2.0 (weights and code).
"""


if __name__ == "__main__":
    main()
