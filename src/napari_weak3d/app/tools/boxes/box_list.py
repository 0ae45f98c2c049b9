"""The list of boxes: a row each, with spin boxes for its faces; fluid with thousands of rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QItemSelection, QItemSelectionModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSpinBox,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_weak3d.app.tools.boxes.table import BoxTable, empty_table
from napari_weak3d.types import AXES

_COLUMNS = ("box", *(f"{axis} {end}" for axis in AXES for end in ("from", "to")), "mask")
_MASK = len(_COLUMNS) - 1
_ROW_HEIGHT = 20
_SWATCH = 10
_DISPLAY, _EDIT = Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole


class BoxModel(QAbstractTableModel):
    """A table of boxes for Qt: first and last voxel along each axis.

    Signals
    -------
    edited(id, axis, end, value)
        The user wants a face elsewhere; ``end`` 0: the first voxel, 1: the last one.
    """

    edited = Signal(int, int, int, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = empty_table()
        self._painted: frozenset[int] = frozenset()
        self._swatches: dict[int, QPixmap] = {}
        self.shape = (1, 1, 1)
        self.read_only = False

    def show(self, table: BoxTable, *, painted: Collection[int], shape: tuple[int, int, int]) -> None:
        """Show other boxes; ``painted``: whose masks hold voxels."""
        same_ids = np.array_equal(table.ids, self.table.ids)
        if not same_ids:
            self.beginResetModel()
        self.table, self._painted, self.shape = table, frozenset(painted), shape
        self._swatches = {row.value: _swatch(row.color) for row in table.rows}
        if not same_ids:
            self.endResetModel()
        elif len(table):
            self.dataChanged.emit(self.index(0, 0), self.index(len(table) - 1, _MASK))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of boxes."""
        return 0 if parent is not None and parent.isValid() else len(self.table)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Give the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(_COLUMNS)

    def data(self, index: QModelIndex, role: int = _DISPLAY) -> Any:
        """Give what a cell shows."""
        row, column = index.row(), index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return self._swatches.get(int(self.table.classes[row]))
        if role not in (_DISPLAY, _EDIT):
            return None
        if column == 0:
            return int(self.table.ids[row])
        if column == _MASK:
            return "done" if self.table.done[row] else ("part" if int(self.table.ids[row]) in self._painted else "")
        axis, end = divmod(column - 1, 2)
        return int(self.table.corners[row, end, axis]) - end

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Name a column."""
        if orientation == Qt.Orientation.Horizontal and role == _DISPLAY:
            return _COLUMNS[section].replace(" ", "\n")
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let faces be edited."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if 0 < index.column() < _MASK and not self.read_only else flags

    def setData(self, index: QModelIndex, value: Any, role: int = _EDIT) -> bool:
        """Tell that a face is wanted elsewhere; it moves when :meth:`show` says so."""
        if role != _EDIT or value == self.data(index, _EDIT):
            return False
        axis, end = divmod(index.column() - 1, 2)
        self.edited.emit(int(self.table.ids[index.row()]), axis, end, int(value))
        return True


class _Faces(QStyledItemDelegate):
    """Spin boxes that know how long the axis is."""

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex) -> QWidget:
        model = index.model()
        axis = (index.column() - 1) // 2
        editor = QSpinBox(parent)
        editor.setRange(0, model.shape[axis] - 1)
        editor.setFrame(False)
        editor.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)  # they hide the number; arrow keys and wheel step
        return editor


class BoxList(QTableView):
    """The list of boxes.

    Signals
    -------
    chosen(ids)
        The user has chosen rows.
    visited(id)
        The user wants to see a box.
    edited(id, axis, end, value)
        As in :class:`BoxModel`.
    """

    chosen = Signal(object)
    visited = Signal(int)
    edited = Signal(int, int, int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes = BoxModel(self)
        self._showing = False
        self.setModel(self.boxes)
        self.setItemDelegate(_Faces(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setToolTip("Click a row to go to the box; double-click a number to change it: first and last voxel")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # or every row is measured
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)
        self.boxes.edited.connect(self.edited)
        self.clicked.connect(lambda index: self.visited.emit(int(self.boxes.table.ids[index.row()])))
        self.selectionModel().selectionChanged.connect(self._on_selected)

    def show_boxes(
        self, table: BoxTable, *, chosen: Collection[int], painted: Collection[int], shape: tuple[int, int, int]
    ) -> None:
        """Show boxes, with those chosen selected."""
        self._showing = True
        self.boxes.show(table, painted=painted, shape=shape)
        if set(chosen) != set(self._selected()):
            rows = table.find(chosen).tolist()
            selection = QItemSelection()
            for row in rows:
                selection.select(self.boxes.index(row, 0), self.boxes.index(row, _MASK))
            self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            if rows:
                self.scrollTo(self.boxes.index(rows[0], 0))
        self._showing = False

    def _selected(self) -> list[int]:
        return [int(self.boxes.table.ids[index.row()]) for index in self.selectionModel().selectedRows()]

    def _on_selected(self) -> None:
        if not self._showing:
            self.chosen.emit(self._selected())


def _swatch(color: str) -> QPixmap:
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor(color))
    return pixmap
