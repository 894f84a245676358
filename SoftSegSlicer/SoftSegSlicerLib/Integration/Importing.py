"""Probabilities of other tools from their files, as a segmentation that folds; docs/importing-probabilities.md."""

import os

from slicer.i18n import tr as _

from softseg.exchange.assignment import fitting_tree
from softseg.exchange.importing import import_steps, open_source
from softseg.files import ScratchFolder
from softseg.requests import ImportSoftRequest
from softseg.resources import label_tree_path, list_label_trees
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree

from .Opening import nameOf, scanOf


class Import:
    """One set of probabilities on its way into the scene.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    paths: an .npz of nnU-Net, a stack, or maps of one scan.
    confirm: asks a question and returns whether the answer is yes.

    Attributes
    ----------
    node: the segmentation, once all steps are done.
    said: what was found and decided, one sentence each without a full stop.
    """

    def __init__(self, logic, paths, confirm):
        self._logic, self._paths, self._confirm = logic, list(paths), confirm
        self.node, self.said = None, []

    def steps(self):
        """Yield done and total; the last step puts the segmentation into the scene.

        Raises
        ------
        InputError: the files hold no probabilities, or none that a tree has a place for.
        """
        with ScratchFolder() as folder:
            name = nameOf(self._paths[0]).replace(".nii", "")
            request = ImportSoftRequest(inputs=self._paths, out=os.path.join(folder, "import.soft.npz"), name=name)
            request = ImportSoftRequest(self._paths, request.out, tree=self._tree(request), name=name)
            for step in import_steps(request, self.said.append, self.said.append):
                if isinstance(step, SoftParcellation):
                    self.node = self._logic.addSegmentation(step, scanOf(step.geometry, name), name)
                    self.node.SetName(name)
                    self._logic.volumesTable(self.node)
                else:
                    yield step

    def _tree(self, request):
        """Return the shipped tree that people want for the maps, None for a flat one of their names."""
        source = open_source(request)
        count = len(source.maps)
        known = fitting_tree(source)
        if known:
            text = _("All {count} maps have a structure of the same name in the label tree '{tree}'. Use it?")
            return known if self._confirm(text.format(tree=known, count=count)) else None
        if any(one.name for one in source.maps):
            return None
        for name in list_label_trees():
            if len(LabelTree.load(label_tree_path(name)).leaves) == count and count > 2:
                text = _(
                    "The {count} maps have no names. The label tree '{tree}' has the same number of structures. "
                    "Assign them in the order of their label values?"
                )
                if self._confirm(text.format(tree=name, count=count)):
                    return name
        return None
