from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from napari_weak3d.nn.warp import UNLABELLED, Grid, sample_displacement, warp

SHAPE = (6, 9, 11)


def draw(shape=SHAPE, *, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(channels, *shape)).astype(np.float32), rng.integers(-1, 4, size=shape)


def affine(matrix=None, offset=(0, 0, 0), *, shape=SHAPE):
    return Grid(shape, np.eye(3) if matrix is None else np.array(matrix, float), np.array(offset, float))


def about_z(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [[1, 0, 0], [0, cos, -sin], [0, sin, cos]]


def about_y(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]


def slowly(image, labels, *, grid):
    """Scipy's linear and nearest sampling at the grid's coordinates, and where two voxels are equally near."""
    voxels = np.indices(grid.shape).reshape(3, -1)
    source = (grid.matrix @ voxels).reshape(3, *grid.shape) + grid.offset[:, None, None, None]
    for axis, part in enumerate(grid.displacement):
        source[axis] += 0 if part is None else part.numpy()
    moved = np.stack([ndimage.map_coordinates(channel, source, order=1, mode="mirror") for channel in image])
    nearest = np.round(source).astype(int)
    inside = np.all([(n >= 0) & (n < size) for n, size in zip(nearest, labels.shape, strict=True)], axis=0)
    taken = labels[tuple(np.clip(n, 0, size - 1) for n, size in zip(nearest, labels.shape, strict=True))]
    between = (np.abs(np.abs(source - np.round(source)) - 0.5) < 1e-4).any(axis=0)
    return moved, np.where(inside, taken, UNLABELLED), between


def assert_equal_to_slow(image, labels, *, grid):
    patch = warp(image, labels, grid=grid)
    moved, taken, between = slowly(image, labels, grid=grid)
    np.testing.assert_allclose(patch.image, moved, atol=1e-4)
    np.testing.assert_array_equal(patch.labels.numpy()[~between], taken[~between])


def test_the_identity_gives_back_its_input_exactly():
    image, labels = draw()
    patch = warp(image, labels, grid=affine())
    np.testing.assert_array_equal(patch.image, image)
    np.testing.assert_array_equal(patch.labels, labels)
    assert (patch.image.dtype, patch.labels.dtype) == (torch.float32, torch.int64)
    assert patch.extra.shape == (0, *SHAPE)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product([1, -1], repeat=3)))
def test_flips_and_swapped_axes_move_voxels_exactly(order, signs):
    image, labels = draw()
    flips = [axis for axis in range(3) if signs[axis] < 0]
    expected = np.flip(labels.transpose(order), flips)
    matrix = np.zeros((3, 3))
    offset = np.zeros(3)
    for axis in range(3):
        matrix[order[axis], axis] = signs[axis]
        offset[order[axis]] = expected.shape[axis] - 1 if signs[axis] < 0 else 0
    grid = affine(matrix, offset, shape=expected.shape)
    assert grid.moves_whole_voxels
    patch = warp(image, labels, grid=grid)
    np.testing.assert_array_equal(patch.labels, expected)
    np.testing.assert_array_equal(patch.image[1], np.flip(image[1].transpose(order), flips))


def test_whole_steps_beyond_the_volume_mirror_the_image_and_leave_it_unlabelled():
    image, labels = draw((3, 4, 5))
    patch = warp(image, labels, grid=affine(offset=(0, 0, -2), shape=(3, 4, 9)))
    np.testing.assert_array_equal(patch.image, np.pad(image, [(0, 0), (0, 0), (0, 0), (2, 2)], mode="reflect"))
    expected = np.pad(labels, [(0, 0), (0, 0), (2, 2)], constant_values=UNLABELLED)
    np.testing.assert_array_equal(patch.labels, expected)


@pytest.mark.parametrize("offset", [(0, 0, 40), (-40, 0, 0), (0, 2.5, 90)])
def test_a_patch_that_lies_wholly_outside_is_unlabelled(offset):
    image, labels = draw()
    assert (warp(image, labels, grid=affine(offset=offset)).labels == UNLABELLED).all()


@pytest.mark.parametrize(
    ("matrix", "offset"),
    [
        (about_z(30), (0, 1.5, -2)),
        (np.diag([-1, 1, 1]) @ about_z(77), (5, 1.5, -2)),
        (about_y(20), (0.3, 0, 1)),
        (np.diag([0.8, 1.3, 1.1]), (0, -1, -1)),
    ],
)
def test_rotated_and_scaled_patches_equal_scipys_sampling(matrix, offset):
    image, labels = draw()
    assert_equal_to_slow(image, labels, grid=affine(matrix, offset, shape=(5, 8, 12)))


@pytest.mark.parametrize("sigma", [(0, 1.5, 1.5), (1.5, 1.5, 1.5), (1, 0, 0)])
def test_bent_patches_equal_scipys_sampling(sigma):
    rng = np.random.default_rng(1)
    image, labels = draw()
    bend = sample_displacement(SHAPE, sigma_vox=sigma, step_vox=(4, 4, 4), rng=rng)
    grid = Grid(SHAPE, np.array(about_z(10)), np.zeros(3), bend)
    assert grid.keeps_slices == (sigma[0] == 0)
    assert_equal_to_slow(image, labels, grid=grid)


def test_the_displacement_is_the_b_spline_through_random_vectors():
    shape, sigma, step = (5, 6, 7), (1.0, 2.0, 3.0), (3.0, 4.0, 5.0)
    moved = sample_displacement(shape, sigma_vox=sigma, step_vox=step, rng=np.random.default_rng(3))
    counts = [max(4, int(np.ceil((size - 1) / along)) + 3) for size, along in zip(shape, step, strict=True)]
    vectors = np.random.default_rng(3).standard_normal((3, *counts), dtype=np.float32)
    nodes = [along * (np.arange(count) - 1) for along, count in zip(step, counts, strict=True)]
    for axis in range(3):
        expected = np.empty(shape)
        for z, y, x in np.ndindex(shape):  # one spline after the other, voxel by voxel
            plane = make_interp_spline(nodes[0], sigma[axis] * vectors[axis], k=3)(z)
            line = make_interp_spline(nodes[1], plane, k=3)(y)
            expected[z, y, x] = make_interp_spline(nodes[2], line, k=3)(x)
        np.testing.assert_allclose(moved[axis], expected, atol=1e-4)


def test_slices_that_stay_whole_are_not_blurred_along_z():
    image = np.zeros((1, 7, 20, 20), np.float32)
    image[:, 3] = 1
    labels = np.full((7, 20, 20), UNLABELLED)
    labels[3] = 2
    bend = sample_displacement((7, 20, 20), sigma_vox=(0, 1, 1), step_vox=(8, 8, 8), rng=np.random.default_rng(0))
    grid = Grid((7, 20, 20), np.diag([-1.0, 1, 1]) @ about_z(40), np.array([5.0, 8, -5]), bend)
    patch = warp(image, labels, grid=grid)
    assert patch.image[0, 2].min() > 0.999
    assert patch.image[0, [0, 1, 3, 4, 5, 6]].abs().max() == 0
    assert ((patch.labels == 2).nonzero()[:, 0] == 2).all()


def ball(shape, *, centre, radius):
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)))
    return distance <= radius


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("turn", [about_z(35), about_y(35)])
def test_the_labels_of_a_moved_ball_follow_its_image(turn):
    shape, middle = (30, 36, 36), np.array([14.5, 17.5, 17.5])
    matrix = 1.1 * np.array(turn)
    offset = middle - matrix @ middle
    centre = np.array([15, 14, 20])
    truth = ball(shape, centre=centre, radius=10)
    patch = warp(truth[None].astype(np.float32), truth.astype(int), grid=affine(matrix, offset, shape=shape))
    moved = ball(shape, centre=np.linalg.inv(matrix) @ (centre - offset), radius=10 / 1.1)
    labels = patch.labels.numpy() == 1
    assert iou(labels, moved) > 0.9
    # Beyond the volume the image shows the ball again, mirrored.
    seen = (patch.image[0].numpy() > 0.5) & (patch.labels.numpy() != UNLABELLED)
    assert iou(labels, seen) > 0.9
    np.testing.assert_allclose(np.argwhere(labels).mean(0), np.argwhere(seen).mean(0), atol=0.1)


def test_labels_are_never_mixed():
    image, _ = draw()
    labels = np.random.default_rng(0).choice([1, 10], size=SHAPE)
    patch = warp(image, labels, grid=affine(about_y(33), (0.4, 0.1, 2.2)))
    assert set(patch.labels.unique().tolist()) <= {UNLABELLED, 1, 10}


def test_a_turned_plane_of_paint_keeps_its_paint_in_every_column():
    labels = np.full((21, 21, 21), UNLABELLED)
    labels[10] = 1
    matrix = np.array(about_y(25))
    offset = np.full(3, 10) - matrix @ np.full(3, 10)
    patch = warp(np.zeros((1, 21, 21, 21), np.float32), labels, grid=affine(matrix, offset, shape=(21, 21, 21)))
    columns = (patch.labels == 1).any(dim=0)
    assert columns[:, 2:19].all()


@pytest.mark.parametrize("matrix", [np.eye(3), about_z(30), about_y(30)])
def test_extra_images_move_like_the_image(matrix):
    image, labels = draw()
    patch = warp(image, labels, grid=affine(matrix), extra=image[::-1])
    assert torch.equal(patch.extra, patch.image.flip(0))


@pytest.mark.parametrize("matrix", [np.eye(3), about_z(30), about_y(30)])
def test_tensors_give_what_arrays_give(matrix):
    image, labels = draw()
    grid = affine(matrix, (0, 2, 1), shape=(3, 4, 4))
    expected = warp(image, labels, grid=grid)
    given = warp(torch.from_numpy(image), torch.from_numpy(labels), grid=grid)
    assert torch.equal(given.image, expected.image)
    assert torch.equal(given.labels, expected.labels)


@pytest.mark.parametrize("shape", [(1, 9, 9), (1, 1, 1), (2, 1, 5)])
@pytest.mark.parametrize("matrix", [np.eye(3), about_z(30), about_y(30)])
def test_volumes_of_one_voxel_along_an_axis_are_taken(shape, matrix):
    image, labels = draw(shape)
    patch = warp(image, labels, grid=affine(matrix, shape=shape))
    assert patch.image.shape == (2, *shape)
    assert torch.isfinite(patch.image).all()
    assert patch.labels[0, 0, 0] == labels[0, 0, 0]
