"""Before napari closes: what would be lost is asked about, and the window stays meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.projects import Projects

_UNSAVED = "What you annotated or corrected could not be saved"
_COPYING = "is still being copied into the project; what you annotated is saved."


class Leaving(QObject):
    """Says whether napari may close; if not, it asks in the dock, and closes the window itself when that is settled.

    Parameters
    ----------
    close
        Closes napari's window, and is not asked about.
    """

    def __init__(
        self,
        desk: Desk,
        projects: Projects,
        images: Images,
        *,
        close: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._desk, self._projects, self._close_window = desk, projects, close
        self._all_the_same = self._when_copied = False
        self._asked = ""
        images.settled.connect(self._on_settled)
        for autosave in desk.autosaves:
            autosave.saved.connect(self._on_saved)

    def may_close(self) -> bool:
        """Say whether nothing would be lost; else ask the user."""
        if self._all_the_same or self._desk.project is None:
            return True
        if self._projects.carrying:
            self._show_dock()
            self._desk.panels.project.say(f"{self._projects.carrying}: wait for its end, then close napari", "warning")
            return False
        error = self._projects.write()
        if error is not None:
            self._ask(
                f"{_UNSAVED}: {error.message}.",
                {"Try again": self._close, "Save elsewhere...": self._save_elsewhere},
            )
            return False
        if self._desk.unsettled:
            names = ", ".join(self._desk.project.image(image_id).name for image_id in sorted(self._desk.unsettled))
            self._ask(
                f"{names} {_COPYING}",
                {"Close when it is there": self._wait},
            )
            return False
        return True

    def _ask(self, text: str, answers: dict[str, Callable[[], None]]) -> None:
        self._show_dock()
        self._take_back()
        self._asked = text
        self._desk.panels.project.ask(text, {**answers, "Close all the same": self._force, "Stay": lambda: None})

    def _take_back(self) -> None:
        """Take back what was asked: it is settled, or asked anew."""
        self._desk.panels.project.bar.withdraw({self._asked})

    def _show_dock(self) -> None:
        """The question must be seen: the dock may be closed, or behind another."""
        if not self._desk.panels.project.isVisible():
            window = self._desk.viewer.window
            window.add_plugin_dock_widget("napari-weak3d", f"Weak3D: {self._desk.tool.method}")

    def _close(self) -> None:
        """Close the window, if nothing is in the way now."""
        if self.may_close():
            self._close_window()

    def _force(self) -> None:
        self._all_the_same = True
        self._close_window()

    def _wait(self) -> None:
        self._when_copied = True
        self._on_settled()

    def _on_saved(self) -> None:
        if self._asked.startswith(_UNSAVED):
            self._take_back()

    def _on_settled(self) -> None:
        if self._asked.endswith(_COPYING) and not self._desk.unsettled:
            self._take_back()
        if self._when_copied and not self._desk.unsettled:
            self._when_copied = False
            self._close()

    def _save_elsewhere(self) -> None:
        folder, _ = QFileDialog.getSaveFileName(self._desk.panels.project, "Save the project as", str(Path.home()))
        if folder:
            self._projects.save_as(Path(folder), then=self._close)
