"""Looking for the images of a project, on a thread: where each is now, and what is to be shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_weak3d.app.intake import refer_to
from napari_weak3d.app.layer_data import LayerData, image_layers
from napari_weak3d.app.sources import find_origin
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ImageEntry, SourceState, find_source
from napari_weak3d.io.project.images import open_image


@dataclass(frozen=True)
class Found:
    """An image of the project, looked for.

    Attributes
    ----------
    entry
        As it is to be in the project: of one that was found elsewhere with the new place.
    state, path
        As :func:`~napari_weak3d.io.project.find_source` says; of one that was found elsewhere "moved".
    layers
        One per channel that is used; none where it cannot be shown.
    n_channels
        Of its file.
    problem
        Why it cannot be shown, as a sentence; "" where it can.
    """

    entry: ImageEntry
    state: SourceState
    path: Path | None
    layers: Sequence[LayerData] = ()
    n_channels: int = 1
    problem: str = ""


def look_for(folder: Path, entry: ImageEntry) -> Found:
    """Find an image of the project in ``folder``, and open it.

    One that was still being copied when napari ended is taken from the file of its layer, if that gives the very image.
    """
    try:
        state, path = find_source(folder, entry)
        if state == "missing" and entry.source == "stored":
            place = find_origin(entry)
            if place is not None:
                entry, state, path = refer_to(place, entry), "same", place.path
        if state == "moved":
            entry = replace(entry, path=str(path))
        if state == "changed":
            return Found(entry, state, path, problem=f"{entry.name} has changed since it was annotated ({path})")
        if state == "missing":
            return Found(entry, state, None, problem=_say_missing(entry))
        return _open(folder, entry, state, path)
    except Weak3DError as error:
        return Found(entry, "same", None, problem=error.message)


def _open(folder: Path, entry: ImageEntry, state: SourceState, path: Path | None) -> Found:
    volume = open_image(folder, entry)
    names = [entry.name]
    if volume.n_channels > 1:
        channels = entry.channels or range(volume.n_channels)
        names = [f"{entry.name}, channel {channel}" for channel in channels]
    n_channels = volume.n_channels
    if entry.channels is not None:
        n_channels = open_image(folder, replace(entry, channels=None)).n_channels
    return Found(entry, state, path, image_layers(volume, names=tuple(names)), n_channels)


def _say_missing(entry: ImageEntry) -> str:
    if entry.source == "stored":
        return f"{entry.name} was not yet copied into the project when napari ended; its annotation is kept"
    return f"{entry.name} is not at {entry.path}"
