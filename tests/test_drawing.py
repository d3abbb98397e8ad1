"""Files made of outputs: what is written into them can be read back, and what is drawn is where it should be."""

from __future__ import annotations

import base64
import io
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from playground import drawing
from playground.contract import Audio, Curve, Field, Graph, HeatMap, Mel, Sheet, Table, Words, World

X = {"en": "step", "ko": "스텝"}
Y = {"en": "loss (nats)", "ko": "손실(나트)"}


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_picture_keeps_its_settings() -> None:
    settings = {"family": "x", "seed": 3, "text": "노란 별 & <b>", "spread": 0.5}
    png = drawing.sheet_png(Sheet(torch.rand(4, 1, 8, 8)), settings)
    assert drawing.read_metadata(png) == settings
    assert drawing.read_metadata(drawing.sheet_png(Sheet(torch.rand(1, 1, 8, 8)))) == {}


def test_small_pictures_are_enlarged_without_smoothing() -> None:
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, 2, 5] = 1
    image = opened(drawing.sheet_png(Sheet(picture), min_side=96)).convert("L")
    assert image.size == (96, 96)
    values = np.asarray(image)
    assert set(np.unique(values)) == {0, 255}
    assert (values[24:36, 60:72] == 255).all()
    assert (values == 255).sum() == 144


def test_sheets_hold_every_picture_in_its_place() -> None:
    colours = torch.linspace(0, 1, 12)
    pictures = colours.view(12, 1, 1, 1).expand(12, 3, 10, 20)
    image = drawing.sheet_image(Sheet(pictures, columns=4), min_side=20)
    gap, tile = (image.width - 4 * 20) // 3, 20
    for i, colour in enumerate(colours):
        x, y = i % 4 * (tile + gap) + 10, i // 4 * (10 + gap) + 5
        assert image.getpixel((x, y))[0] == pytest.approx(255 * float(colour), abs=1)


def test_captions_stand_below_their_pictures_and_are_cut_to_fit() -> None:
    plain = drawing.sheet_image(Sheet(torch.zeros(2, 1, 28, 28)))
    long = drawing.sheet_image(Sheet(torch.zeros(2, 1, 28, 28), ["0", "아주 긴 설명 " * 20]))
    assert long.width == pytest.approx(plain.width * 5 / 4, abs=8), "a step larger, for there is much to read"
    below = np.asarray(long)[146:, :, 3]
    assert below.any(), "the captions' letters are drawn"


@pytest.mark.parametrize(("n", "columns"), [(0, 1), (1, 1), (10, 5), (16, 4), (40, 8), (7, 4)])
def test_sheets_are_nearly_square(n: int, columns: int) -> None:
    assert drawing.grid_columns(n) == columns


@pytest.mark.parametrize("shape", [(64, 3, 64, 64), (16, 1, 28, 28), (400, 1, 28, 28), (1, 3, 256, 256)])
def test_previews_of_noise_stay_small(shape: tuple[int, ...]) -> None:
    (piece,) = drawing.previews([Sheet(torch.rand(*shape))])
    assert piece["kind"] == "png"
    assert len(piece["data"]) < 50_000
    opened(base64.b64decode(piece["data"])).load()


def test_previews_of_every_output() -> None:
    noise = torch.rand(48_000) * 2 - 1
    outputs = [
        Audio(noise, 16_000),
        HeatMap(torch.randn(30, 40), X, Y),
        Mel(torch.rand(300, 80), 16_000),
        World(100 + torch.rand(50), torch.rand(50, 513), torch.rand(50, 513), 16_000),
        Curve({"a": (range(5000), torch.randn(5000).tolist())}, X, Y),
        Field(torch.rand(225, 2), torch.randn(20, 225, 2), {"a": torch.rand(20, 400, 2)}, X, Y),
        Graph(["1", "2"], [(0, 1, 0.5)]),
        Table([X], [[1]]),
        Words(X),
    ]
    made = drawing.previews(outputs)
    assert [piece["kind"] for piece in made] == ["wav", "png", "png", "png", "png", "svg", "svg", "svg"]
    assert all(len(piece["data"]) < 50_000 for piece in made)


def test_recordings_are_not_normalised_and_keep_their_settings() -> None:
    import soundfile

    quiet = 0.1 * torch.sin(torch.arange(8000) * 0.05)
    wav = drawing.wav_bytes(Audio(quiet, 8000), {"seed": 7})
    with soundfile.SoundFile(io.BytesIO(wav)) as file:
        assert '"seed": 7' in file.comment
        samples = file.read()
        assert file.samplerate == 8000
    assert np.abs(samples - quiet.numpy()).max() < 1e-4


@pytest.mark.parametrize("style", ["line", "points", "bars"])
@pytest.mark.parametrize("n", [0, 1, 2, 3000])
def test_curves_are_valid_svg_of_bounded_size(style: str, n: int) -> None:
    curve = Curve({"<a>": (range(n), [math.sin(i) for i in range(n)]), "b": ([], [])}, X, Y, style=style)
    svg = drawing.curve_svg(curve, "ko")
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"스텝", "손실(나트)", "<a>"} <= set(texts)
    assert len(svg) < 120_000


def test_curves_skip_what_is_not_finite() -> None:
    curve = Curve({"a": ([0, 1, 2], [1.0, math.nan, math.inf])}, X, Y)
    svg = drawing.curve_svg(curve)
    assert "nan" not in svg
    assert "inf" not in svg


def test_thinning_keeps_the_spike() -> None:
    y = np.zeros(10_000)
    y[7_777] = 5
    x, thin = drawing.thinned(np.arange(10_000), y, 200)
    assert len(x) <= 200
    assert 7_777 in x
    assert thin.max() == 5
    assert (np.diff(x) > 0).all()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 3), (0.001, 0.0042), (1e6, 3e6), (5, 5)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    made = drawing.ticks(low, high)
    assert 1 <= len(made) <= 12
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in made)


def test_heat_maps_have_the_origin_that_was_asked_for() -> None:
    values = torch.zeros(4, 4)
    values[0, 0] = 1
    top = drawing._matrix_image(HeatMap(values, X, Y))
    bottom = drawing._matrix_image(HeatMap(values, X, Y, origin="bottom"))
    brightest = drawing._SEQUENTIAL[-1]
    assert top.getpixel((0, 0)) == brightest
    assert bottom.getpixel((0, 3)) == brightest
    ET.fromstring(drawing.heat_map_svg(HeatMap(values, X, Y), "ko"))


def test_signed_heat_maps_are_centred_at_zero() -> None:
    rgb = drawing.colours(torch.tensor([[-1.0, 0.0, 4.0]]), signed=True)
    assert tuple(rgb[0, 1]) == drawing._DIVERGING[2]


SVG = "{http://www.w3.org/2000/svg}"
PLACES = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])


def field(**changes: object) -> Field:
    whole = {"places": PLACES, "vectors": torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, -1.0]])}
    return Field(
        **{**whole, "points": {"a": torch.tensor([[0.5, 0.5], [3.0, 0.0]])}, "x_label": X, "y_label": Y, **changes}
    )


def test_arrows_point_where_the_vectors_do() -> None:
    root = ET.fromstring(drawing.field_svg(field(), "ko"))
    (path,) = (p for p in root.iter(f"{SVG}path") if p.get("class") == "arrows")
    arrows = re.findall(r"M([\d.]+) ([\d.]+)l([-\d.]+) ([-\d.]+)", path.get("d"))
    assert len(arrows) == 3, "a vector of no length has no arrow"
    (x1, y1, u1, v1), (x2, y2, u2, v2), (_, y4, u4, v4) = (tuple(map(float, a)) for a in arrows)
    assert x1 < x2 and y1 == y2 and y4 < y1, "the plane's y goes up"
    assert (u1 > 0, v1, u2, v2 < 0, u4 < 0, v4 > 0) == (True, 0, 0, True, True, True)
    assert u1 == pytest.approx(x2 - x1, abs=1), "the longest spans from place to place"
    assert -v2 == pytest.approx(u1 / 2, abs=0.1)
    assert root.get("role") == "img" and "화살표 4개" in root.get("aria-label")


def test_points_outside_of_a_field_are_not_drawn() -> None:
    svg = drawing.field_svg(field(vectors=torch.zeros(4, 2)))
    assert svg.count("h0") == 1
    assert "h0" not in drawing.field_svg(field(points={"a": torch.tensor([[3.0, 0.0]]), "b": torch.zeros(0, 2)}))
    assert 'class="arrows"' not in svg


def test_a_field_of_several_moments_plays_them_and_stays_at_the_last() -> None:
    moving = field(vectors=torch.randn(5, 4, 2), points={"a": torch.zeros(30, 2), "b": torch.rand(5, 7, 2)})
    assert moving.moments == 5
    svg = drawing.field_svg(moving)
    groups = [g.get("class") for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class")]
    assert groups == ["field-moment"] * 4 + ["field-last"]
    assert "prefers-reduced-motion" in svg
    assert svg.count("h0") == 30 + 5 * 7, "what does not move is drawn once"
    assert 5 * drawing.MOMENT_SECONDS < 5
    last = moving.at(-1)
    assert last.moments == 1 and torch.equal(last.points["b"], moving.points["b"][-1])
    assert "field-last" not in drawing.field_svg(last)


def test_graphs_draw_every_state_and_arrow() -> None:
    chain = Graph(["a", "b", "<c>"], [(0, 0, 0.5), (0, 1, 0.5), (1, 2, 1.0)])
    ring = Graph(["a", "b", "c"], [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)])
    for graph in (chain, ring):
        root = ET.fromstring(drawing.graph_svg(graph))
        circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        assert len(circles) == 3


def test_a_tone_stands_at_its_frequency() -> None:
    rate, tone = 16_000, 2_000
    level = drawing.spectrogram(Audio(torch.sin(2 * math.pi * tone * torch.arange(rate) / rate), rate))
    row = int(level.mean(1).argmax())
    assert row / (level.shape[0] - 1) * rate / 2 == pytest.approx(tone, rel=0.02)
    for svg in (drawing.spectrogram_svg, drawing.waveform_svg):
        ET.fromstring(svg(Audio(torch.zeros(0), rate), "ko"))
        ET.fromstring(svg(Audio(torch.rand(5000), rate), "en"))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(30)])
def test_metadata_of_what_is_no_picture(data: bytes) -> None:
    with pytest.raises((OSError, SyntaxError)):
        drawing.read_metadata(data)
