"""The points of a curve, however long the training: thinned as they come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Series:
    """Points (x, y), averaged over blocks that double whenever there are too many.

    Parameters
    ----------
    limit
        Most points that are kept, even.
    """

    def __init__(self, limit: int = 2000) -> None:
        self._limit = limit
        self.clear()

    def __len__(self) -> int:
        return len(self._blocks) + bool(self._open)

    def clear(self) -> None:
        """Forget all points."""
        self._block = 1
        self._blocks: list[tuple[float, float]] = []
        self._open: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        """Append a point; values that are not finite are left out."""
        if not (np.isfinite(x) and np.isfinite(y)):
            return
        self._open.append((x, y))
        if len(self._open) == self._block:
            self._blocks.append(_mean(self._open))
            self._open = []
        if len(self._blocks) == self._limit:
            pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
            self._blocks = [_mean(pair) for pair in pairs]
            self._block *= 2

    @property
    def points(self) -> tuple[Values, Values]:
        """x and y, (N,) each: the means of the full blocks, and of the begun one."""
        points = [*self._blocks, _mean(self._open)] if self._open else self._blocks
        table = np.array(points, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def smooth(y: Values, *, window: int) -> Values:
    """Return the mean over ``window`` points around each, odd; at the ends over those that are there."""
    reach = window // 2
    sums = np.concatenate([[0.0], np.cumsum(y)])
    place = np.arange(len(y))
    low, high = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(y))
    means: Values = (sums[high] - sums[low]) / (high - low)
    return means


def _mean(points: list[tuple[float, float]] | tuple[tuple[float, float], ...]) -> tuple[float, float]:
    n = len(points)
    return sum(x for x, _ in points) / n, sum(y for _, y in points) / n
