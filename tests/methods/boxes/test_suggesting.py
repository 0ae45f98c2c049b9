"""Which object to mask next."""

import numpy as np
import pytest

from napari_weak3d.methods.boxes.suggesting import rank_boxes, rank_slices
from napari_weak3d.types import Boxes, Prediction, Sample, Volume

SHAPE = (12, 8, 8)


@pytest.fixture
def sample():
    """Four boxes above each other, the first with a mask."""
    corners = np.array([[[z, 1, 1], [z + 3, 7, 7]] for z in (0, 3, 6, 9)])
    boxes = Boxes(corners, np.ones(4, np.int64), None, np.array([True, False, False, False]))
    return Sample(Volume(np.zeros((1, *SHAPE), np.float32)), boxes)


@pytest.fixture
def prediction():
    unsure = np.zeros(SHAPE, np.float32)
    unsure[0:3], unsure[3:6], unsure[6:9], unsure[9:12] = 1, 0.2, 0.8, 0.5
    return Prediction(np.zeros(SHAPE, np.int32), uncertainty=unsure)


def test_the_boxes_of_most_doubt_come_first_and_none_that_has_a_mask(prediction, sample):
    assert rank_boxes(prediction, sample, count=2) == (2, 3)
    assert rank_boxes(prediction, sample, count=9) == (2, 3, 1)


def test_slices_go_through_their_middles_and_then_where_doubt_is(prediction, sample):
    chosen = rank_slices(prediction, sample, count=5)
    assert chosen[:3] == ((0, 7), (0, 10), (0, 4))
    assert len(set(chosen)) == 5
    assert len(rank_slices(prediction, sample, count=50)) == 12
