"""Sharing a mask out among seeds by the cheapest paths: what a watershed does, but each seed at its own pace.

A watershed floods the lowest ground first, whoever's it is: through one gap in a border the neighbour fills a
whole cell whose own seed lies a little higher. Where paths have a price per length, a gap only matters where both are
as near.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from napari_weak3d.types import IntLabels, Spacing

_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def share_by_paths(
    price: NDArray[np.float32], markers: IntLabels, *, mask: NDArray[np.bool_], spacing: Spacing, out: IntLabels
) -> Iterator[tuple[int, int]]:
    """Give each voxel of a mask to the marker from which the path through the mask costs least.

    Parameters
    ----------
    price
        (Z, Y, X) of a unit of length, above 0; a step costs the mean of both its ends, times its length.
    markers
        (Z, Y, X): 0, or who begins here; only where the mask is.
    mask
        (Z, Y, X). Steps go to all 26 neighbours.
    spacing
        (z, y, x).
    out
        (Z, Y, X), zeros; gets the markers, but outside of the mask and in parts of it without a marker. Of equal paths
        either wins.

    Yields
    ------
    Voxels of the mask that are done, and how many there are: once before the first and after each connected part.
    """
    done, total = 0, int(np.count_nonzero(mask))
    yield done, total
    parts, _ = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[box] == number
        here = np.where(inside, markers[box], 0)
        names = np.unique(here[here > 0])
        if len(names) == 1:  # nobody to share with
            out[box][inside] = names[0]
        elif len(names):
            out[box][inside] = _share(price[box], here, inside=inside, spacing=spacing)[inside]
        done += int(np.count_nonzero(inside))
        yield done, total


def _share(price: NDArray[np.float32], markers: IntLabels, *, inside: NDArray[np.bool_], spacing: Spacing) -> IntLabels:
    """The same for one connected part."""
    lengths = tuple(float(along / min(spacing)) for along in spacing)
    paths = MCP_Geometric(np.where(inside, price, -1.0), sampling=lengths, fully_connected=True)  # -1: no way through
    _, steps = paths.find_costs(np.argwhere(markers > 0))
    strides = np.array([inside.shape[1] * inside.shape[2], inside.shape[2], 1])
    jumps = np.asarray(paths.offsets) @ strides
    before, came = np.arange(inside.size), np.flatnonzero(steps.ravel() >= 0)
    before[came] -= jumps[steps.ravel()[came]]
    # From each voxel back to where its path began: every round doubles how far is looked back.
    while not np.array_equal(further := before[before], before):
        before = further
    began: IntLabels = markers.ravel()[before].reshape(inside.shape)
    return began
