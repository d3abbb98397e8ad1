"""What a recipe sees of its run: batches, noise, several processes, precision, and what is kept for a resume."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor, nn

from playground.contract import BadSetting, Data


class InPrecision(nn.Module):
    """Runs a module's forward under autocast to `dtype`."""

    def __init__(self, module: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        device = next(self.module.parameters()).device.type
        with torch.autocast(device, dtype=self.dtype):
            return self.module(*args, **kwargs)


class Run:
    """The chores that a training loop calls for by name.

    A batch is a function of (seed, phase, step) alone, and noise is drawn for the joint batch of all processes, of
    which each takes its share: so a resumed run, and a run on several processes, follow the same curve.
    """

    def __init__(self, seed: int = 0, batch_size: int = 64, precision: str = "fp32"):
        self.seed = seed
        self.batch_size = batch_size
        self.precision = precision
        self.accelerator = Accelerator()
        # What divides no batches, a closed form or EM, works in doubles through numpy: the processor's work.
        self.device = self.accelerator.device if batch_size else torch.device("cpu")
        self.rank = self.accelerator.process_index
        self.world = self.accelerator.num_processes
        self.kept: dict[str, Any] = {}
        self.done: dict[str, int] = {}
        """Whole steps finished, by phase."""
        self.current: tuple[str, int] = ("", 0)
        self.examples = 0
        self._restored: dict[str, Any] = {}
        self._resumed: tuple[str, dict[str, Tensor]] | None = None
        self._orders: dict[tuple[int, str, int], Tensor] = {}
        if batch_size % self.world:
            raise BadSetting(
                f"batch_size = {batch_size}: must be a multiple of the {self.world} processes",
                f"batch_size = {batch_size}: 프로세스 수 {self.world}의 배수여야 합니다",
            )

    def keep(self, name: str, thing: Any) -> Any:
        """Register anything with a `state_dict` to be saved with the run; after a resume, restore it at once."""
        self.kept[name] = thing
        if name in self._restored:
            thing.load_state_dict(self._restored.pop(name))
        return thing

    def resume(self, phase: str, random: dict[str, Tensor], kept: dict[str, Any]) -> None:
        """Take up the random state of a save made in `phase`, and what was kept, when the loop gets there.

        What a recipe draws on its way there (a second net's initial weights) was drawn before the save was made.
        """
        self._restored, self._resumed = kept, (phase, random)
        self._take_up("")

    def _take_up(self, phase: str) -> None:
        if self._resumed and self._resumed[0] == phase:
            set_random_state(self._resumed[1])
            self._resumed = None

    def distribute(self, module: nn.Module) -> nn.Module:
        """The module as this run's processes and precision compute it; call the result, keep the original."""
        wrapped = InPrecision(module, torch.bfloat16) if self.precision == "bf16" else module
        if any(p.requires_grad for p in module.parameters()):
            return self.accelerator.prepare_model(wrapped)
        return wrapped.to(self.device)

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def steps(self, phase: str, count: int) -> Iterator[int]:
        """The step numbers 1..count of a phase that are still to do: all, some, or none after a resume."""
        for step in range(self.done.get(phase, 0) + 1, count + 1):
            self._take_up(phase)
            self.current = (phase, step)
            yield step
        self._take_up(phase)

    def batches(self, data: Data, phase: str, steps: int) -> Iterator[tuple[int, Any]]:
        """(step, batch) pairs; each epoch goes through the training examples once in an order of its own."""
        for step in self.steps(phase, steps):
            batch = data.train.batch(self._indices(len(data.train), phase, step))
            self.examples += self.batch_size
            yield step, _to(batch, self.device)

    def randn(self, n: int, *shape: int) -> Tensor:
        """This process's share (n, *shape) of Gaussian noise drawn for the joint batch."""
        return self._share(torch.randn(n * self.world, *shape, device=self.device), n)

    def rand(self, n: int, *shape: int) -> Tensor:
        """The same, uniform in [0, 1)."""
        return self._share(torch.rand(n * self.world, *shape, device=self.device), n)

    def randint(self, high: int, n: int) -> Tensor:
        """The same, whole numbers below `high`: (n,) int64."""
        return self._share(torch.randint(high, (n * self.world,), device=self.device), n)

    def _share(self, joint: Tensor, n: int) -> Tensor:
        return joint[self.rank * n : (self.rank + 1) * n]

    def _indices(self, size: int, phase: str, step: int) -> Tensor:
        first = (step - 1) * self.batch_size
        places = torch.arange(first, first + self.batch_size)
        share = places.chunk(self.world)[self.rank]
        orders = [self._order(size, phase, epoch) for epoch in range(int(share[0]) // size, int(share[-1]) // size + 1)]
        return torch.cat(orders)[share - int(share[0]) // size * size]

    def _order(self, size: int, phase: str, epoch: int) -> Tensor:
        key = (size, phase, epoch)
        if key not in self._orders:
            digest = hashlib.blake2b(f"{self.seed}/{phase}/{epoch}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
            if len(self._orders) > 8:
                self._orders.clear()
            self._orders[key] = torch.randperm(size, generator=generator)
        return self._orders[key]


def _to(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, (tuple, list)):
        return type(batch)(_to(part, device) for part in batch)
    return batch


def get_random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def part(status: int) -> NoReturn:
    """End this process; one of several ends with the others, and without Python's shutdown.

    A process that ends while the others still speak to it takes them down, and a thread of PyTorch's that wants the
    interpreter while it shuts down aborts the process that has done its work.
    """
    if not torch.distributed.is_initialized():
        sys.exit(status)
    if status == 0:
        PartialState().wait_for_everyone()
        PartialState().destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
