"""What a training goes through: learning with some boxes held out, scoring these, learning all, settling thresholds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeVar

from napari_weak3d.messages import Command
from napari_weak3d.methods.boxes.completing import (
    Shown,
    are_trusted,
    choose_foreground,
    complete_masks,
    measure_filling,
)
from napari_weak3d.methods.boxes.components import Rule, box_components, grow_components, list_rules
from napari_weak3d.methods.boxes.finding import Finder, Search
from napari_weak3d.methods.boxes.holding_out import (
    LEAST_SCORE,
    Scored,
    Sighting,
    choose_calibration,
    see,
    shorten,
)
from napari_weak3d.methods.boxes.learner import Learner
from napari_weak3d.methods.boxes.volumes import Annotated
from napari_weak3d.nn.loop import Budget, Job, save_or_say, talk, train_loop
from napari_weak3d.types import Progress, Region

Result = TypeVar("Result")

_WRITING_S = 1.0
"""Seconds of the budget that are left for writing the model."""
_SCORED_AT = 0.5
"""Part of the training after which held-out boxes are scored, and then learned from too (ours)."""
_SETTLED_AT = 0.95
"""Part of the training after which the threshold is settled: the little that is left hardly moves scores (ours)."""
_COMPLETED_AT = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Parts of the training after which masks are completed anew, each time from given masks alone (ours)."""
_COMPLETED_VOXELS = 1 << 23
"""Of the parts, all volumes together, in which masks are completed: seconds each time (ours)."""
_SEEN_VOXELS = 1 << 22
"""Of the parts, all volumes together, in which boxes are compared and thresholds chosen (ours)."""
_MOST_COMPLETING = 0.1
"""Part of the budget that completing may take (ours)."""
_TALK_S = 0.1
"""Commands wait no longer than about this."""


def train(learner: Learner, budget: Budget) -> Job:
    """Go through the phases; what an earlier run has done is left out.

    Returns
    -------
    Whether a Stop ended it.
    """
    config = learner.config
    until = 1.0 if config.steps else 1 - min(0.05, _WRITING_S / (60 * config.minutes))
    if learner.calibration is None:
        if (yield from _learn(learner, budget, until=_SCORED_AT, without_held_out=True)):
            return True
        if (yield from _score(learner, budget)):
            return True
        save_or_say(learner, budget.fraction)  # now with a score
    settled_at = min(_SETTLED_AT, until)
    if budget.fraction < _SETTLED_AT:
        if (yield from _learn(learner, budget, until=settled_at, without_held_out=False)):
            return True
        if (yield from _settle_thresholds(learner, budget)):
            return True
    else:
        learner.learn(without_held_out=False)
    return (yield from train_loop(learner, budget=budget, until=until))


def _learn(learner: Learner, budget: Budget, *, until: float, without_held_out: bool) -> Job:
    """Learn until a part of the budget is used, completing masks on the way."""
    if budget.fraction >= _COMPLETED_AT[0] and (yield from _complete(learner, budget)):
        return True
    learner.learn(without_held_out=without_held_out)
    for at in _COMPLETED_AT:
        if budget.fraction < at < until:
            if (yield from train_loop(learner, budget=budget, until=at)):
                return True
            if (yield from _complete(learner, budget)):
                return True
            learner.learn(without_held_out=without_held_out)
    return (yield from train_loop(learner, budget=budget, until=until))


def _complete(learner: Learner, budget: Budget) -> Job:
    """Give objects of which only boxes are known the masks that the network tells so far, if there is time for it."""
    annotated, spent = learner.annotated, learner.completing
    if not learner.completes or sum(spent) + sum(spent[-1:]) > _MOST_COMPLETING:
        return False
    began, before = budget.fraction, learner.notice
    finder = learner.plain_finder()
    shown: list[Shown] = []
    for each in annotated:
        search, low = _look_around(learner, finder, each, shorten(each.known, most=_COMPLETED_VOXELS // len(annotated)))
        for done, total in search.find_maps():
            learner.notice = f"completing masks ({done / total:.0%})"
            if (yield from talk(learner, budget=budget, metrics={})):
                return True
        assert search.maps is not None
        shown.append(Shown(each, low, search.maps))
    foreground = choose_foreground([filling for part in shown for filling in measure_filling(part)])
    completed: list[Annotated] = []
    for part in shown if are_trusted(shown, foreground=foreground) else ():
        made = yield from _talk_through(learner, budget, complete_masks(part, foreground=foreground))
        if made is None:
            return True
        completed.append(made)
    learner.notice = before
    if learner.annotated is annotated:  # else other boxes came meanwhile
        learner.completed = completed
    learner.completing.append(budget.fraction - began)
    return False


def _talk_through(
    learner: Learner, budget: Budget, work: Generator[None, None, Result]
) -> Generator[Progress, Command | None, Result | None]:
    """Work bit by bit, taking commands in between; None after Stop."""
    talked = budget.clock()
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        if budget.clock() - talked > _TALK_S:
            talked = budget.clock()
            if (yield from talk(learner, budget=budget, metrics={})):
                return None


def _score(learner: Learner, budget: Budget) -> Job:
    """Score held-out boxes."""
    regions = [None if split is None else split.held_out for split in learner.held_out]
    sighting = yield from _search(learner, budget, regions, message="scoring held-out boxes")
    if sighting is None:
        return True
    learner.held_out_sighting = sighting
    learner.calibration = choose_calibration([sighting], learned=False)
    return False


def _settle_thresholds(learner: Learner, budget: Budget) -> Job:
    """Choose thresholds for the network as it is in the end: scores grow while it learns."""
    regions = [each.known for each in learner.annotated]
    sighting = yield from _search(learner, budget, regions, message="choosing the score threshold")
    if sighting is None:
        return True
    assert learner.calibration is not None
    before = [] if learner.held_out_sighting is None else [learner.held_out_sighting]
    settled = choose_calibration([sighting, *before], learned=True)
    if not before:  # scored in an earlier part of this training: what was decided stays
        settled = replace(settled, from_voxels=learner.calibration.from_voxels, splits=learner.calibration.splits)
    learner.calibration = replace(settled, held_out_f1=learner.calibration.held_out_f1)
    return False


def _search(
    learner: Learner, budget: Budget, regions: Sequence[Region | None], *, message: str
) -> Generator[Progress, Command | None, Sighting | None]:
    """Look for the boxes of a region of each volume, in all ways; takes commands between tiles. None after Stop."""
    finder = learner.plain_finder()
    by_anchors: list[Scored] = []
    shown: list[tuple[Shown, Region]] = []
    before = learner.notice
    for annotated, region in zip(learner.annotated, regions, strict=True):
        if region is None:
            continue
        part = shorten(region, most=_SEEN_VOXELS // len(regions))
        search, low = _look_around(learner, finder, annotated, part)
        for done, total in search.find_boxes():
            learner.notice = f"{message} ({done / total:.0%})"
            if (yield from talk(learner, budget=budget, metrics={})):
                return None
        by_anchors.append(Scored(annotated, part, search.merge().moved(low)))
        if learner.typical_vox is None:
            continue
        for _ in search.find_maps():
            if (yield from talk(learner, budget=budget, metrics={})):
                return None
        assert search.maps is not None
        shown.append((Shown(annotated, low, search.maps), part))
    foreground = choose_foreground([filling for each, _ in shown for filling in measure_filling(each)])
    by_rule: dict[Rule, list[Scored]] = {}
    for rule in list_rules(learner.typical_vox or 0.0):
        for each, part in shown:
            labels = grow_components(each.maps, replace(rule, foreground=foreground))
            found = box_components(labels, each.maps[0], least=rule.inside)
            by_rule.setdefault(rule, []).append(Scored(each.annotated, part, found.moved(each.low)))
            if (yield from talk(learner, budget=budget, metrics={})):
                return None
    learner.notice = before
    return see(by_anchors, by_rule, foreground=foreground)


def _look_around(
    learner: Learner, finder: Finder, annotated: Annotated, region: Region
) -> tuple[Search, tuple[int, int, int]]:
    """Make a search of a region and of what lies around it; and where that begins."""
    cut = [
        (max(0, low - round(more)), min(size, high + round(more)))
        for (low, high), more, size in zip(region, learner.scheme.largest, annotated.shape, strict=True)
    ]
    image = annotated.view.image[(slice(None), *(slice(low, high) for low, high in cut))]
    z, y, x = (low for low, _ in cut)
    return Search(finder, image, annotated.spacing, LEAST_SCORE), (z, y, x)
