"""`transformers.SpeechT5ForTextToSpeech` behind the verbs of our Transformer TTS, trained by the same recipe.

The hub's voice is another kind of model, VITS, that was trained by others for days: it shows what a voice can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer, TextToAudioPipeline, VitsModel

from playground.contract import Audio, Output, Scene, View, knob
from playground.families.speech import transformer_tts as ours
from playground.references._speecht5 import Config, Model, load, save
from playground.speaking import Experience, asked, remarks
from trainers import transformer_tts as trainer
from trainers.transformer_tts import train

__all__ = ["VIEW", "Config", "Model", "Pretrained", "Recipe", "from_hub", "load", "save", "train"]


@dataclass(frozen=True)
class Recipe(trainer.Recipe):
    """It normalises what its layers give, not what they read, and bears half of our learning rate."""

    learning_rate: float = knob(1e-3, "Learning rate at its peak", "최고 학습률", 0, 0.1)


class Pretrained(nn.Module):
    """The hub's voice, through the library's text-to-speech pipeline. Its tokenizer reads letters."""

    def __init__(self, net: VitsModel, tokenizer: Any):
        super().__init__()
        self.net = net.eval()
        self.config = Config(sample_rate=net.config.sampling_rate)
        self.experience = Experience(len(self.config.symbols))
        self.pipeline = TextToAudioPipeline(model=self.net, tokenizer=tokenizer, device=self.net.device)

    def speak(self, words: str, rng: torch.Generator) -> Audio:
        """Words as they are spoken, numbers and all in letters. The library draws; `rng` seeds it."""
        with torch.random.fork_rng([]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
            made = self.pipeline(words)
        samples = torch.from_numpy(made["audio"]).flatten().float().clamp(-1, 1)
        return Audio(samples, made["sampling_rate"], {"en": f"“{words}”", "ko": f"“{words}”"})


def from_hub() -> Pretrained:
    """The hub's voice. Raises OSError where it cannot be had."""
    hub = ours.FAMILY.reference.hub
    assert hub is not None
    net = VitsModel.from_pretrained(hub.repo, use_safetensors=True)
    return Pretrained(net, AutoTokenizer.from_pretrained(hub.repo))


def generate(model: Model | Pretrained, scene: Scene, **controls: Any) -> Iterator[list[Output]]:
    if not isinstance(model, Pretrained):
        yield from ours.FAMILY.views[0].render(model, scene, **controls)
        return
    controls.pop("speaker", None)
    said = asked(controls, model.config.alphabet, model.experience)
    drawn: list[Output] = []
    for reading in said.readings:
        drawn = [*drawn, model.speak(reading.words, scene.rng)]
        yield drawn
    yield [*drawn, *remarks(said, [])]


VIEW: View = replace(ours.FAMILY.views[0], render=generate)
