"""Transformer TTS against torch's Transformer layers, SpeechT5's losses, and itself step by step."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import small
import torch
from torch import Tensor, nn

from playground import registry, staging
from playground.contract import Audio, BadSetting, DataInfo, Scene, Told, Words, configure
from playground.families.speech.transformer_tts import FAMILY, Config, TransformerTTS
from playground.families.speech.transformer_tts.model import Drawn, losses
from playground.families.speech.transformer_tts.nets import Attention, DecoderLayer, EncoderLayer, Past, Positions
from playground.families.speech.transformer_tts.samplers import AHEAD, BACK
from playground.families.speech.transformer_tts.views import LINGER
from playground.spoken_batches import SILENCE
from playground.text import ENGLISH_PHONES
from trainers.transformer_tts import SYNTHETIC, TRAIN, pace

TINY = {
    "width": 16, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "feed_forward": 24, "filters": 12, "prenet": 20,
}  # fmt: skip


def model(seed: int = 0, speakers: int = 2, **settings: object) -> TransformerTTS:
    """A small voice with weights large enough that every part matters."""
    torch.manual_seed(seed)
    info = DataInfo("x", speakers=tuple("abcdef"[:speakers]), sample_rate=16_000, symbols=ENGLISH_PHONES.symbols)
    made = TransformerTTS(configure(Config, info, **{**TINY, **settings})).eval()
    for parameter in made.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return made


def batch(frames: tuple[int, ...] = (20, 13), symbols: tuple[int, ...] = (7, 5)) -> tuple[Tensor, ...]:
    text = torch.randint(3, 40, (len(symbols), max(symbols)))
    mel = torch.randn(len(frames), max(frames), 80)
    for i, (n, f) in enumerate(zip(symbols, frames, strict=True)):
        text[i, n:] = 0
        mel[i, f:] = SILENCE
    return text, torch.tensor(symbols), mel, torch.tensor(frames), torch.arange(len(symbols))


def close(a: Tensor, b: Tensor, relative: float = 1e-5) -> bool:
    return bool((a - b).abs().max() <= relative * b.abs().max())


# --- Layers ---------------------------------------------------------------------------------------------------


def copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.data = torch.cat([ours.query.weight, ours.key_value.weight])
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, ours.key_value.bias])
    theirs.out_proj.load_state_dict(ours.out.state_dict())


def copy_feed(ours: nn.Sequential, theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> None:
    theirs.linear1.load_state_dict(ours[0].state_dict())
    theirs.linear2.load_state_dict(ours[3].state_dict())


def test_an_encoder_layer_is_torchs():
    made = model()
    ours: EncoderLayer = made.encoder[0]
    theirs = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=True).eval()
    copy_attention(ours.attend, theirs.self_attn)
    copy_feed(ours.feed, theirs)
    theirs.norm1.load_state_dict(ours.attend_norm.state_dict())
    theirs.norm2.load_state_dict(ours.feed_norm.state_dict())
    x, inside = torch.randn(2, 7, 16), torch.arange(7) < torch.tensor([[7], [4]])
    expected = theirs(x, src_key_padding_mask=~inside)
    got, _ = ours(x, inside[:, None, None])
    assert close(got[inside], expected[inside])


def test_a_decoder_layer_is_torchs():
    made = model()
    ours: DecoderLayer = made.decoder[0]
    theirs = nn.TransformerDecoderLayer(16, 4, 24, batch_first=True, norm_first=True).eval()
    copy_attention(ours.self_attend, theirs.self_attn)
    copy_attention(ours.cross_attend, theirs.multihead_attn)
    copy_feed(ours.feed, theirs)
    for mine, other in (
        (ours.self_norm, theirs.norm1),
        (ours.cross_norm, theirs.norm2),
        (ours.feed_norm, theirs.norm3),
    ):
        other.load_state_dict(mine.state_dict())
    x, memory = torch.randn(2, 6, 16), torch.randn(2, 7, 16)
    inside = torch.arange(7) < torch.tensor([[7], [4]])
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    expected = theirs(x, memory, tgt_mask=~causal, memory_key_padding_mask=~inside)
    got, _, among, on_text = ours(x, Past(ours.cross_attend.remember(memory)), causal, inside[:, None, None])
    assert close(got, expected)
    _, weights = theirs.multihead_attn(torch.randn(2, 6, 16), memory, memory, ~inside, average_attn_weights=False)
    assert on_text.shape == weights.shape == (2, 4, 6, 7)
    assert not on_text[1, :, :, 4:].any() and not among.triu(1).any()
    assert torch.allclose(on_text.sum(3), torch.ones(2, 4, 6))


def test_positions_are_the_papers():
    """Vaswani et al., section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos of the same."""
    width, first = 16, 5
    got = Positions.encoding(first, 9, width)
    for k in range(9):
        for i in range(width // 2):
            angle = (first + k) / 10_000 ** (2 * i / width)
            assert float(got[k, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-5)
            assert float(got[k, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-5)


# --- The objective --------------------------------------------------------------------------------------------


def test_losses_are_speecht5s_at_one_frame_a_step():
    from transformers import SpeechT5Config
    from transformers.models.speecht5.modeling_speecht5 import SpeechT5SpectrogramLoss

    made = model(reduction=1, guided_heads=3)
    text, lengths, mels, frames, speakers = batch()
    drawn = made.draw(text, lengths, mels, frames, speakers)
    theirs = SpeechT5SpectrogramLoss(
        SpeechT5Config(reduction_factor=1, guided_attention_loss_num_heads=3, guided_attention_loss_sigma=0.4)
    )
    outside = torch.arange(mels.shape[1]) >= frames[:, None]
    expected = theirs(
        (torch.arange(text.shape[1]) < lengths[:, None]).long(),
        drawn.before, drawn.after, drawn.stop, mels.masked_fill(outside[..., None], -100.0), drawn.on_text,
    )  # fmt: skip
    terms = losses(drawn, mels, frames, lengths, guided=3, width=0.4)
    total = terms["absolute"] + terms["stop"] + 10 * terms["guide"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["guide"] > 0.01


def test_a_perfect_drawing_costs_nothing():
    frames, steps, lengths = torch.randn(2, 12, 80), torch.tensor([4, 2]), torch.tensor([4, 4])
    stop = torch.full((2, 4), -50.0)
    stop[0, 3] = stop[1, 1] = 50.0
    along = torch.zeros(2, 1, 4, 4)
    along[0, 0] = torch.eye(4)
    along[1, 0, 0, 0] = along[1, 0, 1, 2] = 1.0  # two steps for four symbols: 0 and half of them
    perfect = Drawn(frames, frames, stop, [along], [])
    spoilt = torch.cat([frames[:, :6], frames[:, 6:] + 1], dim=1)
    assert all(float(term) < 1e-6 for term in losses(perfect, frames, steps, lengths, 1).values())
    terms = losses(perfect._replace(after=spoilt), frames, steps, lengths, 1)
    assert terms["absolute"] == pytest.approx(1 / 3)  # six of the first take's twelve frames; the second has but six
    assert terms["squared"] == pytest.approx(1 / 3)
    terms = losses(perfect._replace(before=frames + 3), frames, steps, lengths, 1)
    assert (terms["absolute"].item(), terms["squared"].item()) == pytest.approx((3, 9))
    assert losses(perfect._replace(stop=-stop), frames, steps, lengths, 1)["stop"] > 50


def test_the_objective_reaches_every_weight():
    made = model(speakers=2, dropout=0.0)
    text, lengths, mels, frames, _ = batch(frames=(20, 13, 9, 9, 9, 9), symbols=(7, 5, 3, 3, 3, 3))
    text[:, :] = torch.arange(1, 43).view(6, 7) % 77
    loss, terms = made(text, lengths, mels, frames, torch.arange(6), guide=1.0)
    assert loss.item() == pytest.approx(
        (terms["absolute"] + terms["squared"] + terms["stop"] + 10 * terms["guide"]).item(), rel=1e-6
    )
    loss.backward()
    missing = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing


@pytest.mark.parametrize("reduction", [1, 3])
def test_padding_changes_nothing(reduction):
    made = model(prenet_dropout=0.0, reduction=reduction)
    text, lengths, mels, frames, speakers = batch()
    together = made.draw(text, lengths, made.whole_groups(mels), -(-frames // reduction), speakers)
    for i, (n, f) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
        own = slice(i, i + 1)
        alone = made.draw(
            text[own, :n], lengths[own], made.whole_groups(mels[own, :f]), -(-frames[own] // reduction), speakers[own]
        )
        steps = alone.stop.shape[1]
        assert close(together.after[own, : steps * reduction], alone.after, 1e-4)
        assert close(together.stop[own, :steps], alone.stop, 1e-4)


def test_a_step_hears_only_what_came_before_it():
    made = model(prenet_dropout=0.0, reduction=3)
    text, lengths, mels, _, speakers = batch(frames=(30, 30))
    steps = torch.tensor([10, 10])
    one = made.draw(text, lengths, mels, steps, speakers)
    mels[:, 17] += 5  # the last frame of step 5
    other = made.draw(text, lengths, mels, steps, speakers)
    assert torch.equal(one.before[:, :18], other.before[:, :18])
    assert torch.equal(one.stop[:, :6], other.stop[:, :6])
    assert not torch.allclose(one.before[:, 18:21], other.before[:, 18:21])


# --- Speaking -------------------------------------------------------------------------------------------------


def said(made: TransformerTTS, sampler: str = "cached", seed: int = 0, **settings: object):  # type: ignore[no-untyped-def]
    rng = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        return made.speak([9, 20, 4, 31, 12, 2], 1, rng=rng, sampler=sampler, **settings)


@pytest.mark.parametrize("steady", [False, True])
@pytest.mark.parametrize("reduction", [1, 2])
def test_cached_decoding_is_full_decoding(reduction, steady):
    made = model(reduction=reduction)
    made.experience.slowest.fill_(5.0)
    one, other = (said(made, sampler, threshold=1.0, steady=steady) for sampler in ("cached", "full"))
    assert len(one.stop) == len(other.stop) == -(-made.experience.most_frames(6) // reduction)
    assert not one.ended
    for part in ("mel", "before", "stop", "attention"):
        assert close(getattr(one, part), getattr(other, part), 1e-4), part


def test_what_was_spoken_is_what_reading_along_draws():
    """Teacher forcing on its own words: the parallel and the sequential decoder are one."""
    made = model(prenet_dropout=0.0)
    made.to_frames.weight.data *= 0.05  # nothing as loud as the scale's floor, where it is cut off
    made.to_frames.bias.data *= 0.05
    spoken = said(made, threshold=1.0, steady=False)
    with torch.inference_mode():
        along = made.read_along([9, 20, 4, 31, 12, 2], spoken.before, 1)
    for part in ("mel", "before", "stop", "attention"):
        assert close(getattr(along, part), getattr(spoken, part), 1e-4), part
    assert torch.allclose(along.alignment.sum(1), torch.ones(len(along.stop)))


def test_a_steady_voice_goes_on_from_where_it_is():
    made = model(guided_heads=3)
    free, steady = (said(made, threshold=1.0, steady=steady) for steady in (False, True))
    path = steady.alignment.argmax(1)
    assert int(path[0]) <= AHEAD
    assert bool((path.diff() <= AHEAD).all() and (path.diff() >= -BACK).all())
    wander = free.alignment.argmax(1).diff()
    assert bool((wander > AHEAD).any() or (wander < -BACK).any()), "else nothing was held"
    assert bool((steady.attention[:, 3] > 0).all()), "the fourth head is free"


def test_it_ends_where_the_end_is_probable():
    made = model()
    made.to_stop.weight.data.zero_()
    made.to_stop.bias.data.fill_(2.0)
    assert (len(said(made).stop), said(made).ended) == (1, True)
    made.to_stop.bias.data.fill_(-2.0)
    most = -(-made.experience.most_frames(6) // 3)
    assert (len(said(made).stop), said(made).ended) == (most, False)
    assert (len(said(made, threshold=0.1, linger=0.48).stop), said(made, threshold=0.1, linger=0.48).ended) == (
        11,
        True,
    )


def test_speech_follows_the_generator_though_nothing_else_is_drawn():
    made = model()
    one, same, other = (said(made, seed=seed).mel for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert one.shape != other.shape or not torch.allclose(one, other)
    calm = model(prenet_dropout=0.0)
    assert torch.equal(said(calm, seed=1).mel, said(calm, seed=2).mel)


def test_the_speaker_and_the_positions_matter():
    made = model(prenet_dropout=0.0)
    text, lengths, mels, frames, _ = batch(frames=(21, 21), symbols=(7, 7))
    text[1], mels[1] = text[0], mels[0]
    drawn = made.draw(text, lengths, mels, frames // 3, torch.tensor([0, 1]))
    assert not torch.allclose(drawn.after[0], drawn.after[1])
    alone = made.draw(text, lengths, mels, frames // 3, torch.tensor([0, 0]))
    made.text_place.alpha.data.zero_()
    assert not torch.allclose(
        alone.on_text[0], made.draw(text, lengths, mels, frames // 3, torch.tensor([0, 0])).on_text[0]
    )


# --- Recipe ---------------------------------------------------------------------------------------------------


def test_the_learning_rate_warms_up_and_falls():
    """Vaswani et al., eq. 3, divided by its peak, until the last fifth."""
    warm_up, total = 50, 1000
    noam = lambda step: min(step**-0.5, step * warm_up**-1.5) * warm_up**0.5
    for step in (1, 10, 50, 51, 400, 800):
        assert pace(step, total, warm_up) == pytest.approx(noam(step))
    assert 0 < pace(1000, 1000, warm_up) < 0.01 * pace(800, 1000, warm_up)
    assert pace(1, 1000, 0) == pace(900, 1000, 0) == 1.0
    assert pace(10, 10, 4000) > 0


def test_settings_that_do_not_fit_are_named():
    with pytest.raises(BadSetting, match="width = 100"):
        Config(width=100, heads=4)
    with pytest.raises(BadSetting, match="44,100"):
        Config(sample_rate=44_100)


def test_synthetic_voices_are_learned_first_under_numbers_of_their_own():
    data = small.few("espeak", 40)
    job = small.job("transformer_tts", "espeak", recipe={"steps": 4, "synthetic": 0.5, "batch_size": 4})
    made, loop = small.course(job, data)
    heard: dict[str, set[int]] = {}
    told = made.forward

    def listening(*batch: Tensor, **settings: float) -> object:
        heard.setdefault(phase, set()).update(batch[4].tolist())
        return told(*batch, **settings)

    made.forward = listening
    phase = SYNTHETIC
    reports = []
    for report in loop:
        reports.append((report.phase, report.step))
        phase = SYNTHETIC if len(reports) < 2 else TRAIN
    assert reports == [(SYNTHETIC, 1), (SYNTHETIC, 2), (TRAIN, 1), (TRAIN, 2)]
    own, others = made.config.voices, made.speaker.num_embeddings
    assert heard[TRAIN] <= set(range(own))
    assert heard[SYNTHETIC] <= set(range(own, others))


# --- Views ----------------------------------------------------------------------------------------------------


def looked(made: TransformerTTS, key: str, **raw: object) -> list[Any]:
    info = DataInfo("x", speakers=made.config.speakers, sample_rate=16_000, symbols=made.config.symbols)
    view = next(v for v in FAMILY.views if v.key == key)
    return staging.draw(view, made, made.config, Scene(torch.Generator(), info, lambda: None), raw)  # type: ignore[arg-type,return-value]


def test_every_head_of_every_layer_has_its_picture():
    made = model()
    for which, layers in (("text", 2), ("decoder", 2), ("encoder", 2)):
        sheet, _ = looked(made, "heads", which=which, text="One two.")
        assert len(sheet.pictures) == len(sheet.captions) == layers * made.config.heads
        assert sheet.pictures.amax() == 1
        assert sum("*" in caption for caption in sheet.captions) == (
            layers * made.config.guided if which == "text" else 0
        )


def test_the_positions_of_the_model_itself_are_left_as_they_are():
    made = model(prenet_dropout=0.0)
    before = (made.text_place.alpha.item(), made.frame_place.alpha.item())
    one, other = (looked(made, "positions", text_scale=t, frame_scale=f, text="One.")[0] for t, f in ((1, 1), (0, 2)))
    assert (made.text_place.alpha.item(), made.frame_place.alpha.item()) == before
    assert one.values.shape != other.values.shape or not torch.allclose(one.values, other.values)


def test_the_voice_can_be_made_to_go_on_after_its_end():
    made = model()
    made.to_stop.weight.data.zero_()
    made.to_stop.bias.data.fill_(1.0)
    curve, mel = looked(made, "ending", text="One.", threshold=0.6)
    probability = curve.series["P(end)"][1]
    assert len(probability) == 1 + round(LINGER * 62.5 / 3)
    assert len(mel.values) == 3 * len(probability)
    assert curve.series["end"][0][0] == pytest.approx(3 * 0.016)


def test_a_sentence_that_went_astray_is_spoken_again_with_steady_attention(monkeypatch):
    made = model()
    tries: list[bool] = []
    told = made.speak

    def noted(ids: tuple[int, ...], speaker: int, *, rng: torch.Generator, steady: bool = False) -> object:
        tries.append(steady)
        return told(ids, speaker, rng=rng, steady=steady)

    monkeypatch.setattr(made, "speak", noted)
    made.to_stop.weight.data.zero_()
    made.to_stop.bias.data.fill_(-9.0)  # no sentence ends
    *_, words = looked(made, "generate", text="One. Two.")
    assert tries == [False, True, True] * 2
    assert "did not find its end" in words.text["en"]


def test_nothing_to_say_is_said():
    for key in ("heads", "positions", "ending", "postnet", "cache"):
        with pytest.raises(BadSetting, match="nothing to be said"):
            looked(model(), key, text="...")
    told = looked(model(), "generate", text="🦜")
    assert [type(output) for output in told] == [Words, Words]
    assert "🦜" in told[1].text["en"]


# --- The hub --------------------------------------------------------------------------------------------------


def test_without_a_network_the_hubs_voice_is_said_to_be_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    from playground import comparing

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Told) as told:
        comparing.hub_side(registry.family("transformer_tts"), {})
    assert "facebook/mms-tts-eng is not on this machine" in told.value.text["en"]
    assert "facebook/mms-tts-eng" in told.value.text["ko"]


def test_the_hubs_voice_speaks_through_its_own_pipeline(monkeypatch, tmp_path):
    """A small VITS in the place of the hub's, with a tokenizer of the same kind."""
    import transformers

    from playground import comparing
    from playground.references import transformer_tts as reference

    (tmp_path / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate("_ abcdefghijklmnopqrstuvwxyz'")}))
    tokenizer = transformers.VitsTokenizer(
        str(tmp_path / "vocab.json"), pad_token="_", unk_token="_", normalize=True, phonemize=False
    )
    config = transformers.VitsConfig(
        vocab_size=29, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=17, upsample_initial_channel=32, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]], prior_encoder_num_flows=1, wavenet_dilation_rate=1,
        posterior_encoder_num_wavenet_layers=1, prior_encoder_num_wavenet_layers=1, duration_predictor_num_flows=1,
        duration_predictor_filter_channels=16, depth_separable_num_layers=1,
    )  # fmt: skip
    torch.manual_seed(0)
    net = transformers.VitsModel(config)
    monkeypatch.setattr(reference, "from_hub", lambda: reference.Pretrained(net, tokenizer))
    state = torch.get_rng_state()
    family = registry.family("transformer_tts")
    one, two, words = comparing.hub_side(family, {"text": "Dr. Lee has 3. Why 🦜?", "seed": 1})
    again = comparing.hub_side(family, {"text": "Dr. Lee has 3. Why 🦜?", "seed": 1})[0]
    assert isinstance(one, Audio) and isinstance(two, Audio) and isinstance(words, Words)
    assert one.rate == 16_000
    assert "doctor lee has three" in one.title["en"]
    assert torch.equal(one.samples, again.samples)
    assert torch.equal(state, torch.get_rng_state())
