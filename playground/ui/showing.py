"""Outputs as HTML for the page: pictures and recordings travel in it, so that no file of one visitor lies about."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from playground import drawing
from playground.contract import Audio, Curve, Field, Graph, HeatMap, Mel, Output, Sheet, Table, Text, Words, World
from playground.ui import glossary
from playground.ui.repeat import Repeat
from playground.ui.words import WORDS


def outputs_html(outputs: Sequence[Output], language: str, settings: Mapping[str, Any], repeat: Repeat | None) -> str:
    """The outputs of a view, one figure each, and what repeats them. `settings` go into every file."""
    name = "-".join(str(settings[k]) for k in ("family", "view", "seed") if k in settings)
    copies = _copy_buttons(repeat, language)
    last = len(outputs) - 1
    figures = [
        _figure(o, language, settings, f"{name}-{i + 1}", copies if i == last else "") for i, o in enumerate(outputs)
    ]
    said = html.escape(json.dumps(dict(settings), ensure_ascii=False))
    return f'<div class="outputs" data-settings="{said}">{"".join(figures)}</div>'


def error_html(message: str) -> str:
    return f'<div class="outputs"><p class="error" role="alert">{html.escape(message)}</p></div>'


def _copy_buttons(repeat: Repeat | None, language: str) -> str:
    if repeat is None:
        return ""
    parts = [("copy command", repeat.command), ("copy python", repeat.python)]
    return "".join(copy_button(key, text, language) for key, text in parts)


def copy_button(key: str, text: str, language: str) -> str:
    """A button that copies `text`; page/base.js does it for every element with data-copy."""
    return f'<button type="button" class="quiet" data-copy="{html.escape(text)}">{WORDS[key][language]}</button>'


def _figure(output: Output, language: str, settings: Mapping[str, Any], name: str, acts: str) -> str:
    """One output, its title above it, what can be done with it below."""
    title = getattr(output, "title", None)
    body, download = _body(glossary.translated(output, language), language, settings, name)
    caption = f"<figcaption>{html.escape(title[language])}</figcaption>" if title else ""
    below = f'<p class="acts">{download}{acts}</p>' if download or acts else ""
    return f'<figure class="output {type(output).__name__.lower()}">{caption}{body}{below}</figure>'


def _body(output: Output, language: str, settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    """(the output, a link that downloads it or nothing)"""
    if isinstance(output, Sheet):
        return _sheet(output, language, settings, name)
    if isinstance(output, Audio):
        return _audio(output, language, settings, name)
    if isinstance(output, Curve):
        return drawing.curve_svg(output, language), ""
    if isinstance(output, (HeatMap, Mel, World)):
        return drawing.heat_map_svg(output, language), ""
    if isinstance(output, Field):
        return drawing.field_svg(output, language), ""
    if isinstance(output, Graph):
        return drawing.graph_svg(output, language), ""
    if isinstance(output, Table):
        return table_html(output, language), ""
    if isinstance(output, Words):
        return f"<p>{html.escape(output.text[language])}</p>", ""
    raise TypeError(f"{type(output).__name__} is not an output that the contract knows")


def _sheet(sheet: Sheet, language: str, settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    image = drawing.sheet_image(sheet)
    words = WORDS["pictures"][language].format(n=len(sheet.pictures))
    if sheet.captions:
        words += ": " + ", ".join(map(str, list(sheet.captions)[:40]))
    size = f'width="{image.width}" height="{image.height}"'
    url = data_url("image/png", drawing.png_bytes(image, settings))
    return f'<img {size} alt="{html.escape(words)}" src="{url}">', _download(url, f"{name}.png", language)


def _audio(audio: Audio, language: str, settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    url = data_url("audio/wav", drawing.wav_bytes(audio, settings))
    label = WORDS["recording"][language]
    player = f'<audio controls preload="metadata" aria-label="{label}" src="{url}"></audio>'
    pictures = drawing.waveform_svg(audio, language) + drawing.spectrogram_svg(audio, language)
    return f"{player}{pictures}", _download(url, f"{name}.wav", language)


def _download(url: str, name: str, language: str) -> str:
    return f'<a class="quiet" download="{html.escape(name)}" href="{url}">{WORDS["download"][language]}</a>'


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def table_html(table: Table, language: str) -> str:
    """The table; cells that are texts in both languages are shown in the reader's."""
    head = "".join(f'<th scope="col">{html.escape(column[language])}</th>' for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{_cell(c, language)}</td>" for c in row) + "</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(value: Any, language: str) -> str:
    if isinstance(value, Mapping):
        text: Text = dict(value)
        return html.escape(text[language])
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else html.escape(str(value))
