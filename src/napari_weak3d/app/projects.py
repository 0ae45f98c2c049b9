"""Opening, making, moving and closing the project of a viewer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_weak3d.app import recent
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import StorageError, Weak3DError
from napari_weak3d.io.project import Project

_OURS_ALONE = (".lock", ".owner.json")


class Projects(QObject):
    """Keeps ``desk.project``.

    Signals
    -------
    opened()
        Another project is open; its images are not shown yet.
    closing()
        The project is about to be closed: paint must go to the disk now, and nothing may use it afterwards.
    changed()
        Its name, place, models or images are others now.
    moving(), moved()
        The same project is about to be carried to another place, and is open there.
    """

    opened = Signal()
    closing = Signal()
    changed = Signal()
    moving = Signal()
    moved = Signal()

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._began_here = False
        panel = desk.panels.project
        panel.new_requested.connect(self.begin_anew)
        panel.open_requested.connect(lambda folder: self.open(Path(folder)))
        panel.save_as_requested.connect(lambda folder: self.save_as(Path(folder)))
        panel.move_requested.connect(lambda folder: self.move(Path(folder)))
        self.changed.connect(self._show)

    def offer_last(self) -> None:
        """Offer to continue the project that was open last, unless another viewer has it."""
        last = recent.recall()
        if last is None or self._desk.project is not None:
            return
        folder = Path(last.folder)
        try:
            with Project.open(folder) as project:
                name, in_use = project.name, project.locked_by
        except Weak3DError:
            return
        if in_use:
            return
        why = "" if last.closed else "napari ended before it was closed; what was painted is there. "
        self._desk.panels.project.ask(
            f"{why}Continue {name}?", {"Continue": lambda: self.open(folder), "Start new": lambda: None}
        )

    def ensure(self, name: str) -> Project:
        """Return the open project, or make one named after the image in the default place.

        Raises
        ------
        StorageError
            The folder cannot be made.
        """
        if self._desk.project is None:
            if isinstance(self._desk.panels.project.bar.current, Question):  # to continue another one
                self._desk.panels.project.bar.dismiss()
            self._desk.project = Project.create(recent.default_folder(name, now=datetime.now()), name=name)
            self._began_here = True
            recent.remember(self._desk.project.folder, closed=False)
            self.opened.emit()
            self.changed.emit()
        return self._desk.project

    def open(self, folder: Path) -> None:
        """Close what is open and open another project; what goes wrong is said, and the old one is gone on with."""
        if not self._may_leave():
            return
        if self._desk.project is not None and folder.absolute() == self._desk.project.folder:
            return
        try:
            project = Project.open(folder)
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            return
        self.close()
        self._take(project)
        self.opened.emit()
        self.changed.emit()

    def begin_anew(self) -> None:
        """Close what is open; the next image begins a new project."""
        if self._may_leave():
            self.close()

    def save_as(self, folder: Path) -> None:
        """Copy the project to a new folder and go on there; the old one stays as it is."""
        self._relocate(folder, _copy, verb="save")

    def move(self, folder: Path) -> None:
        """Move the project to a new folder and go on there."""
        self._relocate(folder, _move, verb="move")

    def close(self) -> None:
        """Close the project; one of ours in which nothing was ever kept is removed."""
        project = self._desk.project
        if project is None:
            return
        self.closing.emit()
        self._desk.project = None
        empty = self._began_here and _is_empty(project)
        project.close()
        if empty:
            shutil.rmtree(project.folder, ignore_errors=True)
        elif not project.locked_by:
            recent.remember(project.folder, closed=True)
        self._began_here = False
        self.changed.emit()

    def _take(self, project: Project) -> None:
        self._desk.project = project
        self._began_here = False
        if project.read_only:
            reason = project.read_only_reason
            self._desk.panels.project.say(f"Only to look at: {reason}", "warning")
        else:
            recent.remember(project.folder, closed=False)

    def _may_leave(self) -> bool:
        """Say no while a job works in the project, or an image is copied into it."""
        if self._desk.busy:
            self._desk.panels.project.say("A job is running in this project: stop it first", "warning")
        elif self._desk.unsettled:
            self._desk.panels.project.say("An image is being copied into this project: wait for its end", "warning")
        else:
            self._desk.end_search()
            return True
        return False

    def _relocate(self, folder: Path, carry: Callable[[Path, Path], None], *, verb: str) -> None:
        project = self._desk.project
        if project is None or not self._may_leave():
            return
        if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
            self._desk.panels.project.say(f"{folder} is there already: name a new folder", "error")
            return
        self.moving.emit()
        old = project.folder
        project.close()
        self._desk.background.run(
            lambda: _carried(old, folder, carry),
            done=self._reopen,
            failed=lambda error: self._reopen(old, f"Could not {verb} the project: {error.message}"),
        )

    def _reopen(self, folder: Path, problem: str = "") -> None:
        """Go on at the new place, or after a failure at the old one."""
        if problem:
            self._desk.panels.project.say(problem, "error")
        try:
            self._take(Project.open(folder))
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            self.close()
            return
        self.moved.emit()
        self.changed.emit()

    def _show(self) -> None:
        project, panel = self._desk.project, self._desk.panels.project
        if project is None:
            panel.show_project("", None)
            return
        panel.show_project(project.name, project.folder, read_only=project.read_only)
        kind = self._desk.tool.kind
        annotated = [entry.id for entry in project.images if project.annotations(entry.id, kind).revision() > 0]
        panel.show_images({entry.id: entry.name for entry in project.images}, annotated=annotated)


def _is_empty(project: Project) -> bool:
    return not project.models and not any(project.annotated(entry.id) for entry in project.images)


def _carried(old: Path, new: Path, carry: Callable[[Path, Path], None]) -> Path:
    """Copy or move a closed project; returns where it is now."""
    try:
        carry(old, new)
    except (OSError, shutil.Error) as error:
        raise StorageError(f"{new}: {error}", where=str(new)) from error
    return new


def _copy(old: Path, new: Path) -> None:
    shutil.copytree(old, new, ignore=shutil.ignore_patterns(*_OURS_ALONE), dirs_exist_ok=True)


def _move(old: Path, new: Path) -> None:
    if new.is_dir():
        new.rmdir()  # it is empty
    new.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        (old / ".lock").unlink()
    shutil.move(old, new)
