"""The label trees that could be those of labels made elsewhere: shipped ones and files used before, ranked."""

import functools
import json
import os

import slicer

from softseg.errors import InputError, SoftSegError
from softseg.resources import label_tree_path, list_label_trees
from softseg.tree import LabelTree
from softseg.tree.ranking import rank_trees

from ..Translation import tr as _
from .LabelItems import isSegmentation, itemsOf
from .LabelReader import layersOf

SETTING = "SoftSegSlicer/RecentTrees"
MOST = 8


def recentTrees():
    """Return the paths of tree files that were used before and are still there, the latest first."""
    try:
        paths = json.loads(slicer.app.userSettings().value(SETTING) or "[]")
    except (TypeError, ValueError):
        paths = []
    return [path for path in paths if isinstance(path, str) and os.path.isfile(path)]


def rememberTree(path):
    """Put a tree file in front of those that were used before."""
    path = os.path.abspath(path)
    kept = [path, *(other for other in recentTrees() if other != path)]
    slicer.app.userSettings().setValue(SETTING, json.dumps(kept[:MOST]))


def shippedTrees():
    """Return the names of the label trees that come with the extension; none where they are not found."""
    try:
        return list_label_trees()
    except InputError:
        return []


def suggestions(labelsNode=None):
    """Return ``[(path, title, TreeFit)]`` of all known trees, the one that fits the labels best first.

    Parameters
    ----------
    labelsNode: segmentation or label map; None for the trees in their own order, with None for their fit.

    Raises
    ------
    InputError: the node holds no labels.
    """
    known = [(path, title, tree) for path, title in _known() if (tree := _loaded(path)) is not None]
    if labelsNode is None:
        return [(path, title, None) for path, title, _tree in known]
    items = itemsOf(labelsNode, layersOf(labelsNode))
    fits = rank_trees(items, [tree for _path, _title, tree in known], numbered=isSegmentation(labelsNode))
    named = {id(tree): (path, title) for path, title, tree in known}
    return [(*named[id(fit.tree)], fit) for fit in fits]


def shippedByFit(labelsNode=None):
    """Return ``[(name, title)]`` of the shipped trees, the one that fits the labels best first; titles count labels.

    Parameters
    ----------
    labelsNode: segmentation or label map; None, or one that holds no labels: the trees in their own order.
    """
    names = {str(label_tree_path(name)): name for name in shippedTrees()}
    try:
        ranked = suggestions(labelsNode)
    except InputError:
        ranked = suggestions()
    found = [(names[path], fit) for path, _title, fit in ranked if path in names]
    return [(name, titleOf(name, fit)) for name, fit in found]


def titleOf(title, fit):
    """Return the title of a tree with the number of labels that fit, ``fit`` is None where nothing was counted."""
    if fit is None:
        return title
    return _("{tree} ({fitting} of {total} labels fit)").format(tree=title, fitting=fit.fitting, total=fit.total)


def _known():
    """Return path and title of the shipped trees, then of files."""
    shipped = [(str(label_tree_path(name)), name) for name in shippedTrees()]
    paths = {path for path, _name in shipped}
    return shipped + [(path, os.path.basename(path)) for path in recentTrees() if path not in paths]


def _loaded(path):
    """Return a tree; None where a file that was used before is none any more."""
    try:
        return _cached(path, os.stat(path).st_mtime_ns)
    except (SoftSegError, OSError):
        return None


@functools.lru_cache(maxsize=32)
def _cached(path, _changed):
    return LabelTree.load(path)
