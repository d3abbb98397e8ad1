"""The Compare tab: ours and the reference from the same seed, a table, the hub's model, and the Race."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

import gradio as gr

from playground import comparing, registry, sounding, staging
from playground.contract import Audio, BadSetting, Family
from playground.ui import forms, generating, guard, media, shelf, showing, training
from playground.ui.family import begun, command_event, draw_events, train_event, watch_event
from playground.ui.parts import part, plain
from playground.ui.service import jobs
from playground.ui.words import both, language_of, sentence, told
from trainers.plans import job_from_preset

log = logging.getLogger(__name__)

MAX_RACE_MINUTES = 30.0


def compare_tab() -> None:
    """Build the tab's contents and its events."""
    lead = {
        "en": "The same data, the same budget, the same seed: what is written here beside the library's own.",
        "ko": "같은 데이터, 같은 예산, 같은 시드로 이 프로젝트의 구현과 라이브러리의 구현을 나란히 놓습니다.",
    }
    plain(f'<p class="idea">{both(lead)}</p>', "intro")
    with gr.Row(elem_classes="looking"):
        with gr.Column(elem_classes="card", scale=2, min_width=280):
            form = part("compare", ("draw", "halt", "hub"), _schema(), elem_id="compare")
        with gr.Column(elem_classes="card", scale=5, min_width=300):
            waiting = {"en": "Both sides appear here.", "ko": "두 구현의 결과가 여기에 나타납니다."}
            empty = f'<div class="outputs"><p class="empty">{both(waiting)}</p></div>'
            stage = plain(empty, "stage", elem_id="compared")
    with gr.Column(elem_classes="card race"):
        head = {"en": "Race", "ko": "경주"}
        about = {
            "en": "Trains both at the same time, whichever has used less time going next, until the time is up.",
            "ko": "두 구현을 함께 학습시킵니다. 시간을 덜 쓴 쪽이 먼저 나아가며, 정한 시간이 되면 끝납니다.",
        }
        plain(f'<h2>{both(head)}</h2><p class="hint">{both(about)}</p>', "heading")
        racer = part("racer", (), _schema(), elem_id="racer")
        monitor = part("monitor", ("train", "stop", "resume", "step", "attach"), _race_schema(), elem_id="race")
    draw_events(form, {"draw": _draw, "hub": _draw_hub}, stage, "compare")
    _race_events(racer, monitor)


@cache
def _schema() -> dict[str, Any]:
    return {"families": [_described(f) for f in registry.families().values()], "vocoders": forms.vocoder_field()}


def _described(family: Family) -> dict[str, Any]:
    """What the form needs to know of a family."""
    token = shelf.default_token(family.name)
    known = shelf.described(family.name, token) if token else None
    view = family.views[0]
    hub = family.reference.hub
    return {
        "name": family.name,
        "title": family.title,
        "about": family.reference.about,
        "reference": family.reference.title,
        "ready": bool(known and shelf.default_token(family.name, "reference")),
        "fields": forms.view_form(view, known[0], known[1])["fields"] if known else [],
        "presets": [{"name": p["name"], "label": p["label"]} for p in forms.settings_form(family, [])["presets"]],
        "hub": {"repo": hub.repo, "megabytes": hub.size_mb, "about": hub.about} if hub else None,
    }


def _race_schema() -> dict[str, Any]:
    unit = {"en": "steps", "ko": "스텝"}
    return {"family": "race", "key": "race", "unit": unit, "sides": ["ours", "reference"], "race": True} | {
        "titles": comparing.TITLES
    }


# --- Side by side ---------------------------------------------------------------------------------------------


def _asked(value: Any) -> tuple[Family, dict[str, Any]]:
    """The family and the raw controls of the form. Raises `Told`."""
    name = value.get("family") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in registry.families():
        raise sentence("bad request")
    raw = value.get("controls")
    return registry.family(name), raw if isinstance(raw, dict) else {}


@generating.on_zero_gpu
def _sides(family: str, raw: dict[str, Any]) -> Iterator[comparing.Side]:
    for side in comparing.SIDES:
        token = shelf.default_token(family, side)
        if not token:
            comparing.open_side(family, side)  # says that there is none
        checkpoint = shelf.open_checkpoint(family, token)
        yield comparing.draw_side(side, checkpoint, media.decode(staging.view(checkpoint), checkpoint.info, raw))


def _draw(value: Any, request: gr.Request) -> Iterator[str]:
    language = language_of(request)
    try:
        guard.draws.demand(request)
        family, raw = _asked(value)
        drawn: list[comparing.Side] = []
        heard: list[list[Audio | None]] = []
        by = value.get("vocoder")
        for side in _sides(family.name, raw):
            drawn.append(side)
            heard.append(sounding.Sounder(by if isinstance(by, str) else None).of(side.outputs, whole=True))
            yield _side_by_side(family, drawn, heard, raw, language)
    except Exception as error:  # told to the visitor, whatever it is
        yield _trouble(error, request)


def _draw_hub(value: Any, request: gr.Request) -> Iterator[str]:
    language = language_of(request)
    try:
        guard.draws.demand(request)
        family, raw = _asked(value)
        raw, hub = media.plain(family.views[0], raw), family.reference.hub
        outputs = comparing.hub_side(family, raw)
        settings = {"family": family.name, "checkpoint": hub.repo if hub else "", **raw}
        yield showing.outputs_html(outputs, language, settings, None)
    except Exception as error:  # told to the visitor, whatever it is
        yield _trouble(error, request)


def _trouble(error: Exception, request: gr.Request) -> str:
    if not hasattr(error, "text"):
        log.error("a comparison failed", exc_info=error)
    return showing.error_html(told(error, language_of(request)))


def _side_by_side(
    family: Family,
    drawn: list[comparing.Side],
    heard: list[list[Audio | None]],
    raw: dict[str, Any],
    language: str,
) -> str:
    """The sides drawn so far, with what is heard of each, all equally loud; the table once both are there."""
    columns, asked = [], media.plain(family.views[0], raw)
    gains = iter(sounding.loudness([audio for side in heard for audio in side]))
    for side, audios in zip(drawn, heard, strict=True):
        settings = {"family": family.name, "side": side.name, **asked}
        title = comparing.TITLES[side.name] if side.name == "ours" else family.reference.title
        loud = [next(gains) for _ in audios]
        body = showing.outputs_html(side.outputs, language, settings, None, audios, loud)
        columns.append(f'<section class="side"><h3>{title[language]}</h3>{body}</section>')
    whole = len(drawn) == len(comparing.SIDES)
    table = showing.table_html(comparing.table(family, drawn), language) if whole else ""
    return f'<div class="pair">{"".join(columns)}</div>{table}'


# --- Race -----------------------------------------------------------------------------------------------------


def _race_events(racer: gr.HTML, monitor: gr.HTML) -> None:
    async def train(value: Any, request: gr.Request) -> Any:
        return await begun(lambda: _start(value, request), request)

    async def attach(event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        asked = event._data if isinstance(event._data, dict) else {}
        run, after = asked.get("run"), asked.get("after")
        try:
            if not isinstance(run, str) or not isinstance(after, int):
                raise sentence("bad request")
            async for feed, previews in training.follow(run, after, "race", request):
                yield feed | {"previews": _pictures(previews)}
        except Exception as error:  # told to the visitor, whatever it is
            yield {"refused": training.complain(error, request), "gone": run}

    train_event(monitor, train, [racer], "race")
    watch_event(monitor, attach, [monitor], "watch_race")
    for action in ("stop", "resume"):
        command_event(monitor, action)


def _pictures(previews: list[dict[str, Any]]) -> dict[str, str]:
    """The newest preview of each side, as the page's pictures show it."""
    return {e["side"]: f"data:image/png;base64,{e['data']}" for e in previews if e["kind"] == "png"}


def _start(value: Any, request: gr.Request) -> str:
    guard.trainings.demand(request)
    family, _ = _asked(value)
    minutes = value.get("minutes")
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 < minutes <= MAX_RACE_MINUTES:
        raise BadSetting(
            f"minutes = {minutes!r}: must lie between 0 and {MAX_RACE_MINUTES:g}",
            f"minutes = {minutes!r}: 0 초과 {MAX_RACE_MINUTES:g} 이하여야 합니다",
        )
    job = job_from_preset(family.name, str(value.get("preset")), minutes=float(minutes))
    return jobs().race(job, training.owner_of(request))
