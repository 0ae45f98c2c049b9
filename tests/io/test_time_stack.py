"""The time points of a series as one array."""

import numpy as np
import pytest

from napari_weak3d.io.time_stack import TimeStack

SHAPE = (3, 4, 5, 6)


@pytest.fixture
def volumes():
    """Time points 0 and 2; 1 is missing."""
    rng = np.random.default_rng(3)
    return {time: rng.integers(0, 255, SHAPE[1:]).astype(np.int32) for time in (0, 2)}


@pytest.fixture
def whole(volumes):
    whole = np.zeros(SHAPE, np.int32)
    for time, volume in volumes.items():
        whole[time] = volume
    return whole


@pytest.mark.parametrize(
    "key",
    [
        0,
        1,
        -1,
        (2, 3),
        (1, slice(None), 2),
        (slice(None), 1),
        (slice(0, 2), slice(1, 3), 2, 0),
        (slice(3, 3),),
        (..., 4),
        (slice(None, None, 2), ..., slice(1, None)),
        (2, 1, 1, 1),
        (np.array([2, 0]),),
    ],
    ids=str,
)
def test_parts_are_those_of_the_whole_array(volumes, whole, key):
    stack = TimeStack(volumes.get, shape=SHAPE, dtype=np.int32)
    assert np.asarray(stack[key]).dtype == np.int32
    np.testing.assert_array_equal(stack[key], whole[key])


def test_only_time_points_that_are_looked_at_are_read(volumes):
    asked = []
    stack = TimeStack(lambda time: (asked.append(time), volumes.get(time))[1], shape=SHAPE, dtype=np.int32)
    assert (stack.size, len(stack), stack.ndim) == (360, 3, 4)
    stack[2, 1]
    assert asked == [2]


def test_what_comes_later_is_there_at_the_next_look(volumes):
    stack = TimeStack(volumes.get, shape=SHAPE, dtype=np.int32)
    assert not stack[1].any()
    volumes[1] = np.full(SHAPE[1:], 7, np.int32)
    assert (np.asarray(stack)[1] == 7).all()
