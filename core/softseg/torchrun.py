"""What ``torchrun`` tells the processes that it starts, by the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Number of this process and of all, on all machines and on this one."""


def number(name: str) -> str:
    """Return one of :data:`NUMBERS` as it stands in the environment; empty where nobody set it."""
    return os.environ.get(name, "")


def is_follower() -> bool:
    """Whether another process, number 0, speaks for all."""
    return number("RANK") not in ("", "0")


def can_meet() -> bool:
    """Whether the processes know where to meet."""
    return "MASTER_ADDR" in os.environ


def started_this() -> bool:
    """Whether ``torchrun`` itself started this process: it ends all as soon as one ends with an error."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def hidden() -> Iterator[None]:
    """Hide the numbers: what runs meanwhile takes itself for the only process."""
    known = {name: os.environ.pop(name) for name in NUMBERS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(known)
