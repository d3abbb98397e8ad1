"""A synthetic voice to learn reading from, before a recorded one: its texts are without end, and it speaks evenly."""

from playground.data import SpeechData, load
from playground.spoken_batches import Spoken
from playground.text import Alphabet


def synthetic(alphabet: Alphabet, rate: int, first: int) -> Spoken:
    """espeak-ng's sentences in the alphabet's language, at `rate` Hz; their speakers are counted from `first`."""
    spoken = load("espeak_ko" if alphabet.language == "ko" else "espeak", rate)
    assert isinstance(spoken, SpeechData)
    return Spoken(spoken.train, alphabet, first)
