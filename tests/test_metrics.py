"""Scores: drawn objects with known answers, and a slow plain version to compare with."""

from __future__ import annotations

import importlib.util
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from napari_weak3d.errors import VolumeError
from napari_weak3d.metrics import (
    AP_THRESHOLDS,
    box_scores,
    class_scores,
    compact_ids,
    foreground_iou,
    instance_scores,
    iou_matrix,
    marker_scores,
    match_pairs,
    overlap_table,
)

REFERENCE = Path(__file__).parents[2] / "shared" / "baselines" / "score.py"


def draw_spheres(*centres, radius=4, shape=(16, 40, 40)):
    zyx = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    labels = np.zeros(shape, np.int32)
    for number, centre in enumerate(centres, start=1):
        labels[((zyx - centre) ** 2).sum(-1) <= radius**2] = number
    return labels


def row(*values):
    """A line of voxels as a (1, 1, X) label image."""
    return np.array(values, np.int32)[None, None]


def random_labels(rng, *, shape=(4, 9, 9), n=6):
    """Ids in blocks, so that objects overlap in all sorts of ways; some ids may be missing."""
    coarse = rng.integers(0, n + 1, [-(-size // 2) for size in shape])
    fine = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)[tuple(slice(size) for size in shape)]
    return np.where(rng.random(shape) < 0.2, rng.integers(0, n + 1, shape), fine).astype(np.int32)


THREE = draw_spheres((8, 8, 8), (8, 8, 28), (8, 28, 18))


def test_three_spheres_found_exactly_score_one_everywhere():
    scores = instance_scores(THREE, THREE)
    assert (scores.iou, scores.seg, scores.mucov, scores.f1, scores.ap, scores.pq) == (1, 1, 1, 1, 1, 1)
    assert (scores.n_predicted, scores.n_true) == (3, 3)


def test_ids_and_their_order_do_not_matter():
    renamed = np.array([0, 900_000_000, 7, 41], np.int64)[THREE]
    assert instance_scores(renamed, THREE) == instance_scores(THREE, THREE)


def test_a_missed_sphere_costs_recall_and_an_invented_one_precision():
    two_and_one_invented = np.where(THREE == 3, 0, THREE)
    two_and_one_invented[0, 0, 0] = 9
    scores = instance_scores(two_and_one_invented, THREE)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (scores.seg, scores.mucov) == pytest.approx((2 / 3, 2 / 3))
    assert scores.ap == pytest.approx(2 / 4)
    assert scores.pq == pytest.approx(2 / 3)


def test_an_object_cut_in_two_keeps_its_larger_half_if_that_is_over_half_of_it():
    truth = row(1, 1, 1, 1, 1, 0)
    scores = instance_scores(row(1, 1, 1, 2, 2, 0), truth)
    assert scores.seg == pytest.approx(3 / 5)
    assert scores.mucov == pytest.approx(3 / 5 / 2)  # the smaller part covers less than half of the true object
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.ap == pytest.approx(3 / 10 * 1 / 2)  # IoU 3/5 passes 0.50, 0.55 and 0.60
    assert scores.pq == pytest.approx((3 / 5) / 1.5)


def test_exactly_half_of_the_true_object_does_not_count_for_seg():
    scores = instance_scores(row(1, 1, 0, 0), row(1, 1, 1, 1))
    assert scores.seg == scores.mucov == 0
    assert scores.f1 == 1  # but its IoU is 0.5, which is a match


def test_two_merged_objects_count_by_the_true_one_that_is_half_covered():
    scores = instance_scores(row(1, 1, 1, 1, 1), row(1, 1, 1, 2, 2))
    assert scores.mucov == pytest.approx(3 / 5)
    assert scores.seg == pytest.approx((3 / 5 + 2 / 5) / 2)  # both lie wholly inside


@pytest.mark.parametrize(("ours", "theirs", "expected"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0)])
def test_two_empty_sides_score_one_and_one_empty_side_zero(ours, theirs, expected):
    predicted, truth = THREE * ours, THREE * theirs
    scores = instance_scores(predicted, truth)
    assert {scores.iou, scores.seg, scores.mucov, scores.f1, scores.ap, scores.pq} == {expected}
    assert {scores.precision, scores.recall} == {expected}
    assert foreground_iou(predicted, truth) == expected
    points = np.argwhere(THREE)[:3]
    assert marker_scores(points[: 3 * ours], points[: 3 * theirs], spacing=(1, 1, 1)).f1 == expected
    box = np.array([[[0, 0, 0], [2, 2, 2]]])
    assert box_scores(box[:ours], box[:theirs]).f1 == expected


def test_ignored_voxels_count_on_neither_side():
    wrong = THREE.copy()
    wrong[:, :20] = 0
    ignore = np.zeros(THREE.shape, bool)
    ignore[:, :20] = True
    scores = instance_scores(wrong, THREE, ignore=ignore)
    assert (scores.f1, scores.seg, scores.iou, scores.n_true) == (1, 1, 1, 1)
    assert foreground_iou(wrong, THREE, where=~ignore) == 1
    assert foreground_iou(wrong, THREE) < 0.5


def test_classes_are_scored_by_value_and_ignored_voxels_left_out():
    truth = row(0, 1, 1, 2, 2, 9)
    predicted = row(0, 1, 2, 2, 2, 5)
    ignore = truth == 9
    assert class_scores(predicted, truth, ignore=ignore) == pytest.approx({0: 1.0, 1: 1 / 2, 2: 2 / 3})
    assert class_scores(predicted, truth)[9] == 0


def test_shapes_that_differ_are_refused_by_name():
    with pytest.raises(VolumeError, match=r"\(16, 40, 40\).*\(1, 1, 2\)"):
        instance_scores(THREE, row(1, 1))
    with pytest.raises(VolumeError, match="mask"):
        foreground_iou(THREE, THREE, where=np.ones((2, 2, 2), bool))


def test_boxes_match_above_the_threshold_only():
    truth = np.array([[[0, 0, 0], [10, 10, 10]]])
    at_the_threshold = np.array([[[0, 0, 0], [4, 10, 10]]])
    above = np.array([[[0, 0, 0], [5, 10, 10]]])
    assert box_scores(at_the_threshold, truth).f1 == 0
    assert box_scores(above, truth).f1 == 1
    assert box_scores(above, truth, threshold=0.5).f1 == 0


def test_boxes_match_as_many_as_possible_rather_than_the_best_first():
    truth = np.array([[[0, 0, 0], [1, 1, 10]], [[0, 0, 5], [1, 1, 15]]])
    # The first overlaps both and one of them best; taking that pair first would leave the second without a partner.
    predicted = np.array([[[0, 0, 2], [1, 1, 12]], [[0, 0, 0], [1, 1, 8]]])
    assert box_scores(predicted, truth).f1 == 1


def test_markers_are_matched_in_voxels_of_the_smallest_spacing():
    truth = [[0, 0, 0]]
    assert marker_scores([[1, 0, 0]], truth, spacing=(5.0, 1.0, 1.0)).f1 == 1
    assert marker_scores([[1, 0, 0]], truth, spacing=(5.1, 1.0, 1.0)).f1 == 0
    assert marker_scores([[1, 3, 0]], truth, spacing=(2.0, 0.5, 0.5)).f1 == 1  # a 3-4-5 triangle


def test_markers_pair_as_many_as_possible():
    truth = [[0, 0, 0], [0, 0, 4]]
    predicted = [[0, 0, 3], [0, 0, 8]]  # the first is nearest to the second marker, and the only one near the first
    scores = marker_scores(predicted, truth, spacing=(1, 1, 1))
    assert (scores.f1, scores.precision, scores.recall) == (1, 1, 1)


def test_a_double_click_is_one_hit_and_one_false():
    scores = marker_scores([[0, 0, 0], [0, 0, 1]], [[0, 0, 0]], spacing=(1, 1, 1))
    assert (scores.precision, scores.recall) == (0.5, 1)


def test_equal_matchings_are_decided_by_the_gain():
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    chosen = match_pairs(rows, columns, gain=np.array([0.5, 0.9, 0.9, 0.6]), where=np.ones(4, bool))
    assert chosen.tolist() == [1, 2]


def test_ids_beyond_any_table_are_numbered_too():
    compact, ids = compact_ids(np.array([[[-3, 0, 5_000_000_000, 7]]], np.int64))
    assert compact.tolist() == [[[0, 0, 2, 1]]]
    assert ids.tolist() == [7, 5_000_000_000]


def test_more_pairs_than_fit_a_table_are_counted_the_same():
    labels = np.arange(1, 17 * 17 * 17 + 1, dtype=np.int32).reshape(17, 17, 17)  # 4913 objects of one voxel
    overlaps = overlap_table(labels, labels[::-1])
    assert len(overlaps.shared) == labels.size
    assert (overlaps.shared == 1).all()
    assert (overlaps.iou == 1).all()


def plain_iou_matrix(predicted, truth):
    ours, theirs = (sorted(set(labels[labels > 0].tolist())) for labels in (predicted, truth))
    pairs = [[(predicted == a, truth == b) for b in theirs] for a in ours]
    return np.array([[(a & b).sum() / (a | b).sum() for a, b in line] for line in pairs]).reshape(len(ours), -1)


def plain_matches(iou, threshold):
    """The most pairs at or above the threshold over all ways to pair, and the largest IoU sum among those."""
    iou = iou if iou.shape[0] <= iou.shape[1] else iou.T
    ways = (np.array([iou[i, j] for i, j in enumerate(way)]) for way in permutations(range(iou.shape[1]), iou.shape[0]))
    return max(((way >= threshold).sum(), way[way >= threshold].sum()) for way in ways)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
def test_scores_equal_a_plain_version_that_tries_every_matching(seed, n):
    rng = np.random.default_rng(seed)
    truth = random_labels(rng, n=n)
    predicted = np.where(rng.random(truth.shape) < 0.8, truth, random_labels(rng, n=n))
    iou = plain_iou_matrix(predicted, truth)
    scores = instance_scores(predicted, truth)
    n_both = sum(iou.shape)
    np.testing.assert_allclose(iou_matrix(predicted, truth), iou)
    hits, total = plain_matches(iou, 0.5)
    assert scores.f1 == pytest.approx(2 * hits / n_both)
    assert scores.pq == pytest.approx(2 * total / n_both)
    hits_at = [plain_matches(iou, t)[0] for t in AP_THRESHOLDS]
    assert scores.ap == pytest.approx(np.mean([hit / (n_both - hit) for hit in hits_at]))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_scores_stay_within_bounds_and_swapping_sides_swaps_precision_and_recall(seed):
    rng = np.random.default_rng(seed)
    predicted, truth = (random_labels(rng, n=int(rng.integers(0, 9))) for _ in range(2))
    scores, swapped = instance_scores(predicted, truth), instance_scores(truth, predicted)
    values = (scores.iou, scores.seg, scores.mucov, scores.f1, scores.ap, scores.pq)
    assert all(0 <= value <= 1 for value in values)
    assert (scores.precision, scores.f1, scores.ap) == (swapped.recall, swapped.f1, swapped.ap)


@pytest.fixture(scope="module")
def reference():
    """Scores written apart from this package."""
    if not REFERENCE.is_file():
        pytest.skip("the scores written apart are not beside this checkout")
    spec = importlib.util.spec_from_file_location("reference_score", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(30))
def test_instance_scores_equal_those_written_apart(reference, seed):
    rng = np.random.default_rng(seed)
    truth = random_labels(rng, n=12, shape=(6, 12, 12))
    predicted = np.where(rng.random(truth.shape) < seed / 30, truth, random_labels(rng, n=12, shape=(6, 12, 12)))
    theirs, ours = reference.instance_scores(predicted, truth), instance_scores(predicted, truth)
    assert (ours.iou, ours.seg, ours.mucov, ours.f1) == pytest.approx(
        (theirs["IoU"], theirs["SEG"], theirs["MUCov"], theirs["F1_50"]), abs=1e-9
    )
    assert (ours.n_predicted, ours.n_true) == (theirs["n_pred"], theirs["n_true"])


@pytest.mark.parametrize("seed", range(30))
def test_box_and_marker_scores_equal_those_written_apart(reference, seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 12, (25, 3))
    boxes = np.stack([low, low + rng.integers(2, 9, (25, 3))], axis=1)
    assert box_scores(boxes[:15], boxes[15:]).f1 == pytest.approx(reference.box_f1(boxes[:15], boxes[15:]))
    theirs = reference.marker_f1(low[:15], low[15:], scale=np.array([3.0, 1.0, 1.0]))
    ours = marker_scores(low[:15], low[15:], spacing=(0.6, 0.2, 0.2))
    assert (ours.f1, ours.precision, ours.recall) == pytest.approx((theirs["F1"], theirs["P"], theirs["R"]))


def test_a_marker_that_is_not_finite_is_missed():
    scores = marker_scores([[np.nan, 0, 0], [1, 2, 3]], [[1, 2, 3], [np.inf, 0, 0]], spacing=(1, 1, 1))
    assert (scores.precision, scores.recall) == (0.5, 0.5)


def test_markers_of_thousands_of_points_are_those_of_all_distances():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 60, (400, 3))
    predicted = np.concatenate([truth[:300] + rng.normal(0, 1, (300, 3)), rng.uniform(0, 60, (50, 3))])
    near = np.linalg.norm(predicted[:, None] - truth[None], axis=-1) <= 2.5
    pairs = (maximum_bipartite_matching(csr_array(near), perm_type="column") >= 0).sum()
    scores = marker_scores(predicted, truth, spacing=(1, 1, 1), distance=2.5)
    assert scores.recall == pytest.approx(pairs / 400)
    many = np.indices((40, 20, 20)).reshape(3, -1).T * 4.0
    assert marker_scores(many + 0.5, many, spacing=(1, 1, 1), distance=2).f1 == 1
