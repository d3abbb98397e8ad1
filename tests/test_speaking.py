"""What voices that read share: guides and faults of attention, batches, sentences and their second tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from playground import alignment, data
from playground.contract import BadSetting, Words
from playground.metrics import digit_strings
from playground.speaking import (
    GAP,
    LONGEST_TEXT,
    TRIES,
    Experience,
    Script,
    Utterance,
    joined,
    remarks,
    script,
    spoken,
)
from playground.spoken_batches import FLOOR, SILENCE, TAIL, Spoken, restored, scaled
from playground.text import ENGLISH_LETTERS, ENGLISH_PHONES, KOREAN_PHONES

# --- Alignment ------------------------------------------------------------------------------------------------


def test_the_guide_is_the_one_that_speecht5_is_trained_with():
    from transformers import SpeechT5Config
    from transformers.models.speecht5.modeling_speecht5 import SpeechT5GuidedMultiheadAttentionLoss

    theirs = SpeechT5GuidedMultiheadAttentionLoss(SpeechT5Config(guided_attention_loss_sigma=0.3))
    text, frames = torch.tensor([7, 5, 3]), torch.tensor([11, 4, 9])
    inside = [torch.arange(int(n.max())) < n[:, None] for n in (text, frames)]
    wanted = theirs._make_guided_attention_masks(*inside, torch.device("cpu"))[:, 0]
    assert torch.allclose(alignment.guided_weights(text, frames, 0.3), wanted, atol=1e-6)
    attention = torch.rand(3, 11, 7).softmax(2) * (inside[0][:, None] & inside[1][:, :, None])
    cost = sum(float((attention[i] * wanted[i]).sum()) for i in range(3)) / 24
    assert float(alignment.guided_loss(attention, text, frames, 0.3)) == pytest.approx(cost, rel=1e-5)


def path(*symbols: int, n: int = 20) -> Tensor:
    """Attention that gives all of itself to one symbol a step."""
    return torch.nn.functional.one_hot(torch.tensor(symbols), n).float()


WHOLE = tuple(range(20))


@pytest.mark.parametrize(
    ("symbols", "ended", "found"),
    [
        (WHOLE, True, ()),
        (tuple(range(0, 20, 3)), True, ()),  # fast, but nothing is missed
        (WHOLE, False, ("run-on",)),
        ((*range(6), *range(14, 20)), True, ("skip",)),
        (tuple(range(9, 20)), True, ("skip",)),  # it begins in the middle
        (tuple(range(12)), True, ("skip",)),  # it never gets to the end
        ((*range(12), *range(4, 20)), True, ("repeat",)),
        ((*range(12), 10, *range(11, 20)), True, ()),  # it hesitates
        ((0, 1, 2, 19, 2, 3), False, ("run-on", "skip", "repeat")),
    ],
)
def test_faults_of_attention_are_found_and_named(symbols, ended, found):
    assert alignment.faults(path(*symbols), ended) == found
    for language in ("en", "ko"):
        assert all(alignment.FAULTS[kind][language] for kind in found)


def test_diagonality_and_focus_of_attentions_that_are_known():
    assert alignment.diagonality(path(*WHOLE)) == pytest.approx(1.0)
    assert alignment.focus(path(*WHOLE)) == pytest.approx(1.0)
    even = torch.full((200, 100), 0.01)
    assert alignment.diagonality(even) == pytest.approx(0.36, abs=0.01)  # the band's share of the square
    assert alignment.focus(even) == pytest.approx(0.01)
    assert alignment.diagonality(path(*WHOLE).flip(0)) < 0.25


# --- Batches --------------------------------------------------------------------------------------------------


@dataclass
class Examples:
    """Recordings of a tone, the k-th of (k + 5) * 512 samples."""

    texts: tuple[str, ...] | None
    rate: int = 16_000
    speakers: Tensor | None = None

    def __len__(self) -> int:
        return 60

    def audio(self, i: int) -> Tensor:
        return 0.1 * torch.sin(0.3 * torch.arange((i % 60 + 5) * 512).float())


def recordings(**changes: Any) -> Examples:
    texts = tuple(["one", "two", "three", "four"][k % 4] for k in range(60))
    return Examples(**{"texts": texts, "speakers": torch.arange(60) % 3, **changes})


def test_a_batch_holds_texts_mels_and_speakers_of_like_length():
    made = Spoken(recordings(), ENGLISH_PHONES, first=2)
    text, text_length, mel, mel_length, speaker = made.batch(torch.tensor([31, 7, 50, 2]))
    assert (text.dtype, mel.dtype) == (torch.int64, torch.float16)
    assert int(mel_length.max()) == mel.shape[1] <= 1.8 * int(mel_length.min())
    for i in range(4):
        k = (int(mel_length[i]) - TAIL - 1) // 2 - 5  # which of the recordings it is
        ids = ENGLISH_PHONES.read(recordings().texts[k]).ids
        assert text[i, : int(text_length[i])].tolist() == list(ids)
        assert not text[i, int(text_length[i]) :].any()
        assert int(speaker[i]) == 2 + k % 3
        assert bool((mel[i, int(mel_length[i]) - TAIL :] == torch.tensor(SILENCE).half()).all())


def test_the_same_indices_give_the_same_batch_and_all_are_drawn_equally_often():
    made = Spoken(recordings(), ENGLISH_PHONES)
    drawn = torch.zeros(200)
    for epoch in range(300):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(epoch))
        for part in order.split(4):
            drawn += torch.bincount(made.batch(part)[3], minlength=200)
    times = drawn[drawn > 0]
    assert len(times) == 60
    assert float(times.min()) > 220
    assert float(times.max()) < 380  # 300 on average
    one, same = (made.batch(torch.tensor([3, 9, 12, 44])) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))


def test_a_batch_larger_than_the_set_repeats_it():
    few = Spoken(recordings(), ENGLISH_PHONES)
    few.texts, few.mels, few.speakers = few.texts[:3], few.mels[:3], few.speakers[:3]
    assert few.batch(torch.tensor([2, 0, 1, 2, 0, 1, 1]))[3].unique().numel() == 3


def test_what_a_voice_learns_on_is_of_one_scale_and_comes_back():
    mel = torch.linspace(-6, 1, 50)
    assert torch.allclose(restored(scaled(mel)), mel.clamp_min(FLOOR), atol=1e-6)
    quiet, loud = (Spoken(Louder(gain), ENGLISH_PHONES).mels[30].float() for gain in (0.01, 0.9))
    assert torch.allclose(quiet, loud, atol=0.05)


class Louder(Examples):
    def __init__(self, gain: float):
        super().__init__(recordings().texts)
        self.gain = gain

    def audio(self, i: int) -> Tensor:
        return self.gain * super().audio(i)


def test_recordings_without_texts_or_of_another_rate_are_refused():
    with pytest.raises(BadSetting, match="texts"):
        Spoken(recordings(texts=None), ENGLISH_PHONES)
    with pytest.raises(BadSetting, match="22,050"):
        Spoken(recordings(rate=22_050), ENGLISH_PHONES)


# --- What is to be said ---------------------------------------------------------------------------------------


def experienced(text: str, alphabet: Any = ENGLISH_PHONES, longest: int = 30) -> Experience:
    met = Experience(len(alphabet.symbols))
    met.heard[list(alphabet.read(text).ids)] = 1.0
    met.longest.fill_(longest)
    return met


DIGITS = "zero one two three four five six seven eight nine"


def test_a_text_is_split_into_what_the_voice_can_say_at_once():
    met = experienced(DIGITS)
    text = "one two three, four five six seven eight nine. " + "seven " * 20
    said = script(text, ENGLISH_PHONES, met)
    assert all(len(reading.ids) <= 30 for reading in said.readings)
    assert (
        " ".join(r.words for r in said.readings).replace(".", "").replace(",", "").split()
        == text.replace(".", "").replace(",", "").split()
    )
    assert said.readings[0].words.startswith("one two three")
    assert (said.unknown, said.unheard, said.left_out) == ((), (), 0)
    assert not {",", "."} & {symbol for reading in said.readings for symbol in reading.symbols}  # it never met one
    assert all(
        reading.ids == ENGLISH_PHONES.read(" ".join(reading.words.strip(".,").split(", "))).ids
        for reading in said.readings
    )


def test_numbers_that_a_voice_never_heard_are_read_digit_by_digit():
    digits = script("471", ENGLISH_PHONES, experienced(DIGITS))
    assert digits.readings[0].words == "four seven one"
    knows = experienced("four hundred seventy one and zero")
    assert "hundred" in script("471", ENGLISH_PHONES, knows).readings[0].words


@pytest.mark.parametrize("alphabet", [ENGLISH_PHONES, ENGLISH_LETTERS, KOREAN_PHONES])
def test_empty_enormous_and_foreign_texts_are_answered(alphabet):
    met = Experience(len(alphabet.symbols))
    for text in ("", "   ", "...", "\n\n"):
        nothing = script(text, alphabet, met)
        assert nothing.readings == ()
        assert "nothing to be said" in words(remarks(nothing, []))
    emoji = script("😀🎉", alphabet, met)
    assert emoji.readings == ()
    assert "😀" in words(remarks(emoji, []))
    foreign = script("Привет, мир", alphabet, met)
    assert foreign.readings == ()
    assert "привет" in words(remarks(foreign, []))
    enormous = script(("사과 " if alphabet is KOREAN_PHONES else "an apple ") * 2000, alphabet, met)
    assert enormous.readings
    assert all(len(reading.ids) <= 80 for reading in enormous.readings)
    assert enormous.left_out > 0
    assert f"{LONGEST_TEXT:,} characters" in words(remarks(enormous, []))


def test_sounds_that_were_never_met_are_named():
    said = script("hello", ENGLISH_PHONES, experienced(DIGITS))
    assert said.unheard == ("HH", "L", "OW1")
    assert "Never heard in training: HH L OW1" in words(remarks(said, []))
    assert script("hello", ENGLISH_PHONES, Experience(len(ENGLISH_PHONES.symbols))).unheard == ()


def words(outputs: Any, language: str = "en") -> str:
    assert all(isinstance(output, Words) for output in outputs)
    return "\n".join(output.text[language] for output in outputs)


def test_the_slowest_recording_bounds_what_has_no_end():
    met = Experience(len(ENGLISH_PHONES.symbols))
    made = Spoken(recordings(), ENGLISH_PHONES)
    met.meet(made)
    slowest = max(len(m) / (len(t) + 4) for m, t in zip(made.mels, made.texts, strict=True))
    assert float(met.slowest) == pytest.approx(slowest)
    assert met.most_frames(20) > 20 * slowest
    assert int(met.longest) == max(map(len, made.texts))
    heard = {s for s, h in zip(ENGLISH_PHONES.symbols, met.heard.tolist(), strict=True) if h}
    assert {"W", "AH1", "N", "F", "R"} <= heard
    assert "B" not in heard


# --- Saying it ------------------------------------------------------------------------------------------------


def utterance(attention: Tensor, ended: bool = True, level: float = -1.0) -> Utterance:
    steps = len(attention)
    return Utterance(torch.full((4 * steps, 80), level), attention, torch.zeros(steps), ended)


GOOD, LOST = utterance(path(*WHOLE)), utterance(path(*range(6), *range(14, 20)))
RUNS_ON = utterance(path(0, 1, 2, 19, 2, 3), ended=False)


@pytest.mark.parametrize(
    ("takes", "tries", "left", "told"),
    [
        ([GOOD], 1, (), ""),
        ([LOST, GOOD], 2, (), "spoken again: try 2 is right"),
        ([RUNS_ON, LOST, RUNS_ON], TRIES, ("skip",), "left something out"),
    ],
)
def test_a_sentence_that_goes_astray_is_spoken_again_and_that_is_told(takes, tries, left, told):
    said = script("two words", ENGLISH_PHONES, Experience(len(ENGLISH_PHONES.symbols)))
    coming = iter(takes)
    ((piece,),) = spoken(lambda reading: next(coming), said.readings)
    assert (piece.tries, piece.faults) == (tries, left)
    assert next(coming, None) is None
    assert told in words(remarks(said, [piece]))
    assert bool(words(remarks(said, [piece]), "ko")) == bool(told)


def test_speech_streams_sentence_by_sentence_and_is_joined_by_silence():
    said = script("one. two. three.", ENGLISH_PHONES, Experience(len(ENGLISH_PHONES.symbols)))
    assert len(said.readings) == 3
    lengths = []
    for pieces in spoken(lambda reading: GOOD, said.readings):
        mel = joined(pieces)
        lengths.append(len(mel))
        n = len(GOOD.mel)
        assert torch.equal(mel[:n], GOOD.mel)  # what was heard stays as it is
        if len(pieces) > 1:
            assert bool((mel[n : n + GAP] == FLOOR).all())
    assert lengths == [80, 160 + GAP, 240 + 2 * GAP]


def test_the_sentence_that_went_astray_is_named_by_its_number():
    said = script("one. two.", ENGLISH_PHONES, Experience(len(ENGLISH_PHONES.symbols)))
    coming = iter([GOOD, LOST, GOOD])
    *_, pieces = spoken(lambda reading: next(coming), said.readings)
    assert words(remarks(said, pieces)).startswith("Sentence 2 went astray at first")
    assert remarks(Script(said.readings), pieces[:1]) == []


# --- Strings of digits ----------------------------------------------------------------------------------------


def test_strings_are_split_where_they_are_silent_and_read_piece_by_piece():
    """Synthetic digits with known pauses; what is shorter than a word is none."""
    digits = data.load("espeak_digits:16000")
    part: Any = digits.test
    chosen = [next(i for i in range(len(part)) if int(part.labels[i]) == d) for d in (1, 4, 9)]
    click = torch.zeros(200)
    click[0] = 0.5
    pause = torch.zeros(3200)
    string = torch.cat(
        [part.audio(chosen[0]), pause, click, pause, part.audio(chosen[1]), pause, part.audio(chosen[2])]
    )
    pieces = digit_strings.split(string, 16_000)
    assert len(pieces) == 3
    assert [len(p) for p in pieces] == pytest.approx([len(part.audio(i)) for i in chosen], abs=2000)
    assert digit_strings.split(torch.zeros(5000), 16_000) == []
    right, asked = digit_strings.read_of([string, string], [[1, 4, 9], [1, 4]], 16_000)
    assert asked == 5
    assert right <= 3  # the second has another count: none of its digits is right
