"""Score-based model: learn which way the data lie from any noise, and noise finds its way to data.

A stochastic differential equation turns data into noise, a little at a time. Run backwards it needs one thing of the
data: the score, the gradient of log p_t(x) at every time t. A net learns it by being shown noisy data and asked for
the noise. The same score then draws (by the reverse SDE, or by an ODE with the same marginals), gives exact
likelihoods, takes a class from a classifier's gradient, and fills in or colours pictures.

Song et al. (2021), Score-based generative modeling through stochastic differential equations, arXiv:2011.13456
(equation numbers in this folder are theirs). Song and Ermon (2020), arXiv:2006.09011: how much noise is enough.
Karras et al. (2022), arXiv:2206.00364: how a net is best asked, and Heun's method.

sde.py holds the three equations, nets.py the nets, samplers.py the ways back and the likelihood, model.py the
objective, views.py what is shown.

Deviations: a small U-Net on folded pictures; what the net is asked for, which times are drawn in training and their
weights are those of Karras et al.; the classifier is trained in the same steps as the score net, on the same noisy
data; pictures are in [-1, 1], less their mean, for all three equations; pictures of one pixel stand for points in the plane.
"""

from __future__ import annotations

from playground.contract import Family, Reference
from playground.families.image.score_sde.model import Config, ScoreModel
from playground.families.image.score_sde.sde import SIGMA_MIN, VE, VP, SubVP
from playground.families.image.score_sde.views import VIEWS

__all__ = ["FAMILY", "SIGMA_MIN", "VE", "VP", "Config", "ScoreModel", "SubVP"]

FAMILY = Family(
    name="score_sde",
    kind="image",
    title={"en": "Score-based", "ko": "점수 기반 모델"},
    idea={
        "en": "Learn, for every amount of noise, which way the data lie, and let noise follow.",
        "ko": "잡음의 세기마다 데이터가 어느 쪽에 있는지 배우고, 잡음이 그 길을 따라가게 합니다.",
    },
    paper="Song et al. (2021), Score-based generative modeling through stochastic differential equations, arXiv:2011.13456",
    Config=Config,
    Model=ScoreModel,
    trains_on=("images", "labelled images", "points"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Diffusers ScoreSdeVePipeline", "ko": "Diffusers ScoreSdeVePipeline"},
        library="diffusers",
        cls="diffusers.ScoreSdeVePipeline",
        module="playground.references.score_sde",
        about={
            "en": "The VE equation on a UNet2DModel, without classes. The pipeline is made for colour pictures, so grey ones are "
            "padded to 32×32 in three channels. Its own sampler takes 2,000 evaluations; here ours draws with the same number for both.",
            "ko": "UNet2DModel에 VE 방정식을 쓰며 클래스가 없습니다. 파이프라인이 컬러 그림 전용이라 회색조는 세 채널의 32×32로 넓힙니다. "
            "자체 표본 추출은 2,000번 계산하므로, 여기서는 양쪽 모두 이 프로젝트의 추출법으로 같은 횟수만 계산합니다.",
        },
    ),
)
