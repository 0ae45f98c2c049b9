"""Images of the project that are not as they were: what the user says about each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.found_images import Found
from napari_weak3d.app.images import Images
from napari_weak3d.app.intake import take_as_it_is
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ImageEntry, Project, fingerprint


class LostImages:
    """Asks where a missing image is, and what to do with one that has changed. No training learns from it meanwhile.

    Parameters
    ----------
    look_again
        Called with an image that has been settled, to be looked for once more.
    """

    def __init__(self, desk: Desk, images: Images, *, look_again: Callable[[ImageEntry], None]) -> None:
        self._desk, self._images, self._look_again = desk, images, look_again

    def ask_for(self, project: Project, found: Found) -> None:
        """Ask about an image that cannot be read."""
        entry, panel = found.entry, self._desk.panels.project
        panel.leave_out(entry.id)
        if project.read_only:
            panel.say(f"{found.problem}. The project is read-only: nothing can be done about it here", "error")
        elif entry.source == "stored":
            self._desk.uncopied[entry.id] = lambda: self._ask_for_copy(project, entry, "")
            self._ask_for_copy(project, entry, f"{found.problem}. ")
        elif found.state == "changed" and found.path is not None:
            path = found.path
            panel.ask(
                f"{found.problem}.",
                {"Use it as it is now": lambda: self._accept(project, found, path), **self._places(project, found)},
            )
        else:
            panel.ask(f"{found.problem}.", self._places(project, found))

    def _places(self, project: Project, found: Found) -> dict[str, Callable[[], None]]:
        """What can be answered: a file, a folder where the image may be one, or nothing."""
        answers: dict[str, Callable[[], None]] = {"Say where it is...": lambda: self._choose(project, found)}
        if Path(found.entry.path).suffix.lower() in ("", ".zarr"):
            answers = {"Say which folder it is...": lambda: self._choose_folder(project, found)}
        return {**answers, "Leave it out": lambda: None}

    def _ask_for_copy(self, project: Project, entry: ImageEntry, text: str) -> None:
        """Ask for an image that was still being copied into the project when napari ended, and that no file gives."""

        def differs(take: Callable[[], None]) -> None:
            self._desk.panels.project.ask(
                f"The image that is chosen in step 1 is not the one that was annotated as {entry.name}.",
                {
                    "Use it all the same": take,
                    "Choose another": lambda: self._ask_for_copy(project, entry, ""),
                    "Leave it out": lambda: None,
                },
            )

        def go_on() -> None:
            try:
                self._images.go_on_with_chosen(entry, differs=differs)
            except Weak3DError as error:
                self._ask_for_copy(project, entry, f"{error.message}. ")

        self._desk.panels.project.ask(
            f"{text}Open the image of {entry.name} again and choose it in step 1, then go on here.",
            {"It is chosen": go_on, "Leave it out": lambda: None},
        )

    def _choose(self, project: Project, found: Found) -> None:
        title = f"Where is {found.entry.name}?"
        path, _ = QFileDialog.getOpenFileName(self._desk.panels.project, title, found.entry.path)
        if path:
            self._compare(project, found, Path(path))

    def _choose_folder(self, project: Project, found: Found) -> None:
        title = f"Where is {found.entry.name}?"
        path = QFileDialog.getExistingDirectory(self._desk.panels.project, title, str(Path(found.entry.path).parent))
        if path:
            self._compare(project, found, Path(path))

    def _compare(self, project: Project, found: Found, path: Path) -> None:
        """Take what the user has chosen if it is the image that was annotated, else ask."""
        known = found.entry.fingerprint

        def done(same: bool) -> None:
            if same:
                self._accept(project, found, path)
                return
            self._desk.panels.project.ask(
                f"{path} is not the image that was annotated as {found.entry.name}.",
                {"Use it all the same": lambda: self._accept(project, found, path), **self._places(project, found)},
            )

        def is_same() -> bool:
            now = fingerprint(path)
            return known is None or (now.size, now.digest) == (known.size, known.digest)

        self._desk.background.run(is_same, done=done, failed=lambda error: self._refuse(project, found, error))

    def _accept(self, project: Project, found: Found, path: Path) -> None:
        """Take what is there now for the image of the project, if it can be used: the paint must lie where it lay."""

        def done(entry: ImageEntry) -> None:
            if self._desk.project is project:
                try:
                    self._look_again(project.replace_image(entry))
                except Weak3DError as error:
                    self._desk.complain(error)

        self._desk.background.run(
            lambda: take_as_it_is(project.folder, found.entry, path),
            done=done,
            failed=lambda error: self._refuse(project, found, error),
        )

    def _refuse(self, project: Project, found: Found, error: Weak3DError) -> None:
        """Say why it cannot be used, and go on asking."""
        if self._desk.project is project:
            self._desk.panels.project.ask(f"{error.message}.", self._places(project, found))
