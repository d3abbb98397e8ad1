"""VQ-VAE: speech as a row of symbols that nobody chose, kept where the sound of words is and not who says them.

An encoder turns every 32 ms of a recording into a vector, and the vector into the nearest one of a codebook: that number
is all that is kept. A decoder, which is told who speaks, turns the row of codes back into sound. What the speaker can
supply need not be coded, so the codes come to stand for sounds of speech; told another speaker, the decoder says the
same in another voice. A prior learns what code follows which, and can then write rows of its own.

Van den Oord et al. (2017), arXiv:1711.00937 (equations and sections are theirs unless said). Dhariwal et al. (2020),
arXiv:2005.00341: restarts of codes that nothing chooses. Van den Oord et al. (2016), arXiv:1609.03499: the gated prior.

Deviations: encoder and decoder work on log-mel frames, not on samples, and the decoder gives all frames at once, with a
Gaussian for each, where the paper's is a WaveNet over samples: what it gives is made audible by Griffin-Lim or any
vocoder. That costs a thousandth, and fits two processor cores. The codes are 31 a second and 250 bits, against the paper's
64-fold reduction of the samples' number. How loud a recording was is not kept. The prior is told the word. Read in the order config,
nets, prior, model, views; the codebook itself is `playground/quantising.py`.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.speech.vq_vae.config import Config
from playground.families.speech.vq_vae.model import VQVAE
from playground.families.speech.vq_vae.views import VIEWS

__all__ = ["FAMILY", "VQVAE", "Config"]

FAMILY = Family(
    name="vq_vae",
    kind="speech",
    title={"en": "VQ-VAE", "ko": "VQ-VAE (벡터 양자화)"},
    idea={
        "en": "Squeeze speech into a short row of numbers from one codebook; then write new rows and say them.",
        "ko": "음성을 코드북의 번호 몇 개로 줄이고, 새로운 번호 줄을 써서 다시 소리로 냅니다.",
    },
    paper="van den Oord et al. (2017), Neural discrete representation learning, arXiv:1711.00937",
    Config=Config,
    Model=VQVAE,
    trains_on=("labelled speech", "two speakers"),
    views=VIEWS,
    reference=Reference(
        title={"en": "DacModel", "ko": "DacModel"},
        library="transformers",
        cls="transformers.DacModel",
        module="playground.references.vq_vae",
        about={
            "en": "DacModel from transformers with one codebook, on samples, at the same bit rate: its own commitment and codebook "
            "losses with a reconstruction loss of this project, for it brings none. It is told no speaker. It has no prior: "
            "its codes are written by the same one as ours.",
            "ko": "transformers의 DacModel을 코드북 하나로, 표본을 직접 다루도록 같은 비트율로 학습시킵니다. 손실은 "
            "DacModel의 것에 이 프로젝트의 복원 손실을 더합니다(원래는 없습니다). 말하는 사람은 알려 주지 않습니다. 사전 분포가 없어 "
            "우리 것과 같은 신경망이 코드를 씁니다.",
        },
        hub=HubModel(
            repo="descript/dac_16khz",
            size_mb=300,
            about={
                "en": "The Descript audio codec for 16 kHz: twelve codebooks and 6 kbit/s, trained on many thousand "
                "hours. It has nothing to say of its own: it gives a recording back from its codes.",
                "ko": "16 kHz용 Descript 오디오 코덱. 코드북 12개에 6 kbit/s이며 수천 시간의 소리로 학습했습니다. 스스로 말하지는 "
                "못하고, 녹음을 코드에서 되살립니다.",
            },
            load="playground.references.vq_vae.from_hub",
        ),
    ),
)
