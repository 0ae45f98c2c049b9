from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.nn.augment import (
    NO_AUGMENTATION,
    PAPER_AUGMENTATION,
    UNLABELLED,
    Augmentation,
    augment,
    sample_grid,
    warp,
)

SHAPE = (8, 20, 20)
EVERYTHING = Augmentation(
    flip_chance=0.5, swap_chance=1, rotate_chance=1, scale_chance=1, elastic_chance=1, elastic_step_vox=8
)


def draw(shape=SHAPE):
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, *shape)).astype(np.float32), rng.integers(-1, 3, size=shape)


def change(augmentation, *, seed=0, spacing=(1.0, 1.0, 1.0), shape=SHAPE, extra=None):
    image, labels = draw(shape)
    rng = np.random.default_rng(seed)
    return augment(image, labels, spacing=spacing, augmentation=augmentation, rng=rng, extra=extra)


@pytest.mark.parametrize("augmentation", [EVERYTHING, PAPER_AUGMENTATION, Augmentation()])
def test_the_same_seed_gives_the_same_patch_and_another_seed_another(augmentation):
    once, again, other = change(augmentation), change(augmentation), change(augmentation, seed=1)
    assert torch.equal(once.image, again.image)
    assert torch.equal(once.labels, again.labels)
    assert not torch.equal(once.image, other.image)


def test_no_augmentation_gives_back_its_input_exactly():
    image, labels = draw()
    patch = change(NO_AUGMENTATION)
    np.testing.assert_array_equal(patch.image, image)
    np.testing.assert_array_equal(patch.labels, labels)


@pytest.mark.parametrize("seed", range(8))
def test_flips_alone_move_voxels_and_nothing_else(seed):
    image, labels = draw()
    patch = change(replace(NO_AUGMENTATION, flip_chance=1), seed=seed)
    np.testing.assert_array_equal(patch.image, image[:, ::-1, ::-1, ::-1])
    np.testing.assert_array_equal(patch.labels, labels[::-1, ::-1, ::-1])


@pytest.mark.parametrize("seed", range(8))
def test_only_axes_of_equal_spacing_are_swapped(seed):
    swaps = replace(NO_AUGMENTATION, swap_chance=1)
    image, _ = draw()
    patch = change(swaps, seed=seed, spacing=(3.0, 1.0, 1.0)).image.numpy()
    assert any(np.array_equal(patch, same) for same in (image, image.transpose(0, 1, 3, 2)))
    np.testing.assert_array_equal(change(swaps, seed=seed, spacing=(3.0, 2.0, 1.0)).image, image)


def test_with_equal_spacing_all_orders_of_axes_turn_up():
    swaps = replace(NO_AUGMENTATION, swap_chance=1)
    grids = [
        sample_grid((4, 4, 4), spacing=(1, 1, 1), augmentation=swaps, rng=np.random.default_rng(seed))
        for seed in range(60)
    ]
    assert len({tuple(grid.matrix.ravel()) for grid in grids}) == 6


@pytest.mark.parametrize("seed", range(5))
def test_rotations_keep_lengths_in_space_where_voxels_are_flat(seed):
    spacing = np.array([1.5, 1.0, 1.2])
    turns = replace(NO_AUGMENTATION, rotate_chance=1)
    grid = sample_grid(SHAPE, spacing=tuple(spacing), augmentation=turns, rng=np.random.default_rng(seed))
    in_space = spacing[:, None] * grid.matrix / spacing
    np.testing.assert_allclose(in_space @ in_space.T, np.eye(3), atol=1e-9)
    assert not grid.keeps_slices


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("z_spacing", [4.0, 10.0])
def test_slices_far_apart_stay_whole_whatever_else_happens(seed, z_spacing):
    grid = sample_grid(
        SHAPE, spacing=(z_spacing, 1, 1), augmentation=EVERYTHING, rng=np.random.default_rng(seed), centre_vox=(3, 5, 6)
    )
    assert grid.keeps_slices
    assert grid.displacement[1] is not None


def test_z_is_tilted_less_the_flatter_the_voxels():
    turns = replace(NO_AUGMENTATION, rotate_chance=1, in_plane_degrees=0)
    tilts = [
        np.degrees(
            np.arccos(
                sample_grid(SHAPE, spacing=(ratio, 1, 1), augmentation=turns, rng=np.random.default_rng(0)).matrix[0, 0]
            )
        )
        for ratio in (1.0, 2.0, 3.0, 4.0)
    ]
    assert tilts[0] == pytest.approx(tilts[1])
    assert tilts[1] > tilts[2] > tilts[3] == 0


def test_the_papers_bending_is_in_voxels_of_the_smallest_spacing():
    bends = replace(NO_AUGMENTATION, elastic_chance=1)
    spreads = []
    for spacing in [(1, 1, 1), (2, 1, 1)]:
        grids = [
            sample_grid((65, 65, 65), spacing=spacing, augmentation=bends, rng=np.random.default_rng(seed))
            for seed in range(10)
        ]
        spreads.append([np.mean([grid.displacement[axis].std() for grid in grids]) for axis in range(3)])
    assert spreads[0] == pytest.approx([3, 3, 3], abs=0.8)  # between the nodes it is less than their 4
    assert spreads[1][0] == pytest.approx(spreads[0][0] / 2, rel=0.25)


def test_extra_images_are_moved_but_keep_their_values():
    image, _ = draw()
    greys = replace(NO_AUGMENTATION, flip_chance=1, greys=Augmentation().greys)
    patch = change(greys, extra=image)
    np.testing.assert_array_equal(patch.extra, image[:, ::-1, ::-1, ::-1])
    assert not torch.allclose(patch.image, patch.extra)


def cut(image, labels, *, centre_vox, shape, augmentation, seed=0):
    """A patch out of a volume of equal spacing, as batches are drawn."""
    rng = np.random.default_rng(seed)
    grid = sample_grid(shape, spacing=(1, 1, 1), augmentation=augmentation, rng=rng, centre_vox=centre_vox)
    return warp(image, labels, grid=grid)


def test_a_patch_around_a_voxel_is_that_part_of_the_volume():
    image, labels = draw((12, 30, 40))
    patch = cut(image, labels, centre_vox=(6, 14, 20), shape=(5, 7, 9), augmentation=NO_AUGMENTATION)
    np.testing.assert_array_equal(patch.image, image[:, 4:9, 11:18, 16:25])
    np.testing.assert_array_equal(patch.labels, labels[4:9, 11:18, 16:25])


@pytest.mark.parametrize("seed", range(5))
def test_a_changed_patch_inside_the_volume_never_sees_its_own_border(seed):
    image = np.ones((1, 60, 60, 60), np.float32)
    labels = np.ones((60, 60, 60), int)
    little = replace(EVERYTHING, elastic_sigma_vox=1)
    patch = cut(image, labels, centre_vox=(30, 30, 30), shape=(16, 16, 16), augmentation=little, seed=seed)
    assert (patch.labels == 1).all()
    assert torch.allclose(patch.image, torch.ones(()), atol=1e-5)


class CountingSource:
    """A lazy source: hands out what is sliced, and remembers how much that was."""

    def __init__(self, data):
        self._data, self.shape, self.read = data, data.shape, 0

    def __getitem__(self, key):
        part = self._data[key]
        self.read += part.size
        return part


def test_only_the_part_of_the_volume_that_a_patch_needs_is_read():
    image, labels = draw((50, 60, 60))
    image, labels = CountingSource(image), CountingSource(labels)
    little = replace(EVERYTHING, elastic_sigma_vox=1)
    cut(image, labels, centre_vox=(25, 30, 30), shape=(8, 8, 8), augmentation=little)
    assert max(image.read, labels.read) < 30**3


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12)),
    spacing=st.tuples(*[st.sampled_from([0.2, 1.0, 3.0])] * 3),
    seed=st.integers(0, 99),
)
def test_any_volume_at_any_spacing_comes_out_finite_with_labels_that_went_in(shape, spacing, seed):
    image, labels = draw(shape)
    patch = change(EVERYTHING, seed=seed, spacing=spacing, shape=shape)
    assert patch.image.shape == image.shape
    assert torch.isfinite(patch.image).all()
    assert set(patch.labels.unique().tolist()) <= set(np.unique(labels).tolist()) | {UNLABELLED}


def test_flat_voxels_are_zoomed_along_z_as_far_as_asked():
    flat, free = (
        Augmentation(flip_chance=0, rotate_chance=0, elastic_chance=0, scale_chance=1, scale=2, least_z_zoom=least)
        for least in (0.0, 0.6)
    )
    for seed in range(5):
        whole, moved = (
            sample_grid((4, 8, 8), spacing=(5, 1, 1), augmentation=each, rng=np.random.default_rng(seed)).matrix
            for each in (flat, free)
        )
        assert abs(whole[0, 0]) == 1
        assert abs(moved[0, 0]) != 1
        np.testing.assert_allclose(whole[1:], moved[1:])
