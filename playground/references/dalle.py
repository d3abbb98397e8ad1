"""diffusers' `VQModel`, transformers' `GPT2LMHeadModel` and `CLIPModel` in one pipeline, trained by our recipe.

Neither library has a pipeline that draws a picture from a text token by token, so the class that bundles them is ours; what
it bundles is theirs: `TextToImagePipeline.from_pretrained(folder)("a small red circle").images`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, VQModel
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from playground.checkpoint import pipeline_of_hub
from playground.contract import BadSetting, Output, Scene, Told, View, knob
from playground.families.image import dalle as ours
from playground.families.image.dalle import DALLE
from playground.families.image.dalle.clip import contrast
from playground.families.image.dalle.config import BYTES
from playground.families.image.dalle.convert import gpt2_settings
from playground.families.image.dalle.model import LIKELY
from playground.families.image.dalle.samplers import Choice
from playground.families.image.dalle.text import Text
from playground.families.image.dalle.views import GENERATE_CONTROLS, asked, remarks, sheet
from playground.quantising import COMMITMENT, Follower, perplexity

__all__ = ["IN_CONFIG", "VIEW", "Config", "Model", "TextToImagePipeline", "from_hub", "load", "save"]

IN_CONFIG = ("text.merges", "text.notes")
"""The tokenizer's file and the pipeline's settings keep them."""


@dataclass(frozen=True)
class Config(ours.Config):
    quantizer: str = knob(
        "vq", "How the codes are learnt: VQModel has one way", "코드를 배우는 방법: VQModel에는 하나뿐", choices=("vq",)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.height != self.width:
            raise BadSetting(
                f"CLIPModel takes square pictures, not {self.height}×{self.width}",
                f"CLIPModel은 정사각형 그림만 받습니다 (지금 {self.height}×{self.width})",
            )


def vq_model(config: ours.Config) -> VQModel:
    levels = config.halvings + 1
    maps = max(8, config.maps // 2 // 8 * 8)
    return VQModel(
        in_channels=config.channels,
        out_channels=config.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=(maps // 2 if maps >= 16 else maps, *(maps,) * config.halvings),
        layers_per_block=1,
        latent_channels=config.code_size,
        vq_embed_dim=config.code_size,
        num_vq_embeddings=config.codes,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=config.height,
        lookup_from_codebook=True,
    )


def clip_model(config: ours.Config) -> CLIPModel:
    net: dict[str, Any] = {"hidden_size": config.joint, "intermediate_size": 4 * config.joint, "num_hidden_layers": 2}
    net |= {"num_attention_heads": 4, "attention_dropout": 0.0}
    text = {
        **net,
        "vocab_size": config.text_tokens,
        "max_position_embeddings": config.text_length,
        "bos_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": config.text_tokens - 1,  # the pad of the last place, which speaks for the text
    }
    patch = 2 ** min(config.halvings, 2)
    vision = {**net, "image_size": config.height, "patch_size": patch, "num_channels": config.channels}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=config.joint))


# --- The verbs of ours ----------------------------------------------------------------------------------------


class Codes(nn.Module):
    """`VQModel` as our recipe calls the discrete VAE."""

    def __init__(self, config: ours.Config, net: VQModel | None):
        super().__init__()
        self.config = config
        self.net = net or vq_model(config)
        self.net.quantize.legacy = False  # else the commitment's weight falls on the wrong term
        self.net.quantize.beta = COMMITMENT

    noise_shape = ()

    def forward(
        self, x: Tensor, u: Tensor, soft: float = 0.0, kl: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Squared error and the quantiser's own loss; soft: share of z itself that is decoded; u and kl are the Gumbel-softmax's."""
        z = self.net.encode(2 * x - 1).latents.float()
        e, cost, (_, _, codes) = self.net.quantize(z)
        e = torch.lerp(e, z, soft)
        rebuilt = self.net.decoder(self.net.post_quant_conv(e)).float()
        error = F.mse_loss(rebuilt, 2 * x - 1)
        often = torch.bincount(codes.flatten(), minlength=self.config.codes)
        terms = {"squared error": error.detach(), "codebook perplexity": perplexity(often)}
        return error + cost, terms, z.detach()

    def follower(self) -> Follower:
        return Follower(self.codebook, moves=False)

    @property
    def codebook(self) -> Tensor:
        return self.net.quantize.embedding.weight

    def encode(self, x: Tensor) -> Tensor:
        codes = self.net.quantize(self.net.encode(2 * x - 1).latents.float())[2][2]
        return codes.view(len(x), -1)

    def decode(self, codes: Tensor) -> Tensor:
        return decoded(self.net, codes, self.config.grid)


def decoded(net: VQModel, codes: Tensor, grid: tuple[int, int]) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1] of codes (B, N)."""
    shape = (len(codes), *grid, net.config.vq_embed_dim)
    made = net.decode(codes, force_not_quantize=True, shape=shape).sample
    return ((made.float() + 1) / 2).clamp(0, 1)


class Prior(nn.Module):
    """`GPT2LMHeadModel` as our recipe calls the transformer: our objective of its logits."""

    def __init__(self, config: ours.Config, net: GPT2LMHeadModel | None):
        super().__init__()
        self.config = config
        self.net = net or GPT2LMHeadModel(GPT2Config(**gpt2_settings(config)))
        self.net.set_attn_implementation("eager")  # on a processor a third faster to train than the fused one

    def forward(self, text: Tensor, codes: Tensor, image_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        logits = self.net(torch.cat([text, codes + config.text_tokens], dim=1)[:, :-1], use_cache=False).logits.float()
        words, rest = logits[:, : config.text_length - 1], logits[:, config.text_length - 1 :]
        text_loss = F.cross_entropy(words[..., : config.text_tokens].flatten(0, 1), text[:, 1:].flatten())
        image_loss = F.cross_entropy(rest[..., config.text_tokens :].flatten(0, 1), codes.flatten())
        loss = (text_loss + image_weight * image_loss) / (1 + image_weight)
        return loss, {"text (nats)": text_loss.detach(), "codes (nats)": image_loss.detach()}


class Judge(nn.Module):
    """`CLIPModel` as our recipe calls the judge."""

    def __init__(self, config: ours.Config, net: CLIPModel | None):
        super().__init__()
        self.net = net or clip_model(config)
        self.net.set_attn_implementation("eager")

    def forward(self, x: Tensor, text: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return contrast(self.net(input_ids=text, pixel_values=2 * x - 1).logits_per_image.float(), text)

    def scores(self, x: Tensor, text: Tensor) -> Tensor:
        made = self.net(input_ids=text, pixel_values=2 * x - 1)
        return (made.image_embeds * made.text_embeds).sum(1)


class Model(DALLE):
    """Our recipe's verbs around the libraries' nets; pictures are drawn by the pipeline."""

    def __init__(
        self,
        config: Config,
        vqvae: VQModel | None = None,
        transformer: GPT2LMHeadModel | None = None,
        clip: CLIPModel | None = None,
    ):
        parts = {"vae": Codes(config, vqvae), "prior": Prior(config, transformer), "clip": Judge(config, clip)}
        super().__init__(config, **parts)

    def pipeline(self) -> TextToImagePipeline:
        return TextToImagePipeline(
            self.vae.net,
            self.prior.net,
            self.clip.net,
            tokenizer_of(self.text),
            text_length=self.config.text_length,
            examples=[list(variants) for variants in self.text.examples],
            words=self.text.words,
        )

    @torch.no_grad()
    def sample(
        self, texts: Sequence[str], *, rng: torch.Generator, choice: Choice = LIKELY, begun: Tensor | None = None
    ) -> Tensor:
        """A picture (C, H, W) in [0, 1] for each text. begun is not used."""
        made = self.pipeline()(list(texts), generator=rng, output_type="np", **vars(choice)).images
        return torch.from_numpy(np.ascontiguousarray(made.transpose(0, 3, 1, 2)))


class TextToImagePipeline(DiffusionPipeline):
    """Texts to pictures: tokens, then codes from GPT-2, then VQModel's decoder."""

    def __init__(
        self,
        vqvae: VQModel,
        transformer: GPT2LMHeadModel,
        clip: CLIPModel,
        tokenizer: PreTrainedTokenizerFast,
        text_length: int = 16,
        examples: list[list[str]] | None = None,
        words: list[str] | None = None,
    ):
        super().__init__()
        self.register_modules(vqvae=vqvae, transformer=transformer, clip=clip, tokenizer=tokenizer)
        self.register_to_config(text_length=text_length, examples=examples or [], words=words or [])

    def read(self, texts: Sequence[str]) -> Tensor:
        """(B, T) token ids: the text's, then the pads of the places left."""
        length, last = self.config.text_length, len(self.tokenizer)
        pads = list(range(last - length, last))
        rows = [self.tokenizer(text, add_special_tokens=False).input_ids[: length - 1] for text in texts]
        return torch.tensor([row + pads[len(row) :] for row in rows])

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        guidance: float = 0.0,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        texts = [prompt] if isinstance(prompt, str) else prompt
        ids = self.read(texts)
        words = len(self.tokenizer)
        places = self.transformer.config.n_positions - ids.shape[1]
        options: dict[str, Any] = {"do_sample": temperature > 0}
        if temperature > 0:
            options |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        if guidance:
            # transformers weighs with-text by the scale s and without by 1 - s.
            options |= {"guidance_scale": 1 + guidance, "negative_prompt_ids": self.read([""] * len(texts))}
        with torch.random.fork_rng():  # `generate` draws from the global generator
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            made = self.transformer.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=places,
                min_new_tokens=places,
                suppress_tokens=list(range(words)),
                **options,
            )
        side = int(places**0.5)
        pictures = decoded(self.vqvae, made[:, ids.shape[1] :] - words, (side, side)).cpu()
        images: Any = pictures.permute(0, 2, 3, 1).numpy()
        return ImagePipelineOutput(self.numpy_to_pil(images) if output_type == "pil" else images)


# --- The tokenizer --------------------------------------------------------------------------------------------


def tokenizer_of(text: Text) -> PreTrainedTokenizerFast:
    """Our tokens of text as the library's byte-level BPE, with the same numbers."""
    letters = byte_letters()
    names = list(letters)
    merges = []
    for a, b in text.pairs():
        merges.append((names[a], names[b]))
        names.append(names[a] + names[b])
    names += [f"<none {i}>" for i in range(len(names), text.first_pad)]
    names += [f"<pad {i}>" for i in range(text.length)]
    model = models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges)
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def byte_letters() -> list[str]:
    """The letter by which byte-level BPE writes each byte (GPT-2's bytes_to_unicode)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(BYTES))
    return [chr(byte) if byte in printable else chr(BYTES + next(others)) for byte in range(BYTES)]


def merges_of(tokenizer: PreTrainedTokenizerFast) -> list[tuple[int, int]]:
    """The pairs that a tokenizer merges, as numbers."""
    described = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    return [(described["vocab"][a], described["vocab"][b]) for a, b in described["merges"]]


# --- Files and views ------------------------------------------------------------------------------------------


def save(model: Model, folder: Path) -> None:
    model.pipeline().save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    pipeline = TextToImagePipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model = Model(config, pipeline.vqvae, pipeline.transformer, pipeline.clip)
    model.text.recall(
        merges_of(pipeline.tokenizer), [tuple(e) for e in pipeline.config.examples], list(pipeline.config.words)
    )
    return model


def generate(
    model: Model, scene: Scene, text: str, n: int, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    texts = asked(model, text, n)
    made = model.sample(texts, rng=scene.rng, choice=Choice(temperature, top_k, top_p, guidance))
    yield [sheet(made, texts), *remarks(model, text)]


VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {"en": "A text, then a picture, by GPT-2 and VQModel.", "ko": "글을 주면 GPT-2와 VQModel이 그림을 그립니다."},
    GENERATE_CONTROLS,
    generate,
)


# --- The hub's model ------------------------------------------------------------------------------------------


class Amused(nn.Module):
    """`AmusedPipeline` with our generating verb: masked tokens, all places at once, rather than one after the other."""

    text = None

    def __init__(self, pipeline: Any):
        super().__init__()
        self.pipeline = pipeline

    def sample(self, texts: Sequence[str], *, rng: torch.Generator, choice: Choice = LIKELY) -> Tensor:
        made = self.pipeline(list(texts), generator=rng, temperature=(2, 0), output_type="np").images
        return torch.from_numpy(np.ascontiguousarray(made.transpose(0, 3, 1, 2)))


def from_hub() -> Amused:
    """The hub's model, drawn by its own pipeline. Raises OSError where it cannot be had."""
    try:
        from diffusers import AmusedPipeline
    except (ImportError, AttributeError) as error:
        raise Told(
            "This version of diffusers no longer has AmusedPipeline, which it had deprecated; "
            "the version that requirements.txt names has it.",
            "설치된 diffusers에는 사용 중단 예정이던 AmusedPipeline이 더는 없습니다. requirements.txt에 적힌 버전에는 있습니다.",
        ) from error
    hub = ours.FAMILY.reference.hub
    assert hub is not None
    pipeline = pipeline_of_hub(AmusedPipeline, hub.repo)
    pipeline.set_progress_bar_config(disable=True)
    return Amused(pipeline)
