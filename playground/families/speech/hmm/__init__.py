"""Hidden Markov models that speak: a word or a phone is a chain of states, each with a sound of its own.

Behind what is heard lies what is not: a chain of states that is walked through from left to right, staying in each a few
frames. Each state gives a frame its spectrum, pitch and voicing, with their movement, by a Gaussian. Nobody says which
frame belongs to which state; expectation-maximisation finds it out. To speak, the chains of what is to be said are put
together, durations are drawn, and the trajectory is computed that is likeliest when its movement counts, too.

Rabiner (1989), A tutorial on hidden Markov models and selected applications in speech recognition, Proc. IEEE 77(2).
Tokuda et al. (2000), Speech parameter generation algorithms for HMM-based speech synthesis (MLPG). Yoshimura et al.
(1998, 1999): durations as Gaussians; trees of their own for spectrum, pitch and durations. Toda and Tokuda (2007): global
variance. Odell (1995), Shinoda and Watanabe (1997), Beulen and Ney (1998): trees of contexts.

Deviations: log F0 runs on through what is unvoiced, and voicing is one more column of the Gaussian (the papers give
F0 a space of two kinds); the E-step stays that of a plain hidden Markov model, and durations are Gaussians over the frames
it expects in each state; one variance of all states floors theirs; global variance is given back by scaling, and not to
energy and voicing. Read in the order config, script, chain, trees, learning, model, views.
"""

from playground.contract import Family, Reference
from playground.families.speech.hmm.config import Config
from playground.families.speech.hmm.learning import Takes
from playground.families.speech.hmm.model import HMM
from playground.families.speech.hmm.script import Script
from playground.families.speech.hmm.views import VIEWS

__all__ = ["FAMILY", "HMM", "Config", "Script", "Takes"]

FAMILY = Family(
    name="hmm",
    kind="speech",
    title={"en": "HMM", "ko": "HMM (은닉 마르코프 모델)"},
    idea={
        "en": "Walk through a chain of hidden states, each with a sound of its own; learn the sounds without being told who "
        "was when.",
        "ko": "저마다 소리가 다른 숨은 상태의 사슬을 차례로 지나갑니다. 언제 어느 상태였는지 듣지 않고도 그 소리를 배웁니다.",
    },
    paper="Rabiner (1989), A tutorial on hidden Markov models and selected applications in speech recognition, "
    "Proc. IEEE 77(2); Tokuda et al. (2000), Speech parameter generation algorithms for HMM-based speech synthesis, ICASSP",
    Config=Config,
    Model=HMM,
    trains_on=("labelled speech", "speech and text"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Transformers FastSpeech2Conformer", "ko": "Transformers FastSpeech2Conformer"},
        library="transformers",
        cls="transformers.FastSpeech2ConformerModel",
        module="playground.references.hmm",
        about={
            "en": "A neural net that, like an HMM, is told how long each sound lasts: it learns from this HMM's alignments, and "
            "draws mel spectrograms instead of WORLD's parameters. What hmmlearn computes is checked by the tests.",
            "ko": "HMM처럼 소리마다 길이를 알려 주어야 하는 신경망으로, 이 HMM의 정렬에서 배웁니다. WORLD 매개변수 대신 멜 "
            "스펙트로그램을 그립니다. hmmlearn과 계산이 같은지는 테스트가 확인합니다.",
        },
    ),
    unit={"en": "iterations", "ko": "반복"},
)
