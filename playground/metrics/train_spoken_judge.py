"""Trains the judges of spoken digits and measures them: `python -m playground.metrics.train_spoken_judge`.

Real recordings only, each time a little shifted, stretched, tilted in tone and noisy; for the judge of digits a quarter
of every batch is no digit. AdamW on a one-cycle schedule; the shipped weights are their running average. Three minutes
of one CPU core for both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from playground.metrics import judging
from playground.metrics import spoken_digit_judge as judges
from playground.metrics.recognition import CONFIDENCE, share_read
from playground.metrics.spoken_digit_judge import RATE, SAMPLES, Config, Judge
from playground.signal import edges, world
from playground.signal.griffin_lim import griffin_lim
from playground.signal.mel import DIGITS, log_mel

BATCH = 64
EPOCHS = 20
LEARNING_RATE = 4e-3
NO_DIGITS = 0.25
"""Share of a batch that is no digit."""
PIECES_MS = (30, 90)
"""Length of the pieces that shuffled digits are cut into."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the judges of spoken digits and of speakers, and measure them.")
    parser.add_argument("--out", type=Path, default=judges.FOLDER.parent, help="folder to write both into")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"passes over the data (default {EPOCHS})")
    options = parser.parse_args()
    from playground import data

    digits: Any = data.load("spoken_digits")
    train_x, test_x = ([part.audio(i) for i in range(len(part))] for part in (digits.train, digits.test))
    for folder, config, labels, test_labels in (
        (judges.FOLDER.name, Config(), digits.train.labels, digits.test.labels),
        (
            judges.SPEAKERS_FOLDER.name,
            Config(answers=digits.info.speakers),
            digits.train.speakers,
            digits.test.speakers,
        ),
    ):
        started = time.process_time()
        model = train(train_x, labels, config, options.epochs)
        minutes = (time.process_time() - started) / 60
        figures = measure(model, test_x, test_labels)
        write(options.out / folder, model, figures, options.epochs, minutes)
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        print(f"{options.out / folder}: {told}; {minutes:.1f} minutes of CPU time", flush=True)


def train(recordings: Sequence[Tensor], labels: Tensor, config: Config, epochs: int, seed: int = 0) -> Judge:
    """A judge trained on recordings (T_i,) at 8 kHz with labels (N,) among `config.answers`."""
    torch.manual_seed(seed)
    seconds, sounds = judges.listened(recordings, RATE)
    seconds, labels = seconds[sounds], labels[sounds]
    others = round(BATCH * NO_DIGITS) if judges.NO_DIGIT in config.answers else 0
    chosen = BATCH - others
    model = Judge(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = max(1, len(seconds) // chosen)
    steps = epochs * batches

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        for indices in torch.randperm(len(seconds)).split(chosen)[:batches]:
            x, y = disturbed(seconds[indices]), labels[indices]
            if others:
                x = torch.cat([x, no_digits(seconds, others)])
                y = torch.cat([y, torch.full((others,), config.answers.index(judges.NO_DIGIT))])
            yield jitter(x), y

    # The average reaches over about the last twentieth of all steps.
    return judging.fit(model, epoch, epochs, steps, LEARNING_RATE, decay=max(0.0, 1 - 20 / steps))


# --- What is changed ------------------------------------------------------------------------------------------


def uniform(n: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(n, 1)


def disturbed(seconds: Tensor) -> Tensor:
    """Seconds (N, SAMPLES), three in four under coloured noise 10 to 45 dB below them."""
    n = len(seconds)
    noise = coloured(n)
    below = 10 ** (-uniform(n, 10, 45) / 20) * (torch.rand(n, 1) < 0.75)
    return seconds + noise * below * _loudness(seconds) / _loudness(noise)


def _loudness(x: Tensor) -> Tensor:
    """RMS (N, 1) over what is not exactly silent."""
    return (x.square().sum(1, keepdim=True) / (x != 0).sum(1, keepdim=True).clamp_min(1)).sqrt().clamp_min(1e-5)


def jitter(seconds: Tensor) -> Tensor:
    """Pictures (N, 1, mels, FRAMES) of seconds: shifted by up to 0.1 s, up to 15% faster or slower, up to 6% higher
    or lower, and tilted in tone by up to 15 dB between the lowest and the highest mel."""
    mels = log_mel(seconds, DIGITS).transpose(1, 2)[:, None]  # (N, 1, mels, FRAMES)
    n = len(mels)
    tilt = uniform(n, -15, 15).view(n, 1, 1, 1) / 20
    pictures = judges.scaled(mels + tilt * torch.linspace(-0.5, 0.5, mels.shape[2])[:, None])
    speed, shift, height = uniform(n, 0.85, 1.15), uniform(n, -0.2, 0.2), uniform(n, -0.06, 0.06)
    zero = torch.zeros(n, 1)
    theta = torch.cat([speed, zero, shift, zero, 1 + height, height], 1).view(n, 2, 3)  # mel 0 stays mel 0
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, align_corners=False)


# --- What is no digit -----------------------------------------------------------------------------------------


def coloured(n: int) -> Tensor:
    """Noise (n, SAMPLES) whose power falls with frequency as f^-a, a between -0.5 and 2: bluish, white, pink, brown."""
    spectrum = torch.fft.rfft(torch.randn(n, SAMPLES))
    frequency = torch.arange(spectrum.shape[1]).clamp_min(10)
    return torch.fft.irfft(spectrum * frequency ** (-uniform(n, -0.5, 2) / 2), n=SAMPLES)


def no_digits(seconds: Tensor, n: int) -> Tensor:
    """n seconds (n, SAMPLES) that are no digits: noises, tones, babble of many, digits in shuffled pieces."""
    kinds = (noises, tones, lambda m: babble(seconds, m), lambda m: shuffled(seconds, m))
    made = [kind(n // 4 + (k < n % 4)) for k, kind in enumerate(kinds)]
    return torch.cat(made)


def noises(n: int) -> Tensor:
    """Steady noise, and bursts of it as long as a word."""
    burst = torch.ones(n, SAMPLES)
    length, middle = uniform(n, 0.1, 0.8), uniform(n, 0.3, 0.7)
    t = torch.arange(SAMPLES) / SAMPLES
    inside = ((t - middle).abs() < length / 2).float()
    return coloured(n) * torch.where(torch.rand(n, 1) < 0.5, burst, inside + 1e-3)


def tones(n: int) -> Tensor:
    """Hums of one to twelve harmonics of 60 to 1,000 Hz that glide by up to a fourth, steady or as long as a word."""
    t = torch.arange(SAMPLES) / RATE
    f0 = 60 * (1000 / 60) ** torch.rand(n, 1) * (1 + uniform(n, -0.25, 0.25) * t)
    phase = 2 * torch.pi * torch.cumsum(f0, 1) / RATE
    harmonics = torch.arange(1, 13)[:, None, None]  # (12, 1, 1)
    strength = torch.rand(12, n, 1) * (torch.arange(12)[:, None, None] < torch.randint(1, 13, (n, 1)))
    waves = (strength * torch.sin(harmonics * phase) * (harmonics * f0 < RATE / 2)).sum(0)
    envelope = torch.where(torch.rand(n, 1) < 0.5, torch.ones(n, SAMPLES), torch.hann_window(SAMPLES).expand(n, -1))
    return waves * envelope + 1e-3 * torch.randn(n, SAMPLES)


def babble(seconds: Tensor, n: int) -> Tensor:
    """Four to seven recordings at once, each from another moment on."""
    made = torch.zeros(n, SAMPLES)
    for k in range(7):
        voices = seconds[torch.randint(len(seconds), (n,))]
        starts = torch.randint(SAMPLES, (n, 1))
        turned = voices.gather(1, (torch.arange(SAMPLES) + starts) % SAMPLES)
        made += turned / _loudness(turned) * (k < torch.randint(4, 8, (n, 1)))
    return made


def shuffled(seconds: Tensor, n: int) -> Tensor:
    """Digits cut into pieces of 30 to 90 ms, in another order, each faded at its ends."""
    made = []
    for i in torch.randint(len(seconds), (n,)).tolist():
        word = edges.trim(seconds[i], RATE, keep_ms=0)
        size = int(RATE * float(uniform(1, *PIECES_MS)) / 1000)
        pieces = list(word.split(min(size, len(word) // 3 + 1)))
        order = torch.randperm(len(pieces)).tolist()
        if order == sorted(order):
            order.reverse()
        made.append(judges.centred(edges.join([pieces[k] for k in order], RATE)[:SAMPLES]))
    return torch.stack(made)


# --- Figures and card -----------------------------------------------------------------------------------------


def measure(model: Judge, recordings: Sequence[Tensor], labels: Tensor, others: int = 300) -> dict[str, float]:
    """What the judge makes of held-out recordings (T_i,) at 8 kHz, plain and altered, and of `others` of each kind
    that are no digits."""
    digits = judges.NO_DIGIT in model.config.answers
    answers = len(model.config.answers) - digits
    heard = lambda sounds, rate=RATE: judges.probabilities_of(sounds, rate, model)[:, :answers]
    right = lambda p: float((p.argmax(1) == labels).double().mean())
    silence = torch.zeros(RATE // 4)
    plain = heard(recordings)
    found = {
        "accuracy": right(plain),
        "share_as_asked": share_read(plain, labels),
        "share_as_any": share_read(plain, None),
        "accuracy_padded": right(heard([torch.cat([silence, x, silence]) for x in recordings])),
        "accuracy_noisy": right(heard([x + 0.1 * x.square().mean().sqrt() * torch.randn(len(x)) for x in recordings])),
        "accuracy_quiet": right(heard([0.05 * x for x in recordings])),
        "accuracy_16k": right(heard([edges.resample(x, RATE, 2 * RATE) for x in recordings], 2 * RATE)),
        "accuracy_world": right(heard([_by_world(x) for x in recordings])),
        "accuracy_griffin_lim": right(heard([_by_griffin_lim(x) for x in recordings])),
    }
    if digits:
        seconds, _ = judges.listened(recordings, RATE)
        made = {"white_noise": 0.1 * torch.randn(others, SAMPLES), "noise": noises(others), "tones": tones(others)}
        made |= {"babble": babble(seconds, others), "shuffled": shuffled(seconds, others)}
        found |= {f"confident_{name}": share_read(heard(list(x)), None) for name, x in made.items()}
    return found


def _by_world(x: Tensor) -> Tensor:
    return world.synthesise(world.analyse(x, RATE).world())


def _by_griffin_lim(x: Tensor) -> Tensor:
    """Through the mels of the 8 kHz track; what is shorter than they need gets silence at its end."""
    return griffin_lim(log_mel(F.pad(x, (0, max(0, 1024 - len(x)))), DIGITS), DIGITS)


MEANINGS = {
    "accuracy": "accuracy on the 300 recordings of the test split (indices 0 to 4)",
    "share_as_asked": f"of them heard as their label with over {CONFIDENCE} confidence (the ceiling)",
    "share_as_any": f"of them heard as any with over {CONFIDENCE} confidence",
    "accuracy_padded": "accuracy with a quarter of a second of silence at both ends",
    "accuracy_noisy": "accuracy under white noise 20 dB below the voice",
    "accuracy_quiet": "accuracy 26 dB quieter",
    "accuracy_16k": "accuracy at 16 kHz",
    "accuracy_world": "accuracy after WORLD analysis and synthesis",
    "accuracy_griffin_lim": "accuracy after Griffin-Lim-32 from 64 mels",
    "confident_white_noise": "white noise read as a digit with that confidence",
    "confident_noise": "coloured noise and bursts read so",
    "confident_tones": "hums and glides read so",
    "confident_babble": "babble of four to seven voices read so",
    "confident_shuffled": "digits in shuffled pieces of 30 to 90 ms read so",
}


def write(folder: Path, model: Judge, figures: dict[str, float], epochs: int, minutes: float) -> None:
    """Write a judge's folder: weights, config, figures, model card, checksums."""
    stored = {name: torch.tensor(value, dtype=torch.float64) for name, value in figures.items()}
    judging.write(folder, model, model.config, stored, card(model, figures, epochs, minutes))


def card(model: Judge, figures: dict[str, float], epochs: int, minutes: float) -> str:
    digits = judges.NO_DIGIT in model.config.answers
    title = "The judge of spoken digits" if digits else "The judge of speakers"
    what = (
        "which English digit is said, or that none is" if digits else f"who speaks: {', '.join(model.config.answers)}"
    )
    rows = "\n".join(f"| {MEANINGS[name]} | {value:.2%} |" for name, value in figures.items())
    negatives = (
        f" {NO_DIGITS:.0%} of every batch is no digit: coloured noise and bursts, hums and glides, babble, digits in "
        "shuffled\npieces; these are the eleventh answer."
        if digits
        else ""
    )
    limits = (
        "it knows single English digits by six speakers. A digit's confidence is its share among eleven answers;\n"
        f"silence (below {edges.SILENCE_DB:.0f} dB RMS) is read with confidence 0. Other words were never heard, and may be\n"
        "taken for digits."
        if digits
        else "it knows six voices in their own rooms, and gives every sound to one of them."
    )
    return f"""---
license: apache-2.0
library_name: pytorch
tags: [audio-classification, evaluation]
---

# {title}

A small convolutional classifier ({sum(p.numel() for p in model.parameters()):,} parameters) of recordings of single spoken
digits. It hears {what}. The playground's speech families are judged by it.

| figure | value |
| --- | --- |
{rows}

**Data**: Free Spoken Digit Dataset by Zohar Jackson and contributors, CC BY-SA 4.0; trained on indices 5 to 49 of each
digit and speaker only.

**Recipe**: {epochs} epochs of batches of {BATCH}, cross-entropy, AdamW (weight decay 0.05) on a one-cycle schedule to
{LEARNING_RATE}, dropout 0.3 before the last layer; log-mels of one second at 8 kHz, shifted, stretched, tilted in tone and
under noise; running average of the weights over the last twentieth.{negatives} {minutes:.1f} minutes of CPU time. Made by
`python -m playground.metrics.train_spoken_judge`, which also measured `statistics.safetensors`.

**Limits**: {limits}

**Licence**: Apache-2.0 (weights and code).
"""


if __name__ == "__main__":
    main()
