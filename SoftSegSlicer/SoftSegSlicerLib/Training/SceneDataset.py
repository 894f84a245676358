"""A dataset made of volumes and segmentations of the scene: files and a DATA.json that ``softseg train`` reads."""

import json
import os
from dataclasses import dataclass, field

import numpy as np
import slicer

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.requests import file_names

from ..Exchange.LabelItems import REFUSE
from ..Exchange.LabelReader import LabelReader, slabRanges
from ..Exchange.NrrdWriter import NrrdWriter, plainErrors
from ..Scene.Transforms import transformBetween
from .CaseChecks import checkCase, refuseBackground, requireBackground, requireSpace, trainingGrid


@dataclass
class SceneCase:
    """One scan of the scene with its labels.

    Attributes
    ----------
    images: volume node by channel, all on one grid.
    labels: segmentation or label map volume.
    person: whose scan it is; all scans of a person are on one side.
    split: ``"train"``, or ``"val"`` to judge by.
    mapping: which node of the tree a segment or label is, where that is open or wrong: from segment ids, label values
        or names to ids or names of nodes; None leaves one out.
    """

    images: dict
    labels: object
    person: str = ""
    split: str = "train"
    mapping: dict = field(default_factory=dict)

    @property
    def volume(self):
        """The first channel's volume, whose grid counts."""
        return next(iter(self.images.values()), None)


@dataclass
class SceneDataset:
    """Cases of the scene that share channels and a label tree.

    Attributes
    ----------
    name: for people.
    tree: what the labels mean.
    cases: list of :class:`SceneCase`.
    scribbles: what is not painted is unlabelled and takes no part; otherwise it is background.
    positiveOnly: scribbles without a background: what is not painted is unlabelled, and no voxel is ever background.
        Such a dataset is for trainings with ``sparse=true``.
    overlaps: voxels of segments that contradict each other: ``"refuse"``, or ``"first"`` for the first segment.
    remarks: what :meth:`write` found that people should know: labels taken by value, contradicting segments.
    """

    name: str
    tree: object
    cases: list = field(default_factory=list)
    scribbles: bool = False
    positiveOnly: bool = False
    overlaps: str = REFUSE
    remarks: list = field(default_factory=list)

    def check(self):
        """Find out, without reading a voxel, whether the cases can be written.

        Raises
        ------
        InputError: there is nothing to learn from, a volume or segmentation is missing or of the wrong kind, channels
            differ, a transform is in the way, or a person is on both sides.
        """
        if not any(case.split == "train" for case in self.cases):
            raise InputError("there is no training case", hint="add a volume with its segmentation for training")
        channels = list(self.cases[0].images)
        splitOf = {}
        for case in self.cases:
            checkCase(case, channels)
            person = personOf(case)
            if splitOf.setdefault(person, case.split) != case.split:
                raise InputError(
                    f"'{person}' is used for training and for validation",
                    hint="use all scans of a person for the same split",
                )

    def write(self, folder, overlaps=None):
        """Write everything into ``folder`` in small steps: a generator of ``(done, total)``, of slices.

        DATA.json comes last; when the generator ends early, no half-written file stays.

        Parameters
        ----------
        folder: made when missing; what an earlier dataset left in it is replaced.
        overlaps: instead of the dataset's own.

        Raises
        ------
        InputError: as :meth:`check`; it is open which node a segment is; scribbles lack the background, or have one
            although they are positive-only; the disk is full or cannot be written.
        ContradictionError: segments contradict each other.
        """
        self.check()
        tree = fittingTree(self.tree, self.positiveOnly)
        if self.positiveOnly:
            refuseBackground(self.cases)
        masked = self.scribbles and not self.positiveOnly  # else label 0 says the same: nothing is known
        exports = [_CaseExport(case, tree, masked, overlaps or self.overlaps) for case in self.cases]
        self.remarks = []
        with plainErrors(folder):
            os.makedirs(folder, exist_ok=True)
        requireSpace(folder, sum(export.bytes for export in exports))
        total = sum(export.slices for export in exports)
        done, entries, names = 0, [], _caseNames(exports)
        for number, export in enumerate(exports):
            name = names[number]
            entry = yield from _shifted(export.write(folder, name), done, total)
            entries.append(entry)
            self.remarks += [f"{export.name}: {export.said}"] if export.said else []
            done += export.slices
        if masked:
            requireBackground(exports, tree)
        _withOwnValues(tree, exports).save(os.path.join(folder, "tree.json"))
        channels = list(self.cases[0].images)
        content = {"name": self.name, "channels": channels, "tree": "tree.json", "cases": entries}
        path = dataFile(folder)
        with plainErrors(path), write_beside(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
        yield total, total


def _caseNames(exports):
    """Return a name for each case that may be a file's everywhere; volumes of one name are numbered."""
    texts = []
    for export in exports:
        text, number = export.name, 1
        while text in texts:
            number += 1
            text = f"{export.name}-{number}"
        texts.append(text)
    names = file_names(texts)
    return [names[text] for text in texts]


def dataFile(folder):
    """Return the path of the dataset's description within its folder."""
    return os.path.join(str(folder), "DATA.json")


def personOf(case):
    """Return whose scan a case is: as given, or the volume's name."""
    return case.person.strip() or case.volume.GetName()


class _CaseExport:
    """One case on its way to files; holds on to the voxels, so that the scene may change."""

    def __init__(self, case, tree, masked, overlaps):
        self.name = case.volume.GetName() or ""
        self._case, self._masked = case, masked
        self._person, self._split = personOf(case), case.split
        # in the world; under a transform that is not linear in the volume's own coordinates, labels brought there
        self._geometry, frame = trainingGrid(case.volume)
        self._arrays = {channel: slicer.util.arrayFromVolume(node) for channel, node in case.images.items()}
        toGrid = transformBetween(case.labels, frame)
        self._labels = LabelReader(case.labels, tree, self._geometry, case.mapping, overlaps, toGrid)
        self.values = set()

    @property
    def said(self):
        """What people should know of how the labels were read; empty where there is nothing."""
        return self._labels.said

    @property
    def slices(self):
        """Steps of work: slices of all files."""
        return self._geometry.shape[0] * (len(self._arrays) + 1)

    @property
    def bytes(self):
        """Size of the files, at most."""
        return sum(array.nbytes for array in self._arrays.values()) + 3 * int(np.prod(self._geometry.shape))

    def write(self, folder, name):
        """Write the files and return the entry of DATA.json; yields the slices that are done."""
        entry = {"id": name, "group": self._person, "split": self._split, "images": {}}
        done = 0
        channels = file_names(list(self._arrays))
        for channel, array in self._arrays.items():
            path = f"images/{channels[channel]}/{name}.nrrd"
            with _Files(folder, path) as files:
                writer = files.open(path, self._geometry, array.dtype)
                for first, last in slabRanges(array.shape):
                    writer.write(array[first:last])
                    yield done + last
            entry["images"][channel] = path
            done += len(array)
        entry["labels"] = f"labels/{name}.nrrd"
        if self._masked:
            entry["mask"] = f"masks/{name}.nrrd"
        with _Files(folder, *(entry[key] for key in ("labels", "mask") if key in entry)) as files:
            labels = files.open(entry["labels"], self._geometry, np.uint16, compress=True)
            mask = files.open(entry["mask"], self._geometry, np.uint8, compress=True) if self._masked else None
            for values, painted in self._labels.slabs():
                labels.write(values)
                if mask is not None:
                    mask.write(painted.astype(np.uint8))
                self.values.update(np.unique(values[painted]).tolist())
                done += len(values)
                yield done
        if not self.values:
            raise InputError(f"'{self._case.labels.GetName()}' is empty where '{self.name}' is", hint="paint something")
        return entry


class _Files:
    """Files that appear together when the block ends well, or not at all."""

    def __init__(self, folder, *names):
        self._folder, self._writers = folder, []
        for name in names:
            with plainErrors(os.path.join(folder, name)):
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)

    def open(self, name, geometry, dtype, compress=False):
        self._writers.append(NrrdWriter(os.path.join(self._folder, name), geometry, dtype, compress))
        return self._writers[-1]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            for writer in self._writers if kind is None else ():
                writer.close()
        finally:
            for writer in self._writers:
                writer.discard()


def _shifted(steps, before, total):
    """Pass on the steps of one case as steps of all; return what it returns."""
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        yield before + done, total


def fittingTree(tree, positiveOnly):
    """Return the tree with the background that a training needs, or without one where it must not have any."""
    if not positiveOnly:
        return tree if tree.background is not None else tree.with_background()
    return tree if tree.background is None else tree.remove(tree.background.id)


def _withOwnValues(tree, exports):
    """Return the tree with a label value of its own for every inner node that was painted: a coarse stroke."""
    painted = set().union(*(export.values for export in exports))
    for node in tree.inner_nodes:
        if node.value is None and tree.value_of(node.id) in painted:
            tree = tree.with_value(node.id, tree.value_of(node.id))
    return tree
