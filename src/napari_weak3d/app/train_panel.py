"""Step 3 of the dock: train, watch, stop. It knows neither napari nor the project: signals go up, setters down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_weak3d.app.accents import follow_theme
from napari_weak3d.app.curves import Curves
from napari_weak3d.app.device_line import DeviceLine
from napari_weak3d.app.form import ConfigForm
from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.message_bar import Kind, MessageBar
from napari_weak3d.app.progress_line import ProgressLine
from napari_weak3d.app.run_buttons import RunButtons
from napari_weak3d.config import Device, TrainConfig
from napari_weak3d.messages import Advanced, Hello
from napari_weak3d.methods import load_config

_OUTSIDE = ("minutes", "device")
"""Settings that are not in the form: minutes stand beside the button, the device is a preference."""
_MEND = "A setting is not right: see below, it is marked. Mend it, then press Train again."
_FORM_HEIGHT = 170
"""Of the settings when unfolded, pixels; they scroll inside."""


class TrainPanel(QWidget):
    """Train button, progress, curves, messages, device and settings of a method.

    Attributes
    ----------
    top
        Buttons, progress and messages: what has to be in sight always. The dock may put it elsewhere.
    """

    train_requested = Signal()
    stop_requested = Signal()
    kill_requested = Signal()
    pause_requested = Signal()
    resume_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config_class: type[TrainConfig] = TrainConfig
        self._form: ConfigForm | None = None
        self._kept: dict[type[TrainConfig], ConfigForm | None] = {}
        self._state = JobState.IDLE
        self._curves_chosen = False
        self.minutes = _make_minutes()
        self.buttons = RunButtons(self.minutes)
        self.progress = ProgressLine()
        self.messages = MessageBar()
        self.curves = Curves()
        self.curves_button = _make_curves_button()
        self.device = DeviceLine(self.curves_button)
        self.settings_box = QCollapsible("Settings of the method")
        self._area = _FormArea()
        self.top = QWidget()
        self._lay_out()
        self._connect()
        follow_theme(self.settings_box.toggleButton(), self._paint_arrows)

    def set_method(self, name: str) -> None:
        """Offer the settings of a method, as they were when it was last offered.

        Raises
        ------
        Weak3DError
            There is no such method.
        """
        config_class = load_config(name)
        if config_class is not self._config_class:
            self._kept[self._config_class] = self._form
            self._area.takeWidget()  # setting another would delete it
            if not self._form and self._config_class is TrainConfig:  # the first method that is offered
                self.minutes.setValue(config_class.model_fields["minutes"].default)
            self._config_class, self._form = config_class, self._kept.get(config_class)
            if self._form is not None:
                self._area.setWidget(self._form)
            elif self.settings_box.isExpanded():
                _ = self.form

    @property
    def form(self) -> ConfigForm:
        """The form of the method's settings; made when first needed: that takes a moment."""
        if self._form is None:
            self._form = ConfigForm(self._config_class, leave_out=_OUTSIDE)
            self._area.setWidget(self._form)
        return self._form

    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from the method's defaults; what is in error is left out."""
        found = {} if self._form is None else self._form.settings()
        minutes = round(self.minutes.value(), 3)
        if minutes != self._config_class.model_fields["minutes"].default:
            found["minutes"] = minutes
        return found

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Show these settings, and the defaults for all others; the device is not shown here."""
        self.minutes.setValue(float(settings.get("minutes", self._config_class.model_fields["minutes"].default)))
        in_form = {name: value for name, value in settings.items() if name not in _OUTSIDE}
        if in_form or self._form is not None:
            self.form.set_settings(in_form)

    def set_state(self, state: JobState, *, can_pause: bool = True, starting: str = "starting...") -> None:
        """Show the buttons of a state.

        Parameters
        ----------
        can_pause
            Whether this kind of job can be held: it is a training.
        starting
            What to say before the first report.
        """
        begins = self._state is JobState.IDLE and state is not JobState.IDLE
        self._state = state
        self.buttons.set_state(state, can_pause=can_pause)
        if state is JobState.IDLE:
            self.progress.clear()
        elif state is JobState.STARTING:
            self.progress.show_waiting(starting)
        if begins and not self._curves_chosen:
            self.curves_button.setChecked(True)

    def show_progress(self, progress: Advanced) -> None:
        """Show how far the job is; loss and held-out score go into the curves."""
        self.progress.show_progress(progress)
        self.buttons.show_waiting_for(progress.message or f"step {progress.step}")
        self.curves.add(progress)

    def clear_progress(self) -> None:
        """Hide the bar; the curves stay until another training begins."""
        self.progress.clear()

    def say(self, text: str, *, kind: Kind = "info", details: str = "", field: str = "") -> None:
        """Show a message; with ``field``, the name of a setting, also there."""
        self.messages.say(text, kind=kind, details=details, field=field)
        if field in self._config_class.model_fields and field not in _OUTSIDE:
            self.form.show_error(field, text)
            self._unfold_settings()

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask inside the panel; each answer's text is on a button, and its function is called when that is chosen."""
        self.messages.ask(text, answers)

    def show_device(self, hello: Hello | None, *, device: Device = Device.AUTO) -> None:
        """Show what a job runs on that prefers ``device``; None: not known yet."""
        self.device.show_hello(hello, device=device)

    def clear_messages(self) -> None:
        """Drop what was said, at settings too; questions stay."""
        self.messages.clear_messages()
        if self._form is not None:
            self._form.forget_errors()

    def name_keys(self, keys: Mapping[str, str]) -> None:
        """Add keys to the buttons' tooltips: "train", "pause", "resume", "stop", "kill" -> the key's name."""
        self.buttons.name_keys(keys)

    def _train(self) -> None:
        # What was said of the last try is over; what is said of this one comes after the signal.
        self.clear_messages()
        if self._form is not None and not self._form.is_valid:
            self._unfold_settings()
            self.messages.say(_MEND, kind="error")
        else:
            self.train_requested.emit()

    def _connect(self) -> None:
        self.buttons.train_clicked.connect(self._train)
        self.buttons.stop_clicked.connect(self.stop_requested)
        self.buttons.kill_clicked.connect(self.kill_requested)
        self.buttons.pause_clicked.connect(self.pause_requested)
        self.buttons.resume_clicked.connect(self.resume_requested)
        self.curves_button.toggled.connect(self._show_curves)
        self.curves_button.clicked.connect(self._choose_curves)
        self.settings_box.toggled.connect(self._on_settings_toggled)

    def _lay_out(self) -> None:
        self.settings_box.setContent(self._area)
        self._area.setMaximumHeight(0)
        self.settings_box.layout().setContentsMargins(0, 0, 0, 0)
        self.settings_box.toggleButton().setToolTip("Show or hide the settings; the defaults do for most images")
        self.curves.hide()
        top = QVBoxLayout(self.top)
        top.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        for each in (top, layout):
            each.setSpacing(4)
        for each in (self.buttons, self.progress, self.messages):
            top.addWidget(each)
        for each in (self.top, self.curves, self.device, self.settings_box):
            layout.addWidget(each)
        layout.addStretch()
        self.setTabOrder(self.buttons.train, self.minutes)

    def _show_curves(self, shown: bool) -> None:
        self.curves_button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self.curves.setVisible(shown)

    def _choose_curves(self) -> None:
        """The user has said whether curves are to be shown: they are not unfolded by themselves any more."""
        self._curves_chosen = True

    def _unfold_settings(self) -> None:
        if not self.settings_box.isExpanded():
            self.settings_box.expand(animate=False)

    def _on_settings_toggled(self, unfolded: bool) -> None:
        if unfolded:
            _ = self.form

    def _paint_arrows(self) -> None:
        # The folding box draws its icons once, in the colours of the moment.
        self.settings_box.setExpandedIcon("▼")
        self.settings_box.setCollapsedIcon("▶")


class _FormArea(QScrollArea):
    """Scrolls the form up and down; as high as the folding box is to make it."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def sizeHint(self) -> QSize:
        """Give the height when unfolded."""
        return QSize(super().sizeHint().width(), _FORM_HEIGHT)


def _make_minutes() -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0.1, 10_000)
    box.setDecimals(1)
    box.setSuffix(" min")
    box.setValue(TrainConfig.model_fields["minutes"].default)
    box.setToolTip(f"{TrainConfig.model_fields['minutes'].description} Stop keeps the model at any time.")
    return box


def _make_curves_button() -> QToolButton:
    button = QToolButton()
    button.setText("Curves")
    button.setCheckable(True)
    button.setAutoRaise(True)
    button.setArrowType(Qt.ArrowType.RightArrow)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setToolTip("Show or hide the curves of loss and held-out score")
    return button
