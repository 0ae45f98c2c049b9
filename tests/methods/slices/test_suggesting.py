"""Which slice to paint next, on uncertainty drawn by hand."""

import numpy as np
import pytest

from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.methods.slices.suggesting import rank_slices
from napari_weak3d.types import Prediction, Sample, Slices, Volume

SHAPE = (20, 6, 8)


def rank(per_plane, *, annotated=(), count=3, stack_axis=0, paint="classes"):
    """Suggestions where each plane along the stack has this uncertainty."""
    uncertainty = np.moveaxis(np.zeros(SHAPE, np.float32), stack_axis, 0)
    uncertainty += np.asarray(per_plane, np.float32)[:, None, None]
    prediction = Prediction(np.zeros(SHAPE, np.int32), uncertainty=np.moveaxis(uncertainty, 0, stack_axis))
    sample = Sample(Volume(np.zeros((1, *SHAPE))), Slices(np.zeros(SHAPE, np.int32), annotated=tuple(annotated)))
    scheme = Scheme(paint, (), stack_axis, 1, (1.0, 1.0, 1.0), "um")
    return rank_slices(prediction, sample, scheme=scheme, count=count)


def test_the_least_sure_slice_comes_first():
    unsure = np.full(20, 0.1)
    unsure[13] = 0.9
    assert rank(unsure, annotated=[(0, 2)], count=1) == ((0, 13),)


def test_evenly_unsure_slices_are_suggested_far_from_what_is_painted():
    (first, second) = rank(np.ones(20), annotated=[(0, 0)], count=2)
    assert first == (0, 19)
    assert 7 <= second[1] <= 12


def test_a_slice_next_to_a_painted_one_is_worth_less():
    unsure = np.full(20, 0.1)
    unsure[6], unsure[14] = 0.5, 0.4
    assert rank(unsure, annotated=[(0, 5)], count=1) == ((0, 14),)


@pytest.mark.parametrize("count", [1, 5, 17, 40])
def test_complete_slices_are_never_suggested_and_none_twice(count):
    annotated = [(0, 3), (0, 4), (0, 18)]
    chosen = rank(np.random.default_rng(0).random(20), annotated=annotated, count=count)
    assert len(set(chosen)) == len(chosen) == min(count, 17)
    assert not set(chosen) & set(annotated)


@pytest.mark.parametrize("stack_axis", [1, 2])
def test_slices_lie_along_the_stack(stack_axis):
    unsure = np.full(SHAPE[stack_axis], 0.1)
    unsure[4] = 0.9
    assert rank(unsure, annotated=[(0, 1)], count=1, stack_axis=stack_axis) == ((stack_axis, 4),)


@pytest.mark.parametrize(("paint", "axes"), [("classes", {0, 2}), ("objects", {2})])
def test_slices_of_every_axis_with_complete_ones_are_suggested_where_they_teach(paint, axes):
    annotated = [(0, 5), (2, 1)]
    chosen = rank(np.ones(8), annotated=annotated, stack_axis=2, count=30, paint=paint)
    assert {axis for axis, _ in chosen} == axes
    assert len(set(chosen)) == len(chosen) == sum(SHAPE[axis] - 1 for axis in axes)
    assert not set(chosen) & set(annotated)


def test_the_surest_axis_waits():
    unsure = np.full(8, 0.1)
    unsure[6] = 0.9  # an x slice; every z slice holds an eighth of it
    assert rank(unsure, annotated=[(0, 10), (2, 0)], count=1, stack_axis=2) == ((2, 6),)


def test_where_nothing_is_painted_the_least_sure_slice_comes_first_and_the_next_is_not_beside_it():
    unsure = np.full(20, 0.1)
    unsure[9], unsure[10], unsure[17] = 0.9, 0.8, 0.7
    assert rank(unsure, count=2) == ((0, 9), (0, 17))


def test_where_everything_is_painted_nothing_is_suggested():
    assert rank(np.ones(20), annotated=[(0, index) for index in range(20)]) == ()


def test_a_model_that_is_sure_of_everything_still_suggests():
    chosen = rank(np.zeros(20), annotated=[(0, 10)], count=2)
    assert len(set(chosen)) == 2
    assert (0, 10) not in chosen
