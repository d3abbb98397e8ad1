"""Captions as tokens: byte pairs merged by how often they meet, kept in tensors, and what was read while learning them.

Sennrich et al. (2016), arXiv:1508.07909, on bytes as in GPT-2: no text is unreadable, but words that no caption had fall
into pieces that mean nothing to the transformer. So the words that were read are kept too, to be able to say which
words of a text were not.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from playground.contract import BadSetting, DataInfo, Examples
from playground.families.image.dalle.config import BYTES, Config

Pair = tuple[int, int]
Variants = tuple[str, ...]
"""A picture's captions: in English first, then in Korean where it has one."""

NOTES = 65_536
"""Bytes for the notes that go with the tokens."""
EXAMPLES = 48
"""Captions kept as examples of what may be asked for."""

NUMBERS: dict[str, Variants] = {
    "0": ("zero", "영", "0"),
    "1": ("one", "하나", "일", "1"),
    "2": ("two", "둘", "이", "2"),
    "3": ("three", "셋", "삼", "3"),
    "4": ("four", "넷", "사", "4"),
    "5": ("five", "다섯", "오", "5"),
    "6": ("six", "여섯", "육", "6"),
    "7": ("seven", "일곱", "칠", "7"),
    "8": ("eight", "여덟", "팔", "8"),
    "9": ("nine", "아홉", "구", "9"),
}
"""Digits by word."""


def captions_of(examples: Examples, info: DataInfo) -> list[Variants]:
    """The captions of each picture: those it has, or the words for its class. Raises `BadSetting` where it has neither."""
    if examples.texts is not None:
        korean = getattr(examples, "texts_ko", None) or [""] * len(examples)
        return [tuple(filter(None, both)) for both in zip(examples.texts, korean, strict=True)]
    if examples.labels is None:
        raise BadSetting(
            f"{info.name} has neither captions nor classes: nothing that a picture could be asked for by",
            f"{info.name}: 설명도 클래스도 없어서, 그림을 글로 요청할 수 없습니다",
        )
    words = [NUMBERS.get(name, (name,)) for name in info.class_names]
    return [words[label] for label in examples.labels.tolist()]


def words_of(text: str) -> list[str]:
    """The words as they are learnt and looked up: composed letters, no capitals."""
    return unicodedata.normalize("NFC", text).lower().split()


def learn_merges(words: Mapping[str, int], most: int) -> list[Pair]:
    """The pairs to merge, the most frequent first, by how often each word was read; at most `most`.

    Token BYTES + i stands for the i-th pair. Pairs that occur once are left alone; of equals the smaller tokens go first.
    """
    pieces, often = [list(f" {word}".encode()) for word in words], list(words.values())
    count: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, word in enumerate(pieces):
        for pair in pairwise(word):
            count[pair] += often[i]
            where[pair].add(i)
    found: list[Pair] = []
    while len(found) < most and count:
        best = max(count, key=lambda pair: (count[pair], -pair[0], -pair[1]))
        if count[best] < 2:
            break
        for i in where.pop(best):
            for pair in pairwise(pieces[i]):
                count[pair] -= often[i]
            pieces[i] = merge(pieces[i], best, BYTES + len(found))
            for pair in pairwise(pieces[i]):
                count[pair] += often[i]
                where[pair].add(i)
        found.append(best)
        count = +count  # without the pairs that are gone
    return found


def merge(pieces: Sequence[int], pair: Pair, token: int) -> list[int]:
    """`pieces` with `token` wherever the pair stood, from the left."""
    made: list[int] = []
    for piece in pieces:
        # A token just made is not one of the pair: it is newer than both.
        if made and (made[-1], piece) == pair:
            made[-1] = token
        else:
            made.append(piece)
    return made


class Text(nn.Module):
    """The tokens of text, learnt once from the captions of the training pictures."""

    merges: Tensor
    notes: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.length, self.first_pad = config.text_length, BYTES + config.merges
        self.register_buffer("merges", torch.full((config.merges, 2), -1, dtype=torch.int32))
        self.register_buffer("notes", torch.full((NOTES,), ord(" "), dtype=torch.uint8))

    def learn(self, captions: Sequence[Variants]) -> None:
        """Learn the pairs to merge, unless they are known, and note what was read: words, and captions as examples.

        Words are noted as far as there is room, the frequent ones first.
        """
        words = Counter(word for variants in captions for text in variants for word in words_of(text))
        if not self.pairs():
            found = learn_merges(words, len(self.merges))
            self.merges[: len(found)] = torch.tensor(found, dtype=torch.int32).view(-1, 2)
        apart = list(dict.fromkeys(captions))
        examples = self.examples or apart[:: max(1, len(apart) // EXAMPLES)][:EXAMPLES]
        known = dict.fromkeys([*self.words, *(word for word, _ in words.most_common())])
        self._note(examples, known)

    def recall(self, pairs: Sequence[Pair], examples: Sequence[Variants], words: Iterable[str]) -> None:
        """Take up what another has learnt."""
        self.merges[: len(pairs)] = torch.tensor(pairs, dtype=torch.int32).view(-1, 2)
        if examples:
            self._note(examples, words)

    def _note(self, examples: Sequence[Variants], words: Iterable[str]) -> None:
        """JSON in UTF-8, the rest spaces."""
        kept: dict[str, list] = {"examples": [list(variants) for variants in examples], "words": []}
        room = NOTES - len(_json(kept))
        for word in words:
            room -= len(_json(word)) + 2  # the comma and space between two
            if room < 0:
                break
            kept["words"].append(word)
        self.notes[:] = torch.tensor(list(_json(kept).ljust(NOTES)), dtype=torch.uint8)

    def _noted(self) -> dict[str, list]:
        return json.loads(bytes(self.notes.tolist()) or b"{}") if int(self.notes[0]) != ord(" ") else {}

    @property
    def examples(self) -> list[Variants]:
        """Captions that the training pictures had, each in its languages."""
        return [tuple(variants) for variants in self._noted().get("examples", [])]

    @property
    def words(self) -> list[str]:
        """The words that were read."""
        return self._noted().get("words", [])

    def pairs(self) -> list[Pair]:
        return [(a, b) for a, b in self.merges.tolist() if a >= 0]

    def unknown(self, text: str) -> list[str]:
        """The words of a text that no caption had."""
        known = set(self.words)
        return [word for word in dict.fromkeys(words_of(text)) if word not in known]

    def pieces(self, texts: Iterable[str]) -> list[list[list[int]]]:
        """The tokens of each word of each text, however long it is."""
        rank = {pair: i for i, pair in enumerate(self.pairs())}
        known: dict[str, list[int]] = {}

        def tokens(word: str) -> list[int]:
            made = list(f" {word}".encode())
            while len(made) > 1:
                pair = min(pairwise(made), key=lambda pair: rank.get(pair, len(rank)))
                if pair not in rank:
                    break
                made = merge(made, pair, BYTES + rank[pair])
            return made

        every = [words_of(text) for text in texts]
        for word in {word for words in every for word in words}:
            known[word] = tokens(word)
        return [[known[word] for word in words] for words in every]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(B, T) int64: tokens, and after them the pads of the places left (section 2.2). One place at least is a pad.

        What does not fit is left out; `overlong` tells.
        """
        pads = list(range(self.first_pad, self.first_pad + self.length))
        rows = []
        for words in self.pieces(texts):
            tokens = [token for word in words for token in word][: self.length - 1]
            rows.append(tokens + pads[len(tokens) :])
        return torch.tensor(rows, dtype=torch.int64, device=self.merges.device).view(-1, self.length)

    def overlong(self, text: str) -> int:
        """Tokens that a text has more than fit."""
        (words,) = self.pieces([text])
        return max(0, sum(map(len, words)) - (self.length - 1))

    def spans(self, text: str) -> list[tuple[str, int, int]]:
        """(word, first place, place after its last) of each word that is read, in part at least."""
        (words,) = self.pieces([text])
        found, start = [], 0
        for word, tokens in zip(words_of(text), words, strict=True):
            stop = min(start + len(tokens), self.length - 1)
            if start < stop:
                found.append((word, start, stop))
            start = stop
        return found


def _json(thing: object) -> bytes:
    return json.dumps(thing, ensure_ascii=False).encode()
