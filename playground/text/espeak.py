"""espeak-ng through ctypes: what it says of a text, as sound with its phones in time, or as phones alone.

The library and its data come with the package `espeakng-loader`; nothing is installed on the system. espeak-ng keeps
some of its state (the flutter of a voice, the phase of a wave) from one utterance to the next, and no call of its own
resets that. So an `Engine` loads the library afresh and unloads it: what one engine says in a row is the same on every
day, and one lives at a time.
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

IPA, EVENTS, RETRIEVAL = 2, 0b11, 1
"""Phonemes as IPA; events for phonemes, named in IPA; samples to a callback, not to a loudspeaker."""
UTF8, PHONEME_EVENT = 1, 7
RATE, PITCH = 1, 3
_alone = threading.Lock()


@dataclass(frozen=True)
class Sound:
    """A phone in a recording: its symbol, "" for a pause, and where it starts and ends, in seconds."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Spoken:
    """samples: (T,) int16 at `rate` Hz. phones: in IPA with stress marks, without gaps, to the recording's end."""

    samples: np.ndarray
    rate: int
    phones: tuple[Sound, ...]


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """`with Engine() as engine:`: espeak-ng as it is when it has just been started."""

    def __enter__(self) -> Engine:
        import espeakng_loader

        _alone.acquire()
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            self._heard: list[np.ndarray] = []
            self._events: list[tuple[str, int]] = []
            self._callback = _Callback(self._hear)
            self.rate = self._library.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), EVENTS)
            if self.rate <= 0:
                raise RuntimeError("espeak-ng does not start: its data could not be read")
            self._library.espeak_SetSynthCallback(self._callback)
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        except BaseException:
            _alone.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._library.espeak_Terminate()
        if os.name == "nt":
            _ctypes.FreeLibrary(self._library._handle)  # type: ignore[attr-defined]
        else:
            _ctypes.dlclose(self._library._handle)
        _alone.release()

    def _hear(self, samples: ctypes._Pointer, n: int, events: ctypes._Pointer) -> int:
        if samples and n:
            self._heard.append(np.ctypeslib.as_array(samples, (n,)).copy())
        k = 0
        while events[k].type:
            if events[k].type == PHONEME_EVENT:
                symbol = bytes(events[k].id.string).partition(b"\0")[0].decode(errors="ignore")
                self._events.append((symbol, events[k].sample))
            k += 1
        return 0

    def _voice(self, name: str) -> None:
        if self._library.espeak_SetVoiceByName(name.encode()):
            raise ValueError(f"espeak-ng has no voice {name!r}")

    def speak(self, text: str, voice: str = "en-us", words_a_minute: int = 165, pitch: int = 50) -> Spoken:
        """The text spoken. voice: a language and a variant, "en-us+f3". pitch: 0 to 100."""
        self._voice(voice)
        self._library.espeak_SetParameter(RATE, words_a_minute, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        self._heard.clear()
        self._events.clear()
        packed = text.encode() + b"\0"
        self._library.espeak_Synth(packed, ctypes.c_size_t(len(packed)), 0, 1, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)
        return Spoken(samples, self.rate, self._timed(len(samples)))

    def _timed(self, end: int) -> tuple[Sound, ...]:
        starts = [("", 0), *self._events] if self._events and self._events[0][1] else self._events
        ends = [start for _, start in starts[1:]] + [end]
        return tuple(
            Sound(symbol, start / self.rate, stop / self.rate)
            for (symbol, start), stop in zip(starts, ends, strict=True)
            if stop > start
        )

    def phones(self, text: str, voice: str = "en-us") -> list[list[str]]:
        """The phones of each word of the text, in IPA with stress marks.

        A word that espeak-ng reads by another language's rules is among them, its language mark left out.
        """
        self._voice(voice)
        packed = ctypes.create_string_buffer(text.encode())
        rest = ctypes.c_char_p(ctypes.addressof(packed))
        said = []
        while rest.value:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, ord("_") << 8 | IPA)
            said.append(re.sub(r"\([a-z-]+\)", "", clause.decode(errors="ignore")))
        return [[p for p in word.split("_") if p] for word in " ".join(said).split()]


def speak(text: str, voice: str = "en-us", words_a_minute: int = 165, pitch: int = 50) -> Spoken:
    """The text as a fresh engine speaks it: equal words give equal samples."""
    with Engine() as engine:
        return engine.speak(text, voice, words_a_minute, pitch)


def phones(words: Sequence[str], voice: str = "en-us") -> list[list[str]]:
    """The phones of each word by itself."""
    with Engine() as engine:
        return [[phone for part in engine.phones(word, voice) for phone in part] for word in words]
