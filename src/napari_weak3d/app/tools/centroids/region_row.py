"""Where all cells are clicked: everywhere, or inside a box, whose sides can be typed."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractSpinBox, QHBoxLayout, QLabel, QMenu, QSpinBox, QToolButton, QVBoxLayout, QWidget

from napari_weak3d.types import AXES, Region

_TIP = "First and last slice, row or column in which all cells are clicked"
_CHOICES = {
    "everywhere": ("Everywhere", "All cells of the image are clicked, or will be"),
    "around": ("Around my clicks", "A box just wide enough for the clicks"),
    "view": ("The part in view", "What the canvas shows of this slice; along the other axis the box stays as it is"),
    "draw": ("Draw a rectangle", "In the canvas; along the other axis the box stays as it is"),
    "start": ("From this slice on", "The shown slice is the first one of the box"),
    "end": ("Up to this slice", "The shown slice is the last one of the box"),
}


class RegionRow(QWidget):
    """A menu of ways to set the box, and its sides.

    Signals
    -------
    chosen(how)
        "everywhere", "around", "view", "draw", "start" or "end".
    edited(region)
        The user has typed a side.
    """

    chosen = Signal(str)
    edited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.menu_button = QToolButton()
        self.menu_button.setText("Set box")
        self.menu_button.setStyleSheet("padding-right: 14px")  # napari draws the arrow over the text
        self.menu_button.setToolTip("Where not all of the image is clicked, say in which box all cells are")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.menu_button)
        menu.setToolTipsVisible(True)
        self.actions = {}
        for how, (title, tip) in _CHOICES.items():
            self.actions[how] = menu.addAction(title)
            self.actions[how].setToolTip(tip)
            self.actions[how].triggered.connect(lambda _=False, how=how: self.chosen.emit(how))
        self.menu_button.setMenu(menu)
        self.sides = [(_make_side(), _make_side()) for _ in AXES]
        self._boxes = QWidget()
        self._shown: Region | None = None
        self._lay_out()
        self.show_region(None, shape=(1, 1, 1))

    def show_region(self, region: Region | None, *, shape: tuple[int, int, int]) -> None:
        """Show a region of an image of a shape; None: everywhere."""
        self._shown = region  # first: a side that is hidden while it has the focus counts as edited
        self.text.setText("All cells are to be clicked:  " + ("everywhere" if region is None else "in this box"))
        self._boxes.setVisible(region is not None)
        for (low, high), (a, b), size in zip(self.sides, region or ((0, 1),) * len(AXES), shape, strict=True):
            for box, value in ((low, a), (high, b - 1)):
                box.blockSignals(True)
                box.setRange(0, size - 1)
                box.setValue(value)
                box.blockSignals(False)

    def _on_edited(self) -> None:
        """A side that crosses the other one pushes it."""
        sender = self.sender()
        sides = []
        for low, high in self.sides:
            a, b = low.value(), high.value()
            sides.append((min(a, b), b + 1) if sender is high else (a, max(a, b) + 1))
        if self._shown is not None and tuple(sides) != self._shown:
            self.edited.emit(tuple(sides))

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.text, 1)
        top.addWidget(self.menu_button)
        row = QHBoxLayout(self._boxes)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for axis, (low, high) in zip(AXES, self.sides, strict=True):
            for widget in (QLabel(f" {axis}"), low, QLabel("-"), high):
                row.addWidget(widget, 1 if isinstance(widget, QSpinBox) else 0)
            for box in (low, high):
                box.editingFinished.connect(self._on_edited)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self._boxes)


def _make_side() -> QSpinBox:
    box = QSpinBox()
    box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    box.setToolTip(_TIP)
    box.setStyleSheet("min-width: 30px; max-width: 60px; padding: 1px 2px")  # six of them have to stand in a row
    return box
