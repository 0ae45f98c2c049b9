"""From centres and masks to instances: the mask shared out among the centres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_weak3d.methods.centroids.config import Landscape
from napari_weak3d.methods.centroids.paths import share_by_paths
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.targets import find_voronoi_cells
from napari_weak3d.types import IntLabels, Spacing, nearest_voxels

_SEED = 0.25
"""Radius of a seed, in radii of the typical cell: one voxel alone may lie on a border (ours)."""
LEAST_CELL = 0.5
"""A centre without mask becomes a ball of this radius, in radii of the typical cell (ours)."""
_BLUR = 0.1
"""Of the landscape, in radii of the typical cell (ours)."""
_BORDER_PRICE = 10.0
"""How much more than in a cell's inside a path costs where there is none of it (ours; 10 to 100 do alike)."""


@dataclass(frozen=True, eq=False)
class Maps:
    """What the networks say of a volume, each (Z, Y, X) float32.

    Attributes
    ----------
    centre
        The centre map, 0..1.
    mask
        Probability of a cell, borders between cells included.
    inside
        Probability of a cell's inside, borders excluded.
    image
        Grey values, for a landscape of them: low inside cells.
    """

    centre: NDArray[np.float32]
    mask: NDArray[np.float32]
    inside: NDArray[np.float32]
    image: NDArray[np.float32] | None = None


def find_instances(
    maps: Maps, seeds: Peaks, *, radius: float, landscape: Landscape, spacing: Spacing, ball: float = LEAST_CELL
) -> IntLabels:
    """Give every voxel of the mask to a seed: :func:`share_out`, without a stop between its parts.

    Returns
    -------
    (Z, Y, X) int32: row of the seed + 1.
    """
    labels = np.zeros(maps.mask.shape, np.int32)
    for _ in share_out(maps, seeds, radius=radius, landscape=landscape, spacing=spacing, ball=ball, out=labels):
        pass
    return labels


def share_out(
    maps: Maps,
    seeds: Peaks,
    *,
    radius: float,
    landscape: Landscape,
    spacing: Spacing,
    out: IntLabels,
    ball: float = LEAST_CELL,
) -> Iterator[tuple[int, int]]:
    """Share the mask out among seeds, part by part; what was not got to is nobody's.

    Parameters
    ----------
    maps
        The mask is cut at 0.5.
    seeds
        Centres; each becomes an object, a small ball where the mask does not reach it. Of two on one voxel the first
        is one. Parts of the mask that no seed reaches belong to no object.
    radius
        Of the typical cell, in the unit of the spacing.
    landscape
        What parts cells that touch: the price of paths, or what is flooded.
    spacing
        (z, y, x).
    out
        (Z, Y, X), zeros; gets the row of the seed + 1.
    ball
        Radius of the ball that a centre without mask becomes, in radii of the typical cell.

    Yields
    ------
    How much is done, and how much there is: once before anything is, then after each part. Where cells touch
    everywhere there is a single one, and so there is for what is flooded.
    """
    mask = maps.mask >= 0.5
    markers, own = place_seeds(seeds, mask, radius=radius, spacing=spacing, ball=ball)
    terrain = _make_landscape(maps, mask, kind=landscape, radius=radius, spacing=spacing)
    if landscape is Landscape.PATHS:
        price = 1 + _BORDER_PRICE * (1 + terrain) ** 2
        yield from share_by_paths(price, markers, mask=mask | own, spacing=spacing, out=out)
        return
    yield 0, 1
    out[...] = watershed(terrain, markers, mask=mask | own)
    yield 1, 1


def place_seeds(
    seeds: Peaks, mask: NDArray[np.bool_], *, radius: float, spacing: Spacing, ball: float = LEAST_CELL
) -> tuple[IntLabels, NDArray[np.bool_]]:
    """Draw seeds into the mask; those that lie beside it become balls of their own.

    Parameters
    ----------
    seeds, radius, spacing, ball
        As for :func:`share_out`.
    mask
        (Z, Y, X).

    Returns
    -------
    (Z, Y, X) int32: row of the seed + 1, of which each voxel's object will be; and bool: the balls beside the mask.
    """
    near = find_voronoi_cells(seeds.points_vox, shape=mask.shape, spacing=spacing, within=ball * radius)
    markers = np.where(mask & (near.distance <= _SEED * radius), near.owner + 1, 0).astype(np.int32)
    voxels = [tuple(at) for at in nearest_voxels(seeds.points_vox, shape=mask.shape).tolist()]
    for row in range(len(seeds))[::-1]:  # of two on one voxel the first wins
        if mask[at := voxels[row]]:
            markers[at] = row + 1
    beside = np.bincount(markers.ravel(), minlength=len(seeds) + 1) == 0
    own = (near.owner >= 0) & beside[near.owner + 1]
    markers[own] = near.owner[own] + 1
    for row in np.flatnonzero(beside[1:]).tolist():
        at = voxels[row]
        own[at] |= markers[at] == 0
        markers[at] = markers[at] or row + 1
    return markers, own


def _make_landscape(
    maps: Maps, mask: NDArray[np.bool_], *, kind: Landscape, radius: float, spacing: Spacing
) -> NDArray[np.float32]:
    if kind is Landscape.DISTANCE:
        clear = mask & (maps.inside >= 0.5)
        return -np.asarray(ndimage.distance_transform_edt(clear, sampling=spacing), np.float32)
    source = maps.image if kind is Landscape.IMAGE and maps.image is not None else -maps.inside
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(source, [_BLUR * radius / along for along in spacing])
    return blurred
