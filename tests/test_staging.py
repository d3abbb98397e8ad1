"""Running views: raw values are checked for whoever sends them, and drawing depends on the seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from playground import controls, staging
from playground.contract import Audio, BadSetting, Control, DataInfo, Scene, Sheet, View, Words

INFO = DataInfo("x", class_names=("cat", "dog", "3"))
WORDS = {"en": "Setting", "ko": "설정"}
TWO = (({"en": "yes", "ko": "예"}, True), ({"en": "no", "ko": "아니요"}, False))
KNOWN = [
    Control("whole", "number", WORDS, default=5, low=1, high=9),
    Control("real", "number", WORDS, default=0.5, low=-1, high=1),
    Control("open", "number", WORDS, default=0.0),
    Control("bound", "number", WORDS, default=50, bounds=lambda config, info: (1, info.classes)),
    Control("choice", "choice", WORDS, default=True, choices=TWO),
    Control("label", "choice", WORDS, default=-1, choices=controls._classes),
    Control("text", "text", WORDS, default="hello"),
    Control("seed", "seed", WORDS, default=0),
    Control("picture", "picture", WORDS),
    Control("recording", "recording", WORDS),
    Control("hidden", "number", WORDS, default=1, low=0, high=2, when=lambda config, info: False),
]
BY_NAME = {c.name: c for c in KNOWN}


def echo(model: object, scene: Scene, **values: Any) -> Iterator[list[Any]]:
    yield [Words({"en": repr(values), "ko": repr(values)}), Sheet(torch.rand(2, 1, 4, 4, generator=scene.rng))]


VIEW = View("echo", WORDS, WORDS, tuple(KNOWN), echo)


def resolve(**raw: Any) -> dict[str, Any]:
    return staging.resolve(VIEW, None, INFO, raw)


def allowed(control: Control, value: Any) -> bool:
    """What a view may be given, said without the checks under test."""
    if control.kind == "number":
        low, high = control.range(None, INFO)
        whole = isinstance(control.default, int)
        right = type(value) is (int if whole else float) and math.isfinite(value)
        return right and (low is None or low <= value <= high)
    if control.kind == "choice":
        return any(value is v or value == v for _, v in control.options(None, INFO))
    if control.kind == "seed":
        return type(value) is int and 0 <= value < 2**31
    if control.kind == "text":
        return isinstance(value, str) and len(value) <= 2000
    return value is None or isinstance(value, Audio if control.kind == "recording" else torch.Tensor)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
numbers_as_text = st.one_of(st.integers(), st.floats()).map(str) | st.sampled_from(["1e400", "0x1", " 3 ", "3_0", "٣"])


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from([c.name for c in KNOWN]), value=anything | numbers_as_text)
@example(name="whole", value=10**400)
@example(name="seed", value=10**400)
@example(name="seed", value="nan")
@example(name="whole", value=True)
@example(name="real", value=float("nan"))
@example(name="bound", value="4")
@example(name="label", value=[])
@example(name="text", value="x" * 2001)
@example(name="text", value="\ud800")
def test_a_hostile_value_is_refused_by_name_or_becomes_one_that_is_allowed(name, value):
    refused: list[BadSetting] = []
    try:
        resolved = resolve(**{name: value})
    except BadSetting as error:
        refused.append(error)
    if refused:
        assert str(refused[0]).startswith(f"{name} = ")
        assert refused[0].text["ko"].startswith("설정 = ")
        assert len(str(refused[0])) < 300
        return
    assert set(resolved) == {c.name for c in KNOWN} - {"hidden"}
    for other, given_value in resolved.items():
        assert allowed(BY_NAME[other], given_value), (other, given_value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_a_control_that_does_not_exist_is_refused(name):
    if name in BY_NAME:
        return
    with pytest.raises(BadSetting, match="no such control; there are bound, choice"):
        resolve(**{name: 1})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("whole", "7", 7),
        ("whole", 7.0, 7),
        ("real", "-0.25", -0.25),
        ("real", 1, 1.0),
        ("choice", "no", False),
        ("choice", "아니요", False),
        ("choice", "False", False),
        ("choice", False, False),
        ("label", "dog", 1),
        ("label", "2", 2),
        ("label", "cat", 0),
        ("label", "each in turn", -1),
        ("label", "-1", -1),
        ("seed", "2147483647", 2**31 - 1),
        ("text", "", ""),
        ("whole", "", 5),
        ("seed", None, 0),
    ],
)
def test_values_from_a_line_of_text(name, value, expected):
    found = resolve(**{name: value})[name]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("whole", "7.5", "whole number"),
        ("whole", 10, "must lie between 1 and 9"),
        ("real", "inf", "finite number"),
        ("real", "much", "expected a number"),
        ("open", "nan", "finite number"),
        ("bound", 4, "must lie between 1 and 3"),
        ("choice", "maybe", "must be one of True, False"),
        ("label", "bird", "must be one of -1, 0, 1, 2"),
        ("seed", 2**31, "must lie between 0 and 2147483647"),
        ("seed", "1.5", "must lie between"),
        ("text", 5, "at most 2000 characters"),
        ("picture", "photo.jpg", "expected a picture"),
        ("recording", torch.zeros(3), "expected a recording"),
    ],
)
def test_what_is_refused_and_why(name, value, reason):
    with pytest.raises(BadSetting, match=reason):
        resolve(**{name: value})


def test_defaults_lie_within_what_the_checkpoint_allows():
    assert resolve()["bound"] == 3
    assert staging.default(Control("a", "choice", WORDS, default="gone", choices=TWO), None, INFO) is True
    assert staging.default(Control("s", "seed", WORDS), None, INFO) == 0


def test_a_control_that_is_not_shown_is_not_passed():
    assert "hidden" not in resolve(hidden=2)


# --- Drawing --------------------------------------------------------------------------------------------------


def scene(seed: int = 0) -> Scene:
    return Scene(torch.Generator().manual_seed(seed), INFO, lambda: pytest.fail("no examples were asked for"))


def drawn(**raw: Any) -> torch.Tensor:
    return staging.draw(VIEW, nn.Identity(), None, scene(), raw)[1].pictures


def test_the_seed_control_alone_seeds_the_drawing():
    assert torch.equal(drawn(seed=3), drawn(seed="3"))
    assert not torch.equal(drawn(seed=3), drawn(seed=4))
    other = staging.draw(VIEW, nn.Identity(), None, scene(seed=99), {"seed": 3})[1].pictures
    assert torch.equal(drawn(seed=3), other), "whatever state the scene's generator was in"


def test_the_view_gets_every_control_but_the_seed():
    words = staging.draw(VIEW, nn.Identity(), None, scene(), {"whole": "2"})[0].text["en"]
    assert "'whole': 2" in words
    assert "seed" not in words
    assert "hidden" not in words


def test_partial_outputs_come_as_they_are_made_and_without_gradients():
    weight = nn.Linear(2, 2)
    made: list[int] = []

    def grow(model: nn.Module, scene: Scene) -> Iterator[list[Any]]:
        for i in range(3):
            made.append(i)
            x = model(torch.ones(1, 2))
            assert not x.requires_grad
            assert torch.is_inference(x)
            yield [Sheet(x.view(1, 1, 1, 2).expand(i + 1, -1, -1, -1))]

    view = View("grow", WORDS, WORDS, (), grow)
    outputs = staging.render(view, weight, None, scene(), {})
    assert made == []
    for i in range(3):
        (sheet,) = next(outputs)
        assert len(sheet.pictures) == i + 1
        assert made == list(range(i + 1)), "nothing is computed ahead"
        assert weight(torch.ones(1, 2)).requires_grad, "between two results, gradients are as they were"
    assert list(outputs) == []


def test_a_bad_setting_is_told_before_anything_is_computed():
    def never(model: nn.Module, scene: Scene, **values: Any) -> Iterator[list[Any]]:
        pytest.fail("it was rendered")
        yield []

    view = View("never", WORDS, WORDS, (BY_NAME["whole"],), never)
    with pytest.raises(BadSetting):
        next(staging.render(view, nn.Identity(), None, scene(), {"whole": 10}))
