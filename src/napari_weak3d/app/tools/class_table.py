"""The table of classes: colour, name, value."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap, QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_weak3d.types import PaintClass

_COLOR, _NAME, _VALUE = range(3)
_ROW_HEIGHT = 22
"""At least; more where the font is large."""
_ROWS = 3
"""That are in sight; more scroll."""


class ClassTable(QWidget):
    """Shows classes, and says what the user wants of them; the chosen row is what is painted with.

    Signals
    -------
    chosen(value), renamed(value, name), recoloured(value, color), added(), removed(value)
    """

    chosen = Signal(int)
    renamed = Signal(int, str)
    recoloured = Signal(int, str)
    added = Signal()
    removed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[PaintClass, ...] = ()
        self.table = self._make_table()
        add = _button("+", "Add a class")
        self.remove = _button("−", "Remove the chosen class and its paint; undo brings both back")  # noqa: RUF001
        add.clicked.connect(self.added)
        self.remove.clicked.connect(self._on_remove)
        buttons = QVBoxLayout()
        for each in (add, self.remove):
            buttons.addWidget(each)
        buttons.addStretch()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(buttons)

    def show_classes(self, classes: Sequence[PaintClass], *, chosen: int) -> None:
        """Show the rows, with that of value ``chosen`` selected, if there is one."""
        self.table.blockSignals(True)
        if tuple(classes) != self._classes:
            self._classes = tuple(classes)
            self.table.setRowCount(len(classes))
            for number, row in enumerate(classes):
                self._fill(number, row)
        values = [row.value for row in classes]
        if chosen in values:
            self.table.selectRow(values.index(chosen))
        else:
            self.table.clearSelection()
        self.table.blockSignals(False)
        self._update_remove()

    def changeEvent(self, event: QEvent) -> None:
        """Follow napari's font size."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit_rows()

    def showEvent(self, event: QShowEvent) -> None:
        """Take the font that the window gives."""
        super().showEvent(event)
        self._fit_rows()

    def _fit_rows(self) -> None:
        height = max(_ROW_HEIGHT, self.table.fontMetrics().height() + 6)
        header = self.table.verticalHeader()
        if header.defaultSectionSize() != height:
            header.setMinimumSectionSize(height)
            header.setDefaultSectionSize(height)
            self.table.setFixedHeight(_ROWS * height + 4)

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, 3)
        table.horizontalHeader().hide()
        table.verticalHeader().hide()
        table.verticalHeader().setMinimumSectionSize(_ROW_HEIGHT)
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.horizontalHeader().setMinimumSectionSize(_ROW_HEIGHT)
        table.horizontalHeader().setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        table.setColumnWidth(_COLOR, 28)
        table.horizontalHeader().setSectionResizeMode(_VALUE, QHeaderView.ResizeMode.ResizeToContents)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setFixedHeight(_ROWS * _ROW_HEIGHT + 4)
        table.setToolTip("Click a class to paint with it; double-click its name or its colour to change them")
        table.itemSelectionChanged.connect(self._on_selected)
        table.cellChanged.connect(self._on_cell)
        table.cellDoubleClicked.connect(self._on_double_click)
        return table

    def _fill(self, number: int, row: PaintClass) -> None:
        swatch, name, value = QTableWidgetItem(), QTableWidgetItem(row.name), QTableWidgetItem(str(row.value))
        swatch.setIcon(_swatch(row.color))
        swatch.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        value.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        value.setToolTip("The value of this class's voxels")
        for column, item in ((_COLOR, swatch), (_NAME, name), (_VALUE, value)):
            self.table.setItem(number, column, item)

    def _chosen(self) -> PaintClass | None:
        number = self.table.currentRow()
        return self._classes[number] if 0 <= number < len(self._classes) and self.table.selectedItems() else None

    def _update_remove(self) -> None:
        chosen = self._chosen()
        self.remove.setEnabled(chosen is not None and not chosen.background)

    def _on_selected(self) -> None:
        self._update_remove()
        chosen = self._chosen()
        if chosen is not None:
            self.chosen.emit(chosen.value)

    def _on_cell(self, number: int, column: int) -> None:
        row = self._classes[number]
        name = self.table.item(number, column).text().strip()
        if column == _NAME and name and name != row.name:
            self.renamed.emit(row.value, name)
        elif column == _NAME and not name:
            self._fill(number, row)

    def _on_double_click(self, number: int, column: int) -> None:
        if column != _COLOR:
            return
        row = self._classes[number]
        dialog = QColorDialog(QColor(row.color), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda color: self.recoloured.emit(row.value, color.name()))
        dialog.open()

    def _on_remove(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.removed.emit(chosen.value)


def _swatch(color: str) -> QIcon:
    """A square of the colour, the same where its row is selected."""
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(color))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _button(text: str, tooltip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tooltip)
    button.setMinimumSize(24, 24)
    return button
