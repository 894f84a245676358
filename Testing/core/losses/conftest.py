"""Trees and targets that the tests of the losses probability."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from softseg.tree import LabelTree, Node

PARENTS = {
    "T": "root",
    "E": "root",
    "tum": "T",
    "nor": "T",
    "t1": "tum",
    "t2": "tum",
    "n1": "nor",
    "e1": "E",
    "e2": "E",
}
LEAVES = ("t1", "t2", "n1", "e1", "e2")
LEVEL_WEIGHTS = {"T": 2.0, "E": 2.0, "tum": 1.0, "nor": 1.0} | dict.fromkeys(LEAVES, 0.5)


def small_tree(weights: dict[str, float] | None = None) -> LabelTree:
    """Tissue (tumour: t1, t2; normal: n1) and equipment (e1, e2): the tree of the reference values."""
    nodes = [
        Node(id=id_, name=id_, parent=parent, weight=(weights or {}).get(id_, 1.0), value=_value(id_))
        for id_, parent in PARENTS.items()
    ]
    return LabelTree([Node(id="root", name="root", parent=None), *nodes], name="small")


def _value(id_: str) -> int | None:
    return LEAVES.index(id_) + 1 if id_ in LEAVES else None


def make_random_tree(generator: np.random.Generator, leaves: int) -> LabelTree:
    """A tree with uneven depths, single children and random edge weights."""
    parents: dict[int, int] = {}
    open_ends = [0]
    count = 1
    while len(open_ends) < leaves:
        parent = open_ends.pop(int(generator.integers(len(open_ends))))
        for _ in range(int(generator.integers(1, 4))):
            parents[count] = parent
            open_ends.append(count)
            count += 1
    nodes = [Node(id="0", name="0", parent=None)]
    for node, parent in parents.items():
        value = node if node in open_ends else None
        nodes.append(
            Node(id=str(node), name=str(node), parent=str(parent), weight=float(generator.uniform(0.1, 3)), value=value)
        )
    return LabelTree(nodes, name="random")


@pytest.fixture
def tree() -> LabelTree:
    return small_tree()


@pytest.fixture
def weighted_tree() -> LabelTree:
    return small_tree(LEVEL_WEIGHTS)


@pytest.fixture
def random_tree() -> Callable[[np.random.Generator, int], LabelTree]:
    return make_random_tree


@pytest.fixture
def flat_tree() -> LabelTree:
    nodes = [Node(id=leaf, name=leaf, parent="root", value=index) for index, leaf in enumerate(LEAVES)]
    return LabelTree([Node(id="root", name="root", parent=None), *nodes], name="flat")


@pytest.fixture
def logits() -> Tensor:
    """float64 ``[2, 5, 2, 3]``."""
    return torch.randn(2, 5, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def targets() -> dict[str, Tensor]:
    """Every kind of target for ``logits``: leaves, inner nodes (5 is the root), unlabelled voxels, probabilities."""
    generator = torch.Generator().manual_seed(2)
    crisp = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]).view(2, 1, 2, 3)
    mixed = torch.tensor([0, 6, 7, 8, 9, -1, 1, 2, 3, 5, 4, -1]).view(2, 1, 2, 3)
    soft = torch.rand(2, 5, 2, 3, generator=generator, dtype=torch.float64)
    soft[:, 2:4, 1] = 0
    soft /= soft.sum(1, keepdim=True)
    soft[0, :, 0, 1] = 0
    return {"crisp": crisp, "mixed": mixed, "soft": soft}
