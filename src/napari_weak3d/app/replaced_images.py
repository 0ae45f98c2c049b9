"""Layers that hold other voxels by now than the project has of their image: the user is asked before a job begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_weak3d.app.choices import LayerChoices
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.intake import Intake
from napari_weak3d.app.shown_images import ShownImages
from napari_weak3d.app.sources import LayerImage, look_at, sample_layer
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ImageEntry, Project

Begin = Callable[..., None]
"""Begins to annotate: layer, image id, and ``time_index`` by name."""


@dataclass(frozen=True)
class Replaced:
    """An image of the project, and the layer that shows another one in its place; of a series at which time point."""

    entry: ImageEntry
    layer: Any
    time: int | None
    image: LayerImage

    @property
    def text(self) -> str:
        """Say so, as a sentence without its end."""
        return f"The layer {self.layer.name} shows other voxels than the project has of {self.entry.name}"


class ReplacedImages:
    """Compares layers with the project; another plugin, or a script, may have given a layer other data.

    Parameters
    ----------
    leave, begin
        Stop annotating, and annotate another image.
    """

    def __init__(
        self,
        desk: Desk,
        intake: Intake,
        choices: LayerChoices,
        shown: ShownImages,
        *,
        leave: Callable[[], None],
        begin: Begin,
    ) -> None:
        self._desk, self._intake, self._choices, self._shown = desk, intake, choices, shown
        self._leave, self._begin = leave, begin

    def find(self, image_ids: Iterable[str]) -> Replaced | None:
        """Return the first of these images whose layer shows another one; reads a few planes of each.

        Raises
        ------
        Weak3DError
            A layer holds no image any more.
        """
        project = self._desk.project
        for image_id in image_ids if project is not None else ():
            assert project is not None
            found = self._compare(project.image(image_id))
            if found is not None:
                return found
        return None

    def settle(self, image_ids: Iterable[str], *, then: Callable[[], None]) -> bool:
        """Ask about the first image that is not as its layer shows it, and go on with ``then`` after the answer.

        Returns whether all are as they are shown; ``then`` is not called in that case.
        """
        try:
            found = self.find(image_ids)
        except Weak3DError as error:
            self._desk.complain(error)
            return False
        if found is not None:
            self.ask(found, then=then)
        return found is None

    def ask(self, found: Replaced, *, then: Callable[[], None]) -> None:
        """Ask what the voxels of a layer are; ``then`` goes on where there is still the same to do."""
        answers = {"Add it as another image": lambda: self._add(found, then=then)}
        size = ""
        if found.image.shape == found.entry.shape:
            answers = {"Use it as it is now": lambda: self._use(found, then=then), **answers}
        else:
            size = f", of another shape: {found.image.shape}, not {found.entry.shape}"
        self._desk.ask_about_work(f"{found.text}{size}.", answers)

    def _compare(self, entry: ImageEntry) -> Replaced | None:
        work, place = self._desk.work, self._shown.where(entry.id)
        if work is not None and work.image_id == entry.id:
            place = work.layer, work.time_index
        if place is None or (self._shown.n_channels_of(entry.id) or 1) > 1:  # a layer shows one channel of several
            return None
        layer, time = place
        image = look_at(layer, None if entry.first_axis is None else entry.first_axis[0])
        if image.shape == entry.shape and entry.sampled in (None, sample_layer(image, time_index=time)):
            return None
        return Replaced(entry, layer, time, image)

    def _use(self, found: Replaced, *, then: Callable[[], None]) -> None:
        """Copy what the layer shows into the project, in place of what was there; the annotation stays."""
        project = self._desk.writable_project()
        if project is not None:
            self._try(lambda: self._copy(project, found), then=then)

    def _copy(self, project: Project, found: Replaced) -> None:
        entry, image = found.entry, found.image
        channels = entry.channels if image.role == "channels" else None
        stored = replace(
            entry,
            source="stored",
            path=f"images/{entry.id}.zarr",
            dtype=np.dtype(image.data.dtype).name,
            channels=None if channels is None or max(channels) >= image.n_channels else channels,
            channel_axis=None,
            fingerprint=None,
            relative_path=None,
            origin=None,
            sampled=None,
        )
        self._intake.bring(project, image, project.replace_image(stored), time=found.time)

    def _add(self, found: Replaced, *, then: Callable[[], None]) -> None:
        """Let the layer show an image of its own; the one that it showed stays in the project with its annotation."""
        project, work = self._desk.writable_project(), self._desk.work
        if project is None:
            return
        here = work is not None and work.image_id == found.entry.id

        def bind(image_id: str) -> None:
            self._shown.bind(found.layer, image_id, time=found.time)
            if here:
                self._begin(found.layer, image_id, time_index=found.time)

        def add() -> None:
            if here:
                self._leave()
            settings = self._choices.settings_for(found.layer, found.image, found.time)
            self._shown.unbind(found.layer, time=found.time)
            self._intake.enter(project, found.image, settings, time=found.time, then=bind)

        self._try(add, then=(lambda: None) if here else then)

    def _try(self, act: Callable[[], None], *, then: Callable[[], None]) -> None:
        try:
            act()
        except Weak3DError as error:
            self._desk.complain(error)
        else:
            then()
