"""A family's tab: train it on the left, what it makes on the right, its views below. One function for every family."""

from __future__ import annotations

import asyncio
import html
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from playground import data, registry, staging
from playground.contract import Family
from playground.ui import forms, generating, guard, heldout, shelf, training, voices, watching
from playground.ui.parts import part, plain
from playground.ui.turns import Turn
from playground.ui.words import WORDS, both, label, language_of, sentence, t


def family_tab(family: Family, catalogue: list[Any], words: gr.I18n) -> None:
    """Build the tab's contents and its events."""
    name = family.name
    plain(
        f'<p class="idea">{both(family.idea)}</p><p class="paper"><cite lang="en">{html.escape(family.paper)}</cite></p>',
        "intro",
    )
    with gr.Row(elem_classes="workbench"):
        with gr.Column(elem_classes="card train", scale=3, min_width=280):
            settings = part(
                "settings",
                ("forget", "keep", "trouble"),
                forms.settings_form(family, catalogue),
                server_functions=[repeat],
                elem_id=f"settings-{name}",
            )
            own = forms.own_kind(family)
            upload = _upload(label(words, f"upload {own}")) if own else None
        with gr.Column(elem_classes="card run", scale=4, min_width=300):
            monitor = part(
                "monitor",
                ("train", "stop", "resume", "step", "attach"),
                {"family": name, "key": name, "unit": family.unit, "sides": [""]},
                elem_id=f"monitor-{name}",
            )
        with gr.Column(elem_classes="card makes", scale=5, min_width=300):
            shown = views_form(family, "makes")
            makes = part("views", ("draw", "halt", "pick"), shown, server_functions=[example], elem_id=f"makes-{name}")
            made = plain(first_paint(name), "stage", elem_id=f"made-{name}")
            checkpoint = _upload(label(words, "upload checkpoint"))
    with gr.Column(elem_classes="card looks"):
        plain(f"<h2>{both({'en': 'Look inside', 'ko': '속 들여다보기'})}</h2>", "heading")
        with gr.Row(elem_classes="looking"):
            with gr.Column(scale=2, min_width=280):
                shown = views_form(family, "looks")
                looks = part("views", ("draw", "halt"), shown, server_functions=[example], elem_id=f"looks-{name}")
            with gr.Column(scale=5, min_width=300):
                looked = plain("", "stage", elem_id=f"looked-{name}")
    drawing = {"draw": partial(generating.draw, name)}
    draw_events(makes, drawing, made, name)
    draw_events(looks, drawing, looked, f"{name}_inside")
    _picking_events(family, makes, looks, checkpoint)
    _training_events(family, settings, monitor, makes, made)
    _own_events(settings, upload, own)


def repeat(value: Any) -> dict[str, str]:
    """Called by the settings form's copy buttons."""
    return training.repeated(value)


def example(value: Any) -> str:
    """Called by a mask's field, to have something underneath: see `heldout.example`."""
    asked = value if isinstance(value, dict) else {}
    return heldout.example(str(asked.get("family")), asked.get("checkpoint"))


def _upload(words: Any) -> gr.UploadButton:
    button = gr.UploadButton(words, file_types=[".zip"], size="sm", variant="secondary", elem_classes="quiet")
    described = button.api_info()
    button.api_info = lambda: described  # type: ignore[method-assign]  # Gradio asks anew for every visitor: it is slow
    return button


def views_form(family: Family, role: str, token: str = "") -> dict[str, Any]:
    """The description of a views form ("makes": the generating view, "looks": the others) for a checkpoint."""
    token = token or shelf.default_token(family.name)
    form = {
        "family": family.name,
        "role": role,
        "checkpoint": token,
        "shipped": shelf.shipped_tokens(family.name),
        "inSight": forms.IN_SIGHT,
        "vocoders": forms.vocoder_field() if family.kind == "speech" else None,
        "views": [],
    }
    known = shelf.described(family.name, token) if token else None
    if known is not None:
        config, info, _ = known
        fitting = [v for v in family.views if v.when(config, info)]
        chosen = fitting[:1] if role == "makes" else fitting[1:]
        form["views"] = [forms.view_form(v, config, info) for v in chosen]
    return form


def first_paint(name: str) -> str:
    """What the shipped checkpoint made, as a file: no model runs to show it."""
    if guard.preview_of(name) is None:
        words = "untrained" if not shelf.default_token(name) else "no picture"
        return f'<div class="outputs"><p class="empty">{both(t(words))}</p></div>'
    picture = f'<img class="first" loading="lazy" alt="" src="preview/{name}.png">'
    player = ""
    if guard.preview_of(name, ".wav"):
        said = html.escape(family_title(name))
        player = f'<audio controls preload="none" aria-label="{said}" src="preview/{name}.wav"></audio>'
    caption = f"<figcaption>{both(t('made by'))}</figcaption>"
    return f'<div class="outputs"><figure class="output sheet">{player}{picture}{caption}</figure></div>'


def family_title(name: str) -> str:
    return " / ".join(dict.fromkeys(registry.family(name).title.values()))


# --- Events ---------------------------------------------------------------------------------------------------


Drawing = Callable[[Any, gr.Request], Iterator[str]]
"""(a form's value, who asks) -> HTML as it grows; tells its own errors."""


def draw_events(form: gr.HTML, drawings: Mapping[str, Drawing], stage: gr.HTML, name: str) -> None:
    """The events of a form that computes in this process: few at once, the newest counts, and Halt ends them."""

    def handler(drawing: Drawing) -> Callable[..., Iterator[tuple[Any, Any]]]:
        def draw(value: Any, request: gr.Request) -> Iterator[tuple[Any, Any]]:
            turn = Turn(request, f"draw-{form._id}")
            asked = value.get("asked") if isinstance(value, dict) else 0
            try:
                yield gr.skip(), gr.HTML(busy=[asked, True])
                for drawn in drawing(value, request):
                    if not turn.newest:
                        return
                    yield drawn, gr.skip()
                if turn.newest:
                    yield gr.skip(), gr.HTML(busy=[asked, False])
            finally:
                turn.end()

        return draw

    started = [
        getattr(form, event)(
            handler(drawing),
            inputs=[form],
            outputs=[stage, form],
            concurrency_id=generating.CONCURRENCY,
            concurrency_limit=generating.LIMIT,
            trigger_mode="multiple",
            show_progress="hidden",
            api_name=f"{event}_{name}",
            api_visibility="undocumented",
        )
        for event, drawing in drawings.items()
    ]
    form.halt(None, cancels=started, queue=False, api_visibility="private")


def _picking_events(family: Family, makes: gr.HTML, looks: gr.HTML, checkpoint: gr.UploadButton) -> None:
    def forms_for(token: str) -> tuple[Any, Any]:
        made = shelf.open_checkpoint(family.name, token)
        staging.views(made)
        return gr.HTML(schema=views_form(family, "makes", token)), gr.HTML(schema=views_form(family, "looks", token))

    def pick(event: gr.EventData, request: gr.Request) -> Any:
        token = (event._data or {}).get("token", "")
        try:
            return forms_for(token)
        except Exception as error:  # told to the visitor, whatever it is
            training.complain(error, request)
            return gr.skip(), gr.skip()

    def take(file: str, request: gr.Request) -> Any:
        try:
            guard.uploads.demand(request)
            token = shelf.take_in(Path(file), family.name)
            gr.Info(WORDS["checkpoint taken"][language_of(request)])
            return forms_for(token)
        except Exception as error:  # told to the visitor, whatever it is
            training.complain(error, request)
            return gr.skip(), gr.skip()

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 4}
    makes.pick(pick, outputs=[makes, looks], trigger_mode="always_last", **quiet)
    checkpoint.upload(take, inputs=[checkpoint], outputs=[makes, looks], **quiet)


def _training_events(family: Family, settings: gr.HTML, monitor: gr.HTML, makes: gr.HTML, made: gr.HTML) -> None:
    name = family.name

    async def train(value: Any, shown: Any, event: gr.EventData, request: gr.Request) -> Any:
        step = isinstance(event._data, dict) and event._data.get("step") is True
        return await begun(lambda: training.begin(name, value, shown, step, request), request)

    async def attach(event: gr.EventData, request: gr.Request) -> AsyncIterator[tuple[Any, Any]]:
        asked = event._data if isinstance(event._data, dict) else {}
        run, after = asked.get("run"), asked.get("after")
        try:
            if not isinstance(run, str) or not isinstance(after, int):
                raise sentence("bad request")
            async for feed, previews in training.follow(run, after, name, request):
                shown = watching.preview_html(previews, language_of(request)) if previews else gr.skip()
                yield feed, shown
        except Exception as error:  # told to the visitor, whatever it is
            yield {"refused": training.complain(error, request), "gone": run}, gr.skip()

    train_event(monitor, train, [settings, makes], f"train_{name}")
    watch_event(monitor, attach, [monitor, made], f"watch_{name}")
    for action in ("stop", "resume", "step"):
        command_event(monitor, action)


async def begun(begin: Callable[[], str], request: gr.Request) -> Any:
    """What the monitor is told of a run that `begin` submits: how it stands, or why it was refused.

    Every answer is another, so that the page notices it: twice the same would be no change.
    """
    try:
        told = training.first_feed(await asyncio.to_thread(begin), request)
    except Exception as error:  # told to the visitor, whatever it is
        told = {"refused": training.complain(error, request)}
    return gr.HTML(begun=told | {"at": time.time()})


def train_event(monitor: gr.HTML, handler: Any, inputs: list[gr.HTML], name: str) -> None:
    """Train answers at once, outside the queue; the page then watches the run by its id."""
    monitor.train(
        handler,
        inputs=inputs,
        outputs=[monitor],
        queue=False,
        trigger_mode="multiple",
        show_progress="hidden",
        api_name=name,
        api_visibility="undocumented",
    )


def watch_event(monitor: gr.HTML, handler: Any, outputs: list[gr.HTML], name: str) -> None:
    """Watching costs next to nothing, so as many as there are may watch."""
    monitor.attach(
        handler,
        outputs=outputs,
        concurrency_limit=None,
        trigger_mode="multiple",
        show_progress="hidden",
        api_name=name,
        api_visibility="undocumented",
    )


def command_event(monitor: gr.HTML, action: str) -> None:
    """A command is answered once it is given: the page then watches what becomes of the run."""

    async def act(event: gr.EventData, request: gr.Request) -> Any:
        await asyncio.to_thread(training.command, action, event._data, request)
        return gr.HTML(obeyed=time.time())

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    getattr(monitor, action)(act, outputs=[monitor], trigger_mode="multiple", **quiet)


def _own_events(settings: gr.HTML, upload: gr.UploadButton | None, kind: str) -> None:
    """What people bring themselves: a zip of pictures or recordings, what they say into the microphone; and its end."""

    def forget(event: gr.EventData, request: gr.Request) -> None:
        token = event._data.get("token") if isinstance(event._data, dict) else None
        try:
            data.delete(str(token))
            gr.Info(WORDS["own deleted"][language_of(request)])
        except Exception as error:  # told to the visitor, whatever it is
            training.complain(error, request)

    def trouble(event: gr.EventData) -> None:
        words = event._data.get("message") if isinstance(event._data, dict) else ""
        gr.Warning(str(words)[:500])

    def taken(take: Callable[[], str], request: gr.Request) -> Any:
        """The page is told of a new upload, and the visitor of what became of the files."""
        language = language_of(request)
        try:
            guard.uploads.demand(request)
            token = take()
            report = data.report(token)
        except Exception as error:  # told to the visitor, whatever it is
            return gr.HTML(notice={"refused": training.complain(error, request), "at": time.time()})
        said = [WORDS[f"{kind} kept"][language].format(n=report.kept)]
        if report.skipped:
            names = ", ".join(f"{name} ({why[language]})" for name, why in report.skipped[:5])
            said.append(WORDS["files skipped"][language].format(n=len(report.skipped), names=names))
        gr.Info(" ".join(said))
        return gr.HTML(notice={"own": {"token": token, "kept": report.kept}, "at": time.time()})

    def take(file: str, request: gr.Request) -> Any:
        brought = data.upload_recordings if kind == "recordings" else data.upload
        return taken(lambda: brought(Path(file)), request)

    def keep(event: gr.EventData, request: gr.Request) -> Any:
        return taken(lambda: voices.keep(event._data), request)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    settings.forget(forget, **quiet)
    settings.trouble(trouble, queue=False, **quiet)
    if kind == "recordings":
        settings.keep(keep, outputs=[settings], concurrency_limit=2, **quiet)
    if upload is not None:
        upload.upload(take, inputs=[upload], outputs=[settings], concurrency_limit=2, **quiet)
