"""From a text to speech, sentence by sentence: what a voice can be asked to say, its second tries, and what to tell of it.

The text is split into sentences that are no longer than those the voice has learned from. Each is spoken by the model,
looked at (`alignment.faults`), and spoken anew where attention went astray: the prenet's dropout draws another way. The
sentences are joined as mels with silence between, so that nothing clicks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from playground import alignment, controls
from playground.alignment import FAULTS, Fault, faults
from playground.contract import BadSetting, Control, DataInfo, Mel, Output, Scene, Text, Words
from playground.spoken_batches import FLOOR, Spoken
from playground.text import ENGLISH_PHONES, Alphabet, Reading, unread
from playground.text.alphabet import SPECIAL, unique
from playground.text.normalise import PAUSES

TRIES = 3
LONGEST_TEXT = 2000
"""Characters that are spoken of a text: two minutes of speech."""
GAP = 16
"""Frames of silence between two sentences, a quarter of a second."""
ROOM = 1.3
"""How much slower than the slowest recording a sentence may be spoken before it counts as without end."""
SHOWN = 8


class Experience(nn.Module):
    """What a voice has met in training; it is kept with the weights.

    heard: (symbols,) 1 for those that were in a text. longest: symbols of the longest text. slowest: frames a symbol, in
    the slowest of the longer recordings.
    """

    heard: Tensor
    longest: Tensor
    slowest: Tensor

    def __init__(self, symbols: int):
        super().__init__()
        self.register_buffer("heard", torch.zeros(symbols))
        self.register_buffer("longest", torch.tensor(80.0))
        self.register_buffer("slowest", torch.tensor(8.0))

    def meet(self, spoken: Spoken) -> None:
        """Take note of everything in a training set."""
        texts = spoken.texts
        self.heard[torch.cat(texts).unique()] = 1.0
        self.longest.fill_(max(len(text) for text in texts))
        pace = torch.tensor([len(m) / (len(t) + 4) for m, t in zip(spoken.mels, texts, strict=True)])
        self.slowest.fill_(float(pace.max()))

    def most_frames(self, symbols: int) -> int:
        """After so many frames a text of that many symbols has no end."""
        return round(ROOM * float(self.slowest) * (symbols + 4))


# --- What is to be said ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """The sentences of a text; `unknown` signs that cannot be read; `unheard` symbols that the voice never met; and how
    many characters of an enormous text are left out."""

    readings: tuple[Reading, ...]
    unknown: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    left_out: int = 0


def script(text: str, alphabet: Alphabet, experience: Experience) -> Script:
    """What a voice is to say of a text. A number with sounds that the voice never met is read digit by digit, a pause that
    it never met is no symbol."""
    taken = text[:LONGEST_TEXT]
    if set(unheard_in(alphabet.read(taken).symbols, alphabet, experience)) - set(PAUSES):
        taken = re.sub(r"\d", r" \g<0> ", taken)
    most = int(experience.longest)
    whole = alphabet.sentences(taken, longest=max(1, most))
    silent = set(unheard_in(PAUSES, alphabet, experience))
    readings = [without(silent, part, alphabet) for reading in whole for part in shorter(reading, alphabet, most)]
    unknown = unique(sign for reading in whole for sign in reading.unknown)
    unheard = unheard_in([symbol for reading in readings for symbol in reading.symbols], alphabet, experience)
    return Script(tuple(readings), unknown, unheard, len(text) - len(text[:LONGEST_TEXT]))


def shorter(reading: Reading, alphabet: Alphabet, most: int) -> list[Reading]:
    """The reading in parts of at most so many symbols, split at commas, else between words; nothing where it is silent."""
    if reading.empty:
        return []
    if len(reading.ids) <= most or len(reading.words) < 2:
        return [reading]
    parts = alphabet.sentences(reading.words, longest=len(reading.words) - 1)
    return [piece for part in parts for piece in shorter(part, alphabet, most)]


def without(marks: set[str], reading: Reading, alphabet: Alphabet) -> Reading:
    """The reading without some marks: a voice that never met a comma is not given one."""
    if not marks.intersection(reading.symbols):
        return reading
    symbols = tuple(symbol for symbol in reading.symbols if symbol not in marks)
    dropped = {alphabet.symbols.index(mark) for mark in marks}
    return replace(reading, ids=tuple(i for i in reading.ids if i not in dropped), symbols=symbols)


def unheard_in(symbols: Iterable[str], alphabet: Alphabet, experience: Experience) -> tuple[str, ...]:
    met = {s for s, heard in zip(alphabet.symbols, experience.heard.tolist(), strict=True) if heard}
    return unique(symbol for symbol in symbols if symbol not in met and symbol not in SPECIAL) if met else ()


# --- Saying it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Utterance:
    """A sentence as a model spoke it. mel: (frames, mels) log10. attention: (steps, N), what each step of the decoder
    looked at. stop: (steps,) probability that the step is the last. ended: whether one was, before the limit."""

    mel: Tensor
    attention: Tensor
    stop: Tensor
    ended: bool


@dataclass(frozen=True, eq=False)
class Piece:
    """A sentence, the best of the tries at it, and what is wrong with that one still."""

    reading: Reading
    utterance: Utterance
    faults: tuple[Fault, ...]
    tries: int


def spoken(
    say: Callable[[Reading], Utterance], readings: Sequence[Reading], tries: int = TRIES
) -> Iterator[list[Piece]]:
    """The pieces so far, after each sentence. `say` speaks one; each call should draw anew."""
    pieces: list[Piece] = []
    for reading in readings:
        best: Piece | None = None
        for k in range(1, tries + 1):
            utterance = say(reading)
            found = faults(utterance.attention, utterance.ended)
            if best is None or len(found) < len(best.faults):
                best = Piece(reading, utterance, found, k)
            if not found:
                break
        assert best is not None
        pieces.append(Piece(best.reading, best.utterance, best.faults, k))
        yield list(pieces)


def joined(pieces: Sequence[Piece]) -> Tensor:
    """The mel of all sentences, (frames, mels) log10, with `GAP` frames of silence between two."""
    mels = [piece.utterance.mel for piece in pieces]
    silence = mels[0].new_full((GAP, mels[0].shape[1]), FLOOR)
    return torch.cat([part for mel in mels for part in (silence, mel)][1:])


# --- Telling of it --------------------------------------------------------------------------------------------


def title(pieces: Sequence[Piece], who: str = "") -> Text:
    """What stands over the sound of some sentences."""
    n, words = len(pieces), pieces[0].reading.words
    by: Text = {"en": f", spoken by {who}" if who else "", "ko": f" ({who}의 목소리)" if who else ""}
    if n == 1:
        return {"en": f"“{words}”{by['en']}", "ko": f"“{words}” 문장{by['ko']}"}
    return {"en": f"{n} sentences{by['en']}", "ko": f"문장 {n}개{by['ko']}"}


def remarks(said: Script, pieces: Sequence[Piece]) -> list[Output]:
    """What a listener should be told: what was left out, what was tried again, and what is wrong still."""
    told: list[Text] = []
    if not said.readings:
        told.append({"en": "There is nothing to be said.", "ko": "말할 것이 없습니다."})
    if signs := unread(said.unknown):
        told.append(signs)
    if said.unheard:
        names = " ".join(said.unheard[:SHOWN]) + (" ..." if len(said.unheard) > SHOWN else "")
        told.append({"en": f"Never heard in training: {names}", "ko": f"학습 중에 들어 본 적이 없는 소리: {names}"})
    if said.left_out:
        told.append(
            {
                "en": f"Only the first {LONGEST_TEXT:,} characters are spoken; {said.left_out:,} are left out.",
                "ko": f"처음 {LONGEST_TEXT:,}자만 말합니다. {said.left_out:,}자는 뺐습니다.",
            }
        )
    for k, piece in enumerate(pieces, 1):
        told += astray(piece, k if len(pieces) > 1 else 0)
    return [Words(text) for text in told]


def astray(piece: Piece, place: int) -> list[Text]:
    """What to tell of a sentence that took several tries. place: its number, 0 for the only one."""
    which: Text = {"en": f"Sentence {place}" if place else "The sentence", "ko": f"문장 {place}" if place else "문장"}
    if piece.faults:
        kinds = {language: ", ".join(FAULTS[fault][language] for fault in piece.faults) for language in ("en", "ko")}
        return [
            {
                "en": f"{which['en']} went astray in {piece.tries} tries ({kinds['en']}); this is the best of them.",
                "ko": f"{which['ko']}: {piece.tries}번 시도했지만 어긋났습니다({kinds['ko']}). 그중 가장 나은 것입니다.",
            }
        ]
    if piece.tries > 1:
        return [
            {
                "en": f"{which['en']} went astray at first and was spoken again: try {piece.tries} is right.",
                "ko": f"{which['ko']}: 처음에 어긋나 다시 말했습니다. {piece.tries}번째 시도가 맞습니다.",
            }
        ]
    return []


# --- The page -------------------------------------------------------------------------------------------------

ENGLISH = "The early train was late, but nobody seemed to mind."
KOREAN = "동생이 강가에서 노래를 만들었습니다."
DIGITS = "3 1 4 1 5"
Texts: TypeAlias = Mapping[str, str | None]
"""What each of the text controls holds."""


class Reader(Protocol):
    """A model that reads texts aloud."""

    config: Any
    experience: Experience

    def say(self, reading: Reading, speaker: int, rng: torch.Generator) -> Utterance: ...


def of_digits(config: Any, info: DataInfo) -> bool:
    """Whether the recordings say nothing but digits."""
    return "digit" in info.name


def of_english(config: Any, info: DataInfo) -> bool:
    return config.symbols == ENGLISH_PHONES.symbols and not of_digits(config, info)


def of_others(config: Any, info: DataInfo) -> bool:
    return not of_english(config, info) and not of_digits(config, info)


CONTROLS = (
    Control("text", "text", {"en": "Text", "ko": "글"}, ENGLISH, when=of_english),
    Control("digits", "text", {"en": "Digits", "ko": "숫자"}, DIGITS, when=of_digits),
    Control("text_ko", "text", {"en": "Korean text", "ko": "글"}, KOREAN, when=of_others),
    Control(
        "speaker", "choice", {"en": "Voice", "ko": "목소리"}, 0, choices=controls.speaker_names, when=controls.several_speakers
    ),
    controls.seed(),
)  # fmt: skip
"""What every view of such a model asks for."""


def asked(texts: Texts, alphabet: Alphabet, experience: Experience) -> Script:
    """The script of the one text control that was shown."""
    return script(next((text for text in texts.values() if text), ""), alphabet, experience)


def first(reader: Reader, texts: Texts) -> Reading:
    """The first sentence of what is asked for. Raises `BadSetting` where nothing is to be said."""
    said = asked(texts, reader.config.alphabet, reader.experience)
    if not said.readings:
        raise BadSetting("text: there is nothing to be said in it", "글: 말할 것이 없습니다")
    return said.readings[0]


def seconds_of(reader: Reader, frames: int) -> float:
    return frames * reader.config.front.hop / reader.config.sample_rate


def aloud(
    reader: Reader, scene: Scene, speaker: int | None, texts: Texts, say: Callable[[Reading], Utterance] | None = None
) -> Iterator[list[Output]]:
    """What is asked for, sentence after sentence, with the attention of the last. say: of the reader, where it is another."""
    said = asked(texts, reader.config.alphabet, reader.experience)
    who = reader.config.speakers[speaker or 0] if len(reader.config.speakers) > 1 else ""
    pieces: list[Piece] = []
    drawn: list[Output] = []
    for pieces in spoken(say or partial(reader.say, speaker=speaker or 0, rng=scene.rng), said.readings):
        n, last = len(pieces), pieces[-1].utterance
        where: Text = {"en": "Where it looks as it speaks", "ko": "말하면서 보는 곳"}
        if len(said.readings) > 1:
            where = {"en": f"Where it looks in sentence {n}", "ko": f"문장 {n}에서 보는 곳"}
        drawn = [
            Mel(joined(pieces), reader.config.sample_rate, title(pieces, who)),
            alignment.picture(last.attention, seconds_of(reader, len(last.mel)), where),
        ]
        yield drawn
    if (told := remarks(said, pieces)) or not drawn:
        yield [*drawn, *told]
