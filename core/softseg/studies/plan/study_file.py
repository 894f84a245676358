"""The file STUDY.yaml: what is compared with what, on which data, how often; checked when it is read.

The format is in ``docs/studies.md``. All values that a file leaves out are our defaults.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from softseg.studies.plan.data_specs import CoarsenSpec, ObjectsSpec, Part, RatersSpec, StrokesSpec
from softseg.studies.plan.metrics import NAMES

Sets = dict[str, Any] | list[str]

SCORES = ("max-softmax", "energy", "entropy", "odin", "mahalanobis")
"""Outlier scores that need no training of their own."""


class VariantSpec(Part):
    """One way to train, or with ``vary`` several.

    Attributes
    ----------
    name: short and unique; ``vary`` adds its values.
    recipe: a recipe's name or a YAML file (relative to the study's).
    set: changes to recipe and plan, as mapping or as ``key=value`` texts.
    vary: by key the values that are tried, all combinations of them (an ablation).
    tree: the tree that is trained with: a file, a shipped tree, ``flat`` (leaves under the root) or ``random:SEED``
        (the same shape, leaves dealt at random: a control). The study's own by default. Results are always evaluated by
        the study's tree.
    strokes: annotation of this variant instead of the study's densities; ``whole`` for complete labels.
    model: a finished model folder (or a run's folder) that is evaluated instead of training; ``{fold}``, ``{seed}`` and
        ``{held_out}`` stand for those of the job. Its recipe is that of the folder where none is given.
    members: names of other variants of the study: nothing is trained, the mean of their networks' answers, of the same
        fold and seed, is evaluated (an ensemble). Their models must be kept (``keep_models``).
    """

    name: str = Field(min_length=1)
    recipe: str | None = None
    set: Sets = Field(default_factory=dict)
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    tree: str | None = None
    strokes: StrokesSpec | Literal["whole"] | None = None
    model: str | None = None
    members: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _something(self) -> VariantSpec:
        if self.members:
            others = {name for name in ("recipe", "model", "vary", "set", "tree", "strokes") if getattr(self, name)}
            if others:
                raise ValueError(f"members cannot be combined with {min(others)}: their variants define it")
            if len(set(self.members)) < max(2, len(self.members)):
                raise ValueError("members: expected at least two different variants")
            return self
        if self.recipe is None and self.model is None:
            raise ValueError("expected a recipe, a model or members")
        if self.recipe is None and "{" in (self.model or ""):
            raise ValueError("a model with {fold}, {seed} or {held_out} needs a recipe, too")
        return self


class BudgetSpec(Part):
    """What every training may use: exactly one of the two.

    Attributes
    ----------
    steps: optimisation steps.
    minutes: time; then the result depends on the computer.
    """

    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> BudgetSpec:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("expected either steps or minutes")
        return self


class FoldSpec(Part):
    """How cases are dealt into training, validation and test parts.

    Attributes
    ----------
    by: ``person``: people are dealt into folds; ``split``: the one division that DATA.json has; ``block``: each image
        is cut into blocks, which are dealt into folds.
    count: number of folds; ``all`` leaves one person out at a time.
    validation: people (blocks: folds) that choose the best network; they are taken from the training part.
    splits: cases of these splits of DATA.json take part (``person`` and ``block``).
    seed: of the dealing.
    only: numbers of the folds that are run, from 0; all by default.
    nested: folds within the training part of each fold, on which the best variant is chosen; 0 for none.
    block: edge of a block in voxels.
    margin: voxels next to another part whose labels are not trained (or validated) on.
    """

    by: Literal["person", "split", "block"] = "split"
    count: int | Literal["all"] = 5
    validation: int = Field(default=1, ge=0)
    splits: list[Literal["train", "val", "test"]] = Field(default=["train", "val", "test"])
    seed: int = 0
    only: list[int] | None = None
    nested: int = Field(default=0, ge=0)
    block: int = Field(default=16, ge=1)
    margin: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _sensible(self) -> FoldSpec:
        if isinstance(self.count, int) and self.count < 2:
            raise ValueError("count must be at least 2, or all")
        if self.by == "block" and self.count == "all":
            raise ValueError("count must be a number for blocks")
        if self.nested == 1 or (self.nested and self.by != "person"):
            raise ValueError("nested needs at least 2 folds, and by: person")
        return self


class RuleSpec(Part):
    """How the threshold of a score is chosen on the inner folds.

    Attributes
    ----------
    name: for tables.
    tpr: this fraction of the trained classes' voxels passes; or:
    best: what is made as large as possible on the inner folds: ``f1`` or ``balanced_accuracy``, outliers being one
        more class, at the leaves.
    most_loss: accuracy on trained classes that the outlier branch may cost there, 0..1.
    """

    name: str = Field(min_length=1)
    tpr: float | None = Field(default=None, gt=0, le=1)
    best: Literal["f1", "balanced_accuracy"] | None = None
    most_loss: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one(self) -> RuleSpec:
        if (self.tpr is None) == (self.best is None):
            raise ValueError("expected either tpr or best")
        return self


RULES = (
    RuleSpec(name="bounded", best="f1", most_loss=0.005),
    RuleSpec(name="best-f1", best="f1"),
    RuleSpec(name="tpr-95", tpr=0.95),
)


class StudyFile(Part):
    """The contents of STUDY.yaml.

    Attributes
    ----------
    name, explanation: for people.
    kind: ``compare``: which variant segments best; ``outliers``: also which score finds classes that were held out.
    data: DATA.json, relative to the study's file.
    cases: ids of the cases that take part; all by default.
    tree: stands in for the dataset's tree.
    coarsen: larger voxels than the data's own.
    raters: several simulated raters per case.
    labelled_only: only labelled voxels are evaluated; by default where the recipes are sparse.
    surfaces: whether surface Dice and HD95 are measured (slow with many structures).
    objects: whether single objects are counted (lesions; a structure in each slice), and how.
    sizes: bounds in ml between groups of structures whose gains are reported separately; ``thirds`` by default.
    metrics: what the report shows first; by default Dice, soft Dice and the calibration error.
    subgroups: people or cases, by name of the part, that are also reported separately.
    set: changes for every variant.
    variants: what is compared; the first is the baseline unless ``baseline`` names another.
    seeds: every training is repeated with each.
    budget, folds: see these.
    strokes: densities of annotation, each of them a study of its own; complete labels where none is given.
    inner: classes that are held out in turn: a number of groups into which all leaves are dealt, or lists of nodes.
    scores: outlier scores, by name.
    rules: how thresholds are chosen; the first is the one that summaries show.
    voxels: labelled voxels of a case that are evaluated for outliers, at most, drawn at random.
    tie: differences up to this count as a tie.
    jobs: trainings at the same time.
    memory_gb: that one training takes; fewer run at once where that is not free.
    keep_models: whether the model folders stay.
    smoke: keys that are laid over these for a tiny run (:mod:`softseg.studies.plan.smoke`).
    """

    name: str = Field(min_length=1)
    explanation: str = ""
    kind: Literal["compare", "outliers"] = "compare"
    data: str
    cases: list[str] | None = Field(default=None, min_length=1)
    tree: str | None = None
    coarsen: CoarsenSpec | None = None
    raters: RatersSpec | None = None
    labelled_only: bool | None = None
    surfaces: bool = False
    objects: bool | ObjectsSpec = False
    sizes: list[float] | Literal["thirds"] = "thirds"
    metrics: list[str] | None = Field(default=None, min_length=1)
    subgroups: dict[str, list[str]] = Field(default_factory=dict)
    set: Sets = Field(default_factory=dict)
    variants: list[VariantSpec] = Field(min_length=1)
    baseline: str | None = None
    seeds: list[int] = Field(default=[0], min_length=1)
    budget: BudgetSpec
    folds: FoldSpec = FoldSpec()
    strokes: list[StrokesSpec] = Field(default_factory=list)
    inner: int | list[list[str]] = 4
    scores: list[str] = Field(default=list(SCORES), min_length=1)
    rules: list[RuleSpec] = Field(default=list(RULES), min_length=1)
    voxels: int = Field(default=200_000, ge=1)
    tie: float = Field(default=0.005, ge=0)
    jobs: int = Field(default=1, ge=1)
    memory_gb: float = Field(default=2.0, gt=0)
    keep_models: bool = False
    smoke: dict[str, Any] = Field(default_factory=dict)

    @property
    def counted(self) -> ObjectsSpec | None:
        """How single objects are counted; None where they are not."""
        if isinstance(self.objects, ObjectsSpec):
            return self.objects
        return ObjectsSpec() if self.objects else None

    @field_validator("sizes")
    @classmethod
    def _rising(cls, value: list[float] | str) -> list[float] | str:
        if not isinstance(value, str) and (not value or value != sorted(set(value)) or value[0] <= 0):
            raise ValueError("expected rising volumes in ml, or thirds")
        return value

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        for name in value or []:
            if name not in NAMES:
                raise ValueError(f"no metric is called {name}; there are {', '.join(NAMES)}")
        return value

    @field_validator("inner")
    @classmethod
    def _groups(cls, value: int | list[list[str]]) -> int | list[list[str]]:
        if isinstance(value, int) and value < 2:
            raise ValueError("expected at least 2 groups of classes, or lists of nodes")
        if isinstance(value, list) and (not value or not all(value)):
            raise ValueError("expected lists of nodes, none of them empty")
        return value

    @model_validator(mode="after")
    def _names(self) -> StudyFile:
        for what, names in (
            ("variants", [variant.name for variant in self.variants]),
            ("seeds", self.seeds),
            ("strokes", [strokes.name for strokes in self.strokes]),
            ("scores", self.scores),
            ("rules", [rule.name for rule in self.rules]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: each name may stand there once")
        if self.kind == "outliers" and self.objects:
            raise ValueError("objects are counted with kind: compare")
        if any(variant.members for variant in self.variants) and (self.kind == "outliers" or not self.keep_models):
            raise ValueError("members are for kind: compare, and need keep_models: true")
        if self.kind == "outliers" and self.folds.nested:
            raise ValueError("folds.nested is for kind: compare; kind: outliers has inner folds of classes")
        if self.raters is not None and (self.folds.by == "block" or self.strokes or self.kind == "outliers"):
            raise ValueError("raters need complete labels: no scribbles, no folds by block, kind: compare")
        return self
