"""Boxes as rectangles and wires, and back."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.crossing import bounds_in, crosses, is_dot, outlines, rectangles, spans, wires

SCALE = (3.0, 0.5, 0.25)


def random_boxes(n=50, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 20, (n, 3))
    return np.stack([low, low + rng.integers(1, 9, (n, 3))], axis=1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_boxes_cross_the_slices_that_hold_voxels_of_theirs(axis):
    boxes = random_boxes()
    for index in range(30):
        slow = [index in range(low[axis], high[axis]) for low, high in boxes]
        assert crosses(boxes, (axis, index)).tolist() == slow


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rectangles_read_back_are_the_boxes(axis):
    boxes = random_boxes()
    expected = boxes.copy()
    expected[:, :, axis] = 0, 1
    back = [spans(each, axis=axis, scale=SCALE) for each in rectangles(boxes, axis=axis, scale=SCALE)]
    assert np.array_equal(back, expected)


def test_a_rectangle_runs_along_the_outer_faces_of_its_voxels():
    (drawn,) = rectangles(np.array([[[2, 4, 6], [3, 8, 16]]]), axis=0, scale=(1, 1, 0.5))
    assert drawn.tolist() == [[0, 3.5, 2.75], [0, 3.5, 7.75], [0, 7.5, 7.75], [0, 7.5, 2.75]]


def test_a_hand_drawn_shape_takes_the_nearest_faces_and_at_least_a_voxel():
    hand = np.array([[0.3, 2.4, 3.6], [0.3, 2.4, 9.4], [0.3, 6.6, 9.4]])
    assert spans(hand, axis=0, scale=(1, 1, 1)).tolist() == [[0, 3, 4], [1, 7, 10]]
    thin = np.array([[0, 2.0, 3.6], [0, 2.2, 9.4]])
    assert spans(thin, axis=0, scale=(1, 1, 1)).tolist() == [[0, 2, 4], [1, 3, 10]]
    assert spans(-hand, axis=0, scale=(1, -1, -1)).tolist() == [[0, 3, 4], [1, 7, 10]], "mirrored axes"


def test_a_click_is_no_rectangle():
    assert is_dot(np.array([[5, 2.0, 3.0], [5, 2.9, 3.4]]), axis=0, scale=(1, 1, 1))
    assert not is_dot(np.array([[5, 2.0, 3.0], [5, 2.9, 4.4]]), axis=0, scale=(1, 1, 1))


def test_a_box_has_twelve_wires_between_its_corners():
    drawn = wires(np.array([[[0, 0, 0], [2, 4, 8]]]), scale=SCALE)
    assert drawn.shape == (12, 2, 3)
    assert all(np.count_nonzero(direction) == 1 for direction in drawn[:, 1])
    assert sorted(np.abs(drawn[:, 1]).sum(axis=1).tolist()) == [2.0] * 8 + [6.0] * 4
    ends = np.concatenate([drawn[:, 0], drawn.sum(axis=1)])
    assert ends.min(axis=0).tolist() == [-1.5, -0.25, -0.125]
    assert ends.max(axis=0).tolist() == [4.5, 1.75, 1.875]


def test_outlines_are_of_boxes_that_cross_the_slice_only():
    boxes = np.array([[[2, 0, 0], [4, 5, 6]], [[3, 1, 1], [5, 2, 2]], [[0, 0, 0], [1, 9, 9]]])
    lines = outlines(boxes, (0, 3), scale=(1, 1, 1))
    assert lines.shape == (8, 2, 3)
    assert lines[:4, 1].sum(axis=0).tolist() == [0, 0, 0], "it closes"
    assert np.ptp(lines[:4, 0], axis=0).tolist() == [0, 5, 6]
    assert len(outlines(boxes[:1], (0, 4), scale=(1, 1, 1))) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_bounds_of_what_a_slice_shows(axis):
    plane = np.zeros((9, 11), np.int32)
    plane[2:5, 3:9], plane[7, 10], plane[0, 0] = 40, 7, 7
    found = bounds_in(plane, (axis, 5))
    across = [each for each in range(3) if each != axis]
    assert found[:, :, across].tolist() == [[[0, 0], [8, 11]], [[2, 3], [5, 9]]]
    assert found[:, :, axis].tolist() == [[5, 6], [5, 6]]
    assert bounds_in(plane * 0, (axis, 5)).shape == (0, 2, 3)
