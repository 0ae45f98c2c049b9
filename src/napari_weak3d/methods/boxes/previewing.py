"""One slice of a volume as the network sees it now."""

from __future__ import annotations

import numpy as np

from napari_weak3d.methods.boxes.finding import Finder, Search
from napari_weak3d.methods.boxes.segmenting import find_objects
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.types import Preview, SliceIndex, Spacing

_REACH = 1.0
"""Larger objects to each side of the slice that are looked at: what crosses it is seen whole."""


def preview_slice(
    view: SlabView, where: SliceIndex, *, finder: Finder, spacing: Spacing, threshold: float, sample: int
) -> Preview:
    """Predict one slice, from the part of the volume that says something of it."""
    axis, index = where
    reach = max(2, round(_REACH * finder.scheme.largest[axis]))
    low = max(0, index - reach)
    cut = [slice(None)] * 4
    cut[1 + axis] = slice(low, index + reach + 1)
    search = Search(finder, view.image[tuple(cut)], spacing, threshold)
    labels = find_objects(search, threshold=threshold)
    return Preview(where, np.ascontiguousarray(labels.take(index - low, axis=axis)), sample)
