"""Principal component analysis, and the density that goes with it.

The directions in which pictures vary most are the eigenvectors of their covariance; a few of them rebuild most of a
picture. Tipping and Bishop turn this into a generative model: x = mean + W z + noise, with z and the noise Gaussian,
whose maximum-likelihood W and noise variance have a closed form in the same eigenvectors. So PCA has a likelihood,
and can be sampled from.

Pearson (1901), "On lines and planes of closest fit"; Tipping and Bishop (1999), "Probabilistic principal component
analysis", J. R. Statist. Soc. B 61(3): equation numbers below are theirs.

Deviations: with `per_class`, one such model is fitted to each class, so that a class can be asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from playground import controls
from playground.contract import (
    Control,
    Curve,
    DataInfo,
    Family,
    Output,
    Reference,
    Scene,
    Sheet,
    View,
    Words,
    fact,
    knob,
)

CHUNK, PIECE = 4096, 512
"""Products are summed in single precision over a piece, pieces over a chunk, and chunks in double precision."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    components: int = knob(64, "Principal components kept", "유지할 주성분 수", 1, 1024)
    conditional: bool = knob(False, "One model for each class", "클래스마다 모델 하나씩")

    @property
    def pixels(self) -> int:
        return self.channels * self.height * self.width

    @property
    def groups(self) -> int:
        """Number of separate models: one, or one for each class."""
        return self.classes if self.conditional and self.classes else 1

    @property
    def kept(self) -> int:
        """Components kept: at least one direction is left over for the noise."""
        return min(self.components, self.pixels - 1)


class PCA(nn.Module):
    """Shapes: G groups (1, or the number of classes), K components, D pixels. Pictures are float in [0, 1]."""

    mean: Tensor
    components: Tensor
    variance: Tensor
    noise: Tensor
    total: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        groups, kept, pixels = config.groups, config.kept, config.pixels
        self.register_buffer("mean", torch.full((groups, pixels), 0.5))  # (G, D)
        self.register_buffer("components", torch.eye(kept, pixels).repeat(groups, 1, 1))  # (G, K, D), orthonormal rows
        self.register_buffer("variance", torch.ones(groups, kept))  # (G, K), largest first
        self.register_buffer("noise", torch.ones(groups))  # (G,), sigma^2: the mean variance left out
        self.register_buffer("total", torch.full((groups,), float(pixels)))  # (G,), the sum of all variances

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The training objective: mean negative log-likelihood of pictures (B, C, H, W), in nats."""
        return -self.log_likelihood(x, y).mean()

    def fit(self, x: Tensor, group: int = 0, centred: bool = True) -> None:
        """Fit one group to pictures (N, C, H, W) in closed form, by the eigenvectors of their covariance.

        centred=False leaves the mean in the data: the classic mistake, kept to be looked at.
        Raises ValueError for fewer than two pictures.
        """
        if len(x) < 2:
            raise ValueError(f"PCA needs at least two pictures, not {len(x)}")
        data = x.flatten(1).cpu().numpy()  # (N, D)
        n, pixels, kept = *data.shape, self.config.kept
        # One pass: the pictures are moved near their mean, so that single precision loses little, and what is left of
        # the mean is taken out of the sum of products at the end.
        shift = data[:CHUNK].mean(0) if centred else np.zeros(pixels, data.dtype)
        total, scatter = np.zeros(pixels), np.zeros((pixels, pixels))
        for first in range(0, n, CHUNK):
            near = data[first : first + CHUNK] - shift
            total += np.ones(len(near), near.dtype) @ near
            pieces = (near[i : i + PIECE] for i in range(0, len(near), PIECE))
            scatter += sum(piece.T @ piece for piece in pieces)  # numpy computes only half of a matrix times itself
        if centred:
            scatter -= np.outer(total, total) / n
        covariance = scatter / (n - 1)
        eigenvalues, eigenvectors = scipy.linalg.eigh(
            covariance, subset_by_index=[pixels - kept, pixels - 1]
        )  # ascending
        variance, trace = eigenvalues[::-1].clip(min=0), np.trace(covariance)
        self.mean[group] = torch.from_numpy(shift + total / n if centred else shift)
        self.components[group] = with_fixed_signs(torch.from_numpy(eigenvectors.T[::-1].copy())).float()
        self.variance[group] = torch.from_numpy(variance.copy()).float()
        # Eq. 8: the maximum-likelihood noise is the average of the variances left out.
        self.noise[group] = max(1e-7, float(trace - variance.sum()) / (pixels - kept))
        self.total[group] = float(trace)

    def encode(self, x: Tensor, y: Tensor | None = None, whiten: bool = False) -> Tensor:
        """Pictures (B, C, H, W) to coordinates (B, K) along the components, in units of sigma with `whiten`."""
        groups, x = self._groups(y, len(x)), x.flatten(1)
        z = x.new_empty(len(x), self.config.kept)
        for group in groups.unique():
            rows = groups == group
            z[rows] = (x[rows] - self.mean[group]) @ self.components[group].T
        return z / self.variance[groups].clamp(min=1e-12).sqrt() if whiten else z

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Coordinates (B, K), or the first few of them, to pictures (B, C, H, W), not clipped."""
        groups = self._groups(y, len(z))
        x = z.new_empty(len(z), self.config.pixels)
        for group in groups.unique():
            rows = groups == group
            x[rows] = self.mean[group] + z[rows] @ self.components[group, : z.shape[1]]
        return x.unflatten(1, (self.config.channels, self.config.height, self.config.width))

    def reconstruct(self, x: Tensor, y: Tensor | None = None, k: int | None = None) -> Tensor:
        """Pictures rebuilt from their first k coordinates (all by default)."""
        return self.decode(self.encode(x, y)[:, :k], y)

    def sample(
        self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0, noisy: bool = False
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] from the density; y (n,) names their classes.

        Eq. 2: x = W z + mean + noise, with W = U (Lambda - sigma^2 I)^(1/2) (eq. 7, R = I). `spread` scales z;
        without `noisy` the picture is the mean of p(x | z), which looks better than a draw and is said so.
        """
        groups = self._groups(y, n)
        scale = (self.variance[groups] - self.noise[groups, None]).clamp(min=0).sqrt()
        z = spread * scale * torch.randn(n, self.config.kept, generator=rng)
        x = self.decode(z, y)
        if noisy:
            x = x + self.noise[groups].sqrt()[:, None, None, None] * torch.randn(x.shape, generator=rng)
        return x.clamp(0, 1)

    def log_likelihood(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x) of pictures (B, C, H, W) as densities over pixels in [0, 1], in nats: (B,).

        Eq. 3 with C = W W^T + sigma^2 I, whose inverse and determinant follow from the eigenvectors.
        """
        groups, z = self._groups(y, len(x)), self.encode(x, y)  # (B,), (B, K)
        variance, noise = self.variance[groups].clamp(min=1e-12), self.noise[groups]
        # What the components do not reach, squared; as a difference of two squares it would drown in rounding.
        residual = (x - self.decode(z, y)).flatten(1).square().sum(1)
        mahalanobis = (z.square() / variance).sum(1) + residual / noise
        left = self.config.pixels - self.config.kept
        log_det = variance.log().sum(1) + left * noise.log()
        return -0.5 * (self.config.pixels * math.log(2 * math.pi) + log_det + mahalanobis)

    def explained(self) -> Tensor:
        """Share of the total variance that each component explains, averaged over groups: (K,)."""
        return (self.variance / self.total[:, None].clamp(min=1e-12)).mean(0)

    def _groups(self, y: Tensor | None, n: int) -> Tensor:
        """(n,) the group of each example. Without classes asked for, a per-class model takes them in turn."""
        if self.config.groups == 1:
            return torch.zeros(n, dtype=torch.int64, device=self.mean.device)
        return torch.arange(n) % self.config.groups if y is None else y


def with_fixed_signs(components: Tensor) -> Tensor:
    """Components (K, D) with the sign that makes each one's largest entry positive: eigenvectors have none."""
    places = components.abs().argmax(dim=1, keepdim=True)
    return components * components.gather(1, places).sign()


# --- Views ----------------------------------------------------------------------------------------------------


def generate(
    model: PCA, scene: Scene, n: int, spread: float, noisy: bool, label: int | None = None
) -> Iterator[list[Output]]:
    y = controls.labels_for(label, n, scene.info)
    pictures = model.sample(n, y, rng=scene.rng, spread=spread, noisy=noisy)
    yield [Sheet(pictures, controls.captions(y, scene.info), controls.columns(label, scene.info))]


def eigen_pictures(model: PCA, scene: Scene, n: int, label: int | None = None) -> Iterator[list[Output]]:
    group = max(0, label or 0)
    shape = (model.config.channels, model.config.height, model.config.width)
    components = model.components[group, :n].unflatten(1, shape)  # (n, C, H, W)
    largest = components.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
    mean = model.mean[group].unflatten(0, shape)[None].clamp(0, 1)
    share = (model.variance[group] / model.total[group]).tolist()
    names = ["mean", *(f"{i + 1}: {100 * share[i]:.1f}%" for i in range(len(components)))]
    title = {"en": "Mean, then components (grey is zero)", "ko": "평균과 주성분 (회색이 0)"}
    yield [Sheet(torch.cat([mean, 0.5 + 0.5 * components / largest]), names, title=title)]


def scree(model: PCA, scene: Scene) -> Iterator[list[Output]]:
    share = model.explained()
    k = list(range(1, len(share) + 1))
    axis = {"en": "component", "ko": "주성분"}
    each = Curve({"each": (k, share.tolist())}, axis, {"en": "share of variance", "ko": "분산 비율"}, style="bars")
    total = Curve({"together": (k, share.cumsum(0).tolist())}, axis, {"en": "together", "ko": "누적 비율"})
    yield [each, total]


def reconstructions(model: PCA, scene: Scene, picture: Tensor | None, k: int) -> Iterator[list[Output]]:
    if picture is not None:
        x, y = picture[None], None
    else:
        examples = scene.examples()
        x, y = examples.batch(torch.randperm(len(examples), generator=scene.rng)[:8])
    if model.config.groups > 1 and y is None:
        y = best_class(model, x)
    k = min(k, model.config.kept)
    steps = sorted({1, 2, 4, 8, 16, 32, 64, 128, 256, k, model.config.kept})
    steps = [s for s in steps if s <= model.config.kept]
    z = model.encode(x, y)
    error = [float((model.decode(z[:, :s], y) - x).square().mean()) for s in steps]
    pairs = torch.stack([x, model.decode(z[:, :k], y).clamp(0, 1)], dim=1).flatten(0, 1)
    title = {"en": f"Original and rebuilt from {k} numbers", "ko": f"원본과 숫자 {k}개로 복원한 그림"}
    axis_x, axis_y = {"en": "components", "ko": "주성분 수"}, {"en": "squared error a pixel", "ko": "픽셀당 제곱 오차"}
    likelihood = float(model.log_likelihood(x, y).mean())
    said = {"en": f"Mean log-likelihood: {likelihood:.1f} nats", "ko": f"평균 로그 가능도: {likelihood:.1f} 나트"}
    yield [Sheet(pairs, columns=8, title=title), Curve({"error": (steps, error)}, axis_x, axis_y), Words(said)]


def best_class(model: PCA, x: Tensor) -> Tensor:
    """The class under whose model each picture is likeliest: (B,)."""
    scores = [model.log_likelihood(x, torch.full((len(x),), g)) for g in range(model.config.groups)]
    return torch.stack(scores).argmax(0)


def walk(model: PCA, scene: Scene, label: int | None = None, **sigmas: float) -> Iterator[list[Output]]:
    group = torch.tensor([max(0, label or 0)])
    values = torch.tensor([list(sigmas.values())])[:, : model.config.kept]  # (1, k) in units of sigma
    scale = model.variance[group].sqrt()
    picture = model.decode(values * scale[:, : values.shape[1]], group)
    rows = torch.zeros(values.shape[1] * 7, values.shape[1])
    for i in range(values.shape[1]):
        rows[7 * i : 7 * i + 7, i] = torch.linspace(-3, 3, 7)
    rows = rows * scale[:, : values.shape[1]]
    strip = model.decode(rows, group.expand(len(rows)))
    names = [f"{s:+d}σ" for _ in range(values.shape[1]) for s in range(-3, 4)]
    here = {"en": "Here", "ko": "현재 위치"}
    each = {"en": "Each component from -3σ to +3σ", "ko": "각 주성분을 -3σ에서 +3σ까지"}
    yield [Sheet(picture.clamp(0, 1), title=here), Sheet(strip.clamp(0, 1), names, columns=7, title=each)]


def _components(config: Config, info: DataInfo) -> tuple[float, float]:
    return 1, config.kept


def _slider(i: int) -> Control:
    text = {"en": f"Component {i} (σ)", "ko": f"주성분 {i} (σ)"}
    return Control(
        f"z{i}", "number", text, default=0.0, low=-3, high=3, step=0.1, when=lambda config, info: config.kept >= i
    )


YES_NO = (({"en": "no", "ko": "아니요"}, False), ({"en": "yes", "ko": "예"}, True))
SPREAD = Control("spread", "number", {"en": "Spread", "ko": "퍼짐"}, default=1.0, low=0, high=2, step=0.05)
NOISY = Control("noisy", "choice", {"en": "With noise", "ko": "잡음 포함"}, default=False, choices=YES_NO)
SHOWN = Control(
    "n", "number", {"en": "Components shown", "ko": "보일 주성분 수"}, default=31, low=1, bounds=_components
)
KEPT = Control("k", "number", {"en": "Components used", "ko": "사용할 주성분 수"}, default=32, bounds=_components)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Draws from the fitted Gaussian: strokes in the right places, rarely a digit.",
            "ko": "맞춘 가우스 분포에서 뽑은 그림: 획의 자리는 맞지만 숫자가 되는 일은 드뭅니다.",
        },
        (controls.label(), controls.count(), SPREAD, NOISY, controls.seed()),
        generate,
    ),
    View(
        "components",
        {"en": "Eigen-pictures", "ko": "고유 그림"},
        {
            "en": "The mean and the directions in which pictures vary most.",
            "ko": "평균과, 그림이 가장 많이 변하는 방향들입니다.",
        },
        (controls.label(), SHOWN),
        eigen_pictures,
    ),
    View(
        "scree",
        {"en": "Scree", "ko": "스크리"},
        {
            "en": "How much of the variance each component explains; look for the elbow.",
            "ko": "각 주성분이 설명하는 분산의 비율입니다. 꺾이는 곳을 찾아보세요.",
        },
        (),
        scree,
    ),
    View(
        "reconstruct",
        {"en": "Reconstruct", "ko": "복원"},
        {
            "en": "A picture rebuilt from k numbers, and how the error falls with k.",
            "ko": "숫자 k개로 복원한 그림과, k에 따라 줄어드는 오차입니다.",
        },
        (controls.picture(), KEPT, controls.seed()),
        reconstructions,
    ),
    View(
        "walk",
        {"en": "Walk", "ko": "성분 조절"},
        {
            "en": "Move along the leading components and see what each one means.",
            "ko": "앞쪽 주성분을 움직여 각 성분이 무엇을 뜻하는지 봅니다.",
        },
        (controls.label(), *(_slider(i) for i in range(1, 5))),
        walk,
    ),
)

FAMILY = Family(
    name="pca",
    kind="image",
    title={"en": "PCA", "ko": "PCA (주성분 분석)"},
    idea={
        "en": "Find the few directions in which pictures vary most; a picture is then a handful of numbers.",
        "ko": "그림이 가장 많이 변하는 몇 개의 방향을 찾으면, 그림 한 장은 숫자 몇 개가 됩니다.",
    },
    paper="Tipping and Bishop (1999), Probabilistic principal component analysis, J. R. Statist. Soc. B 61(3)",
    Config=Config,
    Model=PCA,
    trains_on=("images", "labelled images"),
    views=VIEWS,
    unit={"en": "fits", "ko": "회 맞춤"},
    reference=Reference(
        title={"en": "scikit-learn PCA", "ko": "scikit-learn PCA"},
        library="scikit-learn",
        cls="sklearn.decomposition.PCA",
        module="playground.references.pca",
        about={
            "en": "Hugging Face has no PCA, so the counterpart is scikit-learn's. It has the same components and the "
            "same likelihood; it does not sample, so its pictures are its own inverse_transform of Gaussian numbers.",
            "ko": "Hugging Face에는 PCA가 없어 scikit-learn과 견줍니다. 주성분과 가능도는 같습니다. 표본 추출 기능이 "
            "없으므로, 가우스 난수를 inverse_transform으로 되돌려 그림을 만듭니다.",
        },
    ),
)
