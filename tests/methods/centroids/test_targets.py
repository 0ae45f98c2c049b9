"""The centre map against a plain loop over voxels and clicks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_weak3d.methods.centroids.targets import (
    choose_reach,
    find_voronoi_cells,
    make_centre_map,
    nearest_neighbours,
    region_mask,
    weigh_cells,
)


def plain_distances(points, shape, spacing):
    """(N, Z, Y, X) distances of every voxel to every point."""
    places = np.moveaxis(np.indices(shape), 0, -1) * spacing
    return np.linalg.norm(places[None] - (points * spacing)[:, None, None, None], axis=-1)


@pytest.mark.parametrize("are_voxels", [False, True])
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6))
def test_each_voxel_belongs_to_the_nearest_click_by_length(are_voxels, seed, n):
    rng = np.random.default_rng(seed)
    shape, spacing = tuple(rng.integers(1, 7, 3)), tuple(rng.uniform(0.3, 3, 3))
    points = rng.uniform(0, 1, (n, 3)) * shape
    points = np.floor(points) if are_voxels else points
    cells = find_voronoi_cells(points, shape=shape, spacing=spacing)
    expected = plain_distances(points, shape, spacing)
    np.testing.assert_allclose(cells.distance, expected.min(0), rtol=1e-5, atol=1e-5)
    chosen = np.take_along_axis(expected, cells.owner[None].astype(int), 0)[0]
    np.testing.assert_allclose(chosen, expected.min(0), rtol=1e-6)


def test_without_clicks_no_voxel_has_an_owner():
    cells = find_voronoi_cells(np.zeros((0, 3)), shape=(2, 3, 4), spacing=(1, 1, 1))
    assert (cells.owner == -1).all()
    assert np.isinf(cells.distance).all()


@pytest.mark.parametrize(
    ("at", "owner"), [(0.0, [0, 0, 0, -1, -1]), (0.5, [0, 0, 0, -1, -1]), (-1.0, [0, 0, -1, -1, -1])]
)
def test_beyond_a_distance_nothing_is_nearest(at, owner):
    cells = find_voronoi_cells(np.array([[0.0, 0, at]]), shape=(1, 1, 5), spacing=(1, 1, 2), within=4)
    assert cells.owner[0, 0].tolist() == owner
    assert np.isinf(cells.distance[0, 0]).tolist() == [row < 0 for row in owner]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.4, 0.4)])
def test_voxels_have_the_same_cells_as_points_but_for_ties(spacing):
    """Points moved by next to nothing are no voxels."""
    rng = np.random.default_rng(0)
    points = np.unique(rng.integers(0, (12, 40, 40), (60, 3)), axis=0).astype(float)
    voxels, others = (find_voronoi_cells(each, shape=(12, 40, 40), spacing=spacing) for each in (points, points + 1e-9))
    np.testing.assert_allclose(voxels.distance, others.distance, atol=1e-6)
    differs = voxels.owner != others.owner
    assert differs.mean() < 0.1
    places = np.argwhere(differs)
    apart = [np.linalg.norm((places - points[each.owner[differs]]) * spacing, axis=1) for each in (voxels, others)]
    np.testing.assert_allclose(*apart)


def test_the_map_falls_from_a_click_as_equation_1_says():
    cells = find_voronoi_cells(np.array([[0.0, 0, 3]]), shape=(1, 1, 9), spacing=(1, 1, 1))
    found = make_centre_map(cells, reach=4, sharpness=1, spacing=(1, 1, 1))[0, 0]
    distance = np.abs(np.arange(9) - 3)
    np.testing.assert_allclose(found, np.where(distance <= 4, np.exp(-distance / 4), 0), rtol=1e-6)


def test_where_voronoi_cells_meet_the_map_is_zero_but_at_clicks():
    points = np.array([[0.0, 0, 2], [0, 0, 7], [0, 0, 8]])
    cells = find_voronoi_cells(points, shape=(1, 1, 12), spacing=(1, 1, 1))
    found = make_centre_map(cells, reach=5, sharpness=1, spacing=(1, 1, 1))[0, 0]
    assert np.flatnonzero(found == 0).tolist() == [4, 5]  # 7 and 8 are borders too, and clicks
    assert found[[2, 7, 8]].tolist() == [1, 1, 1]


@pytest.mark.parametrize("spacing", [(1, 1, 1), (4, 1, 1), (2, 0.5, 0.5)])
def test_above_0_7_the_map_spans_a_click_and_its_neighbours_in_the_plane(spacing):
    cells = find_voronoi_cells(np.array([[3.0, 10, 10]]), shape=(7, 21, 21), spacing=spacing)
    found = make_centre_map(cells, reach=3, sharpness=20, spacing=spacing)
    assert (found[3, 10] > 0.7).sum() >= 3


def test_reach_is_half_the_distance_of_neighbours_but_no_more_than_a_radius():
    near = np.array([[0.0, 0, 0], [0, 0, 6], [0, 0, 12]])
    assert choose_reach(near, radius=5, spacing=(1, 1, 1)) == 3
    assert choose_reach(10 * near, radius=5, spacing=(1, 1, 1)) == 5
    assert choose_reach(near[:1], radius=5, spacing=(1, 1, 1)) == 5


def test_neighbours_are_measured_by_length():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 3]])
    assert nearest_neighbours(points, spacing=(4, 1, 1)).tolist() == [3, 4, 3]


def test_a_region_is_half_open_and_none_is_everything():
    mask = region_mask(((0, 1), (1, 3), (0, 2)), shape=(2, 4, 3))
    assert mask.sum() == 4
    assert mask[0, 1:3, :2].all()
    assert region_mask(None, shape=(2, 2, 2)).all()


def test_small_cells_weigh_as_much_as_large_ones_and_background_a_quarter_of_the_most():
    points = [np.array([[4.0, 4, 4], [4.0, 4, 16]]), np.array([[4.0, 4, 10]])]
    cells = [find_voronoi_cells(each, shape=(9, 9, 21), spacing=(1, 1, 1)) for each in points]
    maps = [
        make_centre_map(each, reach=reach, sharpness=2, spacing=(1, 1, 1))
        for each, reach in zip(cells, (4, 6), strict=True)
    ]
    weights = weigh_cells(maps, cells)
    small, large = (float((w * m)[o.owner == 0].sum()) for w, m, o in zip(weights, maps, cells, strict=True))
    assert small == pytest.approx(large)
    assert set(np.unique(weights[0][maps[0] == 0])) == {0.25}
    assert max(weight.max() for weight in weights) <= 1


def test_weights_of_volumes_without_clicks_are_those_of_background():
    cells = find_voronoi_cells(np.zeros((0, 3)), shape=(2, 3, 4), spacing=(1, 1, 1))
    (weight,) = weigh_cells([np.zeros((2, 3, 4), np.float32)], [cells])
    assert (weight == 0.25).all()
