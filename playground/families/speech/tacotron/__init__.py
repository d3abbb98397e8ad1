"""Tacotron: a text becomes speech by one net that learns from recordings with their texts, and nothing else.

An encoder reads the symbols of a sentence. A decoder says a few frames of a mel spectrogram at a step, fed with the last
frame it said; at each step attention decides which symbols to look at. Nobody tells it which symbol sounds when: that the
attention comes to run along the text, from its beginning to its end, is what has to be learned first, and what fails when
Tacotron fails. A stop token ends the sentence, a postnet refines its frames, a vocoder makes them audible.

Shen et al. (2018), arXiv:1712.05884, "Tacotron 2" (sections are theirs unless said). Wang et al. (2017), arXiv:1703.10135,
for the CBHG encoder and for several frames a step. Chorowski et al. (2015), arXiv:1506.07503, for attention that knows where
it has been. Tachibana et al. (2018), arXiv:1710.08969, for the guided attention.

Deviations: a twentieth of the paper's weights, and several frames a step as in 2017, so that it learns in minutes; it reads
phones unless it is asked for letters; absolute beside squared errors; a fifth of the paper's dropout, and none where the
postnet's frames leave (with the paper's it needs three times the steps); dropout after the LSTMs instead of zoneout in them; speakers told apart by a vector added to the encoded text; a guide for attention. The second LSTM of the decoder,
which steers no attention, is run over all steps at once in training. Mels are sounded by Griffin-Lim or any vocoder of the
house instead of the paper's WaveNet. Read in the order config, nets, model, views.
"""

from playground.contract import Family, HubModel, Reference
from playground.families.speech.tacotron.config import Config
from playground.families.speech.tacotron.model import Tacotron
from playground.families.speech.tacotron.views import VIEWS

__all__ = ["FAMILY", "Config", "Tacotron"]

FAMILY = Family(
    name="tacotron",
    kind="speech",
    title={"en": "Tacotron", "ko": "Tacotron"},
    idea={
        "en": "Read a text aloud: attention learns to run along the letters while the spectrogram is drawn.",
        "ko": "글을 소리 내어 읽습니다. 스펙트로그램을 그리는 동안 어텐션이 글자를 따라가는 법을 배웁니다.",
    },
    paper="Shen et al. (2018), Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions, arXiv:1712.05884",
    Config=Config,
    Model=Tacotron,
    trains_on=("speech and text",),
    views=VIEWS,
    reference=Reference(
        title={"en": "SpeechT5", "ko": "SpeechT5"},
        library="transformers",
        cls="transformers.SpeechT5ForTextToSpeech",
        module="playground.references.tacotron",
        about={
            "en": "SpeechT5ForTextToSpeech from transformers, as small as ours and from scratch, spoken through the library's own "
            "text-to-speech pipeline: a transformer where ours is recurrent, with guided attention and the same frames a step.",
            "ko": "transformers의 SpeechT5ForTextToSpeech를 우리 것만큼 작게 처음부터 학습시키고, 라이브러리의 text-to-speech "
            "파이프라인으로 말하게 합니다. 우리 것은 순환 신경망이지만 이것은 트랜스포머이고, 유도 어텐션과 한 스텝의 프레임 수는 같습니다.",
        },
        hub=HubModel(
            repo="TACOTRON2_GRIFFINLIM_CHAR_LJSPEECH",
            size_mb=113,
            about={
                "en": "torchaudio's Tacotron2 at the paper's size, trained on the 24 hours of LJSpeech for 1,500 epochs. It reads "
                "letters and says one frame a step.",
                "ko": "논문 크기 그대로인 torchaudio의 Tacotron2. LJSpeech 24시간을 1,500번 되풀이해 학습했습니다. 글자를 읽고 한 스텝에 "
                "한 프레임을 말합니다.",
            },
            load="playground.references.tacotron.from_hub",
        ),
    ),
)
