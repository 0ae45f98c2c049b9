"""The buttons that start, hold and end a job: which are there follows from its state alone."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_weak3d.app.accents import ACTION_TEXT, Accent, accent, follow_theme
from napari_weak3d.app.jobs import JobState

_PATIENCE_MS = 5000
"""From Stop until the button that ends the process appears."""
_TIPS = {
    "train": "Train on everything annotated so far, for the minutes on the right",
    "pause": "Hold the training; annotating and previews go on",
    "resume": "Go on with the training",
    "stop": "End after the current step and keep the model",
    "kill": "End the process at once; of a training the last checkpoint is kept, at most 20 s old",
}


class RunButtons(QWidget):
    """Train; or Pause and Stop; or Go on and Stop; and after a Stop that takes long, Stop at once.

    Parameters
    ----------
    beside_train
        Stands beside the Train button, and is hidden with it.
    """

    train_clicked = Signal()
    stop_clicked = Signal()
    kill_clicked = Signal()
    pause_clicked = Signal()
    resume_clicked = Signal()

    def __init__(self, beside_train: QWidget) -> None:
        super().__init__()
        self._beside_train = beside_train
        self.train = _make_button("Train on my labels", self.train_clicked)
        self.pause = _make_button("Pause", self.pause_clicked)
        self.resume = _make_button("Go on", self.resume_clicked)
        self.stop = QPushButton("Stop")
        self.kill = _make_button("Stop at once", self.kill_clicked)
        self.stop.clicked.connect(self._on_stop)
        self.kill.clicked.connect(lambda: self.kill.setEnabled(False))
        self.waiting = QLabel()
        self.waiting.setWordWrap(True)
        self.waiting.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._offer_kill)
        self._waits_for = ""
        self._can_pause = True
        self._lay_out()
        self.name_keys({})
        follow_theme(self, self._paint)
        self.set_state(JobState.IDLE)

    def set_state(self, state: JobState, *, can_pause: bool = True) -> None:
        """Show the buttons of a state; ``can_pause``: whether this kind of job can be held."""
        self._can_pause = can_pause
        if state is JobState.IDLE:
            self._waits_for = ""
        self._show(state)

    def show_waiting_for(self, text: str) -> None:
        """Say what a Stop waits for."""
        self._waits_for = text
        self.waiting.setText(f"Waiting for: {text or 'the current step'}.")

    def set_patience(self, milliseconds: int) -> None:
        """Set how long after Stop the button that ends the process appears."""
        self._patience.setInterval(milliseconds)

    def name_keys(self, keys: Mapping[str, str]) -> None:
        """Add keys to the tooltips: "train", "pause", "resume", "stop", "kill" -> the key's name."""
        for name, tip in _TIPS.items():
            getattr(self, name).setToolTip(f"{tip} ({keys[name]})" if name in keys else tip)

    def _on_stop(self) -> None:
        # First: a job that only waited is gone by the end of the signal, and its state is shown by then.
        self._show(JobState.STOPPING)
        self.stop_clicked.emit()

    def _show(self, state: JobState) -> None:
        idle, paused, stopping = (state is each for each in (JobState.IDLE, JobState.PAUSED, JobState.STOPPING))
        self.train.setVisible(idle)
        self._beside_train.setVisible(idle)
        self.pause.setVisible(self._can_pause and not idle and not paused)
        self.pause.setEnabled(state is JobState.RUNNING)
        self.resume.setVisible(paused)
        self.stop.setVisible(not idle)
        self.stop.setEnabled(not stopping)
        self.stop.setText("Stopping..." if stopping else "Stop")
        if stopping and not self._patience.isActive() and self.kill.isHidden():
            self._patience.start()
        if not stopping:
            self._patience.stop()
            self.waiting.hide()
            self.kill.hide()

    def _offer_kill(self) -> None:
        self.show_waiting_for(self._waits_for)
        self.kill.setText("Stop at once, keep the last checkpoint" if self._can_pause else "Stop at once")
        self.waiting.show()
        self.kill.setEnabled(True)
        self.kill.show()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.train, 1)
        row.addWidget(self._beside_train)
        for button in (self.pause, self.resume, self.stop):
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self.waiting)
        layout.addWidget(self.kill)

    def _paint(self) -> None:
        colour = accent(self.palette(), Accent.ACTION)
        style = (
            f"QPushButton {{ background-color: {colour.name()}; color: {ACTION_TEXT}; }}"
            f"QPushButton {{ padding: 6px; font-weight: bold; }}"
            f"QPushButton:hover {{ background-color: {colour.lighter(115).name()}; }}"
            f"QPushButton:pressed {{ background-color: {colour.darker(115).name()}; }}"
        )
        if style != self.train.styleSheet():
            self.train.setStyleSheet(style)


def _make_button(text: str, clicked: Signal) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(clicked)
    return button
