"""The voxels of a project's images, as functions: whether they are still the same, and storing them."""

from __future__ import annotations

from collections.abc import Callable

from napari_weak3d.io.project.entries import ImageEntry
from napari_weak3d.io.project.identity import SourceState
from napari_weak3d.io.project.project import Project
from napari_weak3d.types import Volume


def check_source(project: Project, image_id: str) -> SourceState:
    """Say whether an image is still the one that was added.

    Returns
    -------
    "same", also where only its date is new; "moved": the same, found at another place, and used from there; "changed":
    another file is in its place; "missing".
    """
    return project.check_source(image_id)


def store_volume(
    project: Project,
    volume: Volume,
    *,
    image_id: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> ImageEntry:
    """Write a volume that no file gives into the project; may run on a thread.

    The image is not in the project yet: give the entry to :meth:`Project.add_image`, on the main thread.

    Parameters
    ----------
    project, volume
        Where and what.
    image_id
        Of an image that the project knows already; None: a new one.
    progress
        Is told the part done, 0 to 1, on the calling thread. What it raises ends the writing, and nothing stays.

    Raises
    ------
    StorageError
        The project is read-only, or the disk says no.
    """
    return project.store_volume(volume, image_id=image_id, progress=progress)
