"""DALL-E: a picture is written after its text, in a language of codes, as a sentence is written word by word.

A discrete VAE learns a codebook and turns a picture into a grid of its codes. A transformer then reads the tokens of a
text and, after them, the codes of its picture, and learns to tell what comes next. Drawing is going on from a text. Of
many pictures drawn for one text, a third model, which has learnt what text and picture belong together, finds the best.

Ramesh et al. (2021), arXiv:2102.12092 (sections and equations are theirs unless said). Jang et al. (2016),
arXiv:1611.01144: Gumbel-softmax. Van den Oord et al. (2017), arXiv:1711.00937: nearest codes and their averages. Dhariwal
et al. (2020), arXiv:2005.00341: restarts. Radford et al. (2019): the transformer, GPT-2. Radford et al. (2021),
arXiv:2103.00020: CLIP. Ho and Salimans (2022), arXiv:2207.12598, and Gafni et al. (2022), arXiv:2203.13131: guidance.

Deviations: the size, by a factor of ten thousand. Attention is full, not sparse, and places are learnt one by one, not as
rows and columns, which makes the transformer GPT-2's net exactly. Codes may be nearest vectors instead of the relaxation. All
pixels share one b of the logit-Laplace distribution. A share of the pictures is shown without text, for guidance. Read in
the order config, text, vae, transformer, samplers, clip, model, views; convert holds GPT-2's names of the same net.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.image.dalle.config import Config
from playground.families.image.dalle.model import DALLE
from playground.families.image.dalle.views import VIEWS

__all__ = ["DALLE", "FAMILY", "Config"]

FAMILY = Family(
    name="dalle",
    kind="image",
    title={"en": "DALL-E", "ko": "DALL-E (글로 그리기)"},
    idea={
        "en": "Turn pictures into words of a language of their own; then go on from a text in that language.",
        "ko": "그림을 그림만의 언어로 된 낱말로 바꾸고, 글 다음에 그 언어로 이어 써 내려갑니다.",
    },
    paper="Ramesh et al. (2021), Zero-shot text-to-image generation, arXiv:2102.12092",
    Config=Config,
    Model=DALLE,
    trains_on=("captioned images", "labelled images"),
    views=VIEWS,
    reference=Reference(
        title={"en": "VQModel and GPT-2", "ko": "VQModel과 GPT-2"},
        library="diffusers",
        cls="diffusers.VQModel",
        module="playground.references.dalle",
        about={
            "en": "VQModel from diffusers, GPT2LMHeadModel and CLIPModel from transformers, trained by the same recipe. "
            "Neither library has a pipeline that draws from text token by token; a small DiffusionPipeline of this "
            "project bundles the three, and GPT-2's own generate draws.",
            "ko": "diffusers의 VQModel과 transformers의 GPT2LMHeadModel, CLIPModel을 같은 방법으로 학습시킵니다. 글에서 토큰을 "
            "하나씩 그려 가는 파이프라인은 두 라이브러리에 없어, 이 프로젝트의 작은 DiffusionPipeline이 셋을 묶고 GPT-2의 "
            "generate가 그립니다.",
        },
        hub=HubModel(
            repo="amused/amused-256",
            size_mb=3300,
            about={
                "en": "aMUSEd, 256 by 256: codes too, but masked ones, all filled in together over a dozen looks, which is "
                "another way of drawing. A minute or more for a picture.",
                "ko": "aMUSEd, 256×256. 역시 코드를 쓰지만, 가려 놓고 열두 번쯤에 걸쳐 한꺼번에 채우는 다른 방식입니다. "
                "한 장에 1분 넘게 걸립니다.",
            },
            load="playground.references.dalle.from_hub",
        ),
    ),
)
