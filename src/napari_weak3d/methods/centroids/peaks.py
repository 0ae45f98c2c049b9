"""From a centre map to centres: local maxima, and those close together merged into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree

from napari_weak3d.types import Spacing

_LARGEST_CLUSTER = 2000
"""Peaks that are clustered together at once; more in one chain of neighbours is noise, and only its best counts."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """Centres that a map shows: points_vox (N, 3) float64, zyx, voxels; scores (N,) in 0..1, the map's values."""

    points_vox: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, threshold: float) -> Peaks:
        """Those whose score is at least ``threshold``."""
        keep = self.scores >= threshold
        return Peaks(self.points_vox[keep], self.scores[keep])


def find_peaks(
    centre_map: NDArray[Any], *, spacing: Spacing, merge_distance: float, threshold: float = 0.05, blur: float = 0.0
) -> Peaks:
    """Find the local maxima of a blurred centre map (all 26 neighbours at most as high), merged where close.

    Parameters
    ----------
    centre_map
        (Z, Y, X) float in 0..1.
    spacing
        (z, y, x): distances are measured by it.
    merge_distance
        As :func:`merge_peaks`, in the unit of the spacing.
    threshold
        Least value of a maximum.
    blur
        Sigma, in the unit of the spacing: a network's maps are rough where it is unsure.

    Returns
    -------
    Peaks, the highest first. Equal neighbours, a plateau, are one.
    """
    values = np.asarray(centre_map, np.float32)
    if blur > 0:
        values = ndimage.gaussian_filter(values, [blur / along for along in spacing], mode="nearest", truncate=3.0)
    top = (values >= threshold) & (values == ndimage.maximum_filter(values, size=3, mode="nearest"))
    plateaus, count = ndimage.label(top, structure=np.ones((3, 3, 3)))
    if count == 0:
        return Peaks(np.zeros((0, 3)), np.zeros(0))
    numbers = np.arange(1, count + 1)
    points = np.array(ndimage.center_of_mass(top, plateaus, numbers)).reshape(-1, 3)
    scores = np.asarray(ndimage.maximum(values, plateaus, numbers), np.float64)
    return merge_peaks(Peaks(points, scores), spacing=spacing, distance=merge_distance)


def merge_peaks(peaks: Peaks, *, spacing: Spacing, distance: float) -> Peaks:
    """Replace peaks that lie close together by their mean, weighted by score; the highest score stays.

    Peaks are one where all pairs among them are at most ``distance`` apart (complete linkage), so a row of cells, each
    near the next, never becomes a single one.

    Parameters
    ----------
    peaks
        Any number.
    spacing
        (z, y, x).
    distance
        In the unit of the spacing.

    Returns
    -------
    Peaks, the highest first.

    References
    ----------
    BFS-Net, section 3.4, which does not say how peaks are grouped.
    """
    groups = _group(peaks, spacing=spacing, distance=distance)
    points, scores = [], []
    for group in groups:
        weights = peaks.scores[group]
        total = weights.sum()
        points.append(np.average(peaks.points_vox[group], axis=0, weights=weights if total > 0 else None))
        scores.append(weights.max())
    order = np.argsort(-np.array(scores), kind="stable")
    return Peaks(np.array(points).reshape(-1, 3)[order], np.array(scores, np.float64)[order])


def _group(peaks: Peaks, *, spacing: Spacing, distance: float) -> list[NDArray[np.int64]]:
    """Rows of the peaks that are one."""
    if len(peaks) == 0:
        return []
    places = peaks.points_vox * spacing
    pairs = cKDTree(places).query_pairs(distance, output_type="ndarray")
    chains = _chain(len(peaks), pairs)
    groups: list[NDArray[np.int64]] = []
    for chain in chains:
        if len(chain) == 1:
            groups.append(chain)
        elif len(chain) > _LARGEST_CLUSTER:
            groups.append(chain[[peaks.scores[chain].argmax()]])
        else:
            numbers = fcluster(linkage(places[chain], "complete"), distance, criterion="distance")
            groups += [chain[numbers == number] for number in np.unique(numbers)]
    return groups


def _chain(count: int, pairs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Connected components of a graph of ``count`` nodes."""
    from scipy.sparse import coo_array  # noqa: PLC0415  # only here
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
