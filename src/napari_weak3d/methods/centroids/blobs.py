"""Cells like those that are clicked, before anything is trained: blobs of their size that stand out as they do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.methods.centroids.peaks import Peaks, find_peaks
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.types import Spacing, nearest_voxels

_LEAST = 0.5
"""Of what clicked cells answer, in the median, that a blob has to (ours)."""
_MERGE = 1.3
"""Blobs nearer than this are one cell, in its radii; cells that touch are two apart (ours)."""
_TRUNCATE = 3.0
_SLAB = 32
"""Planes that are filtered at once."""
_LEAST_SIGMA_VOX = 0.6
"""Along an axis that is coarser than this a cell has no inside and outside; its second derivative is noise."""


def answer_to_blobs(
    image: NDArray[np.float32], *, look: CellLook, spacing: Spacing, out: NDArray[np.float32]
) -> Iterator[tuple[int, int]]:
    """Filter a volume for balls of a cell's size: minus the scale-normalised Laplacian of Gaussian, by slabs.

    Parameters
    ----------
    image
        (Z, Y, X).
    look
        The radius, and whether cells are bright inside: the answer is positive in such.
    out
        (Z, Y, X), gets the answer.

    Yields
    ------
    Slabs done, and how many there are.
    """
    sigmas = [look.radius / np.sqrt(3) / along for along in spacing]
    sign = 1 if look.bright_inside else -1
    halo, depth = int(np.ceil(_TRUNCATE * sigmas[0])) + 1, image.shape[0]
    starts = range(0, depth, _SLAB)
    for number, start in enumerate(starts):
        low, high = max(0, start - halo), min(depth, start + _SLAB + halo)
        inside = slice(start - low, min(start + _SLAB, depth) - low)
        answer = np.zeros((high - low, *image.shape[1:]), np.float32)
        for axis, sigma in enumerate(sigmas):
            if sigma >= _LEAST_SIGMA_VOX:
                order = [2 if axis == each else 0 for each in range(3)]
                second = ndimage.gaussian_filter(
                    image[low:high], sigmas, order=order, mode="nearest", truncate=_TRUNCATE, output=np.float32
                )
                answer -= np.float32(sign * sigma**2) * second
        out[start : start + _SLAB] = answer[inside]
        yield number + 1, len(starts)


def find_alike(
    answer: NDArray[np.float32], points_vox: NDArray[np.float64], *, look: CellLook, spacing: Spacing
) -> Peaks:
    """Find the blobs that answer at least half as much as the clicked cells do, in the median.

    Parameters
    ----------
    answer
        (Z, Y, X), of :func:`answer_to_blobs`.
    points_vox
        (N, 3) clicks, at least one, inside.

    Returns
    -------
    Centres, the strongest first, with scores in 0..1: 1 answers as much as a clicked cell. Where clicked cells answer
    nothing, none.
    """
    rows = nearest_voxels(points_vox, shape=answer.shape)
    # a click is near a cell's middle, not on it
    reach = [max(1, round(0.3 * look.radius / along)) for along in spacing]
    tops = [float(answer[_around(row, reach)].max()) for row in rows]
    level = float(np.median(tops))
    if level <= 0:
        return Peaks(np.zeros((0, 3)), np.zeros(0))
    peaks = find_peaks(
        answer / np.float32(level), spacing=spacing, merge_distance=_MERGE * look.radius, threshold=_LEAST
    )
    return Peaks(peaks.points_vox, np.minimum(peaks.scores, 1.0))


def _around(place: NDArray[np.int_], reach: list[int]) -> tuple[slice, ...]:
    return tuple(slice(max(0, int(at) - by), int(at) + by + 1) for at, by in zip(place, reach, strict=True))
