import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_weak3d.methods.centroids.peaks import Peaks, find_peaks, join_peaks, join_within, merge_peaks

ONES = (1.0, 1.0, 1.0)


def test_every_local_maximum_above_the_threshold_is_a_peak_the_highest_first():
    image = np.zeros((5, 9, 9))
    image[1, 2, 2], image[3, 6, 6], image[0, 0, 8] = 0.6, 0.9, 0.1
    found = find_peaks(image, spacing=ONES, merge_distance=1, threshold=0.2)
    assert found.points_vox.tolist() == [[3, 6, 6], [1, 2, 2]]
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-6)


def test_a_plateau_is_one_peak_in_its_middle():
    image = np.zeros((3, 3, 7))
    image[1, 1, 2:5] = 0.5
    assert find_peaks(image, spacing=ONES, merge_distance=0.1).points_vox.tolist() == [[1, 1, 3]]


def test_an_empty_map_has_no_peaks():
    assert len(find_peaks(np.zeros((2, 3, 4)), spacing=ONES, merge_distance=3)) == 0


def test_close_peaks_become_their_mean_weighted_by_score():
    peaks = Peaks(np.array([[0.0, 0, 0], [0, 0, 4]]), np.array([0.9, 0.3]))
    merged = merge_peaks(peaks, spacing=ONES, distance=4)
    np.testing.assert_allclose(merged.points_vox, [[0, 0, 1]])
    np.testing.assert_allclose(merged.scores, [0.9])


def test_closeness_is_measured_by_length():
    peaks = Peaks(np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 3]]), np.array([0.9, 0.8, 0.7]))
    assert len(merge_peaks(peaks, spacing=(4, 1, 1), distance=3)) == 2
    assert len(merge_peaks(peaks, spacing=(4, 1, 1), distance=2)) == 3


def test_a_row_of_peaks_each_near_the_next_is_not_one():
    peaks = Peaks(np.array([[0.0, 0, x] for x in range(0, 20, 2)]), np.full(10, 0.5))
    assert len(merge_peaks(peaks, spacing=ONES, distance=3)) == 5


@given(seed=st.integers(0, 10**6), n=st.integers(0, 12))
def test_merged_peaks_are_means_of_groups_no_wider_than_the_distance(seed, n):
    rng = np.random.default_rng(seed)
    peaks = Peaks(rng.uniform(0, 12, (n, 3)), rng.uniform(0.1, 1, n))
    merged = merge_peaks(peaks, spacing=ONES, distance=3)
    assert len(merged) <= n
    assert (np.diff(merged.scores) <= 0).all()
    # Any peak has a mean within the width of its group.
    for point in peaks.points_vox:
        assert np.linalg.norm(merged.points_vox - point, axis=1).min() <= 3
    if n:
        assert merged.scores.max() == peaks.scores.max()


@pytest.mark.parametrize("pitch", [7.3, 5.0, 4.6])
def test_more_cells_close_to_each_other_stay_as_many_in_proportion(pitch):
    """On both sides of 2000 peaks in one chain, and of far more."""

    def kept(side):
        rng = np.random.default_rng(0)
        points = np.indices((side,) * 3).reshape(3, -1).T * pitch + rng.normal(0, 0.6, (side**3, 3))
        return len(merge_peaks(Peaks(points, rng.uniform(0.3, 0.9, len(points))), spacing=ONES, distance=4.4)) / side**3

    few = kept(12)
    assert few > 0.6
    assert [kept(13), kept(20)] == pytest.approx([few, few], rel=0.03)


def test_thousands_of_peaks_that_are_equally_far_apart_become_pairs():
    points = np.indices((13, 13, 13)).reshape(3, -1).T * 0.7
    merged = merge_peaks(Peaks(points, np.linspace(0.3, 0.9, len(points))), spacing=ONES, distance=0.75)
    assert len(points) / 2 <= len(merged) <= 0.55 * len(points)


def test_peaks_below_a_threshold_are_left_out():
    peaks = Peaks(np.zeros((2, 3)), np.array([0.5, 0.4]))
    assert peaks.above(0.5).scores.tolist() == [0.5]


def ridge(valley):
    """Two peaks, 1 and 0.8 high and 8 apart, with a valley between them."""
    values = np.zeros((3, 3, 13), np.float32)
    values[1, 1, 2:11] = np.interp(np.arange(9), [0, 4, 8], [1, valley, 0.8])
    return values


def join_ridge(valley, *, reach, spacing=ONES):
    values = ridge(valley)
    return join_peaks(find_peaks(values, spacing=spacing, merge_distance=1), values, spacing=spacing, reach=reach)


def test_peaks_on_one_plateau_are_one_and_beyond_a_valley_two():
    flat, deep = (join_ridge(valley, reach=8) for valley in (0.75, 0.7))
    np.testing.assert_allclose(flat.points_vox, [[1, 1, 2 + 8 * 0.8 / 1.8]])
    assert deep.points_vox.tolist() == [[1, 1, 2], [1, 1, 10]]


def test_a_plateau_wider_than_a_cell_may_be_is_several():
    assert len(join_ridge(0.79, reach=7.9)) == 2
    assert len(join_ridge(0.79, reach=4, spacing=(1, 1, 0.5))) == 1


def test_a_row_of_peaks_on_a_ridge_is_not_one():
    peaks = Peaks(np.array([[0.0, 0, x] for x in range(0, 20, 2)]), np.full(10, 0.5))
    assert len(join_peaks(peaks, np.full((1, 1, 20), 0.5, np.float32), spacing=ONES, reach=3)) == 5


def test_peaks_with_no_border_and_no_deep_valley_between_them_are_one():
    peaks = Peaks(np.array([[1.0, 1, 1], [1, 1, 5], [1, 1, 9]]), np.array([0.9, 0.9, 0.3]))
    values, inside = np.full((3, 3, 11), 0.8, np.float32), np.ones((3, 3, 11), np.float32)
    inside[:, :, 7] = 0.6  # a faint border
    joined = join_within(peaks, values, inside, spacing=ONES, reach=4)
    np.testing.assert_allclose(joined.points_vox, [[1, 1, 3], [1, 1, 9]])
    assert len(join_within(peaks, values, inside, spacing=ONES, reach=3.9)) == 3
    assert len(join_within(peaks, values - 0.2, inside, spacing=ONES, reach=4)) == 3
    assert len(join_within(peaks.above(1), values, inside, spacing=ONES, reach=4)) == 0
