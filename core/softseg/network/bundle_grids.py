"""Grids of a MONAI bundle, as expressions of its configuration: crop, resample, and back.

They say what :mod:`softseg.data.preprocess`, :mod:`softseg.soft.grids` and :mod:`softseg.prediction.window_grid` do, in
PyTorch and MONAI alone, so that ``monai.bundle`` predicts the same labels without this product. MONAI's own
``Spacing`` samples points where a coarser grid needs means over voxels, and a crop that follows it moves the grid by up
to half a voxel; at the border of a thin structure both change labels.

Images are ``[channels, k, j, i]``. A matrix ``t`` (4 x 4) leads from voxels of one grid to voxels of another.
"""

from __future__ import annotations

from softseg.data.plan import Plan
from softseg.requests.predict import CONTENT_STEP

_KERNEL = (
    "$lambda n, m, scale, first: (lambda c, s, r: (lambda w: (w * ((c > -0.500001) & (c < m - 0.499999)) / "
    "w.sum(1, keepdim=True).clamp(min=1e-9)).float())((torch.minimum(c + r, s + 0.5) - torch.maximum(c - r, s - 0.5))"
    ".clamp(min=0)))(first + scale * torch.arange(n).double()[:, None], torch.arange(m).double(), "
    "max(1.0, abs(scale)) / 2)"
)
_MOVED = (
    "$lambda v, t, shape: (lambda out: ([out[n].copy_(functools.reduce(lambda x, a: x if x.shape[a] == shape[a] "
    "and abs(t[a, a] - 1) * shape[a] + abs(t[a, 3]) < 1e-4 else torch.tensordot(x, "
    "@kernel(shape[a], x.shape[a], float(t[a, a]), float(t[a, 3])), ([a], [1])).movedim(-1, a), "
    "range(3), v[n])) for n in range(len(v))], out)[1])(torch.empty((len(v), *shape)))"
)
_TO_SCAN = (
    "$lambda pred, image, scan: monai.data.MetaTensor(@moved(pred.as_tensor().cpu(), "
    "image.affine.double().inverse().mm(scan.affine.double()), scan.shape[1:]), meta=scan.meta, "
    "applied_operations=scan.applied_operations)"
)
_MATRIX = "$lambda scale, first: torch.tensor([[s if a == b else 0.0 for b in range(3)] + [f] for a, (s, f) in "
_MATRIX += "enumerate(zip(scale, first))] + [[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)"

SHARED = {"kernel": _KERNEL, "moved": _MOVED, "matrix": _MATRIX, "to_scan": _TO_SCAN}
"""Expressions that every plan uses: weights ``[n, m]`` of source voxels in target voxels along an axis (linear, or the
mean over a voxel that is larger), channels moved to a grid, the matrix of a scale and first voxel, and probabilities of
a prepared image on the grid of its scan, zero outside."""


def prepared(plan: Plan, normalized: str, skip_empty: bool, end: str = "") -> dict[str, str]:
    """Return the expressions of a plan; ``@prepare`` is the one from a turned scan to what the network sees.

    Parameters
    ----------
    plan: what is prepared.
    normalized: expression of a function of ``x``, the scan's intensities as a tensor.
    skip_empty: whether only the box around what is no background is predicted.
    end: of the names, for plans beside each other.
    """
    box = f"@crop{end}(x)"
    inside = "(slice(None), *box)"
    values = f"@normalize{end}(x.as_tensor()[{inside}])"
    if plan.crop.kind != "center":  # there, what lies around the box must not set the scale of intensities
        values = f"@normalize{end}(x.as_tensor())[{inside}]"
    return {
        f"normalize{end}": normalized,
        f"crop{end}": _crop(plan),
        f"grid{end}": _grid(plan),
        f"content{end}": _content(plan) if skip_empty else "$lambda v: [slice(0, n) for n in v.shape[1:]]",
        f"prepare{end}": f"$lambda x: (lambda box: (lambda v, t: (lambda part: monai.data.MetaTensor("
        "v[(slice(None), *part)].contiguous(), affine=x.affine.double().mm(t).mm(@matrix([1.0] * 3, "
        f"[float(s.start) for s in part]))))(@content{end}(v)))(*(lambda n, t: (@moved({values}, t, n), "
        f"@matrix([1.0] * 3, [float(s.start) for s in box]).mm(t)))(*@grid{end}([s.stop - s.start for s in box], "
        f"x.pixdim))))({box})",
    }


def _crop(plan: Plan) -> str:
    """From a turned scan to the slices that are kept; see :func:`softseg.data.preprocess.crop_box`."""
    if plan.crop.kind == "center":
        kept = "n if s is None else min(n, max(1, round(s / float(f))))"
        sizes = f"zip(x.shape[1:], {list(plan.crop.size_mm)}, x.pixdim)"
        return f"$lambda x: [slice((n - m) // 2, (n - m) // 2 + m) for n, m in ((n, {kept}) for n, s, f in {sizes})]"
    if plan.crop.kind == "nonzero":
        margin = f"math.ceil({plan.crop.margin_mm} / float(f))"
        low_high = "slice(max(0, int(w[0]) - g), min(n, int(w[-1]) + 1 + g)) if len(w) else slice(0, n) for n, w, g in"
        ends = f"((n, torch.nonzero((x != 0).as_tensor().any(0).movedim(a, 0).flatten(1).any(1))[:, 0], {margin})"
        return f"$lambda x: [{low_high} {ends} for a, (n, f) in enumerate(zip(x.shape[1:], x.pixdim)))]"
    return "$lambda x: [slice(0, n) for n in x.shape[1:]]"


def _grid(plan: Plan) -> str:
    """From a shape and its voxels in mm to the plan's shape and the matrix; see :meth:`Geometry.resampled`."""
    if all(value is None for value in plan.spacing):
        return "$lambda shape, mm: (list(shape), torch.eye(4, dtype=torch.float64))"
    sizes = "[(n, float(f), float(f) if s is None else s, 1 if s is None else 0) for n, f, s in "
    sizes += f"zip(shape, mm, {list(plan.spacing)})]"
    count = "n if same else max(1, math.ceil(n * f / s - 0.001))"
    first = "((n * f - s * m) / 2 + (s - f) / 2) / f"
    return (
        f"$lambda shape, mm: (lambda axes: ([m for m, *_ in axes], @matrix([s / f for _, n, f, s in axes], "
        f"[{first} for m, n, f, s in axes])))([({count}, n, f, s) for n, f, s, same in {sizes}])"
    )


def _content(plan: Plan) -> str:
    """From prepared values to the slices that windows lie over; see :func:`window_grid.content_box`."""
    patch = [1, *plan.patch_size] if plan.dimensions == 2 else list(plan.patch_size)
    step = CONTENT_STEP
    around = f"(w[0] // {step} * {step}, min(n, -(-(w[1] + 1) // {step}) * {step}))"
    middle = "(lambda first: (first, first + p))(min(max(0, (w[0] + w[1] + 1 - p) // 2), n - p))"
    line = f"{middle} if w[1] + 1 - w[0] <= p <= n else {around}" if plan.dimensions == 2 else around
    # a box smaller than a window grows to one, as far as the image reaches
    grown = "(lambda b: (lambda stop: slice(max(0, stop - min(p, n)) if b[1] - b[0] < min(p, n) else b[0], stop))"
    grown += "(min(n, b[0] + max(b[1] - b[0], min(p, n)))))"
    some = "(v > v.amin((1, 2, 3), keepdim=True)).any(0)"
    lines = "(some.movedim(a, 0).flatten(1).any(1).nonzero()[[0, -1], 0].tolist(), n, p) for a, (n, p) in "
    lines += f"enumerate(zip(v.shape[1:], {patch}))"
    found = f"[{grown}({line}) for w, n, p in ({lines})] if some.any() else [slice(0, n) for n in v.shape[1:]]"
    return f"$lambda v: (lambda some: {found})({some})"
