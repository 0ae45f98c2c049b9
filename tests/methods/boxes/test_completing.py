"""Masks of objects of which only boxes are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_weak3d.methods.boxes.completing import (
    FOREGROUND,
    Shown,
    are_trusted,
    choose_foreground,
    complete_masks,
    measure_filling,
)
from napari_weak3d.methods.boxes.volumes import Annotated

SHAPE = (6, 20, 40)
BALLS = ((3, 10, 8), (3, 10, 28))


def ball(centre, *, radius):
    grid = np.indices(SHAPE) - np.array(centre)[:, None, None, None]
    return (grid[0] * 2) ** 2 + grid[1] ** 2 + grid[2] ** 2 <= radius**2


def box_of(where):
    found = np.argwhere(where)
    return np.array([found.min(axis=0), found.max(axis=0) + 1], float)


@pytest.fixture
def annotated():
    """Two balls, of which the first has a mask."""
    objects = [ball(centre, radius=5) for centre in BALLS]
    return Annotated(
        SimpleNamespace(),
        (2.0, 1.0, 1.0),
        np.stack([box_of(each) for each in objects]),
        np.array([1, 1]),
        objects[0].astype(np.int32),
        np.array([True, False]),
        tuple((0, side) for side in SHAPE),
    )


def show(annotated, *, inside=0.9, reach=5, fat=6, low=(0, 0, 0)):
    """Maps that are sure of the balls, and 0.6 sure of a rim around them."""
    maps = np.zeros((2, *SHAPE), np.float32)
    for centre in BALLS:
        maps[1, ball(centre, radius=fat)] = 0.6
        maps[1, ball(centre, radius=reach)] = 0.97
        maps[0, ball(centre, radius=reach - 1)] = inside
    z, y, x = low
    return Shown(annotated, low, maps[:, z:, y:, x:])


def complete(shown, *, foreground):
    work = complete_masks(shown, foreground=foreground)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_given_masks_tell_how_fat_the_foreground_is(annotated):
    (filling,) = measure_filling(show(annotated))
    fat = ball(BALLS[0], radius=5).sum() / ball(BALLS[0], radius=6)[:, 4:17, 2:15].sum()
    assert filling[FOREGROUND.index(0.5)] == pytest.approx(fat, abs=0.02)
    assert filling[FOREGROUND.index(0.89)] == 1
    assert filling[FOREGROUND.index(0.985)] == 0
    assert choose_foreground([filling]) == 0.67, "the lowest of the best"
    assert choose_foreground([]) == 0.5


def test_what_may_be_another_object_does_not_count_as_fat(annotated):
    beside = annotated.boxes[0].copy()
    beside[:, 2] += [10, 10]
    annotated.boxes[1] = beside
    shown = show(annotated)
    shown.maps[1][3, 10, 13:] = 0.97  # in the box of the other
    (filling,) = measure_filling(shown)
    assert filling[FOREGROUND.index(0.89)] == 1


def test_an_object_gets_the_mask_that_reaches_through_its_box(annotated):
    completed = complete(show(annotated), foreground=0.9)
    assert completed.has_mask.all()
    assert (completed.masks == 2).sum() == ball(BALLS[1], radius=5).sum()
    assert (completed.masks[ball(BALLS[1], radius=5)] == 2).all()
    assert (completed.masks == 1).sum() == annotated.masks.sum(), "given masks stay"
    assert not annotated.has_mask.all(), "what was given is not touched"


def test_what_reaches_through_little_of_a_box_is_not_believed(annotated):
    completed = complete(show(annotated, reach=3), foreground=0.9)
    assert completed.has_mask.tolist() == [True, False]
    assert not (completed.masks == 2).any()


def test_what_is_found_is_trusted_where_it_is_what_was_given(annotated):
    assert are_trusted([show(annotated)], foreground=0.9)
    assert not are_trusted([show(annotated, reach=3)], foreground=0.9), "too little"
    merged = show(annotated)
    merged.maps[:] = 0.97  # as where cells fill a tissue
    assert not are_trusted([merged], foreground=0.9)
    assert not are_trusted([replace_masks(annotated)], foreground=0.9), "nothing says so"


def replace_masks(annotated):
    """None is given."""
    return show(replace(annotated, masks=np.zeros(SHAPE, np.int32), has_mask=np.zeros(2, bool)))


def test_masks_stay_within_their_boxes(annotated):
    completed = complete(show(annotated), foreground=0.5)
    assert (box_of(completed.masks == 2) == annotated.boxes[1]).all()


def test_objects_that_the_part_does_not_show_whole_get_none(annotated):
    part = show(annotated, low=(0, 0, 10))
    assert measure_filling(part) == []
    completed = complete(part, foreground=0.9)
    assert (completed.masks == 2).sum() == ball(BALLS[1], radius=5).sum()
    assert not complete(show(annotated, low=(0, 0, 30)), foreground=0.9).has_mask[1]


def test_of_objects_that_fill_their_boxes_only_what_is_better_than_full_boxes_is_trusted(annotated):
    bars = np.zeros(SHAPE, np.int32)
    bars[1:5, 5:15, 3:13] = 1
    bars[1, 5, 3:13] = 0  # nearly the full box
    filled = replace(annotated, masks=bars, boxes=np.stack([box_of(bars == 1), annotated.boxes[1]]))
    everywhere = show(filled)
    everywhere.maps[:] = 0.97
    assert not are_trusted([everywhere], foreground=0.9)
    everywhere.maps[:] = 0.97 * (bars == 1)
    assert are_trusted([everywhere], foreground=0.9)


def test_what_smaller_boxes_leave_of_an_object_is_no_mask(annotated):
    larger = annotated.boxes[1] + [[0, 0, 0], [0, 0, 2]]
    both = Annotated(
        annotated.view,
        annotated.spacing,
        np.stack([*annotated.boxes, larger]),
        np.array([1, 1, 1]),
        annotated.masks,
        np.array([True, False, False]),
        annotated.known,
    )
    assert complete(show(both), foreground=0.9).has_mask.tolist() == [True, True, False]
