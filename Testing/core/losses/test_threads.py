"""Pieces of work on several threads: order, errors, PyTorch's number of threads; losses do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from softseg.losses import blocks, build_loss
from softseg.losses.threads import in_threads
from softseg.tree import LabelTree


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_two_threads_work_at_once_each_in_its_own_room_on_one_core() -> None:
    meeting = threading.Barrier(2, timeout=60)  # broken, an error, unless two threads come

    def work(room: list[int], piece: int) -> tuple[int, int, bool]:
        if piece < 2:
            meeting.wait()
        room.append(piece)
        return piece, torch.get_num_threads(), torch.is_grad_enabled()

    rooms: list[list[int]] = []

    def room() -> list[int]:
        rooms.append([])
        return rooms[-1]

    assert in_threads(work, range(20), room, several=True) == [(piece, 1, False) for piece in range(20)]
    assert len(rooms) == 2
    assert sorted(rooms[0] + rooms[1]) == list(range(20))
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("several", [True, False])
def test_an_error_ends_all_and_is_raised_here(several: bool) -> None:
    def work(_room: None, piece: int) -> int:
        if piece == 3:
            raise ValueError("piece 3")
        return piece

    with pytest.raises(ValueError, match="piece 3"):
        in_threads(work, range(10_000), lambda: None, several=several)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("kind", ["mixed", "soft"])
def test_losses_are_the_same_for_any_number_of_threads(
    kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "block_voxels", lambda *_: 2)
    loss = build_loss([{"name": "wasserstein-cross-entropy"}, {"name": "dice"}], tree)
    found = []
    for threads in (2, 1):
        torch.set_num_threads(threads)
        values = logits.clone().requires_grad_()
        value = loss(values, targets[kind])
        found.append((value, *torch.autograd.grad(value, values)))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
