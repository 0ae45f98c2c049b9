import numpy as np
import pytest

from napari_weak3d.methods.centroids.config import Landscape
from napari_weak3d.methods.centroids.instances import Maps, find_instances
from napari_weak3d.methods.centroids.peaks import Peaks

ONES = (1.0, 1.0, 1.0)


def two_cells():
    """A bar of mask with a border in its middle."""
    mask = np.zeros((5, 9, 21), np.float32)
    mask[1:4, 2:7, 2:19] = 0.9
    inside = mask.copy()
    inside[:, :, 10] = 0
    return Maps(np.zeros_like(mask), mask, inside, image=-inside)


def seeds(*points):
    return Peaks(np.array(points, float).reshape(-1, 3), np.linspace(0.9, 0.8, len(points)))


@pytest.mark.parametrize("landscape", list(Landscape))
def test_a_mask_is_shared_out_between_its_centres_along_the_border(landscape):
    maps = two_cells()
    found = find_instances(maps, seeds((2, 4, 5), (2, 4, 15)), radius=3, landscape=landscape, spacing=ONES)
    assert (found > 0).sum() == (maps.mask > 0.5).sum()
    assert (found[1:4, 2:7, 2:10] == 1).all()
    assert (found[1:4, 2:7, 11:19] == 2).all()


def test_a_gap_in_a_border_lets_nobody_into_a_cell_whose_centre_is_less_sure():
    maps = two_cells()
    maps.inside[1:4, 3, 10] = 0.8  # the gap
    maps.inside[1:4, 2:7, 13:18] = 0.7  # the second cell's middle
    found = find_instances(maps, seeds((2, 4, 5), (2, 4, 15)), radius=1, landscape=Landscape.PATHS, spacing=ONES)
    assert (found[1:4, 2:7, 2:10] == 1).all()
    assert (found[1:4, 2:7, 12:19] == 2).all()


def test_mask_that_no_centre_reaches_belongs_to_nobody():
    maps = two_cells()
    maps.mask[:, :, 9:12] = 0
    found = find_instances(maps, seeds((2, 4, 5)), radius=3, landscape=Landscape.PATHS, spacing=ONES)
    assert not found[:, :, 12:].any()


def test_a_centre_without_mask_becomes_a_small_ball():
    maps = Maps(*(np.zeros((9, 9, 9), np.float32) for _ in range(3)))
    found = find_instances(maps, seeds((4, 4, 4)), radius=4, landscape=Landscape.PATHS, spacing=ONES)
    z, y, x = np.ogrid[-4:5, -4:5, -4:5]
    np.testing.assert_array_equal(found, (z**2 + y**2 + x**2 <= 4).astype(int))


def test_every_centre_has_an_object_however_small_cells_are():
    maps = Maps(*(np.zeros((3, 3, 9), np.float32) for _ in range(3)))
    found = find_instances(maps, seeds((1, 1, 1.4), (1, 1, 7)), radius=0.1, landscape=Landscape.PATHS, spacing=ONES)
    assert np.argwhere(found == 1).tolist() == [[1, 1, 1]]
    assert np.argwhere(found == 2).tolist() == [[1, 1, 7]]


def test_without_centres_there_is_nothing():
    assert not find_instances(two_cells(), seeds(), radius=3, landscape=Landscape.PATHS, spacing=ONES).any()
