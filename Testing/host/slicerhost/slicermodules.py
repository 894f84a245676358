"""Fills the name space ``slicer``: application, widgets, Python modules that slicer-core lacks."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import slicer
from packaging.requirements import Requirement

from slicerhost import application, mrmlwidgets, parameternodes, properties, scene, scripted


def install() -> None:
    """Do it."""
    host = scene.install()
    slicer.app = application.Application(host)
    mrmlwidgets.install()
    properties.use_attributes("slicer.util")
    _add("ScriptedLoadableModule", {name: getattr(scripted, name) for name in scripted.__all__}, scripted.__all__)
    _add(
        "parameterNodeWrapper",
        {
            "parameterNodeWrapper": parameternodes.parameterNodeWrapper,
            "SlicerParameterNamePropertyName": parameternodes.SlicerParameterNamePropertyName,
        },
    )
    _add("i18n", {"tr": lambda text: text, "translate": lambda _context, text: text})
    slicer.packaging = _add(
        "packaging",
        {
            "load_requirements": loadRequirements,
            "pip_check": pipCheck,
            "pip_ensure": pipEnsure,
            "pip_install": pipInstall,
        },
    )
    slicer.util.modulePath = lambda name: getattr(slicer.modules, name.lower()).path
    slicer.util.settingsValue = settingsValue


def settingsValue(key, default, converter=lambda v: v, settings=None):
    """Return a setting, converted, or the default."""
    value = (settings or slicer.app.userSettings()).value(key)
    return default if value is None else converter(value)


def loadRequirements(path):
    """Return the requirements of a requirements.txt."""
    lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def pipCheck(requirement):
    """Whether a requirement (one, or all of a list) is satisfied."""
    if isinstance(requirement, list):
        return all(pipCheck(one) for one in requirement)
    wanted = Requirement(str(requirement))
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def pipEnsure(requirements, requester=None, skip_in_testing=True, **options):  # noqa: ARG001 - the application's signature
    """Install what is missing; in testing mode do nothing, as in the application."""
    missing = [one for one in requirements if not pipCheck(one)]
    if missing and not (skip_in_testing and slicer.app.testingEnabled()):
        pipInstall([str(one) for one in missing])


def pipInstall(requirements, blocking=True, logCallback=None, completedCallback=None, **options):  # noqa: ARG001
    """Install with pip; without ``blocking`` its lines and its exit code go to the callbacks, here before returning."""
    wanted = requirements.split() if isinstance(requirements, str) else list(requirements)
    command = [sys.executable, "-m", "pip", "install", *wanted]
    if blocking:
        subprocess.run(command, check=True)
        return
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    for line in answer.stdout.splitlines():
        logCallback(line)
    completedCallback(answer.returncode)


def _add(name, content, exported=None):
    module = types.ModuleType(f"slicer.{name}")
    vars(module).update(content)
    module.__all__ = list(exported or content)
    sys.modules[module.__name__] = module
    setattr(slicer, name, module)
    return module
