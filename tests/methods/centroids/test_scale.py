import numpy as np
import pytest
from scipy import ndimage

from napari_weak3d.methods.centroids.scale import CellLook, answer_at, fill_room, measure_cells
from napari_weak3d.methods.centroids.targets import nearest_neighbours


def balls(radius, *, spacing=(1.0, 1.0, 1.0), sign=1, shape=(40, 60, 60), n=4):
    """Balls of a radius (length) on a grid, and their centres."""
    places = np.moveaxis(np.indices(shape), 0, -1) * spacing
    size = np.array(shape) * spacing
    centres = np.array([[0.5, 0.27, 0.27], [0.5, 0.27, 0.73], [0.5, 0.73, 0.27], [0.5, 0.73, 0.73]])[:n] * size
    distance = np.min([np.linalg.norm(places - centre, axis=-1) for centre in centres], axis=0)
    noise = np.random.default_rng(0).normal(0, 0.1, shape)
    return (sign * (distance <= radius) + noise).astype(np.float32)[None], centres / spacing


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 0.8)])
@pytest.mark.parametrize("radius", [3.0, 9.0])
def test_what_a_click_answers_is_what_the_filter_of_the_whole_volume_says_there(radius, spacing):
    rng = np.random.default_rng(0)
    values = rng.normal(1, 1, (14, 30, 40)).astype(np.float32)
    clicks = rng.uniform(0, np.array(values.shape) - 1, (40, 3))
    sigmas = [radius / np.sqrt(3) / along for along in spacing]
    expected = np.zeros(values.shape)
    for axis, sigma in enumerate(sigmas):
        if sigma >= 0.6:
            order = [2 if axis == each else 0 for each in range(3)]
            expected -= sigma**2 * ndimage.gaussian_filter(values, sigmas, order=order, mode="nearest", truncate=3.0)
    found = answer_at(values, clicks, radius=radius, spacing=spacing)
    np.testing.assert_allclose(found, expected[tuple(np.rint(clicks).astype(int).T)], atol=1e-5)


@pytest.mark.parametrize("radius", [4, 4.4, 4.8, 6, 6.5, 9])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_radius_of_balls_and_whether_they_are_bright_is_found(radius, sign):
    image, clicks = balls(radius, sign=sign)
    look = measure_cells(image, clicks, spacing=(1, 1, 1))
    assert look.radius == pytest.approx(radius, rel=0.07)
    assert look.bright_inside == (sign == 1)


def test_lengths_are_those_of_the_spacing():
    image, clicks = balls(3.0, spacing=(1.0, 0.4, 0.4), shape=(20, 70, 70))
    assert measure_cells(image, clicks, spacing=(1.0, 0.4, 0.4)).radius == pytest.approx(3, rel=0.2)


def test_the_channel_that_shows_cells_is_found():
    image, clicks = balls(6)
    noise = np.random.default_rng(1).normal(0, 0.1, image.shape).astype(np.float32)
    assert measure_cells(np.concatenate([noise, image]), clicks, spacing=(1, 1, 1)).channel == 1


def test_a_stain_that_is_known_is_not_guessed():
    image, clicks = balls(6)
    assert not measure_cells(image, clicks, spacing=(1, 1, 1), signs=(-1,)).bright_inside


def test_one_click_is_enough():
    image, clicks = balls(6, n=1)
    assert measure_cells(image, clicks, spacing=(1, 1, 1)).radius == pytest.approx(6, rel=0.2)


def test_a_sixth_of_a_diameter_beside_the_middle_changes_little():
    image, clicks = balls(6)
    moved = clicks + np.random.default_rng(0).normal(0, 2, clicks.shape)
    assert measure_cells(image, moved, spacing=(1, 1, 1)).radius == pytest.approx(6, rel=0.35)


def tissue(radius, *, n=3):
    """Dark cells on a cubic grid that touch, bright where they do; and their middles."""
    side = round(2 * radius)
    places = np.indices((n * side,) * 3)
    from_border = np.min(np.minimum(places % side, side - 1 - places % side), axis=0)
    noise = np.random.default_rng(0).normal(0, 0.1, places.shape[1:])
    middles = (np.moveaxis(np.indices((n,) * 3), 0, -1).reshape(-1, 3) + 0.5) * side - 0.5
    return ((from_border < 1) + noise).astype(np.float32)[None], middles


def test_cells_of_a_tissue_are_as_large_as_their_room_though_clicks_lie_on_membranes():
    image, middles = tissue(6)
    clicks = np.clip(middles + np.random.default_rng(1).normal(0, 2.5, middles.shape), 0, 35)
    spacing = (1.0, 1.0, 1.0)
    small = CellLook(3.0, bright_inside=False)
    look = fill_room(small, image, clicks, spacing=spacing)
    room = 0.5 * np.median(nearest_neighbours(clicks, spacing=spacing))
    assert look.radius == pytest.approx(0.85 * room)


def test_dark_holes_far_apart_and_bright_cells_stay_as_large_as_they_look():
    spacing = (1.0, 1.0, 1.0)
    image, clicks = balls(4, sign=-1)
    image, clicks = np.concatenate([image, image], axis=1), np.concatenate([clicks, clicks + np.array([40, 0, 0])])
    holes = measure_cells(image, clicks, spacing=spacing)
    assert fill_room(holes, image, clicks, spacing=spacing) == holes
    bright = CellLook(1.0, bright_inside=True)
    assert fill_room(bright, *tissue(6), spacing=spacing) == bright
