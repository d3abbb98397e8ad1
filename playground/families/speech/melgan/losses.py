"""The losses: of the game, of what the discriminators hear, and of spectra at several resolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from playground.signal.mel import Front, log_mel

WINDOWS = (2.0, 1.0, 0.5, 0.25)
"""Windows of the transforms that are compared, in those of the mels (64 ms); each is moved on by a quarter of itself."""
MELS = 2.0
"""Weight of the mels' distance beside that of spectra."""
QUIETEST = 1e-2
"""Added to magnitudes, as power: more than 70 dB below the loudest of speech, where nothing is heard beside it."""

QUIETEST_MEL = 3e-4
"""The same for mels, which are smaller: each is the mean of some magnitudes, of unit area."""

Heard = Sequence[Sequence[Tensor]]
"""What each layer of each discriminator makes of samples; the last of each are scores."""


def discriminator_hinge(real: Heard, fake: Heard) -> Tensor:
    """Section 2.3, eq. 1: the sum over the scales of E[max(0, 1 - D_k(x))] + E[max(0, 1 + D_k(G(s)))]."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([F.relu(1 - x[-1]).mean() + F.relu(1 + g[-1]).mean() for x, g in pairs]).sum()


def generator_hinge(fake: Heard) -> Tensor:
    """Eq. 2: the sum over the scales of E[-D_k(G(s))]."""
    return -torch.stack([g[-1].mean() for g in fake]).sum()


def feature_matching(real: Heard, fake: Heard) -> Tensor:
    """Eq. 3: the sum over scales and layers of the mean absolute difference of their maps, scores left out."""
    pairs = ((a, b) for x, g in zip(real, fake, strict=True) for a, b in zip(x[:-1], g[:-1], strict=True))
    return torch.stack([F.l1_loss(b, a) for a, b in pairs]).sum()


def distance(made: Tensor, wanted: Tensor, front: Front) -> Tensor:
    """How far samples (B, T) are from those wanted, by spectra and mels: what the warm-up makes small."""
    return spectral_distance(made, wanted, front) + MELS * mel_distance(made, wanted, front)


def spectral_distance(made: Tensor, wanted: Tensor, front: Front) -> Tensor:
    """How far spectra of samples (B, T) are from those wanted, at several resolutions.

    Yamamoto et al. (2019), arXiv:1910.11480, eq. 5 to 7: spectral convergence and the mean difference of log magnitudes,
    each averaged over the resolutions.
    """
    total = made.new_zeros(())
    for share in WINDOWS:
        n = round(share * front.n_fft)
        a, b = magnitudes(made, n), magnitudes(wanted, n)  # (B, bins, frames)
        convergence = (b - a).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)
        total = total + convergence.mean() + F.l1_loss(a.log(), b.log())
    return total / len(WINDOWS)


def mel_distance(made: Tensor, wanted: Tensor, front: Front) -> Tensor:
    """The mean difference of natural logs of mels: Kong et al. (2020), arXiv:2010.05646, section 2.4."""
    a, b = ((10 ** log_mel(x.float(), front) + QUIETEST_MEL).log() for x in (made, wanted))
    return F.l1_loss(a, b)


def magnitudes(samples: Tensor, n: int) -> Tensor:
    """Magnitudes (B, n // 2 + 1, frames) of windows of n samples, at least `QUIETEST`: silence has a slope too."""
    window = torch.hann_window(n, device=samples.device)
    transformed = torch.stft(samples.float(), n, n // 4, window=window, return_complex=True)
    power = transformed.real.square() + transformed.imag.square()
    return (power + QUIETEST**2).sqrt()
