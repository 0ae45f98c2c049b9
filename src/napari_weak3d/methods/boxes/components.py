"""Objects from maps of every voxel: components of the inside, grown back to the foreground."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.metrics import compact_ids
from napari_weak3d.types import IntLabels

_INSIDE = (0.3, 0.5, 0.7, 0.9)
_SPECKS = (0.02, 0.1, 0.3)


@dataclass(frozen=True)
class Rule:
    """What makes objects of maps.

    Attributes
    ----------
    inside
        Components are of voxels of the foreground with more than this probability.
    speck
        Components of fewer voxels are dropped: a share of the voxels of a typical object.
    typical_vox
        Voxels of a typical object.
    foreground
        They grow back to voxels of more than this probability: the foreground.
    """

    inside: float
    speck: float
    typical_vox: float
    foreground: float = 0.5


def list_rules(typical_vox: float) -> Iterator[Rule]:
    """Give the rules in question (ours)."""
    for inside, speck in product(_INSIDE, _SPECKS):
        yield Rule(inside, speck, typical_vox)


def grow_components(maps: NDArray[np.float32], rule: Rule) -> IntLabels:
    """Make objects of maps.

    Parameters
    ----------
    maps
        (2, Z, Y, X): probability of inside, and of foreground, which is inside or boundary.
    rule
        What counts.

    Returns
    -------
    (Z, Y, X) ids. Objects meet where the inside is least probable; foreground without a component becomes none.
    """
    inside, foreground = maps
    where = foreground > rule.foreground
    components, _ = ndimage.label((inside > rule.inside) & where)
    specks = np.bincount(components.ravel()) < rule.speck * rule.typical_vox
    specks[0] = True
    components[specks[components]] = 0
    if not components.any():
        return np.zeros(inside.shape, np.int32)
    return compact_ids(watershed(-inside, components, mask=where))[0]


def box_components(labels: IntLabels, inside: NDArray[np.float32], *, least: float) -> Detections:
    """Give the box of each object (ids 1 to N) of a volume.

    Parameters
    ----------
    labels, inside
        (Z, Y, X).
    least
        Voxels of more than this probability of inside decide an object's score: their mean.
    """
    count = int(labels.max(initial=0))
    corners = np.zeros((count, 2, 3), np.float32)
    scores = np.zeros(count, np.float32)
    for row, box in enumerate(ndimage.find_objects(labels)):
        corners[row] = [[along.start for along in box], [along.stop for along in box]]
        own = inside[box][labels[box] == row + 1]
        scores[row] = own[own > least].mean() if (own > least).any() else 0.0
    return Detections(torch.from_numpy(corners), torch.from_numpy(scores), torch.ones(count, dtype=torch.int64))
