"""Pictures, masks, drawings and recordings, made on the page as a person makes them: by mouse, finger, keyboard or file.

The tests' own family `sketch` says what it has been given.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from looking import wait
from PIL import Image
from playwright.sync_api import Locator, Page

Visit = Callable[..., Any]
HEIGHT, WIDTH = 28, 20  # of the grey checkpoint's pictures


class View:
    """A view of the family `sketch`: its fields, and what it says."""

    def __init__(self, visitor: Any, key: str):
        self.visitor, self.page = visitor, visitor.open(f"?tab=sketch&view={key}", f"#looks-sketch [data-view={key}]")
        self.root = self.page.locator("#looks-sketch")
        self.heard("")

    def show(self, key: str) -> None:
        self.root.locator(f"[data-view={key}]").click()

    def field(self, kind: str) -> Locator:
        return self.root.locator(f".field-{kind}")

    def press(self, kind: str, name: str) -> None:
        self.field(kind).get_by_role("button", name=name, exact=True).click()

    def choose(self, kind: str, file: Path) -> None:
        self.field(kind).locator("input[type=file]").set_input_files(file)

    def told(self, kind: str, what: str) -> None:
        self.field(kind).locator(".hint.error", has_text=re.compile(what)).wait_for()

    def words(self) -> list[str]:
        return self.page.locator("#looked-sketch figure.words p:first-child").all_inner_texts()

    def heard(self, what: str, place: int = 0) -> list[str]:
        """What the view says, once its paragraph of that place holds `what` and nothing is under way."""
        self.page.wait_for_function(
            """([what, place]) => {
              const said = document.querySelectorAll('#looked-sketch figure.words p:first-child')[place];
              return said?.textContent.includes(what) && !document.querySelector('[aria-busy=true]');
            }""",
            arg=[what, place],
        )
        return self.words()

    def rows(self) -> list[str]:
        return self.words()[1].split()


def at(canvas: Locator, places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places within the canvas, from 0 to 1, as places of the window, once it lies still."""
    canvas.click(trial=True)
    box = canvas.bounding_box()
    assert box
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]


def stroke(page: Page, canvas: Locator, *places: tuple[float, float]) -> None:
    first, *rest = at(canvas, places)
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def swipe(page: Page, canvas: Locator, *places: tuple[float, float]) -> None:
    """The same with a finger."""
    touch = page.context.new_cdp_session(page)
    for n, (x, y) in enumerate(at(canvas, places)):
        points = [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove" if n else "touchStart", "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def picture_file(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path, "PNG")
    return path


def wav(path: Path, rate: int, samples: np.ndarray) -> Path:
    """Samples from -1 to 1 as 8-bit WAV of one channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, rate, 0, "NONE", ""))
        file.writeframes((128 + 127 * samples).astype(np.uint8).tobytes())
    return path


def tone(path: Path, seconds: float, rate: int) -> Path:
    return wav(path, rate, 0.5 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate))


def give(page: Page, selector: str, event: str, file: Path) -> None:
    """Paste or drop a file, which Playwright has no hands for."""
    page.evaluate(
        """([selector, kind, content]) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], 'given.png', { type: 'image/png' }));
          const options = { bubbles: true, cancelable: true };
          const event = kind === 'paste' ? new ClipboardEvent(kind, { ...options, clipboardData: data })
            : new DragEvent(kind, { ...options, dataTransfer: data });
          document.querySelector(selector).dispatchEvent(event);
        }""",
        [selector, event, base64.b64encode(file.read_bytes()).decode()],
    )


def saved(view: View, kind: str, path: Path) -> Path:
    with view.page.expect_download() as download:
        view.press(kind, "Save")
    assert download.value.suggested_filename == path.name
    download.value.save_as(path)
    return path


# --- Pictures -------------------------------------------------------------------------------------------------


def test_a_picture(visit: Visit, tmp_path: Path) -> None:
    view = View(visit(), "inpaint")
    page, canvas = view.page, view.field("picture").locator("canvas.paint")
    assert view.heard("held-out")
    stroke(page, canvas, (0.5, 0.15), (0.5, 0.85))
    drawn = np.array(ast.literal_eval(view.heard("yours")[2])).reshape(HEIGHT, WIDTH)
    assert drawn[14, 10] == 255 and drawn[:, 10].mean() > 150 and drawn[:, :6].max() == 0
    assert view.field("picture").locator("figure.seen canvas").is_visible()

    # A file of the model's own size is taken as it is, and comes back as it is.
    mine = np.random.RandomState(0).randint(256, size=(HEIGHT, WIDTH)).astype(np.uint8)
    view.choose("picture", picture_file(tmp_path / "mine.png", mine))
    view.heard(str(mine.flatten().tolist()), 2)
    assert np.array_equal(np.asarray(Image.open(saved(view, "picture", tmp_path / "picture.png")).convert("L")), mine)

    # What cannot be used is told, and nothing is lost.
    (tmp_path / "words.png").write_text("these are words")
    view.choose("picture", tmp_path / "words.png")
    view.told("picture", "not a picture")
    Image.new("1", (8000, 6300)).save(tmp_path / "large.png")
    view.choose("picture", tmp_path / "large.png")
    view.told("picture", r"50\.4 million pixels; at most 50 million")
    assert view.words()[2] == str(mine.flatten().tolist())

    # By paste, by drop; then back, step by step, and on through other views.
    black, white = (np.full((HEIGHT, WIDTH), v, np.uint8) for v in (0, 255))
    give(page, "body", "paste", picture_file(tmp_path / "white.png", white))
    view.heard(str(white.flatten().tolist()), 2)
    assert view.field("picture").locator(".hint.error").count() == 0
    give(page, "#looks-sketch .field-picture canvas", "drop", picture_file(tmp_path / "black.png", black))
    view.heard(str(black.flatten().tolist()), 2)
    view.press("picture", "Undo")
    view.heard(str(white.flatten().tolist()), 2)
    view.show("plane")
    view.heard("[]")
    view.show("inpaint")
    view.heard(str(white.flatten().tolist()), 2)
    command = page.locator("#looked-sketch [data-copy]").first.get_attribute("data-copy") or ""
    assert "--view inpaint" in command and "--picture picture.png" in command

    # A checkpoint of another size and in colour takes the picture along.
    page.locator("#makes-sketch .picker select").select_option("shipped:colour")
    view.heard("yours; (32, 32)")
    assert view.field("picture").locator("input[type=color]").is_visible()
    view.press("picture", "Clear")
    view.heard("held-out; (32, 32)")
    assert view.field("picture").get_by_role("button", name="Clear", exact=True).is_disabled()


def test_a_reload_keeps_what_an_address_can_hold(visit: Visit) -> None:
    view = View(visit(), "inpaint")
    stroke(view.page, view.field("picture").locator("canvas.paint"), (0.2, 0.5), (0.8, 0.5))
    view.heard("yours")
    seed = view.root.locator("[data-name=seed] input")
    seed.fill("77")
    seed.press("Tab")
    view.page.wait_for_function("location.search.includes('seed=77')")
    assert "picture" not in view.page.url
    view.page.reload()
    view.page.wait_for_selector("#looks-sketch canvas.paint")
    view.heard("held-out")
    assert (view.root.locator("[data-view=inpaint]").get_attribute("aria-selected"), seed.input_value()) == (
        "true",
        "77",
    )


# --- Masks ----------------------------------------------------------------------------------------------------


def test_a_mask(visit: Visit, tmp_path: Path) -> None:
    view = View(visit(), "inpaint")
    page, canvas = view.page, view.field("mask").locator("canvas.paint")
    under = (
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].some((v, i) => i % 4 === 0 && v === 0)"
    )
    wait(lambda: canvas.evaluate(under), "a held-out picture under the mask")
    view.heard("1" * WIDTH, 1)
    stroke(page, canvas, (0.15, 0.5), (0.85, 0.5))
    view.heard("0" * 14, 1)
    rows = view.rows()
    assert len(rows) == HEIGHT
    assert "0" not in rows[0] + rows[-1] and {row[:1] + row[-1:] for row in rows} == {"11"}
    assert "fill in" in view.field("mask").inner_text()

    view.press("mask", "Invert")
    view.heard("0" * WIDTH, 1)
    assert view.rows() == [row.translate(str.maketrans("01", "10")) for row in rows]
    view.press("mask", "Undo")
    view.heard(" ".join(rows), 1)
    view.press("mask", "Restore")
    stroke(page, canvas, (0.5, 0.3), (0.5, 0.7))
    wait(lambda: view.rows() != rows, "the middle restored")
    assert view.rows()[14][10] == "1" and view.rows()[14][3] == "0"
    view.press("mask", "Restore")
    view.visitor.shot("controls-mask")

    # From a file as it is, and back into one.
    kept = np.random.RandomState(1).rand(HEIGHT, WIDTH) < 0.5
    view.choose("mask", picture_file(tmp_path / "kept.png", 255 * kept.astype(np.uint8)))
    view.heard(" ".join("".join("01"[int(on)] for on in row) for row in kept), 1)
    again = np.asarray(Image.open(saved(view, "mask", tmp_path / "mask.png")).convert("L"))
    assert np.array_equal(again == 255, kept)
    (tmp_path / "words.png").write_text("these are words")
    view.choose("mask", tmp_path / "words.png")
    view.told("mask", "not a picture")

    # By keyboard, with a thin brush: the crosshair starts in the middle.
    view.press("mask", "Clear")
    view.heard(" ".join(["1" * WIDTH] * HEIGHT), 1)
    view.field("mask").locator("input[type=range]").fill("1")
    canvas.focus()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.52 * box["width"], box["y"] + 0.52 * box["height"])
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    view.heard("0", 1)
    wait(lambda: "".join(view.rows()).count("0") == 4, "the middle, and three cells to its right")
    assert [row for row in view.rows() if "0" in row] == [view.rows()[14]]

    # Over a picture of one's own.
    view.choose("picture", picture_file(tmp_path / "white.png", np.full((HEIGHT, WIDTH), 255, np.uint8)))
    view.heard("yours")
    corner = "c => [...c.getContext('2d').getImageData(2, 2, 1, 1).data]"
    assert canvas.evaluate(corner) == [255, 255, 255, 255]


# --- Points ---------------------------------------------------------------------------------------------------


def test_points(visit: Visit, tmp_path: Path) -> None:
    view = View(visit(), "plane")
    page, canvas = view.page, view.field("drawing").locator("canvas.paint")

    def points() -> np.ndarray:
        return np.array(json.loads(view.words()[0])).reshape(-1, 2)

    stroke(page, canvas, (0.75, 0.1))
    view.heard("[[0.")
    assert np.allclose(points(), [[0.5, 0.8]], atol=0.02), "one point, y upwards"
    stroke(page, canvas, (0.05, 0.95), (0.5, 0.5))
    wait(lambda: len(points()) > 10, "a stroke")
    whole = points()
    assert np.abs(whole).max() <= 1
    assert np.allclose(whole[1:, 0], whole[1:, 1], atol=0.03), "along the diagonal"
    assert np.linalg.norm(np.diff(whole[1:], axis=0), axis=1).max() < 0.05, "without gaps"
    view.press("drawing", "Undo")
    wait(lambda: len(points()) == 1, "the stroke undone")

    mine = [[-1, -1], [0, 0.5], [1, 1]]
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    view.choose("drawing", tmp_path / "mine.json")
    view.heard("[[-1.0, -1.0], [0.0, 0.5], [1.0, 1.0]]")
    assert json.loads(saved(view, "drawing", tmp_path / "drawing.json").read_text()) == mine
    for content, reason in (("[[0, 2]]", "no list of points"), (json.dumps([[0, 0]] * 401), "401 points; at most 400")):
        (tmp_path / "bad.json").write_text(content)
        view.choose("drawing", tmp_path / "bad.json")
        view.told("drawing", reason)
    assert len(points()) == 3
    (tmp_path / "many.json").write_text(json.dumps([[0, 0]] * 399))
    view.choose("drawing", tmp_path / "many.json")
    wait(lambda: len(points()) == 399, "all but full")
    stroke(page, canvas, (0.2, 0.2), (0.8, 0.2))
    view.field("drawing").get_by_text("400 points are drawn").wait_for()
    wait(lambda: len(points()) == 400, "full")
    view.press("drawing", "Clear")
    view.heard("[]")


# --- Recordings -----------------------------------------------------------------------------------------------


def test_a_recording(visit: Visit, tmp_path: Path) -> None:
    view = View(visit(microphone=True), "listen")
    page, field = view.page, view.field("recording")
    assert view.heard("nothing")
    assert "not kept" in field.locator(".hint").last.inner_text()
    view.press("recording", "Record")
    field.locator(".time", has_text="0:01 / 0:05").wait_for()
    level = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((v, i) => i % 4 === 3 && v).length"
    assert field.locator("canvas.wave").evaluate(level) > 100
    view.press("recording", "Stop")
    seconds, loudest = map(float, re.findall(r"[\d.]+", view.heard("s at 8000 Hz")[0].replace("8000", ""))[:2])
    assert 1 <= seconds <= 5 and loudest > 0.05, "the microphone beeps"
    assert page.locator("#looked-sketch audio").count() == 1
    assert field.locator("audio").is_visible() and field.locator("audio").evaluate("a => a.duration") > 0.9
    view.visitor.shot("controls-recording")
    saved(view, "recording", tmp_path / "take.wav")
    view.press("recording", "Delete")
    view.heard("nothing")
    assert not field.locator("audio").is_visible()

    view.choose("recording", tmp_path / "take.wav")
    view.heard(f"{seconds:.2f} s at 8000 Hz")
    view.choose("recording", tone(tmp_path / "tone.wav", 2, 44_100))
    view.heard("2.00 s at 8000 Hz, loudest 0.50")
    (tmp_path / "broken.wav").write_bytes((tmp_path / "tone.wav").read_bytes()[:20] + b"broken" * 50)
    for file, reason in (
        (tmp_path / "broken.wav", "not a recording"),
        (wav(tmp_path / "hour.wav", 3000, np.zeros(3600 * 3000, np.float32)), "lasts 1 h 0 min; at most 5 s"),
        (tone(tmp_path / "six.wav", 6, 8000), "lasts 6 s; at most 5 s"),
        (wav(tmp_path / "silent.wav", 8000, np.zeros(8000)), "Nothing was heard"),
    ):
        view.choose("recording", file)
        view.told("recording", reason)
    assert view.words()[0] == "2.00 s at 8000 Hz, loudest 0.50", "what was there is still there"


# --- A telephone, in Korean, in the dark ----------------------------------------------------------------------


def test_on_a_telephone(visit: Visit) -> None:
    visitor = visit(locale="ko-KR", size=(390, 844), dark=True)
    view = View(visitor, "inpaint")
    page, field = view.page, view.field("mask")
    swipe(page, view.field("picture").locator("canvas.paint"), (0.2, 0.3), (0.8, 0.3), (0.4, 0.8))
    view.heard("yours")
    swipe(page, field.locator("canvas.paint"), (0.3, 0.5), (0.7, 0.5))
    view.heard("0" * 8, 1)
    field.locator("output", has_text="채우기").wait_for()
    assert re.findall(r"[A-Za-z]{2,}", view.root.inner_text()) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    view.root.scroll_into_view_if_needed()
    visitor.shot("controls-telephone-mask")
    view.show("plane")
    swipe(page, view.field("drawing").locator("canvas.paint"), (0.2, 0.2), (0.8, 0.4), (0.3, 0.9))
    view.heard("[[-0.")
    assert re.findall(r"[A-Za-z]{2,}", view.root.inner_text()) == []
    visitor.shot("controls-telephone-points")
    view.show("listen")
    assert re.findall(r"[A-Za-z]{2,}", view.root.inner_text()) == []
    view.press("recording", "녹음")
    view.told("recording", "허용되지 않았습니다")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.shot("controls-telephone-recording")


def test_a_microphone_that_cannot_be_had(visit: Visit) -> None:
    view = View(visit(microphone=True), "listen")
    for trouble, reason in (("NotFoundError", "No microphone was found"), ("NotReadableError", "could not be opened")):
        view.page.evaluate(
            """(name) => (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', name)))""",
            trouble,
        )
        view.press("recording", "Record")
        view.told("recording", reason)
    view.page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    view.press("recording", "Record")
    view.told("recording", "only to pages by https")
