"""What a ViT-GAN shows: its pictures, how they grow token by token, and where its discriminators look."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground import controls
from playground.contract import Curve, Output, Scene, Sheet, Text, View, Words
from playground.families.image.vit_gan.model import ViTGAN
from playground.families.image.vit_gan.nets import Generator, ImplicitDecoder, ViT

HISTOGRAM_SIZE = 250
"""Real and generated pictures scored for the histogram."""
BETWEEN = 9
"""Pictures from one end of an interpolation to the other."""
ZOOM = 4
"""Points drawn for every pixel along a side, where a patch is a function of the place."""
CLOSE = 10
"""The same for the whole picture."""

KINDS: dict[str, Text] = {
    "vit": {"en": "ViT discriminator", "ko": "ViT 판별자"},
    "convolutional": {"en": "convolutional discriminator", "ko": "합성곱 판별자"},
}


def generate(
    model: ViTGAN, scene: Scene, n: int, spread: float, average: bool, label: int | None = None
) -> Iterator[list[Output]]:
    y = controls.labels_for(label, n, scene.info)
    yield [
        Sheet(
            model.sample(n, y, rng=scene.rng, spread=spread, average=average),
            controls.captions(y, scene.info),
            controls.columns(label, scene.info),
        )
    ]


# --- The discriminators ---------------------------------------------------------------------------------------


def held_out(model: ViTGAN, scene: Scene, n: int, label: int | None = None) -> tuple[Tensor, Tensor]:
    """n held-out pictures (n, C, H, W), of one class if it is named, and their classes (n,) as the model is told them."""
    examples = scene.examples()
    order = torch.randperm(len(examples), generator=scene.rng)
    if label not in (None, controls.EACH_IN_TURN) and examples.labels is not None:
        order = order[examples.labels[order] == label]
    x, y = examples.batch(order[:n])
    return x, model.classes(y, len(x))


def histogram(model: ViTGAN, scene: Scene) -> Iterator[list[Output]]:
    real, y = held_out(model, scene, HISTOGRAM_SIZE)
    of_real, of_fake = model.scores(real, y), model.scores(model.sample(len(real), y, rng=scene.rng), y)
    x_label, y_label = {"en": "score D(x)", "ko": "점수 D(x)"}, {"en": "pictures", "ko": "그림 수"}
    made: list[Output] = []
    for kind in of_real:
        scores = {"real": of_real[kind], "generated": of_fake[kind]}
        together = torch.cat(list(scores.values()))
        edges = torch.linspace(float(together.min()) - 1e-3, float(together.max()) + 1e-3, 31)
        middles = ((edges[1:] + edges[:-1]) / 2).tolist()
        counts = {name: (middles, torch.histogram(s, edges).hist.tolist()) for name, s in scores.items()}
        made.append(Curve(counts, x_label, y_label, KINDS[kind], style="bars"))
        found = 100 * float((scores["real"] > scores["generated"]).float().mean())
        said = {
            "en": f"Of a real and a generated picture of the same class, the {KINDS[kind]['en']} finds the real one "
            f"{found:.0f}% of the time (50%: a perfect forger).",
            "ko": f"같은 클래스의 진짜와 생성된 그림 가운데 {KINDS[kind]['ko']}가 진짜를 찾아낸 비율: {found:.0f}% (50%이면 완벽한 위조입니다).",
        }
        made.append(Words(said))
    if len(of_real) == 2:
        clouds = {"real": of_real.values(), "generated": of_fake.values()}
        first, second = ({language: f"D(x), {t[language]}" for language in t} for t in (KINDS[k] for k in of_real))
        title = {"en": "Do the two agree?", "ko": "두 판별자의 의견이 같은가요?"}
        series = {name: (one.tolist(), other.tolist()) for name, (one, other) in clouds.items()}
        made.append(Curve(series, first, second, title, "points"))
    yield made


def rollouts(attentions: list[Tensor]) -> list[Tensor]:
    """How much of each patch has reached the class token after each block: (B, L) each.

    Abnar and Zuidema (2020), arXiv:2005.00928: half of a token passes by attention, half by the shortcut, and what
    blocks do one after another multiplies. attentions: (B, 1 + L, 1 + L) each, first block first.
    """
    found, reached = [], torch.eye(attentions[0].shape[-1]).expand_as(attentions[0])
    for attention in attentions:
        reached = (attention + torch.eye(attention.shape[-1])) / 2 @ reached
        found.append(reached[:, 0, 1:])
    return found


def slope(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """How steeply the score changes with each pixel of x (B, C, H, W) in [-1, 1]: (B, 1, H, W)."""
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x, y.clone()).sum(), x)
    return gradient.norm(dim=1, keepdim=True)


def looks(
    model: ViTGAN, scene: Scene, picture: Tensor | None, rows: int, label: int | None = None
) -> Iterator[list[Output]]:
    """label: the class that a picture of one's own is judged as, and that held-out ones are of."""
    config = model.config
    if picture is None:
        x, y = held_out(model, scene, rows, label)
    else:
        # Scores of one class cannot be compared with another's, so there is no class that a picture is taken for.
        n = scene.info.classes if label == controls.EACH_IN_TURN else 1
        x, y = picture.expand(n, -1, -1, -1), model.classes(controls.labels_for(label, n, scene.info), n)
    captions = controls.captions(y, scene.info) if config.labels else [""] * len(x)
    columns, names = [x], [{"en": "picture", "ko": "그림"}]
    for kind, critic in model.critics.items():
        columns.append(shaded(slope(critic, 2 * x - 1, y), x))
        names.append({"en": f"slope of the {KINDS[kind]['en']}", "ko": f"{KINDS[kind]['ko']}의 기울기"})
        if isinstance(critic, ViT):
            for i, reached in enumerate(rollouts(critic.attentions(2 * x - 1)), start=1):
                cells = reached.view(-1, 1, config.critic_grid, config.critic_grid)
                columns.append(shaded(F.interpolate(cells, x.shape[2:]), x))
                names.append({"en": f"rollout to block {i}", "ko": f"블록 {i}까지의 롤아웃"})
    title = {language: " · ".join(name[language] for name in names) for language in ("en", "ko")}
    beside = [""] * (len(columns) - 1)
    yield [
        Sheet(
            torch.stack(columns, dim=1).flatten(0, 1),
            [text for caption in captions for text in (caption, *beside)],
            len(columns),
            title,
        )
    ]


def shaded(weight: Tensor, x: Tensor) -> Tensor:
    """A map (B, 1, H, W) of what is looked at, brightest at 1, in as many channels as the pictures x have."""
    return (weight / weight.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)).expand_as(x)


# --- The generator --------------------------------------------------------------------------------------------


def after_each_block(generator: Generator, told: Tensor) -> Tensor:
    """What would be drawn if the tokens were read before the first block, after it, ...: (B, 1 + blocks, C, H, W)."""
    h, w = generator.entering(told)
    seen = [h]
    for block in generator.blocks:
        seen.append(h := block(h, w))
    return torch.stack([pictures(generator.decoder(generator.norm(h, w))) for h in seen], dim=1)


def token_map(model: ViTGAN, scene: Scene, rows: int, label: int | None = None) -> Iterator[list[Output]]:
    config, generator = model.config, model.average
    y = model.classes(controls.labels_for(label, rows, scene.info), rows)
    told = generator.told(model.noise(rows, scene.rng), y)
    growing = after_each_block(generator, told)
    grown = {
        "en": f"Read from the tokens before the first block and after each of {config.blocks}",
        "ko": f"첫 블록 앞의 토큰에서, 그리고 블록 {config.blocks}개를 하나씩 지날 때마다 그린 그림",
    }
    made: list[Output] = [Sheet(growing.flatten(0, 1), columns=growing.shape[1], title=grown)]
    yield made
    tokens, decoder = generator.tokens(told[:1]), generator.decoder
    side = config.grid
    alone = {"en": "The first one, token by token: what each draws", "ko": "첫 그림을 토큰마다 나누어 그린 조각"}
    if not isinstance(decoder, ImplicitDecoder):
        yield [*made, Sheet(pictures(decoder.alone(tokens)[0]), columns=side, title=alone)]
        return
    beyond = {
        "en": "A token is a function of the place: each drawn half a patch beyond its edges",
        "ko": "토큰은 위치의 함수입니다. 조각의 가장자리 밖으로 패치 절반만큼 더 그린 모습",
    }
    finer = {
        "en": f"The whole with {CLOSE} points to a pixel's side, and the pixels it was trained on",
        "ko": f"픽셀 한 변에 점 {CLOSE}개로 그린 전체와, 학습한 픽셀 크기의 그림",
    }
    whole = pictures(decoder(tokens, CLOSE))
    coarse = F.interpolate(pictures(decoder(tokens)), scale_factor=CLOSE)
    made += [
        Sheet(pictures(decoder.patches(tokens, ZOOM)[0]), columns=side, title=alone),
        Sheet(pictures(decoder.patches(tokens, ZOOM, reach=2.0)[0]), columns=side, title=beyond),
        Sheet(torch.cat([whole, coarse]), columns=2, title=finer),
    ]
    yield made


def pictures(drawn: Tensor) -> Tensor:
    """What a decoder gives, as pictures in [0, 1]."""
    return (torch.tanh(drawn) + 1) / 2


def interpolate(model: ViTGAN, scene: Scene, rows: int, label: int | None = None) -> Iterator[list[Output]]:
    """From noise to noise, and from row to row another class, unless one was asked for."""
    y = model.classes(controls.labels_for(label, rows + 1, scene.info), rows + 1)
    generator = model.average
    a, b = (generator.told(model.noise(rows, scene.rng), classes)[:, None] for classes in (y[:-1], y[1:]))
    t = torch.linspace(0, 1, BETWEEN)[:, None]
    latents, angle = model.config.latents, t * math.pi / 2
    # Noise on a quarter of a circle, on which it stays Gaussian of variance 1; the class in a straight line.
    z = angle.cos() * a[..., :latents] + angle.sin() * b[..., :latents]  # (rows, BETWEEN, latents)
    told = torch.cat([z, (1 - t) * a[..., latents:] + t * b[..., latents:]], dim=2)
    title = {"en": "From one noise and class to another", "ko": "한 잡음과 클래스에서 다른 잡음과 클래스로"}
    yield [Sheet(pictures(generator.decoder(generator.tokens(told.flatten(0, 1)))), columns=BETWEEN, title=title)]


VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Noise through the generator. Lower the spread for safer, more alike pictures.",
            "ko": "잡음을 생성자에 넣습니다. 퍼짐을 줄이면 더 무난하고 비슷한 그림이 나옵니다.",
        },
        (controls.label(), controls.count(), controls.spread(), controls.average(), controls.seed()),
        generate,
    ),
    View(
        "histogram",
        {"en": "Scores", "ko": "점수 분포"},
        {
            "en": "The discriminator's scores of real and generated pictures: the closer the two, the better the forger.",
            "ko": "진짜와 생성된 그림에 판별자가 준 점수입니다. 두 분포가 겹칠수록 위조가 뛰어난 것입니다.",
        },
        (controls.seed(),),
        histogram,
        live=True,
    ),
    View(
        "looks",
        {"en": "Where it looks", "ko": "판별자의 시선"},
        {
            "en": "Which pixels change the score, and for a ViT which patches reach its class token by attention (rollout). "
            "Two discriminators are shown side by side. Your own picture is judged as the class you choose.",
            "ko": "점수를 바꾸는 픽셀과, ViT라면 어텐션을 통해 클래스 토큰에 이르는 패치(롤아웃)입니다. 판별자가 둘이면 나란히 보여 줍니다. "
            "내 그림은 고른 클래스의 그림으로 판정합니다.",
        },
        (controls.picture(), controls.label(), controls.rows(6), controls.seed()),
        looks,
    ),
    View(
        "tokens",
        {"en": "Token map", "ko": "토큰 지도"},
        {
            "en": "One token a patch: how they turn into a picture block by block, and what each of them draws.",
            "ko": "패치마다 토큰 하나입니다. 블록을 지나며 그림이 되어 가는 과정과, 토큰마다 그린 조각을 보세요.",
        },
        (controls.label(), controls.rows(4), controls.seed()),
        token_map,
    ),
    View(
        "interpolate",
        {"en": "Interpolate", "ko": "보간"},
        {
            "en": "A walk from one noise and class to another: digits turn into digits.",
            "ko": "한 잡음과 클래스에서 다른 잡음과 클래스로 걸어갑니다. 숫자가 다른 숫자로 바뀝니다.",
        },
        (controls.label(), controls.rows(5), controls.seed()),
        interpolate,
    ),
)
