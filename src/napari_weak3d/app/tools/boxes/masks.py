"""Masks of boxes that nobody painted: between painted slices, and from labels made elsewhere.

Needs scipy, which the dock opens without: to be imported where it is used.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_weak3d.app.tools.boxes.crops import inside_of
from napari_weak3d.metrics import compact_ids

_LEAST_SHARE = 0.5
"""Of an object that a box must hold for the object to be its mask."""


def interpolate(painted: NDArray[np.bool_], *, axis: int) -> NDArray[np.bool_]:
    """Fill the slices between painted ones: signed distances to the outline, blended linearly.

    Parameters
    ----------
    painted
        A box's voxels, bool. Before the first painted slice and after the last one nothing is filled.
    axis
        Across which the slices are.

    Returns
    -------
    The voxels that come in addition, of the same shape.
    """
    stack = np.moveaxis(painted, axis, 0)
    new = np.zeros(stack.shape, bool)
    known = np.flatnonzero(stack.any(axis=(1, 2)))
    for before, after in pairwise(known):
        if after - before < 2:
            continue
        first, last = _signed_distance(stack[before]), _signed_distance(stack[after])
        for index in range(before + 1, after):
            part = (index - before) / (after - before)
            new[index] = (1 - part) * first + part * last > 0
    return np.moveaxis(new, 0, axis)


def masks_from(labels: NDArray[Any], corners: NDArray[np.int64]) -> list[NDArray[np.bool_] | None]:
    """Find the object of each box (N, 2, 3) in labels (Z, Y, X): the largest one in it that lies at least half in it.

    Each object belongs to one box at most: to the one that it fills best.

    Returns
    -------
    Per box, the object's voxels in it, of the box's shape; None where there is none.
    """
    compact, ids = compact_ids(labels)
    totals = np.bincount(compact.ravel(), minlength=len(ids) + 1)
    best: dict[int, tuple[float, int]] = {}  # object -> how much of the box it fills, box
    for number, box in enumerate(corners):
        counts = np.bincount(compact[inside_of(box)].ravel(), minlength=len(ids) + 1)
        counts[0] = 0
        counts[counts < _LEAST_SHARE * totals] = 0
        chosen = int(counts.argmax())
        share = counts[chosen] / max(1, int(np.prod(box[1] - box[0])))
        if counts[chosen] and share > best.get(chosen, (0.0, -1))[0]:
            best[chosen] = (share, number)
    found: list[NDArray[np.bool_] | None] = [None] * len(corners)
    for chosen, (_, number) in best.items():
        found[number] = compact[inside_of(corners[number])] == chosen
    return found


def boxes_from(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Give the box, (N, 2, 3) half-open, of each object of labels (Z, Y, X), by ascending id; <= 0 is background."""
    bounds = ndi.find_objects(compact_ids(labels)[0])
    return np.array([[[s.start for s in box], [s.stop for s in box]] for box in bounds], np.int64).reshape(-1, 2, 3)


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the outline in pixels, positive inside; the outline of a slice that is full is its edge."""
    padded = np.pad(mask, 1)
    distance = ndi.distance_transform_edt(padded) - ndi.distance_transform_edt(~padded)
    return np.asarray(distance[1:-1, 1:-1])
