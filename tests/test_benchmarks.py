"""The benchmarks' own arithmetic: verdicts, the cache and its keys, turns and ratios. Nothing here is timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import quality, speed
from benchmarks.quality import Bar, Cache
from playground import checkpoint, registry
from playground.contract import DataInfo, configure
from playground.families.image import pca

INFO = DataInfo("points", channels=1, height=3, width=3, size=50)


def saved_pca(folder, seed: int = 0) -> checkpoint.Checkpoint:
    config = configure(pca.Config, INFO, components=4)
    model = pca.PCA(config)
    model.fit(torch.rand(50, 1, 3, 3, generator=torch.Generator().manual_seed(seed)))
    made = checkpoint.Checkpoint("pca", model, config, INFO)
    checkpoint.save(folder, made)
    return made


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Folder of a small PCA that stands as the only shipped checkpoint."""
    folder = tmp_path / "mnist"
    saved_pca(folder)
    monkeypatch.setattr(checkpoint, "shipped", lambda name, side="ours": [folder] if side == "ours" else [])
    return folder


def rows(bar: Bar, cache: Cache, monkeypatch, n: int = 8) -> list[quality.Row]:
    monkeypatch.setattr(quality, "bars", lambda name: (bar,))
    return list(quality.measure_all(["pca"], n, presets=False, cache=cache))


def counting_bar(**changes) -> tuple[Bar, list[int]]:
    calls: list[int] = []

    def total(made: checkpoint.Checkpoint, n: int) -> float:
        calls.append(n)
        return float(made.model.total[0])

    return Bar("total variance", total, **changes), calls


def test_bars_belong_to_registered_families_and_have_names_of_their_own():
    places = sorted((Path(quality.__file__).parent / "bars").glob("[a-z]*.py"))
    assert places
    for place in places:
        names = [bar.name for bar in quality.bars(registry.family(place.stem).name)]
        assert names and len(set(names)) == len(names), place.name


@pytest.mark.parametrize(
    ("better", "target", "figure", "reference", "expected"),
    [
        ("lower", 0.08, 0.07, None, True),
        ("lower", 0.08, 0.09, None, False),
        ("higher", 0.98, 0.98, None, True),
        ("higher", 0.98, 0.97, None, False),
        ("lower", None, 1.04, 1.0, True),
        ("lower", None, 1.06, 1.0, False),
        ("higher", None, 0.94, 1.0, False),
        ("lower", None, 1.0, None, None),
        ("lower", 1.0, None, None, None),
    ],
)
def test_verdicts(better, target, figure, reference, expected):
    bar = Bar("x", lambda made, n: 0.0, better, target, no_worse_than_reference=target is None)
    assert quality._verdict(bar, figure, reference)[1] is expected


def test_a_figure_is_measured_once(shipped, tmp_path, monkeypatch):
    bar, calls = counting_bar()
    first = rows(bar, Cache(tmp_path / "cache.json"), monkeypatch)[0]
    again = rows(bar, Cache(tmp_path / "cache.json"), monkeypatch)[0]
    assert first.figure == again.figure == pytest.approx(float(checkpoint.load(shipped).model.total[0]))
    assert calls == [8]
    assert "no reference checkpoint" in first.note
    rows(bar, Cache(tmp_path / "cache.json", fresh=True), monkeypatch)
    assert calls == [8, 8]


def test_the_number_of_samples_is_part_of_the_key_only_where_it_counts(shipped, tmp_path, monkeypatch):
    for counts, expected in ((True, [8, 9]), (False, [8])):
        cache = Cache(tmp_path / f"cache-{counts}.json")
        bar, calls = counting_bar(counts=counts)
        for n in (8, 9):
            rows(bar, cache, monkeypatch, n)
        assert calls == expected


def test_other_weights_are_measured_again_and_another_card_is_not(shipped, tmp_path, monkeypatch):
    bar, calls = counting_bar()
    cache = Cache(tmp_path / "cache.json")
    rows(bar, cache, monkeypatch)
    before = checkpoint.load(shipped).model.state_dict()
    quality.write_figures(shipped, "ours", {"total variance": 1.25})
    assert checkpoint.load(shipped).about.figures == {"total variance": 1.25}
    assert "1.25" in (shipped / "README.md").read_text()
    assert all(torch.equal(before[k], v) for k, v in checkpoint.load(shipped).model.state_dict().items())
    rows(bar, cache, monkeypatch)
    assert calls == [8]
    saved_pca(shipped, seed=1)
    rows(bar, cache, monkeypatch)
    assert calls == [8, 8]


def test_a_measure_that_breaks_is_told_and_the_others_go_on(shipped, tmp_path, monkeypatch, capsys):
    def broken(made, n):
        raise RuntimeError("no such thing")

    good, _ = counting_bar()
    monkeypatch.setattr(quality, "bars", lambda name: (Bar("broken", broken), good))
    monkeypatch.setattr(quality, "cache_folder", lambda: tmp_path)
    out = tmp_path / "figures.json"
    assert command.main(["quality", "pca", "--n", "5", "--json", str(out)]) == 1
    assert "FAILED: RuntimeError: no such thing" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert [row["figure"] is None for row in written["rows"]] == [True, False]
    assert written["machine"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_samples_are_the_seed_s_and_of_the_number_asked_for(shipped):
    made = checkpoint.load(shipped)
    once, labels = quality.samples(made, 7, batch=3)
    assert once.shape == (7, 1, 3, 3) and labels is None
    assert torch.equal(once, quality.samples(made, 7, batch=3)[0])


def test_a_race_alternates_and_tells_the_ratio_of_medians():
    turns: list[str] = []

    def contestant(name, rates):
        left = iter(rates)

        def once():
            turns.append(name)
            return next(left)

        return once

    ours = contestant("ours", [0, 10, 20, 30])  # the first run only warms up
    peer = contestant("peer", [0, 10, 10, 10])
    (row,) = speed.alternate("r", "f", "images/s", ours, {"peer": peer}, 3, {"peer": 0.95})
    assert turns == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer"]
    assert (row.ours, row.theirs, row.ratio, row.lowest, row.highest) == (20, 10, 2.0, 1.0, 3.0)
    assert row.met is True and row.target == ">= 0.95x"


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(registry.UnknownFamily, match="pca"):
        command.main(["quality", "nobody"])
    with pytest.raises(SystemExit, match="pca"):
        command.main(["speed", "nobody"])
