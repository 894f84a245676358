"""The parts of a bundle's configuration that predict: network, preparation, windows, and what follows up to labels.

A configuration can name any Python callable. Nothing is built of it here; what is not on the lists below is refused
with its place, so that building it later runs nothing but MONAI's own networks and transforms. Other parts (handlers,
data sets, writers) are never looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.bundles.expressions import references, require_plain
from softseg.bundles.recognition import configuration_of
from softseg.errors import InputError
from softseg.files import read_json_object
from softseg.texts import read_text

NETWORK, PREPARE, INFERER, FINISH = "softseg_network", "softseg_prepare", "softseg_inferer", "softseg_finish"
"""Keys under which the parts stand in :attr:`Configuration.parts`."""

_NETWORKS = ("network_def", "network", "net", "model")
_READERS = ("LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst")
_TRANSFORMS = frozenset(
    {
        *("Orientation", "Spacing", "Resize", "Zoom", "Flip", "Rotate90", "SpatialResample", "CropForeground"),
        *("SpatialPad", "DivisiblePad", "BorderPad", "CenterSpatialCrop", "SpatialCrop", "ResizeWithPadOrCrop"),
        *("NormalizeIntensity", "ScaleIntensity", "ScaleIntensityRange", "ScaleIntensityRangePercentiles"),
        *("ShiftIntensity", "StdShiftIntensity", "ThresholdIntensity", "ClipIntensityPercentiles", "AdjustContrast"),
        *("HistogramNormalize", "GaussianSmooth", "MedianSmooth", "MaskIntensity", "EnsureType", "CastToType"),
        *("ToTensor", "ToDevice", "ConcatItems", "CopyItems", "SelectItems", "DeleteItems", "Identity"),
        *("RepeatChannel", "Compose"),
    }
)
_FINISHING = frozenset(
    {"Activations", "Invert", "EnsureType", "CastToType", "ToTensor", "ToDevice", "Compose", "Identity"}
)
_INFERERS = ("SlidingWindowInferer", "SlidingWindowInfererAdapt", "SliceInferer", "SimpleInferer")
_MARKS = ("_target_", "_disabled_", "_desc_", "_requires_", "_mode_")
_DISCRETE = (
    "AsDiscrete",
    "KeepLargestConnectedComponent",
    "RemoveSmallObjects",
    "FillHoles",
    "SaveImage",
    "LabelFilter",
)


@dataclass(frozen=True)
class Configuration:
    """What predicts.

    Attributes
    ----------
    file: where it stands.
    parts: a configuration of MONAI: the four parts above, the others that these refer to.
    keys: of the case under which the first transform finds its image or images.
    left_out: names of transforms after the labels, which a soft result does without.
    activation: ``"softmax"`` or ``"sigmoid"``.
    """

    file: Path
    parts: dict[str, Any]
    keys: tuple[str, ...]
    left_out: tuple[str, ...]
    activation: str

    @staticmethod
    def load(folder: Path, metadata: Mapping[str, Any], trusted: bool, scripted: bool) -> Configuration:
        """Read a bundle's configuration.

        Parameters
        ----------
        folder: the bundle's.
        metadata: the contents of ``metadata.json``, to which a configuration may refer.
        trusted: whether it may hold code.
        scripted: whether the network is a TorchScript file, so that none needs to be described.

        Raises
        ------
        InputError: it is damaged, lacks a part, or holds code.
        """
        file = configuration_of(folder)
        if file is None:
            raise InputError("is no MONAI bundle that predicts: it lacks configs/inference.json", file=folder)
        content = {**_content(file), "_meta_": dict(metadata), "bundle_root": str(folder.absolute())}
        network = next((key for key in _NETWORKS if isinstance(content.get(key), dict)), None)
        if network is None and not scripted:
            raise InputError("describes no network", file=file, field="network_def")
        before = _steps(content, "preprocessing", file)
        after = _steps(content, "postprocessing", file)
        if not isinstance(content.get("inferer"), (dict, str)):
            raise InputError("names no way to lay windows over an image", file=file, field="inferer")
        reader = next((step for step in before if class_name(step) == "LoadImage"), None)
        kept = [step for step in before if class_name(step) not in _READERS]
        keys = _keys(reader, content)
        cut = next((n for n, step in enumerate(after) if class_name(step) in _DISCRETE), len(after))
        finish = [copy.deepcopy(step) for step in after[:cut]]
        parts = {
            **content,
            PREPARE: {"_target_": "Compose", "transforms": kept},
            INFERER: content["inferer"],
            FINISH: {"_target_": "Compose", "transforms": _inverting(finish, keys[0])},
            **({} if network is None else {NETWORK: content[network]}),
        }
        found = Configuration(
            file,
            parts,
            keys,
            tuple(class_name(step) for step in after[cut:] if class_name(step) not in ("AsDiscrete", "SaveImage")),
            _activation(after, content, file),
        )
        return found if trusted else found._without_the_rest()

    def _without_the_rest(self) -> Configuration:
        """Return what predicts and all that it refers to, checked; nothing else."""
        kept: dict[str, Any] = {}
        waiting = [NETWORK, PREPARE, INFERER, FINISH]
        while waiting:
            key = waiting.pop().partition("::")[0]
            if key in kept or key == "device" or key not in self.parts:
                continue
            kept[key] = self.parts[key]
            waiting += list(self._checked(kept[key], key, key))
        return Configuration(self.file, kept, self.keys, self.left_out, self.activation)

    def _checked(self, value: Any, field: str, part: str) -> Iterator[str]:
        """Go through a value and yield what it refers to."""
        if isinstance(value, str):
            if value.startswith("%") or "@#" in value:
                raise InputError(
                    f"{value!r} inserts another place or file, which is not followed", file=self.file, field=field
                )
            if value.startswith("$"):
                require_plain(value[1:], str(self.file), field)
                yield from references(value)
            elif value.startswith("@"):
                yield from references(value)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._checked(item, f"{field}::{number}", part)
        elif isinstance(value, dict):
            self._require_known(value, field, part)
            for key, item in value.items():
                yield from self._checked(item, f"{field}::{key}", part)

    def _require_known(self, item: Mapping[str, Any], field: str, part: str) -> None:
        strange = [key for key in item if str(key).startswith("_") and key not in _MARKS and part != "_meta_"]
        if strange or item.get("_mode_", "default") != "default":
            raise InputError(f"{(strange or ['_mode_'])[0]!r} is not known here", file=self.file, field=field)
        if "_target_" not in item:
            return
        if item.get("pretrained"):
            raise InputError(
                "would download weights", file=self.file, field=f"{field}::pretrained", hint="set it to false"
            )
        if known_target(item, part) is None:
            raise InputError(
                f"{item['_target_']} is none of MONAI's networks, inferers and transforms that are run without asking",
                file=self.file,
                field=field,
                hint="--trust-code runs it, if you trust where the bundle comes from",
            )


def known_target(item: Mapping[str, Any], part: str) -> tuple[str, str] | None:
    """Return module and class that ``_target_`` means, the module one of four; None where it is not on the lists.

    A path such as ``torch.nn.modules.module.torch.hub.load`` would lead out of its module, so only the last name
    counts, and where it is used says in which module it stands.

    Parameters
    ----------
    item: with the key ``_target_``.
    part: key of the part in which it stands.
    """
    module, _, target = str(item["_target_"]).rpartition(".")
    name = class_name(item)
    if module in ("", "monai.transforms") and name in (_FINISHING if part == FINISH else _TRANSFORMS | _FINISHING):
        return "monai.transforms", target
    if module in ("", "monai.inferers") and name in _INFERERS:
        return "monai.inferers", target
    if part in (PREPARE, INFERER, FINISH):
        return None
    if module.split(".")[:2] == ["torch", "nn"]:
        return "torch.nn", target
    return ("monai.networks.nets", target) if module == "" or module.startswith("monai.networks.nets") else None


def _content(file: Path) -> dict[str, Any]:
    if file.suffix == ".json":
        return read_json_object(file)
    from softseg.yaml_text import load_yaml  # the only format of these that needs a package

    content = load_yaml(read_text(file, "a configuration"))
    if not isinstance(content, dict):
        raise InputError("expected named parts", file=file)
    return content


def _steps(content: Mapping[str, Any], key: str, file: Path) -> list[Any]:
    """Return the transforms of a part, ``Compose`` or a list, with those that it takes from other parts."""
    part = _followed(content.get(key), content)
    steps = _followed(part.get("transforms"), content) if isinstance(part, dict) else part
    if not isinstance(steps, list):
        raise InputError("expected a list of transforms", file=file, field=key)
    return [_followed(step, content) for step in steps]


def _followed(value: Any, content: Mapping[str, Any]) -> Any:
    """Return what a plain reference means, any other value as it is."""
    for _ in range(8):
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        found: Any = content
        for key in value[1:].replace("#", "::").split("::"):
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return value
        value = found
    return value


def class_name(step: Any) -> str:
    """Return the name of a step's class without the endings of dictionary transforms; empty where it has none."""
    target = str(step.get("_target_", "")) if isinstance(step, dict) else ""
    name = target.rpartition(".")[2]
    for ending in ("Dict", "D", "d"):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _keys(reader: Any, content: Mapping[str, Any]) -> tuple[str, ...]:
    keys = _followed(reader.get("keys"), content) if isinstance(reader, dict) else "image"
    found = [_followed(key, content) for key in (keys if isinstance(keys, list) else [keys])]
    return tuple(str(key) for key in found if key not in ("label", "pred")) or ("image",)


def _activation(after: list[Any], content: Mapping[str, Any], file: Path) -> str:
    """Return what the configuration makes of a network's numbers."""
    for step in after:
        if class_name(step) == "Activations":
            for kind in ("softmax", "sigmoid"):
                if _first(_followed(step.get(kind), content)) is True:
                    return kind
    raise InputError("names neither softmax nor sigmoid (Activationsd)", file=file, field="postprocessing")


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _inverting(steps: list[Any], key: str) -> list[Any]:
    """Let the step that takes probabilities back undo what is done here; add it where the bundle has none."""
    for step in steps:
        if class_name(step) == "Invert":
            step["transform"] = f"@{PREPARE}"
            return steps
    back = {"_target_": "Invertd", "keys": "pred", "transform": f"@{PREPARE}", "orig_keys": key}
    return [*steps, {**back, "nearest_interp": False}]
