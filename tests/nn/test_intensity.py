"""Grey values after normalising: what a camera's gain, hot pixels and uneven staining leave of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_weak3d.nn.intensity import average_along, measure_greys, normalise

ISOTROPIC = (1.0, 1.0, 1.0)


@pytest.fixture
def image():
    """One channel of noise with a bright ball in it."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:12, :40, :40]
    ball = (z - 6) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 30
    return (rng.normal(100, 10, (12, 40, 40)) + 60 * ball)[None].astype(np.float32)


def test_each_channel_gives_brightness_and_local_contrast(image):
    two = np.concatenate([image, image[:, ::-1] ** 2])
    found = normalise(two, spacing=ISOTROPIC)
    assert (found.shape, found.dtype) == ((4, 12, 40, 40), np.float32)
    np.testing.assert_array_equal(found[:2], normalise(two[:1], spacing=ISOTROPIC))
    np.testing.assert_array_equal(found[2:], normalise(two[1:], spacing=ISOTROPIC))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), axis=st.integers(0, 2), size=st.integers(1, 30), length=st.integers(1, 12))
def test_averages_along_an_axis_are_those_of_scipy(seed, axis, size, length):
    shape = [3, 4, 5]
    shape[axis] = length
    values = np.random.default_rng(seed).normal(50, 20, shape).astype(np.float32)
    expected = ndimage.uniform_filter1d(values, size, axis=axis, mode="reflect")
    np.testing.assert_allclose(average_along(values, axis, size=size), expected, rtol=1e-6)


def test_the_greys_of_a_channel_are_its_percentiles():
    ramp = np.arange(1001, dtype=np.uint16).reshape(1, 7, 11, 13)
    assert measure_greys(np.concatenate([ramp, ramp * 2])) == ((10, 500, 900), (20, 1000, 1800))


def test_brightness_has_mean_0_and_deviation_1(image):
    bright = normalise(image, spacing=ISOTROPIC)[0]
    assert bright.mean() == pytest.approx(0, abs=1e-3)
    assert bright.std() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (0.01, 0.0), (1.0, 500.0), (300.0, -40.0)])
def test_gain_and_offset_of_the_camera_change_nothing(image, gain, offset):
    np.testing.assert_allclose(
        normalise(gain * image + offset, spacing=ISOTROPIC), normalise(image, spacing=ISOTROPIC), atol=2e-2
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_any_type_of_number_gives_the_same(image, dtype):
    whole = np.round(image)
    np.testing.assert_allclose(
        normalise(whole.astype(dtype), spacing=ISOTROPIC), normalise(whole, spacing=ISOTROPIC), atol=1e-5
    )


@pytest.mark.parametrize("value", [0, 7, 60_000])
def test_a_constant_channel_becomes_0_beside_another(image, value):
    two = np.concatenate([image, np.full_like(image, value)])
    found = normalise(two, spacing=ISOTROPIC)
    assert (found[2:] == 0).all()
    assert np.isfinite(found).all()


def test_a_hot_pixel_is_clipped_and_hardly_moves_the_others(image):
    spoiled = image.copy()
    spoiled[0, 3, 4, 5] = 1e6
    before, after = (normalise(data, spacing=ISOTROPIC) for data in (image, spoiled))
    assert after[0, 3, 4, 5] == 6
    assert after.max() == 6
    others = np.ones(image.shape[1:], bool)
    others[3, 4, 5] = False
    assert np.abs(after - before)[0][others].max() < 0.25


def test_almost_empty_volumes_stay_finite():
    image = np.zeros((1, 4, 20, 20), np.uint16)
    image[0, 2, 3, 3] = 1000
    found = normalise(image, spacing=ISOTROPIC)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 6
    assert found[0, 2, 3, 3] == 6


def test_local_contrast_does_not_see_a_slow_change_of_brightness():
    rng = np.random.default_rng(1)
    texture = rng.normal(0, 1, (4, 200, 200)).astype(np.float32)
    ramp = np.linspace(0, 20, 200, dtype=np.float32)
    flat, uneven = (normalise((texture + add)[None], spacing=(50.0, 1.0, 1.0))[1] for add in (0, ramp))
    inner = np.s_[:, 60:140, 60:140]
    assert np.corrcoef(flat[inner].ravel(), uneven[inner].ravel())[0, 1] > 0.95
    assert abs(float(uneven[inner].mean())) < 0.1


def test_local_contrast_of_thick_planes_is_that_of_each_plane_for_itself():
    rng = np.random.default_rng(2)
    planes = rng.normal(0, 1, (1, 6, 30, 30)).astype(np.float32)
    planes[0, 3] += 3
    contrast = normalise(planes, spacing=(40.0, 1.0, 1.0))[1]
    assert abs(float(contrast[3].mean()) - float(contrast[2].mean())) < 0.2
