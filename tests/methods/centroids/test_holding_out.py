import numpy as np
import pytest

from napari_weak3d.methods.centroids.holding_out import (
    HIGHEST,
    THRESHOLDS,
    USUAL,
    choose_held_out,
    choose_threshold,
    measure_f1,
    share_of_doubles,
)
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.targets import find_voronoi_cells
from napari_weak3d.methods.centroids.volumes import Annotated

SHAPE = (4, 20, 100)


@pytest.fixture
def make_annotated():
    def make(n=20, known=None):
        points = np.stack([np.full(n, 2.0), np.full(n, 10.0), np.linspace(2, 97, n)], axis=1)
        cells = find_voronoi_cells(points, shape=SHAPE, spacing=(1, 1, 1))
        everywhere = np.ones(SHAPE, bool) if known is None else known
        look = CellLook(2.0, bright_inside=True)
        return Annotated(None, (1.0, 1.0, 1.0), points, cells, look, everywhere, None)

    return make


def inside(mask, points):
    return mask[tuple(np.rint(points).astype(int).T)]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_one_end_of_the_longest_side_is_held_out_with_about_a_share_of_the_clicks(seed, make_annotated):
    annotated = make_annotated()
    held_out = choose_held_out(annotated, share=0.2, seed=seed)
    assert 3 <= inside(held_out, annotated.points_vox).sum() <= 5
    columns = held_out.all(axis=(0, 1))
    assert (columns == held_out.any(axis=(0, 1))).all()
    assert columns[0] != columns[-1]


def test_of_few_clicks_none_is_held_out(make_annotated):
    assert not choose_held_out(make_annotated(7), share=0.2, seed=0).any()
    assert not choose_held_out(make_annotated(), share=0.0, seed=0).any()


def test_what_is_not_known_is_not_held_out(make_annotated):
    known = np.zeros(SHAPE, bool)
    known[:2] = True
    assert not choose_held_out(make_annotated(known=known), share=0.3, seed=0)[2:].any()


def test_f1_counts_peaks_within_a_radius_of_clicks_in_the_part(make_annotated):
    annotated = make_annotated()
    part = np.zeros(SHAPE, bool)
    part[:, :, :50] = True
    true = annotated.points_vox[inside(part, annotated.points_vox)]
    peaks = Peaks(np.concatenate([true[:8] + 1.0, [[0, 0, 25], [0, 0, 99]]]), np.array([0.9] * 8 + [0.3, 0.9]))
    f1, count = measure_f1([(annotated, part, peaks)])
    assert count == len(true) == 10
    low, high = np.searchsorted(THRESHOLDS, [0.2, 0.5])
    assert f1[low] == pytest.approx(2 * 8 / (9 + 10))
    assert f1[high] == pytest.approx(2 * 8 / (8 + 10))


def test_a_second_peak_in_a_clicked_cell_is_no_mistake(make_annotated):
    annotated = make_annotated()
    twice = np.concatenate([annotated.points_vox + np.array([0, 0, 1]), annotated.points_vox - np.array([0, 1, 0])])
    f1, _ = measure_f1([(annotated, annotated.known, Peaks(twice, np.full(len(twice), 0.9)))])
    assert (f1 == 1).all()


def test_the_threshold_is_where_f1_is_best():
    curve = np.where((THRESHOLDS > 0.12) & (THRESHOLDS < 0.19), 0.95, 0.7)
    assert 0.12 < choose_threshold([(curve, 100)]) < 0.19


def test_the_threshold_is_no_higher_than_smaller_cells_can_reach():
    curve = np.where(THRESHOLDS > 0.5, 0.95, 0.7)
    assert choose_threshold([(curve, 1000)]) <= HIGHEST
    rising = np.linspace(0.7, 0.95, len(THRESHOLDS))
    assert USUAL < choose_threshold([(rising, 1000)]) <= HIGHEST


def test_few_held_out_clicks_are_doubted_however_many_were_learned_from():
    flat = np.full(len(THRESHOLDS), 0.98)
    one_too_many = np.where(THRESHOLDS > 0.3, 1, 2 * 38 / (38 + 39))
    assert choose_threshold([(flat, 190), (one_too_many, 38)]) == pytest.approx(USUAL)


def test_where_f1_is_poor_or_equal_everywhere_or_unknown_the_threshold_is_the_usual_one():
    rising = np.linspace(0, 0.4, len(THRESHOLDS))
    for curves in ([(rising, 100)], [(np.full(len(THRESHOLDS), 0.9), 50)], [(rising * 2, 0)]):
        assert choose_threshold(curves) == pytest.approx(USUAL)


def test_cells_with_several_peaks_are_told_as_a_share_of_the_clicks(make_annotated):
    annotated = make_annotated()
    twice = annotated.points_vox[:5] + np.array([0, 0, 1.5])
    scores = np.repeat([0.9, 0.5], [20, 5])
    peaks = Peaks(np.concatenate([annotated.points_vox, twice]), scores)
    scored = [(annotated, annotated.known, peaks)]
    assert share_of_doubles(scored, threshold=0.4) == 5 / 20
    assert share_of_doubles(scored, threshold=0.6) == 0
    assert share_of_doubles([(annotated, annotated.known, peaks.above(1))], threshold=0.1) == 0
