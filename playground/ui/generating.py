"""Draws a view of a checkpoint for the page. Everything the app's own process computes goes through `render`."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from playground import registry, sounding, staging
from playground.contract import Output
from playground.ui import guard, media, repeat, shelf, showing
from playground.ui.words import language_of, told

log = logging.getLogger(__name__)

CONCURRENCY = "generate"
LIMIT = 2
PARTIAL_SECONDS = 0.5
"""What grows is shown at most this often."""

_drawings = itertools.count(1)

F = TypeVar("F", bound=Callable[..., Any])


def on_zero_gpu(function: F) -> F:
    """The function as Hugging Face's ZeroGPU wants it (run in a forked process), where the app runs there."""
    if not os.environ.get("SPACES_ZERO_GPU"):
        return function
    import spaces

    wrapped: F = spaces.GPU(function)
    return wrapped


@on_zero_gpu
def render(family: str, token: str, key: str, raw: dict[str, Any]) -> Iterator[list[Output]]:
    """The outputs of a view as they come. Raises `Told` for whatever the visitor can mend."""
    checkpoint = shelf.open_checkpoint(family, token)
    view = staging.view(checkpoint, key)
    values = media.decode(view, checkpoint.info, raw)
    known = {c.name for c in view.controls if c.shown(checkpoint.config, checkpoint.info)}
    values = {name: value for name, value in values.items() if name in known}
    yield from staging.render(view, checkpoint.model, checkpoint.config, staging.scene(checkpoint), values)


def draw(family: str, value: Any, request: gr.Request | None) -> Iterator[str]:
    """The view that the page asks for, as HTML, each yield replacing the last."""
    language = language_of(request)
    asked = value if isinstance(value, dict) else {}
    token, key = str(asked.get("checkpoint", "")), str(asked.get("view", ""))
    raw = asked.get("controls")
    raw = raw if isinstance(raw, dict) else {}
    try:
        guard.draws.demand(request)
        vocoder = asked.get("vocoder")
        sounder = sounding.Sounder(vocoder if isinstance(vocoder, str) else None, _seed(raw))
        settings, again = described(family, token, key, raw, sounder.by.key)
        mark, shown_at, outputs = str(next(_drawings)), time.monotonic(), None
        for made in render(family, token, key, raw):
            if outputs is not None and time.monotonic() - shown_at >= PARTIAL_SECONDS:
                heard = sounder.of(outputs, whole=False)
                yield showing.outputs_html(outputs, language, settings, None, heard, None, mark, whole=False)
                shown_at = time.monotonic()
            outputs = made
        heard = sounder.of(outputs or [], whole=True)
        yield showing.outputs_html(outputs or [], language, settings, again, heard, None, mark)
    except Exception as error:  # whatever it is, the visitor is told, and the page goes on
        if not hasattr(error, "text"):
            log.exception("drawing %s of %s failed", key, family)
            yield showing.error_html(told(error, language))
        gr.Warning(told(error, language))


def _seed(raw: dict[str, Any]) -> int:
    seed = raw.get("seed", 0)
    return int(seed) if isinstance(seed, (int, float)) and 0 <= seed <= staging.MAX_SEED else 0


def described(
    family: str, token: str, key: str, raw: dict[str, Any], vocoder: str = sounding.GRIFFIN_LIM
) -> tuple[dict[str, Any], repeat.Repeat]:
    """The settings to write into the files of a drawing, and what repeats it."""
    checkpoint = shelf.open_checkpoint(family, token)
    view = staging.view(checkpoint, key)
    plain = {k: v for k, v in media.plain(view, raw).items() if v is not None and len(str(v)) <= 2000}
    settings = {"family": family, "checkpoint": token, "view": view.key, **plain}
    other = "" if vocoder == sounding.GRIFFIN_LIM else vocoder
    settings |= {"vocoder": other} if other else {}
    generates = view.key == staging.generating_view(registry.family(family)).key
    folder = shelf.folder_of(family, token)
    return settings, repeat.of_view(family, folder, view.key, plain, generates, media.files(view, raw), other)
