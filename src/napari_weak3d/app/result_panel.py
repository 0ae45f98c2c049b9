"""Step 3, the result: decide it otherwise, look objects up, take a slice over as annotation, export."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_weak3d.app.certainty_row import CertaintyRow
from napari_weak3d.app.object_table import ObjectTable
from napari_weak3d.app.size_row import SizeRow
from napari_weak3d.retouch import Holes, Retouch
from napari_weak3d.types import RELATIVE, Spacing

if TYPE_CHECKING:  # it measures with scipy, which the dock opens without
    from napari_weak3d.measure import ObjectMeasures

_EMPTY = (
    "No result yet. Annotate and press Train: what the model makes of the image appears here, to be looked "
    "through, corrected and exported. A model that is there already is applied from the list of models."
)
_SETTLED_MS = 150
"""After the last move of a slider."""
_DRAGGING_MS = 300
"""Between two answers while a slider keeps moving."""
_HOLES: dict[Holes, tuple[str, str]] = {
    "keep": ("Keep", "Holes stay"),
    "closed": ("Fill closed ones", "Fill what an object encloses on all sides, also above and below"),
    "planes": ("Fill in every z plane", "Fill what an object encloses in a z plane: tunnels along z and rings, too"),
}
_EXPORTS = {
    "csv": ("Table of objects (CSV)...", "Size, place and brightness of each object"),
    "tiff": ("Labels (TIFF)...", "A label image that opens calibrated in Fiji"),
    "zarr": ("Labels (OME-Zarr)...", "A label image with voxel size, for large volumes"),
}
_SERIES_EXPORTS = {
    "tiff": ("Labels of all time points (TIFF)...", "One file with a time axis; zero where there is no result"),
    "zarr": ("Labels of all time points (OME-Zarr)...", "One folder with a time axis; zero where there is no result"),
}
_EXTRAS = {
    "uncertainty": "Where the model is not sure",
    "classes": "Which class each voxel is of, as the model gave it",
    "core": "Where the middles of objects are",
    "centres": "How near to the centre of a cell",
    "mask": "How probable it is that there is a cell",
    "responses": "What in the image made the model see each cell",
    "inside": "How probable it is that there is the inside of a cell, borders left out",
}
_THRESHOLD_TIP = "How probable an object must be: lower grows objects, higher shrinks them; 0.5 is the model's own"


class ResultPanel(QWidget):
    """Sliders over a result, its objects, and what can be done with it. Knows neither layers nor files.

    Signals fire on what the user does, never on a setter.
    """

    retouch_requested = Signal(object)
    """A :class:`~napari_weak3d.retouch.Retouch`: soon after the last move, and now and then while a slider moves."""
    object_chosen = Signal(int)
    export_requested = Signal(str)
    """"csv", "tiff" or "zarr"."""
    series_export_requested = Signal(str)
    """"tiff" or "zarr": of all time points."""
    take_over_requested = Signal()
    segment_again_requested = Signal(float)
    """With this least score of an object."""
    extra_toggled = Signal(str, bool)
    """Whether to show what came beside the labels, by name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._as_predicted = Retouch()
        self.empty = QLabel(_EMPTY)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.threshold = _make_threshold()
        self.smallest = SizeRow()
        self.certainty = CertaintyRow()
        self.holes = _make_holes()
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to the result as the model gave it")
        self.extras = QPushButton("Layers")
        self.extras.setToolTip("Show what else the model says, each as a layer of its own")
        self.extras.setMinimumWidth(84)  # for the arrow of its menu
        self.extras.setMenu(QMenu(self.extras))
        self.count = QLabel()
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.table = ObjectTable()
        self.take_over = QPushButton("Use this slice as annotation")
        self.set_take_over_tip("Take over what the result, as you corrected it, shows in this slice")
        self.export = QPushButton("Export")
        self.export.setToolTip("Write the objects to a file")
        self.export.setMinimumWidth(84)  # for the arrow of its menu
        self.content = QWidget()
        self._settled, self._dragging = _make_timer(_SETTLED_MS, self), _make_timer(_DRAGGING_MS, self)
        self._lay_out()
        self._connect()
        self.clear()

    @property
    def settings(self) -> Retouch:
        """What the sliders say."""
        return Retouch(
            round(self.threshold.value(), 2), self.smallest.value(), self.holes.currentData(), self.certainty.value()
        )

    def show_result(
        self, as_predicted: Retouch, *, has_threshold: bool, extras: Sequence[str], least_score: float | None = None
    ) -> None:
        """Show the panel for another result.

        Parameters
        ----------
        as_predicted
            The settings that it was made with: where the sliders start, and Reset goes back to.
        has_threshold
            Whether its probabilities are there; else the threshold is locked.
        extras
            Names of what else there is to show; none of it is ticked.
        least_score
            What the score of its objects had to be; None: they have none.
        """
        self._as_predicted = as_predicted
        self.smallest.forget_scale()
        self.threshold.setEnabled(has_threshold)
        self.threshold.setToolTip(_THRESHOLD_TIP if has_threshold else "This result came without probabilities")
        self._form.setRowVisible(self.certainty, least_score is not None)
        self.certainty.set_made_with(least_score or 0.0)
        self._offer_extras(extras)
        self._set_sliders(as_predicted)
        self.table.show_objects([], RELATIVE)
        self.count.setText("Measuring...")
        self._show_content(True)

    def show_settings(self, settings: Retouch) -> None:
        """Move the sliders to how the result is decided, where that is not as it was predicted."""
        self._set_sliders(settings)

    def show_objects(self, rows: Sequence[ObjectMeasures], spacing: Spacing, unit: str) -> None:
        """Show the objects of the result as it is now; the sliders stay where they are.

        Parameters
        ----------
        rows
            As measured, ids ascending.
        spacing, unit
            Of the image; where the unit is "um" sizes are shown in µm³, too.
        """
        self.table.show_objects(rows, unit)
        self.smallest.set_scale(
            largest=max((row.n_voxels for row in rows), default=1),
            voxel_um3=None if unit == RELATIVE else math.prod(spacing),
        )
        self.count.setText(f"{len(rows)} object{'' if len(rows) == 1 else 's'}")
        self._show_content(True)

    def set_take_over_tip(self, text: str) -> None:
        """Say what taking this slice over as annotation does."""
        self.take_over.setToolTip(text)

    def offer_series(self, offered: bool) -> None:
        """Offer to export the labels of all time points, where there are several."""
        for action in self._series_exports:
            action.setVisible(offered)

    def select_object(self, object_id: int) -> None:
        """Select an object that was picked in the image; 0: none."""
        self.table.select_object(object_id)

    def clear(self) -> None:
        """Show that there is no result."""
        self._settled.stop()
        self._dragging.stop()
        self.table.show_objects([], RELATIVE)
        self._show_content(False)

    def _offer_extras(self, names: Sequence[str]) -> None:
        menu = self.extras.menu()
        menu.clear()
        menu.setToolTipsVisible(True)
        for name in names:
            action = menu.addAction(name.capitalize())
            action.setCheckable(True)
            action.setToolTip(_EXTRAS.get(name, ""))
            action.toggled.connect(lambda on, name=name: self.extra_toggled.emit(name, on))
        self.extras.setEnabled(bool(names))

    def _show_content(self, shown: bool) -> None:
        self.content.setVisible(shown)
        self.empty.setVisible(not shown)

    def _set_sliders(self, settings: Retouch) -> None:
        """Move all of them, and forget what moved them before."""
        self._settled.stop()
        self._dragging.stop()
        self._told = settings
        widgets = (self.threshold, self.smallest, self.certainty, self.holes)
        for widget in widgets:
            widget.blockSignals(True)
        self.threshold.setValue(settings.threshold)
        self.smallest.set_value(settings.smallest)
        self.certainty.set_value(settings.least_score)
        self.holes.setCurrentIndex(self.holes.findData(settings.fill_holes))
        for widget in widgets:
            widget.blockSignals(False)

    def _on_moved(self) -> None:
        self._settled.start()  # again from the beginning
        if not self._dragging.isActive():
            self._dragging.start()

    def _tell(self) -> None:
        self._settled.stop()
        self._dragging.stop()
        if self.settings != self._told:
            self._told = self.settings
            self.retouch_requested.emit(self._told)

    def _on_reset(self) -> None:
        told = self._told
        self._set_sliders(self._as_predicted)
        if told != self._as_predicted:
            self.retouch_requested.emit(self._as_predicted)

    def _connect(self) -> None:
        self.threshold.valueChanged.connect(lambda _: self._on_moved())
        self.smallest.moved.connect(self._on_moved)
        self.certainty.moved.connect(self._on_moved)
        self.certainty.again_requested.connect(self.segment_again_requested)
        self.holes.activated.connect(lambda _: self._on_moved())
        self._settled.timeout.connect(self._tell)
        self._dragging.timeout.connect(self._tell)
        self.reset.clicked.connect(self._on_reset)
        self.table.object_chosen.connect(self.object_chosen)
        self.take_over.clicked.connect(self.take_over_requested)
        self.export.setMenu(QMenu(self.export))
        self.export.menu().setToolTipsVisible(True)
        self._add_exports(_EXPORTS, self.export_requested)
        self._series_exports = self._add_exports(_SERIES_EXPORTS, self.series_export_requested)
        self.offer_series(False)

    def _add_exports(self, exports: Mapping[str, tuple[str, str]], signal: Signal) -> list[QAction]:
        actions = []
        for kind, (title, tip) in exports.items():
            action = self.export.menu().addAction(title)
            action.setToolTip(tip)
            action.triggered.connect(lambda _=False, kind=kind: signal.emit(kind))
            actions.append(action)
        return actions

    def _lay_out(self) -> None:
        form = self._form = QFormLayout()
        form.setContentsMargins(0, 4, 0, 0)  # the handle stands above its row
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Threshold", self.threshold)
        form.addRow("Smallest", self.smallest)
        form.addRow("Certainty", self.certainty)
        form.addRow("Holes", _in_row(self.holes, self.reset, stretched=self.holes))
        inside = QVBoxLayout(self.content)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(3)
        inside.addLayout(form)
        inside.addWidget(_in_row(self.count, self.extras, stretched=self.count))
        inside.addWidget(self.table)
        inside.addWidget(_in_row(self.take_over, self.export, stretched=self.take_over))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty)
        layout.addWidget(self.content)
        layout.addStretch()


def _make_threshold() -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.01, 0.99)
    slider.setSingleStep(0.01)
    slider.setDecimals(2)
    slider.setToolTip(_THRESHOLD_TIP)
    return slider


def _make_holes() -> QComboBox:
    box = QComboBox()
    for value, (title, tip) in _HOLES.items():
        box.addItem(title, value)
        box.setItemData(box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
    box.setToolTip("What to do with holes in objects")
    return box


def _make_timer(interval_ms: int, parent: QWidget) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    return timer


def _in_row(*widgets: QWidget, stretched: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget, 1 if widget is stretched else 0)
    return row
