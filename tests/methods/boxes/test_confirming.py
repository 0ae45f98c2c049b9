"""Faint boxes that the voxel maps confirm."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.confirming import confirm, confirm_boxes
from napari_weak3d.methods.boxes.detections import Detections

SHAPE = (8, 8, 24)
LEFT, RIGHT, BOTH = [[2, 2, 2], [6, 6, 8]], [[2, 2, 8], [6, 6, 14]], [[2, 2, 2], [6, 6, 14]]


def components_of(*boxes):
    labels = np.zeros(SHAPE, np.int32)
    for number, (low, high) in enumerate(boxes, start=1):
        labels[tuple(slice(*along) for along in zip(low, high, strict=True))] = number
    return labels


def scores_of(boxes, scores, components, *, threshold=0.5):
    """Of boxes whose masks fill them."""
    rois = torch.tensor(boxes).float().reshape(-1, 2, 3)
    found = Detections(rois, torch.tensor(scores).float(), torch.ones(len(boxes)).long())
    masks = torch.ones(len(boxes), 4, 4, 4)
    return confirm(found, masks, rois, components, threshold=threshold, cut=0.5).tolist()


def test_a_faint_box_that_is_a_component_is_an_object():
    assert scores_of([LEFT], [0.1], components_of(LEFT)) == [1.0]


def test_the_score_is_the_dice_of_mask_and_component():
    shifted = [[2, 2, 4], [6, 6, 10]]
    assert scores_of([LEFT], [0.1], components_of(shifted)) == pytest.approx([2 * 64 / (96 + 96)])


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85])
def test_what_is_more_like_than_unlike_is_an_object_however_high_the_threshold(threshold):
    shifted = [[2, 2, 4], [6, 6, 10]]
    (score,) = scores_of([LEFT], [0.1], components_of(shifted), threshold=threshold)
    assert score == pytest.approx(threshold + (1 - threshold) / 3)


def test_without_masks_the_surest_of_the_boxes_that_are_much_like_a_component_is_an_object():
    near = [[2, 2, 3], [6, 6, 9]]
    found = Detections(torch.tensor([LEFT, near, RIGHT]).float(), torch.tensor([0.1, 0.2, 0.3]), torch.ones(3).long())
    components = Detections(torch.tensor([LEFT]).float(), torch.ones(1), torch.ones(1).long())
    told = confirm_boxes(found, components)
    assert told.scores.tolist() == pytest.approx([0.1, 1.0, 0.3])
    torch.testing.assert_close(told.boxes, found.boxes)
    assert confirm_boxes(found, components.take(torch.zeros(0).long())).scores.tolist() == found.scores.tolist()
    assert len(confirm_boxes(found.take(torch.zeros(0).long()), components)) == 0


def test_a_component_that_is_little_alike_confirms_nothing_however_low_the_threshold():
    assert scores_of([LEFT], [0.25], components_of([[2, 2, 6], [6, 6, 20]]), threshold=0.1) == [0.25]


def test_a_sure_box_keeps_its_score():
    assert scores_of([LEFT], [0.75], components_of(RIGHT)) == [0.75]


def test_what_objects_leave_of_a_component_speaks_for_the_next():
    merged = components_of(BOTH)
    assert scores_of([RIGHT], [0.125], merged) == pytest.approx([2 / 3])
    assert scores_of([LEFT, RIGHT], [0.75, 0.125], merged) == [0.75, 1.0]


def test_an_object_leaves_nothing_for_its_double():
    assert scores_of([LEFT, LEFT], [0.75, 0.25], components_of(LEFT)) == [1.0, 0.25]


def test_without_components_or_boxes_nothing_changes():
    assert scores_of([LEFT], [0.25], components_of()) == [0.25]
    assert scores_of([], [], components_of(LEFT)) == []
