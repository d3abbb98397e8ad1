"""What a Tacotron is made of: its symbols, its encoder, its decoder and how many frames a step of that says."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob
from playground.signal.mel import Front
from playground.spoken_batches import front_of
from playground.text import ENGLISH_LETTERS, ENGLISH_PHONES, Alphabet, of


@dataclass(frozen=True)
class Config:
    sample_rate: int = fact(16_000, 48_000)
    speakers: tuple = fact(())
    symbols: tuple = fact(ENGLISH_PHONES.symbols)
    reads: str = knob("phones", "What it reads: phones, or English letters", "읽는 것: 음소 또는 영어 글자", choices=("phones", "letters"))  # fmt: skip
    encoder: str = knob(
        "convolutions", "Encoder: convolutions (2018) or CBHG (2017)", "인코더: 합성곱(2018) 또는 CBHG(2017)",
        choices=("convolutions", "cbhg"),
    )  # fmt: skip
    width: int = knob(128, "Width of the encoder", "인코더의 너비", 8, 1024)
    cells: int = knob(256, "Cells of each LSTM of the decoder", "디코더 LSTM의 셀 수", 8, 2048)
    attention: int = knob(96, "Width of the attention", "어텐션의 너비", 4, 512)
    located: bool = knob(True, "Attention knows where it has been", "어텐션이 지나온 자리를 앎")
    prenet: int = knob(128, "Width of the prenet", "프리넷의 너비", 4, 1024)
    postnet: int = knob(128, "Feature maps of the postnet", "포스트넷의 특징 지도 수", 4, 1024)
    reduction: int = knob(4, "Frames that a step of the decoder says", "디코더가 한 스텝에 말하는 프레임 수", 1, 8)
    coarsest: int = knob(
        1, "The same when training begins, if that is more", "학습을 시작할 때의 그 프레임 수 (더 클 때만)", 1, 8
    )

    def __post_init__(self) -> None:
        front_of(self.sample_rate)
        if self.reads == "letters" and self.symbols != ENGLISH_PHONES.symbols:
            raise BadSetting("reads: only English is read by letters", "reads: 글자로는 영어만 읽습니다")
        assert self.alphabet

    @property
    def front(self) -> Front:
        return front_of(self.sample_rate)

    @property
    def alphabet(self) -> Alphabet:
        return ENGLISH_LETTERS if self.reads == "letters" else of(self.symbols)

    @property
    def voices(self) -> int:
        """Speakers of the recordings; a corpus that names none has one."""
        return max(1, len(self.speakers))

    @property
    def most_frames(self) -> int:
        """Frames that a step can say at most."""
        return max(self.coarsest, self.reduction)

    def reduction_at(self, progress: float) -> int:
        """Frames a step at a share of the training, from 0 to 1: from `coarsest` down to `reduction`, equally long at each."""
        values = range(self.most_frames, self.reduction - 1, -1)
        return values[min(len(values) - 1, int(progress * len(values)))]
