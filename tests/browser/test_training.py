"""Training as a person does it: Train, watch, Stop, Resume, Step; a reload; two people at once; a race."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from looking import Monitor, wait

Visit = Callable[..., Any]


def prepare(visitor: Any, **settings: float) -> Monitor:
    """The tests' own family, its steps slow enough to be watched, with a worker that is awake."""
    query = "&".join(
        f"recipe.{name}={value:.12g}".replace("+", "")
        for name, value in {"pause": 0.15, "steps": 60, **settings}.items()
    )
    visitor.open(f"?tab=hum&preset=fast&minutes=0&{query}", "#monitor-hum button")
    return visitor.monitor("hum")


@pytest.fixture(scope="module", autouse=True)
def _warm(app: str, chromium: Any) -> None:
    """One short run, so that the worker has imported everything: the acceptance list times a warm one."""
    context = chromium.new_context(locale="en-US")
    page = context.new_page()
    page.goto(f"{app}/?tab=hum&minutes=0&recipe.steps=1&recipe.iterations=1&recipe.pause=0")
    page.wait_for_selector("#monitor-hum button", timeout=180_000)
    page.click("#monitor-hum [data-action=train]")
    page.wait_for_selector("#monitor-hum [data-state=finished], #monitor-hum[data-state=finished]", timeout=180_000)
    context.close()


def increasing(steps: list[int]) -> bool:
    return all(b > a for a, b in pairwise(steps))


def test_train_watch_stop_resume(visit: Visit, within: Any) -> None:
    visitor = visit()
    monitor = prepare(visitor)
    with within(1.0, "the first event"):
        monitor.press("train")
        wait(lambda: len(monitor.steps()) >= 1, "the first event")
    wait(lambda: len(monitor.steps()) >= 6, "six steps")
    assert increasing(monitor.steps())
    assert "left" in visitor.page.locator("#monitor-hum .counts").inner_text()
    visitor.shot("training")
    with within(1.15, "Stop"):
        monitor.press("stop")
        monitor.wait_state("stopped")
    stopped_at = monitor.steps()[-1]
    visitor.page.wait_for_timeout(700)
    assert monitor.steps()[-1] == stopped_at, "a run that has stopped makes no more steps"

    monitor.press("resume")
    wait(lambda: monitor.steps()[-1] >= stopped_at + 5, "five more steps")
    steps = monitor.steps()
    assert increasing(steps), "the curve never folds back"
    assert set(range(stopped_at - 1, stopped_at + 4)) <= set(steps), "it goes on from the step it stopped at"
    monitor.press("stop")
    monitor.wait_state("stopped", "finished")


def test_a_reload_takes_the_run_up_again(visit: Visit) -> None:
    visitor = visit()
    monitor = prepare(visitor)
    monitor.press("train")
    wait(lambda: len(monitor.steps()) >= 4, "four steps")
    before = monitor.steps()[-1]
    visitor.page.reload()
    visitor.page.wait_for_selector("#monitor-hum button")
    wait(lambda: bool(monitor.steps()) and monitor.steps()[-1] > before, "the curve after the reload")
    assert monitor.steps()[0] == 1, "the curve is whole"
    assert increasing(monitor.steps())
    assert monitor.state() == "running"
    monitor.press("stop")
    monitor.wait_state("stopped")


def test_step_by_step(visit: Visit) -> None:
    monitor = prepare(visit())
    monitor.press("step")
    monitor.wait_state("held")
    assert monitor.steps() == [1]
    monitor.press("step")
    wait(lambda: monitor.steps() == [1, 2], "the second step")
    monitor.press("resume")
    wait(lambda: len(monitor.steps()) > 4, "more steps")
    monitor.press("stop")
    monitor.wait_state("stopped")


def test_a_finished_run_is_looked_at(visit: Visit) -> None:
    visitor = visit()
    monitor = prepare(visitor, pause=0, steps=5)
    monitor.press("train")
    monitor.wait_state("finished")
    page = visitor.page
    page.locator("#made-hum .audio svg").first.wait_for()
    chosen = page.locator("#makes-hum .picker option:checked").inner_text()
    assert chosen.startswith("My run")
    assert page.locator("#made-hum svg").count() >= 2, "a waveform and a spectrogram"
    page.locator("#makes-hum textarea").fill("la 허")
    page.locator("#makes-hum textarea").press("Enter")
    page.wait_for_function("location.search.includes('text=la')")
    visitor.shot("speech", whole=True)


def test_two_people_see_nothing_of_each_other(visit: Visit) -> None:
    first, second = visit(), visit()
    mine, theirs = prepare(first), prepare(second)
    mine.press("train")
    wait(lambda: len(mine.steps()) >= 4, "four steps")
    second.page.wait_for_timeout(800)
    assert theirs.steps() == []
    assert theirs.state() in ("none", "")
    assert second.page.locator("#made-hum .live").count() == 0
    kept = second.page.evaluate("JSON.stringify(localStorage)")
    run = first.page.evaluate("JSON.parse(localStorage['playground.mine.hum']).current")
    assert re.fullmatch(r"[\w-]{22,}", run)
    assert run not in kept
    second.page.reload()
    second.page.wait_for_selector("#monitor-hum button")
    second.page.wait_for_timeout(800)
    assert theirs.steps() == []
    mine.press("stop")
    mine.wait_state("stopped")


def test_a_run_can_be_watched_by_its_link(visit: Visit) -> None:
    first, second = visit(), visit()
    mine = prepare(first)
    mine.press("train")
    wait(lambda: len(mine.steps()) >= 3, "three steps")
    run = first.page.evaluate("JSON.parse(localStorage['playground.mine.hum']).current")
    second.open(f"?tab=hum&run={run}", "#monitor-hum button")
    theirs = second.monitor("hum")
    wait(lambda: len(theirs.steps()) >= 3, "the other's curve")
    mine.press("stop")
    theirs.wait_state("stopped")


def test_settings_that_cannot_be_used_are_told(visit: Visit) -> None:
    visitor = visit()
    monitor = prepare(visitor, learning_rate=1e29, pause=0)
    monitor.press("train")
    monitor.wait_state("failed")
    message = visitor.page.locator("#monitor-hum .message").inner_text()
    assert "finite" in message
    assert "learning rate" in message


def test_the_queue_tells_the_place(visit: Visit) -> None:
    first, second = visit(), visit()
    mine, theirs = prepare(first), prepare(second)
    mine.press("train")
    wait(lambda: len(mine.steps()) >= 1, "the first run")
    theirs.press("train")
    theirs.wait_state("queued")
    second.page.locator("#monitor-hum .state").filter(has_text="place 1").wait_for()
    theirs.press("stop")
    theirs.wait_state("stopped")
    mine.press("stop")
    mine.wait_state("stopped")


# --- What gets lost on the way --------------------------------------------------------------------------------

SLOW_LINE = """(() => {
  const ask = window.fetch;
  window.delay = 0;
  window.streams = 0;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (!String(asked[0]?.url ?? asked[0]).includes('/queue/data')) return answer;
    window.streams++;
    const later = async (chunk, to) => {
      await new Promise((go) => setTimeout(go, window.delay));
      to.enqueue(chunk);
    };
    const slow = answer.body.pipeThrough(new TransformStream({ transform: later }));
    return new Response(slow, { status: answer.status, headers: answer.headers });
  };
})()"""
"""Answers arrive late, as on a bad line: the page takes its stream for open that the server has ended already."""


def test_what_is_asked_as_the_stream_ends_is_heard(visit: Visit) -> None:
    """A training begun, and a picture asked for, in the moment in which Gradio ends the stream of a drawing."""
    visitor = visit()
    visitor.context.add_init_script(SLOW_LINE)
    page = visitor.open("?tab=sketch", "#makes-sketch button.primary")
    monitor = visitor.monitor("sketch")
    generate = page.locator("#makes-sketch button.primary")
    generate.click()
    page.locator("#made-sketch img").wait_for()
    for again in (generate.click, lambda: monitor.press("train")):
        page.wait_for_function("!document.querySelector('[aria-busy=true]')")
        page.evaluate("(window.delay = 1200), (window.streams = 0)")
        with page.expect_response("**/queue/data*") as answer:
            generate.click()
        answer.value.finished()  # the server has said all; the page has not heard it yet
        again()
        page.evaluate("window.delay = 0")
        wait(lambda: page.evaluate("window.streams") >= 2, "the stream opened again", 7.0)
    monitor.wait_state("finished")
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")


def test_a_command_that_is_slow_on_its_way_is_followed(visit: Visit) -> None:
    visitor = visit()
    monitor = prepare(visitor, steps=200)
    monitor.press("train")
    wait(lambda: len(monitor.steps()) >= 2, "two steps")
    monitor.press("stop")
    monitor.wait_state("stopped")
    stopped_at = monitor.steps()[-1]
    visitor.page.route("**/run/predict*", lambda route: (time.sleep(0.6), route.continue_()))
    monitor.press("resume")
    wait(lambda: monitor.steps()[-1] > stopped_at + 1, "the run resumed")
    monitor.press("stop")
    monitor.wait_state("stopped")


def test_the_same_refusal_is_told_each_time(visit: Visit) -> None:
    visitor = visit()
    monitor = prepare(visitor)

    def spoil(route: Any) -> None:
        body = json.loads(route.request.post_data)
        body["data"][0]["dataset"] = "no/such/set"
        route.continue_(post_data=json.dumps(body))

    visitor.page.route("**/run/predict*", spoil)
    for _ in range(2):
        monitor.press("train")
        monitor.root.locator(".message", has_text="could not be read").wait_for(timeout=20_000)
        assert monitor.state() == "none"


def test_a_race_draws_both_curves(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("?tab=compare&family=hum", "#racer select")
    page.locator("#racer input[type=number]").fill("0.1")
    page.locator("#racer input[type=number]").press("Tab")
    race = visitor.monitor("race")
    race.press("train")
    wait(lambda: len(race.steps(0)) >= 5 and len(race.steps(1)) >= 5, "both curves")
    race.wait_state("finished")
    assert increasing(race.steps(0))
    assert increasing(race.steps(1))
    visitor.shot("race", whole=True)


def test_commands_repeat_the_training(visit: Visit) -> None:
    visitor = visit()
    prepare(visitor)
    page = visitor.page
    page.locator("#settings-hum summary", has_text="All settings").click()
    page.get_by_role("button", name="Copy as command line").first.click()
    page.get_by_text("Copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("python -m trainers hum --preset fast")
    assert "--pause 0.15" in command
    assert "--steps 60" in command
    time.sleep(1.6)
    page.get_by_role("button", name="Copy as Python").first.click()
    page.get_by_text("Copied").wait_for()
    python = page.evaluate("navigator.clipboard.readText()")
    compile(python, "copied", "exec")
    assert json.dumps(0.15) in python
