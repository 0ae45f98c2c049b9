"""Showing a project that was opened: its images, the paint, the last result, and a training that was not finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.layer_data import LayerData, image_layers
from napari_weak3d.app.training import Training
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ImageEntry, Project, find_source, fingerprint, read_project_image
from napari_weak3d.io.project.identity import SourceState


@dataclass(frozen=True)
class Found:
    """An image of the project, looked for: its state, where it is now, and its layers if it can be read."""

    entry: ImageEntry
    state: SourceState
    path: Path | None
    layers: Sequence[LayerData]
    problem: str = ""


class Restoring:
    """Puts the images of an opened project into the viewer. Asks where one is missing or has changed."""

    def __init__(self, desk: Desk, images: Images, *, training: Training) -> None:
        self._desk, self._images = desk, images
        self._training = training

    def restore(self) -> None:
        """Read the project's images on a thread, then show them."""
        project = self._desk.project
        if project is None or not project.images:
            return
        entries = project.images
        self._desk.background.run(
            lambda: [_look_for(project.folder, entry) for entry in entries],
            done=lambda found: self._show(project, found),
            failed=self._desk.complain,
        )

    def _show(self, project: Project, found: Sequence[Found]) -> None:
        if self._desk.project is not project:
            return
        for each in found:
            if each.layers:
                self._show_image(project, each)
            else:
                self._ask_for(project, each)
        self._go_on(project, [each.entry.id for each in found if each.layers])

    def _show_image(self, project: Project, found: Found) -> None:
        there = self._find_open(found)
        layers = [there] if there else [Layer.create(data, meta, kind) for data, meta, kind in found.layers]
        for layer in layers:
            if layer is not there:
                self._desk.viewer.add_layer(layer)
            self._images.bind(layer, found.entry.id)
        if found.state == "moved" and found.path is not None and not project.read_only:
            self._put(project, replace(found.entry, path=str(found.path)))
            self._desk.panels.project.say(f"{found.entry.name} was moved, and is used from {found.path}")

    def _find_open(self, found: Found) -> Any:
        """A layer that shows this very image already: of its shape, and its middle plane equal; None: none does."""
        if len(found.layers) > 1:
            return None
        data = found.layers[0][0]
        middle = data.shape[0] // 2
        for layer in self._desk.layers.image_layers():
            fits = not layer.multiscale and tuple(layer.data.shape) == tuple(data.shape) and layer.dtype == data.dtype
            if fits and np.array_equal(np.asarray(layer.data[middle]), data[middle]):
                return layer
        return None

    def _go_on(self, project: Project, shown: Sequence[str]) -> None:
        """Work on the first annotated image, and offer to finish a training."""
        annotated = [image_id for image_id in shown if project.annotated(image_id)]
        for image_id in (annotated or list(shown))[:1]:
            self._choose_tool(project, image_id)
            layer = self._images.layer_of(image_id)
            try:
                self._images.begin_on(layer, image_id)
            except Weak3DError as error:
                self._desk.complain(error)
        unfinished = [model for model in project.models if model.unfinished and model.trained]
        if unfinished and not project.read_only and self._desk.jobs.state is JobState.IDLE:
            model = unfinished[-1]
            used = (prediction.model_id for image in project.images for prediction in project.predictions(image.id))
            if model.id in used:  # it was stopped by hand, and gave a result
                return
            self._desk.ask(
                f"The training of {model.name} was not finished.",
                {"Go on": lambda: self._training.go_on(model.id), "Leave it": lambda: None},
            )

    def _choose_tool(self, project: Project, image_id: str) -> None:
        """Take the tool of what was annotated last, unless the one that is chosen has something there, too."""
        kinds = project.annotated(image_id)
        if kinds and self._desk.tool.kind not in kinds:
            self._images.choose_tool(next(t.method for t in self._desk.tools.values() if t.kind == kinds[0]))

    # ---- images that are not as they were

    def _ask_for(self, project: Project, found: Found) -> None:
        entry, panel = found.entry, self._desk.panels.project
        if project.read_only or found.state in ("same", "moved"):
            panel.say(found.problem, "error")
        elif found.state == "changed":
            panel.ask(
                f"{entry.name} has changed since it was annotated ({found.path}).",
                {
                    "Use it as it is now": lambda: self._accept(project, entry, found.path),
                    "Leave it out": lambda: None,
                },
            )
        elif entry.source == "stored":
            self._ask_for_lost(entry)
        else:
            panel.ask(
                f"{entry.name} is not at {entry.path}.",
                {"Say where it is...": lambda: self._choose(project, entry), "Leave it out": lambda: None},
            )

    def _ask_for_lost(self, entry: ImageEntry, first: str = "") -> None:
        """Ask for an image that was still being copied into the project when napari ended."""

        def go_on() -> None:
            try:
                self._images.go_on_with_chosen(entry)
            except Weak3DError as error:
                self._ask_for_lost(entry, f"{error.message}. ")

        self._desk.panels.project.ask(
            f"{first}{entry.name} was not yet copied into the project when napari ended; its annotation is kept. Open "
            "that image again and choose it in step 1, then go on here.",
            {"It is chosen": go_on, "Leave it out": lambda: None},
        )

    def _choose(self, project: Project, entry: ImageEntry) -> None:
        path, _ = QFileDialog.getOpenFileName(self._desk.panels.project, f"Where is {entry.name}?", entry.path)
        if not path:
            return
        known = entry.fingerprint
        try:
            now = fingerprint(path)
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            return
        if known is not None and (now.size, now.digest) != (known.size, known.digest):
            self._desk.panels.project.ask(
                f"{path} is not the image that was annotated.",
                {"Use it all the same": lambda: self._accept(project, entry, Path(path)), "Leave it out": lambda: None},
            )
            return
        self._accept(project, entry, Path(path))

    def _accept(self, project: Project, entry: ImageEntry, path: Path | None) -> None:
        """Take the image that is there now for the one of the project."""
        if self._desk.project is not project or path is None:
            return
        try:
            self._put(project, replace(entry, path=str(path), fingerprint=fingerprint(path)))
        except Weak3DError as error:
            self._desk.panels.project.say(error.message, "error")
            return
        entries = [project.image(entry.id)]
        self._desk.background.run(
            lambda: [_look_for(project.folder, each) for each in entries],
            done=lambda found: self._show(project, found),
            failed=self._desk.complain,
        )

    def _put(self, project: Project, entry: ImageEntry) -> None:
        try:
            project.replace_image(entry)
        except Weak3DError as error:
            self._desk.complain(error)


def _look_for(folder: Path, entry: ImageEntry) -> Found:
    """On a thread: find an image, and read it."""
    state, path = find_source(folder, entry)
    if state in ("changed", "missing"):
        return Found(entry, state, path, ())
    try:
        volume = read_project_image(folder, entry.id)
        names = (
            (entry.name,)
            if volume.n_channels == 1
            else tuple(f"{entry.name}, channel {channel}" for channel in range(volume.n_channels))
        )
        return Found(entry, state, path, image_layers(volume, names=names))
    except Weak3DError as error:
        return Found(entry, state, path, (), error.message)
