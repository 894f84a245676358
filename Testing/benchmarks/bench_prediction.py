"""Prediction of 134 structures and background on 182 x 218 x 182 voxels, against MONAI's sliding windows + softmax.

Both sides get the same network and windows: those of MONAI's defaults (overlap 0.25, every window computed), logits
averaged with the same Gaussian weight. MONAI ends with a dense float32 distribution, this product with a soft
parcellation. The network is the coronal member of the shipped brain-134 at half the resolution: window in, averaged to
2 mm, predicted slice by slice, enlarged again. It gives distributions as those of a head and is cheap, so that what it
takes beside is seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from measure import Line, peak_memory, timed
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from softseg.backends.torch_backend import TorchBackend
from softseg.demo.scan import read_maps
from softseg.events import Events
from softseg.image import Geometry
from softseg.network import FittedOutliers, Model, ModelFolder
from softseg.prediction.layout import WindowLayout
from softseg.prediction.probabilities import probabilities_of_blocks
from softseg.prediction.scoring import WindowScorer
from softseg.prediction.step_map import StepMap
from softseg.prediction.sweep import Blend, WindowPredictor
from softseg.resources import model_path
from softseg.soft.blocks import BlockResampler
from softseg.soft.compress import Compressor
from softseg.soft.parcellation import SoftParcellation
from softseg.types import FloatArray

SUITE = "prediction"
FULL, QUICK = (182, 218, 182), (96, 96, 96)
WINDOW = (64, 64, 64)
OVERLAP = 0.25
SCORE = "entropy"
"""The most expensive outlier score of those that need no gradient."""


class HalfResolution(nn.Module):
    """A network of coronal slices between averaging over 2 x 2 x 2 voxels and linear interpolation back."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits ``[B, C, k, j, i]``."""
        coarse = nn.functional.avg_pool3d(batch, 2)
        slices = coarse.permute(0, 3, 1, 2, 4)  # one below the other, k down and i across
        logits = self.network(slices.flatten(0, 1))
        small = logits.unflatten(0, slices.shape[:2]).permute(0, 2, 3, 1, 4)
        return nn.functional.interpolate(small, scale_factor=2, mode="trilinear", align_corners=False)


def run(quick: bool) -> list[Line]:
    """Measure time, memory and agreement; ``quick`` takes 96 x 96 x 96 voxels."""
    shape = QUICK if quick else FULL
    ours, peer = ours_of(*shape), peer_of(*shape)
    note = f"{' x '.join(map(str, shape))} voxels, windows of 64, overlap {OVERLAP}"
    window = peak_memory(window_of)
    memory = [(peak_memory(prepare, *shape) - window) / 1e6 for prepare in (ours_of, peer_of)]
    ours_seconds, stored = timed(ours)
    peer_seconds, dense = timed(peer)
    differing, error = _compared(stored, dense)  # type: ignore[arg-type]
    scores = [timed(prepare(*shape))[0] for prepare in (scored_of, unscored_of)]
    score_memory = [(peak_memory(prepare, *shape) - window) / 1e6 for prepare in (scored_of, unscored_of)]
    named = "MONAI + softmax"
    return [
        Line(SUITE, "time", ours_seconds, peer_seconds, "s", named, 1.05, note),
        Line(
            SUITE, "memory over the bare network", *memory, "MB", named, 0.1, f"{note}; network {window / 1e6:.0f} MB"
        ),
        Line(SUITE, "time with an outlier score", *scores, "s", "without", 1.2, f"{SCORE}; {note}"),
        Line(SUITE, "memory with an outlier score", *score_memory, "MB", "without", 1.05, f"{SCORE}; {note}"),
        Line(SUITE, "voxels of another label", 100 * differing, 0.01, "%", "limit", 1.0, note),
        Line(SUITE, "largest error of any node", error, 0.01, "share", "limit", 1.0, "all nodes, all voxels"),
    ]


@cache
def _model() -> tuple[Model, nn.Module]:
    model = ModelFolder.load(model_path("brain-134") / "members" / "coronal")
    return model, HalfResolution(model.network).eval()


@cache
def _volume(shape: tuple[int, int, int]) -> FloatArray:
    """Return the middle of a real head at 1 mm, normalised as the model's plan says."""
    with tempfile.TemporaryDirectory() as folder:
        image = read_maps(Path(folder)).t1.array.astype(np.float32)
    brain = image[image != 0]
    image = (image - brain.mean()) / brain.std()
    lacks = [max(0, size - there) for size, there in zip(shape, image.shape, strict=True)]
    image = np.pad(image, [(lack // 2, lack - lack // 2) for lack in lacks], constant_values=image.min())
    first = [(there - size) // 2 for size, there in zip(shape, image.shape, strict=True)]
    box = tuple(slice(start, start + size) for start, size in zip(first, shape, strict=True))
    return np.ascontiguousarray(image[box])[None]


def window_of() -> Callable[[], object]:
    """Return one pass of the bare network."""
    _, network = _model()
    batch = torch.from_numpy(_volume(QUICK))[None, :, :64, :64, :64].contiguous(memory_format=torch.channels_last_3d)

    def once() -> None:
        with torch.inference_mode():
            network(batch)

    with torch.inference_mode():
        network(batch[..., :32, :32, :32])
    return once


def ours_of(*shape: int) -> Callable[[], SoftParcellation]:
    """Return the streaming prediction, from the volume to the soft parcellation."""
    return _streaming(*shape, blend="logits", scored=False)


def unscored_of(*shape: int) -> Callable[[], SoftParcellation]:
    """Return the streaming prediction as it is by default: probabilities are averaged where windows overlap."""
    return _streaming(*shape, blend="probabilities", scored=False)


def scored_of(*shape: int) -> Callable[[], SoftParcellation]:
    """Return the same with an outlier score beside the probabilities."""
    return _streaming(*shape, blend="probabilities", scored=True)


def _streaming(*shape: int, blend: Blend, scored: bool) -> Callable[[], SoftParcellation]:
    window_of()
    model, network = _model()
    fitted = FittedOutliers(SCORE, threshold=1.0, low=0.0, high=5.0)
    volume = _volume((shape[0], shape[1], shape[2]))
    grid = Geometry((shape[2], shape[1], shape[0]))

    def predict() -> SoftParcellation:
        resampler = BlockResampler(grid, grid, model.head.classes, model.head.background)
        layout = WindowLayout.whole(volume, WINDOW, resampler.rim, OVERLAP)
        steps = StepMap(fitted, grid, grid)
        scorer = WindowScorer.of(model, [fitted], steps.begin(layout.partition)) if scored else None
        backend = TorchBackend(network, model.head, 3, torch.device("cpu"), torch.float32)
        runner = WindowPredictor(backend, model.head, blend=blend, scorer=scorer)
        compressor = Compressor(model.head.classes, model.head.background, grid.shape, 8)
        blocks = probabilities_of_blocks(runner, layout, np.arange(model.head.classes), Events())
        for piece in resampler.resampled(blocks, layout.partition):
            compressor.add(*piece)
        stored = compressor.stored()
        outliers = steps.stored() if scored else None
        return SoftParcellation(model.tree, grid, *stored[:4], k=8, node_error=stored.node_error, outliers=outliers)

    return predict


def peer_of(*shape: int) -> Callable[[], FloatArray]:
    """Return MONAI's sliding windows and a softmax."""
    window_of()
    _, network = _model()
    volume = torch.from_numpy(_volume((shape[0], shape[1], shape[2])))[None]

    def predict() -> FloatArray:
        with torch.inference_mode():
            logits = sliding_window_inference(volume, WINDOW, 1, network, OVERLAP, mode="gaussian")
            return np.asarray(torch.softmax(logits, 1)[0].numpy())  # type: ignore[call-overload]

    return predict


def _compared(stored: SoftParcellation, dense: FloatArray) -> tuple[float, float]:
    """Return the fraction of voxels with another label, and the largest error of any node in any voxel."""
    tree = stored.tree
    leaves = tree.cut_at(tree.depth)
    expected = np.asarray(leaves.values)[leaves.position_of_leaf[dense.argmax(axis=0)]]
    differing = float((stored.labels(leaves) != expected).mean())
    error = 0.0
    for node in tree.nodes:
        exact = dense[tree.leaf_slice(node.id)].sum(axis=0)
        error = max(error, float(np.abs(stored.probability(node.id) - exact).max()))
    return differing, error
