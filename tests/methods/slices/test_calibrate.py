"""What held-out slices decide, on log-probabilities made by hand."""

import numpy as np
import pytest

from napari_weak3d.methods.slices.calibrate import HeldOut, choose_biases, choose_paint_weight, mean_iou
from napari_weak3d.nn.warp import UNLABELLED

EVEN = (1.0, 1.0)


def held_out(truth, log_probabilities, *, plane=0, dense=None):
    dense = np.asarray(truth)[None].clip(0) if dense is None else dense
    return HeldOut(
        plane, np.asarray(log_probabilities, np.float32), np.asarray(truth, np.int16), dense.astype(np.int32)
    )


def test_mean_iou_by_hand():
    guess = np.array([[1, 1, 0, 2, 2, 0]])
    truth = np.array([[1, 0, 0, 2, 1, UNLABELLED]], np.int16)
    # Class 1: 1 of {0, 1, 4}; class 2: 1 of {3, 4}; background does not count, nor does the unlabelled voxel.
    assert mean_iou([guess], [truth], n_classes=3) == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_mean_iou_takes_all_planes_together():
    truth = np.array([[1, 1, 1, 1]], np.int16), np.array([[1, 0, 0, 0]], np.int16)
    guess = np.array([[1, 1, 1, 1]]), np.array([[0, 0, 0, 0]])
    assert mean_iou(guess, truth, n_classes=2) == pytest.approx(4 / 5)


def test_a_class_that_is_neither_there_nor_predicted_does_not_count():
    flat = np.array([[1, 0]])
    assert mean_iou([flat], [flat.astype(np.int16)], n_classes=3) == 1
    assert np.isnan(mean_iou([flat * 0], [flat.astype(np.int16) * 0], n_classes=3))


def test_without_held_out_slices_there_is_no_bias():
    assert choose_biases([], n_classes=3).tolist() == [0, 0, 0]


def timid(shift, *, n=2000, seed=0):
    """A plane whose class 1 is predicted with log-odds that are ``shift`` too low."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((20, n // 20)) < 0.3).astype(np.int16)
    odds = np.where(truth == 1, 1.0, -1.0) + rng.normal(0, 0.4, truth.shape) - shift
    return held_out(truth, [np.zeros(truth.shape), odds])


@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_a_bias_undoes_what_the_network_is_too_timid_or_too_bold_by(shift):
    biases = choose_biases([timid(shift)], n_classes=2)
    assert biases[0] == 0
    assert biases[1] == pytest.approx(shift, abs=0.5)


def test_a_network_that_is_right_gets_no_bias():
    assert choose_biases([timid(0)], n_classes=2)[1] == pytest.approx(0, abs=0.25)


def test_a_gain_that_may_be_chance_is_not_worth_a_bias():
    truth = np.zeros((20, 100), np.int16)
    truth[:10] = 1
    odds = np.where(truth == 1, 5.0, -5.0)
    odds[0, 0] = -1.5  # a single voxel of 1000 would be won
    assert choose_biases([held_out(truth, [np.zeros(truth.shape), odds])], n_classes=2).tolist() == [0, 0]


def test_each_class_has_its_own_bias():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (30, 100)).astype(np.int16)
    scores = np.stack([np.where(truth == index, 1.0, -1.0) for index in range(3)]) + rng.normal(0, 0.3, (3, 30, 100))
    scores[1] -= 1.5
    biases = choose_biases([held_out(truth, scores)], n_classes=3)
    assert biases[1] > 0.5
    assert abs(biases[2]) <= 0.5


def disc(centre, *, side=40, radius=9):
    y, x = np.ogrid[:side, :side]
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2).astype(np.int32)


def held_out_among(neighbours, own):
    """A plane that the network sees dimly, in the middle of 17 of which the others are all alike."""
    stack = np.repeat(neighbours[None], 17, axis=0)
    stack[8] = own
    odds = np.where(own == 1, 0.8, -0.8)
    return held_out(own, [np.zeros(own.shape), odds], plane=8, dense=stack)


def choose(item, *, largest=1.0):
    return choose_paint_weight(
        [item],
        painted=[0, 8, 16],
        depth=17,
        n_classes=2,
        spacing=EVEN,
        largest=largest,
        rng=np.random.default_rng(0),
    )


@pytest.fixture
def alike():
    return held_out_among(disc((20, 10)), disc((20, 10)))


@pytest.fixture
def changed():
    return held_out_among(disc((20, 10)), disc((20, 30)))


@pytest.mark.parametrize("largest", [0.5, 1.0])
def test_paint_is_trusted_in_full_where_slices_are_alike(alike, largest):
    assert choose(alike, largest=largest) == largest


def test_the_weight_of_the_paint_falls_where_slices_change(changed):
    assert choose(changed) < 0.5


def test_no_weight_stays_none(changed):
    assert choose(changed, largest=0) == 0


def test_a_stack_too_short_to_try_keeps_the_weight():
    item = held_out(disc((20, 20)), np.zeros((2, 40, 40)), dense=disc((20, 20))[None])
    assert choose(item) == 1
