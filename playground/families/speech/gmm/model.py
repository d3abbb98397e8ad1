"""The two uses of a mixture of Gaussians in speech: saying a word, and lending one voice the words of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from playground.families.speech.gmm import takes as recorded
from playground.families.speech.gmm.config import ANYONE, CEPSTRA, Config
from playground.families.speech.gmm.mixture import Mixture
from playground.families.speech.gmm.takes import PITCH, Takes, evenly
from playground.signal.mlpg import mlpg, with_deltas, with_variance
from playground.signal.world import Features

POSITION, REST = slice(0, 1), slice(1, None)
"""Columns of a word's frames z = [position; static; delta; acceleration]."""
SOURCE, TARGET = slice(0, 3 * CEPSTRA), slice(3 * CEPSTRA, None)
"""Columns of a pair's frames z = [x; y], cepstra with delta and acceleration of both."""
TIMELY = 5.0
"""Weight of the position in k-means: clusters follow one another in time."""
PACE, TONE = 0.05, 0.02
"""Least standard deviation of log duration and of log F0 from take to take: one take says nothing of it."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one alignment makes of the takes. dynamic: all frames with their movement, (F, 3 static) float32.

    positions: (F,) within the word. routes: of each route the frames of the source and of the target, (L,) each.
    """

    takes: Takes
    dynamic: Tensor
    positions: Tensor
    routes: Sequence[tuple[Tensor, Tensor]]


class GMM(nn.Module):
    """Shapes: U = classes x voices, the units; R routes (see `Config.routes`); T frames of 5 ms.

    words: the density of [position; frame] for each unit. pairs: that of [x; y] for each route. The rest is counted.
    """

    heard: Tensor
    pace: Tensor
    pitch: Tensor
    voice: Tensor
    variance: Tensor
    word_scale: Tensor
    pair_scale: Tensor
    words: Mixture
    pairs: Mixture
    mixture: ClassVar[type[Any]] = Mixture
    """What the two are made of: of the counterpart, scikit-learn's."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        units, static, double = config.units, config.static, torch.float64
        self.words = self.mixture(units, config.components, 1 + 3 * static, config.covariance)
        self.pairs = self.mixture(len(config.routes), config.pair_components, 6 * CEPSTRA, config.pair_covariance)
        middling = torch.tensor([5.0, 0.1], dtype=double)
        self.register_buffer("heard", torch.zeros(units, dtype=torch.int64))  # takes of each unit
        self.register_buffer(
            "pace", torch.tensor([4.1, PACE], dtype=double).repeat(units, 1)
        )  # log frames: mean, deviation
        self.register_buffer("pitch", middling.repeat(units, 1))  # a take's log F0: mean, deviation
        self.register_buffer(
            "voice", middling.repeat(config.voices, 1)
        )  # a voice's log F0: mean of takes, deviation within one
        self.register_buffer(
            "variance", torch.ones(config.voices, static)
        )  # global variance within a take, (voices, static)
        # EM works in units of each column's deviation over all takes.
        self.register_buffer("word_scale", torch.ones(1 + 3 * static, dtype=double))
        self.register_buffer("pair_scale", torch.ones(6 * CEPSTRA, dtype=double))

    # --- Learning ---------------------------------------------------------------------------------------------

    def listen(self, takes: Takes) -> None:
        """What is counted rather than fitted: how long, how high and how varied each voice speaks."""
        config = self.config
        log_frames, voices = takes.lengths.double().log(), takes.units % config.voices
        overall = takes.pitch.nanmean() if not takes.pitch.isnan().all() else self.pitch[0, 0]
        for voice in voices.unique().tolist():
            mine = voices == voice
            own = takes.pitch[mine].nanmean().nan_to_num(float(overall))
            for unit in takes.units[mine].unique().tolist():
                these = takes.units == unit
                pitch = takes.pitch[these]
                pitch = pitch[~pitch.isnan()] if not pitch.isnan().all() else own[None]
                self.heard[unit] = int(these.sum())
                self.pace[unit] = _moments(log_frames[these], PACE)
                self.pitch[unit] = _moments(pitch, TONE)
            said: list[int] = torch.nonzero(mine)[:, 0].tolist()
            self.variance[voice] = torch.stack([takes.of(i).var(0, correction=0) for i in said]).mean(0)
            melody = torch.cat([takes.of(i)[takes.of(i)[:, PITCH + 1] > 0.5, PITCH] for i in said]).double()
            self.voice[voice, 0] = own
            self.voice[voice, 1] = melody.std(correction=0).clamp_min(TONE) if len(melody) else TONE

    def lesson(self, takes: Takes, by: GMM | None = None) -> Lesson:
        """The takes aligned: as they are, or by what the model `by` says and converts."""
        config = self.config
        placed = torch.zeros(len(takes.x), dtype=torch.float64)
        for unit in takes.units.unique().tolist():
            said = takes.said(unit)
            example = recorded.middle(takes, said) if by is None else by.trace(unit)
            for i in said:
                placed[takes.ends[i] : takes.ends[i + 1]] = recorded.positions(takes.of(i), example)
        dynamic = recorded.dynamic(takes, config.static)
        routes = []
        for r, route in enumerate(config.routes):
            pairs = recorded.couples(takes, config, route)
            sources = {i: takes.of(i) for i, _ in pairs}
            if by is not None:
                sources = by.rough(r, takes, dynamic, sorted(sources))
            routes.append(recorded.aligned(takes, pairs, sources))
        return Lesson(takes, dynamic, placed, routes)

    def trace(self, unit: int) -> Tensor:
        """The mean frames (T, static) of a unit at its mean pace, without smoothing."""
        mean, _ = self.frames(unit, round(float(self.pace[unit, 0].exp())))
        return mean[:, : self.config.static].float()

    def rough(self, r: int, takes: Takes, dynamic: Tensor, sources: Sequence[int]) -> dict[int, Tensor]:
        """Some takes of a route's source as the target's cepstra (T, CEPSTRA), frame by frame, without smoothing."""
        scale, static = self.pair_scale, slice(3 * CEPSTRA, 4 * CEPSTRA)
        made = {}
        for i in sources:
            x = _cepstra(dynamic[takes.ends[i] : takes.ends[i + 1]], self.config.static)
            mean, _ = self.pairs.regress(r, x.double() / scale[SOURCE], SOURCE, static)
            made[i] = (mean * scale[static]).float()
        return made

    def word_frames(self, lesson: Lesson, unit: int) -> Tensor:
        """z = [position; frame] (N, 1 + 3 static) of all takes of a unit, unscaled."""
        said = lesson.takes.said(unit)
        rows = slice(lesson.takes.ends[said[0]], lesson.takes.ends[said[-1] + 1])  # a unit's takes lie together
        return torch.cat([lesson.positions[rows, None], lesson.dynamic[rows].double()], dim=1)

    def pair_frames(self, lesson: Lesson, r: int) -> Tensor:
        """z = [x; y] (L, 6 CEPSTRA) of all couples of a route, unscaled."""
        cepstra = _cepstra(lesson.dynamic, self.config.static)
        return torch.cat([cepstra[rows] for rows in lesson.routes[r]], dim=1).double()

    def start(self, lesson: Lesson, floor: float, rng: torch.Generator | None) -> None:
        """Where EM begins: at the clusters of k-means; with no rng, with all Gaussians alike."""
        config = self.config
        deviation = lesson.dynamic.double().std(0).clamp_min(1e-6)
        self.word_scale.copy_(torch.cat([lesson.positions.std()[None], deviation]))
        self.pair_scale.copy_(_cepstra(deviation[None], config.static)[0].repeat(2))
        still = torch.arange(
            1 + config.static
        )  # the position and the static columns: movement is too noisy to cluster by
        weight = torch.ones(len(still), dtype=torch.float64)
        weight[0] = TIMELY
        for unit in lesson.takes.units.unique().tolist():
            z = self.word_frames(lesson, unit) / self.word_scale
            self._begin(self.words, unit, z, z[:, still] * weight, floor, rng)
        for r in self._learnable(lesson):
            z = self.pair_frames(lesson, r)
            both = torch.cat([z[:, :CEPSTRA], z[:, 3 * CEPSTRA : 4 * CEPSTRA]], dim=1)
            self._begin(self.pairs, r, z / self.pair_scale, both, floor, rng)

    @staticmethod
    def _begin(mixture: Mixture, g: int, z: Tensor, of: Tensor, floor: float, rng: torch.Generator | None) -> None:
        if rng is None:
            mixture.start_equal(g, z, floor)
        else:
            mixture.start(g, z, of, floor, rng)

    def em_step(self, lesson: Lesson, floor: float) -> tuple[float, float | None]:
        """One iteration of every mixture; the mean log-likelihoods before it of words and of pairs, in nats a frame.

        The second is None where there are no two voices that say the same.
        """
        word, frames = 0.0, 0
        for unit in lesson.takes.units.unique().tolist():
            z = self.word_frames(lesson, unit) / self.word_scale
            word += len(z) * self.words.em_step(unit, z, floor)
            frames += len(z)
        pair, couples = 0.0, 0
        for r in self._learnable(lesson):
            z = self.pair_frames(lesson, r) / self.pair_scale
            pair += len(z) * self.pairs.em_step(r, z, floor)
            couples += len(z)
        return word / frames, pair / couples if couples else None

    @staticmethod
    def _learnable(lesson: Lesson) -> list[int]:
        return [r for r, (source, _) in enumerate(lesson.routes) if len(source)]

    # --- Saying a word ----------------------------------------------------------------------------------------

    def unit(self, label: int, voice: int) -> tuple[int, int]:
        """(the unit of a word by a voice, the voice that it is): another's, where this one never said the word."""
        voices = [voice, *range(self.config.voices)]
        able = [v for v in voices if self.heard[label * self.config.voices + v]]
        found = able[0] if able else voice
        return label * self.config.voices + found, found

    def frames(self, unit: int, n: int) -> tuple[Tensor, Tensor]:
        """Mean and variance (n, 3 static) of a unit's frames at n even positions: regression of the frame on time."""
        scale = self.word_scale
        mean, variance = self.words.regress(unit, evenly(n)[:, None] / scale[POSITION], POSITION, REST)
        return mean * scale[REST], variance * scale[REST].square()

    def speak(
        self, label: int, voice: int = 0, *, rng: torch.Generator, spread: float = 0.5, share: float = 1.0
    ) -> Features:
        """A word by a voice. Its duration and pitch are drawn as they vary from take to take, times `spread`.

        share: how much of the global variance is given back to what regression has smoothed away, 0 to 1.
        """
        unit, voice = self.unit(label, voice)
        draw = spread * torch.randn(2, generator=rng, dtype=torch.float64)
        frames = int((self.pace[unit, 0] + self.pace[unit, 1] * draw[0]).exp().clamp(recorded.SHORTEST, 400).round())
        pitch = float(self.pitch[unit, 0] + self.pitch[unit, 1] * draw[1])
        y = mlpg(*self.frames(unit, frames)).float()  # (T, static)
        # Not the energy's, and not that of pitch and voicing, which would only exaggerate.
        variance = y.var(0, correction=0)
        variance[1:CEPSTRA] = self.variance[voice, 1:CEPSTRA]
        y = with_variance(y, variance, share)
        y[:, PITCH] += pitch
        return Features.of(y, self.config.sample_rate)

    # --- Lending a voice --------------------------------------------------------------------------------------

    def route(self, source: int, target: int) -> tuple[int, bool]:
        """(the route from a voice, or `ANYONE`, to another; whether it is gone backwards)."""
        routes = self.config.routes
        for found, backwards in (((source, target), False), ((target, source), True), ((ANYONE, target), False)):
            if found in routes:
                return routes.index(found), backwards
        raise ValueError(f"no route from {source} to {target}")

    def convert(self, spoken: Features, target: int, source: int = ANYONE, share: float = 1.0) -> Features:
        """What was spoken, as the voice `target` would: `analysed` features of a recording by `source`, or by anyone.

        Cepstra by the regression of y on x, smoothed (Toda et al. 2007, section IV), the global variance given back by
        `share`; log F0 moved from the recording's mean to the target's. Of a voice that is known, the melody is also
        stretched to the target's and the pace becomes the target's. Voicing and aperiodicity stay.
        """
        r, backwards = self.route(source, target)
        a, b = (TARGET, SOURCE) if backwards else (SOURCE, TARGET)
        scale = self.pair_scale
        x = with_deltas(spoken.cepstra).double() / scale[a]
        mean, variance = self.pairs.regress(r, x, a, b)
        cepstra = mlpg(mean * scale[b], variance * scale[b].square()).float()
        wanted = self.variance[target, :CEPSTRA].clone()
        wanted[0] = cepstra[:, 0].var(correction=0)
        cepstra = with_variance(cepstra, wanted, share)

        voiced = spoken.voicing > 0.5
        pitch = (spoken.log_f0[voiced] if voiced.any() else spoken.log_f0).mean()
        stretch = 1.0 if source == ANYONE else float(self.voice[target, 1] / self.voice[source, 1])
        log_f0 = float(self.voice[target, 0]) + stretch * (spoken.log_f0 - pitch)
        made = Features(cepstra, log_f0, spoken.voicing, spoken.aperiodicity, spoken.rate, spoken.frame_ms)
        return made if source == ANYONE else paced(made, self.haste(source, target))

    def haste(self, source: int, target: int) -> float:
        """How many times as long as the source the target takes for a word, on average over those that both said."""
        by_voice = (self.config.classes, self.config.voices)
        heard, pace = self.heard.view(by_voice) > 0, self.pace[:, 0].view(by_voice)
        both = heard[:, source] & heard[:, target]
        return float((pace[both, target] - pace[both, source]).mean().exp()) if both.any() else 1.0


def paced(spoken: Features, times: float) -> Features:
    """The same, so many times as long: frames between frames."""
    frames = max(recorded.SHORTEST, round(len(spoken) * times))
    matrix = nn.functional.interpolate(spoken.matrix().T[None], size=frames, mode="linear")[0].T
    return Features.of(matrix, spoken.rate, spoken.frame_ms)


def _moments(x: Tensor, least: float) -> Tensor:
    """(mean, standard deviation but at least so much) of some numbers, (2,)."""
    return torch.stack([x.mean(), x.std(correction=0).clamp_min(least)])


def _cepstra(dynamic: Tensor, static: int) -> Tensor:
    """Of frames with movement (F, 3 static), the cepstra with theirs: (F, 3 CEPSTRA)."""
    return torch.cat([dynamic[:, k * static : k * static + CEPSTRA] for k in range(3)], dim=1)
