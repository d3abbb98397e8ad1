"""The transformer against GPT-2, the codes against VQModel, the tokens against the tokenizers library, and the checker."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from playground import data, registry, staging
from playground.checkpoint import Checkpoint
from playground.contract import BadSetting, DataInfo, Told, Words
from playground.data import shapes
from playground.families.image.dalle import DALLE, Config
from playground.families.image.dalle.clip import contrast
from playground.families.image.dalle.convert import from_gpt2, gpt2_settings, to_gpt2
from playground.families.image.dalle.samplers import Choice, keep_likely
from playground.families.image.dalle.text import NOTES, Text, captions_of, learn_merges, merge, words_of
from playground.families.image.dalle.transformer import Transformer
from playground.families.image.dalle.vae import VQ, Gumbel, log_logit_laplace, relaxed
from playground.families.image.dalle.views import so_far
from playground.quantising import COMMITMENT
from trainers.dalle import moved, with_a_wrong_word
from trainers.driver import drive
from trainers.plans import Job
from trainers.run import Run
from trainers.saving import export, run_checkpoint

TINY = {"channels": 3, "height": 8, "width": 12, "codes": 11, "code_size": 5, "maps": 8, "merges": 20, "text_length": 6}
TINY |= {"size": 24, "layers": 3, "heads": 3, "joint": 16}
CAPTIONS = [
    ("a red circle", "빨간색 원"),
    ("a red square", "빨간색 사각형"),
    ("a blue circle left of a red square", ""),
]


def shaken(module: torch.nn.Module, by: float = 0.1) -> torch.nn.Module:
    """The module with weights of which each matters."""
    for parameter in module.parameters():
        parameter.data += by * torch.randn_like(parameter)
    return module.eval()


def model(seed: int = 0, **settings: object) -> DALLE:
    torch.manual_seed(seed)
    made = DALLE(Config(**{**TINY, **settings}))
    made.text.learn([tuple(filter(None, both)) for both in CAPTIONS])
    return shaken(made)  # type: ignore[return-value]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def error(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float(((a - b).abs().max() / b.abs().max()).detach())


# --- The transformer ------------------------------------------------------------------------------------------


def gpt2(config: Config) -> torch.nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return shaken(GPT2LMHeadModel(GPT2Config(**gpt2_settings(config))))


def test_logits_equal_gpt2s_with_mapped_weights_both_ways():
    made = model()
    theirs, tokens = gpt2(made.config), torch.randint(made.config.tokens, (4, 12), generator=seeded())
    outputs = []
    with torch.no_grad():
        for weights in ("ours", "theirs"):
            if weights == "ours":
                theirs.load_state_dict(to_gpt2(made.prior.state_dict()))
            else:
                shaken(theirs)
                made.prior.load_state_dict(from_gpt2(theirs.state_dict(), made.prior.state_dict()))
            outputs.append(made.prior.logits(tokens))
            assert error(outputs[-1], theirs(tokens).logits) < 1e-5
    assert error(*outputs) > 0.01


@pytest.mark.parametrize("w", [0.0, 1.5])
def test_greedy_drawing_equals_gpt2s_generate(w):
    made = model()
    theirs, config = gpt2(made.config), made.config
    theirs.load_state_dict(to_gpt2(made.prior.state_dict()))
    texts = ["a red circle", "a blue square", ""]
    options = {"guidance_scale": 1 + w, "negative_prompt_ids": made.read([""] * 3)} if w else {}
    with torch.no_grad():
        found = theirs.generate(
            made.read(texts),
            attention_mask=torch.ones(3, config.text_length),
            do_sample=False,
            max_new_tokens=config.places,
            suppress_tokens=list(range(config.text_tokens)),
            **options,
        )
    *_, last = made.drawing(texts, rng=seeded(), choice=Choice(temperature=0.0, guidance=w))
    assert torch.equal(last.codes, found[:, config.text_length :] - config.text_tokens)
    assert len(last.codes.unique()) > 2


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_drawing_with_the_cache_equals_drawing_without(guidance):
    """The same probabilities at every step, the first ones read as a text and half a picture at once."""
    made, texts = model(), ["a red circle", "a blue square"]
    begun = torch.randint(made.config.codes, (2, 2), generator=seeded(1))
    choice = Choice(guidance=guidance)
    text, untold = made.read(texts), made.read(["", ""])
    codes = begun
    for moment in made.drawing(texts, rng=seeded(2), choice=choice, begun=begun):
        logits = made.prior.logits(made.prior.joined(text, codes))[:, -1, made.config.text_tokens :]
        if guidance:
            without = made.prior.logits(made.prior.joined(untold, codes))[:, -1, made.config.text_tokens :]
            logits = (1 + guidance) * logits - guidance * without
        entropy = torch.distributions.Categorical(logits=logits).entropy() / math.log(2)
        assert error(moment.bits[:, -1], entropy) < 1e-4
        assert torch.equal(moment.codes[:, :-1], codes)
        codes = moment.codes
    assert codes.shape == (2, made.config.places)
    assert torch.equal(codes[:, :2], begun)


def test_a_token_sees_nothing_that_comes_later():
    made = model()
    tokens = torch.randint(made.config.tokens, (1, 10), generator=seeded())
    other = tokens.clone()
    other[0, 6] = (other[0, 6] + 1) % made.config.tokens
    with torch.no_grad():
        a, b = made.prior.logits(tokens), made.prior.logits(other)
        weights = made.prior.attention(tokens)
    assert torch.equal(a[:, :6], b[:, :6])
    assert not torch.equal(a[:, 6:], b[:, 6:])
    assert weights.shape == (3, 1, 3, 10, 10)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 1, 3, 10))
    assert bool((weights.triu(1) == 0).all())


def test_objective_is_the_weighted_cross_entropy_of_each_kind_among_its_own():
    made = model()
    config, text = made.config, made.read(["a red circle", "a blue square"])
    codes = torch.randint(config.codes, (2, config.places), generator=seeded())
    with torch.no_grad():
        loss, terms = made.prior(text, codes, 7.0)
        logits = made.prior.logits(made.prior.joined(text, codes))
    nats = []
    for i, tokens in enumerate(made.prior.joined(text, codes)):
        for place in range(1, len(tokens)):
            own = slice(0, config.text_tokens) if place < config.text_length else slice(config.text_tokens, None)
            p = logits[i, place - 1, own].softmax(0)
            nats.append(-float(p[tokens[place] - (own.start or 0)].log()))
    apart = torch.tensor(nats).view(2, -1).split((config.text_length - 1, config.places), dim=1)
    words, picture = (part.mean() for part in apart)
    assert terms["text (nats)"] == pytest.approx(float(words), rel=1e-5)
    assert terms["codes (nats)"] == pytest.approx(float(picture), rel=1e-5)
    assert float(loss) == pytest.approx(float(words + 7 * picture) / 8, rel=1e-5)


# --- Choosing a code ------------------------------------------------------------------------------------------


def test_the_likely_are_those_that_transformers_keeps():
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    logits = 3 * torch.randn(200, 40, generator=seeded())
    assert torch.equal(keep_likely(logits, 7, 1.0), TopKLogitsWarper(7)(None, logits))
    for p in (0.05, 0.5, 0.9, 0.99):
        assert torch.equal(keep_likely(logits, 0, p), TopPLogitsWarper(p)(None, logits))
        both = TopPLogitsWarper(p)(None, TopKLogitsWarper(7)(None, logits))
        assert torch.equal(keep_likely(logits, 7, p), both)
    assert torch.equal(keep_likely(logits, 0, 1.0), logits)


def test_guidance_of_minus_one_ignores_the_text():
    made, texts = model(), ["a red circle"] * 20
    with_text = made.sample(texts, rng=seeded(3), choice=Choice(guidance=-1.0))
    assert torch.equal(with_text, made.sample([""] * 20, rng=seeded(3), choice=Choice()))
    assert not torch.equal(with_text, made.sample(texts, rng=seeded(3), choice=Choice()))


def test_the_best_of_several_has_the_highest_score():
    made, texts = model(), ["a red circle", "a blue square"]
    many = made.sample([text for text in texts for _ in range(5)], rng=seeded(4))
    scores = made.scores(many, [text for text in texts for _ in range(5)]).view(2, 5)
    best = made.best(texts, 5, rng=seeded(4))
    assert torch.equal(best, many.unflatten(0, (2, 5))[torch.arange(2), scores.argmax(1)])
    assert torch.allclose(made.scores(best, texts), scores.max(1).values, atol=1e-6)
    assert len(scores.unique()) == 10


# --- The codes ------------------------------------------------------------------------------------------------


def test_codes_vectors_and_loss_equal_vqmodels():
    from diffusers.models.autoencoders.vae import VectorQuantizer

    torch.manual_seed(0)
    config = Config(**TINY)
    mine, theirs = VQ(config), VectorQuantizer(config.codes, config.code_size, beta=COMMITMENT, legacy=False)
    theirs.embedding.weight.data = 0.7 * torch.randn(config.codes, config.code_size)
    mine.codebook.copy_(theirs.embedding.weight)
    z = torch.randn(6, config.code_size, 4, 3)
    a, b = z.clone().requires_grad_(), z.clone().requires_grad_()
    e, cost, codes = mine(a, torch.rand(6), 0.0)
    their_e, their_loss, (_, _, their_codes) = theirs(b)
    assert torch.equal(codes.flatten(), their_codes)
    assert len(codes.unique()) > 5
    assert error(e, their_e) < 1e-6
    (cost.mean() + (e * z).sum()).backward()  # the commitment, and a gradient that passes the choice by
    (their_loss + (their_e * z).sum()).backward()
    assert a.grad is not None and b.grad is not None
    assert error(a.grad, b.grad) < 1e-6
    # Of their loss, all but the commitment moves the codebook; ours follows averages instead.
    assert float(their_loss.detach()) == pytest.approx(float(cost.detach().mean()) * (1 + 1 / COMMITMENT), rel=1e-5)


def test_gumbel_softmax_equals_torchs():
    logits = 3 * torch.randn(5, 7, 2, 3, generator=seeded())
    for temperature in (1.0, 0.5, 1 / 16):
        torch.manual_seed(1)
        u = (-torch.empty_like(logits).exponential_()).exp()
        torch.manual_seed(1)
        expected = F.gumbel_softmax(logits, temperature, dim=1)
        assert float((relaxed(logits, u, temperature) - expected).abs().max()) < 1e-4
    extremes = torch.tensor([0.0, 1 - 2**-24]).view(1, 2, 1, 1).expand_as(logits[:1, :2])
    assert bool(relaxed(logits[:1, :2], extremes, 1 / 16).isfinite().all())


def test_cost_of_soft_codes_is_the_kl_to_a_uniform_choice():
    torch.manual_seed(0)
    config = Config(**{**TINY, "quantizer": "gumbel"})
    made, z = shaken(Gumbel(config)), torch.randn(4, config.code_size, *config.grid)
    with torch.no_grad():
        e, kl, codes = made(z, torch.rand(4, *made.noise_shape(config)), 0.0)
        q = torch.distributions.Categorical(logits=made.logits(z).permute(0, 2, 3, 1))
    uniform = torch.distributions.Categorical(logits=torch.zeros_like(q.logits))
    assert error(kl, torch.distributions.kl_divergence(q, uniform).sum((1, 2))) < 1e-5
    assert torch.equal(codes, q.probs.argmax(-1))
    assert e.shape == z.shape


def test_a_pixel_has_the_density_of_a_laplace_variable_through_a_sigmoid():
    from torch import distributions as D

    mu, log_b = torch.randn(200, generator=seeded()), torch.tensor(-0.7)
    x = torch.rand(200, generator=seeded(1)) * 0.8 + 0.1
    known = D.TransformedDistribution(D.Laplace(mu, log_b.exp()), [D.SigmoidTransform()])
    assert error(log_logit_laplace(x, mu, log_b), known.log_prob(x)) < 1e-5


@pytest.mark.parametrize("quantizer", ["vq-ema", "gumbel"])
def test_every_weight_of_the_codes_is_trained(quantizer):
    made = model(quantizer=quantizer)
    x = torch.rand(4, 3, 8, 12, generator=seeded())
    loss, terms, z = made.vae(x, torch.rand(4, *made.vae.noise_shape, generator=seeded()), 0.5)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.vae.parameters())
    assert z.shape == (4, 5, 2, 3)
    assert 1 <= float(terms["codebook perplexity"]) <= 11
    assert (made.vae.follower() is None) == (quantizer == "gumbel")


def test_pictures_come_back_from_codes_in_their_places():
    made = model()
    codes = made.encode(torch.rand(3, 3, 8, 12, generator=seeded()))
    assert codes.shape == (3, 6)
    assert made.decode(codes).shape == (3, 3, 8, 12)
    half = so_far(made, codes[:, :3])
    assert bool((half[:, :, 4:] == half[0, 0, -1, -1]).all()), "the second row of codes is not there yet"
    assert not bool((half[:, :, :4] == half[0, 0, -1, -1]).all())


# --- The text -------------------------------------------------------------------------------------------------


def brute_force(words: Counter[str], most: int) -> list[tuple[int, int]]:
    """Sennrich's algorithm as it is told: count all pairs anew after each merge."""
    pieces = {word: list(f" {word}".encode()) for word in words}
    found: list[tuple[int, int]] = []
    while len(found) < most:
        count: Counter[tuple[int, int]] = Counter()
        for word, made in pieces.items():
            for pair in itertools.pairwise(made):
                count[pair] += words[word]
        best = max(count, key=lambda pair: (count[pair], -pair[0], -pair[1]), default=None)
        if best is None or count[best] < 2:
            break
        pieces = {word: merge(made, best, 256 + len(found)) for word, made in pieces.items()}
        found.append(best)
    return found


def test_merges_are_the_most_frequent_pairs():
    words = Counter(
        word for caption in shapes.captions()[::50] for word in words_of(f"{caption.en} {caption.ko} aaaa aaa")
    )
    found = learn_merges(words, 200)
    assert found == brute_force(words, 200)
    assert 100 < len(found) <= 200


def test_tokens_equal_those_of_the_library():
    reference = registry.reference("dalle")
    text = Text(Config(**{**TINY, "merges": 200, "text_length": 128}))
    text.learn([(caption.en, caption.ko) for caption in shapes.captions()[::50]])
    tokenizer = reference.tokenizer_of(text)
    odd = [
        "",
        "a red circle",
        "  A  Small RED\ncircle ",
        "빨간색 원",
        "\u1112\u1161\u11ab글",
        "zebra! 🦓 naïve",
        "a" * 50,
        "I'm 7½%",
    ]
    for words in [*odd, *(caption.ko for caption in shapes.captions()[::500])]:
        (row,) = text.encode([words]).tolist()
        expected = tokenizer(words, add_special_tokens=False).input_ids
        assert row[: len(expected)] == expected
        assert row[len(expected) :] == list(range(text.first_pad + len(expected), text.first_pad + 128))
    assert reference.merges_of(tokenizer) == text.pairs()
    assert len(text.encode(["a small red circle"]).unique()) == 128


def test_a_text_too_long_is_cut_and_told():
    text = model().text
    assert text.overlong("a red circle") == 0
    long = "a red circle left of a red square"
    (tokens,) = text.pieces([long])
    assert text.overlong(long) == sum(map(len, tokens)) - 5 > 0
    (row,) = text.encode([long]).tolist()
    assert row == [*[token for word in tokens for token in word][:5], text.first_pad + 5]
    words = text.spans(long)
    assert words[0] == ("a", 0, 1)
    assert words[-1][2] == 5
    assert all(stop == start for (_, _, stop), (_, start, _) in itertools.pairwise(words))


def test_the_text_remembers_its_words_and_examples_in_its_weights(tmp_path):
    made = model()
    assert set(made.text.words) == {"a", "red", "circle", "square", "blue", "left", "of", "빨간색", "원", "사각형"}
    assert made.text.unknown("A red dog above 빨간색 고양이, a dog") == ["dog", "above", "고양이,"]
    assert made.text.examples[0] == CAPTIONS[0]
    assert made.text.examples[2] == CAPTIONS[2][:1]
    again = DALLE(made.config)
    again.load_state_dict(made.state_dict())
    assert again.text.words == made.text.words
    again.text.learn([("a green dog",)])  # a fine-tuning adds words, and keeps its tokens
    assert again.text.pairs() == made.text.pairs()
    assert again.text.unknown("a green dog") == []
    assert again.text.unknown("a red circle") == []


def test_notes_stay_within_their_room():
    text = Text(Config(**TINY))
    text.learn([(f"word{i:06d} word{i:06d}" if i < 5 else f"word{i:06d}",) for i in range(10_000)])
    assert len(text.notes) == NOTES
    assert text.unknown("word000000 word000004") == []
    assert 3000 < len(text.words) < 10_000


def test_classes_are_asked_for_by_word():
    digits = data.load("digits")
    captions = captions_of(digits.train, digits.info)
    sevens = {variants for variants, label in zip(captions, digits.train.labels.tolist(), strict=True) if label == 7}
    assert sevens == {("seven", "일곱", "칠", "7")}
    assert captions_of(data.load("shapes").test, data.load("shapes").info)[0][1] == data.load("shapes").test.texts_ko[0]
    with pytest.raises(BadSetting, match="neither captions nor classes"):
        captions_of(data.Pictures(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)), DataInfo("own"))


# --- The judge ------------------------------------------------------------------------------------------------


def test_contrast_equals_clips_loss_where_all_texts_differ():
    reference = registry.reference("dalle")
    torch.manual_seed(0)
    config = reference.Config(**{**TINY, "width": 8, "maps": 16, "quantizer": "vq"})
    theirs, text = shaken(reference.clip_model(config)), torch.randint(config.text_tokens, (6, config.text_length))
    text[:, -1] = config.text_tokens - 1
    with torch.no_grad():
        found = theirs(input_ids=text, pixel_values=torch.rand(6, 3, 8, 8), return_loss=True)
    near = found.logits_per_image
    loss, terms = contrast(near, text)
    assert float(loss) == pytest.approx(float(found.loss), rel=1e-6)
    assert float(terms["right text"]) == pytest.approx(float((near.argmax(1) == torch.arange(6)).float().mean()))


def test_equal_texts_are_equally_right():
    text = torch.tensor([[1], [2], [1]])
    sure = torch.tensor([[50.0, 0, 50], [0, 50, 0], [50, 0, 50]])
    loss, terms = contrast(sure, text)
    assert float(loss) == pytest.approx(2 / 3 * math.log(2), rel=1e-5)  # the pair of equals share their certainty
    assert float(terms["right text"]) == 1.0


def test_a_wrong_text_is_told_from_the_right_one_and_has_no_picture():
    text = torch.tensor([[1, 2], [3, 4], [1, 4], [3, 4]])  # the second wrong one is right by chance
    near = torch.tensor([[0.0, 0, 2, 0], [0, 0, 0, 1]])
    loss, terms = contrast(near, text)
    of_pictures = (math.log(3 + math.exp(2)) + math.log(3 + math.exp(1)) - 0.5) / 2
    assert float(loss) == pytest.approx((of_pictures + math.log(2)) / 2, rel=1e-5)
    assert float(terms["right text"]) == 0.5
    torch.manual_seed(0)
    wrong = with_a_wrong_word(torch.arange(40).view(8, 5), Run())
    differs = wrong != torch.arange(40).view(8, 5)
    assert bool((differs.sum(1) == 1).all())
    assert bool((wrong == torch.arange(40).view(8, 5).roll(1, 0))[differs].all())
    assert not bool(differs[:, -1].any()), "the last place is a pad of every text"


# --- The checker ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def true_pictures() -> list[tuple[shapes.Caption, Tensor]]:
    rng = np.random.RandomState(3)
    captions = [shapes.captions()[i] for i in rng.randint(len(shapes.captions()), size=300)]
    return list(zip(captions, shapes.draw(captions, rng).float() / 255, strict=True))


def test_the_checker_accepts_true_pictures(true_pictures):
    assert np.mean([shapes.shows(caption.en, picture) for caption, picture in true_pictures]) >= 0.99
    noisy = [(caption, (picture + 0.03 * torch.randn(picture.shape)).clamp(0, 1)) for caption, picture in true_pictures]
    assert np.mean([shapes.shows(caption.ko, picture) for caption, picture in noisy]) >= 0.95


def test_the_checker_refuses_pictures_with_one_attribute_changed(true_pictures):
    kinds: dict[str, list[bool]] = {}
    for n, (caption, picture) in enumerate(true_pictures):
        for other in itertools.islice(shapes.altered(caption), n % 7, None, 7):
            changed = "relation" if other.relation != caption.relation else "thing"
            kinds.setdefault(changed, []).append(shapes.shows(other.en, picture))
    assert {kind: len(found) > 50 for kind, found in kinds.items()} == {"relation": True, "thing": True}
    assert all(np.mean(found) <= 0.01 for found in kinds.values())


def test_the_checker_refuses_what_is_missing_or_too_much(true_pictures):
    blank = torch.ones(3, 32, 32)
    assert shapes.read(blank) == []
    for caption, picture in true_pictures[:40]:
        assert not shapes.shows(caption.en, blank)
        alone = shapes.Caption(caption.first)
        assert shapes.shows(alone.en, picture) == (caption.second is None)
        speck, blot = picture.clone(), picture.clone()
        speck[:, 0, :2] = 0.0
        assert shapes.shows(caption.en, speck), "a speck is overlooked"
        blot[:, 0, :8] = 0.0
        assert not shapes.shows(caption.en, blot)


def test_the_checker_refuses_ink_of_another_colour_that_touches_a_thing():
    for colour, other in itertools.permutations(shapes.COLOURS, 2):
        caption = shapes.Caption(shapes.Thing("large", colour, "square"))
        (picture,) = shapes.draw([caption], np.random.RandomState(0)).float() / 255
        assert shapes.shows(caption.en, picture)
        rows, columns = torch.nonzero(picture.mean(0) < 0.9, as_tuple=True)
        top, left = int(rows.min()), int(columns.min())
        picture[:, top : top + 3, left : left + 3] = torch.tensor(shapes.COLOURS[other])[:, None, None] / 255
        assert not shapes.shows(caption.en, picture), (colour, other)


def test_what_says_the_same_of_two_equal_things_is_no_alteration():
    thing = shapes.THINGS[0]
    same = shapes.Caption(thing, "left of", thing)
    assert shapes.Caption(thing, "right of", thing) not in shapes.altered(same)
    assert shapes.Caption(thing, "above", thing) in shapes.altered(same)
    one = shapes.Caption(thing)
    assert len(list(shapes.altered(one))) == 1 + 5 + 3


# --- Training -------------------------------------------------------------------------------------------------

SHORT = {"code_steps": 4, "steps": 4, "clip_steps": 3, "batch_size": 16}
SMALL = {"codes": 16, "halvings": 1, "maps": 16, "text_length": 4, "merges": 32, "size": 32, "layers": 2, "joint": 16}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Tensor:
    folder = tmp_path_factory.mktemp("whole")
    list(drive(Job("dalle", "digits", recipe=SHORT, config=SMALL), folder))
    return weights(folder)


@pytest.mark.parametrize("stop", [2, 4, 6, 9])
def test_a_run_stopped_in_any_stage_goes_on_as_if_it_had_not_been(tmp_path, uninterrupted, stop):
    job = Job("dalle", "digits", recipe=SHORT, config=SMALL)
    loop = drive(job, tmp_path, autosave=0.0)
    while next(loop) != {"type": "saved", "step": stop, "folder": f"save-{stop}"}:
        pass
    loop.close()
    first, *_, last = drive(job, tmp_path)
    assert (first["step"], last["step"]) == (stop, 11)
    assert torch.equal(weights(tmp_path), uninterrupted)


def test_the_codes_of_a_checkpoint_are_kept_while_its_transformer_trains_on(tmp_path):
    job = Job("dalle", "digits", recipe=SHORT, config=SMALL)
    list(drive(job, tmp_path / "first"))
    start = export(tmp_path / "first", tmp_path / "start")
    on = replace(job, recipe={**SHORT, "code_steps": 0, "clip_steps": 0}, start=str(start), minutes=1 / 60)
    first, *_, last = drive(on, tmp_path / "on")
    assert first["recipe"]["code_steps"] == first["recipe"]["clip_steps"] == 0, "a budget of time leaves no steps none"
    assert last["step"] == first["recipe"]["steps"] > 0
    before, after = (run_checkpoint(tmp_path / name).model for name in ("first", "on"))
    same = lambda part: [torch.equal(a, b) for a, b in zip(*(_state(m, part) for m in (before, after)), strict=True)]
    assert all(same("vae")) and all(same("clip")) and not all(same("prior"))


def _state(model: DALLE, part: str) -> list[Tensor]:
    return list(getattr(model, part).state_dict().values())


def test_pictures_are_moved_whole_and_keep_what_they_show():
    rng = np.random.RandomState(0)
    captions = [shapes.captions()[i] for i in rng.randint(len(shapes.captions()), size=30)]
    x = shapes.draw(captions, rng).float() / 255
    torch.manual_seed(0)
    made = moved(x, 1, Run())
    assert all(shapes.shows(caption.en, picture) for caption, picture in zip(captions, made, strict=True))
    ways = set()
    for one, other in zip(x, made, strict=True):
        (way,) = [
            (d, r)
            for d in (-1, 0, 1)
            for r in (-1, 0, 1)
            if torch.equal(one.roll((d, r), (1, 2))[:, 1:-1, 1:-1], other[:, 1:-1, 1:-1])
        ]
        ways.add(way)
    assert len(ways) == 9
    assert moved(x, 0, Run()) is x


def weights(folder: Path) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in run_checkpoint(folder).model.state_dict().values()])


# --- Looks ----------------------------------------------------------------------------------------------------


def drawn(made: DALLE, key: str = "", **raw: object) -> list:
    info = DataInfo("toy", 3, made.config.height, made.config.width, captioned=True)
    wrapped = Checkpoint("dalle", made, made.config, info)
    return staging.draw(staging.view(wrapped, key), made, made.config, staging.scene(wrapped), raw)


def test_words_never_seen_and_long_texts_are_named():
    made = model()
    assert not [o for o in drawn(made, text="a red circle", n=1) if isinstance(o, Words)]
    unknown, long = (o.text for o in drawn(made, text="a red zebra left of a 고래", n=1) if isinstance(o, Words))
    for language in ("en", "ko"):
        assert "zebra, 고래" in unknown[language]
        assert "circle" in unknown[language]
    left_out = made.text.overlong("a red zebra left of a 고래")
    assert f"{left_out} tokens" in long["en"]
    assert f"{left_out}개" in long["ko"]


def test_without_a_text_known_captions_are_drawn_in_their_languages():
    (sheet,) = drawn(model(), n=3)
    assert list(sheet.captions) == ["a red circle", "빨간색 사각형", "a blue circle left of a red square"]


def test_the_best_come_first():
    outputs = drawn(model(), "rerank", text="a red circle", n=6)
    scores = [float(caption) for caption in outputs[0].captions]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 6


def test_a_completed_picture_keeps_the_rows_that_were_given():
    made, picture = model(), torch.rand(3, 8, 12, generator=seeded())
    (sheet,) = drawn(made, "prime", picture=picture, kept=0.5)
    original, given, *ways = sheet.pictures
    assert torch.equal(original, picture)
    assert len(ways) == 5
    begun = made.encode(picture[None])[:, :3]
    assert torch.equal(given, so_far(made, begun)[0])
    assert all(torch.equal(made.encode(picture[None])[0, :3], begun[0]) for _ in ways)
    assert len({way.sum().item() for way in ways}) > 1


# --- The counterpart ------------------------------------------------------------------------------------------


def test_the_pipeline_of_the_counterpart_draws_what_its_own_parts_do(tmp_path):
    """Greedily, so that no random numbers matter."""
    reference = registry.reference("dalle")
    torch.manual_seed(0)
    settings = {**TINY, "height": 8, "width": 8, "maps": 16, "quantizer": "vq"}
    made = reference.Model(reference.Config(**settings))
    made.text.learn([tuple(filter(None, both)) for both in CAPTIONS])
    shaken(made)
    texts, choice = ["a red circle", "파란색 원"], Choice(temperature=0.0, guidance=0.5)
    pictures = made.sample(texts, rng=seeded(), choice=choice)
    ours = Transformer(made.config)
    ours.load_state_dict(from_gpt2(made.prior.net.state_dict(), ours.state_dict()))
    parts = DALLE(made.config, vae=made.vae, prior=ours, clip=made.clip)
    parts.text.load_state_dict(made.text.state_dict())
    assert torch.allclose(pictures, parts.sample(texts, rng=seeded(), choice=choice), atol=1e-6)
    reference.save(made, tmp_path)
    loaded = reference.TextToImagePipeline.from_pretrained(tmp_path, local_files_only=True)
    images = loaded(texts, temperature=0.0, guidance=0.5, output_type="np").images
    assert np.allclose(images.transpose(0, 3, 1, 2), pictures.numpy(), atol=1e-6)
    assert loaded("a red circle").images[0].size == (8, 8)
    back = reference.load(tmp_path, made.config)
    assert back.text.words == made.text.words
    assert back.text.pairs() == made.text.pairs()


def test_the_counterparts_sampling_follows_its_generator():
    reference = registry.reference("dalle")
    torch.manual_seed(0)
    made = shaken(reference.Model(reference.Config(**{**TINY, "width": 8, "maps": 16, "quantizer": "vq"})))
    before = torch.get_rng_state()
    one, same, other = (made.sample(["", ""], rng=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_vqmodel_is_trained_with_the_right_commitment():
    reference = registry.reference("dalle")
    made = reference.Model(reference.Config(**{**TINY, "width": 8, "maps": 16, "quantizer": "vq"}))
    assert made.vae.net.quantize.legacy is False
    assert made.vae.net.quantize.beta == COMMITMENT


def test_without_a_network_the_hubs_model_is_said_to_be_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    from playground import comparing

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Told) as told:
        comparing.hub_side(registry.family("dalle"), {})
    assert "amused/amused-256 is not on this machine" in told.value.text["en"]
    assert "amused/amused-256" in told.value.text["ko"]


def test_the_hubs_model_draws_by_its_own_pipeline(monkeypatch):
    import diffusers

    from playground import comparing

    class Pipeline:
        def set_progress_bar_config(self, disable: bool) -> None:
            assert disable

        def __call__(self, prompt: list[str], **options: object) -> object:
            images = torch.rand(len(prompt), 16, 16, 3, generator=options["generator"]).numpy()
            return type("Made", (), {"images": images})

    def download(repo: str, **options: object) -> str:
        assert (repo, options) == ("amused/amused-256", {"use_safetensors": True})
        return "downloaded"

    def from_pretrained(folder: str, **options: object) -> Pipeline:
        assert (folder, options) == ("downloaded", {"use_safetensors": True})
        return Pipeline()

    monkeypatch.setattr(diffusers.AmusedPipeline, "download", download)
    monkeypatch.setattr(diffusers.AmusedPipeline, "from_pretrained", from_pretrained)
    (sheet,) = comparing.hub_side(registry.family("dalle"), {"text": "a red circle", "n": 2})
    assert sheet.pictures.shape == (2, 3, 16, 16)
    assert list(sheet.captions) == ["a red circle"] * 2
