"""Slabs against a plain loop over planes."""

import numpy as np
import pytest

from napari_weak3d.nn.intensity import normalise
from napari_weak3d.nn.slabs import SlabView, choose_offsets, view_volume
from napari_weak3d.types import Volume


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("spacing", "offsets"),
    [
        ((1, 1, 1), (-8, -4, -2, -1, 0, 1, 2, 4, 8)),
        ((4, 1, 1), (-2, -1, 0, 1, 2)),
        ((10, 1, 1), (-1, 0, 1)),
        ((1, 4, 1), (-16, -8, -4, -2, 0, 2, 4, 8, 16)),
    ],
)
def test_planes_lie_1_2_4_and_8_pixels_away_but_never_closer_than_a_plane(spacing, offsets):
    assert choose_offsets(spacing) == offsets


def test_the_unit_of_the_spacing_does_not_matter():
    assert choose_offsets((2.0, 0.5, 0.5)) == choose_offsets((2000.0, 500.0, 500.0))


def test_a_slab_holds_its_planes_mirrored_at_the_ends(image):
    view = SlabView(image, (-2, 0, 1))
    assert view.shape == (6, 6, 5, 4)
    mirrored = np.pad(image, ((0, 0), (2, 2), (0, 0), (0, 0)), mode="reflect")
    expected = np.stack([mirrored[c, 2 + offset : 8 + offset] for c in range(2) for offset in (-2, 0, 1)])
    np.testing.assert_array_equal(view[:, :, :, :], expected)


def test_a_box_is_the_same_part_of_the_whole(image):
    view = SlabView(image, (-4, -1, 0, 1, 4))
    np.testing.assert_array_equal(view[:, 2:5, 1:3, 0:4], view[:, :, :, :][:, 2:5, 1:3, 0:4])


def test_reversed_sees_the_planes_before_as_those_after(image):
    view = SlabView(image, (-2, -1, 0, 1, 2))
    turned = SlabView(image[:, ::-1], view.offsets)
    np.testing.assert_array_equal(view.reversed()[:, :, :, :], turned[:, :, :, :][:, ::-1])


def test_a_single_plane_is_its_own_neighbour(image):
    view = SlabView(image[:1, :1], (-8, 0, 8))
    np.testing.assert_array_equal(view[:, :, :, :], np.repeat(image[:1, :1], 3, axis=0).reshape(3, 1, 5, 4))


def test_a_whole_volume_is_seen_plane_by_plane_and_normalised(image):
    view = view_volume(Volume(image, (2.0, 1.0, 1.0), "um"))
    everything = (slice(None),) * 4
    np.testing.assert_array_equal(view[everything], normalise(image, spacing=(2.0, 1.0, 1.0)))
    assert view.shape == (4, 6, 5, 4)
