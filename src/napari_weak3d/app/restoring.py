"""Showing a project that was opened: its images, the paint, the last result, and a training that was not finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.layers import Layer

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.found_images import Found, look_for
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.lost_images import LostImages
from napari_weak3d.app.sources import shows
from napari_weak3d.app.training import Training
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ImageEntry, Project


class Restoring:
    """Puts the images of an opened project into the viewer. Asks where one is missing or has changed."""

    def __init__(self, desk: Desk, images: Images, *, training: Training) -> None:
        self._desk, self._images = desk, images
        self._training = training
        self._lost = LostImages(desk, images, look_again=self._look_again)

    def restore(self) -> None:
        """Read the project's images on a thread, then show them, and go on with the first that is annotated.

        Of a series the annotated time points are shown, or the first: there may be a hundred. The menu has them all.
        """
        project = self._desk.project
        if project is not None:
            self._look(project, _without_spare_times(project), then=lambda shown: self._go_on(project, shown))

    def show_missing(self) -> None:
        """Show the images of the project that are not in the viewer; go on with one where nothing is worked on."""
        project = self._desk.project
        if project is None:
            return
        entries = [entry for entry in project.images if self._images.layer_of(entry.id) is None]

        def go_on(shown: Sequence[str]) -> None:
            if self._desk.work is None and shown:
                self._work_on(project, shown)

        self._look(project, self._settled(entries), then=go_on)

    def show_image(self, image_id: str) -> None:
        """Go on with an image of the project; one that is not in the viewer is shown first."""
        project = self._desk.project
        if project is None:
            return
        if self._desk.busy:
            self._desk.say("Something is running: stop it first, then go to another image", "warning")
        elif self._images.layer_of(image_id) is not None:
            self._begin(project, image_id)
        else:
            entries = self._settled([project.image(image_id)])
            self._look(project, entries, then=lambda shown: self._begin_first(project, shown))

    def check(self) -> None:
        """Look whether an image of the project has changed or is gone, and ask about it: a job could not read it."""
        project = self._desk.project
        if project is None:
            return
        entries = self._settled(project.images)

        def show(found: Sequence[Found]) -> None:
            for each in found if self._desk.project is project else ():
                if each.problem:
                    self._lost.ask_for(project, each)
                elif each.entry != project.image(each.entry.id):
                    self._note_place(project, each)

        self._desk.background.run(
            lambda: [look_for(project.folder, entry) for entry in entries], done=show, failed=self._desk.complain
        )

    def _settled(self, entries: Sequence[ImageEntry]) -> list[ImageEntry]:
        """Those that are not being copied just now."""
        return [entry for entry in entries if entry.id not in self._desk.unsettled]

    def _look(
        self, project: Project, entries: Sequence[ImageEntry], *, then: Callable[[Sequence[str]], object]
    ) -> None:
        """Look for images on a thread, show those that are there, ask about the others; ``then`` gets those shown."""

        def show(found: Sequence[Found]) -> None:
            if self._desk.project is not project:
                return
            for each in found:
                if each.layers:
                    self._show_image(project, each)
                else:
                    self._lost.ask_for(project, each)
            then([each.entry.id for each in found if each.layers])

        if entries:
            self._desk.background.run(
                lambda: [look_for(project.folder, entry) for entry in entries], done=show, failed=self._desk.complain
            )

    def _look_again(self, entry: ImageEntry) -> None:
        """Show an image that the user has settled something about."""
        project = self._desk.project
        if project is None:
            return
        self._desk.panels.project.take_in(entry.id)

        def begin(shown: Sequence[str]) -> None:
            if self._desk.work is None:
                self._go_on(project, shown)

        self._look(project, [entry], then=begin)

    def _show_image(self, project: Project, found: Found) -> None:
        there = self._find_shown(found)
        if there is None:
            for data, meta, kind in found.layers:
                layer = self._desk.viewer.add_layer(Layer.create(data, meta, kind))
                self._images.shown.bind(layer, found.entry.id, n_channels=found.n_channels)
        else:
            self._images.shown.bind(there, found.entry.id, n_channels=found.n_channels)
        if found.entry != project.image(found.entry.id) and not project.read_only:
            self._note_place(project, found)
            if found.state == "moved":
                self._desk.panels.project.say(f"{found.entry.name} was moved, and is used from {found.path}")

    def _note_place(self, project: Project, found: Found) -> None:
        try:
            project.replace_image(found.entry)
        except Weak3DError as error:
            self._desk.complain(error)

    def _find_shown(self, found: Found) -> Any:
        """The layer of this image, with its voxels as they are now, or one that shows this very image; None: none does.

        A layer that shows another image of the project is not taken, equal as it may be.
        """
        if len(found.layers) > 1:
            return None
        data = found.layers[0][0]
        known = self._images.layer_of(found.entry.id)
        if known is not None and not known.multiscale and tuple(known.data.shape) == tuple(data.shape):
            if not shows(known, data):  # its file has changed, and the user has said that it is to be used
                known.data = data
            return known
        free = [layer for layer in self._desk.layers.image_layers() if layer not in self._images.shown]
        return next((layer for layer in free if shows(layer, data)), None)

    def _go_on(self, project: Project, shown: Sequence[str]) -> None:
        """Work on the first annotated image, show its last result, and offer to finish a training."""
        annotated = [image_id for image_id in shown if project.annotated(image_id)]
        self._work_on(project, annotated or shown)
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

    def _work_on(self, project: Project, shown: Sequence[str]) -> None:
        """Work on the first of these images."""
        for image_id in shown[:1]:
            self._choose_tool(project, image_id)
            self._begin(project, image_id)

    def _begin_first(self, project: Project, shown: Sequence[str]) -> None:
        for image_id in shown[:1]:
            self._begin(project, image_id)

    def _begin(self, project: Project, image_id: str) -> None:
        found = self._images.shown.where(image_id)
        if found is None:
            self._desk.say(f"{project.image(image_id).name} is in no layer any more", "warning")
            return
        layer, time = found
        try:
            self._images.begin_on(layer, image_id, time_index=time)
        except Weak3DError as error:
            self._desk.complain(error)

    def _choose_tool(self, project: Project, image_id: str) -> None:
        """Take the tool of what was annotated last, unless the one that is chosen has something there, too."""
        kinds = project.annotated(image_id)
        if kinds and self._desk.tool.kind not in kinds:
            self._images.choose_tool(next(t.method for t in self._desk.tools.values() if t.kind == kinds[0]))


def _without_spare_times(project: Project) -> list[ImageEntry]:
    """The project's images, but of each series those time points only that are annotated, or the first of them."""
    kept: list[ImageEntry] = []
    begun = {entry.series for entry in project.images if entry.series is not None and project.annotated(entry.id)}
    for entry in project.images:
        if entry.series is None or project.annotated(entry.id):
            kept.append(entry)
        elif entry.series not in begun:
            begun.add(entry.series)
            kept.append(entry)
    return kept
