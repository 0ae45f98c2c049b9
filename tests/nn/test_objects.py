import numpy as np

from napari_weak3d.nn.objects import list_objects


def test_a_row_says_class_centre_and_half_open_box():
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1:3, 0:2, 2:5] = 7
    labels[3, 4, 5] = 2
    classes = np.where(labels == 7, 9, 4).astype(np.int32)
    small, large = list_objects(labels, classes=classes)
    assert (large.id, large.class_value, large.centre_vox) == (7, 9, (1.5, 0.5, 3.0))
    assert large.box == ((1, 0, 2), (3, 2, 5))
    assert (small.id, small.class_value, small.box) == (2, 4, ((3, 4, 5), (4, 5, 6)))


def test_objects_without_classes_are_of_class_1():
    (row,) = list_objects(np.ones((1, 1, 1), np.int32), classes=None)
    assert row.class_value == 1


def test_without_objects_there_are_no_rows():
    assert list_objects(np.zeros((2, 3, 4), np.int32), classes=None) == ()
