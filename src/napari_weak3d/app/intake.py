"""How the image of a layer gets into the project: by reference to its file, or as a copy; painting begins meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.sources import FilePlace, LayerImage, find_in_file, sample_layer, volume_of
from napari_weak3d.errors import StorageError, VolumeError, Weak3DError
from napari_weak3d.io.project import (
    ImageEntry,
    Project,
    SourceState,
    describe_file,
    fingerprint,
    new_id,
)
from napari_weak3d.io.project.images import open_image
from napari_weak3d.types import Spacing

Then = Callable[[str], None]
"""Called with the id of an image, once the project knows it."""


@dataclass(frozen=True)
class Settings:
    """What an image gets into the project with.

    Attributes
    ----------
    spacing, unit
        Of a voxel.
    channels
        Which are used; None: all.
    series
        What its time points have in common; None: it is no time point.
    """

    spacing: Spacing
    unit: str
    channels: tuple[int, ...] | None
    series: str | None = None


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

    def enter(self, project: Project, image: LayerImage, settings: Settings, *, time: int | None, then: Then) -> None:
        """Find the image in the project, or add it; if its file has changed since it was annotated, the user is asked.

        Raises
        ------
        Weak3DError
            The project cannot be written to.
        """
        known = find_again(project, image, time=time)

        def add() -> None:
            try:
                then(self._add(project, image, settings, time=time))
            except Weak3DError as error:
                self._desk.complain(error)

        if known is None:
            then(self._add(project, image, settings, time=time))
        elif known.state == "changed":
            entry, path = known.entry, image.path
            assert path is not None
            self._desk.panels.project.ask(
                f"{entry.name} has changed since it was annotated ({path}).",
                {
                    "Use it as it is now": lambda: self._take_changed(project, entry, path, then=then),
                    "Add it as another image": add,
                },
            )
        else:
            if known.state == "missing":
                self.bring(project, image, known.entry, time=time)
            if settings.series is not None and known.entry.series is None:
                project.replace_image(replace(project.image(known.entry.id), series=settings.series))
            then(known.entry.id)

    def go_on_with(
        self,
        project: Project,
        image: LayerImage,
        entry: ImageEntry,
        *,
        then: Callable[[], None],
        differs: Callable[[Callable[[], None]], None],
    ) -> None:
        """Take a layer's voxels for those of an image that were lost.

        Parameters
        ----------
        then
            Called when they are on their way into the project.
        differs
            Called instead where they are others than those that were annotated, with what takes them all the same.

        Raises
        ------
        VolumeError
            The image is not of the entry's shape or dtype.
        """
        _check_fit(image, entry)
        time = entry.time_index if image.role == "time" else None

        def go_on() -> None:
            if self._desk.project is project:
                self.bring(project, image, replace(project.image(entry.id), sampled=None), time=time)
                then()

        self._desk.copying.run(
            lambda: sample_layer(image, time_index=time),
            done=lambda found: go_on() if entry.sampled in (None, found) else differs(go_on),
            failed=self._desk.complain,
        )

    def bring(self, project: Project, image: LayerImage, entry: ImageEntry, *, time: int | None) -> None:
        """Find or write the voxels of an image that the project knows, on a thread.

        Also of one that was still being written when napari ended. What it is known by is noted first: if napari ends
        before it is done, the image is recognised.

        Raises
        ------
        VolumeError
            The image is not of the entry's shape or dtype.
        """
        _check_fit(image, entry)
        self._desk.unsettled.add(entry.id)
        self._desk.uncopied.pop(entry.id, None)
        self._desk.panels.project.take_in(entry.id)

        def fail(error: Weak3DError) -> None:
            self._on_lost(error, lambda: self.bring(project, image, entry, time=time), entry)

        def go_on(sampled: str) -> None:
            if self._desk.project is not project:
                self._desk.unsettled.discard(entry.id)
                return
            try:
                noted = project.replace_image(replace(project.image(entry.id), sampled=sampled))
            except Weak3DError as error:
                fail(error)
                return
            self._desk.copying.run(
                lambda: self._bring(project, image, noted, time=time),
                done=lambda found: self._on_brought(project, found),
                failed=fail,
            )

        self._desk.copying.run(lambda: sample_layer(image, time_index=time), done=go_on, failed=fail)

    def _add(self, project: Project, image: LayerImage, settings: Settings, *, time: int | None) -> str:
        """Add an image, or one of its time points, to the project and return its id; its voxels follow."""
        image_id = new_id()
        entry = ImageEntry(
            id=image_id,
            name=image.name if time is None else f"{image.name}, time {time}",
            source="stored",
            path=f"images/{image_id}.zarr",
            shape=image.shape,
            dtype=np.dtype(image.data.dtype).name,
            spacing=settings.spacing,
            unit=settings.unit,
            time_index=time,
            channels=settings.channels if image.role == "channels" else None,
            origin=None if image.path is None else str(image.path.absolute()),
            first_axis=None if image.role is None else (image.role, int(image.data.shape[0])),
            series=settings.series,
        )
        project.add_image(entry)
        self.bring(project, image, entry, time=time)
        return image_id

    def _bring(self, project: Project, image: LayerImage, entry: ImageEntry, *, time: int | None) -> ImageEntry:
        """On a thread: refer to the layer's file, or write the voxels into the project."""
        place = find_in_file(image, entry.channels, time_index=time or 0)
        if place is not None:
            return refer_to(place, entry)
        volume = volume_of(image, spacing=entry.spacing, unit=entry.unit, time_index=time or 0)

        def progress(part: float) -> None:
            if self._desk.project is not project:
                raise StorageError(f"the project was closed while {entry.name} was written into it")
            self._desk.copying.later(self._desk.panels.image.show_writing, part)

        project.store_volume(volume, image_id=entry.id, progress=progress)
        return entry

    def _on_brought(self, project: Project, found: ImageEntry) -> None:
        self._desk.panels.image.show_writing(1.0)
        self._desk.unsettled.discard(found.id)
        if self._desk.project is not project:
            return
        now = project.image(found.id)  # the user may have changed these meanwhile
        channels = now.channels if found.source == "stored" else found.channels
        try:
            project.replace_image(replace(found, spacing=now.spacing, unit=now.unit, channels=channels))
        except Weak3DError as error:
            self._desk.complain(error)
            return
        self.settled.emit(found.id)

    def _on_lost(self, error: Weak3DError, try_again: Callable[[], None], entry: ImageEntry) -> None:
        self._desk.unsettled.discard(entry.id)
        self._desk.uncopied[entry.id] = try_again
        self._desk.lose_image(entry.id)
        self._desk.panels.image.show_writing(1.0)
        if self._desk.project is None:
            return
        self._desk.ask(
            f"{entry.name} could not be put into the project: {error.message}. What you paint is kept; training needs "
            "the image there.",
            {"Try again": try_again, "Leave it": lambda: self._desk.panels.project.leave_out(entry.id)},
        )

    def _take_changed(self, project: Project, entry: ImageEntry, path: Path, *, then: Then) -> None:
        """Take the image that is at a path now for the one that was annotated."""

        def done(changed: ImageEntry) -> None:
            if self._desk.project is not project:
                return
            try:
                project.replace_image(changed)
                then(entry.id)
            except Weak3DError as error:
                self._desk.complain(error)

        self._desk.copying.run(
            lambda: take_as_it_is(project.folder, entry, path), done=done, failed=self._desk.complain
        )


@dataclass(frozen=True)
class Known:
    """An image of the project that a layer shows; "missing": the project has lost its voxels."""

    entry: ImageEntry
    state: SourceState


def find_again(project: Project, image: LayerImage, *, time: int | None) -> Known | None:
    """Find the project's image that a layer shows, by its file or by its voxels; None: it is none of them.

    "changed": the image's file holds another by now, and the layer shows that one. Reads a few planes.
    """
    alike = [entry for entry in project.images if (entry.shape, entry.time_index) == (image.shape, time)]
    files = [
        each for each in alike if each.source == "file" and image.path is not None and Path(each.path) == image.path
    ]
    if files:
        place = find_in_file(image, time_index=time or 0)
        for entry in files if place is not None else ():
            assert place is not None
            if place.channels == entry.channels:
                state = project.check_source(entry.id)
                return Known(entry, "same" if state == "moved" else state)
    stored = [each for each in alike if each.sampled is not None]
    sampled = sample_layer(image, time_index=time) if stored else None
    for entry in stored:
        if entry.sampled == sampled:
            state = project.check_source(entry.id)
            if entry.source == "stored" or state in ("same", "moved"):
                return Known(entry, state)
    return None


def take_as_it_is(folder: Path, entry: ImageEntry, path: Path) -> ImageEntry:
    """On a thread: return the entry of an image with what is at a path now, if that can be used.

    Raises
    ------
    VolumeError
        It cannot be read, or it has another shape, or not the channels.
    """
    changed = replace(
        entry, source="file", path=str(path), fingerprint=fingerprint(path), relative_path=None, sampled=None
    )
    return replace(changed, dtype=np.dtype(open_image(folder, changed).data.dtype).name)


def refer_to(place: FilePlace, entry: ImageEntry) -> ImageEntry:
    """On a thread: return the entry of an image that is in a file, for what was to be stored."""
    found = describe_file(
        place.path,
        time_index=entry.time_index,
        channel_axis=place.channel_axis,
        channels=place.channels,
        spacing=entry.spacing,
        unit=entry.unit,
    )
    return replace(
        found,
        id=entry.id,
        name=entry.name,
        sampled=entry.sampled,
        first_axis=entry.first_axis,
        series=entry.series,
    )


def _check_fit(image: LayerImage, entry: ImageEntry) -> None:
    found = (image.shape, np.dtype(image.data.dtype).newbyteorder("=").name)
    if found != (entry.shape, np.dtype(entry.dtype).newbyteorder("=").name):
        raise VolumeError(
            f"{image.name} is {image.shape} {image.data.dtype}, and {entry.name} was {entry.shape} {entry.dtype}: "
            "choose in step 1 the image that was annotated",
            where=image.name,
            value=image.shape,
        )
