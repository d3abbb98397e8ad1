"""The page's own components: empty `gr.HTML` elements that page/*.js fills, described by a `schema`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

PAGE = Path(__file__).parent / "page"
SCRIPTS = (
    "base.js",
    "fields.js",
    "painting.js",
    "recording.js",
    "prompting.js",
    "listening.js",
    "curve.js",
    "settings.js",
    "views.js",
    "monitor.js",
    "compare.js",
)


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """The page's own files: name -> (media type, content)."""
    script = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS).encode()
    capture, style = ((PAGE / name).read_bytes() for name in ("capture.js", "style.css"))
    code = "text/javascript; charset=utf-8"
    return {"playground.js": (code, script), "capture.js": (code, capture), "style.css": ("text/css", style)}


@cache
def head() -> bytes:
    """What the page's head begins with, so that style and language are there before Gradio's own scripts run."""
    at = {name: f"page/{name}?{hashlib.sha256(content).hexdigest()[:12]}" for name, (_, content) in assets().items()}
    style = f'<link rel="stylesheet" href="{at["style.css"]}">'
    return f'{style}<script src="{at["playground.js"]}" data-capture="{at["capture.js"]}"></script>'.encode()


def part(kind: str, events: tuple[str, ...], schema: dict[str, Any], **more: Any) -> gr.HTML:
    """An element that `playground.KIND` of the page's scripts fills. `events`: what it may trigger."""
    # Gradio accepts a listener for an event whose name stands in quotes in this script.
    named = ", ".join(f"'{event}'" for event in events)
    script = f"playground.{kind}(element, props, trigger, watch, server); /* {named} */"
    extra = {"elem_classes": ["part", f"part-{kind}"], **more}
    return gr.HTML(None, html_template="", js_on_load=script, apply_default_css=False, schema=schema, **extra)


def plain(html: str, classes: str, **more: Any) -> gr.HTML:
    """HTML that needs no script."""
    return gr.HTML(html, js_on_load=None, apply_default_css=False, elem_classes=classes.split(), **more)
