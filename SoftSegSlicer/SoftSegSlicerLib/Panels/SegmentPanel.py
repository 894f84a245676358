"""Segment scans with a model."""

import qt


class SegmentPanel:
    def __init__(self, context):
        self.widget = qt.QWidget()

    def refresh(self):
        pass

    def cleanup(self):
        pass
