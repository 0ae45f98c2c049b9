"""Step 1: which layer is the image, what its axes are, and how large a voxel is."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_weak3d.app.accents import Accent, accent, follow_theme
from napari_weak3d.types import AXES, RELATIVE, Spacing

_UNITS = {"um": "µm", RELATIVE: "relative"}
_ROLES = {"channels": "Channels", "time": "Time points"}
_NO_IMAGE = "Open an image first: drop a file on napari, or File > Open Sample > Weak3D."
_UNKNOWN_SPACING = (
    "The image does not say how large a voxel is. Set it, at least how much farther apart planes are than pixels: "
    "with 1, 1, 1 objects of a flat stack are cut wrongly."
)
_UNKNOWN_SIZE = "The image does not say how large a pixel is. Set it in y and x, if you want sizes in µm."
_DOUBTFUL_SPACING = "Is a voxel 1 µm in all directions? Many files that do not know say so."
_MILD = (_NO_IMAGE, _UNKNOWN_SIZE, _DOUBTFUL_SPACING)
"""Notes that warn of nothing."""


class ImagePanel(QWidget):
    """Layer picker, axis role, channels and voxel size. Knows names and numbers only, no layers.

    Signals fire on what the user does, never on a setter. ``refused``: whether the chosen layer is no image to work on.
    """

    layer_chosen = Signal(str)
    role_chosen = Signal(str)
    """What the fourth axis is: "channels" or "time"."""
    channels_chosen = Signal(tuple)
    spacing_chosen = Signal(tuple, str)
    """(z, y, x) and "um" or "relative"."""
    begin_requested = Signal()
    remedy_requested = Signal()
    """Do what the button beside the note says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fixed = self.refused = False
        self.picker = QComboBox()
        self.picker.setToolTip("The image to annotate; follows the layer list")
        self.picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.picker.activated.connect(lambda _: self.layer_chosen.emit(self.picker.currentText()))
        self.role = QComboBox()
        self.role.setToolTip("What the first axis of this image is")
        for value, title in _ROLES.items():
            self.role.addItem(title, value)
        self.role.activated.connect(lambda _: self.role_chosen.emit(self.role.currentData()))
        self._channels = _ChannelRow(self.channels_chosen)
        self.spacing = SpacingRow()
        self.spacing.edited.connect(self.spacing_chosen)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.remedy_button = QPushButton()
        self.remedy_button.clicked.connect(self.remedy_requested)
        self.begin_button = QPushButton()
        self.begin_button.setToolTip("Add a layer to annotate in; everything is saved by itself")
        self.begin_button.clicked.connect(self.begin_requested)
        self.writing = QProgressBar()
        self.writing.setFormat("Copying the image into the project: %p %")
        self.writing.setMaximumHeight(16)
        self.writing.hide()
        self._form = QFormLayout()
        self._lay_out()
        follow_theme(self, self._paint_note)
        self.show_layers([], current="")

    def _lay_out(self) -> None:
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(3)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Image", self.picker)
        self._form.addRow("First axis", self.role)
        self._form.addRow("Channels", self._channels)
        self._form.addRow("Voxel size", self.spacing)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(self._form)
        layout.addWidget(self.note)
        layout.addWidget(self.remedy_button)
        layout.addWidget(self.begin_button)
        layout.addWidget(self.writing)

    @property
    def layer(self) -> str:
        """Name of the chosen layer; empty where there is none."""
        return str(self.picker.currentText())

    @property
    def channel_boxes(self) -> tuple[QCheckBox, ...]:
        """The tick boxes of the channels."""
        return tuple(self._channels.boxes)

    def show_layers(self, names: Sequence[str], *, current: str) -> None:
        """Fill the picker with the names of image layers; without any, say how to open one."""
        self.picker.clear()
        self.picker.addItems(list(names))
        self.picker.setCurrentText(current)
        self.picker.setEnabled(bool(names))
        if not names:
            self.show_axes(None, n=0)
            self.show_channels(0, chosen=None)
            self.show_note(_NO_IMAGE)
        self._form.setRowVisible(self.spacing, bool(names))

    def show_refusal(self, why: str) -> None:
        """Say why the chosen layer is no image to work on; there is nothing to set or to begin then."""
        self.show_axes(None, n=0)
        self.show_channels(0, chosen=None)
        self.show_note(why)
        self.show_begin("")
        self._form.setRowVisible(self.spacing, False)
        self.refused = True

    def show_axes(self, role: str | None, *, n: int) -> None:
        """Show what the first of four axes is and how long; None: there are three or two."""
        self._form.setRowVisible(self.role, role is not None)
        if role is not None:
            self.role.setCurrentIndex(self.role.findData(role))
            self.role.setToolTip(f"What the first axis of this image, {n} long, is")

    def doubt_axis(self, n: int) -> None:
        """Ask in the note what the first axis is: it was guessed."""
        self.show_note(f"The first axis, {n} long, has no name: is it time points or channels? Say so above.")

    def show_channels(self, n: int, *, chosen: Sequence[int] | None) -> None:
        """Show a box per channel, ticked where it is used; None: all are. Hidden where there is one."""
        self._form.setRowVisible(self._channels, n > 1)
        self._channels.show_channels(n if n > 1 else 0, chosen=range(n) if chosen is None else chosen)

    def show_spacing(self, spacing: Spacing, unit: str, *, n_planes: int) -> None:
        """Show the voxel size; warn where it is 1, 1, 1 of no unit, as silent files give it, and doubt it in µm.

        One plane alone has no others that may be farther apart.
        """
        self.refused = False
        self._form.setRowVisible(self.spacing, True)
        self.spacing.setEnabled(not self._fixed)
        self.spacing.show_spacing(spacing, unit)
        unknown = _UNKNOWN_SPACING if n_planes > 1 else _UNKNOWN_SIZE
        doubt = unknown if unit == RELATIVE else _DOUBTFUL_SPACING
        self.show_note(doubt if tuple(spacing) == (1, 1, 1) else "")

    def warn_of(self, text: str) -> None:
        """Show a warning in the place of what the note says, unless it is empty."""
        if text:
            self.show_note(text)

    def show_note(self, text: str, *, remedy: str = "") -> None:
        """Show a few words below the form, in the colour of warnings unless they are mild; empty hides them.

        Parameters
        ----------
        remedy
            Title of a button that sets it right; empty: there is none.
        """
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.remedy_button.setText(remedy)
        self.remedy_button.setVisible(bool(remedy))
        self._paint_note()

    def _paint_note(self) -> None:
        colour = accent(self.palette(), Accent.WARNING).name()
        style = "" if self.note.text() in _MILD else f"color: {colour};"
        if style != self.note.styleSheet():
            self.note.setStyleSheet(style)

    def show_begin(self, title: str) -> None:
        """Show the button that begins to paint; empty hides it: painting goes on, or there is nothing to paint on."""
        self.begin_button.setText(title)
        self.begin_button.setVisible(bool(title))

    def show_writing(self, part: float) -> None:
        """Show how much of the image has been copied into the project, 0 to 1; at 1 the bar goes."""
        self.writing.setValue(int(100 * part))
        self.writing.setVisible(part < 1)

    def set_fixed(self, fixed: bool) -> None:
        """Lock what may not change while a job runs."""
        self._fixed = fixed
        for widget in (self.role, self._channels, self.spacing):
            widget.setEnabled(not fixed)


class SpacingRow(QWidget):
    """Three numbers, z y x, and a unit."""

    edited = Signal(tuple, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.sizes = [_SizeBox(axis) for axis in AXES]
        self.unit = QComboBox()
        for value, title in _UNITS.items():
            self.unit.addItem(title, value)
        self.unit.setToolTip("relative: only the ratios are known")
        for box in self.sizes:
            layout.addWidget(box, stretch=1)
            box.editingFinished.connect(self._tell)
        layout.addWidget(self.unit)
        self.unit.activated.connect(lambda _: self._tell())
        self._told: tuple[Spacing, str] = ((1.0, 1.0, 1.0), RELATIVE)

    def value(self) -> tuple[Spacing, str]:
        """What is shown: (z, y, x), and "um" or "relative"."""
        z, y, x = (float(box.value()) for box in self.sizes)
        return (z, y, x), str(self.unit.currentData())

    def show_spacing(self, spacing: Spacing, unit: str) -> None:
        """Show a voxel size without emitting ``edited``."""
        for box, size in zip(self.sizes, spacing, strict=True):
            box.setValue(size)
        self.unit.setCurrentIndex(max(self.unit.findData(unit), 0))
        self._told = self.value()

    def _tell(self) -> None:
        if self.value() != self._told:  # editingFinished comes on leaving the field, changed or not
            self._told = self.value()
            self.edited.emit(*self._told)


class _ChannelRow(QScrollArea):
    """A tick box per channel, in one line that scrolls; the last ticked one stays ticked."""

    def __init__(self, chosen: Signal) -> None:
        super().__init__()
        self._chosen = chosen
        self.boxes: list[QCheckBox] = []
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setMaximumHeight(30)

    def show_channels(self, n: int, *, chosen: Sequence[int]) -> None:
        inside = QWidget()
        row = QHBoxLayout(inside)
        row.setContentsMargins(0, 0, 0, 0)
        self.boxes = [QCheckBox(str(channel)) for channel in range(n)]
        for channel, box in enumerate(self.boxes):
            box.setChecked(channel in chosen)
            box.setToolTip(f"Use channel {channel}")
            box.clicked.connect(self._tell)
            row.addWidget(box)
        row.addStretch()
        self.setWidget(inside)

    def _tell(self) -> None:
        ticked = tuple(channel for channel, box in enumerate(self.boxes) if box.isChecked())
        if ticked:
            self._chosen.emit(ticked)
        else:
            self.sender().setChecked(True)


class _SizeBox(QDoubleSpinBox):
    """A length, shown with the digits it has and no more."""

    def __init__(self, axis: str) -> None:
        super().__init__()
        self.setRange(1e-4, 1e6)
        self.setDecimals(6)
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setKeyboardTracking(False)
        self.setPrefix(f"{axis} ")
        self.setStyleSheet("min-width: 36px")  # napari's own makes three of them too wide for the dock
        self.setToolTip(f"Size of a voxel along {axis}. Kept in the project; the layer stays as it is")

    def sizeHint(self) -> QSize:
        return QSize(self._width_of("z 0.000"), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self._width_of("z 0.00"), super().minimumSizeHint().height())

    def _width_of(self, text: str) -> int:
        return int(self.fontMetrics().horizontalAdvance(text)) + 8  # the box around it

    def textFromValue(self, value: float) -> str:
        return f"{value:.6g}"
