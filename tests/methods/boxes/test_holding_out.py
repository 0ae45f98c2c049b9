"""Boxes that are held out: which, and what they say of the score threshold."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.config import ObjectsFrom
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.holding_out import (
    THRESHOLDS,
    USUAL_SCORE,
    Scored,
    Sighting,
    choose_calibration,
    choose_held_out,
    choose_threshold,
    see,
    shorten,
)
from napari_weak3d.methods.boxes.volumes import Annotated, have_centres_in
from napari_weak3d.metrics import box_scores
from napari_weak3d.nn.slabs import SlabView

SHAPE = (10, 20, 100)
EVERYWHERE = tuple((0, side) for side in SHAPE)


@pytest.fixture
def annotated():
    """Ten boxes in a row along x."""
    low = np.array([[2, 5, x] for x in range(0, 100, 10)], float)
    boxes = np.stack([low, low + 8], axis=1)
    nothing = np.zeros(SHAPE, np.int32)
    view = SlabView(np.zeros((2, *SHAPE), np.float32), (0,))
    return Annotated(view, (1, 1, 1), boxes, np.ones(10, np.int64), nothing, np.zeros(10, bool), EVERYWHERE)


@pytest.mark.parametrize("seed", range(4))
def test_an_end_of_the_region_with_a_part_of_the_boxes_is_held_out_the_rest_is_learned(seed, annotated):
    split = choose_held_out(annotated, share=0.2, seed=seed)
    assert annotated.lie_in(split.held_out).sum() == 2
    assert annotated.lie_in(split.learned).sum() == 8
    assert sorted([*split.held_out[2], *split.learned[2]])[::3] == [0, 100]
    assert split.held_out[:2] == split.learned[:2] == EVERYWHERE[:2]


def test_of_few_boxes_or_for_a_share_of_none_nothing_is_held_out(annotated):
    few = replace(annotated, boxes=annotated.boxes[:7])
    assert choose_held_out(few, share=0.2, seed=0) is None
    assert choose_held_out(annotated, share=0, seed=0) is None


def found(boxes, scores):
    return Detections(torch.from_numpy(boxes).float(), torch.tensor(scores), torch.ones(len(scores)).long())


def test_f1_counts_what_has_its_centre_in_the_region(annotated):
    region = (*EVERYWHERE[:2], (0, 50))  # five true ones
    scores = [0.9] * 4 + [0.5] * 2 + [0.9] * 4
    boxes = annotated.boxes.copy()
    boxes[3, :, 1] += 6  # this one misses
    sighting = see([Scored(annotated, region, found(boxes, scores))], {})
    f1 = sighting.f1
    assert sighting.n_boxes == 5
    assert f1[THRESHOLDS < 0.5][-1] == pytest.approx(2 * 4 / (5 + 5))
    assert f1[THRESHOLDS > 0.5][0] == pytest.approx(2 * 3 / (4 + 5))


def test_curves_are_those_of_one_comparison_per_threshold(annotated, rng, draw_boxes):
    low, high = np.array(EVERYWHERE).T
    truth = draw_boxes(rng, count=40).clamp(max=torch.tensor(high)).numpy().astype(float)
    truth[:, 1] = np.maximum(truth[:, 1], truth[:, 0] + 1)
    seen = replace(annotated, boxes=truth, classes=np.ones(40, np.int64), has_mask=np.zeros(40, bool))
    boxes = np.concatenate([truth + rng.uniform(-2, 2, truth.shape), truth[::3] + rng.uniform(-1, 1, (14, 2, 3))])
    scores = rng.uniform(0, 1, len(boxes)).astype(np.float32)
    scored = Scored(
        seen, tuple((float(a) - 9, float(b) + 9) for a, b in zip(low, high, strict=True)), found(boxes, scores)
    )
    sighting = see([scored], {})
    inside = have_centres_in(boxes.astype(np.float32).astype(float), scored.region)
    for number in range(0, len(THRESHOLDS), 5):
        sure = boxes.astype(np.float32)[inside & (scores >= THRESHOLDS[number])]
        truly = truth[seen.lie_in(scored.region)]
        best = box_scores(sure, truly, threshold=0.4).f1
        # One to one in the order of the scores: at most a few less than the best assignment finds.
        assert best - 0.1 <= sighting.f1[number] <= best + 1e-6


def test_a_box_of_another_class_is_no_hit(annotated):
    other = replace(annotated, classes=np.full(10, 2))
    assert see([Scored(other, EVERYWHERE, found(annotated.boxes, [0.9] * 10))], {}).f1.max() == 0


def test_thousands_of_boxes_are_compared_within_seconds(annotated, rng, draw_boxes):
    many = draw_boxes(rng, count=4000, extent=160.0).numpy().astype(float)
    everywhere = ((0, 200),) * 3
    view = replace(
        annotated, boxes=many, classes=np.ones(4000, np.int64), has_mask=np.zeros(4000, bool), known=everywhere
    )
    started = time.perf_counter()
    see([Scored(view, everywhere, found(np.concatenate([many, many + 1]), [0.5] * 8000))], {})
    assert time.perf_counter() - started < 10  # it took minutes


def test_the_threshold_is_where_f1_is_best_but_few_boxes_or_poor_ones_decide_little():
    sharp = np.exp(-(((THRESHOLDS - 0.2) / 0.05) ** 2))
    assert choose_threshold([(sharp, 100)]) == pytest.approx(0.2, abs=0.03)
    flat = np.full(len(THRESHOLDS), 0.9)
    assert choose_threshold([(flat, 100)]) == pytest.approx(USUAL_SCORE, abs=0.03)
    assert choose_threshold([(0.1 * sharp, 100)]) == USUAL_SCORE
    assert choose_threshold([(sharp, 0)]) == USUAL_SCORE


def test_the_threshold_is_as_high_as_boxes_say():
    sharp = np.exp(-(((THRESHOLDS - 0.8) / 0.1) ** 2))
    assert choose_threshold([(sharp, 100)]) == pytest.approx(0.8, abs=0.03)


POOR, GOOD = Rule(0.5, 0.1, 100.0), Rule(0.9, 0.1, 100.0)


def sight(*, anchors, rules, n_boxes=10, foreground=0.5):
    """Anchors and rules that find and fit boxes so well, whatever the threshold."""
    curve = np.full(len(THRESHOLDS), anchors)
    return Sighting(curve, n_boxes, curve / 2, {rule: (f1, f1 / 2) for rule, f1 in rules.items()}, foreground)


def test_anchors_are_judged_at_the_threshold_that_fits_best_though_a_lower_one_is_chosen():
    low, rising = np.exp(-(((THRESHOLDS - 0.3) / 0.1) ** 2)), np.linspace(0, 0.9, len(THRESHOLDS))
    seen = Sighting(low, 100, rising, {GOOD: (0.7, 0.7)})
    chosen = choose_calibration([seen], learned=False)
    assert chosen.score_threshold == pytest.approx(0.3, abs=0.03)
    assert not chosen.from_voxels


def test_what_found_boxes_better_on_the_mean_of_sightings_finds_objects():
    first = sight(anchors=0.6, rules={POOR: 0.9, GOOD: 0.7})
    second = sight(anchors=0.6, rules={POOR: 0.1, GOOD: 0.7})
    chosen = choose_calibration([first, second], learned=False)
    assert (chosen.rule, chosen.from_voxels, chosen.held_out_f1) == (GOOD, True, pytest.approx(0.7))
    worse = choose_calibration([sight(anchors=0.8, rules={POOR: 0.1, GOOD: 0.7})], learned=False)
    assert (worse.rule, worse.from_voxels, worse.held_out_f1) == (GOOD, False, pytest.approx(0.8))
    assert [chosen.pick_rule(each) for each in ObjectsFrom] == [GOOD, None, GOOD]
    assert [worse.pick_rule(each) for each in ObjectsFrom] == [None, None, GOOD]


def test_how_well_boxes_fit_decides_and_not_how_many_are_just_found():
    found = sight(anchors=0.6, rules={GOOD: 0.5})
    assert not choose_calibration([found], learned=False).from_voxels
    assert choose_calibration([found._replace(fit=found.fit / 2)], learned=False).from_voxels


def test_the_newest_sighting_tells_the_threshold_of_the_foreground():
    old, new = (sight(anchors=0.1, rules={GOOD: 0.7}, foreground=level) for level in (0.5, 0.9))
    assert choose_calibration([new, old], learned=False).rule == replace(GOOD, foreground=0.9)


def test_rules_are_the_same_though_masks_that_came_meanwhile_change_the_typical_object():
    old, new = (sight(anchors=0.1, rules={replace(GOOD, typical_vox=vox): 0.7}) for vox in (100.0, 101.0))
    chosen = choose_calibration([new, old], learned=False)
    assert chosen.from_voxels
    assert chosen.rule.typical_vox == 101.0


def test_what_anchors_know_by_heart_with_low_scores_does_not_speak_for_them():
    """Of boxes that were learned from they must be sure."""
    faint = np.where(THRESHOLDS < 0.5, 0.9, 0.1)
    sighting = Sighting(faint, 10, faint, {GOOD: (0.5, 0.5)})
    assert choose_calibration([sighting], learned=True).from_voxels
    assert not choose_calibration([sighting], learned=False).from_voxels
    sure = sighting._replace(fit=np.full(len(THRESHOLDS), 0.6))
    assert not choose_calibration([sure], learned=True).from_voxels


@pytest.mark.parametrize(("f1", "splits"), [(0.45, False), (0.55, True)])
def test_components_are_split_by_anchors_that_found_boxes_which_were_held_out(f1, splits):
    held_out, now = sight(anchors=f1, rules={GOOD: 0.9}), sight(anchors=0.9, rules={GOOD: 0.9})
    assert choose_calibration([now, held_out], learned=True).splits == splits
    assert choose_calibration([held_out], learned=False).splits == splits
    assert not choose_calibration([now], learned=True).splits, "of what was learned from they say nothing"


def test_without_boxes_or_maps_anchors_find_objects():
    assert choose_calibration([sight(anchors=0.0, rules={}, n_boxes=0)], learned=False).rule is None
    assert not choose_calibration([sight(anchors=0.0, rules={})], learned=False).from_voxels


def test_components_are_scored_as_they_are_and_bear_witness_of_faint_boxes(annotated):
    region = (*EVERYWHERE[:2], (0, 50))
    faint = Scored(annotated, region, found(annotated.boxes, [0.01] * 10))
    alone, nothing = see([faint], {}), faint._replace(found=found(annotated.boxes[:0], []))
    assert (alone.f1.max(), alone.fit.max(), alone.n_boxes, alone.by_rule) == (0, 0, 5, {})
    sighting = see([faint], {POOR: [nothing], GOOD: [faint]})
    assert sighting.by_rule == {POOR: (0.0, 0.0), GOOD: (1.0, 1.0)}
    assert sighting.f1.min() == sighting.fit.min() == 1


def test_boxes_that_overlap_little_count_as_found_and_fit_badly(annotated):
    shifted = annotated.boxes + np.array([0, 0, 3.0])  # an IoU of 5 in 11
    sighting = see([Scored(annotated, EVERYWHERE, found(shifted, [0.9] * 10))], {})
    assert sighting.f1[0] == 1
    assert sighting.fit[0] == pytest.approx(2 / 5)


def test_a_large_region_is_shortened_around_its_middle():
    assert shorten(EVERYWHERE, most=20_000) == EVERYWHERE
    assert shorten(EVERYWHERE, most=10_000) == (*EVERYWHERE[:2], (25, 75))
