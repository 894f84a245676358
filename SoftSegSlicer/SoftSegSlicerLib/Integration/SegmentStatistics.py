"""The plug-in of Segment Statistics; imported when that module is there, see Startup."""

import slicer
from SegmentStatisticsPlugins import SegmentStatisticsPluginBase
from slicer.i18n import tr as _

from .SegmentNumbers import KEYS, SegmentNumbers
from .SharedLogic import sharedLogic


class SoftSegStatisticsPlugin(SegmentStatisticsPluginBase):
    """Adds columns for results of ours to the table of Segment Statistics; other segmentations get none."""

    def __init__(self):
        super().__init__()
        self.name = "SoftSeg"
        self.title = _("SoftSeg")
        self.keys = list(KEYS)
        self.defaultKeys = list(KEYS)
        self._numbers = None

    def computeStatistics(self, segmentID):
        """Return ``{key: number}`` of a segment for the measurements that are asked for."""
        keys = self.getRequestedKeys()
        parameters = self.getParameterNode()
        scene = slicer.mrmlScene
        segmentationNode = scene.GetNodeByID(parameters.GetParameter("Segmentation"))
        volumeNode = scene.GetNodeByID(parameters.GetParameter("ScalarVolume") or "")
        if not keys or segmentationNode is None:
            return {}
        if self._numbers is None:
            self._numbers = SegmentNumbers(sharedLogic())
        return self._numbers.of(segmentationNode, segmentID, volumeNode, keys)

    def getMeasurementInfo(self, key):
        """Return name, title, description and units of a measurement, with DICOM codes where there are some."""
        if key not in self.keys:
            return None
        if key == "soft_volume_cm3":
            return self.createMeasurementInfo(
                name="Soft volume cm3",
                title=_("Soft volume"),
                description=_("Sum of the probabilities of the structure, times the volume of a voxel."),
                units=_("cm3"),
                quantityDicomCode=self.createCodedEntry("118565006", "SCT", "Volume", True),
                unitsDicomCode=self.createCodedEntry("cm3", "UCUM", "cubic centimeter", True),
            )
        if key == "certainty":
            return self.createMeasurementInfo(
                name="Certainty",
                title=_("Certainty"),
                description=_("Mean probability of the structure in the voxels labelled with it at its level, 0 to 1."),
                units="",
            )
        titles = {"soft_mean": _("Mean"), "soft_stdev": _("Standard deviation"), "soft_median": _("Median")}
        names = {"soft_mean": "Soft mean", "soft_stdev": "Soft standard deviation", "soft_median": "Soft median"}
        codes = {
            "soft_mean": ("373098007", "SCT", "Mean"),
            "soft_stdev": ("386136009", "SCT", "Standard Deviation"),
            "soft_median": ("373099004", "SCT", "Median"),
        }
        volumeNode = slicer.mrmlScene.GetNodeByID(self.getParameterNode().GetParameter("ScalarVolume") or "")
        units = None if volumeNode is None else volumeNode.GetVoxelValueUnits()
        quantity = None if volumeNode is None else volumeNode.GetVoxelValueQuantity()
        return self.createMeasurementInfo(
            name=names[key],
            title=_("{measure}, weighted").format(measure=titles[key]),
            description=_(
                "Statistic of the scan's intensities, each voxel weighted by the probability of the structure."
            ),
            units="" if units is None else units.GetCodeMeaning(),
            quantityDicomCode=None if quantity is None else quantity.GetAsString(),
            unitsDicomCode=None if units is None else units.GetAsString(),
            derivationDicomCode=self.createCodedEntry(*codes[key], True),
        )
