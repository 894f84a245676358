"""``softseg evaluate``: compare predictions with references, per leaf, node and level."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.evaluate import EvaluateRequest


def _run(request: EvaluateRequest, events: Events) -> None:
    """Score predictions (soft parcellations or label maps) against references, with a report."""
    from softseg.commands.tree import load_tree
    from softseg.evaluation import evaluate as run_evaluation

    run_evaluation(
        request.prediction,
        request.reference,
        load_tree(request.tree),
        request.out,
        events,
        pairs=request.pairs,
        images=request.image,
        prediction_tree=None if request.prediction_tree is None else load_tree(request.prediction_tree),
        reference_tree=None if request.reference_tree is None else load_tree(request.reference_tree),
        tolerance_mm=request.tolerance_mm,
        labelled_only=request.labelled_only,
        html=request.report,
        corrected=request.corrected,
    )


evaluate = command_of(EvaluateRequest, _run)
