"""Boxes in a project: the table in the index, masks as painted planes of box ids."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d.io.annotations import check_drawn
from napari_weak3d.io.project import BoxEntry, BoxesState, read_project_sample
from napari_weak3d.types import PaintClass

SHAPE = (6, 20, 30)
BOXES = (
    BoxEntry(2, ((0, 1, 2), (3, 5, 9)), class_value=1, done=True),
    BoxEntry(7, ((1, 8, 2), (6, 19, 9)), class_value=3),
    BoxEntry(8, ((0, 0, 0), (1, 1, 1)), class_value=1, done=True),
)
STATE = BoxesState(
    boxes=BOXES,
    classes=(PaintClass(1, "cell", "#ee6677"), PaintClass(3, "debris")),
    region=((0, 6), (0, 20), (0, 10)),
    next_id=9,
    effort_s=12.5,
)


@pytest.fixture
def store(project, image):
    return project.annotations(image.id, "boxes")


def paint():
    first, second = np.zeros(SHAPE[1:], np.int32), np.zeros(SHAPE[1:], np.int32)
    first[1:4, 2:5] = 2
    second[10, 3] = 7
    return {1: first, 4: second}


def test_boxes_come_back_as_they_were(store):
    store.write(STATE, paint())
    assert store.state() == STATE
    boxes = store.read()
    assert boxes.corners.tolist() == [[list(corner) for corner in box.corners] for box in BOXES]
    assert boxes.classes.tolist() == [1, 3, 1]


def test_masks_are_numbered_by_row_and_only_done_ones_count(store):
    store.write(STATE, paint())
    boxes = store.read()
    assert boxes.has_mask.tolist() == [True, False, True]
    assert (boxes.masks[1, 1:4, 2:5] == 1).all()
    assert boxes.masks[4, 10, 3] == 2
    assert np.count_nonzero(boxes.masks) == 10


def test_boxes_without_any_mask_have_none(store):
    store.write(STATE, {})
    boxes = store.read()
    assert boxes.masks is None
    assert not boxes.has_mask.any()


def test_a_training_reads_boxes_with_their_region(project, image, store):
    store.write(STATE, paint())
    sample = read_project_sample(project.folder, image.id, kind="boxes")
    assert sample.region == STATE.region
    assert len(sample.annotation.corners) == 3


def test_a_training_leaves_out_masks_that_are_begun_and_the_project_keeps_them(project, image, store):
    store.write(replace(STATE, boxes=BOXES[:2]), paint())
    sample = read_project_sample(project.folder, image.id, kind="boxes")
    check_drawn([sample])
    assert np.count_nonzero(sample.annotation.masks == 1) == 9
    assert not (sample.annotation.masks == 2).any()
    assert (store.read().masks == 2).any()


def test_a_training_with_no_mask_but_begun_ones_has_none(project, image, store):
    store.write(replace(STATE, boxes=BOXES[1:2]), {4: paint()[4]})
    sample = read_project_sample(project.folder, image.id, kind="boxes")
    check_drawn([replace(sample, region=None)])
    assert sample.annotation.masks is None


def test_no_boxes_are_nothing_and_a_region_is_something():
    assert BoxesState(effort_s=3).is_empty
    assert not BoxesState(region=STATE.region).is_empty
    assert BoxesState().put_together({}, shape=SHAPE).corners.shape == (0, 2, 3)
