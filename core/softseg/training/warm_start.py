"""Starting from weights that an earlier training left: a finished model folder or a run that was stopped."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from softseg.errors import InputError
from softseg.network import ModelFolder, read_weights

_AVERAGED = "module."


def start_from(source: str | Path, network: nn.Module) -> tuple[int, int]:
    """Copy every weight whose name and shape agree into ``network``; return how many of how many.

    Parameters
    ----------
    source: a model folder, or the folder of a run, whose last checkpoint is taken (the mean of its weights if it keeps
        one).
    network: the network that is about to be trained.

    Raises
    ------
    InputError: neither kind of folder, damaged, or no weight fits.
    """
    checkpoint = Path(source) / "checkpoints" / "last.pt"
    given = _of_run(checkpoint) if checkpoint.is_file() else ModelFolder.load(source).network.state_dict()
    target = network.state_dict()
    fitting = {
        name: value
        for name, value in given.items()
        if isinstance(value, Tensor) and name in target and target[name].shape == value.shape
    }
    if not fitting:
        raise InputError("no weight in it fits the network of the plan", file=source, field="init")
    network.load_state_dict(target | fitting)
    return len(fitting), len(target)


def _of_run(checkpoint: Path) -> dict[str, Tensor]:
    state = read_weights(checkpoint)
    average = state.get("average")
    weights = state.get("network") if average is None else average
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise InputError("is not a checkpoint of softseg", file=checkpoint)
    if average is None:
        return weights
    return {name.removeprefix(_AVERAGED): value for name, value in weights.items() if name.startswith(_AVERAGED)}
