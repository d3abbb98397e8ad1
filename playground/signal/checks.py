"""What no module of this room can work with is refused here, in words for the person who brought it."""

from __future__ import annotations

import torch
from torch import Tensor

from playground.contract import Told


class BadSound(Told, ValueError):
    """A recording, or features of one, that cannot be used: the message says why."""


def recording(samples: Tensor, least: int = 1) -> Tensor:
    """The samples (T,) as they are, if they are one channel of at least `least` finite floats; else `BadSound`."""
    if samples.ndim != 1 or not samples.is_floating_point():
        shape, kind = tuple(samples.shape), str(samples.dtype).removeprefix("torch.")
        raise BadSound(
            f"a recording is one row of floating-point samples, not {kind} of shape {shape}",
            f"녹음은 부동소수점 표본의 한 줄이어야 합니다. 지금은 {kind} {shape}입니다",
        )
    long_enough(len(samples), least)
    finite(samples)
    return samples


def long_enough(samples: int, least: int) -> None:
    """Raise `BadSound` where there are fewer than `least` samples."""
    if samples < least:
        raise BadSound(
            f"the recording is too short: {samples} samples, and at least {least} are needed",
            f"녹음이 너무 짧습니다. 표본이 {samples}개인데 적어도 {least}개가 필요합니다",
        )


def finite(values: Tensor) -> None:
    """Raise `BadSound` where a value is infinite or not a number."""
    if not torch.isfinite(values).all():
        raise BadSound(
            "the recording holds values that are not finite numbers", "녹음에 유한한 수가 아닌 값이 들어 있습니다"
        )


def frames(features: Tensor, least: int = 1, columns: int | None = None) -> Tensor:
    """The features as they are, if they are (frames, columns) of finite floats and at least `least` frames."""
    rows, wanted = tuple(features.shape), "columns" if columns is None else str(columns)
    if features.ndim != 2 or not features.is_floating_point() or (columns is not None and rows[1] != columns):
        raise BadSound(
            f"features are floats of shape (frames, {wanted}), not {features.dtype} of shape {rows}",
            f"특징은 (프레임, {wanted}) 모양의 실수여야 합니다. 지금은 {features.dtype} {rows}입니다",
        )
    if rows[0] < least:
        raise BadSound(
            f"too few frames: {rows[0]}, and at least {least} are needed",
            f"프레임이 너무 적습니다. {rows[0]}개인데 적어도 {least}개가 필요합니다",
        )
    finite(features)
    return features
