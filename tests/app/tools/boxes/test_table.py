"""The table of boxes: every change gives a new one."""

import numpy as np

from napari_weak3d.app.tools.boxes.table import boxes_of, clip_corners, empty_table, push_inside

A, B = [[1, 2, 3], [4, 6, 8]], [[0, 0, 0], [2, 2, 2]]


def two_boxes():
    return empty_table().with_boxes(np.array([A, B]), [1, 2])


def test_ids_run_on_and_are_never_given_twice():
    table = two_boxes()
    assert table.ids.tolist() == [1, 2]
    again = table.without([2]).with_boxes(np.array([B]), [1])
    assert again.ids.tolist() == [1, 3]
    assert table.ids.tolist() == [1, 2], "a change leaves the table as it was"


def test_a_class_that_comes_with_boxes_gets_a_row():
    assert [(row.value, row.name) for row in two_boxes().rows] == [(1, "object"), (2, "class 2")]
    assert len({row.color for row in two_boxes().rows}) == 2


def test_corners_classes_and_marks_go_to_the_boxes_that_are_named():
    table = two_boxes().with_corners([2], np.array([A])).with_class([1], 5).with_done([2], True)
    assert table.corners.tolist() == [A, A]
    assert table.classes.tolist() == [5, 2]
    assert table.done.tolist() == [False, True]
    assert table.corners_of(2).tolist() == A
    assert table.corners_of(7) is None


def test_a_class_is_removed_with_its_boxes_and_the_last_one_stays():
    table = two_boxes().without_class(2)
    assert (table.ids.tolist(), [row.value for row in table.rows]) == ([1], [1])
    assert table.without_class(1) == table
    assert [row.value for row in table.with_new_class().rows] == [1, 2]


def test_equal_tables_are_equal():
    assert two_boxes() == two_boxes()
    assert two_boxes() != two_boxes().with_done([1], True)
    assert two_boxes() != two_boxes().with_region(((0, 1), (0, 2), (0, 3)))


def test_boxes_are_cut_to_the_volume_turned_the_right_way_and_never_flat():
    corners = np.array([[[4, 6, 8], [1, 2, 3]], [[-3, 5, 5], [2, 5, 5]], [[9, 50, 9], [12, 60, 99]]])
    assert clip_corners(corners, (10, 20, 30)).tolist() == [
        [[1, 2, 3], [4, 6, 8]],
        [[0, 5, 5], [2, 6, 6]],
        [[9, 19, 9], [10, 20, 30]],
    ]


def test_boxes_are_pushed_into_the_volume_with_their_size():
    corners = np.array([[[-2, 3, 28], [1, 5, 33]], [[0, 0, 0], [12, 2, 2]]])
    assert push_inside(corners, (10, 20, 30)).tolist() == [[[0, 3, 25], [3, 5, 30]], [[0, 0, 0], [10, 2, 2]]]


def test_the_engine_gets_masks_numbered_by_row_and_hears_which_are_done():
    table = two_boxes().without([1]).with_boxes(np.array([A]), [1]).with_done([3], True)
    masks = np.zeros((5, 7, 9), np.int32)
    masks[0, 0, 0], masks[2, 3, 4] = 2, 3
    boxes = boxes_of(table, masks)
    assert boxes.corners.tolist() == [B, A]
    assert boxes.has_mask.tolist() == [False, True]
    assert np.argwhere(boxes.masks).tolist() == [[0, 0, 0], [2, 3, 4]]
    assert (boxes.masks[0, 0, 0], boxes.masks[2, 3, 4]) == (1, 2)
    assert boxes_of(two_boxes(), np.zeros((2, 2, 2), np.int32)).masks is None
