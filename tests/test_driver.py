"""The driver of training: exact resumes, saves, what people may ask of a run, and the time budget."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest
import torch
from toys import curve, hum_job, newest, run, same_state

from playground import checkpoint, registry
from playground.contract import BadSetting
from trainers import driver, saving
from trainers.driver import Control, drive
from trainers.plans import job_from_preset, plan
from trainers.run import Run
from trainers.saving import TrainingFailed, export, run_checkpoint, saves

pytest_plugins = ["toys"]
pytestmark = pytest.mark.usefixtures("hum")

WHOLE = 25  # reports of `hum_job`: five iterations and twenty steps


@pytest.fixture(scope="module")
def uninterrupted(hum, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, curve(run(hum_job(), folder))


@pytest.mark.parametrize("stop_after", [1, 4, 5, 6, 17, 24])
def test_a_resumed_run_equals_the_uninterrupted_one(uninterrupted, tmp_path, stop_after):
    folder, whole = uninterrupted
    first = run(hum_job(), tmp_path, stop_after=stop_after)
    assert [e["type"] for e in first][-2:] == ["saved", "stopped"]
    assert first[-1]["step"] == stop_after
    second = run(hum_job(), tmp_path)
    assert second[0]["step"] == stop_after
    assert curve(first) + curve(second) == whole
    assert same_state(folder, tmp_path)


def test_an_abandoned_run_resumes_from_its_last_save(uninterrupted, tmp_path):
    folder, whole = uninterrupted
    events = drive(hum_job(), tmp_path, autosave=0, report_every=0)
    while next(events).get("step") != 12:
        pass
    events.close()
    again = run(hum_job(), tmp_path)
    assert 0 < again[0]["step"] <= 12
    assert curve(again) == whole[again[0]["step"] :]
    assert same_state(folder, tmp_path)


def test_previews_and_saves_leave_the_curve_alone(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "preview_interval", lambda seconds: 0.0)
    events = run(hum_job(), tmp_path, previews=True, autosave=0.5)
    assert curve(events) == uninterrupted[1]
    assert {e["kind"] for e in events if e["type"] == "preview"} == {"wav", "png"}
    assert len(json.dumps(events)) > 0, "events are JSON"


def test_equal_seeds_are_equal_and_others_are_not(uninterrupted, tmp_path):
    assert curve(run(hum_job(), tmp_path / "same")) == uninterrupted[1]
    assert curve(run(hum_job(seed=1), tmp_path / "other"))[6:] != uninterrupted[1][6:]


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    run(hum_job(), tmp_path)
    assert [e["type"] for e in run(hum_job(), tmp_path)] == ["started", "saved", "finished"]


def test_two_saves_are_kept_and_no_draft(tmp_path):
    (tmp_path / ".draft-1").mkdir()
    (tmp_path / ".draft-1" / "model.safetensors").write_bytes(b"half")
    run(hum_job(recipe={"steps": 2}), tmp_path, autosave=0)
    assert [p.name for p in saves(tmp_path)] == ["save-7", "save-6"]
    assert not list(tmp_path.glob(".draft*"))


# --- What people ask of a run


def test_stop_acts_within_one_step_and_is_final(tmp_path):
    control, seen = Control(), []
    for event in drive(hum_job(recipe={"steps": 1000}), tmp_path, control, report_every=0):
        seen.append(event)
        if event.get("step") == 7 and event["type"] == "progress":
            control.stop()
            control.step()
            control.go()
    assert seen[-1]["type"] == "stopped" and seen[-1]["step"] == 7


def test_step_holds_after_one_report_each(tmp_path):
    control, reports = Control(), []
    control.step()
    for event in drive(hum_job(), tmp_path, control):
        if event["type"] == "progress":
            reports.append(event["step"])
        if event["type"] == "held":
            assert reports == list(range(1, event["step"] + 1)), "every step is reported when stepping"
            threading.Timer(0.02, control.step if event["step"] < 8 else control.go).start()
    assert event["type"] == "finished"


def test_a_run_held_for_long_saves_and_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "HOLD_SECONDS", 0.05)
    control = Control()
    control.step()
    events = list(drive(hum_job(), tmp_path, control))
    assert [e["type"] for e in events][-3:] == ["held", "saved", "stopped"]
    assert newest(tmp_path).name == "save-1"


def test_two_processes_cannot_train_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "LOCK_SECONDS", 0.1)
    first = drive(hum_job(), tmp_path)
    next(first)
    with pytest.raises(TrainingFailed, match="another process"):
        next(drive(hum_job(), tmp_path))
    first.close()
    next(drive(hum_job(), tmp_path)).clear()


# --- Trouble


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_save(tmp_path):
    job = job_from_preset("hum", "broken")
    with pytest.raises(TrainingFailed, match=r"step 6: loss = .*is not finite. Lower the learning rate") as failed:
        run(job, tmp_path, autosave=0)
    assert "유한하지 않습니다" in failed.value.text["ko"]
    assert newest(tmp_path).name == "save-5"
    assert all(torch.isfinite(t).all() for t in run_checkpoint(tmp_path).model.state_dict().values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    events = drive(hum_job(), tmp_path, autosave=0, report_every=0)
    while next(events).get("step") != 8:
        pass
    course = events.gi_yieldfrom.gi_frame.f_locals["course"]
    course.model.decode.weight.data[0, 0] = float("inf")
    with pytest.raises(TrainingFailed, match="finite"):
        list(events)
    assert run_checkpoint(tmp_path).about.steps <= 9


@pytest.mark.parametrize(
    "setting", [{"recipe": {"steps": 0}}, {"recipe": {"nonsense": 1}}, {"config": {"sounds": 1.5}}]
)
def test_bad_settings_are_refused_by_name(tmp_path, setting):
    with pytest.raises(BadSetting, match=next(iter(next(iter(setting.values()))))):
        run(replace(hum_job(), **setting), tmp_path)


def test_an_unknown_preset_is_refused():
    with pytest.raises(BadSetting, match="fast, good, shipped, broken"):
        job_from_preset("hum", "best")


# --- Time


def test_minutes_become_steps_of_every_phase(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "CALIBRATION_SECONDS", 0.3)
    job = hum_job(minutes=2 / 60, recipe={"pause": 0.005, "iterations": 100, "steps": 1000})
    began = time.monotonic()
    events = run(job, tmp_path)
    took = time.monotonic() - began
    recipe = events[0]["recipe"]
    assert abs(recipe["steps"] / 10 - recipe["iterations"]) <= 1, "phases keep their proportion"
    assert 0.5 < took < 12, "two seconds of training, on a machine that may be busy"
    assert events[-1]["step"] == recipe["steps"] + recipe["iterations"]


def test_a_stop_while_timing_is_heard(tmp_path):
    control = Control()
    control.stop()
    events = list(drive(hum_job(minutes=10, recipe={"pause": 0.01}), tmp_path, control))
    assert events[-1]["type"] == "stopped" and events[-1]["step"] == 1


def test_reports_become_rarer():
    assert driver.report_interval(1) < driver.report_interval(100) < driver.report_interval(5000)


# --- What a run leaves


@pytest.mark.parametrize("reference", [False, True])
def test_a_run_is_exported_as_a_checkpoint(tmp_path, reference):
    run(hum_job(reference=reference), tmp_path / "run")
    folder = export(tmp_path / "run", tmp_path / "out")
    made, kept = checkpoint.load(folder), run_checkpoint(tmp_path / "run")
    assert made.side == ("reference" if reference else "ours")
    assert made.about.steps == 25 and made.about.examples == 5 * 48 + 20 * 8
    for name, tensor in kept.model.state_dict().items():
        assert torch.equal(made.model.state_dict()[name], tensor), name


def test_fine_tuning_begins_with_the_weights_and_resumes_without_them(tmp_path):
    run(hum_job(), tmp_path / "first")
    start = export(tmp_path / "first", tmp_path / "start")
    job = hum_job(start=str(start), recipe={"iterations": 1})
    next(events := drive(job, tmp_path / "second"))
    next(events)
    events.close()
    begun = checkpoint.load_file(tmp_path / "second" / "save-0" / "model.safetensors")
    assert torch.equal(begun["decode.weight"], checkpoint.load(start).model.state_dict()["decode.weight"])
    (start / "config.json").unlink()
    assert run(job, tmp_path / "second")[-1]["type"] == "finished"


def test_weights_of_another_architecture_are_refused(tmp_path):
    run(hum_job(), tmp_path / "first")
    start = export(tmp_path / "first", tmp_path / "start")
    with pytest.raises(BadSetting, match="another family or architecture"):
        run(hum_job(start=str(start), config={"width": 8}), tmp_path / "second")


def test_tied_weights_can_be_saved(tmp_path):
    layer = torch.nn.Linear(3, 3)
    tied = torch.nn.Sequential(layer, layer)
    saving._write_tensors(saving._copies(tied), tmp_path / "tied.safetensors")
    assert len(checkpoint.load_file(tmp_path / "tied.safetensors")) == 4


def test_every_batch_is_a_function_of_seed_phase_and_step(hum):
    data = plan(hum_job()).data
    a, b = Run(seed=3, batch_size=8), Run(seed=3, batch_size=8)
    b.done = {"train": 10}
    late = {step: x for step, (x, _) in a.batches(data, "train", 14) if step > 10}
    assert all(torch.equal(x, late[step]) for step, (x, _) in b.batches(data, "train", 14))
    epoch = torch.cat([a._indices(48, "train", step) for step in range(1, 7)])
    assert sorted(epoch.tolist()) == list(range(48)), "an epoch goes through every example once"
    assert registry.family("hum").kind == "speech"


def test_denormal_numbers_are_nothing_while_a_run_trains_and_only_then(tmp_path):
    smallest = torch.full((64,), 1e-40)
    loop = drive(hum_job(), tmp_path)
    next(loop)
    assert not (smallest * 1.0).any()
    list(loop)
    assert (smallest * 1.0).all()
