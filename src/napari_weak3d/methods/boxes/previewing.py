"""One slice of a volume as the network sees it now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.boxes.finding import Finder
from napari_weak3d.methods.boxes.segmenting import find_objects
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.types import Preview, SliceIndex, Spacing

_REACH = 1.0
"""Larger objects to each side of the slice that are looked at: what crosses it is seen whole."""


def preview_slice(view: SlabView, where: SliceIndex, *, finder: Finder, spacing: Spacing, sample: int) -> Preview:
    """Predict one slice, from the part of the volume that says something of it."""
    axis, index = where
    reach = max(2, round(_REACH * finder.scheme.largest[axis]))
    low, size = max(0, index - reach), view.image.shape[1 + axis]
    high = min(size, index + reach + 1)
    cut = [slice(None)] * 4
    cut[1 + axis] = slice(low, high)
    labels, boxes = find_objects(finder, view.image[tuple(cut)], spacing=spacing)
    boxes[:, :, axis] += low
    whole = find_whole(boxes, where, part=(low, high), size=size)
    return Preview(where, np.ascontiguousarray(labels.take(index - low, axis=axis)), sample, boxes[whole])


def find_whole(boxes: NDArray[np.int64], where: SliceIndex, *, part: tuple[int, int], size: int) -> NDArray[np.bool_]:
    """Tell which boxes (N, 2, 3) were seen whole in a part of a volume, or cross the slice that it is about.

    Parameters
    ----------
    part, size
        From where to where the part reaches along the slice's axis, of how many slices.
    """
    axis, index = where
    first, last = boxes[:, 0, axis], boxes[:, 1, axis]
    below = (first <= part[0]) & (part[0] > 0)
    above = (last >= part[1]) & (part[1] < size)
    return np.asarray(~(below | above) | ((first <= index) & (index < last)))
