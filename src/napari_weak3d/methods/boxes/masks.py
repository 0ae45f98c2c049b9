"""Masks between the volume and the grids of boxes: true ones cropped out of it, predicted ones pasted into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.methods.boxes.geometry import clip_boxes, region_of
from napari_weak3d.methods.boxes.roi_align import find_corners, find_neighbours, sample_middles
from napari_weak3d.types import IntLabels


@dataclass(frozen=True, eq=False)
class MaskTargets:
    """What each point of RoI grids should say: inside and known, (R, S, S, S) bool each; points outside the volume are
    not known.
    """

    inside: Tensor
    known: Tensor


def crop_masks(labels: Tensor, rois: Tensor, *, ids: Tensor, image: Tensor, size: int) -> MaskTargets:
    """Crop true masks into the grids of boxes.

    A point is inside where the mask, interpolated from the 8 voxels around it, is at least a half.

    Parameters
    ----------
    labels
        (B, Z, Y, X) integer ids.
    rois
        (R, 2, 3) float, voxels; they may reach over the volume, and need not fit their object.
    ids
        (R,) the object of each box; one without a mask gives an empty target, which must not count.
    image
        (R,) int64: which volume each box is of.
    size
        S, points along each axis.
    """
    shape = labels.shape[1:]
    places = sample_middles(rois, count=size)
    corners = find_corners(places, shape=shape, image=image)
    own = labels.reshape(-1)[corners.number] == ids[:, None, None, None, None]
    z, y, x = ((at >= 0) & (at < length) for at, length in zip(places, shape, strict=True))
    known = z[:, :, None, None] & y[:, None, :, None] & x[:, None, None, :]
    return MaskTargets((corners.weight * own).sum(dim=-1) >= 0.5, known)


@dataclass(frozen=True, eq=False)
class Pasted:
    """Objects in a volume: labels (Z, Y, X) int32, row number + 1 of the object of highest probability; and that
    probability (Z, Y, X) float32, also where it was too low for an object.
    """

    labels: IntLabels
    probability: NDArray[np.float32]


@torch.no_grad()
def paste_masks(probabilities: Tensor, rois: Tensor, *, shape: tuple[int, int, int], threshold: float = 0.5) -> Pasted:
    """Paste predicted masks into a volume, each voxel going to the object that is most probable there.

    Parameters
    ----------
    probabilities
        (R, S, S, S) in 0..1, on the grids of the boxes.
    rois
        (R, 2, 3), voxels; what reaches over the volume is cut off. Where two objects are equally probable the first
        wins: give them by descending score.
    shape
        (Z, Y, X) of the volume.
    threshold
        Least probability of an object's voxel.
    """
    labels = np.zeros(shape, np.int32)
    highest = np.zeros(shape, np.float32)
    for row, (box, here) in enumerate(draw_masks(probabilities, rois, shape=shape)):
        better = here > highest[box]
        highest[box][better] = here[better]
        labels[box][better & (here >= threshold)] = row + 1
    return Pasted(labels, highest)


@torch.no_grad()
def find_duplicates(
    probabilities: Tensor,
    rois: Tensor,
    *,
    classes: Sequence[int],
    shape: tuple[int, int, int],
    threshold: float = 0.5,
    most: float = 0.5,
) -> NDArray[np.bool_]:
    """Find the objects most of whose mask is that of a single earlier one: the same object, or a part of it, again.

    Boxes of different objects may overlap a lot, masks do not. But an object may lie in one of another class, as a
    nucleus does in its cell: that is the same one only if it fills most of it, too.

    Parameters
    ----------
    probabilities, rois, shape, threshold
        As in :func:`paste_masks`.
    classes
        (R,) of the objects.
    most
        An object is a duplicate if an earlier one that is none has more than this share of its voxels; of another
        class, of the voxels of both.

    Returns
    -------
    (R,) bool
    """
    owners = {each: np.zeros(shape, np.int32) for each in set(classes)}
    sizes = np.zeros(len(rois) + 1, np.int64)
    duplicates = np.zeros(len(rois), np.bool_)
    for row, (box, here) in enumerate(draw_masks(probabilities, rois, shape=shape)):
        inside = here >= threshold
        size = np.count_nonzero(inside)
        for other, of_class in owners.items():
            shared = np.bincount(of_class[box][inside], minlength=2)
            whole = size if other == classes[row] else size + sizes[: len(shared)] - shared
            duplicates[row] |= bool((shared > most * whole)[1:].any())
        if not duplicates[row]:
            sizes[row + 1] = size
            own = owners[classes[row]][box]
            own[inside & (own == 0)] = row + 1
    return duplicates


def draw_masks(
    probabilities: Tensor, rois: Tensor, *, shape: tuple[int, int, int]
) -> Iterator[tuple[tuple[slice, ...], NDArray[np.float32]]]:
    """Give the voxels in each box, and the probabilities there."""
    # A voxel belongs to a box that holds its centre: centres i + 0.5 in [low, high).
    voxels = (clip_boxes(rois, region_of(shape)) - 0.5).ceil().long().tolist()
    for row, (low, high) in enumerate(voxels):
        box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
        yield box, _resample(probabilities[row].float(), rois[row], low=low, high=high).cpu().numpy()


def _resample(grid: Tensor, roi: Tensor, *, low: list[int], high: list[int]) -> Tensor:
    """Interpolate a grid (S, S, S) over a box (2, 3) at the centres of voxels [low, high)."""
    size = grid.shape[0]
    for axis in range(3):
        centres = torch.arange(low[axis], high[axis], device=grid.device) + 0.5
        along = (centres - roi[0, axis]) / (roi[1, axis] - roi[0, axis]) * size
        near = find_neighbours(along, length=size)
        weights = grid.new_zeros(len(along), size).scatter_add_(1, near.number, near.weight.to(grid.dtype))
        grid = torch.tensordot(grid, weights, dims=([0], [1]))  # the axis in front goes, its voxels come last
    return grid
