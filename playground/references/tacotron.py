"""`transformers.SpeechT5ForTextToSpeech` behind the verbs of our Tacotron, trained by our recipe; and torchaudio's own
`Tacotron2`, trained on a day of speech.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from playground.contract import knob
from playground.families.speech import tacotron as ours
from playground.references import _speecht5
from playground.references._speecht5 import Config, save
from playground.signal import edges
from playground.signal.griffin_lim import griffin_lim
from playground.signal.mel import Front, log_mel
from playground.speaking import Experience, Utterance
from playground.text import Reading
from trainers import tacotron as trainer
from trainers.tacotron import train

__all__ = ["Config", "Model", "Recipe", "from_hub", "load", "save", "train"]


@dataclass(frozen=True)
class Recipe(trainer.Recipe):
    rate: float = knob(1e-3, "Learning rate", "학습률", 0, 0.1)


class Model(_speecht5.Model):
    def forward(  # type: ignore[override]
        self,
        text: Tensor,
        text_length: Tensor,
        mel: Tensor,
        mel_length: Tensor,
        speaker: Tensor,
        guide: float = 1.0,
        progress: float = 1.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The library's own loss. Its frames a step stay the same, whatever the progress."""
        return super().forward(text, text_length, mel, mel_length, speaker, guide)


def load(folder: Path, config: Config) -> Model:
    model = _speecht5.load(folder, config, Model)
    assert isinstance(model, Model)
    return model


# --- The pretrained model -------------------------------------------------------------------------------------

BUNDLE_FRONT = Front(rate=22_050, n_fft=1024, hop=256, mels=80, low=0.0, high=8000.0)
"""Of the bundle's mels, which are natural logarithms."""


class Pretrained(nn.Module):
    """torchaudio's `Tacotron2` with our generating verb. It reads letters, and its mels are made into those of our front end
    by way of their sound."""

    letters: Any
    net: Any

    def __init__(self, net: nn.Module, letters: Any):
        super().__init__()
        self.net, self.letters = net, letters
        self.config = ours.Config(reads="letters")
        self.experience = Experience(len(self.config.alphabet.symbols))
        self.experience.longest.fill_(150)

    @torch.no_grad()
    def say(self, reading: Reading, speaker: int, rng: torch.Generator) -> Utterance:
        """One sentence by its one speaker. Its prenet drops out by PyTorch's own draws, seeded from `rng`."""
        with torch.random.fork_rng([]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
            mel, lengths, attention = self.net.infer(*self.letters(reading.words))
        steps = int(lengths[0])
        samples = griffin_lim(mel[0, :, :steps].T / math.log(10), BUNDLE_FRONT)
        heard = edges.resample(samples, BUNDLE_FRONT.rate, self.config.sample_rate)
        ended = steps < self.net.decoder.decoder_max_step
        stop = torch.zeros(steps)
        stop[-1] = float(ended)
        return Utterance(log_mel(heard, self.config.front), attention[0, :steps], stop, ended)


def from_hub() -> Pretrained:
    """torchaudio's bundle, downloaded where it is not here. Raises OSError where it cannot be had."""
    from torchaudio.pipelines import TACOTRON2_GRIFFINLIM_CHAR_LJSPEECH as bundle

    net = bundle.get_tacotron2(dl_kwargs={"weights_only": True, "progress": False})
    return Pretrained(net.eval(), bundle.get_text_processor())
