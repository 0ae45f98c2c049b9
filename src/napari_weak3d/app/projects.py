"""Opening, making, moving and closing the project of a viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app import recent
from napari_weak3d.app.desk import Desk, sentence
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import StorageError, UnsavedError, Weak3DError
from napari_weak3d.io.project import ImageEntry, Project, find_source
from napari_weak3d.io.project.carrying import copy_project, delete_project, move_project
from napari_weak3d.io.project.leftovers import remove_unused


class Projects(QObject):
    """Keeps ``desk.project``.

    Attributes
    ----------
    carrying
        What is being done while the project is carried to another folder, as a sentence; else "".

    Signals
    -------
    opened()
        Another project is open; its images are not shown yet.
    closing()
        The project is about to be closed: paint must go to the disk now, and nothing may use it afterwards.
    changed()
        Its name, place, models or images are others now.
    shown_again()
        The open project was asked for once more: images of it that are not in the viewer are to come back.
    moving(), moved()
        The same project is about to be carried to another place, and is open there.
    """

    opened = Signal()
    closing = Signal()
    changed = Signal()
    shown_again = Signal()
    moving = Signal()
    moved = Signal()

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._began_here = False
        self._base: Path | None = None  # where new projects go; None: the user's folder of projects
        self.carrying = ""
        panel = desk.panels.project
        panel.new_requested.connect(self.begin_anew)
        panel.open_requested.connect(lambda folder: self.open(Path(folder)))
        panel.save_as_requested.connect(lambda folder: self.save_as(Path(folder)))
        panel.move_requested.connect(lambda folder: self.move(Path(folder)))
        panel.menu_opened.connect(self._show_recent)
        self.changed.connect(self._show)

    def offer_last(self) -> None:
        """Offer to continue a project that napari was killed in, else the last one, unless another viewer has it."""
        if self._desk.project is not None:
            return
        for last in sorted(recent.recall(), key=lambda each: each.closed):  # stable: the newest of each kind first
            folder = Path(last.folder)
            try:
                with Project.open(folder) as project:
                    name, in_use = project.name, project.locked_by
            except Weak3DError:
                continue
            if in_use:
                continue
            why = "" if last.closed else "napari ended before it was closed; what was painted is there. "
            answers: dict[str, Callable[[], None]] = {
                "Continue": partial(self.open, folder),
                "Start new": partial(recent.remember, folder, closed=True),
            }
            self._desk.panels.project.ask(f"{why}Continue {name}?", answers)
            return

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
            folder = recent.default_folder(name, now=datetime.now(), base=self._base)
            self._desk.project = Project.create(folder, name=name)
            self._began_here = True
            recent.remember(self._desk.project.folder, closed=False)
            self.opened.emit()
            self.changed.emit()
        return self._desk.project

    def with_project(self, name: str, act: Callable[[Project], None]) -> None:
        """Call ``act`` with the open project, or a new one; where none can be made the user is asked for a place first.

        What ``act`` raises is shown.
        """
        try:
            act(self.ensure(name))
        except StorageError as error:
            if self._desk.project is None:
                self._ask_for_place(error, then=lambda: self.with_project(name, act))
            else:
                self._desk.complain(error)
        except Weak3DError as error:
            self._desk.complain(error)

    def _ask_for_place(self, error: StorageError, *, then: Callable[[], None]) -> None:
        """Ask where new projects are to go in this session, then go on."""
        panel = self._desk.panels.project

        def choose() -> None:
            folder = QFileDialog.getExistingDirectory(panel, "Where are projects to be kept?")
            if folder:
                self._base = Path(folder)
                then()
            else:
                self._ask_for_place(error, then=then)

        panel.ask(f"{sentence(error.message)}.", {"Choose another place...": choose, "Try again": then})

    def open(self, folder: Path) -> None:
        """Close what is open and open another project; what goes wrong is said, and the old one is gone on with."""
        if not self._may_close():
            return
        before = self._desk.project
        if before is not None and folder.absolute() == before.folder and not before.read_only:
            self.shown_again.emit()
            return
        try:
            project = Project.open(folder)
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            return
        if before is not None and project.read_only and project.folder == before.folder:
            self._desk.panels.project.say(f"Only to look at: {project.read_only_reason}", "warning")
            self.shown_again.emit()
            return
        self.close()
        self._take(project)
        self.opened.emit()
        self.changed.emit()

    def begin_anew(self) -> None:
        """Close what is open; the next image begins a new project."""
        if self._may_close():
            self.close()

    def save_as(self, folder: Path, *, then: Callable[[], None] = lambda: None) -> None:
        """Copy the project to a new folder and go on there, then call ``then``; the old one stays as it is."""
        self._carry(folder, copy_project, verb="save", then=then)

    def move(self, folder: Path) -> None:
        """Move the project to a new folder and go on there."""
        self._carry(folder, move_project, verb="move")

    def write(self) -> Weak3DError | None:
        """Write what is not on the disk yet, paint and corrections; returns what it failed with first."""
        failed: list[Weak3DError] = []
        for autosave in self._desk.autosaves:
            try:
                autosave.flush()
            except Weak3DError as error:
                failed.append(error)
        return failed[0] if failed else None

    def ensure_written(self) -> None:
        """Write what is not on the disk yet, before it is let go of.

        Raises
        ------
        UnsavedError
            It cannot be, or the project is being carried elsewhere: nothing may be let go of now.
        """
        if self.carrying:
            raise UnsavedError(f"{self.carrying}: wait for its end")
        error = self.write()
        if error is not None:
            raise UnsavedError(f"what you annotated or corrected could not be saved: {error.message}", value=error)

    def close(self) -> None:
        """Close the project; one of ours in which nothing was ever made is removed, unless the disk said no."""
        project = self._desk.project
        if project is None:
            return
        kept = self.write() is None
        self.closing.emit()
        self._desk.project = None
        empty = self._began_here and kept and not self.carrying and _is_empty(project)
        project.close()
        if empty:
            remove_unused(project.folder, [entry.id for entry in project.images])
            recent.forget(project.folder)
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
        """Say no while the project is carried elsewhere, a job works in it, or an image is copied into it."""
        if self.carrying:
            self._desk.panels.project.say(f"{self.carrying}: wait for its end", "warning")
        elif self._desk.busy:
            self._desk.panels.project.say("A job is running in this project: stop it first", "warning")
        elif self._desk.unsettled:
            self._desk.panels.project.say("An image is being copied into this project: wait for its end", "warning")
        else:
            self._desk.end_search()
            return True
        return False

    def _may_close(self) -> bool:
        """Say no also while what is annotated cannot be saved: closing would lose it."""
        if not self._may_leave():
            return False
        try:
            self.ensure_written()
        except UnsavedError as error:
            self._desk.complain(error)
            return False
        return True

    def _carry(
        self,
        folder: Path,
        carry: Callable[[Path, Path], bool | None],
        *,
        verb: str,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        project = self._desk.project
        if project is None or not self._may_leave():
            return
        folder = folder.absolute()
        try:
            is_taken = folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder])
        except OSError as error:
            self._desk.panels.project.say(f"Cannot read {folder}: {error.strerror or error}", "error")
            return
        if is_taken:
            self._desk.panels.project.say(f"{folder} is there already: name a new folder", "error")
            return
        self.moving.emit()
        self.carrying = f"The project is being {verb}d to {folder}"
        self._desk.panels.project.say(f"{self.carrying}. What you annotate meanwhile is saved when it is there.")
        old, entries = project.folder, project.images
        project.close()

        def done(carried: _Carried) -> None:
            recent.remember(old, closed=True)
            if not self._reopen(folder):
                return
            self._settle_in(carried)
            if verb == "move":
                recent.forget(old)
            if carried.left:
                self._desk.background.run(
                    lambda: delete_project(old), done=lambda gone: self._say_left(old, gone), failed=self._desk.complain
                )
            then()

        def failed(error: Weak3DError) -> None:
            self._desk.panels.project.say(f"Could not {verb} the project: {error.message}", "error")
            self._reopen(old)

        self._desk.background.run(lambda: _carried(old, folder, entries, carry), done=done, failed=failed)

    def _reopen(self, folder: Path) -> bool:
        """Go on at the new place, or after a failure at the old one; returns whether it can be."""
        self.carrying = ""
        try:
            self._take(Project.open(folder))
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            self.close()
            return False
        self.moved.emit()
        self.changed.emit()
        return True

    def _settle_in(self, carried: _Carried) -> None:
        """Call the project as its new folder is called, and say where its images are, seen from there."""
        project = self._desk.project
        assert project is not None
        try:
            project.rename(project.folder.name)
            for image_id, path in carried.images.items():
                project.replace_image(replace(project.image(image_id), path=str(path)))
        except Weak3DError as error:
            self._desk.complain(error)
        self._desk.panels.project.say(f"The project is in {project.folder} now")
        self.changed.emit()

    def _say_left(self, old: Path, gone: bool) -> None:
        if not gone:
            self._desk.panels.project.say(f"{old} could not be deleted altogether; you may do that", "warning")

    def _show_recent(self) -> None:
        here = None if self._desk.project is None else self._desk.project.folder
        folders = [Path(each.folder) for each in recent.recall()]
        self._desk.panels.project.show_recent([folder for folder in folders if folder != here])

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
    """Whether nothing was made in it: no annotation, no model, no result."""
    used = any(project.annotated(entry.id) or project.predictions(entry.id) for entry in project.images)
    return not project.models and not used


@dataclass(frozen=True)
class _Carried:
    """Where a project is now, where its images are, seen from there, and whether the old folder is still there."""

    folder: Path
    images: Mapping[str, Path]
    left: bool


def _carried(
    old: Path, new: Path, entries: Sequence[ImageEntry], carry: Callable[[Path, Path], bool | None]
) -> _Carried:
    """On a thread: copy or move a closed project."""
    left = bool(carry(old, new))
    found = {entry.id: find_source(new, entry)[1] for entry in entries if entry.source == "file"}
    return _Carried(new, {image_id: path for image_id, path in found.items() if path is not None}, left)
