"""Looks at a DDPM: pictures as they come out of the noise, samplers side by side, guidance, and other uses of the net."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from playground import controls
from playground.contract import Control, Curve, DataInfo, Output, Scene, Sheet, Text, View, Words
from playground.families.image.ddpm.config import Config
from playground.families.image.ddpm.model import DDPM, shown
from playground.families.image.ddpm.process import at, diffuse, eps_of, velocity, x_0_of
from playground.families.image.ddpm.samplers import Moment, encode, noise_like, repaint, spread

PARTIAL = 8
"""How often a drawing is shown while it is under way."""
NOT_TOLD = -1
"""Value of the class control that tells the net none."""


def now_and_then(moments: Iterator[Moment], steps: int) -> Iterator[Moment]:
    """About `PARTIAL` of the moments of so many steps, the first and the last among them."""
    every = max(1, math.ceil((steps + 1) / PARTIAL))
    for i, moment in enumerate(moments):
        if i % every == 0 or moment.t == 0:
            yield moment


def held_out(scene: Scene, n: int) -> tuple[Tensor, Tensor | None]:
    """n held-out pictures, drawn at random, with their classes."""
    examples = scene.examples()
    return examples.batch(torch.randperm(len(examples), generator=scene.rng)[:n])


def chosen(
    model: DDPM, picture: Tensor | None, scene: Scene, n: int, label: int | None
) -> tuple[Tensor, Tensor | None]:
    """The picture given, or n held-out ones, with the class that the net is to be told of them."""
    x = held_out(scene, n)[0] if picture is None else picture[None]
    return x.to(model.alpha_bar.device), told(model, label, len(x))


def told(model: DDPM, label: int | None, n: int) -> Tensor | None:
    """(n,) classes for a value of the class control; None for NOT_TOLD, and where it was not shown."""
    return None if label in (None, NOT_TOLD) else torch.full((n,), label, device=model.alpha_bar.device)


# --- Drawing --------------------------------------------------------------------------------------------------


def generate(
    model: DDPM, scene: Scene, n: int, sampler: str, steps: int, guidance: float = 0.0, label: int | None = None
) -> Iterator[list[Output]]:
    x, y = model.noise(n, scene.rng), model.classes(controls.labels_for(label, n, scene.info), n)
    way = model.denoising(x, y, rng=scene.rng, steps=steps, sampler=sampler, guidance=guidance)
    for moment in now_and_then(way, steps):
        yield [Sheet(shown(moment.x), controls.captions(y, scene.info), controls.columns(label, scene.info))]


def film(
    model: DDPM, scene: Scene, rows: int, sampler: str, steps: int, guidance: float = 0.0, label: int | None = None
) -> Iterator[list[Output]]:
    x, y = model.noise(rows, scene.rng), model.classes(controls.labels_for(label, rows, scene.info), rows)
    way = model.denoising(x, y, rng=scene.rng, steps=steps, sampler=sampler, guidance=guidance)
    title = {
        "en": "Above: x_t on its way from noise; beneath each: the picture the net then sees in it",
        "ko": "위: 잡음에서 나오는 x_t, 아래: 그 순간 신경망이 그 속에서 보는 그림",
    }
    frames: list[Moment] = []
    for moment in now_and_then(way, steps):
        frames.append(moment)
        # (frames, two, rows, C, H, W) -> for each of the rows, all x_t and under them all x_0
        seen = torch.stack([torch.stack([shown(m.x), shown(m.x_0)]) for m in frames])
        strip = seen.permute(2, 1, 0, 3, 4, 5).flatten(0, 2)
        times = [f"t = {m.t}" for m in frames] + [""] * (len(strip) - len(frames))
        yield [Sheet(strip, times, columns=len(frames), title=title)]


RACERS: dict[str, Text] = {
    "ddpm": {"en": "DDPM", "ko": "DDPM"},
    "ddim": {"en": "DDIM", "ko": "DDIM"},
    "dpm_solver": {"en": "DPM-Solver++ (2M)", "ko": "DPM-Solver++ (2M)"},
}


def race(model: DDPM, scene: Scene, n: int, steps: int, label: int | None = None) -> Iterator[list[Output]]:
    x, y = model.noise(n, scene.rng), model.classes(controls.labels_for(label, n, scene.info), n)
    outputs: list[Output] = []
    for sampler, name in RACERS.items():
        *_, last = model.denoising(x, y, rng=scene.rng, steps=steps, sampler=sampler)
        title = {"en": f"{name['en']}, {steps} evaluations", "ko": f"{name['ko']}, 평가 {steps}번"}
        outputs.append(Sheet(shown(last.x), columns=n, title=title))
        yield list(outputs)


def guided(model: DDPM, scene: Scene, most: float, steps: int) -> Iterator[list[Output]]:
    n = min(10, scene.info.classes)
    x, y = model.noise(n, scene.rng), model.classes(None, n)
    title = {
        "en": "Every row from the same noise: the class not told, told (w = 0), then followed ever more strictly",
        "ko": "모든 줄이 같은 잡음에서 시작: 클래스를 알려 주지 않음, 알려 줌(w = 0), 점점 더 엄격하게 따름",
    }
    rows: list[Tensor] = []
    captions: list[str] = []
    for w in (-1.0, 0.0, most / 4, most / 2, most):
        *_, last = model.denoising(x, y, rng=scene.rng, steps=steps, sampler="dpm_solver", guidance=w)
        rows.append(shown(last.x))
        captions += [f"w = {w:g}"] + [""] * (n - 1)
        yield [Sheet(torch.cat(rows), captions, columns=n, title=title)]


# --- Beginning with a picture ---------------------------------------------------------------------------------


def inpaint(
    model: DDPM,
    scene: Scene,
    picture: Tensor | None,
    mask: Tensor | None,
    steps: int,
    repeats: int,
    label: int | None = None,
) -> Iterator[list[Output]]:
    copies, rows = 5, 4
    x, _ = chosen(model, picture, scene, rows, label)
    height, width = x.shape[2:]
    kept = torch.arange(height)[:, None].expand(height, width) < height / 2 if mask is None else mask
    kept = kept.to(x.device)
    many = x.repeat_interleave(copies, dim=0)
    times = spread(steps, model.config.noise_steps)
    denoise = model.denoiser(told(model, label, len(many)))
    noise = model.noise(len(many), scene.rng)
    title = {
        "en": "The picture, what is kept of it, and five ways to go on",
        "ko": "원본, 남긴 부분, 그리고 이어 그린 다섯 가지",
    }
    way = repaint(denoise, model.alpha_bar, times, noise, scene.rng, 2 * many - 1, kept, repeats)
    for moment in now_and_then(way, steps):
        filled = shown(moment.x).unflatten(0, (len(x), copies))
        sheet = torch.cat([x[:, None], torch.where(kept, x, 0.5)[:, None], filled], dim=1)
        yield [Sheet(sheet.flatten(0, 1), columns=2 + copies, title=title)]


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Along the great circle from a to b (B, C, H, W), at t (T,): (B, T, C, H, W). Gaussian noise lives near a sphere."""
    cosine = (a * b).flatten(1).sum(1) / (a.flatten(1).norm(dim=1) * b.flatten(1).norm(dim=1))
    angle = cosine.clamp(-1, 1).acos().clamp(min=1e-4)[:, None]  # (B, 1)
    from_a, from_b = (((share * angle).sin() / angle.sin())[:, :, None, None, None] for share in (1 - t, t))
    return from_a * a[:, None] + from_b * b[:, None]


def interpolate(
    model: DDPM, scene: Scene, picture: Tensor | None, other: Tensor | None, steps: int
) -> Iterator[list[Output]]:
    if picture is not None and other is not None:
        ends = torch.stack([picture, other])[None].to(model.alpha_bar.device)  # (pairs, 2, C, H, W)
    else:
        ends = held_out(scene, 8)[0].unflatten(0, (-1, 2)).to(model.alpha_bar.device)
    denoise, times = model.denoiser(), spread(steps, model.config.noise_steps)
    noise = encode(denoise, model.alpha_bar, times, 2 * ends.flatten(0, 1) - 1).unflatten(0, (-1, 2))
    between = slerp(noise[:, 0], noise[:, 1], torch.linspace(0, 1, 7, device=noise.device))  # (pairs, 7, C, H, W)
    title = {
        "en": "Left and right: originals; between: drawn from noise between theirs",
        "ko": "양 끝은 원본, 사이는 두 원본의 잡음 사이에서 그린 그림",
    }
    way = model.denoising(between.flatten(0, 1), None, rng=scene.rng, steps=steps)
    for moment in now_and_then(way, steps):
        drawn = shown(moment.x).unflatten(0, (-1, 7))
        sheet = torch.cat([ends[:, :1], drawn, ends[:, 1:]], dim=1)
        yield [Sheet(sheet.flatten(0, 1), columns=9, title=title)]


def clean(
    model: DDPM, scene: Scene, picture: Tensor | None, noise: float, noisy: bool, steps: int, label: int | None = None
) -> Iterator[list[Output]]:
    x, y = chosen(model, picture, scene, 8, label)
    # A picture in [-1, 1] with noise of deviation 2 noise, shrunk by sqrt(alpha_bar), is x_t of the time where
    # (1 - alpha_bar) / alpha_bar = (2 noise)^2.
    alpha_bar = model.alpha_bar[1:]
    t = 1 + int(((1 - alpha_bar) / alpha_bar - (2 * noise) ** 2).abs().argmin())
    alpha_bar = model.alpha_bar[t]
    if noisy and picture is not None:
        x_t, rows = alpha_bar.sqrt() * (2 * x - 1), []
    else:
        x_t, rows = diffuse(2 * x - 1, noise_like(x, scene.rng), alpha_bar), [x]
    at_once = shown(model.denoiser(y)(x_t, t))
    title = {
        "en": "From above: the picture, with noise, cleaned at one look, cleaned in steps",
        "ko": "위에서부터: 원본, 잡음을 더한 것, 한 번에 걷어 낸 것, 단계를 밟아 걷어 낸 것",
    }
    if not rows:
        title = {
            "en": "From above: the noisy picture, cleaned at one look, cleaned in steps",
            "ko": "위에서부터: 잡음 섞인 그림, 한 번에 걷어 낸 것, 단계를 밟아 걷어 낸 것",
        }
    said = {
        "en": f"Noise of {noise:.2f} (black 0, white 1) is that of t = {t} of {model.config.noise_steps}.",
        "ko": f"잡음 {noise:.2f}(검정 0, 흰색 1)은 {model.config.noise_steps}단계 중 t = {t}에 해당합니다.",
    }
    way = model.denoising(x_t, y, rng=scene.rng, steps=steps, sampler="ddpm", start=t)
    for moment in now_and_then(way, min(steps, t)):
        sheet = torch.cat([*rows, shown(x_t / alpha_bar.sqrt()), at_once, shown(moment.x)])
        yield [Sheet(sheet, columns=len(x), title=title), Words(said)]


def loss_by_time(model: DDPM, scene: Scene, pictures: int) -> Iterator[list[Output]]:
    x, y = held_out(scene, pictures)
    x_0, y = (2 * x - 1).to(model.alpha_bar.device), y if model.config.labels else None
    eps = noise_like(x_0, scene.rng)
    last = model.config.noise_steps
    times = [max(1, round(last * i / 20)) for i in range(21)]
    errors: dict[str, list[float]] = {"v": [], "epsilon": [], "x_0": []}
    x_label = {"en": "time t (0: picture, T: noise)", "ko": "시각 t (0: 그림, T: 잡음)"}
    y_label = {"en": "squared error a number", "ko": "숫자당 제곱 오차"}
    for t in times:
        alpha_bar = model.alpha_bar[t]
        x_t = diffuse(x_0, eps, alpha_bar)
        every = torch.full((len(x_t),), float(t), device=x_t.device)
        seen = x_0_of(model.predict(x_t, every, y), x_t, at(model.alpha_bar, every), model.config.prediction)
        guess = eps_of(seen, x_t, alpha_bar)
        wrong = {"v": velocity(seen - x_0, guess - eps, alpha_bar), "epsilon": guess - eps, "x_0": seen - x_0}
        for name, difference in wrong.items():
            errors[name].append(float(difference.square().mean()))
    yield [Curve({name: (times, values) for name, values in errors.items()}, x_label, y_label)]


# --- What they are shown with ---------------------------------------------------------------------------------


def _classes(config: Config, info: DataInfo) -> Sequence[tuple[Text, int]]:
    none: tuple[Text, int] = ({"en": "not told", "ko": "알려 주지 않음"}, NOT_TOLD)
    return [none, *(({"en": name, "ko": name}, index) for index, name in enumerate(info.class_names))]


def _steps(default: int) -> Control:
    words = {"en": "Evaluations of the net", "ko": "신경망 평가 횟수"}
    most = lambda config, info: (2, config.noise_steps)
    return Control("steps", "number", words, default=default, low=2, high=1000, step=1, bounds=most)


def _number(name: str, en: str, ko: str, default: float, low: float, high: float, step: float) -> Control:
    return Control(name, "number", {"en": en, "ko": ko}, default=default, low=low, high=high, step=step)


SAMPLER = Control(
    "sampler",
    "choice",
    {"en": "Sampler", "ko": "샘플러"},
    "dpm_solver",
    choices=[(t, name) for name, t in RACERS.items()],
)
GUIDANCE = Control(
    "guidance", "number", {"en": "Guidance w", "ko": "유도 강도 w"}, 0.25, 0, 10, 0.25, when=controls.has_classes
)
CLASS = Control(
    "label", "choice", {"en": "Class", "ko": "클래스"}, NOT_TOLD, choices=_classes, when=controls.has_classes
)
NOISY = Control(
    "noisy",
    "choice",
    {"en": "Your picture", "ko": "내 그림의 상태"},
    False,
    choices=(
        ({"en": "is clean: add the noise", "ko": "깨끗함: 잡음을 더하기"}, False),
        ({"en": "has that noise in it", "ko": "이미 그만큼 잡음이 있음"}, True),
    ),
)
NOISE = _number("noise", "Noise (black 0, white 1)", "잡음 (검정 0, 흰색 1)", 0.5, 0.01, 3, 0.01)
ROWS = _number("rows", "Pictures", "그림 수", 3, 1, 10, 1)
SIDE_BY_SIDE = _number("n", "Pictures of each", "샘플러마다 그림 수", 10, 1, 20, 1)
MOST = _number("most", "Strongest guidance w", "가장 강한 유도 w", 6.0, 1, 20, 0.5)
REPEATS = _number("repeats", "Times to go back and forth", "오가는 횟수", 4, 1, 20, 1)
HELD_OUT = _number("pictures", "Held-out pictures", "시험 그림 수", 64, 8, 1000, 1)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Noise, cleaned step by step until a picture is left.",
            "ko": "잡음을 한 단계씩 걷어 내면 그림이 남습니다.",
        },
        (controls.label(), controls.count(), SAMPLER, _steps(12), GUIDANCE, controls.seed()),
        generate,
    ),
    View(
        "film",
        {"en": "Film strip", "ko": "필름"},
        {
            "en": "The same picture at falling times, and what the net guesses behind the noise: shape first, strokes last.",
            "ko": "시간을 거슬러 가는 같은 그림과, 신경망이 잡음 뒤에 있다고 짐작하는 그림입니다. 큰 모양이 먼저, 획이 나중입니다.",
        },
        (controls.label(), ROWS, SAMPLER, _steps(21), GUIDANCE, controls.seed()),
        film,
    ),
    View(
        "race",
        {"en": "Sampler race", "ko": "샘플러 경주"},
        {
            "en": "Three samplers from the same noise with equally many looks of the net. Give them 5, then 50.",
            "ko": "같은 잡음에서 신경망을 같은 횟수만 쓰는 샘플러 셋입니다. 5번, 그다음 50번을 주어 보세요.",
        },
        (controls.label(), SIDE_BY_SIDE, _steps(8), controls.seed()),
        race,
    ),
    View(
        "guidance",
        {"en": "Guidance", "ko": "유도"},
        {
            "en": "Stronger guidance: clearer classes and less variety.",
            "ko": "유도가 강할수록 클래스는 또렷해지고 다양함은 줄어듭니다.",
        },
        (MOST, _steps(12), controls.seed()),
        guided,
        when=controls.has_classes,
    ),
    View(
        "inpaint",
        {"en": "Inpaint", "ko": "이어 그리기"},
        {
            "en": "What was erased is drawn anew to fit the rest. Without a mask of yours, the lower half is erased.",
            "ko": "지운 부분을 나머지에 어울리게 다시 그립니다. 직접 지우지 않으면 아래 절반을 지웁니다.",
        },
        (
            controls.picture(),
            Control("mask", "mask", {"en": "What to keep", "ko": "남길 부분"}),
            CLASS,
            _steps(25),
            REPEATS,
            controls.seed(),
        ),
        inpaint,
    ),
    View(
        "interpolate",
        {"en": "Interpolate", "ko": "보간"},
        {
            "en": "DDIM walked backwards turns two pictures into noise; the noise between them is drawn.",
            "ko": "DDIM을 거꾸로 걸어 두 그림을 잡음으로 바꾸고, 그 사이의 잡음에서 그림을 그립니다.",
        },
        (controls.picture(), controls.picture("other"), _steps(25), controls.seed()),
        interpolate,
    ),
    View(
        "denoise",
        {"en": "Denoise", "ko": "잡음 걷기"},
        {
            "en": "One look gives the mean of all pictures that could lie behind the noise, a blur; steps choose one of them.",
            "ko": "한 번에 걷으면 잡음 뒤에 있을 법한 모든 그림의 평균이라 흐립니다. 단계를 밟으면 그중 하나를 고릅니다.",
        },
        (controls.picture(), NOISE, NOISY, CLASS, _steps(25), controls.seed()),
        clean,
    ),
    View(
        "loss",
        {"en": "Loss by time", "ko": "시각별 손실"},
        {
            "en": "How wrong the net is at each time: near the picture about the noise, near the noise about the picture.",
            "ko": "시각마다 신경망이 틀리는 정도입니다. 그림 가까이에서는 잡음을, 잡음 가까이에서는 그림을 맞히기 어렵습니다.",
        },
        (HELD_OUT, controls.seed()),
        loss_by_time,
    ),
)
