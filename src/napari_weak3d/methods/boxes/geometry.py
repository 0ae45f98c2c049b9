"""Boxes as numbers: sizes, overlaps, clipping.

A box is (2, 3): its low and its high corner, zyx. Corners lie on the faces of voxels: voxel i covers [i, i + 1), so the
half-open corners of an annotation are the exact extent of its box, and the centre of voxel i is i + 0.5. All of this
method speaks of boxes so; only what leaves it has voxel centres at integers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_weak3d.types import Region

_AT_ONCE = 4096
"""Boxes whose overlaps with others are told together: what they need stays in the processor's cache."""


def measure_sizes(boxes: Tensor) -> Tensor:
    """Give the sizes (N, 3), zyx, voxels, of boxes (N, 2, 3)."""
    return boxes[:, 1] - boxes[:, 0]


def measure_volumes(boxes: Tensor) -> Tensor:
    """Give the volumes (N,) of boxes (N, 2, 3); 0 where a side is flat or inside out."""
    z, y, x = measure_sizes(boxes).clamp(min=0).unbind(1)
    return z * y * x


def find_centres(boxes: Tensor) -> Tensor:
    """Give the centres (N, 3) of boxes (N, 2, 3)."""
    return (boxes[:, 0] + boxes[:, 1]) / 2


@torch.no_grad()
def intersect_volumes(boxes: Tensor, others: Tensor) -> Tensor:
    """Give the volumes (N, M) that boxes (N, 2, 3) and others (M, 2, 3) have in common."""
    lengths = (
        torch.minimum(boxes[:, None, 1, axis], others[None, :, 1, axis])
        .sub_(torch.maximum(boxes[:, None, 0, axis], others[None, :, 0, axis]))
        .clamp_(min=0)
        for axis in range(3)
    )
    common = next(lengths)  # axis by axis: a product over a last axis of three takes several times as long
    for length in lengths:
        common.mul_(length)
    return common


@torch.no_grad()
def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every pair.

    Parameters
    ----------
    boxes, others
        (N, 2, 3) and (M, 2, 3), of one dtype; either may be empty.

    Returns
    -------
    (N, M) float in 0..1; 0 for two boxes without volume.
    """
    return torch.cat([_iou_of_few(some, others) for some in torch.split(boxes, _AT_ONCE)])


def _iou_of_few(boxes: Tensor, others: Tensor) -> Tensor:
    common = intersect_volumes(boxes, others)
    union = measure_volumes(boxes)[:, None] + measure_volumes(others)[None] - common
    return common / union.clamp_(min=torch.finfo(torch.float32).tiny if union.is_floating_point() else 1)


def clip_boxes(boxes: Tensor, region: Region) -> Tensor:
    """Cut boxes (N, 2, 3) down to a region; one that lies outside becomes flat, on the region's face."""
    low, high = boxes.new_tensor(region).unbind(1)
    return boxes.clamp(min=low, max=high)


def pad_boxes(boxes: Tensor, *, share: float) -> Tensor:
    """Grow boxes (N, 2, 3) by a share of their size, half of it on each side."""
    margin = measure_sizes(boxes) * (share / 2)
    return torch.stack([boxes[:, 0] - margin, boxes[:, 1] + margin], dim=1)


def jitter_boxes(boxes: Tensor, *, share: float, rng: np.random.Generator) -> Tensor:
    """Move each face of boxes (N, 2, 3) by up to a share of the box's size, evenly; below a half none turns over."""
    moves = torch.from_numpy(rng.uniform(-share, share, size=tuple(boxes.shape))).to(boxes)
    return boxes + moves * measure_sizes(boxes)[:, None]


def region_of(shape: tuple[int, int, int]) -> Region:
    """Give the region that a whole volume of (Z, Y, X) voxels covers."""
    z, y, x = shape
    return (0, z), (0, y), (0, x)
