"""diffusers' `UNet2DModel` in its `DDPMPipeline` and `DDIMPipeline`, and the way between that library and our nets.

to_diffusers(model, folder)     an unconditional net of ours as a folder for DDPMPipeline.from_pretrained
from_diffusers(source)          a DDPMPipeline of the hub, or in a folder, as a model of ours

python -m playground.references.ddpm export CHECKPOINT FOLDER
python -m playground.references.ddpm import SOURCE CHECKPOINT
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler, UNet2DModel
from torch import Tensor, nn

from playground import controls
from playground.checkpoint import pipeline_of_hub
from playground.contract import BadSetting, Control, DataInfo, Output, Scene, Sheet, View, knob
from playground.families.image import ddpm as ours
from playground.families.image.ddpm import DDPM
from playground.families.image.ddpm.convert import (
    config_of,
    from_unet2d,
    scheduler_settings,
    to_unet2d,
    unet2d_settings,
)

__all__ = ["VIEW", "Config", "Model", "from_diffusers", "from_hub", "load", "save", "to_diffusers"]


@dataclass(frozen=True)
class Config(ours.Config):
    """The same net as ours; the pipelines tell it no class."""

    conditional: bool = knob(
        False,
        "Tell the net the class: the pipelines cannot",
        "클래스 알려 주기 (파이프라인은 할 수 없음)",
        choices=(False,),
    )


class Net(nn.Module):
    """A `UNet2DModel` as our objective calls its net: whole pictures in and out, folded for it on the way."""

    def __init__(self, config: ours.Config, unet: UNet2DModel | None):
        super().__init__()
        self.fold = config.fold
        self.unet = unet or UNet2DModel(**unet2d_settings(config))

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, self.fold), t).sample, self.fold)


class Model(DDPM):
    """Our training objective around diffusers' net; its pictures are drawn by diffusers' own pipelines."""

    def __init__(self, config: Config, unet: UNet2DModel | None = None):
        super().__init__(config, Net(config, unet))
        self.scheduler = DDPMScheduler(**scheduler_settings(config))

    def pipeline(self) -> DDPMPipeline:
        return DDPMPipeline(self.net.unet, self.scheduler)

    def sample(  # type: ignore[override]
        self,
        n: int,
        y: Tensor | None = None,
        *,
        rng: torch.Generator,
        steps: int = 25,
        sampler: str = "ddim",
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] by the pipeline of that sampler, "ddpm" or "ddim"; y is not used."""
        kind, options = DDPMPipeline, {}
        if sampler == "ddim":
            kind, options = DDIMPipeline, {"use_clipped_model_output": True}  # as our sampler does
        pipeline = kind(self.net.unet, self.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        made = pipeline(batch_size=n, generator=rng, num_inference_steps=steps, output_type="np", **options).images
        return F.pixel_shuffle(torch.from_numpy(np.ascontiguousarray(made.transpose(0, 3, 1, 2))), self.config.fold)


def generate(model: Model, scene: Scene, n: int, sampler: str, steps: int) -> Iterator[list[Output]]:
    yield [Sheet(model.sample(n, rng=scene.rng, steps=steps, sampler=sampler))]


def _few_of_a_large_net(config: Config, info: DataInfo) -> tuple[float, float]:
    return (1, 4) if config.maps >= 128 else (1, 100)


PIPELINES = (
    ({"en": "DDIMPipeline", "ko": "DDIMPipeline"}, "ddim"),
    ({"en": "DDPMPipeline", "ko": "DDPMPipeline"}, "ddpm"),
)
COUNT = Control("n", "number", {"en": "Pictures", "ko": "그림 수"}, default=40, step=1, bounds=_few_of_a_large_net)
SAMPLER = Control("sampler", "choice", {"en": "Pipeline", "ko": "파이프라인"}, default="ddim", choices=PIPELINES)
STEPS = Control(
    "steps",
    "number",
    {"en": "Evaluations of the net", "ko": "신경망 평가 횟수"},
    default=25,
    step=1,
    bounds=lambda config, info: (2, config.noise_steps),
)
VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {"en": "Noise, cleaned step by step.", "ko": "잡음을 한 단계씩 걷어 냅니다."},
    (COUNT, SAMPLER, STEPS, controls.seed()),
    generate,
)


def save(model: Model, folder: Path) -> None:
    model.pipeline().save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    pipeline = DDPMPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return Model(config, pipeline.unet)


# --- Between the library and here -----------------------------------------------------------------------------


def to_diffusers(model: DDPM, folder: Path) -> None:
    """Write an unconditional net of ours, one that does not fold, for `DDPMPipeline.from_pretrained`.

    From the same noise that pipeline draws the pictures of our `ddpm` sampler. Raises `BadSetting` for a net that it
    could not draw with.
    """
    config = model.config
    if config.labels or config.fold > 1:
        raise BadSetting(
            f"{'a net that is told the class' if config.labels else f'fold = {config.fold}'}: DDPMPipeline draws whole "
            "pictures with a net that is told nothing; train with --no-conditional --fold 1",
            "DDPMPipeline은 클래스를 알려 주지 않고 그림을 통째로 그립니다. --no-conditional --fold 1로 학습한 모델이 필요합니다",
        )
    unet = UNet2DModel(**unet2d_settings(config))
    unet.load_state_dict(to_unet2d(model.net.state_dict()))
    DDPMPipeline(unet, DDPMScheduler(**scheduler_settings(config))).save_pretrained(folder, safe_serialization=True)


def from_diffusers(source: str | Path) -> DDPM:
    """The unconditional DDPMPipeline in a folder, or of that name on the hub, as a model of ours.

    Raises `BadSetting` for a net that ours cannot be, OSError for what is not there.
    """
    pipeline = DDPMPipeline.from_pretrained(source, use_safetensors=True)
    model = DDPM(config_of(pipeline.unet.config, pipeline.scheduler.config))
    model.net.load_state_dict(from_unet2d(pipeline.unet.state_dict(), model.net.state_dict()))
    return model.eval()


def from_hub() -> Model:
    """The hub's model with our verbs, drawn by its own pipeline. Raises OSError where it cannot be had."""
    hub = ours.FAMILY.reference.hub
    assert hub is not None
    pipeline = pipeline_of_hub(DDPMPipeline, hub.repo)
    config = Config(**{**asdict(config_of(pipeline.unet.config, pipeline.scheduler.config)), "conditional": False})
    model = Model(config, pipeline.unet)
    model.scheduler = pipeline.scheduler
    return model.eval()


def main() -> None:
    from playground import checkpoint

    parser = argparse.ArgumentParser(
        "python -m playground.references.ddpm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=("export", "import"))
    parser.add_argument("source", help="our checkpoint folder; or a folder or name of the hub with a DDPMPipeline")
    parser.add_argument("out", type=Path, help="the folder to write")
    options = parser.parse_args()
    if options.verb == "export":
        model = checkpoint.load(Path(options.source)).model
        assert isinstance(model, DDPM)
        to_diffusers(model, options.out)
        return
    model = from_diffusers(options.source)
    config = model.config
    info = DataInfo(options.source, config.channels, config.height, config.width)
    checkpoint.save(options.out, checkpoint.Checkpoint(ours.FAMILY.name, model, config, info))


if __name__ == "__main__":
    main()
