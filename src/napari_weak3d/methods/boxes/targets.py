"""What the detector learns: which anchors tell which true box, and which tell nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from napari_weak3d.methods.boxes.coding import encode
from napari_weak3d.methods.boxes.geometry import (
    box_iou,
    clip_boxes,
    intersect_volumes,
    measure_volumes,
)
from napari_weak3d.types import Region

BACKGROUND = -1
IGNORED = -2
_FEW_ANCHORS = 8
_CANDIDATES = 4
"""Times the anchors that a box is due: among so many of its best it finds some that no other box took first."""


@dataclass(frozen=True)
class MatchRule:
    """When an anchor is a positive.

    Attributes
    ----------
    positive
        IoU with a true box above which an anchor is a positive of it.
    ignored
        IoU from which an anchor that is no positive is left out of the loss; ``positive`` for no such band.
    least
        Anchors that every true box gets, its best ones, whatever their IoU, as long as they touch it.
    """

    positive: float = 0.4
    ignored: float = 0.3
    least: int = 4


PAPER_RULE = MatchRule(positive=0.4, ignored=0.4, least=1)
"""Zhao et al. 2018, section 2.1: the anchor of maximal IoU, and all above 0.4; the others are negatives."""


class ClippedTruth(NamedTuple):
    """The true boxes of a patch: those to learn (K, 2, 3), their rows (K,), and the parts to ignore (M, 2, 3)."""

    boxes: Tensor
    rows: Tensor
    ignored: Tensor


@dataclass(frozen=True, eq=False)
class AnchorTargets:
    """What each anchor should say.

    Attributes
    ----------
    classes
        (A,) int64: 0 background, ``IGNORED`` for nothing.
    offsets
        (A, 6) float.
    told
        (A,) bool, whose offsets count: those of classes above 0, and perhaps some of the ignored.
    weights
        (A,) float: of those that tell an object, one over how many do, so that objects weigh alike; else 1.
    """

    classes: Tensor
    offsets: Tensor
    told: Tensor
    weights: Tensor


def clip_truth(boxes: Tensor, region: Region, *, least_share: float = 0.5) -> ClippedTruth:
    """Cut true boxes down to a patch.

    Parameters
    ----------
    boxes
        (N, 2, 3).
    region
        The patch, in the frame of the boxes.
    least_share
        A box with at least this share of its volume inside is learned as the part inside; of one with less, that part
        is ignored. Boxes outside are dropped.
    """
    clipped = clip_boxes(boxes, region)
    inside = measure_volumes(clipped)
    kept = (inside > 0) & (inside >= least_share * measure_volumes(boxes))
    return ClippedTruth(clipped[kept], kept.nonzero()[:, 0], clipped[(inside > 0) & ~kept])


@torch.no_grad()
def match_anchors(
    anchors: Tensor,
    truth: Tensor,
    *,
    rule: MatchRule,
    ignored: Tensor | None = None,
) -> Tensor:
    """Give every anchor the true box that it is to tell.

    An anchor whose IoU with several boxes is above the threshold goes to the one of highest IoU, the first of equal
    ones. Before that, every box takes its ``rule.least`` best anchors; one that two boxes want goes to the one of
    higher IoU, and the other takes its next.

    Parameters
    ----------
    anchors, truth
        (A, 2, 3) and (N, 2, 3) float, in one frame; N may be 0.
    rule
        ``PAPER_RULE``, or ours.
    ignored
        (M, 2, 3): parts of objects that are not learned; an anchor that lies on one is no negative.

    Returns
    -------
    (A,) int64: rows of ``truth``, ``BACKGROUND``, or ``IGNORED``.

    References
    ----------
    Zhao et al. 2018, section 2.1.
    """
    rows = torch.full((len(anchors),), BACKGROUND, device=anchors.device)
    if ignored is not None and len(ignored):
        rows[_lie_on(anchors, ignored, share=rule.ignored)] = IGNORED
    if len(truth) == 0 or len(anchors) == 0:
        return rows
    iou = box_iou(anchors, truth)
    best, nearest = iou.max(dim=1)
    rows[best >= rule.ignored] = IGNORED
    positive = best > rule.positive
    rows[positive] = nearest[positive]
    claimed = _claim(iou, least=rule.least)
    rows[claimed.keys] = claimed.owners
    return rows


class _Claims(NamedTuple):
    keys: Tensor
    owners: Tensor


def _claim(iou: Tensor, *, least: int) -> _Claims:
    """Let every column of (A, N) overlaps take its ``least`` best rows, no row twice, the highest overlaps first."""
    values, anchors = iou.topk(min(_CANDIDATES * least, len(iou)), dim=0)
    owners = torch.arange(iou.shape[1], device=iou.device).expand_as(anchors)
    order = values.flatten().argsort(descending=True, stable=True)
    order = order[values.flatten()[order] > 0]
    taken: dict[int, int] = {}
    had = [0] * iou.shape[1]
    for anchor, owner in zip(anchors.flatten()[order].tolist(), owners.flatten()[order].tolist(), strict=True):
        if anchor not in taken and had[owner] < least:
            taken[anchor] = owner
            had[owner] += 1
    return _Claims(
        *(torch.tensor(list(part), dtype=torch.int64, device=iou.device) for part in (taken, taken.values()))
    )


def _lie_on(anchors: Tensor, parts: Tensor, *, share: float) -> Tensor:
    """(A,) bool: whether at least this share of an anchor, or of a part, is in both."""
    smaller = torch.minimum(measure_volumes(anchors)[:, None], measure_volumes(parts)[None])
    return (intersect_volumes(anchors, parts) >= share * smaller).any(dim=1)


def count_anchors(rows: Tensor, *, n_boxes: int) -> Tensor:
    """Count the anchors (N,) that each true box got, for the log."""
    return torch.bincount(rows[rows >= 0], minlength=n_boxes)


def make_targets(
    rows: Tensor, anchors: Tensor, *, truth: Tensor, classes: Tensor, least_told: float = 1.0
) -> AnchorTargets:
    """Turn a matching into what each anchor should say.

    Parameters
    ----------
    rows
        (A,) from :func:`match_anchors`.
    anchors, truth
        (A, 2, 3) and (N, 2, 3), as matched.
    classes
        (N,) int64 of the true boxes, >= 1.
    least_told
        IoU above which an ignored anchor tells where its nearest box lies, though not that there is one: when boxes
        are looked for it may have a high score, and then its offsets must be good (ours).
    """
    positive = rows >= 0
    owners = rows.clamp(min=-1)
    band = (rows == IGNORED).nonzero()[:, 0]
    if len(truth) and len(band) and least_told < 1:
        best, nearest = box_iou(anchors[band], truth).max(dim=1)
        owners[band[best > least_told]] = nearest[best > least_told]
    where = owners >= 0
    told = torch.where(rows == IGNORED, IGNORED, torch.zeros_like(rows))
    told[positive] = classes[rows[positive]]
    offsets = anchors.new_zeros(len(anchors), 6)
    offsets[where] = encode(truth[owners[where]], anchors[where])
    return AnchorTargets(told, offsets, where, _share_out(owners))


def _share_out(owners: Tensor) -> Tensor:
    """(A,) one over how many anchors have the same owner, at most one over ``_FEW_ANCHORS``; 1 without one (ours).

    A large object has many anchors, a hundred times as many as a small one: counted alike, it would be all of the loss.
    """
    weights = torch.ones(len(owners), device=owners.device)
    where = owners >= 0
    if where.any():
        counts = torch.bincount(owners[where]).clamp(min=_FEW_ANCHORS)
        weights[where] = 1 / counts[owners[where]].float()
    return weights
