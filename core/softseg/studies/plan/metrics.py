"""The numbers that studies know: what people call them, whether less is better, which the report shows first."""

from __future__ import annotations

SIZE = "volume_reference_ml"
"""Metric of a node's row: its volume in the reference."""

NAMES = {
    "dice": "Dice",
    "soft_dice": "soft Dice",
    "surface_dice": "surface Dice",
    "hd95_mm": "HD95 (mm)",
    "mae": "MAE of probabilities",
    "accuracy": "accuracy",
    "f1": "F1",
    "winner_calibration_error": "calibration error",
    "calibration_error": "calibration error of nodes",
    "volume_error_percent": "volume error, signed (%)",
    "soft_volume_error_percent": "soft volume error, signed (%)",
    "absolute_volume_error_percent": "volume error (%)",
    "absolute_soft_volume_error_percent": "soft volume error (%)",
    "tree_distance_of_errors": "tree distance of errors (edges)",
    "tree_distance": "tree distance, all voxels (edges)",
    "tree_distance_normalized": "tree distance, weighted",
    "object_sensitivity": "objects found",
    "small_object_sensitivity": "small objects found",
    "object_precision": "objects that are real",
    "disputed_mae": "MAE of probabilities, disputed voxels",
    "disputed_calibration_error": "calibration error, disputed voxels",
    "disputed_entropy": "entropy, disputed voxels (nats)",
    "disputed_entropy_raters": "entropy of the raters, disputed voxels (nats)",
    "disputed_entropy_error": "error of the entropy, disputed voxels (nats)",
    "rater_calibration_error": "calibration error to the raters",
    "rater_mae": "error of probabilities to the raters",
    "rater_brier": "Brier score to single raters",
    "rater_brier_least": "least possible Brier score",
    "rater_log_loss": "log loss to single raters",
    "rater_log_loss_least": "least possible log loss",
    "disputed_ml": "disputed volume (ml)",
    "inside_accuracy": "accuracy",
    "inside_balanced_accuracy": "balanced accuracy",
    "inside_f1": "F1",
    "auroc": "AUROC",
    "auroc_unknown": "AUROC of branches not known",
    "aupr": "AUPR",
    "fpr95": "FPR at 95 % TPR",
    "balanced_accuracy": "balanced accuracy with outliers",
    "accuracy_loss": "accuracy lost",
    "inside_accuracy_with": "accuracy with the branch",
    "found": "outliers found",
    "passed": "trained classes passed",
    "kin": "outliers given the right ancestor",
}
"""Metrics for people. A study's ``metrics`` may name any of them."""

SMALLER_IS_BETTER = {
    "fpr95",
    "accuracy_loss",
    "mae",
    "hd95_mm",
    "calibration_error",
    "winner_calibration_error",
    "absolute_volume_error_percent",
    "absolute_soft_volume_error_percent",
    "tree_distance_of_errors",
    "tree_distance",
    "tree_distance_normalized",
    "disputed_mae",
    "disputed_calibration_error",
    "disputed_entropy_error",
    "rater_calibration_error",
    "rater_mae",
    "rater_brier",
    "rater_log_loss",
}

NOT_COMPARED = {
    "volume_error_percent",
    "soft_volume_error_percent",
    "volume_reference_ml",
    "chosen_tpr",
    "passed",
    "disputed_entropy",
    "disputed_entropy_raters",
    "rater_brier_least",
    "rater_log_loss_least",
    "disputed_ml",
}
"""Numbers of which neither more nor less is better."""

NOT_AVERAGED = {"volume_reference_ml", "chosen_tpr"}
"""Numbers that only explain others."""

SEES_ALL = (
    "inside_accuracy",
    "inside_balanced_accuracy",
    "inside_f1",
    "inside_accuracy_with",
    "accuracy_loss",
    "passed",
)
"""Numbers that summaries take from the trainings that saw all classes."""

MAIN = {"compare": ("dice", "soft_dice", "winner_calibration_error"), "outliers": ("inside_f1", "inside_accuracy")}
"""What the report shows first unless the study lists ``metrics``, by kind."""

OBJECT_METRICS = ("object_sensitivity", "small_object_sensitivity", "object_precision")
"""Numbers that studies have which ask for objects."""

TREE_DISTANCES = {
    "tree_distance_of_errors": "errors_edges",
    "tree_distance": "all_edges",
    "tree_distance_normalized": "all_normalized",
}
"""How far off in the tree wrong leaves are, by the column of :func:`softseg.evaluation.aggregate.tree_distance_row`.

Numbers of no level: they stand in the tables with level 0.
"""
