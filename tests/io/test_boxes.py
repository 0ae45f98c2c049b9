"""Boxes as CSV, their masks as a label image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations import check_boxes, check_drawn, find_spilled, read_boxes, write_boxes
from napari_weak3d.io.volumes import write_labels
from napari_weak3d.types import Boxes, Sample, Volume

HEADER = "z0,y0,x0,z1,y1,x1"
VOLUME = Volume(np.zeros((1, 5, 6, 7)), name="raw")


def save(tmp_path, text):
    path = tmp_path / "nuclei.csv"
    path.write_text(text)
    return path


def save_masks(tmp_path, *painted):
    """A label image with the given (value, z) pairs, each over a whole slice."""
    labels = np.zeros((5, 6, 7), np.int32)
    for value, z in painted:
        labels[z] = value
    write_labels(tmp_path / "masks.tif", labels, spacing=(1, 1, 1), unit="um")
    return tmp_path / "masks.tif"


@settings(max_examples=25)
@given(st.data())
def test_boxes_come_back_with_classes_and_masks(tmp_path_factory, data):
    n = data.draw(st.integers(0, 5))
    # boxes side by side along z, so that masks do not overlap
    corners = np.array([[[i, 1, 2], [i + 1, 3, 5]] for i in range(n)], dtype=np.int64).reshape(-1, 2, 3)
    classes = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)), dtype=np.int64)
    has_mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    masks = np.zeros((5, 6, 7), np.int32)
    for i in np.flatnonzero(has_mask):
        masks[i, 2, 2:4] = i + 1
    folder = tmp_path_factory.mktemp("boxes")
    write_boxes(folder / "a.csv", Boxes(corners, classes, masks, has_mask), masks=folder / "a.tif")
    again = read_boxes(folder / "a.csv", masks=folder / "a.tif")
    np.testing.assert_array_equal(again.corners, corners)
    np.testing.assert_array_equal(again.classes, classes)
    np.testing.assert_array_equal(again.has_mask, has_mask)
    np.testing.assert_array_equal(again.masks, masks)


def test_boxes_alone_have_class_1_and_no_masks(tmp_path):
    boxes = read_boxes(save(tmp_path, f"note,{HEADER}\na,0,1,2,3,4,5\n"))
    np.testing.assert_array_equal(boxes.corners, [[[0, 1, 2], [3, 4, 5]]])
    assert boxes.classes.tolist() == [1]
    assert boxes.masks is None
    assert boxes.has_mask.tolist() == [False]


def test_mask_ids_become_row_numbers(tmp_path):
    path = save(tmp_path, f"{HEADER},mask_id\n0,0,0,1,6,7,900\n1,0,0,2,6,7,\n2,0,0,3,6,7,5\n")
    boxes = read_boxes(path, masks=save_masks(tmp_path, (900, 0), (5, 2)))
    assert boxes.has_mask.tolist() == [True, False, True]
    assert boxes.masks[:, 0, 0].tolist() == [1, 0, 3, 0, 0]


def test_without_a_mask_column_the_row_number_is_the_value(tmp_path):
    path = save(tmp_path, f"{HEADER}\n0,0,0,1,6,7\n1,0,0,2,6,7\n")
    boxes = read_boxes(path, masks=save_masks(tmp_path, (2, 1)))
    assert boxes.has_mask.tolist() == [False, True]
    assert boxes.masks[:, 0, 0].tolist() == [0, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("12,0,0,12,6,7", r"box 2 in nuclei\.csv has zero depth \(z 12 to 12\): remove or redraw it"),
        ("0,5,0,1,4,7", r"box 2 in nuclei\.csv has negative height \(y 5 to 4\)"),
        ("0,0,3,1,6,3", r"zero width \(x 3 to 3\)"),
        ("0,0,0.5,1,6,7", r"line 3 of nuclei\.csv, column x0: 0.5 is not a whole number"),
        ("0,0,a,1,6,7", r"line 3 of nuclei\.csv, column x0: 'a' is not a number"),
        ("0,0,0,1e30,6,7", r"line 3 of nuclei\.csv, column z1: 1e\+30 is beyond 2147483647"),
        ("-99999999999999999999,0,0,1,6,7", r"line 3 of nuclei\.csv, column z0: -1e\+20 is beyond 2147483647"),
        ("0,0,0,2147483648,6,7", r"line 3 of nuclei\.csv, column z1: 2\.14748e\+09 is beyond"),
    ],
)
def test_a_box_that_is_none_is_refused(tmp_path, rows, words):
    with pytest.raises(AnnotationError, match=words):
        read_boxes(save(tmp_path, f"{HEADER}\n0,0,0,1,1,1\n{rows}\n"))


def test_a_missing_column_and_a_class_below_one_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match="no column 'x1'"):
        read_boxes(save(tmp_path, "z0,y0,x0,z1,y1\n0,0,0,1,1\n"))
    with pytest.raises(AnnotationError, match=r"box 1 in nuclei\.csv has class 0"):
        read_boxes(save(tmp_path, f"{HEADER},class\n0,0,0,1,1,1,0\n"))


def test_a_class_that_no_label_image_can_hold_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match=r"line 2 of nuclei\.csv, column class: 1e\+12 is beyond"):
        read_boxes(save(tmp_path, f"{HEADER},class\n0,0,0,1,1,1,1e12\n"))


@pytest.mark.parametrize(
    ("ids", "painted", "words"),
    [
        ((4, 4), [(4, 0)], "boxes 1 and 2 .* both have mask_id 4"),
        ((4, 5), [(4, 0)], r"box 2 .* mask_id 5, which masks\.tif does not hold"),
        ((4, 0), [(4, 0), (6, 1)], r"masks\.tif holds the value 6"),
        ((4, 0), [(4, 1)], "mask of box 1 .* lies outside of it"),
    ],
)
def test_masks_that_do_not_belong_are_refused(tmp_path, ids, painted, words):
    path = save(tmp_path, f"{HEADER},mask_id\n0,0,0,1,6,7,{ids[0]}\n1,0,0,2,6,7,{ids[1]}\n")
    with pytest.raises(AnnotationError, match=words):
        read_boxes(path, masks=save_masks(tmp_path, *painted))


def test_a_mask_may_reach_out_of_its_box_by_half_and_no_more(tmp_path):
    path = save(tmp_path, f"{HEADER}\n0,0,0,2,6,7\n2,0,0,3,6,7\n-1,0,0,2,3,7\n")
    half = read_boxes(path, masks=save_masks(tmp_path, (1, 0), (1, 1), (2, 2), (2, 3)))
    assert find_spilled(half) == [(1, 0.5)]
    assert find_spilled(read_boxes(path)) == []
    with pytest.raises(
        AnnotationError, match=r"67 % of the mask of box 2 in nuclei\.csv lies outside of it \(z 2 to 3"
    ):
        read_boxes(path, masks=save_masks(tmp_path, (2, 2), (2, 3), (2, 4)))


def test_what_is_drawn_for_a_training_is_refused_by_the_same_rule():
    masks = np.zeros((5, 6, 7), np.int32)
    masks[:3] = 1
    boxes = Boxes(np.array([[[0, 0, 0], [1, 6, 7]]]), np.array([1]), masks, np.array([True]))
    with pytest.raises(AnnotationError, match="67 % of the mask of box 1"):
        check_drawn([Sample(VOLUME, boxes)])
    check_drawn([Sample(VOLUME, replace(boxes, corners=np.array([[[0, 0, 0], [2, 6, 7]]])))])


def test_masks_without_a_file_for_them_are_not_dropped(tmp_path):
    boxes = Boxes(np.array([[[0, 0, 0], [1, 1, 1]]]), np.array([1]), np.ones((1, 1, 1), np.int32), np.array([True]))
    with pytest.raises(AnnotationError, match="give a file for the label image"):
        write_boxes(tmp_path / "a.csv", boxes)
    assert list(tmp_path.iterdir()) == []


def test_boxes_outside_the_volume_are_refused():
    def boxes(*corners, masks=None):
        n = len(corners)
        array = np.array(corners, dtype=np.int64).reshape(-1, 2, 3)
        return Boxes(array, np.ones(n, np.int64), masks, np.zeros(n, bool))

    inside = [[0, 0, 0], [5, 6, 7]]
    check_boxes(boxes(inside), VOLUME)
    with pytest.raises(AnnotationError, match="box 2 reaches outside raw: y 0 to 7, the image has 6"):
        check_boxes(boxes(inside, [[0, 0, 0], [5, 7, 7]]), VOLUME)
    with pytest.raises(AnnotationError, match="box 1 reaches outside raw: x -1 to 2"):
        check_boxes(boxes([[0, 0, -1], [5, 6, 2]]), VOLUME)
    with pytest.raises(AnnotationError, match="no boxes"):
        check_boxes(boxes(), VOLUME)
    with pytest.raises(AnnotationError, match="masks are"):
        check_boxes(boxes(inside, masks=np.zeros((5, 6, 8), np.int32)), VOLUME)


def test_boxes_may_be_lists_and_have_corners_and_one_class_each():
    volume = Volume(np.arange(60).reshape(1, 3, 4, 5), name="raw")
    corners = [[[0, 0, 0], [1, 2, 2]], [[1, 1, 1], [3, 4, 5]]]
    check_boxes(Boxes(corners, [1, 2], None, [False, False]), volume)
    with pytest.raises(AnnotationError, match=r"boxes of raw have the shape \(2, 6\): give \(N, 2, 3\)"):
        check_boxes(Boxes(np.reshape(corners, (2, 6)), [1, 2], None, [False, False]), volume)
    with pytest.raises(AnnotationError, match="2 boxes of raw have 1 classes: give one each"):
        check_boxes(Boxes(corners, [1], None, [False, False]), volume)
    with pytest.raises(AnnotationError, match=r"boxes of raw have the shape"):
        check_boxes(Boxes([corners[0], [1, 2]], [1, 2], None, [False, False]), volume)
