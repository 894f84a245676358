"""From scans to probabilities with a MONAI bundle; preparation, windows and the way back are MONAI's own."""

from __future__ import annotations

import contextlib
import copy
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softseg import extras
from softseg.bundles.configuration import FINISH, INFERER, NETWORK, PREPARE, known_target
from softseg.bundles.folder import BundleFolder
from softseg.bundles.recognition import SCRIPT
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Image
from softseg.network.weights import read_weights
from softseg.system import raise_out_of_memory, resolve_device
from softseg.types import FloatArray

if TYPE_CHECKING:
    import torch

_INSIDE = ("model", "state_dict", "network", "net")
_FAULTS = (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError, AssertionError)


class BundlePredictor:
    """A loaded bundle.

    Parameters
    ----------
    folder: its folder.
    device: ``"cpu"`` or ``"cuda:N"``.
    events: told what is left out.

    Raises
    ------
    InputError: MONAI is not installed, the configuration cannot be built, or the weights are of another network.
    """

    def __init__(self, folder: BundleFolder, device: str, events: Events) -> None:
        self.folder = folder
        self._device = resolve_device(device)
        try:
            from monai.bundle.config_parser import ConfigParser
        except ModuleNotFoundError as error:
            raise extras.missing(error.name or "monai") from error
        configuration = folder.configuration
        parts = copy.deepcopy(configuration.parts)
        parts["device"] = f"$torch.device('{self._device}')"
        if folder.trusted:
            sys.path.insert(0, str(folder.path.absolute()))  # a bundle's own modules lie there
        else:
            parts = {key: _with_known_targets(value, key, folder) for key, value in parts.items()}
        self._parser = ConfigParser(parts)
        self._prepare = self._built(PREPARE)
        self._inferer = self._built(INFERER)
        self._finish = self._built(FINISH)
        self._network = self._loaded().to(self._device).eval()
        for name in configuration.left_out:
            events.log(f"{name} of the bundle changes labels, not probabilities: it is left out")

    def _built(self, key: str) -> Any:
        with self._naming(key.removeprefix("softseg_")):
            if self.folder.trusted and "imports" in self._parser:
                self._parser.get_parsed_content("imports")
            return self._parser.get_parsed_content(key)

    def _loaded(self) -> Any:
        import torch

        file = self.folder.weights
        if file.name == SCRIPT.rpartition("/")[2]:
            with self._naming("network"):
                load: Any = torch.jit.load
                return load(str(file), map_location="cpu")
        network = self._built(NETWORK)
        state = read_weights(file)
        for key in _INSIDE:
            if isinstance(state.get(key), dict):
                state = state[key]
        try:
            network.load_state_dict(state)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise InputError("holds the weights of another network than the configuration says", file=file) from error
        return network

    def predict(self, scans: Sequence[Image], events: Events) -> FloatArray:
        """Return the probabilities of the channels, float32 ``[channels, k, j, i]`` on the grid of the first scan.

        Parameters
        ----------
        scans: one for each channel, on one grid.
        events: progress; cancelling between windows.

        Raises
        ------
        InputError: scans lie on different grids, or a step of the bundle fails.
        CancelledError: cancelled.
        """
        import torch
        from monai.data.meta_tensor import MetaTensor

        grid = scans[0].geometry
        for scan in scans[1:]:
            if not scan.geometry.same_grid(grid):
                raise InputError("the channels lie on different grids", field="IMAGE", hint="resample them first")
        arrays = [np.ascontiguousarray(scan.array.transpose(2, 1, 0), np.float32) for scan in scans]
        keys = self.folder.configuration.keys
        groups = [arrays] if len(keys) == 1 else [[array] for array in arrays]
        if len(groups) != len(keys):
            raise InputError(f"reads {len(keys)} images, got {len(scans)}", file=self.folder.configuration.file)
        # as NIfTI stores it: where MONAI's resampling puts its grid hangs on the last digits of oblique ones
        affine = torch.from_numpy(grid.affine.astype(np.float32)).double()
        case = {
            key: MetaTensor(torch.from_numpy(np.stack(group)), affine, {"original_affine": affine, "space": "RAS"})
            for key, group in zip(keys, groups, strict=True)
        }
        with self._naming("preprocessing"):
            case = self._prepare(case)
            image = case[keys[0]]
        events.check()
        with self._naming("inferer"), torch.inference_mode():
            answer = self._inferer(image[None].to(self._device), self._watched(image.shape[1:], events))
            answer = answer[0] if isinstance(answer, (tuple, list)) else answer
            case["pred"] = answer[0].cpu()
        with self._naming("postprocessing"):
            found = self._finish(case)["pred"]
        probabilities = np.asarray(found.detach().cpu(), np.float32)
        expected = (len(self.folder.outputs.names), *grid.size)
        if probabilities.shape != expected:
            raise InputError(
                f"the bundle answers with {_shown(probabilities.shape)} values where {_shown(expected)} belong",
                file=self.folder.configuration.file,
            )
        out = np.ascontiguousarray(probabilities.transpose(0, 3, 2, 1))
        self.folder.outputs.require_apart(out, self.folder.configuration.file)
        return out

    @contextlib.contextmanager
    def _naming(self, part: str) -> Iterator[None]:
        """Name the file and the part where something in MONAI fails."""
        file = self.folder.configuration.file
        try:
            yield
        except InputError:
            raise
        except _FAULTS as error:
            raise_out_of_memory(error, file)
            cause = error if error.__cause__ is None else error.__cause__
            line = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
            raise InputError(f"fails: {line.strip()[:200]}", file=file, field=part) from error

    def _watched(self, shape: Sequence[int], events: Events) -> Callable[..., Any]:
        """Return the network as a function that reports windows as progress and heeds the wish to stop before each."""
        total, done = self._windows(shape), 0
        events.stage("predict", total)

        def network(windows: torch.Tensor, *more: Any, **named: Any) -> Any:
            nonlocal done
            events.check()
            answer = self._network(windows, *more, **named)
            done += int(windows.shape[0])
            events.progress(min(done, total), total)
            return answer

        return network

    def _windows(self, shape: Sequence[int]) -> int:
        """Return how many windows MONAI lays over an image of this shape; 1 where that is not known."""
        roi, overlap = getattr(self._inferer, "roi_size", None), getattr(self._inferer, "overlap", 0)
        if not isinstance(roi, (list, tuple)) or len(roi) != len(shape) or not isinstance(overlap, (int, float)):
            return 1
        windows = 1
        for size, edge in zip(shape, roi, strict=True):
            length = edge if edge and edge > 0 else size
            step = max(1, length if length >= size else int(length * (1 - overlap)))
            windows *= max(1, math.ceil((size - length) / step) + 1)
        return windows


def _with_known_targets(value: Any, part: str, folder: BundleFolder) -> Any:
    """Return a part in which every ``_target_`` is the path of a class that may be built, whatever stood there."""
    if isinstance(value, list):
        return [_with_known_targets(item, part, folder) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {key: _with_known_targets(item, part, folder) for key, item in value.items()}
    if "_target_" in found:
        known = known_target(found, part)
        kind = None if known is None else getattr(importlib.import_module(known[0]), known[1], None)
        if known is None or not isinstance(kind, type):
            raise InputError(
                f"MONAI has no network, inferer or transform {found['_target_']}",
                file=folder.configuration.file,
                field=part.removeprefix("softseg_"),
            )
        found["_target_"] = f"{known[0]}.{known[1]}"
    return found


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
