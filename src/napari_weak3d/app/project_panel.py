"""The line above the steps: which project is open, its menu, and what there is to ask about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_weak3d.app.message_bar import Kind, MessageBar

_NONE_YET = "No project yet: it begins with the first image"


class ProjectPanel(QWidget):
    """Name and menu of the project. Knows a name and a folder, no project.

    Signals
    -------
    new_requested()
        Close this one.
    open_requested(folder), save_as_requested(folder), move_requested(folder)
        The user has chosen a folder; for the last two it is a new one.
    learn_from_changed(image_ids)
        Which images a training is to learn from.
    image_requested(image_id)
        Show this image and go on with it.
    menu_opened()
        The menu is about to be filled: what it lists may have changed.
    """

    new_requested = Signal()
    open_requested = Signal(str)
    save_as_requested = Signal(str)
    move_requested = Signal(str)
    learn_from_changed = Signal(tuple)
    image_requested = Signal(str)
    menu_opened = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._images: dict[str, str] = {}
        self._annotated: frozenset[str] = frozenset()
        self._recent: tuple[Path, ...] = ()
        self._left_out: set[str] = set()
        self.name = QLabel()
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.menu_button = QToolButton()
        self.menu_button.setText("Project")
        self.menu_button.setStyleSheet("padding-right: 14px")  # napari draws the arrow over the text
        self.menu_button.setToolTip("Open, save elsewhere, move, or show the project's folder")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.menu_button)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.menu_button.setMenu(self.menu)
        self.bar = MessageBar()
        row = QHBoxLayout()
        row.addWidget(self.name, 1)
        row.addWidget(self.menu_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        self.show_project("", None)

    @property
    def left_out(self) -> frozenset[str]:
        """Ids of the images that a training is not to learn from."""
        return frozenset(self._left_out)

    def show_project(self, name: str, folder: Path | None, *, read_only: bool = False) -> None:
        """Show which project is open; None: none."""
        self._folder = folder
        self.name.setText((f"{name} (read-only)" if read_only else name) if folder else _NONE_YET)
        self.name.setToolTip(f"{folder}\nSaved there by itself, within seconds" if folder else "")
        if folder is None:
            self.show_images({}, annotated=())

    def show_images(self, names: Mapping[str, str], *, annotated: Sequence[str]) -> None:
        """List the images (id -> name), and offer to choose which of the annotated ones a training learns from."""
        self._images = dict(names)
        self._annotated = frozenset(annotated)
        self._left_out &= set(names)

    def show_recent(self, folders: Sequence[Path]) -> None:
        """Offer projects to open, the newest first."""
        self._recent = tuple(folders)

    def leave_out(self, image_id: str) -> None:
        """Let trainings not learn from an image, until the user chooses otherwise or :meth:`take_in` is called."""
        self._left_out.add(image_id)

    def take_in(self, image_id: str) -> None:
        """Let trainings learn from an image again."""
        self._left_out.discard(image_id)

    def say(self, text: str, kind: Kind = "info") -> None:
        """Show a line about the project."""
        self.bar.say(text, kind=kind)

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask something about the project."""
        self.bar.ask(text, answers)

    def show_folder(self) -> None:
        """Open the project's folder in the system's file browser."""
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))

    def _fill_menu(self) -> None:
        self.menu_opened.emit()
        self.menu.clear()
        there = self._folder is not None
        self._offer("Show folder", self.show_folder, enabled=there)
        self._offer("Open project...", self._open)
        recent = self.menu.addMenu("Open recent")
        recent.setEnabled(bool(self._recent))
        for folder in self._recent:
            action = recent.addAction(_in_menu(folder.name))
            action.setToolTip(str(folder))
            action.triggered.connect(lambda _=False, folder=folder: self.open_requested.emit(str(folder)))
        self._offer(
            "Save as...", lambda: self._choose_new(self.save_as_requested, "Save the project as"), enabled=there
        )
        self._offer("Move to...", lambda: self._choose_new(self.move_requested, "Move the project to"), enabled=there)
        self._offer("New project", self.new_requested.emit, enabled=there)
        if self._images:
            self._list_images()
        if len(self._annotated) > 1:
            self._list_what_is_learned()

    def _offer(self, title: str, act: Callable[[], None], *, enabled: bool = True) -> None:
        action = self.menu.addAction(title)
        action.triggered.connect(lambda _=False: act())
        action.setEnabled(enabled)

    def _list_images(self) -> None:
        images = self.menu.addMenu("Go to image")
        for image_id, name in self._images.items():
            action = images.addAction(_in_menu(name))
            action.triggered.connect(lambda _=False, image_id=image_id: self.image_requested.emit(image_id))

    def _list_what_is_learned(self) -> None:
        self.menu.addSection("Learn from")
        for image_id, name in self._images.items():
            if image_id in self._annotated:
                action = self.menu.addAction(_in_menu(name))
                action.setCheckable(True)
                action.setChecked(image_id not in self._left_out)
                action.toggled.connect(lambda on, image_id=image_id: self._learn_from(image_id, on=on))

    def _learn_from(self, image_id: str, *, on: bool) -> None:
        (self._left_out.discard if on else self._left_out.add)(image_id)
        self.learn_from_changed.emit(tuple(each for each in self._images if each in self._annotated - self._left_out))

    def _open(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a project's folder", self._start())
        if folder:
            self.open_requested.emit(folder)

    def _choose_new(self, signal: Signal, title: str) -> None:
        folder, _ = QFileDialog.getSaveFileName(self, title, self._start(), options=QFileDialog.Option.ShowDirsOnly)
        if folder:
            signal.emit(folder)

    def _start(self) -> str:
        return str(self._folder.parent) if self._folder else str(Path.home())


def _in_menu(name: str) -> str:
    """A name as a menu shows it: an & would underline the next letter."""
    return name.replace("&", "&&")
