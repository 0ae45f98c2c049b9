"""Components that hold several objects, split where anchors tell these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_weak3d.metrics import overlap_table
from napari_weak3d.types import IntLabels

_MOSTLY = 0.5
"""An object lies in the component that holds more than this share of its voxels."""
_LEAST_PART = 0.05
"""Share of a component that an object must have to count: less is a speck on it (ours)."""
_LEAST_COVER = 0.6
"""Share of a component that its objects must cover together, else they do not explain it (ours)."""


def split_components(components: IntLabels, objects: IntLabels, inside: NDArray[np.float32]) -> IntLabels:
    """Split components that are explained by two or more objects (ours).

    Voxel maps merge objects whose boundary they miss. Where the objects that anchors tell fill a component, it is
    theirs: each keeps its own voxels, and the rest goes where the inside leads.

    Parameters
    ----------
    components, objects
        (Z, Y, X) ids 1 to N, and any.
    inside
        (Z, Y, X) probability of inside.

    Returns
    -------
    (Z, Y, X) ids 1 to M >= N; those of components that are not split stay.
    """
    overlaps = overlap_table(objects, components)
    whole = np.bincount(objects[objects > 0], minlength=1)[overlaps.predicted_ids[overlaps.predicted]]
    holder = np.bincount(components[components > 0], minlength=1)[overlaps.true_ids[overlaps.true]]
    lies = (overlaps.shared > _MOSTLY * whole) & (overlaps.shared >= _LEAST_PART * holder)
    labels, places = components.copy(), ndimage.find_objects(components)
    count = int(components.max(initial=0))
    for column in np.unique(overlaps.true[lies]):
        pairs = np.flatnonzero(lies & (overlaps.true == column))
        if len(pairs) < 2 or overlaps.shared[pairs].sum() < _LEAST_COVER * holder[pairs[0]]:
            continue
        number = int(overlaps.true_ids[column])
        box = places[number - 1]
        assert box is not None
        where = components[box] == number
        seeds = np.zeros(where.shape, np.int32)
        for seed, own in enumerate(overlaps.predicted_ids[overlaps.predicted[pairs]], start=1):
            seeds[where & (objects[box] == own)] = seed
        grown = watershed(-inside[box], seeds, mask=where)
        labels[box][grown > 1] = (grown + count - 1)[grown > 1]
        count += len(pairs) - 1
    return labels
