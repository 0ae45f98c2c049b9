"""Results of a project as files for other programs. The table of objects is written by :mod:`napari_weak3d.measure`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.labels import write_image, write_labels
from napari_weak3d.io.project.entries import ImageEntry

EXPORT_ENDINGS = (".tif", ".tiff", ".zarr")


def export_result(path: str | os.PathLike[str], array: NDArray[Any], *, image: ImageEntry) -> None:
    """Write labels, classes or an uncertainty with the voxel size of their image.

    Parameters
    ----------
    path
        .tif or .tiff (opens calibrated in Fiji), or .zarr (OME-Zarr 0.5).
    array
        (Z, Y, X), perhaps memory-mapped. Whole numbers are written as a label image, in the smallest dtype that holds
        them; others as float32.
    image
        Which image of the project it belongs to.

    Raises
    ------
    AnnotationError
        Its shape is not the image's, or a label is negative.
    StorageError
        The ending is another one, or the disk says no. An old file stays as it was.
    """
    if array.shape != image.shape:
        raise AnnotationError(
            f"the result has shape {array.shape} (Z, Y, X) and the image {image.name} has {image.shape}: it belongs "
            "to another image",
            where=image.name,
            value=array.shape,
        )
    write = write_image if np.issubdtype(array.dtype, np.floating) else write_labels
    write(path, array, spacing=image.spacing, unit=image.unit)
