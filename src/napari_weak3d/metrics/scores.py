"""The scores themselves.

One rule holds everywhere: two empty sides agree perfectly and score 1; one empty side scores 0. Objects are matched one
to one, with as many pairs as possible above the threshold, and among those matchings the one of the largest summed IoU
(or of the smallest summed distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from napari_weak3d.metrics.matching import match_pairs
from napari_weak3d.metrics.overlaps import Floats, Ints, Labels, Overlaps, check_shapes, overlap_table
from napari_weak3d.types import Spacing

MATCH_IOU = 0.5
"""The IoU from which on (inclusive) two instances are the same one in F1, precision, recall and PQ."""
AP_THRESHOLDS: tuple[float, ...] = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55 ... 0.95: the thresholds that AP averages over."""


@dataclass(frozen=True)
class DetectionScores:
    """How many were found, one to one. F1, precision and recall lie in 0..1."""

    f1: float
    precision: float
    recall: float
    n_predicted: int
    n_true: int


@dataclass(frozen=True)
class InstanceScores:
    """Scores of instance labels, each in 0..1.

    Attributes
    ----------
    iou
        Of the two foregrounds.
    seg, mucov
        Each object takes the partner of its best IoU (the lowest id on ties) and counts with that IoU if the pair
        shares more than half of the *true* object of the pair, else with 0. ``seg``: mean over true objects; ``mucov``:
        mean over predicted ones.
    f1, precision, recall
        Of the objects matched one to one at IoU >= 0.5.
    ap
        TP / (TP + FP + FN), matched anew at each IoU of 0.50, 0.55 ... 0.95, and averaged: the "average precision" of
        cell segmentation. No ranking by score enters, unlike in COCO's.
    pq
        Panoptic quality: summed IoU of the pairs matched at 0.5, over TP + FP / 2 + FN / 2.
    n_predicted, n_true
        Number of objects.
    """

    iou: float
    seg: float
    mucov: float
    f1: float
    precision: float
    recall: float
    ap: float
    pq: float
    n_predicted: int
    n_true: int


def foreground_iou(predicted: Labels, truth: Labels, *, where: NDArray[np.bool_] | None = None) -> float:
    """Intersection over union of everything that is labelled.

    Parameters
    ----------
    predicted, truth
        (Z, Y, X) or any one shape; values > 0 are foreground.
    where
        Bool, of the same shape: only these voxels count. None: all.

    Returns
    -------
    float
        0..1; 1 where both are empty.

    Raises
    ------
    VolumeError
        The shapes differ.
    """
    check_shapes(predicted, truth, mask=where)
    ours, theirs = predicted > 0, truth > 0
    if where is not None:
        ours, theirs = ours & where, theirs & where
    union = int(np.count_nonzero(ours | theirs))
    return _ratio(int(np.count_nonzero(ours & theirs)), union)


def class_scores(predicted: Labels, truth: Labels, *, ignore: NDArray[np.bool_] | None = None) -> dict[int, float]:
    """IoU of each class value that occurs on either side; 0 is a value like any other.

    Parameters
    ----------
    predicted, truth
        (Z, Y, X) integer class values.
    ignore
        (Z, Y, X) bool: voxels that do not count (unlabelled ones, say). None: all count.

    Raises
    ------
    VolumeError
        The shapes differ.
    """
    check_shapes(predicted, truth, mask=ignore)
    if ignore is not None:
        predicted, truth = predicted[~ignore], truth[~ignore]
    values = sorted({*np.unique(predicted).tolist(), *np.unique(truth).tolist()})
    return {int(value): foreground_iou(predicted == value, truth == value) for value in values}


def instance_scores(predicted: Labels, truth: Labels, *, ignore: NDArray[np.bool_] | None = None) -> InstanceScores:
    """Score instance labels against the true ones.

    Parameters
    ----------
    predicted, truth
        (Z, Y, X) integer ids, any values in any order; <= 0 is background. An id is one object, connected or not.
    ignore
        (Z, Y, X) bool: voxels that do not count; objects are cut there, and vanish where nothing is left. None: all.

    Raises
    ------
    VolumeError
        The shapes differ.

    References
    ----------
    SEG: Cell Tracking Challenge; MUCov: Silberman et al., ECCV 2014, both here with the overlap condition on the true
    object on either side, as QCANet's evaluation has it. PQ: Kirillov et al., CVPR 2019, arXiv:1801.00868.
    """
    check_shapes(predicted, truth, mask=ignore)
    if ignore is not None:
        predicted, truth = np.where(ignore, 0, predicted), np.where(ignore, 0, truth)
    overlaps = overlap_table(predicted, truth)
    n_predicted, n_true = len(overlaps.predicted_ids), len(overlaps.true_ids)
    iou = overlaps.iou
    credit = np.where(2 * overlaps.shared > overlaps.true_sizes[overlaps.true], iou, 0.0)
    found = match_pairs(overlaps.predicted, overlaps.true, gain=iou, where=iou >= MATCH_IOU)
    detection = _count(len(found), n_predicted=n_predicted, n_true=n_true)
    return InstanceScores(
        iou=foreground_iou(predicted, truth),
        seg=_mean_of_best(overlaps.true, overlaps.predicted, iou=iou, credit=credit, n=n_true, n_other=n_predicted),
        mucov=_mean_of_best(overlaps.predicted, overlaps.true, iou=iou, credit=credit, n=n_predicted, n_other=n_true),
        f1=detection.f1,
        precision=detection.precision,
        recall=detection.recall,
        ap=_average_precision(overlaps),
        pq=_ratio(2 * float(iou[found].sum()), n_predicted + n_true),
        n_predicted=n_predicted,
        n_true=n_true,
    )


def box_scores(predicted: ArrayLike, truth: ArrayLike, *, threshold: float = 0.4) -> DetectionScores:
    """Match boxes one to one where their IoU is above ``threshold``.

    Parameters
    ----------
    predicted, truth
        (N, 2, 3), (M, 2, 3) corners, zyx, half-open [min, max), of positive size. Empty is fine.
    threshold
        0..1; a pair must lie above it (Zhao et al. 2018: 0.4).
    """
    ours = np.asarray(predicted, dtype=np.float64).reshape(-1, 2, 3)
    theirs = np.asarray(truth, dtype=np.float64).reshape(-1, 2, 3)
    low = np.maximum(ours[:, None, 0], theirs[None, :, 0])  # (N, M, 3)
    high = np.minimum(ours[:, None, 1], theirs[None, :, 1])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    sizes, true_sizes = (np.prod(boxes[:, 1] - boxes[:, 0], axis=-1) for boxes in (ours, theirs))
    rows, columns = np.nonzero(shared)
    iou = shared[rows, columns] / (sizes[rows] + true_sizes[columns] - shared[rows, columns])
    found = match_pairs(rows, columns, gain=iou, where=iou > threshold)
    return _count(len(found), n_predicted=len(ours), n_true=len(theirs))


def marker_scores(
    predicted: ArrayLike, truth: ArrayLike, *, spacing: Spacing, distance: float = 5.0
) -> DetectionScores:
    """Match points one to one where they are no further apart than ``distance``.

    Parameters
    ----------
    predicted, truth
        (N, 3), (M, 3) points, zyx, voxels. Empty is fine; one that is not finite is near none.
    spacing
        Size of a voxel (z, y, x), any unit: only the ratios count.
    distance
        In voxels of the smallest spacing, inclusive.
    """
    scale = np.asarray(spacing, dtype=np.float64) / min(spacing)
    ours = np.asarray(predicted, dtype=np.float64).reshape(-1, 3) * scale
    theirs = np.asarray(truth, dtype=np.float64).reshape(-1, 3) * scale
    # Of thousands of points a table of all distances would take gigabytes.
    trees = [cKDTree(points[np.isfinite(points).all(axis=1)]) for points in (ours, theirs)]
    near = trees[0].sparse_distance_matrix(trees[1], distance, output_type="ndarray")
    nearness = 1 - near["v"] / max(distance, np.finfo(np.float64).tiny)
    found = match_pairs(near["i"], near["j"], gain=nearness, where=np.ones(len(near), dtype=np.bool_))
    return _count(len(found), n_predicted=len(ours), n_true=len(theirs))


def _mean_of_best(own: Ints, other: Ints, *, iou: Floats, credit: Floats, n: int, n_other: int) -> float:
    """Mean over the ``n`` objects of one side of the credit of the pair of best IoU (lowest other id on ties)."""
    if n == 0:
        return float(n_other == 0)
    order = np.lexsort((other, -iou, own))
    first = np.unique(own[order], return_index=True)[1]
    return float(credit[order[first]].sum()) / n


def _average_precision(overlaps: Overlaps) -> float:
    """TP / (TP + FP + FN), averaged over AP_THRESHOLDS."""
    iou, total = overlaps.iou, len(overlaps.predicted_ids) + len(overlaps.true_ids)
    hits = [len(match_pairs(overlaps.predicted, overlaps.true, gain=iou, where=iou >= t)) for t in AP_THRESHOLDS]
    return float(np.mean([_ratio(hit, total - hit) for hit in hits]))


def _count(n_found: int, *, n_predicted: int, n_true: int) -> DetectionScores:
    both_empty = float(n_predicted == n_true == 0)
    return DetectionScores(
        f1=_ratio(2 * n_found, n_predicted + n_true),
        precision=n_found / n_predicted if n_predicted else both_empty,
        recall=n_found / n_true if n_true else both_empty,
        n_predicted=n_predicted,
        n_true=n_true,
    )


def _ratio(part: float, whole: int) -> float:
    """Part of the whole; 1 where there is nothing to find and nothing found."""
    return part / whole if whole else 1.0
