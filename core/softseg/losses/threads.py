"""Many small pieces of tensor work on several processor cores, each piece on one.

PyTorch spreads single operations over the cores and waits for the slowest after every one. For blocks that fit into a
cache that wait is longer than the work, and many times longer when other programs (the workers of a data loader) need
the cores too. Here each core takes one piece after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Room = TypeVar("Room")


def in_threads(
    work: Callable[[Room, Piece], Result], pieces: Sequence[Piece], room: Callable[[], Room], *, several: bool
) -> list[Result]:
    """Return ``work(room, piece)`` of every piece, in order; without gradients.

    Parameters
    ----------
    work: called from several threads, with a room that no other thread has.
    pieces: what is to be done; the result does not depend on which thread does what.
    room: makes what a thread works in.
    several: use as many threads as PyTorch has been given; else one.

    Raises
    ------
    Whatever ``work`` raises first; pieces that have not begun are then left out.
    """
    threads = min(torch.get_num_threads(), len(pieces)) if several else 1
    if threads <= 1:
        own = room()
        with torch.no_grad():
            return [work(own, piece) for piece in pieces]
    return _Team(work, pieces, room).run(threads)


class _Team(Generic[Room, Piece, Result]):
    """Threads that take pieces from one queue; the calling thread is one of them."""

    def __init__(
        self, work: Callable[[Room, Piece], Result], pieces: Sequence[Piece], room: Callable[[], Room]
    ) -> None:
        self._work, self._room = work, room
        self._queue: SimpleQueue[tuple[int, Piece]] = SimpleQueue()
        for entry in enumerate(pieces):
            self._queue.put(entry)
        self._results: dict[int, Result] = {}
        self._errors: list[BaseException] = []

    def run(self, threads: int) -> list[Result]:
        helpers = [threading.Thread(target=self._take, daemon=True) for _ in range(threads - 1)]
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # also for threads that start now
        try:
            for helper in helpers:
                helper.start()
            self._take()
            for helper in helpers:
                helper.join()
        finally:
            torch.set_num_threads(before)
        if self._errors:
            raise self._errors[0]
        return [self._results[position] for position in range(len(self._results))]

    def _take(self) -> None:
        try:
            room = self._room()
            with torch.no_grad():
                while not self._errors:
                    position, piece = self._queue.get_nowait()
                    self._results[position] = self._work(room, piece)
        except Empty:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._errors.append(error)
