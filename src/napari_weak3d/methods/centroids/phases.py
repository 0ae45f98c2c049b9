"""What a training goes through: centres with some clicks held out, scoring these, all centres, settling, masks."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from napari_weak3d.messages import Command
from napari_weak3d.methods.centroids.config import PseudoLabels
from napari_weak3d.methods.centroids.holding_out import (
    THRESHOLDS,
    choose_threshold,
    measure_f1,
    share_of_doubles,
)
from napari_weak3d.methods.centroids.learner import Learner
from napari_weak3d.methods.centroids.networks import N_OUTPUTS
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.responding import respond
from napari_weak3d.methods.centroids.scheme import Calibration
from napari_weak3d.nn.loop import Budget, Job, save_or_say, talk, train_loop
from napari_weak3d.types import Progress

_WRITING_S = 1.0
"""Seconds of the budget that are left for writing the model."""
_SCORED_AT = 0.6
"""Part of the training of centres after which held-out clicks are scored, and then learned from too (ours)."""
_WORTH_HEARING = 0.8
"""Least F1 on held-out clicks from which on a network may say that cells were forgotten (ours)."""
_DOUBLES = 0.05
"""Share of clicked cells with several peaks from which on such peaks are joined (ours, measured)."""


def train(learner: Learner, budget: Budget) -> Job:
    """Go through the phases; what an earlier run has done is left out."""
    config = learner.config
    until = 1.0 if config.steps else 1 - min(0.05, _WRITING_S / (60 * config.minutes))
    share = config.centre_share
    if (yield from (_learn_first if learner.calibration is None else _look_again)(learner, budget)):
        return True
    learner.learn_centres(without_held_out=False)
    if budget.fraction < share:
        if (yield from train_loop(learner, budget=budget, until=share)):
            return True
        if (yield from _settle_threshold(learner, budget)):
            return True
    if config.pseudo_labels is not PseudoLabels.IMAGE and (yield from _respond(learner, budget)):
        return True
    learner.learn_masks()
    return (yield from train_loop(learner, budget=budget, until=until))


def _learn_first(learner: Learner, budget: Budget) -> Job:
    """Learn centres with some clicks held out, and score these."""
    learner.learn_centres(without_held_out=True)
    if (yield from train_loop(learner, budget=budget, until=_SCORED_AT * learner.config.centre_share)):
        return True
    if (yield from _score(learner, budget)):
        return True
    save_or_say(learner, budget.fraction)  # now with a score
    return False


def _score(learner: Learner, budget: Budget) -> Job:
    """Score held-out clicks, and look for cells that were forgotten."""
    found = yield from _find_peaks(learner, budget, message="scoring held-out clicks")
    if found is None:
        return True
    f1, count = learner.f1_held_out = measure_f1(list(zip(learner.annotated, learner.held_out, found, strict=True)))
    threshold = choose_threshold([(f1, count)])
    score = float(np.interp(threshold, THRESHOLDS, f1)) if count else None
    learner.calibration = Calibration(threshold, score)
    learner.peaks, learner.hears = found, bool(count and f1.max() >= _WORTH_HEARING)
    learner.leave_out_forgotten()
    return False


def _look_again(learner: Learner, budget: Budget) -> Job:
    """See again what the first network of an earlier run had seen: cells without click, and middles of the others."""
    found = yield from _find_peaks(learner, budget, message="finding centres")
    if found is None:
        return True
    assert learner.calibration is not None
    learner.peaks, learner.hears = found, (learner.calibration.held_out_f1 or 0) >= _WORTH_HEARING
    learner.leave_out_forgotten()
    if budget.fraction >= learner.config.centre_share:
        learner.settle()
    return False


def _settle_threshold(learner: Learner, budget: Budget) -> Job:
    """Choose the threshold for the network as it is in the end, and whether peaks of one cell have to be joined."""
    found = yield from _find_peaks(learner, budget, message="choosing the peak threshold")
    if found is None:
        return True
    everywhere = [each.learnable() for each in learner.annotated]
    scored = list(zip(learner.annotated, everywhere, found, strict=True))
    now = measure_f1(scored)
    assert learner.calibration is not None
    curves = [now] if learner.f1_held_out is None else [now, learner.f1_held_out]
    threshold = choose_threshold(curves)
    learner.calibration = replace(learner.calibration, peak_threshold=threshold)
    learner.scheme = replace(learner.scheme, joins=share_of_doubles(scored, threshold=threshold) > _DOUBLES)
    learner.peaks = found
    learner.settle()
    return False


def _respond(learner: Learner, budget: Budget) -> Job:
    """Run the peaks of all volumes back to their images; takes commands between peaks."""
    found = yield from _find_peaks(learner, budget, message="finding centres")
    if found is None:
        return True
    net, responses = learner.pair().centre, []
    for number, (annotated, peaks) in enumerate(zip(learner.annotated, found, strict=True)):
        out = np.empty(annotated.shape, np.float32)
        sure = peaks.above(learner.peak_threshold)
        kind = learner.config.pseudo_labels
        for done, total in respond(net, annotated, sure, kind=kind, multiple=net.multiple, out=out):
            learner.notice = f"tracing responses ({number + 1} of {len(found)}: {done} of {total})"
            if (yield from talk(learner, budget=budget, metrics={})):
                return True
        responses.append(out)
    learner.responses = responses
    return False


def _find_peaks(
    learner: Learner, budget: Budget, *, message: str
) -> Generator[Progress, Command | None, list[Peaks] | None]:
    """Find all peaks of the known parts of all volumes; takes commands between tiles. None after Stop."""
    # Masks are not asked for, nor what lies far from all clicks: this takes time from learning.
    pair, found, before = replace(learner.pair(), mask=None), [], learner.notice
    for number, annotated in enumerate(learner.annotated):
        part = pair.part_around(annotated.region, shape=annotated.shape, look=annotated.look, spacing=annotated.spacing)
        image = annotated.view.image[:, *part]
        out = np.empty((N_OUTPUTS, *image.shape[1:]), np.float32)
        for done, total in pair.predict(image, spacing=annotated.spacing, out=out):
            learner.notice = f"{message} ({number + 1} of {len(learner.annotated)}: {done / total:.0%})"
            if (yield from talk(learner, budget=budget, metrics={})):
                return None
        scheme = replace(learner.scheme, joins=False)
        peaks = scheme.find_peaks(out[0], spacing=annotated.spacing, threshold=float(THRESHOLDS[0]))
        found.append(replace(peaks, points_vox=peaks.points_vox + [along.start for along in part]))
    learner.notice = before
    return found
