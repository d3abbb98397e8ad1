"""Data sets: what each one holds, that it is the same every time, and that downloads survive a bad network."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
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
from playground.data import library, readers, shapes
from playground.data.pictures import split
from playground.data.remote import Failed, Remote, fetch, whole
from playground.data.sets import SETS

POINT_SETS = [name for name, known in SETS.items() if known.offers == ("points",)]
EXPECTED = {  # training, held out, channels, side, classes, captioned: as the mirror has them
    "digits": (1438, 359, 1, 8, 10, False),
    "mnist": (60_000, 10_000, 1, 28, 10, False),
    "cifar10": (25_000, 5_000, 3, 32, 10, False),
    "faces": (360, 40, 1, 64, 40, False),
    "emoji": (1402, 156, 3, 64, 0, True),
    "shapes": (20_000, 2_000, 3, 32, 0, True),
}


@pytest.fixture
def no_data(tmp_path, monkeypatch) -> Path:
    """A machine without any data set: an empty data folder and an empty cache, which is returned."""
    monkeypatch.setenv("PLAYGROUND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "generative-playground"


# --- What the sets hold ---------------------------------------------------------------------------------------


def check(name: str) -> data.ImageData:
    loaded = data.load(name)
    assert isinstance(loaded, data.ImageData)
    n_train, n_test, channels, side, classes, captioned = EXPECTED[name]
    info = loaded.info
    assert (info.name, info.channels, info.height, info.width) == (name, channels, side, side)
    assert (info.size, info.classes, info.captioned) == (n_train, classes, captioned)
    assert info.credit
    for part, n in ((loaded.train, n_train), (loaded.test, n_test)):
        assert len(part) == n
        assert part.x.shape == (n, channels, side, side)
        assert part.x.dtype == torch.uint8
        assert (part.labels is not None) == bool(classes)
        if part.labels is not None:
            assert part.labels.dtype == torch.int64
            assert part.labels.unique().tolist() == list(range(classes))
        assert (part.texts is not None) == captioned
        if part.texts is not None:
            assert len(part.texts) == n
            assert all(part.texts)
    return loaded


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_embedded_sets_need_no_file(name, no_data):
    check(name)


@pytest.mark.parametrize("name", ["mnist", "faces", "emoji"])
def test_sets_of_the_mirror(name, mirror):
    check(name)


def test_cifar_of_the_mirror(mirror):
    loaded = check("cifar10")
    assert loaded.info.class_names == tuple(readers.THINGS)
    assert loaded.test.labels is not None
    assert torch.bincount(loaded.test.labels).tolist() == [500] * 10


def test_emoji_have_korean_names(mirror):
    train = check("emoji").train
    assert train.texts
    assert train.texts_ko
    korean = dict(zip(train.texts, train.texts_ko, strict=True))
    assert korean["grinning face"] == "활짝 웃는 얼굴"
    assert sum(map(bool, train.texts_ko)) > 0.85 * len(train)


def test_a_batch_is_float_between_0_and_1():
    train = check("digits").train
    x, labels = train.batch(torch.tensor([5, 0, 5]))
    assert x.dtype == torch.float32
    assert x.shape == (3, 1, 8, 8)
    assert x.min() == 0
    assert x.max() <= 1
    assert torch.equal(x[0], x[2])
    assert train.labels is not None
    assert labels is not None
    assert labels.tolist() == train.labels[[5, 0, 5]].tolist()
    assert train.x.max() == 255


def test_pictures_can_be_asked_for_in_another_size():
    original, larger = data.load("digits"), data.load("digits:16")
    assert isinstance(original, data.ImageData)
    assert isinstance(larger, data.ImageData)
    assert (larger.info.name, larger.info.height, larger.train.x.shape[2:]) == ("digits:16", 16, (16, 16))
    assert data.load("digits", 16) is larger
    assert data.load("digits") is original
    means = [d.train.x.float().mean().item() for d in (original, larger)]
    assert means[0] == pytest.approx(means[1], rel=0.02)


@pytest.mark.parametrize(
    "name", ["nope", "", ":", "own", "mnist:", "mnist:7", "mnist:65", "mnist:999999999", "moons:8"]
)
def test_names_that_mean_nothing_are_refused(name):
    with pytest.raises(data.BadData) as caught:
        data.load(name)
    assert caught.value.text["ko"] != caught.value.text["en"] == str(caught.value)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_any_other_name_is_refused_with_a_message(name):
    with pytest.raises((data.BadData, DataMissing)):
        data.load("own:" + name)
    if name.partition(":")[0] not in (*SETS, "own"):
        with pytest.raises(data.BadData):
            data.load(name)


@given(st.integers(2, 300), st.floats(0.01, 0.49), st.integers(1, 5))
def test_split_parts_everything_once(n, share, classes):
    labels = torch.arange(n) % classes
    train, test = split(n, share, labels)
    assert sorted(train + test) == list(range(n))
    assert train
    assert test
    assert (train, test) == split(n, share, labels)
    if len(test) > 1:
        assert torch.bincount(labels[test], minlength=classes).float().std(correction=0) <= 1


@pytest.mark.parametrize("name", POINT_SETS)
def test_points_lie_in_the_square(name, no_data):
    points = data.load(name)
    assert isinstance(points, data.PointData)
    assert (points.info.name, points.info.channels, points.info.height, points.info.width) == (name, 2, 1, 1)
    assert points.train.x.shape == (points.info.size, 2)
    assert points.train.x.dtype == torch.float32
    assert points.train.x.abs().max() <= 1
    assert points.train.x.std(0).min() > 0.2
    x, labels = points.test.batch(torch.arange(4))
    assert x.shape == (4, 2)
    assert (labels is not None) == bool(points.info.classes)
    if points.train.labels is not None:
        assert points.train.labels.unique().tolist() == list(range(points.info.classes))
    assert not torch.equal(points.train.x[: len(points.test)], points.test.x)


def test_class_names_are_known_in_korean():
    assert data.class_text("cat") == {"en": "cat", "ko": "고양이"}
    assert data.class_text("7") == {"en": "7", "ko": "7"}


def test_catalogue_is_bilingual_and_knows_what_is_there(no_data):
    listings = {listing.name: listing for listing in data.catalogue()}
    assert list(listings) == list(SETS)
    for name, listing in listings.items():
        assert listing.title["en"]
        assert listing.title["ko"]
        assert listing.credit
        assert listing.about["en"] != listing.about["ko"]
        assert listing.embedded == listing.present == (listing.download_mb == 0), name


# --- Shapes ---------------------------------------------------------------------------------------------------


def test_shapes_are_the_same_every_time():
    first, second = shapes.shapes(50, 20), shapes.shapes(50, 20)
    assert torch.equal(first.train.x, second.train.x)
    assert first.test.texts == second.test.texts
    assert not torch.equal(first.train.x, shapes.shapes(50, 20, seed=1).train.x)
    # The stored checkpoints saw these very pictures.
    digest = hashlib.sha256(first.train.x.numpy().tobytes()).hexdigest()[:12]
    assert digest == "7b3bf5575c9f"


def test_captions_read_back():
    for caption in shapes.captions()[::37]:
        assert shapes.parse(caption.en) == shapes.parse(caption.ko) == caption
    assert shapes.parse("  A small RED circle ").en == "a small red circle"
    two = shapes.parse("a small red circle left of a large blue square")
    assert (two.first.colour, two.relation, two.second) == ("red", "left of", ("large", "blue", "square"))
    assert two.ko == "큰 파란색 사각형 왼쪽에 있는 작은 빨간색 원"
    with pytest.raises(data.BadData, match="a small red circle left of"):
        shapes.parse("a dog")


def test_held_out_combinations_are_never_trained_on():
    loaded = data.load("shapes")
    assert isinstance(loaded, data.ImageData)
    assert loaded.train.texts
    assert loaded.test.texts
    trained = {shapes.parse(text) for text in set(loaded.train.texts)}
    held_out = {shapes.parse(text) for text in set(loaded.test.texts)}
    assert not any(map(shapes.is_held_out, trained))
    assert all(map(shapes.is_held_out, held_out))
    mirrored = {frozenset((caption.first, caption.second)) for caption in trained if caption.second}
    assert not any(frozenset((caption.first, caption.second)) in mirrored for caption in held_out if caption.second)
    # Each part of what is held out has been seen: every two of the three words of a thing, and every relation.
    things = {thing for caption in trained for thing in (caption.first, caption.second) if thing}
    for thing in shapes.HELD_OUT:
        assert thing not in things
        for skipped in range(3):
            assert any(a[:skipped] + a[skipped + 1 :] == thing[:skipped] + thing[skipped + 1 :] for a in things)
    assert {caption.relation for caption in trained} == {"", *shapes.RELATIONS}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(shapes.captions()), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_a_picture_shows_its_caption(captions, seed):
    """Each thing has its colour and extent, lies where the caption says, and touches neither edge nor other thing."""
    for caption, picture in zip(captions, shapes.draw(captions, np.random.RandomState(seed)), strict=True):
        boxes = []
        edge = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], 1)
        assert edge.min() > 230  # a triangle's softened corner may reach it, never more
        for thing in (caption.first, caption.second):
            if thing is None or (caption.second and caption.first.colour == caption.second.colour):
                continue  # two things of one colour cannot be told apart by colour
            rgb = torch.tensor(shapes.COLOURS[thing.colour])[:, None, None]
            y, x = torch.where((picture.int() - rgb).abs().sum(0) < 40)
            width = (x.max() - x.min() + 1).item()
            assert width <= 9 if thing.size == "small" else width >= 10
            boxes.append(((x.min() + x.max()) / 2, (y.min() + y.max()) / 2))
        if len(boxes) == 2:
            (x1, y1), (x2, y2) = boxes
            along = shapes.RELATIONS[caption.relation]
            assert (x1 - x2) * along[0] + (y1 - y2) * along[1] > 6
            assert abs((x1 - x2) * along[1]) + abs((y1 - y2) * along[0]) < 6


# --- Downloads ------------------------------------------------------------------------------------------------


class Server:
    """An HTTP server on loopback that breaks off, ignores ranges or lies, as told. `asked` lists what came in."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.cut_after: int | None = None
        self.cuts = 0
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, format, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.asked.append((request.path, asked))
        body = self.files.get(request.path)
        if body is None:
            return request.send_error(404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if start and start >= len(body):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.end_headers()
        rest = body[start:]
        if self.cuts:
            self.cuts -= 1
            rest = rest[: self.cut_after]
        request.wfile.write(rest)
        return None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def offer(self, name: str, body: bytes) -> Remote:
        self.files[f"/{name}"] = body
        return Remote(name, (self.url(f"/{name}"),), f"md5:{hashlib.md5(body).hexdigest()}", len(body))

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("playground.data.remote.PAUSE_S", 0.0)
    running = Server()
    yield running
    running.close()


BODY = np.random.RandomState(0).bytes(300_000)


def test_a_download_arrives_whole_and_tells_how_far_it_is(server, tmp_path):
    told = []
    path = fetch(server.offer("a.bin", BODY), tmp_path, told.append)
    assert path.read_bytes() == BODY
    assert told == sorted(told)
    assert told[-1] == len(BODY)
    assert fetch(server.offer("a.bin", BODY), tmp_path) == path
    assert len(server.asked) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_cut_download_goes_on_where_it_broke_off(server, tmp_path):
    server.cut_after, server.cuts = 100_000, 2
    assert fetch(server.offer("a.bin", BODY), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_download_goes_on_after_the_process_has_ended(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:123_456])
    assert fetch(server.offer("a.bin", BODY), tmp_path).read_bytes() == BODY
    assert server.asked == [("/a.bin", "bytes=123456-")]


def test_a_complete_part_is_only_checked(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert fetch(server.offer("a.bin", BODY), tmp_path).read_bytes() == BODY


def test_a_wrong_part_is_thrown_away(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    assert fetch(server.offer("a.bin", BODY), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    assert fetch(server.offer("a.bin", BODY), tmp_path).read_bytes() == BODY


def test_a_server_that_always_breaks_off_is_given_up(server, tmp_path):
    server.ranges, server.cut_after, server.cuts = False, 1000, 10_000
    with pytest.raises(Failed):
        fetch(server.offer("a.bin", BODY), tmp_path)
    assert len(server.asked) < 5
    assert not (tmp_path / "a.bin").exists()


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    remote = replace(server.offer("a.bin", BODY), checksum=f"md5:{'0' * 32}")
    with pytest.raises(Failed, match="wrong checksum"):
        fetch(remote, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_place_is_tried(server, tmp_path):
    good = server.offer("a.bin", BODY)
    server.offer("bad.bin", b"something else")
    remote = replace(good, urls=(server.url("/missing"), server.url("/bad.bin"), *good.urls))
    assert fetch(remote, tmp_path).read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["/missing", "/bad.bin", "/a.bin"]


def test_nothing_half_written_is_ever_in_place(tmp_path):
    def broken_off():
        with whole(tmp_path / "a.bin") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def offer_mnist(server: Server, monkeypatch) -> None:
    """A small MNIST at the server in the place of the real one."""
    rng = np.random.RandomState(0)
    arrays = [
        rng.randint(256, size=(20, 28, 28)),
        np.arange(20) % 10,
        rng.randint(256, size=(10, 28, 28)),
        np.arange(10),
    ]
    remotes = tuple(
        server.offer(remote.name, gzip.compress(idx(array.astype(np.uint8))))
        for remote, array in zip(SETS["mnist"].remotes, arrays, strict=True)
    )
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], remotes=remotes))


def test_mnist_is_downloaded_when_it_is_missing(server, no_data, monkeypatch):
    offer_mnist(server, monkeypatch)
    told = []
    loaded = data.load("mnist", progress=lambda fraction, text: told.append((fraction, text)))
    assert isinstance(loaded, data.ImageData)
    assert (len(loaded.train), len(loaded.test), loaded.info.class_names) == (20, 10, readers.DIGITS)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert told[-1][1]["en"].startswith("Downloading MNIST")
    assert "내려받는 중" in told[-1][1]["ko"]
    n_asked = len(server.asked)
    library._registered.cache_clear()
    data.load("mnist")
    assert len(server.asked) == n_asked == 4


def test_a_read_only_data_folder_sends_downloads_to_the_cache(server, no_data, monkeypatch, tmp_path):
    offer_mnist(server, monkeypatch)
    monkeypatch.setattr("playground.data.folders.os.access", lambda path, mode: False)
    data.download("mnist")
    assert (no_data / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file()
    assert not (tmp_path / "data").exists()
    assert data.load("mnist").info.size == 20


def test_two_at_once_download_once(server, no_data, monkeypatch):
    offer_mnist(server, monkeypatch)
    threads = [threading.Thread(target=data.download, args=("mnist",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 4


def test_offline_the_message_says_what_is_there_and_what_to_do(no_data, monkeypatch, tmp_path):
    missing = replace(SETS["mnist"].remotes[0], urls=("http://127.0.0.1:9/nothing",))  # the discard port: closed
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], remotes=(missing,)))
    with pytest.raises(DataMissing) as caught:
        data.load("mnist")
    message = str(caught.value)
    for expected in ("mnist is not on this machine", "digits", "shapes", "moons", "PLAYGROUND_DATA", "try again"):
        assert expected in message
    assert "always there: digits, shapes" in message
    assert "네트워크" in caught.value.text["ko"]
    again = pickle.loads(pickle.dumps(caught.value))  # as Dask brings it from a worker
    assert str(again) == message
    assert again.text == caught.value.text


def test_a_damaged_file_is_named(no_data, tmp_path):
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        (folder / name).write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    for damage in (b"", b"\0\0", idx(np.zeros((2, 28, 28), np.uint8))[:-1], b"PK" * 50):
        (folder / "t10k-labels-idx1-ubyte").write_bytes(damage)
        with pytest.raises(data.BadData, match="t10k-labels-idx1-ubyte is damaged"):
            data.load("mnist")


def tarball(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def test_cifar_comes_from_the_binary_tarball(server, no_data, monkeypatch):
    rng = np.random.RandomState(0)
    records = rng.randint(256, size=(6, 2, 3073)).astype(np.uint8)
    records[:, :, 0] %= 10
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    files = {f"cifar-10-batches-bin/{name}": batch.tobytes() for name, batch in zip(names, records, strict=True)}
    remote = server.offer(readers.CIFAR_PACKED, tarball(dict(reversed(files.items()))))
    monkeypatch.setitem(SETS, "cifar10", replace(SETS["cifar10"], remotes=(remote,)))
    loaded = data.load("cifar10")
    assert isinstance(loaded, data.ImageData)
    assert loaded.train.labels is not None
    assert loaded.train.x.shape == (10, 3, 32, 32)
    assert loaded.test.x.shape == (2, 3, 32, 32)
    assert loaded.train.x[3].flatten().tolist() == records[1, 1, 1:].tolist()
    assert loaded.train.labels.tolist() == records[:5, :, 0].flatten().tolist()


def test_faces_come_from_the_olivetti_file(server, no_data, monkeypatch):
    from scipy.io import savemat

    faces = np.random.RandomState(0).randint(256, size=(400, 64, 64)).astype(np.uint8)
    packed = io.BytesIO()
    savemat(packed, {"faces": faces.transpose(0, 2, 1).reshape(400, 4096).T})
    remote = server.offer("olivettifaces.mat", packed.getvalue())
    monkeypatch.setitem(SETS, "faces", replace(SETS["faces"], remotes=(remote,)))
    loaded = check("faces")
    pictures = {picture.numpy().tobytes() for picture in torch.cat([loaded.train.x, loaded.test.x])}
    assert pictures == {face.tobytes() for face in faces}
    assert "Olivetti" in loaded.info.credit


def test_emoji_come_from_the_package(server, no_data, monkeypatch):
    picture = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(picture, "PNG")
    signs = {
        code: {"unicode": code, "name": f"name of {code}", "category": "people"}
        for code in ("1f600", "1f436", "1f466-1f3fb", "1f1f0-1f1f7")
    }
    files = {f"emojione-2.2.7/assets/png/{code}.png": picture.getvalue() for code in signs}
    files["emojione-2.2.7/emoji.json"] = json.dumps(signs).encode()
    remote = server.offer(readers.EMOJI_PACKED, tarball(files))
    monkeypatch.setitem(SETS, "emoji", replace(SETS["emoji"], remotes=(remote,)))
    loaded = data.load("emoji")
    assert isinstance(loaded, data.ImageData)
    texts = (loaded.train.texts or ()) + (loaded.test.texts or ())
    assert sorted(texts) == ["name of 1f1f0-1f1f7", "name of 1f436", "name of 1f600"]  # no variants of skin colour
    assert (loaded.train.x == 255).all()  # what is transparent is white
    assert set((loaded.train.texts_ko or ()) + (loaded.test.texts_ko or ())) >= {"강아지 얼굴", "활짝 웃는 얼굴"}
