"""Probabilities of other tools from their files, as a segmentation that folds; docs/importing-probabilities.md."""

import os
from dataclasses import replace

from slicer.i18n import tr as _

from softseg.exchange.assignment import left_out_by, offered_trees
from softseg.exchange.importing import import_steps, open_source
from softseg.files import ScratchFolder
from softseg.requests import ImportSoftRequest
from softseg.resources import label_tree_path
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree

from .Opening import nameOf, scanOf


class Import:
    """One set of probabilities on its way into the scene.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    paths: an .npz of nnU-Net, a stack, or maps of one scan.
    choose: asks for one of several texts and returns its number, None where nothing is wanted.

    Attributes
    ----------
    node: the segmentation, once all steps are done; None where no tree was chosen.
    said: what was found and decided, one sentence each without a full stop.
    """

    def __init__(self, logic, paths, choose):
        self._logic, self._paths, self._choose = logic, list(paths), choose
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
            request = self._asked(request)
            if request is None:
                return
            for step in import_steps(request, self.said.append, self.said.append):
                if isinstance(step, SoftParcellation):
                    self.node = self._logic.results.add(step, scanOf(step.geometry, name), name)
                    self.node.SetName(name)
                    self._logic.volumes.table(self.node)
                else:
                    yield step

    def _asked(self, request):
        """Return the request with the tree that people want for the maps, None where they want none of it.

        Trees in which no map is a structure are not offered; where there is none, a tree is made of the maps' names.
        """
        source = open_source(request)
        offers = offered_trees(source)
        if not offers:
            return request
        trees = [LabelTree.load(label_tree_path(offer.name)) for offer in offers]
        left = [left_out_by(source, tree) for tree in trees]
        own = _("a new tree of the maps' own names")
        choices = [self._described(offer, out) for offer, out in zip(offers, left, strict=True)]
        first = len(choices) if offers[0].fitting == offers[0].total else 0
        choices.insert(first, own)
        text = _("Which label tree do the {count} maps belong to?").format(count=len(source.maps))
        if all(not one.name for one in source.maps):
            text += " " + _("They have no names and are assigned in the order of the tree's label values.")
        chosen = self._choose(text, choices)
        if chosen is None:
            return None
        if chosen == first:
            return request
        number = chosen - (chosen > first)
        leftOut = [f"{place}=-" for place in left[number]]
        return replace(request, tree=offers[number].name, chosen=leftOut)

    @staticmethod
    def _described(offer, leftOut):
        if offer.fitting == offer.total and not leftOut:
            return _("{tree} (all {count} maps)").format(tree=offer.name, count=offer.total)
        text = _("{tree} ({count} of {total} maps; {left} left out)")
        return text.format(tree=offer.name, count=offer.fitting, total=offer.total, left=len(leftOut))
