"""Slices of painted labels, against slow plain versions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.app.tools.planes import (
    attribute,
    covered,
    holds_paint,
    name_of,
    next_spaced,
    plane_of,
    rename,
    values_in,
    values_in_volume,
    voxels_in,
)

pytestmark = pytest.mark.window
SHAPE = (5, 7, 9)


def make_labels(*planes):
    labels = np.zeros(SHAPE, np.int32)
    for number, (axis, index) in enumerate(planes, start=1):
        plane_of(labels, (axis, index))[0:5, 1:5] = number
    return labels


def test_a_slice_is_named_by_axis_and_index():
    assert [name_of((axis, 3)) for axis in range(3)] == ["z 3", "y 3", "x 3"]


@pytest.mark.parametrize("axis", range(3))
def test_voxels_of_a_mask_in_a_slice_are_where_the_mask_is(axis):
    labels = make_labels((axis, 2))
    mask = plane_of(labels, (axis, 2)) > 0
    again = np.zeros(SHAPE, np.int32)
    again[voxels_in((axis, 2), mask)] = 1
    np.testing.assert_array_equal(again, labels)


def test_paint_on_complete_slices_is_not_that_of_slices_that_cross_them():
    labels = make_labels((0, 3))
    assert holds_paint(labels, (1, 2), complete=())
    assert not holds_paint(labels, (1, 2), complete=[(0, 3)])
    labels[1, 2, 5] = 1
    assert holds_paint(labels, (1, 2), complete=[(0, 3)])


@settings(derandomize=True, deadline=None, max_examples=40)
@given(which=st.tuples(st.integers(0, 2), st.integers(0, 4)), seed=st.integers(0, 1000))
def test_a_slice_holds_paint_as_counted_voxel_by_voxel(which, seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random(SHAPE) < 0.05).astype(np.int32)
    complete = [(int(rng.integers(3)), int(rng.integers(5))) for _ in range(3)]
    expected = any(
        labels[voxel] and voxel[which[0]] == which[1] and not any(voxel[a] == i for a, i in complete if a != which[0])
        for voxel in np.ndindex(*SHAPE)
    )
    assert holds_paint(labels, which, complete=complete) == expected


@pytest.mark.parametrize("largest", [5, 3_000_000])
def test_values_are_listed_once_and_negative_ones_as_unpainted(largest):
    assert values_in(np.array([[largest, 2], [2, -4]])) == [0, 2, largest]


def test_values_of_a_volume_are_those_of_all_its_slices():
    assert values_in_volume(make_labels((0, 2), (1, 4), (2, 8))) == [1, 2, 3]


def test_paint_in_a_few_slices_of_all_axes_is_attributed_to_them():
    planes = ((0, 2), (1, 4), (2, 7))
    assert attribute(make_labels(*planes)) == planes


def test_paint_on_complete_slices_is_attributed_to_nothing():
    assert attribute(make_labels((0, 2), (1, 4)), complete=[(1, 4)]) == ((0, 2),)


def test_paint_that_fills_the_volume_is_attributed_to_z():
    assert attribute(np.ones(SHAPE, np.int32)) == tuple((0, z) for z in range(5))


def test_no_paint_is_attributed_to_nothing():
    assert attribute(np.zeros(SHAPE, np.int32)) == ()


def test_slices_chosen_one_after_another_stay_evenly_spaced():
    taken = []
    for _ in range(3):
        taken.append(next_spaced((16, 8, 8), taken))
    assert taken == [(0, 8), (0, 4), (0, 12)]


def test_there_is_no_next_slice_when_all_are_taken():
    assert next_spaced((2, 8, 8), [(0, 0), (0, 1)]) is None
    assert next_spaced((2, 8, 8), [(0, 0), (0, 1)], axis=1) == (1, 4)


def test_the_share_covered_counts_crossings_once():
    complete = [(0, 1), (1, 3), (1, 5), (2, 0)]
    mask = np.zeros(SHAPE, bool)
    for which in complete:
        plane_of(mask, which)[...] = True
    assert covered(SHAPE, complete) == pytest.approx(mask.mean())


def test_labels_take_the_id_that_they_cover_most():
    labels = np.array([4, 4, 4, 4, 4, 0, 2])
    painted = np.array([0, 1, 1, 3, 0, 3, 0], np.int32)
    np.testing.assert_array_equal(rename(labels, painted, first_id=8), [1, 1, 1, 1, 1, 0, 8])
