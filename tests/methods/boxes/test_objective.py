"""What a step lowers: boxes of all objects, masks of some."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.drawing import BoxBatch, draw_boxed_batch, make_lesson
from napari_weak3d.methods.boxes.objective import Objective
from napari_weak3d.nn.augment import NO_AUGMENTATION


@pytest.fixture
def learner(make_learner):
    return make_learner(roi_size=4)


@pytest.fixture
def measure(learner):
    """Measure a batch, and take the gradients."""

    def run(batch, **changed):
        learner.member.net.zero_grad()
        config = learner.config.with_settings(changed)
        objective = Objective(
            batch, config=config, compute=learner.compute, rng=np.random.default_rng(0), map_weights=torch.ones(3)
        )
        objective.measure(learner.member.net, batch.image).backward()
        return objective

    return run


@pytest.fixture
def batch(learner):
    rng = np.random.default_rng(0)
    lessons = [make_lesson(each) for each in learner.annotated]
    return draw_boxed_batch(lessons, size=2, shape=(12, 48, 48), augmentation=NO_AUGMENTATION, rng=rng)


def with_truth(batch, **changed):
    return BoxBatch(batch.image, batch.masks, tuple(replace(each, **changed) for each in batch.truth))


def mask_gradients(learner):
    return [weight.grad for weight in learner.member.net.mask_head.parameters()]


def test_every_object_gets_anchors_and_the_losses_are_there(batch, measure, learner):
    objective = measure(batch)
    assert len(objective.anchors_per_object) == 6
    assert min(objective.anchors_per_object) >= learner.config.least_anchors
    assert objective.parts["box loss"] > 0
    assert objective.parts["mask loss"] > 0
    assert any((grad != 0).any() for grad in mask_gradients(learner))


def test_without_masks_boxes_are_learned_and_the_mask_head_gets_no_gradient(batch, measure, learner):
    none = torch.zeros(3, dtype=torch.bool)
    objective = measure(with_truth(batch, has_mask=none, given=none))
    assert objective.parts["mask loss"] == 0
    assert objective.parts["box loss"] > 0
    assert all(grad is None or (grad == 0).all() for grad in mask_gradients(learner))


def test_no_more_masks_are_computed_than_asked_for(batch, measure, learner, monkeypatch):
    counts = []
    find = learner.member.net.find_masks

    def count(features, rois, **others):
        counts.append(len(rois))
        return find(features, rois, **others)

    monkeypatch.setattr(learner.member.net, "find_masks", count)
    measure(batch)
    measure(batch, rois=3)
    assert counts == [8, 3]  # two objects with masks in each of two patches, jittered and found


def test_where_boxes_are_not_complete_nothing_is_background(batch, measure):
    def classes(batch):
        objective = measure(batch)
        return objective.parts["box loss"]

    nowhere = with_truth(batch, region=((0, 0), (0, 0), (0, 0)), learned=torch.zeros(3, dtype=torch.bool))
    assert classes(nowhere) == 0
    assert classes(with_truth(batch, region=((0, 0), (0, 0), (0, 0)))) > 0  # its boxes are learned all the same


def test_voxels_in_a_box_without_a_mask_teach_nothing_of_what_they_are(batch, measure, learner):
    truth = batch.truth[0]
    for told in (True, False):
        has_mask = torch.full_like(truth.has_mask, told)
        labels = replace(truth, has_mask=has_mask).label_voxels(batch.masks[0])
        inside = torch.zeros_like(labels, dtype=torch.bool)
        for low, high in zip(
            truth.boxes[:, 0].floor().int().tolist(), truth.boxes[:, 1].ceil().int().tolist(), strict=True
        ):
            inside[tuple(slice(max(lo, 0), hi) for lo, hi in zip(low, high, strict=True))] = True
        known = batch.masks[0] >= 0
        assert (labels[known & ~inside] == 0).all()
        assert bool((labels[inside] > 0).any()) == told
        assert bool((labels[inside & known] < 0).all()) != told
    objective = measure(batch)
    assert objective.parts["map loss"] > 0
