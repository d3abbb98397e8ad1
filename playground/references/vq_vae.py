"""`transformers.DacModel` with one codebook behind the verbs of our VQ-VAE.

It codes samples, not spectra, and is told no speaker. It brings the commitment and codebook losses but compares no sound:
the distance between what goes in and what comes out is ours here, of log-spectra at several resolutions, without the
discriminators that its authors add. It has no prior either; its codes are written by the same net as ours, which lies
beside the library's own files. Its training is ours but for smaller batches and a gentle start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DacConfig, DacModel

from playground import controls
from playground.contract import Audio, BadSetting, Data, Output, Progress, Scene, View, knob
from playground.families.speech import vq_vae as ours
from playground.families.speech.vq_vae.model import TEMPERATURE, up_to
from playground.families.speech.vq_vae.prior import Prior
from playground.families.speech.vq_vae.views import GENERATE_CONTROLS, named, speakers_for
from playground.quantising import Follower, nearest, perplexity
from trainers.run import Run
from trainers.vq_vae import Heard, cut, descend, follow, schedule, train_prior

__all__ = ["VIEW", "Config", "Model", "Recipe", "from_hub", "load", "save", "train"]

PRIOR = "prior.safetensors"
LOUDEST = 0.7
"""Peak of every recording that is coded: how loud it was is not kept."""
WINDOWS = (128, 512, 1024)
QUIETEST = 1e-2
"""Added to the magnitudes of a window, so that levels far below it are taken for silence."""
WEIGHT = 15.0
"""Of the distance beside the codebook's losses, as its authors weigh theirs (Kumar 2023, arXiv:2306.06546)."""


@dataclass(frozen=True)
class Config(ours.Config):
    code_size: int = knob(8, "Numbers in a code's vector", "코드 벡터의 크기", 2, 512)
    codebook: str = knob(
        "gradient", "How the codebook learns: DacModel has one way", "코드북이 배우는 방법: DacModel에는 하나뿐",
        choices=("gradient",),
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codes & (self.codes - 1):
            raise BadSetting(
                f"DacModel's codebook has a power of two of codes, not {self.codes}",
                f"DacModel 코드북의 코드 수는 2의 거듭제곱이어야 합니다 (지금 {self.codes})",
            )

    def dac(self) -> DacConfig:
        """A code for as many samples as ours; at the usual width the sizes are 16 and 96."""
        hop, maps = self.front.hop // 32, max(2, self.width // 8)
        return DacConfig(
            encoder_hidden_size=maps,
            downsampling_ratios=[4, hop, 8 * self.stride],
            decoder_hidden_size=6 * maps,
            n_codebooks=1,
            codebook_size=self.codes,
            codebook_dim=self.code_size,
            sampling_rate=self.sample_rate,
        )


class Codec(nn.Module):
    """`DacModel` as our recipe calls the coder."""

    def __init__(self, config: Config, net: DacModel | None):
        super().__init__()
        self.config = config
        self.net = net or DacModel(config.dac())

    @property
    def codebook(self) -> Tensor:
        return self.net.quantizer.quantizers[0].codebook.weight

    def forward(self, x: Tensor, counts: Tensor, soft: float = 0.0) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The objective of recordings (B, 1, T) that end after `counts` (B,) samples, what to plot, and the z (B, D, N).

        soft: the share of the uncoded z in what is decoded. Without it this is DacModel's own forward, step by step.
        """
        quantizer = self.net.quantizer.quantizers[0]
        e, commitment, pull, codes, z = quantizer(self.net.encoder(x))
        rebuilt = self.net.decoder(torch.lerp(e, quantizer.out_proj(z), soft))[:, 0, : x.shape[2]]
        error = spectral_distance(rebuilt * up_to(counts, x.shape[2])[:, 0], x[:, 0])
        settings = self.net.config
        cost = settings.commitment_loss_weight * commitment + settings.codebook_loss_weight * pull
        ends = up_to(-(-counts // self.config.hop), codes.shape[1])[:, 0] > 0
        used = torch.bincount(codes[ends], minlength=self.config.codes)
        terms = {"log-spectral error (dB)": 20 * error.detach(), "codebook perplexity": perplexity(used)}
        return WEIGHT * error + cost, terms, z.detach()


class ByDirection(Follower):
    """DacModel takes the vector that points most nearly where z does, whatever their lengths."""

    def choose(self, z: Tensor, codebook: Tensor) -> Tensor:
        return nearest(F.normalize(z), F.normalize(codebook))


def spectral_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean distance between the log10 magnitudes of recordings (B, T), at several resolutions in time and frequency."""
    total = a.new_zeros(())
    for n in WINDOWS:
        window = torch.hann_window(n, device=a.device)
        x, y = (torch.stft(s.float(), n, n // 4, window=window, return_complex=True).abs() for s in (a, b))
        total = total + ((x + QUIETEST) / (y + QUIETEST)).log10().abs().mean()
    return total / len(WINDOWS)


class Model(ours.VQVAE):
    """What it hears, its codes and how they sound are DacModel's; what is done with them is ours."""

    coder: Any

    def __init__(self, config: Config, net: DacModel | None = None):
        nn.Module.__init__(self)
        self.config = config
        self.grain = config.front.hop
        self.coder = Codec(config, net)
        self.prior = Prior.of(config)

    @torch.no_grad()
    def heard(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Recordings (B, 1, T) of equal peaks, T a whole number of codes, and their lengths."""
        x = x / x.abs().amax(1, keepdim=True).clamp_min(1e-4) * LOUDEST
        return F.pad(x, (0, -x.shape[1] % self.config.hop))[:, None], lengths

    def codes_of(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.coder.net.encode(x).audio_codes[:, 0], -(-lengths // self.config.hop)

    def decode(self, codes: Tensor, counts: Tensor, speaker: Tensor) -> list[Tensor]:
        """A recording (T,) in [-1, 1] of each row of codes; the speaker is not used."""
        made = self.coder.net.decode(audio_codes=codes[:, None]).audio_values.float()
        return [one[:n] for one, n in zip(made, (counts * self.config.hop).tolist(), strict=True)]


@dataclass(frozen=True)
class Recipe:
    code_steps: int = knob(3000, "Steps for the codes", "코드 학습 스텝 수", 1, 10_000_000, phase="codes")
    steps: int = knob(600, "Steps for the prior", "사전 분포 학습 스텝 수", 1, 10_000_000, phase="prior")
    batch_size: int = knob(8, "Recordings in a batch", "배치의 녹음 수", 2, 1024)
    code_rate: float = knob(3e-4, "Learning rate of the codes", "코드의 학습률", 0, 0.1)
    rate: float = knob(2e-3, "Learning rate of the prior", "사전 분포의 학습률", 0, 0.1)
    frames: int = knob(32, "Frames of a recording in a batch (16 ms each)", "배치에 넣는 녹음의 프레임 수 (16ms씩)", 16, 1024)  # fmt: skip
    relaxed: float = knob(
        0.3, "Share of the code steps by which only codes are decoded", "코드만 복호하기 시작하는 시점(비율)", 0.01, 1
    )
    restart: bool = knob(True, "Restart codes that nothing chooses", "쓰이지 않는 코드 되살리기")
    hide: float = knob(0.4, "Share of the codes that the prior is not told", "사전 분포에 숨기는 코드의 비율", 0, 0.9)
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: Model, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    """Our recipe's two phases. At first a share of what is decoded is not coded: else all sounds point the same way."""
    heard: Any = Heard(data.train, model)
    coder = run.distribute(model.coder)
    optimizer = run.keep("coder", torch.optim.Adam(model.coder.parameters(), recipe.code_rate, betas=(0.8, 0.99)))
    follower = run.keep("follower", ByDirection(model.coder.codebook, moves=False))
    for step, (x, counts, _, _) in run.batches(heard, phase="codes", steps=recipe.code_steps):
        schedule(optimizer, recipe.code_rate, step, recipe.code_steps)
        x, counts = cut(x, counts, recipe.frames, model, run)
        loss, terms, z = coder(x, counts, max(0.0, 1 - step / (recipe.relaxed * recipe.code_steps)))
        descend(optimizer, loss, model.coder, run)
        follow(follower, model, z, counts, recipe.restart, run)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="codes")
    yield from train_prior(model, heard, recipe, run)


def save(model: Model, folder: Path) -> None:
    model.coder.net.save_pretrained(folder, safe_serialization=True)
    save_file({name: tensor.contiguous() for name, tensor in model.prior.state_dict().items()}, folder / PRIOR)


def load(folder: Path, config: Config) -> Model:
    model = Model(config, DacModel.from_pretrained(folder, local_files_only=True, use_safetensors=True))
    model.prior.load_state_dict(load_file(folder / PRIOR))
    return model


def generate(
    model: Model | Pretrained,
    scene: Scene,
    n: int,
    temperature: float,
    label: int | None = None,
    speaker: int | None = None,
) -> Iterator[list[Output]]:
    labels, speakers = controls.labels_for(label, n, scene.info), speakers_for(speaker, n, model.config)
    said = [None] * n if labels is None else labels.tolist()
    made = model.sample(labels, speakers, rng=scene.rng, temperature=temperature)
    yield [
        Audio(samples, model.config.sample_rate, named(scene.info, said[i], int(speakers[i]), i))
        for i, samples in enumerate(made)
    ]


VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {
        "en": "The same prior writes a row of DacModel's codes, which become samples.",
        "ko": "같은 사전 분포가 DacModel의 코드를 한 줄 쓰고, 그것이 표본이 됩니다.",
    },
    GENERATE_CONTROLS,
    generate,
)


# --- The hub's model ------------------------------------------------------------------------------------------


class Pretrained(nn.Module):
    """A codec with our generating verb: it has no prior, so it gives back, from its codes, what espeak-ng says."""

    def __init__(self, net: DacModel):
        super().__init__()
        from playground import data

        self.net = net
        rate = net.config.sampling_rate
        spoken = data.load("espeak_digits", rate)
        assert isinstance(spoken, data.SpeechData)
        self.spoken, self.info = spoken.test, spoken.info
        self.config = ours.Config(
            sample_rate=rate, classes=self.info.classes, speakers=self.info.speakers, codes=net.config.codebook_size
        )

    @torch.no_grad()
    def sample(
        self, label: Tensor | None, speaker: Tensor, *, rng: torch.Generator, temperature: float = TEMPERATURE
    ) -> list[Tensor]:
        """A recording (T,) in [-1, 1] for each label and speaker (B,); the temperature is not used."""
        labels, speakers = self.spoken.labels, self.spoken.speakers
        assert labels is not None and speakers is not None
        wanted = labels.new_zeros(len(speaker)) if label is None else label
        made = []
        for digit, voice in zip(wanted.tolist(), speaker.tolist(), strict=True):
            takes = torch.nonzero((labels == digit) & (speakers == voice)).flatten()
            take = self.spoken.audio(int(takes[torch.randint(len(takes), (), generator=rng)]))
            padded = F.pad(take, (0, -len(take) % self.net.config.hop_length))
            made.append(self.net(padded[None, None]).audio_values[0].clamp(-1, 1))
        return made


def from_hub() -> Pretrained:
    """The hub's codec. Raises OSError where it cannot be had."""
    hub = ours.FAMILY.reference.hub
    assert hub is not None
    return Pretrained(DacModel.from_pretrained(hub.repo, use_safetensors=True))
