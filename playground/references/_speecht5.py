"""`transformers.SpeechT5ForTextToSpeech`, as small as our voices that read, and spoken through its own pipeline.

Its training objective is the library's own: absolute errors before and after the postnet, a stop token, guided attention.
Speakers are told apart by one-hot vectors where its authors give it x-vectors of recordings. The library's tokenizers know
text, not phones: symbols are written with blanks between them ("HH AH0 L OW1 _ DH EH1 R", `_` for the blank between words).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, SpeechT5Config, SpeechT5ForTextToSpeech, TextToAudioPipeline

from playground.contract import fact, knob
from playground.signal.mel import Front
from playground.speaking import Experience, Utterance
from playground.spoken_batches import SILENCE, SYNTHETIC, front_of, restored
from playground.text import BLANK, END, ENGLISH_PHONES, PAD, Alphabet, Reading, of

EXPERIENCE = "experience.safetensors"
WORD_BREAK = "_"
STOPS = 0.5
"""Sum over a step's frames of the probabilities of the end, from which on it is taken for the end."""


@dataclass(frozen=True)
class Config:
    sample_rate: int = fact(16_000, 48_000)
    speakers: tuple = fact(())
    symbols: tuple = fact(ENGLISH_PHONES.symbols)
    hidden: int = knob(128, "Width of encoder and decoder", "인코더와 디코더의 너비", 16, 1024)
    layers: int = knob(3, "Layers of each", "층 수", 1, 12)
    reduction: int = knob(4, "Frames a step", "한 스텝의 프레임 수", 1, 8)

    def __post_init__(self) -> None:
        front_of(self.sample_rate)
        of(self.symbols)

    @property
    def front(self) -> Front:
        return front_of(self.sample_rate)

    @property
    def alphabet(self) -> Alphabet:
        return of(self.symbols)

    @property
    def voices(self) -> int:
        return max(1, len(self.speakers))

    def speecht5(self) -> SpeechT5Config:
        wide = self.hidden
        return SpeechT5Config(
            vocab_size=len(self.symbols),
            hidden_size=wide,
            encoder_layers=self.layers,
            decoder_layers=self.layers,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=4 * wide,
            decoder_ffn_dim=4 * wide,
            encoder_layerdrop=0.0,
            decoder_layerdrop=0.0,
            num_mel_bins=self.front.mels,
            speech_decoder_prenet_units=wide,
            speech_decoder_postnet_units=wide,
            speaker_embedding_dim=self.voices + SYNTHETIC,
            reduction_factor=self.reduction,
            pad_token_id=self.symbols.index(PAD),
            eos_token_id=self.symbols.index(END),
            decoder_start_token_id=self.symbols.index(END),
        )


class Model(nn.Module):
    """Log10 mels of the one front end, on a voice's scale."""

    def __init__(self, config: Any, net: SpeechT5ForTextToSpeech | None = None):
        super().__init__()
        self.config = config
        self.net = net or SpeechT5ForTextToSpeech(config.speecht5())
        self.experience = Experience(len(config.symbols))

    def forward(
        self,
        text: Tensor,
        text_length: Tensor,
        mel: Tensor,
        mel_length: Tensor,
        speaker: Tensor,
        guide: float = 1.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The library's own loss of a batch (see `spoken_batches.Batch`). guide: 0 leaves attention to itself."""
        r = self.config.reduction
        whole = -(-mel_length // r) * r  # (B,) frames in whole steps
        n = -(-mel.shape[1] // r) * r
        labels = torch.nn.functional.pad(mel.float(), (0, 0, 0, n - mel.shape[1]), value=SILENCE)
        outside = torch.arange(n, device=mel.device) >= whole[:, None]
        labels = labels.masked_fill(outside[:, :, None], -100.0)
        inside = torch.arange(text.shape[1], device=text.device) < text_length[:, None]
        self.net.config.use_guided_attention_loss = guide > 0
        self.net.config.guided_attention_loss_scale = 10.0 * guide
        made = self.net(
            input_ids=text,
            attention_mask=inside.long(),
            labels=labels,
            speaker_embeddings=self.one_hot(speaker),
        )
        error = ((made.spectrogram - labels).abs() * ~outside[:, :, None]).sum() / (whole.sum() * labels.shape[2])
        return made.loss, {"error after the postnet": error.detach()}

    def one_hot(self, speaker: Tensor) -> Tensor:
        """(B, speakers) of (B,)."""
        return torch.nn.functional.one_hot(speaker, self.net.config.speaker_embedding_dim).float()

    @cached_property
    def pipeline(self) -> TextToAudioPipeline:
        """`pipeline("text-to-speech")` over this net; the vocoder it is given hands the mel on, to be sounded by any."""
        device = next(self.net.parameters()).device
        return TextToAudioPipeline(
            model=self.net.eval(), tokenizer=tokenizer(self.config.symbols), vocoder=AsMel(self.config), device=device
        )

    def say(self, reading: Reading, speaker: int, rng: torch.Generator) -> Utterance:
        """One sentence, through the pipeline. Its prenet drops out by the library's own draws, seeded from `rng`."""
        n = len(reading.ids)
        device = next(self.net.parameters()).device
        asked: dict[str, Any] = {
            "speaker_embeddings": self.one_hot(torch.tensor([speaker], device=device)),
            "maxlenratio": self.experience.most_frames(n) / n,
            "threshold": STOPS,
            "output_cross_attentions": True,
        }
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
            mel = torch.from_numpy(self.pipeline(written(reading), forward_params=asked)["audio"])
        attention = self.pipeline.vocoder.attention
        steps = attention.shape[2]
        ended = steps < int(n * asked["maxlenratio"] / self.config.reduction)
        stop = torch.zeros(steps)
        stop[-1] = float(ended)  # the library does not say how probable the end was before
        return Utterance(mel.view(-1, self.config.front.mels), clearest(attention), stop, ended)


class AsMel(nn.Module):
    """What the pipeline takes for its vocoder: the mel as it is, in log10, and the attention that came with it, kept."""

    def __init__(self, config: Any):
        super().__init__()
        self.config = SimpleNamespace(sampling_rate=config.sample_rate)
        self.attention = torch.zeros(0)

    def forward(self, made: tuple[Tensor, Tensor]) -> Tensor:
        mel, attention = made
        self.attention = attention.float().cpu()  # (layers, heads, steps, N)
        return restored(mel.float())


def clearest(attention: Tensor) -> Tensor:
    """Of the attentions (layers, heads, steps, N) of one utterance the surest, (steps, N)."""
    every = attention.flatten(0, 1)
    return every[int(every.amax(2).mean(1).argmax())]


# --- The tokenizer --------------------------------------------------------------------------------------------


def written(reading: Reading) -> str:
    """A text's symbols as the tokenizer splits them."""
    return " ".join(WORD_BREAK if symbol == BLANK else symbol for symbol in reading.symbols)


def tokenizer(symbols: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """A tokenizer of the library that gives our numbers: one word, one symbol, and END after them."""
    vocabulary = {WORD_BREAK if symbol == BLANK else symbol: i for i, symbol in enumerate(symbols)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, vocabulary[END])])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=END, unk_token=PAD)


# --- Files ----------------------------------------------------------------------------------------------------


def save(model: Model, folder: Path) -> None:
    """A folder that `pipeline("text-to-speech", model=folder, vocoder=...)` speaks from."""
    model.net.save_pretrained(folder, safe_serialization=True)
    tokenizer(model.config.symbols).save_pretrained(folder)
    met = {name: value.contiguous() for name, value in model.experience.state_dict().items()}
    save_file(met, folder / EXPERIENCE)


def load(folder: Path, config: Any, kind: type[Model] = Model) -> Model:
    net = SpeechT5ForTextToSpeech.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    for weight in net.parameters():  # mapped from the file they lie at odd addresses, where sums are rounded otherwise
        weight.data = weight.data.clone()
    model = kind(config, net)
    model.experience.load_state_dict(load_file(folder / EXPERIENCE))
    return model
