"""3D RoIAlign: the features inside boxes of any size, sampled on a grid of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Neighbours(NamedTuple):
    """The grid points around a place: their numbers (..., n) int64, and how much each counts (..., n), summing to 1."""

    number: Tensor
    weight: Tensor


def sample_middles(rois: Tensor, *, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut boxes (R, 2, 3) into ``count`` equal parts along z, y, x, and give the middles of the parts, (R, count)."""
    parts = (torch.arange(count, device=rois.device, dtype=rois.dtype) + 0.5) / count
    z, y, x = (rois[:, 0, axis, None] + (rois[:, 1, axis] - rois[:, 0, axis])[:, None] * parts for axis in range(3))
    return z, y, x


def find_neighbours(places: Tensor, *, length: int) -> Neighbours:
    """Find the two grid points around each place along an axis.

    Parameters
    ----------
    places
        (...) float; grid point i lies at i + 0.5, as voxels do. Places beyond the outermost points take their value.
    length
        Grid points along the axis.

    Returns
    -------
    Neighbours (..., 2), weighted as linear interpolation does.
    """
    at = (places - 0.5).clamp(0, length - 1)
    below = at.floor().clamp(max=max(length - 2, 0))
    share = at - below
    number = below.long()
    return Neighbours(
        torch.stack([number, (number + 1).clamp(max=length - 1)], dim=-1), torch.stack([1 - share, share], dim=-1)
    )


def find_corners(places: Sequence[Tensor], *, shape: Sequence[int], image: Tensor) -> Neighbours:
    """Find the 8 grid points around the points of upright grids, for trilinear interpolation.

    Parameters
    ----------
    places
        Along z, y and x: (R, s) each, as in :func:`find_neighbours`.
    shape
        (Z, Y, X) of each of the images.
    image
        (R,) int64: which image each grid lies in.

    Returns
    -------
    Neighbours (R, s, s, s, 8); numbers count through (B, Z, Y, X).
    """
    z, y, x = (find_neighbours(at, length=length) for at, length in zip(places, shape, strict=True))
    # Images lie behind each other along z; clamped indices never reach from one into the next.
    z_number = (z.number + image[:, None, None] * shape[0])[:, :, None, None, :, None, None]
    y_number, y_weight = (part[:, None, :, None, None, :, None] for part in y)
    x_number, x_weight = (part[:, None, None, :, None, None, :] for part in x)
    number = (z_number * shape[1] + y_number) * shape[2] + x_number  # (R, s, s, s, 2, 2, 2)
    weight = z.weight[:, :, None, None, :, None, None] * y_weight * x_weight
    return Neighbours(number.flatten(-3), weight.flatten(-3))


def roi_align(features: Tensor, rois: Tensor, *, image: Tensor, stride: Sequence[int], size: int) -> Tensor:
    """Sample the features of boxes on a grid of s points along each axis.

    Every sampling point is the middle of one of the s x s x s equal parts of its box, and takes the trilinear
    interpolation of the 8 features around it. Boxes are not rounded.

    Parameters
    ----------
    features
        (B, C, Z, Y, X), float; half precision is computed and returned as float32.
    rois
        (R, 2, 3), zyx, voxels of the image; R may be 0. Where they reach over it, the outermost features go on.
        Gradients do not flow into them.
    image
        (R,) int64: which of the B images each box is of.
    stride
        (z, y, x): voxels per feature.
    size
        s.

    Returns
    -------
    (R, C, s, s, s)

    References
    ----------
    Zhao et al. 2018, section 2.2; He et al., Mask R-CNN, 2017, section 3.
    """
    rows = features.to(torch.promote_types(features.dtype, torch.float32)).permute(0, 2, 3, 4, 1)
    middles = sample_middles(rois.detach().to(rows.dtype), count=size)
    places = [middle / step for middle, step in zip(middles, stride, strict=True)]
    corners = find_corners(places, shape=features.shape[2:], image=image)
    # A weighted sum of 8 rows per point, without the 8 copies that a gather would make.
    points = F.embedding_bag(
        corners.number.reshape(-1, 8),
        rows.flatten(0, 3),  # (B, Z, Y, X, C) -> (B*Z*Y*X, C)
        per_sample_weights=corners.weight.reshape(-1, 8),
        mode="sum",
    )
    return points.reshape(len(rois), size, size, size, features.shape[1]).movedim(
        -1, 1
    )  # (R*s*s*s, C) -> (R, C, s, s, s)
