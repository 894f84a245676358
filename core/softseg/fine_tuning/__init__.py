"""Teaching a finished model more: from corrected results, without forgetting, evaluated before and after."""

from softseg.fine_tuning.fine_tune import fine_tune
from softseg.fine_tuning.schedule import fine_tuning_recipe

__all__ = ["fine_tune", "fine_tuning_recipe"]
