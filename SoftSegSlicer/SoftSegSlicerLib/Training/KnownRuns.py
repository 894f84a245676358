"""The trainings that were started on this computer, remembered in the application's settings."""

import json
import os

import slicer

KEY = "SoftSegSlicer/Trainings"
MOST = 20


def knownRuns():
    """Return the folders of trainings, the latest first; those that are gone are left out."""
    text = slicer.app.userSettings().value(KEY)
    try:
        folders = json.loads(text) if text else []
    except ValueError:
        folders = []
    return [folder for folder in folders if isinstance(folder, str) and os.path.isdir(folder)]


def remember(folder):
    """Put a training to the front."""
    folder = os.path.normpath(str(folder))
    kept = [folder, *(other for other in knownRuns() if other != folder)]
    slicer.app.userSettings().setValue(KEY, json.dumps(kept[:MOST]))
