"""What commands write: the files of a prediction, each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import ModelError
from napari_weak3d.io.annotations import write_centroids
from napari_weak3d.io.annotations.tables import write_table
from napari_weak3d.io.volumes import write_image, write_labels
from napari_weak3d.types import AXES, Centroids, ObjectRow, Prediction, Volume

OBJECT_COLUMNS = (
    *("id", "class", "score"),
    *AXES,
    *(f"{axis}{end}" for end in (0, 1) for axis in AXES),
)


def write_prediction(
    prediction: Prediction,
    volume: Volume,
    *,
    labels: Path,
    classes: Path | None = None,
    uncertainty: Path | None = None,
    objects: Path | None = None,
) -> None:
    """Write what was asked for, with the spacing of the volume.

    Raises
    ------
    ModelError
        Classes or uncertainty are asked for and the method gives none; nothing is written.
    StorageError
        A file cannot be written.
    """
    for name, path in (("classes", classes), ("uncertainty", uncertainty)):
        if path is not None and getattr(prediction, name) is None:
            raise ModelError(f"this model gives no {name}: leave out --{name}", where=f"--{name}", value=str(path))
    write_labels(labels, prediction.labels, spacing=volume.spacing, unit=volume.unit)
    if classes is not None and prediction.classes is not None:
        write_labels(classes, prediction.classes, spacing=volume.spacing, unit=volume.unit)
    if uncertainty is not None and prediction.uncertainty is not None:
        write_image(uncertainty, prediction.uncertainty, spacing=volume.spacing, unit=volume.unit)
    if objects is not None:
        write_objects(objects, prediction.objects)


def write_centres(path: Path, centres: Centroids, *, scores: NDArray[np.float64]) -> None:
    """Write centres as CSV: z, y, x in voxels, and their scores.

    Raises
    ------
    StorageError
        The file cannot be written; what was there before stays.
    """
    write_centroids(path, centres, columns={"score": [f"{score:.4f}" for score in scores]})


def write_objects(path: Path, rows: Sequence[ObjectRow]) -> None:
    """Write a row per object as CSV: id, class, score, centre and half-open box, zyx, in voxels.

    Raises
    ------
    StorageError
        The file cannot be written; what was there before stays.
    """
    write_table(
        path,
        OBJECT_COLUMNS,
        rows=([row.id, row.class_value, row.score, *row.centre_vox, *row.box[0], *row.box[1]] for row in rows),
    )
