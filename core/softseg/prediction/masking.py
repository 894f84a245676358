"""The mask of a scan: made by the model that another one needs, or given; and what is done with it.

A model that was trained on skull-stripped scans sees a raw head as such a scan: what the mask more likely excludes is
set to exactly 0, as in its training, and is cropped away. The mask itself stays soft. A voxel's probability of a leaf
is the mask's probability times the network's output within it, and the rest is background:
``P(leaf) = P(mask) P(leaf | mask)``. All of this is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from softseg.data import preprocess_images
from softseg.data.cubes.cube import ChannelImage, Cube, filled
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, Image
from softseg.needs import Needs
from softseg.prediction.answering import mean_in_turn, with_windows_that_fit
from softseg.prediction.ensemble import joint_name, load_models, needs_of, see_one_grid
from softseg.prediction.given_masks import find_mask, mask_identity, read_mask
from softseg.prediction.record import model_digest
from softseg.prediction.scan_checks import Expected, is_stripped
from softseg.prediction.settings import PredictionSettings
from softseg.prediction.streaming import pieces_of
from softseg.requests.predict import AUTO, MADE, NO_MASK, PredictRequest
from softseg.resources import named_model
from softseg.soft.blocks import Index
from softseg.soft.resample import resample_image
from softseg.types import FloatArray

if TYPE_CHECKING:
    import torch

    from softseg.network import Model
    from softseg.system import Processor

WITHIN = 0.5
"""Voxels of at least this probability are shown to the network (our default)."""


@dataclass(frozen=True)
class Needed:
    """The model that makes a mask; it is loaded for each scan, so that it takes no memory beside the other.

    Attributes
    ----------
    needs: what was asked for.
    folder: where it was found.
    name, digest: of the model.
    channels: how many images it takes.
    node: id of the node whose probability is the mask.
    backend: the library that runs it, that of the models that need it.
    """

    needs: Needs
    folder: Path
    name: str
    digest: str
    channels: int
    node: str
    backend: str

    @staticmethod
    def find(needs: Needs, models: Sequence[Model]) -> Needed:
        """Find and check the model that others need.

        Raises
        ------
        InputError: it is not here, is damaged, has no such node, takes other images, or needs a model itself.
        """
        whose = f"{joint_name(models)} needs the model '{needs.model}' to find '{needs.node}'"
        hint = "add that model, give --mask FILE, or --mask none if the scan is stripped already"
        try:
            folder = named_model(needs.model)
            makers = load_models(folder, backend=models[0].backend)
            node = makers[0].tree.find(needs.node).id
        except InputError as error:
            where = "" if error.file is None else f" ({error.file})"
            raise InputError(f"{whose}: {error.message}{where}", field="needs", hint=hint) from error
        channels = len(makers[0].plan.channels)
        if channels not in (1, len(models[0].plan.channels)):
            raise InputError(f"{whose}, which takes {channels} images", field="needs", hint=hint)
        if needs_of(makers) is not None:
            raise InputError(f"{whose}, which itself needs another model", field="needs", hint=hint)
        return Needed(needs, folder, joint_name(makers), _digest(makers), channels, node, models[0].backend)

    def mask(
        self, scans: Sequence[ChannelImage], files: Sequence[Path], device: torch.device | Processor, events: Events
    ) -> FloatArray:
        """Return the node's probability in every voxel of a scan: float32 ``(k, j, i)``, 0..1."""
        models = load_models(self.folder, backend=self.backend)
        own, names = scans[: self.channels], list(files[: self.channels])
        model, target = models[0], own[0].geometry
        settings = PredictionSettings.of(models, PredictRequest("", (), Path()), device)
        events = _AsStage(events)
        span = model.tree.leaf_slice(self.node)
        if not see_one_grid(models):
            return _sum_of(mean_in_turn(models, own, names, settings, events), span, target)
        image, grid = preprocess_images(own, model.plan, names)

        def work(window: Index) -> FloatArray:  # sums commute with resampling: one map is moved, not all leaves
            return _sum_of(pieces_of(model, image, grid, grid, settings, window, events), span, grid)

        found = with_windows_that_fit(model, grid, settings, names[0], events, work)
        return np.asarray(np.clip(resample_image(Image(found, grid), target).array, 0, 1), np.float32)


def _digest(models: Sequence[Model]) -> str:
    return "+".join(model_digest(model) for model in models)


def _sum_of(pieces: Any, span: slice, grid: Geometry) -> FloatArray:
    out = np.zeros(grid.shape, np.float32)
    for voxels, classes, values in pieces:
        inside = slice(*np.searchsorted(classes, (span.start, span.stop)))
        out.reshape(-1)[voxels] = values[inside].sum(axis=0)
    return out


class _AsStage(Events):
    """The work of a model that makes a mask, as one stage of the prediction it is made for."""

    def __init__(self, events: Events) -> None:
        super().__init__(events.sink, events.cancel)
        self._events = events

    def stage(self, stage: str, total: int | None = None, done: int = 0) -> None:
        """Begin the stage with the windows."""
        if stage == "predict":
            self._events.stage("mask", total, done)
        self.check()

    def progress(self, done: int, total: int) -> None:
        """Report what was done of it."""
        self._events.progress(done, total)

    def estimate(self, *values: Any, **numbers: Any) -> None:
        """Report nothing: what follows takes more."""


@dataclass(frozen=True)
class MaskSource:
    """Where the masks of cases come from.

    Attributes
    ----------
    needed: the model that makes them; None where they are given, or none are wanted.
    given: a mask, or a folder of masks.
    always: whether one is made also of scans that look stripped.
    """

    needed: Needed | None = None
    given: Path | None = None
    always: bool = False

    @staticmethod
    def of(models: Sequence[Model], request: PredictRequest) -> MaskSource | None:
        """Return where masks come from; None where models need none and none is given.

        Raises
        ------
        InputError: a mask is asked for and these models cannot use one, or the model that makes it is not here.
        """
        needs, asked = needs_of(models), request.mask
        if asked == NO_MASK:
            return None if needs is None else MaskSource()
        if asked == AUTO and needs is None:
            return None
        _require_use(models)
        if asked not in (AUTO, MADE):
            file = Path(asked)
            if not file.exists():
                raise InputError("no such mask", file=file, field="--mask", hint=f"or give {AUTO}, {MADE} or {NO_MASK}")
            return MaskSource(given=file)
        if needs is None:
            raise InputError(
                f"{joint_name(models)} names no model that makes masks", field="--mask", hint="give the file of a mask"
            )
        return MaskSource(Needed.find(needs, models), always=asked == MADE)

    def record(self, images: Sequence[Path]) -> dict[str, Any]:
        """Return what decides about a case's mask, beside its images, as plain values."""
        if self.given is not None:
            return {"sha256": mask_identity(find_mask(self.given, images))}
        if self.needed is None:
            return {"kind": NO_MASK}
        found = {"model": self.needed.name, "digest": self.needed.digest, "node": self.needed.node}
        return {**found, "always": True} if self.always else found

    def mask(
        self,
        scans: Sequence[ChannelImage],
        files: Sequence[Path],
        models: Sequence[Model],
        device: torch.device | Processor,
        events: Events,
    ) -> Mask | None:
        """Return the mask of a scan, None where it is stripped already.

        Raises
        ------
        InputError: a mask is not one, lies elsewhere, or is empty.
        """
        target = scans[0].geometry
        if self.given is not None:
            file = find_mask(self.given, files)
            found = read_mask(file, target, events.warning)
            return Mask.of(found, file, clean=False)
        if self.needed is None:
            return None
        first = Image(filled(scans[0]), target)
        if not self.always:
            expected = [Expected.of_plan(model.plan.model_dump(mode="json")) for model in models]
            reason = is_stripped(first, *expected)
            if reason is not None:
                events.log(f"{files[0]}: taken for skull-stripped, no mask is made ({reason}); --mask {MADE} makes one")
                return None
        mask = Mask.of(self.needed.mask(scans, files, device, events), files[0], clean=True)
        litres = float(mask.probability.sum(dtype=np.float64)) * target.voxel_volume_ml / 1000
        events.log(f"{files[0]}: mask of {litres:.2f} l ('{self.needed.node}' of {self.needed.name})")
        return mask


def _require_use(models: Sequence[Model]) -> None:
    for model in models:
        stripped = Expected.of_plan(model.plan.model_dump(mode="json")).skull_stripped
        if model.head.background is None or not (stripped or model.plan.crop.kind == "nonzero"):
            raise InputError(
                f"{model.name} was not trained on scans that are 0 around what it segments: it has no use for a mask",
                file=model.path,
                field="--mask",
                hint="leave --mask out",
            )


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask on the grid of a scan.

    Attributes
    ----------
    probability: float32 ``(k, j, i)``, 0..1.
    within: what the network is shown.
    """

    probability: FloatArray
    within: npt.NDArray[np.bool_]

    @staticmethod
    def of(probability: FloatArray, file: Path, *, clean: bool) -> Mask:
        """Return the mask of these probabilities.

        Parameters
        ----------
        probability: see above.
        file: what an error names.
        clean: whether the network is shown the largest connected part alone, with its holes filled.

        Raises
        ------
        InputError: no voxel has a probability of :data:`WITHIN`.
        """
        within = probability >= WITHIN
        if not within.any():
            raise InputError(
                f"the mask has no voxel of {WITHIN:g} or more in this scan",
                file=file,
                field="--mask",
                hint="give one with --mask FILE" if clean else "do mask and scan lie in the same place?",
            )
        return Mask(probability, _one_part(within) if clean else within)

    def applied(self, scan: ChannelImage) -> ChannelImage:
        """Return a scan that is exactly 0 outside the mask."""
        array = np.where(self.within, scan.array, np.zeros((), scan.array.dtype))
        if isinstance(scan, Cube):
            return Cube(array, scan.geometry, scan.wavelengths, scan.notes)
        return Image(array, scan.geometry, scan.notes)


def _one_part(within: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    parts, count = ndimage.label(within)
    if count > 1:
        within = parts == 1 + int(np.argmax(np.bincount(parts.reshape(-1))[1:]))
    return np.asarray(ndimage.binary_fill_holes(within))
