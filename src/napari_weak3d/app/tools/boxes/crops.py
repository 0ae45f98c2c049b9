"""What a box holds of the masks: which slices of it are painted, and what a stroke may change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import IntLabels


def inside_of(box: NDArray[np.int64]) -> tuple[slice, ...]:
    """Index that takes a box (2, 3) out of a volume."""
    return tuple(slice(int(a), int(b)) for a, b in zip(box[0], box[1], strict=True))


def slices_left(painted: NDArray[np.bool_], *, axis: int) -> list[int]:
    """List the slices across an axis, counted from the first of ``painted`` (a box's voxels), that hold nothing."""
    across = tuple(each for each in range(3) if each != axis)
    return [int(index) for index in np.flatnonzero(~painted.any(axis=across))]


def painted_axis(painted: NDArray[np.bool_]) -> int:
    """Tell across which axis the slices of a box were painted: where most are left out between painted ones.

    Of equals the axis with the fewest painted slices, then z.
    """
    ranks = []
    for axis in range(3):
        hit = np.flatnonzero(painted.any(axis=tuple(each for each in range(3) if each != axis)))
        ranks.append((len(hit) - int(np.ptp(hit)) if len(hit) else 0, len(hit), axis))
    return min(ranks)[2]


def repair_stroke(before: IntLabels, after: IntLabels, *, box_id: int) -> IntLabels:
    """Say what a box's crop holds after a stroke: other boxes' voxels as they were, and no value but its own is new.

    Parameters
    ----------
    before, after
        The crop, ids of boxes, before and after the stroke, which may have been with any value.
    """
    others = (before > 0) & (before != box_id)
    mine = np.where(after == before, after, np.where(after > 0, box_id, 0))
    return np.where(others, before, mine).astype(np.int32)
