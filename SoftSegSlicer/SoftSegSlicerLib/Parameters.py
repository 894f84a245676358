"""What the module remembers with the scene."""

from __future__ import annotations

import slicer
from slicer import vtkMRMLSegmentationNode, vtkMRMLVolumeNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

MODULE = "SoftSegSlicer"


@parameterNodeWrapper
class Parameters:
    """Choices of all panels.

    Attributes
    ----------
    segmentation: what Look, Tree and Compare are about.
    model: name of a shipped model, or a model folder.
    cut: ``"leaves"`` or a level of the model's tree, as text.
    device: ``"auto"``, ``"cpu"``, ``"cuda:0"`` ...
    outliers: whether an outlier score is computed with a model that has one.
    uncertainty, samples: ``""``, ``"tta"`` or ``"dropout"``, and how many answers.
    deepAsSure, confidence: whether labels are held to a confidence, and to which.
    bounded, wrongPercent, boundConfidence: whether instead to what a bound on wrong answers needs, and to which one.
    maskKind: where the brain mask comes from: ``"auto"``, ``"none"``, ``"segment"`` or ``"volume"``.
    maskSegmentation, maskSegment, maskVolume: the segment and the volume that serve as brain mask.
    batchFolder, batchOutput: where a batch reads (empty: volumes of the scene) and writes.
    """

    segmentation: vtkMRMLSegmentationNode
    model: str = "head-any"
    cut: str = "leaves"
    device: str = "auto"
    outliers: bool = False
    uncertainty: str = ""
    samples: int = 8
    deepAsSure: bool = False
    confidence: float = 0.9
    bounded: bool = False
    wrongPercent: float = 5.0
    boundConfidence: float = 0.9
    maskSegmentation: vtkMRMLSegmentationNode
    maskSegment: str = ""
    maskKind: str = ""
    maskVolume: vtkMRMLVolumeNode
    batchFolder: str = ""
    batchOutput: str = ""


def parametersOf(scene=None):
    """Return the parameters of a scene (the application's by default), made if they are not there."""
    scene = scene or slicer.mrmlScene
    node = scene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(MODULE)
        node.SetName(MODULE)
        node.SetHideFromEditors(True)
        node = scene.AddNode(node)
    node.SetAttribute("ModuleName", MODULE)
    return Parameters(node)  # type: ignore[call-arg]
