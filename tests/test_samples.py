"""Synthetic volumes and weak labels: what a truth must be, and what a person would have given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_weak3d.errors import AnnotationError
from napari_weak3d.metrics import foreground_iou
from napari_weak3d.samples import (
    CELL,
    MEMBRANE,
    SYNTHETIC,
    click_centroids,
    draw_boxes,
    make_blobs,
    make_bright_field,
    make_demo,
    make_sheets,
    make_tubes,
    paint_slices,
)
from napari_weak3d.samples.blobs import keep_whole

SMALL = (16, 64, 64)
ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def rng(seed=0):
    return np.random.default_rng(seed)


def count_pieces(mask):
    return ndi.label(mask, structure=ALL_NEIGHBOURS)[1]


def best_threshold_iou(sample):
    """What the best single grey value, chosen with the truth at hand, gets after light smoothing."""
    smooth = ndi.gaussian_filter(sample.volume.data[0].astype(float), 1)
    values = np.quantile(smooth, np.linspace(0.3, 0.99, 40))
    return max(foreground_iou(smooth > value, sample.labels) for value in values)


# Volumes


@pytest.mark.parametrize("name", SYNTHETIC)
def test_a_sample_is_a_uint16_volume_with_a_truth_of_its_shape_and_ids_without_gaps(name):
    sample = SYNTHETIC[name].make(rng(), shape=SMALL)
    assert sample.volume.data.dtype == np.uint16
    assert sample.volume.data.shape == (1, *SMALL)
    assert sample.volume.unit == "um"
    assert sample.labels.dtype == np.int32
    assert sample.labels.shape == SMALL
    assert np.unique(sample.labels).tolist() == list(range(sample.labels.max() + 1))
    assert sample.labels.max() >= 1


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_same_seed_gives_the_same_sample_and_another_seed_another(name):
    first, again, other = (SYNTHETIC[name].make(rng(seed), shape=SMALL) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.volume.data, again.volume.data)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.volume.data != other.volume.data).any()
    assert (first.labels != other.labels).any()


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_object_is_in_one_piece(name):
    labels = SYNTHETIC[name].make(rng(1), shape=SMALL).labels
    assert [count_pieces(labels == number) for number in range(1, labels.max() + 1)] == [1] * labels.max()


@pytest.mark.parametrize("name", SYNTHETIC)
def test_samples_of_odd_shapes_and_of_one_slice_are_made(name):
    for shape in [(1, 40, 33), (5, 17, 70)]:
        assert SYNTHETIC[name].make(rng(2), shape=shape).volume.shape == shape


@pytest.mark.parametrize("seed", range(3))
def test_separate_blobs_never_touch_and_touching_ones_do(seed):
    apart = SYNTHETIC["separate-blobs"].make(rng(seed), shape=(24, 96, 96)).labels
    together = SYNTHETIC["touching-blobs"].make(rng(seed), shape=(24, 96, 96)).labels
    assert count_pieces(apart > 0) == apart.max()
    assert count_pieces(together > 0) < together.max() / 2


@pytest.mark.parametrize("name", [name for name in SYNTHETIC if name != "bright-field"])
def test_objects_are_brighter_than_what_surrounds_them_except_cells_between_bright_walls(name):
    sample = SYNTHETIC[name].make(rng(), shape=SMALL)
    image = sample.volume.data[0]
    bright = sample.labels > 0 if sample.classes is None else sample.classes == MEMBRANE
    assert image[bright].mean() > 1.2 * image[~bright].mean()


def test_a_transparent_cell_shows_by_its_dark_border_more_than_by_its_inside():
    sample = make_bright_field(rng())
    image = ndi.gaussian_filter(sample.volume.data[0].astype(float), (0, 1, 1))
    spacing = sample.volume.spacing
    inwards = ndi.distance_transform_edt(sample.labels > 0, sampling=spacing)
    outwards = ndi.distance_transform_edt(sample.labels == 0, sampling=spacing)
    usual = np.median(image)
    border, inside, outside = (
        image[where].mean() - usual for where in ((inwards > 0) & (inwards < 0.8), inwards > 2, outwards > 4)
    )
    assert border < 1.7 * inside < 0
    assert abs(outside) < 0.2 * abs(inside)


def test_a_transparent_ball_is_dark_on_one_side_of_the_focus_and_bright_on_the_other():
    sample = make_bright_field(rng(2), shape=(33, 96, 96), fill=0.001)
    assert sample.labels.max() == 1
    z, y, x = (round(each) for each in ndi.center_of_mass(sample.labels))
    image = sample.volume.data[0].astype(float)
    before, behind = (image[at, y - 3 : y + 4, x - 3 : x + 4].mean() for at in (z - 6, z + 6))
    assert before < 0.93 * np.median(image)
    assert behind > 1.03 * np.median(image)


def test_walls_and_cells_of_sheets_share_no_voxel_and_fill_nearly_all():
    sample = make_sheets(rng(), shape=(24, 64, 64))
    assert ((sample.classes == CELL) == (sample.labels > 0)).all()
    assert (sample.classes == 0).mean() < 0.01
    assert 0.1 < (sample.classes == MEMBRANE).mean() < 0.5


def test_walls_thicker_than_a_voxel_keep_all_cells_apart():
    sample = make_sheets(rng(), shape=(24, 64, 64), wall_um=1.5)
    assert count_pieces(sample.labels > 0) == sample.labels.max()


def test_nuclei_have_the_diameter_asked_for_in_micrometres_whatever_the_spacing():
    for spacing in [(0.5, 0.5, 0.5), (1.5, 0.4, 0.4)]:
        shape = tuple(int(60 / step) for step in spacing)
        labels = make_blobs(rng(), shape=shape, spacing=spacing, diameter_um=8.0, fill=0.05).labels
        boxes = ndi.find_objects(labels)
        whole = [
            number
            for number, box in enumerate(boxes, start=1)
            if all(s.start > 0 and s.stop < n for s, n in zip(box, shape, strict=True))
        ]
        volumes = np.bincount(labels.ravel())[whole] * np.prod(spacing)
        assert np.median(np.cbrt(6 / np.pi * volumes)) == pytest.approx(8.0, rel=0.1)


def test_of_an_object_in_pieces_the_largest_is_kept_and_slivers_are_dropped():
    labels = np.array([[[5, 5, 5, 0, 5, 0, 2, 2, 0, 9]]], np.int32)
    assert keep_whole(labels, smallest=2).tolist() == [[[2, 2, 2, 0, 0, 0, 1, 1, 0, 0]]]


def test_more_fill_gives_more_objects():
    few, many = (make_blobs(rng(), shape=SMALL, fill=fill, touching=0.5).labels for fill in (0.05, 0.3))
    assert few.max() < many.max()
    assert (few > 0).mean() < (many > 0).mean()


def test_vessels_branch_and_hang_together():
    labels = make_tubes(rng(), shape=(24, 96, 96), n_trees=2).labels
    assert labels.max() <= 2
    assert (labels > 0).sum() > 1000


def test_the_demo_is_always_the_same_flat_stack_of_about_forty_nuclei_that_touch():
    sample = make_demo()
    assert sample.volume.shape == (32, 128, 128)
    assert sample.volume.spacing[0] > sample.volume.spacing[1]
    assert 35 <= sample.labels.max() <= 50
    assert count_pieces(sample.labels > 0) < sample.labels.max()
    np.testing.assert_array_equal(sample.volume.data, make_demo().volume.data)


@pytest.mark.parametrize("name", ["noisy", "anisotropic", "out-of-focus", "tubes"])
def test_no_single_grey_value_solves_the_harder_samples(name):
    assert best_threshold_iou(SYNTHETIC[name].make(rng())) < 0.9


# Painted slices


@pytest.mark.parametrize(
    ("n", "k", "expected"),
    [(48, 3, [8, 24, 40]), (32, 3, [5, 16, 27]), (5, 2, [1, 4]), (3, 1, [2]), (1, 1, [0]), (2, 5, [0, 1]), (4, 0, [])],
)
def test_slices_lie_where_numpy_rounds_the_even_spacing_to(n, k, expected):
    painted = paint_slices(np.ones((n, 3, 3), np.int32), slices_per_axis=(k, 0, 1))
    assert painted.annotated == (*((0, index) for index in expected), (2, 2))


def test_painted_slices_are_complete_and_all_other_voxels_unpainted():
    labels = np.zeros((9, 8, 7), np.int32)
    labels[2:7, 2:6, 1:5] = 300
    painted = paint_slices(labels, slices_per_axis=(1, 0, 1))
    assert painted.annotated == ((0, 4), (2, 4))
    shown = np.zeros(labels.shape, bool)
    shown[4], shown[:, :, 4] = True, True
    np.testing.assert_array_equal(painted.labels, np.where(shown, labels > 0, 0))
    assert [(c.value, c.background) for c in painted.classes] == [(0, True), (1, False)]


def test_painted_objects_keep_their_ids_and_have_no_classes():
    labels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    painted = paint_slices(labels, slices_per_axis=(0, 3, 0), paint="objects")
    np.testing.assert_array_equal(painted.labels[:, [0, 2]], labels[:, [0, 2]])
    assert painted.labels.dtype == np.int32
    assert (painted.paint, painted.classes) == ("objects", ())


@pytest.mark.parametrize("slices_per_axis", [(0, 0, 0), (3, -1, 0)])
def test_no_slices_or_negative_ones_are_refused(slices_per_axis):
    with pytest.raises(AnnotationError, match="paint nothing"):
        paint_slices(np.ones((3, 3, 3), int), slices_per_axis=slices_per_axis)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(shape=st.tuples(*[st.integers(1, 12)] * 3), counts=st.tuples(*[st.integers(0, 15)] * 3))
def test_slices_are_inside_the_volume_in_order_and_each_once(shape, counts):
    if sum(counts) == 0:
        return
    annotated = paint_slices(np.ones(shape, np.int32), slices_per_axis=counts).annotated
    assert sorted(set(annotated)) == list(annotated)
    assert all(0 <= index < shape[axis] for axis, index in annotated)


# Clicks


def draw_ring_and_block():
    """Id 4: a square ring whose centre is empty. Id 9: a block of even size."""
    labels = np.zeros((5, 12, 20), np.int32)
    labels[2, 2:9, 2:9] = 4
    labels[2, 3:8, 3:8] = 0
    labels[1:5, 2:6, 12:18] = 9
    return labels


def test_a_click_is_the_centre_of_mass_or_the_nearest_voxel_of_a_ring():
    labels = draw_ring_and_block()
    ring, block = click_centroids(labels, rng=rng()).points_vox
    assert labels[tuple(ring.astype(int))] == 4
    assert np.linalg.norm(ring - (2, 5, 5)) == 3  # the middle of a side, not a corner
    assert block.tolist() == [2.5, 3.5, 14.5]


def test_jitter_scales_with_the_objects_size_and_stays_in_the_volume():
    labels = np.zeros((8, 200, 200), np.int32)
    for k in range(100):
        labels[:, 20 * (k // 10) + 5 : 20 * (k // 10) + 15, 20 * (k % 10) + 5 : 20 * (k % 10) + 15] = k + 1
    exact, moved = (click_centroids(labels, rng=rng(), jitter=jitter).points_vox for jitter in (0.0, 0.1))
    assert (moved - exact)[:, 1:].std() == pytest.approx(0.1 * 10, rel=0.2)
    assert (moved - exact)[:, 0].std() == pytest.approx(0.1 * 8, rel=0.2)
    wild = click_centroids(labels, rng=rng(), jitter=50.0).points_vox
    assert (wild >= 0).all()
    assert (wild <= (7, 199, 199)).all()


def test_missing_and_double_clicks_are_the_shares_asked_for():
    labels = np.zeros((1, 10, 30), np.int32)
    labels[0, ::2, ::3] = np.arange(1, 51).reshape(5, 10)
    points = click_centroids(labels, rng=rng(), missing=0.2, double=0.1).points_vox.astype(int)
    ids = labels[tuple(points.T)]
    assert len(points) == 40 + 4
    assert len(set(ids.tolist())) == 40
    assert (ids > 0).all()


def test_no_objects_give_no_clicks_and_no_boxes():
    empty = np.zeros((3, 4, 5), np.int32)
    assert click_centroids(empty, rng=rng(), missing=0.5, double=0.5).points_vox.shape == (0, 3)
    boxes = draw_boxes(empty, rng=rng())
    assert (boxes.corners.shape, boxes.classes.shape, boxes.has_mask.shape) == ((0, 2, 3), (0,), (0,))
    assert not boxes.masks.any()


# Boxes


def test_boxes_are_tight_half_open_and_in_order_of_id():
    boxes = draw_boxes(draw_ring_and_block(), rng=rng())
    assert boxes.corners.tolist() == [[[2, 2, 2], [3, 9, 9]], [[1, 2, 12], [5, 6, 18]]]
    assert boxes.classes.tolist() == [1, 1]


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1), (0.2, 4), (0.5, 10), (1.0, 20)])
def test_masks_are_of_the_fraction_asked_for_and_at_least_one(fraction, expected):
    labels = np.zeros((2, 10, 20), np.int32)
    labels[:, 2:8] = np.arange(1, 21) * 5
    boxes = draw_boxes(labels, rng=rng(), fraction=fraction)
    assert boxes.has_mask.sum() == expected
    assert len(boxes.corners) == 20
    rows = np.flatnonzero(boxes.has_mask)
    assert (np.unique(boxes.masks[boxes.masks > 0]) == rows + 1).all()
    for row in rows:
        np.testing.assert_array_equal(boxes.masks == row + 1, labels == 5 * (row + 1))
