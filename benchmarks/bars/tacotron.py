"""Tacotron: strings of digits read back, unseen sentences understood by a recogniser, none astray."""

from benchmarks import reading
from playground import alignment, speaking
from playground.metrics import digit_strings

BARS = reading.BARS
RESTS_ON = (reading, digit_strings, alignment, speaking)
