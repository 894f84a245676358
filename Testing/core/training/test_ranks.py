from __future__ import annotations

import pytest

from softseg.errors import InputError
from softseg.losses import build_loss
from softseg.training.ranks import Ranks
from softseg.training.shared_step import require_shareable
from softseg.tree import LabelTree


@pytest.mark.parametrize(("batch", "size"), [(4, 2), (7, 3), (3, 3), (5, 4)])
def test_every_patch_of_a_step_belongs_to_one_process(batch: int, size: int) -> None:
    parts = [Ranks(rank, size).items(batch) for rank in range(size)]
    assert [item for part in parts for item in part] == list(range(batch))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert min(map(len, parts)) >= 1


def test_a_process_without_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch_size: 3 processes share a step of 2 patches.*--set batch_size=3"):
        Ranks(0, 3).items(2)


def test_one_process_agrees_with_itself() -> None:
    alone = Ranks()
    assert alone.main
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.from_main(lambda: (2.5, 1.0)) == (2.5, 1.0)
    with pytest.raises(RuntimeError, match="gloo"), alone.told_of_losses():
        raise RuntimeError("gloo is nobody's business here")
    with pytest.raises(InputError, match="wrong"), alone.together():
        raise InputError("wrong")


def test_losses_that_do_not_add_up_are_refused_for_several_processes(balls_tree: LabelTree) -> None:
    specs = [{"name": "cross-entropy"}, {"name": "dice", "batch": True}]
    require_shareable(build_loss(specs, balls_tree), Ranks())
    with pytest.raises(InputError, match=r"losses: dice with batch: true .* use batch: false, or one process"):
        require_shareable(build_loss(specs, balls_tree), Ranks(0, 2))
    for name in ("cross-entropy", "dice", "wasserstein-cross-entropy", "tree-cross-entropy", "adaptive-wing"):
        require_shareable(build_loss([{"name": name}], balls_tree), Ranks(0, 2))
