"""Hidden Markov models against hmmlearn, enumeration and their own definitions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import small
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from toys import curve, run, same_state

from playground import registry, staging
from playground.checkpoint import Checkpoint
from playground.contract import Audio, BadSetting, Curve, DataInfo, HeatMap, Table, Words, World, configure
from playground.families.speech.hmm import HMM, Config, Takes
from playground.families.speech.hmm.chain import NEVER, Chain, best_path, expect, log_likelihood
from playground.families.speech.hmm.script import FACT_NAMES, KINDS
from playground.families.speech.hmm.trees import Forest, Sums
from playground.signal.mlpg import with_deltas
from playground.text import ENGLISH_PHONES, KOREAN_PHONES
from trainers import hmm as trainer
from trainers.plans import Job, plan

CLASSES = tuple("abc")


def model(**settings: Any) -> HMM:
    info = DataInfo("x", class_names=CLASSES, speakers=("ann", "ben"), sample_rate=8_000)
    return HMM(configure(Config, info, **{"word_states": 4, **settings}))


def phonetic(speakers: tuple[str, ...] = ("ann",), **settings: Any) -> HMM:
    info = DataInfo("x", speakers=speakers, symbols=ENGLISH_PHONES.symbols, sample_rate=16_000)
    return HMM(configure(Config, info, **{"phone_states": 2, "splits": 50, **settings}))


def takes_of(made: HMM, n: int = 12, seed: int = 0, said: Any = None) -> Takes:
    """Recordings that walk through as many states as the script has, each with a mean of its own."""
    rng = np.random.RandomState(seed)
    said = said or made.word(0)
    states, dims = len(said) * made.config.states, made.config.static
    means = 2 * rng.randn(states, dims)
    parts = []
    for _ in range(n):
        path = np.repeat(np.arange(states), rng.randint(4, 10, states))
        static = torch.from_numpy(means[path] + rng.randn(len(path), dims))
        parts.append(with_deltas(static).float().numpy())
    return Takes(said, np.concatenate(parts), np.cumsum([len(part) for part in parts]))


def relative(a: Any, b: Any) -> float:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


# --- Chains against enumeration -------------------------------------------------------------------------------


def random_chain(states: int, width: int, seed: int) -> tuple[Chain, np.ndarray]:
    """A chain with leaps, which may begin and end in several states, and its matrix of log transitions."""
    rng = np.random.RandomState(seed)
    first, stay, enter, leap, last = (np.log(rng.uniform(0.05, 0.9, states)) for _ in range(5))
    first[2:] = last[:-2] = NEVER
    leap[::2] = NEVER
    steps = np.full((states, states), NEVER)
    for s in range(states):
        steps[s, s] = stay[s]
        if s > 0:
            steps[s - 1, s] = enter[s]
        if s > width:
            steps[s - 1 - width, s] = leap[s]
    return Chain(first, stay, enter, leap, last, width), steps


def every_path(log_b: np.ndarray, chain: Chain, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All paths (S^T, T) and their joint log probabilities with the frames."""
    frames, states = log_b.shape
    paths = np.array(list(itertools.product(range(states), repeat=frames)))
    score = chain.first[paths[:, 0]] + chain.last[paths[:, -1]] + log_b[np.arange(frames), paths].sum(1)
    return paths, score + steps[paths[:, :-1], paths[:, 1:]].sum(1)


@pytest.mark.parametrize("seed", range(4))
def test_forward_backward_and_viterbi_equal_enumeration(seed):
    width = 1 + seed % 2
    chain, steps = random_chain(5, width, seed)
    takes = [np.random.RandomState(seed + k).randn(frames, 5) * 3 for k, frames in enumerate((6, 5, 6))]
    ends = np.cumsum([len(take) for take in takes])
    found = expect(np.concatenate(takes), ends, chain)
    stays = np.zeros(5)
    for k, (log_b, end) in enumerate(zip(takes, ends, strict=True)):
        paths, score = every_path(log_b, chain, steps)
        total = logsumexp(score)
        assert found.log_p[k] == pytest.approx(total, rel=1e-12)
        share = np.exp(score - total)
        gamma = np.stack([(share[:, None] * (paths == s)).sum(0) for s in range(5)], axis=1)
        assert np.allclose(found.share[end - len(log_b) : end], gamma, atol=1e-12)
        stays += [(share[:, None] * ((paths[:, 1:] == s) & (paths[:, :-1] == s))).sum() for s in range(5)]
        way, best = best_path(log_b, chain)
        assert best == pytest.approx(score.max(), rel=1e-12)
        assert way.tolist() == paths[score.argmax()].tolist()
    assert np.allclose(found.stays, stays, atol=1e-12)
    assert np.allclose(log_likelihood(np.concatenate(takes), ends, chain), found.log_p, rtol=1e-14)


def test_long_takes_do_not_underflow():
    chain, _ = random_chain(5, 1, 0)
    log_b = np.full((3000, 5), -900.0)
    found = expect(log_b, np.array([3000]), chain)
    assert -2_710_000 < found.log_p[0] < -2_690_000
    assert np.allclose(found.share.sum(1), 1)


def test_a_pause_that_may_be_left_out_is_the_mixture_of_both_ways():
    made = phonetic()
    said = made.sentence(["HH", "AH0", " ", "B"])
    made.paused.copy_(torch.linspace(0.2, 0.8, len(KINDS)))
    rng = torch.Generator().manual_seed(0)
    for forest, _ in made.streams:
        forest.mean.copy_(torch.randn(forest.mean.shape, generator=rng, dtype=torch.float64))
    o = torch.randn(24, 3 * made.config.static, generator=rng)
    pauses = np.flatnonzero(said.kinds >= 0)
    ways = []
    for present in itertools.product((False, True), repeat=len(pauses)):
        kept = np.ones(len(said), dtype=bool)
        kept[pauses] = present
        certain = said.select(kept)
        chosen = made.paused.numpy()[said.kinds[pauses]]
        prior = np.log(np.where(present, chosen, 1 - chosen)).sum()
        certain.kinds[:] = -1  # what is there must now be said
        ways.append(prior + made.log_likelihood(o, certain))
    assert made.log_likelihood(o, said) == pytest.approx(float(logsumexp(ways)), rel=1e-10)


# --- Against hmmlearn -----------------------------------------------------------------------------------------


def peer_of(made: HMM, takes: Takes) -> tuple[Any, np.ndarray, np.ndarray, float]:
    """hmmlearn's model of the first word, its observations and lengths, and what the ends add to its log-likelihood.

    hmmlearn lets a recording end in any state. So each gets one frame more, far from all others, which only one state
    more can explain: whoever arrives there has passed through all.
    """
    from hmmlearn.hmm import GaussianHMM

    states, dims = made.config.states, 3 * made.config.static
    begins = takes.begins
    marks = 1000.0 + np.where(np.arange(len(takes.ends)) % 2, 1.0, -1.0)[:, None] * np.ones(dims)
    parts = [
        np.concatenate([takes.o[a:b].astype(np.float64), mark[None]])
        for a, b, mark in zip(begins, takes.ends, marks, strict=True)
    ]
    peer = GaussianHMM(
        states + 1, "diag", covars_prior=0, min_covar=0, n_iter=5, tol=-math.inf, init_params="", params="tmc"
    )
    mean, variance = made.gaussians(takes.script)
    stay = made.stay[int(takes.script.units[0])].numpy()
    steps = np.diag([*stay, 1.0]) + np.diag(1 - stay, 1)
    peer.startprob_, peer.transmat_ = np.eye(states + 1)[0], steps
    peer.n_features = dims
    peer.means_ = np.concatenate([mean.numpy(), marks.mean(0)[None]])
    peer.covars_ = np.concatenate([variance.numpy(), np.ones((1, dims))])
    at_the_end = float(norm.logpdf(marks, marks.mean(0), 1.0).sum())
    return peer, np.concatenate(parts), np.array([len(part) for part in parts]), at_the_end


def test_five_iterations_equal_hmmlearns():
    made = model()
    takes = takes_of(made)
    made.flat_start([takes], floor=0.0)
    peer, x, lengths, at_the_end = peer_of(made, takes)
    mine = [made.em_step([takes], floor=0.0) * len(takes.o) for _ in range(5)]
    peer.fit(x, lengths)
    theirs = np.array(peer.monitor_.history) - at_the_end
    assert np.allclose(mine, theirs, rtol=1e-8, atol=0)
    mean, variance = made.gaussians(takes.script)
    assert relative(mean, peer.means_[:-1]) < 1e-8
    assert relative(variance, np.stack([c.diagonal() for c in peer.covars_[:-1]])) < 1e-8
    assert relative(made.stay[0], peer.transmat_.diagonal()[:-1]) < 1e-8
    assert mine[4] - mine[0] > 100, "or five iterations would say little"


def test_the_likeliest_way_equals_hmmlearns():
    made = model()
    takes = takes_of(made)
    made.flat_start([takes], floor=0.01)
    made.em_step([takes], floor=0.01)
    peer, x, lengths, _ = peer_of(made, takes)
    _, theirs = peer.decode(x, lengths)
    begin = 0
    for k, end in enumerate(takes.ends):
        mine = made.path(torch.from_numpy(takes.o[takes.begins[k] : end]), takes.script)
        assert mine.tolist() == theirs[begin : begin + lengths[k] - 1].tolist()
        begin += lengths[k]


# --- Learning -------------------------------------------------------------------------------------------------

WORDS = ("HH AH0 L OW1", "B AA1 B", "L OW1", "S IY1", "AA1 R")


def sentences_of(made: HMM, n: int = 30, seed: int = 0) -> list[Takes]:
    """Sentences of three words; a phone sounds otherwise at the end of a phrase, and some words have a pause between."""
    rng = np.random.RandomState(seed)
    sound = rng.randn(made.config.units, made.config.states, made.config.static)
    ending = FACT_NAMES.index(next(name for name in FACT_NAMES if "last of the phrase" in name["en"]))
    found = []
    for _ in range(n):
        chosen = [word.split() for word in rng.choice(WORDS, 3)]
        said = made.sentence([*chosen[0], " ", *chosen[1], " ", *chosen[2]])
        spoken = said.select((said.kinds < 0) | (rng.rand(len(said)) < 0.5))
        mean = 2 * sound[spoken.units] + 3.0 * spoken.facts[:, ending, None, None]
        path = np.repeat(
            np.arange(len(spoken) * made.config.states), rng.randint(2, 6, len(spoken) * made.config.states)
        )
        static = mean.reshape(-1, made.config.static)[path] + 0.5 * rng.randn(len(path), made.config.static)
        found.append(Takes(said, with_deltas(torch.from_numpy(static)).float().numpy(), np.array([len(path)])))
    return found


def test_em_never_lowers_the_likelihood():
    for made, takes in ((model(), [takes_of(model())]), (phonetic(), sentences_of(phonetic()))):
        made.flat_start(takes, floor=1e-4)
        likelihoods = [made.em_step(takes, floor=1e-4) for _ in range(8)]
        assert all(b >= a - 1e-6 * abs(a) for a, b in itertools.pairwise(likelihoods)), likelihoods
        assert likelihoods[-1] > likelihoods[0] + 1


def test_sentences_find_their_phones_and_their_pauses():
    """Embedded re-estimation from a flat start: where each phone was is told by nobody."""
    made, takes = phonetic(), sentences_of(phonetic(), n=60)
    made.flat_start(takes, floor=0.01)
    for _ in range(12):
        made.em_step(takes, floor=0.01)
    assert float(made.paused[KINDS.index("begin")]) == pytest.approx(0.5, abs=0.2)
    mean = float(made.durations.mean[made.config.phones.index("B") + 1].mean())
    assert mean == pytest.approx(3.5, abs=0.5), "states last 2 to 5 frames"
    assert float(made.heard[0]) > 0 and float(made.heard[made.config.phones.index("ZH") + 1]) == 0


def test_trees_find_the_context_that_matters():
    made, takes = phonetic(), sentences_of(phonetic(), n=60)
    made.flat_start(takes, floor=0.01)
    for _ in range(8):
        before = made.em_step(takes, floor=0.01)
    made.em_step(takes, floor=0.01, split=True)
    after = made.em_step(takes, floor=0.01)
    assert after > before + 5
    asked = made.spectrum.question[: made.spectrum.roots]
    ending = 2 * len(made.sets) + next(i for i, name in enumerate(FACT_NAMES) if "last of the phrase" in name["en"])
    vowel = made.config.phones.index("OW") + 1
    first = asked[vowel * made.config.states]
    assert int(first) >= 0
    said = made.sentence(["L", "OW1", " ", "L", "OW1"])
    nodes = made.nodes(said)[0].reshape(len(said), -1)
    vowels = np.flatnonzero(said.units == vowel)
    assert (nodes[vowels[0]] != nodes[vowels[1]]).all(), "in the phrase's last word, and not"
    assert ending < made.answers(said).shape[1]


def test_splits_have_their_limit_and_can_be_grown_anew():
    made, takes = phonetic(splits=3), sentences_of(phonetic())
    made.flat_start(takes, floor=0.01)
    for _ in range(2):
        made.em_step(takes, floor=0.01, split=True)
        assert made.spectrum.splits == 3
        assert int(made.spectrum.leaves_of_roots().sum()) == made.spectrum.roots + 3


def frames_of(x: np.ndarray) -> Sums:
    return Sums(np.ones(len(x)), x, x * x)


def test_the_fit_of_sums_is_the_likelihood_of_the_frames():
    x = np.random.RandomState(0).randn(200, 3) * [1, 2, 0.5] + [3, -1, 0]
    whole = Sums(np.array(200.0), x.sum(0), (x * x).sum(0))
    mean, variance = whole.gaussian(np.zeros(3))
    constant = -0.5 * x.size * (1 + math.log(2 * math.pi))
    assert float(whole.fit(np.zeros(3))) + constant == pytest.approx(
        norm.logpdf(x, mean, variance**0.5).sum(), rel=1e-12
    )


def test_a_tree_asks_what_matters_and_nothing_else():
    rng = np.random.RandomState(1)
    answers = rng.rand(800, 6) < 0.5
    x = rng.randn(800, 2) + 4.0 * answers[:, [3]] + 100.0
    forest = Forest(2, 20, 2)
    forest.grow(frames_of(x), np.ones(800, dtype=np.int64), answers, np.full(2, 0.01), least=20)
    assert forest.question[:2].tolist() == [-1, 3]
    assert forest.splits == 1, "noise is not worth its parameters"
    leaves = forest.leaves(np.ones(800, dtype=np.int64), answers)
    for value in (True, False):
        of = answers[:, 3] == value
        leaf = np.unique(leaves[of])
        assert len(leaf) == 1
        assert relative(forest.mean[leaf[0]], x[of].mean(0)) < 1e-5
        assert relative(forest.variance[leaf[0]], x[of].var(0)) < 1e-3
    assert forest.leaves_of_roots().tolist() == [1, 2]


def test_a_leaf_has_seen_enough():
    answers = np.zeros((300, 1), dtype=bool)
    answers[:9] = True
    x = np.random.RandomState(0).randn(300, 1) + 50.0 * answers
    for least, splits in ((10, 0), (9, 1)):
        forest = Forest(1, 5, 1)
        forest.grow(frames_of(x), np.zeros(300, dtype=np.int64), answers, np.full(1, 0.01), least)
        assert forest.splits == splits


# --- Scripts --------------------------------------------------------------------------------------------------


def spelled(made: HMM, text: str) -> tuple[Any, list[str]]:
    said = made.sentence(ENGLISH_PHONES.read(text).symbols)
    names = [
        f"<{KINDS[kind]}>" if kind >= 0 else made.config.phones[unit - 1]
        for unit, kind in zip(said.units, said.kinds, strict=True)
    ]
    return said, names


def fact(said: Any, part: str) -> list[bool]:
    return said.facts[:, next(i for i, name in enumerate(FACT_NAMES) if part in name["en"])].tolist()


def test_a_sentence_has_a_place_for_every_pause():
    said, names = spelled(phonetic(), "Hello there, Bob! A cat")
    text = "<begin> HH AH L OW <S> DH EH R <,> B AA B <!> AH <S> K AE T <close>".replace("<S>", "< >")
    assert " ".join(names) == text
    last = names.index("<!>")
    assert fact(said, "begin a word")[1] and not fact(said, "begin a word")[2]
    assert fact(said, "end a word")[4] and not fact(said, "end a word")[3]
    assert fact(said, "Is it stressed")[4] and not fact(said, "Is it stressed")[2]
    assert [names[i] for i, yes in enumerate(fact(said, "last of the phrase")) if yes and said.kinds[i] < 0] == [
        "DH", "EH", "R", "B", "AA", "B", "K", "AE", "T",
    ]  # fmt: skip
    assert fact(said, "end in a comma")[1] and not fact(said, "end in a comma")[last - 1]
    assert said.left[names.index("DH")] == said.units[names.index("OW")], "heard across the blank"
    assert said.right[last - 1] == 0 and said.left[last + 1] == 0


def test_questions_stress_and_speakers_are_told():
    made = phonetic(("ann", "ben", "eve"))
    said = made.sentence(ENGLISH_PHONES.read("Who was it?").symbols, speaker=1)
    assert said.facts[:, -3:].tolist() == [[False, True, False]] * len(said)
    assert all(fact(said, "question mark")[1:-1])
    assert len(FACT_NAMES) + 3 == said.facts.shape[1]


def test_phones_of_korean_too():
    info = DataInfo("x", symbols=KOREAN_PHONES.symbols, sample_rate=16_000)
    made = HMM(configure(Config, info))
    said = made.sentence(KOREAN_PHONES.read("동생이 책을 샀습니다.").symbols)
    assert (said.kinds < 0).sum() > 10 and (said.units[said.kinds < 0] > 0).all()


def test_units_need_what_they_are_made_of():
    with pytest.raises(BadSetting, match="unit"):
        configure(Config, DataInfo("x", class_names=CLASSES, sample_rate=8_000), unit="phone")
    with pytest.raises(BadSetting, match="unit"):
        configure(Config, DataInfo("x", symbols=ENGLISH_PHONES.symbols, sample_rate=8_000), unit="word")
    with pytest.raises(BadSetting, match="sample_rate"):
        configure(Config, DataInfo("x", class_names=CLASSES, sample_rate=22_050))


# --- Speaking -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught() -> HMM:
    made = model()
    takes = takes_of(made, n=30)
    made.flat_start([takes], floor=0.01)
    for _ in range(5):
        made.em_step([takes], floor=0.01)
    return made


def test_the_trajectory_is_the_likeliest_one(taught):
    """No other static trajectory has frames that the states' Gaussians find likelier: MLPG's definition."""
    said = taught.word(0)
    spoken = taught.speak(said, rng=torch.Generator().manual_seed(0), lively=0.0)
    mean, variance = (part[spoken.path] for part in taught.gaussians(spoken.script))

    def density(static: torch.Tensor) -> float:
        return float((-0.5 * (with_deltas(static.double()) - mean) ** 2 / variance).sum())

    best = spoken.features.matrix()
    for seed in range(5):
        change = torch.randn(best.shape, generator=torch.Generator().manual_seed(seed))
        assert density(best) > density(best + 0.02 * change)
    steps = taught.trajectory(spoken.script, spoken.path, smooth=False, lively=0.0)
    assert torch.equal(steps.matrix(), mean[:, : taught.config.static].float())
    assert density(best) > density(steps.matrix()) + 1


def test_global_variance_is_given_back_but_for_energy_and_voicing(taught):
    said, rng = taught.word(0), torch.Generator()
    plain = taught.speak(said, rng=rng.manual_seed(1), lively=0.0).features.matrix()
    lively = taught.speak(said, rng=rng.manual_seed(1), lively=1.0).features.matrix()
    wanted = taught.global_variance[0]
    assert relative(lively.var(0, correction=0)[1:26], wanted[1:26]) < 1e-4
    for kept in (0, 26):
        assert torch.allclose(lively[:, kept], plain[:, kept], atol=1e-5)
    assert float((plain.var(0, correction=0)[1:26] / wanted[1:26]).mean()) < 0.95, "smoothing takes some away"


def test_durations_are_drawn_from_their_gaussian(taught):
    said, rng = taught.word(0), torch.Generator().manual_seed(0)
    drawn = torch.stack([taught.lengths(said, rng)[0] for _ in range(4000)]).double()
    covariance = taught.duration_covariance[0] + (1 / 12 + 1 / 12) * torch.eye(4, dtype=torch.float64)  # and rounding
    assert relative(drawn.mean(0), taught.durations.mean[0]) < 0.02
    assert relative(torch.cov(drawn.T), covariance) < 0.1
    assert torch.equal(taught.lengths(said, rng, variation=0.0)[0], taught.durations.mean[0].round().long())
    slow = taught.lengths(said, rng, variation=0.0, pace=0.5)[0]
    assert torch.equal(slow, (2 * taught.durations.mean[0]).round().long())


def test_durations_are_those_of_the_recordings(taught):
    made, takes = taught, takes_of(taught, n=30)
    assert float(made.durations.mean[0].sum()) == pytest.approx(len(takes.o) / 30, rel=1e-6)


def test_one_state_says_nothing_that_moves():
    made = model(word_states=1)
    takes = takes_of(model(), n=10)
    made.flat_start([takes], floor=0.01)
    made.em_step([takes], floor=0.01)
    x = made.speak(made.word(0), rng=torch.Generator(), lively=0.0).features.matrix()
    moved = x.std(0) / made.global_variance[0].sqrt()
    assert float(moved.max()) < 0.15, "of what recordings move"


# --- From recordings ------------------------------------------------------------------------------------------


def test_ten_recordings_of_ones_own_are_enough():
    """One take of each digit by one voice, as a class would record it."""
    data = small.load("espeak_digits")
    chosen = [i for i in range(len(data.train)) if data.train.speakers[i] == 1][:10]
    own = small.FewData(data.info, data.train.select(chosen), data.test)
    made, loop = small.course(small.job("hmm", "espeak_digits", steps=4), own)
    values = [progress.values for progress in loop]
    assert all(math.isfinite(v) for each in values for v in each.values())
    for digit in range(10):
        spoken = made.speak(made.word(digit, 1), rng=torch.Generator().manual_seed(0))
        assert 20 <= len(spoken.features) < 400
        others = [made.log_likelihood(made.observed(spoken.features), made.word(d, 1)) for d in range(10)]
        assert int(np.argmax(others)) == digit, "it understands itself"
    assert float(made.heard.sum()) == 10


def test_stopped_and_resumed_it_ends_the_same(tmp_path):
    data = small.few("espeak_digits", 40)
    job = Job("hmm", "espeak_digits", recipe={"iterations": 4}, config={"word_states": 5})
    whole = curve(run(job, tmp_path / "whole", data=data))
    first = curve(run(job, tmp_path / "parts", stop_after=2, data=data))
    assert first + curve(run(job, tmp_path / "parts", data=data)) == whole
    assert same_state(tmp_path / "whole", tmp_path / "parts")


def test_recordings_too_short_for_their_words_are_told():
    data = small.few("espeak_digits", 4)
    data.train.x.ends.copy_(data.train.x.starts + 600)
    _, loop = small.course(small.job("hmm", "espeak_digits", steps=1), data)
    with pytest.raises(BadSetting, match="long enough"):
        next(loop)


# --- The counterpart ------------------------------------------------------------------------------------------


def test_lessons_of_the_reference_fill_their_recordings():
    """The durations of tokens are whole frames of the mels, as the path through the states divides them."""
    data, reference = small.few("espeak", 5), registry.reference("hmm")
    config = configure(reference.Config, data.info, hidden=16, layers=1)
    made = reference.Model(config)
    heard = list(drained(trainer.analysed(made.aligner, data, 5)))
    list(trainer.fit(made.aligner, trainer.together(heard), trainer.Recipe(iterations=3), small.Run()))
    lessons = reference.Lessons(made, data, heard)
    tokens, durations, mels, pitch, energy, speakers = lessons.batch(torch.arange(5))
    assert tokens.shape == durations.shape == pitch.shape == energy.shape
    assert int(tokens.max()) < config.tokens
    assert bool(pitch.isfinite().all()) and bool(energy.isfinite().all())
    assert torch.equal(durations.sum(1), (mels != -100).all(-1).sum(1))
    assert float((durations[tokens > 0] > 0).float().mean()) > 0.95
    assert float(pitch[tokens > 0].mean()) == pytest.approx(0, abs=0.2)
    made.train()
    assert bool(made(tokens, durations, mels, pitch, energy, speakers).isfinite())
    assert made.eval().speak(made.aligner.sentence(["HH", "AH0"], 0)).shape[1] == 80


def drained(generator: Any) -> Any:
    """What a generator returns in the end."""
    while True:
        try:
            next(generator)
        except StopIteration as done:
            return done.value


# --- Views ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words():
    return small.trained(registry.family("hmm"), "espeak_digits")


def drawn(made: Any, key: str = "", **raw: Any) -> list[Any]:
    return staging.draw(staging.view(made, key), made.model, made.config, staging.scene(made), raw)


def test_digits_in_turn_grow_into_one_recording(words):
    view = staging.view(words)
    parts = list(staging.render(view, words.model, words.config, staging.scene(words), {"seed": 1}))
    lengths = [len(outputs[0].f0) for outputs in parts]
    assert len(lengths) >= 10 and lengths[:10] == sorted(lengths[:10])
    one = drawn(words, label=3, seed=1)[0]
    assert isinstance(one, World) and len(one.f0) < lengths[9] / 4
    higher = drawn(words, label=3, seed=1, pitch=12.0)[0]
    assert torch.allclose(higher.f0, 2 * one.f0, rtol=1e-4)


def test_a_recording_finds_its_way(words):
    take = Audio(small.load("espeak_digits").train.audio(3), 8_000)
    outputs = drawn(words, "path", take=take)
    heat = [o for o in outputs if isinstance(o, HeatMap)]
    bars = next(o for o in outputs if isinstance(o, Curve))
    assert outputs[0] is take and len(heat) == 2
    assert torch.allclose(heat[1].values.sum(0), torch.ones(heat[1].values.shape[1]), atol=1e-4)
    ((_, scores),) = bars.series.values()
    assert max(scores) == 0 and int(np.argmax(scores)) == 3


def test_what_cannot_be_read_or_was_never_heard_is_told():
    data = small.few("espeak", 5)
    job = small.job("hmm", "espeak", steps=2)
    built, loop = small.course(job, data)
    list(loop)
    made = Checkpoint("hmm", built.eval(), plan(job, data).config, data.info)
    *_, told = drawn(made, text="Vision 안녕, hm")
    assert isinstance(told, Words)
    outputs = drawn(made, text="안녕")
    assert all(isinstance(o, Words) for o in outputs) and len(outputs) == 2
    table = next(o for o in drawn(made, "durations") if isinstance(o, Table))
    assert table.rows and all(row[3] > 0 for row in table.rows)
