"""``softseg.predict``: images in memory to a soft parcellation in memory, with nothing written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import SimpleITK as sitk

from softseg.data.cubes.cube import ChannelImage, Cube
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, Image
from softseg.prediction.case import predict_with
from softseg.prediction.ensemble import best_network, device_of, load_models, require_once
from softseg.prediction.masking import MaskSource
from softseg.prediction.settings import PredictionSettings
from softseg.requests.predict import PredictRequest
from softseg.soft.parcellation import SoftParcellation
from softseg.straight import is_sheared, straightened
from softseg.system import backend_of

if TYPE_CHECKING:
    import torch

    from softseg.network import Model

OPTIONS = (
    "calibrated",
    "mask",
    "outliers",
    "postprocess",
    "overlap",
    "precision",
    "blend",
    "fast",
    "mirror",
    "backend",
)
"""Options of prediction that shape a soft parcellation; others ask for further files, and there are none here."""

Scan: TypeAlias = Any
"""A :class:`softseg.image.Image`, a SimpleITK image, a nibabel image, or a numpy array ``(k, j, i)``."""


def predict(
    image: Scan | Sequence[Scan],
    model: str | os.PathLike[str] | Model | Sequence[Model],
    *,
    spacing: Sequence[float] | None = None,
    device: str | torch.device = "auto",
    events: Events | None = None,
    **asked: Any,
) -> SoftParcellation:
    """Segment one scan softly.

    Parameters
    ----------
    image: the scan, or a list of one image for each channel of the model: :class:`softseg.image.Image`, SimpleITK
        image, nibabel image, or numpy array ``(k, j, i)`` with its first voxel at the right, anterior, inferior corner:
        ``i`` grows to the left, ``j`` to posterior, ``k`` to superior (LPS).
    model: name of a shipped model, a model folder, or loaded models.
    spacing: of a numpy array, in mm along ``(i, j, k)``; other images bring their own.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    events: progress, warnings, cancelling; without it, warnings are Python's.
    asked: any of :data:`OPTIONS`, as in :class:`~softseg.requests.PredictRequest`.

    Returns
    -------
    The soft parcellation on the grid of the (first) image.

    Raises
    ------
    InputError: an image has no spacing or several values a voxel, images do not fit the model, or an option is wrong.
    OutOfMemoryError: it does not fit into memory, not even with the smallest windows.
    CancelledError: cancelled.

    Examples
    --------
    >>> import numpy as np
    >>> import softseg
    >>> scan = np.random.default_rng(0).normal(size=(1, 128, 176)).astype(np.float32)
    >>> result = softseg.predict(scan, "cord-gm-soft", spacing=(0.5, 0.5, 5.0))
    >>> result.probability("cord").shape
    (1, 128, 176)
    """
    events = Events(_Warnings()) if events is None else events
    _require_known(asked, isinstance(model, (str, os.PathLike)))
    request = PredictRequest("", (), Path(), device=str(device), **asked)
    if request.fast and isinstance(model, (str, os.PathLike)):
        model = best_network(os.fspath(model), events, backend_of(request))
    named = isinstance(model, (str, os.PathLike))
    models = load_models(model, backend=backend_of(request)) if named else load_models(model)
    require_once(models, request.uncertainty)
    scans = _scans(image, spacing)
    channels = models[0].plan.channels
    if len(scans) != len(channels):
        raise InputError(f"expected {len(channels)} images ({', '.join(channels)}), got {len(scans)}", field="image")
    settings = PredictionSettings.of(models, request, device_of(models[0], request.device, events))
    settings = replace(settings, mask=MaskSource.of(models, request))
    names = [Path(f"image {position + 1}" if len(scans) > 1 else "image") for position in range(len(scans))]
    found = predict_with(models[0], names, settings, events, lambda _names, _events: list(scans))
    return found.parcellation


def _require_known(asked: Mapping[str, Any], by_name: bool) -> None:
    for name in asked:
        if name not in OPTIONS:
            raise InputError("is no option here", field=name, hint=f"there are {', '.join(OPTIONS)}")
    if not by_name and asked.get("fast"):
        raise InputError("loaded models are taken as they are", field="fast", hint="give the ensemble's folder or name")


class _Warnings:
    """Turns warnings into Python's, and drops everything else."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Warn."""
        if event.get("event") == "warning":
            warnings.warn(str(event["text"]), stacklevel=6)


def _scans(image: Scan | Sequence[Scan], spacing: Sequence[float] | None) -> list[ChannelImage]:
    several = image if isinstance(image, (list, tuple)) else [image]
    if not several:
        raise InputError("there is no image", field="image")
    return [_as_image(each, spacing, f"image[{position}]") for position, each in enumerate(several)]


def _as_image(scan: Scan, spacing: Sequence[float] | None, field: str) -> ChannelImage:
    if isinstance(scan, (Image, Cube)):
        return scan
    if isinstance(scan, sitk.Image):
        if scan.GetNumberOfComponentsPerPixel() > 1 or scan.GetDimension() > 3:
            raise InputError(
                f"has {scan.GetNumberOfComponentsPerPixel()} values a voxel and {scan.GetDimension()} dimensions",
                field=field,
                hint="give one scalar 3D image for each channel",
            )
        return _finite(Image.from_sitk(scan), field)
    if hasattr(scan, "affine") and hasattr(scan, "dataobj"):
        return _finite(_of_nibabel(scan, field), field)
    if isinstance(scan, np.ndarray):
        return _finite(_of_array(scan, spacing, field), field)
    raise InputError(
        f"is a {type(scan).__name__}", field=field, hint="give a SimpleITK or nibabel image, or an array with spacing"
    )


def _of_nibabel(scan: Any, field: str) -> Image:
    values = np.asanyarray(scan.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise InputError(f"has the shape {values.shape}", field=field, hint="give one 3D image for each channel")
    affine = None if scan.affine is None else np.asarray(scan.affine, np.float64)
    if affine is None or not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise InputError("has no affine that places its voxels", field=field)
    geometry = Geometry.from_affine(values.shape, affine)
    array = np.ascontiguousarray(values.transpose(2, 1, 0))
    if is_sheared(geometry):
        bands, geometry = straightened(array[None], geometry, labels=False)
        array = bands[0]
    return Image(array, geometry)


def _of_array(array: np.ndarray[Any, Any], spacing: Sequence[float] | None, field: str) -> Image:
    if array.ndim != 3:
        raise InputError(f"has the shape {array.shape}", field=field, hint="give an array (k, j, i) for each channel")
    if spacing is None:
        raise InputError("an array has no voxel size", field="spacing", hint="give (i, j, k) in mm")
    if len(spacing) != 3 or not all(np.isfinite(each) and each > 0 for each in spacing):
        raise InputError(f"expected three numbers above 0, got {tuple(spacing)}", field="spacing")
    i, j, k = (float(each) for each in spacing)
    return Image(array, Geometry((array.shape[2], array.shape[1], array.shape[0]), (i, j, k), (0.0, 0.0, 0.0)))


def _finite(image: Image, field: str) -> Image:
    if not np.issubdtype(image.array.dtype, np.number) and image.array.dtype != np.bool_:
        raise InputError(f"holds {image.array.dtype}, not numbers", field=field)
    if np.iscomplexobj(image.array):
        raise InputError("holds complex numbers", field=field, hint="give their magnitude")
    if not np.isfinite(image.array).all():
        raise InputError("holds NaN or infinity", field=field, hint="replace them, by 0 for instance")
    return image
