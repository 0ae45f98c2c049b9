"""Boxes that are held out: which, and what they say of the score threshold."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.config import ObjectsFrom
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.holding_out import (
    HIGHEST,
    THRESHOLDS,
    USUAL,
    Scored,
    Sighting,
    choose_calibration,
    choose_held_out,
    choose_threshold,
    measure_f1,
    see,
    shorten,
)
from napari_weak3d.methods.boxes.volumes import Annotated
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
    f1, count = measure_f1([Scored(annotated, region, found(boxes, scores))])
    assert count == 5
    assert f1[THRESHOLDS < 0.5][-1] == pytest.approx(2 * 4 / (5 + 5))
    assert f1[THRESHOLDS > 0.5][0] == pytest.approx(2 * 3 / (4 + 5))


def test_the_threshold_is_where_f1_is_best_but_few_boxes_or_poor_ones_decide_little():
    sharp = np.exp(-(((THRESHOLDS - 0.2) / 0.05) ** 2))
    assert choose_threshold([(sharp, 100)]) == pytest.approx(0.2, abs=0.03)
    flat = np.full(len(THRESHOLDS), 0.9)
    assert choose_threshold([(flat, 100)]) == pytest.approx(USUAL, abs=0.03)
    assert choose_threshold([(0.1 * sharp, 100)]) == USUAL
    assert choose_threshold([(sharp, 0)]) == USUAL


def test_the_threshold_is_never_so_high_that_objects_of_other_volumes_are_lost():
    sharp = np.exp(-(((THRESHOLDS - 0.7) / 0.2) ** 2))
    assert choose_threshold([(sharp, 100)]) == pytest.approx(HIGHEST)


POOR, GOOD = Rule(0.5, 0.1, 100.0), Rule(0.9, 0.1, 100.0)


def sight(*, anchors, rules, n_boxes=10, foreground=0.5):
    """Anchors and rules that find and fit boxes so well, whatever the threshold."""
    curve = np.full(len(THRESHOLDS), anchors)
    return Sighting(curve, n_boxes, curve / 2, {rule: (f1, f1 / 2) for rule, f1 in rules.items()}, foreground)


def test_anchors_are_judged_at_the_threshold_that_fits_best_though_a_lower_one_is_chosen():
    rising = np.linspace(0, 0.9, len(THRESHOLDS))
    seen = Sighting(rising, 100, rising, {GOOD: (0.7, 0.7)})
    chosen = choose_calibration([seen])
    assert chosen.score_threshold == pytest.approx(HIGHEST)
    assert not chosen.from_voxels


def test_what_found_boxes_better_on_the_mean_of_sightings_finds_objects():
    first = sight(anchors=0.6, rules={POOR: 0.9, GOOD: 0.7})
    second = sight(anchors=0.6, rules={POOR: 0.1, GOOD: 0.7})
    chosen = choose_calibration([first, second])
    assert (chosen.rule, chosen.from_voxels, chosen.held_out_f1) == (GOOD, True, pytest.approx(0.7))
    worse = choose_calibration([sight(anchors=0.8, rules={POOR: 0.1, GOOD: 0.7})])
    assert (worse.rule, worse.from_voxels, worse.held_out_f1) == (GOOD, False, pytest.approx(0.8))
    assert [chosen.pick_rule(each) for each in ObjectsFrom] == [GOOD, None, GOOD]
    assert [worse.pick_rule(each) for each in ObjectsFrom] == [None, None, GOOD]


def test_how_well_boxes_fit_decides_and_not_how_many_are_just_found():
    found = sight(anchors=0.6, rules={GOOD: 0.5})
    assert not choose_calibration([found]).from_voxels
    assert choose_calibration([found._replace(fit=found.fit / 2)]).from_voxels


def test_the_newest_sighting_tells_the_threshold_of_the_foreground():
    old, new = (sight(anchors=0.1, rules={GOOD: 0.7}, foreground=level) for level in (0.5, 0.9))
    assert choose_calibration([new, old]).rule == replace(GOOD, foreground=0.9)


def test_without_boxes_or_maps_anchors_find_objects():
    assert choose_calibration([sight(anchors=0.0, rules={}, n_boxes=0)]).rule is None
    assert not choose_calibration([sight(anchors=0.0, rules={})]).from_voxels


def test_components_are_scored_as_they_are(annotated):
    region = (*EVERYWHERE[:2], (0, 50))
    faint = Scored(annotated, region, found(annotated.boxes, [0.01] * 10))
    sighting = see([faint], {GOOD: [faint]})
    assert (sighting.f1.max(), sighting.fit.max(), sighting.n_boxes, sighting.by_rule) == (0, 0, 5, {GOOD: (1.0, 1.0)})


def test_boxes_that_overlap_little_count_as_found_and_fit_badly(annotated):
    shifted = annotated.boxes + np.array([0, 0, 3.0])  # an IoU of 5 in 11
    sighting = see([Scored(annotated, EVERYWHERE, found(shifted, [0.9] * 10))], {})
    assert sighting.f1[0] == 1
    assert sighting.fit[0] == pytest.approx(2 / 5)


def test_a_large_region_is_shortened_around_its_middle():
    assert shorten(EVERYWHERE, most=20_000) == EVERYWHERE
    assert shorten(EVERYWHERE, most=10_000) == (*EVERYWHERE[:2], (25, 75))
