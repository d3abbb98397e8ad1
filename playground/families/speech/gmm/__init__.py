"""Gaussian mixtures in speech: a word as the regression of sound on time, and one voice taken for another.

A mixture of Gaussians fits any density, given enough of them, and EM finds them by two closed forms in turn. It knows no
order: frames drawn from it babble. But the joint density of two things predicts one from the other. Of a frame and its
place within a word, it says the word; of the frames of two people saying the same, it lends one the other's voice. Both
predictions are made smooth by what the Gaussians say of movement, and lively by the global variance.

Dempster, Laird and Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm", J. R. Statist. Soc. B
39(1). Toda, Black and Tokuda (2007), "Voice conversion based on maximum-likelihood estimation of spectral parameter
trajectory", IEEE Trans. Audio Speech Lang. Process. 15(8). Regression by a joint mixture: Ghahramani and Jordan (1993).

Deviations: the trajectory is the likeliest under the mean and variance of the conditional mixture in each frame, where
Toda et al. iterate over the Gaussians; accelerations join the deltas; the energy c_0 is converted too, of recordings at
equal loudness, and so is the pace of a voice that is known; global variance is restored by scaling (Silen et al. 2012)
instead of a term of the likelihood; one mixture serves both directions of a pair; and "anyone", every other voice pooled,
is a source as well, for voices that were never heard.

    config     what decides the shapes              model    words and conversions
    mixture    EM, regression, k-means, BIC         views    what the page shows
    takes      recordings as aligned frames
"""

from __future__ import annotations

from playground.contract import Family, Reference
from playground.families.speech.gmm.config import ANYONE, CEPSTRA, Config
from playground.families.speech.gmm.mixture import KINDS, Mixture
from playground.families.speech.gmm.model import GMM
from playground.families.speech.gmm.views import VIEWS

__all__ = ["ANYONE", "CEPSTRA", "FAMILY", "GMM", "KINDS", "Config", "Mixture"]

FAMILY = Family(
    name="gmm",
    kind="speech",
    title={"en": "GMM", "ko": "GMM (가우스 혼합 모델)"},
    idea={
        "en": "Describe sounds by a handful of bell curves; seen together with time they say a word, and together with "
        "another's sounds they change the voice.",
        "ko": "소리를 몇 개의 종 모양 분포로 나타냅니다. 시간과 함께 보면 단어를 말하고, 다른 사람의 소리와 함께 보면 "
        "목소리를 바꿉니다.",
    },
    paper="Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm, "
    "J. R. Statist. Soc. B 39(1); Toda, Black and Tokuda (2007), Voice conversion based on maximum-likelihood estimation "
    "of spectral parameter trajectory, IEEE TASLP 15(8)",
    Config=Config,
    Model=GMM,
    trains_on=("labelled speech",),
    views=VIEWS,
    unit={"en": "EM iterations", "ko": "회 EM 반복"},
    reference=Reference(
        title={"en": "scikit-learn GaussianMixture", "ko": "scikit-learn GaussianMixture"},
        library="scikit-learn",
        cls="sklearn.mixture.GaussianMixture",
        module="playground.references.gmm",
        about={
            "en": "Hugging Face has no Gaussian mixture, so the counterpart is scikit-learn's: its k-means, its EM, its "
            "responsibilities. Regression, smoothing and WORLD, which it does not have, are the same as ours.",
            "ko": "Hugging Face에는 가우스 혼합 모델이 없어 scikit-learn과 견줍니다. k-평균, EM, 책임도는 scikit-learn의 "
            "것입니다. scikit-learn에 없는 회귀, 평활화, WORLD는 우리와 같은 것을 씁니다.",
        },
    ),
)
