import pytest
import torch

from napari_weak3d.methods.boxes.coding import encode
from napari_weak3d.methods.boxes.detections import Detections, concatenate, read_detections

ANCHORS = torch.tensor([[[0.0, 0, 0], [4, 4, 4]], [[8, 0, 0], [12, 4, 4]], [[0, 8, 0], [4, 12, 4]]])


def test_sure_anchors_give_their_boxes_with_class_and_score_the_best_first():
    truth = ANCHORS + torch.tensor([1.0, 0, 2])
    logits = torch.tensor([[0.0, 0, 2], [9, 0, 0], [0, 5, 0]])
    found = read_detections(logits, encode(truth, ANCHORS), anchors=ANCHORS, least_score=0.3)
    assert found.classes.tolist() == [1, 2]
    torch.testing.assert_close(found.boxes, truth[[2, 0]])
    torch.testing.assert_close(found.scores, logits.softmax(1)[[2, 0], [1, 2]])


def test_of_the_anchors_of_a_location_the_best_of_each_class_counts():
    there = torch.tensor([[2.0, 2, 2], [2, 2, 2], [2, 2, 2], [2.5, 2, 2]])
    halves = torch.tensor([1.0, 1.3, 1.7, 1.3])[:, None]
    anchors = torch.stack([there - halves, there + halves], dim=1)
    logits = torch.tensor([[0.0, 2, 0], [0, 3, 0], [0, 0, 1.5], [0, 1, 0]])
    found = read_detections(logits, torch.zeros(4, 6), anchors=anchors, least_score=0.0)
    torch.testing.assert_close(found.boxes, anchors[[1, 2, 3]])
    assert found.classes.tolist() == [1, 2, 1]


def test_no_anchors_tell_nothing():
    assert len(read_detections(torch.zeros(0, 2), torch.zeros(0, 6), anchors=torch.zeros(0, 2, 3), least_score=0)) == 0


def test_an_object_that_a_hundred_thousand_anchors_tell_crowds_out_no_other():
    crowd, faint = 100_000, 0.2
    anchors = torch.cat([ANCHORS[:1] + torch.linspace(0, 1, crowd)[:, None, None] % 0.04, ANCHORS[1:2]])
    logits = torch.tensor([[0.0, 3]]).repeat(crowd + 1, 1)
    logits[-1] = torch.tensor([1 - faint, faint]).log()
    found = read_detections(logits, torch.zeros(crowd + 1, 6), anchors=anchors, least_score=0.1)
    left = found.suppressed(threshold=0.3)
    torch.testing.assert_close(left.boxes, ANCHORS[:2], atol=0.05, rtol=0)
    assert left.scores[1].item() == pytest.approx(faint)


def test_parts_behind_each_other_can_be_taken_apart_again():
    part = Detections(ANCHORS, torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 2, 3]))
    both = concatenate([part, part])
    assert len(both) == 6
    assert both.take(torch.tensor([4])).classes.tolist() == [2]


def test_suppression_keeps_the_best_of_each_class():
    twice = Detections(ANCHORS[[0, 0, 0]], torch.tensor([0.5, 0.9, 0.7]), torch.tensor([1, 1, 2]))
    assert twice.suppressed(threshold=0.3).scores.tolist() == torch.tensor([0.9, 0.7]).tolist()
