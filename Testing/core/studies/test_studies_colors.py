"""Ten variants of a study can be told apart in its charts, also with a colour vision deficiency."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("matplotlib", reason="what draws reports is not installed")

from softseg.evaluation.charts import PAGE_WIDTH
from softseg.studies.report import charts

Numbers = npt.NDArray[np.float64]

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
VISION = {
    name: np.array(rows).reshape(3, 3)
    for name, rows in {
        "normal": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "protanopia": [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
        "deuteranopia": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
        "tritanopia": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
    }.items()
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)


def cielab(color: str, vision: str) -> Numbers:
    channels = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / (0.95047, 1.0, 1.08883)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_cielab_of_known_colors() -> None:
    assert cielab("#ffffff", "normal") == pytest.approx([100, 0, 0], abs=0.02)
    assert cielab("#ff0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


@pytest.mark.parametrize(
    ("vision", "least"), [("normal", 40), ("protanopia", 25), ("deuteranopia", 25), ("tritanopia", 25)]
)
def test_ten_variants_are_distinct(vision: str, least: float) -> None:
    assert len(charts.COLORS) == 10
    places = [cielab(color, vision) for color in charts.COLORS]
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > least
    paper = cielab("#ffffff", vision)
    assert min(np.linalg.norm(place - paper) for place in places) > 20


def test_twenty_variants_differ_by_color_or_marker() -> None:
    names = [f"variant {number}" for number in range(20)]
    colors, markers = charts.color_of(names), charts.marker_of(names)
    assert len({(colors[name], markers[name]) for name in names}) == 20


def test_charts_are_as_wide_as_the_page_and_join_nothing_without_order() -> None:
    variants = [f"variant-{number}" for number in range(10)]
    table = {
        name: {f"subject {case}": 0.05 * place + 0.01 * case for case in range(4)}
        for place, name in enumerate(variants)
    }
    interval = dict.fromkeys(variants, (0.1, 0.0, 0.2))
    curve = ([0.1, 0.5, 0.9], [0.2, 0.5, 0.8])
    dots = charts.subject_dots({"Dice": table}, variants, "person")
    every = [
        dots,
        charts.level_bars({1: table}, variants),
        charts.gains({"Dice": interval}, variants, variants[0]),
        charts.score_grid([[0.5, 0.9]], ["one"], ["a", "b"], "scores", 0.3),
        charts.learning_curves({"variant-1": [([1, 2], [0.1, 0.2])]}, "dice", variants, "learning"),
        charts.size_gain({"variant-1": [(0.1, 0.2)]}, variants, "Dice"),
        charts.reliability({"variant-1": curve}, "reliability", variants),
    ]
    assert [figure.get_figwidth() for figure in every] == [PAGE_WIDTH] * len(every)
    assert not dots.axes[0].lines, "variants have no order: nothing joins them"
    assert sum(len(points.get_offsets()) for points in dots.axes[0].collections if hasattr(points, "get_sizes")) >= 40
