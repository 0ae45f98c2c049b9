"""What ``project.json`` holds, and reading a project that another process may be writing to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_weak3d.errors import AnnotationError, StorageError, VolumeError
from napari_weak3d.io.project.annotations import ANNOTATIONS, AnnotationStore
from napari_weak3d.io.project.entries import ImageEntry, is_id
from napari_weak3d.io.project.images import open_image
from napari_weak3d.io.project.schema import from_plain, read_json
from napari_weak3d.io.project.states import Kind, leave_out_begun
from napari_weak3d.types import Boxes, Sample, Volume

PROJECT = "project.json"
_HOW_TO_BEGIN: Mapping[Kind, str] = {
    "slices": "paint a slice first",
    "centroids": "click some cells first",
    "boxes": "draw some boxes first",
}


@dataclass(frozen=True)
class StoredModel:
    """What ``project.json`` holds of a model."""

    name: str
    method: str
    images: tuple[str, ...]
    created: str


@dataclass(frozen=True)
class Content:
    """What ``project.json`` holds: images and models by id, in the order in which they were added."""

    name: str
    images: Mapping[str, ImageEntry]
    models: Mapping[str, StoredModel]


def read_content(folder: Path) -> Content:
    """Read ``project.json``.

    Raises
    ------
    StorageError
        The folder is no project, or the file is damaged or of a newer version.
    """
    file = folder / PROJECT
    try:
        return from_plain(Content, read_json(file), file=file)
    except FileNotFoundError:
        raise StorageError(f"{folder} is no project: it has no {PROJECT}", where=str(folder)) from None


def find_image(content: Content, image_id: str, *, folder: Path) -> ImageEntry:
    """Return the image of this id, or raise VolumeError."""
    if image_id not in content.images:
        raise VolumeError(f"the project {folder} has no image {image_id}", where="image", value=image_id)
    return content.images[image_id]


def annotation_folder(folder: Path, image_id: str, kind: Kind = "slices") -> Path:
    """Return where the annotation of an image is, or will be written: slices in its folder, others one below it."""
    place = folder / ANNOTATIONS / checked_id(image_id)
    return place if kind == "slices" else place / kind


def checked_id(some_id: str) -> str:
    """Return an id that is to name a folder, or raise StorageError: it must lead nowhere else."""
    if not is_id(some_id):
        raise StorageError(f"{some_id!r} is no id: 4 to 32 hexadecimal digits", value=some_id)
    return some_id


def read_project_image(folder: str | os.PathLike[str], image_id: str) -> Volume:
    """Open an image of a project that another process may be writing to; needs no lock.

    Raises
    ------
    StorageError
        The folder is no project, or damaged.
    VolumeError
        There is no such image; it is missing, changed or damaged.
    """
    place = Path(folder)
    return open_image(place, find_image(read_content(place), image_id, folder=place))


def open_annotation(folder: str | os.PathLike[str], image_id: str, *, kind: Kind = "slices") -> AnnotationStore:
    """Open the annotation of an image, to look at it; errors as for :func:`read_project_image`."""
    place = Path(folder)
    shape = find_image(read_content(place), image_id, folder=place).shape
    return AnnotationStore(annotation_folder(place, image_id, kind), shape=shape, kind=kind)


def read_project_sample(folder: str | os.PathLike[str], image_id: str, *, kind: Kind = "slices") -> Sample:
    """Read an image with its annotation of a kind as it is on disk now; needs no lock.

    Of boxes come only the masks that are done: what a training or a model is to see.

    Raises
    ------
    AnnotationError
        Nothing of this kind is annotated on it.
    StorageError, VolumeError
        As :func:`read_project_image`, or the annotation is damaged.
    """
    volume = read_project_image(folder, image_id)
    store = AnnotationStore(annotation_folder(Path(folder), image_id, kind), shape=volume.shape, kind=kind)
    found = store.read_all()
    if found is None:
        raise AnnotationError(f"nothing is annotated on {volume.name} yet: {_HOW_TO_BEGIN[kind]}", where=volume.name)
    annotation, state, _ = found
    if isinstance(annotation, Boxes):
        annotation = leave_out_begun(annotation)
    return Sample(volume, annotation, region=state.region)
