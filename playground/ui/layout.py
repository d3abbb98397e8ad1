"""The whole page: Home, Image, Speech, Compare, About; and how it is served."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from playground import registry
from playground.data import catalogue
from playground.ui import comparison, home
from playground.ui.family import family_tab
from playground.ui.guard import Guard
from playground.ui.parts import part, plain
from playground.ui.words import i18n, label, t

SANS = ["system-ui", "Segoe UI", "Roboto", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR"]
MONO = ["ui-monospace", "SFMono-Regular", "Consolas", "Liberation Mono", "monospace"]


def build() -> tuple[gr.Blocks, gr.I18n]:
    """The interface, ready to be launched, and the phrases that it is launched with."""
    registry.families()  # a family from outside may bring its own data set
    words, sets = i18n(), catalogue()
    with gr.Blocks(title=t("title")["en"], analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as demo:
        plain(home.header_html(), "header")
        with gr.Tabs(elem_id="tabs", elem_classes="main-tabs") as tabs:
            with gr.Tab(label(words, "home"), id="home"):
                plain(home.home_html(), "home-page")
            inner = [_kind_tab(kind, words, sets) for kind in ("image", "speech") if _registered(kind)]
            with gr.Tab(label(words, "compare"), id="compare"):
                comparison.compare_tab()
            with gr.Tab(label(words, "about"), id="about"):
                plain(home.about_html(sets), "about-page")
        _address_events(demo, tabs, inner)
    return demo, words


def _registered(kind: str) -> bool:
    """Whether the kind has a family, or one that failed to import: an empty tab is never shown."""
    return bool(_families(kind) or _failures(kind))


def _families(kind: str) -> list[Any]:
    return [f for f in registry.families().values() if f.kind == kind]


def _failures(kind: str) -> dict[str, str]:
    """The failed modules of a kind, by the folder named in their traceback; those of no kind count as image."""
    failed = registry.failures()
    speech = {n: trace for n, trace in failed.items() if f"families.speech.{n}" in trace or f"speech/{n}.py" in trace}
    return speech if kind == "speech" else {n: trace for n, trace in failed.items() if n not in speech}


def _kind_tab(kind: str, words: gr.I18n, sets: list[Any]) -> gr.Tabs:
    with (
        gr.Tab(label(words, kind), id=kind),
        gr.Tabs(elem_id=f"tabs-{kind}", elem_classes="family-tabs") as inner,
    ):
        for family in _families(kind):
            with gr.Tab(_title(words, family), id=family.name):
                family_tab(family, sets, words)
        for name, trace in _failures(kind).items():
            with gr.Tab(name, id=name):
                plain(home.failure_html(trace), "stage")
    return inner


def _title(words: gr.I18n, family: Any) -> Any:
    """The family's title as a tab label: added to the phrases under its name."""
    key = f"family_{family.name}"
    for language, phrases in words.translations.items():
        phrases[key] = family.title.get(language, family.title["en"])
    return words(key)


def _address_events(demo: gr.Blocks, tabs: gr.Tabs, inner: list[gr.Tabs]) -> None:
    """`?tab=NAME` opens that tab; a card of Home or a link does the same without loading the page again."""
    outer = {"home", "compare", "about"} | {k for k in ("image", "speech") if _registered(k)}
    kinds = [k for k in ("image", "speech") if _registered(k)]
    places = {f.name: f.kind for f in registry.families().values()}

    def selected(name: Any) -> list[Any]:
        if name in outer:
            return [gr.Tabs(selected=name), *(gr.skip() for _ in inner)]
        if name not in places:
            return [gr.skip() for _ in range(1 + len(inner))]
        chosen = [gr.Tabs(selected=name) if kind == places[name] else gr.skip() for kind in kinds]
        return [gr.Tabs(selected=places[name]), *chosen]

    def from_address(request: gr.Request) -> list[Any]:
        return selected(dict(request.query_params).get("tab"))

    def from_link(event: gr.EventData) -> list[Any]:
        return selected(event._data.get("tab") if isinstance(event._data, dict) else None)

    opener = part("links", ("open", "wake"), {}, elem_id="links")
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "undocumented"}
    demo.load(from_address, outputs=[tabs, *inner], api_name="open_address", **quiet)
    opener.open(from_link, outputs=[tabs, *inner], api_name="open_tab", **quiet)
    opener.wake(lambda: None, concurrency_limit=None, trigger_mode="multiple", **quiet | {"queue": True})


def theme() -> gr.themes.Base:
    """Plain ground for page/style.css: fonts of the visitor's own system, so none is asked of another host."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue, neutral_hue=gr.themes.colors.slate, font=SANS, font_mono=MONO
    )


def serve(demo: gr.Blocks, words: gr.I18n, host: str, port: int, block: bool = True) -> Any:
    """Launch the interface. On Spaces, host and port are Gradio's own business."""
    demo.queue(default_concurrency_limit=4, max_size=300)
    on_space = bool(os.environ.get("SPACE_ID"))
    return demo.launch(
        server_name=None if on_space else host,
        server_port=None if on_space else port,
        prevent_thread_lock=not block,
        max_threads=120,  # also how many events may be under way: everyone who watches a run has one
        theme=theme(),
        i18n=words,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        state_session_capacity=200,
        max_file_size="20mb",
        allowed_paths=[],
        ssr_mode=False,
        show_error=True,
        quiet=True,
        app_kwargs={"middleware": [Middleware(Guard)]},
    )
