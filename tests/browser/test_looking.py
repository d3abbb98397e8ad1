"""Looking at checkpoints: the first paint, every view, links that repeat, files that remember, uploads that are checked."""

from __future__ import annotations

import base64
import io
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looking import ROOT, wait
from PIL import Image
from playwright.sync_api import Page

from playground import checkpoint, drawing, registry

Visit = Callable[..., Any]
READY = [name for name in registry.families() if checkpoint.shipped(name)]
PAIRED = [name for name in READY if checkpoint.shipped(name, "reference")]


def drawn(page: Page, stage: str, **settings: Any) -> None:
    """Wait until the stage shows what was drawn with these settings, and nothing is under way."""
    page.wait_for_function(
        """([stage, wanted]) => {
          const shown = document.querySelector(`${stage} [data-settings]`);
          const settings = shown && JSON.parse(shown.dataset.settings);
          const fits = settings && Object.entries(wanted).every(([name, value]) => settings[name] === value);
          return fits && !document.querySelector('[aria-busy=true]');
        }""",
        arg=[stage, settings],
    )


def picture(page: Page, name: str) -> str:
    """The source of the picture that the generating view has drawn."""
    return page.locator(f"#made-{name} [data-settings] img").get_attribute("src") or ""


@pytest.mark.parametrize("name", READY)
def test_first_paint_needs_no_model(visit: Visit, name: str) -> None:
    visitor = visit()
    asked: list[str] = []
    visitor.page.on("request", lambda r: asked.append(r.url))
    page = visitor.open(f"?tab={name}", f"#made-{name} img.first")
    page.wait_for_function(f"document.querySelector('#made-{name} img.first').naturalWidth > 100")
    assert any(url.endswith(f"/preview/{name}.png") for url in asked)
    assert not any("queue/join" in url for url in asked)


@pytest.mark.parametrize("name", READY)
def test_every_view_draws(visit: Visit, name: str) -> None:
    visitor = visit()
    page = visitor.open(f"?tab={name}", f"#makes-{name} button.primary")
    page.locator(f"#makes-{name} button.primary").click()
    drawn(page, f"#made-{name}")
    page.locator(f"#looks-{name}").scroll_into_view_if_needed()
    for tab in page.locator(f"#looks-{name} [role=tab]").all():
        tab.click()
        drawn(page, f"#looked-{name}", view=tab.get_attribute("data-view"))
        assert page.locator(f"#looked-{name} .error").count() == 0, tab.inner_text()
        assert page.locator(f"#looked-{name} :is(img, svg, table, audio, p)").count() >= 1
        visitor.shot(f"view-{name}-{tab.get_attribute('data-view')}")


def test_a_link_repeats_the_picture_and_the_file_remembers(visit: Visit, tmp_path: Path) -> None:
    name = READY[0]
    first, second = visit(), visit()
    page = first.open(f"?tab={name}", f"#makes-{name} button.primary")
    page.locator(f"#makes-{name} summary").click()
    seed = page.locator(f"#makes-{name} [data-name=seed] input")
    seed.fill("421")
    seed.press("Tab")
    drawn(page, f"#made-{name}", seed=421)
    assert "seed=421" in page.url
    with page.expect_download() as download:
        page.locator(f"#made-{name} a[download]").click()
    file = tmp_path / "picture.png"
    download.value.save_as(file)
    settings = drawing.read_metadata(file.read_bytes())
    assert (settings["family"], settings["seed"]) == (name, 421)

    other = second.open(page.url.removeprefix(first.app).removeprefix("/"))
    drawn(other, f"#made-{name}", seed=421)
    assert picture(other, name) == picture(page, name)

    third = visit()
    restored = third.open(f"?tab={name}", f"#makes-{name} button.primary")
    restored.locator(f"#makes-{name} input[type=file][accept^='image/png']").set_input_files(file)
    restored.wait_for_function("location.search.includes('seed=421')")
    drawn(restored, f"#made-{name}", seed=421)
    assert picture(restored, name) == picture(page, name)


def test_what_is_copied_draws_the_same(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name = READY[0]
    visitor = visit()
    page = visitor.open(f"?tab={name}&view=generate&n=4&seed=9")
    drawn(page, f"#made-{name}", seed=9, n=4)
    page.locator(f"#made-{name} [data-copy]", has_text="command line").click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"python -m playground generate {name} --checkpoint checkpoints/{name}/ours/")
    assert "--n 4" in command
    assert "--seed 9" in command
    page.locator(f"#made-{name} [data-copy]", has_text="Python").click()
    python = page.evaluate("navigator.clipboard.readText()")
    result: dict[str, Any] = {}
    exec(compile(python, "copied", "exec"), result)
    shown = Image.open(io.BytesIO(base64.b64decode(picture(page, name).partition(",")[2])))
    made = Image.open(io.BytesIO(drawing.sheet_png(result["outputs"][0])))
    assert shown.tobytes() == made.tobytes()


def test_controls_out_of_bounds_are_told(visit: Visit) -> None:
    name = READY[0]
    visitor = visit()
    page = visitor.open(f"?tab={name}", f"#makes-{name} button.primary")
    # The page's own inputs keep to their bounds; someone else's program need not.
    answer = page.evaluate(
        """async (name) => {
          const config = window.gradio_config;
          const at = config.dependencies.find((d) => d.api_name === `draw_${name}`);
          const value = { checkpoint: 'shipped:mnist', view: 'generate', controls: { n: 1e9, seed: -4 } };
          const body = { data: [value], fn_index: at.id, session_hash: 'tester', trigger_id: null };
          const headers = { 'Content-Type': 'application/json' };
          await fetch('gradio_api/queue/join', { method: 'POST', headers, body: JSON.stringify(body) });
          const stream = await fetch('gradio_api/queue/data?session_hash=tester');
          return await stream.text();
        }""",
        name,
    )
    assert "n = 1000000000: must lie between" in answer


def test_drawing_by_hand(visit: Visit) -> None:
    name = READY[0]
    views = registry.family(name).views
    view = next((v.key for v in views if any(c.kind == "picture" for c in v.controls)), None)
    if view is None:
        pytest.skip("no view takes a picture")
    visitor = visit()
    page = visitor.open(f"?tab={name}&view={view}", f"#looks-{name} canvas.paint")
    drawn(page, f"#looked-{name}", view=view)
    before = page.locator(f"#looked-{name} img").first.get_attribute("src")
    canvas = page.locator(f"#looks-{name} canvas.paint")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 150, steps=8)
    page.mouse.up()
    wait(
        lambda: page.locator(f"#looked-{name} img").first.get_attribute("src") != before, "the picture's reconstruction"
    )
    assert page.locator(f"#looked-{name} .error").count() == 0
    visitor.shot("drawn-by-hand")


# --- Uploads --------------------------------------------------------------------------------------------------


def zipped(folder: Path, out: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, f"{inside}{path.relative_to(folder).as_posix()}")
    return out


def upload(page: Page, name: str, file: Path) -> None:
    page.locator(".makes input[type=file][accept*='.zip']:visible, .makes input[type=file]").last.set_input_files(file)


def test_a_checkpoint_of_ones_own(visit: Visit, tmp_path: Path) -> None:
    name = READY[0]
    visitor = visit()
    page = visitor.open(f"?tab={name}", f"#makes-{name} button.primary")
    source = checkpoint.shipped(name)[-1]
    upload(page, name, zipped(source, tmp_path / "mine.zip", "folder/"))
    page.wait_for_function(f"document.querySelector('#makes-{name} .picker select').value.startsWith('upload:')")
    drawn(page, f"#made-{name}")


def test_a_damaged_checkpoint_is_refused_with_its_reason(visit: Visit, tmp_path: Path) -> None:
    name = READY[0]
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint.shipped(name)[0], broken)
    weights = bytearray((broken / "model.safetensors").read_bytes())
    weights[-5] ^= 0x40
    (broken / "model.safetensors").write_bytes(weights)
    visitor = visit(locale="ko-KR")
    page = visitor.open(f"?tab={name}", f"#makes-{name} button.primary")
    upload(page, name, zipped(broken, tmp_path / "broken.zip"))
    toast = page.locator("[data-testid=toast-body]").first
    toast.wait_for()
    assert "model.safetensors" in toast.inner_text()
    assert "쓸 수 없습니다" in toast.inner_text()
    assert page.locator(f"#makes-{name} .picker select").input_value().startswith("shipped:")


def test_pictures_of_ones_own_are_used_and_deleted(visit: Visit, tmp_path: Path) -> None:
    name = READY[0]
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for i in range(12):
            data = io.BytesIO()
            Image.new("RGB", (32, 32), (20 * i, 80, 255 - 20 * i)).save(data, "PNG")
            archive.writestr(f"{i}.png", data.getvalue())
        archive.writestr("notes.png", b"not a picture")
    visitor = visit()
    page = visitor.open(f"?tab={name}", f"#settings-{name} select")
    page.locator(".train input[type=file]").first.set_input_files(tmp_path / "pictures.zip")
    data = page.locator(f"#settings-{name} [data-name=dataset] select")
    wait(lambda: data.input_value().startswith("own:"), "the pictures as a data set")
    assert "12" in data.locator("option:checked").inner_text()
    assert "notes.png" in page.locator("[data-testid=toast-body]").first.inner_text()
    page.get_by_role("button", name="Delete my pictures").click()
    wait(lambda: not data.input_value().startswith("own:"), "the data set before")
    page.locator("[data-testid=toast-body]", has_text="deleted").wait_for()


# --- Compare --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRED)
def test_ours_and_the_reference_side_by_side(visit: Visit, name: str) -> None:
    visitor = visit()
    page = visitor.open(f"?tab=compare&family={name}&seed=3", "#compared table")
    assert page.locator("#compared .pair .side").count() == 2
    made = {"image": "img", "speech": "audio"}[registry.family(name).kind]
    assert page.locator(f"#compared .pair {made}").count() >= 2
    text = page.locator("#compared table").inner_text()
    reference = registry.family(name).reference
    assert reference.cls in text
    assert re.search(rf"{re.escape(reference.library)} \d+\.\d+", text)
    for row in ("Parameters", "Training (minutes)", "Examples seen", "Seconds a sample", "Configuration"):
        assert row in text
    visitor.shot(f"compare-{name}", whole=True)
