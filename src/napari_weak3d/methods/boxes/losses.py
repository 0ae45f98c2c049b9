"""The losses of boxes and masks: all instances count for boxes, those with a mask for masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.boxes.config import BoxLoss
from napari_weak3d.methods.boxes.masks import MaskTargets
from napari_weak3d.methods.boxes.targets import IGNORED, AnchorTargets

_FOCUS = 2.0
"""gamma of the focal loss (Lin et al. 2017, their best)."""
_POSITIVE_WEIGHT = 0.25
"""alpha of the focal loss (Lin et al. 2017, their best)."""
_NEGATIVES = 3
"""Hardest negatives per positive of balanced sampling (Liu et al., SSD, 2016)."""
_LEAST_NEGATIVES = 64
"""Hardest negatives of a batch with few positives or none (ours)."""
_BEND = 0.1
"""Errors of offsets below this count squared (ours): offsets of good boxes are smaller than the 1 of Fast R-CNN."""


class BoxLosses(NamedTuple):
    """Scalars: the log loss of classes, the smooth L1 of offsets. Their sum is the loss of boxes."""

    classes: Tensor
    offsets: Tensor


def box_losses(
    logits: Tensor, offsets: Tensor, *, targets: AnchorTargets, kind: BoxLoss, usual_positives: float = 0.0
) -> BoxLosses:
    """Compare what anchors say with what they should say.

    Parameters
    ----------
    logits, offsets
        (A, c) and (A, 6) float32, of all anchors of a batch.
    targets
        Of the same anchors.
    kind
        PAPER: the mean log loss over all anchors, the smooth L1 of positives over the same number. FOCAL: the focal
        loss over the usual number of positives, objects weighing alike (ours). BALANCED: the mean log loss over
        positives and the hardest negatives. These two take the smooth L1 over the number of anchors whose offsets
        count, objects weighing alike.

    usual_positives
        How many positives batches have; 0: as many as this one. Over its own number, a batch with none would weigh
        hundreds of times as much as others.

    Returns
    -------
    BoxLosses; that of offsets is 0 where none count.

    References
    ----------
    Zhao et al. 2018, equation 1 and section 2.1 (lambda is 1).
    """
    counted = targets.classes != IGNORED
    where = targets.told
    told = targets.classes[counted]
    if kind is BoxLoss.PAPER:
        n_anchors = counted.sum().clamp(min=1)
        errors = F.smooth_l1_loss(offsets[where], targets.offsets[where], reduction="sum")
        return BoxLosses(F.cross_entropy(logits[counted], told, reduction="sum") / n_anchors, errors / n_anchors)
    errors = F.smooth_l1_loss(offsets[where], targets.offsets[where], reduction="none", beta=_BEND).sum(dim=1)
    offset_loss = (errors * targets.weights[where]).sum() / targets.weights[where].sum().clamp(min=1e-6)
    if kind is BoxLoss.BALANCED:
        return BoxLosses(_balanced_loss(logits[counted], told), offset_loss)
    over = usual_positives or float((told > 0).sum())
    return BoxLosses(_focal_loss(logits[counted], told, weights=targets.weights[counted]) / max(1.0, over), offset_loss)


def _focal_loss(logits: Tensor, classes: Tensor, *, weights: Tensor) -> Tensor:
    """Focal loss (Lin et al. 2017) of a softmax, summed over anchors.

    Of the (A,) weights those of positives count, against their own mean.
    """
    losses = F.cross_entropy(logits, classes, reduction="none")
    doubt = 1 - torch.exp(-losses)
    positive = classes > 0
    own = weights / weights[positive].mean() if positive.any() else weights
    weighed = torch.where(positive, _POSITIVE_WEIGHT * own, 1 - _POSITIVE_WEIGHT)
    # A power of 0 has no gradient of its own: without clamping, a sure answer would give NaN.
    return (weighed * doubt.clamp(min=1e-6) ** _FOCUS * losses).sum()


def _balanced_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean log loss of positives and the hardest negatives."""
    losses = F.cross_entropy(logits, classes, reduction="none")
    positive = classes > 0
    n_negatives = max(_NEGATIVES * int(positive.sum()), _LEAST_NEGATIVES)
    negatives = losses[~positive]
    hardest = negatives.topk(min(n_negatives, len(negatives))).values
    counted = torch.cat([losses[positive], hardest])
    return counted.sum() / max(len(counted), 1)


def mask_loss(logits: Tensor, targets: MaskTargets, *, has_mask: Tensor) -> Tensor:
    """Average binary cross-entropy of the boxes whose instance has a mask.

    Parameters
    ----------
    logits
        (R, S, S, S) float32.
    targets
        Of the same boxes; points that are not known do not count.
    has_mask
        (R,) bool: the others weigh nothing, and get a gradient of exactly zero.

    Returns
    -------
    A scalar: each masked box counts alike. 0 where there is none.

    References
    ----------
    Zhao et al. 2018, section 2.2; the average is over masked boxes only (ours), so that their number does not change
    the rate.
    """
    inside, known = targets.inside[has_mask].float(), targets.known[has_mask]
    losses = F.binary_cross_entropy_with_logits(logits[has_mask], inside, reduction="none") * known
    each = losses.sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3)).clamp(min=1)
    return each.sum() / max(len(each), 1)
