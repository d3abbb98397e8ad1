"""8-bit mu-law (ITU-T G.711, without its segments): 256 symbols, fine near silence and coarse where it is loud.

WaveNet's alphabet (van den Oord et al. 2016, arXiv:1609.03499, section 2.2):
f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), mu = 255, cut into 256 equal steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256
SILENCE = 128
"""The symbol of x = 0."""


def encode(samples: Tensor) -> Tensor:
    """Samples in [-1, 1], any shape (what is louder is clipped) -> symbols 0 ... 255, int64."""
    from torchaudio.functional import mu_law_encoding

    return mu_law_encoding(samples.clamp(-1, 1), LEVELS)


def decode(symbols: Tensor) -> Tensor:
    """Symbols 0 ... 255 (integers of any shape) -> the samples in [-1, 1] in the middle of their steps, float32."""
    from torchaudio.functional import mu_law_decoding

    return mu_law_decoding(symbols, LEVELS).to(torch.float32)
