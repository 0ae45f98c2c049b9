"""What a training goes through: masks that are completed on the way, and what is done with them."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d.methods.boxes import phases
from napari_weak3d.methods.boxes.completing import Shown
from napari_weak3d.nn.loop import Budget
from napari_weak3d.types import Sample

pytestmark = pytest.mark.slow


def as_boxes(shown, *, foreground):
    """Every object fills its box."""
    annotated = shown.annotated
    masks = annotated.masks.copy()
    for row in np.flatnonzero(~annotated.has_mask):
        masks[tuple(slice(int(low), int(high)) for low, high in annotated.boxes[row].T)] = row + 1
        yield
    return replace(annotated, masks=masks, has_mask=np.ones(len(annotated.boxes), bool))


@pytest.fixture
def told(monkeypatch):
    """What the network tells in boxes, whatever it has learned, and whether it is trusted."""

    def tell(*, trusted):
        monkeypatch.setattr(phases, "complete_masks", as_boxes)
        monkeypatch.setattr(phases, "are_trusted", lambda shown, *, foreground: trusted)

    return tell


def complete(learner, *, budget=None):
    return list(phases._complete(learner, budget or Budget(60, steps=10)))


def test_masks_that_are_trusted_are_learned_from(learner, told):
    assert not learner.annotated[0].has_mask.all()
    told(trusted=True)
    complete(learner)
    learner.learn(without_held_out=False)
    lesson = learner._lessons[0].annotated
    assert lesson.has_mask.all()
    assert set(np.unique(lesson.masks)) == {0, 1, 2, 3}
    assert not learner.annotated[0].has_mask.all(), "what was given stays what it was"
    assert learner._lessons[0].given.tolist() == learner.annotated[0].has_mask.tolist()


def test_completed_masks_teach_maps_and_not_the_mask_head(make_learner, sample, told):
    boxed = replace(sample.annotation, masks=np.where(sample.annotation.masks == 2, 2, 0).astype(np.int32))
    only_second = Sample(sample.volume, replace(boxed, has_mask=np.array([False, True, False])))
    learner = make_learner([only_second], patch=0)
    told(trusted=True)
    complete(learner)
    learner.learn(without_held_out=False)
    given = learner._lessons[0]
    learner._lessons = [replace(given, given=np.zeros(3, bool))]
    metrics = learner.step(0.5)
    assert metrics["mask loss"] == 0
    assert metrics["map loss"] > 0


def test_masks_that_are_not_trusted_are_not(learner, told):
    told(trusted=True)
    complete(learner)
    told(trusted=False)
    complete(learner)
    assert learner.completed == []
    learner.learn(without_held_out=False)
    assert learner._lessons[0].annotated is learner.annotated[0]


def test_without_a_given_mask_there_are_no_completed_ones_any_more(learner, sample, told):
    told(trusted=True)
    complete(learner)
    moved = replace(sample.annotation, corners=sample.annotation.corners[::-1].copy())
    learner.take((Sample(sample.volume, replace(moved, masks=None, has_mask=np.zeros(3, bool))),))
    assert learner.completed == []


def test_boxes_that_come_while_masks_are_completed_win(learner, sample, told, monkeypatch):
    told(trusted=True)
    monkeypatch.setattr(phases, "_TALK_S", -1.0)
    job = phases._complete(learner, Budget(60, steps=10))
    progress = [next(job)]
    learner.take((sample,))
    progress += job
    assert learner.completed == []
    assert progress[0].message.startswith("completing masks")


@pytest.mark.parametrize("changed", [{"complete_masks": False}, {"voxel_maps": False}])
def test_where_it_is_not_wanted_nothing_is_completed(make_learner, told, changed):
    told(trusted=True)
    learner = make_learner(**changed)
    complete(learner)
    assert learner.completed == []


def test_completing_takes_no_more_than_a_tenth_of_the_minutes(learner, told):
    told(trusted=True)
    seconds = iter(range(10**6))
    budget = Budget(600, clock=lambda: next(seconds))  # each look at the clock takes a second
    for _ in range(50):
        complete(learner, budget=budget)
    assert 1 <= len(learner.completing) < 10
    assert sum(learner.completing[:-1]) <= 0.1


def test_a_part_begins_where_it_says(learner):
    annotated = learner.annotated[0]
    shown = Shown(annotated, (2, 4, 6), np.zeros((2, 5, 6, 7), np.float32))
    assert (shown.masks == annotated.masks[2:7, 4:10, 6:13]).all()
