"""How sure an object must be: at once among the objects there are, and with one press for those that are not."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt import QLabeledDoubleSlider

_LEAST, _MOST = 0.01, 0.99
_TIP = (
    "How sure an object must be. Higher leaves out doubtful ones at once; for those that were too doubtful so far, go "
    "lower and press Segment again"
)
_AGAIN_TIP = "Segment the image with this certainty: objects are found anew, and share their voxels anew"


class CertaintyRow(QWidget):
    """A slider for the least score of an object, and a button that asks for a result of that score."""

    moved = Signal()
    """The user has changed the value."""
    again_requested = Signal(float)
    """The least score of the result that is wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._made_with = _LEAST
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(_LEAST, _MOST)
        self.slider.setSingleStep(0.01)
        self.slider.setDecimals(2)
        self.slider.setToolTip(_TIP)
        self.again = QPushButton("Segment again")
        self.again.setToolTip(_AGAIN_TIP)
        self.slider.valueChanged.connect(self._on_moved)
        self.again.clicked.connect(lambda: self.again_requested.emit(self._shown()))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.again)

    def set_made_with(self, least_score: float) -> None:
        """Take the score that each object of the result had to have: where the slider begins."""
        self._made_with = min(max(round(least_score, 2), _LEAST), _MOST)
        self.set_value(0.0)

    def value(self) -> float:
        """Return the score below which objects are to leave; 0: none is."""
        return self._shown() if self._shown() > self._made_with else 0.0

    def set_value(self, least_score: float) -> None:
        """Show a score; nothing is emitted. 0: the one that the result was made with."""
        self.slider.blockSignals(True)
        self.slider.setValue(least_score or self._made_with)
        self.slider.blockSignals(False)
        self._offer_again()

    def _shown(self) -> float:
        return round(float(self.slider.value()), 2)

    def _on_moved(self) -> None:
        self._offer_again()
        self.moved.emit()

    def _offer_again(self) -> None:
        self.again.setEnabled(self._shown() != self._made_with)
