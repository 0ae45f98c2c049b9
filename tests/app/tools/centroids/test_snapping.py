"""The middle of a cell along the axis across the view."""

import numpy as np
import pytest

from napari_weak3d.app.tools.centroids.snapping import snap

SHAPE = (24, 40, 40)


def ball(centre, radius_um, spacing, *, inside=10.0, outside=2.0, noise=0.5):
    at = np.indices(SHAPE).transpose(1, 2, 3, 0)
    far = np.linalg.norm((at - centre) * spacing, axis=-1)
    image = np.where(far <= radius_um, inside, outside)
    return image + np.random.default_rng(0).normal(0, noise, SHAPE)


def snap_in(image, point, *, axis=0, spacing=(1.0, 1.0, 1.0), radius=5.0):
    found = snap(
        np.array(point, float),
        axis=axis,
        shape=SHAPE,
        spacing=spacing,
        radius=radius,
        read=lambda region: image[region],
    )
    return None if found is None else float(found)


@pytest.mark.parametrize("inside", [10.0, -6.0])
@pytest.mark.parametrize("start", [8, 10, 14, 16])
def test_click_in_a_bright_or_a_dark_ball_moves_to_its_middle(inside, start):
    image = ball((12, 20, 20), 5, (1, 1, 1), inside=inside)
    assert snap_in(image, (start, 21, 19)) == pytest.approx(12, abs=1)


def test_axis_across_the_view_is_the_one_that_changes():
    image = ball((12, 20, 26), 5, (1, 1, 1))
    assert snap_in(image, (12, 20, 23), axis=2) == pytest.approx(26, abs=1)


def test_flat_stacks_are_measured_by_their_spacing():
    spacing = (4.0, 1.0, 1.0)
    image = ball((9, 20, 20), 8, spacing)
    assert snap_in(image, (8, 20, 20), spacing=spacing, radius=8.0) == pytest.approx(9, abs=0.6)


def test_ball_at_the_border_and_a_lone_slice_do_no_harm():
    image = ball((0, 20, 20), 5, (1, 1, 1))
    assert snap_in(image, (2, 20, 20)) == pytest.approx(0, abs=1)
    lone = snap(
        np.zeros(3),
        axis=0,
        shape=(1, 9, 9),
        spacing=(1, 1, 1),
        radius=2.0,
        read=lambda region: np.ones((1, 9, 9))[region],
    )
    assert lone is None


def test_flat_image_leaves_the_click_where_it_is():
    assert snap_in(np.full(SHAPE, 3.0), (12, 20, 20)) is None
