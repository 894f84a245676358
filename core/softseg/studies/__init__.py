"""Studies: the same comparison over folds and seeds, evaluated with paired statistics.

Each part is loaded on first use, so that a mistake in STUDY.yaml is reported without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softseg.studies.plan.study import Study
from softseg.studies.plan.study_file import StudyFile

if TYPE_CHECKING:
    from softseg.studies.run import run_study

__all__ = ["Study", "StudyFile", "run_study"]


def __getattr__(name: str) -> Any:
    if name == "run_study":
        from softseg.studies.run import run_study

        return run_study
    raise AttributeError(f"module 'softseg.studies' has no attribute {name!r}")
