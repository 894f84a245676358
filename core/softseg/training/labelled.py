"""Checks of the labels before a training from scribbles begins: nothing at all, or a single voxel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softseg.data.labelled import FEW
from softseg.errors import InputError
from softseg.losses.coarse import uses_coarse
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss

if TYPE_CHECKING:
    from softseg.data import CaseStore
    from softseg.data.store import PreparedCase
    from softseg.events import Events
    from softseg.losses.compound import CompoundLoss
    from softseg.tree import LabelTree


def check_labelled(
    store: CaseStore, training: Sequence[str], validation: Sequence[str], loss: CompoundLoss, events: Events
) -> None:
    """Report the labels of scribbles, and for any labels how many the losses cannot use.

    Cases without a label, structures without a label and classes with very few labelled voxels are warned of where
    there is no background or labels are scribbles; everywhere else every voxel is labelled. Voxels are those of the
    plan's grid.

    Raises
    ------
    InputError: no training case has a labelled voxel; labels of groups of structures and a loss that refuses them.
    """
    tree, path = store.dataset.tree, store.dataset.path
    cases = {name: store.load(name) for name in (*training, *validation)}
    _warn_of_groups(tree, [cases[name] for name in training], loss, events)
    if tree.background is not None and not any(case.scribbles for case in cases.values()):
        return
    empty = [name for name, case in cases.items() if not len(case.points)]
    if set(training) <= set(empty):
        raise InputError(
            f"no training case has a labelled voxel ({_some(training)})",
            file=path,
            field="cases",
            hint="draw scribbles and give them the tree's label values; labels outside the used part of the image, a "
            "mask, or the value for unlabelled voxels take no part (--set plan.crop.kind=none uses all of the image)",
        )
    for name in empty:
        part = "it is left out" if name in training else "it cannot be judged"
        events.warning(f"case {name}: no labelled voxel, {part}")
    counts: Counter[int] = Counter()
    for name in training:
        counts.update(cases[name].class_voxels)
    nodes = [(node.id, counts[tree.class_index(node.id)]) for node in tree.class_nodes]
    unseen = [name for name, count in nodes[: len(tree.leaves)] if not count]
    if unseen:
        events.warning(f"{path}: no training case has labels of {_some(unseen)}; the network cannot learn them")
    few = [f"{name} ({count})" for name, count in nodes if 0 < count < FEW]
    if few:
        events.warning(f"{path}: fewer than {FEW} labelled voxels in all training cases: {_some(few)}")
    total = sum(count for _, count in nodes)
    events.log(f"{total} labelled voxels of {sum(count > 0 for _, count in nodes)} nodes in {len(training)} cases")


def _warn_of_groups(tree: LabelTree, cases: Sequence[PreparedCase], loss: CompoundLoss, events: Events) -> None:
    """Report how many voxels are labelled with a group of structures, where a loss cannot learn from them."""
    leaves, counts = len(tree.leaves), Counter[int]()
    for case in cases:
        counts.update(case.class_voxels)
    groups, total = sum(count for index, count in counts.items() if index >= leaves), sum(counts.values())
    cannot = [type(part).__name__ for part in loss.parts if not uses_coarse(part)]
    if not groups or not cannot:
        return
    text = f"{groups} of {total} labelled voxels carry the name of a group, which {' and '.join(cannot)} cannot use: "
    if any(isinstance(part, GeneralizedWassersteinDiceLoss) for part in loss.parts):
        raise InputError(
            f"{groups} of {total} labelled voxels carry the name of a group: generalized-wasserstein-dice refuses them",
            field="losses",
            hint="use tree-wasserstein, or label only leaves of the tree",
        )
    if len(cannot) == len(loss.parts):
        events.warning(text + "they take no part")
    else:
        events.log(text + "they are left to the other losses")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
