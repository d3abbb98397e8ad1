"""Transformer TTS: what every voice that reads is asked, and no more words misheard than of SpeechT5 by the same recipe."""

from benchmarks import reading
from benchmarks.quality import Bar

BARS = (
    *reading.BARS,
    Bar(
        "unseen sentences: word errors beside the reference's",
        reading.word_errors,
        no_worse_than_reference=True,
        counts=False,
        checkpoint=reading.SENTENCES,
    ),
)
