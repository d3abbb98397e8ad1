"""What every family must do, driven by the registry: no family is named here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import small
import torch
from PIL import Image
from torch import Tensor

from playground import checkpoint, comparing, registry, staging, writing
from playground.checkpoint import Checkpoint
from playground.contract import (
    Audio,
    BadSetting,
    Curve,
    Family,
    Field,
    Graph,
    HeatMap,
    Mel,
    Sheet,
    Snapshot,
    Table,
    Text,
    Words,
    World,
    check_settings,
)
from playground.data import catalogue
from trainers.plans import job_from_preset, plan, total_steps

FAMILIES = registry.families()
ON = [(name, dataset) for name, family in FAMILIES.items() for dataset in small.embedded(family)]
"""Each family with each kind of embedded data that it trains on."""
PRESENT = {listing.name for listing in catalogue() if listing.present}

every_family = pytest.mark.parametrize("name", list(FAMILIES))
on_every_kind_of_data = pytest.mark.parametrize(("name", "dataset"), ON)


def drawn(made: Checkpoint, view: Any, snapshots: list[Snapshot] | None = None, **raw: Any) -> list[Any]:
    return staging.draw(view, made.model, made.config, staging.scene(made, snapshots), raw)


def numbers(outputs: list[Any]) -> Tensor:
    """Every number in some outputs, in a row."""
    found: list[Tensor] = [torch.zeros(0)]
    for o in outputs:
        if isinstance(o, Sheet):
            found.append(o.pictures)
        elif isinstance(o, Audio):
            found.append(o.samples)
        elif isinstance(o, (Mel, HeatMap)):
            found.append(o.values)
        elif isinstance(o, World):
            found += [o.f0, o.envelope, o.aperiodicity]
        elif isinstance(o, Curve):
            found += [torch.as_tensor(line) for x_y in o.series.values() for line in x_y]
        elif isinstance(o, Field):
            found += [o.places, o.vectors, *o.points.values()]
        elif isinstance(o, Graph):
            found.append(torch.tensor([weight for *_, weight in o.edges]))
    return torch.cat([part.flatten().float() for part in found])


def test_all_families_can_be_imported():
    assert registry.failures() == {}
    assert FAMILIES


@every_family
def test_three_files_of_one_name(name):
    family = FAMILIES[name]
    assert name == family.name
    assert family.Config.__module__ == f"playground.families.{family.kind}.{name}" or "." in family.Config.__module__
    assert registry.trainer(name).__name__ == f"trainers.{name}"
    assert family.reference.module == f"playground.references.{name}"
    assert (registry.root(name) / "trainers" / f"{name}.py").is_file()
    library = family.reference.cls.partition(".")[0]
    assert library.replace("sklearn", "scikit-learn") == family.reference.library


@every_family
def test_default_config_builds_and_is_described(name):
    family = FAMILIES[name]
    config = check_settings(family.Config())
    with torch.device("meta"):
        state = family.Model(config).state_dict()
    assert state, "classical models keep their parameters as buffers"
    assert len({v.key for v in family.views}) == len(family.views)
    assert all(v.key.isascii() and v.key.isidentifier() for v in family.views)
    assert any(c.kind == "seed" for c in family.views[0].controls)


# --- Round trips ----------------------------------------------------------------------------------------------


@on_every_kind_of_data
def test_config_and_weights_round_trip(name, dataset, tmp_path):
    made = small.model(FAMILIES[name], dataset)
    for parameter in made.model.state_dict().values():
        if parameter.is_floating_point():
            parameter.add_(torch.rand_like(parameter) * 0.01)
    back = checkpoint.load(checkpoint.save(tmp_path / "saved", made))
    assert (back.config, back.info, back.about) == (made.config, made.info, made.about)
    assert checkpoint.read_fields(type(made.config), json.loads(json.dumps(asdict(made.config))), "") == made.config
    assert small.same(back.model.state_dict(), made.model.state_dict())
    view = staging.view(made)
    assert torch.equal(numbers(drawn(made, view, seed=4)), numbers(drawn(back, view, seed=4)))


@every_family
def test_reference_trains_saves_and_loads_with_difference_zero(name, tmp_path):
    sets = small.embedded(FAMILIES[name])
    if not sets:
        pytest.skip("its data set is not on this machine")
    job = small.job(name, sets[0], steps=2, reference=True)
    data = small.few(sets[0], 64)
    model, loop = small.course(job, data)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    progress = next(loop)
    assert all(math.isfinite(value) for value in progress.values.values())
    assert not small.same(before, model.state_dict())
    loop.close()
    made = Checkpoint(name, model.eval(), plan(job, data).config, data.info)
    made.side = "reference"
    back = checkpoint.load(checkpoint.save_reference(tmp_path / "saved", made))
    assert back.side == "reference"
    assert small.same(back.model.state_dict(), model.state_dict())
    view = staging.view(made)
    assert torch.equal(numbers(drawn(made, view, seed=4)), numbers(drawn(back, view, seed=4)))
    suffixes = {p.suffix for p in (tmp_path / "saved").rglob("*") if p.is_file()}
    assert suffixes <= {".safetensors", ".json", ".md", ".txt"}, "nothing that is unpickled"


# --- Samples --------------------------------------------------------------------------------------------------


@on_every_kind_of_data
def test_samples_have_shape_and_range_and_follow_the_seed(name, dataset):
    made = small.trained(FAMILIES[name], dataset)
    view = staging.view(made)
    counted = any(c.name == "n" and c.shown(made.config, made.info) for c in view.controls)
    raw = {"n": 7} if counted else {}
    outputs = drawn(made, view, **raw, seed=1)
    for o in outputs:
        if isinstance(o, Sheet):
            info = made.info
            assert o.pictures.shape == (7 if counted else len(o.pictures), info.channels, info.height, info.width)
            assert o.pictures.min() >= 0
            assert o.pictures.max() <= 1
        if isinstance(o, Audio):
            assert o.samples.abs().max() <= 1
    made_of = numbers(outputs)
    assert made_of.numel()
    assert bool(made_of.isfinite().all())
    torch.manual_seed(99)  # the global random state must not matter
    assert torch.equal(made_of, numbers(drawn(made, view, **raw, seed=1)))
    other = numbers(drawn(made, view, **raw, seed=2))
    assert other.shape != made_of.shape or not torch.equal(made_of, other)


@on_every_kind_of_data
def test_a_condition_changes_the_sample(name, dataset):
    family = FAMILIES[name]
    conditional = (c for c in changes_of(family) if conditions(small.model(family, dataset, **c)))
    config = next(conditional, None)
    if config is None:
        pytest.skip("it takes no condition")
    made = small.trained(family, dataset, **config)
    for parameter in made.model.parameters():  # scales that begin at one and shifts at zero say little of the class
        parameter.data += 0.1 * torch.randn_like(parameter)
    view = staging.view(made)
    one, two = (numbers(drawn(made, view, **condition, seed=1)) for condition in conditions(made))
    assert one.shape != two.shape or not torch.equal(one, two)


def conditions(made: Checkpoint) -> list[dict[str, Any]]:
    """Two values of what the generating view may be asked for; none where it takes no condition."""
    controls = {c.name: c for c in staging.view(made).controls if c.shown(made.config, made.info)}
    if "label" in controls:
        options = controls["label"].options(made.config, made.info)
        return [{"label": value} for _, value in options[-2:]]
    if "text" in controls:
        return [{"text": text} for text in dict.fromkeys(small.load(made.about.dataset).train.texts or ("1", "2"))][:2]
    return []


# --- Views ----------------------------------------------------------------------------------------------------


def changes_of(family: Family) -> Iterator[dict[str, Any]]:
    """None, and other architectures: each switch turned, each number at 2."""
    yield {}
    for f in fields(family.Config):
        low = f.metadata.get("low")
        if isinstance(f.default, bool):
            yield {f.name: not f.default}
        elif isinstance(f.default, int) and not f.metadata.get("fact") and low is not None and low <= 2:
            yield {f.name: 2}


def variants(family: Family, dataset: str) -> Iterator[Checkpoint]:
    yield from (small.model(family, dataset, **changes) for changes in changes_of(family))


def checkpoints_for(family: Family, key: str) -> Iterator[Checkpoint]:
    """One small model for each kind of data that has the view; of coloured pictures where none has it."""
    found = False
    coloured = [small.COLOUR] if "images" in family.trains_on else []
    for dataset in [*small.embedded(family), *coloured]:
        if found and dataset in coloured:
            return
        has = (made for made in variants(family, dataset) if key in {v.key for v in staging.views(made)})
        made = next(has, None)
        if made is not None:
            found = True
            yield made


@pytest.mark.parametrize(("name", "key"), [(n, v.key) for n, family in FAMILIES.items() for v in family.views])
def test_every_view_renders_with_default_controls(name, key, tmp_path):
    family = FAMILIES[name]
    found = list(checkpoints_for(family, key))
    if not small.embedded(family):
        pytest.skip("its data set is not on this machine")
    assert found, f"no small model has the view {key!r}"
    for made in found:
        earlier = [Snapshot(step, lambda made=made: made.model) for step in (1, 5)]
        view = staging.view(made, key)
        partial = list(staging.render(view, made.model, made.config, staging.scene(made, earlier), {}))
        assert partial
        assert partial[-1]
        for outputs in partial:
            assert bool(numbers(outputs).isfinite().all())
        for output in partial[-1]:
            assert writing.encoded(output, {"family": name})
        assert not any(p.requires_grad for o in partial[-1] if isinstance(o, Sheet) for p in [o.pictures])
        assert drawn(made, view, []), "a checkpoint without earlier states"


# --- Training -------------------------------------------------------------------------------------------------


def values_by_phase(loop: Iterator[Any]) -> dict[str, list[dict[str, float]]]:
    """The reports of a training: steps must count up from 1 in each phase, values must be finite."""
    found: dict[str, list[dict[str, float]]] = {}
    for progress in loop:
        values = {name: float(value) for name, value in progress.values.items()}
        assert values
        assert all(math.isfinite(value) for value in values.values())
        found.setdefault(progress.phase, []).append(values)
        assert progress.step == len(found[progress.phase])
    return found


def better(name: str, first: float, last: float) -> bool:
    return last > first if "likelihood" in name or "bound" in name else last < first


@on_every_kind_of_data
def test_a_few_steps_improve_a_named_metric(name, dataset):
    data = small.few(dataset, 64)
    job = small.job(name, dataset, steps=60)
    model, loop = small.course(job, data)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x, y = data.train.batch(torch.arange(64))[:2] if total_steps(plan(job, data).recipe) == 1 else (None, None)
    untrained = float(model(x, y)) if x is not None else 0.0
    phases = values_by_phase(loop)
    after = model.state_dict()
    assert not small.same(before, after)
    assert all(bool(v.isfinite().all()) for v in after.values() if v.is_floating_point())
    if x is not None:  # a closed form: its one report has nothing to be compared with
        assert float(model(x, y)) < untrained
    elif len(phases) > 1 and len({len(reports) for reports in phases.values()}) == 1:
        players = {k.partition(".")[0] for k, _ in model.named_parameters() if not torch.equal(before[k], after[k])}
        assert len(players) >= 2, f"only {players} moved"  # adversarial: no loss is meant to fall
    else:
        reports = list(phases.values())[-1]
        metric = next(n for n in reports[0] if n == "loss" or "likelihood" in n)
        third = len(reports) // 3
        first, last = (sum(r[metric] for r in part) / third for part in (reports[:third], reports[-third:]))
        assert better(metric, first, last), f"{metric}: from {first:.4g} to {last:.4g}"


@on_every_kind_of_data
def test_an_abandoned_training_leaves_a_usable_model(name, dataset):
    data = small.few(dataset, 64)
    job = small.job(name, dataset, steps=50)
    model, loop = small.course(job, data)
    for _ in range(3):
        next(loop, None)
    loop.close()
    planned = plan(job, data)
    made = Checkpoint(name, model.eval(), planned.config, data.info, checkpoint.About(dataset=dataset))
    assert bool(numbers(drawn(made, staging.view(made), seed=1)).isfinite().all())


@every_family
def test_equal_seeds_train_equally(name):
    sets = small.embedded(FAMILIES[name])
    if not sets:
        pytest.skip("its data set is not on this machine")
    data = small.few(sets[0], 64)
    states = []
    for seed in (1, 1, 2):
        model, loop = small.course(small.job(name, sets[0], steps=3, seed=seed), data)
        list(loop)
        states.append(model.state_dict())
    assert small.same(states[0], states[1])
    if any(p.requires_grad for p in model.parameters()):
        assert not small.same(states[0], states[2])


@every_family
def test_every_preset_plans(name):
    presets = registry.trainer(name).PRESETS
    assert [p.name for p in presets] == ["fast", "good", "shipped", "broken"]
    for preset in presets:
        for reference in (False, True):
            if preset.dataset.partition(":")[0] not in PRESENT:
                continue
            try:
                planned = plan(job_from_preset(name, preset.name, reference=reference))
            except BadSetting:  # the counterpart may not take the kind of data of a preset, and says so
                assert reference
                continue
            assert total_steps(planned.recipe) >= 1
            with torch.device("meta"):
                planned.build(planned.config)


# --- Words ----------------------------------------------------------------------------------------------------


def texts_of(family: Family) -> Iterator[tuple[str, Text]]:
    """Every text of a family that a person may read, with where it stands."""
    trainer, reference = registry.trainer(family.name), registry.reference(family.name)
    yield from (("title", family.title), ("idea", family.idea), ("unit", family.unit))
    yield from (("reference.title", family.reference.title), ("reference.about", family.reference.about))
    if family.reference.hub:
        yield "hub.about", family.reference.hub.about
    for preset in trainer.PRESETS:
        yield f"preset {preset.name}", preset.about
    kinds = {family.Config, trainer.Recipe, reference.Config, getattr(reference, "Recipe", trainer.Recipe)}
    for kind in kinds:
        for f in (f for f in fields(kind) if not f.metadata.get("fact")):
            yield f"{kind.__module__}.{f.name}", f.metadata.get("text", {})
    for view in (*family.views, *[v for v in [getattr(reference, "VIEW", None)] if v]):
        yield from ((f"view {view.key}", view.name), (f"view {view.key}", view.about))
        for control in view.controls:
            yield f"control {control.name}", control.label
            if not callable(control.choices):
                yield from ((f"control {control.name}", words) for words, _ in control.choices)


def texts_in(outputs: list[Any]) -> Iterator[tuple[str, Text]]:
    for o in outputs:
        if getattr(o, "title", None):
            yield "title", o.title
        if isinstance(o, Words):
            yield "words", o.text
        if isinstance(o, (Curve, Field, HeatMap)):
            yield from (("axis", o.x_label), ("axis", o.y_label))
        if isinstance(o, Table):
            yield from (("column", column) for column in o.columns)


def assert_bilingual(where: str, text: Text) -> None:
    assert set(text) == {"en", "ko"}, where
    assert text["en"].strip(), where
    assert not re.search("[가-힣]", text["en"]), where
    name = text["ko"] == text["en"] and all(len(w) == 1 or w != w.lower() or "-" in w for w in text["en"].split())
    assert name or re.search("[가-힣]", text["ko"]), f"{where}: {text}"


@every_family
def test_every_word_a_person_reads_is_in_both_languages(name):
    family = FAMILIES[name]
    for where, text in texts_of(family):
        assert_bilingual(where, text)
    for view in family.views:
        for made in checkpoints_for(family, view.key):
            earlier = [Snapshot(1, lambda made=made: made.model)]
            for snapshots in ([], earlier):
                for where, text in texts_in(drawn(made, staging.view(made, view.key), snapshots)):
                    assert_bilingual(f"{view.key}: {where}", text)


@pytest.mark.parametrize(
    "text",
    [
        {"en": "Pictures", "ko": "Pictures of digits"},
        {"en": "Spread of z", "ko": "Spread of z"},
        {"en": "그림", "ko": "그림"},
        {"en": "Pictures"},
        {"en": "", "ko": "그림"},
    ],
)
def test_a_text_left_in_english_would_be_found(text):
    with pytest.raises(AssertionError):
        assert_bilingual("here", text)


# --- What is shipped ------------------------------------------------------------------------------------------

SHIPPED = [folder for name in FAMILIES for side in ("ours", "reference") for folder in checkpoint.shipped(name, side)]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda p: "-".join(p.parts[-3:]))
def test_shipped_checkpoints_load_and_generate(folder: Path):
    made = checkpoint.load(folder)
    assert (made.family, made.side) == (folder.parts[-3], folder.parts[-2])
    assert bool(numbers(drawn(made, staging.view(made), seed=0)).isfinite().all())
    assert all(p.stat().st_size < 10_000_000 for p in folder.rglob("*") if p.is_file())
    previews = [p for p in folder.glob("preview.*") if p.suffix in (".png", ".wav", ".svg")]
    assert previews, "Home and the first paint need it"
    for path in (p for p in previews if p.suffix == ".png"):
        with Image.open(path) as picture:
            picture.verify()
    card = (folder / "README.md").read_text("utf-8")
    assert made.info.name in card
    assert made.info.credit in card
    assert made.about.steps or made.about.examples


PAIRED = [name for name in FAMILIES if all(checkpoint.shipped(name, side) for side in comparing.SIDES)]


@pytest.mark.parametrize("name", PAIRED)
def test_what_our_controls_say_can_be_asked_of_the_reference(name):
    ours, other = (comparing.open_side(name, side) for side in comparing.SIDES)
    view = staging.view(ours)
    raw = {c.name: staging.default(c, ours.config, ours.info) for c in view.controls if c.shown(ours.config, ours.info)}
    theirs = staging.generating_view(FAMILIES[name], reference=True)
    asked = comparing.settings(theirs, other.config, other.info, raw, lenient=True)
    staging.resolve(theirs, other.config, other.info, asked)
    for control in theirs.controls:
        if control.shown(other.config, other.info) and control.name in raw and control.name not in asked:
            assert raw[control.name] not in [value for _, value in control.options(other.config, other.info)]


def test_shipped_checkpoints_are_small_together():
    places = {registry.root(name) / "checkpoints" for name in FAMILIES}
    assert sum(p.stat().st_size for place in places for p in place.rglob("*") if p.is_file()) < 175_000_000
