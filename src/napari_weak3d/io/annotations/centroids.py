"""Centroids, one click per object, as CSV."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations.tables import read_table, write_table
from napari_weak3d.types import AXES, Centroids, Sample, Volume, nearest_voxels

_NAPARI_AXES = ("axis-0", "axis-1", "axis-2")
_NAPARI_INDEX = "index"


def read_centroids(path: str | os.PathLike[str]) -> Centroids:
    """Read centroids from a CSV file with a header.

    Parameters
    ----------
    path
        Columns z, y, x, or axis-0, axis-1, axis-2 as napari saves a Points layer; voxels, voxel centres at integers.
        Upper and lower case are the same; further columns may stand in any place.

    Returns
    -------
    The points in the order of the file; none where only the header is there.

    Raises
    ------
    AnnotationError
        The file is not there or no CSV, a column is missing, or a cell is no number (file, line, column are named).
    """
    return read_centroids_and_columns(path)[0]


def read_centroids_and_columns(path: str | os.PathLike[str]) -> tuple[Centroids, dict[str, tuple[str, ...]]]:
    """Read centroids as :func:`read_centroids`, and beside them the further columns as text, one cell per point."""
    table = read_table(Path(path))
    columns = _find_coordinates(list(table.columns), name=table.name)
    points = np.array([table.numbers(column) for column in columns], dtype=np.float64).T
    further = {
        name: cells
        for name, cells in table.columns.items()
        # napari's running number says nothing
        if name not in columns and not (columns[0] not in ("z", "Z") and name == _NAPARI_INDEX)
    }
    return Centroids(points.reshape(-1, 3)), further


def write_centroids(
    path: str | os.PathLike[str], centroids: Centroids, *, columns: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write centroids as CSV with the header z,y,x, further columns after them.

    Parameters
    ----------
    path
        Written whole or not at all.
    centroids
        The points.
    columns
        Further columns, one cell per point.

    Raises
    ------
    AnnotationError
        A further column has another length than there are points.
    StorageError
        The file cannot be written.
    """
    further = dict(columns or {})
    n_points = len(centroids.points_vox)
    for name, cells in further.items():
        if len(cells) != n_points:
            raise AnnotationError(
                f"column {name!r} has {len(cells)} cells for {n_points} points: they must be equal",
                where=name,
                value=len(cells),
            )
    rows = [
        [*(repr(float(c)) for c in point), *(cells[i] for cells in further.values())]
        for i, point in enumerate(centroids.points_vox)
    ]
    write_table(Path(path), [*AXES, *further], rows=rows)


def check_centroids(centroids: Centroids, volume: Volume) -> None:
    """Make sure that there are centroids, and that each lies in a voxel of the volume.

    Raises
    ------
    AnnotationError
        There is none, they are no rows of z, y and x, or one is not finite or lies outside (the first is named).
    """
    points = centroids.points_vox
    if len(points) == 0:
        raise AnnotationError(f"there are no centroids for {volume.name}: click at least one object", value=0)
    _check_numbers(points, volume)
    # voxel i covers i - 0.5 to i + 0.5
    outside = ((points < -0.5) | (points >= np.array(volume.shape) - 0.5)).any(axis=1)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        z, y, x = (float(c) for c in points[row])
        raise AnnotationError(
            f"point {row + 1} (z {z:g}, y {y:g}, x {x:g}) lies outside {volume.name}, which is "
            f"{'x'.join(map(str, volume.shape))} voxels (Z x Y x X): coordinates are voxels, in the order z, y, x",
            value=(z, y, x),
        )


def check_clicks(samples: Sequence[Sample]) -> None:
    """Make sure that there is something to learn from, and that each click can be one of a cell.

    Raises
    ------
    AnnotationError
        No click in a volume, a click outside of it or of the region, two on one voxel, only one in all.
    """
    n_clicks = 0
    for sample in samples:
        assert isinstance(sample.annotation, Centroids)
        n_clicks += len(sample.annotation.points_vox)
        check_centroids(sample.annotation, sample.volume)
        _check_region(sample.annotation.points_vox, sample)
        check_apart(sample.annotation, sample.volume)
    if n_clicks < 2:
        raise AnnotationError(
            "there is only one click: how large cells are and how near they lie takes at least two; click more",
            where="clicks",
            value=1,
        )


def _check_numbers(points: NDArray[np.float64], volume: Volume) -> None:
    if points.ndim != 2 or points.shape[1] != len(AXES):
        raise AnnotationError(
            f"the centroids of {volume.name} have the shape {points.shape}: give a row of z, y and x for each object, "
            "(N, 3)",
            where="clicks",
            value=points.shape,
        )
    strange = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(strange):
        z, y, x = (float(part) for part in points[strange[0]])
        raise AnnotationError(
            f"point {strange[0] + 1} (z {z:g}, y {y:g}, x {x:g}) of {volume.name} is not finite: correct or remove it",
            where="clicks",
            value=(z, y, x),
        )


def _check_region(points: NDArray[np.float64], sample: Sample) -> None:
    if sample.region is None:
        return
    low, high = np.array(sample.region).T
    outside = np.flatnonzero(((points < low - 0.5) | (points >= high - 0.5)).any(axis=1))
    if len(outside):
        z, y, x = (float(part) for part in points[outside[0]])
        raise AnnotationError(
            f"point {outside[0] + 1} (z {z:g}, y {y:g}, x {x:g}) of {sample.volume.name} lies outside the region "
            f"{', '.join(f'{lo}:{hi}' for lo, hi in sample.region)} (z, y, x): enlarge the region or remove the point",
            where="region",
            value=(z, y, x),
        )


def check_apart(centroids: Centroids, volume: Volume) -> None:
    """Make sure that no two centroids lie on one voxel.

    Raises
    ------
    AnnotationError
        Two do (the first pair is named), or they are no rows of z, y and x, or not finite.
    """
    points = centroids.points_vox
    _check_numbers(points, volume)
    at_voxel = nearest_voxels(points)
    voxels, first, counts = np.unique(at_voxel, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        at = int(np.flatnonzero(counts > 1)[0])
        rows = np.flatnonzero((at_voxel == voxels[at]).all(axis=1)) + 1
        z, y, x = (int(part) for part in voxels[at])
        raise AnnotationError(
            f"points {rows[0]} and {rows[1]} of {volume.name} lie on the same voxel (z {z}, y {y}, x {x}): remove one",
            where="clicks",
            value=int(first[at]),
        )


def _find_coordinates(header: list[str], *, name: str) -> tuple[str, str, str]:
    """The columns of z, y and x, by their names in the file."""
    by_lower = {column.lower(): column for column in header}
    if "axis-3" in by_lower:
        raise AnnotationError(
            f"{name} has points of four axes (axis-3): keep one time point or channel, and three axes", where=name
        )
    for wanted in (tuple(AXES), _NAPARI_AXES):
        if all(column in by_lower for column in wanted):
            z, y, x = (by_lower[column] for column in wanted)
            return z, y, x
    missing = [column for column in AXES if column not in by_lower]
    raise AnnotationError(
        f"{name} has no column {', '.join(missing)}: the header must name z, y and x (or axis-0, axis-1, axis-2), it "
        f"is {','.join(header)}",
        where=name,
        value=header,
    )
