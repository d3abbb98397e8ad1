"""ViT-GAN: two transformers play the adversarial game, one drawing a picture patch by patch, one judging it.

The generator gives every patch of the picture a token, lets the tokens attend to one another, and draws each patch
from its token; the discriminator reads a picture as a row of patches, as a vision transformer does. Left alone, such a
game diverges. The parts below are what the paper adds, each of them a switch of `Config` or of the recipe.

Lee et al. (2021), ViTGAN: training GANs with vision transformers, arXiv:2107.04589 (sections named in this folder are
theirs). For the discriminator: attention by distance, whose slope is bounded; spectral norm that keeps a layer's first
norm; patches that overlap. For the generator: LayerNorm modulated by the noise, and patches as functions of the place.
For the game: DiffAugment and balanced consistency. Dosovitskiy et al. (2020), arXiv:2010.11929: the vision transformer.

config.py holds the switches, nets.py the nets, model.py the game, views.py what is shown.

Deviations: the class is told to both players (joined to z; by projection in the score). So told, generators as small as
these learn one picture of each class and ignore z, unless each token begins with a share of all that is told beside its
place (`seeded`). The default loss compares pairs, with R1 and R2 (Huang et al. 2024, arXiv:2501.05441): these small nets
learn by it in minutes what they do not by the paper's in hours. In a patch the token sets the strength of each wave besides
its phase. Attention by distance begins with smaller queries, or no token would hear of another. The generator's average
draws.
"""

from __future__ import annotations

from playground.contract import Family, Reference
from playground.families.image.vit_gan.config import Config
from playground.families.image.vit_gan.model import LOSSES, Game, Rules, ViTGAN
from playground.families.image.vit_gan.views import VIEWS

__all__ = ["FAMILY", "LOSSES", "Config", "Game", "Rules", "ViTGAN"]

FAMILY = Family(
    name="vit_gan",
    kind="image",
    title={"en": "ViT-GAN", "ko": "ViT-GAN (트랜스포머 GAN)"},
    idea={
        "en": "A GAN whose players are transformers: a picture is a row of patches that attend to one another.",
        "ko": "두 선수가 트랜스포머인 GAN입니다. 그림은 서로를 살피는 패치들의 줄이 됩니다.",
    },
    paper="Lee et al. (2021), ViTGAN: training GANs with vision transformers, arXiv:2107.04589",
    Config=Config,
    Model=ViTGAN,
    trains_on=("images", "labelled images"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Transformers ViT", "ko": "Transformers ViT"},
        library="transformers",
        cls="transformers.ViTForImageClassification",
        module="playground.references.vit_gan",
        about={
            "en": "Transformers has no GAN. The discriminator here is its ViTForImageClassification, whose output for a class is "
            "the score of a picture as that class; the generator is made of its ViTLayer blocks. Neither has the paper's parts.",
            "ko": "transformers에는 GAN이 없습니다. 판별자는 ViTForImageClassification으로, 클래스별 출력을 그 클래스로 본 그림의 점수로 "
            "씁니다. 생성자는 ViTLayer 블록으로 만들었습니다. 둘 다 논문이 더한 장치는 없습니다.",
        },
    ),
)
