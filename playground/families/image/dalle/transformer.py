"""The transformer (stage two): the tokens of a text, then the codes of its picture, each read from all before it.

Dimension letters: B sequences, L tokens, T of them text, N codes, E width, A heads, K codes in the codebook.

It is GPT-2's net (Radford et al. 2019), layer for layer: `convert` maps the weights both ways.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.image.dalle.config import Config


class Cache:
    """Keys and values of the tokens read so far, so that a new one is read without reading those again."""

    def __init__(self, layers: int, batch: int, heads: int, length: int, head: int, like: Tensor):
        self.kept = like.new_empty(layers, 2, batch, heads, length, head)
        self.length = 0

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep keys and values (B, A, L, E/A) of new tokens; returns those of all so far."""
        stop = self.length + k.shape[2]
        self.kept[layer, 0, :, :, self.length : stop] = k
        self.kept[layer, 1, :, :, self.length : stop] = v
        return self.kept[layer, 0, :, :, :stop], self.kept[layer, 1, :, :, :stop]


class Attention(nn.Module):
    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, A, L, E/A) of x (B, L, E)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor, cache: Cache | None, layer: int) -> Tensor:
        q, k, v = self.parts(x)
        if cache:
            k, v = cache.add(layer, k, v)
        seen = looks(q, k) @ v  # (B, A, L, E/A)
        return self.out(seen.transpose(1, 2).flatten(2))


def looks(q: Tensor, k: Tensor) -> Tensor:
    """How much each of L queries (B, A, L, E/A) takes from each of S keys (B, A, S, E/A) up to its own: (B, A, L, S).

    The queries are of the last L tokens. Written out: torch's fused attention is half as fast for so few tokens on a
    processor, most of it on the way back.
    """
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)
    length, all_ = scores.shape[2:]
    if length > 1:
        later = torch.ones(length, all_, dtype=torch.bool, device=q.device).triu(all_ - length + 1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1)


class Block(nn.Module):
    """Attention, then a perceptron, each added to what comes in: (B, L, E) to the same."""

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.attention = Attention(size, heads)
        self.norm2 = nn.LayerNorm(size)
        self.wide = nn.Linear(size, 4 * size)
        self.narrow = nn.Linear(4 * size, size)

    def forward(self, x: Tensor, cache: Cache | None = None, layer: int = 0) -> Tensor:
        x = x + self.attention(self.norm1(x), cache, layer)
        return x + self.narrow(F.gelu(self.wide(self.norm2(x)), approximate="tanh"))


def start_small(net: nn.Module, layers: int) -> None:
    """GPT-2's initial weights: N(0, 0.02), those that end a residual branch smaller by sqrt(2 layers)."""
    for name, module in net.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            ends = name.endswith(("attention.out", "narrow"))
            nn.init.normal_(module.weight, std=0.02 / (2 * layers) ** 0.5 if ends else 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class Transformer(nn.Module):
    blocks: Any  # of Block

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.tokens, config.size)  # also turns states into logits
        self.places = nn.Embedding(config.text_length + config.places, config.size)
        self.blocks = nn.ModuleList(Block(config.size, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.size)
        start_small(self, config.layers)

    def forward(self, text: Tensor, codes: Tensor, image_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective: cross-entropy of the next token, text (B, T) and codes (B, N) each on average.

        Pictures weigh `image_weight` times as much as texts (section 2.2: 7). A token of text is told from other tokens of
        text only, a code from other codes.
        """
        config = self.config
        states = self.states(self.joined(text, codes)[:, :-1])  # (B, T + N - 1, E)
        words, rest = states[:, : config.text_length - 1], states[:, config.text_length - 1 :]
        text_logits = words @ self.tokens.weight[: config.text_tokens].T  # (B, T - 1, text tokens)
        text_loss = F.cross_entropy(text_logits.flatten(0, 1).float(), text[:, 1:].flatten())
        image_loss = F.cross_entropy(self.code_logits(rest).flatten(0, 1).float(), codes.flatten())
        loss = (text_loss + image_weight * image_loss) / (1 + image_weight)
        return loss, {"text (nats)": text_loss.detach(), "codes (nats)": image_loss.detach()}

    def joined(self, text: Tensor, codes: Tensor) -> Tensor:
        """One sequence (B, T + N) of tokens: codes are numbered after the tokens of text."""
        return torch.cat([text, codes + self.config.text_tokens], dim=1)

    def states(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, L, E) for tokens (B, L), which follow those in the cache; the cache then holds them too."""
        first = cache.length if cache else 0
        h = self.tokens(tokens) + self.places.weight[first : first + tokens.shape[1]]
        for layer, block in enumerate(self.blocks):
            h = block(h, cache, layer)
        if cache:
            cache.length += tokens.shape[1]
        return self.norm(h)

    def logits(self, tokens: Tensor) -> Tensor:
        """(B, L, all tokens): what comes after each token of (B, L), as GPT-2 has it."""
        return self.states(tokens) @ self.tokens.weight.T

    def code_logits(self, states: Tensor) -> Tensor:
        """(..., K) of states (..., E): the codes alone."""
        return states @ self.tokens.weight[self.config.text_tokens :].T

    def cache(self, batch: int) -> Cache:
        config = self.config
        length = config.text_length + config.places
        return Cache(config.layers, batch, config.heads, length, config.size // config.heads, self.norm.weight)

    def next_code(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits (B, K) of the code that follows tokens (B, L), which follow those in the cache."""
        return self.code_logits(self.states(tokens, cache)[:, -1]).float()

    def attention(self, tokens: Tensor) -> Tensor:
        """(layers, B, A, L, L): how much each token (row) takes from each before it, in every layer and head."""
        h = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        found = []
        for block in self.blocks:
            q, k, _ = block.attention.parts(block.norm1(h))
            found.append(looks(q, k))
            h = block(h)
        return torch.stack(found)
