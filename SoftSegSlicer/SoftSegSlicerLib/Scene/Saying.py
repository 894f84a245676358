"""What people paint or click, as corrections: sets of voxels and the node that they are."""

import numpy as np

from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Runs

from .CorrectionsNode import Said


def ofPainting(painting, geometry, tree, author, time=None):
    """Return the corrections that a Painting stands for: one for each node that got voxels.

    Voxels that no segment has any more are background; in a tree without, they are not what they were.

    Parameters
    ----------
    painting: the Painting.
    geometry: the whole grid.
    tree: LabelTree of the segmentation.
    author, time: who says so and when; see softseg.soft.Correction.
    """
    byValue = {tree.value_of(node.id): node.id for node in tree.nodes}
    where = np.flatnonzero(painting.changed)
    values, earlier = painting.labels.reshape(-1)[where], painting.before.reshape(-1)[where]
    flat = _gridIndices(where, painting.box, geometry)
    found = []
    for value in np.unique(values).tolist():
        here = values == value
        if value or tree.background is not None:
            nodeId = byValue[value] if value else tree.background.id
            found.append(of(nodeId, flat[here], geometry, tree, True, author, time))
        else:
            found += [
                of(byValue[was], flat[here & (earlier == was)], geometry, tree, False, author, time)
                for was in np.unique(earlier[here]).tolist()
            ]
    return tuple(found)


def of(nodeId, voxels, geometry, tree, isNode, author, time=None):
    """Return one correction.

    Parameters
    ----------
    nodeId: any node of ``tree``.
    voxels: flat indices in the grid, increasing.
    geometry: the whole grid.
    tree: LabelTree of the segmentation.
    isNode: False: the voxels are not the node.
    author, time: who says so and when.

    Raises
    ------
    InputError: no such node, or ``time`` is none.
    """
    leaves = tuple(leaf.id for leaf in tree.leaves_under(nodeId))
    return Said(Correction.new(nodeId, Runs.of_voxels(voxels, geometry.shape), isNode, author, time), leaves)


def _gridIndices(where, box, geometry):
    """Return flat indices in the grid of flat indices in a box."""
    shape = [part.stop - part.start for part in box]
    places = [at + part.start for at, part in zip(np.unravel_index(where, shape), box, strict=True)]
    return np.ravel_multi_index(places, geometry.shape)
