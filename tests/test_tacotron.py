"""Tacotron: the same numbers as torchaudio's `Tacotron2` with its weights; what the decoder, the loss and the end do; and
SpeechT5 beside it, through its own pipeline."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

import pytest
import small
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.models import Tacotron2

from playground import checkpoint, comparing, registry, staging
from playground.contract import BadSetting, DataInfo, Mel, Told, Words
from playground.families.speech.tacotron import Config, Tacotron
from playground.families.speech.tacotron.model import whole_steps
from playground.families.speech.tacotron.nets import inside
from playground.speaking import script
from playground.spoken_batches import SILENCE, Spoken, scaled
from playground.text import ENGLISH_LETTERS, ENGLISH_PHONES, KOREAN_PHONES
from trainers.driver import Control, drive
from trainers.plans import Job
from trainers.run import Run
from trainers.saving import run_checkpoint
from trainers.tacotron import TRAIN, WARM_UP, Recipe, stages, train

SIZES = {"width": 16, "cells": 24, "attention": 12, "prenet": 10, "postnet": 14, "reduction": 1, "coarsest": 1}


def config(**changes: object) -> Config:
    return Config(symbols=ENGLISH_PHONES.symbols, **{**SIZES, **changes})  # type: ignore[arg-type]


def randomised(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every weight and running statistic drawn anew, large enough that an error is seen."""
    rng = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not name.startswith("experience"):
            noise = torch.randn(value.shape, generator=rng) * 0.3
            value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise)
    return model.eval()


def torchaudios(model: Tacotron) -> Tacotron2:
    """torchaudio's net of the same sizes, with our weights under its names."""
    c = model.config
    net = Tacotron2(
        n_mels=c.front.mels, n_symbol=len(c.symbols), symbol_embedding_dim=c.width, encoder_embedding_dim=c.width,
        decoder_rnn_dim=c.cells, attention_rnn_dim=c.cells, attention_hidden_dim=c.attention, prenet_dim=c.prenet,
        postnet_embedding_dim=c.postnet,
    )  # fmt: skip
    ours = model.state_dict()
    state = {"embedding.weight": ours["symbols.weight"]}
    for name, value in ours.items():
        part, _, rest = name.partition(".")
        if part == "encoder":
            state["encoder." + rest.replace("layers", "convolutions")] = value
        elif part == "postnet":
            state["postnet." + rest.replace("layers", "convolutions")] = value
        elif part == "prenet":
            state["decoder." + name] = value
    for there, here in {
        "attention_layer.query_layer.weight": "attention.query.weight",
        "attention_layer.memory_layer.weight": "attention.key.weight",
        "attention_layer.v.weight": "attention.energy.weight",
        "attention_layer.location_layer.location_conv.weight": "attention.filters",
        "attention_layer.location_layer.location_dense.weight": "attention.location.weight",
        "linear_projection.weight": "frames.weight",
        "linear_projection.bias": "frames.bias",
        "gate_layer.weight": "stop.weight",
        "gate_layer.bias": "stop.bias",
    }.items():
        state["decoder." + there] = ours[here]
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        state[f"decoder.attention_rnn.{kind}"] = ours[f"attention.lstm.{kind}"]
        state[f"decoder.decoder_rnn.{kind}"] = ours[f"lstm.{kind}_l0"]
    net.load_state_dict(state)
    return net.eval()


@pytest.fixture
def shared_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prenets drop the same numbers: of each layer's units always those of the same places."""

    def dropped(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        kept = torch.rand(x.shape[-1], generator=torch.Generator().manual_seed(x.shape[-1])) >= p
        return x * kept / (1 - p) if training else x

    monkeypatch.setattr(F, "dropout", dropped)


def drawn(n: int, frames: int, batch: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    text = torch.randint(3, 40, (batch, n), generator=rng)
    mel = torch.randn(batch, frames, 80, generator=rng)
    return text, torch.full((batch,), n), mel, torch.full((batch,), frames)


@torch.no_grad()
def test_forward_equals_torchaudio_with_mapped_weights(shared_dropout):
    model = randomised(Tacotron(config()))
    model.speakers.weight.zero_()  # it has one speaker
    model.attention.key.bias.zero_()  # and no b in its energies
    model.attention.energy.weight.mul_(5)  # so that it looks somewhere
    net = torchaudios(model)
    text, text_length, mel, mel_length = drawn(9, 14)
    made = model.following(text, text_length, mel, mel_length, torch.zeros(3, dtype=torch.long), 1)
    before, after, stop, attention = net(text, text_length, mel.transpose(1, 2), mel_length)
    for ours, theirs in (
        (made.before, before.transpose(1, 2)),
        (made.after, after.transpose(1, 2)),
        (made.stop, stop),
        (made.attention, attention),
    ):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5 * float(theirs.abs().max()))
    assert float(made.attention.std()) > 0.02


# --- The decoder ----------------------------------------------------------------------------------------------


def talker(reduction: int = 2, seed: int = 0, coarsest: int = 1, **changes: object) -> Tacotron:
    """A small net with weights large enough that every part matters."""
    made = randomised(Tacotron(config(reduction=reduction, coarsest=coarsest, **changes)), seed)
    assert isinstance(made, Tacotron)
    made.requires_grad_(False).attention.energy.weight.mul_(5)
    return made


@pytest.mark.parametrize("encoder", ["convolutions", "cbhg"])
@pytest.mark.parametrize("located", [True, False])
def test_a_sentence_is_followed_alike_alone_and_in_a_batch(shared_dropout, encoder, located):
    model = talker(encoder=encoder, located=located)
    text, _, mel, _ = drawn(9, 12)
    lengths, frames, who = torch.tensor([9, 6, 4]), torch.tensor([12, 7, 4]), torch.tensor([0, 1, 2])
    for i in range(3):
        text[i, lengths[i] :], mel[i, frames[i] :] = 0, SILENCE
    padded, steps = whole_steps(mel, frames, 2)
    made = model.following(text, lengths, padded, steps, who, 2)
    for i, (n, s) in enumerate(zip(lengths.tolist(), steps.tolist(), strict=True)):
        alone = model.following(
            text[i : i + 1, :n], lengths[i : i + 1], padded[i : i + 1, : 2 * s], steps[i : i + 1], who[i : i + 1], 2
        )
        assert torch.allclose(alone.after[0], made.after[i, : 2 * s], atol=1e-4)
        assert torch.allclose(alone.stop[0], made.stop[i, :s], atol=1e-4)
        assert torch.allclose(alone.attention[0], made.attention[i, :s, :n], atol=1e-5)
        assert not made.attention[i, :s, n:].any()


def test_what_it_says_is_what_it_would_say_if_told_its_own_frames(shared_dropout):
    """Synthesis, step by step, equals teacher forcing on what it said: the second LSTM and the postnet see the same."""
    model = talker()
    for weight in model.frames.parameters():
        weight.mul_(0.3)  # so that nothing is quieter than silence, and cut off there
    model.experience.slowest.fill_(1.0)
    reading = model.config.alphabet.read("two words")

    class Fixed(torch.nn.Module):
        """A prenet that draws the same however it is called."""

        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, frame, rng=None):
            return self.net(frame)

    model.prenet = Fixed(model.prenet)
    heard = model.say(reading, 1, torch.Generator(), stops=2.0)
    assert not heard.ended
    steps = len(heard.stop)
    assert steps == model.experience.most_frames(len(reading.ids)) // 2
    said = scaled(heard.before)[None]
    assert float(said.min()) > SILENCE
    made = model.following(
        torch.tensor([reading.ids]), torch.tensor([len(reading.ids)]), said, torch.tensor([steps]), torch.tensor([1]), 2
    )
    assert torch.allclose(made.before[0], said[0], atol=1e-4)
    assert torch.allclose(made.stop[0].sigmoid(), heard.stop, atol=1e-4)
    assert torch.allclose(made.attention[0], heard.attention, atol=1e-5)


def test_attention_that_is_not_located_does_not_know_where_it_has_been(shared_dropout):
    """Of two pasts that differ in their attention only, one net tells the difference."""
    for located in (True, False):
        model = talker(located=located)
        text = model.read(torch.tensor([[5, 9, 30, 7, 2]]), torch.tensor([5]), torch.tensor([0]))
        begin = model.attention.begin(text)
        weights = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
        frame = torch.ones(1, model.config.prenet)
        one = model.attention(frame, text, begin).weights
        two = model.attention(frame, text, begin._replace(weights=weights, total=weights)).weights
        assert torch.allclose(one, two) is not located


def test_the_same_generator_says_the_same_and_another_does_not():
    model = talker()
    reading = model.config.alphabet.read("nine")
    one, same, other = (model.say(reading, 0, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.mel, same.mel)
    assert one.mel.shape != other.mel.shape or not torch.allclose(one.mel, other.mel, atol=1e-3)


# --- Frames a step --------------------------------------------------------------------------------------------


def test_frames_a_step_fall_in_equal_parts_of_the_training():
    falling = config(reduction=2, coarsest=5)
    assert [falling.reduction_at(p / 8) for p in range(9)] == [5, 5, 4, 4, 3, 3, 2, 2, 2]
    assert {config(reduction=3, coarsest=2).reduction_at(p / 8) for p in range(9)} == {3}


def test_a_coarser_step_trains_the_first_frames_of_the_finer_one():
    model = Tacotron(config(reduction=2, coarsest=4))
    batch = utterances(model)
    _, terms = model(*batch, progress=0.0)
    assert int(model.reduction) == 4
    assert all(bool(value.isfinite()) for value in terms.values())
    model.zero_grad()
    model(*batch, progress=1.0)[0].backward()
    assert int(model.reduction) == 2
    grad = model.frames.weight.grad
    assert bool(grad[: 2 * 80].abs().sum() > 0)
    assert not grad[2 * 80 :].any()


def utterances(model: Tacotron) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(5)
    text = torch.randint(3, 30, (2, 7), generator=rng)
    return (
        text,
        torch.tensor([7, 5]),
        torch.randn(2, 13, 80, generator=rng).half(),
        torch.tensor([13, 8]),
        torch.tensor([0, 3]),
    )


def test_every_weight_gets_a_gradient():
    for changes in ({}, {"encoder": "cbhg"}, {"located": False}, {"reads": "letters"}):
        model = Tacotron(config(reduction=2, **changes))
        loss, _ = model(*utterances(model))
        loss.backward()
        still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
        assert not still


def test_the_loss_is_what_it_says_it_is():
    """By hand, utterance by utterance, without padding."""
    model = talker()
    model.prenet = torch.nn.Sequential(*model.prenet.layers)  # nothing drops
    text, text_length, mel, mel_length, who = utterances(model)
    loss, terms = model(text, text_length, mel, mel_length, who, guide=3.0)
    padded, steps = whole_steps(mel.float(), mel_length, 2)
    made = model.following(text, text_length, padded, steps, who, 2)
    frames, spectral, end, guide = 0, 0.0, 0.0, 0.0
    for i, (n, s) in enumerate(zip(text_length.tolist(), steps.tolist(), strict=True)):
        for guess in (made.before, made.after):
            error = guess[i, : 2 * s] - padded[i, : 2 * s]
            spectral += float(error.abs().mean(1).sum() + error.square().mean(1).sum())
        target = torch.zeros(s)
        target[-1] = 1.0
        p = made.stop[i, :s].sigmoid()
        end -= float((5 * target * p.log() + (1 - target) * (1 - p).log()).sum())
        t, m = torch.arange(s)[:, None] / s, torch.arange(n)[None, :] / n
        guide += float((made.attention[i, :s, :n] * (1 - torch.exp(-(m - t).square() / (2 * 0.3**2)))).sum())
        frames += 2 * s
    expected = spectral / frames + end / int(steps.sum()) + 3 * guide / int(steps.sum())
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(terms["attention off the diagonal"]) == pytest.approx(guide / int(steps.sum()), rel=1e-5)


# --- What it reads --------------------------------------------------------------------------------------------


def test_letters_are_read_in_english_only():
    assert config(reads="letters").alphabet is ENGLISH_LETTERS
    assert Tacotron(config(reads="letters")).symbols.num_embeddings == len(ENGLISH_LETTERS.symbols)
    with pytest.raises(BadSetting, match="only English"):
        Config(symbols=KOREAN_PHONES.symbols, reads="letters")


def test_a_text_without_end_is_cut_off_and_that_is_told():
    """A net that never ends, and whose attention never moves."""
    model = talker()
    model.stop.bias.fill_(-100.0)
    made = checkpoint.Checkpoint("tacotron", model, model.config, DataInfo("x"))
    outputs = staging.draw(
        staging.view(made), model, model.config, staging.scene(made, []), {"text": "Nobody knew why."}
    )
    assert isinstance(outputs[0], Mel)
    told = [o.text["en"] for o in outputs if isinstance(o, Words)]
    assert any("went astray in 3 tries (did not find its end" in text for text in told)


@pytest.mark.parametrize("text", ["", "😀😀😀", "안녕하세요", "one " * 499])
def test_every_text_gets_an_answer(text):
    model = talker()
    model.stop.bias.fill_(100.0)  # it ends at once
    made = checkpoint.Checkpoint("tacotron", model, model.config, DataInfo("x"))
    outputs = staging.draw(staging.view(made), model, model.config, staging.scene(made, []), {"text": text})
    if "one" in text:
        assert isinstance(outputs[0], Mel)
    else:
        assert all(isinstance(output, Words) for output in outputs)
        assert "nothing to be said" in outputs[0].text["en"]


@pytest.mark.parametrize(
    ("name", "symbols", "said"),
    [
        ("kathleen", ENGLISH_PHONES.symbols, "the early train was late"),
        ("digit_strings:16000", ENGLISH_PHONES.symbols, "three one four one five"),
        ("espeak_ko", KOREAN_PHONES.symbols, "동생이 강가에서 노래를 만들었습니다"),
    ],
)
def test_each_kind_of_voice_has_something_of_its_own_to_say(name, symbols, said):
    torch.manual_seed(0)
    model = Tacotron(Config(**SIZES, symbols=symbols)).eval().requires_grad_(False)
    model.stop.bias.fill_(100.0)  # it ends at once
    made = checkpoint.Checkpoint("tacotron", model, model.config, DataInfo(name))
    view = staging.view(made)
    assert sum(c.kind == "text" and c.shown(made.config, made.info) for c in view.controls) == 1
    outputs = staging.draw(view, model, model.config, staging.scene(made, []), {})
    assert isinstance(outputs[0], Mel)
    assert outputs[0].title["en"].startswith(f"“{said}")


# --- Training -------------------------------------------------------------------------------------------------


def test_a_synthetic_voice_comes_first_where_it_is_asked_for_and_has_speakers_of_its_own(monkeypatch):
    from trainers import tacotron as trainer

    few = small.few("espeak_digits:16000", 12)
    monkeypatch.setattr(trainer, "synthetic", lambda alphabet, rate, first: Spoken(few.train, alphabet, first))
    model = Tacotron(config(speakers=("ann", "ben"), reduction=4))
    found = list(stages(model, few, 3, 10, Run(batch_size=4)))
    assert [(phase, before, steps) for phase, _, before, steps in found] == [(WARM_UP, 0, 3), (TRAIN, 3, 7)]
    assert int(found[0][1].speakers.min()) >= 2
    assert [phase for phase, *_ in stages(model, few, 0, 10, Run(batch_size=4))] == [TRAIN]
    reports = list(train(model, few, Recipe(steps=5, warm_up=0.4, batch_size=4), Run(batch_size=4)))
    assert [(p.phase, p.step) for p in reports] == [(WARM_UP, 1), (WARM_UP, 2), (TRAIN, 1), (TRAIN, 2), (TRAIN, 3)]
    assert all(bool(v.isfinite()) for p in reports for v in map(torch.as_tensor, p.values.values()))
    assert float(model.experience.longest) == max(map(len, Spoken(few.train, ENGLISH_PHONES).texts))


@pytest.mark.parametrize("reference", [False, True])
def test_a_stopped_and_resumed_run_equals_one_that_went_through(reference, monkeypatch, tmp_path):
    from trainers import tacotron as trainer

    few = small.few("espeak_digits:16000", 12)
    monkeypatch.setattr(trainer, "synthetic", lambda alphabet, rate, first: Spoken(few.train, alphabet, first))
    sizes = {"hidden": 16, "layers": 1} if reference else {"width": 16, "cells": 16, "attention": 8, "postnet": 8}
    recipe = {"steps": 6, "warm_up": 0.5, "batch_size": 4}
    job = Job("tacotron", "espeak_digits:16000", recipe=recipe, config=sizes, reference=reference)
    states = []
    for name, halts in (("through", [0]), ("stopped", [2, 5, 0])):
        for halt in halts:
            control = Control()
            for event in drive(job, tmp_path / name, control, autosave=1e9, report_every=0.0, data=few):
                if event["type"] == "progress" and event["step"] == halt:
                    control.stop()
        states.append(run_checkpoint(tmp_path / name).model.state_dict())
    assert small.same(*states)


# --- The counterpart ------------------------------------------------------------------------------------------


def counterpart() -> Any:
    module = registry.reference("tacotron")
    torch.manual_seed(0)
    model = module.Model(module.Config(hidden=16, layers=1, reduction=2, speakers=("ann", "ben"))).eval()
    for parameter in model.requires_grad_(False).parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    model.net.speech_decoder_postnet.prob_out.bias.fill_(-10.0)  # it finds no end
    return model


def test_speecht5_is_trained_by_its_own_loss_and_the_guide_can_be_left_out():
    model = counterpart()
    batch = utterances(Tacotron(config()))
    torch.manual_seed(1)
    with_guide, terms = model(*batch)
    torch.manual_seed(1)
    without, _ = model(*batch, guide=0.0)
    assert float(with_guide) > float(without) > float(terms["error after the postnet"]) > 0
    text, text_length, mel, mel_length, who = batch
    labels, steps = whole_steps(mel.float(), mel_length, 2)
    labels = labels.masked_fill(~inside(2 * steps, labels.shape[1])[:, :, None], -100.0)
    torch.manual_seed(1)
    theirs = model.net(
        input_ids=text,
        attention_mask=inside(text_length, text.shape[1]).long(),
        labels=labels,
        speaker_embeddings=torch.eye(6)[who],
    )
    assert float(without) == pytest.approx(float(theirs.loss), rel=1e-6)


def test_speecht5_speaks_through_the_librarys_pipeline(tmp_path):
    from transformers import pipeline

    from playground.references import _speecht5 as shared

    model = counterpart()
    said = script("two words", ENGLISH_PHONES, model.experience)
    heard, same, other = (model.say(said.readings[0], 0, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(heard.mel, same.mel)
    assert heard.mel.shape != other.mel.shape or not torch.allclose(heard.mel, other.mel, atol=1e-3)
    assert heard.attention.shape == (len(heard.stop), len(said.readings[0].ids))
    assert torch.allclose(heard.attention.sum(1), torch.ones(len(heard.stop)), atol=1e-4)
    registry.reference("tacotron").save(model, tmp_path)
    speak = pipeline("text-to-speech", model=str(tmp_path), vocoder=shared.AsMel(model.config))
    ids = speak.tokenizer(shared.written(said.readings[0]))["input_ids"]
    assert tuple(ids) == said.readings[0].ids
    torch.manual_seed(int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(3))))
    most = model.experience.most_frames(len(ids)) / len(ids)
    asked = {"speaker_embeddings": torch.eye(6)[:1], "maxlenratio": most, "output_cross_attentions": True}
    mel = torch.from_numpy(speak(shared.written(said.readings[0]), forward_params=asked)["audio"])
    assert not heard.ended
    assert torch.allclose(mel.view(-1, 80), heard.mel, atol=1e-5)


def test_without_a_network_the_pretrained_model_is_said_to_be_missing(monkeypatch):
    from torchaudio.pipelines._tts import impl

    def unreachable(url: str, **options: Any) -> None:
        assert options["weights_only"] is True
        raise URLError("no network")

    monkeypatch.setattr(impl, "load_state_dict_from_url", unreachable)
    with pytest.raises(Told, match="TACOTRON2_GRIFFINLIM_CHAR_LJSPEECH is not on this machine"):
        comparing.hub_side(registry.family("tacotron"), {})


@pytest.mark.filterwarnings("ignore:Reached max decoder steps")
def test_the_pretrained_model_says_what_is_asked_for(monkeypatch):
    from torchaudio.pipelines._tts import impl

    torch.manual_seed(0)
    sizes = {"symbol_embedding_dim": 8, "encoder_embedding_dim": 8, "decoder_rnn_dim": 8, "attention_rnn_dim": 8}
    net = Tacotron2(n_symbol=38, decoder_max_step=30, prenet_dim=8, postnet_embedding_dim=8, **sizes)
    net.decoder.gate_layer.bias.data.fill_(-10.0)  # it finds no end
    monkeypatch.setattr(type(impl.TACOTRON2_GRIFFINLIM_CHAR_LJSPEECH), "get_tacotron2", lambda self, dl_kwargs: net)
    outputs = comparing.hub_side(registry.family("tacotron"), {"text": "Hello there.", "seed": 1})
    assert isinstance(outputs[0], Mel)
    assert outputs[0].values.shape[1] == 80
    assert outputs[0].rate == 16_000
    assert bool(outputs[0].values.isfinite().all())
