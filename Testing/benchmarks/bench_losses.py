"""Forward and backward pass of the losses, against ``F.cross_entropy`` and the losses of MONAI."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from measure import Curve, Line, interleaved_all, peak_memory
from torch import Tensor

from softseg.losses import build_loss
from softseg.system import free_memory
from softseg.tree import LabelTree, Node

Loss = Callable[[Tensor, Tensor], Tensor]

BRAIN = Path(__file__).resolve().parents[2] / "Resources" / "LabelTrees" / "brain-134.json"
OURS = {
    "cross-entropy": [{"name": "cross-entropy"}],
    "tree cross-entropy": [{"name": "tree-cross-entropy"}],
    "Wasserstein + cross-entropy": [{"name": "wasserstein-cross-entropy"}],
    "Wasserstein": [{"name": "tree-wasserstein"}, {"name": "cross-entropy", "weight": 1e-9}],
    "Dice + cross-entropy": [{"name": "cross-entropy"}, {"name": "dice"}],
    "Dice + Wasserstein + cross-entropy": [{"name": "wasserstein-cross-entropy"}, {"name": "dice"}],
}
PEER = "F.cross_entropy"
TREE_LOSSES = ("tree cross-entropy", "Wasserstein + cross-entropy")
KINDS = {"crisp": 1.1, "soft": 1.2}
MEMORY_TARGET = 0.6
GROWTH_LEAVES = (8, 16, 32, 64, 128, 256, 512)
GROWTH_SIDES = (32, 64, 128, 256)
GROWTH_SIDE = 64
MEMORY_LEAVES = (8, 32, 128, 512)
OURS_LINE = "Wasserstein + cross-entropy"
PEER_COPIES = 5  # of the logits, that the peer holds at once, and room to spare


def run(quick: bool) -> list[Line]:
    """Measure the losses at full size (small sizes if ``quick``)."""
    sizes = [(108, 24)] if quick else [(108, 64), (135, 96)]
    rounds = 3 if quick else 7
    lines: list[Line] = []
    for leaves, side in sizes:
        for kind in ("crisp",) if quick else KINDS:
            lines += _against_cross_entropy(leaves, side, kind, rounds, channels_last=False)
            lines += _memory_against_cross_entropy(leaves, side, kind)
    if quick:
        return lines
    leaves, side = sizes[0]
    for kind in KINDS:
        lines += _against_cross_entropy(leaves, side, kind, rounds, channels_last=True)
    lines += _inner_nodes(leaves, side, rounds)
    lines += _against_others(leaves, side, rounds)
    return lines + _growth_lines(_growth_with_leaves())


def curves(quick: bool) -> list[Curve]:
    """Measure how time and memory grow with leaves and voxels (nothing if ``quick``)."""
    if quick:
        return []
    side = GROWTH_SIDE
    leaves, voxels, memory = _growth_with_leaves(), _growth_with_voxels(), _memory_growth()
    return [
        Curve("losses", "leaves", f"Forward and backward pass, {side}³ voxels", "leaves", "seconds", leaves, OURS_LINE),
        Curve("losses", "voxels", "Forward and backward pass, 32 leaves", "voxels per side", "seconds", voxels),
        Curve("losses", "memory", f"Memory above the logits, {side}³ voxels", "leaves", "MB", memory, OURS_LINE),
    ]


# --- the lines ---------------------------------------------------------------------------------------------------


def _against_cross_entropy(leaves: int, side: int, kind: str, rounds: int, *, channels_last: bool) -> list[Line]:
    logits, target = _inputs(leaves, side, kind, channels_last=channels_last)
    names = (PEER, *TREE_LOSSES)
    calls = {name: _step(_loss(name, leaves), logits, target) for name in names}
    seconds = interleaved_all(calls, rounds)
    layout = ", channels last" if channels_last else ""
    return [
        Line(
            "losses",
            f"{name}, {kind}{layout}: time",
            seconds[name],
            seconds[PEER],
            "s",
            PEER,
            KINDS[kind],
            _size(leaves, side),
        )
        for name in TREE_LOSSES
    ]


def _memory_against_cross_entropy(leaves: int, side: int, kind: str) -> list[Line]:
    bytes_ = {name: peak_memory(prepare_step, name, leaves, side, kind) for name in (PEER, *TREE_LOSSES)}
    return [
        Line(
            "losses",
            f"{name}, {kind}: memory",
            bytes_[name] / 1e6,
            bytes_[PEER] / 1e6,
            "MB",
            PEER,
            MEMORY_TARGET,
            _size(leaves, side),
        )
        for name in TREE_LOSSES
    ]


def _inner_nodes(leaves: int, side: int, rounds: int) -> list[Line]:
    """A quarter of the voxels is labelled with inner nodes; the peer cannot do that and gets leaves."""
    logits, target = _inputs(leaves, side, "crisp")
    tree = _tree(leaves)
    parents = torch.tensor([_class_of(tree, leaf.parent) for leaf in tree.leaves])
    coarse = torch.where(torch.rand(target.shape, generator=_generator()) < 0.25, parents[target], target)
    calls = {name: _step(_loss(name, leaves), logits, coarse) for name in TREE_LOSSES}
    seconds = interleaved_all(calls | {PEER: _step(_loss(PEER, leaves), logits, target)}, rounds)
    note = f"{_size(leaves, side)}, {PEER} on leaves"
    return [
        Line("losses", f"{name}, a quarter inner nodes: time", seconds[name], seconds[PEER], "s", PEER, 1.2, note)
        for name in TREE_LOSSES
    ]


def _against_others(leaves: int, side: int, rounds: int) -> list[Line]:
    """Pairs of one of our losses and what people use for the same purpose."""
    pairs = [
        ("Dice + cross-entropy", "MONAI DiceCELoss", "crisp", 1.0),
        ("Dice + cross-entropy", "MONAI DiceCELoss", "soft", 1.0),
        ("Dice + Wasserstein + cross-entropy", "MONAI DiceCELoss", "crisp", 1.0),
        ("Wasserstein + cross-entropy", "MONAI GeneralizedWassersteinDiceLoss", "crisp", 1.0),
        ("Wasserstein", "naive p^T M g", "crisp", 1.0),
        ("Wasserstein", "naive p^T M g", "soft", 1.0),
    ]
    lines = []
    for ours, peer, kind, target_ratio in pairs:
        logits, target = _inputs(leaves, side, kind)
        calls = {name: _step(_loss(name, leaves), logits, target) for name in (ours, peer)}
        seconds = interleaved_all(calls, rounds)
        megabytes = {name: peak_memory(prepare_step, name, leaves, side, kind) / 1e6 for name in (ours, peer)}
        size = _size(leaves, side)
        lines += [
            Line("losses", f"{ours}, {kind}: time", seconds[ours], seconds[peer], "s", peer, target_ratio, size),
            Line(
                "losses", f"{ours}, {kind}: memory", megabytes[ours], megabytes[peer], "MB", peer, MEMORY_TARGET, size
            ),
        ]
    return lines


def _growth_lines(growth: dict[str, list[tuple[float, float]]]) -> list[Line]:
    """How far the time is from being proportional to the leaves, at most."""
    lines = []
    for name in TREE_LOSSES:
        points = growth[name]
        per_leaf = [seconds / leaves for leaves, seconds in points]
        departure = (max(per_leaf) - min(per_leaf)) / (max(per_leaf) + min(per_leaf))
        label = f"{name}: departure from linear growth, {points[0][0]:g} to {points[-1][0]:g} leaves"
        lines.append(Line("losses", label, departure, 0.2, "", "limit", 1.0, "largest relative distance from a line"))
        last = f"{name}: time for {points[-1][0]:g} leaves"
        times = points[-1][0] / points[0][0]
        lines.append(
            Line("losses", last, points[-1][1], points[0][1] * times, "s", f"{times:g} x {points[0][0]:g} leaves", 1.2)
        )
    return lines


# --- growth ------------------------------------------------------------------------------------------------------


@cache
def _growth_with_leaves() -> dict[str, list[tuple[float, float]]]:
    return _grow([(leaves, leaves, GROWTH_SIDE) for leaves in GROWTH_LEAVES], 5)


def _growth_with_voxels() -> dict[str, list[tuple[float, float]]]:
    return _grow([(side, 32, side) for side in GROWTH_SIDES], 3)


def _grow(points: list[tuple[int, int, int]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each loss at each point (x, leaves, side), as far as the memory goes."""
    names = (OURS_LINE, "tree cross-entropy", PEER)
    series: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for x, leaves, side in points:
        if PEER_COPIES * 4 * leaves * side**3 > free_memory():
            break
        logits, target = _inputs(leaves, side, "crisp")
        seconds = interleaved_all({name: _step(_loss(name, leaves), logits, target) for name in names}, rounds)
        for name in names:
            series[name].append((x, seconds[name]))
    return series


def _memory_growth() -> dict[str, list[tuple[float, float]]]:
    names = (OURS_LINE, PEER, "MONAI DiceCELoss")
    return {
        name: [(n, peak_memory(prepare_step, name, n, GROWTH_SIDE, "crisp") / 1e6) for n in MEMORY_LEAVES]
        for name in names
    }


# --- losses and inputs -------------------------------------------------------------------------------------------


def prepare_step(name: str, leaves: int, side: int, kind: str) -> Callable[[], object]:
    """Return the step of one loss, made and run once on 4³ voxels before."""
    loss = _loss(name, leaves)
    small, few = _inputs(leaves, 4, kind)
    _step(loss, small, few)()
    return _step(loss, *_inputs(leaves, side, kind))


def _step(loss: Loss, logits: Tensor, target: Tensor) -> Callable[[], object]:
    def step() -> None:
        logits.grad = None
        loss(logits, target).backward()

    return step


def _loss(name: str, leaves: int) -> Loss:
    if name in OURS:
        return build_loss(OURS[name], _tree(leaves))
    if name == PEER:
        return _cross_entropy
    if name == "naive p^T M g":
        return _naive_wasserstein(torch.tensor(_tree(leaves).distance_matrix(normalize=True), dtype=torch.float32))
    if name == "MONAI DiceCELoss":
        return _dice_cross_entropy
    if name == "MONAI GeneralizedWassersteinDiceLoss":
        from monai.losses import GeneralizedWassersteinDiceLoss  # loaded only where it is measured: it takes seconds

        matrix = _tree(leaves).distance_matrix(normalize=True).astype("float32")
        return GeneralizedWassersteinDiceLoss(matrix)
    raise ValueError(name)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target if target.is_floating_point() else target[:, 0])


def _dice_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    from monai.losses import DiceCELoss

    crisp = not target.is_floating_point()
    return DiceCELoss(softmax=True, to_onehot_y=crisp, include_background=False)(logits, target)


def _naive_wasserstein(matrix: Tensor) -> Loss:
    """``p^T M g``: for leaves the exact distance, for soft targets an upper bound of it."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        probabilities = torch.softmax(logits, 1)
        if target.is_floating_point():
            costs = torch.einsum("kj,bj...->bk...", matrix, target)
        else:
            costs = matrix[target[:, 0]].movedim(-1, 1)
        return (probabilities * costs).sum(1).mean()

    return loss


def _inputs(leaves: int, side: int, kind: str, *, channels_last: bool = False) -> tuple[Tensor, Tensor]:
    """Return random logits and a target made of regions of about 8³ voxels, as labels or blurred to probabilities."""
    generator = _generator()
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    logits = torch.empty(1, leaves, side, side, side, memory_format=layout).normal_(0, 3, generator=generator)
    coarse = torch.randint(leaves, (1, 1, *[max(2, side // 8)] * 3), generator=generator)
    target = F.interpolate(coarse.double(), size=(side, side, side), mode="nearest").long()
    if kind == "soft":
        target = _blurred(target, leaves).contiguous(memory_format=layout)
    return logits.requires_grad_(), target


def _blurred(labels: Tensor, leaves: int) -> Tensor:
    """Return probabilities ``[1, leaves, ...]``: each voxel gives half to the label one voxel on, on two axes."""
    probabilities = torch.zeros(1, leaves, *labels.shape[2:])
    for shift, part in ((0, 0.5), (1, 0.3), (-1, 0.2)):
        moved = labels.roll(shift, 2).roll(shift, 4)
        probabilities.scatter_add_(1, moved, torch.full(moved.shape, part))
    return probabilities


@cache
def _tree(leaves: int) -> LabelTree:
    """Return the shipped brain tree if it has that many leaves, else a tree with up to four children a node."""
    brain = LabelTree.load(BRAIN)
    return brain if len(brain.leaves) == leaves else _regular_tree(leaves)


def _regular_tree(leaves: int) -> LabelTree:
    parents: dict[str, str] = {}
    level = [f"leaf {index}" for index in range(leaves)]
    values = {name: index for index, name in enumerate(level)}
    height = 0
    while len(level) > 4:
        height += 1
        above = [f"branch {height}.{index}" for index in range((len(level) + 3) // 4)]
        parents |= {name: above[index // 4] for index, name in enumerate(level)}
        level = above
    parents |= dict.fromkeys(level, "root")
    nodes = [Node(id="root", name="root", parent=None)]
    nodes += [Node(id=name, name=name, parent=parent, value=values.get(name)) for name, parent in parents.items()]
    return LabelTree(nodes, name=f"{leaves} leaves")


def _class_of(tree: LabelTree, node: str | None) -> int:
    order = [leaf.id for leaf in tree.leaves] + [inner.id for inner in tree.inner_nodes]
    return order.index(str(node))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _size(leaves: int, side: int) -> str:
    return f"{leaves} leaves, {side}³ voxels"
