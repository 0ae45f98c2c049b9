"""napari's own File > Save of a Labels layer: TIFF or OME-Zarr with the voxel size, or the table of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.labels import write_label_series, write_labels
from napari_weak3d.io.spacing import MICROMETRE, unit_in_micrometres
from napari_weak3d.types import RELATIVE, Spacing

_NAME = "labels"
_N_WITH_TIME = 4


def write_labels_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write a Labels layer with its spacing and unit, for napari.

    Parameters
    ----------
    path
        .tif, .tiff or .zarr; an OME-Zarr of that name is replaced.
    data
        (Y, X), (Z, Y, X) or (T, Z, Y, X), whole numbers >= 0; of a multiscale layer the finest level. Of several time
        points one is read at a time.
    attributes
        The layer's, of which ``name``, ``scale``, ``units`` and ``multiscale`` count; a shift of its origin is not
        written.

    Returns
    -------
    The one path that was written.

    Raises
    ------
    AnnotationError
        More than four axes, or a negative value.
    StorageError
        The disk is full, the folder missing or read-only. An old file stays as it was.
    """
    spacing, unit = _spacing_of(attributes)
    finest = _finest(data, attributes)
    if len(finest.shape) == _N_WITH_TIME:
        write_label_series(path, finest, spacing=spacing, unit=unit)
    else:
        write_labels(path, _volume_of(data, attributes), spacing=spacing, unit=unit)
    return [path]


def write_table_of_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write the table of the objects of a Labels layer as CSV, for napari: sizes and places, no intensities.

    Parameters, return and errors as of :func:`write_labels_layer`; ``path`` ends in .csv.
    """
    from napari_weak3d.measure import measure_objects, write_measures  # noqa: PLC0415  # scipy, as napari starts

    spacing, unit = _spacing_of(attributes)
    write_measures(Path(path), measure_objects(_volume_of(data, attributes), spacing=spacing, unit=unit))
    return [path]


def _finest(data: Any, attributes: Mapping[str, Any]) -> Any:
    return data[0] if attributes.get("multiscale") else data


def _volume_of(data: Any, attributes: Mapping[str, Any]) -> NDArray[Any]:
    """(Z, Y, X) labels of a layer, of its finest level."""
    name = str(attributes.get("name", _NAME))
    finest = np.asarray(_finest(data, attributes))
    if not 2 <= finest.ndim <= 3:
        raise AnnotationError(
            f"the layer {name} has {finest.ndim} axes (shape {finest.shape}): labels are saved as Z, Y, X or T, Z, "
            "Y, X, and a table is of Z, Y, X; split its first axis (right click, Split Stack) and save the parts",
            where=name,
            value=finest.shape,
        )
    return finest.reshape((1, *finest.shape)[-3:])


def _spacing_of(attributes: Mapping[str, Any]) -> tuple[Spacing, str]:
    """Voxel size (z, y, x) in micrometres, or "relative" where the layer is in pixels; of 2D, z as y.

    Mirrored axes have a negative scale: its size counts.
    """
    sizes = [abs(float(size)) for size in attributes.get("scale", (1.0, 1.0, 1.0))][-3:]
    units = [str(unit) for unit in attributes.get("units") or ("pixel",) * len(sizes)][-3:]
    factors = [unit_in_micrometres(unit) for unit in units]
    known = [factor for factor in factors if factor is not None]
    in_micrometres = len(known) == len(sizes)
    scaled = [size * factor for size, factor in zip(sizes, known, strict=True)] if in_micrometres else sizes
    z, y, x = [scaled[0]] * (3 - len(scaled)) + scaled
    return (z, y, x), MICROMETRE if in_micrometres else RELATIVE
