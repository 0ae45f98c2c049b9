"""What the user sees of the tool that draws boxes: a plain view, signals up and setters down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_weak3d.app.tools.boxes.box_list import BoxList
from napari_weak3d.app.tools.boxes.keys import BOX_KEYS, MASK_KEYS
from napari_weak3d.app.tools.class_table import ClassTable
from napari_weak3d.types import PaintClass

_LIST_HEIGHT = 130
_LEAST_ROWS, _MOST_ROWS = 2, 3
"""Of classes in sight; more scroll, and two buttons stand beside."""


@dataclass(frozen=True)
class Content:
    """What is shown beside the two tables.

    Attributes
    ----------
    counter
        How many boxes and masks there are, and what they took.
    n_chosen
        Boxes that are chosen.
    in_slice
        Whether the shown slice can be worked in.
    painting
        What is said of the mask that is painted; "": none is.
    undo, redo
        What they would do; "": nothing.
    has_region
        Whether there is a region.
    mode
        Of the layer of rectangles: "add_rectangle", "select" or another of napari's.
    locked
        Whether nothing may be changed.
    """

    counter: str
    n_chosen: int = 0
    in_slice: bool = True
    painting: str = ""
    undo: str = ""
    redo: str = ""
    has_region: bool = False
    mode: str = ""
    locked: bool = False


class BoxesPanel(QWidget):
    """The panel of the tool. The table of classes and the list of boxes speak for themselves.

    Signals
    -------
    pressed(verb)
        A button or a menu entry, by the name of what it does: "draw", "select", "start", "end", "snap", "give_class",
        "delete", "undo", "redo", "paint", "interpolate", "done", "leave", "set_region", "clear_region", "import",
        "export".
    boxes_wanted(number), masks_wanted(number)
        Boxes, or masks of the boxes, out of one of :meth:`show_labels`' layers.
    """

    pressed = Signal(str)
    boxes_wanted = Signal(int)
    masks_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes = ClassTable()
        self.classes.table.setToolTip("Click a class to draw boxes of it; double-click its name or colour to change it")
        self.list = BoxList()
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.buttons: dict[str, QPushButton] = {}
        self._make_buttons()
        self.labels = _menu_button("From labels", "Boxes of the objects in a Labels layer, or their masks")
        self.more = _menu_button("More", "Region, import and export")
        self._make_more()
        self._painting = _Painting(self.buttons)
        self._counter = QLabel()
        self._counter.setWordWrap(True)
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.show_labels([])
        self.show_content(Content(""))

    # ---- setters

    def show_content(self, content: Content) -> None:
        """Show what there is, and what can be done."""
        self._counter.setText(content.counter)
        self._painting.show_text(content.painting)
        for button in self._on_boxes:
            button.setVisible(not content.painting)  # the room is needed for the mask
        is_free = not content.painting and not content.locked
        n_chosen = content.n_chosen if is_free else 0
        for verb, mode in (("draw", "add_rectangle"), ("select", "select")):
            self.buttons[verb].setChecked(content.mode == mode and not content.painting)
            self.buttons[verb].setEnabled(not content.locked)
        for verb in ("start", "end"):
            self.buttons[verb].setEnabled(n_chosen > 0 and content.in_slice)
        for verb in ("snap", "give_class", "delete"):
            self.buttons[verb].setEnabled(n_chosen > 0)
        self.buttons["paint"].setEnabled(n_chosen == 1)
        self.more_actions["set_region"].setEnabled(n_chosen == 1)
        self.more_actions["clear_region"].setEnabled(content.has_region and is_free)
        self.more_actions["import"].setEnabled(is_free)
        for verb, name, keys in (("undo", content.undo, "Ctrl+Z"), ("redo", content.redo, "Ctrl+Shift+Z")):
            self.buttons[verb].setEnabled(bool(name))
            title = verb.capitalize()
            self.buttons[verb].setToolTip(f"{title} {name} ({keys})" if name else f"Nothing to {verb} ({keys})")

    def show_classes(self, rows: Sequence[PaintClass], *, chosen: int) -> None:
        """Show the classes, and which one boxes are drawn of; few of them take little room."""
        self.classes.show_classes(rows, chosen=chosen)
        table = self.classes.table
        n_rows = min(max(len(rows), _LEAST_ROWS), _MOST_ROWS)
        table.setFixedHeight(n_rows * table.verticalHeader().defaultSectionSize() + 2 * table.frameWidth() + 2)

    def show_labels(self, names: Sequence[str]) -> None:
        """Offer Labels layers to take boxes or masks from."""
        menu: QMenu = self.labels.menu()
        menu.clear()
        for title, signal in (("Boxes of", self.boxes_wanted), ("Masks out of", self.masks_wanted)):
            for number, name in enumerate(names):
                menu.addAction(f"{title} {name}").triggered.connect(partial(_emit, signal, number))
        self.labels.setEnabled(bool(names))

    # ---- inside

    def _make_buttons(self) -> None:
        keys = BOX_KEYS
        for verb, title, tip in (
            ("draw", "Draw", "Draw a rectangle: it becomes a box as deep as the ones before (R)"),
            ("select", "Select", "Choose, move and resize boxes (S); Delete removes them, Ctrl+C and Ctrl+V copy them"),
            ("start", f"From here ({keys['start']})", "The chosen boxes start on the shown slice"),
            ("end", f"To here ({keys['end']})", "The shown slice is the last one of the chosen boxes"),
            ("snap", f"Snap ({keys['snap']})", "Fit the chosen boxes to what stands out in the image"),
            ("give_class", f"Class ({keys['give_class']})", "Give the chosen boxes the class that is chosen above"),
            ("paint", f"Paint mask ({keys['paint']})", "Paint the mask of the chosen box, slice by slice"),
            ("delete", "Delete", "Remove the chosen boxes and their masks"),
            ("undo", "Undo", ""),
            ("redo", "Redo", ""),
            ("interpolate", f"Interpolate ({MASK_KEYS['interpolate']})", "Fill the slices between painted ones"),
            ("done", f"Done ({MASK_KEYS['done']})", "All of the mask is right: the model learns from it"),
            ("leave", f"Back ({MASK_KEYS['leave']})", "Back to the boxes; what is painted is kept for later"),
        ):
            button = QPushButton(title)
            button.setToolTip(tip)
            button.setCheckable(verb in ("draw", "select"))
            button.clicked.connect(partial(_emit, self.pressed, verb))
            self.buttons[verb] = button

    def _make_more(self) -> None:
        menu: QMenu = self.more.menu()
        menu.setToolTipsVisible(True)
        self.more_actions = {}
        for verb, title, tip in (
            ("set_region", "Chosen box is the region", "Only in it every object has a box; the box goes"),
            ("clear_region", "No region", "Every object of the image has a box"),
            ("import", "Import boxes...", "From a CSV file: z0, y0, x0, z1, y1, x1, class; half-open"),
            ("export", "Export boxes...", "As a CSV file, masks as a TIFF beside it"),
        ):
            action = menu.addAction(title)
            action.setToolTip(tip)
            action.triggered.connect(partial(_emit, self.pressed, verb))
            self.more_actions[verb] = action

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.classes)
        each = self.buttons
        layout.addLayout(_row(each["draw"], each["select"], self.labels, self.more))
        layout.addWidget(self.list)
        self._on_boxes = [each[verb] for verb in ("start", "end", "snap", "give_class", "paint", "delete")]
        layout.addLayout(_row(*self._on_boxes[:4]))
        layout.addWidget(self._painting)
        layout.addLayout(_row(*self._on_boxes[4:], each["undo"], each["redo"]))
        layout.addWidget(self._counter)


class _Painting(QFrame):
    """The mask that is painted, and what can be done with it; hidden while there is none."""

    def __init__(self, buttons: dict[str, QPushButton]) -> None:
        super().__init__()
        self._text = QLabel()
        self._text.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self._text)
        layout.addLayout(_row(buttons["interpolate"], buttons["done"], buttons["leave"]))

    def show_text(self, text: str) -> None:
        self._text.setText(text)
        self.setVisible(bool(text))


def _emit(signal: Any, value: object, _checked: bool = False) -> None:
    """A slot for what is clicked or triggered."""
    signal.emit(value)


def _menu_button(text: str, tooltip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tooltip)
    button.setStyleSheet("padding-right: 14px")  # napari draws the arrow over the text
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setMenu(QMenu(button))
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row
