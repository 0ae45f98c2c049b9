from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_weak3d.nn.greys import GreyRanges, change_greys

SHAPE = (2, 4, 16, 16)
NOTHING = {"chance": 0, "noise_chance": 0, "blur_chance": 0}


def draw():
    return torch.from_numpy(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))


def change(image, *, seed=0, spacing=(1, 1, 1), **ranges):
    return change_greys(image, ranges=GreyRanges(**ranges), spacing=spacing, rng=np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_greys_and_another_seed_others():
    image = draw()
    assert torch.equal(change(image), change(image))
    assert not torch.equal(change(image), change(image, seed=1))


@pytest.mark.parametrize("chance", [0, 1])
def test_the_image_that_comes_in_is_left_as_it_is(chance):
    image = draw()
    change(image, chance=chance, noise_chance=1, blur_chance=chance)
    assert torch.equal(image, draw())


def test_without_any_chance_nothing_changes():
    assert torch.equal(change(draw(), **NOTHING), draw())


def test_the_order_of_grey_values_within_a_channel_is_kept_without_noise_and_blur():
    image = draw()
    changed = change(image, chance=1, noise_chance=0, blur_chance=0)
    for before, after in zip(image, changed, strict=True):
        sorted_after = after.flatten()[before.flatten().argsort()]
        assert (sorted_after.diff() >= 0).all()


def test_channels_change_each_in_its_own_way():
    image = draw()[:1].repeat(2, 1, 1, 1)
    changed = change(image, chance=1, noise_chance=0, blur_chance=0)
    assert not torch.allclose(changed[0], changed[1], atol=1e-3)


@pytest.mark.parametrize("seed", range(10))
def test_gain_and_offset_stay_in_their_ranges(seed):
    ranges = {"chance": 1, "gain": 1.5, "offset": 0.3, "gamma": 1, "contrast": 1, "noise_chance": 0, "blur_chance": 0}
    line = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    dark, light = change(line, seed=seed, **ranges).flatten().tolist()
    assert abs(dark) <= 0.3
    assert 1 / 1.5 - 1e-6 <= light - dark <= 1.5 + 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_contrast_is_about_the_mean_which_only_gain_changes(seed):
    image = 10 + draw()
    quiet = {"chance": 1, "offset": 0, "gamma": 1, "contrast": 3, "noise_chance": 0, "blur_chance": 0}
    assert change(image, seed=seed, gain=1, **quiet).mean() == pytest.approx(float(image.mean()), rel=1e-4)
    assert 1 / 1.5 <= change(image, seed=seed, gain=1.5, **quiet).mean() / image.mean() <= 1.5


def test_gamma_keeps_the_least_and_the_greatest_value():
    image = draw()
    changed = change(image, chance=1, gain=1, offset=0, contrast=1, gamma=2, noise_chance=0, blur_chance=0)
    assert torch.allclose(changed.amax((1, 2, 3)), image.amax((1, 2, 3)), atol=1e-5)
    assert torch.allclose(changed.amin((1, 2, 3)), image.amin((1, 2, 3)), atol=1e-5)
    assert not torch.allclose(changed, image, atol=1e-2)


def test_a_constant_channel_stays_finite_under_gamma():
    assert torch.isfinite(change(torch.ones(SHAPE), chance=1)).all()


def test_noise_has_at_most_the_standard_deviation_asked_for():
    noise = change(torch.zeros(1, 16, 32, 32), chance=0, noise_chance=1, noise=0.2, blur_chance=0)
    assert 0 < noise.std() <= 0.21
    assert abs(noise.mean()) < 0.01


def test_blur_keeps_constants_and_takes_detail_away():
    blur = {"chance": 0, "noise_chance": 0, "blur_chance": 1}
    assert torch.allclose(change(torch.ones(SHAPE), **blur), torch.ones(SHAPE), atol=1e-5)
    assert change(draw(), **blur).std() < draw().std()


def test_flat_voxels_are_blurred_less_along_z():
    point = torch.zeros(1, 9, 9, 9)
    point[0, 4, 4, 4] = 1
    blurred = change(point, spacing=(4, 1, 1), chance=0, noise_chance=0, blur_chance=1, coarseness=1, blur_vox=2)[0]
    assert 0 < blurred[5, 4, 4] < blurred[4, 5, 4]
