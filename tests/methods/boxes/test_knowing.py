"""Drawn boxes where they are known."""

import numpy as np
import torch

from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.knowing import add_known, tell_unknown
from napari_weak3d.methods.boxes.scheme import KnownBoxes, Scheme, make_classes
from napari_weak3d.types import Boxes

DRAWN = Boxes(np.array([[[0, 0, 0], [4, 4, 4]]]), np.array([5]), None, np.zeros(1, bool))
SCHEME = Scheme(1, (1, 1, 1), "um", make_classes([DRAWN]), (1, 1, 1), (), (4, 4, 4), (4, 4, 4), 0.3)


def add(boxes, scores, region=None):
    found = Detections(torch.tensor(boxes).float(), torch.tensor(scores), torch.ones(len(scores)).long())
    return add_known(found, KnownBoxes("", DRAWN, region), scheme=SCHEME, suppress_iou=0.3)


SAME, ELSEWHERE = [[0, 0, 0], [4, 4, 3]], [[10, 10, 10], [14, 14, 14]]


def test_a_drawn_box_takes_the_place_of_what_was_found_there():
    kept = add([SAME], [0.99])
    assert kept.boxes.tolist() == [[[0, 0, 0], [4, 4, 4]]]
    assert kept.scores.tolist() == [1]
    assert kept.classes.tolist() == [1]


def test_where_all_are_boxed_only_what_is_sure_comes_as_well():
    assert len(add([ELSEWHERE], [0.6])) == 1
    assert len(add([ELSEWHERE], [0.9])) == 2


def test_outside_of_the_region_everything_that_was_found_stays():
    region = ((0, 8), (0, 8), (0, 8))
    assert len(add([ELSEWHERE, [[5, 5, 5], [7, 7, 7]]], [0.6, 0.6], region)) == 2


def test_classes_that_the_model_does_not_know_are_told():
    drawn = Boxes(np.repeat(DRAWN.corners, 4, axis=0), np.array([9, 5, 3, 9]), None, np.zeros(4, bool))
    assert tell_unknown(KnownBoxes("", drawn), scheme=SCHEME) == [
        "1 box is of class 3, which the model does not know: taken for class 5",
        "2 boxes are of class 9, which the model does not know: taken for class 5",
    ]
    assert tell_unknown(KnownBoxes("", DRAWN), scheme=SCHEME) == []
