"""Transformer TTS: attention alone reads a text aloud; every step of a recording is learned at once.

A text's symbols attend to each other, and so do the frames drawn so far; at each step the decoder looks up, by attention,
the place in the text that it has come to, draws the next few frames, and says whether they are the last. Nothing recurs, so
that training computes all steps of a recording in parallel. What has no recurrence has no order: sinusoids are added that
say where in the text, and where in time, each element stands, and the net learns how loud they must be.

Li, Liu, Liu, Zhao, Liu (2018), "Neural speech synthesis with Transformer network", AAAI 2019, arXiv:1809.08895 (sections
are theirs). Vaswani et al. (2017), arXiv:1706.03762: attention, positions, warm-up. Tachibana et al. (2017),
arXiv:1710.08969: guided attention.

Deviations: layers normalise what they read, not what they give (pre-norm); convolutions are normalised over channels instead
of over the batch, so that neither padding nor the batch's size counts; r frames a step, each step after the last frame of the
one before; the first heads of each layer are guided along the diagonal, and a sentence that went astray is spoken again with
them held to go on from where they are (Ping et al. 2018, arXiv:1710.07654); absolute beside squared errors; a learned vector for each speaker is added to the text and to what the decoder hears. The net is small:
3 + 4 layers of 128, where the paper has 6 + 6 of 512. Read in the order config, nets, model, samplers, views.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.speech.transformer_tts.config import Config
from playground.families.speech.transformer_tts.model import TransformerTTS
from playground.families.speech.transformer_tts.views import VIEWS

__all__ = ["FAMILY", "Config", "TransformerTTS"]

FAMILY = Family(
    name="transformer_tts",
    kind="speech",
    title={"en": "Transformer TTS", "ko": "Transformer TTS"},
    idea={
        "en": "Read a text aloud by attention alone: at every step look up the place in the text, draw the next frames, and say "
        "when it is over.",
        "ko": "어텐션만으로 글을 소리 내어 읽습니다. 걸음마다 글에서 읽을 자리를 찾아보고, 다음 프레임을 그리고, 끝났는지 판단합니다.",
    },
    paper="Li et al. (2018), Neural speech synthesis with Transformer network, AAAI 2019, arXiv:1809.08895",
    Config=Config,
    Model=TransformerTTS,
    trains_on=("speech and text",),
    views=VIEWS,
    reference=Reference(
        title={"en": "Transformers SpeechT5", "ko": "Transformers SpeechT5"},
        library="transformers",
        cls="transformers.SpeechT5ForTextToSpeech",
        module="playground.references.transformer_tts",
        about={
            "en": "The same idea with relative positions, trained by the same recipe on the same recordings, and spoken through "
            "the library's text-to-speech pipeline.",
            "ko": "상대 위치를 쓰는 같은 생각의 모델입니다. 같은 녹음으로 같은 방법에 따라 학습했으며, 라이브러리의 text-to-speech 파이프라인으로 말합니다.",
        },
        hub=HubModel(
            repo="facebook/mms-tts-eng",
            size_mb=145,
            about={
                "en": "VITS, 36 million weights, trained by Meta on many hours of English: another kind of model, which draws the "
                "waveform itself. It reads English only; CC BY-NC 4.0.",
                "ko": "Meta가 영어 녹음으로 오래 학습한 VITS로, 가중치가 3,600만 개입니다. 파형을 직접 그리는 다른 종류의 모델이며 영어만 "
                "읽습니다. CC BY-NC 4.0입니다.",
            },
            load="playground.references.transformer_tts.from_hub",
        ),
    ),
)
