"""What the network learns from a plane of painted object ids: three maps that hold for any number of objects.

Ids themselves cannot be learned (their numbers mean nothing). The maps can: where there is an object, where two of them
touch, and how deep inside its object a voxel lies. ``instances`` turns them back into objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from napari_weak3d.types import IntLabels

MAP_NAMES = ("foreground", "touch", "core")
"""The maps, in the order of their axis."""


def make_object_maps(ids_plane: IntLabels, *, spacing: tuple[float, float]) -> NDArray[np.float32]:
    """Make the maps of a plane in which every object is painted.

    Parameters
    ----------
    ids_plane
        (Y, X) int32 object ids; 0 is background.
    spacing
        Size of a voxel (y, x), any unit: only the ratio counts.

    Returns
    -------
    NDArray
        (3, Y, X) float32 in 0..1, in the order of ``MAP_NAMES``:

        foreground
            1 in every object.
        touch
            1 on both sides of a face between two different ids, one voxel deep; 0 towards the background.
        core
            Euclidean distance to the nearest voxel of another id or of the background, over the largest such distance
            in the same cross-section: 1 in its middle, whatever its size. Each connected piece (8 neighbours) of an id
            is a cross-section of its own. The border of the plane counts as background.
    """
    foreground = ids_plane > 0
    return np.stack([foreground, _find_faces(ids_plane), _normalised_depth(ids_plane, spacing=spacing)]).astype(
        np.float32
    )


def _find_faces(ids: IntLabels) -> NDArray[np.bool_]:
    """Both voxels of every face between two different ids."""
    faces = np.zeros(ids.shape, dtype=np.bool_)
    for axis in range(ids.ndim):
        along, found = np.moveaxis(ids, axis, 0), np.moveaxis(faces, axis, 0)  # views
        differ = (along[1:] != along[:-1]) & (along[1:] > 0) & (along[:-1] > 0)
        found[1:] |= differ
        found[:-1] |= differ
    return faces


def _normalised_depth(ids: IntLabels, *, spacing: tuple[float, float]) -> NDArray[np.float32]:
    """Distance to the outside over its maximum, section by section, each in its own bounding box."""
    depth = np.zeros(ids.shape, dtype=np.float32)
    sections = label(ids, background=0, connectivity=2)
    for number, box in enumerate(ndimage.find_objects(sections), start=1):
        inside = sections[box] == number
        distance = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing)[1:-1, 1:-1]
        depth[box][inside] = distance[inside] / distance.max()
    return depth
