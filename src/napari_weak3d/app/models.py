"""What the list of models asks for: apply, train on, rename, export, import, remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app import preferences
from napari_weak3d.app.applying import Applying
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.jobs import new_job_id
from napari_weak3d.app.message_bar import Kind
from napari_weak3d.app.projects import Projects
from napari_weak3d.app.training import Training
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ModelEntry, Project
from napari_weak3d.messages import SegmentFiles

T = TypeVar("T")
_IMAGES = (".tif", ".tiff", ".npy", ".zarr")
_OUT = "weak3d labels"
_NEW_S = 60.0
"""A younger model may get its first checkpoint yet, by a training that outlived its napari by some seconds."""


class Models(QObject):
    """Does to the project's models what their panel asks for."""

    def __init__(
        self, desk: Desk, projects: Projects, training: Training, applying: Applying, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._desk, self._projects, self._applying = desk, projects, applying
        panel = desk.panels.models
        panel.apply_requested.connect(self.apply)
        panel.train_on_requested.connect(training.train)
        panel.rename_requested.connect(self.rename)
        panel.export_requested.connect(self._choose_export)
        panel.import_requested.connect(self._choose_import)
        panel.remove_requested.connect(self.remove)

    def refresh(self) -> None:
        """Show the project's models as they are now."""
        project, panel = self._desk.project, self._desk.panels.models
        names = {} if project is None else {entry.id: entry.name for entry in project.images}
        panel.show_models(self._models(), image_names=names)
        panel.set_read_only(project is not None and project.read_only)

    def clear_up(self) -> None:
        """Remove models whose training was killed before it wrote anything: there is nothing to go on from."""
        project = self._desk.project
        if project is None or project.read_only or self._desk.busy:
            return
        for model in project.models:
            if not project.model_folder(model.id).exists() and _age_s(model) > _NEW_S:
                self._change(partial(_remove, model_id=model.id))

    def apply(self, model_id: str, scope: str) -> None:
        """Segment with a model: what :attr:`ModelsPanel.apply_requested` says."""
        desk, project = self._desk, self._desk.project
        if project is None:
            return
        if scope == "image":
            self._applying.segment_chosen(model_id)
        elif scope == "times":
            self._applying.segment_times(model_id)
        elif scope == "project":
            self._applying.segment(model_id, images=tuple(entry.id for entry in project.images))
        elif scope == "folder":
            folder = QFileDialog.getExistingDirectory(desk.panels.models, "Segment all images of a folder")
            if folder:
                self.apply_to_files(model_id, Path(folder))

    def apply_to_files(self, model_id: str, folder: Path) -> None:
        """Segment all images of a folder into a new folder inside it."""
        desk, project = self._desk, self._desk.project
        if project is None:
            return
        try:
            files = tuple(str(file) for file in sorted(folder.iterdir()) if file.suffix.lower() in _IMAGES)
        except OSError as error:
            desk.say(f"Cannot read {folder}: {error.strerror or error}", "error")
            return
        if not files:
            desk.say(f"{folder} holds no image: {', '.join(_IMAGES)}", "warning")
            return
        settings = {"device": preferences.read().device}
        out = folder / _OUT
        request = SegmentFiles(new_job_id(), str(project.folder), model_id, files, str(out), settings)
        desk.submit(request, done=lambda result: self._tell_files(result, out))

    def rename(self, model_id: str, name: str) -> None:
        """Give a model another name."""
        self._change(lambda project: project.rename_model(model_id, name))

    def remove(self, model_id: str) -> None:
        """Remove a model and its files from the project; the panel has asked already."""
        self._change(partial(_remove, model_id=model_id))

    def _models(self) -> Sequence[ModelEntry]:
        return () if self._desk.project is None else self._desk.project.models

    def _choose_export(self, model_id: str) -> None:
        panel = self._desk.panels.models
        name = next((f"{model.name}.zip" for model in self._models() if model.id == model_id), "model.zip")
        to, _ = QFileDialog.getSaveFileName(panel, "Export the model", name, "Models (*.zip);;Folders (*)")
        if to:
            self._on_thread(lambda project: project.export_model(model_id, to), f"The model is in {to}")

    def _choose_import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._desk.panels.models, "Import a model", "", "Models (*.zip model.json)"
        )
        if path:
            self.import_model(Path(path).parent if Path(path).name == "model.json" else Path(path))

    def import_model(self, source: Path) -> None:
        """Copy a model, a folder or a .zip of one, into the project; without one, into a new one named after it."""

        def copy(_: Project) -> None:
            # The list of the project is changed on the main thread only: else what two threads write undoes each other.
            self._on_thread(
                lambda project: project.copy_in(source),
                "The model is in the project",
                then=lambda project, copied: project.list_copied(copied),
            )

        self._projects.with_project(source.stem, copy)

    def _on_thread(
        self,
        act: Callable[[Project], T],
        success: str,
        *,
        then: Callable[[Project, T], Any] = lambda _project, _result: None,
    ) -> None:
        desk, project = self._desk, self._desk.project
        if project is None:
            desk.say("Open a project or begin one first: step 1", "warning")
            return

        def done(result: T) -> None:
            try:
                then(project, result)
                desk.say(success)
            except Weak3DError as error:
                desk.complain(error)
            self.refresh()

        desk.background.run(lambda: act(project), done=done, failed=desk.complain)

    def _change(self, act: Callable[[Project], Any]) -> None:
        project = self._desk.writable_project()
        if project is None:
            return
        try:
            act(project)
        except Weak3DError as error:
            self._desk.complain(error)
        self.refresh()

    def _tell_files(self, result: dict[str, Any], out: Path) -> None:
        failed = result.get("failed", [])
        n_files = len(result.get("files", []))
        text = f"{n_files} image{' is' if n_files == 1 else 's are'} segmented: {out}"
        details = "\n".join(f"{file}: {why}" for file, why in failed)
        kind: Kind = "warning" if failed else "info"
        self._desk.say(
            f"{text}; {len(failed)} could not be: see the details" if failed else text, kind, details=details
        )


def _remove(project: Project, *, model_id: str) -> None:
    project.remove_model(model_id)


def _age_s(model: ModelEntry) -> float:
    """How long a model is in the project; of one that does not say when it was made, for ever."""
    try:
        made = datetime.fromisoformat(model.created)
    except ValueError:
        return float("inf")
    return (datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))).total_seconds()
