"""The list of annotated slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from napari_weak3d.app.colours import COMPLETE
from napari_weak3d.types import SliceIndex

_ROWS = 4
"""That are in sight at least; more where there is room, the others scroll."""
_ICON = 16
_UNCOMPLETE_TIP = "Take the mark off: the slice's unpainted voxels are unlabelled again"
_DELETE_TIP = (
    "Clear the paint of this slice and take it off the list. Paint on complete slices that cross it stays. "
    "Undo brings it back"
)


@dataclass(frozen=True)
class SliceRow:
    """A slice in the list, and what is said of it."""

    slice: SliceIndex
    complete: bool
    text: str


class SliceList(QWidget):
    """Shows the annotated slices, and says which one to go to, to un-complete or to delete.

    Signals
    -------
    chosen(slice), uncomplete_pressed(slice), delete_pressed(slice)
    """

    chosen = Signal(object)
    uncomplete_pressed = Signal(object)
    delete_pressed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[SliceRow, ...] = ()
        self.list = _List()
        self.list.setToolTip("Annotated slices: click to go there")
        self.list.itemClicked.connect(self._on_clicked)
        self.list.currentRowChanged.connect(self._update_buttons)
        self.uncomplete = QPushButton("Un-complete")
        self.delete = QPushButton("Delete")
        self.uncomplete.setToolTip(_UNCOMPLETE_TIP)
        self.delete.setToolTip(_DELETE_TIP)
        self.uncomplete.clicked.connect(self._on_uncomplete)
        self.delete.clicked.connect(self._on_delete)
        self._add_context_menu()
        self._lay_out()
        self._update_buttons()

    def show_rows(self, rows: Sequence[SliceRow], *, shown: SliceIndex | None) -> None:
        """Show the rows, that of the slice in view as the current one."""
        self.list.blockSignals(True)
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.list.clear()
            for row in rows:
                self.list.addItem(QListWidgetItem(_mark_icon(row.complete), row.text))
        slices = [row.slice for row in rows]
        self.list.setCurrentRow(slices.index(shown) if shown in slices else -1)
        self.list.blockSignals(False)
        self._update_buttons()

    def _lay_out(self) -> None:
        buttons = QVBoxLayout()
        buttons.addWidget(self.uncomplete)
        buttons.addWidget(self.delete)
        buttons.addStretch()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addLayout(buttons)

    def _add_context_menu(self) -> None:
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        for button, slot in ((self.uncomplete, self._on_uncomplete), (self.delete, self._on_delete)):
            action = QAction(button.text(), self.list)
            action.triggered.connect(slot)
            self.list.addAction(action)

    def _current(self) -> SliceRow | None:
        number = self.list.currentRow()
        return self._rows[number] if 0 <= number < len(self._rows) else None

    def _update_buttons(self) -> None:
        current = self._current()
        self.uncomplete.setEnabled(current is not None and current.complete)
        self.delete.setEnabled(current is not None)

    def _on_clicked(self) -> None:
        current = self._current()
        if current is not None:
            self.chosen.emit(current.slice)

    def _on_uncomplete(self) -> None:
        current = self._current()
        if current is not None and current.complete:
            self.uncomplete_pressed.emit(current.slice)

    def _on_delete(self) -> None:
        current = self._current()
        if current is not None:
            self.delete_pressed.emit(current.slice)


class _List(QListWidget):
    """As high as a few rows in the font of now, and as much higher as there is room."""

    def sizeHint(self) -> QSize:
        row = max(self.fontMetrics().height(), _ICON) + 4
        return QSize(super().sizeHint().width(), _ROWS * row + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), self.sizeHint().height())


def _mark_icon(complete: bool) -> QIcon:
    """A disc with a tick for complete, an open ring for not complete: told apart without colour."""
    pixmap = QPixmap(_ICON, _ICON)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    color = QColor(COMPLETE if complete else "#cc8833")
    painter.setPen(QPen(color, 2))
    if complete:
        painter.setBrush(color)
    painter.drawEllipse(2, 2, _ICON - 4, _ICON - 4)
    if complete:
        painter.setPen(QPen(QColor("white"), 2))
        painter.drawPolyline([QPointF(4.5, 8), QPointF(7, 10.8), QPointF(11.5, 5.5)])
    painter.end()
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
