"""The U-Net against diffusers' own, the samplers against its schedulers, the process against its equations."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from playground import registry, staging
from playground.checkpoint import Checkpoint
from playground.contract import BadSetting, DataInfo, Told, configure
from playground.families.image.ddpm import DDPM, Config, convert
from playground.families.image.ddpm.model import shown
from playground.families.image.ddpm.process import (
    alpha_bars,
    at,
    diffuse,
    eps_of,
    min_snr_weight,
    velocity,
    x_0_of,
)
from playground.families.image.ddpm.samplers import SAMPLERS, Denoise, ddim, ddpm, encode, repaint, spread
from playground.families.image.ddpm.views import slerp

SMALL = {"channels": 1, "height": 8, "width": 8, "maps": 16, "groups": 4, "head": 8, "fold": 1}
CIFAR = {
    "channels": 3,
    "height": 32,
    "width": 32,
    "levels": "1-2a-2-2",
    "blocks": 2,
    "fold": 1,
    "head": 0,
    "schedule": "linear",
    "prediction": "epsilon",
}
"""The layout of google/ddpm-cifar10-32; there maps is 128 and groups 32."""


def model(seed: int = 0, **settings: object) -> DDPM:
    """A small DDPM whose every weight matters: as made, its norms do nothing."""
    torch.manual_seed(seed)
    made = DDPM(Config(**{**SMALL, **settings}))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def error(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((a - b).abs().max() / b.abs().max())


# --- The net --------------------------------------------------------------------------------------------------

SHAPES = {
    "default": {"fold": 2, "groups": 8, "maps": 16},
    "told a class": {"classes": 3},
    "three levels": {"levels": "1-2-2a", "layout": "diffusers"},
    "attention at the finest": {"levels": "1a-1-3", "blocks": 2, "head": 0},
    "oblong": {"width": 16, "channels": 3},
    "cifar": {**CIFAR, "maps": 16, "groups": 8},
}


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES)
def test_the_net_equals_unet2dmodel_both_ways(settings):
    from diffusers import UNet2DModel

    made = model(**settings)
    theirs = UNet2DModel(**convert.unet2d_settings(made.config)).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    fold, labels = made.config.fold, made.config.labels
    x = torch.randn(4, made.config.channels, made.config.height, made.config.width)
    t, y = torch.tensor([0.0, 1.0, 417.0, 999.0]), torch.arange(4) % (labels + 1) if labels else None
    outputs = []
    for weights in ("ours", "theirs"):
        if weights == "ours":
            theirs.load_state_dict(convert.to_unet2d(made.net.state_dict()))
        else:
            for parameter in theirs.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
            made.net.load_state_dict(convert.from_unet2d(theirs.state_dict(), made.net.state_dict()))
        with torch.no_grad():
            mine = made.net(x, t, y)
            other = F.pixel_shuffle(theirs(F.pixel_unshuffle(x, fold), t, class_labels=y).sample, fold)
        assert error(mine, other) < 1e-5
        outputs.append(mine)
    assert error(*outputs) > 0.01


def test_conventions_of_the_layouts_differ_and_matter():
    """A net in the other layout has weights of the same shapes: only the numbers tell."""
    paper, other = model(layout="paper"), model(layout="diffusers")
    other.load_state_dict(paper.state_dict())
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3.0, 700.0])
    with torch.no_grad():
        assert error(paper.net(x, t), other.net(x, t)) > 0.01


def test_settings_of_the_net_and_schedule_come_back_from_diffusers():
    from diffusers import DDPMScheduler, UNet2DModel

    for settings in (CIFAR, {**SMALL, "layout": "diffusers"}, {**SMALL, "levels": "1a-3", "noise_steps": 200}):
        config = Config(**settings)
        with torch.device("meta"):
            unet = UNet2DModel(**convert.unet2d_settings(config))
        scheduler = DDPMScheduler(**convert.scheduler_settings(config))
        assert convert.config_of(unet.config, scheduler.config) == config


@pytest.mark.parametrize(
    ("unet", "scheduler", "named"),
    [
        ({"resnet_time_scale_shift": "scale_shift"}, {}, "resnet_time_scale_shift"),
        ({"norm_eps": 1e-6}, {}, "flip_sin_to_cos"),
        ({"up_block_types": ("UpBlock2D", "AttnUpBlock2D")}, {}, "up_block_types"),
        ({"num_class_embeds": 10}, {}, "num_class_embeds"),
        ({"out_channels": 2}, {}, "out_channels"),
        ({}, {"prediction_type": "sample"}, "prediction_type"),
        ({}, {"beta_end": 0.012}, "beta_end"),
        ({}, {"trained_betas": [0.1] * 1000}, "beta_end"),
    ],
)
def test_what_the_net_here_cannot_be_is_refused_by_name(unet, scheduler, named):
    from diffusers import DDPMScheduler, UNet2DModel

    config = Config(**{**SMALL, "layout": "diffusers"})
    theirs = UNet2DModel(**{**convert.unet2d_settings(config), **unet})
    steps = DDPMScheduler(**{**convert.scheduler_settings(config), **scheduler})
    with pytest.raises(BadSetting, match=named):
        convert.config_of(theirs.config, steps.config)


def test_weights_that_do_not_belong_are_refused():
    made = model()
    theirs = convert.to_unet2d(made.net.state_dict())
    with pytest.raises(ValueError, match="extra"):
        convert.from_unet2d({**theirs, "extra.weight": torch.zeros(1)}, made.net.state_dict())
    with pytest.raises(KeyError, match="conv_in"):
        convert.from_unet2d({k: v for k, v in theirs.items() if k != "conv_in.bias"}, made.net.state_dict())


def test_the_objective_sends_a_gradient_to_every_weight():
    made = model(classes=3)
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    untold = torch.tensor([True, False, False, False, True, False])
    made(x, y, 1000 * torch.rand(6), torch.randn(6, 1, 8, 8), untold).backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())
    assert bool((made.net.label.weight.grad.abs().sum(1) > 0).all()), "each class, and being told none"


@pytest.mark.parametrize(
    "settings", [{"levels": "2-4"}, {"levels": "1-2-"}, {"levels": "1-2-2-2-2"}, {"maps": 18}, {"head": 5}]
)
def test_shapes_that_cannot_be_are_refused(settings):
    with pytest.raises(BadSetting):
        Config(**{**SMALL, **settings})


# --- The process ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_equal_diffusers(schedule):
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(**convert.scheduler_settings(Config(**{**SMALL, "schedule": schedule}))).alphas_cumprod
    assert torch.equal(alpha_bars(schedule, 1000)[1:], theirs)


def test_ends_of_the_schedules():
    assert float(alpha_bars("linear", 1000)[-1]) == pytest.approx(4.04e-5, rel=0.01)  # Ho 2020: nearly nothing is left
    assert float(alpha_bars("linear", 200)[-1]) == pytest.approx(0.13, abs=0.005)  # what `broken` shows
    for steps in (50, 200, 1000):
        assert float(alpha_bars("cosine", steps)[-1]) < 1e-5
        assert float(alpha_bars("cosine", steps)[0]) == 1.0


def test_times_between_whole_ones_lie_on_a_line():
    table = alpha_bars("cosine", 100)
    t = torch.tensor([0.0, 1.0, 37.0, 37.25, 99.5, 100.0])
    found = at(table, t).flatten()
    assert torch.equal(found[[0, 1, 2, 5]], table[[0, 1, 37, 100]])
    assert float(found[3]) == pytest.approx(float(0.75 * table[37] + 0.25 * table[38]), rel=1e-6)


def test_forward_marginals_are_what_small_steps_add_up_to():
    """Eq. 2 applied t times has the mean and variance of eq. 4."""
    table = alpha_bars("linear", 1000)
    x_0, rng, last = torch.full((40_000,), 0.8), seeded(), 120
    x = x_0.clone()
    for t in range(1, last + 1):
        beta = 1 - table[t] / table[t - 1]
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=rng)
    at_once = diffuse(x_0, torch.randn(x.shape, generator=rng), table[last])
    for drawn in (x, at_once):
        assert float(drawn.mean()) == pytest.approx(0.8 * float(table[last].sqrt()), abs=0.01)
        assert float(drawn.var()) == pytest.approx(1 - float(table[last]), rel=0.03)


def test_v_epsilon_and_x_0_tell_the_same():
    x_0, eps = torch.rand(9, 1, 4, 4) * 2 - 1, torch.randn(9, 1, 4, 4)
    alpha_bar = torch.linspace(0.01, 0.99, 9)[:, None, None, None]
    x_t = diffuse(x_0, eps, alpha_bar)
    v = velocity(x_0, eps, alpha_bar)
    assert torch.allclose(x_0_of(v, x_t, alpha_bar, "v"), x_0, atol=1e-5)
    assert torch.allclose(x_0_of(eps, x_t, alpha_bar, "epsilon"), x_0, atol=1e-5)
    assert torch.allclose(eps_of(x_0, x_t, alpha_bar), eps, atol=1e-5)
    angle = alpha_bar.sqrt().acos()  # v is the derivative of x by the angle
    a_little = 1e-3
    moved = diffuse(x_0, eps, (angle + a_little).cos() ** 2)
    assert torch.allclose((moved - x_t) / a_little, v, atol=0.01)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_the_loss_is_the_weighted_squared_error(prediction):
    made = model(prediction=prediction)
    x, eps, untold = torch.rand(5, 1, 8, 8), torch.randn(5, 1, 8, 8), torch.zeros(5, dtype=torch.bool)
    t = torch.tensor([1.0, 60.5, 300.0, 700.0, 990.0])
    alpha_bar = at(made.alpha_bar, t)
    x_0 = 2 * x - 1
    x_t = diffuse(x_0, eps, alpha_bar)
    with torch.no_grad():
        predicted = made.net(x_t, t - 1)
        wanted = velocity(x_0, eps, alpha_bar) if prediction == "v" else eps
        assert float(made(x, None, t, eps, untold)) == pytest.approx(float(F.mse_loss(predicted, wanted)), rel=1e-5)
        # min-SNR: whatever is predicted, an error of x_0 weighs min(SNR, gamma).
        snr = alpha_bar / (1 - alpha_bar)
        of_x_0 = (x_0_of(predicted, x_t, alpha_bar, prediction) - x_0).square()
        expected = (snr.clamp(max=5) * of_x_0).mean()
        assert float(made(x, None, t, eps, untold, 5.0)) == pytest.approx(float(expected), rel=2e-3)


def test_the_ends_of_time_have_finite_weights():
    ends = torch.tensor([0.0, 1.0])
    assert min_snr_weight(ends, 5.0, "v").tolist() == [0.0, 0.0]


# --- The samplers against diffusers' schedulers ---------------------------------------------------------------


def walk(sampler: str, made: DDPM, times: list[int], seed: int = 0) -> tuple[list[Tensor], Tensor]:
    """Every x on the way from one noise, by our sampler with an unclipped or clipped estimate."""
    x = torch.randn(2, 1, 8, 8, generator=seeded(5))
    moments = SAMPLERS[sampler](made.denoiser(), made.alpha_bar, times, x, seeded(seed))
    return [m.x for m in moments], x


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("prediction", ["v", "epsilon"])
@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 20), ("ddim", 20), ("ddpm", 13)])
def test_ddpm_and_ddim_step_as_their_schedulers(sampler, steps, schedule, prediction):
    import diffusers

    made = model(schedule=schedule, prediction=prediction)
    kind = {"ddpm": diffusers.DDPMScheduler, "ddim": diffusers.DDIMScheduler}[sampler]
    options = {"use_clipped_model_output": True} if sampler == "ddim" else {}
    theirs = kind(**convert.scheduler_settings(made.config))
    theirs.set_timesteps(steps)
    ours, _ = walk(sampler, made, spread(steps, 1000))
    assert theirs.timesteps.tolist() == [t - 1 for t in spread(steps, 1000)[:-1]]
    rng = seeded()
    for x, after, i in zip(ours, ours[1:], theirs.timesteps, strict=False):
        with torch.no_grad():
            predicted = made.predict(x, torch.full((2,), float(i) + 1))
        stepped = theirs.step(predicted, i, x, generator=rng, **options).prev_sample
        assert torch.allclose(after, stepped, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 10, 25])
def test_dpm_solver_steps_as_its_scheduler(schedule, steps):
    from diffusers import DPMSolverMultistepScheduler

    made = model(schedule=schedule)
    theirs = DPMSolverMultistepScheduler(
        **convert.scheduler_settings(made.config), lower_order_final=False, final_sigmas_type="zero"
    )
    theirs.set_timesteps(steps)
    ours, x = walk("dpm_solver", made, spread(steps, 1000))
    for i, after in zip(theirs.timesteps, ours[1:], strict=True):
        t = int(i) + 1
        # Theirs does not clip: it is given the prediction that stands for our clipped estimate.
        x_0 = made.denoiser()(x, t)
        v = velocity(x_0, eps_of(x_0, x, made.alpha_bar[t]), made.alpha_bar[t])
        x = theirs.step(v, i, x).prev_sample
        assert error(after, x) < 1e-4


def knowing(deviation: float, table: Tensor) -> Denoise:
    """The mean of x_0 given x_t where x_0 is Gaussian with that deviation: what a perfect net would say."""

    def denoise(x: Tensor, t: int) -> Tensor:
        a = table[t]
        return a.sqrt() * deviation**2 / (a * deviation**2 + 1 - a) * x

    return denoise


def test_dpm_solver_is_of_second_order():
    """On Gaussian data the estimate is known, and DDIM's equation has an exact solution to miss."""
    deviation, table = 0.3, alpha_bars("linear", 1000).double()
    denoise = knowing(deviation, table)
    x = torch.randn(50, 1, 2, 2, generator=seeded(), dtype=torch.float64)
    missed: dict[str, list[float]] = {"ddim": [], "dpm_solver": []}
    start, end = 800, 100  # away from the ends, where the logarithm of the ratio runs off
    scale = ((table[end] * deviation**2 + 1 - table[end]) / (table[start] * deviation**2 + 1 - table[start])).sqrt()
    for sampler, errors in missed.items():
        for steps in (10, 20, 40):
            times = [start - (start - end) * i // steps for i in range(steps + 1)]
            moments = list(SAMPLERS[sampler](denoise, table, [*times, 0], x, seeded()))
            errors.append(float((moments[steps].x - scale * x).abs().max()))
    assert all(a / b < 2.6 for a, b in itertools.pairwise(missed["ddim"])), missed
    assert all(a / b > 3.0 for a, b in itertools.pairwise(missed["dpm_solver"])), missed
    assert missed["dpm_solver"][-1] < 0.2 * missed["ddim"][-1]


def test_ancestral_steps_draw_gaussian_data_from_noise():
    deviation, table = 0.3, alpha_bars("cosine", 200)
    x = torch.randn(20_000, 1, 1, 1, generator=seeded())
    *_, last = ddpm(knowing(deviation, table), table, list(range(200, -1, -1)), x, seeded(1))
    assert float(last.x.std()) == pytest.approx(deviation, rel=0.05)


def test_a_picture_walked_back_to_noise_is_drawn_again():
    table = alpha_bars("cosine", 1000)
    x, denoise, times = 0.3 * torch.randn(50, 1, 2, 2, generator=seeded()), knowing(0.3, table), spread(250, 1000)
    noise = encode(denoise, table, times, x)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.15)
    *_, last = ddim(denoise, table, times, noise, seeded())
    assert error(last.x, x) < 0.03


def test_halfway_between_noise_is_noise():
    a, b = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    t = torch.linspace(0, 1, 5)
    between = slerp(a, b, t)
    assert torch.allclose(between[:, 0], a, atol=1e-5)
    assert torch.allclose(between[:, -1], b, atol=1e-5)
    assert between[:, 2].std() == pytest.approx(1.0, abs=0.1)


def test_what_is_kept_stays_when_the_rest_is_filled_in():
    made = model()
    picture, kept = torch.rand(2, 1, 8, 8) * 2 - 1, torch.zeros(8, 8, dtype=torch.bool)
    kept[:4] = True
    looks: list[int] = []

    def denoise(x: Tensor, t: int) -> Tensor:
        looks.append(t)
        return made.denoiser()(x, t)

    times = [1000, 500, 200, 0]
    *_, last = repaint(denoise, made.alpha_bar, times, torch.randn(2, 1, 8, 8), seeded(), picture, kept, repeats=3)
    assert torch.equal(last.x[..., :4, :], picture[..., :4, :])
    assert not torch.allclose(last.x[..., 4:, :], picture[..., 4:, :], atol=0.1)
    assert looks == [1000] * 3 + [500] * 3 + [200]


# --- Drawing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_estimates_are_clipped_so_a_dark_background_ends_black(sampler):
    made = model()

    def darker_than_black(x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        alpha_bar = at(made.alpha_bar, t)
        return velocity(torch.full_like(x_t, -1.3), eps_of(torch.full_like(x_t, -1.3), x_t, alpha_bar), alpha_bar)

    made.predict = darker_than_black
    assert torch.equal(made.sample(2, rng=seeded(), steps=7, sampler=sampler), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_looks_as_often_as_it_says(sampler):
    made, looks = model(), []
    predict = made.predict
    made.predict = lambda x, t, y=None: looks.append(float(t[0])) or predict(x, t, y)
    made.sample(1, rng=seeded(), steps=9, sampler=sampler)
    assert looks == [float(t) for t in spread(9, 1000)[:-1]]


def test_guidance_mixes_two_predictions():
    made = model(classes=3)
    x, t, y = torch.randn(3, 1, 8, 8), torch.full((3,), 400.0), torch.arange(3)
    alpha_bar = at(made.alpha_bar, t)
    with torch.no_grad():
        told, untold = made.predict(x, t, y), made.predict(x, t)
    assert error(told, untold) > 0.01
    for w in (-1.0, 0.0, 2.5):
        expected = x_0_of((1 + w) * told - w * untold, x, alpha_bar, "v").clamp(-1, 1)
        assert torch.allclose(made.estimate(x, t, y, w), expected, atol=1e-4)
    assert torch.allclose(made.estimate(x, t, y, -1.0), made.estimate(x, t), atol=1e-4)


def test_a_class_kept_from_the_net_is_not_seen():
    made = model(classes=3)
    x, eps, t = torch.rand(3, 1, 8, 8), torch.randn(3, 1, 8, 8), torch.full((3,), 400.0)
    kept, said = torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)
    one, two = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    with torch.no_grad():
        assert torch.equal(made(x, one, t, eps, kept), made(x, two, t, eps, kept))
        assert not torch.equal(made(x, one, t, eps, said), made(x, two, t, eps, said))


def test_times_spread_evenly_from_t_to_0():
    assert spread(4, 1000) == [1000, 750, 500, 250, 0]
    assert spread(1000, 1000) == list(range(1000, -1, -1))
    for steps in (1, 3, 7, 100, 199, 200):
        assert all(a > b for a, b in itertools.pairwise(spread(steps, 200)))


def test_noise_of_an_upload_is_taken_for_what_it_is():
    """The time whose x_t, divided by sqrt(alpha_bar), has that much noise."""
    made = model()
    info = DataInfo("x", 1, 8, 8)
    scene = staging.scene(Checkpoint("ddpm", made, made.config, info), [])
    view = next(v for v in registry.family("ddpm").views if v.key == "denoise")
    raw = {"picture": torch.full((1, 8, 8), 0.5), "noise": 0.4, "noisy": True, "steps": 3}
    sheet, words = staging.draw(view, made, made.config, scene, raw)
    assert torch.allclose(sheet.pictures[0], raw["picture"], atol=1e-5)
    t = int(words.text["en"].split("t = ")[1].split()[0])
    assert math.sqrt(1 / float(made.alpha_bar[t]) - 1) / 2 == pytest.approx(0.4, rel=0.01)
    assert len(sheet.pictures) == 3, "the picture, at one look, in steps"


# --- The library's own pipelines ------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"schedule": "linear", "prediction": "epsilon", "layout": "diffusers"}])
def test_an_exported_net_draws_the_same_pictures_in_ddpmpipeline(tmp_path, settings):
    from diffusers import DDPMPipeline

    reference = registry.reference("ddpm")
    made = model(**settings)
    reference.to_diffusers(made, tmp_path)
    pipeline = DDPMPipeline.from_pretrained(tmp_path, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    ours = made.sample(3, rng=seeded(3), steps=12, sampler="ddpm")
    theirs = pipeline(batch_size=3, generator=seeded(3), num_inference_steps=12, output_type="np").images
    assert torch.allclose(ours, torch.from_numpy(theirs).permute(0, 3, 1, 2), atol=1e-4)
    assert float(ours.std()) > 0.05
    back = reference.from_diffusers(tmp_path)
    assert back.config == made.config
    assert torch.equal(back.sample(2, rng=seeded(), steps=3), made.sample(2, rng=seeded(), steps=3))


def test_a_hub_checkpoint_of_the_papers_layout_runs_here(tmp_path):
    """Saved as google/ddpm-cifar10-32 is, with fewer feature maps: settings written out, not taken from `convert`."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        layers_per_block=2,
        block_out_channels=(32, 64, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        flip_sin_to_cos=False,
        freq_shift=1,
        downsample_padding=0,
        norm_eps=1e-6,
        norm_num_groups=32,
        act_fn="silu",
    ).eval()
    for parameter in unet.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    scheduler = DDPMScheduler(1000, 0.0001, 0.02, "linear", variance_type="fixed_large", clip_sample=True)
    DDPMPipeline(unet, scheduler).save_pretrained(tmp_path)
    made = registry.reference("ddpm").from_diffusers(tmp_path)
    assert made.config == Config(**{**CIFAR, "maps": 32, "groups": 32})
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([999.0, 20.0])
    with torch.no_grad():
        assert error(made.net(x, t), unet(x, t).sample) < 1e-5
    assert made.sample(1, rng=seeded(), steps=2).shape == (1, 3, 32, 32)


def test_the_papers_model_has_its_size():
    """35.7 million weights (Ho 2020, appendix B)."""
    with torch.device("meta"):
        made = DDPM(Config(**{**CIFAR, "maps": 128, "groups": 32}))
    assert sum(p.numel() for p in made.parameters()) == 35_746_307


def test_what_ddpmpipeline_cannot_draw_is_not_exported(tmp_path):
    to_diffusers = registry.reference("ddpm").to_diffusers
    for settings, named in (({"classes": 3}, "class"), ({"fold": 2}, "fold = 2")):
        with pytest.raises(BadSetting, match=named):
            to_diffusers(model(**settings), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fold", [1, 2])
def test_the_counterpart_has_the_same_objective_and_its_pipelines_the_same_pictures(fold):
    reference = registry.reference("ddpm")
    made = model(fold=fold, conditional=False)
    theirs = reference.Model(reference.Config(**{**SMALL, "fold": fold})).eval()
    theirs.net.unet.load_state_dict(convert.to_unet2d(made.net.state_dict()))
    assert sum(p.numel() for p in made.parameters()) == sum(p.numel() for p in theirs.parameters())
    x, eps, t = torch.rand(4, 1, 8, 8), torch.randn(4, 1, 8, 8), 1000 * torch.rand(4)
    untold = torch.zeros(4, dtype=torch.bool)
    with torch.no_grad():
        assert float(theirs(x, None, t, eps, untold)) == pytest.approx(float(made(x, None, t, eps, untold)), rel=1e-5)
    if fold > 1:
        return  # its noise comes in folded order
    for sampler in ("ddpm", "ddim"):
        ours = made.sample(2, rng=seeded(2), steps=10, sampler=sampler)
        assert torch.allclose(theirs.sample(2, rng=seeded(2), steps=10, sampler=sampler), ours, atol=1e-4)


def test_the_counterpart_takes_no_class():
    reference = registry.reference("ddpm")
    info = DataInfo("x", 1, 8, 8, ("a", "b"))
    assert configure(reference.Config, info, fold=1).labels == 0
    with pytest.raises(BadSetting, match="conditional"):
        configure(reference.Config, info, fold=1, conditional=True)


def test_without_a_network_the_hubs_model_is_said_to_be_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    from playground import comparing

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Told) as told:
        comparing.hub_side(registry.family("ddpm"), {})
    assert "google/ddpm-cifar10-32 is not on this machine" in told.value.text["en"]
    assert "143 MB" in told.value.text["ko"]


def test_the_hubs_model_draws_by_its_own_pipeline(monkeypatch):
    import diffusers

    from playground import comparing

    reference = registry.reference("ddpm")
    config = replace(Config(**{**CIFAR, "maps": 16, "groups": 8}))
    unet = diffusers.UNet2DModel(**convert.unet2d_settings(config)).eval()
    scheduler = diffusers.DDPMScheduler(variance_type="fixed_large")

    def download(repo: str, **options: object) -> str:
        assert (repo, options) == ("google/ddpm-cifar10-32", {"use_safetensors": True})
        return "downloaded"

    def from_pretrained(folder: str, **options: object) -> diffusers.DDPMPipeline:
        assert (folder, options) == ("downloaded", {"use_safetensors": True})
        return diffusers.DDPMPipeline(unet, scheduler)

    monkeypatch.setattr(reference.DDPMPipeline, "download", download)
    monkeypatch.setattr(reference.DDPMPipeline, "from_pretrained", from_pretrained)
    (sheet,) = comparing.hub_side(registry.family("ddpm"), {"n": 2, "steps": 2, "seed": 1, "guidance": 3.0})
    assert sheet.pictures.shape == (2, 3, 32, 32)
    assert reference.from_hub().scheduler.config.variance_type == "fixed_large"
    assert shown(torch.tensor([-1.0, 0.0, 1.0, 3.0])).tolist() == [0.0, 0.5, 1.0, 1.0]
