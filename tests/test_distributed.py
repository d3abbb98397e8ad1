"""Two CPU processes under `accelerate launch`: the ranks agree with each other and with one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toys import ROOT, hum_job, newest, run

from playground import registry
from trainers.plans import Job
from trainers.saving import saves

pytest_plugins = ["toys"]
pytestmark = pytest.mark.usefixtures("hum")

LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    return os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def both(job: Job, folder: Path) -> tuple[list[dict[str, torch.Tensor]], list[dict]]:
    """The final weights of each of two ranks, and what each reported."""
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")
    command = [*LAUNCH, str(ROOT / "tests" / "two_processes.py"), str(folder / "job.json"), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    weights = [load_file(folder / f"rank-{rank}.safetensors") for rank in (0, 1)]
    return weights, [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


JOBS = {
    "hum": Job("hum", "hums", recipe={"steps": 4, "batch_size": 8}),
    "vae": Job("vae", "digits", recipe={"steps": 2, "batch_size": 16}),
    "gan": Job("gan", "digits", recipe={"steps": 2, "batch_size": 16}, config={"generator_norm": "group"}),
    "autoencoder": Job("autoencoder", "digits", recipe={"steps": 2, "iterations": 2, "batch_size": 16}),
    # A slow rate: where a gradient is hardly more than rounding, Adam makes a whole step of either.
    "ddpm": Job(
        "ddpm",
        "digits",
        recipe={"steps": 2, "batch_size": 16, "learning_rate": 1e-4},
        config={"maps": 16, "fold": 1},
    ),
    "vit_gan": Job(
        "vit_gan", "digits", recipe={"steps": 2, "batch_size": 16}, config={"features": 16, "critic_features": 16}
    ),
    "wavenet": Job(
        "wavenet",
        "espeak_digits",
        recipe={"steps": 2, "batch_size": 4, "crop": 256, "precision": "fp32"},
        config={"layers": 3, "channels": 16, "skip": 16},
    ),
    "dalle": Job(
        "dalle",
        "digits",
        # The judge compares the pictures of a batch with each other, and each process those of its own share.
        recipe={"code_steps": 3, "steps": 2, "clip_steps": 0, "batch_size": 16},
        config={"halvings": 1, "maps": 16, "size": 32, "layers": 2, "text_length": 4, "merges": 32, "codes": 16},
    ),
    "hmm": Job("hmm", "espeak_digits", recipe={"iterations": 2, "recordings": 40}),
    "vq_vae": Job(
        "vq_vae",
        "espeak_digits",
        recipe={"code_steps": 3, "steps": 2, "batch_size": 16},
        config={"width": 16, "codes": 16, "code_size": 4, "prior_width": 16, "prior_layers": 2},
    ),
    "score_sde": Job("score_sde", "digits", recipe={"steps": 2, "batch_size": 16}, config={"maps": 16}),
}
"""Nets that keep no batch statistics. The hum's dropout differs by rank: what does not pass through it must agree."""
UNTOUCHED_BY_DROPOUT = ("means", "variances", "weights")


@pytest.mark.parametrize("name", JOBS)
def test_two_ranks_hold_the_same_weights_as_one_process_on_the_joint_batch(tmp_path, name):
    if name not in registry.families():
        pytest.skip(f"{name} is not registered")
    (first, second), _ = both(JOBS[name], tmp_path / "two")
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), f"{key}: the ranks differ"
    assert len(saves(tmp_path / "two" / "run")) == 2, "rank 0 alone saves"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run(JOBS[name], tmp_path / "one")
    finally:
        torch.set_num_threads(threads)
    for key, tensor in load_file(newest(tmp_path / "one") / "model.safetensors").items():
        if name != "hum" or key in UNTOUCHED_BY_DROPOUT:
            torch.testing.assert_close(first[key], tensor, rtol=1e-5, atol=1e-5, msg=lambda m, k=key: f"{k}: {m}")


def test_both_ranks_turn_minutes_into_the_same_number_of_steps(tmp_path):
    job = hum_job(minutes=1 / 60, recipe={"pause": 0.01, "iterations": 20, "steps": 100})
    _, told = both(job, tmp_path / "two")
    assert told[0]["total"] == told[1]["total"] > 2


def test_the_command_line_under_accelerate_speaks_once_stops_and_resumes(tmp_path):
    words = ["-m", "trainers", "hum", "--steps", "400", "--pause", "0.02", "--out", str(tmp_path / "run")]
    log = (tmp_path / "log").open("w+")
    going = subprocess.Popen(
        [*LAUNCH, *words], cwd=ROOT, env=environment(), stdout=log, stderr=log, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while not any(int(p.name[5:]) > 0 for p in saves(tmp_path / "run")):
        assert going.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()[-3000:]
        time.sleep(0.1)
    os.killpg(going.pid, signal.SIGINT)
    going.wait(120)
    told = Path(log.name).read_text()
    assert told.count("Resume with:") == 1, told[-3000:]
    step = int(newest(tmp_path / "run").name[5:])
    assert f"Saved at step {step} of 405" in told

    resume = [*LAUNCH, "-m", "trainers", "--resume", str(tmp_path / "run")]
    done = subprocess.run(resume, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert newest(tmp_path / "run").name == "save-405"
    assert done.stdout.count("checkpoint:") == 1
