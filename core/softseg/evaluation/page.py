"""HTML pages that stand alone: templates filled with jinja2, all pictures inside, nothing loaded from anywhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from softseg.files import write_beside

TEMPLATES = Path(__file__).with_name("templates")


def write_page(template: str, path: Path, values: dict[str, Any]) -> Path:
    """Fill ``template`` with ``values`` and write the page; every text is escaped.

    Raises
    ------
    InputError: the file cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, spread=spread, percent=percent)
    page = environment.get_template(template).render(values)
    with write_beside(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals, a dash for nothing."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def volume_text(millilitres: float) -> str:
    """Return a volume with three digits that count, and whole millilitres from 100 on."""
    return f"{millilitres:.0f}" if millilitres >= 100 else f"{millilitres:.3g}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a number with a percent sign, a dash for nothing."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f} %"


def spread(metric: dict[str, float], digits: int = 3) -> Markup:
    """Return the mean and, smaller, ± the standard deviation; the mean alone for one case."""
    mean = number(metric["mean"], digits)
    if metric["n"] > 1 and math.isfinite(metric["sd"]):
        return Markup("{} <small>± {}</small>").format(mean, number(metric["sd"], digits))
    return Markup("{}").format(mean)
