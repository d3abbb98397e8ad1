"""People's own pictures: what is understood, and what a hostile zip cannot do."""

from __future__ import annotations

import io
import json
import os
import random
import stat
import struct
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from playground import data
from playground.contract import DataMissing
from playground.data import imagefolder, uploads
from playground.data.imagefolder import LIMITS, layout, natural


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch) -> Path:
    """A folder of runs of this test's own."""
    monkeypatch.setenv("PLAYGROUND_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def picture(seed: int = 0, size: tuple[int, int] = (20, 20), mode: str = "RGB", kind: str = "PNG", **options) -> bytes:
    """A picture of random pixels."""
    rng = np.random.RandomState(seed)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = rng.randint(256, size=(size[1], size[0], bands)).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels[..., 0] if bands == 1 else pixels, mode).save(packed, kind, **options)
    return packed.getvalue()


def zipped(folder: Path, files: dict[str, bytes], name: str = "pictures.zip", pack: int = zipfile.ZIP_STORED) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", pack) as archive:
        for file_name, body in files.items():
            archive.writestr(file_name, body)
    return path


def good(n: int = 4) -> dict[str, bytes]:
    return {f"{k}.png": picture(k) for k in range(n)}


def taken(path: Path, **options) -> tuple[data.ImageData, dict[str, str]]:
    """(the data, name -> why it was skipped) of an upload."""
    token = data.upload(path, **options)
    loaded = data.load(f"own:{token}")
    assert isinstance(loaded, data.ImageData)
    report = data.report(token)
    assert report.kept == len(loaded.train) + len(loaded.test)
    assert all(reason["en"] and reason["ko"] for _, reason in report.skipped)
    return loaded, {name: reason["en"] for name, reason in report.skipped}


# --- What is understood ---------------------------------------------------------------------------------------


def test_plain_pictures(tmp_path):
    loaded, skipped = taken(zipped(tmp_path, {f"mine/{name}": body for name, body in good(10).items()}))
    assert not skipped
    assert (len(loaded.train), len(loaded.test)) == (9, 1)
    assert loaded.train.x.shape[1:] == (3, 16, 16)
    assert loaded.train.x.dtype == torch.uint8
    assert (loaded.info.classes, loaded.info.captioned, loaded.info.channels) == (0, False, 3)
    assert loaded.train.labels is None
    assert loaded.train.texts is None


def test_pixels_are_kept_where_the_size_fits(tmp_path):
    files = {f"{k}.png": picture(k, (28, 28)) for k in range(5)}
    loaded, _ = taken(zipped(tmp_path, files))
    kept = {x.numpy().tobytes() for x in torch.cat([loaded.train.x, loaded.test.x])}
    original = {np.asarray(Image.open(io.BytesIO(body))).transpose(2, 0, 1).tobytes() for body in files.values()}
    assert kept == original


def test_class_folders(tmp_path):
    files = {f"zoo/{kind}/{k}.jpg": picture(k, kind="JPEG") for kind in ("s10", "s2", "cat") for k in range(10)}
    loaded, _ = taken(zipped(tmp_path, files))
    assert loaded.info.class_names == ("cat", "s2", "s10")
    assert loaded.test.labels is not None
    assert loaded.test.labels.tolist() == [0, 1, 2]


def test_train_and_test_folders(tmp_path):
    files = {f"d/{part}/{kind}/{k}.png": picture(k) for part in ("train", "Test") for kind in "ab" for k in range(3)}
    loaded, _ = taken(zipped(tmp_path, files | {"d/train/a/9.png": picture(9)}))
    assert loaded.info.class_names == ("a", "b")
    assert (len(loaded.train), len(loaded.test)) == (7, 6)


def test_captions_from_metadata(tmp_path):
    table = "file_name,text\n0.png,a red thing\n1.png,빨간 것\n2.png,\nlost.png,nothing\n"
    files = {f"d/{name}": body for name, body in good(4).items()} | {"d/metadata.csv": b"\xef\xbb\xbf" + table.encode()}
    loaded, skipped = taken(zipped(tmp_path, files))
    assert sorted((loaded.train.texts or ()) + (loaded.test.texts or ())) == ["a red thing", "빨간 것"]
    assert loaded.info.captioned
    assert set(skipped) == {"d/2.png", "d/3.png", "d/lost.png"}
    assert "not there" in skipped["d/lost.png"]
    assert "no text" in skipped["d/2.png"]


def test_metadata_without_its_columns_is_named(tmp_path):
    loaded, skipped = taken(zipped(tmp_path, good() | {"metadata.csv": b"name,words\n0.png,x\n"}))
    assert not loaded.info.captioned
    assert "no columns file_name and text" in skipped["metadata.csv"]


def test_a_folder_is_read_like_a_zip(tmp_path):
    folder = tmp_path / "mine"
    for kind in "ab":
        (folder / kind).mkdir(parents=True)
        for k in range(4):
            (folder / kind / f"{k}.png").write_bytes(picture(k))
    (folder / "a" / ".hidden").write_bytes(b"x")
    (folder / "a" / "link.png").symlink_to("/etc/hostname")
    loaded, report = imagefolder.read(folder, "own:mine")
    assert loaded.info.class_names == ("a", "b")
    assert report.kept == 8
    assert [(name, reason["en"]) for name, reason in report.skipped] == [("a/link.png", "it is a link")]
    by_path = data.load(folder)
    assert isinstance(by_path, data.ImageData)
    assert torch.equal(by_path.train.x, loaded.train.x)


def test_grey_stays_grey_only_if_all_are(tmp_path):
    grey = {f"{k}.png": picture(k, mode="L") for k in range(4)}
    assert taken(zipped(tmp_path, grey))[0].info.channels == 1
    stored_as_colour = io.BytesIO()
    Image.open(io.BytesIO(grey["0.png"])).convert("RGB").save(stored_as_colour, "PNG")
    assert taken(zipped(tmp_path, grey | {"5.png": stored_as_colour.getvalue()}))[0].info.channels == 1
    assert taken(zipped(tmp_path, grey | {"5.png": picture(5)}))[0].info.channels == 3


def test_pictures_of_every_kind(tmp_path):
    see_through = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(see_through, "PNG")
    deep = io.BytesIO()
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(deep, "PNG")
    sideways = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    lying = Image.new("RGB", (20, 20), "white")
    lying.paste("black", (0, 0, 20, 10))  # black at the top as stored, at the right as meant
    lying.save(sideways, "JPEG", exif=exif)
    files = {
        "a.png": see_through.getvalue(),
        "b.png": deep.getvalue(),
        "c.jpg": sideways.getvalue(),
        "d.jpg": picture(1, mode="CMYK", kind="JPEG"),
        "e.gif": picture(2, mode="P", kind="GIF"),
        "f.bmp": picture(3, kind="BMP"),
        "g.webp": picture(4, kind="WEBP"),
        "h.pgm": picture(5, mode="L", kind="PPM"),
        "i.png": picture(6, mode="LA"),
        "j.png": picture(7, (100, 7)),
    }
    with zipfile.ZipFile(zipped(tmp_path, files)) as archive:
        names = archive.namelist()
    loaded, skipped = taken(tmp_path / "pictures.zip", size=16)
    assert not skipped
    assert len(loaded.train) + len(loaded.test) == len(names)
    x = torch.empty(10, 3, 16, 16, dtype=torch.uint8)
    train, test = imagefolder.split(10, 0.1)
    x[train], x[test] = loaded.train.x, loaded.test.x
    assert (x[0] == 255).all()
    assert (x[1] == 40_000 >> 8).all()
    assert x[2][:, :, 12:].max() < 40
    assert x[2][:, :, :4].min() > 215


@pytest.mark.parametrize(("own", "chosen"), [(8, 16), (24, 28), (30, 28), (31, 32), (48, 32), (49, 64), (300, 64)])
def test_the_size_is_the_nearest(tmp_path, own, chosen):
    files = {f"{k}.png": picture(k, (own + 5, own)) for k in range(3)}
    assert taken(zipped(tmp_path, files))[0].info.height == chosen


def test_the_same_zip_gives_the_same_data_whatever_its_order(tmp_path):
    files = {f"{kind}/{k}.png": picture(k) for kind in "ab" for k in range(12)}
    first, _ = taken(zipped(tmp_path, files))
    second, _ = taken(zipped(tmp_path, dict(reversed(files.items())), "other.zip"))
    assert torch.equal(first.train.x, second.train.x)
    assert torch.equal(first.test.x, second.test.x)


def test_what_systems_leave_behind_is_not_mentioned(tmp_path):
    litter = {"__MACOSX/._0.png": b"x", ".DS_Store": b"x", "d/.git/config": b"x", "Thumbs.db": b"x"}
    loaded, skipped = taken(zipped(tmp_path, good() | litter))
    assert not skipped
    assert len(loaded.train) == 3


NAMES = st.lists(st.text("ab/.1", min_size=1, max_size=12), min_size=1, max_size=12)


@given(NAMES)
def test_every_layout_of_names_is_understood(names):
    in_test, classes = layout(names)
    assert len(in_test) == len(classes) == len(names)
    assert len(set(classes)) <= max(1, len(names) / 2)
    assert not all(in_test)
    sorted(names, key=natural)


def test_digits_in_names_sort_by_value():
    assert sorted(["s10", "s2", "s1b", "s1"], key=natural) == ["s1", "s1b", "s2", "s10"]
    assert min(["9" * 6000 + "1", "9" * 6000], key=natural) == "9" * 6000


# --- An upload's life -----------------------------------------------------------------------------------------


def test_an_upload_is_private_and_deleted_for_good(tmp_path, runs):
    token = data.upload(zipped(tmp_path, good()))
    folder = runs / "uploads" / token
    assert len(token) == 32
    assert {file.name for file in folder.iterdir()} == {"about.json", "pictures.safetensors"}
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert data.load(f"own:{token}").info.name == f"own:{token}"
    smaller = data.load(f"own:{token}:8")
    assert (smaller.info.name, smaller.info.height) == (f"own:{token}:8", 8)
    data.delete(token)
    assert not folder.exists()
    for action in (data.report, lambda token: data.load(f"own:{token}")):
        with pytest.raises(DataMissing, match="deleted"):
            action(token)
    data.delete(token)  # again: nothing happens


def test_what_nobody_trains_on_for_a_week_is_forgotten(tmp_path, runs, monkeypatch):
    archive = zipped(tmp_path, good())
    unused, used, newest = (data.upload(archive) for _ in range(3))
    for token, days in ((unused, 8), (used, 8), (newest, 1)):
        long_ago = time.time() - days * 86_400
        os.utime(runs / "uploads" / token, (long_ago, long_ago))
    data.load(f"own:{used}")
    fourth = data.upload(archive)
    assert {folder.name for folder in (runs / "uploads").iterdir()} == {used, newest, fourth}
    with pytest.raises(DataMissing, match="week"):
        data.load(f"own:{unused}")
    monkeypatch.setattr(uploads, "KEPT_UPLOADS", 2)
    uploads.forget_unused()
    assert {folder.name for folder in (runs / "uploads").iterdir()} == {used, fourth}


@pytest.mark.parametrize("token", ["", ".", "..", "../..", "/etc", "a" * 31, "A" * 32, "a" * 32 + "\n", "..%2f" * 7])
def test_a_made_up_token_never_becomes_a_path(token, runs):
    runs.mkdir()
    (runs / "keep").write_text("x")
    for action in (data.delete, data.report, uploads.load):
        with pytest.raises(DataMissing):
            action(token)
    assert (runs / "keep").exists()


def test_a_refused_zip_leaves_nothing(tmp_path, runs):
    with pytest.raises(data.BadData, match="Too few pictures: 1 could be read, 1 could not"):
        data.upload(zipped(tmp_path, {"0.png": picture(), "1.png": b"no"}))
    assert not list(runs.rglob("*.*"))


def test_a_full_disk_leaves_nothing(tmp_path, runs, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        data.upload(zipped(tmp_path, good()))
    assert list((runs / "uploads").iterdir()) == []


def test_progress_is_told(tmp_path):
    told = []
    data.upload(zipped(tmp_path, good()), progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1


# --- Hostile zips ---------------------------------------------------------------------------------------------


def refused(path: Path, message: str, **options) -> None:
    with pytest.raises(data.BadData, match=message) as caught:
        data.upload(path, **options)
    assert caught.value.text["ko"] != caught.value.text["en"]


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    path = zipped(tmp_path, good() | {f"{k}.bmp": bytes(20_000_000) for k in "xy"}, pack=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    refused(path, "times its packed size")


def test_a_bomb_that_lies_about_its_size_gives_no_more_than_it_said(tmp_path):
    path = zipped(tmp_path, good() | {"x.bmp": bytes(20_000_000)}, pack=zipfile.ZIP_DEFLATED)
    body = path.read_bytes().replace(struct.pack("<L", 20_000_000), struct.pack("<L", 1000))
    path.write_bytes(body)
    loaded, skipped = taken(path)
    assert list(skipped) == ["x.bmp"]
    assert loaded.info.size == 3


def test_pixels_are_counted_before_they_are_decoded(tmp_path):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    def png(width: int, height: int) -> bytes:
        header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    files = good() | {"giant.png": png(60_000, 60_000), "large.png": png(10_000, 6_000), "huge.png": png(2**31, 2**31)}
    loaded, skipped = taken(zipped(tmp_path, files))
    assert len(loaded.train) == 3
    assert set(skipped) == {"giant.png", "large.png", "huge.png"}
    assert skipped["giant.png"] == skipped["large.png"] == "it has too many pixels"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (replace(LIMITS, file=1000), "bytes in the zip"),
        (replace(LIMITS, entries=3), "files in the zip"),
        (replace(LIMITS, unpacked=1000), "bytes in the files when unpacked"),
        (replace(LIMITS, areas=1500), "pixels in all pictures"),
        (replace(LIMITS, pixels=1000), "bytes as kept"),
        (replace(LIMITS, metadata=5), "bytes in metadata.csv"),
    ],
)
def test_every_limit_holds(tmp_path, limits, message):
    refused(zipped(tmp_path, good() | {"metadata.csv": b"file_name,text\n"}), message, limits=limits)


@pytest.mark.parametrize(("limits", "message"), [({"entry": 400}, "larger than 400 bytes"), ({"area": 399}, "pixels")])
def test_limits_of_one_file_skip_that_file(tmp_path, limits, message):
    small = {f"{k}.png": picture(k, (10, 10)) for k in range(3)}
    loaded, skipped = taken(zipped(tmp_path, small | {"big.png": picture(9)}), limits=replace(LIMITS, **limits))
    assert list(skipped) == ["big.png"]
    assert message in skipped["big.png"]
    assert len(loaded.train) == 2


def test_names_never_leave_the_folder(tmp_path, runs):
    names = ["../out.png", "/abs.png", "a/../../out.png", "..\\out.png", "C:\\out.png", "a/" * 20 + "x.png", "y" * 600]
    before = set(tmp_path.rglob("*"))
    loaded, skipped = taken(zipped(tmp_path, good() | {name: picture() for name in names}))
    assert len(loaded.train) + len(loaded.test) == 4
    assert len(skipped) == len(names)
    assert sum("outside the folder" in reason for reason in skipped.values()) == 5
    new = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} - {path.name for path in before}
    assert new == {"pictures.zip", "runs"}


def test_a_file_without_a_name_is_skipped(tmp_path):
    path = zipped(tmp_path, good() | {"x": picture()})
    body = path.read_bytes()
    for header, at in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):  # where the lengths of name and extra field stand
        start = body.rindex(header) + at
        body = body[:start] + struct.pack("<HH", 0, 1) + body[start + 4 :]
    path.write_bytes(body)
    assert "outside the folder" in taken(path)[1][""]


def test_links_are_not_followed(tmp_path):
    path = zipped(tmp_path, good())
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert taken(path)[1] == {"link.png": "it is a link"}


def test_archives_within_are_not_opened(tmp_path):
    inner = zipped(tmp_path, good(), "inner.zip").read_bytes()
    _, skipped = taken(zipped(tmp_path, good() | {"inner.zip": inner, "inner.png": inner}))
    assert "not opened" in skipped["inner.zip"]
    assert skipped["inner.png"] == "it is not a picture"


def test_encrypted_and_oddly_packed_files_are_named(tmp_path):
    path = zipped(tmp_path, good())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("lzma.png", picture(), zipfile.ZIP_LZMA)
        archive.writestr("locked.png", picture())
    body = bytearray(path.read_bytes())
    at = body.rindex(b"locked.png") - 46  # its header in the directory
    body[at + 8] |= 1
    path.write_bytes(body)
    _, skipped = taken(path)
    assert "encrypted" in skipped["locked.png"]
    assert "deflate" in skipped["lzma.png"]


def test_thousands_of_empty_files(tmp_path):
    empty = {f"{k}.png": b"" for k in range(1000)}
    loaded, skipped = taken(zipped(tmp_path, good() | {f"e/{name}": body for name, body in empty.items()}))
    assert len(loaded.train) == 3
    assert len(skipped) == 1000
    refused(zipped(tmp_path, empty), "Too few pictures: 0 could be read, 1000 could not")
    header = b"PK\x01\x02" + bytes(42)
    (tmp_path / "directory.zip").write_bytes(header * 60_000)
    refused(tmp_path / "directory.zip", "50,001 files in the zip")


@pytest.mark.parametrize(
    "body", [b"", b"no", b"PK", b"PK\x05\x06", b"PK\x03\x04" + bytes(100), picture(), b"\0" * 9999]
)
def test_what_is_no_zip_is_refused(tmp_path, body):
    path = tmp_path / "x.zip"
    path.write_bytes(body)
    refused(path, "not a zip")


def test_a_path_to_nothing_is_refused(tmp_path):
    with pytest.raises(data.BadData, match="no file or folder"):
        data.load(tmp_path / "nothing.zip")


def test_an_empty_zip_has_too_few_pictures(tmp_path):
    refused(zipped(tmp_path, {}), "Too few pictures: 0")


def test_a_truncated_zip_is_refused(tmp_path):
    path = zipped(tmp_path, good())
    body = path.read_bytes()
    for end in range(0, len(body), len(body) // 20):
        path.write_bytes(body[:end])
        refused(path, "not a zip")


def test_a_truncated_picture_is_named_and_the_others_kept(tmp_path):
    broken = {
        "half.png": picture(1)[:600],
        "half.jpg": picture(2, (64, 64), kind="JPEG")[:900],
        "words.txt": b"hello",
        "head.gif": b"GIF89a",
    }
    loaded, skipped = taken(zipped(tmp_path, good() | broken))
    assert set(skipped) == set(broken)
    assert len(loaded.train) + len(loaded.test) == 4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_zip_with_wrong_bytes_is_read_or_refused(tmp_path_factory, seed):
    """Whatever is damaged, in the directory or in a picture: a report or a message, never another error."""
    folder = tmp_path_factory.mktemp("damaged")
    files = {
        f"{kind}/{k}.{kind}": picture(k, kind=kind.upper()) for kind in ("png", "bmp", "gif", "webp") for k in (1, 2)
    }
    rng = random.Random(seed)
    path = zipped(folder, files | {"metadata.csv": b"file_name,text\npng/1.png,one\n"}, pack=zipfile.ZIP_DEFLATED)
    body = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 30)):
        at = rng.randrange(len(body)) if rng.random() < 0.5 else len(body) - 1 - rng.randrange(900)
        body[at] = rng.randrange(256)
    path.write_bytes(body)
    try:
        loaded, report = imagefolder.read(path, "own:x")
    except data.BadData:
        return
    assert report.kept == len(loaded.train) + len(loaded.test) >= 2
    assert json.loads(json.dumps(report.skipped)) == [list(skip) for skip in report.skipped]
