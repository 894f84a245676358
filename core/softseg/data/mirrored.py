"""What each class of a tree becomes when left and right are swapped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softseg.tree import LabelTree


def mirrored_classes(tree: LabelTree) -> npt.NDArray[np.int64]:
    """Return ``[classes]``: the class index of each class after left and right are swapped.

    Leaves follow :meth:`LabelTree.mirror_permutation`; an inner node becomes the smallest node above its leaves'
    mirror images.
    """
    leaves = np.asarray(tree.mirror_permutation(), np.int64)
    inner = []
    for node in tree.inner_nodes:
        images = {int(leaves[leaf]) for leaf in range(*tree.leaf_slice(node.id).indices(len(leaves)))}
        above = [
            (part.stop - part.start, tree.class_index(other.id))
            for other in tree.inner_nodes
            if images <= set(range((part := tree.leaf_slice(other.id)).start, part.stop))
        ]
        own = tree.class_index(node.id)
        smallest = min(size for size, _ in above)
        best = [index for size, index in above if size == smallest]
        inner.append(own if own in best else best[0])
    return np.concatenate([leaves, np.asarray(inner, np.int64)])
