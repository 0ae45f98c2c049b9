"""The few colours that a palette has no role for: curves, warnings, the main button; chosen to read on its window.

napari sets its theme as a style sheet, which gives every widget a palette with the theme's window and text colours;
its own warning and error colours are made for icons and too dark or too bright as text.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QWidget


class Accent(StrEnum):
    """What a colour stands for."""

    LOSS = "loss"
    SCORE = "score"
    WARNING = "warning"
    ERROR = "error"
    ACTION = "action"
    """Behind the text of the button that one is there to press; the text has napari's light text colour."""


ACTION_TEXT = "#ffffff"

# Contrast (WCAG 2.1, 1.4.3) to napari's dark and light windows is above 4.5, of ACTION to its text likewise; loss and
# score differ in lightness and along blue and yellow, so that the colour-blind tell them apart.
_ON_DARK = {
    Accent.LOSS: "#f0b060",
    Accent.SCORE: "#62b5ff",
    Accent.WARNING: "#e3b617",
    Accent.ERROR: "#ff8078",
    Accent.ACTION: "#4560c4",
}
_ON_LIGHT = {
    Accent.LOSS: "#9a4a00",
    Accent.SCORE: "#0b5ba8",
    Accent.WARNING: "#735400",
    Accent.ERROR: "#b3001b",
    Accent.ACTION: "#3a55bd",
}


def accent(palette: QPalette, meaning: Accent) -> QColor:
    """Return the colour that stands for something, on this palette's window."""
    window = palette.color(QPalette.ColorRole.Window)
    return QColor((_ON_DARK if window.lightness() < 128 else _ON_LIGHT)[meaning])


def follow_theme(widget: QWidget, apply: Callable[[], None]) -> None:
    """Call ``apply`` now, and whenever the window or text colour of ``widget`` has changed.

    ``apply`` may set style sheets: that it is not called again for its own changes is seen to here.
    """
    _Follower(widget, apply)


class _Follower(QObject):
    """Lives as long as its widget."""

    _EVENTS = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.Polish)

    def __init__(self, widget: QWidget, apply: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._apply = widget, apply
        self._seen = self._colours()
        # Qt passes through the system's palette from one style sheet to the next: look when it has arrived.
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._look)
        widget.installEventFilter(self)
        apply()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            self._look()
        elif event.type() in self._EVENTS:
            self._timer.start()
        return False

    def _look(self) -> None:
        if self._colours() != self._seen:
            self._seen = self._colours()
            self._apply()

    def _colours(self) -> tuple[str, str]:
        palette = self._widget.palette()
        return palette.color(QPalette.ColorRole.Window).name(), palette.color(QPalette.ColorRole.WindowText).name()
