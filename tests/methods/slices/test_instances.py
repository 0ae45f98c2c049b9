from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction

from napari_weak3d.errors import AnnotationError
from napari_weak3d.methods.slices.instances import (
    InstanceSettings,
    PaintedView,
    choose_settings,
    find_instances,
    typical_volume,
)
from napari_weak3d.methods.slices.object_targets import make_object_maps
from napari_weak3d.metrics import instance_scores

SPACING = (2.0, 1.0, 1.0)
SETTINGS = InstanceSettings()


def views_of(painted, maps):
    """Painted planes by z, all with the same maps."""
    return [PaintedView(maps, z, plane) for z, plane in painted.items()]


def make_maps(ids, spacing=SPACING):
    """True maps of every plane: what a perfect network would predict."""
    return np.stack([make_object_maps(plane, spacing=spacing[1:]) for plane in ids], axis=1)


def draw_balls(shape, balls, spacing=SPACING):
    """Balls (id, centre in voxels, radius in units of the spacing); touching ones are parted half-way."""
    grid = np.moveaxis(np.indices(shape), 0, -1)
    fields = [np.linalg.norm((grid - centre) * spacing, axis=-1) / radius for _, centre, radius in balls]
    nearest = np.argmin(fields, axis=0)
    ids = np.array([ball[0] for ball in balls], dtype=np.int32)
    return np.where(np.min(fields, axis=0) < 1, ids[nearest], 0).astype(np.int32)


def two_touching_balls():
    return draw_balls((16, 30, 46), [(1, (8, 15, 14), 10), (2, (8, 15, 31), 10)])


# --- the maps ---------------------------------------------------------------------------------------------------


def test_touch_marks_both_sides_of_a_face_between_two_objects_and_nothing_else():
    plane = np.zeros((5, 8), np.int32)
    plane[1:4, 1:4], plane[1:4, 4:7] = 7, 3
    foreground, touch, _ = make_object_maps(plane, spacing=(1.0, 1.0))
    expected = np.zeros((5, 8))
    expected[1:4, 3:5] = 1
    np.testing.assert_array_equal(touch, expected)
    np.testing.assert_array_equal(foreground, plane > 0)


def test_core_is_one_in_the_middle_of_each_cross_section_whatever_its_size():
    plane = np.zeros((9, 20), np.int32)
    plane[1:8, 1:8] = 1  # 7 x 7: distances 1..4
    plane[3:6, 10:13] = 2  # 3 x 3: distances 1..2
    plane[3:6, 15:18] = 2  # a second piece of the same id
    core = make_object_maps(plane, spacing=(1.0, 1.0))[2]
    np.testing.assert_allclose(core[4, 1:8], np.array([1, 2, 3, 4, 3, 2, 1]) / 4)
    np.testing.assert_allclose(core[4, 10:13], [0.5, 1, 0.5])
    np.testing.assert_allclose(core[4, 15:18], [0.5, 1, 0.5])
    assert core[plane == 0].max() == 0


def test_core_measures_distance_in_the_unit_of_the_spacing():
    plane = np.zeros((9, 9), np.int32)
    plane[1:8, 1:8] = 1
    core = make_object_maps(plane, spacing=(1.0, 10.0))[2]
    np.testing.assert_allclose(core[1:8, 4], np.array([1, 2, 3, 4, 3, 2, 1]) / 4)
    np.testing.assert_allclose(core[4, 2:7], 1)  # sideways every edge is further than the 4 upwards


def test_core_and_touch_agree_with_a_plain_version_on_random_ids():
    rng = np.random.default_rng(0)
    plane = ndimage.zoom(rng.integers(0, 5, (6, 7)), 4, order=0).astype(np.int32)
    _, touch, core = make_object_maps(plane, spacing=(1.0, 2.0))
    slow_core, slow_touch = np.zeros(plane.shape), np.zeros(plane.shape)
    for number in range(1, 5):
        sections, n = ndimage.label(plane == number, np.ones((3, 3)))
        for section in range(1, n + 1):
            depth = ndimage.distance_transform_edt(np.pad(sections == section, 1), sampling=(1, 2))[1:-1, 1:-1]
            slow_core += depth / depth.max()
    for y, x in np.argwhere(plane):
        near = [(y + dy, x + dx) for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        inside = [q for q in near if 0 <= q[0] < plane.shape[0] and 0 <= q[1] < plane.shape[1]]
        slow_touch[y, x] = any(plane[q] not in (0, plane[y, x]) for q in inside)
    np.testing.assert_allclose(core, slow_core, atol=1e-6)
    np.testing.assert_array_equal(touch, slow_touch)


def test_an_empty_plane_has_empty_maps():
    maps = make_object_maps(np.zeros((4, 5), np.int32), spacing=(1.0, 1.0))
    assert maps.shape == (3, 4, 5)
    assert maps.dtype == np.float32
    assert not maps.any()


# --- objects from maps -------------------------------------------------------------------------------------------


def test_true_maps_of_two_touching_balls_give_two_objects_that_fill_the_foreground():
    truth = two_touching_balls()
    labels = find_instances(make_maps(truth), spacing=SPACING, settings=SETTINGS)
    scores = instance_scores(labels, truth)
    assert scores.n_predicted == scores.n_true == 2
    assert scores.seg > 0.95
    np.testing.assert_array_equal(labels > 0, truth > 0)


def test_balls_far_apart_come_out_exactly():
    truth = draw_balls((20, 30, 40), [(1, (5, 8, 8), 6), (2, (14, 20, 9), 7), (3, (9, 15, 30), 8)])
    labels = find_instances(make_maps(truth), spacing=SPACING, settings=SETTINGS)
    assert instance_scores(labels, truth).seg == 1
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]


def test_noise_on_the_maps_parts_no_ball():
    truth = two_touching_balls()
    maps = make_maps(truth)
    noisy = np.clip(maps + np.random.default_rng(0).normal(0, 0.1, maps.shape), 0, 1)
    assert instance_scores(find_instances(noisy, spacing=SPACING, settings=SETTINGS), truth).f1 == 1


def test_as_many_objects_come_out_as_the_landscape_has_maxima_of_that_depth():
    core = ndimage.gaussian_filter(np.random.default_rng(4).random((10, 24, 24)), 1.5)
    core = (core - core.min()) / np.ptp(core)
    maps = np.stack([np.ones_like(core), np.zeros_like(core), core])
    plain = InstanceSettings(smooth_plane=0.0, smooth_z=0.0, min_top=-1.0)
    cross = ndimage.generate_binary_structure(3, 1)
    for depth in (0.02, 0.05, 0.1, 0.2):
        filled = reconstruction(core - depth, core, footprint=cross)
        n_maxima = ndimage.label(local_maxima(np.pad(filled, 1, constant_values=-1), connectivity=1))[1]
        assert find_instances(maps, spacing=SPACING, settings=replace(plain, depth=depth)).max() == n_maxima
        assert n_maxima > 1


def test_fragments_that_are_large_together_are_not_small():
    truth = two_touching_balls()
    maps = make_maps(truth)
    noisy = np.clip(maps + np.random.default_rng(0).normal(0, 0.1, maps.shape), 0, 1)
    ball = (truth == 1).sum() * float(np.prod(SPACING))
    labels = find_instances(noisy, spacing=SPACING, settings=replace(SETTINGS, smooth_plane=0.2, min_volume=0.7 * ball))
    assert instance_scores(labels, truth).f1 == 1


def test_maps_without_foreground_give_no_object():
    labels = find_instances(np.zeros((3, 4, 5, 6), np.float16), spacing=SPACING, settings=SETTINGS)
    assert labels.dtype == np.int32
    assert labels.shape == (4, 5, 6)
    assert not labels.any()


def test_maps_full_of_one_object_give_that_object():
    maps = np.ones((3, 4, 8, 8))
    maps[1] = 0
    assert (find_instances(maps, spacing=SPACING, settings=SETTINGS) == 1).all()


def test_foreground_on_a_slope_that_rises_beyond_it_is_still_found():
    maps = np.zeros((3, 3, 20, 20))
    maps[2] = np.linspace(0, 1, 20)
    maps[0, :, :, 12:16] = 1
    labels = find_instances(maps, spacing=SPACING, settings=SETTINGS)
    np.testing.assert_array_equal(labels > 0, maps[0] > 0)


def test_a_deeper_fall_is_asked_for_and_the_balls_become_one():
    truth = two_touching_balls()
    deep = replace(SETTINGS, depth=3.0)
    assert find_instances(make_maps(truth), spacing=SPACING, settings=deep).max() == 1


def test_a_fragment_below_the_smallest_volume_is_dropped_where_it_is_alone():
    truth = draw_balls((12, 24, 40), [(1, (6, 12, 12), 9), (2, (6, 12, 32), 3)])
    voxel = float(np.prod(SPACING))
    small = (truth == 2).sum() * voxel
    maps = make_maps(truth)
    for min_volume, expected in ((small, 2), (small + voxel, 1)):
        labels = find_instances(maps, spacing=SPACING, settings=replace(SETTINGS, min_volume=min_volume))
        assert labels.max() == expected
    np.testing.assert_array_equal(labels == 1, truth == 1)


def test_a_fragment_below_the_smallest_volume_goes_to_the_object_it_touches():
    truth = draw_balls((12, 24, 34), [(1, (6, 12, 12), 9), (2, (6, 12, 23), 4)])
    smallest = replace(SETTINGS, min_volume=float((truth == 2).sum() * np.prod(SPACING)) * 1.5)
    labels = find_instances(make_maps(truth), spacing=SPACING, settings=smallest)
    np.testing.assert_array_equal(labels, truth > 0)


def test_flat_haze_is_no_object():
    truth = draw_balls((12, 24, 40), [(1, (6, 12, 12), 9), (2, (6, 12, 32), 6)])
    maps = make_maps(truth)
    maps[2][truth == 2] *= 0.2
    np.testing.assert_array_equal(find_instances(maps, spacing=SPACING, settings=SETTINGS), truth == 1)


# --- paint wins --------------------------------------------------------------------------------------------------


def test_painted_planes_come_out_as_they_were_painted_whatever_the_maps_say():
    truth = two_touching_balls() * 5  # ids 5 and 10
    maps = np.random.default_rng(1).random((3, *truth.shape))
    painted = {z: truth[z] for z in (3, 8, 12)}
    labels = find_instances(maps, spacing=SPACING, settings=replace(SETTINGS, min_volume=1e9), painted=painted)
    for z, plane in painted.items():
        np.testing.assert_array_equal(labels[z], plane)


def test_objects_hang_together_across_a_painted_plane_that_the_network_got_wrong():
    truth = two_touching_balls()
    maps = make_maps(truth)
    maps[:, 8] = [[[1.0]], [[1.0]], [[0.0]]]
    assert instance_scores(find_instances(maps, spacing=SPACING, settings=SETTINGS), truth).seg < 0.7
    labels = find_instances(maps, spacing=SPACING, settings=SETTINGS, painted={8: truth[8]})
    assert labels.max() == 2
    assert instance_scores(labels, truth).seg > 0.95


def test_two_painted_objects_are_never_joined_even_where_the_maps_see_one():
    truth = two_touching_balls()
    blind = make_maps((truth > 0).astype(np.int32))
    assert find_instances(blind, spacing=SPACING, settings=replace(SETTINGS, depth=2.0)).max() == 1
    labels = find_instances(blind, spacing=SPACING, settings=replace(SETTINGS, depth=2.0), painted={8: truth[8]})
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert instance_scores(labels, truth).seg > 0.9


def test_one_painted_id_is_one_object_even_where_the_maps_see_two():
    truth = two_touching_balls()
    one = (truth > 0).astype(np.int32) * 4
    labels = find_instances(make_maps(truth), spacing=SPACING, settings=SETTINGS, painted={8: one[8]})
    np.testing.assert_array_equal(labels, one)


def test_an_id_painted_on_planes_that_nothing_connects_stays_one_object():
    truth = draw_balls((30, 20, 20), [(6, (6, 10, 10), 7), (6, (23, 10, 10), 7)])
    labels = find_instances(
        make_maps(truth), spacing=SPACING, settings=SETTINGS, painted={z: truth[z] for z in (6, 23)}
    )
    np.testing.assert_array_equal(labels, truth)


def test_objects_that_no_painted_plane_shows_get_new_ids():
    truth = draw_balls((30, 20, 20), [(9, (6, 10, 10), 7), (2, (23, 10, 10), 7)])
    labels = find_instances(make_maps(truth), spacing=SPACING, settings=SETTINGS, painted={6: truth[6]})
    np.testing.assert_array_equal(labels == 9, truth == 9)
    np.testing.assert_array_equal(labels == 10, truth == 2)
    assert sorted(np.unique(labels)) == [0, 9, 10]


def test_painted_objects_of_any_size_stay():
    plane = np.zeros((12, 12), np.int32)
    plane[5, 5] = 3
    settings = replace(SETTINGS, min_volume=1e6)
    labels = find_instances(np.zeros((3, 5, 12, 12)), spacing=SPACING, settings=settings, painted={2: plane})
    assert np.argwhere(labels == 3).tolist() == [[2, 5, 5]]


@pytest.mark.parametrize(("z", "shape"), [(5, (6, 7)), (-1, (6, 7)), (2, (7, 6))])
def test_paint_that_does_not_fit_the_volume_is_refused_and_the_plane_named(z, shape):
    with pytest.raises(AnnotationError, match=f"painted plane z {z}"):
        find_instances(
            np.zeros((3, 5, 6, 7)), spacing=SPACING, settings=SETTINGS, painted={z: np.zeros(shape, np.int32)}
        )


# --- settings ----------------------------------------------------------------------------------------------------


def grid_of_balls():
    centres = [(8, y, x) for y in (12, 32, 52) for x in (12, 30, 48)]
    return draw_balls((16, 64, 60), [(i + 1, centre, 10) for i, centre in enumerate(centres)])


def test_true_maps_leave_the_default_settings():
    truth = grid_of_balls()
    painted = {z: truth[z] for z in (4, 8, 12)}
    chosen = choose_settings(views_of(painted, make_maps(truth)), spacing=SPACING)
    assert replace(chosen, min_volume=0.0) == SETTINGS
    assert chosen.min_volume > 0


def test_a_network_unsure_of_the_foreground_gets_another_threshold_that_scores_better():
    truth = grid_of_balls()
    painted = {z: truth[z] for z in (4, 8, 12)}
    maps = make_maps(truth)
    halo = ndimage.binary_dilation(truth > 0, ndimage.generate_binary_structure(3, 1), iterations=3)
    maps[0] = np.where(truth > 0, 0.9, np.where(halo, 0.55, 0))
    chosen = choose_settings(views_of(painted, maps), spacing=SPACING)
    assert chosen.foreground > SETTINGS.foreground
    before, after = (
        instance_scores(find_instances(maps, spacing=SPACING, settings=settings), truth).seg
        for settings in (SETTINGS, chosen)
    )
    assert after > before + 0.1


def test_the_same_paint_gives_the_same_settings_whatever_the_order_of_its_planes():
    truth = grid_of_balls()
    maps = np.clip(make_maps(truth) + np.random.default_rng(2).normal(0, 0.3, (3, *truth.shape)), 0, 1)
    orders = ((4, 8, 12), (12, 4, 8))
    chosen = [choose_settings(views_of({z: truth[z] for z in o}, maps), spacing=SPACING) for o in orders]
    assert chosen[0] == chosen[1]


def test_no_paint_no_maps_or_empty_planes_leave_the_defaults():
    empty = np.zeros((8, 8), np.int32)
    assert choose_settings([], spacing=SPACING) == SETTINGS
    assert choose_settings([PaintedView(np.zeros((3, 5, 8, 8)), 2, empty)], spacing=SPACING) == SETTINGS


def test_typical_volume_is_the_ball_whose_mean_section_is_the_median_painted_one():
    truth = draw_balls((41, 41, 41), [(1, (20, 20, 20), 15)], spacing=(1.0, 1.0, 1.0))
    sections = [plane for plane in truth if plane.any()]
    areas = [int((plane > 0).sum()) for plane in sections]
    mean_like = np.zeros((41, 41), np.int32)
    mean_like.flat[: round(float(np.mean(areas)))] = 1
    ball = float((truth > 0).sum())
    assert typical_volume([mean_like], spacing=(1.0, 1.0, 1.0)) == pytest.approx(ball, rel=0.05)
    assert typical_volume([mean_like], spacing=(9.0, 2.0, 2.0)) == pytest.approx(8 * ball, rel=0.05)


def test_a_larger_depth_never_gives_more_objects():
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.random((3, 10, 24, 24)), (0, 1, 2, 2))
    maps = (smooth - smooth.min()) / np.ptp(smooth)
    counts = [
        find_instances(maps, spacing=SPACING, settings=replace(SETTINGS, depth=depth, min_top=-1.0)).max()
        for depth in (0.0, 0.05, 0.1, 0.2, 0.4)
    ]
    assert counts[0] > counts[-1]
    assert all(more >= fewer for more, fewer in pairwise(counts))
