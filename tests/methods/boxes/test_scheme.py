"""What is read from the boxes that were drawn: sizes, resolution, how much neighbours overlap, classes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_weak3d.methods.boxes.scheme import (
    choose_stem,
    choose_suppression,
    make_classes,
    measure_drawn,
)
from napari_weak3d.methods.boxes.starting import make_scheme
from napari_weak3d.types import Boxes


def make_boxes(low, size, classes=None):
    low = np.array(low, np.int64)
    corners = np.stack([low, low + np.array(size)], axis=1)
    n = len(low)
    return Boxes(corners, np.array(classes or [1] * n, np.int64), None, np.zeros(n, bool))


def test_the_typical_box_is_the_median_over_all_volumes():
    one, other = make_boxes([[0, 0, 0]], (2, 10, 10)), make_boxes([[0, 0, 0], [9, 9, 9]], (4, 20, 30))
    typical, largest = measure_drawn([one, other])
    assert typical == (4, 20, 30)
    assert largest == (4, 20, 30)


def test_resolution_is_lowered_along_axes_with_voxels_to_spare():
    assert choose_stem((6, 16, 100), most=4) == (1, 2, 4)
    assert choose_stem((6, 16, 100), most=1) == (1, 1, 1)


def test_boxes_may_overlap_a_little_more_than_those_that_were_drawn():
    apart = make_boxes([[0, 0, 0], [0, 0, 20]], (10, 10, 10))
    assert choose_suppression([apart]) == 0.25
    overlapping = make_boxes([[0, 0, 0], [0, 0, 5]], (10, 10, 10))  # IoU 1/3
    assert choose_suppression([overlapping]) == pytest.approx(1 / 3 + 0.05)
    twins = make_boxes([[0, 0, 0], [0, 0, 0]], (10, 10, 10))
    assert choose_suppression([twins]) == 0.6
    of_two_classes = make_boxes([[0, 0, 0], [0, 0, 0]], (10, 10, 10), classes=[1, 2])
    assert choose_suppression([of_two_classes]) == 0.25


def test_classes_are_those_that_were_drawn_behind_the_background():
    table = make_classes([make_boxes([[0, 0, 0], [9, 9, 9]], (2, 2, 2), classes=[7, 3])])
    assert [row.value for row in table] == [0, 3, 7]
    assert [row.background for row in table] == [True, False, False]
    assert len({row.color for row in table}) == 3


def test_a_model_to_go_on_from_keeps_its_plan_and_reckons_with_the_boxes_there_are_now(config, sample):
    before = make_scheme([sample], config=config(), start=None)
    corners = np.array([[[2, 8, 6], [10, 40, 40]], [[2, 8, 8], [10, 40, 42]]])
    boxes = replace(sample.annotation, corners=corners, classes=np.ones(2, int), has_mask=np.zeros(2, bool))
    after = make_scheme([replace(sample, annotation=boxes)], config=config(), start=SimpleNamespace(scheme=before))
    assert after.largest > before.largest
    assert after.suppress_iou > before.suppress_iou
    assert replace(after, largest=before.largest, suppress_iou=before.suppress_iou) == before
