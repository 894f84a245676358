"""What goes beside the maps of a case on wish: a picture, a page about the result, a table with intensities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg.errors import InputError
from softseg.events import Events
from softseg.image import read_image
from softseg.prediction.licences import is_permissive
from softseg.prediction.model_summary import ModelSummary
from softseg.requests.lists import split_list
from softseg.requests.manifest import OutputFile
from softseg.requests.predict import PredictRequest
from softseg.soft.intensities import NodeIntensities, intensities_on
from softseg.soft.statistics import COLUMNS, statistics, with_intensities, write_statistics

if TYPE_CHECKING:
    from softseg.prediction.case import Prediction
    from softseg.prediction.inputs import CaseInput
    from softseg.prediction.outputs import Wanted
    from softseg.prediction.results.steps import Step

PREVIEW_FILE, REPORT_FILE = "preview.png", "report.html"


class Told:
    """Events of one case, whose warnings are remembered for its report."""

    def __init__(self, events: Events) -> None:
        self._sink = events.sink
        self.warnings: list[str] = []
        self.events = Events(self, events.cancel)

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event and pass it on."""
        if event.get("event") == "warning":
            self.warnings.append(str(event.get("text", "")))
        self._sink.write(event)


def require_packages(request: PredictRequest) -> None:
    """Import, before anything is computed, what pictures and pages need.

    Raises
    ------
    ModuleNotFoundError: a package is not installed.
    """
    for package in ("matplotlib",) * (request.preview or request.report) + ("jinja2",) * request.report:
        import_module(package)


def more_steps(
    wanted: Wanted,
    prediction: Prediction,
    case: CaseInput,
    request: PredictRequest,
    channels: Sequence[str],
    told: Told,
) -> Iterator[Step]:
    """Give the steps that write what is asked for beyond maps and volumes."""
    scan = case.images[0]
    if wanted.preview:
        from softseg.evaluation.preview import write_preview

        cut = wanted.cuts[0].cut
        yield (
            (OutputFile("preview", PREVIEW_FILE),),
            partial(write_preview, prediction.parcellation, scan, cut=cut, kept=wanted.kept),
        )
    if wanted.statistics:
        yield (
            (OutputFile("statistics", "statistics.csv"), OutputFile("statistics table", "statistics.json")),
            partial(_write_statistics, prediction, wanted, dict(zip(channels, case.images, strict=True))),
        )
    if wanted.report:
        yield (OutputFile("report", REPORT_FILE),), partial(_write_report, prediction, wanted, case, request, told)


def _write_statistics(prediction: Prediction, wanted: Wanted, images: Mapping[str, Path], path: Path) -> None:
    """Write the table as CSV and as JSON, with the intervals of volumes where there are any."""
    found = prediction.parcellation
    rows = statistics(found, wanted.kept)
    columns = [*COLUMNS]
    volumes = {volume.id: volume for volume in prediction.volumes}
    if any(not math.isnan(volume.soft_ml_low) for volume in volumes.values()):
        columns += ["soft_ml_low", "soft_ml_high"]
        for row in rows:
            volume = volumes[row["id"]]
            row |= {"soft_ml_low": volume.soft_ml_low, "soft_ml_high": volume.soft_ml_high}
    for name, file in images.items():
        try:
            intensities = intensities_on(read_image(file), found.geometry)
        except InputError:  # a cube of many bands has no one intensity
            continue
        columns += with_intensities(rows, NodeIntensities(found, intensities), name)
    write_statistics(rows, columns, path)
    write_statistics(rows, columns, path.with_suffix(".json"))


def _write_report(
    prediction: Prediction, wanted: Wanted, case: CaseInput, request: PredictRequest, told: Told, path: Path
) -> None:
    from softseg.evaluation.prediction_report import About, render_prediction_report

    about = About(
        scans=tuple(image.name for image in case.images),
        models=tuple(_said_of(model) for model in split_list(request.model)) if request.model else (),
        warnings=tuple(told.warnings),
        kept=wanted.kept,
    )
    render_prediction_report(
        prediction.parcellation,
        case.images[0],
        path,
        nodes=wanted.nodes,
        title=f"Segmentation of {case.name}",
        events=told.events,
        about=about,
        volumes=prediction.volumes,
    )


def _said_of(model: str) -> dict[str, str]:
    """Return name, licence and intended use of a model, from its folder."""
    try:
        found = ModelSummary.load(model)
    except InputError:
        return {"name": Path(model).name, "licence": "", "use": "", "limitations": "", "permissive": "yes"}
    return {
        "name": found.name,
        "licence": found.licence,
        "use": found.intended_use,
        "limitations": found.limitations,
        "permissive": "yes" if is_permissive(found.licence) else "",
    }
