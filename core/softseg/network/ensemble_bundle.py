"""``configs/inference.json`` of an ensemble folder: the mean of its members, by MONAI alone.

MONAI's ``EnsembleEvaluator`` gives all networks the same prepared image. Members of this product may turn and resample
the scan differently, so here each has its own copy of it, and its network is a transform between preparing the copy
and taking the probabilities back to the grid of the scan, where ``MeanEnsembled`` averages them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softseg.ensemble_file import MEMBERS
from softseg.network.architectures import network_config
from softseg.network.bundle import back, inferer, label_file, of_a_window, preprocessing, reading, results

if TYPE_CHECKING:
    from softseg.network.model_folder import Model


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
        image, pred, head = f"image_{n}", f"pred_{n}", model.head
        config |= {
            f"network_def_{n}": network_config(
                model.plan.network, model.plan.inputs, head.out_channels, model.plan.dimensions
            ),
            f"network_{n}": f"$@network_def_{n}.to(@device).eval().requires_grad_(False)",
            f"checkpoint_{n}": f"$@bundle_root + '/{MEMBERS}/' + @member_names[{n}] + '/models/model.pt'",
            f"preprocessing_{n}": {"_target_": "Compose", "transforms": preprocessing(model.plan, image)},
            f"inferer_{n}": inferer(model.plan),
        }
        network = f"$lambda x: @inferer_{n}(x[None].to(@device), @network_{n})[0].cpu()"
        steps += [
            f"@preprocessing_{n}",
            {"_target_": "Lambdad", "keys": image, "func": network, "overwrite": pred},
            *back(model.plan, head, pred, image, f"@preprocessing_{n}"),
            {"_target_": "DeleteItemsd", "keys": image},
        ]
        weights.append(
            f"$@network_{n}.load_state_dict(torch.load(@checkpoint_{n}, map_location=@device, weights_only=True))"
        )
        hooks.append(f"$@network_{n}.register_forward_hook(lambda module, given, x: {of_a_window(head)})")
    preds = [f"pred_{n}" for n in range(len(models))]
    steps += [
        {"_target_": "MeanEnsembled", "keys": preds, "output_key": "pred"},
        {"_target_": "DeleteItemsd", "keys": preds},
        *results(tree),
    ]
    copies = "$lambda d: {key: d['image'] for key in @image_keys}"
    return {
        **config,
        "image_keys": [f"image_{n}" for n in range(len(models))],
        "preprocessing": {"_target_": "Lambda", "func": copies},
        "save_labels": label_file(tree),
        "prediction": {"_target_": "Compose", "transforms": steps},
        "run": [*weights, *hooks, "$[@prediction(case) and None for case in @dataset]"],
    }
