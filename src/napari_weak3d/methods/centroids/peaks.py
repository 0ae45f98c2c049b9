"""From a centre map to centres: local maxima, and those close together merged into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_weak3d.methods.centroids.grouping import group_alike
from napari_weak3d.types import Spacing

_VALLEY = 0.1
"""A map that falls by less than this between two peaks shows one cell (ours, measured)."""
_VALLEY_WITHIN = 0.3
"""The same where masks see no border either (ours, measured)."""
_LEAST_INSIDE = 0.7
"""A cell's inside is at least this sure; a border, however faint, is a dip below it (ours, measured)."""
_ON_LINE = 17
"""Places between two peaks at which maps are looked at, both peaks included."""
_LEAST = 1e-6


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
    centre_map: NDArray[Any],
    *,
    spacing: Spacing,
    merge_distance: float,
    threshold: float = 0.05,
    blur: float = 0.0,
) -> Peaks:
    """Find the local maxima of a blurred centre map (all 26 neighbours at most as high), merged where one.

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
    values = blur_map(centre_map, sigma=blur, spacing=spacing)
    top = (values >= threshold) & (values == ndimage.maximum_filter(values, size=3, mode="nearest"))
    plateaus, count = ndimage.label(top, structure=np.ones((3, 3, 3)))
    if count == 0:
        return Peaks(np.zeros((0, 3)), np.zeros(0))
    numbers = np.arange(1, count + 1)
    points = np.array(ndimage.center_of_mass(top, plateaus, numbers)).reshape(-1, 3)
    scores = np.asarray(ndimage.maximum(values, plateaus, numbers), np.float64)
    return merge_peaks(Peaks(points, scores), spacing=spacing, distance=merge_distance)


def blur_map(centre_map: NDArray[Any], *, sigma: float, spacing: Spacing) -> NDArray[np.float32]:
    """Blur a map (Z, Y, X) as :func:`find_peaks` does; ``sigma`` in the unit of the spacing, 0: not at all."""
    values = np.asarray(centre_map, np.float32)
    if sigma <= 0:
        return values
    sigmas = [sigma / along for along in spacing]
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(values, sigmas, mode="nearest", truncate=3.0)
    return blurred


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
    pairs, lengths = _pair(peaks, spacing=spacing, distance=distance)
    return _average(peaks, group_alike(len(peaks), pairs, lengths, most=distance))


def join_peaks(
    peaks: Peaks, values: NDArray[np.float32], *, spacing: Spacing, reach: float, valley: float = _VALLEY
) -> Peaks:
    """Replace peaks between which the map hardly falls by their mean, as :func:`merge_peaks` does (ours).

    Where a network is unsure where in a large cell its centre is, its map is a plateau with several maxima.

    Parameters
    ----------
    values
        (Z, Y, X): the map that the peaks are of.
    reach
        Peaks farther apart than this stay apart, in the unit of the spacing.
    valley
        Largest fall on the straight line between two peaks that are one, as a share of the lower one.

    Returns
    -------
    Peaks, the highest first.
    """
    pairs, _ = _pair(peaks, spacing=spacing, distance=reach)
    return _average(peaks, group_alike(len(peaks), pairs, _falls(peaks, pairs, values), most=valley))


def join_within(
    peaks: Peaks,
    values: NDArray[np.float32],
    inside: NDArray[np.float32],
    *,
    spacing: Spacing,
    reach: float,
    valley: float = _VALLEY_WITHIN,
    least: float = _LEAST_INSIDE,
) -> Peaks:
    """Replace peaks that no border parts by their mean: as :func:`join_peaks`, over deeper valleys (ours).

    Parameters
    ----------
    values, reach, valley
        As there. A valley still counts: a mask of blurred cells that touch often shows no border.
    inside
        (Z, Y, X): probability of a cell's inside, borders excluded.
    least
        On the straight line between two peaks that are one, it is nowhere below this.

    Returns
    -------
    Peaks, the highest first.
    """
    pairs, _ = _pair(peaks, spacing=spacing, distance=reach)
    pairs = pairs[_lowest_between(peaks, pairs, inside) >= least]
    return _average(peaks, group_alike(len(peaks), pairs, _falls(peaks, pairs, values), most=valley))


def _falls(peaks: Peaks, pairs: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,): how far the map falls between the peaks of each pair, as a share of the lower one."""
    falls: NDArray[np.float64] = 1 - _lowest_between(peaks, pairs, values) / np.maximum(
        peaks.scores[pairs].min(axis=1), _LEAST
    )
    return falls


def _lowest_between(peaks: Peaks, pairs: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,): the least value on the straight line between the peaks of each pair."""
    if len(pairs) == 0:
        return np.zeros(0)
    begin, end = peaks.points_vox[pairs[:, 0]], peaks.points_vox[pairs[:, 1]]
    along = np.linspace(0, 1, _ON_LINE)[:, None, None]
    places = ((1 - along) * begin + along * end).reshape(-1, 3).T  # (3, _ON_LINE * M)
    found = ndimage.map_coordinates(values, places, output=np.float64, order=1, mode="nearest")
    lowest: NDArray[np.float64] = found.reshape(_ON_LINE, -1).min(axis=0)
    return lowest


def _pair(peaks: Peaks, *, spacing: Spacing, distance: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(M, 2) rows of peaks at most so far apart, and how far: (M,)."""
    if len(peaks) == 0:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    places = peaks.points_vox * spacing
    pairs: NDArray[np.int64] = cKDTree(places).query_pairs(distance, output_type="ndarray")
    return pairs, np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)


def _average(peaks: Peaks, groups: list[NDArray[np.int64]]) -> Peaks:
    """One peak per group of rows, the highest first."""
    points, scores = [], []
    for group in groups:
        weights = peaks.scores[group]
        total = weights.sum()
        points.append(np.average(peaks.points_vox[group], axis=0, weights=weights if total > 0 else None))
        scores.append(weights.max())
    order = np.argsort(-np.array(scores), kind="stable")
    return Peaks(np.array(points).reshape(-1, 3)[order], np.array(scores, np.float64)[order])
