"""What the paint of neighbouring slices says of a slice between them.

When the painted volume itself is segmented, its paint is known, and slices nearby look alike. How alike depends on the
distance and on the specimen, and a few painted slices, far apart, cannot tell. The network's own dense prediction can:
it shows how labels on slices at each distance predict those between them. From it a table of likelihoods is counted
(how often is a voxel of class k found where the interpolated paint says label b with margin m); the table, looked up
with the real paint, gives the evidence that is added to the network's log-probabilities.

Interpolation is by signed distances, linear between two slices: the mean of a random walk between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_MARGINS = np.array([0.5, 1.5, 2.5, 3.5, 5.0, 8.0])
"""Edges of the bins of margins, in pixels of the plane's finest spacing."""
_FAR = 30.0
"""Distances are cut off here: farther from any edge, an object is simply inside or outside."""
_PSEUDO_COUNT = 20.0
_PLANES_COUNTED = 8
"""Planes that each table is counted on: more say the same again."""
COUNTED_SIDE = 512
"""Pixels of the middle of a plane that are counted on."""

Planes = Mapping[int, NDArray[np.float32]]
"""Signed distances (K, Y, X) by plane index."""


@dataclass(frozen=True)
class Gap:
    """How far the neighbours are: planes to the one before and the one after; None where there is none."""

    before: int | None
    after: int | None


def find_gap(plane: int, known: Sequence[int]) -> Gap:
    """Measure the gap around a plane among the known ones (itself left out)."""
    before = [plane - other for other in known if other < plane]
    after = [other - plane for other in known if other > plane]
    return Gap(min(before, default=None), min(after, default=None))


def signed_distances(
    classes: NDArray[np.integer], *, n_classes: int, spacing: tuple[float, float]
) -> NDArray[np.float32]:
    """Give for each class the distance to its edge, positive inside.

    Parameters
    ----------
    classes
        (Y, X) indices of classes.
    spacing
        (y, x), any unit.

    Returns
    -------
    (K, Y, X) float32, in units of the finest spacing, cut off at +-30.
    """
    sampling = np.array(spacing) / min(spacing)
    first = _signed_distance(classes == 0, sampling=sampling)
    if n_classes == 2:
        return np.stack([first, -first])
    rest = [_signed_distance(classes == index, sampling=sampling) for index in range(1, n_classes)]
    return np.stack([first, *rest])


def _signed_distance(mask: NDArray[np.bool_], *, sampling: NDArray[np.float64]) -> NDArray[np.float32]:
    if mask.all() or not mask.any():
        return np.full(mask.shape, _FAR if mask.any() else -_FAR, np.float32)
    inside = ndimage.distance_transform_edt(mask, sampling=sampling)
    outside = ndimage.distance_transform_edt(~mask, sampling=sampling)
    # Half a pixel lies between the centre of an outermost pixel and the edge.
    signed: NDArray[np.float32] = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    return signed.clip(-_FAR, _FAR)


def interpolate(distances: Planes, *, plane: int, gap: Gap) -> NDArray[np.float32]:
    """Interpolate signed distances (K, Y, X) from the planes on both sides, or take those of the only one."""
    if gap.before is None or gap.after is None:
        only = plane - gap.before if gap.before is not None else plane + (gap.after or 0)
        return distances[only]
    share = gap.before / (gap.before + gap.after)
    return (1 - share) * distances[plane - gap.before] + share * distances[plane + gap.after]


def _bin(interpolated: NDArray[np.float32]) -> NDArray[np.int64]:
    """(K, Y, X) interpolated distances -> (Y, X): which label comes first, and by which margin."""
    label = interpolated.argmax(axis=0)
    first, second = np.partition(interpolated, -2, axis=0)[[-1, -2]]
    # Half the difference: with two classes that is the distance to the edge itself.
    bins: NDArray[np.int64] = label * (len(_MARGINS) + 1) + np.digitize((first - second) / 2, _MARGINS)
    return bins


class Stack:
    """A dense prediction, asked for signed distances plane by plane; each is computed once.

    Parameters
    ----------
    classes
        (Z, Y, X) indices of classes; planes larger than 512 x 512 are cropped about their middle: what is counted on
        them is statistics.
    n_classes
        Classes there are.
    spacing
        (y, x) in the plane.
    """

    def __init__(self, classes: NDArray[np.integer], *, n_classes: int, spacing: tuple[float, float]) -> None:
        rows, columns = (
            slice(max(0, (side - COUNTED_SIDE) // 2), (side + COUNTED_SIDE) // 2) for side in classes.shape[1:]
        )
        self.classes = classes[:, rows, columns]
        self.n_classes = n_classes
        self._spacing = spacing
        self._distances: dict[int, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self.classes)

    def distances(self, plane: int) -> NDArray[np.float32]:
        """Signed distances (K, Y, X) of a plane."""
        if plane not in self._distances:
            self._distances[plane] = signed_distances(
                self.classes[plane], n_classes=self.n_classes, spacing=self._spacing
            )
        return self._distances[plane]

    def across(self, plane: int, gap: Gap) -> NDArray[np.float32]:
        """What the planes at this gap say of the one between them, (K, Y, X)."""
        sides = [plane - gap.before if gap.before else None, plane + gap.after if gap.after else None]
        return interpolate({side: self.distances(side) for side in sides if side is not None}, plane=plane, gap=gap)


def count_likelihoods(stack: Stack, *, gap: Gap, rng: np.random.Generator) -> NDArray[np.float32]:
    """Count, in a dense prediction, how planes at this gap predict the one between them.

    Parameters
    ----------
    stack
        The prediction.
    gap
        The distances.
    rng
        Draws the planes that are counted on.

    Returns
    -------
    (K, bins) float32: log-likelihood of what :func:`_bin` gives, for each true class. Where the stack is too short
    for the gap, all zeros: no evidence.
    """
    n_bins = stack.n_classes * (len(_MARGINS) + 1)
    planes = range(gap.before or 0, len(stack) - (gap.after or 0))
    counts = np.full((stack.n_classes, n_bins), _PSEUDO_COUNT)
    if not planes:
        return np.zeros(counts.shape, np.float32)
    for plane in map(int, rng.permutation(planes)[:_PLANES_COUNTED]):
        found = _bin(stack.across(plane, gap))
        pairs = np.bincount((stack.classes[plane].astype(np.int64) * n_bins + found).ravel(), minlength=counts.size)
        counts += pairs.reshape(counts.shape)
    likelihoods: NDArray[np.float32] = np.log(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return likelihoods


def look_up(likelihoods: NDArray[np.float32], interpolated: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the evidence for each class, (K, Y, X) float32 log-likelihoods, of interpolated paint (K, Y, X)."""
    return likelihoods[:, _bin(interpolated)]


def choose_largest(scores: NDArray[np.floating]) -> NDArray[np.int16]:
    """First of the largest over the first axis of (K, Z, Y, X).

    Plane by plane: numpy's indices take eight bytes each, of a volume that is as much as all else.
    """
    chosen = np.empty(scores.shape[1:], np.int16)
    for plane in range(scores.shape[1]):
        chosen[plane] = scores[:, plane].astype(np.float32, copy=False).argmax(axis=0)
    return chosen


def add_evidence(
    log_probabilities: NDArray[np.float32],
    *,
    paint: Mapping[int, NDArray[np.integer]],
    spacing: tuple[float, float],
    weight: float,
    rng: np.random.Generator,
) -> None:
    """Add what the paint says to a dense prediction, in place; painted planes stay as they are.

    Parameters
    ----------
    log_probabilities
        (K, Z, Y, X) float32 of the network; need not be normalised.
    paint
        Classes (Y, X) of the complete planes: indices, no unlabelled ones.
    spacing
        (y, x) in the plane.
    weight
        0: nothing; 1: as if the network and the paint erred independently.
    rng
        For counting.
    """
    n_classes, depth = log_probabilities.shape[:2]
    stack = Stack(choose_largest(log_probabilities), n_classes=n_classes, spacing=spacing)
    known = {plane: signed_distances(labels, n_classes=n_classes, spacing=spacing) for plane, labels in paint.items()}
    tables: dict[Gap, NDArray[np.float32]] = {}
    for plane in range(depth):
        gap = find_gap(plane, list(known))
        if plane in known or gap == Gap(None, None):
            continue
        if gap not in tables:
            tables[gap] = count_likelihoods(stack, gap=gap, rng=rng)
        log_probabilities[:, plane] += weight * look_up(tables[gap], interpolate(known, plane=plane, gap=gap))
