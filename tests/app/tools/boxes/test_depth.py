"""How deep a rectangle becomes."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.depth import give_depth, learned_depth, set_end, set_start

SPACING = (2.0, 0.5, 0.5)
SHAPE = (30, 100, 100)


def boxes(*depths, axis=0):
    corners = np.zeros((len(depths), 2, 3), np.int64)
    corners[:, 1] = 10
    corners[:, 1, axis] = depths
    return corners


def learn(corners, classes, **how):
    settings = {"value": 1, "axis": 0, "spacing": SPACING} | how
    return learned_depth(corners, np.array(classes), **settings)


def test_depth_is_the_median_of_earlier_boxes_in_micrometres():
    assert learn(boxes(3, 4, 9), [1, 1, 1]) == 8.0
    assert learn(boxes(3, 4, 9, axis=2), [1, 1, 1], axis=2) == 2.0


def test_boxes_of_the_class_count_before_others():
    assert learn(boxes(3, 9), [1, 2], value=2) == 18.0
    assert learn(boxes(3, 9), [1, 2], value=7) == 12.0, "none of the class: all"


def test_the_latest_boxes_count():
    assert learn(boxes(*[3] * 50, *[7] * 20), [1] * 70) == 14.0


def test_nothing_is_learned_from_nothing():
    assert learn(boxes(), []) is None


def flat(low, high):
    return np.array([[0, *low], [1, *high]])


def test_a_box_lies_around_the_slice_that_it_was_drawn_in():
    box = give_depth(flat((10, 20), (30, 60)), (0, 12), depth=10.0, spacing=SPACING, shape=SHAPE)
    assert box.tolist() == [[10, 10, 20], [15, 30, 60]]


def test_the_first_box_is_as_deep_as_it_is_wide():
    box = give_depth(flat((10, 20), (26, 84)), (0, 12), depth=None, spacing=SPACING, shape=SHAPE)
    assert box[1, 0] - box[0, 0] == 8, "sides of 8 and 32 um make 16 um, which are 8 slices"


def test_a_box_is_cut_at_the_end_of_the_volume_and_has_at_least_a_slice():
    assert give_depth(flat((0, 0), (4, 4)), (0, 0), depth=10.0, spacing=SPACING, shape=SHAPE)[:, 0].tolist() == [0, 3]
    assert give_depth(flat((0, 0), (4, 4)), (0, 29), depth=0.1, spacing=SPACING, shape=SHAPE)[:, 0].tolist() == [29, 30]


@pytest.mark.parametrize(("index", "start", "end"), [(4, [4, 9], [3, 5]), (1, [1, 9], [1, 2]), (12, [12, 13], [3, 13])])
def test_a_box_starts_and_ends_on_the_slice_in_view(index, start, end):
    box = np.array([[0, 3, 0], [5, 9, 5]])
    assert set_start(box, (1, index))[:, 1].tolist() == start
    assert set_end(box, (1, index))[:, 1].tolist() == end
    assert box[:, 1].tolist() == [3, 9]
