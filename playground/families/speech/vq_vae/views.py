"""Looks at a VQ-VAE: recordings made, rebuilt and said by somebody else, and what the codes stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from playground import controls
from playground.contract import Audio, Control, Curve, DataInfo, HeatMap, Mel, Output, Scene, Table, Text, View, Words
from playground.controls import EACH_IN_TURN
from playground.families.speech.vq_vae.config import SAMPLE_BITS, Config
from playground.families.speech.vq_vae.model import RANGE, TEMPERATURE, VQVAE, up_to
from playground.quantising import perplexity
from playground.signal import edges

OWN_VOICE = -1
"""Value of the voice control: the recording's own speaker; for somebody unknown, the voice that fits best."""
AT_ONCE = 50
"""Held-out recordings that are coded together."""
REACH = 6
"""Codes to the right that a frame may still change with."""
STEP = 8
"""Codes between two partial drawings."""
MOST_VOICES = 8
MOST_CODES = 64
"""Codes that are drawn with the classes in which they are said."""
TIME: Text = {"en": "time (s)", "ko": "시간(초)"}


# --- What is looked at ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coded:
    """Recordings and their codes, end to end: codes (N,), the class of each or None, and the bits that the prior asks."""

    codes: Tensor
    labels: Tensor | None
    seconds: float
    prior_bits: float


@dataclass(frozen=True)
class Said:
    """One recording: samples (T,), and who says what, where that is known."""

    samples: Tensor
    label: int | None = None
    speaker: int | None = None


def chosen(scene: Scene, take: Audio | None) -> Said:
    """The person's recording without the silence around it, or a held-out one drawn at random."""
    if take is not None:
        return Said(edges.trim(take.samples, take.rate))
    examples = scene.examples()
    i = int(torch.randint(len(examples), (), generator=scene.rng))
    x, lengths, labels, speakers = examples.batch(torch.tensor([i]))
    known = lambda values: None if values is None else int(values[0])
    return Said(x[0, : int(lengths[0])], known(labels), known(speakers) or 0)


def coded(model: VQVAE, scene: Scene, n: int) -> Coded:
    """n held-out recordings, drawn at random, through the encoder."""
    examples = scene.examples()
    places = torch.randperm(len(examples), generator=scene.rng)[:n]
    codes, classes, samples, nats = [], [], 0, 0.0
    for part in places.split(AT_ONCE):
        x, lengths, labels, speakers = examples.batch(part)
        found, counts = model.encode(x, lengths)
        there = torch.arange(found.shape[1]) < counts[:, None]
        codes.append(found[there])
        classes.append(None if labels is None else labels[:, None].expand_as(found)[there])
        samples += int(lengths.sum())
        speakers = torch.zeros_like(part) if speakers is None else speakers
        label = labels if model.config.labels else None
        nats += float(model.prior.nats(found, counts, label, speakers)[0].sum())
    labelled = [part for part in classes if part is not None]
    return Coded(
        torch.cat(codes),
        torch.cat(labelled) if labelled else None,
        samples / model.config.sample_rate,
        nats / math.log(2),
    )


def speakers_for(speaker: int | None, n: int, config: Config) -> Tensor:
    """(n,) speakers for a value of the speaker control: each in turn, or one; the only one where it was not shown."""
    if speaker is None or speaker == EACH_IN_TURN:
        return torch.arange(n) % config.voices
    return torch.full((n,), speaker)


def named(info: DataInfo, label: int | None, speaker: int | None, place: int = 0) -> Text:
    """What stands over a recording: what is said, and by whom."""
    word = None if label is None or not info.class_names else info.class_names[label]
    voice = None if speaker is None or not info.speakers else info.speakers[speaker]
    if word is None and voice is None:
        return {"en": f"Recording {place + 1}", "ko": f"녹음 {place + 1}"}
    if voice is None:
        return {"en": f"“{word}”", "ko": f"‘{word}’"}
    if word is None:
        return {"en": f"Voice: {voice}", "ko": f"목소리: {voice}"}
    return {"en": f"“{word}”, voice: {voice}", "ko": f"‘{word}’, 목소리: {voice}"}


def shades(codebook: Tensor) -> Tensor:
    """(K,) a number in [0, 1] for each code, near for codes that are alike: its place along their first principal axis."""
    centred = codebook - codebook.mean(0)
    along = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[0]
    return along.argsort().argsort() / max(1, len(codebook) - 1)


# --- Making ---------------------------------------------------------------------------------------------------


def generate(
    model: VQVAE, scene: Scene, n: int, temperature: float, label: int | None = None, speaker: int | None = None
) -> Iterator[list[Output]]:
    labels = controls.labels_for(label, n, scene.info)
    speakers = speakers_for(speaker, n, model.config)
    said = [None] * n if labels is None else labels.tolist()
    titles = [named(scene.info, said[i], int(speakers[i]), i) for i in range(n)]

    def drawn(counts: Tensor) -> list[Output]:
        mels = model.decode(moment.codes, moment.counts, speakers)
        settled = [mel[:k] for mel, k in zip(mels, (counts * model.config.stride).tolist(), strict=True)]
        return [Mel(mel, model.config.sample_rate, title) for mel, title in zip(settled, titles, strict=True)]

    for moment in model.drawing(labels, speakers, rng=scene.rng, temperature=temperature):
        so_far = moment.codes.shape[1]
        if so_far % STEP == 0:
            ended = moment.counts < so_far
            settled = torch.where(ended, moment.counts, (moment.counts - REACH).clamp(min=1))
            yield drawn(settled)
    yield drawn(moment.counts)


# --- Through the codes and back -------------------------------------------------------------------------------


def reconstruct(model: VQVAE, scene: Scene, take: Audio | None, voice: int | None = None) -> Iterator[list[Output]]:
    config, said = model.config, chosen(scene, take)
    x, lengths = said.samples[None], torch.tensor([len(said.samples)])
    level, frames = model.heard(x, lengths)
    codes, counts = model.codes_of(level, frames)
    candidates = list(range(config.voices)) if said.speaker is None else [said.speaker]
    if voice is not None and voice != OWN_VOICE:
        candidates = [voice]
    rebuilt = [model.decode(codes, counts, torch.tensor([v]))[0] for v in candidates]
    errors = [decibels(level, frames, mel) for mel in rebuilt]
    best = min(range(len(errors)), key=errors.__getitem__)
    n, seconds = int(counts[0]), len(said.samples) / config.sample_rate
    title: Text = {"en": "As recorded", "ko": "원본"}
    of = named(scene.info, said.label, candidates[best])
    after: Text = {"en": f"From its codes, {of['en']}", "ko": f"코드에서 복원, {of['ko']}"}
    size = config.sample_rate * SAMPLE_BITS // 8 * seconds
    bits = math.ceil(math.log2(config.codes))
    words: Text = {
        "en": f"{seconds:.2f} seconds are {n} codes of {bits} bits: {n * bits / 8:.0f} bytes instead of {size:,.0f}. Over "
        f"time and frequency the level is off by {errors[best]:.1f} dB.",
        "ko": f"{seconds:.2f}초가 {bits}비트 코드 {n}개입니다. {size:,.0f}바이트가 {n * bits / 8:.0f}바이트로 줄었습니다. 시간과 "
        f"주파수에 걸쳐 크기 오차는 {errors[best]:.1f} dB입니다.",
    }
    yield [
        Mel(rebuilt[best], config.sample_rate, after),
        Audio(said.samples, config.sample_rate, title),
        Words(words),
    ]


def decibels(level: Tensor, frames: Tensor, mel: Tensor) -> float:
    """Root mean square error in dB of a mel spectrogram (L, M) beside what was heard, level (1, M, L)."""
    n = int(frames[0])
    return 20 * float((mel[:n] + RANGE - level[0, :, :n].T).square().mean().sqrt())


def swap(model: VQVAE, scene: Scene, take: Audio | None) -> Iterator[list[Output]]:
    config, said = model.config, chosen(scene, take)
    codes, counts = model.encode(said.samples[None], torch.tensor([len(said.samples)]))
    voices = torch.arange(min(config.voices, MOST_VOICES))
    n = len(voices)
    mels = model.decode(codes.expand(n, -1), counts.expand(n), voices)
    of: Text = {"en": "As recorded", "ko": "원본"}
    if said.label is not None or said.speaker is not None:
        whose = named(scene.info, said.label, said.speaker)
        of = {"en": f"As recorded, {whose['en']}", "ko": f"원본, {whose['ko']}"}
    yield [
        Audio(said.samples, config.sample_rate, of),
        *[Mel(mel, config.sample_rate, named(scene.info, None, v)) for v, mel in enumerate(mels)],
    ]


# --- Looking at codes -----------------------------------------------------------------------------------------


def raster(model: VQVAE, scene: Scene, take: Audio | None) -> Iterator[list[Output]]:
    config, said = model.config, chosen(scene, take)
    level, frames = model.heard(said.samples[None], torch.tensor([len(said.samples)]))
    codes, counts = model.codes_of(level, frames)
    row = codes[0, : int(counts[0])]
    order = list(dict.fromkeys(row.tolist()))  # in which they first come
    z_e = model.coder.encoder(level, up_to(frames, level.shape[2]))[0, :, : len(row)].T  # (N, D)
    distance = torch.cdist(model.coder.codebook[order], z_e)  # (codes, N)
    near = (distance.amin(0) / distance.clamp_min(1e-9)).square()
    which: Text = {
        "en": f"Which code when: {len(row)} codes, {len(order)} different ones. Bright: the one taken; the others as near as "
        "they lay",
        "ko": f"언제 어떤 코드인지: 코드 {len(row)}개, 서로 다른 것 {len(order)}개. 가장 밝은 것이 고른 코드이고, 나머지는 가까웠던 "
        "만큼 밝습니다",
    }
    first: Text = {"en": "codes, as they first come", "ko": "코드 (처음 나온 순)"}
    listed = " ".join(map(str, row.tolist()))
    numbers: Text = {"en": f"Its codes by number: {listed}", "ko": f"코드 번호: {listed}"}
    yield [
        Audio(said.samples, config.sample_rate, named(scene.info, said.label, said.speaker)),
        HeatMap(near, TIME, first, which, x_range=(0, len(row) / config.codes_a_second)),
        *takes(model, scene, said.label),
        Words(numbers),
    ]


def takes(model: VQVAE, scene: Scene, label: int | None) -> list[Output]:
    """Held-out recordings of the same word, a row each, their codes as shades: like shades stand for like codes."""
    examples = scene.examples()
    label = 0 if label is None else label
    same = torch.arange(len(examples)) if examples.labels is None else torch.nonzero(examples.labels == label).flatten()
    some = same[torch.randperm(len(same), generator=scene.rng)[:12]].sort().values
    if not len(some):
        return []
    x, lengths, _, _ = examples.batch(some)
    codes, counts = model.encode(x, lengths)
    there = torch.arange(codes.shape[1]) < counts[:, None]
    shade = torch.where(there, 0.15 + 0.85 * shades(model.coder.codebook)[codes], 0.0)
    word = "" if examples.labels is None else scene.info.class_names[label]
    title: Text = {
        "en": f"Other recordings{f' of “{word}”' if word else ''}: like shades are like codes",
        "ko": f"다른 녹음{f' (‘{word}’)' if word else ''}: 비슷한 색은 비슷한 코드",
    }
    seconds = codes.shape[1] / model.config.codes_a_second
    return [HeatMap(shade, TIME, {"en": "recording", "ko": "녹음"}, title, x_range=(0, seconds))]


def codebook(model: VQVAE, scene: Scene, recordings: int) -> Iterator[list[Output]]:
    config, found = model.config, coded(model, scene, recordings)
    often = torch.bincount(found.codes, minlength=config.codes)
    share = often.sort(descending=True).values.float() / often.sum()
    open_to, used = float(perplexity(often)), int((often > 0).sum())
    words: Text = {
        "en": f"{used} of {config.codes} codes are used. Their perplexity is {open_to:.0f}: the choice is as open as one "
        f"among {open_to:.0f} codes used alike.",
        "ko": f"코드 {config.codes}개 중 {used}개가 쓰입니다. 퍼플렉시티는 {open_to:.0f}로, {open_to:.0f}개를 고르게 쓰는 것과 같습니다.",
    }
    bars = Curve(
        {"share": (list(range(1, config.codes + 1)), share.tolist())},
        {"en": "code, by use", "ko": "코드 (많이 쓰는 순)"},
        {"en": "share of places", "ko": "자리의 비율"},
        style="bars",
    )
    yield [bars, Words(words)]


def meanings(model: VQVAE, scene: Scene, recordings: int) -> Iterator[list[Output]]:
    config, info, found = model.config, scene.info, coded(model, scene, recordings)
    assert found.labels is not None
    joint = torch.zeros(config.codes, info.classes)
    joint.index_put_((found.codes, found.labels), torch.ones(len(found.codes)), accumulate=True)
    often = joint.sum(1)
    share = joint / often[:, None].clamp(min=1)  # p(class | code)
    most, best = share.max(1)
    used = often > 0
    shown = often.topk(min(MOST_CODES, int(used.sum()))).indices.tolist()
    shown.sort(key=lambda k: (int(best[k]), -float(most[k])))
    mostly = int((most[used] > 0.5).sum())
    p = joint / joint.sum()
    told = torch.special.entr(p.sum(0)).sum() + torch.special.entr(p.sum(1)).sum() - torch.special.entr(p).sum()
    bits, all_bits = float(told) / math.log(2), float(torch.special.entr(p.sum(0)).sum()) / math.log(2)
    words: Text = {
        "en": f"One code tells {bits:.1f} of the {all_bits:.1f} bits that name the class: it is nearer to a sound than to a "
        f"word. {mostly} of the {int(used.sum())} codes used are said mostly in one class.",
        "ko": f"코드 하나는 클래스를 가리키는 {all_bits:.1f}비트 중 {bits:.1f}비트를 알려 줍니다. 낱말보다는 소리에 가깝습니다. 쓰인 "
        f"코드 {int(used.sum())}개 중 {mostly}개는 주로 한 클래스에서 나옵니다.",
    }
    names = ", ".join(info.class_names[:20])
    title: Text = {
        "en": f"In which class the {len(shown)} codes used most are said, from the top: {names}",
        "ko": f"가장 많이 쓰는 코드 {len(shown)}개가 어느 클래스에서 나오는지, 위에서부터: {names}",
    }
    across: Text = {"en": "code, by class", "ko": "코드 (클래스 순)"}
    yield [HeatMap(share[shown].T, across, {"en": "class", "ko": "클래스"}, title), Words(words)]


def bit_rate(model: VQVAE, scene: Scene, recordings: int) -> Iterator[list[Output]]:
    config, found = model.config, coded(model, scene, recordings)
    whole = config.sample_rate * SAMPLE_BITS
    often = torch.bincount(found.codes, minlength=config.codes)
    entropy = math.log2(max(1.0, float(perplexity(often))))
    rows: list[tuple[Text, float]] = [
        ({"en": f"samples of {SAMPLE_BITS} bits", "ko": f"{SAMPLE_BITS}비트 표본"}, whole),
        ({"en": "codes, all numbered alike", "ko": "코드 (모두 같은 길이로)"}, config.bits_a_second),
        ({"en": "codes, frequent ones shorter", "ko": "코드 (자주 쓰는 것을 짧게)"}, entropy * config.codes_a_second),
        ({"en": "codes, as the prior foresees them", "ko": "코드 (사전 분포의 예측으로)"}, found.prior_bits / found.seconds),
    ]  # fmt: skip
    columns: list[Text] = [
        {"en": "Stored as", "ko": "저장 방식"},
        {"en": "bits a second", "ko": "초당 비트"},
        {"en": "times smaller", "ko": "압축 배율"},
    ]
    words: Text = {
        "en": f"{config.codes_a_second:.1f} codes a second, measured on {found.seconds:.0f} seconds of held-out speech. The "
        "loudness of a recording and who speaks are not in the codes.",
        "ko": f"1초에 코드 {config.codes_a_second:.1f}개이며, 시험 음성 {found.seconds:.0f}초에서 잰 값입니다. 녹음의 음량과 "
        "말하는 사람은 코드에 들어 있지 않습니다.",
    }
    yield [
        Table(columns, [(what, f"{bits:,.0f}", f"{whole / max(bits, 1e-9):,.0f}") for what, bits in rows]),
        Words(words),
    ]


# --- What they are shown with ---------------------------------------------------------------------------------


def _has_voices(config: Config, info: DataInfo) -> bool:
    return config.voices > 1


def _has_classes(config: Config, info: DataInfo) -> bool:
    return config.classes > 1


def _voices(config: Config, info: DataInfo) -> list[tuple[Text, int]]:
    return [({"en": name, "ko": name}, i) for i, name in enumerate(info.speakers)]


def _speakers(config: Config, info: DataInfo) -> list[tuple[Text, int]]:
    each: Text = {"en": "each in turn", "ko": "차례로 모두"}
    return [(each, EACH_IN_TURN), *_voices(config, info)]


def _own_or_voices(config: Config, info: DataInfo) -> list[tuple[Text, int]]:
    own: Text = {"en": "its own; yours: what fits best", "ko": "원래 목소리 (내 녹음은 가장 맞는 것)"}
    return [(own, OWN_VOICE), *_voices(config, info)]


SPEAKER = Control(
    "speaker", "choice", {"en": "Speaker", "ko": "말하는 사람"}, EACH_IN_TURN, choices=_speakers, when=_has_voices
)
VOICE = Control("voice", "choice", {"en": "Voice", "ko": "목소리"}, OWN_VOICE, choices=_own_or_voices, when=_has_voices)
TAKE = Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}, high=10.0)
COUNT = Control("n", "number", {"en": "Recordings", "ko": "녹음 수"}, default=6, low=1, high=30, step=1)
WARMTH = Control(
    "temperature",
    "number",
    {"en": "Temperature (0: the likeliest)", "ko": "온도 (0: 가장 그럴듯한 것)"},
    default=TEMPERATURE,
    low=0.0,
    high=2.0,
    step=0.05,
)
HELD_OUT = Control(
    "recordings", "number", {"en": "Held-out recordings", "ko": "시험 녹음 수"}, default=200, low=8, high=1000, step=1
)
GENERATE_CONTROLS = (controls.label(), SPEAKER, COUNT, WARMTH, controls.seed())

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "The prior writes a row of codes for a word and a speaker; the decoder says it.",
            "ko": "사전 분포가 낱말과 사람에 맞는 코드를 한 줄 쓰고, 복호기가 그것을 소리로 냅니다.",
        },
        GENERATE_CONTROLS,
        generate,
    ),
    View(
        "reconstruct",
        {"en": "Reconstruct", "ko": "복원"},
        {
            "en": "A recording, and what is left of it when only its codes are kept: the words stay, the noise goes.",
            "ko": "녹음과, 코드만 남겼을 때 되살아나는 소리입니다. 말은 남고 잡음은 사라집니다.",
        },
        (TAKE, VOICE, controls.seed()),
        reconstruct,
        live=True,
    ),
    View(
        "swap",
        {"en": "Speaker swap", "ko": "목소리 바꾸기"},
        {
            "en": "One row of codes, said by every voice: what is said stays, who says it changes.",
            "ko": "같은 코드를 여러 목소리로 말합니다. 말의 내용은 그대로이고 목소리만 바뀝니다.",
        },
        (TAKE, controls.seed()),
        swap,
        when=_has_voices,
    ),
    View(
        "raster",
        {"en": "Codes over time", "ko": "시간에 따른 코드"},
        {
            "en": "Which code stands for which moment of the sound; the same word gives like codes again.",
            "ko": "소리의 순간마다 어떤 코드가 쓰이는지 봅니다. 같은 낱말에서는 비슷한 코드가 다시 나옵니다.",
        },
        (TAKE, controls.seed()),
        raster,
    ),
    View(
        "codebook",
        {"en": "Codebook", "ko": "코드북"},
        {
            "en": "How often each code is used. A few that do all the work are a collapse.",
            "ko": "코드마다 쓰이는 빈도입니다. 몇 개만 쓰이면 코드북 붕괴입니다.",
        },
        (HELD_OUT, controls.seed()),
        codebook,
        live=True,
    ),
    View(
        "meanings",
        {"en": "Codes by word", "ko": "낱말별 코드"},
        {
            "en": "In which words each code is said. Nobody told the codebook of words.",
            "ko": "코드마다 어떤 낱말에서 나오는지 봅니다. 코드북은 낱말을 배운 적이 없습니다.",
        },
        (HELD_OUT, controls.seed()),
        meanings,
        when=_has_classes,
    ),
    View(
        "bit_rate",
        {"en": "Bit rate", "ko": "비트율"},
        {
            "en": "How many bits a second of speech takes, as samples and as codes.",
            "ko": "음성 1초가 표본으로, 코드로 각각 몇 비트인지 봅니다.",
        },
        (HELD_OUT, controls.seed()),
        bit_rate,
    ),
)
