"""What a command is asked, what it wrote, and the one rule for file names. Standard library only.

- Requests (:class:`PredictRequest` and its like) list a command's options once, with defaults and limits; ``to_argv``
  and ``from_argv`` turn them into arguments of ``softseg`` and back.
- :mod:`softseg.requests.manifest` says which input became which case, folder and files.
- :mod:`softseg.requests.names` is the one rule from any text to a file name.
"""

from softseg.requests.correct import CorrectRequest
from softseg.requests.evaluate import EvaluateRequest, FalseColourRequest
from softseg.requests.export import ExportRequest
from softseg.requests.export_data import ExportDataRequest
from softseg.requests.export_seg import ExportSegRequest
from softseg.requests.import_soft import ImportSoftRequest
from softseg.requests.manifest import Manifest, OutputFile, WrittenCase
from softseg.requests.names import file_name, file_names
from softseg.requests.predict import CollapseRequest, PredictRequest
from softseg.requests.request import Request
from softseg.requests.statistics import StatisticsRequest
from softseg.requests.train import (
    CalibrateRequest,
    EnsembleRequest,
    FitOutliersRequest,
    GuaranteeRequest,
    TrainRequest,
)

__all__ = [
    "CalibrateRequest",
    "CollapseRequest",
    "CorrectRequest",
    "EnsembleRequest",
    "EvaluateRequest",
    "ExportDataRequest",
    "ExportRequest",
    "ExportSegRequest",
    "FalseColourRequest",
    "FitOutliersRequest",
    "GuaranteeRequest",
    "ImportSoftRequest",
    "Manifest",
    "OutputFile",
    "PredictRequest",
    "Request",
    "StatisticsRequest",
    "TrainRequest",
    "WrittenCase",
    "file_name",
    "file_names",
]
