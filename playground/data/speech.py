"""How each registered set of recordings is read, and what becomes of its download.

What takes seconds to decode is done once: the set is kept, ready to be mapped, in PLAYGROUND_RUNS/prepared.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from playground.contract import DataMissing
from playground.data import recordings, sounds
from playground.data.archive import Skip
from playground.data.folders import runs
from playground.data.pictures import BadData
from playground.data.recordings import SpeechData, Take

Files = Sequence[Path]

FSDD, FSDD_PACKED = "free-spoken-digit-dataset", "free-spoken-digit-dataset-1.0.10.zip"
LJSPEECH, LJSPEECH_PACKED = "LJSpeech-1.1", "LJSpeech-1.1.tar.bz2"
FSDD_CREDIT = "Free Spoken Digit Dataset, Z. Jackson and contributors (2016-2020); CC BY-SA 4.0"
LJSPEECH_CREDIT = "The LJ Speech Dataset, K. Ito and L. Johnson (2017); public domain"
CORPORA = {
    "kathleen": "Kathleen, prompts of CMU Arctic read by one woman (2020), voice data of the Rhasspy project; CC0 1.0"
}
"""Credits of corpora in the LJSpeech layout that are known by the name of their folder."""

DIGITS = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAMED = re.compile(r"(\d)_([^_/]{1,40})_(\d{1,6})")
"""A recording of a digit: {digit}_{speaker}_{index}."""
FSDD_TEST = range(5)
"""Indices that are held out, by the corpus's own convention."""
ARCTIC_TEST = re.compile(r"(arctic_)?b0(49\d|5[0-3]\d)")
"""Prompts of CMU Arctic that are held out of every corpus that reads them: b0490 to b0539."""
HELD_OUT_SHARE = 20
"""Of other corpora, one prompt in so many is held out."""
VERSION = 1
"""Of what is prepared: another number makes it anew."""


# --- Prepared sets --------------------------------------------------------------------------------------------


def prepared(
    name: str, rate: int, credit: str, mark: str, takes: Callable[[], Iterable[Take]], classes: Sequence[str] = ()
) -> SpeechData:
    """The set of that name at that rate, made by `takes()` and kept, unless one with the same `mark` is kept already.

    Where nothing can be written, the set is held in memory.
    """
    from filelock import FileLock

    shelf = runs() / "prepared"
    key = hashlib.sha256(f"{VERSION}/{mark}".encode()).hexdigest()[:16]
    stem = f"{re.sub('[^a-z0-9_]', '-', name.lower())}-{rate}"
    folder = shelf / f"{stem}-{key}"
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        with FileLock(shelf / f"{stem}.lock"):  # a second process waits for the first to finish
            if not (folder / recordings.ABOUT).is_file():
                _prepare(folder, takes(), rate)
                for old in shelf.glob(f"{stem}-*"):
                    if old.is_dir() and old != folder:
                        recordings.discard(old)
        return recordings.read(folder, name, credit, classes)
    except OSError:
        return recordings.in_memory(name, credit, takes(), rate, classes)


def _prepare(folder: Path, takes: Iterable[Take], rate: int) -> None:
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        recordings.describe(draft, recordings.write(draft, takes, rate))
        recordings.discard(folder)
        draft.rename(folder)
    finally:
        recordings.discard(draft)


def _mark(paths: Iterable[Path]) -> str:
    """What changes when one of the files does: their names, sizes and times."""
    return "\n".join(f"{p.name} {(s := p.stat()).st_size} {s.st_mtime_ns}" for p in paths)


def _loud(path: Path, rate: int, most: float = sounds.LIMITS.seconds) -> tuple[np.ndarray, int]:
    """The file decoded. Raises `BadData` naming it: a registered corpus has no broken files."""
    try:
        with path.open("rb") as file:
            return sounds.decode(file, most)
    except Skip as reason:
        raise BadData(f"{path}: {reason}.", f"{path}: {reason.text['ko']}.") from reason


# --- Spoken digits --------------------------------------------------------------------------------------------


def read_spoken_digits(files: Files, rate: int, name: str = "spoken_digits") -> SpeechData:
    """Every {digit}_{speaker}_{index}.wav of the folder, as recorded but for its rate; indices 0 to 4 are held out."""
    paths = sorted(files[0].glob("*_*_*.wav"), key=lambda path: (path.stem.split("_")[1], _digit(path)))

    def takes() -> Iterator[Take]:
        for path in paths:
            digit, speaker, index = _parts(path.stem)
            heard, own = _loud(path, rate)
            samples = sounds.as_int16(sounds.at_rate(heard, own, rate))
            yield Take(path.stem, samples, digit, speaker, WORDS[int(digit)], index in FSDD_TEST)

    return prepared(name, rate, FSDD_CREDIT, _mark(paths[:1] + paths[-1:]) + str(len(paths)), takes, DIGITS)


def _parts(stem: str) -> tuple[str, str, int]:
    found = NAMED.fullmatch(stem)
    if found is None:
        raise BadData(
            f"{stem!r} is not named {{digit}}_{{speaker}}_{{index}}.", f"{stem!r}: 파일 이름이 잘못되었습니다."
        )
    return found[1], found[2], int(found[3])


def _digit(path: Path) -> tuple[str, int]:
    digit, _, index = _parts(path.stem)
    return digit, index


GAPS = (0.1, 0.3)
"""Seconds of silence between two digits of a string."""
LONGEST_STRING = 5
STRINGS, TEST_STRINGS = 2_400, 300


def read_digit_strings(files: Files, rate: int) -> SpeechData:
    """Strings of one to five digits by one speaker, put together from single recordings with a little silence between.

    Held-out strings are made of held-out recordings. `sounds` names the digits and when each is said.
    """
    digits = read_spoken_digits(files, rate)

    def takes() -> Iterator[Take]:
        rng = np.random.RandomState(0)
        for part, n, test in ((digits.train, STRINGS, False), (digits.test, TEST_STRINGS, True)):
            yield from strings(part, digits.info.speakers, n, test, rng)

    mark = f"{_mark(files)} {STRINGS} {TEST_STRINGS}"
    return prepared("digit_strings", rate, f"Strings of recordings of the {FSDD_CREDIT}", mark, takes)


def strings(
    part: recordings.Recordings, speakers: Sequence[str], n: int, test: bool, rng: np.random.RandomState
) -> Iterator[Take]:
    """`n` strings of single digits; speakers and digits are drawn uniformly."""
    from playground.signal import edges

    assert part.labels is not None and part.speakers is not None
    places = {
        (s, d): np.flatnonzero((part.speakers.numpy() == s) & (part.labels.numpy() == d))
        for s in range(len(speakers))
        for d in range(10)
    }
    for k in range(n):
        speaker = int(rng.randint(len(speakers)))
        said = rng.randint(10, size=1 + rng.randint(LONGEST_STRING))
        pieces, sounds_, at = [], [], 0
        for place, digit in enumerate(said):
            gap = np.zeros(int(part.rate * rng.uniform(*GAPS)) if place else 0, np.int16)
            take = part.audio(int(rng.choice(places[speaker, int(digit)])))
            samples = sounds.as_int16(edges.fade(edges.trim(take, part.rate), part.rate).numpy())
            start = at + len(gap)
            at = start + len(samples)
            pieces += [gap, samples]
            sounds_.append(recordings.Sound(str(digit), start / part.rate, at / part.rate))
        text = " ".join(WORDS[d] for d in said)
        name = f"{'test' if test else 'train'}-{k:04d}"
        yield Take(name, np.concatenate(pieces), "", speakers[speaker], text, test, tuple(sounds_))


def unpack_spoken_digits(folder: Path) -> None:
    """The recordings of the archive, in a folder that is there only when it is whole."""
    packed = folder / FSDD_PACKED
    draft = folder / f"recordings.{os.getpid()}.part"
    try:
        draft.mkdir()
        with zipfile.ZipFile(packed) as archive:
            for entry in archive.infolist():
                if re.fullmatch(r"[^/]+/recordings/\d_[a-z]+_\d+\.wav", entry.filename):
                    with archive.open(entry) as source, (draft / Path(entry.filename).name).open("wb") as target:
                        shutil.copyfileobj(source, target)
        draft.rename(folder / "recordings")
    finally:
        recordings.discard(draft)
    packed.unlink()


# --- Corpora in the LJSpeech layout ---------------------------------------------------------------------------


def read_ljspeech(files: Files, rate: int, name: str, credit: str) -> SpeechData:
    """A folder's metadata.csv (id|text|normalised text) and wavs/ID.wav or .flac, silence cut off at both ends."""
    metadata, folder = files
    rows = transcripts(metadata.read_text(encoding="utf-8", errors="replace"))

    def takes() -> Iterator[Take]:
        for identity, text in rows:
            path = next((p for p in (folder / f"{identity}.wav", folder / f"{identity}.flac") if p.is_file()), None)
            if path is None:
                raise DataMissing(
                    f"{metadata} names {identity}, but {folder} has no such recording.",
                    f"{metadata} 파일에 {identity}이(가) 있지만 {folder} 폴더에는 그 녹음이 없습니다.",
                )
            heard, own = _loud(path, rate)
            try:
                samples = sounds.prepared(heard, own, rate)
            except Skip as reason:
                raise BadData(f"{path}: {reason}.", f"{path}: {reason.text['ko']}.") from reason
            yield Take(identity, samples, "", name, text, held_out(identity, text))

    return prepared(name, rate, credit, _mark([metadata]), takes)


def transcripts(table: str) -> list[tuple[str, str]]:
    """(id, text) of each row of an LJSpeech table; the normalised text where there is one."""
    rows = csv.reader(io.StringIO(table), delimiter="|", quoting=csv.QUOTE_NONE)
    return [(row[0].strip(), " ".join(row[-1].split())) for row in rows if len(row) >= 2 and row[0].strip()]


def held_out(identity: str, text: str) -> bool:
    """Whether a prompt is kept for testing: by its name in CMU Arctic, else by its words, so that every reader's is."""
    if re.fullmatch(r"(arctic_)?[ab]0\d{3}", identity):
        return ARCTIC_TEST.fullmatch(identity) is not None
    return hashlib.sha256(text.lower().encode()).digest()[0] % HELD_OUT_SHARE == 0


def unpack_ljspeech(folder: Path) -> None:
    """The folder of the tarball, there only when it is whole; the tarball goes."""
    packed = folder / LJSPEECH_PACKED
    draft = folder / f"{LJSPEECH}.{os.getpid()}.part"
    try:
        with tarfile.open(packed) as tar:
            tar.extractall(draft, filter="data")
        (draft / LJSPEECH).rename(folder / LJSPEECH)
    finally:
        recordings.discard(draft)
    packed.unlink()


def corpus_reader(name: str, credit: str) -> Callable[[Files, int], SpeechData]:
    return partial(read_ljspeech, name=name, credit=credit)
