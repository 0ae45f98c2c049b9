from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from napari_weak3d.nn.separable import apply_along_axes, coarse_matrix, gaussian_matrix, spline_matrix


def test_each_axis_is_multiplied_by_its_own_matrix():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    z, y, x = (rng.normal(size=(size + 1, size)).astype(np.float32) for size in (3, 4, 5))
    result = apply_along_axes(torch.from_numpy(image), [torch.from_numpy(m) for m in (z, y, x)])
    np.testing.assert_allclose(result, np.einsum("czyx,az,by,dx->cabd", image, z, y, x), rtol=1e-4, atol=1e-4)


def test_axes_without_a_matrix_stay_as_they_are():
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(apply_along_axes(image, [None, None, None]), image)


@pytest.mark.parametrize(("length", "step"), [(1, 32), (5, 2), (70, 32), (20, 6.4)])
def test_the_spline_goes_through_its_nodes_like_scipys(length, step):
    matrix = spline_matrix(length, step=step).numpy()
    nodes = step * (np.arange(matrix.shape[1]) - 1)
    assert nodes[0] < 0
    assert nodes[-1] >= length
    values = np.random.default_rng(0).normal(size=len(nodes))
    spline = make_interp_spline(nodes, values, k=3)
    np.testing.assert_allclose(matrix @ values, [spline(voxel) for voxel in range(length)], atol=1e-5)


@pytest.mark.parametrize(("length", "sigma"), [(30, 1.3), (3, 2.0), (2, 0.4)])
def test_the_blur_equals_scipys(length, sigma):
    values = np.random.default_rng(0).normal(size=length)
    expected = ndimage.gaussian_filter1d(values, sigma, mode="mirror", radius=int(np.ceil(3 * sigma)))
    np.testing.assert_allclose(gaussian_matrix(length, sigma=sigma).numpy() @ values, expected, atol=1e-5)


def test_coarse_sampling_keeps_constants_and_averages_pairs():
    matrix = coarse_matrix(8, factor=2).numpy()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    steps = np.array([0, 2, 0, 2, 0, 2, 0, 2], dtype=np.float32)
    np.testing.assert_allclose(matrix @ steps, 1, atol=1e-6)


def test_nothing_is_blurred_where_nothing_would_change():
    assert gaussian_matrix(1, sigma=1) is None
    assert gaussian_matrix(9, sigma=0) is None
    assert coarse_matrix(9, factor=1) is None
