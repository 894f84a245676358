"""Segmenting a scan with the engine: what comes before its process and after it."""

import os

from softseg.errors import InputError

from ..Scene import Answers, FalseColor, SegmentJob, SliceLayers
from .Steps import doAll


class Segmenting:
    """Jobs for the engine, and results of them.

    Parameters
    ----------
    results: Results.
    folding: Folding.
    confidence: Confidence.
    volumes: ResultVolumes.
    """

    def __init__(self, results, folding, confidence, volumes):
        self._results, self._folding, self._confidence, self._volumes = results, folding, confidence, volumes

    def prepare(self, volumes, model, *, cut=None, device="auto", mask="auto", outputFolder=None, **asked):
        """Return the SegmentJob for a runner: what :meth:`.SoftSegSlicerLogic.segment` does before the engine starts.

        Parameters
        ----------
        volumes, model, cut, device, mask, outputFolder, asked: as there.

        Raises
        ------
        InputError: no volume, an empty one, a mask that does not fit, or an option that cannot be.
        """
        nodes = list(volumes) if isinstance(volumes, (list, tuple)) else [volumes]
        asked.update(model=model, device=device)
        if nodes and all(isinstance(node, (str, os.PathLike)) for node in nodes):
            return SegmentJob.prepareFiles(nodes, cut, outputFolder, **asked)
        return SegmentJob.prepare(nodes, cut, mask, outputFolder, **asked)

    def finish(self, job, table=True):
        """Return the segmentation node of a job whose process is done.

        Parameters
        ----------
        job: SegmentJob.
        table: whether it gets its table of volumes now; counting them takes a moment (:meth:`.ResultVolumes.count`).

        Raises
        ------
        InputError: the engine left no result, or the cut does not fit its tree.
        """
        return doAll(self.steps(job, table))

    def steps(self, job, table=True):
        """Do what :meth:`finish` does in steps, none of which takes long, and return the node: a generator."""
        try:
            parcellation, content = self._results.read(job.softFile())
            yield 1, 5
            _sorted = parcellation.predicted.sums  # all that is shown needs it
            yield 2, 5
            picture, volumeNode = job.pictureFile(), job.volumeNode()
            if picture is not None:
                volumeNode = self.loadPicture(picture, job.name)
            segmentationNode = self._results.add(parcellation, volumeNode, job.name, content)
            if volumeNode is not None and job.grid is not None:
                self._results.moveWith(segmentationNode, volumeNode, job.grid)
            if volumeNode is None:
                segmentationNode.SetName(f"{job.name} segmentation")
            yield 3, 5
            answers = Answers.read(job)
            yield 4, 5
            _requireThere(segmentationNode)
            Answers.keep(segmentationNode, *answers)
            yield 5, 5
            _requireThere(segmentationNode)
            if job.shown is not None:
                self._folding.collapse(segmentationNode, job.shown)
            level = job.level()
            if level is not None:
                self._confidence.set(segmentationNode, level)
            if table:
                yield from self._volumes.count(segmentationNode)
                self._volumes.table(segmentationNode)
            return segmentationNode
        finally:
            job.discard()

    def loadPicture(self, path, name):
        """Return a new vector volume of a picture (what ``softseg data false-colour`` wrote), shown behind the labels.

        Raises
        ------
        InputError: the file cannot be read, or is no picture in three colours.
        """
        picture = FalseColor.load(path, name)
        SliceLayers.showBackground(picture)
        return picture


def _requireThere(segmentationNode):
    if segmentationNode.GetScene() is None:
        raise InputError("the result was removed from the scene before it was completely shown", hint="segment again")
