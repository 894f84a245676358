"""Label maps as whole class indices, turned to one orientation and kept as memory maps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.cubes import read_label_map
from softseg.data.dataset import Dataset
from softseg.data.labels import labels_from_map
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_folder_beside
from softseg.image import reorient
from softseg.requests.names import file_name

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class LabelMap:
    """One label map.

    Attributes
    ----------
    classes: uint8 ``(k, j, i)``, leaf indices of the dataset's tree, in the plan's orientation.
    spacing: mm, ``(k, j, i)``.
    middle: voxel ``(k, j, i)``, mean position of the labelled voxels that are not background.
    """

    classes: npt.NDArray[np.uint8]
    spacing: tuple[float, float, float]
    middle: tuple[float, float, float]


class LabelMaps:
    """The label maps of a dataset, made ready once and opened as memory maps.

    Parameters
    ----------
    dataset: cases and the tree whose leaves their values are.
    orientation: of the arrays, as :class:`softseg.data.Plan` has it.
    folder: where to keep them.
    around: leaf indices whose middle is the middle of a map; all but background by default.
    """

    def __init__(
        self, dataset: Dataset, orientation: str, folder: str | PathLike[str], around: frozenset[int] = frozenset()
    ) -> None:
        self.dataset, self.orientation, self.folder, self._around = dataset, orientation, Path(folder), around
        self._open: dict[str, LabelMap] = {}
        if len(dataset.tree.leaves) > 255:
            raise InputError(
                f"has {len(dataset.tree.leaves)} leaves; images are made up from at most 255",
                file=dataset.path,
                field="tree",
            )

    def prepare(self, events: Events, case_ids: list[str]) -> None:
        """Read all label maps that are not there yet.

        Raises
        ------
        InputError: a label map is damaged, soft, of several raters or holds values that the tree does not have.
        """
        events.stage("prepare", total=len(case_ids))
        for done, name in enumerate(case_ids):
            self.load(name)
            events.progress(done + 1, len(case_ids))
            events.check()

    def load(self, case_id: str) -> LabelMap:
        """Open a label map; it is read now if that was not done before."""
        if case_id not in self._open:
            case = self.dataset.case(case_id)
            folder = self._path(case)
            if not (folder / "map.json").is_file():
                self._prepare(case, folder)
            about = json.loads((folder / "map.json").read_text(encoding="utf-8"))
            classes = np.load(folder / "classes.npy", mmap_mode="r", allow_pickle=False)
            self._open[case_id] = LabelMap(classes, tuple(about["spacing"]), tuple(about["middle"]))
        return self._open[case_id]

    def _path(self, case: Case) -> Path:
        file = self._file(case)
        stat = file.stat()
        tree = json.dumps(self.dataset.tree.to_json(), sort_keys=True)
        parts = [_FORMAT, self.orientation, tree, str(file), stat.st_size, stat.st_mtime_ns, sorted(self._around)]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return self.folder / f"{file_name(case.id)}-map-{key}"

    def _file(self, case: Case) -> Path:
        if not isinstance(case.labels, Path) or case.corrected is not None:
            raise InputError(
                f"case {case.id}: images are made up from one label map, not from soft maps or several raters",
                file=self.dataset.path,
                field=f"{case.id}: labels",
            )
        return case.labels

    def _prepare(self, case: Case, folder: Path) -> None:
        file = self._file(case)
        tree = self.dataset.tree
        image = reorient(read_label_map(file), self.orientation)
        labels = labels_from_map(image.array, tree, file, lambda _: None, case.unlabelled)
        classes = labels.largest()
        if classes.min() < 0 or classes.max() >= len(tree.leaves):
            raise InputError(
                "holds unlabelled voxels or labels of groups; images are made up from leaves", file=file, field="labels"
            )
        kept = sorted(self._around) or [n for n, leaf in enumerate(tree.leaves) if leaf is not tree.background]
        inside = np.nonzero(np.isin(classes, kept))
        if not len(inside[0]):
            raise InputError("holds none of the structures that are learned", file=file, field="labels")
        about = {
            "spacing": list(image.geometry.spacing_kji),
            "middle": [float(positions.mean()) for positions in inside],
        }
        with write_folder_beside(folder, durable=False) as temporary:
            np.save(temporary / "classes.npy", classes.astype(np.uint8))
            (temporary / "map.json").write_text(json.dumps(about), encoding="utf-8")
