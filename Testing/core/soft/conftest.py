"""Small trees, grids and distributions for the tests of softseg.soft."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.image import Geometry
from softseg.tree import LabelTree, Node


@pytest.fixture(scope="session")
def small_tree() -> LabelTree:
    """Head > background, brain > {cortex > left, right; nuclei > putamen, caudate; stem}."""
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", value=0),
            Node("brain", "brain", "head"),
            Node("cortex", "cortex", "brain"),
            Node("left", "left cortex", "cortex", value=7),
            Node("right", "right cortex", "cortex", value=3),
            Node("nuclei", "nuclei", "brain", value=40),
            Node("putamen", "putamen", "nuclei", value=12),
            Node("caudate", "caudate", "nuclei", value=11),
            Node("stem", "brain stem", "brain", value=200),
        ],
        name="small",
    )


def wide_tree(leaves: int, *, background: bool = True) -> LabelTree:
    """A tree of three levels with many leaves."""
    nodes = [Node("root", "root", None)]
    first = 0 if background else 1
    if background:
        nodes.append(Node("background", "background", "root", value=0))
    for number in range(1, leaves + first):
        group, half = f"group {(number - 1) // 7}", f"half {(number - 1) // 70}"
        for id_, parent in ((half, "root"), (group, half)):
            if id_ not in [node.id for node in nodes]:
                nodes.append(Node(id_, id_, parent))
        nodes.append(Node(f"leaf {number}", f"leaf {number}", group, value=number))
    return LabelTree(nodes[: len(nodes)])


def turned(
    size: tuple[int, int, int], spacing: tuple[float, float, float], angles: tuple[float, float] = (0.0, 0.0)
) -> Geometry:
    """A grid centred on the origin of space, turned by two angles (radians)."""
    a, b = angles
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    direction = about_z @ about_x
    origin = -direction @ (np.asarray(spacing) * (np.asarray(size) - 1) / 2)
    x, y, z = (float(value) for value in origin)
    return Geometry(size, spacing, (x, y, z), tuple(float(value) for value in direction.ravel()))


def blobs(classes: int, shape: tuple[int, int, int], seed: int = 0, sharp: float = 4.0) -> np.ndarray:
    """A smooth random distribution ``(classes, *shape)``, float32, with much of class 0 at the border."""
    from scipy import ndimage

    random = np.random.default_rng(seed)
    field = np.stack([ndimage.gaussian_filter(random.normal(size=shape), 1.5) for _ in range(classes)])
    field *= sharp / field.std()
    centre = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    field[0] += 8 * sharp * np.clip((centre**2).sum(axis=0) - 0.6, -0.6, 1)
    probability = np.exp(field - field.max(axis=0))
    return (probability / probability.sum(axis=0)).astype(np.float32)


@pytest.fixture(scope="session")
def helpers() -> dict:
    """The functions above, for test modules (they cannot import a conftest)."""
    return {"wide_tree": wide_tree, "turned": turned, "blobs": blobs}
