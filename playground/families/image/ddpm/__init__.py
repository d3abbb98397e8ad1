"""Denoising diffusion: a net learns to clean pictures of noise, and then cleans noise until pictures are left.

Noise is added to a picture in T small steps until nothing else is there. A net that sees a noisy picture and its time is
trained, by plain squared error, to say what of it is noise. Drawing walks the other way: from pure noise, a little of
what the net takes for noise is removed at a time.

Ho et al. (2020), arXiv:2006.11239 (equation numbers are theirs unless said). Nichol and Dhariwal (2021),
arXiv:2102.09672: the cosine schedule. Salimans and Ho (2022), arXiv:2202.00512: v-prediction. Ho and Salimans (2022),
arXiv:2207.12598: guidance without a classifier. Hang et al. (2023), arXiv:2303.09556: min-SNR weights. Song et al.
(2020), arXiv:2010.02502: DDIM. Lu et al. (2022), arXiv:2211.01095: DPM-Solver++. Lugmayr et al. (2022),
arXiv:2201.09865: inpainting.

Deviations: the net may fold squares of pixels into channels (pixel unshuffle), which lets two processor cores train it;
times are drawn evenly from all of (0, T], between the whole ones too; the estimate of x_0 is clipped to [-1, 1] by every
sampler; no dropout. Read in the order config, process, unet, model, samplers, views; convert holds diffusers' names of the
same net.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.image.ddpm.config import Config
from playground.families.image.ddpm.model import DDPM
from playground.families.image.ddpm.views import VIEWS

__all__ = ["DDPM", "FAMILY", "Config"]

FAMILY = Family(
    name="ddpm",
    kind="image",
    title={"en": "DDPM", "ko": "DDPM (확산 모델)"},
    idea={
        "en": "Learn to remove a little noise from a picture; then start from nothing but noise, and keep removing.",
        "ko": "그림에서 잡음을 조금 걷어 내는 법을 배우고, 잡음만 있는 데서 시작해 계속 걷어 냅니다.",
    },
    paper="Ho, Jain and Abbeel (2020), Denoising diffusion probabilistic models, arXiv:2006.11239",
    Config=Config,
    Model=DDPM,
    trains_on=("images", "labelled images"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Diffusers DDPM", "ko": "Diffusers DDPM"},
        library="diffusers",
        cls="diffusers.DDPMPipeline",
        module="playground.references.ddpm",
        about={
            "en": "UNet2DModel, the same net layer for layer, trained by the same recipe and drawn by DDPMPipeline or "
            "DDIMPipeline. These pipelines tell the net no class, so set it beside an unconditional checkpoint of ours.",
            "ko": "층마다 같은 구조의 UNet2DModel을 같은 방법으로 학습시키고 DDPMPipeline이나 DDIMPipeline으로 그립니다. "
            "이 파이프라인은 클래스를 알려 주지 않으므로, 클래스를 쓰지 않은 체크포인트와 견주어 보세요.",
        },
        hub=HubModel(
            repo="google/ddpm-cifar10-32",
            size_mb=143,
            about={
                "en": "The paper's own model of CIFAR-10, 35.7 million weights: a minute or more for a few pictures.",
                "ko": "논문의 CIFAR-10 모델로, 가중치가 3,570만 개입니다. 그림 몇 장에 1분 넘게 걸립니다.",
            },
            load="playground.references.ddpm.from_hub",
        ),
    ),
)
