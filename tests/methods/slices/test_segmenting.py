"""From classes to objects: components against a plain flood fill, rows against their voxels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.methods.slices.segmenting import label_components, list_objects


def flood(classes, *, smallest):
    """Voxel by voxel, over faces: the set of components of at least this many voxels."""
    left = {tuple(at) for at in np.argwhere(classes >= 0)}
    found = []
    while left:
        todo, component = [left.pop()], set()
        while todo:
            at = todo.pop()
            component.add(at)
            for axis in range(3):
                for step in (-1, 1):
                    near = (*at[:axis], at[axis] + step, *at[axis + 1 :])
                    if near in left and classes[near] == classes[at]:
                        left.remove(near)
                        todo.append(near)
        found.append(frozenset(component))
    return {component for component in found if len(component) >= smallest}


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), smallest=st.integers(0, 6))
def test_components_are_those_of_a_flood_fill(seed, smallest):
    classes = np.random.default_rng(seed).integers(-1, 3, (3, 4, 5))
    labels = label_components(classes, smallest=smallest)
    assert labels.dtype == np.int32
    ids = [value for value in np.unique(labels) if value]
    assert ids == list(range(1, len(ids) + 1))
    assert {frozenset(map(tuple, np.argwhere(labels == value))) for value in ids} == flood(classes, smallest=smallest)


def test_numbers_go_class_by_class():
    classes = np.array([[[2, -1, 1, -1, 2, 2, 1]]])
    assert label_components(classes, smallest=0).tolist() == [[[3, 0, 1, 0, 4, 4, 2]]]


def test_objects_of_different_classes_that_touch_stay_apart():
    assert label_components(np.array([[[1, 1, 2, 2]]]), smallest=0).tolist() == [[[1, 1, 2, 2]]]


def test_background_alone_gives_no_objects():
    labels = label_components(np.full((2, 3, 4), -1), smallest=0)
    assert not labels.any()
    assert list_objects(labels, classes=None) == ()


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
