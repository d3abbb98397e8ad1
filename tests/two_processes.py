"""Run by `accelerate launch` with two processes: train a job and write what each rank ends with.

accelerate launch ... tests/two_processes.py JOB.json FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from trainers.driver import drive
from trainers.plans import Job
from trainers.run import part


def main() -> None:
    torch.set_num_threads(1)
    described, folder = json.loads(Path(sys.argv[1]).read_text("utf-8")), Path(sys.argv[2])
    rank = os.environ.get("RANK", "0")
    events = drive(Job(**described), folder / "run", report_every=0)
    model, curve, total = None, [], 0
    for event in events:
        total = event.get("total", total)
        if event["type"] == "progress":
            curve.append(event["values"])
        if event["type"] == "saved":
            frame = events.gi_yieldfrom.gi_frame
            model = frame.f_locals["course"].model
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / f"rank-{rank}.safetensors")
    (folder / f"rank-{rank}.json").write_text(json.dumps({"curve": curve, "total": total}), encoding="utf-8")


if __name__ == "__main__":
    main()
    part(0)
