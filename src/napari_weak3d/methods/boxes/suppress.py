"""Non-maximum suppression: of boxes that overlap too much, the best stays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.methods.boxes.geometry import box_iou

_BLOCK = 256
"""Boxes compared at once: their table of overlaps stays in a processor's cache."""


@torch.no_grad()
def suppress(boxes: Tensor, scores: Tensor, *, threshold: float, classes: Tensor | None = None) -> Tensor:
    """Keep a box if it overlaps no kept box of a higher score by an IoU above the threshold.

    Parameters
    ----------
    boxes
        (N, 2, 3) float.
    scores
        (N,). Of equal ones the first counts as higher.
    threshold
        0..1.
    classes
        (N,): only boxes of one class suppress each other. None: all do.

    Returns
    -------
    (K,) int64 rows, the highest score first.

    Notes
    -----
    Ranked boxes are taken in blocks: each is first thinned out by what was kept before, so the table of overlaps never
    holds all pairs, and a block of which little is left costs little.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order]
    groups = None if classes is None else classes[order]
    kept = order.new_zeros(0)
    for start in range(0, len(order), _BLOCK):
        rows = torch.arange(start, min(start + _BLOCK, len(order)), device=order.device)
        if len(kept):
            rows = rows[~_conflicts(ranked, groups, first=kept, second=rows, threshold=threshold).any(dim=0)]
        table = _conflicts(ranked, groups, first=rows, second=rows, threshold=threshold)
        alive = torch.from_numpy(_settle(table.cpu().numpy())).to(order.device)
        kept = torch.cat([kept, rows[alive]])
    return order[kept]


def _conflicts(boxes: Tensor, groups: Tensor | None, *, first: Tensor, second: Tensor, threshold: float) -> Tensor:
    """(N, M) bool: which of the first rows overlap which of the second too much."""
    found = box_iou(boxes[first], boxes[second]) > threshold
    return found if groups is None else found & (groups[first][:, None] == groups[second][None])


def _settle(conflicts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) which of ranked boxes stay, by their table of conflicts (N, N)."""
    alive = np.ones(len(conflicts), dtype=np.bool_)
    for row in np.flatnonzero(np.triu(conflicts, 1).any(axis=1)):
        if alive[row]:
            alive[row + 1 :] &= ~conflicts[row, row + 1 :]
    return alive
