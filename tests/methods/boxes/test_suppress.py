import torch

from napari_weak3d.methods.boxes.suppress import suppress


def slow_suppress(boxes, scores, *, threshold, iou, classes=None):
    """Box after box, the best first: kept if no kept one of its class overlaps it too much."""
    kept, boxes = [], boxes.tolist()
    for row in sorted(range(len(scores)), key=lambda row: (-float(scores[row]), row)):
        rivals = [other for other in kept if classes is None or classes[other] == classes[row]]
        if all(iou(boxes[row], boxes[other]) <= threshold for other in rivals):
            kept.append(row)
    return kept


def test_of_two_boxes_that_overlap_the_better_stays():
    boxes = torch.tensor([[[0.0, 0, 0], [4, 4, 4]], [[0, 0, 1], [4, 4, 5]], [[9, 9, 9], [10, 10, 10]]])
    assert suppress(boxes, torch.tensor([0.5, 0.9, 0.7]), threshold=0.3).tolist() == [1, 2]


def test_a_suppressed_box_suppresses_nothing():
    low = torch.tensor([0.0, 2, 4])[:, None] * torch.tensor([0, 0, 1])
    row = torch.stack([low, low + 4], dim=1)  # each shares a third with the next
    assert suppress(row, torch.tensor([0.9, 0.8, 0.7]), threshold=0.3).tolist() == [0, 2]


def test_of_equal_boxes_the_first_stays():
    boxes = torch.tensor([[[0.0, 0, 0], [2, 2, 2]]]).repeat(3, 1, 1)
    assert suppress(boxes, torch.ones(3), threshold=0.5).tolist() == [0]


def test_no_boxes_leave_none():
    assert suppress(torch.zeros(0, 2, 3), torch.zeros(0), threshold=0.5).tolist() == []


def test_any_boxes_come_out_as_from_a_loop_over_pairs(rng, draw_boxes, slow_iou):
    for extent in (5, 20, 60):  # nearly all suppressed, some, few; more than one block of them
        boxes = draw_boxes(rng, count=300, extent=extent)
        scores = torch.from_numpy(rng.uniform(size=300)).float()
        slow = slow_suppress(boxes, scores, threshold=0.2, iou=slow_iou)
        assert suppress(boxes, scores, threshold=0.2).tolist() == slow


def test_classes_suppress_only_their_own(rng, draw_boxes, slow_iou):
    boxes, scores = draw_boxes(rng, count=150, extent=10), torch.from_numpy(rng.uniform(size=150)).float()
    classes = torch.from_numpy(rng.integers(1, 4, 150))
    slow = slow_suppress(boxes, scores, threshold=0.1, iou=slow_iou, classes=classes)
    assert suppress(boxes, scores, threshold=0.1, classes=classes).tolist() == slow
