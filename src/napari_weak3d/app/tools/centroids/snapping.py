"""Moves a click along the axis that the view looks through, to the middle of the blob that it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import Spacing, nearest_voxels

_WIDTH = 0.5
"""Half of the side of the column that is looked at, in cell radii: inside of a cell also near its ends."""
_REACH = 2.0
"""How far the middle may be from the click, in cell radii."""


def snap(
    point: NDArray[np.float64],
    *,
    axis: int,
    shape: tuple[int, int, int],
    spacing: Spacing,
    radius: float,
    read: Callable[[tuple[slice, ...]], NDArray[Any]],
) -> float | None:
    """Find the middle of the blob around a point, along one axis.

    The mean grey value across the axis is compared at the size of a cell: inside minus around, where inside is a
    radius to both sides, and around as much again. From the point the way goes up to the nearest maximum of that; down
    for a cell that is darker than what is around it.

    Parameters
    ----------
    point
        (3,) zyx, voxels, inside the volume.
    radius
        Of a typical cell, in the unit of the spacing.
    read
        Gives the image, one channel, within slices (z, y, x).

    Returns
    -------
    The coordinate along the axis, in voxels; None where nothing stands out, or there is but one slice.
    """
    place = nearest_voxels(point, shape=shape)
    half = np.maximum(0, np.rint(_WIDTH * radius / np.array(spacing))).astype(int)
    half[axis] = shape[axis]
    low, high = np.maximum(place - half, 0), np.minimum(place + half + 1, shape)
    column = np.asarray(read(tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))), np.float64)
    profile = np.nan_to_num(column).mean(axis=tuple(each for each in range(3) if each != axis))
    reach = max(1, round(radius / spacing[axis]))
    contrast = _stand_out(profile, reach)
    if len(profile) < 2 or np.ptp(contrast) == 0:
        return None
    start = int(place[axis])
    rising = contrast if contrast[start] >= 0 else -contrast
    top = _climb(rising, start)
    return float(top) if abs(top - start) <= _REACH * reach else None


def _stand_out(profile: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Mean within ``reach`` minus the mean of as many values further out, to both sides; edges go on."""
    padded = np.pad(profile, 2 * reach, mode="edge")
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    starts = np.arange(len(profile))
    wide = sums[starts + 4 * reach + 1] - sums[starts]
    inside = sums[starts + 3 * reach + 1] - sums[starts + reach]
    n_inside = 2 * reach + 1
    contrast: NDArray[np.float64] = inside / n_inside - (wide - inside) / (2 * reach)
    return contrast


def _climb(values: NDArray[np.float64], start: int) -> int:
    """Go up from a place to a local maximum."""
    at = start
    while True:
        near = [each for each in (at - 1, at + 1) if 0 <= each < len(values) and values[each] > values[at]]
        if not near:
            return at
        at = max(near, key=lambda each: float(values[each]))
