"""Shapes without any mask to learn from."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.geometry import pad_boxes
from napari_weak3d.methods.boxes.guessing import guess_masks
from napari_weak3d.methods.boxes.masks import paste_masks
from napari_weak3d.metrics import instance_scores

SHAPE = (20, 40, 40)
PADDING = 0.15


@pytest.fixture
def labels():
    """A ball and a cube, apart."""
    z, y, x = np.ogrid[:20, :40, :40]
    drawn = ((z - 10) ** 2 + (y - 10) ** 2 + (x - 10) ** 2 < 64).astype(np.int32)
    drawn[4:16, 22:36, 22:36] = 2
    return drawn


BOXES = torch.tensor([[[3.0, 3, 3], [18, 18, 18]], [[4, 22, 22], [16, 36, 36]]])


def guess(image, boxes=BOXES):
    rois = pad_boxes(boxes, share=PADDING)
    masks = guess_masks(np.stack([image, image * 0]).astype(np.float32), rois, size=16, padding=PADDING)
    return paste_masks(masks, rois, shape=SHAPE).labels


def test_where_brightness_tells_nothing_boxes_are_filled_with_ellipsoids(labels):
    found = guess(np.random.default_rng(0).normal(0, 1, SHAPE))
    assert instance_scores(found == 1, labels == 1).iou > 0.8
    assert instance_scores(found, labels).f1 == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_where_it_does_what_looks_like_the_middle_is_the_object(labels, sign):
    image = np.random.default_rng(0).normal(0, 0.3, SHAPE) + sign * 3 * (labels > 0)
    roomy = BOXES + torch.tensor([[[-2.0]], [[2.0]]]).reshape(1, 2, 1)
    with_image = instance_scores(guess(image, roomy), labels).seg
    without = instance_scores(guess(image * 0, roomy), labels).seg
    assert with_image > without + 0.05


def test_boxes_over_the_border_and_no_boxes_are_no_error():
    image = np.random.default_rng(0).normal(0, 1, SHAPE)
    beyond = torch.tensor([[[-5.0, -5, 30], [5, 10, 45]]])
    assert set(np.unique(guess(image, beyond))) == {0, 1}
    assert guess(image, torch.zeros(0, 2, 3)).max() == 0
