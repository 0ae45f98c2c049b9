"""Non-maximum suppression: of boxes that overlap too much, the best stays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.methods.boxes.geometry import box_iou

_BLOCK = 256
"""Ranked boxes that are settled at once."""
_AT_ONCE = 4096
"""Boxes behind them that are thinned out at once: the table of overlaps stays in a processor's cache."""


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
    Ranked boxes are taken in blocks, and what a block keeps thins out all boxes behind it at once: hundreds of
    thousands of boxes of a few hundred objects are soon few. No table of overlaps ever holds all pairs.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked = boxes[order]
    groups = None if classes is None else classes[order]
    kept, left = [order.new_zeros(0)], torch.arange(len(order), device=order.device)
    while len(left):
        rows, left = left[:_BLOCK], left[_BLOCK:]
        table = _conflicts(ranked, groups, first=rows, second=rows, threshold=threshold)
        rows = rows[torch.from_numpy(_settle(table.cpu().numpy())).to(order.device)]
        kept.append(rows)
        left = torch.cat(
            [
                part[~_conflicts(ranked, groups, first=rows, second=part, threshold=threshold).any(dim=0)]
                for part in torch.split(left, _AT_ONCE)
            ]
        )
    return order[torch.cat(kept)]


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
