"""What a user has without us and without looking at the image: shapes interpolated between the painted slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi


def interpolate(painted: NDArray[np.bool_], *, slices: Sequence[int]) -> NDArray[np.bool_]:
    """Blend signed distances linearly between neighbouring painted slices; beyond the outermost ones repeat them.

    Parameters
    ----------
    painted
        (Z, Y, X) bool: object or not; only ``slices`` are looked at.
    slices
        The painted z slices, ascending.
    """
    known = np.asarray(slices)
    distances = np.stack([_signed_distance(painted[z]) for z in slices])
    z = np.clip(np.arange(len(painted)), known[0], known[-1])
    below = np.searchsorted(known, z, side="right") - 1
    above = np.minimum(below + 1, len(known) - 1)
    part = ((z - known[below]) / np.maximum(known[above] - known[below], 1))[:, None, None]
    return (1 - part) * distances[below] + part * distances[above] > 0


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance to the border in pixels, positive inside; the diagonal where there is no border."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, np.hypot(*mask.shape) * (1 if mask.any() else -1))
    return ndi.distance_transform_edt(mask) - ndi.distance_transform_edt(~mask)
