"""Predictions on disk: a folder each, that appears whole, with arrays that are mapped rather than read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import atomic_folder
from napari_weak3d.io.project.entries import now
from napari_weak3d.io.project.schema import from_plain, make_folder, read_json, to_plain, write_json
from napari_weak3d.types import ObjectRow, PaintClass, Prediction

PREDICTION = "prediction.json"
_ARRAYS = ("labels", "classes", "uncertainty", "probabilities")


@dataclass(frozen=True)
class StoredPrediction(Prediction):
    """A prediction read from a project; its arrays are memory-mapped and cannot be written to.

    Attributes
    ----------
    id
        Name of its folder.
    image_id, model_id
        What it was made of, and with.
    created
        When, ISO 8601 in UTC.
    class_table
        What the class values mean; empty where the method knows no classes.
    """

    id: str = ""
    image_id: str = ""
    model_id: str = ""
    created: str = ""
    class_table: tuple[PaintClass, ...] = ()


@dataclass(frozen=True)
class PredictionEntry:
    """A prediction in a list: which, of what, with what, when, and how many objects."""

    id: str
    image_id: str
    model_id: str
    created: str
    n_objects: int


@dataclass(frozen=True)
class _Description:
    """What ``prediction.json`` holds; ``images``: name of each further image -> its file."""

    image_id: str
    model_id: str
    created: str
    arrays: tuple[str, ...]
    images: Mapping[str, str]
    objects: tuple[ObjectRow, ...]
    class_table: tuple[PaintClass, ...] = ()
    notes: tuple[str, ...] = ()
    least_score: float | None = None


def write_prediction(
    folder: str | os.PathLike[str],
    prediction: Prediction,
    *,
    image_id: str,
    model_id: str,
    class_table: tuple[PaintClass, ...] = (),
) -> None:
    """Write a prediction as a folder of its own; it appears whole or not at all.

    Parameters
    ----------
    folder
        ``predictions/<id>`` of a project.
    prediction
        What to write.
    image_id, model_id
        What it was made of, and with.
    class_table
        What its class values mean.

    Raises
    ------
    StorageError
        The disk says no.
    """
    target = Path(folder)
    make_folder(target.parent)
    present = {name: getattr(prediction, name) for name in _ARRAYS if getattr(prediction, name) is not None}
    images = {name: f"image{number}.npy" for number, name in enumerate(prediction.images)}
    description = _Description(
        image_id,
        model_id,
        now(),
        tuple(present),
        images,
        prediction.objects,
        class_table=class_table,
        notes=prediction.notes,
        least_score=prediction.least_score,
    )
    with atomic_folder(target) as temporary:
        for name, array in present.items():
            _save(temporary / f"{name}.npy", array)
        for name, file in images.items():
            _save(temporary / file, prediction.images[name])
        write_json(temporary / PREDICTION, to_plain(description))


def read_prediction(folder: str | os.PathLike[str]) -> StoredPrediction:
    """Read a prediction; its voxels are read from the disk when they are looked at.

    Raises
    ------
    StorageError
        It is missing, damaged or of a newer version.
    """
    place = Path(folder)
    description = _describe(place)
    arrays = {name: _map(place / f"{name}.npy") for name in description.arrays if name in _ARRAYS}
    if "labels" not in arrays:
        raise StorageError(f"the prediction in {place} is damaged: it has no labels", where=str(place))
    return StoredPrediction(
        labels=arrays["labels"],
        classes=arrays.get("classes"),
        uncertainty=arrays.get("uncertainty"),
        probabilities=arrays.get("probabilities"),
        objects=description.objects,
        images={name: _map(place / Path(file).name) for name, file in description.images.items()},
        id=place.name,
        image_id=description.image_id,
        model_id=description.model_id,
        created=description.created,
        class_table=description.class_table,
        notes=description.notes,
        least_score=description.least_score,
    )


def list_predictions(folder: Path) -> tuple[PredictionEntry, ...]:
    """List the predictions in ``folder``, newest last; what is no prediction, or a damaged one, is left out."""
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.name.startswith("."):  # one that is being written
            continue
        try:
            known = _describe(place)
        except StorageError:
            continue
        found.append(PredictionEntry(place.name, known.image_id, known.model_id, known.created, len(known.objects)))
    return tuple(sorted(found, key=lambda entry: (entry.created, entry.id)))


def _describe(folder: Path) -> _Description:
    file = folder / PREDICTION
    try:
        return from_plain(_Description, read_json(file), file=file)
    except FileNotFoundError:
        raise StorageError(f"{folder} is no prediction: it has no {PREDICTION}", where=str(folder)) from None


def _save(file: Path, array: NDArray[Any]) -> None:
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def _map(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StorageError(f"the prediction's file {file} is damaged: {error}", where=str(file)) from error
