"""From scans to probabilities with a model of nnU-Net; preparation, windows and resampling are nnU-Net's own."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softseg import extras
from softseg.errors import InputError, SoftSegError
from softseg.events import Events
from softseg.image import Image, reorient
from softseg.nnunet.checkpoints import read_checkpoint
from softseg.nnunet.folder import NnUNetFolder
from softseg.soft.turns import axis_turn, turned
from softseg.system import resolve_device
from softseg.types import FloatArray

if TYPE_CHECKING:
    import torch

_AS_WRITTEN = ("SimpleITKIO", "NibabelIO", "Tiff3DIO")
_TURNED = {"NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS"}


class NnUNetPredictor:
    """A loaded model.

    Parameters
    ----------
    folder: its folder.
    fast: one fold without mirroring, faster and a little less exact; else all folds, mirrored as in training.
    overlap: of neighbouring windows, 0..1 (nnU-Net's step size is 1 less this).
    device: ``"cpu"`` or ``"cuda:N"``.
    events: told what is used.

    Raises
    ------
    InputError: ``nnunetv2`` is not installed, a checkpoint is damaged, its trainer is not known, or it needs the result
        of another model (cascades).
    """

    def __init__(self, folder: NnUNetFolder, fast: bool, overlap: float, device: str, events: Events) -> None:
        self.folder = folder
        self.files = folder.checkpoints[:1] if fast else folder.checkpoints
        with _quiet():
            try:
                from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor as Predictor
            except ModuleNotFoundError as error:
                raise extras.missing(error.name or "nnunetv2") from error
            self._nnunet = Predictor(
                tile_step_size=1 - overlap, use_mirroring=not fast, device=resolve_device(device), allow_tqdm=False
            )
            self._load()
        events.log(
            f"nnU-Net: {len(self.files)} of {len(folder.checkpoints)} folds" + (", not mirrored" if fast else "")
        )

    def _load(self) -> None:
        """Build the network and take over the weights, as nnU-Net's own loading does, without unpickling."""
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        states = [read_checkpoint(file) for file in self.files]
        first, made = states[0], self._nnunet
        plans = PlansManager(self.folder.plans)
        configuration = plans.get_configuration(first["init_args"]["configuration"])
        if configuration.previous_stage_name is not None:
            raise InputError(
                f"refines what {configuration.previous_stage_name} predicts, which is not supported",
                file=self.folder.path,
                hint="use the model of another configuration",
            )
        description = self.folder.description
        labels = plans.get_label_manager(description)
        inputs = determine_num_input_channels(plans, configuration, description)
        trainer = _trainer(first["trainer_name"], self.files[0])
        made.network = _network(trainer, plans, configuration, inputs, labels.num_segmentation_heads)
        made.plans_manager, made.configuration_manager, made.label_manager = plans, configuration, labels
        made.dataset_json, made.trainer_name = description, first["trainer_name"]
        made.allowed_mirroring_axes = first.get("inference_allowed_mirroring_axes")
        made.list_of_parameters = [state["network_weights"] for state in states]
        for file, state in zip(self.files, made.list_of_parameters, strict=True):
            _take(made.network, state, file)
        made.network.to(made.device).eval()

    def predict(self, scans: Sequence[Image], events: Events) -> FloatArray:
        """Return the probabilities of the channels, float32 ``[channels, k, j, i]`` on the grid of the first scan.

        Parameters
        ----------
        scans: one for each channel, on one grid.
        events: progress; cancelling between windows.

        Raises
        ------
        InputError: scans lie on different grids, or the model reads its images in a way that is not known.
        CancelledError: cancelled.
        """
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

        grid = scans[0].geometry
        turned_scans = self._turned(scans)
        inner = turned_scans[0].geometry
        data = np.stack([scan.array for scan in turned_scans]).astype(np.float32)
        made = self._nnunet
        properties = {"spacing": [float(mm) for mm in inner.spacing_kji]}
        preprocessor = made.configuration_manager.preprocessor_class(verbose=False)
        with _quiet():
            arguments = (made.plans_manager, made.configuration_manager, made.dataset_json)
            data, _, properties = preprocessor.run_case_npy(data, None, properties, *arguments)
            events.check()
            with _watched(made, data.shape[1:], events):
                logits = made.predict_logits_from_preprocessed_data(torch.from_numpy(np.ascontiguousarray(data))).cpu()
            events.check()
            _, found = convert_predicted_logits_to_segmentation_with_correct_shape(
                logits,
                made.plans_manager,
                made.configuration_manager,
                made.label_manager,
                properties,
                return_probabilities=True,
                num_threads_torch=torch.get_num_threads(),
            )
        turn = axis_turn(inner, grid)
        if turn is None:
            raise SoftSegError("the turned grid of the scan cannot be turned back")
        return np.stack([turned(channel, turn) for channel in found]).astype(np.float32, copy=False)

    def _turned(self, scans: Sequence[Image]) -> list[Image]:
        reader = str(self.folder.plans.get("image_reader_writer", "SimpleITKIO"))
        for scan in scans[1:]:
            if not scan.geometry.same_grid(scans[0].geometry):
                raise InputError("the channels lie on different grids", field="IMAGE", hint="resample them first")
        if reader in _AS_WRITTEN:
            return list(scans)
        if reader in _TURNED:
            return [reorient(scan, _TURNED[reader]) for scan in scans]
        raise InputError(
            f"reads its images with {reader}, which is not known here", file=self.folder.path / "plans.json"
        )


def _trainer(name: str, file: Path) -> Any:
    """Return the class of a trainer, which knows how its network is built: nnU-Net's, ours, or one that it finds."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from softseg.nnunet import trainers

    if name == nnUNetTrainer.__name__:
        return nnUNetTrainer
    ours = getattr(trainers, name, None)
    if inspect.isclass(ours) and issubclass(ours, nnUNetTrainer):
        return ours
    try:
        return recursive_find_trainer_class_by_name(name)
    except RuntimeError as error:
        raise InputError(
            f"was trained with {name}, which nnU-Net does not find",
            file=file,
            hint="set nnUNet_extTrainer to its folder",
        ) from error


def _take(network: torch.nn.Module, state: Any, file: Path) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError("holds the weights of another network than plans.json says", file=file) from error


def _network(trainer: Any, plans: Any, configuration: Any, inputs: int, outputs: int) -> torch.nn.Module:
    build = trainer.build_network_architecture
    if "plans_manager" in inspect.signature(build).parameters:
        made: torch.nn.Module = build(plans, configuration, inputs, outputs, enable_deep_supervision=False)
        return made
    older: torch.nn.Module = build(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        inputs,
        outputs,
        enable_deep_supervision=False,
    )
    return older


@contextlib.contextmanager
def _watched(made: Any, shape: tuple[int, ...], events: Events) -> Iterator[None]:
    """Report the network's calls as progress, and look for the wish to stop before each."""
    patch = made.configuration_manager.patch_size
    padded = [max(size, edge) for size, edge in zip(shape[-len(patch) :], patch, strict=True)]
    windows = len(made._internal_get_sliding_window_slicers((*shape[: -len(patch)], *padded)))
    mirrored = 2 ** len(made.allowed_mirroring_axes or ()) if made.use_mirroring else 1
    total, done = windows * mirrored * len(made.list_of_parameters), 0
    events.stage("predict", total)

    def before(*_arguments: Any) -> None:
        nonlocal done
        events.check()
        events.progress(min(done, total), total)
        done += 1

    handle = made.network.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()
    events.progress(total, total)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what nnU-Net prints, and its remarks about environment variables that prediction does not need."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        yield
