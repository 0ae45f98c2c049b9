"""How far a job is: a bar with step and time left, and a line that says what it is doing."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_weak3d.messages import Advanced


class ProgressLine(QWidget):
    """Hidden until :meth:`show_waiting` or :meth:`show_progress`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = QProgressBar()
        self.message = QElidingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        self.hide()

    def show_waiting(self, text: str) -> None:
        """Show that something goes on of which nothing is known yet."""
        self._show(0, 0, text="", message=text)

    def show_progress(self, progress: Advanced) -> None:
        """Show step, total and time left; where the total is not known, 0, the bar stays empty."""
        self._show(progress.step, progress.total, text=progress_text(progress), message=progress.message)

    def clear(self) -> None:
        """Hide."""
        self.hide()
        self.bar.reset()
        self.message.setText("")

    def _show(self, step: int, total: int, *, text: str, message: str) -> None:
        # Not 0 to 0: a bar that runs to and fro has the whole window put together anew 25 times a second. Drawn by the
        # processor, that takes longer than what it waits for.
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(min(step, max(total, 0)))
        self.bar.setFormat(text)
        self.bar.setToolTip(text)
        self.message.setText(message[:1].upper() + message[1:])
        self.message.setToolTip(message)
        self.show()


def progress_text(progress: Advanced) -> str:
    """Say step, total and time left, as far as they are known: "step 12 of 400, 2 min 10 s left"."""
    of_total = f" of {progress.total}" if progress.total > 0 else ""
    left = "" if progress.seconds_left is None else f", {time_words(progress.seconds_left)} left"
    return f"step {progress.step}{of_total}{left}"


def time_words(seconds: float) -> str:
    """Say a duration in two units at most, coarser the longer it is: 9 s, 2 min 10 s, 12 min, 1 h 5 min."""
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    if hours == 0:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
