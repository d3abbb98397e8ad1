"""From the page's settings to a job, and from a button to a run."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from playground import registry
from playground.contract import BadSetting, Told, check_settings
from playground.ui import forms, guard, repeat, shelf, watching
from playground.ui.service import jobs
from playground.ui.turns import Turn
from playground.ui.words import language_of, sentence, told
from trainers.plans import Job, job_from_preset

log = logging.getLogger(__name__)

MAX_MINUTES = 600.0


def job_of(family: str, value: Any, start: str = "") -> Job:
    """The job that a settings form describes, checked. `start` is the token of the checkpoint shown. Raises `Told`."""
    if not isinstance(value, dict) or not isinstance(value.get("dataset"), str):
        raise sentence("bad request")
    trainer = registry.trainer(family)
    recipe = forms.changed(trainer.Recipe, value.get("recipe"))
    config = forms.changed(registry.family(family).Config, value.get("config"))
    job = job_from_preset(
        family,
        str(value.get("preset")),
        dataset=_dataset(value["dataset"]),
        recipe=recipe,
        config=config,
        minutes=_number("minutes", value.get("minutes") or 0, MAX_MINUTES),
        seed=int(_number("seed", value.get("seed") or 0, 2**31 - 1)),
        start=str(shelf.folder_of(family, start)) if value.get("start") is True else "",
    )
    check_settings(_made(trainer.Recipe, job.recipe))
    check_settings(_made(registry.family(family).Config, job.config))
    return job


def _made(kind: type, values: Any) -> Any:
    try:
        return kind(**values)
    except TypeError:
        raise sentence("bad request") from None


def _dataset(name: str) -> str:
    """A registered name, an upload's token, or some of them joined; never a path."""
    if len(name) > 200 or not re.fullmatch(r"\w+(:\w+)*(\+\w+(:\w+)*)*", name):
        raise sentence("bad request")
    return name


def _number(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise BadSetting(
            f"{name} = {value!r}: must lie between 0 and {most:g}",
            f"{name} = {value!r}: 0 이상 {most:g} 이하여야 합니다",
        )
    return float(value)


def repeated(value: Any) -> dict[str, str]:
    """The settings form as a command line and as Python; called straight from the page."""
    family = value.get("family") if isinstance(value, dict) else None
    if family not in registry.families():
        return {"error": "unknown family"}
    try:
        made = repeat.of_job(job_of(family, {**value, "start": False}))
    except (Told, ValueError) as error:
        return {"error": str(error)}
    return {"command": made.command, "python": made.python}


def owner_of(request: gr.Request | None) -> str:
    return guard.visitor_of(request)


# --- Runs -----------------------------------------------------------------------------------------------------


async def follow(run: str, after: int, place: str, request: gr.Request | None) -> AsyncIterator[tuple[Any, list[Any]]]:
    """(feed, newest previews) for one place of one page; a newer follower of that place ends this one."""
    turn = Turn(request, place)
    try:
        async for feed, previews in watching.watch(jobs(), run, after, language_of(request)):
            if not turn.newest:
                return
            yield feed, previews
    finally:
        turn.end()


def first_feed(run: str, request: gr.Request | None) -> dict[str, Any]:
    """What the page is told at once of a run that it has just submitted; it then follows the run."""
    return watching.feed(jobs().status(run), [], 0, language_of(request))


def begin(family: str, value: Any, shown: Any, step: bool, request: gr.Request | None) -> str:
    """Submit what the form describes; returns the run's id. Raises `Told`."""
    guard.trainings.demand(request)
    token = shown.get("checkpoint", "") if isinstance(shown, dict) else ""
    return jobs().submit(job_of(family, value, token), owner_of(request), step)


def command(action: str, data: Any, request: gr.Request | None) -> None:
    """Stop, resume or step the run that the page names; warns where that cannot be."""
    run = data.get("run") if isinstance(data, dict) else None
    try:
        if action not in ("stop", "resume", "step") or not isinstance(run, str):
            raise sentence("bad request")
        getattr(jobs(), action)(run)
    except Exception as error:  # told to the visitor, whatever it is
        complain(error, request)


def complain(error: Exception, request: gr.Request | None) -> str:
    """Warn the visitor of the error, in their language; what nobody foresaw is logged too. Returns the words."""
    if not hasattr(error, "text"):
        log.error("a request failed", exc_info=error)
    words = told(error, language_of(request))
    gr.Warning(words)
    return words
