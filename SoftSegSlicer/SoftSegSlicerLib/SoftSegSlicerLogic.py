"""Everything the module does, without its widgets: for the Python console, headless scripts and the panels."""

import os

from .Compare.Comparison import Comparison
from .Logic.Confidence import Confidence
from .Logic.Corrections import Corrections
from .Logic.Exports import Exports
from .Logic.Folding import Folding
from .Logic.HeatMaps import HeatMaps
from .Logic.Labels import ShownLabels
from .Logic.Outliers import Outliers
from .Logic.Points import Points
from .Logic.Results import Results
from .Logic.Segmenting import Segmenting
from .Logic.Sources import ResultSources
from .Logic.Steps import doAll
from .Logic.Surfaces import ResultSurfaces
from .Logic.Volumes import ResultVolumes
from .Process.HeadlessRunner import HeadlessRunner
from .Process.Outcomes import raiseUnlessDone
from .Scene import References
from .Training.AfterTraining import arguments as followUp
from .Training.SceneDataset import SceneDataset, dataFile
from .Training.TrainingRun import RunRequest


class SoftSegSlicerLogic:
    """Results in the scene: made, folded, shown as heat maps, measured, edited.

    A result is one segmentation node. Its tree, soft parcellation, heat map and volumes are nodes that it refers to, so
    a saved scene brings all of them back. ``slicer.mrmlScene`` must be set; an application is not needed.

    Attributes
    ----------
    results: Results. Makes results, and says what they are.
    folding: Folding. Other cuts, edited trees.
    corrections: Corrections.
    maps: HeatMaps over the slices.
    confidence: Confidence. Labels that say no more than is sure.
    outliers: Outliers.
    surfaces: ResultSurfaces in the 3D views.
    volumes: ResultVolumes, in ml.
    points: Points. What lies at a point of the world.
    exports: Exports to plain nodes of Slicer.
    segmenting: Segmenting. Jobs for a runner, and their results.
    """

    def __init__(self):
        sources = ResultSources(References.sceneOf())
        self.surfaces = ResultSurfaces(sources)
        labels = ShownLabels(sources, self.surfaces)
        self.corrections = Corrections(sources, labels)
        self.folding = Folding(sources, labels, self.corrections)
        self.results = Results(sources, labels, self.corrections)
        self.maps = HeatMaps(self.results)
        self.confidence = Confidence(self.results, self.folding)
        self.outliers = Outliers(sources, self.results, self.folding, self.maps)
        self.volumes = ResultVolumes(self.results, sources)
        self.points = Points(self.results)
        self.exports = Exports(self.results)
        self.segmenting = Segmenting(self.results, self.folding, self.confidence, self.volumes)
        self._forgetful = (sources, self.surfaces, self.corrections, self.volumes, self.points)
        self.folding.folded.connect(self.maps.followFold)
        self.folding.treeChanged.connect(self.maps.refresh)
        self.corrections.changed.connect(self.maps.refresh)
        self.corrections.changed.connect(self.volumes.refresh)
        for part in (self.folding, self.volumes):
            sources.addMoveListener(part.followMove)

    def forget(self):
        """Let go of everything that was decoded or made, as when the scene is closed."""
        for part in self._forgetful:
            part.forget()

    def collapse(self, segmentationNode, cut):
        """Show a segmentation at another cut, in place; see :meth:`.Folding.collapse`."""
        return self.folding.collapse(segmentationNode, cut)

    def showNode(self, segmentationNode, nodeId, **style):
        """Show the probability of a node as heat map over the slices; see :meth:`.HeatMaps.show`."""
        return self.maps.show(segmentationNode, nodeId, **style)

    def segment(
        self,
        volumes,
        model="head-any",
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
            (shown is the deepest node of at least this probability; see :meth:`.Confidence.set`) or ``guarantee=0.05``
            (this probability is as high as that bound on wrong answers needs).

        Returns
        -------
        the new segmentation node.

        Raises
        ------
        InputError, OutOfMemoryError, CancelledError: as the engine says; nothing is added to the scene.
        """
        job = self.segmenting.prepare(
            volumes, model, cut=cut, device=device, mask=mask, outputFolder=outputFolder, **asked
        )

        def take(event):
            job.take(event)
            if onEvent is not None:
                onEvent(event)

        try:
            raiseUnlessDone(_run(job.arguments, take))
            for arguments in job.more:
                _run(arguments)
        except BaseException:
            job.discard()
            raise
        return self.segmenting.finish(job)

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
        doAll(comparison.write())
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
            doAll(dataset.write(files))
            if dataset.positiveOnly:
                sets.append("sparse=true")
            dataset = dataFile(files)
        request = RunRequest(str(dataset), recipe, "", device, minutes, sets)
        for arguments in (request.arguments(folder), *(followUp(step, request, folder) for step in after)):
            raiseUnlessDone(_run(arguments, onEvent))
        return os.path.join(folder, "model")


def _run(arguments, onEvent=None):
    """Run the engine, wait for it, and return its Outcome."""
    runner = HeadlessRunner()
    runner.start(arguments, onEvent or _ignore, _ignore)
    return runner.wait()


def _ignore(_):
    """Take an event or an outcome that nobody asked for."""
