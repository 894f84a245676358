"""Corrections of results: made by scripts, clicks and painted segments; listed, undone and redone."""

from dataclasses import replace

import numpy as np

from softseg.errors import InputError

from ..Scene import Author, Corrected, CorrectionsNode, EditorNode, LabelSource, Painting, References, Saying, Segments
from ..Scene.CorrectionHistory import CorrectionHistory
from ..Scene.Edits import Edits, sentence
from ..Scene.Leftovers import keepOutside
from ..Scene.VoxelSets import voxelsOf
from .Signal import Signal


class Corrections:
    """What people say about voxels of a result.

    Parameters
    ----------
    sources: ResultSources.
    labels: ShownLabels.

    Attributes
    ----------
    changed: Signal with a segmentation and a line of text (may be empty) when its corrections have changed.
    """

    def __init__(self, sources, labels):
        self.changed = Signal()
        self._sources, self._labels = sources, labels
        self._histories = {}
        self._taking = False

    # -- saying -------------------------------------------------------------------------------------------------------

    def add(self, segmentationNode, nodeId, voxels, *, isNode=True, author=None, time=None):
        """Say what some voxels are: a correction, which conditions the result in them and shows everywhere at once.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        nodeId: any node of its tree, at any level; the background too.
        voxels: bool ``(k, j, i)`` on the result's grid, flat indices into it, ``(segmentation node, segment id)``, or a
            label map node (what is not 0), wherever these are in the world.
        isNode: False: the voxels are not the node.
        author: who says so; the person in the application's settings by default.
        time: when (ISO 8601); now by default.

        Returns
        -------
        the softseg.soft.Correction, None where there are no voxels.

        Raises
        ------
        InputError: no such node, "is not" is said of everything, or the voxels do not fit.
        """
        self.takeEdits(segmentationNode)
        tree, source = self._sources.treeOf(segmentationNode), self._sources.of(segmentationNode)
        if not isNode and nodeId == tree.root.id:
            raise InputError("this node contains every leaf, so nothing else is left", field=f"node '{nodeId}'")
        flat = voxelsOf(voxels, source.geometry, segmentationNode)
        if not flat.size:
            return None
        author = Author.name() if author is None else author
        said = Saying.of(nodeId, flat, source.geometry, tree, isNode, author, time)
        self._say(segmentationNode, (*CorrectionsNode.read(segmentationNode), said))
        return said.correction

    def of(self, segmentationNode):
        """Return what was said of a result, the oldest first: softseg.soft.Correction.

        Of a soft result they tell how many voxels were answered by the model's own opinion, by the nearest voxel that
        has any, and evenly.
        """
        self._sources.require(segmentationNode)
        self.takeEdits(segmentationNode)
        source = self._sources.of(segmentationNode)
        answered = {each.id: each for each in getattr(getattr(source, "parcellation", None), "corrections", ())}
        found = (each.correction for each in CorrectionsNode.read(segmentationNode))
        return [_counted(each, answered.get(each.id)) for each in found]

    def nodeOf(self, segmentationNode, correction):
        """Return the node of the present tree that a correction is about, None where what it said is gone."""
        tree = self._sources.treeOf(segmentationNode)
        if correction.node_id in tree:
            return tree.node(correction.node_id)
        said = next(each for each in CorrectionsNode.read(segmentationNode) if each.correction.id == correction.id)
        model = LabelSource.modelSource(segmentationNode, self._sources.store)
        now = Corrected.correctionOn(said, tree, model.remapping)
        return None if now is None else tree.node(now.node_id)

    def remove(self, segmentationNode, correctionId):
        """Take one correction back; later ones stay.

        Raises
        ------
        InputError: there is no such correction.
        """
        self.takeEdits(segmentationNode)
        said = CorrectionsNode.read(segmentationNode)
        rest = tuple(each for each in said if each.correction.id != correctionId)
        if len(rest) == len(said):
            raise InputError(f"there is no correction '{correctionId}'", hint="list them")
        self._say(segmentationNode, rest)

    def undo(self, segmentationNode):
        """Bring back what was before the last change of the corrections; returns whether there was one."""
        self.takeEdits(segmentationNode)
        if not self.canUndo(segmentationNode):
            return False
        now = CorrectionsNode.read(segmentationNode)
        self._bring(segmentationNode, self._history(segmentationNode).back(now))
        return True

    def redo(self, segmentationNode):
        """Make again what was undone last; returns whether there was something."""
        self.takeEdits(segmentationNode)
        if not self.canRedo(segmentationNode):
            return False
        now = CorrectionsNode.read(segmentationNode)
        self._bring(segmentationNode, self._history(segmentationNode).forth(now))
        return True

    def canUndo(self, segmentationNode):
        """Whether :meth:`undo` would change something."""
        return self._history(segmentationNode).canUndo(CorrectionsNode.read(segmentationNode))

    def canRedo(self, segmentationNode):
        """Whether :meth:`redo` would change something."""
        return self._history(segmentationNode).canRedo

    def results(self):
        """Return ``[(segmentation node, scan node or None)]`` of all results of the scene that have corrections."""
        scene = References.sceneOf()
        count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        nodes = [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]
        found = [node for node in nodes if self._sources.isManaged(node) and self.of(node)]
        return [(node, EditorNode.sourceVolume(node)) for node in found]

    def positionOf(self, segmentationNode, correctionId):
        """Return a point in the middle of a correction, ``(r, a, s)`` in the result's own coordinates.

        Raises
        ------
        InputError: there is no such correction.
        """
        found = [each for each in self.of(segmentationNode) if each.id == correctionId]
        if not found:
            raise InputError(f"there is no correction '{correctionId}'", hint="list them")
        geometry = self._sources.shown(segmentationNode).geometry
        places = np.stack(np.unravel_index(found[0].runs.voxels(), geometry.shape), axis=1)
        voxel = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
        return tuple((geometry.affine @ [*voxel[::-1], 1.0])[:3].tolist())

    # -- editing segments ---------------------------------------------------------------------------------------------

    def prepareEditor(self, segmentationNode, nodeId=None):
        """Set the module Segment Editor to edit what a segmentation shows, and return its parameter node.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        nodeId: the node whose segment is chosen, or that of the cut above it, or the first one below it.
        """
        source, cut = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
        chosen = None
        if nodeId is not None:
            near = [*(node.id for node in reversed(cut.tree.path(nodeId))), *(n.id for n in cut.tree.branch(nodeId))]
            shown = {node.id for node in cut.nodes}
            chosen = next((id_ for id_ in near if id_ in shown), None)
        return EditorNode.prepare(segmentationNode, source.geometry, chosen)

    def takeEdits(self, segmentationNode, *, live=False):
        """Make corrections of what was painted, erased or removed in the segments since they were written or read.

        Every method that asks a result for something does so first. Segments that people added stay as they are.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        live: somebody is still editing: segments are not written, and what needs that waits.

        Returns
        -------
        Edits, None where nothing was edited.
        """
        if self._taking or not self._labels.edits.maybeEdited(segmentationNode):
            return None
        self._taking = True
        try:
            edits = self._take(segmentationNode, live)
        finally:
            self._taking = False
        if edits is not None:
            self.changed.emit(segmentationNode, edits.said)
        return edits

    def _take(self, segmentationNode, live):
        source, cut = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
        painting = Painting.read(segmentationNode, source, cut)
        if painting is None or (live and (painting.contested or painting.outside)):
            return None
        before = CorrectionsNode.read(segmentationNode)
        after = self._saidBy(segmentationNode, painting, source, cut, before)
        kept = keepOutside(segmentationNode, source.geometry) if painting.outside else None
        if after != before:
            self._keep(segmentationNode, after)
        self._labels.edits.noteRead(segmentationNode)
        if not live and self._needsWriting(segmentationNode, painting):
            self._labels.rewrite(segmentationNode)
        if after == before and kept is None:
            return None
        voxels = int(np.count_nonzero(painting.changed))
        return Edits(voxels, painting.contested, kept, sentence(voxels, painting, kept))

    def _saidBy(self, segmentationNode, painting, source, cut, before):
        """Return the corrections that what is painted stands for; those of before where it says the same."""
        if not painting.changed.any():
            return before
        session = self._labels.edits.session(segmentationNode, painting, before)
        after = session.saidAt(painting)
        if after is None:
            after = (*before, *Saying.ofPainting(painting, source.geometry, cut.tree, Author.name()))
            session.note(after)
        return after

    def _needsWriting(self, segmentationNode, painting):
        """Whether segments show something else than the result says now."""
        source, cut = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
        image = Segments.layerOf(segmentationNode)
        if painting.contested or painting.outside or not Segments.isShared(segmentationNode, image):
            return True
        labels = Painting.within(source.labels(cut), source.box, Painting.union([source.box, painting.box]))
        shown = Painting.within(painting.labels, painting.box, Painting.union([source.box, painting.box]))
        return not np.array_equal(labels, shown)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def _say(self, segmentationNode, said):
        """Let a result stand under these corrections, and show that."""
        self._keep(segmentationNode, said, edited=False)
        self._labels.rewrite(segmentationNode)
        self.changed.emit(segmentationNode, "")

    def _bring(self, segmentationNode, said):
        """Show an earlier or later state of the corrections."""
        CorrectionsNode.write(segmentationNode, said)
        self._labels.rewrite(segmentationNode)
        self.changed.emit(segmentationNode, "")

    def _keep(self, segmentationNode, said, edited=True):
        """Keep corrections with a result; raises where one cannot be, and then nothing has changed.

        Where the segments were edited this may have been undo or redo in an editor.
        """
        before = CorrectionsNode.read(segmentationNode)
        LabelSource.prepare(segmentationNode, self._sources.store, before, said)
        CorrectionsNode.write(segmentationNode, said)
        history = self._history(segmentationNode)
        if edited:
            history.noteEdit(before, said)
        else:
            history.note(before)

    def _history(self, segmentationNode):
        return self._histories.setdefault(segmentationNode.GetID(), CorrectionHistory())

    def forget(self):
        """Forget what could be undone, as when the scene is closed."""
        self._labels.edits.clear()
        self._histories.clear()


def _counted(correction, answered):
    """Return a correction with the counts of where it was applied; a crisp result takes all as it was said."""
    if answered is None:
        return replace(correction, conditioned=correction.voxel_count)
    counts = {name: getattr(answered, name) for name in ("conditioned", "nearest", "even")}
    return replace(correction, **counts)
