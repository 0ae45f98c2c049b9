import numpy as np
import pytest

from napari_weak3d.methods.centroids.instances import Maps
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.scheme import KnownClicks, Scheme
from napari_weak3d.methods.centroids.segmenting import add_clicks
from napari_weak3d.types import Volume

SCHEME = Scheme(1, (1.0, 1.0, 1.0), "um", CellLook(3.0, bright_inside=True), 2.0)
VOLUME = Volume(np.zeros((1, 10, 10, 40)))
CELLS = Maps(*(np.ones((10, 10, 40), np.float32) for _ in range(3)))


def test_clicks_are_centres_and_peaks_near_them_are_not():
    peaks = Peaks(np.array([[5.0, 5, 6], [5, 5, 20], [5, 5, 35]]), np.array([0.9, 0.8, 0.5]))
    clicks = KnownClicks("", np.array([[5.0, 5, 4]]), region=((0, 10), (0, 10), (0, 30)))
    found = add_clicks(peaks, clicks, maps=CELLS, scheme=SCHEME, volume=VOLUME)
    assert found.points_vox[:, 2].tolist() == [4, 20, 35]
    assert found.scores.tolist() == [1, 0.8, 0.5]


@pytest.mark.parametrize(("inside_from", "centre"), [(0, 4), (5, 6)])
def test_a_click_beside_its_cell_counts_for_the_middle_that_was_seen(inside_from, centre):
    """The click at 4; peaks of the cell at 6 and, lower, at 3."""
    maps = Maps(*(np.zeros((10, 10, 40), np.float32) for _ in range(3)))
    maps.inside[..., inside_from:] = 1
    peaks = Peaks(np.array([[5.0, 5, 6], [5, 5, 3]]), np.array([0.9, 0.6]))
    found = add_clicks(peaks, KnownClicks("", np.array([[5.0, 5, 4]])), maps=maps, scheme=SCHEME, volume=VOLUME)
    assert found.points_vox.tolist() == [[5, 5, centre]]
    assert found.scores.tolist() == [1]


def test_two_clicks_beside_one_middle_stay_two_centres():
    maps = Maps(*(np.zeros((10, 10, 40), np.float32) for _ in range(3)))
    peaks, clicks = Peaks(np.array([[5.0, 5, 6]]), np.array([0.9])), np.array([[5.0, 5, 4], [5, 5, 7]])
    found = add_clicks(peaks, KnownClicks("", clicks), maps=maps, scheme=SCHEME, volume=VOLUME)
    assert found.points_vox[:, 2].tolist() == [4, 6]


def test_where_all_was_clicked_only_sure_peaks_are_cells_that_were_forgotten():
    peaks = Peaks(np.array([[5.0, 5, 20], [5, 5, 35]]), np.array([0.9, 0.4]))
    found = add_clicks(peaks, KnownClicks("", np.array([[5.0, 5, 4]])), maps=CELLS, scheme=SCHEME, volume=VOLUME)
    assert found.points_vox[:, 2].tolist() == [4, 20]


def test_peaks_are_joined_over_shorter_ways_in_a_volume_of_smaller_cells():
    """Ten cells in a row, 6 apart, on a ridge that hardly falls between them; the clicked ones were twice as large."""
    ridge = np.zeros((5, 5, 57), np.float32)
    ridge[2, 2] = 0.6 + 0.02 * np.cos(np.arange(57) * 2 * np.pi / 6)
    scheme = Scheme(1, (1.0, 1.0, 1.0), "um", CellLook(6.0, bright_inside=True), merge_distance=2.0, joins=True)
    assert len(scheme.find_peaks(ridge, spacing=(1, 1, 1), threshold=0.1)) == 10
    few = ridge[..., :24]  # too few to tell how far apart cells are
    assert len(scheme.find_peaks(few, spacing=(1, 1, 1), threshold=0.1)) < 4
