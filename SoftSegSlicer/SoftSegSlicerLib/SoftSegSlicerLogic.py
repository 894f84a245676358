"""Everything the module does, without its widgets: for the Python console, headless scripts and the panels."""

import os

from softseg.errors import InputError

from .Compare.Comparison import Comparison
from .Logic.Uncertainty import UncertaintyLogic
from .Process.HeadlessRunner import HeadlessRunner
from .Process.Outcomes import raiseUnlessDone
from .Scene import Answers, ColorMaps, Export, FalseColor, LabelSource, References, SegmentJob, SliceLayers
from .Training.AfterTraining import arguments as followUp
from .Training.SceneDataset import SceneDataset, dataFile
from .Training.TrainingRun import Request


class SoftSegSlicerLogic(UncertaintyLogic):
    """Results in the scene: made, folded, shown as heat maps, measured, edited.

    A result is one segmentation node. Its tree, soft parcellation, heat map and volumes are nodes that it refers to, so
    a saved scene brings all of them back. ``slicer.mrmlScene`` must be set; an application is not needed.
    """

    # -- segmenting -----------------------------------------------------------------------------------------------

    def segment(
        self,
        volumes,
        model="brain-134",
        *,
        cut=None,
        device="auto",
        mask="auto",
        outputFolder=None,
        onEvent=None,
        **asked,
    ):
        """Segment a scan with the engine in a process of its own, and wait for it.

        Parameters
        ----------
        volumes: scalar volume node, or a list of them: one per channel of the model. For a model of cubes the path of
            the cube's file (docs/hyperspectral.md); a picture of it in false colours comes into the scene.
        model: name of a shipped model, or a model folder.
        cut: what is shown at first: a level, a Cut, or node ids; the leaves by default.
        device: "auto", "cpu" or "cuda:N".
        mask: of the part that the model segments (docs/prediction.md): ``"auto"``, made by the model that this one
            needs unless the scan is stripped already; ``"made"``; ``"none"``; ``(segmentation node, segment id)``; a
            label map node; or a volume node of probabilities. The mask that was used comes into the scene as a volume.
        outputFolder: where the engine's files stay; a temporary folder by default.
        onEvent: called with each event of the engine (docs/events.md).
        asked: further options of softseg.requests.PredictRequest, such as ``outliers=True`` (the model must have a
            fitted score), ``uncertainty="tta:8"`` (repeated answers, and how much they differ) and ``confidence=0.9``
            (shown is the deepest node of at least this probability; see :meth:`setConfidence`) or ``guarantee=0.05``
            (this probability is as high as that bound on wrong answers needs).

        Returns
        -------
        the new segmentation node.

        Raises
        ------
        InputError, OutOfMemoryError, CancelledError: as the engine says; nothing is added to the scene.
        """
        job = self.prepareSegment(volumes, model, cut=cut, device=device, mask=mask, outputFolder=outputFolder, **asked)

        def take(event):
            job.take(event)
            if onEvent is not None:
                onEvent(event)

        try:
            raiseUnlessDone(_run(job.arguments, take))
            for arguments in job.more:
                _run(arguments)
        except BaseException:
            self.discardSegment(job)
            raise
        return self.finishSegment(job)

    def prepareSegment(self, volumes, model, *, cut=None, device="auto", mask="auto", outputFolder=None, **asked):
        """Return the SegmentJob for a runner: what :meth:`segment` does before the engine starts.

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

    def finishSegment(self, job, table=True):
        """Return the segmentation node of a job whose process is done.

        Parameters
        ----------
        job: SegmentJob.
        table: whether it gets its table of volumes now; counting them takes a moment (:meth:`countVolumes`).

        Raises
        ------
        InputError: the engine left no result, or the cut does not fit its tree.
        """
        return _all(self.finishSteps(job, table))

    def finishSteps(self, job, table=True):
        """Do what :meth:`finishSegment` does in steps, none of which takes long, and return the node: a generator."""
        try:
            parcellation, content = self.readParcellation(job.softFile())
            yield 1, 5
            _sorted = parcellation.predicted.sums  # all that is shown needs it
            yield 2, 5
            picture, volumeNode = job.pictureFile(), job.volumeNode()
            if picture is not None:
                volumeNode = self.loadPicture(picture, job.name)
            segmentationNode = self.addSegmentation(parcellation, volumeNode, job.name, content)
            if volumeNode is not None and job.grid is not None:
                self.moveWith(segmentationNode, volumeNode, job.grid)
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
                self.collapse(segmentationNode, job.shown)
            level = job.level()
            if level is not None:
                self.setConfidence(segmentationNode, level)
            if table:
                yield from self.countVolumes(segmentationNode)
                self.volumesTable(segmentationNode)
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

    def discardSegment(self, job):
        """Forget a job that failed or was cancelled."""
        job.discard()

    # -- judging and training -------------------------------------------------------------------------------------

    def compare(self, resultNode, referenceNode, outputFolder, tree=None, onEvent=None, **reading):
        """Judge a result by a reference with the engine in a process of its own, wait, and return ComparisonTables.

        Parameters
        ----------
        resultNode, referenceNode: segmentations or label map volumes; see :class:`Compare.Comparison.Comparison`. Where
            the result has corrections, the model's own answer is judged too (Compare.CorrectedTables); the reference
            ``"model"`` compares the corrected result with that answer.
        outputFolder: for tables and report.
        tree: LabelTree to judge by; that of the result by default.
        onEvent: called with each event of the engine.
        reading: ``mapping``, ``resultMapping`` and ``overlaps`` of :class:`Compare.Comparison.Comparison`.

        Raises
        ------
        InputError: they cannot be compared, or the folder cannot be written.
        """
        comparison = Comparison(self, resultNode, referenceNode, outputFolder, tree, **reading)
        _all(comparison.write())
        for arguments in comparison.commands:
            raiseUnlessDone(_run(arguments, onEvent))
        return comparison.tables()

    def train(
        self,
        dataset,
        folder,
        recipe="tree-wasserstein-dice",
        *,
        minutes=None,
        device="auto",
        sets=(),
        after=(),
        onEvent=None,
    ):
        """Train a model with the engine in a process of its own, wait, and return the model folder.

        Parameters
        ----------
        dataset: path of a DATA.json, or a :class:`Training.SceneDataset.SceneDataset` of volumes and segmentations.
        folder: of the run (docs/training.md).
        recipe: name or file.
        minutes: time budget, None for none.
        device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
        sets: further ``"key=value"`` of recipe or plan; a dataset of scribbles only adds ``sparse=true``.
        after: what follows: ``"calibrate"``, ``"outliers:energy"`` or another score; needs validation cases.
        onEvent: called with each event of the engine.

        Raises
        ------
        InputError, OutOfMemoryError: as the engine says.
        """
        sets = list(sets)
        if isinstance(dataset, SceneDataset):
            files = os.path.join(folder, "dataset")
            _all(dataset.write(files))
            if dataset.positiveOnly:
                sets.append("sparse=true")
            dataset = dataFile(files)
        request = Request(str(dataset), recipe, "", device, minutes, sets)
        for arguments in (request.arguments(folder), *(followUp(step, request, folder) for step in after)):
            raiseUnlessDone(_run(arguments, onEvent))
        return os.path.join(folder, "model")

    # -- handing on -----------------------------------------------------------------------------------------------

    def exportSegmentation(self, segmentationNode):
        """Return a new, plain segmentation with true segments at the cut, for Segment Editor and statistics."""
        self.takeEdits(segmentationNode)
        cut = self.cutOf(segmentationNode)
        name = f"{segmentationNode.GetName()} exported"
        return Export.exportSegmentation(segmentationNode, cut.tree, cut, name)

    def exportLabelMap(self, segmentationNode):
        """Return a new label map volume at the cut, on the whole grid, with names and codes in its colour table."""
        self.takeEdits(segmentationNode)
        tree = self.treeOf(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        name = f"{segmentationNode.GetName()} labels"
        return Export.exportLabelMap(segmentationNode, tree, source.geometry, name)

    def colorTable(self, segmentationNode):
        """Return the colour table of the whole tree, with terminology, filled again."""
        tree = self.treeOf(segmentationNode)
        table = ColorMaps.writeColorTable(
            References.sceneOf(segmentationNode),
            tree,
            [node.id for node in tree.nodes],
            f"{segmentationNode.GetName()} colors",
            References.referenced(segmentationNode, References.COLORS),
        )
        References.setReference(segmentationNode, References.COLORS, table)
        return table


def _run(arguments, onEvent=None):
    """Run the engine, wait for it, and return its Outcome."""
    runner = HeadlessRunner()
    runner.start(arguments, onEvent or _ignore, _ignore)
    return runner.wait()


def _ignore(_):
    """Take an event or an outcome that nobody asked for."""


def _all(steps):
    """Do all steps of work that windows do piece by piece, and return what it returns."""
    returned = []

    def doing():
        returned.append((yield from steps))

    for _done in doing():
        pass
    return returned[0]


def _requireThere(segmentationNode):
    if segmentationNode.GetScene() is None:
        raise InputError("the result was removed from the scene before it was completely shown", hint="segment again")
