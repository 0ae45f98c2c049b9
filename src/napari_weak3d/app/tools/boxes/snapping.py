"""Fits a box to what stands out in the image within it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

_MARGIN = 0.3
"""By how much of its size a box may grow on each side: it was drawn by an eye that was about right."""
_LEAST_MARGIN = 3
_SMOOTH = 0.8
"""Standard deviation in voxels: single noisy voxels do not move a face."""
_QUARTER = 25
"""Percentile of the surroundings that is background."""
_LEAST_SHARE = 0.02
"""Of a box that what is found must fill: less is noise."""
_MOST_VOXELS = 4_000_000
"""Of a box and its margin that are looked at: about a second."""

Region = tuple[slice, ...]


def snap_box(
    box: NDArray[np.int64], shape: tuple[int, int, int], *, read: Callable[[Region], NDArray[Any]]
) -> NDArray[np.int64] | None:
    """Move the faces of a box to the object in it.

    The object is brighter or darker than what is around the box, whichever its middle is. It is parted from that
    halfway between the middle and the background, which is the quarter of the surroundings that is least like the
    middle: bright neighbours do not count. Of several pieces the one that fills most of the box is taken. Where it
    goes on beyond the margin, as objects that touch do, a face stays as it was drawn.

    Parameters
    ----------
    box
        (2, 3) voxels, half-open, inside the volume.
    shape
        (Z, Y, X) of the volume.
    read
        Gives the image, one channel, within slices (z, y, x).

    Returns
    -------
    (2, 3); None where nothing stands out, or the box is too large to be looked at.
    """
    sizes = box[1] - box[0]
    margin = np.maximum(_LEAST_MARGIN, np.rint(sizes * _MARGIN).astype(np.int64))
    low, high = np.maximum(box[0] - margin, 0), np.minimum(box[1] + margin, shape)
    if np.prod(high - low) > _MOST_VOXELS:
        return None
    grey = np.nan_to_num(np.asarray(read(_slices(low, high)), dtype=np.float32))
    if grey.min() == grey.max():
        return None
    grey = ndi.gaussian_filter(grey, [_SMOOTH if n > 1 else 0 for n in grey.shape])
    found = _find_object(grey, box - low)
    if found is None:
        return None
    # a face on the margin's edge is no face: what is there goes on
    cut_low = (found[0] == 0) & (low > 0)
    cut_high = (found[1] == high - low) & (high < shape)
    return np.stack([np.where(cut_low, box[0], found[0] + low), np.where(cut_high, box[1], found[1] + low)])


def _find_object(grey: NDArray[np.float32], box: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The bounds, (2, 3) in the frame of the crop, of what fills most of the box; None where nothing stands out."""
    inside = np.zeros(grey.shape, bool)
    inside[_slices(*box)] = True
    third = (box[1] - box[0]) // 3
    middle = grey[_slices(box[0] + third, box[1] - third)]
    around = grey[~inside] if not inside.all() else grey
    level = float(np.median(middle))
    is_bright = level >= np.median(around)
    threshold = (level + float(np.percentile(around, _QUARTER if is_bright else 100 - _QUARTER))) / 2
    pieces, n_pieces = ndi.label(grey > threshold if is_bright else grey < threshold)
    if n_pieces == 0:
        return None
    sizes = np.bincount(pieces[inside], minlength=n_pieces + 1)
    sizes[0] = 0
    best = int(sizes.argmax())
    if sizes[best] < max(1, _LEAST_SHARE * np.count_nonzero(inside)):
        return None
    bounds = ndi.find_objects(pieces)[best - 1]
    return np.array([[s.start for s in bounds], [s.stop for s in bounds]], dtype=np.int64)


def _slices(low: NDArray[np.int64], high: NDArray[np.int64]) -> Region:
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
