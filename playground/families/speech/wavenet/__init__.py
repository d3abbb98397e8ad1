"""WaveNet: a recording drawn sample after sample, each from a net that has heard all those before it.

A sample has 256 values (8-bit mu-law), and the net gives each its probability: convolutions that look only backwards,
each layer twice as far as the one below, so that a few layers hear thousands of samples. A gate in every layer lets
through what matters. Told a speaker and a word it says that word; told a mel spectrogram it is a vocoder.

Van den Oord et al. (2016), arXiv:1609.03499 (sections, equations and figures are theirs). Le Paine et al. (2016),
arXiv:1611.09482: the cached sampler. Shen et al. (2017), arXiv:1712.05884: WaveNet as a vocoder on mels.

Deviations: in place of linguistic features stands the place in the word, a learnt series for each class that is read from
beginning to end; how long that takes is drawn from a log-normal of the class and the speaker, which the paper leaves to
a model outside. The conditioning is linear between its points and constant for 16 samples, where the paper learns a
transposed convolution. Samples are emphasised before mu-law (`alphabet`). The first layer is an embedding whose values
begin in order of amplitude. 16 layers of 64 channels hear 64 ms of the past at 8 kHz; the paper's are wider and hear 240
to 300 ms. Read in the order config, alphabet, guides, model, samplers, compiled, views.
"""

from playground.contract import Family, Reference
from playground.families.speech.wavenet.config import Config
from playground.families.speech.wavenet.model import WaveNet
from playground.families.speech.wavenet.views import VIEWS

__all__ = ["FAMILY", "Config", "WaveNet"]

FAMILY = Family(
    name="wavenet",
    kind="speech",
    title={"en": "WaveNet", "ko": "WaveNet"},
    idea={
        "en": "Hear everything so far, guess how likely each value of the very next sample is, draw one, and go on.",
        "ko": "지금까지의 소리를 모두 듣고, 바로 다음 표본의 값마다 확률을 매겨 하나를 뽑고, 이를 되풀이합니다.",
    },
    paper="Van den Oord et al. (2016), WaveNet: a generative model for raw audio, arXiv:1609.03499",
    Config=Config,
    Model=WaveNet,
    trains_on=("labelled speech", "two speakers", "speech and text"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Transformers GPT-2 over samples", "ko": "Transformers GPT-2 (표본 단위)"},
        library="transformers",
        cls="transformers.GPT2LMHeadModel",
        module="playground.references.wavenet",
        about={
            "en": "The same 256 values as the words of a small GPT-2: attention over the last few hundred samples, after words "
            "for the speaker, the class and the place. It is given as many minutes; it draws a few hundred samples a second.",
            "ko": "같은 값 256개를 작은 GPT-2의 낱말로 씁니다. 화자, 클래스, 위치를 나타내는 낱말 뒤에 최근 표본 수백 개에 주의를 기울입니다. "
            "같은 시간 동안 학습시켰으며, 1초에 표본 수백 개를 뽑습니다.",
        },
    ),
)
