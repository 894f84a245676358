"""Models of other tools in ``softseg predict``: they give probabilities, everything after that is ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from softseg.bundles.folder import BundleFolder
from softseg.bundles.recognition import is_bundle_folder, is_ours
from softseg.data.cubes.cube import ChannelImage
from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.geometry import Geometry
from softseg.image import Image
from softseg.nnunet.folder import NnUNetFolder
from softseg.nnunet.recognition import is_nnunet_folder
from softseg.prediction.case import Prediction, read_scans
from softseg.prediction.first_checks import require_fitting
from softseg.prediction.outputs import Wanted
from softseg.prediction.postprocessing import CleaningStep, clean
from softseg.prediction.record import record_of
from softseg.requests.predict import AUTO, BACKENDS, BLENDS, NO_MASK, OVERLAP, PredictRequest
from softseg.resources import label_tree_path, list_label_trees, named_model
from softseg.soft.compress import Compressor, box_voxels
from softseg.soft.parcellation import SoftParcellation
from softseg.system import resolve_device
from softseg.tree import LabelTree
from softseg.types import FloatArray

_ROWS = 1 << 22  # values of a block of rows
_TOLERANCE = 0.01


class ForeignModel(Protocol):
    """A model of another tool.

    Attributes
    ----------
    name: of the model.
    tree: the label tree.
    channels: names of its images, in order.
    digest: of everything that its predictions depend on.
    contradiction: what is said where it contradicts itself, with ``{most:.2f}``.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def tree(self) -> LabelTree: ...  # noqa: D102
    @property
    def channels(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def contradiction(self) -> str: ...  # noqa: D102

    def on(self, device: str) -> ForeignModel:
        """Return the model for a device."""

    def probabilities(self, scans: Sequence[Image], events: Events) -> FloatArray:
        """Return what the model says, ``[channels, k, j, i]`` on the grid of the first scan."""

    def to_leaves(self, probabilities: FloatArray) -> tuple[FloatArray, float]:
        """Return a block of that as probabilities of the leaves, and by how much it contradicted itself at most."""


@dataclass(frozen=True, eq=False)
class _FolderModel(ABC):
    """A model folder of another tool, loaded when the first case needs it."""

    folder: NnUNetFolder | BundleFolder
    request: PredictRequest
    device: str = "cpu"
    loaded: list[Any] = field(default_factory=list)

    def on(self, device: str) -> ForeignModel:
        return cast(ForeignModel, replace(self, device=device))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def tree(self) -> LabelTree:
        return self.folder.outputs.tree

    @property
    def channels(self) -> tuple[str, ...]:
        return self.folder.channels

    def probabilities(self, scans: Sequence[Image], events: Events) -> FloatArray:
        if not self.loaded:
            self.loaded.append(self.load(events))
        found: FloatArray = self.loaded[0].predict(scans, events)
        return found

    @abstractmethod
    def load(self, events: Events) -> Any: ...

    def to_leaves(self, probabilities: FloatArray) -> tuple[FloatArray, float]:
        return self.folder.outputs.to_leaves(probabilities)


@dataclass(frozen=True, eq=False)
class _NnUNet(_FolderModel):
    folder: NnUNetFolder

    contradiction = "regions contradicted each other by up to {most:.2f}: inner ones were believed"

    @property
    def digest(self) -> str:
        files = self.folder.checkpoints
        return self.folder.digest(files[:1] if self.request.fast else files)

    def load(self, events: Events) -> Any:
        from softseg.nnunet.predictor import NnUNetPredictor

        return NnUNetPredictor(self.folder, self.request.fast, self.request.overlap, self.device, events)


@dataclass(frozen=True, eq=False)
class _Bundle(_FolderModel):
    folder: BundleFolder

    contradiction = "channels exceeded 1 together, or the nodes around them, by up to {most:.2f}"

    @property
    def digest(self) -> str:
        return self.folder.digest()

    def load(self, events: Events) -> Any:
        from softseg.bundles.predictor import BundlePredictor

        return BundlePredictor(self.folder, self.device, events)


def foreign_model(request: PredictRequest, events: Events) -> ForeignModel | None:
    """Return the model of another tool that a request names; None where it names one of ours.

    Raises
    ------
    InputError: it is damaged, its outputs do not fit the tree, an option is for other models alone, or a node, image or
        folder that is named cannot be.
    """
    path = Path(request.model)
    nnunet, bundle = is_nnunet_folder(path), is_bundle_folder(path)
    if request.nnunet and not nnunet:
        NnUNetFolder.load(path)  # says what is missing
    if request.bundle and not bundle:
        if is_ours(named_model(request.model)):
            raise InputError("is for bundles made by others; this is a model of softseg", field="--bundle")
        BundleFolder.load(path)  # says what is missing
    if not bundle and request.trust_code:
        raise InputError("is for MONAI bundles of others; nothing else runs code", field="--trust-code")
    if not nnunet and not bundle:
        if request.tree is not None:
            raise InputError("is for models of other tools; this model has a tree", field="--tree")
        return None
    _require_known(request, bundle)
    tree = None if request.tree is None else named_tree(request.tree)
    model: ForeignModel
    if nnunet:
        model = _NnUNet(NnUNetFolder.load(path, tree), request)
    else:
        model = _Bundle(BundleFolder.load(path, tree, request.trust_code), request)
    require_fitting(request, model.tree, model.channels, model.name)
    return model.on(str(resolve_device(request.device, events)))


def named_tree(name: str) -> LabelTree:
    """Return the tree of a file, or the shipped one of this name."""
    path = Path(name)
    return LabelTree.load(label_tree_path(name) if not path.exists() and name in list_label_trees() else path)


def _require_known(request: PredictRequest, bundle: bool) -> None:
    """Refuse options that only our own models can follow."""
    given = {
        "--uncertainty": request.uncertainty is not None,
        "--branches": bool(request.branches),
        "--guarantee": request.guarantee is not None,
        "--outliers": request.outliers,
        "--mirror": request.mirror,
        "--mask": request.mask not in (AUTO, NO_MASK),
        "--precision": request.precision is not None,
        "--blend": request.blend != BLENDS[0],
        "--backend": request.backend not in (BACKENDS[0], "torch"),
        **({"--fast": request.fast, "--overlap": request.overlap != OVERLAP} if bundle else {}),
    }
    for flag, is_given in given.items():
        if is_given:
            raise InputError("is not for models of other tools", field=flag, hint="leave it out")


@dataclass(frozen=True, eq=False)
class ForeignSettings:
    """What was asked, and what was made of it.

    Attributes
    ----------
    request: what was asked.
    postprocess: cleaning of the distribution.
    """

    request: PredictRequest
    postprocess: tuple[CleaningStep, ...]


@dataclass(frozen=True, eq=False)
class ForeignJob:
    """What is done with every case."""

    model: ForeignModel
    settings: ForeignSettings
    wanted: Wanted

    @staticmethod
    def of(model: ForeignModel, request: PredictRequest, wanted: Wanted) -> ForeignJob:
        """Return the job of a request."""
        steps = tuple(CleaningStep.parse(text, model.tree) for text in request.postprocess)
        return ForeignJob(model, ForeignSettings(request, steps), wanted)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images of a case."""
        return self.model.channels

    def record(self, _images: Sequence[Path]) -> dict[str, Any]:
        """Return what decides about a case's result, beside its images, as plain values."""
        request = self.settings.request
        decisive = {
            **self.wanted.decisive(),
            "map_type": request.map_type,
            "postprocess": [asdict(step) for step in self.settings.postprocess],
            "overlap": request.overlap,
            "fast": request.fast,
        }
        return record_of(self.name, self.model.digest, decisive)

    def predict(self, images: Sequence[Path], events: Events) -> Prediction:
        """Predict one case.

        Raises
        ------
        InputError: an image is wrong, or what the model says is no distribution.
        CancelledError: cancelled.
        """
        events.stage("read")
        scans = [_plain(scan, path) for scan, path in zip(read_scans(images, events), images, strict=True)]
        with naming(images[0]):
            found = self.model.probabilities(scans, events)
        if not np.isfinite(found).all():
            raise InputError("the model answers with numbers that are not finite", file=images[0])
        return self._encoded(found, scans[0].geometry, events)

    def _encoded(self, found: FloatArray, grid: Geometry, events: Events) -> Prediction:
        tree, wanted = self.model.tree, self.wanted
        background = None if tree.background is None else tree.leaf_index(tree.background.id)
        compressor = Compressor(len(tree.leaves), background, grid.shape, 8)
        maps = {node: np.zeros(grid.shape, np.float32) for node in wanted.nodes}
        classes = np.arange(len(tree.leaves))
        most = 0.0
        for first, dense, contradicted in self._blocks(found, grid):
            most = max(most, contradicted)
            last = first + dense.shape[1]
            for node, values in maps.items():
                values[first:last] = dense[tree.leaf_slice(node)].sum(axis=0)
            voxels = box_voxels((first, 0, 0), dense.shape[1:], grid.shape)
            compressor.add(voxels, classes, dense.reshape(len(classes), -1))
            events.check()
        if most > _TOLERANCE:
            events.log(self.model.contradiction.format(most=most))
        stored = compressor.stored()
        parcellation = SoftParcellation(
            tree, grid, *stored[:4], model=self.model.name, k=8, node_error=stored.node_error
        )
        return Prediction(parcellation, {node: Image(values, grid) for node, values in maps.items()})

    def _blocks(self, found: FloatArray, grid: Geometry) -> Iterator[tuple[int, FloatArray, float]]:
        """Yield first row (k), probabilities of the leaves, and contradictions, block by block."""
        if self.settings.postprocess:
            dense, most = self.model.to_leaves(found)
            clean(dense, self.settings.postprocess, self.model.tree, grid.voxel_volume_ml)
            yield 0, _distribution(dense), most
            return
        rows = max(1, _ROWS // max(1, len(self.model.tree.leaves) * grid.shape[1] * grid.shape[2]))
        for first in range(0, grid.shape[0], rows):
            dense, most = self.model.to_leaves(found[:, first : first + rows])
            yield first, _distribution(dense), most


def _distribution(dense: FloatArray) -> FloatArray:
    """Return probabilities whose sums do not exceed 1 by rounding; more is no rounding."""
    total = dense.sum(axis=0)
    if float(total.max(initial=0)) > 1 + _TOLERANCE or float(dense.min(initial=0)) < -_TOLERANCE:
        raise InputError(f"the model's probabilities sum to {float(total.max()):.4g} in a voxel")
    dense = np.clip(dense, 0, 1)
    return np.asarray(dense / np.maximum(dense.sum(axis=0), 1), np.float32)


def _plain(scan: ChannelImage, path: Path) -> Image:
    if not isinstance(scan, Image):
        raise InputError("is a cube of bands, which this model does not read", file=path)
    return scan
