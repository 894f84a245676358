"""One case that the engine is asked to segment, and what the engine says that it wrote."""

import os

from softseg.errors import InputError
from softseg.files import read_json_object
from softseg.requests import Manifest, PredictRequest, WrittenCase
from softseg.requests.lists import join_list

SOFT, DISAGREEMENT, VOLUMES, MASK = "soft", "mutual_information", "volumes", "mask"
"""Roles of files in the engine's manifest."""


class EngineWork:
    """A request to segment one case, and its result.

    Parameters
    ----------
    images: its files, one per channel; never read back out of a command line.
    asked: model, out, device and further options of softseg.requests.PredictRequest.

    Attributes
    ----------
    request: what the engine is asked.
    """

    def __init__(self, images, **asked):
        self.images = tuple(os.fspath(image) for image in images)
        given = self.images[0] if len(self.images) == 1 else join_list(self.images)
        self.request = PredictRequest(inputs=(given,), **asked)
        self._written = None

    @property
    def arguments(self):
        """The command line of ``python -m softseg``."""
        return self.request.to_argv()

    def take(self, event):
        """Take an event of the engine: it tells which folder and files the case has."""
        self._written = WrittenCase.of_event(event) or self._written

    def written(self):
        """Return what the engine wrote, a softseg.requests.WrittenCase.

        Raises
        ------
        InputError: nothing.
        """
        if self._written is not None and self._written.folder is not None:
            return self._written
        try:
            found = Manifest.read(self.request.out).of_images(self.images)
        except InputError:
            found = None
        if found is None or found.folder is None:
            raise InputError(
                "the segmentation wrote no result", file=self.request.out, hint="check the log and try again"
            )
        return found

    def softFile(self):
        """Return the path of the soft parcellation that the engine wrote.

        Raises
        ------
        InputError: there is none.
        """
        return str(self.written().file(SOFT))

    def resultFile(self, role):
        """Return the path of another file of the case by its role; None where the engine wrote no such file."""
        try:
            path = self.written().file(role)
        except InputError:
            return None
        return str(path) if path.is_file() else None

    def level(self):
        """Return the probability that answers must have: as asked, or as the bound on wrong answers needs; else None.

        Raises
        ------
        InputError: the engine did not say which one the bound needs.
        """
        if self.request.guarantee is None:
            return self.request.confidence
        file = self.written().folder / "prediction.json"
        settings = read_json_object(file).get("settings")
        level = settings.get("confidence") if isinstance(settings, dict) else None
        if not isinstance(level, float):
            raise InputError("lacks the probability that the bound needs", file=file, field="confidence")
        return level
