"""Response maps of a volume as one image: each in its cell, none lost."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from napari_weak3d.methods.centroids.config import PseudoLabels
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.responding import draw_responses, respond
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.targets import find_voronoi_cells
from napari_weak3d.methods.centroids.volumes import Annotated
from napari_weak3d.nn.slabs import SlabView

SHAPE = (5, 9, 15)
CLICKS = np.array([[2.0, 4, 3], [2, 4, 10]])


@pytest.fixture
def annotated():
    image = np.ones((1, *SHAPE), np.float32)
    cells = find_voronoi_cells(CLICKS, shape=SHAPE, spacing=(1, 1, 1))
    look = CellLook(2.0, bright_inside=True)
    return Annotated(SlabView(image, (0,)), (1.0, 1.0, 1.0), CLICKS, cells, look, np.ones(SHAPE, bool), None)


@pytest.fixture
def net():
    """One convolution that adds up a window of three voxels: every response is that window."""
    layer = nn.Conv3d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(layer.weight)
    return layer.eval().requires_grad_(False)


def run(net, annotated, points):
    peaks = Peaks(np.array(points, float).reshape(-1, 3), np.ones(len(points)))
    out = np.full(SHAPE, 9, np.float32)
    done = list(respond(net, annotated, peaks, kind=PseudoLabels.GUIDED, multiple=(2, 2, 2), out=out))
    return out > 0, done


def window(*points):
    mask = np.zeros(SHAPE, bool)
    for z, y, x in points:
        mask[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = True
    return mask


def test_every_click_has_the_response_of_its_peak_and_without_one_its_own(net, annotated):
    found, done = run(net, annotated, [[2, 4, 4]])
    np.testing.assert_array_equal(found, window((2, 4, 4), (2, 4, 10)))
    assert done == [(1, 2), (2, 2)]


def test_a_cell_may_have_several_peaks_and_peaks_far_from_clicks_count_for_nothing(net, annotated):
    found, _ = run(net, annotated, [[2, 4, 2], [2, 5, 4], [2, 4, 14], [2, 4, 9]])
    np.testing.assert_array_equal(found, window((2, 4, 2), (2, 5, 4), (2, 4, 9)))


def test_a_response_ends_where_the_next_cell_begins(net, annotated):
    annotated.points_vox[1] = [2, 4, 5]
    close = find_voronoi_cells(np.array([[2.0, 4, 3], [2, 4, 5]]), shape=SHAPE, spacing=(1, 1, 1))
    annotated.cells.owner[:], annotated.cells.distance[:] = close.owner, close.distance
    out = np.empty(SHAPE, np.float32)
    for _ in respond(
        net, annotated, Peaks(np.zeros((0, 3)), np.zeros(0)), kind=PseudoLabels.GUIDED, multiple=(1, 1, 1), out=out
    ):
        pass
    np.testing.assert_array_equal(out > 0, window((2, 4, 3), (2, 4, 5)))


def test_drawn_responses_are_scaled_to_1_for_each_centre_and_where_they_meet_the_larger_one_counts(net, annotated):
    annotated.view.image[0, :, :, 8:] = 7  # how bright a cell is says nothing of how sure it is
    net.weight.data[0, 0, 1, 1, 1] = 2
    points, out = np.array([[2.0, 4, 3], [2, 4, 5], [4.4, 8, 14]]), np.full(SHAPE, 9, np.float32)
    how = {"kind": PseudoLabels.IMAGE, "look": annotated.look, "multiple": (2, 2, 2), "out": out}
    assert list(draw_responses(net, annotated.view.image, points, **how)) == [(1, 3), (2, 3), (3, 3)]
    expected = np.where(window((2, 4, 3), (2, 4, 5), (4, 8, 14)), 0.5, 0)
    expected[tuple(np.rint(points).astype(int).T)] = 1
    np.testing.assert_array_equal(out, expected)


def test_of_a_transparent_cell_darker_and_brighter_voxels_count(net, annotated):
    net.weight.data[..., 1] = -1
    look = CellLook(2.0, bright_inside=False, transmitted=True)
    found, _ = run(net, replace(annotated, look=look), [])
    np.testing.assert_array_equal(found, window(*CLICKS.astype(int)))
