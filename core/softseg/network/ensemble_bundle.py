"""An ensemble folder as a MONAI bundle: the mean of its members, by MONAI alone.

MONAI's ``EnsembleEvaluator`` gives all networks the same prepared image. Members of this product may turn and resample
the scan differently, so here each has its own copy of it, and its network is a transform between preparing the copy
and taking the probabilities back to the grid of the scan, where they are added up one after another: ``MeanEnsembled``
would hold those of all members at once, and twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg.ensemble_file import MEMBERS, EnsembleFile
from softseg.network.architectures import network_config
from softseg.network.bundle import back, inferer, label_file, of_a_window, preparing, reading, results
from softseg.network.bundle_metadata import ensemble_metadata_config
from softseg.network.folder_files import write_json

if TYPE_CHECKING:
    from softseg.network.model_folder import Model

_ADDED = "$lambda d: {{**d, 'pred': d['{pred}'] if 'pred' not in d else d['pred'].add_(d['{pred}'])}}"


def write_bundle(folder: Path, file: EnsembleFile, models: Sequence[Model]) -> None:
    """Write the two configurations of an ensemble into its folder."""
    (folder / "configs").mkdir()
    first = models[0]
    metadata = ensemble_metadata_config(first.plan, first.tree, file.name, file.members, file.details)
    write_json(folder / "configs" / "metadata.json", metadata)
    write_json(folder / "configs" / "inference.json", ensemble_inference_config(file.members, models))


def ensemble_inference_config(names: Sequence[str], models: Sequence[Model]) -> dict[str, Any]:
    """Return ``configs/inference.json`` of an ensemble; what it reads and writes is what that of a member does.

    Parameters
    ----------
    names: of the members' folders, file names.
    models: the members, of one tree and the same channels.
    """
    plan, tree = models[0].plan, models[0].tree
    config = {**reading(plan), "member_names": list(names)}
    steps: list[dict[str, Any] | str] = []
    weights, hooks = [], []
    for n, model in enumerate(models):
        end, head = f"_{n}", model.head
        network = network_config(model.plan.network, model.plan.inputs, head.out_channels, model.plan.dimensions)
        config |= {
            f"network_def{end}": network,
            f"network{end}": f"$@network_def{end}.to(@device).eval().requires_grad_(False)",
            f"checkpoint{end}": f"$@bundle_root + '/{MEMBERS}/' + @member_names[{n}] + '/models/model.pt'",
            **preparing(model.plan, head, end),
            f"inferer{end}": inferer(model.plan),
        }
        predicted = f"$lambda x: @inferer{end}(x[None].to(@device), @network{end})[0].cpu()"
        steps += [
            f"@preprocessing{end}",
            {"_target_": "Lambdad", "keys": f"image{end}", "func": predicted, "overwrite": f"pred{end}"},
            *back(head, end),
            {"_target_": "Lambda", "func": _ADDED.format(pred=f"pred{end}")},
            {"_target_": "DeleteItemsd", "keys": [f"scan{end}", f"image{end}", f"pred{end}"]},
        ]
        weights.append(
            f"$@network{end}.load_state_dict(torch.load(@checkpoint{end}, map_location=@device, weights_only=True))"
        )
        hooks.append(f"$@network{end}.register_forward_hook(lambda module, given, x: {of_a_window(head)})")
    steps += [
        {"_target_": "Lambdad", "keys": "pred", "func": f"$lambda x: x.div_({len(models)})", "track_meta": True},
        *results(tree),
    ]
    return {
        **config,
        "save_labels": label_file(tree),
        "preprocessing": {"_target_": "Identity"},
        "prediction": {"_target_": "Compose", "transforms": steps},
        "run": [*weights, *hooks, "$[@prediction(case) and None for case in @dataset]"],
    }
