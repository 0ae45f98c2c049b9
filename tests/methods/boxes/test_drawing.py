"""Patches with boxes: both are moved alike, and nothing is taken for background that may be an object."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_weak3d.methods.boxes.drawing import (
    AUGMENTATION,
    draw_boxed_batch,
    find_known,
    find_swappable,
    make_lesson,
    move_boxes,
)
from napari_weak3d.methods.boxes.scheme import make_classes
from napari_weak3d.methods.boxes.volumes import annotate
from napari_weak3d.nn.augment import Augmentation, sample_grid
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.nn.warp import Grid, warp
from napari_weak3d.types import Sample

SHAPE = (12, 32, 32)


@pytest.fixture
def annotated(sample):
    return annotate(sample, view_volume(sample.volume), classes=make_classes([sample.annotation]))


def tight_boxes(labels, ids):
    """Half-open boxes of labelled voxels, by scipy."""
    found = ndimage.find_objects(labels)
    return np.array([[[s.start for s in found[i - 1]], [s.stop for s in found[i - 1]]] for i in ids], float)


@pytest.mark.parametrize("seed", range(5))
def test_flipped_and_swapped_boxes_are_those_of_the_flipped_and_swapped_masks(seed, annotated, truth):
    augmentation = Augmentation(rotate_chance=0, scale_chance=0, elastic_chance=0)
    grid = sample_grid(
        (12, 48, 48), spacing=annotated.spacing, augmentation=augmentation, rng=np.random.default_rng(seed)
    )
    moved = warp(annotated.view, truth, grid=grid).labels.numpy()
    np.testing.assert_allclose(move_boxes(annotated.boxes, grid), tight_boxes(moved, [1, 2, 3]), atol=1e-9)


def test_scaled_boxes_are_those_of_the_scaled_masks_to_a_voxel(annotated, truth):
    grid = Grid((12, 48, 48), np.diag([1.0, 0.8, 1.2]), np.array([0.0, 3.0, -2.0]))
    moved = warp(annotated.view, truth, grid=grid).labels.numpy()
    assert np.abs(move_boxes(annotated.boxes, grid) - tight_boxes(moved, [1, 2, 3])).max() <= 1


def test_a_turned_box_is_that_of_the_turned_ellipsoid():
    z, y, x = np.ogrid[-20:21, -20:21, -20:21]
    ellipsoid = ((z / 15) ** 2 + (y / 6) ** 2 + (x / 10) ** 2 <= 1).astype(np.int32)
    turn = np.radians(30)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    grid = Grid((41, 41, 41), matrix, np.array([20.0, 20, 20]) - matrix @ [20.0, 20, 20])
    image = np.zeros((1, 41, 41, 41), np.float32)
    moved = warp(image, ellipsoid, grid=grid).labels.clamp(min=0).numpy()
    (before,) = tight_boxes(ellipsoid, [1])
    assert np.abs(move_boxes(before[None], grid) - tight_boxes(moved, [1])).max() <= 1.5


def test_patches_hold_a_learned_object_or_come_from_the_region(annotated):
    region = ((0, 12), (0, 48), (0, 20))
    lesson = make_lesson(annotated, region=region)
    assert lesson.learned.tolist() == [True, False, False]
    rng = np.random.default_rng(0)
    batch = draw_boxed_batch([lesson], size=20, shape=SHAPE, augmentation=AUGMENTATION, rng=rng)
    assert batch.image.shape == (20, 2, *SHAPE)
    for truth, masks in zip(batch.truth, batch.masks, strict=True):
        assert set(truth.ids[truth.learned].tolist()) <= {1}
        assert set(masks.unique().tolist()) - {0, -1} <= set(truth.ids.tolist()) | {1, 2, 3}
        anywhere = torch.rand(500, 3) * torch.tensor(SHAPE)
        source = (anywhere.double() - 0.5) @ torch.from_numpy(truth.grid.matrix).T + torch.from_numpy(truth.grid.offset)
        inside = ((source + 0.5 >= 0) & (source + 0.5 < torch.tensor([12, 48, 20]))).all(1)
        assert (truth.are_known(anywhere) == inside).float().mean() > 0.99  # but for rounding


def test_boxes_beside_the_region_are_learned_and_around_them_nothing_is_background(sample):
    region = ((0, 12), (0, 48), (0, 20))
    beside = annotate(
        replace(sample, region=region), view_volume(sample.volume), classes=make_classes([sample.annotation])
    )
    assert make_lesson(beside).learned.tolist() == [True, True, True]
    assert make_lesson(beside).region == region
    held_back = make_lesson(beside, region=((0, 12), (0, 4), (0, 20)))
    assert held_back.learned.tolist() == [False, True, True], "what is held out of the region is not learned"


def test_boxes_of_a_patch_lie_where_their_masks_do(annotated):
    masked = replace(annotated, has_mask=np.ones(3, bool))
    rng = np.random.default_rng(1)
    batch = draw_boxed_batch([make_lesson(masked)], size=10, shape=SHAPE, augmentation=AUGMENTATION, rng=rng)
    for truth, masks in zip(batch.truth, batch.masks, strict=True):
        for corners, number, has_mask in zip(truth.boxes, truth.ids, truth.has_mask, strict=True):
            where = (masks == number).nonzero().float() + 0.5
            if has_mask and len(where):
                assert (where > corners[0] - 0.8).all()
                assert (where < corners[1] + 0.8).all()


def test_the_same_generator_draws_the_same_patches(annotated):
    lesson = make_lesson(annotated)
    one, other = (
        draw_boxed_batch([lesson], size=2, shape=SHAPE, augmentation=AUGMENTATION, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.truth[0].boxes, other.truth[0].boxes)


def test_only_axes_along_which_objects_are_alike_are_swapped():
    assert find_swappable((10, 11, 10)) == (0, 1, 2)
    assert find_swappable((4, 11, 10)) == (1, 2)
    assert find_swappable((20, 11, 10)) == (1, 2)


def test_without_masks_all_of_a_volume_is_unmasked(sample):
    bare = replace(sample.annotation, masks=None, has_mask=np.ones(3, bool))
    annotated = annotate(Sample(sample.volume, bare), view_volume(sample.volume), classes=make_classes([bare]))
    assert not annotated.has_mask.any()
    assert annotated.shape == sample.volume.shape


@pytest.mark.parametrize("seed", range(6))
def test_where_boxes_are_complete_is_where_the_voxels_of_a_patch_come_from(seed, annotated):
    region = ((2, 9), (5, 30), (0, 20))
    lesson = make_lesson(annotated, region=region)
    rng = np.random.default_rng(seed)
    batch = draw_boxed_batch([lesson], size=1, shape=(12, 24, 24), augmentation=AUGMENTATION, rng=rng)
    truth, shape = batch.truth[0], (12, 24, 24)
    centres = torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in shape), indexing="ij"), dim=-1)
    expected = truth.are_known(centres.reshape(-1, 3)).reshape(shape)
    found = torch.zeros(shape, dtype=torch.bool)
    found[tuple(slice(low, high) for low, high in find_known(truth.grid, region, shape=shape))] = True
    assert expected.any()
    assert torch.equal(found, expected)
    labels = truth.label_voxels(batch.masks[0])
    assert (labels[~found & (batch.masks[0] == 0)] < 0).all()
