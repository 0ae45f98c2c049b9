"""The table of objects of a result: sortable, and fluid with many thousands of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_weak3d.app.numbers import write_number
from napari_weak3d.types import RELATIVE

if TYPE_CHECKING:  # it measures with scipy, which the dock opens without
    from napari_weak3d.measure import ObjectMeasures

_HEIGHT = 140
"""Pixels; the rows scroll inside."""
_UNITS = {"um": "µm"}


@dataclass(frozen=True, eq=False)
class _Column:
    """A header in two lines, what it says at length, and a value per row to sort by."""

    title: str
    tip: str
    values: NDArray[Any]

    def text(self, row: int) -> str:
        value = self.values[row].item()
        return write_number(value) if isinstance(value, float) else str(value)


class ObjectModel(QAbstractTableModel):
    """Measured objects as columns; values are written when they are looked at, so rows cost nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns: list[_Column] = []
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._sorted_by = (0, False)

    def set_rows(self, rows: Sequence[ObjectMeasures], unit: str) -> None:
        """Show other objects, sorted as before."""
        self.beginResetModel()
        self._columns = _make_columns(rows, unit)
        self._order = np.arange(len(rows))
        self._sort(*self._sorted_by)
        self.endResetModel()

    def id_at(self, row: int) -> int:
        """Return the object that stands in a row, as sorted now."""
        return int(self._columns[0].values[self._order[row]])

    def row_of(self, object_id: int) -> int | None:
        """Find the row of an object, as sorted now; None where it is not there."""
        if not self._columns:
            return None
        found = np.flatnonzero(self._columns[0].values[self._order] == object_id)
        return int(found[0]) if len(found) else None

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of columns, which hangs on the unit and the channels."""
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Write a value, to the right."""
        if role == Qt.ItemDataRole.DisplayRole:
            return self._columns[index.column()].text(int(self._order[index.row()]))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name a column, with its unit."""
        if orientation == Qt.Orientation.Horizontal and section < len(self._columns):
            column = self._columns[section]
            return {Qt.ItemDataRole.DisplayRole: column.title, Qt.ItemDataRole.ToolTipRole: column.tip}.get(role)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; what is equal stays in the order of ids."""
        self.layoutAboutToBeChanged.emit()
        self._sort(column, order == Qt.SortOrder.DescendingOrder)
        self.layoutChanged.emit()

    def _sort(self, column: int, descending: bool) -> None:
        self._sorted_by = (column, descending)
        if 0 <= column < len(self._columns):
            ranks = np.unique(self._columns[column].values, return_inverse=True)[1]
            self._order = np.argsort(-ranks if descending else ranks, kind="stable")


class ObjectTable(QTableView):
    """Shows measured objects; a click or an arrow key on a row chooses its object."""

    object_chosen = Signal(int)
    """Its id; only on what the user does."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen = 0
        self._model = ObjectModel(self)
        self.setModel(self._model)
        self.setMaximumHeight(_HEIGHT)
        self.setToolTip("Click a row to go to the object; click a header to sort")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # or every row is measured
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self._model.layoutChanged.connect(lambda: self.select_object(self._chosen))
        self.clicked.connect(lambda index: self._choose(index.row()))

    def show_objects(self, rows: Sequence[ObjectMeasures], unit: str) -> None:
        """Show other objects; the selected one stays selected if it is still there.

        Parameters
        ----------
        rows
            As measured, ids ascending.
        unit
            Of their lengths. With "relative" volumes and lengths say nothing, and are left out.
        """
        self._model.set_rows(rows, unit)
        self.select_object(self._chosen)

    def select_object(self, object_id: int) -> None:
        """Select an object that was picked elsewhere, and scroll to it; none where it is not in the table."""
        self._chosen = object_id
        row = self._model.row_of(object_id)
        if row is None:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())
            return
        index = self._model.index(row, 0)
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(index)

    def selected_object(self) -> int | None:
        """Return the id of the selected object, or None."""
        rows = self.selectionModel().selectedRows()
        return self._model.id_at(rows[0].row()) if rows else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose the object that an arrow key leads to."""
        before = self.currentIndex().row()
        super().keyPressEvent(event)
        row = self.currentIndex().row()
        if row not in (-1, before):
            self._choose(row)

    def _choose(self, row: int) -> None:
        self._chosen = self._model.id_at(row)
        self.object_chosen.emit(self._chosen)


def _make_columns(rows: Sequence[ObjectMeasures], unit: str) -> list[_Column]:
    columns = [
        _Column("id", "The label value", np.array([row.id for row in rows], np.int64)),
        _Column("voxels", "Number of voxels", np.array([row.n_voxels for row in rows], np.int64)),
    ]
    if any(row.class_name for row in rows):
        columns.append(_Column("class", "What it is", np.array([row.class_name for row in rows], np.str_)))
    if unit != RELATIVE:
        shown = _UNITS.get(unit, unit)
        diameters = np.array([row.equivalent_diameter for row in rows], np.float64)
        columns += [
            _Column(f"volume\n{shown}³", "Volume", np.array([row.volume for row in rows], np.float64)),
            _Column(f"diameter\n{shown}", "Diameter of the ball of the same volume", diameters),
        ]
    n_channels = len(rows[0].mean_intensity) if rows else 0
    for channel in range(n_channels):
        title = "mean\nintensity" if n_channels == 1 else f"mean of\nchannel {channel}"
        means = np.array([row.mean_intensity[channel] for row in rows], np.float64)
        columns.append(_Column(title, f"Mean intensity in channel {channel}", means))
    at_border = np.array(["yes" if row.touches_border else "" for row in rows], np.str_)
    columns.append(_Column("at\nborder", "Whether it reaches the edge of the volume, where it may be cut", at_border))
    return columns
