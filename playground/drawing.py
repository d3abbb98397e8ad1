"""Turns a view's outputs into files: PNG, SVG and WAV bytes. Knows no interface and no family.

Pictures have a transparent ground and grey lettering, so that they read on a light page and on a dark one. SVG
takes the page's own text colour (`currentColor`) and the page's `--series-N` colours where it defines them.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from torch import Tensor

from playground.contract import Audio, Curve, Field, Graph, HeatMap, Mel, Output, Sheet, Text, Told, World
from playground.signal.mel import SPEECH
from playground.sounding import plainly

GREY = (122, 122, 122, 255)
"""Lettering that has a contrast of about 4:1 on white and on near-black alike."""
SERIES = ("#2f6fab", "#c4572e", "#3f8f5b", "#8a5aa8", "#b08a1e", "#3a9aa6", "#b3446c", "#6b7280", "#7a4f34", "#86a814")
"""As many as there are digits, so that each class of them has a colour of its own."""
METADATA_KEY = "playground"
_TIME: Text = {"en": "time (s)", "ko": "시간(초)"}
_AMPLITUDE: Text = {"en": "amplitude", "ko": "진폭"}
_FREQUENCY: Text = {"en": "frequency (Hz)", "ko": "주파수(Hz)"}
PREVIEW_BYTES = 36_000
"""Bytes of a preview before base64, which makes them 48 kB."""
PREVIEW_SECONDS = 2.2
_FONTS = (
    "NotoSansCJK-Regular.ttc",  # Linux
    "NotoSansKR-Regular.ttf",
    "NanumGothic.ttf",
    "malgun.ttf",  # Windows
    "AppleSDGothicNeo.ttc",  # macOS
    "DejaVuSans.ttf",
)


# --- Files ----------------------------------------------------------------------------------------------------


def png_bytes(image: Image.Image, metadata: Mapping[str, Any] | None = None) -> bytes:
    """The image as PNG; `metadata` is kept as JSON in a tEXt chunk, from which `read_metadata` restores it."""
    info = PngImagePlugin.PngInfo()
    if metadata is not None:
        info.add_text(METADATA_KEY, json.dumps(metadata))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, optimize=image.width * image.height < 300_000)
    return buffer.getvalue()


def read_metadata(png: bytes) -> dict[str, Any]:
    """The settings written into a PNG by `png_bytes`; empty where there are none. Raises OSError for no picture."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        text = image.info.get(METADATA_KEY, "")
    try:
        found = json.loads(text) if isinstance(text, str) and len(text) < 100_000 else {}
    except (json.JSONDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def wav_bytes(audio: Audio, metadata: Mapping[str, Any] | None = None) -> bytes:
    """The recording as 16-bit WAV, not normalised; `metadata` as JSON in its comment (LIST INFO ICMT)."""
    import soundfile

    samples = audio.samples.detach().float().clamp(-1, 1).cpu().numpy()
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", audio.rate, 1, "PCM_16", format="WAV") as file:
        if metadata is not None:
            file.comment = json.dumps(metadata)
        file.write(samples)
    return buffer.getvalue()


def previews(outputs: Sequence[Output]) -> list[dict[str, str]]:
    """What can be shown while a training runs: {"kind": "png" | "svg" | "wav", "data": base64}, each under 50 kB.

    Tables and words are left out: they say little of a model half trained. Of what sounds, the first is heard too, a mel by no model.
    """
    made = [*[_heard(o) for o in outputs if isinstance(o, (Audio, Mel, World))][:1], *map(_preview, outputs)]
    return [{"kind": kind, "data": base64.b64encode(data).decode()} for kind, data in made if data]


def _preview(output: Output) -> tuple[str, bytes]:
    if isinstance(output, Sheet):
        return "png", _small_sheet(output)
    if isinstance(output, Audio):
        return "png", _fitting_png(heat_map_image(_as_heat_map(output)))
    if isinstance(output, (HeatMap, Mel, World)):
        return "png", _fitting_png(heat_map_image(_as_heat_map(output)))
    if isinstance(output, (Curve, Field, Graph)):
        drawn = _small_svg(output)
        return "svg", drawn.encode() if len(drawn.encode()) <= PREVIEW_BYTES else b""
    return "", b""


def _heard(output: Audio | Mel | World) -> tuple[str, bytes]:
    try:
        return "wav", wav_bytes(_short(plainly(output, PREVIEW_SECONDS)))
    except Told:  # a model half trained may give what no vocoder takes
        return "", b""


def _small_svg(output: Curve | Field | Graph) -> str:
    if isinstance(output, Curve):
        return curve_svg(output, most=200)
    return field_svg(output.at(-1)) if isinstance(output, Field) else graph_svg(output)


def _small_sheet(sheet: Sheet) -> bytes:
    for side in (64, 48, 24):
        drawn = png_bytes(sheet_image(sheet, min_side=side))
        if len(drawn) <= PREVIEW_BYTES:
            return drawn
    return _fitting_png(sheet_image(sheet, min_side=24))


def _fitting_png(image: Image.Image) -> bytes:
    """PNG bytes of at most PREVIEW_BYTES: fewer colours first, then fewer pixels."""
    drawn = png_bytes(image)
    while len(drawn) > PREVIEW_BYTES and min(image.size) > 16:
        drawn = png_bytes(image.quantize(64, Image.Quantize.FASTOCTREE))
        image = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.BOX)
    return drawn


def _short(audio: Audio) -> Audio:
    """The first three seconds at 8 kHz, as they fit into a preview."""
    from scipy.signal import resample_poly

    samples = audio.samples.detach().float().cpu().numpy()[: audio.rate * 4]
    rate = min(audio.rate, 8000)
    if audio.rate > rate:
        common = math.gcd(rate, audio.rate)
        samples = resample_poly(samples, rate // common, audio.rate // common)
    return Audio(torch.from_numpy(np.ascontiguousarray(samples[: PREVIEW_BYTES // 2 - 100])), rate)


# --- Contact sheets -------------------------------------------------------------------------------------------


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A readable font that has Hangul where this machine has one; otherwise the one that comes with Pillow."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def to_image(picture: Tensor) -> Image.Image:
    """(C, H, W) float in [0, 1], C of 1 or 3, as an RGB image."""
    values = (picture.detach().float().clamp(0, 1) * 255).round().byte().cpu()
    if values.shape[0] == 1:
        values = values.expand(3, -1, -1)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy(), "RGB")


def grid_columns(n: int, columns: int = 0) -> int:
    """How many pictures stand in a row of a sheet of n: nearly a square, with few empty places at its end."""
    if columns > 0:
        return min(n, columns)
    side = math.ceil(math.sqrt(n))
    return min(range(side, math.ceil(1.5 * side) + 1), key=lambda c: (-n % c, c)) if n else 1


def sheet_image(sheet: Sheet, min_side: int = 96, max_width: int = 800) -> Image.Image:
    """The sheet drawn: each picture enlarged by a whole number, without smoothing, its caption under it."""
    n, _, height, width = sheet.pictures.shape
    if n == 0:
        return Image.new("RGBA", (1, 1))
    columns = grid_columns(n, sheet.columns)
    widest = max_width // (columns * width)
    scale = max(1, min(math.ceil(min_side / max(height, width)), widest))
    if scale < widest and any(len(_broken(c, font(15), scale * width)) > 2 for c in sheet.captions[:n]):
        scale += 1  # room for what there is to read
    tile_w, tile_h = width * scale, height * scale
    gap = 2 if scale * width < 40 and not sheet.captions else max(4, tile_w // 20)
    size = max(11, min(15, tile_w // 6))
    lines = [_wrapped(str(c), font(size), tile_w) for c in sheet.captions[:n]]
    line_h = math.ceil(size * 1.35)
    below = line_h * max((len(rows) for rows in lines), default=0) + (gap // 2 if lines else 0)
    rows = math.ceil(n / columns)
    image = Image.new("RGBA", (columns * (tile_w + gap) - gap, rows * (tile_h + below + gap) - gap))
    pen = ImageDraw.Draw(image)
    for i in range(n):
        x, y = i % columns * (tile_w + gap), i // columns * (tile_h + below + gap)
        drawn = to_image(sheet.pictures[i])
        image.paste(drawn.resize((tile_w, tile_h), Image.Resampling.NEAREST), (x, y))
        for k, line in enumerate(lines[i] if i < len(lines) else ()):
            place = (x + tile_w / 2, y + tile_h + gap // 2 + k * line_h)
            pen.text(place, line, GREY, font(size), anchor="ma")
    return image


def sheet_png(sheet: Sheet, metadata: Mapping[str, Any] | None = None, min_side: int = 96) -> bytes:
    """The contact sheet as PNG, `metadata` kept in it."""
    return png_bytes(sheet_image(sheet, min_side), metadata)


def _wrapped(text: str, face: Any, width: int, most: int = 3) -> list[str]:
    """`text` in at most `most` lines that fit `width` pixels; what does not fit is cut off with an ellipsis."""
    lines = _broken(text, face, width)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [_cut(line, face, width) for line in lines]


def _broken(text: str, face: Any, width: int) -> list[str]:
    """`text` in lines of `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(line: str, face: Any, width: int) -> str:
    if face.getlength(line) <= width:
        return line
    while line and face.getlength(line + "...") > width:
        line = line[:-1]
    return line + "..." if line else ""


# --- Heat maps ------------------------------------------------------------------------------------------------

MEL_HOP = SPEECH.hop / SPEECH.rate
"""Seconds a frame, of both mel front ends."""
_SEQUENTIAL = ((15, 18, 45), (46, 49, 120), (36, 110, 150), (60, 165, 135), (165, 205, 90), (250, 235, 150))
_DIVERGING = ((40, 85, 150), (130, 170, 210), (242, 240, 236), (224, 160, 120), (170, 65, 35))


def colours(values: Tensor, low: float | None = None, high: float | None = None, signed: bool = False) -> np.ndarray:
    """(rows, columns) numbers as (rows, columns, 3) uint8 colours; `signed` centres the colours at zero."""
    v = values.detach().float().cpu().numpy()
    low = float(np.nanmin(v)) if low is None else low
    high = float(np.nanmax(v)) if high is None else high
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    stops = np.array(_DIVERGING if signed else _SEQUENTIAL, dtype=float)
    place = np.nan_to_num((v - low) / (high - low) if high > low else np.zeros_like(v)).clip(0, 1) * (len(stops) - 1)
    base = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - base)[..., None]
    return (stops[base] * (1 - part) + stops[base + 1] * part).round().astype(np.uint8)


def _as_heat_map(output: HeatMap | Audio | Mel | World) -> HeatMap:
    """Spectra as heat maps over seconds, at most 80 dB below the loudest."""
    if isinstance(output, HeatMap):
        return output
    if isinstance(output, Audio):
        across, up = (0, max(1, len(output.samples)) / output.rate), (0, output.rate / 2)
        return HeatMap(spectrogram(output), _TIME, _FREQUENCY, output.title, "bottom", across, up)
    if isinstance(output, Mel):
        # log10 of magnitudes: 80 dB are 4
        values = output.values.detach().float()
        level = values.clamp_min(float(values.max()) - 4).T
        seconds = len(values) * MEL_HOP
        return HeatMap(level, _TIME, {"en": "mel band", "ko": "멜 대역"}, output.title, "bottom", (0, seconds))
    power = output.envelope.detach().float().clamp_min(1e-16).log10()
    level = power.clamp_min(float(power.max()) - 8).T
    across, up = (0, len(power) * output.frame_ms / 1000), (0, output.rate / 2)
    return HeatMap(level, _TIME, _FREQUENCY, output.title, "bottom", across, up)


def _matrix_image(heat: HeatMap) -> Image.Image:
    """One pixel a cell."""
    values = heat.values.flip(0) if heat.origin == "bottom" else heat.values
    signed = bool((values < 0).any() and (values > 0).any()) and heat.origin == "top"
    return Image.fromarray(colours(values, signed=signed), "RGB")


def heat_map_image(heat: HeatMap, language: str = "en", width: int = 640) -> Image.Image:
    """The matrix with its axes, cells enlarged by whole numbers."""
    matrix = _matrix_image(heat)
    across = max(1, width // matrix.width)
    down = max(1, min(across, 420 // matrix.height)) if matrix.height < 420 else 1
    across = min(across, 4 * down)
    matrix = matrix.resize((matrix.width * across, matrix.height * down), Image.Resampling.NEAREST)
    left, under, size = 56, 44, 13
    image = Image.new("RGBA", (matrix.width + left + 10, matrix.height + under + 10))
    image.paste(matrix, (left, 6))
    pen = ImageDraw.Draw(image)
    (low, high), (bottom, top) = _edges(heat)
    for tick in ticks(low, high, 6, whole=heat.x_range is None):
        x = left + (tick - low) / (high - low) * matrix.width
        pen.text((x, matrix.height + 10), number(tick), GREY, font(size), anchor="ma")
    for tick in ticks(bottom, top, 5, whole=heat.y_range is None):
        share = (tick - bottom) / (top - bottom)
        y = 6 + (1 - share if heat.origin == "bottom" else share) * matrix.height
        pen.text((left - 6, y), number(tick), GREY, font(size), anchor="rm")
    below = (left + matrix.width / 2, matrix.height + 26)
    pen.text(below, heat.x_label[language], GREY, font(size), anchor="ma")
    side = Image.new("RGBA", (max(1, matrix.height), 20))
    ImageDraw.Draw(side).text((side.width / 2, 2), heat.y_label[language], GREY, font(size), anchor="ma")
    image.alpha_composite(side.rotate(90, expand=True), (2, 6))
    return image


def heat_map_png(heat: HeatMap | Mel | World, metadata: Mapping[str, Any] | None = None, language: str = "en") -> bytes:
    """The matrix as PNG with axes; mels and WORLD spectra too."""
    return png_bytes(heat_map_image(_as_heat_map(heat), language), metadata)


def sound_png(output: Audio | Mel | World) -> bytes:
    """The spectrogram of a sound as PNG with axes."""
    return png_bytes(heat_map_image(_as_heat_map(output)))


def heat_map_svg(heat: HeatMap | Mel | World, language: str = "en") -> str:
    """The matrix as SVG: cells as an embedded picture, axes in the page's text colour."""
    heat = _as_heat_map(heat)
    across, up = _edges(heat)
    frame = _Frame(across, up, heat.x_label[language], heat.y_label[language])
    if heat.origin == "top":
        frame.y_range = up[::-1]
    body = _embedded(_matrix_image(heat), frame)
    return frame.svg(body, _title(heat.title, language), grid=False, whole=heat.x_range is None)


def _edges(heat: HeatMap) -> tuple[tuple[float, float], tuple[float, float]]:
    """What the outer edges of the matrix stand for, across and up; cells are numbered at their middles."""
    rows, columns = heat.values.shape
    return heat.x_range or (-0.5, columns - 0.5), heat.y_range or (-0.5, rows - 0.5)


def _embedded(image: Image.Image, frame: _Frame) -> str:
    data = base64.b64encode(png_bytes(image)).decode()
    box = f'x="{frame.left}" y="{frame.top}" width="{frame.inner_w}" height="{frame.inner_h}"'
    style = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
    return f'<image {box} {style} href="data:image/png;base64,{data}"/>'


# --- Curves ---------------------------------------------------------------------------------------------------


def ticks(low: float, high: float, most: int = 6, whole: bool = False) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that divide [low, high] into at most `most` parts or so."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(m for m in (1, 2, 5, 10, 20) if (high - low) / (m * step) <= most)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label: short, never 1e-17 for zero."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:.4g}"


class _Frame:
    """The box of a plot in an SVG: maps values to places, draws axes, ticks and labels."""

    width, height, left, right, top, bottom = 520, 300, 58, 14, 12, 44

    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str):
        self.x_range, self.y_range = _opened(x), _opened(y)
        self.x_label, self.y_label = x_label, y_label

    @property
    def inner_w(self) -> int:
        return self.width - self.left - self.right

    @property
    def inner_h(self) -> int:
        return self.height - self.top - self.bottom

    def x(self, value: float) -> float:
        low, high = self.x_range
        return round(self.left + (value - low) / (high - low) * self.inner_w, 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return round(self.top + (high - value) / (high - low) * self.inner_h, 1)

    def svg(self, body: str, title: str, grid: bool = True, whole: bool = False, legend: str = "") -> str:
        """The whole drawing. `whole`: ticks at whole numbers only."""
        base = self.height - self.bottom
        lines = [f"M{self.left} {self.top}V{base}h{self.inner_w}"]
        words, faint = [], []
        for tick in ticks(min(self.x_range), max(self.x_range), 6, whole):
            lines.append(f"M{self.x(tick)} {base}v5")
            words.append(f'<text x="{self.x(tick)}" y="{base + 17}">{number(tick)}</text>')
        for tick in ticks(min(self.y_range), max(self.y_range), 5, whole):
            lines.append(f"M{self.left - 5} {self.y(tick)}h5")
            faint.append(f"M{self.left} {self.y(tick)}h{self.inner_w}")
            words.append(f'<text x="{self.left - 8}" y="{self.y(tick) + 4}" text-anchor="end">{number(tick)}</text>')
        words.append(f'<text x="{self.left + self.inner_w / 2}" y="{base + 36}">{html.escape(self.x_label)}</text>')
        turned = f'transform="translate(14 {self.top + self.inner_h / 2}) rotate(-90)"'
        words.append(f"<text {turned}>{html.escape(self.y_label)}</text>")
        under = f'<path stroke="currentColor" opacity=".15" d="{"".join(faint)}"/>' if grid else ""
        axes = f'<path fill="none" stroke="currentColor" opacity=".7" d="{"".join(lines)}"/>'
        text = f'<g fill="currentColor" font-size="12" text-anchor="middle">{"".join(words)}</g>'
        return _svg(self.width, self.height, title, under + body + axes + text + legend)


def _opened(span: tuple[float, float]) -> tuple[float, float]:
    """The span itself, or one around it where it is a point or not finite."""
    low, high = span
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if high > low:
        return low, high
    reach = abs(low) * 0.1 or 1.0
    return low - reach, high + reach


def _svg(width: float, height: float, title: str, body: str) -> str:
    name = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{name}" '
        f'font-family="system-ui, sans-serif"><title>{name}</title>{body}</svg>'
    )


def _title(title: Text | None, language: str) -> str:
    return title[language] if title else ""


def _colour(i: int) -> str:
    return f"var(--series-{i % len(SERIES) + 1}, {SERIES[i % len(SERIES)]})"


def thinned(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most about `most` points of a line: the lowest and the highest of each stretch, so that no spike is lost."""
    if len(x) <= most:
        return x, y
    kept = []
    for part in np.array_split(np.arange(len(x)), most // 2):
        kept += sorted({int(part[np.argmin(y[part])]), int(part[np.argmax(y[part])])})
    return x[kept], y[kept]


def curve_svg(curve: Curve, language: str = "en", most: int = 600) -> str:
    """The lines, points or bars over common axes, with a legend where there are several. `most` points a line."""
    series = {name: (np.asarray(x, float), np.asarray(y, float)) for name, (x, y) in curve.series.items()}
    series = {name: (x[np.isfinite(y)], y[np.isfinite(y)]) for name, (x, y) in series.items()}
    xs = np.concatenate([x for x, _ in series.values()] or [np.zeros(0)])
    ys = np.concatenate([y for _, y in series.values()] or [np.zeros(0)])
    x_span = (float(xs.min()), float(xs.max())) if len(xs) else (0.0, 1.0)
    y_span = (float(ys.min()), float(ys.max())) if len(ys) else (0.0, 1.0)
    if curve.style == "bars":
        half = 0.5 * (min(np.diff(np.unique(xs)), default=1.0) if len(xs) else 1.0)
        x_span, y_span = ((x_span[0] - half, x_span[1] + half), (min(0.0, y_span[0]), max(0.0, y_span[1])))
    frame = _Frame(x_span, y_span, curve.x_label[language], curve.y_label[language])
    names = list(series)
    if len(names) > 1:
        rows = _legend_places(frame, names)[-1][1] + 1
        frame.top, frame.height = frame.top + 16 * rows, frame.height + 16 * rows
    draw = {"line": _line, "points": _points, "bars": _bars}[curve.style]
    body = "".join(draw(frame, x, y, i, len(series), most) for i, (x, y) in enumerate(series.values()))
    legend = _legend(frame, names) if len(names) > 1 else ""
    return frame.svg(body, _title(curve.title, language) or curve.y_label[language], legend=legend)


def _line(frame: _Frame, x: np.ndarray, y: np.ndarray, i: int, n: int, most: int) -> str:
    x, y = thinned(x, y, most)
    places = " ".join(f"{frame.x(a)},{frame.y(b)}" for a, b in zip(x, y, strict=True))
    return f'<polyline fill="none" style="stroke:{_colour(i)}" stroke-width="1.8" points="{places}"/>'


def _points(frame: _Frame, x: np.ndarray, y: np.ndarray, i: int, n: int, most: int) -> str:
    step = max(1, len(x) // (5 * most))
    places = "".join(f"M{frame.x(a)} {frame.y(b)}h0" for a, b in zip(x[::step], y[::step], strict=True))
    pen = 'stroke-width="3.5" stroke-linecap="round" opacity=".75"'
    return f'<path fill="none" style="stroke:{_colour(i)}" {pen} d="{places}"/>'


def _bars(frame: _Frame, x: np.ndarray, y: np.ndarray, i: int, n: int, most: int) -> str:
    apart = float(min(np.diff(np.unique(x)), default=1.0))
    width = max(1.0, (frame.x(apart) - frame.x(0)) * 0.9 / n)
    base = frame.y(0.0)
    places = ""
    for a, b in zip(x, y, strict=True):
        left = frame.x(a) + (i - n / 2) * width
        places += f"M{left:.1f} {base}V{frame.y(b)}h{width:.1f}V{base}z"
    return f'<path style="fill:{_colour(i)}" opacity=".85" d="{places}"/>'


def _legend(frame: _Frame, names: Sequence[str]) -> str:
    """The names in their colours, above the plot, in as many rows as `_legend_places` says."""
    parts = []
    for i, (x, row) in enumerate(_legend_places(frame, names)):
        y = 12 + 16 * row
        parts.append(
            f'<path style="stroke:{_colour(i)}" stroke-width="4" stroke-linecap="round" d="M{x} {y - 4}h9"/>'
            f'<text x="{x + 16}" y="{y}">{html.escape(names[i])}</text>'
        )
    return f'<g font-size="12" fill="currentColor">{"".join(parts)}</g>'


def _legend_places(frame: _Frame, names: Sequence[str]) -> list[tuple[float, int]]:
    """(x, row) of each name, the width of a letter taken as 7 units (14 where it is Hangul)."""
    places: list[tuple[float, int]] = []
    x, row = float(frame.left), 0
    for name in names:
        width = 30 + sum(14 if ord(c) > 0x1100 else 7 for c in name)
        if x > frame.left and x + width > frame.width:
            x, row = float(frame.left), row + 1
        places.append((x, row))
        x += width
    return places


# --- Fields ---------------------------------------------------------------------------------------------------

MOMENT_SECONDS = 0.2
"""How long a moment of a field stands. It plays once: what moves for longer than five seconds must have a button."""


def field_svg(field: Field, language: str = "en") -> str:
    """Arrows and points in a square; several moments follow one another, and the last stays.

    Where the visitor wants no motion, and in programs that play none, the last moment is all there is.
    """
    frame = _Frame(
        (-field.edge, field.edge), (-field.edge, field.edge), field.x_label[language], field.y_label[language]
    )
    frame.width, frame.height = 420, 404  # a square inside
    names = list(field.points)
    rows = _legend_places(frame, names)[-1][1] + 1 if len(names) > 1 else 0
    frame.top, frame.height = frame.top + 16 * rows, frame.height + 16 * rows
    n = field.moments
    moving = {-1: field.vectors} | dict(enumerate(field.points.values()))
    still, moving = ({k: part for k, part in moving.items() if (part.ndim == 3) == moves} for moves in (False, True))
    body = _field_parts(frame, field, still)
    for i in range(n if moving else 0):
        turn = (
            f"animation-delay:{i * MOMENT_SECONDS:.2f}s"
            if i < n - 1
            else f"animation-duration:{i * MOMENT_SECONDS:.2f}s"
        )
        kind = "field-moment" if i < n - 1 else "field-last"
        parts = _field_parts(frame, field, {k: part[i] for k, part in moving.items()})
        body += f'<g class="{kind}" style="{turn}">{parts}</g>'
    legend = _legend(frame, names) if rows else ""
    said: Text = {"en": f"{len(field.places)} arrows", "ko": f"화살표 {len(field.places)}개"}
    return frame.svg(_PLAY * (n > 1) + body, _title(field.title, language) or said[language], legend=legend)


_PLAY = (
    "<style>@keyframes field-shown{from{visibility:visible}}@keyframes field-hidden{from,to{visibility:hidden}}"
    f".field-moment{{visibility:hidden;animation:field-shown {MOMENT_SECONDS}s step-end}}"
    ".field-last{animation:field-hidden 1s step-end}"
    "@media (prefers-reduced-motion:reduce){.field-moment,.field-last{animation:none}}</style>"
)
"""Each moment is shown in its turn; the last is hidden until then, and stays."""


def _field_parts(frame: _Frame, field: Field, parts: Mapping[int, Tensor]) -> str:
    """Arrows (part -1) and clouds by their number, each (N, 2)."""
    drawn = ""
    for k, part in sorted(parts.items()):
        values = part.detach().double().cpu().numpy()
        inside = values[(np.abs(values) <= field.edge).all(1)]
        drawn += (
            _arrows(frame, field, values)
            if k < 0
            else _points(frame, inside[:, 0], inside[:, 1], k, 1, max(1, len(part)))
        )
    return drawn


def _arrows(frame: _Frame, field: Field, vectors: np.ndarray) -> str:
    places = field.places.detach().double().cpu().numpy()
    longest = float(np.linalg.norm(vectors, axis=1).max(initial=0.0))
    if longest == 0:
        return ""
    reach = frame.inner_w / math.sqrt(len(places)) / longest  # units of the drawing for a unit of the vectors
    lines = []
    for (x, y), (u, v) in zip(places, vectors * reach, strict=True):
        if math.hypot(u, v) >= 0.5:
            head = f"m{-0.3 * u - 0.15 * v:.1f} {0.3 * v - 0.15 * u:.1f}L{frame.x(x) + u:.1f} {frame.y(y) - v:.1f}"
            back = f"l{-0.3 * u + 0.15 * v:.1f} {0.3 * v + 0.15 * u:.1f}"
            lines.append(f"M{frame.x(x)} {frame.y(y)}l{u:.1f} {-v:.1f}{head}{back}")
    return (
        f'<path class="arrows" fill="none" stroke="currentColor" stroke-width="1" opacity=".55" d="{"".join(lines)}"/>'
    )


# --- Graphs ---------------------------------------------------------------------------------------------------


def graph_svg(graph: Graph, language: str = "en") -> str:
    """States and weighted arrows: in a row where every arrow leads forwards (or back to itself), else on a circle."""
    n = len(graph.nodes)
    forwards = all(a <= b <= a + 2 for a, b, _ in graph.edges)
    radius = 17
    if forwards:
        width, height = max(260, 78 * n + 30), 150
        places = [(54.0 + 78 * i, 92.0) for i in range(n)]
    else:
        reach = max(70, 15 * n)
        width = height = 2 * reach + 110
        angle = [2 * math.pi * i / max(1, n) - math.pi / 2 for i in range(n)]
        places = [(width / 2 + reach * math.cos(a), height / 2 + reach * math.sin(a)) for a in angle]
    parts = [_arrow(places, a, b, weight, radius) for a, b, weight in graph.edges if weight > 0.005]
    for (x, y), name in zip(places, graph.nodes, strict=True):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="fill:{_colour(0)}" stroke="none"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" fill="#fff" stroke="none" font-size="11" text-anchor="middle">'
            f"{html.escape(str(name))}</text>"
        )
    head = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="currentColor" stroke="none"/></marker></defs>'
    )
    body = f'{head}<g fill="none" stroke="currentColor">{"".join(parts)}</g>'
    return _svg(width, height, _title(graph.title, language), body)


def _arrow(places: Sequence[tuple[float, float]], a: int, b: int, weight: float, radius: int) -> str:
    pen = f'stroke-width="{0.8 + 2 * weight:.1f}" opacity="{0.3 + 0.7 * weight:.2f}" marker-end="url(#arrow)"'
    (x1, y1), (x2, y2) = places[a], places[b]
    if a == b:
        path = f"M{x1 - 8:.1f} {y1 - radius:.1f}c-16 -34 32 -34 16 -2"
        label = (x1, y1 - radius - 29)
    else:
        length = math.hypot(x2 - x1, y2 - y1)
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        start, end = ((x1 + ux * radius, y1 + uy * radius), (x2 - ux * (radius + 2), y2 - uy * (radius + 2)))
        bend = 0.0 if abs(a - b) == 1 and y1 == y2 else 0.18 * length
        mid = ((x1 + x2) / 2 - uy * bend, (y1 + y2) / 2 + ux * bend)
        path = f"M{start[0]:.1f} {start[1]:.1f}Q{mid[0]:.1f} {mid[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
        label = ((x1 + x2) / 2 - uy * (bend / 2 + 12), (y1 + y2) / 2 + ux * (bend / 2 + 12) + 4)
    text = f'<text x="{label[0]:.1f}" y="{label[1]:.1f}" fill="currentColor" stroke="none" font-size="10" '
    return f'<path {pen} d="{path}"/>{text}text-anchor="middle">{weight:.2f}</text>'


# --- Sound ----------------------------------------------------------------------------------------------------


def waveform_svg(audio: Audio, language: str = "en") -> str:
    """Amplitude over time. A quiet recording has a finer scale, which the axis says."""
    y = audio.samples.detach().float().cpu().numpy()
    loudest = float(np.abs(y).max(initial=0))
    reach = next((edge for edge in (0.1, 0.2, 0.5) if loudest <= edge), 1.0) if loudest else 1.0
    frame = _Frame((0, max(len(y), 1) / audio.rate), (-reach, reach), _TIME[language], _AMPLITUDE[language])
    frame.height = 150
    body = _envelope(frame, y, audio.rate) if len(y) > WAVE_COLUMNS * 4 else _wave(frame, y, audio.rate)
    return frame.svg(body, _title(audio.title, language) or _AMPLITUDE[language])


WAVE_COLUMNS, SPECTRUM_COLUMNS = 450, 640


def _wave(frame: _Frame, y: np.ndarray, rate: int) -> str:
    """Every sample, where there are few."""
    return _line(frame, np.arange(len(y)) / rate, y, 0, 1, len(y) + 1).replace('"1.8"', '"1"')


def _envelope(frame: _Frame, y: np.ndarray, rate: int) -> str:
    """The lowest and the highest sample of each column as one filled shape, and their root mean square within it."""
    parts = np.array_split(y, WAVE_COLUMNS)
    x = [frame.x((k + 0.5) / WAVE_COLUMNS * len(y) / rate) for k in range(WAVE_COLUMNS)]
    rms = [float(np.sqrt(np.mean(part**2))) for part in parts]
    shapes = []
    for low, high, solid in (
        ([float(p.min()) for p in parts], [float(p.max()) for p in parts], 0.45),
        ([-r for r in rms], rms, 0.9),
    ):
        top = "L".join(f"{a} {frame.y(b)}" for a, b in zip(x, high, strict=True))
        bottom = "L".join(f"{a} {frame.y(b)}" for a, b in zip(x[::-1], low[::-1], strict=True))
        shapes.append(f'<path style="fill:{_colour(0)}" opacity="{solid}" d="M{top}L{bottom}z"/>')
    return "".join(shapes)


def spectrogram(audio: Audio) -> Tensor:
    """(frequencies, frames) level in dB, at most 80 below the loudest: a Hann window of 32 ms every 8 ms, or less often."""
    window = max(64, 1 << round(math.log2(audio.rate * 0.032)))
    samples = audio.samples.detach().float().cpu()
    samples = torch.nn.functional.pad(samples, (0, max(0, window - len(samples))))
    spectrum = torch.stft(samples, window, window // 4, window=torch.hann_window(window), return_complex=True).abs()
    if spectrum.shape[1] > SPECTRUM_COLUMNS:  # the loudest of neighbouring frames: no click is lost
        spectrum = torch.nn.functional.adaptive_max_pool1d(spectrum, SPECTRUM_COLUMNS)
    level: Tensor = 20 * spectrum.clamp_min(1e-8).log10()
    return level.clamp_min(float(level.max()) - 80)


def spectrogram_svg(audio: Audio, language: str = "en") -> str:
    """Level over time and frequency, with axes in seconds and hertz."""
    level = spectrogram(audio)
    seconds = len(audio.samples) / audio.rate
    frame = _Frame((0, seconds or 1), (0, audio.rate / 2), _TIME[language], _FREQUENCY[language])
    frame.height = 240
    name: Literal["Spectrogram", "스펙트로그램"] = "스펙트로그램" if language == "ko" else "Spectrogram"
    image = Image.fromarray(colours(level.flip(0)), "RGB")
    return frame.svg(_embedded(image, frame), _title(audio.title, language) or name, grid=False)
