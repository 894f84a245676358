"""Where patches are cut out: around labels, rare classes as often as common ones, and never where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from softseg.data.plan import Plan
from softseg.data.store import CaseStore, PreparedCase
from softseg.errors import InputError


class PatchCentres:
    """Draws cases and the middles of patches in them, by the plan's fractions (:class:`softseg.data.plan.Sampling`).

    Where there is no background or labels are scribbles, patches that would lie anywhere lie around labelled voxels
    too, and cases without any are never drawn. Samples of a corrected result lie around its corrected voxels.

    Parameters
    ----------
    store: the cases.
    case_ids: which of them.
    plan: fractions of patch centres, size of a patch.
    corrected: fraction of the patches from corrected results, 0..1, where there are other cases too.

    Raises
    ------
    InputError: only labelled voxels count and no case has any.
    """

    def __init__(self, store: CaseStore, case_ids: Sequence[str], plan: Plan, corrected: float = 0.5) -> None:
        weighted = {name for name in case_ids if store.load(name).weighted}
        parts = [[name for name in case_ids if (name in weighted) == kind] for kind in (True, False)]
        self._pools = [_Pool(store, part, plan) for part in parts if part]
        self._corrected, self._plan = corrected, plan

    def draw(self, generator: np.random.Generator) -> tuple[PreparedCase, npt.NDArray[np.float64]]:
        """Draw a case and the middle of a patch in it."""
        pool = self._pools[0]
        if len(self._pools) > 1 and generator.random() >= self._corrected:
            pool = self._pools[1]
        case, point, shift = pool.draw(generator)
        patch = np.asarray(self._plan.patch_kji)
        point = point + np.floor(shift * patch) * (patch > 1)
        return case, _fit(point, patch, np.asarray(case.geometry.shape))


class _Pool:
    """Cases of one kind; see :class:`PatchCentres`."""

    def __init__(self, store: CaseStore, case_ids: Sequence[str], plan: Plan) -> None:
        self._store, self._ids, self._plan = store, tuple(case_ids), plan
        tree = store.dataset.tree
        self._background = -1 if tree.background is None else tree.leaf_index(tree.background.id)
        self._cases_of_class = self._index_classes()
        self._drawn = self._worth_drawing()

    def draw(
        self, generator: np.random.Generator
    ) -> tuple[PreparedCase, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Draw a case, a voxel of it, and how far from there the middle of the patch lies, in patches."""
        sampling = self._plan.sampling
        kind, name, draw = generator.random(), generator.integers(len(self._drawn)), generator.random(2)
        shift = generator.uniform(-0.25, 0.25, 3)
        case = self._store.load(self._drawn[int(name)])
        point: npt.NDArray[np.float64] | None = None
        if kind < sampling.balanced and self._cases_of_class:
            label = list(self._cases_of_class)[int(draw[0] * len(self._cases_of_class))]
            owners = self._cases_of_class[label]
            case = self._store.load(owners[int(name) % len(owners)])
            point = _pick(case, label, draw[1])
        elif kind < sampling.balanced + sampling.foreground:
            point = self._labelled_point(case, draw, without=None if case.weighted else self._background)
        if point is None and self._only_labels(case):  # elsewhere there is nothing to learn
            point = self._labelled_point(case, draw)
        if point is None:
            point = np.floor(generator.random(3) * case.geometry.shape)
        return case, point, shift

    def _index_classes(self) -> dict[int, list[str]]:
        """Return, by class, the cases with sample points of it; of background only where it was labelled."""
        found: dict[int, list[str]] = {}
        for name in self._ids:
            case = self._store.load(name)
            for label in case.point_classes:
                if label != self._background or case.weighted:
                    found.setdefault(label, []).append(name)
        return dict(sorted(found.items()))

    def _worth_drawing(self) -> tuple[str, ...]:
        """Return the cases to draw from: of those with scribbles only the ones that have some."""
        cases = [self._store.load(name) for name in self._ids]
        found = tuple(case.id for case in cases if len(case.points) or not self._only_labels(case))
        if not found:
            raise InputError("no case has a labelled voxel", file=self._store.dataset.path, field="cases")
        return found

    def _only_labels(self, case: PreparedCase) -> bool:
        """Whether patches without a label are useless: there is no background, or labels are scribbles."""
        return case.scribbles or self._background < 0

    def _labelled_point(
        self, case: PreparedCase, draw: npt.NDArray[np.float64], without: int | None = None
    ) -> npt.NDArray[np.float64] | None:
        """Draw a labelled voxel, not of the class ``without``: a class by its volume, then one of its sample points."""
        volumes = {label: count for label, count in case.class_voxels.items() if label != without}
        if not volumes:
            return None
        fraction = np.cumsum(list(volumes.values()))
        label = list(volumes)[int(np.searchsorted(fraction, draw[0] * fraction[-1], side="right"))]
        return _pick(case, label, draw[1])


def _pick(case: PreparedCase, label: int, draw: float) -> npt.NDArray[np.float64] | None:
    """Return the sample voxel of a class at ``draw`` (0..1) of them, None where it has none."""
    found = case.point_classes.get(label)
    return (
        None if found is None else case.points[found.start + int(draw * (found.stop - found.start))].astype(np.float64)
    )


def _fit(
    point: npt.NDArray[np.float64], patch: npt.NDArray[np.int64], shape: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the middle of a patch around ``point`` that stays inside the case, or is centred where it is larger."""
    start = np.floor(point) - patch // 2
    start = np.where(patch >= shape, -((patch - shape) // 2), np.clip(start, 0, np.maximum(shape - patch, 0)))
    return np.asarray(start + (patch - 1) / 2, np.float64)
