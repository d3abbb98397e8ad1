"""What a score model shows: pictures and particles on their way from noise, the field that moves them, its uses."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from playground import controls
from playground.contract import Control, DataInfo, Field, HeatMap, Output, Scene, Sheet, Text, View, Words
from playground.families.image.score_sde.model import EVALUATIONS, SIGMA_DATA, Config, ScoreModel
from playground.families.image.score_sde.samplers import Steps
from playground.families.image.score_sde.sde import Score

POINTS_SHOWN = 400
"""Points of each cloud that are drawn, where the data are points."""
PARTICLES = 250
"""Points that are watched on their way, where arrows are drawn too."""
MOMENTS = 16
"""States shown of particles on their way."""
EDGE = 1.75
"""Points lie within [-1, 1]; the plane is drawn further, since noise comes from outside."""
ARROWS = 13
"""Arrows a side."""
PARTIAL = 12
"""Partial results of pictures on their way."""
LEARNING = (8, 60)
"""Looks at a drawing being learnt, and steps before each."""
COMPLETIONS = 4
"""Ways in which a picture is completed or coloured."""
NO_CLASS = -2
"""Value of the class control that asks for no class."""

AXIS_X, AXIS_Y = {"en": "x", "ko": "x"}, {"en": "y", "ko": "y"}
NAMES: dict[str, Text] = {
    "heun": {"en": "ODE, Heun", "ko": "ODE, 호인법"},
    "predictor-corrector": {"en": "predictor-corrector", "ko": "예측자-교정자"},
    "euler-maruyama": {"en": "SDE, Euler-Maruyama", "ko": "SDE, 오일러-마루야마"},
    "rk45": {"en": "ODE, RK45 (as many as it needs)", "ko": "ODE, RK45 (필요한 만큼 계산)"},
}


# --- On the way from noise ------------------------------------------------------------------------------------


def generate(
    model: ScoreModel,
    scene: Scene,
    sampler: str,
    evaluations: int,
    n: int = POINTS_SHOWN,
    label: int | None = None,
    guidance: float = 0.0,
) -> Iterator[list[Output]]:
    y = controls.labels_for(label, n, scene.info)
    steps = model.draw(n, y, rng=scene.rng, sampler=sampler, evaluations=evaluations, guidance=guidance)
    if model.config.points:
        real = scene.examples().batch(torch.arange(POINTS_SHOWN))[0]
        moved = torch.stack([x.flatten(1) for _, x in _some(list(steps))])
        yield [Field(*_no_arrows(), {"real": real, "generated": moved}, AXIS_X, AXIS_Y, edge=EDGE)]
        return
    captions = controls.captions(y if guidance else None, scene.info)
    for pictures in _on_the_way(model, steps, evaluations):
        yield [Sheet(pictures, captions, controls.columns(label, scene.info))]


def _on_the_way(model: ScoreModel, steps: Steps, evaluations: int) -> Iterator[Tensor]:
    """Pictures to show while a sampler is at work, about PARTIAL times, and at its end."""
    apart = max(1, evaluations // PARTIAL)
    for i, (t, x) in enumerate(steps):
        if t == 0:
            yield model.outwards(x)
        elif i % apart == 0:
            yield visible(model, x, t)


def visible(model: ScoreModel, x: Tensor, t: float) -> Tensor:
    """Noisy x (B, C, H, W) as pictures in [0, 1], with as much contrast as clean ones have."""
    return model.outwards(SIGMA_DATA * model.scaled(x, torch.full((len(x),), t))[0])


def _some(steps: list[Any]) -> list[Any]:
    """MOMENTS of the steps, evenly chosen, the first and the last among them."""
    return [steps[round(i)] for i in torch.linspace(0, len(steps) - 1, min(MOMENTS, len(steps))).tolist()]


def _no_arrows() -> tuple[Tensor, Tensor]:
    return torch.zeros(0, 2), torch.zeros(0, 2)


# --- Points in the plane --------------------------------------------------------------------------------------


def field(
    model: ScoreModel,
    scene: Scene,
    sampler: str,
    evaluations: int,
    until: float,
    label: int | None = None,
    guidance: float = 0.0,
) -> Iterator[list[Output]]:
    y = controls.labels_for(label, PARTICLES, scene.info)
    steps = model.draw(PARTICLES, y, rng=scene.rng, sampler=sampler, evaluations=evaluations, guidance=guidance)
    seen = _some([(t, x) for t, x in steps if t >= until])
    one = None if label is None or label < 0 else torch.full((ARROWS**2,), label)
    real = scene.examples().batch(torch.arange(POINTS_SHOWN))[0]
    yield [moving(model, model.guided(one, guidance), seen, data=real)]


def moving(model: ScoreModel, score: Score, seen: Sequence[tuple[float, Tensor]], **clouds: Tensor) -> Field:
    """Particles at several times, and the score at each of those times."""
    places = grid(ARROWS, EDGE - EDGE / ARROWS)
    vectors = torch.stack([arrows(model, score, places, t) for t, _ in seen])
    points = {**clouds, "particles": torch.stack([x.flatten(1) for _, x in seen])}
    return Field(places, vectors, points, AXIS_X, AXIS_Y, edge=EDGE)


def arrows(model: ScoreModel, score: Score, places: Tensor, t: float) -> Tensor:
    """The score at places (N, 2), in units of the noise at t: how many standard deviations away the data lie.

    Lengths run into 1, so that near and far can be seen in one picture.
    """
    times = torch.full((len(places),), max(t, model.sde.t_min))
    pull = model.sde.std(times)[:, None] * score(places[:, :, None, None], times).flatten(1)
    return pull / (1 + pull.norm(dim=1, keepdim=True))


def grid(side: int, edge: float) -> Tensor:
    """(side * side, 2) places in rows from below, x fastest."""
    line = torch.linspace(-edge, edge, side)
    return torch.cartesian_prod(line, line).flip(1)


def heart(n: int = 200) -> Tensor:
    """What is learnt where nobody has drawn anything: (n, 2)."""
    a = torch.linspace(0, 2 * math.pi, n)
    y = 13 * a.cos() - 5 * (2 * a).cos() - 2 * (3 * a).cos() - (4 * a).cos()
    return torch.stack([16 * a.sin() ** 3, y + 2], dim=1) / 20


def own_drawing(model: ScoreModel, scene: Scene, drawing: Tensor | None) -> Iterator[list[Output]]:
    points = heart() if drawing is None or len(drawing) == 0 else drawing
    looks, steps = LEARNING
    start = scene.rng.get_state()
    learner = Learner(model, points, looks * steps, scene.rng)
    for look in range(looks + 1):
        if look:
            learner.learn(steps)
        *_, (_, x) = learner.model.draw(PARTICLES, rng=_again(start), evaluations=20)
        said = {"en": f"After {look * steps} steps", "ko": f"{look * steps}스텝 뒤"}
        clouds = {"drawn": points, "particles": x.flatten(1)}
        places = grid(ARROWS, EDGE - EDGE / ARROWS)
        vectors = arrows(learner.model, learner.model.score, places, 0.4)
        yield [Field(places, vectors, clouds, AXIS_X, AXIS_Y, said, EDGE)]
    way = _some(list(learner.model.draw(PARTICLES, rng=_again(start), evaluations=50)))
    yield [moving(learner.model, learner.model.score, way, drawn=points)]


def _again(state: Tensor) -> torch.Generator:
    """A generator that starts from the state of another, so that the same noise is drawn."""
    rng = torch.Generator()
    rng.set_state(state)
    return rng


class Learner:
    """Trains a copy of a model on other points, by the same objective, a few steps at a time."""

    def __init__(self, model: ScoreModel, points: Tensor, steps: int, rng: torch.Generator, batch: int = 256):
        with torch.inference_mode(False):
            self.model = copy.deepcopy(model).requires_grad_(True)
            self.points, self.rng, self.batch = points.clone(), rng, batch
            self.optimizer = torch.optim.Adam(self.model.net.parameters(), 3e-3, betas=(0.9, 0.99))
            self.slower = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps, 1e-4)

    def learn(self, steps: int) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            for _ in range(steps):
                x = self.points[torch.randint(len(self.points), (self.batch,), generator=self.rng)]
                u = (torch.arange(self.batch) + torch.rand(self.batch, generator=self.rng)) / self.batch
                loss, _ = self.model(x, None, u, torch.randn(self.batch, 2, 1, 1, generator=self.rng))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.slower.step()


# --- The noise levels, the samplers, the likelihood -----------------------------------------------------------


def ladder(model: ScoreModel, scene: Scene, picture: Tensor | None) -> Iterator[list[Output]]:
    x, sde = model.inwards(_pictures(scene, picture, 3)), model.sde
    rungs = 9
    low, high = (float(sde.sigma(torch.tensor(t))) for t in (sde.t_min, 1.0))
    sigmas = torch.logspace(math.log10(max(low, 0.02)), math.log10(high), rungs)
    times = sde.time(sigmas).clamp(sde.t_min, 1.0)
    rows = []
    for one in x:
        same, z = one.expand(rungs, *one.shape), torch.randn(1, *one.shape, generator=scene.rng)
        mean, std = sde.marginal(same, times)
        noisy = mean + std.view(-1, 1, 1, 1) * z
        rows.append(model.outwards(SIGMA_DATA * model.scaled(noisy, times)[0]))
        rows.append(model.outwards(sde.denoised(noisy, times, model.score(noisy, times))))
    names = [f"σ {float(s):.2g}" for s in sigmas]
    title = {
        "en": "Above: ever more noise; below: the mean of all pictures it may have been",
        "ko": "위: 점점 커지는 잡음. 아래: 원래 그림일 수 있는 모든 그림의 평균",
    }
    yield [Sheet(torch.cat(rows[:2]), names, rungs, title), *(Sheet(torch.cat(rows[2:]), (), rungs),) * (len(x) > 1)]


def race(
    model: ScoreModel, scene: Scene, evaluations: int, label: int | None = None, guidance: float = 0.0
) -> Iterator[list[Output]]:
    n = POINTS_SHOWN if model.config.points else 10
    y, start = controls.labels_for(label, n, scene.info), scene.rng.get_state()
    outputs: list[Output] = []
    for sampler in ("heun", "predictor-corrector", "euler-maruyama"):
        x = model.sample(n, y, rng=_again(start), sampler=sampler, evaluations=evaluations, guidance=guidance)
        if model.config.points:
            outputs.append(Field(*_no_arrows(), {"generated": x.flatten(1)}, AXIS_X, AXIS_Y, NAMES[sampler], EDGE))
        else:
            outputs.append(Sheet(x, columns=n, title=NAMES[sampler]))
        yield list(outputs)


def likelihood(model: ScoreModel, scene: Scene, picture: Tensor | None) -> Iterator[list[Output]]:
    x = _pictures(scene, picture, 10)
    if picture is not None:
        x = torch.cat([x, _pictures(scene, None, 9)])
    bits = torch.zeros(len(x))
    for t, so_far in model.bits_per_dim(x, rng=scene.rng):
        yield [Words({"en": f"Solving the ODE: t = {t:.2f} of 1", "ko": f"ODE를 푸는 중: t = {t:.2f} / 1"})]
        bits = so_far
    order = bits.argsort()
    said = {
        "en": f"{float(bits.mean()):.2f} bits/dim on average over these. A picture stored as it is takes 8.",
        "ko": f"이 그림들은 평균 {float(bits.mean()):.2f} 비트/차원입니다. 그대로 저장하면 8비트입니다.",
    }
    if picture is not None:
        mine = {"en": f" Your picture: {float(bits[0]):.2f}.", "ko": f" 올린 그림: {float(bits[0]):.2f}."}
        said = {language: said[language] + mine[language] for language in said}
    title = {"en": "From the most likely, bits a pixel", "ko": "가능도가 높은 것부터, 픽셀당 비트"}
    yield [Sheet(x[order], [f"{float(b):.2f}" for b in bits[order]], title=title), Words(said)]


def density(model: ScoreModel, scene: Scene) -> Iterator[list[Output]]:
    side, edge = 48, 1.25
    real = scene.examples().batch(torch.arange(POINTS_SHOWN))[0]
    x = model.inwards(torch.cat([grid(side, edge - edge / side), real]))
    *_, (_, log_p) = model.log_prob(x, rng=scene.rng, tolerance=1e-3)
    mean = float(log_p[side**2 :].mean())
    said = {
        "en": f"Held-out points: {mean:.2f} nats on average, {-mean / (2 * math.log(2)):.2f} bits/dim.",
        "ko": f"시험 점의 평균 로그 가능도: {mean:.2f}나트, {-mean / (2 * math.log(2)):.2f} 비트/차원.",
    }
    title = {"en": "p(x), by the change of variables", "ko": "변수 변환으로 구한 p(x)"}
    values = log_p[: side**2].clamp(max=20).exp().float().view(side, side)
    yield [HeatMap(values, AXIS_X, AXIS_Y, title, "bottom", (-edge, edge), (-edge, edge)), Words(said)]


# --- Inverse problems -----------------------------------------------------------------------------------------


def inpaint(
    model: ScoreModel,
    scene: Scene,
    picture: Tensor | None,
    mask: Tensor | None,
    evaluations: int,
    toward: int = NO_CLASS,
    guidance: float = 0.0,
) -> Iterator[list[Output]]:
    x = _pictures(scene, picture, 4)
    height, width = x.shape[2:]
    kept = (torch.arange(height) < height // 2)[:, None].expand(height, width) if mask is None else mask
    said = {
        "en": "The original, what is known of it, and completions",
        "ko": "원본, 알려진 부분, 여러 가지 완성",
    }
    y = None if toward == NO_CLASS else torch.full((COMPLETIONS * len(x),), toward)
    holes = torch.where(kept, x, 0.5)
    steps = model.complete(
        x.repeat_interleave(COMPLETIONS, 0), kept, y, rng=scene.rng, evaluations=evaluations, guidance=guidance
    )
    for pictures in _on_the_way(model, steps, evaluations // 2):
        rows = torch.cat([x[:, None], holes[:, None], pictures.unflatten(0, (len(x), COMPLETIONS))], dim=1)
        yield [Sheet(rows.flatten(0, 1), columns=COMPLETIONS + 2, title=said)]


def colourise(model: ScoreModel, scene: Scene, picture: Tensor | None, evaluations: int) -> Iterator[list[Output]]:
    x = _pictures(scene, picture, 4)
    grey = x.mean(1, keepdim=True).expand_as(x)
    known = torch.tensor([True, False, False])[:, None, None]
    steps = model.complete(
        grey.repeat_interleave(COMPLETIONS, 0), known, rng=scene.rng, evaluations=evaluations, turn=grey_and_colour()
    )
    said = {"en": "The original, its grey, and colourings", "ko": "원본, 회색조, 여러 가지 채색"}
    for pictures in _on_the_way(model, steps, evaluations // 2):
        rows = torch.cat([x[:, None], grey[:, None], pictures.unflatten(0, (len(x), COMPLETIONS))], dim=1)
        yield [Sheet(rows.flatten(0, 1), columns=COMPLETIONS + 2, title=said)]


def grey_and_colour() -> Tensor:
    """An orthogonal matrix (3, 3) whose first row is grey: colour is what is left (appendix I.3)."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
    return rows / rows.norm(dim=1, keepdim=True)


def _pictures(scene: Scene, picture: Tensor | None, n: int) -> Tensor:
    """The visitor's picture alone, or n held-out ones: (B, C, H, W) in [0, 1]."""
    if picture is not None:
        return picture[None]
    examples = scene.examples()
    return examples.batch(torch.randperm(len(examples), generator=scene.rng)[:n])[0]


# --- The list -------------------------------------------------------------------------------------------------


def _draws_pictures(config: Config, info: DataInfo) -> bool:
    return not config.points


def _draws_points(config: Config, info: DataInfo) -> bool:
    return config.points


def _draws_colours(config: Config, info: DataInfo) -> bool:
    return not config.points and config.channels == 3


def _classes(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    return [
        ({"en": "no class", "ko": "클래스 없음"}, NO_CLASS),
        *(({"en": name, "ko": name}, index) for index, name in enumerate(info.class_names)),
    ]


PICTURES = Control(
    "n", "number", {"en": "Pictures", "ko": "그림 수"}, 20, low=1, high=100, step=1, when=_draws_pictures
)
SAMPLER = Control(
    "sampler",
    "choice",
    {"en": "Sampler", "ko": "표본 추출법"},
    "heun",
    choices=tuple((text, name) for name, text in NAMES.items()),
)
TOWARD = Control(
    "toward", "choice", {"en": "Guided to", "ko": "이끌 클래스"}, NO_CLASS, choices=_classes, when=controls.has_classes
)
GUIDANCE_TEXT: Text = {"en": "Guidance (1: by Bayes' rule, 0: none)", "ko": "유도 세기 (1: 베이즈 정리대로, 0: 없음)"}
# The gradient of a classifier that has seen few pictures is too weak between the classes: more than 1 makes up for it.
GUIDANCE = Control(
    "guidance",
    "number",
    GUIDANCE_TEXT,
    default=5.0,
    low=0,
    high=20,
    step=0.5,
    when=lambda config, info: not config.points and controls.has_classes(config, info),
)
GUIDANCE_OF_POINTS = Control(
    "guidance",
    "number",
    GUIDANCE_TEXT,
    default=1.0,
    low=0,
    high=5,
    step=0.1,
    when=lambda config, info: config.points and controls.has_classes(config, info),
)
UNTIL = Control("until", "number", {"en": "Stop at time t", "ko": "멈출 시각 t"}, default=0.0, low=0, high=1, step=0.05)
DRAWING = Control("drawing", "drawing", {"en": "Your drawing", "ko": "내가 그린 점"})
MASK = Control("mask", "mask", {"en": "Part to keep", "ko": "남길 부분"})


def budget(default: int) -> Control:
    text: Text = {"en": "Evaluations of the net", "ko": "신경망 계산 횟수"}
    return Control("evaluations", "number", text, default=default, low=4, high=400, step=1)


VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "From noise, along the score. The classifier's gradient guides to a class; more guidance, less variety.",
            "ko": "잡음에서 점수를 따라갑니다. 분류기의 기울기가 클래스로 이끌며, 세게 이끌수록 다양성이 줍니다.",
        },
        (controls.label(), GUIDANCE, GUIDANCE_OF_POINTS, SAMPLER, budget(EVALUATIONS), PICTURES, controls.seed()),
        generate,
    ),
    View(
        "field",
        {"en": "Score field", "ko": "점수 장"},
        {
            "en": "Arrows point to where the data are denser. Early the field sees one cloud, late every bend of it.",
            "ko": "화살표는 데이터가 촘촘한 쪽을 가리킵니다. 처음에는 한 덩어리로 보이다가 점차 굽이까지 드러납니다.",
        },
        (controls.label(), GUIDANCE_OF_POINTS, SAMPLER, budget(50), UNTIL, controls.seed()),
        field,
        when=_draws_points,
        live=True,
    ),
    View(
        "own",
        {"en": "Your drawing", "ko": "내 그림 배우기"},
        {
            "en": "Draw some points: a copy of the net learns them in seconds, and its particles gather there.",
            "ko": "점을 그려 보세요. 신경망의 사본이 몇 초 만에 배우고, 입자가 그리로 모입니다.",
        },
        (DRAWING, controls.seed()),
        own_drawing,
        when=_draws_points,
    ),
    View(
        "ladder",
        {"en": "Noise ladder", "ko": "잡음 사다리"},
        {
            "en": "A picture at growing noise, and what the net takes it for: first the details go, then the thing itself.",
            "ko": "점점 커지는 잡음 속의 그림과 신경망의 추정입니다. 먼저 세부가, 다음에 형태가 사라집니다.",
        },
        (controls.picture(), controls.seed()),
        ladder,
        when=_draws_pictures,
    ),
    View(
        "race",
        {"en": "Sampler race", "ko": "표본 추출법 비교"},
        {
            "en": "The same noise, the same number of evaluations. Lower the number and see which sampler breaks first.",
            "ko": "같은 잡음에서 같은 횟수만 계산합니다. 횟수를 줄이며 어느 쪽이 먼저 무너지는지 보세요.",
        },
        (controls.label(), GUIDANCE, GUIDANCE_OF_POINTS, budget(30), controls.seed()),
        race,
    ),
    View(
        "likelihood",
        {"en": "Likelihood", "ko": "가능도"},
        {
            "en": "The ODE gives every picture its exact likelihood: simple pictures are likely, busy ones are not.",
            "ko": "ODE로 그림마다 정확한 가능도를 구합니다. 단순한 그림은 가능도가 높고 복잡한 그림은 낮습니다.",
        },
        (controls.picture(), controls.seed()),
        likelihood,
        when=_draws_pictures,
    ),
    View(
        "density",
        {"en": "Density", "ko": "밀도"},
        {
            "en": "The likelihood of every place in the plane, by the same ODE that draws.",
            "ko": "표본을 그리는 바로 그 ODE로 구한, 평면 위 모든 위치의 가능도입니다.",
        },
        (),
        density,
        when=_draws_points,
    ),
    View(
        "inpaint",
        {"en": "Inpaint", "ko": "빈 곳 채우기"},
        {
            "en": "What is known is put back after every step; the rest is drawn to fit. No training was done for this.",
            "ko": "단계마다 알려진 부분을 되돌려 놓으면 나머지가 그에 맞게 그려집니다. 따로 학습하지 않았습니다.",
        },
        (controls.picture(), MASK, TOWARD, GUIDANCE, budget(60), controls.seed()),
        inpaint,
        when=_draws_pictures,
    ),
    View(
        "colourise",
        {"en": "Colourise", "ko": "채색"},
        {
            "en": "The grey of a picture is kept, its colour drawn anew: many colourings fit.",
            "ko": "그림의 회색조는 그대로 두고 색만 새로 그립니다. 어울리는 채색은 여럿입니다.",
        },
        (controls.picture(), budget(60), controls.seed()),
        colourise,
        when=_draws_colours,
    ),
)
