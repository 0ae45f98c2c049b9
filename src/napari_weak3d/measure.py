"""The table of objects: size, place and brightness of each, in the unit of the spacing."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.metrics import compact_ids
from napari_weak3d.types import AXES, Spacing, Volume

Floats: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[float, float, float]
VoxelBox: TypeAlias = tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class ObjectMeasures:
    """One object of a label image.

    Attributes
    ----------
    id
        Its label value.
    unit
        The unit of all lengths here: "um", or "relative".
    n_voxels
        Number of voxels.
    volume
        Volume, in unit^3.
    centroid
        Mean of its voxel centres, zyx, in unit; the centre of voxel 0 lies at 0.
    box
        Its outer faces (low, high), zyx, in unit: a voxel reaches half a spacing to each side of its centre.
    box_vox
        The same in voxels, half-open [low, high).
    equivalent_diameter
        Of the ball of the same volume, in unit.
    mean_intensity, max_intensity
        One value per channel; empty without an image.
    touches_border
        Whether it reaches the edge of the volume, along any axis of more than one voxel: all of a one-slice stack lies
        on its z border, which says nothing.
    class_name
        Of the class that most of its voxels have; empty where there are no classes.
    """

    id: int
    unit: str
    n_voxels: int
    volume: float
    centroid: Point
    box: tuple[Point, Point]
    box_vox: VoxelBox
    equivalent_diameter: float
    mean_intensity: tuple[float, ...]
    max_intensity: tuple[float, ...]
    touches_border: bool
    class_name: str = ""


def measure_objects(
    labels: NDArray[Any],
    *,
    volume: Volume | None = None,
    classes: NDArray[Any] | None = None,
    class_names: Mapping[int, str] = MappingProxyType({}),
    spacing: Spacing,
    unit: str,
) -> list[ObjectMeasures]:
    """Measure every object.

    Parameters
    ----------
    labels
        (Z, Y, X) integer ids, any values; <= 0 is background. Voxels of one id are one object, connected or not.
    volume
        The image to take intensities from; None: no intensities.
    classes
        (Z, Y, X) class values; None: there are none.
    class_names
        What the values of objects mean, background left out.
    spacing
        Size of a voxel (z, y, x), in ``unit``.
    unit
        "um", or "relative".

    Returns
    -------
    list of ObjectMeasures
        In ascending order of id; empty where nothing is labelled.

    Raises
    ------
    VolumeError
        The shape of ``volume`` or of ``classes`` is not that of ``labels``.
    """
    _check_shapes(labels, volume=volume, classes=classes)
    compact, ids = compact_ids(labels)
    places = np.nonzero(compact)
    owners = compact[places] - 1  # (V,) which object each labelled voxel belongs to
    sizes = np.bincount(owners, minlength=len(ids))
    sums = np.stack([np.bincount(owners, weights=axis, minlength=len(ids)) for axis in places], axis=1)
    centroids = sums / sizes[:, None] * spacing
    boxes = list(_boxes(compact))
    means, highest = _intensities(volume, places=places, owners=owners, sizes=sizes)
    names = _class_names(classes, class_names, places=places, owners=owners, n=len(ids))
    voxel = math.prod(spacing)
    return [
        ObjectMeasures(
            id=int(ids[k]),
            unit=unit,
            n_voxels=int(sizes[k]),
            volume=float(sizes[k] * voxel),
            centroid=_point(centroids[k]),
            box=_faces(boxes[k], spacing=spacing),
            box_vox=boxes[k],
            equivalent_diameter=math.cbrt(6 * float(sizes[k]) * voxel / math.pi),
            mean_intensity=tuple(means[:, k].tolist()),
            max_intensity=tuple(highest[:, k].tolist()),
            touches_border=_touches_border(boxes[k], shape=labels.shape),
            class_name=names[k],
        )
        for k in range(len(ids))
    ]


def write_measures(path: Path, rows: Sequence[ObjectMeasures]) -> None:
    """Write the table as CSV: a header, then a line per object.

    The column ``unit`` says what lengths are in; ``volume`` is in its cube; columns that end in ``_vox`` are voxels.
    Intensity columns are numbered by channel from 0, and ``class`` is there where classes are; without objects
    only the header of the other columns is written.

    Raises
    ------
    StorageError
        The file cannot be written; what was there before stays.
    """
    n_channels = len(rows[0].mean_intensity) if rows else 0
    has_classes = any(row.class_name for row in rows)
    with atomic_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_header(n_channels) + ["class"] * has_classes)
        writer.writerows(_cells(row) + [row.class_name] * has_classes for row in rows)


def _check_shapes(labels: NDArray[Any], *, volume: Volume | None, classes: NDArray[Any] | None) -> None:
    if volume is not None and volume.shape != labels.shape:
        raise VolumeError(
            f"the labels have shape {labels.shape} and {volume.name} has {volume.shape} (Z, Y, X): "
            "measure labels in the image they belong to",
            where=volume.name,
            value=labels.shape,
        )
    if classes is not None and classes.shape != labels.shape:
        raise VolumeError(
            f"the labels have shape {labels.shape} and their classes {classes.shape} (Z, Y, X): they must be the same",
            where="classes",
            value=classes.shape,
        )


def _intensities(
    volume: Volume | None, *, places: tuple[NDArray[np.intp], ...], owners: NDArray[Any], sizes: NDArray[Any]
) -> tuple[Floats, Floats]:
    """(C, N) mean and (C, N) highest value of each object; C is 0 without an image."""
    n_channels = 0 if volume is None else volume.n_channels
    means = np.zeros((n_channels, len(sizes)))
    highest = np.full((n_channels, len(sizes)), -np.inf)
    if volume is not None:
        for channel in range(n_channels):  # one at a time: the image may be lazy, and larger than memory
            values = np.asarray(volume.data[channel])[places].astype(np.float64)
            means[channel] = np.bincount(owners, weights=values, minlength=len(sizes)) / sizes
            np.maximum.at(highest[channel], owners, values)
    return means, highest


def _class_names(
    classes: NDArray[Any] | None,
    class_names: Mapping[int, str],
    *,
    places: tuple[NDArray[np.intp], ...],
    owners: NDArray[Any],
    n: int,
) -> list[str]:
    """The class of each of ``n`` objects, of several with as many voxels the first; empty: none of these classes."""
    if classes is None or not class_names:
        return [""] * n
    found = classes[places]
    counts = np.stack([np.bincount(owners, weights=found == value, minlength=n) for value in class_names])
    names = [*class_names.values()]
    return [names[k] if counts[k, of] else "" for of, k in enumerate(counts.argmax(axis=0))]


def _boxes(compact: NDArray[np.int32]) -> Iterator[VoxelBox]:
    """Half-open box of each object of labels numbered without gaps."""
    for slices in ndi.find_objects(compact):
        z, y, x = slices
        yield (z.start, y.start, x.start), (z.stop, y.stop, x.stop)


def _faces(box: VoxelBox, *, spacing: Spacing) -> tuple[Point, Point]:
    """Half-open voxels -> outer faces, in the unit of the spacing."""
    low, high = ((np.asarray(corner) - 0.5) * spacing for corner in box)
    return _point(low), _point(high)


def _touches_border(box: VoxelBox, *, shape: tuple[int, ...]) -> bool:
    return any(size > 1 and (low == 0 or high == size) for low, high, size in zip(*box, shape, strict=True))


def _point(values: Floats) -> Point:
    z, y, x = values.tolist()
    return z, y, x


def _header(n_channels: int) -> list[str]:
    channels = range(n_channels)
    return [
        *("id", "unit", "n_voxels", "volume", "equivalent_diameter"),
        *(f"centroid_{axis}" for axis in AXES),
        *(f"box_{axis}{end}" for end in (0, 1) for axis in AXES),
        *(f"box_{axis}{end}_vox" for end in (0, 1) for axis in AXES),
        *(f"mean_intensity_{c}" for c in channels),
        *(f"max_intensity_{c}" for c in channels),
        "touches_border",
    ]


def _cells(row: ObjectMeasures) -> list[object]:
    return [
        *(row.id, row.unit, row.n_voxels, row.volume, row.equivalent_diameter),
        *row.centroid,
        *(edge for corner in row.box for edge in corner),
        *(edge for corner in row.box_vox for edge in corner),
        *row.mean_intensity,
        *row.max_intensity,
        int(row.touches_border),
    ]
