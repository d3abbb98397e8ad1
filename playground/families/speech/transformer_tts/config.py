"""What a Transformer TTS is made of."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob
from playground.signal.mel import SPEECH, Front
from playground.spoken_batches import front_of
from playground.text import ENGLISH_PHONES, Alphabet, of


@dataclass(frozen=True)
class Config:
    speakers: tuple = fact(())
    symbols: tuple = fact(ENGLISH_PHONES.symbols)
    sample_rate: int = fact(SPEECH.rate, 48_000)
    width: int = knob(128, "Width of encoder and decoder", "인코더와 디코더의 너비", 16, 1024)
    heads: int = knob(4, "Heads of every attention", "어텐션마다 헤드 수", 1, 16)
    encoder_layers: int = knob(3, "Layers of the encoder", "인코더의 층 수", 1, 12)
    decoder_layers: int = knob(4, "Layers of the decoder", "디코더의 층 수", 1, 12)
    feed_forward: int = knob(512, "Hidden units of each feed-forward layer", "순방향 층의 은닉 유닛 수", 8, 4096)
    filters: int = knob(
        128, "Channels of the convolutions before the encoder and after the decoder", "합성곱의 채널 수", 8, 1024
    )
    prenet: int = knob(128, "Units of the decoder's prenet", "디코더 프리넷의 유닛 수", 8, 1024)
    reduction: int = knob(
        3,
        "Frames drawn in one step (the reduction factor; 1 in the paper)",
        "한 번에 그리는 프레임 수 (논문에서는 1)",
        1,
        8,
    )
    guided_heads: int = knob(
        2,
        "Heads of each layer that are guided along the diagonal",
        "층마다 대각선을 따르도록 이끄는 헤드 수",
        1,
        16,
    )
    dropout: float = knob(0.1, "Dropout while training", "학습 중 드롭아웃", 0, 0.9)
    prenet_dropout: float = knob(
        0.5, "Dropout of the decoder's prenet, always on", "디코더 프리넷의 드롭아웃 (언제나 켜짐)", 0, 0.9
    )

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise BadSetting(
                f"width = {self.width}: must be a multiple of twice the {self.heads} heads",
                f"width = {self.width}: 헤드 수 {self.heads}의 두 배로 나누어떨어져야 합니다",
            )
        front_of(self.sample_rate)
        assert self.alphabet

    @property
    def front(self) -> Front:
        return front_of(self.sample_rate)

    @property
    def alphabet(self) -> Alphabet:
        return of(self.symbols)

    @property
    def voices(self) -> int:
        """Speakers of the recordings; a corpus that names none has one."""
        return max(1, len(self.speakers))

    @property
    def guided(self) -> int:
        """Heads of each layer that are guided: the first ones, at most all."""
        return min(self.guided_heads, self.heads)
