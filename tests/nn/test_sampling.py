"""Patches around labelled voxels: which, how often, and nothing that is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.nn.augment import NO_AUGMENTATION, Augmentation
from napari_weak3d.nn.sampling import Source, draw_batch, find_spots
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.nn.warp import UNLABELLED

FLAT = (1000.0, 1.0, 1.0)
"""Spacing at which planes stay whole."""


def make_source(labels, *, offsets=(-1, 0, 1), maps=None, spacing=FLAT, hidden=()):
    """A volume whose grey value at each voxel is its plane, so that a patch tells where it is from."""
    planes = np.arange(len(labels), dtype=np.float32)[:, None, None]
    image = np.broadcast_to(planes, labels.shape)[None].copy()
    extra = np.empty((0, *labels.shape), np.float32) if maps is None else maps
    return Source(SlabView(image, offsets), labels.astype(np.int16), extra, spacing, hidden)


@pytest.fixture
def labels():
    """Two labelled planes: plane 2 with a square of class 1, plane 5 of class 0 with one voxel of class 2."""
    labels = np.full((8, 20, 24), UNLABELLED, np.int16)
    labels[2] = 0
    labels[2, 4:8, 4:8] = 1
    labels[5] = 0
    labels[5, 10, 11] = 2
    return labels


def draw(sources, *, n_classes=3, augmentation=NO_AUGMENTATION, size=4, shape=(1, 16, 16), seed=0):
    spots = find_spots(sources, n_classes=n_classes)
    rng = np.random.default_rng(seed)
    return draw_batch(sources, spots, size=size, shape=shape, augmentation=augmentation, rng=rng)


def test_spots_are_the_labelled_voxels_of_each_class(labels):
    other = np.full_like(labels, UNLABELLED)
    other[0, 0, 3] = 2
    spots = find_spots([make_source(labels), make_source(other)], n_classes=4)
    assert spots.counts == [2 * 480 - 17, 16, 2, 0]
    assert [spots.voxel(2, number) for number in range(2)] == [(0, 5, 10, 11), (1, 0, 0, 3)]
    assert [spots.voxel(1, number)[1:] for number in range(16)] == list(map(tuple, np.argwhere(labels == 1)))
    with pytest.raises(IndexError):
        spots.voxel(1, 16)


def test_spots_of_some_planes_are_left_out_and_hidden_planes_have_none(labels):
    spots = find_spots([make_source(labels), make_source(labels, hidden=(2,))], n_classes=3)
    assert spots.counts == [480 - 16 + 2 * 479, 16, 2]
    rest = spots.without([(5,), ()])
    assert rest.counts == [480 - 16 + 479, 16, 1]
    assert rest.voxel(2, 0) == (1, 5, 10, 11)


def test_a_batch_has_the_shapes_it_says(labels):
    source = make_source(labels, maps=np.zeros((2, *labels.shape), np.float32))
    batch = draw([source], size=3)
    assert batch.image.shape == (3, 3, 1, 16, 16)
    assert (batch.labels.shape, batch.labels.dtype) == ((3, 1, 16, 16), torch.int64)
    assert batch.maps.shape == (3, 2, 1, 16, 16)


def test_without_augmentation_a_patch_is_cut_out_of_its_plane(labels):
    batch = draw([make_source(labels)], size=20)
    for image, found in zip(batch.image, batch.labels, strict=True):
        plane = int(image[1, 0, 0, 0])
        assert plane in (2, 5)
        assert sorted(image[:, 0, 0, 0].tolist()) == [plane - 1, plane, plane + 1]
        windows = np.lib.stride_tricks.sliding_window_view(labels[plane], (16, 16)).reshape(-1, 16, 16)
        assert (windows == found[0].numpy()).all(axis=(1, 2)).any()


def test_a_class_of_one_voxel_is_drawn_as_often_as_the_others_in_half_of_the_patches():
    labels = np.full((9, 20, 24), UNLABELLED, np.int16)
    labels[2], labels[6, 10, 11] = 0, 1
    batch = draw([make_source(labels)], n_classes=2, size=60)
    share = (batch.labels == 1).flatten(1).any(1).float().mean()
    assert 0.1 < share < 0.45  # a quarter; by the number of voxels it would be one in 481


@pytest.mark.parametrize("shape", [(1, 16, 16), (8, 16, 16)])
@pytest.mark.parametrize("augmentation", [NO_AUGMENTATION, Augmentation(rotate_chance=1, elastic_chance=1)])
def test_hidden_planes_never_appear_in_the_labels_of_a_batch(labels, augmentation, shape):
    labels[2][labels[2] == 0] = UNLABELLED  # of plane 2 only class 1 is left
    spacing = FLAT if shape[0] == 1 else (1.0, 1.0, 1.0)
    source = make_source(labels, spacing=spacing, hidden=(5,))  # its classes 0 and 2 must not be seen
    batch = draw([source], size=24, augmentation=augmentation, shape=shape)
    assert set(batch.labels.unique().tolist()) == {UNLABELLED, 1}


def test_a_flat_patch_shows_one_plane_only(labels):
    strong = Augmentation(rotate_chance=1, scale_chance=1, elastic_chance=1, greys=NO_AUGMENTATION.greys)
    batch = draw([make_source(labels)], size=24, augmentation=strong)
    middle = batch.image[:, 1].flatten(1)
    assert float((middle - middle[:, :1]).abs().max()) < 1e-5
    assert {round(value) for value in middle[:, 0].tolist()} == {2, 5}


def test_the_same_generator_gives_the_same_batch_and_another_one_another(labels):
    first, again, other = (
        draw([make_source(labels)], augmentation=Augmentation(rotate_chance=1), seed=seed) for seed in (3, 3, 4)
    )
    for name in ("image", "labels", "maps"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.image, other.image)


def test_a_patch_larger_than_the_volume_is_mirrored_outside_and_unlabelled_there(labels):
    batch = draw([make_source(labels)], size=2, shape=(1, 32, 32))
    assert torch.isfinite(batch.image).all()
    for found in batch.labels:
        assert int((found != UNLABELLED).sum()) == 20 * 24


def test_patches_come_from_all_volumes(labels):
    other = labels.copy()
    other[other != UNLABELLED] = 3
    batch = draw([make_source(labels), make_source(other)], n_classes=4, size=24)
    from_other = (batch.labels == 3).flatten(1).any(1)
    assert 0 < int(from_other.sum()) < 24


def test_patches_are_centred_on_classes_as_often_as_asked(labels):
    sources = [make_source(labels)]
    spots = replace(find_spots(sources, n_classes=3), shares=(0.0, 0.0, 1.0))
    rng = np.random.default_rng(0)
    batch = draw_batch(sources, spots, size=20, shape=(1, 4, 4), augmentation=NO_AUGMENTATION, rng=rng)
    assert (batch.labels == 2).flatten(1).any(1).all()


def test_the_share_of_a_class_without_voxels_goes_to_the_others(labels):
    sources = [make_source(np.where(labels == 2, 0, labels))]
    spots = replace(find_spots(sources, n_classes=3), shares=(0.5, 0.0, 0.5))
    rng = np.random.default_rng(0)
    batch = draw_batch(sources, spots, size=4, shape=(1, 4, 4), augmentation=NO_AUGMENTATION, rng=rng)
    assert (batch.labels == 0).flatten(1).any(1).all()
