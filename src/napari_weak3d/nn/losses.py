"""Losses over voxels of which most are unlabelled: these take no part, whatever is stored there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_MAP_WIDTH = 0.1
"""Errors of maps below this count squared, above it absolutely (ours; maps are 0 to 1)."""


def softmax_loss(logits: Tensor, labels: Tensor, *, known: Tensor, class_weights: Tensor) -> Tensor:
    """Weighted softmax cross-entropy over the known voxels (Cicek et al. 2016, section 2).

    Parameters
    ----------
    logits
        (B, K, Z, Y, X) float32.
    labels
        (B, Z, Y, X) int64 classes; anything where not known.
    known
        (B, Z, Y, X) bool.
    class_weights
        (K,) float32, positive.

    Returns
    -------
    A scalar: the mean over known voxels, weighted by class. 0 where nothing is known.
    """
    target = torch.where(known, labels, 0)
    weights = class_weights[target] * known
    losses = F.cross_entropy(logits, target, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def dice_loss(logits: Tensor, labels: Tensor, *, known: Tensor) -> Tensor:
    """One minus the soft Dice of each class but the first over the known voxels of the batch, averaged.

    Classes absent from the batch count only by what is predicted of them. Shapes as in :func:`softmax_loss`.
    """
    n_classes = logits.shape[1]
    target = F.one_hot(torch.where(known, labels, 0), n_classes).movedim(-1, 1)[:, 1:]
    probabilities = logits.softmax(1)[:, 1:] * known[:, None]
    target = target * known[:, None]
    over = (0, 2, 3, 4)
    both = (probabilities * target).sum(over)
    dice = (2 * both + 1) / (probabilities.sum(over) + target.sum(over) + 1)
    return 1 - dice.mean()


def map_loss(logits: Tensor, maps: Tensor, *, known: Tensor, weights: Tensor) -> Tensor:
    """Smooth L1 of maps in 0..1 over the known voxels.

    Parameters
    ----------
    logits, maps
        (B, E, Z, Y, X): the maps are compared with the sigmoid.
    known, weights
        (B, Z, Y, X): bool, and float weights of voxels.
    """
    losses = F.smooth_l1_loss(logits.sigmoid(), maps, reduction="none", beta=_MAP_WIDTH).mean(1)
    weights = weights * known
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def balance_classes(counts: Tensor, *, strength: float) -> Tensor:
    """Weigh classes: rare ones more, by (1 / share) ** strength, mean 1 over the voxels.

    Parameters
    ----------
    counts
        (K,) voxels of each class; classes without any get weight 1.
    strength
        0: all alike; 1: every class has the same influence, as in the paper.
    """
    share = counts.float() / counts.sum().clamp(min=1)
    weights = torch.where(counts > 0, share.clamp(min=1e-6) ** -strength, torch.ones_like(share))
    return weights / (weights * share).sum().clamp(min=1e-6)
