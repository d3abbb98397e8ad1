"""Looks at a Tacotron: what it says, where it looks while it says it, how it ends, and what each part adds to the sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from playground import alignment, controls
from playground.alignment import TIME
from playground.contract import (
    Audio,
    Control,
    Curve,
    HeatMap,
    Mel,
    Output,
    Scene,
    Table,
    Text,
    View,
    Words,
)
from playground.families.speech.tacotron.model import Tacotron, Uttered, whole_steps
from playground.signal.griffin_lim import griffin_lim
from playground.speaking import CONTROLS, aloud, first, seconds_of
from playground.spoken_batches import level_mel, restored
from playground.text import Reading

ROUGH = 4
"""Iterations of a Griffin-Lim that has hardly begun."""
MEL_BAND: Text = {"en": "mel band", "ko": "멜 대역"}


# --- What is to be said ---------------------------------------------------------------------------------------


def utterance(model: Tacotron, scene: Scene, speaker: int | None, **texts: str | None) -> tuple[Reading, Uttered]:
    reading = first(model, texts)
    return reading, model.say(reading, speaker or 0, scene.rng)


# --- Views ----------------------------------------------------------------------------------------------------


def generate(model: Tacotron, scene: Scene, speaker: int | None = None, **texts: str | None) -> Iterator[list[Output]]:
    yield from aloud(model, scene, speaker, texts)


def align(model: Tacotron, scene: Scene) -> Iterator[list[Output]]:
    reading, mel, voice, _ = held_out(model, scene)
    told = attention_told(model, reading, mel, voice)
    free = model.say(reading, voice, scene.rng)
    seconds = seconds_of(model, len(mel))
    led: Text = {"en": "Told the recording's frames", "ko": "녹음의 프레임을 들으면서"}
    alone: Text = {"en": "Hearing only itself", "ko": "자기가 낸 소리만 들으면서"}
    yield [
        alignment.picture(told, seconds, led),
        alignment.picture(free.attention, seconds_of(model, len(free.mel)), alone),
        Words(figures(reading, told, free)),
        said_when(reading, free, model),
    ]


def figures(reading: Reading, told: Tensor, free: Uttered) -> Text:
    near = [100 * alignment.diagonality(a) for a in (told, free.attention)]
    sure = [100 * alignment.focus(a) for a in (told, free.attention)]
    kinds = alignment.faults(free.attention, free.ended)
    wrong = {k: ", ".join(alignment.FAULTS[kind][k] for kind in kinds) for k in ("en", "ko")}
    return {
        "en": f"“{reading.words}”: {near[0]:.0f}% of attention lies near the diagonal when it is told the recording, {near[1]:.0f}% "
        f"when it hears only itself; a step gives {sure[0]:.0f}% and {sure[1]:.0f}% of it to one symbol. "
        + (f"By itself it {wrong['en']}." if kinds else "By itself it says all of it, once, and ends."),
        "ko": f"“{reading.words}”: 녹음을 들을 때는 어텐션의 {near[0]:.0f}%가, 자기 소리만 들을 때는 {near[1]:.0f}%가 대각선 가까이에 "
        f"있습니다. 한 스텝은 그중 {sure[0]:.0f}%와 {sure[1]:.0f}%를 한 기호에 줍니다. "
        + (f"혼자 말할 때의 문제: {wrong['ko']}." if kinds else "혼자서도 전부를 한 번씩 말하고 끝냅니다."),
    }


def said_when(reading: Reading, heard: Uttered, model: Tacotron) -> Table:
    """How long it looks at each symbol."""
    path = heard.attention.argmax(1)
    step = 1000 * seconds_of(model, len(heard.mel)) / len(path)
    rows = [
        (symbol if symbol.strip() else "·", float(n * step))
        for symbol, n in zip(reading.symbols, torch.bincount(path, minlength=len(reading.ids)).tolist(), strict=False)
    ]
    return Table([{"en": "Symbol", "ko": "기호"}, {"en": "looked at for (ms)", "ko": "본 시간(ms)"}], rows)


def held_out(model: Tacotron, scene: Scene) -> tuple[Reading, Tensor, int, Tensor]:
    """A held-out recording drawn at random: how it reads, its mel (T, M) on a voice's scale, who speaks, its samples."""
    examples: Any = scene.examples()
    i = int(torch.randint(len(examples), (), generator=scene.rng))
    reading = model.config.alphabet.read(examples.texts[i])
    voice = 0 if examples.speakers is None else int(examples.speakers[i])
    return reading, level_mel(examples.audio(i), model.config.front).float(), voice, examples.audio(i)


def followed(model: Tacotron, reading: Reading, mel: Tensor, voice: int) -> Any:
    """What the decoder makes of a recording when it is told its frames."""
    device, r = model.symbols.weight.device, int(model.reduction)
    one = lambda value: torch.tensor([value], device=device)
    padded, steps = whole_steps(mel[None].to(device), one(len(mel)), r)
    return model.following(one(reading.ids), one(len(reading.ids)), padded, steps, one(voice), r)


def attention_told(model: Tacotron, reading: Reading, mel: Tensor, voice: int) -> Tensor:
    return followed(model, reading, mel, voice).attention[0].cpu()


def diagonality(model: Tacotron, scene: Scene, sentences: int) -> Iterator[list[Output]]:
    examples: Any = scene.examples()
    chosen = torch.randperm(len(examples), generator=scene.rng)[:sentences].tolist()
    near: list[float] = []
    sure: list[float] = []
    wrong: list[tuple[str, str]] = []
    for i in chosen:
        reading = model.config.alphabet.read(examples.texts[i])
        heard = model.say(reading, 0 if examples.speakers is None else int(examples.speakers[i]), scene.rng)
        near.append(alignment.diagonality(heard.attention))
        sure.append(alignment.focus(heard.attention))
        wrong += [(kind, reading.words) for kind in alignment.faults(heard.attention, heard.ended)]
        at = list(range(1, len(near) + 1))
        yield [
            Curve(
                {
                    "diagonality": (at, sorted(near, reverse=True)),
                    "focus": (at, sorted(sure, reverse=True)),
                },
                {"en": "held-out sentences, the best first", "ko": "학습에 없던 문장 (좋은 순)"},
                {"en": "share of attention", "ko": "어텐션의 비율"},
                {
                    "en": "Diagonality: near the diagonal; focus: on one symbol",
                    "ko": "diagonality: 대각선 근처에, focus: 한 기호에",
                },
            ),
            Words(tally(len(near), wrong)),
        ]


def tally(n: int, wrong: list[tuple[str, str]]) -> Text:
    """What went wrong in n sentences, each spoken once."""
    if not wrong:
        return {
            "en": f"None of {n} sentences went astray at its first try.",
            "ko": f"문장 {n}개 모두 첫 시도에 어긋나지 않았습니다.",
        }
    told = {k: "; ".join(f"{alignment.FAULTS[kind][k]}: “{words}”" for kind, words in wrong[:6]) for k in ("en", "ko")}  # type: ignore[index]
    return {
        "en": f"In {n} sentences, each spoken once, {len(wrong)} faults: {told['en']}.",
        "ko": f"문장 {n}개를 한 번씩 말했을 때 문제 {len(wrong)}건: {told['ko']}.",
    }


def stopping(
    model: Tacotron,
    scene: Scene,
    speaker: int | None = None,
    text: str | None = None,
    digits: str | None = None,
    text_ko: str | None = None,
) -> Iterator[list[Output]]:
    reading, heard = utterance(model, scene, speaker, text=text, digits=digits, text_ko=text_ko)
    steps, r = len(heard.stop), len(heard.mel) // len(heard.stop)
    at = [seconds_of(model, (k + 1) * r) for k in range(steps)]
    loud = heard.mel.mean(1).view(steps, r).amax(1)
    level = (loud - loud.min()) / (loud.max() - loud.min()).clamp_min(1e-6)
    place = heard.attention @ torch.arange(heard.attention.shape[1]).float() / max(1, heard.attention.shape[1] - 1)
    near_end = next((s for s, p in zip(at, heard.stop.tolist(), strict=True) if p > 0.1), at[-1])
    yield [
        Curve(
            {
                "p(end)": (at, heard.stop.tolist()),
                "level": (at, level.tolist()),
                "place": (at, place.tolist()),
            },
            TIME,
            {"en": "share", "ko": "비율"},
            {
                "en": "p(end): probability of the end; level: how loud; place: how far in the text it looks",
                "ko": "p(end): 끝날 확률, level: 소리 크기, place: 글에서 보고 있는 위치",
            },
        ),
        Words(
            {
                "en": f"“{reading.words}” "
                + ("ends" if heard.ended else "finds no end, and is cut off")
                + f" after {at[-1]:.2f} s. The end first becomes more probable than one in ten after {near_end:.2f} s.",
                "ko": f"“{reading.words}”: {at[-1]:.2f}초에 "
                + ("끝납니다" if heard.ended else "끝을 찾지 못해 잘립니다")
                + f". 끝날 확률이 10%를 처음 넘는 때는 {near_end:.2f}초입니다.",
            }
        ),
        Mel(heard.mel, model.config.sample_rate, {"en": f"“{reading.words}”", "ko": f"“{reading.words}” 문장"}),
    ]


def refining(
    model: Tacotron,
    scene: Scene,
    speaker: int | None = None,
    text: str | None = None,
    digits: str | None = None,
    text_ko: str | None = None,
) -> Iterator[list[Output]]:
    _, heard = utterance(model, scene, speaker, text=text, digits=digits, text_ko=text_ko)
    rate, seconds = model.config.sample_rate, seconds_of(model, len(heard.mel))
    added: Text = {"en": "What the postnet adds (dB)", "ko": "포스트넷이 더하는 것 (dB)"}
    yield [
        Mel(heard.before, rate, {"en": "As the decoder says it", "ko": "디코더가 말한 그대로"}),
        Mel(heard.mel, rate, {"en": "After the postnet", "ko": "포스트넷을 거친 뒤"}),
        HeatMap(20 * (heard.mel - heard.before).T, TIME, MEL_BAND, added, "bottom", (0, seconds)),
    ]


def vocoding(model: Tacotron, scene: Scene) -> Iterator[list[Output]]:
    reading, mel, voice, samples = held_out(model, scene)
    rate, front = model.config.sample_rate, model.config.front
    told = restored(followed(model, reading, mel, voice).after[0, : len(mel)].cpu())
    heard = model.say(reading, voice, scene.rng).mel
    outputs: list[Output] = [
        Audio(samples, rate, {"en": f"The recording: “{reading.words}”", "ko": f"녹음: “{reading.words}”"}),
        Mel(restored(mel), rate, {"en": "The recording's mel", "ko": "녹음의 멜"}),
        Mel(told, rate, {"en": "Ours, told the recording's frames", "ko": "우리 것: 녹음의 프레임을 들으며"}),
        Mel(heard, rate, {"en": "Ours, by itself", "ko": "우리 것: 혼자서"}),
    ]
    yield outputs
    rough = griffin_lim(heard, front, ROUGH).clamp(-1, 1)
    name: Text = {"en": f"Ours, by Griffin-Lim of {ROUGH} rounds", "ko": f"우리 것을 Griffin-Lim {ROUGH}번 반복으로"}
    yield [*outputs, Audio(rough, rate, name)]


SENTENCES = Control("sentences", "number", {"en": "Sentences", "ko": "문장 수"}, 10, low=2, high=50, step=1)

VIEWS = (
    View(
        "generate",
        {"en": "Speak", "ko": "말하기"},
        {
            "en": "Read a text aloud, sentence by sentence: the attention should climb the text in one go.",
            "ko": "글을 문장마다 소리 내어 읽습니다. 어텐션이 글을 단번에 타고 올라가야 합니다.",
        },
        CONTROLS,
        generate,
    ),
    View(
        "align",
        {"en": "Alignment", "ko": "정렬"},
        {
            "en": "Where attention lies in a sentence that it never learned from: told the recording, and by itself.",
            "ko": "배운 적 없는 문장에서 어텐션이 놓이는 곳: 녹음을 들으면서, 그리고 혼자서.",
        },
        (controls.seed(),),
        align,
        live=True,
    ),
    View(
        "diagonality",
        {"en": "Diagonality", "ko": "대각선 정도"},
        {
            "en": "How near to the diagonal, and how sure, attention is over many unseen sentences; and which went astray.",
            "ko": "처음 보는 여러 문장에서 어텐션이 대각선에 얼마나 가깝고 뚜렷한지, 어느 문장이 어긋나는지.",
        },
        (SENTENCES, controls.seed()),
        diagonality,
    ),
    View(
        "stopping",
        {"en": "Stop token", "ko": "정지 토큰"},
        {
            "en": "The probability of the end, step by step: it should stay at zero until the text has been said.",
            "ko": "스텝마다 끝날 확률. 글을 다 말할 때까지 0이어야 합니다.",
        },
        CONTROLS,
        stopping,
    ),
    View(
        "refining",
        {"en": "Postnet", "ko": "포스트넷"},
        {
            "en": "The spectrogram before and after the postnet: it sharpens what the decoder, a few frames at a step, blurs.",
            "ko": "포스트넷 전후의 스펙트로그램. 한 번에 여러 프레임을 말하는 디코더가 흐린 것을 또렷하게 합니다.",
        },
        CONTROLS,
        refining,
    ),
    View(
        "vocoding",
        {"en": "Where sound is lost", "ko": "소리를 잃는 곳"},
        {
            "en": "A recording, its mel, and ours, all by the vocoder that is chosen, beside one that has hardly begun.",
            "ko": "녹음, 그 멜, 우리 멜을 고른 보코더로 들려줍니다. 거의 반복하지 않은 Griffin-Lim도 함께 둡니다.",
        },
        (controls.seed(),),
        vocoding,
    ),
)
