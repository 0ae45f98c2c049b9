"""What the user sees of the tool that paints slices: a plain view, signals up and setters down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_weak3d.app.tools.class_table import ClassTable
from napari_weak3d.app.tools.content import Content
from napari_weak3d.app.tools.keys import KEYS
from napari_weak3d.app.tools.slice_list import SliceList


class SlicesPanel(QWidget):
    """The panel of the tool.

    Signals
    -------
    paint_chosen(paint)
        "classes" or "objects".
    labels_chosen(number)
        Which of :meth:`show_labels`' layers to use as paint.
    complete_pressed, next_pressed, copy_pressed, new_object_pressed, undo_pressed, redo_pressed
        The buttons. The class table and the list of slices speak for themselves: ``classes``, ``slices``.
    """

    paint_chosen = Signal(str)
    labels_chosen = Signal(int)
    complete_pressed = Signal()
    next_pressed = Signal()
    copy_pressed = Signal()
    new_object_pressed = Signal()
    undo_pressed = Signal()
    redo_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes = ClassTable()
        self.slices = SliceList()
        self._make_buttons()
        self._stack = QStackedWidget()
        self._stack.addWidget(self.classes)
        self._stack.addWidget(self._make_object_row())
        self._effort = QLabel()
        self._effort.setWordWrap(True)
        self._question = _Question()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._make_top_row())
        layout.addWidget(self._question)
        layout.addWidget(self._stack)
        layout.addLayout(_row(self.complete, self.next))
        layout.addLayout(_row(self.copy, self.undo, self.redo))
        layout.addWidget(self.slices, 1)
        layout.addWidget(self._effort)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.show_paint("classes")
        self.ask("", {})

    def connect_buttons(self, tool: Any) -> None:
        """Let the buttons call the verbs of the tool that paints slices."""
        self.complete_pressed.connect(tool.complete_shown)
        self.next_pressed.connect(tool.next_slice)
        self.copy_pressed.connect(tool.copy_preview)
        self.new_object_pressed.connect(tool.new_object)
        self.undo_pressed.connect(tool.undo)
        self.redo_pressed.connect(tool.redo)

    # ---- setters

    def show_paint(self, paint: str) -> None:
        """Show whether classes or objects are painted."""
        (self._objects if paint == "objects" else self._classes).setChecked(True)
        self._stack.setCurrentIndex(1 if paint == "objects" else 0)
        self._stack.setFixedHeight(self._stack.currentWidget().sizeHint().height())

    def show_content(self, content: Content, *, chosen: int) -> None:
        """Show an annotation, and the value that is painted with."""
        self.show_paint(content.paint)
        self.classes.show_classes(content.classes, chosen=chosen)
        self.slices.show_rows(content.rows, shown=content.shown)
        self._object.setText(content.object_line)
        self._effort.setText(content.effort)
        verb = "Un-complete" if content.shown_complete else "Complete"
        self.complete.setText(f"{verb} {content.shown_name or 'this slice'} ({KEYS.complete})")
        self.complete.setEnabled(content.shown is not None)
        self.copy.setEnabled(content.shown is not None)

    def show_next(self, name: str, *, looking: bool = False) -> None:
        """Show which slice is suggested, an empty name where none is yet, or that one is being looked for."""
        known = f"Next slice: {name} ({KEYS.next})" if name else f"Next slice to paint ({KEYS.next})"
        self.next.setText("Looking for it ..." if looking else known)

    def show_undo(self, undo: str, redo: str) -> None:
        """Show what undo and redo would do; empty: nothing."""
        for button, name, verb, keys in (
            (self.undo, undo, "Undo", "Ctrl+Z"),
            (self.redo, redo, "Redo", "Ctrl+Shift+Z"),
        ):
            button.setEnabled(bool(name))
            button.setToolTip(f"{verb} {name} ({keys})" if name else f"Nothing to {verb.lower()} ({keys})")

    def show_labels(self, names: Sequence[str]) -> None:
        """Offer Labels layers to use as paint."""
        menu: QMenu = self._labels.menu()
        menu.clear()
        for number, name in enumerate(names):
            menu.addAction(name).triggered.connect(lambda _=False, n=number: self.labels_chosen.emit(n))
        self._labels.setEnabled(bool(names))

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask inside the panel; the answer's function is called and the question goes. No text: no question."""
        self._question.ask(text, answers)

    def answer(self, name: str) -> QPushButton:
        """Find the button of an answer to the question that is asked."""
        return self._question.buttons[name]

    # ---- inside

    def _make_buttons(self) -> None:
        self.complete = _button(
            f"Complete this slice ({KEYS.complete})",
            f"Every voxel of the shown slice is right: unpainted is background. Again: not so ({KEYS.complete})",
        )
        self.next = _button("", f"Go to the slice that teaches the model most; never to a complete one ({KEYS.next})")
        self.copy = _button(
            f"Copy preview ({KEYS.copy_preview})",
            "Put the preview of the shown slice into its unpainted voxels, to correct it instead of painting from "
            "nothing. After a training the result is taken. Background is left out: complete the slice when it is "
            f"right ({KEYS.copy_preview})",
        )
        self.undo, self.redo = _button("Undo", ""), _button("Redo", "")
        self.new_object = _button(f"New object ({KEYS.new_object})", f"Paint a new object ({KEYS.new_object})")
        self.complete.clicked.connect(self.complete_pressed)
        self.next.clicked.connect(self.next_pressed)
        self.copy.clicked.connect(self.copy_pressed)
        self.undo.clicked.connect(self.undo_pressed)
        self.redo.clicked.connect(self.redo_pressed)
        self.new_object.clicked.connect(self.new_object_pressed)
        self.show_next("")
        self.show_undo("", "")

    def _make_top_row(self) -> QHBoxLayout:
        self._classes, self._objects = QRadioButton("Classes"), QRadioButton("Objects")
        self._classes.setToolTip("Each voxel belongs to a class: vessel, background")
        self._objects.setToolTip("Each object has an id of its own, the same in all slices: touching cells stay apart")
        self._group = QButtonGroup(self)
        for button, paint in ((self._classes, "classes"), (self._objects, "objects")):
            self._group.addButton(button)
            button.clicked.connect(lambda _=False, p=paint: self.paint_chosen.emit(p))
        self._labels = QToolButton()
        self._labels.setText("Use my labels")
        self._labels.setStyleSheet("padding-right: 14px")  # napari draws the arrow over the text
        self._labels.setToolTip("Go on with a copy of a Labels layer that you have painted already")
        self._labels.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._labels.setMenu(QMenu(self._labels))
        row = _row(QLabel("Paint"), self._classes, self._objects)
        row.addStretch()
        row.addWidget(self._labels)
        return row

    def _make_object_row(self) -> QWidget:
        widget = QWidget()
        self._object = QLabel()
        self._object.setToolTip("Press 5 and click an object in the image to go on painting that one")
        row = QHBoxLayout(widget)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._object, 1)
        row.addWidget(self.new_object)
        return widget


class _Question(QFrame):
    """A question with buttons for its answers; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._text = QLabel()
        self._text.setWordWrap(True)
        answers = QWidget()
        self._answers = QFlowLayout(answers)
        self._answers.setContentsMargins(0, 0, 0, 0)
        self.buttons: dict[str, QPushButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self._text)
        layout.addWidget(answers)

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        for button in self.buttons.values():
            self._answers.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._text.setText(text)
        self.buttons = {name: QPushButton(name) for name in answers}
        for name, act in answers.items():
            self.buttons[name].clicked.connect(lambda _=False, a=act: self._answer(a))
            self._answers.addWidget(self.buttons[name])
        self.setVisible(bool(text))

    def _answer(self, act: Callable[[], None]) -> None:
        self.ask("", {})
        act()


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in widgets:
        row.addWidget(widget)
    return row
