"""Outputs as HTML for the page: pictures and recordings travel in it, so that no file of one visitor lies about."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from playground import drawing, sounding
from playground.contract import Audio, Curve, Field, Graph, HeatMap, Mel, Output, Sheet, Table, Text, Words, World
from playground.ui import glossary
from playground.ui.repeat import Repeat
from playground.ui.words import WORDS

Heard = Sequence[Audio | None]
"""What is heard of each of some outputs."""


def outputs_html(
    outputs: Sequence[Output],
    language: str,
    settings: Mapping[str, Any],
    repeat: Repeat | None,
    heard: Heard | None = None,
    gains: Sequence[float] | None = None,
    drawing_of: str = "",
    whole: bool = True,
) -> str:
    """The outputs of a view, one figure each, and what repeats them. `settings` go into every file.

    heard: of each output, by default by the vocoder that the settings name; gains: for equal loudness among those and
    others. drawing_of: what all parts of one drawing have in common; whole: no more parts come.
    """
    if heard is None:
        heard = sounding.Sounder(settings.get("vocoder")).of(outputs, whole=True)
    gains = gains or sounding.loudness(heard)
    name = "-".join(str(settings[k]) for k in ("family", "view", "seed") if k in settings)
    copies = _copy_buttons(repeat, language)
    last = len(outputs) - 1
    figures = [
        _figure(o, language, settings, f"{name}-{i + 1}", copies if i == last else "", heard[i], gains[i])
        for i, o in enumerate(outputs)
    ]
    said = html.escape(json.dumps(dict(settings), ensure_ascii=False))
    part = f' data-drawing="{html.escape(drawing_of)}"' + ("" if whole else " data-growing") if drawing_of else ""
    return f'<div class="outputs" data-settings="{said}"{part}>{"".join(figures)}</div>'


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


def _figure(
    output: Output, language: str, settings: Mapping[str, Any], name: str, acts: str, heard: Audio | None, gain: float
) -> str:
    """One output, its title above it, what can be done with it below."""
    title = getattr(output, "title", None)
    if isinstance(output, (Audio, Mel, World)):
        body, download = _sounding(output, language, settings, name, heard, gain)
    else:
        body, download = _body(glossary.translated(output, language), language, settings, name)
    caption = f"<figcaption>{html.escape(title[language])}</figcaption>" if title else ""
    below = f'<p class="acts">{download}{acts}</p>' if download or acts else ""
    return f'<figure class="output {type(output).__name__.lower()}">{caption}{body}{below}</figure>'


def _body(output: Output, language: str, settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    """(the output, a link that downloads it or nothing)"""
    if isinstance(output, Sheet):
        return _sheet(output, language, settings, name)
    if isinstance(output, Curve):
        return drawing.curve_svg(output, language), ""
    if isinstance(output, HeatMap):
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


def _sounding(
    output: Audio | Mel | World, language: str, settings: Mapping[str, Any], name: str, heard: Audio | None, gain: float
) -> tuple[str, str]:
    """A player with the waveform and the spectrogram: of what is heard, or what it was made of."""
    if isinstance(output, Audio):
        shown = drawing.spectrogram_svg(output, language)
    else:
        shown = drawing.heat_map_svg(output, language)
    if heard is None:
        return shown, ""
    url = data_url("audio/wav", drawing.wav_bytes(heard, settings))
    label = html.escape((heard.title or WORDS["recording"])[language])
    player = f'<audio controls preload="metadata" aria-label="{label}" data-gain="{gain:.4f}" src="{url}"></audio>'
    by = ""
    if not isinstance(output, Audio) and heard.title:
        by = f'<p class="hint">{html.escape(WORDS["sounded by"][language].format(name=_vocoder(output, heard)[language]))}</p>'
    return f"{player}{by}{drawing.waveform_svg(heard, language)}{shown}", _download(url, f"{name}.wav", language)


def _vocoder(output: Mel | World, heard: Audio) -> Text:
    """The name of what made the output heard, out of the title that `sounding` has given it."""
    title, mine = heard.title or {"en": "", "ko": ""}, output.title
    return {k: words.removeprefix(f"{mine[k]}, ") if mine else words for k, words in title.items()}


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
