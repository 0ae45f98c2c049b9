"""Boxes that two witnesses tell of: anchors, faintly, and the voxel maps, by a component that is much the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.geometry import box_iou
from napari_weak3d.methods.boxes.masks import draw_masks
from napari_weak3d.types import IntLabels

_LEAST_ALIKE = 0.5
"""Dice below which a component confirms nothing: they are more unlike than like (ours)."""
_SAME_BOX = 0.5
"""IoU of boxes that counts for the same as long as there are no masks (ours)."""


def confirm_boxes(found: Detections, components: Detections) -> Detections:
    """Say what :func:`confirm` would, by boxes alone: the surest that is much like a component's is an object.

    Returns
    -------
    ``found`` with a score of 1 for each of these.
    """
    scores = found.scores.clone()
    if len(found):
        alike = box_iou(components.boxes.float(), found.boxes.float()) >= _SAME_BOX
        best = torch.where(alike, found.scores, -1.0).argmax(dim=1)
        scores[best[alike.any(dim=1)]] = 1.0
    return replace(found, scores=scores)


def confirm(
    found: Detections, masks: Tensor, rois: Tensor, components: IntLabels, *, threshold: float, cut: float
) -> Tensor:
    """Raise scores to how well masks agree with components of the voxel maps (ours).

    Anchors and maps err for different reasons: what both tell is there, though neither may be sure of it. Boxes are
    gone through in their order, and one that is an object takes the voxels of its mask: of a component that holds
    several objects, what is left speaks for the others.

    Parameters
    ----------
    found
        The surest first.
    masks, rois
        Their masks (N, S, S, S) on padded boxes (N, 2, 3).
    components
        (Z, Y, X) ids.
    threshold
        Least score of an object.
    cut
        Least probability of a voxel of an object.

    Returns
    -------
    (N,) scores. Where the Dice of a mask and of what is left of the component that it shares most voxels with is at
    least ``_LEAST_ALIKE``, the box is an object: from there to 1 Dice becomes a score from the threshold to 1.
    """
    left = components.copy()
    sizes = np.bincount(left.ravel(), minlength=1)
    sizes[0] = 0
    scores = found.scores.clone()
    for row, (box, here) in enumerate(draw_masks(masks, rois, shape=components.shape)):
        inside = here >= cut
        shared = np.bincount(left[box][inside], minlength=len(sizes))
        n_own = int(np.count_nonzero(inside))
        shared[0] = 0
        most = int(shared.argmax())
        if shared[most] and (alike := 2 * float(shared[most]) / float(n_own + sizes[most])) >= _LEAST_ALIKE:
            told = threshold + (1 - threshold) * (alike - _LEAST_ALIKE) / (1 - _LEAST_ALIKE)
            scores[row] = max(float(scores[row]), told)
        if scores[row] >= threshold:
            left[box][inside] = 0
            sizes -= shared
    return scores
