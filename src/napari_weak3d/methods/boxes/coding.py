"""Boxes as offsets from anchors, and back (equation 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_weak3d.methods.boxes.geometry import find_centres, measure_sizes

_LARGEST_GROWTH = math.log(64.0)
"""A decoded box is at most this much larger than its anchor (ours): before it is trained, a network may say anything,
and exp must not overflow."""


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Say where boxes lie from their anchors.

    Parameters
    ----------
    boxes, anchors
        (N, 2, 3) float, row by row; every size positive.

    Returns
    -------
    (N, 6) float: shifts of the centre over the anchor's size (z, y, x), logarithms of the size over the anchor's
    (z, y, x).

    References
    ----------
    Zhao et al. 2018, equation 2, where "x" and "y" of the shifts are mixed up: here each axis uses its own.
    """
    sizes = measure_sizes(anchors)
    shifts = (find_centres(boxes) - find_centres(anchors)) / sizes
    return torch.cat([shifts, (measure_sizes(boxes) / sizes).log()], dim=1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Give the boxes (N, 2, 3) that lie so from their anchors: the inverse of :func:`encode`.

    Sizes are held below 64 times the anchor's.
    """
    sizes = measure_sizes(anchors)
    centres = find_centres(anchors) + offsets[:, :3] * sizes
    halves = sizes * offsets[:, 3:].clamp(max=_LARGEST_GROWTH).exp() / 2
    return torch.stack([centres - halves, centres + halves], dim=1)
