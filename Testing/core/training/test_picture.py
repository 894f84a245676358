"""The picture of a training, and what its legend names."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from softseg.training.curves import Curve
from softseg.training.picture import _draw_scores, draw_curve


def _curve() -> Curve:
    curve = Curve()
    for step in range(1, 21):
        curve.add(1 / step, 0.1)
    curve.scores = {
        step: {"dice/leaves": 0.5, "dice/level 1": 0.9, "dice/level 2": 0.5, "soft_dice/leaves": 0.04 * step}
        | {"soft_dice/level 2": 0.04 * step if step < 20 else 0.7}
        for step in (10, 20)
    }
    return curve


def test_a_level_that_says_what_the_leaves_say_is_not_drawn_over_them() -> None:
    axes = Figure().subplots()
    _draw_scores(axes, _curve())
    names = {line.get_label() for line in axes.lines}
    assert names == {"dice, leaves", "dice, level 1", "soft dice, leaves", "soft dice, level 2"}


def test_of_scribbles_accuracy_and_macro_f1_are_drawn() -> None:
    axes, curve = Figure().subplots(), _curve()
    for scores in curve.scores.values():
        scores |= {"f1/leaves": 0.4, "f1/level 1": 0.8, "accuracy/leaves": 0.6}
    _draw_scores(axes, curve)
    styles = {line.get_label(): line.get_linestyle() for line in axes.lines}
    assert styles == {"macro F1, leaves": "-", "macro F1, level 1": "-", "accuracy, leaves": ":"}
    assert "labelled voxels" in axes.get_ylabel()


def test_the_picture_is_drawn_with_and_without_validation(tmp_path: Path) -> None:
    for name, curve, height in (("with", _curve(), 825), ("without", Curve(), 506)):
        draw_curve(curve, tmp_path / f"{name}.png", "title")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (1100, height)
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 10
