"""Stand-ins of the widgets of CTK that the module uses; in the application they are C++."""

from __future__ import annotations

import types

from PySide6.QtCore import Property, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractButton,
    QColorDialog,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QWidget,
)

from slicerhost.qtmodule import customWidgets


class ctkCollapsibleButton(QAbstractButton):
    """A header that is clicked, and below it whatever layout the .ui gives this widget."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self._hidden = []
        self.setSizePolicy(
            QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred
        )  # as in CTK: no narrower than it hints
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setContentsMargins(0, self._headerHeight(), 0, 0)
        self.clicked.connect(self._toggle)

    def _headerHeight(self):
        return self.fontMetrics().height() + 8

    def _toggle(self):
        self._setCollapsed(not self._collapsed)

    def _isCollapsed(self):
        return self._collapsed

    def _setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._hideContent()
        else:
            for widget in self._hidden:
                widget.show()
            self._hidden = []
        self.setMaximumHeight(self._headerHeight() if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _hideContent(self):
        if self._collapsed:
            new = [w for w in self.children() if isinstance(w, QWidget) and not w.isHidden()]
            for widget in new:
                widget.hide()
            self._hidden += new

    collapsed = Property(bool, _isCollapsed, _setCollapsed, notify=contentsCollapsed)

    def childEvent(self, event):
        """Hide what is added while collapsed; later, because it is still being made."""
        super().childEvent(event)
        if self._collapsed and event.added():
            QTimer.singleShot(0, self, self._hideContent)

    def showEvent(self, event):
        """Hide what was added meanwhile."""
        self._hideContent()
        super().showEvent(event)

    def hitButton(self, position):
        """Only the header is a button."""
        return position.y() < self._headerHeight()

    def sizeHint(self):
        """Return the header's size, or that of header and content."""
        header = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._headerHeight())
        if self._collapsed or self.layout() is None:
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    def minimumSizeHint(self):
        """Return the same with the content's smallest size."""
        header = QSize(80, self._headerHeight())
        if self._collapsed or self.layout() is None:
            return header
        return self.layout().totalMinimumSize().expandedTo(header)

    def paintEvent(self, event):  # noqa: ARG002
        """Draw the header: a button with an arrow, bold as in CTK."""
        painter = QPainter(self)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(self._headerHeight() - 2)
        option.state |= QStyle.StateFlag.State_Sunken if self.isDown() else QStyle.StateFlag.State_Raised
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        if self.hasFocus():
            self.style().drawPrimitive(QStyle.PrimitiveElement.PE_FrameFocusRect, option, painter, self)
        arrow = (
            QStyle.PrimitiveElement.PE_IndicatorArrowRight
            if self._collapsed
            else QStyle.PrimitiveElement.PE_IndicatorArrowDown
        )
        place = QStyleOptionButton(option)
        place.rect = option.rect.adjusted(6, 0, 0, 0)
        place.rect.setWidth(12)
        self.style().drawPrimitive(arrow, place, painter, self)
        painter.setPen(self.palette().buttonText().color())
        painter.drawText(option.rect.adjusted(24, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkSliderWidget(QWidget):
    """A slider and a number, tied together."""

    valueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setObjectName("Slider")
        self._box = QDoubleSpinBox(self)
        self._box.setObjectName("SpinBox")
        self.setFocusProxy(self._slider)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._step = 1.0
        self._box.setRange(0, 99)
        self._box.valueChanged.connect(self._boxMoved)
        self._slider.valueChanged.connect(lambda place: self._box.setValue(self._box.minimum() + place * self._step))
        self._layOut()

    def _layOut(self):
        blocked = self._slider.blockSignals(True)
        self._slider.setRange(0, round((self._box.maximum() - self._box.minimum()) / self._step))
        self._slider.setValue(round((self._box.value() - self._box.minimum()) / self._step))
        self._slider.blockSignals(blocked)

    def _boxMoved(self, value):
        self._layOut()
        self.valueChanged.emit(value)

    def _setStep(self, step):
        self._step = step
        self._box.setSingleStep(step)
        self._layOut()

    def _setRangeEnd(self, which, value):
        getattr(self._box, which)(value)
        self._layOut()

    value = Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v), notify=valueChanged)
    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._setRangeEnd("setMinimum", v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._setRangeEnd("setMaximum", v))
    singleStep = Property(float, lambda self: self._step, _setStep)
    pageStep = Property(
        float,
        lambda self: self._slider.pageStep() * self._step,
        lambda self, v: self._slider.setPageStep(max(1, round(v / self._step))),
    )
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))
    suffix = Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    prefix = Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    tracking = Property(bool, lambda self: self._slider.hasTracking(), lambda self, v: self._slider.setTracking(v))
    spinBoxVisible = Property(bool, lambda self: self._box.isVisibleTo(self), lambda self, v: self._box.setVisible(v))


class ctkDoubleRangeSlider(QWidget):
    """Two ends of a range; here two numbers side by side, each of which stops at the other."""

    valuesChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._low, self._high = QDoubleSpinBox(self), QDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self._low, self._high):
            box.setRange(0, 99)
            layout.addWidget(box, 1)
        self._high.setValue(99)
        self._low.valueChanged.connect(self._moved)
        self._high.valueChanged.connect(self._moved)

    def _moved(self):
        self._low.setMaximum(self._high.value())
        self._high.setMinimum(self._low.value())
        self.valuesChanged.emit(self._low.value(), self._high.value())

    minimum = Property(float, lambda self: self._low.minimum(), lambda self, v: self._low.setMinimum(v))
    maximum = Property(float, lambda self: self._high.maximum(), lambda self, v: self._high.setMaximum(v))
    minimumValue = Property(float, lambda self: self._low.value(), lambda self, v: self._low.setValue(v))
    maximumValue = Property(float, lambda self: self._high.value(), lambda self, v: self._high.setValue(v))

    def _setStep(self, step):
        self._low.setSingleStep(step)
        self._high.setSingleStep(step)

    singleStep = Property(float, lambda self: self._low.singleStep(), _setStep)

    @Slot(float, float)
    def setValues(self, low, high):
        """Set both ends."""
        self._low.setValue(low)
        self._high.setValue(high)


class ctkPathLineEdit(QWidget):
    """A path, typed or chosen."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Dirs, Files, Readable, Writable = 1, 2, 16, 32

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QLineEdit(self)
        self._edit.setObjectName("PathEdit")
        self._button = QToolButton(self)
        self._button.setText("...")
        self._filters = self.Files
        self._names = []
        self._label = self._key = ""
        self._history = True
        self.setFocusProxy(self._edit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._button)
        self._edit.textChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(self.browse)

    @Slot()
    def browse(self):
        """Ask for a file or a folder."""
        if self._filters & self.Dirs and not self._filters & self.Files:
            path = QFileDialog.getExistingDirectory(self, self._label)
        elif self._filters & self.Writable:
            path = QFileDialog.getSaveFileName(self, self._label, "", ";;".join(self._names))[0]
        else:
            path = QFileDialog.getOpenFileName(self, self._label, "", ";;".join(self._names))[0]
        if path:
            self._edit.setText(path)

    @Slot()
    def addCurrentPathToHistory(self):
        """Do nothing: the stand-in keeps no history."""

    def _set(self, which, value):
        setattr(self, which, value)

    currentPath = Property(
        str, lambda self: self._edit.text(), lambda self, v: self._edit.setText(v), notify=currentPathChanged
    )
    filters = Property(int, lambda self: self._filters, lambda self, v: self._set("_filters", int(v)))
    nameFilters = Property("QStringList", lambda self: self._names, lambda self, v: self._set("_names", list(v)))
    settingKey = Property(str, lambda self: self._key, lambda self, v: self._set("_key", v))
    label = Property(str, lambda self: self._label, lambda self, v: self._set("_label", v))
    showHistoryButton = Property(bool, lambda self: self._history, lambda self, v: self._set("_history", v))
    showBrowseButton = Property(
        bool, lambda self: self._button.isVisibleTo(self), lambda self, v: self._button.setVisible(v)
    )


class ctkColorPickerButton(QPushButton):
    """A button that shows a colour and asks for another one."""

    colorChanged = Signal(QColor)
    colorNameChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._color = QColor("black")
        self._named = True
        self.clicked.connect(self.changeColor)
        self._show()

    def _show(self):
        picture = QPixmap(16, 16)
        picture.fill(self._color)
        self.setIcon(QIcon(picture))
        self.setText(self._color.name() if self._named else "")

    def _setColor(self, color):
        color = QColor(color)
        if color != self._color:
            self._color = color
            self._show()
            self.colorChanged.emit(color)
            self.colorNameChanged.emit(color.name())

    def _setNamed(self, named):
        self._named = named
        self._show()

    @Slot()
    def changeColor(self):
        """Ask for another colour."""
        chosen = QColorDialog.getColor(self._color, self)
        if chosen.isValid():
            self._setColor(chosen)

    color = Property(QColor, lambda self: self._color, _setColor, notify=colorChanged)
    colorName = Property(str, lambda self: self._color.name(), lambda self, v: self._setColor(QColor(v)))
    displayColorName = Property(bool, lambda self: self._named, _setNamed)


class ctkSearchBox(QLineEdit):
    """A line with a button that empties it."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setClearButtonEnabled(True)


class ctkComboBox(QComboBox):
    """A list of choices that has a text while nothing is chosen."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._default = ""

    def _setDefault(self, text):
        self._default = text
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self._default, _setDefault)


class ctkCheckableComboBox(QComboBox):
    """A list of choices of which several may be checked."""

    checkedIndexesChanged = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.model().itemChanged.connect(lambda *_: self.checkedIndexesChanged.emit())
        self.model().rowsInserted.connect(self._makeCheckable)

    def _makeCheckable(self, _parent, first, last):
        for row in range(first, last + 1):
            item = self.model().item(row)
            item.setCheckable(True)
            item.setCheckState(Qt.CheckState.Unchecked)

    def checkedIndexes(self):
        """Return the model indexes of what is checked."""
        rows = range(self.count())
        return [
            self.model().index(row, 0) for row in rows if self.model().item(row).checkState() == Qt.CheckState.Checked
        ]

    def setCheckState(self, index, state):
        """Check or uncheck one row."""
        self.model().itemFromIndex(index).setCheckState(state)


def make() -> types.ModuleType:
    """Return the module ``ctk``."""
    module = types.ModuleType("ctk", __doc__)
    widgets = [value for name, value in globals().items() if name.startswith("ctk")]
    for widget in widgets:
        setattr(module, widget.__name__, widget)
    customWidgets.extend(widgets)
    return module
