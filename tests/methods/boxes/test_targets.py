import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.coding import decode
from napari_weak3d.methods.boxes.targets import (
    BACKGROUND,
    IGNORED,
    PAPER_RULE,
    MatchRule,
    clip_truth,
    count_anchors,
    make_targets,
    match_anchors,
)

OURS = MatchRule()


def in_a_row(*starts, length=10.0):
    """Boxes 1 x 1 x ``length`` that begin at these x: their overlaps are easily told."""
    return torch.tensor([[[0.0, 0, start], [1, 1, start + length]] for start in starts])


def slow_paper_match(anchors, truth, *, iou):
    """The paper's rule, anchor by anchor: as sets of positives, for boxes whose best anchors differ."""
    table = [[iou(anchor, box) for box in truth.tolist()] for anchor in anchors.tolist()]
    best_of_box = [max(range(len(anchors)), key=lambda row: table[row][box]) for box in range(len(truth))]
    rows = [int(np.argmax(overlaps)) if max(overlaps) > 0.4 else BACKGROUND for overlaps in table]
    for box, row in enumerate(best_of_box):
        rows[row] = box
    return rows, best_of_box


def test_anchors_above_the_threshold_are_positives_those_just_below_ignored_the_others_background():
    truth = in_a_row(0)
    anchors = in_a_row(0, 2, 5, 8)  # IoU 1, 0.67, 0.33, 0.11
    rule = MatchRule(least=1)
    assert match_anchors(anchors, truth, rule=rule).tolist() == [0, 0, IGNORED, BACKGROUND]
    assert match_anchors(anchors, truth, rule=PAPER_RULE).tolist() == [0, 0, BACKGROUND, BACKGROUND]


def test_the_best_anchor_of_a_box_is_its_positive_however_bad():
    anchors = in_a_row(-9, -8, 30)
    assert match_anchors(anchors, in_a_row(0), rule=PAPER_RULE).tolist() == [BACKGROUND, 0, BACKGROUND]


def test_an_anchor_above_the_threshold_with_two_boxes_goes_to_the_nearer_one():
    anchors = in_a_row(0, 1, 3, 4)
    assert match_anchors(anchors, in_a_row(0, 4), rule=PAPER_RULE).tolist() == [0, 0, 1, 1]


def test_a_thin_box_gets_as_many_anchors_as_it_is_due():
    anchors = in_a_row(*range(-9, 10))
    thin = torch.tensor([[[0.0, 0, 4], [1, 1, 5]]])
    rows = match_anchors(anchors, thin, rule=MatchRule(least=4))
    assert (rows == 0).sum() == 4


def test_anchors_that_do_not_touch_a_box_are_never_its_own():
    assert (match_anchors(in_a_row(20, 40), in_a_row(0), rule=OURS) == BACKGROUND).all()


def test_boxes_that_want_one_anchor_share_what_there_is():
    anchors = in_a_row(0, 3)
    truth = in_a_row(0, 0.5)  # both are best told by the first anchor
    assert match_anchors(anchors, truth, rule=MatchRule(least=1)).tolist() == [0, 1]
    twins = in_a_row(0, 0)
    assert match_anchors(anchors, twins, rule=MatchRule(least=1)).tolist() == [0, 1]


def test_any_boxes_are_matched_by_the_papers_rule_as_in_a_loop(rng, draw_boxes, slow_iou):
    for _ in range(20):
        anchors, truth = draw_boxes(rng, count=120, extent=12), draw_boxes(rng, count=5, extent=12)
        slow, best = slow_paper_match(anchors, truth, iou=slow_iou)
        if len(set(best)) == len(best):  # else the paper does not say
            assert match_anchors(anchors, truth, rule=PAPER_RULE).tolist() == slow


def test_every_box_gets_its_anchors_and_the_ignored_are_those_of_the_band(rng, draw_boxes, slow_iou):
    anchors, truth = draw_boxes(rng, count=300, extent=12), draw_boxes(rng, count=8, extent=12)
    rows = match_anchors(anchors, truth, rule=OURS)
    assert count_anchors(rows, n_boxes=8).min() >= 4
    best = [max(slow_iou(anchor, box) for box in truth.tolist()) for anchor in anchors.tolist()]
    for row, overlap in zip(rows.tolist(), best, strict=True):
        if row == BACKGROUND:
            assert overlap < 0.3
        if row == IGNORED:
            assert 0.3 <= overlap <= 0.4


def test_without_boxes_all_is_background():
    assert match_anchors(in_a_row(0, 1), torch.zeros(0, 2, 3), rule=OURS).tolist() == [BACKGROUND] * 2


def test_an_anchor_on_an_ignored_part_is_no_negative_but_may_be_a_positive():
    part = in_a_row(8, length=4)
    rows = match_anchors(in_a_row(0, 5, 30), in_a_row(0), rule=MatchRule(least=1), ignored=part)
    assert rows.tolist() == [0, IGNORED, BACKGROUND]
    rows = match_anchors(in_a_row(3, 30), in_a_row(3), rule=MatchRule(least=1), ignored=part)
    assert rows.tolist() == [0, BACKGROUND]


def test_a_cut_box_is_learned_if_half_of_it_is_inside_else_ignored():
    boxes = in_a_row(-4, -5, -6, -20, 3)
    found = clip_truth(boxes, ((0, 1), (0, 1), (0, 100)))
    assert found.rows.tolist() == [0, 1, 4]
    assert found.boxes[0].tolist() == [[0, 0, 0], [1, 1, 6]]
    assert found.ignored.tolist() == [[[0, 0, 0], [1, 1, 4]]]


def test_positives_say_class_and_offsets_of_their_box_the_others_none():
    anchors, truth = in_a_row(0, 2, 5, 30), in_a_row(0, 31)
    rows = match_anchors(anchors, truth, rule=MatchRule(least=1))
    targets = make_targets(rows, anchors, truth=truth, classes=torch.tensor([2, 1]))
    assert targets.classes.tolist() == [2, 2, IGNORED, 1]
    told = decode(targets.offsets, anchors)
    torch.testing.assert_close(told[[0, 1, 3]], truth[[0, 0, 1]])
    assert targets.offsets[2].tolist() == [0] * 6
    assert targets.told.tolist() == [True, True, False, True]


def test_ignored_anchors_near_a_box_tell_where_it_lies():
    anchors, truth = in_a_row(0, 5, 8, 60), in_a_row(0, 61)  # IoU 1, 0.33, 0.11, 0.82
    rows = match_anchors(anchors, truth, rule=MatchRule(least=1), ignored=in_a_row(9, length=12))
    assert rows.tolist() == [0, IGNORED, IGNORED, 1]
    targets = make_targets(rows, anchors, truth=truth, classes=torch.tensor([2, 1]), least_told=0.3)
    assert targets.told.tolist() == [True, True, False, True]
    assert targets.classes.tolist() == [2, IGNORED, IGNORED, 1]
    torch.testing.assert_close(decode(targets.offsets, anchors)[1], truth[0])


@pytest.mark.parametrize("rule", [OURS, PAPER_RULE])
def test_no_anchors_are_no_error(rule):
    assert len(match_anchors(torch.zeros(0, 2, 3), in_a_row(0), rule=rule)) == 0


def test_anchors_of_one_object_share_its_weight():
    rows = torch.tensor([0] * 20 + [1] * 10 + [2] + [BACKGROUND] * 3)
    anchors = in_a_row(*range(34))
    targets = make_targets(rows, anchors, truth=in_a_row(0, 50, 90), classes=torch.tensor([1, 1, 1]))
    assert targets.weights[:20].sum() == pytest.approx(1)
    assert targets.weights[20:30].sum() == pytest.approx(1)
    assert targets.weights[30] == 1 / 8  # a box with a single anchor is no eighth of the batch
    assert (targets.weights[31:] == 1).all()
