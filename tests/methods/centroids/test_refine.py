"""The refinement loss against scipy's filters."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_weak3d.methods.centroids.config import Refinement
from napari_weak3d.methods.centroids.refine import edge_strength, focal_loss, gradient_length, refinement_loss

SPACING = (2.0, 1.0, 1.0)


def lose(mask, strength, *, known=None, spacing=(1, 1, 1), sigma_vox=1):
    known = torch.ones_like(mask, dtype=torch.bool) if known is None else known
    spacings = [spacing] * len(mask)
    return refinement_loss(mask, strength, known=known, spacings=spacings, sigma_vox=sigma_vox, power=2)


@pytest.fixture
def image():
    return ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (12, 20, 22)), 1).astype(np.float32)


def test_edges_of_fluorescence_are_gradients_of_the_blurred_image(image):
    found = edge_strength(image, kind=Refinement.FLUORESCENCE, spacing=(1, 1, 1), sigma_vox=2)
    expected = ndimage.gaussian_gradient_magnitude(image, 2, mode="nearest")
    np.testing.assert_allclose(found, expected / np.percentile(expected, 99), rtol=1e-4, atol=1e-5)


def test_edges_of_bright_field_are_laplacians_of_the_blurred_image(image):
    found = edge_strength(image, kind=Refinement.BRIGHT_FIELD, spacing=(1, 1, 1), sigma_vox=2)
    expected = np.abs(ndimage.gaussian_laplace(image, 2, mode="nearest"))
    # scipy's kernel, cut off at 4 sigma, answers a little to brightness too
    np.testing.assert_allclose(found, expected / np.percentile(expected, 99), atol=2e-3)


@pytest.mark.parametrize("z", [1.0, 3.0, 5.0, 10.0])
def test_flat_ground_has_no_edges_in_bright_field_however_far_apart_planes_lie(z):
    ground = np.full((9, 24, 24), 3.7, np.float32)
    edges = {"kind": Refinement.BRIGHT_FIELD, "spacing": (z, 1.0, 1.0), "sigma_vox": 1.5}
    assert not edge_strength(ground, **edges).any()
    y, x = np.indices((24, 24)) - 11.5
    ring = np.abs(np.hypot(y, x) - 7) < 1
    ground[3:6, ring] = 1.0
    found = edge_strength(ground, **edges)
    assert found[4, ring].min() > 5 * found[4, 11:13, 11:13].max()
    assert found[:, :2, :2].max() < 0.02


def test_the_image_is_measured_in_the_region_alone(image):
    bright = image.copy()
    bright[:, :, 11:] *= 100
    part = (slice(None), slice(None), slice(0, 5))
    plain, strange = (
        edge_strength(each, kind=Refinement.FLUORESCENCE, spacing=(1, 1, 1), sigma_vox=0.7, region=part)
        for each in (image, bright)
    )
    np.testing.assert_allclose(plain[part], strange[part], rtol=1e-5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), SPACING])
def test_the_loss_is_the_masks_gradient_where_the_image_has_none(image, spacing):
    mask = (ndimage.gaussian_filter(image, 2) > 0).astype(np.float32)
    strength = edge_strength(image, kind=Refinement.FLUORESCENCE, spacing=spacing, sigma_vox=1.5)
    sigmas = [1.5 / along for along in spacing]
    blurred = ndimage.gaussian_filter(mask.astype(np.float64), sigmas, mode="mirror", truncate=3)
    slope = np.linalg.norm(np.gradient(blurred, *spacing), axis=0)
    expected = (slope * np.exp(-(strength.astype(np.float64) ** 2))).mean()
    found = lose(torch.from_numpy(mask)[None], torch.from_numpy(strength)[None], spacing=spacing, sigma_vox=1.5)
    assert float(found) == pytest.approx(expected, rel=5e-3)


def test_gradients_are_those_of_numpy(image):
    found = gradient_length(torch.from_numpy(image)[None], spacing=SPACING)[0]
    expected = np.linalg.norm(np.gradient(image, *SPACING), axis=0)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_an_edge_of_the_mask_costs_less_where_the_image_has_one():
    mask = torch.zeros(1, 4, 16, 16)
    mask[..., 8:] = 1
    fits, misses = torch.zeros_like(mask), torch.zeros_like(mask)
    fits[..., 7:9] = 1
    misses[..., 2:4] = 1
    costs = [float(lose(mask, each)) for each in (fits, misses)]
    assert costs[0] < 0.8 * costs[1]


@pytest.mark.parametrize("z", [1, 3, 10])
def test_a_flat_mask_costs_next_to_nothing_and_its_gradient_is_finite(z):
    mask = torch.full((1, 4, 8, 8), 0.3, requires_grad=True)
    loss = lose(mask, torch.zeros(1, 4, 8, 8), spacing=(z, 1, 1))
    loss.backward()
    assert float(loss.detach()) < 1e-3
    assert torch.isfinite(mask.grad).all()


def test_only_known_voxels_count():
    mask = torch.zeros(1, 4, 16, 40)
    mask[..., 8:14] = 1
    mask[..., 28:] = 1
    left = (torch.arange(40) < 20).expand(mask.shape)
    assert float(lose(mask, 0 * mask, known=left)) == pytest.approx(float(lose(mask[..., :20], 0 * mask[..., :20])))
    assert float(lose(mask, 0 * mask, known=left & False)) == 0


def test_each_mask_is_measured_by_its_own_spacing(image):
    mask = torch.from_numpy(ndimage.gaussian_filter(image, 2))[None].sigmoid()
    strength = torch.zeros_like(mask)
    apart = [lose(mask, strength, spacing=spacing) for spacing in (SPACING, (1.0, 1.0, 1.0))]
    together = refinement_loss(
        mask.repeat(2, 1, 1, 1),
        strength.repeat(2, 1, 1, 1),
        known=torch.ones(2, *mask.shape[1:], dtype=torch.bool),
        spacings=[SPACING, (1.0, 1.0, 1.0)],
        sigma_vox=1,
        power=2,
    )
    assert float(apart[0]) != pytest.approx(float(apart[1]), rel=0.01)
    assert float(together) == pytest.approx(float(apart[0] + apart[1]) / 2, rel=1e-5)


def test_the_focal_loss_counts_known_voxels_above_its_value_and_forgives_small_errors():
    target = torch.tensor([[[[0.9, 0.9, 0.1, 0.9]]]])
    logits = torch.logit(torch.tensor([[[[0.9, 0.4, 0.9, 0.1]]]]))
    known = torch.tensor([[[[True, True, True, False]]]])
    entropy = -(0.9 * np.log(0.4) + 0.1 * np.log(0.6))
    expected = (0 + 0.5**2 * entropy) / 2
    assert float(focal_loss(logits, target, known=known, above=0.7)) == pytest.approx(expected, rel=1e-4)
    assert float(focal_loss(logits, target, known=known & False, above=0.7)) == 0
