"""The memory and time that a prediction will take, reported before it starts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from softseg.errors import OutOfMemoryError
from softseg.events import Events
from softseg.image import Geometry
from softseg.prediction.layout import WindowLayout
from softseg.prediction.sweep import WindowPredictor
from softseg.soft.blocks import Index
from softseg.system import free_memory, held_memory


@dataclass(frozen=True)
class Work:
    """The sizes that memory depends on.

    Attributes
    ----------
    leaves: of the tree.
    channels: of the network's output.
    window: bytes that the network takes for one pass, see :class:`softseg.backends.Backend`.
    unfinished: voxels that change at the worst time, of all pictures.
    block: voxels of the largest block, rims included.
    rims: voxels of the rims kept of finished blocks.
    plan_voxels: of the model's grid.
    pictures: how many versions of the image are predicted.
    inputs: channels of the image.
    target_voxels: of the scan.
    maps: soft maps of nodes that are wanted.
    whole: whether all probabilities must be there at once (cleaning).
    kept: bytes of maps on the plan's grid.
    scores: outlier scores that are computed beside the probabilities.
    """

    leaves: int
    channels: int
    window: int
    unfinished: int
    block: int
    rims: int
    plan_voxels: int
    target_voxels: int
    pictures: int = 1
    inputs: int = 1
    maps: int = 0
    whole: bool = False
    kept: int = 0
    scores: int = 0

    @property
    def needed(self) -> int:
        """Estimated bytes beside what the process holds already."""
        leaf_bytes = 4 * (self.leaves + self.scores)
        unfinished = self.unfinished * (4 * (self.channels + self.scores) + 4)
        blocks = self.rims * leaf_bytes + self.block * leaf_bytes * (2 + (self.pictures > 1) * (self.pictures + 2))
        pictures = 4 * self.plan_voxels * self.inputs * (self.pictures + 1)
        stored = (_STORED + self.scores) * self.target_voxels + 4 * self.target_voxels * self.maps
        whole = self.plan_voxels * leaf_bytes if self.whole else 0
        return pictures + stored + whole + self.kept + unfinished + max(self.window, blocks)


_STORED = 38  # bytes per voxel of the scan: what is stored of it, and labels, counts and volumes made from that


def work_of(
    runner: WindowPredictor,
    layout: WindowLayout,
    rim: Index,
    grid: Geometry,
    target: Geometry,
    maps: int,
    whole: bool,
    *,
    members: int = 1,
    kept: int = 0,
) -> Work:
    """Return the sizes of one case.

    Parameters
    ----------
    runner, layout: how it is predicted.
    rim: what resampling keeps of finished blocks.
    grid, target: of the model and of the scan.
    maps: wanted soft maps.
    whole: whether all probabilities must be there at once.
    members: networks that predict side by side.
    kept: bytes of maps on the plan's grid.
    """
    picture = layout.pictures[0]
    edges = layout.partition.edges
    extents = [line[-1] - line[0] for line in edges]
    widest = [max(after - before for before, after in itertools.pairwise(line)) for line in edges]
    slow, middle, fast = layout.partition.order
    rims = rim[slow] * extents[middle] * extents[fast]
    rims += (widest[slow] + rim[slow]) * (rim[middle] * extents[fast] + (widest[middle] + rim[middle]) * rim[fast])
    scores = () if runner.scorer is None else runner.scorer.scores
    return Work(
        leaves=runner.head.classes,
        channels=runner.channels,
        window=runner.backend.memory(
            picture.volume.shape[0],
            picture.grid.patch,
            runner.batch_size,
            gradient=any(score.needs == "gradient" for score in scores),
        ),
        unfinished=layout.most_open() * members,
        block=math.prod(size + part for size, part in zip(widest, rim, strict=True)),
        rims=rims,
        plan_voxels=math.prod(grid.shape),
        target_voxels=math.prod(target.shape),
        pictures=len(layout.pictures) * members,
        inputs=picture.volume.shape[0],
        maps=maps,
        whole=whole,
        kept=kept,
        scores=len(scores),
    )


def announce(work: Work, device: object, events: Events) -> Callable[[float], None]:
    """Report the peak memory of the process; return a function to report the time, once that is known.

    Raises
    ------
    OutOfMemoryError: it is more than is free.
    """
    held, free = held_memory(), free_memory()
    total = held + work.needed
    events.estimate(
        f"about {total / 1e9:.2f} GB of memory will be needed, {held / 1e9:.2f} GB of it are held already; "
        f"{free / 1e9:.1f} GB are free",
        memory=total,
        free=free,
    )
    require_free(work.needed, free)

    def timed(seconds: float) -> None:
        events.estimate(f"about {_duration(seconds)} for all windows on {device}", seconds=seconds)

    return timed


def require_free(needed: int, free: int | None = None) -> None:
    """Raise :class:`OutOfMemoryError` if fewer bytes are free (by default: now) than will be needed."""
    free = free_memory() if free is None else free
    if needed > free:
        raise OutOfMemoryError(f"{needed / 1e9:.1f} GB more are needed, but only {free / 1e9:.1f} GB are free")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
