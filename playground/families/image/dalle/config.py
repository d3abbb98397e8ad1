"""What a DALL-E is made of: its codes, its tokens of text, its transformer and its judge."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob

BYTES = 256
"""The first tokens of text: a byte each. Every text can be written with them."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(3, 4)
    height: int = fact(32, 64)
    width: int = fact(32, 64)
    quantizer: str = knob(
        "vq-ema",
        "How the codes are learnt: nearest vectors that follow averages, or a Gumbel-softmax relaxation",
        "코드를 배우는 방법: 가장 가까운 벡터가 평균을 따라감(vq-ema), 또는 검벨 소프트맥스로 완화(gumbel)",
        choices=("vq-ema", "gumbel"),
    )
    codes: int = knob(512, "Codes in the codebook", "코드북의 코드 수", 2, 8192)
    code_size: int = knob(16, "Numbers in a code's vector", "코드 벡터의 크기", 2, 256)
    halvings: int = knob(
        2, "Times the picture is halved before it is coded", "부호화 전에 그림을 절반으로 줄이는 횟수", 1, 4
    )
    maps: int = knob(64, "Feature maps of the coder and the decoder", "부호기와 복호기의 특징 지도 수", 8, 512)
    merges: int = knob(384, "Byte pairs that become tokens of text", "글 토큰이 되는 바이트 쌍의 수", 0, 8192)
    text_length: int = knob(16, "Places for tokens of text", "글 토큰 자리 수", 2, 128)
    size: int = knob(128, "Width of the transformer", "트랜스포머의 너비", 16, 1024)
    layers: int = knob(4, "Layers of the transformer", "트랜스포머의 층 수", 1, 24)
    heads: int = knob(4, "Heads of attention", "어텐션 헤드 수", 1, 16)
    joint: int = knob(64, "Width of the judge (CLIP)", "심사 모델(CLIP)의 너비", 16, 512)

    def __post_init__(self) -> None:
        fold = 2**self.halvings
        if self.height % fold or self.width % fold:
            raise BadSetting(
                f"halvings = {self.halvings} needs a height and width that {fold} divides, not {self.height}×{self.width}",
                f"halvings = {self.halvings}에는 {fold}의 배수인 높이와 너비가 필요합니다 (지금 {self.height}×{self.width})",
            )
        if self.size % self.heads:
            raise BadSetting(
                f"size = {self.size}: must be a multiple of the {self.heads} heads",
                f"size = {self.size}: 헤드 수 {self.heads}의 배수여야 합니다",
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a picture's codes."""
        return self.height >> self.halvings, self.width >> self.halvings

    @property
    def places(self) -> int:
        """Codes in a picture, N."""
        return self.grid[0] * self.grid[1]

    @property
    def text_tokens(self) -> int:
        """Bytes, merged pairs, and one pad for each place of the text (section 2.2)."""
        return BYTES + self.merges + self.text_length

    @property
    def tokens(self) -> int:
        """All that the transformer may read: tokens of text first, then codes."""
        return self.text_tokens + self.codes
