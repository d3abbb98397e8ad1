"""What a ViT-GAN is made of: its transformers, and a switch for each part that the paper adds to them."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    conditional: bool = knob(True, "Tell both players the class", "두 선수에게 클래스 알려 주기")
    latents: int = knob(64, "Numbers in the noise vector z", "잡음 벡터 z의 크기", 2, 512)

    grid: int = knob(4, "Patches along each side, for the generator", "생성자: 한 변의 패치 수", 1, 32)
    features: int = knob(96, "Numbers in a token of the generator", "생성자: 토큰 하나의 크기", 8, 1024)
    blocks: int = knob(3, "Transformer blocks of the generator", "생성자: 트랜스포머 블록 수", 1, 24)
    heads: int = knob(4, "Heads of attention", "어텐션 헤드 수", 1, 16)
    modulation: bool = knob(
        True,
        "Noise enters by modulating every LayerNorm (off: it is added to the tokens once)",
        "잡음이 모든 LayerNorm을 변조함 (끄면 처음에 한 번만 토큰에 더함)",
    )
    seeded: bool = knob(
        True,
        "Every token begins with a share of the noise too (off: with its place alone, as in the paper)",
        "토큰마다 잡음의 몫도 가지고 시작함 (끄면 논문처럼 자리만 가지고 시작)",
    )
    decoder: str = knob(
        "implicit",
        "What draws a patch from its token: a function of the place, a linear map, or convolutions across patches",
        "토큰에서 패치를 그리는 방법: 위치의 함수, 선형 변환, 패치를 넘나드는 합성곱",
        choices=("implicit", "plain", "convolutional"),
    )

    discriminator: str = knob("vit", "Discriminator", "판별자", choices=("vit", "convolutional"))
    beside: bool = knob(
        False, "A discriminator of the other kind beside it, both to be convinced", "다른 종류의 판별자를 함께 두기"
    )
    critic_grid: int = knob(4, "Patches along each side, for the discriminator", "판별자: 한 변의 패치 수", 1, 32)
    critic_features: int = knob(
        96, "Numbers in a token (or feature maps) of the discriminator", "판별자: 토큰 크기(또는 특징 지도 수)", 8, 1024
    )
    critic_blocks: int = knob(3, "Transformer blocks of the discriminator", "판별자: 트랜스포머 블록 수", 1, 24)
    attention: str = knob(
        "l2",
        "Discriminator's attention: by distance with query = key, or by dot product",
        "판별자의 어텐션: 질의와 키가 같은 거리 방식, 또는 내적 방식",
        choices=("l2", "dot"),
    )
    spectral_norm: str = knob(
        "improved",
        "Spectral norm in the discriminator: kept at its first value, at 1, or free",
        "판별자의 스펙트럼 노름: 처음 값으로 유지, 1로 유지, 제한 없음",
        choices=("improved", "plain", "none"),
    )
    overlap: bool = knob(True, "The discriminator's patches overlap by half", "판별자의 패치가 절반씩 겹침")

    def __post_init__(self) -> None:
        for name, features in (("features", self.features), ("critic_features", self.critic_features)):
            if features % self.heads:
                raise BadSetting(
                    f"{name} = {features}: must be a multiple of the {self.heads} heads",
                    f"{name} = {features}: 헤드 수 {self.heads}의 배수여야 합니다",
                )
        for name, grid in (("grid", self.grid), ("critic_grid", self.critic_grid)):
            if self.height % grid or self.width % grid:
                raise BadSetting(
                    f"{name} = {grid}: pictures of {self.height}×{self.width} cannot be cut into {grid}×{grid} patches",
                    f"{name} = {grid}: {self.height}×{self.width} 그림은 {grid}×{grid}개의 패치로 나눌 수 없습니다",
                )

    @property
    def labels(self) -> int:
        """Number of classes the players are told; 0 where they are told none."""
        return self.classes if self.conditional else 0

    @property
    def patch(self) -> tuple[int, int]:
        """Height and width of a patch of the generator."""
        return self.height // self.grid, self.width // self.grid

    @property
    def critics(self) -> tuple[str, ...]:
        """The kinds of discriminator in the game, the chosen one first."""
        other = {"vit": "convolutional", "convolutional": "vit"}[self.discriminator]
        return (self.discriminator, other) if self.beside else (self.discriminator,)
