import math

import pytest
import torch

from napari_weak3d.methods.boxes.config import BoxLoss
from napari_weak3d.methods.boxes.losses import box_losses, mask_loss
from napari_weak3d.methods.boxes.masks import MaskTargets
from napari_weak3d.methods.boxes.targets import IGNORED, AnchorTargets

KINDS = list(BoxLoss)


def targets_of(classes, offsets=None, weights=None):
    told = torch.tensor(classes)
    weights = torch.ones(len(told)) if weights is None else torch.tensor(weights)
    return AnchorTargets(told, torch.zeros(len(told), 6) if offsets is None else offsets, told > 0, weights)


def sure_of(classes, *, n_classes=3):
    return 20.0 * torch.nn.functional.one_hot(torch.tensor(classes).clamp(min=0), n_classes)


def known_everywhere(inside):
    return MaskTargets(inside, torch.ones_like(inside))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_costs_nothing(kind):
    classes = [0, 2, 1, 0, IGNORED]
    losses = box_losses(sure_of(classes), torch.zeros(5, 6), targets=targets_of(classes), kind=kind)
    assert losses.classes < 1e-6
    assert losses.offsets == 0


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_anchors_get_no_gradient(kind):
    logits, offsets = torch.randn(4, 3, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    losses = box_losses(logits, offsets, targets=targets_of([0, 1, IGNORED, 2]), kind=kind)
    (losses.classes + losses.offsets).backward()
    assert (logits.grad[2] == 0).all()
    assert logits.grad[[0, 1, 3]].abs().sum(1).min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_count_for_positives_only(kind):
    offsets = torch.ones(4, 6, requires_grad=True)
    box_losses(torch.zeros(4, 3), offsets, targets=targets_of([0, 1, IGNORED, 2]), kind=kind).offsets.backward()
    assert (offsets.grad[[0, 2]] == 0).all()
    assert (offsets.grad[[1, 3]] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_object_the_background_is_learned(kind):
    logits, offsets = torch.zeros(6, 2, requires_grad=True), torch.zeros(6, 6, requires_grad=True)
    losses = box_losses(logits, offsets, targets=targets_of([0] * 6), kind=kind)
    (losses.classes + losses.offsets).backward()
    assert losses.classes > 0
    assert (logits.grad[:, 0] < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_counted_anchor_the_losses_are_zero(kind):
    losses = box_losses(torch.randn(2, 2), torch.randn(2, 6), targets=targets_of([IGNORED, IGNORED]), kind=kind)
    assert losses.classes == 0
    assert losses.offsets == 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_sure_answers_are_numbers(kind):
    logits = (10 * sure_of([0, 1, 2])).requires_grad_()
    box_losses(logits, torch.zeros(3, 6), targets=targets_of([0, 1, 2]), kind=kind).classes.backward()
    assert logits.grad.isfinite().all()


def test_the_papers_loss_averages_both_terms_over_all_anchors():
    logits = torch.tensor([[0.0, 0], [0, 0], [0, 0], [0, 0]])
    offsets = torch.zeros(4, 6)
    offsets[1, 0] = 3  # smooth L1: 3 - 0.5
    losses = box_losses(logits, offsets, targets=targets_of([0, 1, 0, 0]), kind=BoxLoss.PAPER)
    assert losses.classes == pytest.approx(math.log(2))
    assert losses.offsets == pytest.approx(2.5 / 4)


def test_the_balanced_loss_takes_the_hardest_negatives_only():
    n_easy = 500
    logits = torch.tensor([[0.0, 0]] + [[-5.0, 5]] * 64 + [[5.0, -5]] * n_easy)  # one positive, 64 wrong negatives
    found = box_losses(logits, torch.zeros(565, 6), targets=targets_of([1] + [0] * 564), kind=BoxLoss.BALANCED)
    wrong = math.log(1 + math.exp(10))
    assert found.classes == pytest.approx((math.log(2) + 64 * wrong) / 65, rel=1e-5)


def test_the_focal_loss_is_its_formula():
    logits = torch.tensor([[0.3, -0.2], [1.0, 0.5], [0.1, 0.9]])
    chances = logits.softmax(1)
    right = [chances[0, 1], chances[1, 0], chances[2, 0]]
    weights = [0.25, 0.75, 0.75]
    expected = sum(-w * (1 - p) ** 2 * p.log() for w, p in zip(weights, right, strict=True))
    found = box_losses(logits, torch.zeros(3, 6), targets=targets_of([1, 0, 0]), kind=BoxLoss.FOCAL)
    torch.testing.assert_close(found.classes, expected)


@pytest.mark.parametrize(("classes", "over"), [([0, 0, 0], 4), ([1, 0, 0], 4)])
def test_a_batch_without_objects_weighs_as_much_as_others(classes, over):
    logits = torch.tensor([[0.3, -0.2], [1.0, 0.5], [0.1, 0.9]])
    own, usual = (
        box_losses(
            logits, torch.zeros(3, 6), targets=targets_of(classes), kind=BoxLoss.FOCAL, usual_positives=positives
        ).classes
        for positives in (0, over)
    )
    torch.testing.assert_close(usual, own / over)


def test_boxes_without_a_mask_get_a_mask_gradient_of_exactly_zero():
    logits = torch.randn(3, 4, 4, 4, requires_grad=True)
    has_mask = torch.tensor([True, False, True])
    mask_loss(logits, known_everywhere(torch.rand(3, 4, 4, 4) > 0.5), has_mask=has_mask).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[has_mask] != 0).all()


def test_every_masked_box_counts_alike_and_unmasked_ones_do_not_dilute():
    logits = torch.zeros(3, 2, 2, 2)
    loss = mask_loss(
        logits, known_everywhere(torch.ones(3, 2, 2, 2).bool()), has_mask=torch.tensor([True, False, True])
    )
    assert loss == pytest.approx(math.log(2))


def test_points_that_are_not_known_do_not_count():
    logits = torch.randn(1, 2, 2, 2, requires_grad=True)
    known = torch.ones(1, 2, 2, 2).bool()
    known[0, 0] = False
    mask_loss(logits, MaskTargets(torch.ones_like(known), known), has_mask=torch.tensor([True])).backward()
    assert (logits.grad[0, 0] == 0).all()
    assert (logits.grad[0, 1] != 0).all()


def test_without_any_mask_the_mask_loss_is_zero_and_can_be_stepped_on():
    logits = torch.randn(2, 2, 2, 2, requires_grad=True)
    loss = mask_loss(logits, known_everywhere(torch.ones(2, 2, 2, 2).bool()), has_mask=torch.tensor([False, False]))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_an_object_of_many_anchors_weighs_as_much_as_one_of_few():
    logits, offsets = torch.zeros(5, 2, requires_grad=True), torch.ones(5, 6, requires_grad=True)
    targets = targets_of([1, 1, 1, 1, 0], weights=[1 / 3, 1 / 3, 1 / 3, 1.0, 1.0])
    losses = box_losses(logits, offsets, targets=targets, kind=BoxLoss.FOCAL)
    (losses.classes + losses.offsets).backward()
    for gradient in (logits.grad, offsets.grad):
        torch.testing.assert_close(gradient[:3].sum(0), gradient[3])
    even = box_losses(logits, offsets, targets=targets_of([1, 1, 1, 1, 0]), kind=BoxLoss.FOCAL)
    torch.testing.assert_close(losses.classes, even.classes)  # among themselves only, not against the background
