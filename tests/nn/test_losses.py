"""Losses: worked examples, and what is stored on unlabelled voxels never matters."""

import math

import pytest
import torch

from napari_weak3d.nn.losses import balance_classes, dice_loss, map_loss, softmax_loss

SHAPE = (2, 3, 2, 4, 5)  # B, K, Z, Y, X
WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def draw(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SHAPE, generator=generator)
    labels = torch.randint(0, 3, (2, 2, 4, 5), generator=generator)
    known = torch.rand(labels.shape, generator=generator) < 0.4
    return logits, labels, known


def gradient(loss, logits):
    logits = logits.clone().requires_grad_()
    loss(logits).backward()
    return logits.grad


def all_losses(logits, labels, known):
    maps = (labels[:, None] == 1).float()
    return {
        "softmax": lambda x: softmax_loss(x, labels, known=known, class_weights=WEIGHTS),
        "dice": lambda x: dice_loss(x, labels, known=known),
        "map": lambda x: map_loss(x[:, :1], maps, known=known, weights=torch.ones(labels.shape)),
    }


@pytest.mark.parametrize("name", ["softmax", "dice", "map"])
@pytest.mark.parametrize("stored", [0, 2, -1, 77])
def test_changing_the_stored_label_of_unlabelled_voxels_changes_no_gradient(name, stored):
    logits, labels, known = draw()
    changed = torch.where(known, labels, stored)
    before = gradient(all_losses(logits, labels, known)[name], logits)
    after = gradient(all_losses(logits, changed, known)[name], logits)
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", ["softmax", "dice", "map"])
def test_unlabelled_voxels_get_no_gradient_and_labelled_ones_do(name):
    logits, labels, known = draw()
    found = gradient(all_losses(logits, labels, known)[name], logits).abs().sum(1)
    assert (found[~known] == 0).all()
    assert (found[known] > 0).all()


@pytest.mark.parametrize("name", ["softmax", "map"])
def test_a_batch_without_labels_has_loss_0_and_no_gradient(name):
    logits, labels, known = draw()
    loss = all_losses(logits, labels, torch.zeros_like(known))[name]
    assert loss(logits) == 0
    assert (gradient(loss, logits) == 0).all()


def test_softmax_loss_is_the_weighted_mean_over_labelled_voxels():
    # Class 0 is given 3/4 of a voxel of class 0, and 1/2 of a voxel of class 1; the third voxel is unlabelled.
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0], [9.0, -9.0]]).T.reshape(1, 2, 1, 1, 3)
    labels = torch.tensor([0, 1, 1]).reshape(1, 1, 1, 3)
    known = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    loss = softmax_loss(logits, labels, known=known, class_weights=torch.tensor([1.0, 5.0]))
    expected = (1 * -math.log(3 / 4) + 5 * -math.log(1 / 2)) / 6
    assert loss.item() == pytest.approx(expected)


def test_dice_loss_counts_overlap_over_sums_of_each_class_but_the_first():
    # Probabilities of class 1: 1/2, 1/2, and an unlabelled voxel; truth: 1, 0.
    logits = torch.zeros(1, 2, 1, 1, 3)
    logits[0, 1, 0, 0, 2] = 50
    labels = torch.tensor([1, 0, 0]).reshape(1, 1, 1, 3)
    known = torch.tensor([True, True, False]).reshape(1, 1, 1, 3)
    dice = (2 * 0.5 + 1) / (0.5 + 0.5 + 1 + 1)
    assert dice_loss(logits, labels, known=known).item() == pytest.approx(1 - dice)


def test_dice_loss_of_a_sure_and_right_prediction_is_0():
    _, labels, known = draw()
    logits = 60 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert dice_loss(logits, labels, known=known).item() == pytest.approx(0, abs=1e-6)


def test_map_loss_is_square_for_small_errors_and_absolute_for_large_ones():
    logits = torch.zeros(1, 1, 1, 1, 2)  # sigmoid 0.5
    maps = torch.tensor([0.55, 1.0]).reshape(1, 1, 1, 1, 2)  # errors 0.05 and 0.5
    known = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    weights = torch.tensor([3.0, 1.0]).reshape(1, 1, 1, 2)
    expected = (3 * 0.5 * 0.05**2 / 0.1 + 1 * (0.5 - 0.1 / 2)) / 4
    assert map_loss(logits, maps, known=known, weights=weights).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_by_hand():
    # Shares 0.9 and 0.1. Full strength: 1/0.9 and 1/0.1, over their mean over the voxels, 2.
    counts = torch.tensor([90, 10])
    assert torch.allclose(balance_classes(counts, strength=1), torch.tensor([5 / 9, 5.0]))
    # Half strength: 1/sqrt(0.9) and 1/sqrt(0.1), over sqrt(0.9) + sqrt(0.1) = 4/sqrt(10).
    assert torch.allclose(balance_classes(counts, strength=0.5), torch.tensor([5 / 6, 2.5]))
    assert torch.equal(balance_classes(counts, strength=0), torch.ones(2))


def test_a_class_without_voxels_weighs_as_much_as_an_even_one():
    weights = balance_classes(torch.tensor([50, 50, 0]), strength=1)
    assert torch.isfinite(weights).all()
    assert torch.allclose(weights, torch.tensor([1.0, 1.0, 0.5]))


def test_weights_without_any_voxel_are_finite():
    assert torch.isfinite(balance_classes(torch.tensor([0, 0]), strength=0.5)).all()
