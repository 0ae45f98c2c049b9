"""What the first network learns: a map that is high at the clicks and zero where two cells meet (equation 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_weak3d.types import Region, Spacing

_CHUNK = 2_000_000
"""Voxels whose nearest click is looked up at a time."""
_TOP = 0.7
"""Above this value the focal loss acts; the text's number."""
_MOST_WEIGHT = 4.0
_SHARPEST_VOX, _JUST_ABOVE = 1.0, 0.01
"""The map is this much above ``_TOP`` so far from a click, in voxels of the finest axis: 2 across (ours)."""


@dataclass(frozen=True, eq=False)
class VoronoiCells:
    """Which click is nearest, everywhere.

    Attributes
    ----------
    owner
        (Z, Y, X) int32: the row of the nearest point; -1 where there are no points.
    distance
        (Z, Y, X) float32: how far it is, in the unit of the spacing; infinite where there are no points.
    """

    owner: NDArray[np.int32]
    distance: NDArray[np.float32]

    def borders(self) -> NDArray[np.bool_]:
        """(Z, Y, X): voxels of which a face neighbour has another owner."""
        border = np.zeros(self.owner.shape, bool)
        for axis in range(3):
            before = np.moveaxis(self.owner, axis, 0)
            differs = before[1:] != before[:-1]
            along = np.moveaxis(border, axis, 0)
            along[1:] |= differs
            along[:-1] |= differs
        return border


def find_voronoi_cells(
    points_vox: NDArray[np.float64], *, shape: tuple[int, ...], spacing: Spacing, within: float = np.inf
) -> VoronoiCells:
    """Find the nearest point of every voxel; of two at the same distance, either.

    Parameters
    ----------
    points_vox
        (N, 3), zyx, voxels.
    shape
        (Z, Y, X).
    spacing
        (z, y, x): distances are measured by it.
    within
        Beyond this distance nothing is nearest: owner -1, distance infinite.
    """
    if len(points_vox) == 0:
        return VoronoiCells(np.full(shape, -1, np.int32), np.full(shape, np.inf, np.float32))
    are_voxels = (points_vox == np.floor(points_vox)).all() and (points_vox >= 0).all() and (points_vox < shape).all()
    find = _find_nearest_voxels if are_voxels else _find_nearest_points
    owner, distance = find(points_vox, shape=shape, spacing=spacing, within=within)
    return VoronoiCells(owner, distance)


def _find_nearest_voxels(
    points_vox: NDArray[np.float64], *, shape: tuple[int, ...], spacing: Spacing, within: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Owner and distance, of points that are voxels: by a distance transform, in a quarter of the time."""
    at = tuple(points_vox.astype(np.int64).T)
    elsewhere = np.ones(shape, bool)
    elsewhere[at] = False
    nearest = ndimage.distance_transform_edt(elsewhere, spacing, return_distances=False, return_indices=True)
    row_at = np.full(shape, -1, np.int32)
    row_at[at] = np.arange(len(points_vox))
    owner, distance = np.empty(shape, np.int32), np.empty(shape, np.float32)
    _, rows, columns = np.indices(shape, sparse=True)
    for z in range(shape[0]):  # plane by plane, in double precision: all at once would be several times the volume
        to = nearest[:, z]  # (3, Y, X)
        steps = zip(to, (z, rows[0], columns[0]), spacing, strict=True)
        apart = np.sqrt(sum(((end - begin) * along) ** 2 for end, begin, along in steps))
        owner[z] = np.where(apart <= within, row_at[tuple(to)], -1)
        distance[z] = np.where(apart <= within, apart, np.inf)
    return owner, distance


def _find_nearest_points(
    points_vox: NDArray[np.float64], *, shape: tuple[int, ...], spacing: Spacing, within: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Owner and distance, of any points."""
    owner, distance = np.empty(shape, np.int32), np.empty(shape, np.float32)
    tree = cKDTree(points_vox * spacing)
    plane = np.indices(shape[1:]).reshape(2, -1).T * spacing[1:]  # (Y * X, 2)
    step = max(1, _CHUNK // max(1, len(plane)))
    for lo in range(0, shape[0], step):
        depths = np.arange(lo, min(lo + step, shape[0])) * spacing[0]
        places = np.empty((len(depths), len(plane), 3))
        places[..., 0], places[..., 1:] = depths[:, None], plane
        found, nearest = tree.query(places.reshape(-1, 3), distance_upper_bound=np.nextafter(within, np.inf))
        nearest[nearest == len(points_vox)] = -1
        owner[lo : lo + step] = nearest.reshape(-1, *shape[1:])
        distance[lo : lo + step] = found.reshape(-1, *shape[1:])
    return owner, distance


def make_centre_map(cells: VoronoiCells, *, reach: float, sharpness: float, spacing: Spacing) -> NDArray[np.float32]:
    """Make the centre map of equation 1: exp(-k D / d_m) up to d_m, 0 beyond and on borders of Voronoi cells.

    Parameters
    ----------
    cells
        Nearest clicks.
    reach
        d_m, in the unit of the spacing.
    sharpness
        k; taken for less where the map would be above 0.7 in less than two voxels of the finest axis.
    spacing
        (z, y, x).

    Returns
    -------
    (Z, Y, X) float32 in 0..1.

    Notes
    -----
    A voxel that holds a click is never a border: of two clicks beside each other, both are to be found (ours).

    References
    ----------
    BFS-Net, equation 1; the text calls it Gaussian, the formula is linear in D, and is what we keep.
    """
    k = min(sharpness, -np.log(_TOP + _JUST_ABOVE) * reach / (_SHARPEST_VOX * min(spacing)))
    falling = np.exp(np.float32(-k / reach) * cells.distance)
    near = cells.distance <= reach
    at_click = cells.distance <= 0.5 * min(spacing)
    return np.where(near & (~cells.borders() | at_click), falling, np.float32(0)).astype(np.float32)


def weigh_cells(maps: Sequence[NDArray[np.float32]], cells: Sequence[VoronoiCells]) -> list[NDArray[np.float32]]:
    """Weigh the voxels of centre maps so that small cells count about as much as large ones (ours).

    A cell of a late stage has a fifth of the voxels of an early one, and a network would rather err in it.

    Parameters
    ----------
    maps
        Centre map of each volume, (Z, Y, X).
    cells
        Of the same volumes.

    Returns
    -------
    (Z, Y, X) float32 of each volume, in 1/16..1: 1/4 outside of the maps; inside, 1/4 of the median cell's mass over
    the own one's, at most four times more or less than outside.
    """
    n_cells = [int(each.owner.max(initial=-1)) + 1 for each in cells]
    masses = [
        np.bincount(each.owner[values > 0], weights=values[values > 0], minlength=count)
        for values, each, count in zip(maps, cells, n_cells, strict=True)
    ]
    every = np.concatenate(masses)
    usual = float(np.median(every[every > 0])) if (every > 0).any() else 1.0
    weights = []
    for values, each, mass in zip(maps, cells, masses, strict=True):
        of_cell = 1 / _MOST_WEIGHT * np.clip(usual / np.maximum(mass, 1e-6), 1 / _MOST_WEIGHT, _MOST_WEIGHT)
        weight = np.full(values.shape, 1 / _MOST_WEIGHT, np.float32)
        inside = values > 0
        weight[inside] = of_cell[each.owner[inside]]
        weights.append(weight)
    return weights


def choose_reach(points_vox: NDArray[np.float64], *, radius: float, spacing: Spacing) -> float:
    """Choose d_m: half the median distance to the nearest neighbour, but no more than a cell's radius.

    Cells far apart would be shown as large as the room between them, and their maps would be flat (ours).
    """
    if len(points_vox) < 2:
        return radius
    return float(min(radius, 0.5 * np.median(nearest_neighbours(points_vox, spacing=spacing))))


def nearest_neighbours(points_vox: NDArray[np.float64], *, spacing: Spacing) -> NDArray[np.float64]:
    """(N,) distance of each of at least two points to the nearest other one, in the unit of the spacing."""
    places = points_vox * spacing
    distances: NDArray[np.float64] = cKDTree(places).query(places, k=2)[0][:, 1]
    return distances


def region_mask(region: Region | None, *, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(Z, Y, X) bool: where the annotation is complete."""
    if region is None:
        return np.ones(shape, bool)
    mask = np.zeros(shape, bool)
    mask[tuple(slice(lo, hi) for lo, hi in region)] = True
    return mask
