"""Put label trees and permissively licensed models of ``Resources`` into the wheel, as ``softseg/Resources``.

Everything else about the package stands in ``pyproject.toml``. Models that may not be used commercially are a
distribution of their own: ``Resources/pyproject.toml``.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PERMISSIVE = ("cord-gm-soft", "head-any")
ROOT = Path(__file__).parent
RESOURCES = [ROOT / "Resources" / "LabelTrees", *(ROOT / "Resources" / "Models" / model for model in PERMISSIVE)]


class BuildWithResources(build_py):
    """Build the engine's package and copy what it ships beside its code; how models were trained stays here."""

    def run(self) -> None:
        """Build; an editable installation finds the resources in the checkout."""
        super().run()
        if self.editable_mode:
            return
        for folder in RESOURCES:
            target = Path(self.build_lib) / "softseg" / folder.relative_to(ROOT)
            shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("training"))


setup(cmdclass={"build_py": BuildWithResources})
