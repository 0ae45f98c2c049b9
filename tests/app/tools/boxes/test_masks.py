"""Masks of boxes: slices left, shapes between painted ones, masks and boxes from labels."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.crops import painted_axis, repair_stroke, slices_left
from napari_weak3d.app.tools.boxes.masks import boxes_from, interpolate, masks_from


def ball(shape=(15, 21, 21)):
    grid = np.indices(shape)
    return sum(((g - (n - 1) / 2) / (n / 2)) ** 2 for g, n in zip(grid, shape, strict=True)) <= 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_without_paint_are_left(axis):
    painted = np.zeros((6, 7, 8), bool)
    np.moveaxis(painted, axis, 0)[[1, 4], 2:4, 3:5] = True
    assert slices_left(painted, axis=axis) == [i for i in range(painted.shape[axis]) if i not in (1, 4)]
    assert painted_axis(painted) == axis


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_between_painted_ones_take_the_shape_between(axis):
    whole = np.moveaxis(ball(), 0, axis)
    sparse = np.zeros_like(whole)
    for index in (0, 3, 7, 11, 14):
        np.moveaxis(sparse, axis, 0)[index] = np.moveaxis(whole, axis, 0)[index]
    added = interpolate(sparse, axis=axis)
    assert not (added & sparse).any()
    filled = added | sparse
    assert (filled & whole).sum() / (filled | whole).sum() > 0.85
    assert not slices_left(filled, axis=axis)


def test_nothing_is_filled_beyond_the_outermost_painted_slices():
    painted = np.zeros((9, 6, 6), bool)
    painted[[2, 6], 1:5, 1:5] = True
    added = interpolate(painted, axis=0)
    assert np.flatnonzero(added.any(axis=(1, 2))).tolist() == [3, 4, 5]
    assert (added[3:6] == painted[2]).all(), "a prism stays a prism"
    assert not interpolate(painted[:4], axis=0).any()


def test_a_box_takes_the_object_that_lies_mostly_in_it():
    labels = np.zeros((4, 20, 20), np.uint16)
    labels[:, 2:8, 2:8] = 900
    labels[:, 2:8, 8:18] = 40  # reaches into the first box
    corners = np.array([[[0, 1, 1], [4, 9, 10]], [[0, 1, 7], [4, 9, 19]], [[0, 12, 12], [4, 18, 18]]])
    first, second, third = masks_from(labels, corners)
    assert np.array_equal(first, labels[:, 1:9, 1:10] == 900)
    assert np.array_equal(second, labels[:, 1:9, 7:19] == 40)
    assert third is None


def test_an_object_is_the_mask_of_one_box_only():
    labels = np.zeros((1, 10, 10), np.int64)
    labels[0, 2:6, 2:6] = 2**40
    loose, tight = [[0, 0, 0], [1, 9, 9]], [[0, 2, 2], [1, 6, 6]]
    found = masks_from(labels, np.array([loose, tight]))
    assert found[0] is None
    assert found[1].all()


def test_every_object_of_labels_gets_its_box():
    labels = np.zeros((5, 6, 7), np.int32)
    labels[1:3, 2:4, 0:5], labels[4, 5, 6], labels[0, 0, 0] = 9, 4, -3
    assert boxes_from(labels).tolist() == [[[4, 5, 6], [5, 6, 7]], [[1, 2, 0], [3, 4, 5]]]
    assert boxes_from(np.zeros((2, 2, 2), bool)).shape == (0, 2, 3)


def test_a_stroke_changes_no_other_mask_and_brings_no_strange_value():
    before = np.array([0, 0, 7, 7, 3, 3, 3])
    after = np.array([9, 7, 0, 9, 9, 0, 3])
    assert repair_stroke(before, after, box_id=7).tolist() == [7, 7, 0, 7, 3, 3, 3]
