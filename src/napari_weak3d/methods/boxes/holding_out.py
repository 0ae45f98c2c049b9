"""Boxes that are held out: a part of the region that finds the score threshold, and says how good boxes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.scheme import Calibration
from napari_weak3d.methods.boxes.volumes import Annotated, have_centres_in
from napari_weak3d.metrics import box_scores
from napari_weak3d.types import Region

_FEWEST = 8
"""Of fewer boxes none is held out: what is left would not be enough to learn from."""
LEAST_SCORE = 0.05
"""Fainter boxes are not looked at: the lowest of the thresholds."""
THRESHOLDS = np.linspace(LEAST_SCORE, 0.9, 35)
"""Thresholds of scores in question."""
IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Boxes fit where F1 is good for all of these (ours)."""
USUAL = 0.4
"""Threshold as long as nothing is known (ours)."""
HIGHEST = 0.5
"""Threshold that is chosen at most (ours): objects that were learned from have higher scores than those of others, of
which a higher threshold loses many (measured)."""
_TRUSTED = 0.2
"""Held-out F1 below which a network knows too little to be believed about thresholds (ours)."""
_PULL = 1.0
"""How many boxes' worth of doubt pulls the threshold to the usual one (ours)."""


class Split(NamedTuple):
    """The two parts of a region: what is held out, and what is learned from until that is scored."""

    held_out: Region
    learned: Region


class Scored(NamedTuple):
    """A volume, the part of it in which boxes are compared, and what was found there, faint ones too."""

    annotated: Annotated
    region: Region
    found: Detections


class Sighting(NamedTuple):
    """How well boxes were found, all volumes together.

    Attributes
    ----------
    f1
        Detection F1 at each of ``THRESHOLDS`` for the scores of anchors.
    n_boxes
        How many that is of.
    fit
        How well anchors' boxes fit at each of ``THRESHOLDS``: F1 on the mean of ``IOUS``.
    by_rule
        Detection F1, and how well boxes fit, of components of voxel maps, for each rule in question.
    foreground
        The threshold of the foreground that components were grown to.
    """

    f1: NDArray[np.float64]
    n_boxes: int
    fit: NDArray[np.float64]
    by_rule: Mapping[Rule, tuple[float, float]]
    foreground: float = 0.5


def see(by_anchors: Sequence[Scored], by_rule: Mapping[Rule, Sequence[Scored]], *, foreground: float = 0.5) -> Sighting:
    """Compare what was found with what was drawn."""
    f1, count = measure_f1(by_anchors)
    fit = np.array([_measure_fit(by_anchors, threshold=float(threshold)) for threshold in THRESHOLDS])
    of_rules = {
        rule: (_f1_of(_count(found, threshold=0.0)), _measure_fit(found, threshold=0.0))
        for rule, found in by_rule.items()
    }
    return Sighting(f1, count, fit, of_rules, foreground)


def choose_calibration(sightings: Sequence[Sighting]) -> Calibration:
    """Choose the threshold for anchors, the rule for voxel maps, and which of the two finds objects.

    Parameters
    ----------
    sightings
        The newest first: its is the threshold of the foreground. Each counts alike: scores grow, and those of held-out
        boxes are old by the end; those of boxes that were learned from flatter.

    Notes
    -----
    What finds objects is chosen by how well boxes fit, with the threshold and the rule that fit best on what was drawn:
    of the few boxes that are held out, F1 alone says too little.
    """
    counted = [each for each in sightings if each.n_boxes]
    threshold = choose_threshold([(each.f1, each.n_boxes) for each in counted])
    if not counted:
        return Calibration(threshold)
    f1 = float(np.mean([np.interp(threshold, THRESHOLDS, each.f1) for each in counted]))
    fit = float(np.mean([each.fit for each in counted], axis=0).max())
    means = {
        rule: tuple(np.mean([each.by_rule[rule] for each in counted], axis=0).tolist())
        for rule in counted[0].by_rule
        if all(rule in each.by_rule for each in counted)
    }
    if not means:
        return Calibration(threshold, f1)
    best = max(means, key=lambda rule: means[rule][1])
    best_f1, best_fit = means[best]
    better = best_fit > fit
    return Calibration(threshold, best_f1 if better else f1, replace(best, foreground=counted[0].foreground), better)


def shorten(region: Region, *, most: int) -> Region:
    """Leave of a region at most so many voxels, around the middle of its longest axes."""
    parts = [list(along) for along in region]
    while np.prod([high - low for low, high in parts]) > most:
        longest = max(parts, key=lambda along: along[1] - along[0])
        quarter = (longest[1] - longest[0]) // 4
        longest[0], longest[1] = longest[0] + quarter, longest[1] - quarter
    (z0, z1), (y0, y1), (x0, x1) = parts
    return (z0, z1), (y0, y1), (x0, x1)


def choose_held_out(annotated: Annotated, *, share: float, seed: int) -> Split | None:
    """Hold out the end of the region, along its longest side, that holds about a share of the boxes.

    Returns
    -------
    None where there are fewer than eight boxes in the region, or nothing would be left.
    """
    boxes = annotated.boxes[annotated.lie_in(annotated.known)]
    if share == 0 or len(boxes) < _FEWEST:
        return None
    centres = boxes.mean(axis=1)
    axis = int((np.ptp(centres, axis=0) * annotated.spacing).argmax())
    from_end = bool(np.random.default_rng(seed).random() < 0.5)
    cut = int(np.ceil(np.quantile(centres[:, axis], 1 - share if from_end else share)))
    low, high = annotated.known[axis]
    if not low < cut < high:
        return None
    parts = (_replace(annotated.known, axis, (low, cut)), _replace(annotated.known, axis, (cut, high)))
    return Split(parts[1], parts[0]) if from_end else Split(parts[0], parts[1])


def measure_f1(scored: Sequence[Scored]) -> tuple[NDArray[np.float64], int]:
    """Give the detection F1 at each threshold in question, all volumes together, and how many boxes that is of."""
    counts = [_count(scored, threshold=float(threshold)) for threshold in THRESHOLDS]
    f1 = np.array([_f1_of(each) for each in counts])
    return f1, counts[0][2]


def choose_threshold(curves: Sequence[tuple[NDArray[np.float64], int]]) -> float:
    """Choose the score threshold of best F1.

    Parameters
    ----------
    curves
        F1 at each threshold and number of boxes, as :func:`measure_f1` gives them; each counts alike. That of boxes
        that were learned from flatters, that of held-out boxes is old by the end of the training.

    Notes
    -----
    Few boxes decide little: the threshold stays near the usual one unless F1 is clearly better elsewhere, and is the
    usual one where F1 is poor everywhere. It is never above ``HIGHEST``.
    """
    told = [f1 for f1, count in curves if count and f1.max() >= _TRUSTED]
    if not told:
        return USUAL
    smooth = np.convolve(np.pad(np.mean(told, axis=0), 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    cost = _PULL / max(count for _, count in curves) * np.abs(THRESHOLDS - USUAL)
    low_enough = THRESHOLDS <= HIGHEST + 1e-9
    return float(THRESHOLDS[int(np.argmax(np.where(low_enough, smooth - cost, -np.inf)))])


def _measure_fit(scored: Sequence[Scored], *, threshold: float) -> float:
    return float(np.mean([_f1_of(_count(scored, threshold=threshold, least_iou=iou)) for iou in IOUS]))


def _f1_of(count: tuple[int, int, int]) -> float:
    hits, found, true = count
    return 2 * hits / max(1, found + true)


def _count(scored: Sequence[Scored], *, threshold: float, least_iou: float = 0.4) -> tuple[int, int, int]:
    """Found boxes that are true, found boxes, true boxes: all with their centre in the region."""
    hits = found = true = 0
    for annotated, region, detections in scored:
        sure = detections.boxes[detections.scores >= threshold].cpu().numpy().astype(np.float64)
        inside = sure[have_centres_in(sure, region)]
        truth = annotated.boxes[annotated.lie_in(region)]
        scores = box_scores(inside, truth, threshold=least_iou)
        hits += round(scores.recall * len(truth)) if len(truth) else 0
        found += len(inside)
        true += len(truth)
    return hits, found, true


def _replace(region: Region, axis: int, along: tuple[int, int]) -> Region:
    z, y, x = (along if number == axis else part for number, part in enumerate(region))
    return z, y, x
