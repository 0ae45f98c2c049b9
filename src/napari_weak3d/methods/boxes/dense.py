"""What every voxel should say: background, inside of an object, or its boundary, as far as boxes and masks tell it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_weak3d.nn.warp import UNLABELLED

INSIDE, BOUNDARY = 1, 2
N_MAPS = 3
"""Background, inside, boundary."""
_LEAST = 1e-4
_FLAT_VOX = 8
"""Typical objects that are shorter than this along an axis have no boundary above and below, only to each other: one
voxel on either side would take more than a quarter of them, and all of some (ours)."""


def label_voxels(masks: Tensor, boxes: Tensor, *, told: Tensor) -> Tensor:
    """Tell objects from background where that is known: nothing is told inside a box whose object has no mask (ours).

    Parameters
    ----------
    masks
        (Z, Y, X) int64 ids of masked objects, 0 elsewhere, ``UNLABELLED`` beyond the volume.
    boxes
        (N, 2, 3) float, voxels.
    told
        (N,) bool: whether the object of a box is in ``masks``, and to be learned.

    Returns
    -------
    (Z, Y, X) int64: ids, 0 where no object can be, ``UNLABELLED`` where nothing is known.
    """
    labels = masks.clone()
    low, high = boxes[~told, 0].floor().clamp(min=0).long(), boxes[~told, 1].ceil().clamp(min=0).long()
    for (z0, y0, x0), (z1, y1, x1) in zip(low.tolist(), high.tolist(), strict=True):
        part = labels[z0:z1, y0:y1, x0:x1]
        part[part == 0] = UNLABELLED
    return labels


def projection_loss(foreground: Tensor, boxes: Tensor) -> Tensor:
    """Tell that an object reaches through its box: in each plane across it some voxel is foreground.

    Parameters
    ----------
    foreground
        (Z, Y, X) probabilities.
    boxes
        (N, 2, 3) float, voxels; those that are not whole in the patch do not count.

    Returns
    -------
    A scalar: the mean over boxes, axes and planes of the log loss of the most probable voxel. 0 without boxes.

    References
    ----------
    Tian et al. 2021 (BoxInst), the projection term, with a log loss instead of Dice's (ours).
    """
    shape = boxes.new_tensor(foreground.shape)
    whole = ((boxes[:, 0] >= 0) & (boxes[:, 1] <= shape)).all(dim=1)
    corners = boxes[whole].round().long()
    corners[:, 1] = torch.maximum(corners[:, 1], corners[:, 0] + 1)
    corners = corners.minimum(shape.long())
    losses = []
    for (z0, y0, x0), (z1, y1, x1) in corners.tolist():
        inside = foreground[z0:z1, y0:y1, x0:x1]
        for others in ((1, 2), (0, 2), (0, 1)):
            if inside.numel():
                losses.append(-inside.amax(dim=others).clamp(min=_LEAST).log().mean())
    return torch.stack(losses).mean() if losses else foreground.new_zeros(())


def mark_classes(ids: Tensor, *, flat: Sequence[int] = ()) -> Tensor:
    """Tell inside from boundary: the object's own voxels that touch something else by a face.

    Made of patches, not of volumes: however a patch is scaled, its boundaries are one voxel thick.

    Parameters
    ----------
    ids
        (B, Z, Y, X) int64: objects, 0 background, ``UNLABELLED``: there nothing is told, nor where objects end.
    flat
        Axes along which only other objects make a boundary, not the background.

    Returns
    -------
    (B, Z, Y, X) int64: 0, ``INSIDE``, ``BOUNDARY`` or ``UNLABELLED``.
    """
    touches = torch.zeros(ids.shape, dtype=torch.bool)
    for axis in range(1, ids.ndim):
        length = ids.shape[axis] - 1
        one, next_one = ids.narrow(axis, 0, length), ids.narrow(axis, 1, length)
        differ = (one != next_one) & (one != UNLABELLED) & (next_one != UNLABELLED)
        if axis - 1 in flat:
            differ &= (one > 0) & (next_one > 0)
        for first in (0, 1):
            touches.narrow(axis, first, length).logical_or_(differ)
    return torch.where(ids > 0, torch.where(touches, BOUNDARY, INSIDE), ids)


def find_flat(typical: Sequence[float]) -> tuple[int, ...]:
    """Tell along which axes typical objects, of these sizes (z, y, x), have no room for a boundary above and below."""
    return tuple(axis for axis, size in enumerate(typical) if size < _FLAT_VOX)
