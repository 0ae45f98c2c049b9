"""Clicks, and points that are proposed: what they are, and how each step changes them. Plain functions on arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.io.project import CentroidsState
from napari_weak3d.types import Region, Spacing, nearest_voxels

Points = NDArray[np.float64]
"""(N, 3) zyx, voxels, voxel centres at integers."""


def no_points() -> Points:
    """Make an array of no point."""
    return np.zeros((0, 3))


@dataclass(frozen=True, eq=False)
class Clicks:
    """All that is undone and redone.

    Attributes
    ----------
    points
        One per clicked cell.
    proposed, scores
        Points to be accepted or refused, the surest first, and how sure each is, (N,) 0..1.
    refused
        Points that were refused: they are not proposed again.
    region
        Where all cells are clicked; None: everywhere.
    """

    points: Points = field(default_factory=no_points)
    proposed: Points = field(default_factory=no_points)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    refused: Points = field(default_factory=no_points)
    region: Region | None = None

    def is_like(self, other: Clicks) -> bool:
        """Whether nothing differs."""
        same = (np.array_equal(getattr(self, name), getattr(other, name)) for name in ("points", "proposed", "refused"))
        return self.region == other.region and all(same)

    def without(self, rows: Collection[int]) -> Clicks:
        """Remove clicks."""
        return replace(self, points=np.delete(self.points, sorted(rows), axis=0))

    def propose(self, points: Points, scores: NDArray[np.float64]) -> Clicks:
        """Replace what is proposed; the surest come first."""
        order = np.argsort(-scores, kind="stable")
        return replace(self, proposed=points[order], scores=scores[order])

    def accept(self, rows: Sequence[int]) -> Clicks:
        """Make clicks of what is proposed."""
        points = np.concatenate([self.points, self.proposed[list(rows)]])
        return replace(self._without_proposed(rows), points=points)

    def refuse(self, rows: Sequence[int]) -> Clicks:
        """Drop what is proposed, for good."""
        refused = np.concatenate([self.refused, self.proposed[list(rows)]])
        return replace(self._without_proposed(rows), refused=refused)

    def _without_proposed(self, rows: Sequence[int]) -> Clicks:
        keep = np.delete(np.arange(len(self.proposed)), list(rows))
        return replace(self, proposed=self.proposed[keep], scores=self.scores[keep])


def clicks_of(state: CentroidsState | None) -> Clicks:
    """Go on with what the project has kept."""
    if state is None:
        return Clicks()
    points, refused = (np.array(each, np.float64).reshape(-1, 3) for each in (state.points_vox, state.refused_vox))
    return Clicks(points=points, refused=refused, region=state.region)


def find_outside(points: Points, shape: tuple[int, int, int]) -> list[int]:
    """List rows of points that lie in no voxel of a volume."""
    return _rows_outside(points, np.zeros(3), np.array(shape))


def find_outside_region(points: Points, region: Region | None) -> list[int]:
    """List rows of points that lie in no voxel of a region."""
    if region is None:
        return []
    low, high = np.array(region, dtype=np.float64).T
    return _rows_outside(points, low, high)


def find_doubles(points: Points) -> list[int]:
    """List rows of points whose voxel an earlier one has."""
    if len(points) == 0:
        return []
    _, first = np.unique(nearest_voxels(points), axis=0, return_index=True)
    return sorted(set(range(len(points))) - {int(row) for row in first})


def find_near(points: Points, others: Points, *, spacing: Spacing, distance: float) -> NDArray[np.bool_]:
    """Say of each point, (N,), whether one of the others is within a distance, in the unit of the spacing."""
    if not len(points) or not len(others):
        return np.zeros(len(points), bool)
    from scipy.spatial import cKDTree  # noqa: PLC0415  # the dock opens without scipy

    apart, _ = cKDTree(others * spacing).query(points * spacing)
    near: NDArray[np.bool_] = apart <= distance
    return near


def distance_between(points: Points, *, spacing: Spacing) -> float | None:
    """Median distance from a click to its nearest neighbour, in the unit of the spacing; None for fewer than two."""
    if len(points) < 2:
        return None
    from scipy.spatial import cKDTree  # noqa: PLC0415  # the dock opens without scipy

    places = points * spacing
    apart, _ = cKDTree(places).query(places, k=2)
    return float(np.median(apart[:, 1]))


def region_around(points: Points, *, shape: tuple[int, int, int], spacing: Spacing, margin: float) -> Region:
    """Box around clicks, wider by a margin in the unit of the spacing, inside the volume; all of it without clicks."""
    if len(points) == 0:
        return _region(np.zeros(3), np.array(shape))
    reach = margin / np.array(spacing)
    low = np.maximum(0, np.floor(points.min(axis=0) - reach + 0.5))
    high = np.minimum(shape, np.ceil(points.max(axis=0) + reach + 0.5))
    return _region(low, np.maximum(high, low + 1))


def region_with(points: Points, region: Region) -> Region:
    """Enlarge a region until it holds all points."""
    low, high = np.array(region).T
    return _region(
        np.minimum(low, np.floor(points.min(axis=0) + 0.5)), np.maximum(high, np.floor(points.max(axis=0) + 0.5) + 1)
    )


def _region(low: NDArray[np.floating], high: NDArray[np.floating]) -> Region:
    z, y, x = ((int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def _rows_outside(points: Points, low: NDArray[np.float64], high: NDArray[np.float64]) -> list[int]:
    # voxel i covers i - 0.5 to i + 0.5
    outside = ((points < low - 0.5) | (points >= high - 0.5)).any(axis=1)
    return [int(row) for row in np.flatnonzero(outside)]
