"""Where a segmentation's labels come from, whatever its cut: a soft parcellation, or unfolded labels kept aside."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.lookup import look_up, value_counts
from softseg.soft import SoftParcellation

from . import Corrected, CorrectionsNode, Folding, Grids, Placement, References, Segments, TreeNode
from .Remapping import Remapping, mergedOf


@dataclass(frozen=True)
class SoftSource:
    """Labels of a soft parcellation.

    Attributes
    ----------
    parcellation: on ``remapping.known``, or on that tree with merged leaves opened, where nothing had to be computed.
    remapping: from the tree it was made with to the tree of the segmentation.
    parts: what people said about parts of leaves that were split, of which nothing else is known: flat indices of
        voxels of the grid, and the id of the part.
    """

    parcellation: SoftParcellation
    remapping: Remapping
    parts: tuple = ()

    @staticmethod
    def of(stored, remapping):
        """Return the source for a stored parcellation.

        Raises
        ------
        InputError: the parcellation cannot be brought to the tree.
        """
        opened = None if remapping.known == remapping.source else remapping.opened()
        if opened is None:
            return SoftSource(remapping.apply(stored), remapping)
        same = {old.value: new.value for old, new in zip(stored.tree.leaves, opened.leaves, strict=True)}
        return SoftSource(stored.with_tree(opened, same), remapping)

    @property
    def geometry(self):
        """The whole grid."""
        return self.parcellation.geometry

    @property
    def box(self):
        """Slices ``(k, j, i)`` of what is stored; the whole grid where nothing is."""
        box = self.parcellation.box
        return box if self.parcellation.counts.size else tuple(slice(0, size) for size in self.geometry.shape)

    def labels(self, cut):
        """Return label values at a cut: ``(k, j, i)`` of :attr:`box`."""
        labels = Folding.softLabels(self.parcellation, self.remapping, cut, self.box)
        return Folding.withParts(labels, self, cut) if self.parts else labels

    def corrected(self, said, known=None):
        """Return the source under corrections, the oldest first; ``known`` as for :func:`.Corrected.soft`."""
        return Corrected.soft(self, said, known)

    def coarser(self, cut):
        """Return the ids of nodes above a cut that keep voxels: leaves that were split."""
        tree, known = cut.tree, self.remapping.known
        split = (
            {tree.value_of(leaf.id) for leaf in known.leaves if not tree.is_leaf(leaf.id)} if known is not tree else ()
        )
        return Folding.coarserNodes(cut, split) if split else []


@dataclass(frozen=True)
class CrispSource:
    """Labels that were kept aside before the first fold.

    Attributes
    ----------
    geometry: the whole grid: that of the kept labels.
    unfolded: label values of ``remapping.source``, ``(k, j, i)``.
    remapping: from the tree they were kept with to the tree of the segmentation.
    """

    geometry: Any
    unfolded: Any
    remapping: Remapping

    @property
    def box(self):
        """Slices ``(k, j, i)``: all of it."""
        return tuple(slice(0, size) for size in self.geometry.shape)

    def labels(self, cut):
        """Return label values at a cut: ``(k, j, i)``."""
        return look_up(self.unfolded, Folding.crispTable(self.remapping, cut))

    def corrected(self, said, known=None):
        """Return the source under corrections, the oldest first; ``known`` is not needed."""
        return Corrected.crisp(self, said, known)

    def coarser(self, cut):
        """Return the ids of nodes above a cut that keep voxels: coarse labels, and leaves that were split."""
        table = Folding.crispTable(self.remapping, cut)
        if not Folding.coarserNodes(cut, set(table.tolist())):
            return []
        present = np.unique(table[np.flatnonzero(value_counts(self.unfolded))])
        return Folding.coarserNodes(cut, set(present.tolist()))


def sourceOf(segmentationNode, store):
    """Return where the labels of a segmentation come from, with what people said about them.

    Parameters
    ----------
    segmentationNode: a segmentation of ours.
    store: ParcellationStore.

    Raises
    ------
    InputError: what the scene holds is damaged or does not fit the tree.
    """
    model, said = modelSource(segmentationNode, store), CorrectionsNode.read(segmentationNode)
    if not said:
        return model
    for each in said:
        if each.correction.runs.shape != model.geometry.shape:
            raise InputError(
                f"the correction {each.correction.id} was made on another grid than this result's",
                hint="load the result's file again",
            )
    key = keyOf(model, said)
    return store.derived(key, lambda: (model, model.corrected(said, _onAnotherTree(key, store))))[1]


def _onAnotherTree(key, store):
    """Return the source under the same corrections as it was before the tree was edited, None where none is kept."""
    found = store.latest(lambda other: other[0] == key[0] and other[2] == key[2])
    return None if found is None else found[1]


def prepare(segmentationNode, store, before, after):
    """Make the source that a segmentation will have under other corrections, by way of the one it has where that helps.

    Parameters
    ----------
    segmentationNode, store: as for :func:`sourceOf`.
    before: what was said of it.
    after: what will be said of it.

    Raises
    ------
    InputError: a correction does not fit the tree.
    """
    model = modelSource(segmentationNode, store)
    if not after or store.kept(keyOf(model, after)) is not None:
        return
    adds = len(after) > len(before) and after[: len(before)] == before
    source = sourceOf(segmentationNode, store) if adds else model
    said = after[len(before) :] if adds else after
    store.derived(keyOf(model, after), lambda: (model, source.corrected(said)))


def keyOf(model, said):
    """Return the key under which a source under corrections is kept, with the source it was made from.

    So no other source can get the same id.
    """
    return ("corrected", id(model), tuple(each.correction.id for each in said))


def modelSource(segmentationNode, store):
    """Return where the labels of a segmentation come from, before any correction.

    Parameters
    ----------
    segmentationNode: a segmentation of ours.
    store: ParcellationStore.

    Raises
    ------
    InputError: what the scene holds is damaged or does not fit the tree.
    """
    text, merged = References.textOf(segmentationNode, References.TREE), mergedOf(segmentationNode)
    tree = TreeNode.treeOf(segmentationNode)
    if tree is None:
        raise InputError("this segmentation has no label tree", hint="choose a tree for it first")
    stored = store.read(segmentationNode)
    if stored is not None:
        softKey = (store.keyOf(segmentationNode), text, tuple(sorted(merged.items())))

        def derive():
            return SoftSource.of(stored, Remapping.between(stored.tree, tree, merged))

        return store.derived(softKey, derive)
    source = TreeNode.treeOf(segmentationNode, References.SOURCE_TREE) or tree
    kept = References.referenced(segmentationNode, References.LEAF_LABELS) or keepLabels(segmentationNode, source)
    array, geometry = _keptArray(kept, source), Grids.geometryOfVolume(kept)
    layer = Segments.layerOf(segmentationNode)
    Placement.require(segmentationNode, geometry, layer, tuple(slice(0, size) for size in geometry.shape))
    Placement.settle(segmentationNode, layer)
    geometry = Placement.geometryOf(segmentationNode, geometry)
    key: tuple = ("crisp", kept.GetID(), kept.GetImageData().GetMTime(), Placement.placeText(segmentationNode), text)
    key = (*key, References.textOf(segmentationNode, References.SOURCE_TREE), tuple(sorted(merged.items())))
    return store.derived(key, lambda: CrispSource(geometry, array, Remapping.between(source, tree, merged)))


def parcellationOf(source, segmentationNode, store):
    """Return the soft parcellation of a source on exactly the tree of its segmentation, as far as that is known."""
    if source.parcellation.tree == source.remapping.known:
        return source.parcellation
    key = ("parcellation", id(source))  # what is kept holds its source, so that no other one can get the same id

    def make():
        own = source.remapping.apply(store.read(segmentationNode))
        return Corrected.onTree(own, source.remapping, CorrectionsNode.read(segmentationNode))

    return store.derived(key, lambda: (source, make()))[1]


def keepLabels(segmentationNode, tree):
    """Keep the labels that a crisp segmentation shows in a hidden label map, so that folding loses nothing.

    Raises
    ------
    InputError: the segmentation has no label map, or one with other label values than the tree's.
    """
    image = Segments.layerOf(segmentationNode)
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError("the segmentation is empty", hint="choose one that has segments")
    array = Grids.arrayOf(image)
    _requireKnown(array, tree)
    k, j, i = Grids.boxOf(image)
    corner = Grids.imageToRas(image)
    corner[:3, 3] += corner[:3, :3] @ np.array([i.start, j.start, k.start])
    geometry = Grids.geometryOf(corner, (i.stop - i.start, j.stop - j.start, k.stop - k.start))
    return writeKept(segmentationNode, array, geometry, tree)


def _keptArray(kept, tree):
    """Return the voxels of labels that were kept aside.

    Raises
    ------
    InputError: the volume is damaged, or holds labels that its tree lacks.
    """
    image, name = kept.GetImageData(), f"'{kept.GetName()}' in the scene"
    scalars = None if image is None else image.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfComponents() != 1 or not scalars.GetNumberOfTuples():
        raise InputError("the volume is empty or damaged", file=name, hint="load the segmentation again")
    array = Grids.arrayOf(image)
    if array.dtype.kind not in "ui" or array.min() < 0:
        raise InputError("expected whole numbers, none below 0", file=name, hint="load the segmentation again")
    _requireKnown(array, tree)
    return array


def _requireKnown(array, tree):
    present = np.flatnonzero(value_counts(array))
    strange = sorted(set(present.tolist()) - {tree.value_of(node.id) for node in tree.nodes} - {0})
    if strange:
        raise InputError(
            f"the segmentation has voxels with label value {strange[0]}, which is not in its tree '{tree.name}'",
            hint="remove the segments that were added to it, or choose a tree for it again",
        )


def writeKept(segmentationNode, array, geometry, tree):
    """Keep labels of a crisp segmentation, ``(k, j, i)`` on ``geometry``, with the tree that they belong to."""
    name = f"{segmentationNode.GetName()} unfolded labels"
    kept = References.referenced(segmentationNode, References.LEAF_LABELS)
    if kept is None:
        kept = References.addNode(References.sceneOf(segmentationNode), "vtkMRMLLabelMapVolumeNode", name, hidden=True)
        References.setReference(segmentationNode, References.LEAF_LABELS, kept)
    Grids.setArray(kept, array, geometry, Segments.scalarTypeOf(tree))
    Placement.begin(segmentationNode, geometry)
    TreeNode.writeTree(segmentationNode, tree, References.SOURCE_TREE)
    return kept
