"""Who gets the voxels that several drawn boxes claim."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.geometry import pad_boxes
from napari_weak3d.methods.boxes.guessing import guess_masks
from napari_weak3d.methods.boxes.segmenting import count_lost
from napari_weak3d.methods.boxes.settling import give_back, paste_drawn

SHAPE = (16, 16, 16)
PADDING = 0.15
LARGE, MIDDLE, SMALL = [[0, 0, 0], [16, 16, 16]], [[3, 3, 3], [13, 13, 13]], [[6, 6, 6], [10, 10, 10]]


def settle(*boxes, fixed=None):
    """Labels of drawn boxes of which only the generic shape is known."""
    drawn = torch.tensor(boxes).float()
    rois = pad_boxes(drawn, share=PADDING)
    masks = guess_masks(np.zeros((2, *SHAPE), np.float32), rois, size=12, padding=PADDING)
    labels = paste_drawn(masks, rois, n_drawn=len(drawn), shape=SHAPE, threshold=0.5).labels
    fixed = np.zeros(SHAPE, bool) if fixed is None else fixed
    return give_back(labels, masks, rois, rows=range(len(drawn)), fixed=fixed, threshold=0.5)


@pytest.mark.parametrize("boxes", [(LARGE, MIDDLE, SMALL), (SMALL, LARGE, MIDDLE)])
def test_boxes_inside_each_other_each_have_an_object(boxes):
    labels = settle(*boxes)
    assert count_lost(labels, n_drawn=3) == 0
    assert labels[8, 8, 8] == boxes.index(SMALL) + 1
    assert labels[8, 8, 4] == boxes.index(MIDDLE) + 1
    assert labels[8, 8, 1] == boxes.index(LARGE) + 1


def test_boxes_that_are_the_same_have_one_object_and_the_other_is_counted():
    labels = settle(SMALL, SMALL)
    assert count_lost(labels, n_drawn=2) == 1
    assert set(np.unique(labels)) == {0, 1}


def test_voxels_of_painted_masks_stay_theirs():
    fixed = np.zeros(SHAPE, bool)
    fixed[6:10, 6:10, 6:10] = True
    labels = settle(LARGE, SMALL, fixed=fixed)
    assert count_lost(labels, n_drawn=2) == 1


def test_of_equally_probable_boxes_the_smaller_one_wins():
    rois = torch.tensor([LARGE, SMALL]).float()
    labels = paste_drawn(torch.ones(2, 4, 4, 4), rois, n_drawn=2, shape=SHAPE, threshold=0.5).labels
    assert np.count_nonzero(labels == 2) == 64
    assert (labels > 0).all()
    found = paste_drawn(torch.ones(2, 4, 4, 4), rois, n_drawn=0, shape=SHAPE, threshold=0.5).labels
    assert (found == 1).all(), "what was found goes by its score"
