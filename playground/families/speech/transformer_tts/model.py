"""The whole: a text is encoded once, the decoder draws r frames a step, and says when it has come to the end.

Mels inside are on a voice's scale (`spoken_batches`); what is spoken is log10 mels of the one front end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.alignment import guided_weights
from playground.families.speech.transformer_tts import samplers
from playground.families.speech.transformer_tts.config import Config
from playground.families.speech.transformer_tts.nets import (
    Convolutions,
    DecoderLayer,
    EncoderLayer,
    Past,
    Positions,
    Prenet,
)
from playground.speaking import Experience, Utterance
from playground.spoken_batches import SILENCE, SYNTHETIC, restored, scaled
from playground.text import Reading

STOP_WEIGHT = 5.0
"""What the one last step of an utterance counts among all those that are not (section 3.7: "positive weight")."""
GUIDE, GUIDE_WIDTH = 10.0, 0.2
"""What guided attention counts beside the other two terms, and Tachibana's g."""


class Text(NamedTuple):
    """An encoded text. memory (B, N, D); seen (B, 1, 1, N): which symbols there are; among: weights of each encoder layer."""

    memory: Tensor
    seen: Tensor
    speaker: Tensor
    among: list[Tensor]


class Drawn(NamedTuple):
    """before, after the postnet (B, r T, bands); stop (B, T) logits; weights of each decoder layer."""

    before: Tensor
    after: Tensor
    stop: Tensor
    on_text: list[Tensor]
    among: list[Tensor]


@dataclass(frozen=True, eq=False)
class Speech:
    """What was said: mel (F, bands) log10, and before the postnet; stop (T,) probabilities; attention
    (layers, H, T, N); whether the end was reached; how many heads of each layer are guided."""

    mel: Tensor
    before: Tensor
    stop: Tensor
    attention: Tensor
    ended: bool
    guided: int

    @property
    def alignment(self) -> Tensor:
        """(T, N): the mean of the guided heads of all layers."""
        return self.attention[:, : self.guided].mean((0, 1))

    @property
    def utterance(self) -> Utterance:
        return Utterance(self.mel, self.alignment, self.stop, self.ended)


class TransformerTTS(nn.Module):
    encoder: Any
    decoder: Any

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width, bands, filters = config.width, config.front.mels, config.filters
        self.embed = nn.Embedding(len(config.symbols), width, padding_idx=0)
        self.text_prenet = Convolutions([width, filters, filters, filters], config.dropout, tanh=False)
        # After a rectifier all is positive; a projection centres it, as positions are (section 3.3).
        self.text_in, self.frame_in = nn.Linear(filters, width), nn.Linear(config.prenet, width)
        self.speaker = nn.Embedding(config.voices + SYNTHETIC, width)
        self.text_place, self.frame_place = Positions(config), Positions(config)
        self.drop = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.prenet = Prenet(config, bands)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.to_frames, self.to_stop = nn.Linear(width, config.reduction * bands), nn.Linear(width, 1)
        self.postnet = Convolutions([bands, *[filters] * 4], config.dropout, tanh=True)
        self.postnet_out = nn.Conv1d(filters, bands, 5, padding=2)
        self.experience = Experience(len(config.symbols))

    # --- The two halves ---------------------------------------------------------------------------------------

    def encode(self, symbols: Tensor, lengths: Tensor, speakers: Tensor) -> Text:
        """symbols (B, N) with zeros after each end, lengths (B,), speakers (B,)."""
        inside = torch.arange(symbols.shape[1], device=symbols.device) < lengths[:, None]  # (B, N)
        seen = inside[:, None, None]  # (B, 1, 1, N)
        x = self.drop(self.placed(symbols, inside))
        among = []
        for layer in self.encoder:
            x, weights = layer(x, seen)
            among.append(weights)
        who = self.speaker(speakers)[:, None]  # (B, 1, D)
        return Text(self.encoder_norm(x) + who, seen, who, among)

    def placed(self, symbols: Tensor, inside: Tensor) -> Tensor:
        """What the encoder reads (B, N, D): each symbol as its neighbours make it sound, and where it stands."""
        return self.text_place(self.text_in(self.text_prenet(self.embed(symbols), inside[..., None])))

    def pasts(self, text: Text) -> list[Past]:
        """What the decoder's layers remember before the first step."""
        return [Past(layer.cross_attend.remember(text.memory)) for layer in self.decoder]

    def decode(
        self, heard: Tensor, text: Text, pasts: Sequence[Past], first: int = 0, kept: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[Past], list[Tensor], list[Tensor]]:
        """The steps from `first` on, each after the frame that it has heard: heard (B, T, bands).

        kept: of the prenet, see there. Returns the frames before the postnet (B, r T, bands), logits of the end (B, T),
        the pasts with these steps in them, and the weights of each layer on the text and among the steps.
        """
        x = self.frame_in(self.prenet(heard, kept)) + text.speaker
        x = self.drop(self.frame_place(x, first))
        T = x.shape[1]
        before = None if T == 1 else torch.ones(T, first + T, dtype=torch.bool, device=x.device).tril(first)
        onward, on_text, among = [], [], []
        for layer, past in zip(self.decoder, pasts, strict=True):
            x, grown, own, cross = layer(x, past, before, text.seen)
            onward.append(grown)
            on_text.append(cross)
            among.append(own)
        x = self.decoder_norm(x)
        frames = self.to_frames(x).unflatten(2, (self.config.reduction, -1)).flatten(1, 2)  # (B, r T, bands)
        return frames, self.to_stop(x)[..., 0], onward, on_text, among

    def polish(self, before: Tensor, inside: Tensor) -> Tensor:
        """Frames after the postnet: what it adds makes them sharper. inside (B, F, 1)."""
        hidden = self.postnet(before, inside)
        return before + self.postnet_out((hidden * inside).transpose(1, 2)).transpose(1, 2)

    # --- Training ---------------------------------------------------------------------------------------------

    def whole_groups(self, mels: Tensor) -> Tensor:
        """Mels (B, F, bands) with silence after them up to a multiple of r frames."""
        return F.pad(mels.float(), (0, 0, 0, -mels.shape[1] % self.config.reduction), value=SILENCE)

    def draw(self, symbols: Tensor, lengths: Tensor, mels: Tensor, steps: Tensor, speakers: Tensor) -> Drawn:
        """Each group of r frames from the true ones before it. mels (B, r T, bands), of which steps (B,) groups count."""
        text = self.encode(symbols, lengths, speakers)
        r = self.config.reduction
        heard = F.pad(mels[:, r - 1 :: r][:, :-1], (0, 0, 1, 0))  # the last frame of the group before: (B, T, bands)
        before, stop, _, on_text, among = self.decode(heard, text, self.pasts(text))
        inside = torch.arange(mels.shape[1], device=mels.device)[:, None] < r * steps[:, None, None]  # (B, r T, 1)
        return Drawn(before, self.polish(before, inside), stop, on_text, among)

    def forward(
        self,
        symbols: Tensor,
        lengths: Tensor,
        mels: Tensor,
        frames: Tensor,
        speakers: Tensor,
        guide: float = 1.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective of a `Batch` and its terms; guide: 0 leaves attention to itself."""
        mels, steps = self.whole_groups(mels), -(-frames // self.config.reduction)
        drawn = self.draw(symbols, lengths, mels, steps, speakers)
        terms = losses(drawn, mels, steps, lengths, self.config.guided)
        loss = terms["absolute"] + terms["squared"] + terms["stop"] + guide * GUIDE * terms["guide"]
        return loss, {name: value.detach() for name, value in terms.items()}

    # --- Speech -----------------------------------------------------------------------------------------------

    def speak(
        self,
        ids: Sequence[int],
        speaker: int = 0,
        *,
        rng: torch.Generator,
        sampler: str = "cached",
        steady: bool = False,
        threshold: float = 0.5,
        linger: float = 0.0,
    ) -> Speech:
        """A sentence.

        It ends when the probability of that passes `threshold`, or unended where nobody would still be speaking. linger:
        seconds that it is made to go on after its end. steady: attention goes on from where it is (`samplers.window`).
        """
        front, r = self.config.front, self.config.reduction
        longest = -(-self.experience.most_frames(len(ids)) // r)
        made: list[samplers.Step] = []
        ended = False
        for step in samplers.SAMPLERS[sampler](self, self.text_of(ids, speaker), rng, steady):
            made.append(step)
            if step.stop > threshold and not ended:
                ended, longest = True, len(made) + round(linger * front.rate / front.hop / r)
            if len(made) >= longest:
                break
        before = torch.cat([step.frames for step in made])  # (F, bands)
        after = self.polish(before[None], torch.ones_like(before[None, :, :1]))[0]
        attention = torch.stack([step.on_text for step in made], dim=2)  # (layers, H, T, N)
        stop = torch.tensor([step.stop for step in made])
        return Speech(heard(after), heard(before), stop, attention.cpu(), ended, self.config.guided)

    def say(self, reading: Reading, speaker: int, rng: torch.Generator) -> Utterance:
        """The same, as all voices say it."""
        return self.speak(reading.ids, speaker, rng=rng).utterance

    def text_of(self, ids: Sequence[int], speaker: int) -> Text:
        """One text, encoded."""
        symbols, lengths, voice = self.asked(ids, speaker)
        return self.encode(symbols, lengths, voice)

    def asked(self, ids: Sequence[int], speaker: int) -> tuple[Tensor, Tensor, Tensor]:
        """(symbols (1, N), their number (1,), speaker (1,)) where the weights are."""
        device = self.speaker.weight.device
        whole = lambda value: torch.tensor([value], device=device)
        return whole(list(ids)), whole(len(ids)), whole(speaker)

    def read_along(self, ids: Sequence[int], mel: Tensor, speaker: int = 0) -> Speech:
        """A text as the decoder follows a recording's log10 mel (F, bands): each step hears the recording, not its own frames."""
        drawn = self.drawn_along(ids, mel, speaker)
        attention = torch.cat(drawn.on_text).cpu()  # (layers, H, T, N)
        stop = drawn.stop[0].sigmoid().cpu()
        return Speech(heard(drawn.after[0]), heard(drawn.before[0]), stop, attention, True, self.config.guided)

    def drawn_along(self, ids: Sequence[int], mel: Tensor, speaker: int) -> Drawn:
        symbols, lengths, voice = self.asked(ids, speaker)
        mels = self.whole_groups(scaled(mel)[None].to(symbols.device))
        steps = torch.full_like(lengths, mels.shape[1] // self.config.reduction)
        return self.draw(symbols, lengths, mels, steps, voice)


def heard(mel: Tensor) -> Tensor:
    """What was drawn as log10 mels (F, bands)."""
    return restored(mel).float().cpu()


def losses(
    drawn: Drawn, mels: Tensor, steps: Tensor, lengths: Tensor, guided: int, width: float = GUIDE_WIDTH
) -> dict[str, Tensor]:
    """What is wrong with what was drawn of mels (B, r T, bands), averaged over the whole batch. steps, lengths (B,).

    absolute, squared: error before and after the postnet. The absolute alone would have each frame be the median of what
    may come: in a pause, where speech may set in at any moment but at each one probably does not, that is silence for ever.
    stop: cross-entropy of the end, in nats. guide: attention of the
    guided heads away from the diagonal (Tachibana et al. 2017), averaged over steps and symbols.
    """
    T = drawn.stop.shape[1]
    r, place = mels.shape[1] // T, torch.arange(T, device=mels.device)
    inside = place < steps[:, None]  # (B, T)
    errors = torch.stack([drawn.before - mels, drawn.after - mels]).mul(inside.repeat_interleave(r, 1)[..., None])
    count = inside.sum() * r * mels.shape[2]
    last = place == steps[:, None] - 1
    ends = F.binary_cross_entropy_with_logits(
        drawn.stop.float(), last.float(), reduction="none", pos_weight=torch.full((1,), STOP_WEIGHT, device=mels.device)
    )
    attention = torch.cat([weights[:, :guided] for weights in drawn.on_text], dim=1)  # (B, layers * guided, T, N)
    astray = attention.float().mean(1) * guided_weights(lengths, steps, width)  # (B, T, N), 0 outside
    return {
        "absolute": errors.abs().sum() / count,
        "squared": errors.square().sum() / count,
        "stop": (ends * inside).sum() / inside.sum(),
        "guide": astray.sum() / (steps * lengths).sum(),
    }
