"""What a training is asked to do, and the command line that does it."""

import os
from dataclasses import dataclass, field

from softseg.requests import TrainRequest


@dataclass
class RunRequest:
    """What is to be trained.

    Attributes
    ----------
    dataset: path of DATA.json.
    recipe: name or file; empty for that of ``model``.
    tree: tree file that stands in for the dataset's; empty for that.
    device: ``"auto"``, ``"cpu"``, ``"cuda:0"`` ...
    minutes: time budget; None for as many steps as the recipe says.
    sets: further ``key=value`` of recipe or plan.
    after: what follows the training; see :mod:`SoftSegSlicerLib.Training.AfterTraining`.
    model: model folder or name of a shipped model that is fine-tuned; empty for a new model.
    """

    dataset: str
    recipe: str
    tree: str = ""
    device: str = "auto"
    minutes: float | None = None
    sets: list = field(default_factory=list)
    after: list = field(default_factory=list)
    model: str = ""

    def arguments(self, folder):
        """Return the command line for a new run in ``folder``."""
        changes = list(self.sets) if self.minutes is None else [f"minutes={self.minutes:g}", *self.sets]
        return self._asked(folder, sets=changes).to_argv()

    def resumeArguments(self, folder):
        """Return the command line that goes on with a run."""
        recipe = os.path.join(str(folder), "recipe.yaml")
        if self.model or not os.path.isfile(recipe):  # the model says how, or it ended before the first step
            return TrainRequest.from_argv([*self.arguments(folder), "--resume"]).to_argv()
        return self._asked(folder, recipe=recipe, resume=True).to_argv()

    def _asked(self, folder, **others):
        given = {"recipe": self.recipe or None, "tree": self.tree or None, "device": self.device, **others}
        given["model"] = self.model or None
        return TrainRequest(data=self.dataset, out=folder, **given)
