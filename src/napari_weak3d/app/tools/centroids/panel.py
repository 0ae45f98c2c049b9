"""What the user sees of the tool that clicks cells: a plain view, signals up and setters down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_weak3d.app.message_bar import MessageBar
from napari_weak3d.app.tools.centroids.keys import CLICK_KEYS
from napari_weak3d.app.tools.centroids.region_row import RegionRow
from napari_weak3d.types import Region

_BUTTONS = {
    "remove": ("Remove", "Remove the click under the mouse, or the nearest one in view"),
    "centre": ("Centre", "Move the click under the mouse along the axis across the slice, to the middle of its cell"),
    "undo": ("Undo", ""),
    "redo": ("Redo", ""),
    "find": ("Find more like these", "Propose further cells: of the last model, or before any training of this size"),
    "accept": ("Yes", "This is a cell: click it, and go on to the next one"),
    "refuse": ("No", "This is no cell: it is not proposed again"),
    "accept_all": ("All", "Click all that are proposed"),
    "refuse_all": ("None", "Drop all that are proposed; they may be proposed again"),
}


@dataclass(frozen=True)
class Content:
    """What is shown.

    Attributes
    ----------
    counter
        How many are clicked, and what that took.
    n_clicks, n_proposed
        How many there are.
    proposal
        Which proposal is looked at.
    region, shape
        Where all are clicked, None: everywhere; and the image's (Z, Y, X).
    undo, redo
        What they would do; "": nothing.
    locked
        Whether nothing may be changed.
    """

    counter: str = ""
    n_clicks: int = 0
    n_proposed: int = 0
    proposal: str = ""
    region: Region | None = None
    shape: tuple[int, int, int] = (1, 1, 1)
    undo: str = ""
    redo: str = ""
    locked: bool = False


class CentroidsPanel(QWidget):
    """The panel of the tool.

    Signals
    -------
    pressed(verb)
        A button: "remove", "centre", "undo", "redo", "find", "accept", "refuse", "accept_all", "refuse_all", "click",
        "import" or "export". The row of the region speaks for itself.
    points_wanted(number)
        A copy of one of :meth:`show_points`' layers.
    """

    pressed = Signal(str)
    points_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.region = RegionRow()
        self.bar = MessageBar()
        self.counter = QLabel()
        self.counter.setWordWrap(True)
        self.proposal = QLabel()
        self.buttons = {verb: QPushButton(_title(verb)) for verb in _BUTTONS}
        for verb, button in self.buttons.items():
            button.setToolTip(_BUTTONS[verb][1])
            button.clicked.connect(lambda _=False, verb=verb: self.pressed.emit(verb))
        self.points = QToolButton()
        self._make_points_button()
        self._proposals = QWidget()
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.show_points([])
        self.show_content(Content())

    # ---- setters

    def show_content(self, content: Content) -> None:
        """Show what there is, and what can be done."""
        self.counter.setText(content.counter)
        self.proposal.setText(content.proposal)
        self._proposals.setVisible(content.n_proposed > 0)
        self.region.show_region(content.region, shape=content.shape)
        self.region.setEnabled(not content.locked)
        for verb in ("remove", "centre"):
            self.buttons[verb].setEnabled(content.n_clicks > 0 and not content.locked)
        self.buttons["find"].setEnabled(not content.locked)
        for verb, name, keys in (("undo", content.undo, "Ctrl+Z"), ("redo", content.redo, "Ctrl+Shift+Z")):
            self.buttons[verb].setEnabled(bool(name))
            title = verb.capitalize()
            self.buttons[verb].setToolTip(f"{title}: {name} ({keys})" if name else f"Nothing to {verb} ({keys})")

    def show_points(self, names: Sequence[str]) -> None:
        """Offer Points layers to take points from, and files."""
        menu: QMenu = self.points.menu()
        menu.clear()
        for number, name in enumerate(names):
            menu.addAction(f"Copy {name}").triggered.connect(lambda _=False, n=number: self.points_wanted.emit(n))
        if names:
            menu.addSeparator()
        menu.addAction("Read from a table (CSV)...").triggered.connect(lambda _=False: self.pressed.emit("import"))
        menu.addAction("Write to a table (CSV)...").triggered.connect(lambda _=False: self.pressed.emit("export"))

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask inside the panel; each answer's function is called when it is chosen."""
        self.bar.ask(text, answers)

    # ---- inside

    def _make_points_button(self) -> None:
        self.points.setText("My points")
        self.points.setStyleSheet("padding-right: 14px")  # napari draws the arrow over the text
        self.points.setToolTip(
            "Take points that are there already, from a layer or a table; or write the clicks to one"
        )
        self.points.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.points.setMenu(QMenu(self.points))

    def _lay_out(self) -> None:
        buttons = self.buttons
        inside = QVBoxLayout(self._proposals)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(2)
        inside.addWidget(self.proposal)
        inside.addLayout(_row(*(buttons[verb] for verb in ("accept", "refuse", "accept_all", "refuse_all"))))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.bar)
        layout.addWidget(self.counter)
        layout.addLayout(_row(buttons["remove"], buttons["centre"], buttons["undo"], buttons["redo"]))
        layout.addLayout(_row(buttons["find"], self.points))
        layout.addWidget(self._proposals)
        layout.addWidget(self.region)


def _title(verb: str) -> str:
    """A button's title, with its key."""
    title, key = _BUTTONS[verb][0], CLICK_KEYS.get(verb, "")
    return f"{title} ({key})" if len(key) == 1 else title


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget, 1 if isinstance(widget, QPushButton) else 0)
    return row
