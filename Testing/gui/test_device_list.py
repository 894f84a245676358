"""The devices of this computer are listed as the engine finds them, in a process of its own."""

import json

import pytest
import qt
from gui_actions import settle
from PySide6.QtWidgets import QApplication

FOUND = {
    "devices": [
        {"name": "cpu", "description": "Fast CPU", "memory": 64 * 1024**3},
        {"name": "cuda:0", "description": "NVIDIA RTX A5000", "memory": 24 * 1024**3},
        {"name": "mps", "description": "Apple GPU (Metal)", "memory": 64 * 1024**3},
    ]
}


class Doctor:
    """Stands for the process of softseg doctor."""

    started = 0

    def start(self, arguments, onFinished):
        assert arguments == ["doctor", "--json"]
        type(self).started += 1
        self.answer = onFinished
        type(self).last = self

    def kill(self):
        type(self).killed = True


@pytest.fixture
def doctor(moduleWidget):
    made = type("OneDoctor", (Doctor,), {"started": 0, "killed": False})
    moduleWidget.context.devices.makeProcess = made
    return made


def entries(box):
    return [(box.itemText(n), box.itemData(n)) for n in range(box.count)]


def enter(box):
    QApplication.sendEvent(box, qt.QEvent(qt.QEvent.Enter))
    settle()


def test_nothing_is_asked_until_somebody_is_about_to_choose(moduleWidget, doctor):
    box = moduleWidget.panel("Segment").ui.deviceBox
    assert entries(box) == [("Automatic (GPU if there is one)", "auto"), ("Processor (CPU)", "cpu")]
    assert doctor.started == 0
    enter(box)
    enter(box)
    assert doctor.started == 1  # once, and the window goes on


def test_what_there_is_is_listed_for_both_and_the_choice_stays(moduleWidget, doctor):
    box, train = moduleWidget.panel("Segment").ui.deviceBox, moduleWidget.showPanel("Train").ui.deviceSelector
    box.currentIndex = box.findData("cpu")
    enter(train)
    doctor.last.answer(0, json.dumps(FOUND), "")
    assert entries(box)[1:] == [
        ("Processor: Fast CPU", "cpu"),
        ("GPU 0: NVIDIA RTX A5000 (24 GB)", "cuda:0"),
        ("Apple GPU (Metal), experimental", "mps"),
    ]
    assert [name for _title, name in entries(train)] == ["auto", "cpu", "cuda:0"]  # an Apple GPU cannot train
    assert box.itemData(box.currentIndex) == "cpu"
    assert moduleWidget.context.parameterNode.device == "cpu"


def test_an_engine_that_does_not_answer_leaves_the_list_and_is_asked_again(moduleWidget, doctor):
    box = moduleWidget.panel("Segment").ui.deviceBox
    enter(box)
    doctor.last.answer(1, "", "No module named 'typer'")
    assert [name for _title, name in entries(box)] == ["auto", "cpu"]
    enter(box)
    assert doctor.started == 2


def test_a_remembered_device_is_offered_before_it_is_found(moduleWidget, doctor):  # noqa: ARG001
    moduleWidget.context.parameterNode.device = "cuda:1"
    panel = moduleWidget.panel("Segment")
    panel.options.restore()
    assert panel.ui.deviceBox.itemData(panel.ui.deviceBox.currentIndex) == "cuda:1"


def test_the_process_ends_with_the_module(moduleWidget, doctor):
    enter(moduleWidget.panel("Segment").ui.deviceBox)
    moduleWidget.context.cleanup()
    assert doctor.killed
