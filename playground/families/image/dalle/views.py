"""Looks at a DALL-E: pictures for a text as their codes fill in, the judge's choice, and what the codes and words do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from playground import controls
from playground.contract import Control, Curve, DataInfo, HeatMap, Output, Scene, Sheet, Table, Text, View, Words
from playground.families.image.dalle.config import Config
from playground.families.image.dalle.model import DALLE, LIKELY
from playground.families.image.dalle.samplers import Choice, Moment
from playground.families.image.dalle.text import captions_of
from playground.quantising import perplexity

GREY = 0.6
"""Of places that have no code yet."""
FRAMES = {True: (0.1, 0.65, 0.25), False: (0.85, 0.15, 0.15)}
"""Colour of the frame around a picture by the checker's verdict."""
AXIS_X, AXIS_Y = {"en": "column", "ko": "열"}, {"en": "row", "ko": "행"}


# --- What is asked for ----------------------------------------------------------------------------------------


def asked(model: DALLE, text: str, n: int) -> list[str]:
    """n texts: the one given, or, where it is empty, captions that training had, in each of their languages in turn."""
    known: list[tuple[str, ...]] = model.text.examples if model.text else []
    if text.strip() or not known:
        return [text] * n
    chosen = [known[i % len(known)] for i in range(n)]
    return [variants[i % len(variants)] for i, variants in enumerate(chosen)]


def remarks(model: DALLE, text: str) -> list[Output]:
    """What a person should know of the text they gave: words that training never had, and what did not fit."""
    if not text.strip() or not model.text:
        return []
    found: list[Output] = []
    unknown, known = model.text.unknown(text), model.text.words
    if unknown:
        listed, some = ", ".join(unknown[:10]), ", ".join(known[:40])
        more_en, more_ko = (" and others", " 등") if len(known) > 40 else ("", "")
        found.append(
            Words(
                {
                    "en": f"Never seen in training: {listed}. To this model they are letters without a meaning, and the "
                    f"picture follows the rest. Words it knows: {some}{more_en}.",
                    "ko": f"학습할 때 본 적 없는 낱말: {listed}. 이 모델에는 뜻 없는 글자일 뿐이어서 그림은 나머지를 따릅니다. "
                    f"아는 낱말: {some}{more_ko}.",
                }
            )
        )
    left_out = model.text.overlong(text)
    if left_out:
        room = model.config.text_length - 1
        found.append(
            Words(
                {
                    "en": f"The text is too long by {left_out} tokens: the first {room} are read, the rest is not.",
                    "ko": f"글이 토큰 {left_out}개만큼 너무 깁니다. 앞의 {room}개만 읽고 나머지는 읽지 않습니다.",
                }
            )
        )
    return found


def sheet(pictures: Tensor, captions: Sequence[str] = (), columns: int = 0, title: Text | None = None) -> Sheet:
    return Sheet(pictures, captions, columns, title)


def so_far(model: DALLE, codes: Tensor) -> Tensor:
    """Pictures (B, C, H, W) of the codes (B, n) drawn so far, grey where there are none yet."""
    n, places = codes.shape[1], model.config.places
    # What is still to come is guessed to be like the first code, for the decoder sees over the edge.
    whole = torch.cat([codes, codes[:, :1].expand(-1, places - n)], dim=1)
    there = (torch.arange(places, device=codes.device) < n).view(model.config.grid)
    side = 2**model.config.halvings
    return torch.where(there.repeat_interleave(side, 0).repeat_interleave(side, 1), model.decode(whole), GREY)


def by_row(model: DALLE, way: Iterator[Moment]) -> Iterator[Moment]:
    """The moments at which a row of codes is full."""
    across = model.config.grid[1]
    return (moment for moment in way if moment.codes.shape[1] % across == 0)


def held_out(scene: Scene, n: int) -> tuple[Tensor, list[str]]:
    """n held-out pictures, drawn at random, with the first of their captions."""
    examples = scene.examples()
    chosen = torch.randperm(len(examples), generator=scene.rng)[:n]
    captions = captions_of(examples, scene.info)
    return examples.batch(chosen)[0], [captions[i][0] for i in chosen.tolist()]


# --- Drawing --------------------------------------------------------------------------------------------------


def generate(
    model: DALLE, scene: Scene, text: str, n: int, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    texts, told = asked(model, text, n), remarks(model, text)
    way = model.drawing(texts, rng=scene.rng, choice=Choice(temperature, top_k, top_p, guidance))
    for moment in by_row(model, way):
        yield [sheet(so_far(model, moment.codes), texts), *told]


def token_grid(
    model: DALLE, scene: Scene, text: str, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    texts, told = asked(model, text, 1), remarks(model, text)
    height, width = model.config.grid
    numbers = {
        "en": "Number of the code at each place (-1: none yet)",
        "ko": "자리마다 고른 코드의 번호 (-1: 아직 없음)",
    }
    openness = {"en": "How open each choice was (bits)", "ko": "선택지가 얼마나 열려 있었는지 (비트)"}
    way = model.drawing(texts, rng=scene.rng, choice=Choice(temperature, top_k, top_p, guidance))
    for moment in way:
        drawn = moment.codes.shape[1]
        if drawn % max(1, width // 2) and drawn < model.config.places:
            continue
        codes, bits = torch.full((height * width,), -1.0), torch.zeros(height * width)
        codes[:drawn], bits[:drawn] = moment.codes[0].float(), moment.bits[0]
        yield [
            sheet(so_far(model, moment.codes), texts),
            HeatMap(codes.view(height, width), AXIS_X, AXIS_Y, numbers),
            HeatMap(bits.view(height, width), AXIS_X, AXIS_Y, openness),
            *told,
        ]


def rerank(
    model: DALLE, scene: Scene, text: str, n: int, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    (text,) = asked(model, text, 1)
    texts, told = [text] * n, remarks(model, text)
    way = model.drawing(texts, rng=scene.rng, choice=Choice(temperature, top_k, top_p, guidance))
    for moment in by_row(model, way):
        yield [sheet(so_far(model, moment.codes), title={"en": f"Drawn for: {text}", "ko": f"그리는 중인 글: {text}"})]
    pictures = model.decode(moment.codes)
    scores = model.scores(pictures, texts)
    order = scores.argsort(descending=True)
    title = {
        "en": f"Best first, with the judge's score: {text}",
        "ko": f"좋은 것부터, 심사 모델의 점수와 함께: {text}",
    }
    yield [sheet(pictures[order], [f"{score:.2f}" for score in scores[order].tolist()], title=title), *told]


def prime(
    model: DALLE,
    scene: Scene,
    picture: Tensor | None,
    text: str,
    kept: float,
    temperature: float,
    top_k: int,
    top_p: float,
    guidance: float,
) -> Iterator[list[Output]]:
    copies = 5
    if picture is None:
        x, texts = held_out(scene, 4)
    else:
        x, texts = picture[None], [""]
    if text.strip():
        texts = [text] * len(x)
    height, width = model.config.grid
    rows = min(height - 1, max(1, round(kept * height)))
    begun = model.encode(x)[:, : rows * width].repeat_interleave(copies, 0)
    many = [one for one in texts for _ in range(copies)]
    choice = Choice(temperature, top_k, top_p, guidance if any(texts) else 0.0)
    title = {
        "en": "The picture, the rows that are given, and five ways to go on",
        "ko": "원본, 주어진 윗부분, 그리고 이어 그린 다섯 가지",
    }
    given = so_far(model, begun[::copies])
    captions = [caption for one in texts for caption in [one, *[""] * (copies + 1)]]
    for moment in by_row(model, model.drawing(many, rng=scene.rng, choice=choice, begun=begun)):
        drawn = so_far(model, moment.codes).unflatten(0, (len(x), copies))
        shown = torch.cat([x[:, None], given[:, None], drawn], dim=1)
        yield [sheet(shown.flatten(0, 1), captions, 2 + copies, title), *remarks(model, text)]


def unseen(
    model: DALLE, scene: Scene, n: int, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    real, texts = held_out(scene, n)
    choice = Choice(temperature, top_k, top_p, guidance)
    for moment in by_row(model, model.drawing(texts, rng=scene.rng, choice=choice)):
        yield [sheet(so_far(model, moment.codes), texts)]
    drawn = model.decode(moment.codes)
    checker = getattr(scene.examples(), "checker", None)
    if checker is None:
        title = {
            "en": "Held-out pictures, each followed by what its text gives",
            "ko": "시험 그림과, 그 글로 그린 그림",
        }
        both = torch.stack([real, drawn], dim=1).flatten(0, 1)
        yield [sheet(both, [caption for text in texts for caption in (text, "")], 8, title)]
        return
    right = [checker(text, picture) for text, picture in zip(texts, drawn, strict=True)]
    framed = torch.stack([frame(picture, verdict) for picture, verdict in zip(drawn, right, strict=True)])
    said = {
        "en": f"A program that reads pictures finds {sum(right)} of {n} fully right (green frame), in size, colour, shape and "
        "place of everything. No training picture had any of these texts.",
        "ko": f"그림을 읽는 프로그램이 보기에 {n}장 중 {sum(right)}장이 크기, 색, 모양, 위치까지 모두 맞습니다(초록 테두리). "
        "학습 그림에는 없던 글입니다.",
    }
    verdicts = {True: {"en": "right", "ko": "맞음"}, False: {"en": "wrong", "ko": "틀림"}}
    columns = [{"en": "Picture", "ko": "그림"}, {"en": "Asked for", "ko": "요청한 글"}, {"en": "Checker", "ko": "판정"}]
    rows = [(i + 1, text, verdicts[verdict]) for i, (text, verdict) in enumerate(zip(texts, right, strict=True))]
    yield [sheet(framed, [str(i + 1) for i in range(n)]), Words(said), Table(columns, rows)]


def frame(picture: Tensor, verdict: bool) -> Tensor:
    """A picture (3, H, W) with an edge of two pixels around it in the verdict's colour."""
    height, width = picture.shape[1:]
    colour = picture.new_tensor(FRAMES[verdict])[:, None, None]
    made = colour.expand(3, height + 4, width + 4).clone()
    made[:, 2:-2, 2:-2] = picture
    return made


def languages(
    model: DALLE, scene: Scene, n: int, temperature: float, top_k: int, top_p: float, guidance: float
) -> Iterator[list[Output]]:
    several = [variants[:2] for variants in model.text.examples if len(variants) > 1]
    if not several:
        none = {
            "en": "The captions of this model have one language.",
            "ko": "이 모델의 설명은 한 가지 언어로만 되어 있습니다.",
        }
        yield [Words(none)]
        return
    chosen = [several[i % len(several)] for i in torch.randperm(max(n, len(several)), generator=scene.rng)[:n].tolist()]
    title = {"en": "Above in English, below in Korean", "ko": "위는 영어, 아래는 한국어로 요청"}
    texts = [variants[language] for language in (0, 1) for variants in chosen]
    choice = Choice(temperature, top_k, top_p, guidance)
    for moment in by_row(model, model.drawing(texts, rng=scene.rng, choice=choice)):
        yield [sheet(so_far(model, moment.codes), texts, n, title)]


# --- Looking inside -------------------------------------------------------------------------------------------


def attention(model: DALLE, scene: Scene, picture: Tensor | None, text: str, layer: int) -> Iterator[list[Output]]:
    (text,) = asked(model, text, 1)
    if picture is None:
        *_, last = model.drawing([text], rng=scene.rng)
        codes = last.codes
    else:
        codes = model.encode(picture[None])
    config = model.config
    tokens = model.prior.joined(model.read([text]), codes)[:, :-1]
    weights = model.prior.attention(tokens)[:, 0]  # (layers, A, L, L)
    chosen = weights.mean((0, 1)) if layer == 0 else weights[layer - 1].mean(0)  # (L, L)
    asks = chosen[config.text_length - 1 :]  # (N, L): the token from which each code was chosen
    x = model.decode(codes)[0]
    side = 2**config.halvings
    pictures, captions = [x], [""]
    for word, start, stop in model.text.spans(text):
        share = asks[:, start:stop].sum(1).view(config.grid)
        bright = (share / share.max()).repeat_interleave(side, 0).repeat_interleave(side, 1)
        pictures.append(x * (0.15 + 0.85 * bright))
        captions.append(word)
    title = {
        "en": "The picture, and how much each place looked at each word while its code was chosen (bright: much)",
        "ko": "그림, 그리고 자리마다 코드를 고를 때 각 낱말을 본 정도 (밝을수록 많이)",
    }
    yield [sheet(torch.stack(pictures), captions, title=title), *remarks(model, text)]


def codebook(model: DALLE, scene: Scene, pictures: int) -> Iterator[list[Output]]:
    config = model.config
    codes = model.encode(held_out(scene, pictures)[0])
    often = torch.bincount(codes.flatten(), minlength=config.codes)
    falling, order = (often / often.sum()).sort(descending=True)
    open_to, used = float(perplexity(often)), int((often > 0).sum())
    said = {
        "en": f"{used} of {config.codes} codes are used by these pictures; perplexity {open_to:.1f}: as much variety as that "
        "many codes used equally often.",
        "ko": f"이 그림들은 코드 {config.codes}개 중 {used}개를 씁니다. 퍼플렉시티 {open_to:.1f}: 그만큼의 코드를 고르게 쓰는 "
        "것과 같은 다양함입니다.",
    }
    places = list(range(1, config.codes + 1))
    x_label, y_label = (
        {"en": "code, by use", "ko": "코드 (많이 쓰는 순)"},
        {"en": "share of places", "ko": "자리의 비율"},
    )
    # Each code alone: a whole picture of it, of which the middle is shown.
    alone = model.decode(order[:, None].expand(-1, config.places))
    top, left, side = alone.shape[2] // 2, alone.shape[3] // 2, 2**config.halvings
    middle = alone[:, :, top - side // 2 :, left - side // 2 :][:, :, :side, :side]
    title = {
        "en": "Each code repeated everywhere, the most used first",
        "ko": "코드 하나로 채운 그림, 많이 쓰는 것부터",
    }
    yield [
        Curve({"codes": (places, falling.tolist())}, x_label, y_label, style="bars"),
        Words(said),
        sheet(middle, columns=32, title=title),
    ]


def reconstruct(model: DALLE, scene: Scene, picture: Tensor | None) -> Iterator[list[Output]]:
    x = held_out(scene, 16)[0] if picture is None else picture[None]
    rebuilt = model.reconstruct(x)
    config = model.config
    error, bits = float((rebuilt - x).square().mean()), config.places * (config.codes - 1).bit_length()
    title = {"en": "Original and rebuilt from its codes, in pairs", "ko": "원본과 코드로 복원한 그림"}
    said = {
        "en": f"{config.places} codes of {(config.codes - 1).bit_length()} bits: {bits // 8} bytes for a picture of "
        f"{x[0].numel():,}. Squared error a pixel: {error:.4f}.",
        "ko": f"{(config.codes - 1).bit_length()}비트 코드 {config.places}개로, {x[0].numel():,}바이트 그림이 {bits // 8}바이트가 "
        f"됩니다. 픽셀당 제곱 오차: {error:.4f}.",
    }
    yield [sheet(torch.stack([x, rebuilt], dim=1).flatten(0, 1), columns=8, title=title), Words(said)]


# --- What they are shown with ---------------------------------------------------------------------------------


def _number(name: str, en: str, ko: str, default: float, low: float, high: float, step: float) -> Control:
    return Control(name, "number", {"en": en, "ko": ko}, default=default, low=low, high=high, step=step)


def _captioned(config: Config, info: DataInfo) -> bool:
    return info.captioned


TEXT = Control("text", "text", {"en": "Text (empty: captions it knows)", "ko": "글 (비우면 아는 글로)"}, default="")
TEXT_OR_OWN = Control(
    "text", "text", {"en": "Text (empty: the picture's own)", "ko": "글 (비우면 그림의 설명)"}, default=""
)
GUIDANCE = _number("guidance", "Guidance w", "유도 강도 w", LIKELY.guidance, 0.0, 10, 0.25)
TEMPERATURE = _number(
    "temperature", "Temperature (0: the likeliest)", "온도 (0: 가장 그럴듯한 것)", LIKELY.temperature, 0, 2, 0.05
)
TOP_P = _number(
    "top_p",
    "Only the likeliest that have this share (top-p)",
    "이 비율까지의 코드만 (top-p)",
    LIKELY.top_p,
    0.05,
    1,
    0.01,
)
TOP_K = _number("top_k", "Only so many of the likeliest (0: all)", "가장 그럴듯한 몇 개만 (0: 모두)", 0, 0, 8192, 1)
CHOICE = (GUIDANCE, TEMPERATURE, TOP_P, TOP_K)
CANDIDATES = _number("n", "Drawn, to be ranked", "그려서 겨룰 그림 수", 16, 2, 64, 1)
KEPT = _number("kept", "Share of the rows that is given", "주어지는 윗부분의 비율", 0.5, 0.1, 0.9, 0.05)
SEVERAL = _number("n", "Pictures", "그림 수", 12, 1, 40, 1)
PAIRS = _number("n", "Texts", "글의 수", 6, 1, 12, 1)
HELD_OUT = _number("pictures", "Held-out pictures", "시험 그림 수", 128, 8, 1000, 1)
LAYER = Control(
    "layer",
    "number",
    {"en": "Layer (0: all)", "ko": "층 (0: 모두)"},
    default=0,
    step=1,
    bounds=lambda config, info: (0, config.layers),
)
GENERATE_CONTROLS = (TEXT, controls.count(12, 64), GUIDANCE, controls.seed(), TEMPERATURE, TOP_P, TOP_K)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "A text, then a picture, code by code from the top left, as if it were written.",
            "ko": "글을 주면, 글을 쓰듯 왼쪽 위부터 코드를 하나씩 골라 그립니다.",
        },
        GENERATE_CONTROLS,
        generate,
    ),
    View(
        "tokens",
        {"en": "Token grid", "ko": "토큰 격자"},
        {
            "en": "One picture as the codes that it is, filling in: open choices where things begin, none in their middle.",
            "ko": "그림 한 장을 이루는 코드가 채워지는 모습입니다. 사물이 시작되는 곳은 선택지가 많고, 한가운데는 거의 정해져 있습니다.",
        },
        (TEXT, GUIDANCE, TEMPERATURE, controls.seed(), TOP_P, TOP_K),
        token_grid,
    ),
    View(
        "rerank",
        {"en": "Rerank", "ko": "다시 고르기"},
        {
            "en": "Many pictures of one text; a second model, which has learnt what belongs together, puts the best first.",
            "ko": "글 하나로 여러 장을 그리고, 글과 그림의 어울림을 배운 다른 모델이 좋은 것부터 늘어놓습니다.",
        },
        (TEXT, CANDIDATES, GUIDANCE, TEMPERATURE, controls.seed(), TOP_P, TOP_K),
        rerank,
    ),
    View(
        "prime",
        {"en": "Complete", "ko": "이어 그리기"},
        {
            "en": "The first rows of a picture are given like the beginning of a sentence, and the rest is drawn.",
            "ko": "그림의 윗부분을 문장의 첫머리처럼 주면 나머지를 그립니다.",
        },
        (controls.picture(), TEXT_OR_OWN, KEPT, controls.seed(), *CHOICE),
        prime,
    ),
    View(
        "unseen",
        {"en": "Never seen", "ko": "처음 보는 글"},
        {
            "en": "Texts that were kept from training: has it learnt the words, or only the captions?",
            "ko": "학습에서 뺀 글입니다. 낱말을 배웠는지, 설명을 통째로 외웠는지 드러납니다.",
        },
        (SEVERAL, controls.seed(), *CHOICE),
        unseen,
        when=_captioned,
    ),
    View(
        "languages",
        {"en": "Two languages", "ko": "두 언어"},
        {
            "en": "The same thing asked for in English and in Korean.",
            "ko": "같은 것을 영어와 한국어로 요청합니다.",
        },
        (PAIRS, controls.seed(), *CHOICE),
        languages,
    ),
    View(
        "attention",
        {"en": "Attention", "ko": "어텐션"},
        {
            "en": "Which word each place of the picture looked at.",
            "ko": "그림의 각 자리가 어느 낱말을 보았는지 나타냅니다.",
        },
        (controls.picture(), TEXT, LAYER, controls.seed()),
        attention,
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
    ),
    View(
        "reconstruct",
        {"en": "Reconstruct", "ko": "복원"},
        {
            "en": "Pictures through their codes and back: nothing drawn can be better than this.",
            "ko": "그림을 코드로 바꿨다가 되돌립니다. 그려 내는 그림은 이보다 나을 수 없습니다.",
        },
        (controls.picture(), controls.seed()),
        reconstruct,
        live=True,
    ),
)
