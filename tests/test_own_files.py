"""Pictures, masks, drawings and recordings of one's own: what the page sends and what a file holds mean the same."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from PIL import Image

from playground import checkpoint, drawing, registry, staging
from playground.__main__ import main
from playground.contract import Audio, BadSetting, Control, DataInfo, Sheet, View, Words
from playground.ui import comparison, forms, generating, guard, heldout, media

pytest_plugins = ["toys"]
pytestmark = pytest.mark.usefixtures("hum")

HEIGHT, WIDTH = 28, 20


@pytest.fixture(scope="module")
def shipped(hum: Path) -> Iterator[Path]:
    """Checkpoints of the family that says what it has been given: ours for grey blots and for colour, a reference."""
    family, place = registry.family("sketch"), hum / "checkpoints" / "sketch"
    checkpoint.save(place / "ours" / "blots", small.trained(family, "blots"))
    checkpoint.save(place / "ours" / "colour", small.trained(family, "shapes"))
    checkpoint.save_reference(place / "reference" / "blots", small.reference(family, "blots"))
    yield place / "ours"
    shutil.rmtree(hum / "checkpoints")


@pytest.fixture
def generate(shipped, tmp_path, capsys):
    """The command line with a view of the family: (exit status, what the view said, what the program said)."""

    def run(view: str, *words: object, of: str = "blots") -> tuple[int, list[str], str]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        place = ["--checkpoint", shipped / of, "--out", tmp_path / "out"]
        status = main([str(w) for w in ("generate", "sketch", "--view", view, *place, *words)])
        printed = capsys.readouterr()
        files = [Path(line) for line in printed.out.splitlines()]
        return status, [f.read_text("utf-8").strip() for f in files if f.suffix == ".txt"], printed.out + printed.err

    return run


def from_page(view: str, of: str = "blots", **raw: Any) -> list[Any]:
    *_, outputs = generating.render("sketch", f"shipped:{of}", view, raw)
    return outputs


def words(outputs: list[Any]) -> list[str]:
    return [o.text["en"] for o in outputs if isinstance(o, Words)]


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png(pixels: np.ndarray) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def wav(seconds: float, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    """A tone of that length, at half of full scale."""
    t = np.arange(int(seconds * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 220 * t)
    whole = (32767 * tone).astype("<i2") if width == 2 else (128 + 127 * tone).astype(np.uint8)
    packed = io.BytesIO()
    with wave.open(packed, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(whole, channels).tobytes())
    return packed.getvalue()


@pytest.fixture
def pixels() -> np.ndarray:
    """A grey picture of the model's size, each pixel another."""
    return np.random.RandomState(0).randint(256, size=(HEIGHT, WIDTH)).astype(np.uint8)


# --- The page and the command line ----------------------------------------------------------------------------


def test_a_picture_and_a_mask(generate, pixels, tmp_path):
    kept = np.random.RandomState(1).rand(HEIGHT, WIDTH) < 0.7
    (tmp_path / "me.png").write_bytes(png(pixels))
    (tmp_path / "mask.png").write_bytes(png(255 * kept.astype(np.uint8)))
    status, said, told = generate("inpaint", "--picture", tmp_path / "me.png", "--mask", tmp_path / "mask.png")
    assert status == 0, told
    rows = ["".join("01"[on] for on in row) for row in kept.astype(int)]
    assert said == [f"yours; ({HEIGHT}, {WIDTH}); torch.bool", " ".join(rows), str(pixels.flatten().tolist())]
    assert words(from_page("inpaint", picture=data_url(png(pixels)), mask="".join(rows))) == said


def test_without_them_the_view_takes_its_own(generate):
    status, said, told = generate("inpaint")
    assert status == 0, told
    assert said[0].startswith("held-out")
    assert set(said[1]) == {"1", " "}
    assert words(from_page("inpaint", picture=None, mask=None)) == said == words(from_page("inpaint"))


@pytest.mark.parametrize("of", ["blots", "colour"])
def test_what_is_light_in_a_mask_is_kept_and_what_is_transparent_is_not(generate, tmp_path, of):
    mask = np.zeros((40, 40, 4), np.uint8)
    mask[:20] = 255  # light above; below, light but transparent
    mask[20:, :, :3] = 255
    (tmp_path / "mask.png").write_bytes(png(mask))
    status, said, told = generate("inpaint", "--mask", tmp_path / "mask.png", of=of)
    assert status == 0, told
    rows = said[1].split()
    assert set(rows[0]) == {"1"} and set(rows[len(rows) // 2 - 2]) == {"1"}
    assert set(rows[-1]) == {"0"} and set(rows[len(rows) // 2 + 2]) == {"0"}


def test_a_drawing(generate, tmp_path):
    points = [[-1, 1], [0.25, -0.5], [1, 0]]
    (tmp_path / "points.json").write_text(json.dumps(points))
    status, said, told = generate("plane", "--drawing", tmp_path / "points.json")
    assert status == 0, told
    assert json.loads(said[0]) == points
    assert words(from_page("plane", drawing=points)) == said


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (11_025, 1)])
def test_a_recording_is_mixed_and_resampled(generate, tmp_path, rate, channels):
    (tmp_path / "me.wav").write_bytes(wav(1.5, rate, channels))
    status, said, told = generate("listen", "--take", tmp_path / "me.wav")
    assert status == 0, told
    assert said == ["1.50 s at 8000 Hz, loudest 0.50"]
    heard, *_ = from_page("listen", take=data_url((tmp_path / "me.wav").read_bytes(), "audio/wav"))
    assert isinstance(heard, Audio)
    t = torch.arange(12_000) / 8000
    inner = slice(200, -200)  # a resampler's filter has no room at the ends
    assert (heard.samples - 0.5 * torch.sin(2 * torch.pi * 220 * t))[inner].abs().max() < 2e-3


def test_a_recording_is_the_input_of_a_view_that_takes_one(generate, tmp_path):
    (tmp_path / "me.wav").write_bytes(wav(1.5, 44_100, 2))
    status, said, told = generate("listen", "--input", tmp_path / "me.wav")
    assert (status, said) == (0, ["1.50 s at 8000 Hz, loudest 0.50"]), told


def test_compare_takes_a_picture_too(shipped, pixels, tmp_path, capsys):
    (tmp_path / "me.png").write_bytes(png(pixels))
    places = ["--checkpoint", shipped / "blots", "--reference-checkpoint", shipped.parent / "reference" / "blots"]
    call = ["compare", "sketch", *places, "--out", tmp_path / "out", "--picture", tmp_path / "me.png", "--n", 4]
    assert main([str(w) for w in call]) == 0
    capsys.readouterr()
    settings = drawing.read_metadata((tmp_path / "out" / "ours.png").read_bytes())
    assert (settings["n"], "picture" in settings) == ("4", False), "where a file lies is nobody's business"
    want = torch.from_numpy(pixels).float()[None] / 255
    for side in comparison._sides("sketch", {"picture": data_url(png(pixels)), "n": 4}):
        assert words(side.outputs) == ["a picture"]
        assert torch.equal(side.outputs[0].pictures[0], want)


# --- What cannot be used is told ------------------------------------------------------------------------------

HOUR = wav(3600, 1000, width=1)


@pytest.mark.parametrize(
    ("view", "flag", "content", "reason"),
    [
        ("inpaint", "--picture", b"these are words", "not a picture"),
        ("inpaint", "--mask", b"these are words", "not a picture"),
        ("inpaint", "--picture", png(np.zeros((7100, 7100), np.uint8)), "too many pixels"),
        (
            "inpaint",
            "--picture",
            png(np.random.RandomState(0).randint(255, size=(99, 99), dtype=np.uint8))[:900],
            "damaged",
        ),
        ("plane", "--drawing", b"[[0, 0], [0, 2]]", "two numbers in [-1, 1]"),
        ("plane", "--drawing", b"[[0, 0], [NaN, 0]]", "two numbers in [-1, 1]"),
        ("plane", "--drawing", b'{"points": []}', "at most 400 points"),
        ("plane", "--drawing", json.dumps([[0, 0]] * 401).encode(), "at most 400 points"),
        ("plane", "--drawing", b"not json", "not valid JSON"),
        ("listen", "--take", wav(2)[:30], "not a recording"),
        ("listen", "--take", b"RIFF" + bytes(60), "not a recording"),
        ("listen", "--take", wav(0), "empty"),
        ("listen", "--take", wav(5.1), "longer than 5 seconds"),
        ("listen", "--take", HOUR, "longer than 5 seconds"),
        ("listen", "--take", wav(1, 500), "unusual recording"),
    ],
)
def test_bad_files_are_named(generate, tmp_path, view, flag, content, reason):
    (tmp_path / "mine").write_bytes(content)
    status, _, told = generate(view, flag, tmp_path / "mine")
    assert status == 2
    assert told.startswith("error: ") and told.count("\n") == 1
    assert "mine" in told and reason in told


INFO = DataInfo("x", channels=1, height=2, width=3)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("picture", "data:text/plain;base64,AAAA", "not a picture"),
        ("picture", "https://example.org/x.png", "expected a file"),
        ("picture", 7, "expected a file"),
        ("picture", data_url(png(np.zeros((3, 2049), np.uint8))), "2048 pixels"),
        ("picture", "data:image/png;base64," + "A" * 2_700_000, "at most 2 MB"),
        ("picture", "data:image/png;base64,AAA", "damaged"),
        ("mask", "11111", "expected 6"),
        ("mask", "11111x", "expected 6"),
        ("mask", [True] * 6, "expected 6"),
        ("drawing", "[[0, 0]]", "at most"),
        ("drawing", [[0, True]], "two numbers"),
        ("drawing", [[0, 0, 0]], "two numbers"),
        ("recording", data_url(b"no sound", "audio/wav"), "not a recording"),
        ("recording", data_url(wav(61), "audio/wav"), "longer than 60 seconds"),
    ],
)
def test_what_a_page_may_not_send(kind, value, reason):
    view = View("x", {}, {}, (Control("mine", kind, {"en": "Mine", "ko": "내 것"}),), lambda: iter([]))
    with pytest.raises(BadSetting, match=reason) as caught:
        media.decode(view, INFO, {"mine": value})
    assert caught.value.text["ko"].startswith("내 것: ")


def test_a_mask_is_rows_and_columns():
    view = View("x", {}, {}, (Control("mask", "mask", {"en": "Mask", "ko": "마스크"}),), lambda: iter([]))
    mask = media.decode(view, INFO, {"mask": "110010"})["mask"]
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[True, True, False], [False, True, False]]


# --- What goes with them --------------------------------------------------------------------------------------


def test_a_field_says_what_it_takes(shipped):
    made = checkpoint.load(shipped / "blots")
    fields = [forms.control_field(c, made.config, made.info) for v in staging.views(made) for c in v.controls]
    known = {f["name"]: f for f in fields}
    assert known["picture"]["size"] == known["mask"]["size"] == [HEIGHT, WIDTH]
    assert (known["drawing"]["most"], known["take"]["most"], known["take"]["rate"]) == (400, 5, 8000)
    assert known["picture"]["most"] == 50_000_000
    names = [known[name]["file"] for name in ("picture", "mask", "drawing", "take")]
    assert names == ["picture.png", "mask.png", "drawing.json", "take.wav"]
    free = Control("drawing", "drawing", {"en": "x", "ko": "x"})
    assert forms.control_field(free, made.config, made.info)["most"] == media.MAX_POINTS


def test_what_is_copied_names_the_files_that_the_page_saves(shipped, pixels, tmp_path, monkeypatch, capsys):
    raw = {"picture": data_url(png(pixels)), "mask": None, "seed": 3}
    settings, again = generating.described("sketch", "shipped:blots", "inpaint", raw)
    assert settings == {"family": "sketch", "checkpoint": "shipped:blots", "view": "inpaint", "seed": 3}
    assert "--seed 3 --picture picture.png --out" in again.command
    assert "--mask" not in again.command
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(png(pixels))
    shutil.copytree(shipped / "blots", tmp_path / "blots")  # a command names a folder outside the project by its name
    result: dict[str, Any] = {}
    exec(compile(again.python, "copied", "exec"), result)
    capsys.readouterr()
    assert words(result["outputs"]) == words(from_page("inpaint", **raw))
    assert isinstance(result["outputs"][0], Sheet)


def test_what_grows_is_shown_as_it_grows_and_its_last_can_be_copied(shipped, monkeypatch):
    def growing(*asked: object) -> Any:
        for n in range(1, 4):
            yield [Words({"en": f"part {n}", "ko": f"{n}번째"})]

    monkeypatch.setattr(generating, "render", growing)
    asked = {"checkpoint": "shipped:blots", "view": "inpaint", "controls": {"seed": 3}}
    monkeypatch.setattr(generating, "PARTIAL_SECONDS", 0.0)
    slowly = list(generating.draw("sketch", asked, None))
    assert [f"part {n}" in shown for n, shown in enumerate(slowly, 1)] == [True, True, True]
    assert ["data-copy" in shown for shown in slowly] == [False, False, True]
    monkeypatch.setattr(generating, "PARTIAL_SECONDS", 60.0)
    (quickly,) = generating.draw("sketch", asked, None)
    number = re.compile(r'data-drawing="\d+"')  # of the drawing, so that the page can tell two apart
    assert number.sub("", quickly) == number.sub("", slowly[-1])


def test_a_mask_has_something_underneath(shipped):
    made = heldout.example("sketch", "shipped:blots")
    image = Image.open(io.BytesIO(base64.b64decode(made.partition(",")[2])))
    assert (image.size, image.mode) == ((WIDTH, HEIGHT), "L")
    coloured = heldout.example("sketch", "shipped:colour")
    assert Image.open(io.BytesIO(base64.b64decode(coloured.partition(",")[2]))).mode == "RGB"
    for family, token in (("sketch", "shipped:nothing"), ("sketch", None), ("nothing", "shipped:blots")):
        assert heldout.example(family, token) == ""


def test_the_microphone_is_for_this_page_alone():
    headers = dict(guard.HEADERS)
    allowed = dict(part.split("=") for part in headers[b"permissions-policy"].decode().split(", "))
    assert allowed.pop("microphone") == "(self)"
    assert set(allowed.values()) == {"()"} and "camera" in allowed
    assert "media-src 'self' data: blob:" in headers[b"content-security-policy"].decode()
