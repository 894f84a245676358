"""``configs/inference.json`` of a MONAI bundle, so that ``monai.bundle`` runs a model without this product.

The bundle prepares and restores images as this product does; the expressions for that are in
:mod:`softseg.network.bundle_grids`. It reads cubes from 4D NIfTI files.
"""

from __future__ import annotations

from typing import Any

from softseg.data.cubes.bands import Bands
from softseg.data.plan import Plan
from softseg.network.architectures import network_config
from softseg.network.bundle_grids import SHARED, prepared
from softseg.network.heads import LEAST_DIVISOR, Head
from softseg.requests.names import file_name
from softseg.requests.predict import OVERLAP
from softseg.tree import LabelTree


def inference_config(plan: Plan, tree: LabelTree, head: Head) -> dict[str, Any]:
    """Return ``configs/inference.json``.

    It reads ``dataset_dir/*.nii.gz`` (one channel; with several, ``dataset_dir/*_<channel>.nii.gz``, with the channel
    as a file name) and writes a map of label values for each image into ``output_dir``. No text from people stands in
    it but as a file name, which MONAI's parser can take for nothing else.
    """
    return {
        **reading(plan),
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "network_def": network_config(plan.network, plan.inputs, head.out_channels, plan.dimensions),
        "network": "$@network_def.to(@device)",
        **preparing(plan, head),
        "inferer": inferer(plan),
        "save_labels": label_file(tree),
        "postprocessing": {"_target_": "Compose", "transforms": [*back(head), *results(tree)]},
        "checkpoint": "$@bundle_root + '/models/model.pt'",
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": [
            "$@network.load_state_dict(torch.load(@checkpoint, map_location=@device, weights_only=True))",
            f"$@network.register_forward_hook(lambda module, given, x: {of_a_window(head)})",
            "$@evaluator.run()",
        ],
    }


def reading(plan: Plan) -> dict[str, Any]:
    """Return where images are and what becomes of them, up to the data set."""
    suffixes = [f"_{name}.nii.gz" for name in map(file_name, plan.channels)] if len(plan.channels) > 1 else [".nii.gz"]
    return {
        "imports": [f"$import {name}" for name in ("functools", "glob", "math", "os", "torch", "numpy", "monai")],
        **SHARED,
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/predictions'",
        "save_probabilities": False,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "channels": [file_name(name) for name in plan.channels],
        "first_channel": "$sorted(glob.glob(os.path.join(@dataset_dir, '*' + @suffix)))",
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': [f[: -len(@suffix)] + s for s in @suffixes] if len(@suffixes) > 1 else f} "
            "for f in @first_channel]",
            "transform": "@preprocessing",
        },
        "suffixes": suffixes,
        "suffix": "$@suffixes[0]",
    }


def preparing(plan: Plan, head: Head, end: str = "") -> dict[str, Any]:
    """Return how an image becomes what the network sees, under names with an ``end``.

    The scan is read and turned (our ``(k, j, i)`` is MONAI's first, second and third axis) into ``scan``, from which
    ``image`` is made.
    """
    scan, image = f"scan{end}", f"image{end}"
    turn = [
        {"_target_": "LoadImaged", "keys": scan, "ensure_channel_first": True, "image_only": True},
        {"_target_": "Orientationd", "keys": scan, "axcodes": plan.orientation[::-1], "labels": None},
    ]
    steps = [
        {"_target_": "CopyItemsd", "keys": "image", "names": scan},
        f"@turn{end}",
        {"_target_": "Lambdad", "keys": scan, "func": f"@prepare{end}", "overwrite": image},
    ]
    return {
        **prepared(plan, _normalize(plan), head.background is not None, end),
        f"turn{end}": {"_target_": "Compose", "transforms": turn},
        f"preprocessing{end}": {"_target_": "Compose", "transforms": steps},
    }


def _normalize(plan: Plan) -> str:
    parts, start = [], 0
    for name in plan.channels:
        stop = start + (plan.bands[name].count if name in plan.bands else 1)
        x = f"x[{start}:{stop}]"
        parts.append(_bands(plan.bands[name], x) if name in plan.bands else _normalize_one(plan, name, x))
        start = stop
    return f"$lambda x: {parts[0]}" if len(parts) == 1 else f"$lambda x: torch.cat([{', '.join(parts)}])"


def _bands(how: Bands, x: str) -> str:
    """Do what :meth:`softseg.data.cubes.bands.Bands.apply` does to the bands ``x`` of a cube, ``[bands, k, j, i]``."""
    scaled = {
        "none": "v",
        "l1": "v / v.abs().sum(0, keepdim=True).clamp(min=1e-6)",
        "snv": "(v - v.mean(0, keepdim=True)) / v.std(0, keepdim=True, unbiased=False).clamp(min=1e-6)",
    }[how.per_pixel]
    mean, sd = (f"torch.tensor({list(values)}).reshape(-1, 1, 1, 1)" for values in (how.mean, how.sd))
    found = f"(lambda v: {scaled})({x}[{list(how.selected)}].float())"
    found = f"(({found} - {mean}) / {sd}.clamp(min=1e-6))"
    if how.components is None:
        return found
    return f"torch.einsum('ob,bkji->okji', torch.tensor({[list(row) for row in how.components]}), {found})"


def _normalize_one(plan: Plan, name: str, x: str) -> str:
    how = plan.normalization[name]
    if how.kind == "ct":
        return f"({x}.float().clamp({how.lower}, {how.upper}) - {how.mean}) / {how.sd}"
    if how.kind == "percentile":
        low, high = (1.0 if how.lower is None else how.lower), (99.0 if how.upper is None else how.upper)
        a, b = (f"float(numpy.percentile({x}.numpy(), {percent}))" for percent in (low, high))
        return f"(({x}.float() - {a}) / max({b} - {a}, 1e-6)).clamp(0, 1) * 2 - 1"
    part = f"(lambda v: v[v != 0])({x})" if how.kind == "z-score-nonzero" else x
    return f"({x}.float() - {part}.float().mean()) / {part}.float().std(unbiased=False)"


def inferer(plan: Plan) -> dict[str, Any]:
    """Return how windows are laid over the image, slice by slice for a 2D network."""
    window = {"roi_size": list(plan.patch_size), "overlap": OVERLAP, "mode": "gaussian", "sw_batch_size": 1}
    window["padding_mode"] = "replicate"  # of images smaller than a window, as in training
    if plan.dimensions == 2:
        return {"_target_": "SliceInferer", "spatial_dim": 0, **window}
    return {"_target_": "SlidingWindowInferer", **window}


def back(head: Head, end: str = "") -> list[dict[str, Any]]:
    """Return the steps from what the inferer says to probabilities on the grid of the scan, in ``pred`` and ``end``.

    What lies around the box that was predicted is background.
    """
    pred, scan = f"pred{end}", f"scan{end}"
    moved = f"$lambda d: {{**d, '{pred}': @to_scan(d['{pred}'], d['image{end}'], d['{scan}'])}}"
    inverted = {"_target_": "Invertd", "keys": pred, "transform": f"@turn{end}", "orig_keys": scan}
    return [
        *_of_a_volume(head, pred),
        {"_target_": "Lambda", "func": moved},
        *_around(head, pred),
        {**inverted, "nearest_interp": False, "to_tensor": True},
    ]


def _around(head: Head, key: str) -> list[dict[str, Any]]:
    if head.background is None:
        return []
    background = f"x[{head.background}].add_(1 - x.sum(0))"
    return [{"_target_": "Lambdad", "keys": key, "func": f"$lambda x: ({background}, x)[1]", "track_meta": True}]


def label_file(tree: LabelTree) -> dict[str, Any]:
    """Return the step that writes labels."""
    return _saved("labels", "$numpy.int32" if max(_values(tree)) > 65535 else "$numpy.uint16")


def results(tree: LabelTree) -> list[dict[str, Any] | str]:
    """Save the probabilities in ``pred`` on wish, then the labels.

    MONAI's writer adds a channel axis at the end or removes all axes of length 1 there, also that of an image of one
    slice. The labels therefore go in as ``[i, j, 1, k]``, which it takes to have two axes of spatial and ``k`` is
    the channel: it takes the third away and writes ``[i, j, k]``.
    """
    to_values = f"$lambda x: torch.tensor({_values(tree)}, device=x.device)[x[0].long()][:, :, None]"
    return [
        {
            **_saved("probabilities", "$numpy.float32"),
            "_disabled_": "$str(@save_probabilities).lower() not in ('true', '1', 'yes')",
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {"_target_": "Lambdad", "keys": "pred", "func": to_values},
        "$@save_labels.set_options(data_kwargs={'channel_dim': -1, 'spatial_ndim': 2})",
    ]


def _values(tree: LabelTree) -> list[int]:
    return [int(leaf.value or 0) for leaf in tree.leaves]


def _saved(what: str, dtype: str) -> dict[str, Any]:
    """Return the step that writes a file; an image of one slice keeps its three axes."""
    return {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": what,
        "output_dtype": dtype,
        "separate_folder": False,
        "squeeze_end_dims": False,
        "resample": False,
    }


def of_a_window(head: Head) -> str:
    """From raw outputs ``[B, channels, ...]`` of a window to what is averaged over windows, as our prediction does."""
    if head.name == "softmax":
        return "torch.softmax(x, 1)"
    if head.name == "godin":
        return f"torch.softmax(x[:, :-1] / torch.sigmoid(x[:, -1:]).clamp(min={LEAST_DIVISOR}), 1)"
    return "torch.relu(x)"


def _of_a_volume(head: Head, key: str) -> list[dict[str, Any]]:
    """From these averages ``[channels, k, j, i]`` to probabilities; only a NormReLU head needs the whole volume."""
    if head.name != "normrelu":
        return []
    if head.single:
        pair = ["1 - p", "p"] if head.background == 0 else ["p", "1 - p"]
        divided = f"(lambda p: torch.cat([{', '.join(pair)}]))(x / x.max().clamp(min=1e-12))"
    else:
        divided = "x / x.sum(0, keepdim=True).clamp(min=1e-12)"
    return [{"_target_": "Lambdad", "keys": key, "func": f"$lambda x: {divided}", "track_meta": True}]
