"""How deep a box is that is drawn as a rectangle: as deep as earlier ones, in micrometres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import SliceIndex, Spacing

_LATEST = 20
"""How many earlier boxes count: the latest, as a user goes from one kind of object to another."""


def learned_depth(
    corners: NDArray[np.int64], classes: NDArray[np.int64], *, value: int, axis: int, spacing: Spacing
) -> float | None:
    """Tell how far the latest boxes reach along an axis: their median, in the unit of the spacing.

    Parameters
    ----------
    corners, classes
        (N, 2, 3) voxels and (N,), in the order in which they were made.
    value
        The class of the new box. Boxes of other classes count only where it has none.

    Returns
    -------
    None where there are no boxes.
    """
    if len(corners) == 0:
        return None
    same = corners[classes == value]
    latest = (same if len(same) else corners)[-_LATEST:]
    return float(np.median(latest[:, 1, axis] - latest[:, 0, axis])) * spacing[axis]


def give_depth(
    flat: NDArray[np.int64],
    which: SliceIndex,
    *,
    depth: float | None,
    spacing: Spacing,
    shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    """Make a rectangle (2, 3) that was drawn in a slice a box, with the slice in its middle.

    Parameters
    ----------
    flat
        Half-open voxels; along the slice's axis it holds nothing yet.
    depth
        In the unit of the spacing; None: the mean of the rectangle's sides (geometric).

    Returns
    -------
    (2, 3) half-open. At an end of the volume it is cut there: what an object has beyond it cannot be seen.
    """
    axis, index = which
    if depth is None:
        sides = np.delete((flat[1] - flat[0]) * np.asarray(spacing), axis)
        depth = float(np.sqrt(np.prod(sides)))
    n = max(1, round(depth / spacing[axis]))
    low = index - (n - 1) // 2
    box = flat.copy()
    box[:, axis] = max(0, low), min(shape[axis], low + n)
    return box


def set_start(box: NDArray[np.int64], which: SliceIndex) -> NDArray[np.int64]:
    """Let a box (2, 3) start on a slice; one that ended before it becomes this slice alone."""
    axis, index = which
    new = box.copy()
    new[:, axis] = index, max(index + 1, box[1, axis])
    return new


def set_end(box: NDArray[np.int64], which: SliceIndex) -> NDArray[np.int64]:
    """Let a box (2, 3) end on a slice, which is its last; one that started after it becomes this slice alone."""
    axis, index = which
    new = box.copy()
    new[:, axis] = min(index, box[0, axis]), index + 1
    return new
