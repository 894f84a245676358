"""What is registered with other modules of Slicer when the application has started."""

import importlib
import importlib.util
import logging
from pathlib import Path

import slicer

from . import SampleScans
from .SharedLogic import sharedLogic


def registerAll():
    """Register the statistics, the sample data and the context menus; one that fails does not keep the others out."""
    for register in (sharedLogic, registerStatistics, registerMenus, registerSamples):
        _attempt(register)


def _attempt(register):
    try:
        register()
    except Exception:  # another Slicer may have another interface: the module works without
        logging.exception("SoftSeg: %s", register.__name__)


def registerStatistics():
    """Add our measurements to Segment Statistics, where the application has it."""
    if importlib.util.find_spec("SegmentStatistics") is None:
        return
    statistics = importlib.import_module("SegmentStatistics").SegmentStatisticsLogic
    plugin = importlib.import_module(".SegmentStatistics", __package__).SoftSegStatisticsPlugin
    if plugin not in statistics.registeredPlugins:
        statistics.registerPlugin(plugin())


def registerSamples():
    """Add our scans to Sample Data, where the application has it."""
    if importlib.util.find_spec("SampleData") is not None:
        SampleScans.registerSamples(importlib.import_module("SampleData").SampleDataLogic)


def registerMenus():
    """Add our submenu to the context menu of segmentations, in the subject hierarchy."""
    if not hasattr(slicer, "qSlicerSubjectHierarchyScriptedPlugin"):
        return
    file = Path(__file__).with_name("SoftSegSubjectHierarchyPlugin.py")
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    if not plugin.setPythonSource(str(file)):
        raise RuntimeError(f"{file.name} was not taken")
