"""Boxes that are held out: a part of the region that finds the score threshold, and says how good boxes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.confirming import confirm_boxes
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.geometry import box_iou
from napari_weak3d.methods.boxes.scheme import USUAL_SCORE, Calibration
from napari_weak3d.methods.boxes.volumes import Annotated, have_centres_in
from napari_weak3d.types import Region

_FEWEST = 8
"""Of fewer boxes none is held out: what is left would not be enough to learn from."""
LEAST_SCORE = 0.05
"""Fainter boxes are not looked at: the lowest of the thresholds."""
THRESHOLDS = np.linspace(LEAST_SCORE, 0.9, 35)
"""Thresholds of scores in question."""
IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Boxes fit where F1 is good for all of these (ours)."""
_USUAL_IOU = IOUS.index(0.4)
"""Detection F1 is at this one (Zhao et al. 2018)."""
_FLATTERED = 0.6
"""Score from which on the fit of anchors is judged on boxes that were learned from: what they tell as surely they tell
of others too. With lower scores they know many boxes by heart, far more than voxel maps do (measured; ours)."""
_SPLITTING = 0.5
"""Detection F1 on boxes that were held out from which anchors may split the components of voxel maps (ours)."""
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
    """Compare what was found with what was drawn.

    Anchors have the components of the rule that fits best for a witness, as they have when a volume is segmented:
    without it they need a lower threshold, and seem worse than they are.
    """
    of_rules = {}
    for rule, found in by_rule.items():
        f1 = _f1_of_all([_match(each) for each in found])
        of_rules[rule] = float(f1[_USUAL_IOU]), float(f1.mean())
    if of_rules:
        witnesses = by_rule[max(of_rules, key=lambda rule: of_rules[rule][1])]
        by_anchors = [
            each._replace(found=confirm_boxes(each.found, witness.found))
            for each, witness in zip(by_anchors, witnesses, strict=True)
        ]
    matches = [_match(each) for each in by_anchors]
    curves = _curves(matches)
    return Sighting(curves[_USUAL_IOU], sum(each.n_true for each in matches), curves.mean(axis=0), of_rules, foreground)


def choose_calibration(sightings: Sequence[Sighting], *, learned: bool) -> Calibration:
    """Choose the threshold for anchors, the rule for voxel maps, and which of the two finds objects.

    Parameters
    ----------
    sightings
        The newest first: its is the threshold of the foreground. Each counts alike: scores grow, and those of held-out
        boxes are old by the end; those of boxes that were learned from flatter.
    learned
        Whether the newest is of boxes that were learned from.

    Notes
    -----
    What finds objects is chosen by how well boxes fit, with the threshold and the rule that fit best on what was drawn:
    of the few boxes that are held out, F1 alone says too little. On boxes that were learned from the threshold is
    ``_FLATTERED`` at least.
    """
    counted = [each for each in sightings if each.n_boxes]
    threshold = choose_threshold([(each.f1, each.n_boxes) for each in counted])
    if not counted:
        return Calibration(threshold)
    f1 = float(np.mean([np.interp(threshold, THRESHOLDS, each.f1) for each in counted]))
    is_learned = [learned and each is sightings[0] for each in counted]
    fit = float(np.mean([_judge_fit(each, learned=so) for each, so in zip(counted, is_learned, strict=True)]))
    # Of other masks, that came meanwhile, a typical object is another one: the rules are still the same.
    told = [{(rule.inside, rule.speck): found for rule, found in each.by_rule.items()} for each in counted]
    means = {
        rule: tuple(np.mean([each[rule.inside, rule.speck] for each in told], axis=0).tolist())
        for rule in counted[0].by_rule
        if all((rule.inside, rule.speck) in each for each in told)
    }
    if not means:
        return Calibration(threshold, f1)
    best = max(means, key=lambda rule: means[rule][1])
    best_f1, best_fit = means[best]
    better = best_fit > fit
    of_others = [each for each, so in zip(counted, is_learned, strict=True) if not so]
    return Calibration(
        threshold,
        best_f1 if better else f1,
        replace(best, foreground=counted[0].foreground),
        from_voxels=better,
        splits=bool(of_others) and float(np.interp(threshold, THRESHOLDS, of_others[-1].f1)) >= _SPLITTING,
    )


def _judge_fit(sighting: Sighting, *, learned: bool) -> float:
    return float(sighting.fit[THRESHOLDS >= _FLATTERED].max() if learned else sighting.fit.max())


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


def choose_threshold(curves: Sequence[tuple[NDArray[np.float64], int]]) -> float:
    """Choose the score threshold of best F1.

    Parameters
    ----------
    curves
        F1 at each threshold and number of boxes, as in a :class:`Sighting`; each counts alike. That of boxes
        that were learned from flatters, that of held-out boxes is old by the end of the training.

    Notes
    -----
    Few boxes decide little: the threshold stays near the usual one unless F1 is clearly better elsewhere, and is the
    usual one where F1 is poor everywhere.
    """
    told = [f1 for f1, count in curves if count and f1.max() >= _TRUSTED]
    if not told:
        return USUAL_SCORE
    smooth = np.convolve(np.pad(np.mean(told, axis=0), 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    cost = _PULL / max(count for _, count in curves) * np.abs(THRESHOLDS - USUAL_SCORE)
    return float(THRESHOLDS[int(np.argmax(smooth - cost))])


class _Matches(NamedTuple):
    """Found boxes of a volume in the order of their scores: these (N,), which hit at each of ``IOUS`` (K, N), and how
    many boxes are true.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    n_true: int


def _match(scored: Scored) -> _Matches:
    """Match boxes one to one, the surest first, each with the free true one of its class that it overlaps most."""
    annotated, region, found = scored
    inside = have_centres_in(found.boxes.cpu().numpy().astype(np.float64), region)
    found = found.take(torch.from_numpy(np.flatnonzero(inside)))
    found = found.take(found.scores.argsort(descending=True, stable=True))
    rows = annotated.lie_in(region)
    truth, classes = torch.from_numpy(annotated.boxes[rows]).float(), torch.from_numpy(annotated.classes[rows])
    iou = box_iou(found.boxes.cpu().float(), truth) * (found.classes.cpu()[:, None] == classes)
    hits = np.zeros((len(IOUS), len(found)), np.bool_)
    at, of = (each.tolist() for each in (iou > min(IOUS)).nonzero().unbind(1))
    near: dict[int, list[tuple[float, int]]] = {}
    for row, column in zip(at, of, strict=True):
        near.setdefault(row, []).append((float(iou[row, column]), column))
    for number, least in enumerate(IOUS):
        free = set(range(len(truth)))
        for row, candidates in near.items():
            fitting = [(overlap, column) for overlap, column in candidates if overlap > least and column in free]
            if fitting:
                free.remove(max(fitting)[1])
                hits[number, row] = True
    return _Matches(found.scores.cpu().numpy().astype(np.float64), hits, len(truth))


def _curves(matches: Sequence[_Matches]) -> NDArray[np.float64]:
    """F1 at each of ``IOUS`` and of ``THRESHOLDS`` (K, T), all volumes together."""
    true = sum(each.n_true for each in matches)
    f1 = np.zeros((len(IOUS), len(THRESHOLDS)))
    for number, threshold in enumerate(THRESHOLDS):
        found = sum(int((each.scores >= threshold).sum()) for each in matches)
        hits = sum(each.hits[:, each.scores >= threshold].sum(axis=1) for each in matches)
        f1[:, number] = 2 * hits / max(1, found + true)
    return f1


def _f1_of_all(matches: Sequence[_Matches]) -> NDArray[np.float64]:
    """F1 at each of ``IOUS``, of all that was found."""
    hits = sum((each.hits.sum(axis=1) for each in matches), np.zeros(len(IOUS)))
    return np.asarray(2 * hits / max(1, sum(len(each.scores) + each.n_true for each in matches)))


def _replace(region: Region, axis: int, along: tuple[int, int]) -> Region:
    z, y, x = (along if number == axis else part for number, part in enumerate(region))
    return z, y, x
