"""The soft parcellation of a segmentation: its file as base64 text in the scene, decoded when it is first needed."""

import base64
import hashlib
import os
from collections import OrderedDict
from dataclasses import replace

from softseg.errors import InputError
from softseg.soft import SoftParcellation

from ..Process import Scratch
from . import CorrectionsNode, Placement, References, Segments

_SUFFIX = ".soft.npz"


class ParcellationStore:
    """Soft parcellations that were decoded lately, found by the digest of their file.

    Parameters
    ----------
    most: how many are kept.
    """

    def __init__(self, most=8):
        self._most = most
        self._kept = OrderedDict()
        self._checked = {}

    def readFile(self, path):
        """Return the parcellation of a .soft.npz file and the bytes of the file.

        Raises
        ------
        InputError: the file is missing or is no sound soft parcellation.
        """
        parcellation = SoftParcellation.load(path)
        with open(path, "rb") as stream:
            return parcellation, stream.read()

    def write(self, segmentationNode, parcellation, content=None):
        """Keep a parcellation in the scene; its corrections, if it has any, are kept by themselves.

        Parameters
        ----------
        segmentationNode: what refers to it.
        parcellation: the soft parcellation.
        content: bytes of its file, where there is one already.
        """
        if content is None:
            content = _contentOf(parcellation)
        name = f"{segmentationNode.GetName()} soft parcellation"
        textNode = References.setText(
            segmentationNode, References.PARCELLATION, name, base64.b64encode(content).decode()
        )
        digest = self._note(textNode, content)
        Placement.begin(segmentationNode, parcellation.geometry)
        if parcellation.corrections:
            CorrectionsNode.write(segmentationNode, CorrectionsNode.saidOf(parcellation))
        self._keep(digest, parcellation.predicted)

    def read(self, segmentationNode):
        """Return what the model said of a segmentation, where it lies now; None where there is no parcellation.

        Raises
        ------
        InputError: the text is damaged.
        """
        textNode = References.referenced(segmentationNode, References.PARCELLATION)
        if textNode is None:
            return None
        stored = self._stored(textNode)
        layer = Segments.layerOf(segmentationNode)
        Placement.require(segmentationNode, stored.geometry, layer, stored.box)
        Placement.settle(segmentationNode, layer)
        geometry = Placement.geometryOf(segmentationNode, stored.geometry)
        if geometry is stored.geometry:
            return stored
        key = (textNode.GetAttribute(References.CONTENT), Placement.placeText(segmentationNode))
        return self.derived(key, lambda: replace(stored, geometry=geometry))

    def _stored(self, textNode):
        """Return the parcellation of a text, on the grid it was stored with."""
        if self._checked.get(textNode.GetMTime()) in self._kept:
            return self.kept(self._checked[textNode.GetMTime()])
        content = _checkedContent(textNode)
        with Scratch.newFolder() as folder:
            path = os.path.join(folder, f"it{_SUFFIX}")
            with open(path, "wb") as stream:
                stream.write(content)
            parcellation = SoftParcellation.load(path).predicted
        self._keep(self._note(textNode, content), parcellation)
        return parcellation

    def _note(self, textNode, content):
        """Write down the digest of what a text node carries, and that it was looked at; return it."""
        digest = hashlib.sha256(content).hexdigest()
        if textNode.GetAttribute(References.CONTENT) != digest:
            textNode.SetAttribute(References.CONTENT, digest)
        self._checked[textNode.GetMTime()] = digest  # VTK gives each time to one change of one object
        return digest

    def keyOf(self, segmentationNode):
        """Return what is another one when another file is stored or the result has moved, None where there is none."""
        textNode = References.referenced(segmentationNode, References.PARCELLATION)
        return textNode and (textNode.GetAttribute(References.CONTENT), Placement.placeText(segmentationNode))

    def kept(self, key):
        """Return what was kept under a key lately, or None."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        return None

    def latest(self, fits):
        """Return what was kept or asked for last under a key, a tuple, for which ``fits(key)`` holds, or None."""
        keys = (key for key in reversed(self._kept) if isinstance(key, tuple) and fits(key))
        return self._kept.get(next(keys, None))

    def derived(self, key, make):
        """Return what was kept under ``key``, made by ``make()`` where it is not there."""
        found = self.kept(key)
        if found is None:
            found = make()
            self._keep(key, found)
        return found

    def _keep(self, key, value):
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self):
        """Forget everything, as when the scene is closed."""
        self._kept.clear()
        self._checked.clear()


def _checkedContent(textNode):
    """Return the bytes that a text node carries.

    Raises
    ------
    InputError: it is no base64, or not what was stored, by the digest beside it.
    """
    digest = textNode.GetAttribute(References.CONTENT)
    try:
        content = base64.b64decode(textNode.GetText() or "", validate=True)
        if digest and hashlib.sha256(content).hexdigest() != digest:
            raise ValueError("another digest")
    except ValueError as error:
        name = f"'{textNode.GetName()}' in the scene"
        raise InputError("the soft parcellation is damaged", file=name, hint="load its file again") from error
    return content


def _contentOf(parcellation):
    """Return the bytes of a parcellation's file."""
    with Scratch.newFolder() as folder:
        path = parcellation.save(os.path.join(folder, f"it{_SUFFIX}"))
        with open(path, "rb") as stream:
            return stream.read()
