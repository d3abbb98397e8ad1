"""What a DDPM is made of: the shape of its U-Net, its noise schedule, and what the net is asked to predict."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob

LEVELS = re.compile(r"1a?(-[1-9]a?){0,5}")


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    conditional: bool = knob(True, "Tell the net the class", "신경망에 클래스 알려 주기")
    maps: int = knob(48, "Feature maps at the finest level", "가장 고운 층의 특징 지도 수", 8, 512)
    levels: str = knob(
        "1-2a",
        "Levels, finest first: each a multiple of the feature maps, with an a where there is attention",
        "층 (고운 층부터): 특징 지도 수의 배수, 어텐션이 있으면 a를 붙임",
    )
    blocks: int = knob(1, "Residual blocks at each level", "층마다 잔차 블록 수", 1, 4)
    fold: int = knob(
        2,
        "Side of the squares of pixels folded into channels (1: none)",
        "채널로 접어 넣는 픽셀 정사각형의 한 변 (1: 접지 않음)",
        1,
        4,
        choices=(1, 2, 4),
    )
    groups: int = knob(8, "Groups of a normalisation", "정규화의 그룹 수", 1, 64)
    head: int = knob(
        16, "Numbers in a head of attention (0: a single head)", "어텐션 헤드의 크기 (0: 헤드 하나)", 0, 512
    )
    layout: str = knob(
        "paper",
        "Padding, epsilon and time code as in the paper's program, or as diffusers has them by default",
        "패딩, 엡실론, 시간 코드: 논문의 프로그램(paper) 또는 diffusers의 기본값",
        choices=("paper", "diffusers"),
    )
    schedule: str = knob(
        "cosine",
        "Noise schedule (the linear one is made for 1,000 steps)",
        "잡음 일정 (linear는 1,000단계용)",
        choices=("cosine", "linear"),
    )
    noise_steps: int = knob(1000, "Steps T from picture to noise", "그림에서 잡음까지의 단계 수 T", 10, 4000)
    prediction: str = knob("v", "What the net predicts", "신경망이 예측하는 것", choices=("v", "epsilon"))

    def __post_init__(self) -> None:
        if not LEVELS.fullmatch(self.levels):
            raise BadSetting(
                f"levels = {self.levels!r}: expected 1 and up to five more digits, joined by -, such as 1-2a-2",
                f"levels = {self.levels!r}: 1로 시작해 1-2a-2처럼 한 자리 수를 여섯 개까지 -로 이어야 합니다",
            )
        halvings = self.fold * 2 ** (len(self.widths) - 1)
        if self.height % halvings or self.width % halvings:
            raise BadSetting(
                f"fold {self.fold} and levels {self.levels} need a height and width that {halvings} divides, "
                f"not {self.height}×{self.width}",
                f"fold {self.fold}, levels {self.levels}에는 {halvings}의 배수인 높이와 너비가 필요합니다 "
                f"(지금 {self.height}×{self.width})",
            )
        for wide, attends in (*self.widths, (self.widths[-1][0], True)):
            if wide % self.groups or wide % 2 or (attends and self.head and wide % self.head):
                raise BadSetting(
                    f"{wide} feature maps cannot be shared out among groups = {self.groups} and heads of {self.head}",
                    f"특징 지도 {wide}개를 groups = {self.groups}, head = {self.head}(으)로 나눌 수 없습니다",
                )

    @property
    def labels(self) -> int:
        """Number of classes the net is told: 0 where it is told none."""
        return self.classes if self.conditional else 0

    @property
    def widths(self) -> tuple[tuple[int, bool], ...]:
        """Of each level, finest first: its feature maps, and whether it attends."""
        return tuple((self.maps * int(level[0]), level.endswith("a")) for level in self.levels.split("-"))
