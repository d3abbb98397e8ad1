"""Sound on the page: made, heard while it is made, compared, and said into the microphone. The hum stands for the families."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from looking import wait
from playwright.sync_api import Locator, Page

from playground import checkpoint, registry

Visit = Callable[..., Any]
SPEAKING = [n for n, f in registry.families().items() if f.kind == "speech" and checkpoint.shipped(n)]
SAMPLES = """async (audio) => {
  const bytes = await (await fetch(audio.src)).arrayBuffer();
  const made = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes);
  const samples = made.getChannelData(0);
  return { seconds: made.duration, loudest: samples.reduce((m, s) => Math.max(m, Math.abs(s)), 0),
           power: samples.reduce((sum, s) => sum + s * s, 0) / samples.length };
}"""


def drawn(page: Page, stage: str) -> None:
    page.wait_for_function(
        "(stage) => document.querySelector(`${stage} [data-settings]`) && !document.querySelector('[aria-busy=true]')",
        arg=stage,
    )


def plays(audio: Locator) -> None:
    audio.evaluate("(a) => a.play()")
    wait(lambda: audio.evaluate("(a) => a.currentTime") > 0.05, "the recording to be heard", 20)


@pytest.mark.parametrize("name", [*SPEAKING, "hum"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_sound_is_made_and_heard(visit: Visit, name: str, locale: str) -> None:
    visitor = visit(locale=locale)
    page = visitor.open(f"?tab={name}", f"#makes-{name} button.primary")
    if name == "hum":
        page.locator("#makes-hum textarea").fill("la di do la di do la di")
        page.locator("#makes-hum [data-name=frames] input[type=number]").fill("64")
    page.locator(f"#makes-{name} button.primary").click()
    drawn(page, f"#made-{name}")
    audio = page.locator(f"#made-{name} [data-settings] audio").first
    heard = audio.evaluate(SAMPLES)
    assert 0.2 < heard["seconds"] < 30, "of plausible length"
    assert heard["loudest"] > 0.01, "not silent"
    plays(audio)
    titles = page.locator(f"#made-{name} [data-settings] svg title").all_text_contents()
    assert titles and page.locator(f"#made-{name} svg").first.is_visible()
    if locale == "ko-KR":
        axes = " ".join(page.locator(f"#made-{name} svg text").all_text_contents())
        assert "시간(초)" in axes and "time" not in axes
    visitor.shot(f"sound-{name}-{locale[:2]}")


def test_a_recording_carries_its_settings(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.open("?tab=hum&view=hum&text=di+do&frames=32&seed=9", "#makes-hum button.primary")
    drawn(page, "#made-hum")
    with page.expect_download() as download:
        page.locator("#made-hum a[download]").first.click()
    download.value.save_as(tmp_path / "made.wav")
    with soundfile.SoundFile(tmp_path / "made.wav") as file:
        settings = json.loads(file.comment)
    assert (settings["text"], settings["seed"], settings["family"]) == ("di do", 9, "hum")
    page.goto(f"{visitor.app}/?tab=hum")
    page.locator("#makes-hum details.more summary").click()
    page.locator("#makes-hum input[type=file][accept*=wav]").set_input_files(tmp_path / "made.wav")
    page.wait_for_function("location.search.includes('seed=9') && location.search.includes('text=di')")


def test_another_vocoder(visit: Visit) -> None:
    page = visit().open("?tab=hum", "#makes-hum button.primary")
    choice = page.locator("#makes-hum .vocoder")
    assert not choice.is_visible(), "nothing is drawn yet"
    page.locator("#makes-hum button.primary").click()
    drawn(page, "#made-hum")
    assert choice.is_visible()
    page.get_by_text("Sounded by: Griffin-Lim").wait_for()
    choice.locator("select").select_option(label="Whistle")
    page.get_by_text("Sounded by: Whistle").wait_for()
    page.wait_for_function("location.search.includes('vocoder=whistle')")


def test_a_sound_begins_before_it_is_whole(visit: Visit) -> None:
    page = visit().open("?tab=hum", "#makes-hum button.primary")
    page.locator("#makes-hum textarea").fill(" ".join(["la di do"] * 3))
    page.locator("#makes-hum [data-name=frames] input[type=number]").fill("64")
    page.locator("#makes-hum details.more summary").click()
    page.locator("#makes-hum [data-name=rest] input[type=number]").fill("0.4")
    page.locator("#makes-hum button.primary").click()
    page.wait_for_function(
        """() => {
          const stage = document.querySelector('#made-hum');
          return Number(stage.dataset.streamed) > 0 && stage.querySelector('[data-growing]');
        }"""
    )
    page.locator("#made-hum .streaming button").wait_for()
    drawn(page, "#made-hum")
    page.wait_for_function("!document.querySelector('#made-hum [data-growing]')")
    stage = page.locator("#made-hum")
    wait(
        lambda: int(stage.get_attribute("data-streamed") or 0) == 9 * 64 * 64,
        "all of it to be given to the loudspeaker",
    )
    assert int(stage.get_attribute("data-pieces") or 0) >= 3
    wait(lambda: page.locator("#made-hum .streaming").count() == 0, "the sound to end by itself")


def test_recordings_side_by_side_are_equally_loud(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("?tab=compare&family=hum", "#compare button.primary")
    page.wait_for_selector("#compared table")
    audios = page.locator("#compared audio[data-gain]")
    assert audios.count() == 4
    first, *rest = (a.evaluate(SAMPLES)["power"] ** 0.5 * a.evaluate("(a) => a.volume") for a in audios.all()[::2])
    assert rest == [pytest.approx(first, rel=0.25)]
    bar = page.locator("#compared .side-by-side")
    bar.locator(".choices button").nth(2).click()
    wait(lambda: not audios.nth(2).evaluate("(a) => a.paused && !a.ended"), "the one chosen to be heard")
    assert audios.nth(0).evaluate("(a) => a.paused")
    assert "Written here" in bar.inner_text()
    bar.get_by_role("button", name="Blind").click()
    assert bar.locator(".choices button").all_inner_texts() == ["1", "2", "3", "4"]
    bar.get_by_role("button", name="Show the names").click()
    assert "Written here" in bar.inner_text()
    visitor.shot("sound-compare")


# --- People's own ---------------------------------------------------------------------------------------------


def test_digits_are_said_into_the_microphone(visit: Visit) -> None:
    visitor = visit(microphone=True)
    page = visitor.open("?tab=hum", "#settings-hum")
    page.locator("#settings-hum summary", has_text="Say digits").click()
    part = page.locator("#settings-hum .prompting")
    start = part.get_by_role("button", name="Start", exact=True)
    assert start.is_disabled(), "not before there is consent"
    part.locator(".consent input").check()
    part.get_by_role("textbox", name="Who speaks").fill("Ms. Kim")
    start.click()
    part.get_by_text("Say: 0 (zero)").wait_for()
    part.get_by_text(re.compile(r"2 of 10")).wait_for()
    part.get_by_role("button", name="Stop", exact=True).click()
    use = part.get_by_role("button", name=re.compile(r"Use \d+ recordings"))
    wait(use.is_enabled, "the recordings to be offered")
    visitor.shot("sound-prompting")
    use.click()
    data = page.locator("#settings-hum [data-name=dataset] select")
    wait(lambda: data.input_value().startswith("own:"), "the recordings as a data set")
    assert re.search(r"Spoken digits and my recordings \(\d\)", data.inner_text())
    remove = page.get_by_role("button", name="Delete my recordings")
    remove.click()
    wait(lambda: not data.input_value().startswith("own:"), "the recordings to be deleted")
    assert "My recordings" not in data.inner_text()


def test_a_zip_of_recordings(visit: Visit, tmp_path: Path) -> None:
    packed = tmp_path / "mine.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for digit in range(3):
            for k in range(3):
                body = io.BytesIO()
                soundfile.write(body, 0.5 * np.sin(0.05 * (digit + 1) * np.arange(8000)), 16_000, format="WAV")
                archive.writestr(f"{digit}_me_{k}.wav", body.getvalue())
        archive.writestr("words.wav", "no sound")
    page = visit(locale="ko-KR").open("?tab=hum", "#settings-hum")
    tab = page.locator(".train", has=page.locator("#settings-hum"))
    tab.locator("input[type=file]").set_input_files(packed)
    data = page.locator("#settings-hum [data-name=dataset] select")
    wait(lambda: data.input_value().startswith("own:"), "the recordings as a data set")
    assert "내 녹음 (9개)" in data.inner_text()
    page.get_by_text(re.compile("words.wav")).first.wait_for()
