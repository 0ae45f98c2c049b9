"""How the image of a layer gets into the project: by reference to its file, or as a copy; painting begins meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.sources import LayerImage, find_in_file, volume_of
from napari_weak3d.errors import StorageError, VolumeError, Weak3DError
from napari_weak3d.io.project import ImageEntry, Project, describe_file, new_id
from napari_weak3d.types import Spacing


class Intake(QObject):
    """Adds images to the project and settles on a thread where their voxels are.

    Signals
    -------
    settled(image_id)
        The image can be read from the project now.
    """

    settled = Signal(str)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk

    def add(
        self,
        project: Project,
        image: LayerImage,
        *,
        time: int | None,
        spacing: Spacing,
        unit: str,
        channels: tuple[int, ...] | None,
    ) -> str:
        """Add an image, or one of its time points, to the project and return its id; its voxels follow.

        Raises
        ------
        Weak3DError
            The project cannot be written to.
        """
        image_id = new_id()
        entry = ImageEntry(
            id=image_id,
            name=image.name if time is None else f"{image.name}, time {time}",
            source="stored",
            path=f"images/{image_id}.zarr",
            shape=image.shape,
            dtype=np.dtype(image.data.dtype).name,
            spacing=spacing,
            unit=unit,
            channels=channels if image.role == "channels" else None,
        )
        project.add_image(entry)
        self.bring(project, image, entry, time=time)
        return image_id

    def bring(self, project: Project, image: LayerImage, entry: ImageEntry, *, time: int | None) -> None:
        """Find or write the voxels of an image that the project knows, on a thread.

        Also of one that was still being written when napari ended.

        Raises
        ------
        VolumeError
            The image is not of the entry's shape or dtype.
        """
        if (image.shape, np.dtype(image.data.dtype).name) != (entry.shape, entry.dtype):
            raise VolumeError(
                f"{image.name} is {image.shape} {image.data.dtype}, and {entry.name} was {entry.shape} {entry.dtype}: "
                "choose in step 1 the image that was annotated",
                where=image.name,
                value=image.shape,
            )
        self._desk.unsettled.add(entry.id)
        self._desk.copying.run(
            lambda: self._bring(project, image, entry, time=time or 0),
            done=lambda found: self._on_brought(project, found),
            failed=lambda error: self._on_lost(error, lambda: self.bring(project, image, entry, time=time), entry),
        )

    def _bring(self, project: Project, image: LayerImage, entry: ImageEntry, *, time: int) -> ImageEntry:
        """On a thread: refer to the layer's file, or write the voxels into the project."""
        place = find_in_file(image, entry.channels, time_index=time)
        if place is not None:
            found = describe_file(
                place.path,
                time_index=time if image.role == "time" else None,
                channel_axis=place.channel_axis,
                channels=place.channels,
                spacing=entry.spacing,
                unit=entry.unit,
            )
            return replace(found, id=entry.id, name=entry.name)
        volume = volume_of(image, spacing=entry.spacing, unit=entry.unit, time_index=time)

        def progress(part: float) -> None:
            if self._desk.project is not project:
                raise StorageError(f"the project was closed while {entry.name} was written into it")
            self._desk.copying.later(self._desk.panels.image.show_writing, part)

        stored = project.store_volume(volume, progress=progress)
        return replace(stored, id=entry.id, name=entry.name, channels=entry.channels)

    def _on_brought(self, project: Project, found: ImageEntry) -> None:
        self._desk.unsettled.discard(found.id)
        self._desk.panels.image.show_writing(1.0)
        if self._desk.project is not project:
            return
        now = project.image(found.id)  # the user may have changed these meanwhile
        try:
            project.replace_image(replace(found, spacing=now.spacing, unit=now.unit))
        except Weak3DError as error:
            self._desk.complain(error)
            return
        self.settled.emit(found.id)

    def _on_lost(self, error: Weak3DError, try_again: Callable[[], None], entry: ImageEntry) -> None:
        self._desk.unsettled.discard(entry.id)
        self._desk.lose_image(entry.id)
        self._desk.panels.image.show_writing(1.0)
        if self._desk.project is None:
            return
        self._desk.ask(
            f"{entry.name} could not be put into the project: {error.message}. What you paint is kept; training needs "
            "the image there.",
            {"Try again": try_again, "Leave it": lambda: None},
        )


def find_again(project: Project, image: LayerImage, *, time: int | None) -> str | None:
    """Return the id of the project's image that a layer's file is, or None. Reads a few planes of that file."""
    for entry in project.images:
        same_place = entry.source == "file" and image.path is not None and Path(entry.path) == image.path
        if not same_place or entry.time_index != time or entry.shape != image.shape:
            continue
        place = find_in_file(image, time_index=time or 0)
        if place is not None and place.channels == entry.channels and project.check_source(entry.id) == "same":
            return entry.id
    return None
