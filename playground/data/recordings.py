"""What a loaded set of recordings is: 16-bit samples end to end, and who says what in each.

A set lies in a folder of two files: `samples.i16`, every recording after the other, mapped into memory when it is
loaded, and `about.json` with all the rest.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import torch
from torch import Tensor

from playground.contract import DataInfo
from playground.data import sounds
from playground.data.pictures import BadData
from playground.text import for_texts
from playground.text.espeak import Sound

SAMPLES, ABOUT = "samples.i16", "about.json"


@dataclass(frozen=True, eq=False)
class Take:
    """One recording on its way into a set. samples: (T,) int16. label: a class name, "" for none."""

    name: str
    samples: np.ndarray
    label: str = ""
    speaker: str = ""
    text: str = ""
    test: bool = False
    """Whether it is held out."""
    phones: tuple[Sound, ...] = ()


class Ragged(Sequence[Tensor]):
    """Recordings of any length: `x[i]` is (T_i,) int16, a slice is another `Ragged` over the same samples."""

    def __init__(self, samples: Tensor, starts: Tensor, ends: Tensor):
        self.samples, self.starts, self.ends = samples, starts, ends

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...

    @overload
    def __getitem__(self, place: slice) -> Ragged: ...

    def __getitem__(self, place: int | slice) -> Tensor | Ragged:
        if isinstance(place, slice):
            return Ragged(self.samples, self.starts[place], self.ends[place])
        return self.samples[int(self.starts[place]) : int(self.ends[place])]

    def select(self, chosen: Tensor) -> Ragged:
        return Ragged(self.samples, self.starts[chosen], self.ends[chosen])

    @property
    def lengths(self) -> Tensor:
        """(N,) int64 samples of each."""
        return self.ends - self.starts


@dataclass(frozen=True, eq=False)
class Recordings:
    """One part of a set of recordings.

    x: int16 samples at `rate` Hz, each recording of its own length. labels: (N,) int64 indices into
    `DataInfo.class_names`, or None; speakers: the same into `DataInfo.speakers`. texts: what is said, or None.
    names: of the files. sounds: the phones of each recording with their times, or None where nobody knows them.
    """

    x: Ragged
    rate: int
    labels: Tensor | None = None
    speakers: Tensor | None = None
    texts: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    sounds: tuple[tuple[Sound, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def audio(self, i: int) -> Tensor:
        """Recording i as a view shows it: (T,) float32 in [-1, 1]."""
        return self.x[i].float() / 32768

    @property
    def seconds(self) -> float:
        """Of all recordings together."""
        return float(self.x.lengths.sum()) / self.rate

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """(x (B, T) float32 in [-1, 1] with zeros after each end, lengths (B,), labels (B,), speakers (B,))."""
        takes = [self.audio(int(i)) for i in indices]
        x = torch.nn.utils.rnn.pad_sequence(takes, batch_first=True) if takes else torch.zeros(0, 0)
        lengths = self.x.lengths[indices]
        labels, speakers = (None if t is None else t[indices] for t in (self.labels, self.speakers))
        return x, lengths, labels, speakers

    def select(self, indices: Sequence[int]) -> Recordings:
        """The part made of the recordings at `indices`, in that order; their samples stay where they are."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        of = lambda values: values and tuple(values[i] for i in indices)
        labels, speakers = (None if t is None else t[chosen] for t in (self.labels, self.speakers))
        return Recordings(
            self.x.select(chosen), self.rate, labels, speakers, of(self.texts), of(self.names), of(self.sounds)
        )


@dataclass(frozen=True, eq=False)
class SpeechData:
    """A set of recordings: what to know of it, its training part and its held-out part."""

    info: DataInfo
    train: Recordings
    test: Recordings


# --- A set in a folder ----------------------------------------------------------------------------------------


def gather(takes: Iterable[Take], rate: int, samples: BinaryIO) -> dict[str, Any]:
    """Write the samples of the takes one after another, and return what `about.json` says of them."""
    kept: dict[str, list[Any]] = {key: [] for key in ("names", "lengths", "labels", "speakers", "texts", "test")}
    phones: list[list[Any]] = []
    for take in takes:
        samples.write(np.ascontiguousarray(take.samples, "<i2").tobytes())
        values = (take.name, len(take.samples), take.label, take.speaker, take.text, take.test)
        for key, value in zip(kept, values, strict=True):
            kept[key].append(value)
        phones.append([[s.symbol, round(s.start, 5), round(s.end, 5)] for s in take.phones])
    return {"rate": rate, **kept, "phones": phones if any(phones) else None}


def write(folder: Path, takes: Iterable[Take], rate: int) -> dict[str, Any]:
    """The set in `folder`, which is made; returns its description, to be written by `describe`."""
    folder.mkdir(mode=0o700, parents=True)
    with (folder / SAMPLES).open("wb") as file:
        return gather(takes, rate, file)


def describe(folder: Path, about: dict[str, Any]) -> None:
    (folder / ABOUT).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


def read(folder: Path, name: str, credit: str, class_names: Sequence[str] = ()) -> SpeechData:
    """The set in `folder`, its samples mapped. Raises `BadData` where the two files do not belong together."""
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    path = folder / SAMPLES
    if path.stat().st_size != 2 * sum(about["lengths"]):
        raise BadData(
            f"{path} is damaged: delete {folder}.", f"{path} 파일이 손상되었습니다. {folder} 폴더를 지워 주세요."
        )
    # Mode "c" is copy on write: torch asks for writable memory, the file stays untouched.
    samples = np.memmap(path, "<i2", "c") if sum(about["lengths"]) else np.zeros(0, np.int16)
    return assembled(name, credit, torch.from_numpy(samples), about, class_names)


def in_memory(name: str, credit: str, takes: Iterable[Take], rate: int, class_names: Sequence[str] = ()) -> SpeechData:
    """The same without a folder."""
    buffer = io.BytesIO()
    about = gather(takes, rate, buffer)
    samples = torch.from_numpy(np.frombuffer(buffer.getbuffer(), "<i2").copy())
    return assembled(name, credit, samples, about, class_names)


def assembled(
    name: str, credit: str, samples: Tensor, about: dict[str, Any], class_names: Sequence[str] = ()
) -> SpeechData:
    """The set of some samples and what `gather` says of them.

    It has labels, speakers and texts where every recording has. Where none is held out, all of it is in both parts.
    """
    ends = torch.tensor(about["lengths"], dtype=torch.int64).cumsum(0)
    x = Ragged(samples, ends - torch.tensor(about["lengths"], dtype=torch.int64), ends)
    classes = tuple(class_names) or tuple(sorted(set(about["labels"]) - {""}))
    speakers = tuple(sorted(set(about["speakers"]) - {""}))
    texts = tuple(about["texts"]) if all(about["texts"]) else None
    phones = about["phones"]
    whole = Recordings(
        x,
        about["rate"],
        _indices(about["labels"], classes),
        _indices(about["speakers"], speakers),
        texts,
        tuple(about["names"]),
        phones and tuple(tuple(Sound(*sound) for sound in recording) for recording in phones),
    )
    held_out = [i for i, test in enumerate(about["test"]) if test]
    train = [i for i, test in enumerate(about["test"]) if not test]
    info = DataInfo(
        name=name,
        class_names=classes if whole.labels is not None else (),
        captioned=texts is not None,
        speakers=speakers if whole.speakers is not None else (),
        symbols=for_texts(texts).symbols if texts else (),
        sample_rate=about["rate"],
        size=len(train),
        credit=credit,
    )
    return SpeechData(info, whole.select(train or held_out), whole.select(held_out or train))


def _indices(names: Sequence[str], known: Sequence[str]) -> Tensor | None:
    place = {name: i for i, name in enumerate(known)}
    return torch.tensor([place[name] for name in names]) if known and all(name in place for name in names) else None


def takes_of(data: SpeechData) -> Iterator[Take]:
    """The recordings of a set, to be put together with those of another."""
    parts = [(data.train, False), *([(data.test, True)] if data.test.names != data.train.names else [])]
    for part, test in parts:
        for i in range(len(part)):
            yield Take(
                part.names[i],
                part.x[i].numpy(),
                "" if part.labels is None else data.info.class_names[int(part.labels[i])],
                "" if part.speakers is None else data.info.speakers[int(part.speakers[i])],
                part.texts[i] if part.texts else "",
                test,
                part.sounds[i] if part.sounds else (),
            )


def joined(name: str, sets: Sequence[SpeechData]) -> SpeechData:
    """Several sets of one rate as one: what every recording of all of them has is kept. Raises `BadData`."""
    rates = {data.info.sample_rate for data in sets}
    if len(rates) > 1:
        raise BadData(
            f"{name!r}: recordings of different rates cannot be joined ({sorted(rates)} Hz).",
            f"{name!r}: 표본화율이 다른 녹음은 합칠 수 없습니다({sorted(rates)} Hz).",
        )
    credit = "; ".join(dict.fromkeys(data.info.credit for data in sets))
    return in_memory(name, credit, (take for data in sets for take in takes_of(data)), rates.pop())


def resampled(data: SpeechData, rate: int, name: str) -> SpeechData:
    """The same recordings at another rate, held in memory."""

    def at(take: Take) -> Take:
        heard = take.samples.astype(np.float32) / 32768
        return replace(take, samples=sounds.as_int16(sounds.at_rate(heard, data.info.sample_rate, rate)))

    return in_memory(name, data.info.credit, map(at, takes_of(data)), rate, data.info.class_names)


def renamed(data: SpeechData, name: str) -> SpeechData:
    return replace(data, info=replace(data.info, name=name))


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
