"""MelGAN: a mel spectrogram becomes sound in one go, by a net that learnt to be taken for a recording.

A mel says how loud each band is every 16 ms, not where the waves stand in it. A generator of convolutions lengthens the
frames stage by stage until there is a value for each sample. Discriminators hear what it makes and real recordings, at
full rate, half and a quarter, and score window after window; the generator is to please them, and to look to each of their
layers as the recording does. Nothing is drawn, and all samples are made at once: many times faster than real time.

Kumar et al. (2019), arXiv:1910.06711 (sections and equations are theirs). Yamamoto et al. (2019), arXiv:1910.11480: the
distance of spectra. Kong et al. (2020), arXiv:2010.05646: that of mels.

Deviations: mels are those of this house (16 kHz; at 8 kHz the second stage lengthens by 4). Before the game the generator
warms up on spectra at several resolutions and on mels, and keeps a share of that loss in it: minutes do what takes the
paper days. Mels are heard less their middle, and first weights are torch's, wider than the published: both learn faster.
The default generator is three eighths as wide, and the discriminators' channels end at 128. A slow average of the
generator speaks. Read in the order config, nets, losses, model, convert, views.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.speech.melgan.config import OFFICIAL, QUIET, Config
from playground.families.speech.melgan.model import DiscriminatorTurn, GeneratorTurn, MelGAN, Vocoder, WarmUp
from playground.families.speech.melgan.views import VIEWS

__all__ = [
    "FAMILY",
    "OFFICIAL",
    "QUIET",
    "Config",
    "DiscriminatorTurn",
    "GeneratorTurn",
    "MelGAN",
    "Vocoder",
    "WarmUp",
]

FAMILY = Family(
    name="melgan",
    kind="speech",
    title={"en": "MelGAN", "ko": "MelGAN"},
    idea={
        "en": "Turn a spectrogram into sound at once, taught by critics that hear whether it is a recording.",
        "ko": "스펙트로그램을 한 번에 소리로 바꿉니다. 진짜 녹음인지 듣고 가려내는 판별자들이 가르칩니다.",
    },
    paper="Kumar et al. (2019), MelGAN: generative adversarial networks for conditional waveform synthesis, arXiv:1910.06711",
    Config=Config,
    Model=MelGAN,
    trains_on=("labelled speech", "two speakers", "speech and text"),
    views=VIEWS,
    reference=Reference(
        title={"en": "SpeechT5HifiGan", "ko": "SpeechT5HifiGan"},
        library="transformers",
        cls="transformers.SpeechT5HifiGan",
        module="playground.references.melgan",
        about={
            "en": "HiFi-GAN, MelGAN's successor, as transformers has it, at as many parameters. It learns from the same mels by the "
            "same losses and from discriminators of the same shape.",
            "ko": "MelGAN의 후속인 HiFi-GAN의 transformers 구현을 같은 매개변수 수로 씁니다. 같은 멜과 같은 손실, 같은 모양의 "
            "판별자로 학습합니다.",
        },
        hub=HubModel(
            repo="microsoft/speecht5_hifigan",
            size_mb=51,
            about={
                "en": "The vocoder of SpeechT5, trained on many hours of several hundred speakers; its mels are those of this house.",
                "ko": "SpeechT5의 보코더입니다. 화자 수백 명의 긴 녹음으로 학습했고, 멜은 여기서 쓰는 것과 같습니다.",
            },
            load="playground.references.melgan.from_hub",
        ),
        vocodes=True,
    ),
)
