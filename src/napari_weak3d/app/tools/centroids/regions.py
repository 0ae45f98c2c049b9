"""Ways to say in which box all cells are clicked. Plain functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import Region, SliceIndex

Span = tuple[int, int]


def set_side(region: Region | None, how: str, which: SliceIndex, *, shape: tuple[int, int, int]) -> Region:
    """Let a region begin ("start") or end ("end") at a slice, pushing its other side if they cross."""
    sides = list(region or whole(shape))
    axis, index = which
    low, high = sides[axis]
    sides[axis] = (index, max(high, index + 1)) if how == "start" else (min(low, index), index + 1)
    return _region(sides)


def set_plane(region: Region | None, axis: int, spans: Any, *, shape: tuple[int, int, int]) -> Region:
    """Replace the sides of a region along the two axes of a plane across ``axis``, cut to the volume."""
    sides: list[Any] = list(spans)
    sides.insert(axis, (region or whole(shape))[axis])
    return _clip(_region(sides), shape)


def set_view(region: Region | None, axis: int, in_sight: NDArray[np.float64], *, shape: tuple[int, int, int]) -> Region:
    """Replace the sides along the two axes of a plane by what is in sight of it, (2, 3) voxels, half-open."""
    low, high = np.ceil(in_sight[0]), np.floor(in_sight[1])
    spans = [(int(low[each]), int(high[each])) for each in range(3) if each != axis]
    return set_plane(region, axis, spans, shape=shape)


def whole(shape: tuple[int, int, int]) -> Region:
    """All of a volume."""
    z, y, x = shape
    return (0, z), (0, y), (0, x)


def _clip(region: Region, shape: tuple[int, int, int]) -> Region:
    sides = []
    for (low, high), size in zip(region, shape, strict=True):
        start = min(max(low, 0), size - 1)
        sides.append((start, min(max(high, start + 1), size)))
    return _region(sides)


def _region(sides: list[Span]) -> Region:
    z, y, x = sides
    return z, y, x
