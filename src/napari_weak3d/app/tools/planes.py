"""Slices of painted labels: which hold paint, what is in them, and which to paint next. Plain functions on arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import AXES, IntLabels, SliceIndex

_MOST_COUNTED = 1 << 20  # values up to here are counted in a table of their own size, which is faster than sorting


def name_of(which: SliceIndex) -> str:
    """Name a slice as the user reads it: "z 3"."""
    return f"{AXES[which[0]]} {which[1]}"


def plane_of(labels: NDArray[Any], which: SliceIndex) -> NDArray[Any]:
    """Look at a slice of a volume: a 2D view, its lower axis first."""
    return labels[plane_index(which)]


def plane_index(which: SliceIndex) -> tuple[slice | int, ...]:
    """Index that takes a slice out of a volume."""
    axis, index = which
    return (*(slice(None),) * axis, index)


def voxels_in(which: SliceIndex, mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Indices (z, y, x) into the volume of the voxels that a 2D mask chooses in a slice."""
    rows, columns = np.nonzero(mask)
    indices = [rows, columns]
    indices.insert(which[0], np.full(len(rows), which[1], dtype=np.intp))
    return tuple(indices)


def paint_of(labels: IntLabels, which: SliceIndex, *, complete: Collection[SliceIndex]) -> NDArray[np.bool_]:
    """Find the paint of a slice, (rows, columns), besides what lies on complete slices, which cross it."""
    painted: NDArray[np.bool_] = plane_of(labels, which) != 0
    rest = [axis for axis in range(3) if axis != which[0]]
    for axis, index in complete:
        if axis != which[0]:
            painted[(slice(None),) * rest.index(axis) + (index,)] = False
    return painted


def holds_paint(labels: IntLabels, which: SliceIndex, *, complete: Collection[SliceIndex]) -> bool:
    """Whether a slice holds paint besides what lies on complete slices, which cross it."""
    return bool(plane_of(labels, which).any()) and bool(paint_of(labels, which, complete=complete).any())


def values_in(labels: NDArray[Any]) -> list[int]:
    """List the values, ascending; negative ones as 0."""
    if labels.size == 0:
        return []
    labels = np.maximum(labels, 0)
    found = np.flatnonzero(np.bincount(labels.ravel())) if labels.max() <= _MOST_COUNTED else np.unique(labels)
    return [int(value) for value in found]


def values_in_volume(labels: IntLabels) -> list[int]:
    """List the values above 0, ascending; slices without paint cost next to nothing."""
    found: set[int] = set()
    for plane in labels:
        if plane.any():
            found.update(values_in(plane))
    return sorted(found - {0})


def attribute(labels: IntLabels, *, complete: Collection[SliceIndex] = ()) -> tuple[SliceIndex, ...]:
    """Guess in which slices loose paint was painted, where nobody watched: the fewest slices that hold it all.

    Found greedily, the slice with the most paint first; where that takes no fewer slices than there are z slices with
    paint, those are the answer, as for labels that fill the volume.

    Parameters
    ----------
    labels
        (Z, Y, X); 0 is unpainted.
    complete
        Slices whose paint is accounted for.
    """
    loose = labels != 0
    for which in complete:
        loose[plane_index(which)] = False
    across_z = [(0, int(z)) for z in np.flatnonzero(loose.any(axis=(1, 2)))]
    counts = [loose.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)] if across_z else []
    found: list[SliceIndex] = []
    while len(found) < len(across_z):
        fullest = [int(count.argmax()) for count in counts]
        axis = max(range(3), key=lambda a: counts[a][fullest[a]])
        if counts[axis][fullest[axis]] == 0:
            return tuple(sorted(found))
        _take_out(loose, counts, which=(axis, fullest[axis]))
        found.append((axis, fullest[axis]))
    return tuple(across_z)


def _take_out(loose: NDArray[np.bool_], counts: list[NDArray[np.intp]], *, which: SliceIndex) -> None:
    """Clear a slice, and count it out of the slices of all axes."""
    plane = plane_of(loose, which)
    across = [axis for axis in range(3) if axis != which[0]]
    counts[across[0]] -= plane.sum(axis=1)
    counts[across[1]] -= plane.sum(axis=0)
    counts[which[0]][which[1]] = 0
    plane[...] = False


def next_spaced(shape: tuple[int, int, int], taken: Iterable[SliceIndex], *, axis: int = 0) -> SliceIndex | None:
    """Choose the middle of the widest gap between slices across an axis; the first of several; None if there is none.

    From nothing this gives the middle, then the two quarters: slices that stay evenly spaced.
    """
    n = shape[axis]
    ends = [-1, *sorted({index for across, index in taken if across == axis}), n]
    gaps = [(after - before - 1, before) for before, after in pairwise(ends)]
    width, before = max(gaps, key=lambda gap: gap[0])
    return (axis, before + 1 + width // 2) if width > 0 else None


def covered(shape: tuple[int, int, int], complete: Collection[SliceIndex]) -> float:
    """Share of the volume's voxels, 0..1, that lie on complete slices; crossings count once."""
    free = 1.0
    for axis, n in enumerate(shape):
        free *= 1 - len({index for across, index in complete if across == axis}) / n
    return 1 - free


def rename(labels: NDArray[Any], painted: IntLabels, *, first_id: int) -> IntLabels:
    """Give each label the painted id that it covers most, else a new one; two labels may get the same.

    ``labels`` and ``painted`` have the same shape; 0 stays 0. New ids start at ``first_id``, in the labels' order.
    """
    values, positions = np.unique(labels, return_inverse=True)
    both = (labels > 0) & (painted > 0)
    pairs, sizes = np.unique(np.stack([labels[both], painted[both]]), axis=1, return_counts=True)
    names = {int(pairs[0, k]): int(pairs[1, k]) for k in np.argsort(sizes, kind="stable")}  # the largest comes last
    new = iter(range(first_id, first_id + len(values)))
    ids = [0 if value <= 0 else names.get(int(value)) or next(new) for value in values]
    return np.array(ids, dtype=np.int32)[positions].reshape(labels.shape)
