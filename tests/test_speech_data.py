"""Recordings: the registered sets, people's own, and what a hostile upload cannot do."""

from __future__ import annotations

import io
import random
import re
import stat
import struct
import tarfile
import time
import wave
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from playground import data
from playground.contract import DataMissing
from playground.data import corpus, recordings, sounds, speech, synthetic, uploads
from playground.data.recordings import Take
from playground.data.sets import SETS
from playground.data.sounds import LIMITS
from playground.text import ENGLISH_PHONES, KOREAN_PHONES


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """A folder of runs of this test's own."""
    monkeypatch.setenv("PLAYGROUND_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty data folder of this test's own."""
    for name in ("PLAYGROUND_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def tone(seconds: float = 0.5, rate: int = 16_000, hz: float = 220.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def wav(
    seconds: float = 0.5, rate: int = 16_000, hz: float = 220.0, channels: int = 1, kind: str = "WAV", **more
) -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, np.repeat(tone(seconds, rate, hz)[:, None], channels, 1), rate, format=kind, **more)
    return packed.getvalue()


def zipped(path: Path, files: dict[str, bytes], pack: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", pack) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def good(n: int = 4) -> dict[str, bytes]:
    return {f"{k}.wav": wav(hz=200 + 20 * k) for k in range(n)}


def taken(source: Path | dict[str, bytes], **options) -> tuple[data.SpeechData, dict[str, str]]:
    """(the data, name -> why it was skipped) of an upload."""
    token = data.upload_recordings(source, **options)
    loaded, report = data.load(f"own:{token}"), data.report(token)
    assert isinstance(loaded, data.SpeechData)
    names = {*loaded.train.names, *loaded.test.names}
    assert report.kept == len(names)
    assert all(reason["en"] and reason["ko"] for _, reason in report.skipped)
    return loaded, {name: reason["en"] for name, reason in report.skipped}


# --- A set ----------------------------------------------------------------------------------------------------


def test_a_batch_is_padded_floats():
    takes = [
        Take("a", np.array([100, -32768, 32767], np.int16), "1", "x", "one"),
        Take("b", np.array([5], np.int16), "0", "y", "zero"),
        Take("c", np.array([7, 8], np.int16), "1", "x", "one", test=True),
    ]
    made = recordings.in_memory("mine", "me", takes, 8000)
    x, lengths, labels, speakers = made.train.batch(torch.tensor([1, 0]))
    assert x.dtype == torch.float32 and x.shape == (2, 3)
    assert torch.equal(x * 32768, torch.tensor([[5.0, 0, 0], [100, -32768, 32767]]))
    assert (lengths.tolist(), labels.tolist(), speakers.tolist()) == ([1, 3], [0, 1], [1, 0])
    assert made.train.x[0].dtype == torch.int16
    assert [len(take) for take in made.train.x[1:]] == [1]
    assert (made.info.class_names, made.info.speakers, made.info.size) == (("0", "1"), ("x", "y"), 2)
    assert (made.test.names, made.test.texts, made.info.sample_rate) == (("c",), ("one",), 8000)
    assert torch.equal(made.train.select([1]).batch(torch.tensor([0]))[0], x[:1, :1])


def test_a_set_in_a_folder_is_the_set(tmp_path):
    takes = list(recordings.takes_of(data.load("espeak_digits")))[:50]
    recordings.describe(tmp_path / "set", recordings.write(tmp_path / "set", takes, 8000))
    from_folder = recordings.read(tmp_path / "set", "mine", "me")
    in_memory = recordings.in_memory("mine", "me", takes, 8000)
    assert from_folder.info == in_memory.info
    for a, b in ((from_folder.train, in_memory.train), (from_folder.test, in_memory.test)):
        assert (a.names, a.sounds) == (b.names, b.sounds)
        assert torch.equal(a.batch(torch.arange(len(a)))[0], b.batch(torch.arange(len(b)))[0])
    (tmp_path / "set" / recordings.SAMPLES).write_bytes(b"12")
    with pytest.raises(data.BadData, match="damaged"):
        recordings.read(tmp_path / "set", "mine", "me")


# --- Registered sets ------------------------------------------------------------------------------------------


def test_synthetic_digits():
    made = data.load("espeak_digits")
    assert made.info.class_names == speech.DIGITS and made.info.speakers == tuple(synthetic.VOICES)
    assert (made.info.sample_rate, len(made.train), len(made.test)) == (8000, 400, 80)
    x, lengths, labels, speakers = made.train.batch(torch.arange(40))
    assert x.abs().max() <= 1 and all(0.1 < n / 8000 < 1.5 for n in lengths)
    assert sorted(labels.tolist()) == sorted(list(range(10)) * 4) and set(speakers.tolist()) == {0, 1, 2, 3}
    first = made.train.names.index("7_ann_0")
    assert made.train.texts[first] == "seven"
    said = [s.symbol for s in made.train.sounds[first] if s.symbol]
    assert said == ["S", "EH1", "V", "AH0", "N"]
    seconds = len(made.train.x[first]) / 8000
    assert made.train.sounds[first][0].start == 0 and made.train.sounds[first][-1].end == pytest.approx(
        seconds, abs=0.01
    )


def test_synthetic_sentences_are_the_same_every_time_and_read_by_the_front_end():
    texts = synthetic.drawn(synthetic.english, 300)
    assert texts == synthetic.drawn(synthetic.english, 300) and len(set(texts)) == 300
    a, b = (list(synthetic.spoken(texts[:3], synthetic.VOICES, 16_000, 1, ENGLISH_PHONES)) for _ in range(2))
    for one, again in zip(a, b, strict=True):
        assert np.array_equal(one.samples, again.samples) and one.phones == again.phones
    assert [take.test for take in a] == [False, False, True]
    symbols = {s.symbol for take in a for s in take.phones} - {""}
    assert symbols <= set(synthetic.phones.ENGLISH)


def test_synthetic_korean():
    texts = synthetic.drawn(synthetic.korean, 40)
    voices = synthetic.KOREAN_VOICES
    takes = list(synthetic.spoken(texts[:6], voices, 16_000, 1, KOREAN_PHONES))
    assert {s.symbol for take in takes for s in take.phones} - {""} <= set(KOREAN_PHONES.symbols)
    made = recordings.in_memory("ko", "me", takes, 16_000)
    assert made.info.symbols == KOREAN_PHONES.symbols
    assert all(not KOREAN_PHONES.read(text).unknown for text in texts)
    assert synthetic.particle("책", "이", "가") == "책이" and synthetic.particle("의사", "이", "가") == "의사가"


def fsdd(folder: Path, n: int = 6) -> None:
    place = folder / speech.FSDD / "recordings"
    place.mkdir(parents=True)
    for digit in range(10):
        for speaker in ("ann", "bob"):
            for index in range(n):
                body = wav(0.3, 8000, 200 + 30 * digit + index)
                (place / f"{digit}_{speaker}_{index}.wav").write_bytes(body)


def test_spoken_digits_have_their_own_split(folder, runs):
    fsdd(folder)
    made = data.load("spoken_digits")
    assert made.info.class_names == speech.DIGITS and made.info.speakers == ("ann", "bob")
    assert (len(made.train), len(made.test), made.info.sample_rate) == (20, 100, 8000)
    assert all(name.endswith("_5") for name in made.train.names)
    original, _ = soundfile.read(folder / speech.FSDD / "recordings" / "3_bob_5.wav", dtype="int16")
    assert np.array_equal(made.train.x[made.train.names.index("3_bob_5")].numpy(), original), "as recorded"
    louder = data.load("spoken_digits:16000")
    assert (louder.info.name, louder.info.sample_rate) == ("spoken_digits:16000", 16_000)
    assert abs(len(louder.train.x[0]) - 2 * len(made.train.x[0])) <= 2
    with pytest.raises(data.BadData, match="8000, 16000 Hz"):
        data.load("spoken_digits:44100")
    again = recordings.read(next((runs / "prepared").glob("spoken_digits-8000-*")), "x", "y")
    assert again.train.names == made.train.names, "prepared once"


def test_digit_strings(folder, runs):
    fsdd(folder)
    digits = data.load("spoken_digits")
    rng = np.random.RandomState(0)
    made = list(speech.strings(digits.train, digits.info.speakers, 30, False, rng))
    for take in made:
        words = [speech.WORDS[int(s.symbol)] for s in take.phones]
        assert take.text == " ".join(words) and 1 <= len(words) <= 5
        gaps = [b.start - a.end for a, b in zip(take.phones, take.phones[1:], strict=False)]
        assert all(0.099 <= gap <= 0.301 for gap in gaps)
        for s in take.phones:
            piece = take.samples[round(s.start * 8000) : round(s.end * 8000)]
            assert np.abs(piece).max() > 5000 and abs(int(piece[0])) < 1500
    assert {take.speaker for take in made} == {"ann", "bob"}


def ljspeech(place: Path, n: int = 60, names: str = "LJ001-{:04d}") -> Path:
    (place / "wavs").mkdir(parents=True)
    rows = []
    for k in range(n):
        silence = np.zeros(2000)
        soundfile.write(
            place / "wavs" / f"{names.format(k)}.wav", np.concatenate([silence, tone(0.3, 22_050), silence]), 22_050
        )
        rows.append(f'{names.format(k)}|Sentence {k}, "so to speak|Sentence {k}, "so to speak')
    (place / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    return place


def test_a_corpus_in_the_ljspeech_layout(folder, runs):
    ljspeech(folder / "aunt_may")
    listing = next(one for one in data.catalogue() if one.name == "aunt_may")
    assert listing.present and listing.offers == ("speech and text",)
    made = data.load("aunt_may")
    assert (made.info.name, made.info.sample_rate, made.info.captioned) == ("aunt_may", 16_000, True)
    assert len(made.train) + len(made.test) == 60 and 1 <= len(made.test) <= 10
    assert made.train.texts[0].startswith("Sentence ") and '"so to speak' in made.train.texts[0], "quotes mean nothing"
    # 0.3 s of sound in 0.48 s: at either end, up to a window of 25 ms and 20 ms are kept.
    assert all(0.3 <= len(take) / 16_000 <= 0.4 for take in made.train.x), "silence is cut off at both ends"
    assert data.load("aunt_may:8000").info.sample_rate == 8000
    (folder / "aunt_may" / "wavs" / "LJ001-0003.wav").unlink()
    (folder / "aunt_may" / "metadata.csv").touch()
    data.library._registered.cache_clear()
    with pytest.raises(DataMissing, match="LJ001-0003"):
        speech.read_ljspeech([folder / "aunt_may/metadata.csv", folder / "aunt_may/wavs"], 16_000, "aunt_may", "x")


def test_prompts_are_held_out_by_rule():
    arctic = [f"{part}{n:04d}" for part in "ab" for n in range(1, 540)]
    assert [p for p in arctic if speech.held_out(p, "text")] == [f"b{n:04d}" for n in range(490, 540)]
    assert speech.held_out("arctic_b0500", "") and not speech.held_out("arctic_a0500", "")
    share = [speech.held_out("x", f"prompt {k}") for k in range(4000)]
    assert 0.03 < np.mean(share) < 0.07
    assert speech.held_out("one", "The same.") == speech.held_out("two", "the same."), "whoever reads a prompt"


def test_digits_of_the_mirror(mirror):
    if SETS["spoken_digits"].present() is None:
        pytest.skip("needs the Free Spoken Digit Dataset in the data folder")
    made = data.load("spoken_digits")
    assert (len(made.train), len(made.test), len(made.info.speakers)) == (2700, 300, 6)
    assert made.test.labels.bincount().tolist() == [30] * 10


def test_downloads_are_unpacked(folder, tmp_path):
    """The archives as their publishers make them become what is read."""
    place = folder / speech.FSDD
    place.mkdir()
    files = {
        f"free-spoken-digit-dataset-1.0.10/{name}": wav(0.1, 8000)
        for name in ("recordings/0_jackson_0.wav", "recordings/9_theo_49.wav")
    }
    zipped(
        place / speech.FSDD_PACKED,
        files | {"free-spoken-digit-dataset-1.0.10/README.md": b"x", "x/../../evil.wav": b"x"},
    )
    speech.unpack_spoken_digits(place)
    assert sorted(p.name for p in place.rglob("*")) == ["0_jackson_0.wav", "9_theo_49.wav", "recordings"]
    corpus_ = ljspeech(tmp_path / "LJSpeech-1.1", 3)
    with tarfile.open(folder / speech.LJSPEECH_PACKED, "w:bz2") as tar:
        tar.add(corpus_, "LJSpeech-1.1")
    speech.unpack_ljspeech(folder)
    assert SETS["ljspeech"].present() is not None and not (folder / speech.LJSPEECH_PACKED).exists()


def test_offline_the_message_says_what_is_there(folder, monkeypatch):
    remote = replace(SETS["spoken_digits"].remotes[0], urls=("http://127.0.0.1:9/nothing",))
    monkeypatch.setitem(SETS, "spoken_digits", replace(SETS["spoken_digits"], remotes=(remote,)))
    with pytest.raises(
        DataMissing, match=r"spoken_digits is not on this machine.*always there:.*espeak_digits"
    ) as caught:
        data.load("spoken_digits")
    assert "내려받을 수도 없었습니다" in caught.value.text["ko"]
    with pytest.raises(DataMissing, match="kathleen is not on this machine"):
        data.load("kathleen")


# --- People's own ---------------------------------------------------------------------------------------------


def test_digits_by_their_names(tmp_path, runs):
    files = {
        f"mine/{digit}_{who}_{k}.wav": wav(hz=150 + 40 * digit)
        for digit in range(3)
        for who in ("kim", "lee")
        for k in range(8)
    }
    loaded, skipped = taken(zipped(tmp_path / "a.zip", files))
    assert not skipped
    assert (loaded.info.class_names, loaded.info.speakers) == (("0", "1", "2"), ("kim", "lee"))
    assert (len(loaded.train), len(loaded.test)) == (18, 30), "indices 0 to 4 are held out, as in the registered set"
    assert loaded.train.texts[0] == "zero" and loaded.info.sample_rate == 16_000
    assert all(int(name.split("_")[2]) >= 5 for name in loaded.train.names)


def test_ten_recordings_are_enough(runs):
    loaded, _ = taken({f"{digit}_me_0.wav": wav(hz=150 + 40 * digit) for digit in range(10)})
    assert len(loaded.train) == len(loaded.test) == 10, "with so few, none is held out"
    assert loaded.info.class_names == speech.DIGITS


def test_a_folder_for_each_class(tmp_path, runs):
    files = {f"words/{word}/{k}.flac": wav(hz=100 * (k + 2), kind="FLAC") for word in ("yes", "no") for k in range(10)}
    loaded, skipped = taken(zipped(tmp_path / "a.zip", files))
    assert not skipped
    assert (loaded.info.class_names, len(loaded.train), len(loaded.test)) == (("no", "yes"), 18, 2)
    assert loaded.train.texts[0] == "no" and loaded.info.speakers == ()
    split = {f"{part}/{digit}/{k}.wav": wav() for part in ("train", "test") for digit in "12" for k in range(3)}
    loaded, _ = taken(zipped(tmp_path / "b.zip", split))
    assert (len(loaded.train), len(loaded.test), loaded.train.texts[0]) == (6, 6, "one")


def test_texts_from_metadata(tmp_path, runs):
    files = {f"d/wavs/r{k}.wav": wav() for k in range(4)}
    table = "r0|First.|First one.\nr1|안녕하세요\nr2|\nlost|Nothing.\n"
    loaded, skipped = taken(zipped(tmp_path / "a.zip", files | {"d/metadata.csv": table.encode()}))
    assert sorted({*loaded.train.texts, *loaded.test.texts}) == ["First one.", "안녕하세요"]
    assert loaded.info.captioned and loaded.info.class_names == ()
    assert set(skipped) == {"lost", "d/wavs/r2.wav", "d/wavs/r3.wav"}
    korean = {"metadata.csv": "a|안녕하세요\nb|반갑습니다".encode(), "wavs/a.wav": wav(), "wavs/b.wav": wav()}
    assert taken(zipped(tmp_path / "b.zip", korean))[0].info.symbols == KOREAN_PHONES.symbols


def test_plain_recordings_of_every_kind(tmp_path, runs):
    files = {
        "a.wav": wav(rate=44_100, channels=2),
        "b.flac": wav(kind="FLAC", subtype="PCM_24"),
        "c.ogg": wav(kind="OGG", rate=48_000),
        "d.mp3": wav(kind="MP3", rate=44_100),
        "e.wav": wav(subtype="FLOAT"),
        "f.aiff": wav(kind="AIFF", rate=8000),
        "mp3-really.wav": wav(kind="MP3", rate=44_100),
    }
    loaded, skipped = taken(zipped(tmp_path / "a.zip", files))
    assert not skipped
    assert (loaded.info.class_names, loaded.train.texts, loaded.train.labels) == ((), None, None)
    for part in (loaded.train, loaded.test):
        for take in part.x:
            assert abs(len(take) / 16_000 - 0.5) < 0.12
            spectrum = np.abs(np.fft.rfft(take.numpy()[2000:6000] / 32768))
            assert abs(np.argmax(spectrum) * 4 - 220) < 8, "the tone is at its pitch"


def test_speakers_are_added_and_sets_are_joined(runs):
    first = data.upload_recordings({f"{d}_kim_{k}.wav": wav(hz=150 + 40 * d) for d in range(3) for k in range(7)})
    second = data.upload_recordings(
        {f"{d}_lee_{k}.wav": wav(hz=300 + 40 * d) for d in range(3) for k in range(7)}, more_of=first
    )
    loaded = data.load(f"own:{second}")
    assert loaded.info.speakers == ("kim", "lee") and len(loaded.train) == 12
    with pytest.raises(DataMissing):
        data.load(f"own:{first}")
    with pytest.raises(data.BadData):
        data.upload_recordings({"x.wav": b"no"}, more_of=second)
    assert data.load(f"own:{second}").info.size == 12, "what cannot be added changes nothing"
    joined = data.load(f"espeak_digits+own:{second}")
    assert joined.info.speakers == ("ann", "ben", "dan", "eve", "kim", "lee")
    assert (joined.info.sample_rate, joined.info.classes) == (8000, 10)
    assert len(joined.train) == 400 + 12 and len(joined.test) == 80 + 30
    assert data.load(f"own:{second}:8000").info.sample_rate == 8000
    for name in (
        "espeak_digits+digits",
        "moons+espeak_digits",
        "espeak_digits+",
        f"own:{second}:32",
        "+".join(["espeak_digits"] * 9),
    ):
        with pytest.raises(data.BadData):
            data.load(name)


def test_an_upload_is_private_and_deleted_for_good(runs):
    token = data.upload_recordings(good())
    place = runs / "uploads" / token
    assert {file.name for file in place.iterdir()} == {"about.json", "samples.i16"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    data.delete(token)
    assert not place.exists()
    with pytest.raises(DataMissing, match="deleted"):
        data.load(f"own:{token}")


# --- Hostile recordings ---------------------------------------------------------------------------------------


def header(rate: int = 16_000, channels: int = 1, width: int = 2, claimed: int = 0, body: bytes = b"") -> bytes:
    """A WAV by hand, which may claim more samples than it has."""
    size = claimed or len(body)
    return (
        b"RIFF" + struct.pack("<I", 36 + size & 0xFFFFFFFF) + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * width & 0xFFFFFFFF, channels * width, 8 * width)
        + b"data" + struct.pack("<I", size & 0xFFFFFFFF) + body
    )  # fmt: skip


def floats(values: np.ndarray) -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, values.astype(np.float32), 16_000, format="WAV", subtype="FLOAT")
    return packed.getvalue()


SPEECH = (tone() * 32767).astype("<i2").tobytes()
HOSTILE = {
    "1 Hz": (header(rate=1, body=SPEECH), "unusual recording"),
    "0 Hz": (header(rate=0, body=SPEECH), "not a recording|unusual"),
    "4 GHz": (header(rate=4_000_000_000, body=SPEECH), "unusual|not a recording"),
    "300 channels": (header(channels=300, body=SPEECH * 20), "unusual|not a recording"),
    "0 channels": (header(channels=0, body=SPEECH), "not a recording|unusual"),
    "0 samples": (header(), "an empty recording"),
    "ten hours claimed": (header(claimed=16_000 * 2 * 36_000, body=SPEECH), "longer than 30 seconds|nothing|$"),
    "words": (b"these are words", "not a recording"),
    "nothing": (b"", "not a recording"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a recording"),
    "silence": (header(body=bytes(32_000)), "nothing is heard"),
    "a whisper of noise": (header(body=b"\x01\x00" * 16_000), "nothing is heard"),
    "one sample": (header(body=b"\xff\x7f"), "shorter than|nothing"),
    "not a number": (floats(np.where(np.arange(8000) == 77, np.nan, tone())), "no numbers"),
    "infinite": (floats(np.where(np.arange(8000) == 77, np.inf, tone())), "no numbers"),
    "a zip": (b"PK\x03\x04" + bytes(60), "not a recording"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_used_is_named(tmp_path, runs, name):
    body, reason = HOSTILE[name]
    loaded, skipped = taken(zipped(tmp_path / "a.zip", good(2) | {"bad.wav": body}))
    if name != "ten hours claimed":  # there is half a second of sound in it, whatever it says
        assert re.search(reason, skipped["bad.wav"]), skipped
        assert set(loaded.train.names) == {"0", "1"}


def test_ten_hours_are_refused_before_they_are_read(tmp_path, runs):
    ten_hours = io.BytesIO()
    with wave.open(ten_hours, "wb") as file:
        file.setparams((1, 1, 1000, 0, "NONE", ""))
        file.writeframes(bytes([128]) * 36_000_000)
    began = time.process_time()
    big = replace(LIMITS, entry=64_000_000)
    _, skipped = taken(zipped(tmp_path / "a.zip", good(2) | {"long.wav": ten_hours.getvalue()}), limits=big)
    assert "longer than 30 seconds" in skipped["long.wav"]
    assert time.process_time() - began < 5
    assert (
        "larger than" in taken(zipped(tmp_path / "b.zip", good(2) | {"long.wav": ten_hours.getvalue()}))[1]["long.wav"]
    )
    packed = io.BytesIO()  # a small file of much silence
    soundfile.write(packed, np.zeros(60 * 8000), 8000, format="FLAC")
    assert "longer" in taken(zipped(tmp_path / "c.zip", good(2) | {"long.flac": packed.getvalue()}))[1]["long.flac"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (replace(LIMITS, total=0.2), "seconds in all recordings"),
        (replace(LIMITS, file=1000), "bytes in the zip"),
        (replace(LIMITS, entries=2), "files in the zip"),
        (replace(LIMITS, unpacked=1000), "bytes in the files when unpacked"),
        (replace(LIMITS, metadata=3), "bytes in metadata.csv"),
    ],
)
def test_every_limit_holds(tmp_path, runs, limits, message):
    with pytest.raises(data.BadData, match=message) as caught:
        data.upload_recordings(zipped(tmp_path / "a.zip", good() | {"metadata.csv": b"0|zero\n"}), limits)
    assert caught.value.text["ko"] != caught.value.text["en"]
    assert list((runs / "uploads").iterdir()) == []


def test_bombs_and_no_zips(tmp_path, runs):
    bomb = {f"{k}.wav": header(body=bytes(20_000_000)) for k in "xy"}
    for path, message in (
        (zipped(tmp_path / "bomb.zip", bomb, zipfile.ZIP_DEFLATED), "times its packed size"),
        (zipped(tmp_path / "empty.zip", {}), "No recording could be used; 0 files"),
        (zipped(tmp_path / "words.zip", {"a.wav": b"words"}), "1 files could not. a.wav: not a recording"),
    ):
        with pytest.raises(data.BadData, match=message):
            data.upload_recordings(path)
    (tmp_path / "no.zip").write_bytes(b"PK nothing")
    with pytest.raises(data.BadData, match="not a zip"):
        data.upload_recordings(tmp_path / "no.zip")
    inner = (tmp_path / "words.zip").read_bytes()
    names = {"../out.wav": wav(), "/abs.wav": wav(), "inner.zip": inner}
    _, skipped = taken(zipped(tmp_path / "names.zip", good(2) | names))
    assert set(skipped) == set(names) and "outside the folder" in skipped["../out.wav"]


def test_two_hundred_hostile_uploads(tmp_path, runs):
    """Whatever is damaged, cut or made up: a set with a report, or a message in both languages; nothing else."""
    rng = random.Random(0)
    kinds = [wav(0.2), wav(0.2, kind="FLAC"), wav(0.2, kind="OGG", rate=48_000), wav(0.2, rate=44_100, kind="MP3")]
    hostile = [body for body, _ in HOSTILE.values()]
    told: list[dict[str, str]] = []
    kept = 0
    for k in range(200):
        body = bytearray(rng.choice(kinds))
        for _ in range(rng.randint(0, 40)):
            body[rng.randrange(len(body) if rng.random() < 0.5 else 60)] = rng.randrange(256)
        body = body[: rng.randrange(len(body))] if rng.random() < 0.3 else body
        suffix = rng.choice(["wav", "flac", "ogg", "mp3", "txt", "exe", ""])
        files = {f"0_a_{k}.{suffix}": bytes(body), "1_b_7.wav": rng.choice(hostile)}
        path = zipped(tmp_path / "x.zip", files | (good(1) if rng.random() < 0.5 else {}))
        if rng.random() < 0.2:
            raw = bytearray(path.read_bytes())
            for _ in range(8):
                raw[-1 - rng.randrange(min(400, len(raw)))] = rng.randrange(256)
            path.write_bytes(raw[: rng.randrange(1, len(raw))] if rng.random() < 0.3 else raw)
        try:
            token = data.upload_recordings(path)
        except data.BadData as error:
            told.append(error.text)
            continue
        loaded = data.load(f"own:{token}")
        for part in (loaded.train, loaded.test):
            x, lengths, *_ = part.batch(torch.arange(len(part)))
            assert bool(x.isfinite().all()) and x.abs().max() <= 1
            assert int(lengths.max()) <= LIMITS.seconds * 16_000 + 1
        assert all(reason["en"] and reason["ko"] for _, reason in data.report(token).skipped)
        kept += 1
        data.delete(token)
    assert len(told) > 20 and kept > 20
    assert all(text["en"] and text["ko"] and text["en"] != text["ko"] for text in told)
    assert not list((runs / "uploads").iterdir()), "nothing is left of what was refused"


def test_a_recording_is_read_alike_for_a_view_and_for_a_set():
    heard, rate = sounds.decode(io.BytesIO(wav(0.3, 44_100, channels=2)), 5)
    assert (rate, heard.dtype) == (44_100, np.float32)
    made = sounds.prepared(heard, rate, 16_000)
    assert made.dtype == np.int16 and abs(len(made) - 4800) < 200
    assert uploads.VOICES_CREDIT and corpus.RATE == 16_000
