"""Fitting a box to what stands out."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes.snapping import snap_box

SHAPE = (24, 40, 40)


def scene(*balls, dark=False, noise=0.1, seed=0):
    """Ellipsoids (centre, radii) in noise."""
    rng = np.random.default_rng(seed)
    grid = np.indices(SHAPE)
    inside = np.zeros(SHAPE, bool)
    for centre, radii in balls:
        parts = [((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)]
        inside |= sum(parts) <= 1
    image = inside + noise * rng.standard_normal(SHAPE)
    return (-image if dark else image).astype(np.float32), inside


def bounds(inside):
    voxels = np.argwhere(inside)
    return np.stack([voxels.min(axis=0), voxels.max(axis=0) + 1])


def snap(image, box):
    return snap_box(np.array(box), SHAPE, read=lambda region: image[region])


@pytest.mark.parametrize("dark", [False, True])
def test_a_loose_and_a_tight_box_find_the_object_bright_or_dark(dark):
    image, inside = scene(((12, 20, 18), (5, 8, 6)), dark=dark)
    for box in ([[5, 9, 9], [20, 31, 27]], [[9, 14, 14], [16, 26, 23]]):
        assert np.abs(snap(image, box) - bounds(inside)).max() <= 1


def test_the_object_in_the_box_counts_and_not_its_neighbour():
    image, _ = scene(((12, 12, 20), (5, 6, 6)), ((12, 29, 20), (5, 6, 6)))
    alone = scene(((12, 12, 20), (5, 6, 6)))[1]
    assert np.abs(snap(image, [[6, 5, 13], [18, 21, 28]]) - bounds(alone)).max() <= 1


def test_where_the_object_goes_on_a_face_stays():
    image, _ = scene(((12, 20, 20), (5, 5, 100)))
    snapped = snap(image, [[5, 13, 10], [19, 27, 30]])
    assert snapped[:, 2].tolist() == [10, 30]
    assert np.abs(snapped[:, :2] - [[7, 15], [18, 26]]).max() <= 1


def test_in_a_flat_image_nothing_stands_out():
    assert snap(np.ones(SHAPE), [[5, 9, 9], [20, 31, 27]]) is None


def test_a_box_as_large_as_the_volume_and_one_of_a_voxel_are_no_trouble():
    image, inside = scene(((12, 20, 18), (5, 8, 6)))
    whole = snap(image, [[0, 0, 0], SHAPE])
    assert np.abs(whole - bounds(inside)).max() <= 1
    small = snap(image, [[12, 20, 18], [13, 21, 19]])
    assert small is None or (small[1] > small[0]).all()


def test_a_box_too_large_to_look_at_is_left():
    assert snap_box(np.array([[0, 0, 0], [300, 300, 300]]), (400, 400, 400), read=lambda _: 1 / 0) is None
