"""What is read from the boxes that were drawn: sizes, resolution, how much neighbours overlap, classes."""

import numpy as np
import pytest

from napari_weak3d.methods.boxes.scheme import (
    choose_stem,
    choose_suppression,
    make_classes,
    measure_drawn,
)
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
