"""Boxes in a slice as rectangles, and rectangles back as boxes; boxes in 3D as wires. Plain functions on arrays.

Voxel i covers [i - 0.5, i + 0.5): a box [lo, hi) is drawn from lo - 0.5 to hi - 0.5. What is drawn is in lengths of the
image's scale, not in voxels: lines are as thick along z as in the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import SliceIndex

Floats: TypeAlias = NDArray[np.float64]
Scale: TypeAlias = Sequence[float] | Floats
_SQUARE = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])  # of the two axes of a plane: which corner, in drawing order
_CUBE = np.array(list(product((0, 1), repeat=3)))
_EDGES = tuple((a, b) for a, b in product(range(8), repeat=2) if a < b and np.abs(_CUBE[a] - _CUBE[b]).sum() == 1)


def crosses(corners: NDArray[np.int64], which: SliceIndex) -> NDArray[np.bool_]:
    """Tell which boxes (N, 2, 3) hold voxels of a slice."""
    axis, index = which
    return np.asarray((corners[:, 0, axis] <= index) & (index < corners[:, 1, axis]))


def rectangles(corners: NDArray[np.int64], *, axis: int, scale: Scale) -> Floats:
    """Draw boxes (N, 2, 3) in slices across an axis: (N, 4, 3) vertices, at 0 along that axis."""
    across = [each for each in range(3) if each != axis]
    faces = (corners - 0.5) * np.asarray(scale)
    drawn = np.zeros((len(corners), 4, 3))
    for column, each in enumerate(across):
        drawn[:, :, each] = faces[:, _SQUARE[:, column], each]
    return drawn


def spans(vertices: Floats, *, axis: int, scale: Scale) -> NDArray[np.int64]:
    """Read a shape (V, 3) back: (2, 3) half-open voxels, the faces nearest to its bounds; 0 to 1 along ``axis``.

    At least a voxel along each axis.
    """
    faces = np.asarray(vertices) / np.asarray(scale) + 0.5
    low, high = np.rint(faces.min(axis=0)).astype(np.int64), np.rint(faces.max(axis=0)).astype(np.int64)
    low[axis] = 0
    high[axis] = 1
    return np.stack([low, np.maximum(high, low + 1)])


def is_dot(vertices: Floats, *, axis: int, scale: Scale) -> bool:
    """Whether a shape (V, 3) is shorter than a voxel along both axes of its plane: a click, not a rectangle."""
    extent = np.ptp(np.asarray(vertices) / np.asarray(scale), axis=0)
    return bool((np.delete(extent, axis) < 1).all())


def wires(corners: NDArray[np.int64], *, scale: Scale) -> Floats:
    """Draw the twelve edges of boxes (N, 2, 3): (12 N, 2, 3), each a point and a direction."""
    faces = (corners - 0.5) * np.asarray(scale)
    points = np.stack([faces[:, _CUBE[:, axis], axis] for axis in range(3)], axis=-1)  # (N, 8, 3)
    starts = points[:, [a for a, _ in _EDGES]]
    ends = points[:, [b for _, b in _EDGES]]
    # (N, 12, 2, 3) -> (12 N, 2, 3)
    return np.stack([starts, ends - starts], axis=2).reshape(-1, 2, 3)


def outlines(corners: NDArray[np.int64], which: SliceIndex, *, scale: Scale) -> Floats:
    """Draw boxes (N, 2, 3) where they cross a slice: (4 M, 2, 3) points and directions, at 0 along the slice's axis."""
    around = rectangles(corners[crosses(corners, which)], axis=which[0], scale=scale)
    # (M, 4, 2, 3) -> (4 M, 2, 3)
    return np.stack([around, np.roll(around, -1, axis=1) - around], axis=2).reshape(-1, 2, 3)


def bounds_in(plane: NDArray[np.int32], which: SliceIndex) -> NDArray[np.int64]:
    """Give the bounds, (N, 2, 3), one voxel deep, of the objects that a slice shows, by ascending id.

    ``plane``: (rows, columns) of ids, 0 is background; the lower of the two axes comes first.
    """
    places = np.argwhere(plane > 0)
    ids, owners = np.unique(plane[plane > 0], return_inverse=True)
    boxes = np.zeros((len(ids), 2, 3), np.int64)
    boxes[:, :, which[0]] = which[1], which[1] + 1
    for column, axis in enumerate(each for each in range(3) if each != which[0]):
        low, high = np.full(len(ids), plane.shape[column]), np.zeros(len(ids), np.int64)
        np.minimum.at(low, owners, places[:, column])
        np.maximum.at(high, owners, places[:, column] + 1)
        boxes[:, 0, axis], boxes[:, 1, axis] = low, high
    return boxes
