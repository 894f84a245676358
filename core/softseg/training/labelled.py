"""What is labelled, before a training from strokes begins: nothing at all, or a single voxel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softseg.data.labelled import FEW
from softseg.errors import InputError

if TYPE_CHECKING:
    from softseg.data import CaseStore
    from softseg.events import Events


def check_labelled(store: CaseStore, training: Sequence[str], validation: Sequence[str], events: Events) -> None:
    """Warn of cases without a label, structures without a label and classes with very few labelled voxels.

    Only where there is no background or only strokes are painted; everywhere else every voxel is labelled. Voxels are
    those of the plan's grid.

    Raises
    ------
    InputError: no training case has a labelled voxel.
    """
    tree, path = store.dataset.tree, store.dataset.path
    cases = {name: store.load(name) for name in (*training, *validation)}
    if tree.background is not None and not any(case.strokes for case in cases.values()):
        return
    empty = [name for name, case in cases.items() if not len(case.points)]
    if set(training) <= set(empty):
        raise InputError(
            f"no training case has a labelled voxel ({_some(training)})",
            file=path,
            field="cases",
            hint="paint strokes and give them the tree's label values; labels outside the used part of the image, a "
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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
