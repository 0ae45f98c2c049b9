"""Shapes of objects of which only boxes are known: a generic foreground, for want of any mask to learn from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from torch import Tensor

from napari_weak3d.methods.boxes.geometry import clip_boxes, region_of

_CORE = 0.6
"""Of the half-axes of the ellipsoid that fills a box: inside is nearly always object (ours)."""
_SOFT = 0.15
"""How gently the ellipsoid ends, in its half-axes (ours)."""
_LEAST_AGREEMENT = 0.75
"""Share of the core that brightness must call object; else it tells nothing of objects like these (ours)."""


def guess_masks(image: NDArray[np.float32], rois: Tensor, *, size: int, padding: float) -> Tensor:
    """Guess the masks of objects.

    Each is the ellipsoid that fills the object's box, and of it what is on the core's side of Otsu's threshold between
    core and surroundings, where these differ in brightness; by membranes, say, they do not.

    Parameters
    ----------
    image
        (C, Z, Y, X), normalised: brightness and local contrast of each channel; brightness is looked at.
    rois
        (R, 2, 3) padded boxes, voxels.
    size
        S, points along each axis.
    padding
        The share by which boxes were padded.

    Returns
    -------
    (R, S, S, S) float32 in 0..1, 0.5 at the guessed surface.
    """
    along = (np.arange(size) + 0.5) / size * 2 - 1
    z, y, x = np.meshgrid(*[along * (1 + padding)] * 3, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    ball = 1 / (1 + np.exp((radius - 1) / _SOFT))
    inside = clip_boxes(rois, region_of((image.shape[1], image.shape[2], image.shape[3])))
    masks = np.empty((len(rois), size, size, size), np.float32)
    for row, roi in enumerate(rois.numpy()):
        masks[row] = ball * _agreement(image[::2], roi, inside=inside[row].numpy(), radius=radius)
    return torch.from_numpy(masks)


def _agreement(
    channels: NDArray[np.float32], roi: NDArray[np.float32], *, inside: NDArray[np.float32], radius: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S, S, S) 1 where a voxel looks like the core, 0 elsewhere; 1 everywhere where looks tell nothing."""
    size = len(radius)
    places = [
        np.clip(
            np.floor(roi[0, axis] + (np.arange(size) + 0.5) / size * (roi[1, axis] - roi[0, axis])).astype(int),
            int(inside[0, axis]),
            max(int(inside[0, axis]), int(np.ceil(inside[1, axis])) - 1),
        )
        for axis in range(3)
    ]
    best, share = np.ones_like(radius), _LEAST_AGREEMENT
    core = radius < _CORE
    for channel in channels:
        values = channel[np.ix_(*places)]
        if values.min() == values.max():
            continue
        bright = values > threshold_otsu(values)
        like_core = bright if bright[core].mean() >= 0.5 else ~bright
        # An even mixture everywhere would agree by half: what counts is how much more the core does.
        agreement = float(like_core[core].mean() - like_core[radius > 1].mean()) / 2 + 0.5
        if like_core[core].mean() >= _LEAST_AGREEMENT and agreement > share:
            best, share = like_core.astype(np.float64), agreement
    return best
