"""Recordings out of a zip or a folder that anybody may have made, or by microphone, within bounds.

Four layouts are understood, each also inside one outer folder: files named {digit}_{speaker}_{index}; a folder for each
class, also within `train` and `test` folders; LJSpeech's `metadata.csv` (id|text) beside `wavs/ID.wav`; and plain
recordings. A file that cannot be used is named in the report and left out.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

from playground.contract import Text
from playground.data import recordings, sounds
from playground.data.archive import ARCHIVES, Entry, Report, Skip, check, contents, layout, natural, opened, safe_name
from playground.data.pictures import BadData, split
from playground.data.recordings import Take
from playground.data.sounds import LIMITS, Limits
from playground.data.speech import DIGITS, FSDD_TEST, NAMED, WORDS, held_out, transcripts

RATE = 16_000
"""Hz in which people's own recordings are kept."""
MOST_TEXT, MOST_NAME = 300, 40
FEW = 5
"""Of a class with fewer recordings none is held out."""


class Given:
    """Files that are in memory already, as a zip or a folder has them."""

    def __init__(self, files: Mapping[str, bytes]):
        self.files = files

    def close(self) -> None:
        pass

    def entries(self, skipped: list[tuple[str, Text]]) -> Iterator[Entry]:
        for name, body in self.files.items():
            yield Entry(safe_name(name), len(body), lambda body=body: io.BytesIO(body))  # type: ignore[misc]


def read(
    source: Path | Given,
    folder: Path,
    limits: Limits = LIMITS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[dict[str, Any], Report]:
    """Put the recordings of a zip, a folder or `Given` files into the set in `folder`, which is made.

    Returns the set's description, to be written by `recordings.describe`, and what became of each file. Raises
    `BadData` where nothing is left, where a limit is passed, and where a path is neither zip nor folder.
    """
    with closing(opened(source, limits) if isinstance(source, Path) else source) as files:
        skipped: list[tuple[str, Text]] = []
        entries = sorted(files.entries(skipped), key=lambda entry: natural(entry.name))
        texts, entries = _texts(entries, skipped, limits)
        about = recordings.write(folder, _takes(entries, texts, limits, skipped, progress), RATE)
    kept = len(about["names"])
    if not kept:
        raise BadData(
            f"No recording could be used; {len(skipped)} files could not.{_reasons(skipped, 'en')}",
            f"쓸 수 있는 녹음이 없습니다. 읽지 못한 파일 {len(skipped)}개.{_reasons(skipped, 'ko')}",
        )
    about["test"] = _held_out(about)
    report = Report(kept, tuple((name[:200], reason) for name, reason in skipped))
    return about, report


def _reasons(skipped: Sequence[tuple[str, Text]], language: str, most: int = 3) -> str:
    return "".join(f" {name[:60]}: {reason[language]}." for name, reason in skipped[:most])


def _takes(
    entries: Sequence[Entry],
    texts: Mapping[str, str] | None,
    limits: Limits,
    skipped: list[tuple[str, Text]],
    progress: Callable[[float], None],
) -> Iterator[Take]:
    """Each entry that is a recording, with what its name says; the others join `skipped`."""
    in_test, classes = layout([entry.name for entry in entries])
    total = 0.0
    for n, entry in enumerate(entries):
        if n % (len(entries) // 100 + 1) == 0:
            progress(n / len(entries))
        try:
            samples = _samples(entry, limits)
        except Skip as reason:
            skipped.append((entry.name, reason.text))
            continue
        total += len(samples) / RATE
        check("seconds in all recordings", "전체 녹음의 초", total, limits.total)
        yield _named(entry.name, samples, classes[n], texts, in_test[n])
    progress(1.0)


def _samples(entry: Entry, limits: Limits) -> Any:
    if PurePosixPath(entry.name).suffix.lower() in ARCHIVES:
        raise Skip("an archive within the archive is not opened", "압축 파일 안의 압축 파일은 열지 않습니다")
    heard, rate = sounds.decode(io.BytesIO(contents(entry, limits.entry)), limits.seconds)
    return sounds.prepared(heard, rate, RATE, limits)


def _named(name: str, samples: Any, label: str, texts: Mapping[str, str] | None, test: bool) -> Take:
    stem, bare = PurePosixPath(name).stem, str(PurePosixPath(name).with_suffix(""))[:200]
    if texts is not None:
        return Take(bare, samples, text=texts[name], test=held_out(stem, texts[name]))
    if digit := NAMED.fullmatch(stem):
        return Take(bare, samples, digit[1], digit[2][:MOST_NAME], _word(digit[1]), test or int(digit[3]) in FSDD_TEST)
    return Take(bare, samples, label[:MOST_NAME], text=_word(label), test=test)


def _word(label: str) -> str:
    """What is said in a recording of that class: a digit is written as a word."""
    return WORDS[int(label)] if label in DIGITS else label[:MOST_TEXT]


def _held_out(about: Mapping[str, Any]) -> list[bool]:
    """Which recordings are held out: as they come, where each part has enough; else a tenth of each larger class."""
    labels, test = about["labels"], about["test"]
    trained = {label for label, held in zip(labels, test, strict=True) if not held}
    if any(test) and trained == set(labels):
        return list(test)
    counts = Counter(labels)
    if not any(count >= FEW for count in counts.values()):
        return [False] * len(labels)
    import torch

    classes = sorted(counts)
    _, chosen = split(len(labels), 0.1, torch.tensor([classes.index(label) for label in labels]))
    kept = {i for i in chosen if counts[labels[i]] >= FEW}
    return [i in kept for i in range(len(labels))]


def _texts(
    entries: Sequence[Entry], skipped: list[tuple[str, Text]], limits: Limits
) -> tuple[dict[str, str] | None, list[Entry]]:
    """The text of each recording by its name, None without a metadata.csv, and the entries that may be recordings.

    With texts, a recording without one joins `skipped`, as does each id that has no recording.
    """
    tables = [entry for entry in entries if PurePosixPath(entry.name).name == "metadata.csv"]
    others = [entry for entry in entries if PurePosixPath(entry.name).name != "metadata.csv"]
    check("bytes in metadata.csv", "metadata.csv의 바이트", sum(table.size for table in tables), limits.metadata)
    said: dict[str, str] = {}
    for table in tables:
        try:
            rows = transcripts(contents(table, limits.metadata).decode("utf-8-sig", errors="replace"))
        except Skip as reason:
            skipped.append((table.name, reason.text))
            continue
        said |= {PurePosixPath(identity).stem[:200]: text[:MOST_TEXT] for identity, text in rows if text}
    if not said:
        skipped += [(table.name, _columns().text) for table in tables if (table.name not in dict(skipped))]
        return None, others
    stems = {PurePosixPath(entry.name).stem for entry in others}
    lost = Skip("metadata.csv names it, but it is not there", "metadata.csv에 있지만 파일이 없습니다")
    bare = Skip("metadata.csv gives it no text", "metadata.csv에 글이 없습니다")
    skipped.extend((identity, lost.text) for identity in said if identity not in stems)
    skipped.extend((entry.name, bare.text) for entry in others if PurePosixPath(entry.name).stem not in said)
    kept = [entry for entry in others if PurePosixPath(entry.name).stem in said]
    return {entry.name: said[PurePosixPath(entry.name).stem] for entry in kept}, kept


def _columns() -> Skip:
    return Skip("it has no rows of the form id|text", "id|글 형식의 줄이 없습니다")
