"""The processes that train one network together: which one this is, and how they agree.

``torchrun`` starts them and gives each its rank. Without it there is one process, and everything here does nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from softseg import torchrun
from softseg.errors import FollowedError, InputError, LostProcessError, SoftSegError
from softseg.events import Events
from softseg.system import device_of_process
from softseg.training.exposure import exposure

STEP_MINUTES = 15
"""A process that has not answered within a step for so long counts as lost (our default)."""

WAIT_DAYS = 7
"""The others wait at most so long while process 0 prepares cases, validates or saves."""

_LOST = (
    "connection closed by peer",
    "connection reset",
    "connection refused",
    "broken pipe",
    "gloo",
    "nccl",
    "timed out",
)


@dataclass(frozen=True)
class Ranks:
    """Who takes part.

    Attributes
    ----------
    rank, size: number of this process and of all; process 0 alone writes files and reports progress.
    local, local_size: the same among the processes of this machine.
    control: group for agreements, on the CPU and with a long patience; None where there is one process.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1
    control: dist.ProcessGroup | None = None

    @property
    def main(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def items(self, batch_size: int) -> range:
        """Return which patches of a step are this process's: consecutive ones, as equal in number as can be.

        Raises
        ------
        InputError: there are more processes than patches.
        """
        if batch_size < self.size:
            raise InputError(
                f"{self.size} processes share a step of {batch_size} patches, and each needs one",
                field="batch_size",
                hint=f"use --set batch_size={self.size} or start fewer processes",
            )
        return range(self.rank * batch_size // self.size, (self.rank + 1) * batch_size // self.size)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes of a tensor on the device of the training."""
        if not self.several:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def any(self, wish: bool) -> bool:
        """Whether it is true in any process."""
        if not self.several:
            return wish
        flag = torch.tensor([float(wish)])
        dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.control)
        return bool(flag.item())

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Leave the block when all have left it, and all with one outcome.

        Raises
        ------
        FollowedError: another process failed; process 0 raises that error itself, so that it is reported once.
        """
        if not self.several:
            yield
            return
        own: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, or by process 0
            own = error
        outcomes: list[Exception | None] = [None] * self.size
        dist.all_gather_object(outcomes, own, group=self.control)
        failed = next((rank for rank, outcome in enumerate(outcomes) if outcome is not None), None)
        if failed is None:
            return
        first = outcomes[failed] if own is None else own
        if self.main and first is not None:
            raise first
        raise FollowedError(failed, getattr(outcomes[failed], "exit_code", 1)) from own

    def from_main(self, work: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        """Let process 0 alone do ``work`` while the others wait, and return its two numbers in all of them.

        Raises
        ------
        FollowedError: process 0 failed (which raises its own error).
        """
        if not self.several:
            return work()
        message = torch.zeros(3, dtype=torch.float64)
        if self.main:
            try:
                message[1], message[2] = work()
            except BaseException as error:
                message[0] = getattr(error, "exit_code", 1)
                dist.broadcast(message, 0, group=self.control)
                raise
        dist.broadcast(message, 0, group=self.control)
        if message[0] != 0:
            raise FollowedError(0, int(message[0]))
        return float(message[1]), float(message[2])

    @contextlib.contextmanager
    def told_of_losses(self) -> Iterator[None]:
        """Turn the libraries' errors when another process is gone into :class:`LostProcessError`."""
        try:
            yield
        except RuntimeError as error:
            if not self.several or isinstance(error, SoftSegError) or not _is_about_peers(error):
                raise
            raise LostProcessError(
                f"process {self.rank} of {self.size} lost another process of this training, which failed or was killed",
                hint="its error is above, if it could write one; start again with --resume",
            ) from error


@contextlib.contextmanager
def joined_ranks(device: str, events: Events) -> Iterator[tuple[Ranks, str]]:
    """Meet the other processes that ``torchrun`` started; give all of them and the device of this one.

    Parameters
    ----------
    device: ``"auto"``, ``"cpu"`` or ``"cuda"``; each process takes the GPU of its number on its machine.
    events: receives who takes part.

    Raises
    ------
    InputError: fewer GPUs than processes on this machine, or one GPU was named for all.
    """
    size = int(torchrun.number("WORLD_SIZE") or 1)
    if size == 1 or not torchrun.can_meet():
        yield Ranks(), device
        return
    rank, local, local_size = (int(torchrun.number(name)) for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    device = device_of_process(device, local, local_size)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(local)
    dist.init_process_group(backend, timeout=timedelta(minutes=STEP_MINUTES))
    control = dist.new_group(backend="gloo", timeout=timedelta(days=WAIT_DAYS))
    events.log(f"{size} processes train together ({backend})")
    if warning := exposure(os.environ):
        events.warning(warning)
    yield Ranks(rank, size, local, local_size, control), device
    # after an error the others may be gone and would be waited for: then the end of the process closes everything
    dist.destroy_process_group()


def _is_about_peers(error: RuntimeError) -> bool:
    known: Any = getattr(dist, "DistError", ())
    return isinstance(error, known) or any(text in str(error).lower() for text in _LOST)
