"""What was written into segments and what was read back: so that an edit is noticed, and its undo is recognised."""

import numpy as np

from . import Painting


class EditMemory:
    """Remembers segmentations by their ids."""

    def __init__(self):
        self._known = {}
        self._sessions = {}

    def noteWritten(self, segmentationNode):
        """Remember that the segments show what the result says; what was edited before is over."""
        self._known[segmentationNode.GetID()] = Painting.signature(segmentationNode)
        self._sessions.pop(segmentationNode.GetID(), None)

    def noteRead(self, segmentationNode):
        """Remember that the segments were read as they are now."""
        self._known[segmentationNode.GetID()] = Painting.signature(segmentationNode)

    def maybeEdited(self, segmentationNode):
        """Whether segments may hold something else than what was written or read."""
        return self._known.get(segmentationNode.GetID()) != Painting.signature(segmentationNode)

    def session(self, segmentationNode, painting, said):
        """Return what is edited since segments were written; begun where ``painting`` is the first change.

        Parameters
        ----------
        segmentationNode: the segmentation.
        painting: Painting of its segments.
        said: corrections of the result before this change.
        """
        key = segmentationNode.GetID()
        if key not in self._sessions:
            self._sessions[key] = Session(painting, said)
        return self._sessions[key]

    def clear(self):
        """Forget everything, as when the scene is closed."""
        self._known.clear()
        self._sessions.clear()


class Session:
    """Every state of the segments that was read, with the corrections it stands for.

    Undo and redo in an editor lead back to such states: then the corrections are those of then, exactly.

    Parameters
    ----------
    painting: Painting of the first change.
    said: corrections before it.
    """

    def __init__(self, painting, said):
        self._box, self._start = painting.box, painting.before.copy()
        self._states = {self._digest(painting.box, painting.before): tuple(said)}
        self._asked = None

    def saidAt(self, painting):
        """Return the corrections that this state of the segments stood for before; None: it is new."""
        self._asked = self._digest(painting.box, painting.labels)
        return self._states.get(self._asked)

    def note(self, said):
        """Remember what the state of the segments that was asked for last stands for."""
        self._states[self._asked] = tuple(said)

    def _digest(self, box, labels):
        """Return what is another one where other voxels differ from the start."""
        both = Painting.union([box, self._box])
        start, now = (Painting.within(array, part, both) for array, part in ((self._start, self._box), (labels, box)))
        where = np.flatnonzero(start != now)
        places = np.ravel_multi_index(
            [at + part.start for at, part in zip(np.unravel_index(where, start.shape), both, strict=True)],
            (1 << 20, 1 << 20, 1 << 20),
        )
        return hash((places.tobytes(), now.reshape(-1)[where].tobytes()))
