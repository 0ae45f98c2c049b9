"""The line that says what a job runs on, and the command that would make it run faster."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_weak3d.app.accents import Accent, accent, follow_theme
from napari_weak3d.app.device_advice import Advice, advise, describe, find_environment, find_nvidia
from napari_weak3d.config import Device
from napari_weak3d.messages import Hello

_STARTING = "Starting..."


class DeviceLine(QWidget):
    """What a job runs on; below it, where an NVIDIA card lies idle, why, and a command to copy.

    Parameters
    ----------
    corner
        Stands at the right end of the line.
    """

    def __init__(self, corner: QWidget) -> None:
        super().__init__()
        self.text = _make_text()
        self.warning = _make_text()
        self.command = QLineEdit(readOnly=True)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the command")
        self.copy_button.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.command.text()))
        self._command_row = QWidget()
        row = QHBoxLayout(self._command_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.command, 1)
        row.addWidget(self.copy_button)
        line = QHBoxLayout()
        line.addWidget(self.text, 1)
        line.addWidget(corner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        for each in (self.warning, self._command_row):
            layout.addWidget(each)
        follow_theme(self, self._paint)
        self.show_hello(None)

    def show_hello(self, hello: Hello | None, *, device: Device = Device.AUTO) -> None:
        """Show the device of a job that prefers ``device``; None: the child process has not said what there is."""
        if hello is None:
            self.text.setText(_STARTING)
            self.show_advice(None)
            return
        self.text.setText(describe(hello, device=device))
        self.text.setToolTip(f"torch {hello.torch}")
        self.show_advice(advise(hello, has_nvidia=find_nvidia(), environment=find_environment()))

    def show_advice(self, advice: Advice | None) -> None:
        """Show what to do, or nothing."""
        self.warning.setVisible(advice is not None)
        self._command_row.setVisible(advice is not None and bool(advice.command))
        if advice is not None:
            self.warning.setText(advice.text)
            self.warning.setToolTip(advice.hint)
            self.command.setText(advice.command)
            self.command.setToolTip(f"{advice.command}\n{advice.hint}".strip())
            self.command.setCursorPosition(0)

    def _paint(self) -> None:
        style = f"color: {accent(self.palette(), Accent.WARNING).name()};"
        if style != self.warning.styleSheet():
            self.warning.setStyleSheet(style)


def _make_text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
