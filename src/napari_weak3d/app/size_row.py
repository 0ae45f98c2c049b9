"""A size of objects to choose: in voxels, and in µm³ where that is known."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QSpinBox, QWidget

from napari_weak3d.app.numbers import write_number


class SizeRow(QWidget):
    """A size in voxels: a slider in even ratios, the number itself, and what it is in µm³ where that is known.

    Ratios, since a speck and a vessel differ a thousandfold: in even steps every speck would be one pixel of a slider.
    """

    moved = Signal()
    """The user has changed the value."""

    _STEPS = 200

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._largest = 1
        self._voxel_um3: float | None = None
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, self._STEPS)
        self.number = QSpinBox()
        self.number.setRange(0, 10**9)
        self.number.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.number.setKeyboardTracking(False)
        self.number.setSuffix(" voxels")
        self.number.setMaximumWidth(110)  # its own idea is room for the highest number
        for widget in (self.slider, self.number):
            widget.setToolTip("Objects with fewer voxels are left out")
        self.volume = QLabel()
        self.slider.valueChanged.connect(self._on_slider)
        self.number.valueChanged.connect(self._on_number)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.number)
        layout.addWidget(self.volume)

    def value(self) -> int:
        """Return the size, in voxels."""
        return int(self.number.value())

    def set_value(self, size: int) -> None:
        """Show a size; nothing is emitted."""
        self.number.blockSignals(True)
        self.number.setValue(size)
        self.number.blockSignals(False)
        self._follow_number()

    def forget_scale(self) -> None:
        """Let the next :meth:`set_scale` be of other objects."""
        self._largest = 1

    def set_scale(self, *, largest: int, voxel_um3: float | None) -> None:
        """Let the slider reach from none to the largest object; ``voxel_um3``: a voxel's volume, or None."""
        # Never shorter than before: the object that just left must not take its place on the slider with it.
        self._largest = max(largest, self._largest, self.value(), 2)
        self._voxel_um3 = voxel_um3
        self._follow_number()

    def _on_slider(self, position: int) -> None:
        size = round(self._largest ** (position / self._STEPS)) if position else 0
        self.number.blockSignals(True)
        self.number.setValue(size)
        self.number.blockSignals(False)
        self._say_volume()
        self.moved.emit()

    def _on_number(self) -> None:
        self._follow_number()
        self.moved.emit()

    def _follow_number(self) -> None:
        size = self.value()
        position = math.ceil(self._STEPS * math.log(size) / math.log(max(self._largest, 2))) if size > 0 else 0
        self.slider.blockSignals(True)
        self.slider.setValue(min(position, self._STEPS))
        self.slider.blockSignals(False)
        self._say_volume()

    def _say_volume(self) -> None:
        self.volume.setVisible(self._voxel_um3 is not None)
        if self._voxel_um3 is not None:
            self.volume.setText(f"{write_number(self.value() * self._voxel_um3)} µm³")
