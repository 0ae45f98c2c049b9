"""Training on boxes: patches, what happens when memory runs out or boxes change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.errors import ConfigError
from napari_weak3d.methods.boxes import drawing
from napari_weak3d.methods.boxes.dense import label_voxels, mark_classes
from napari_weak3d.methods.boxes.drawing import make_lesson
from napari_weak3d.methods.boxes.learner import weigh_voxels
from napari_weak3d.nn.member import Member
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import Boxes, Sample

pytestmark = pytest.mark.slow


def test_patches_are_a_few_objects_long_but_no_longer_than_the_volume(make_learner):
    assert make_learner(patch=0).patch.shape == (12, 48, 48)
    assert make_learner(patch=16).patch.shape[1:] == (16, 16)


def box_cells(sample, sizes):
    """Boxes from a corner of the volume, so large each (z, y, x)."""
    corners = np.array([[(0, 0, 0), size] for size in sizes])
    count = len(sizes)
    drawn = replace(
        sample.annotation, corners=corners, classes=np.ones(count, int), masks=None, has_mask=np.zeros(count, bool)
    )
    return Sample(sample.volume, drawn)


def test_boxes_larger_than_a_patch_are_told(make_learner, sample):
    small, large = (8, 10, 10), (12, 48, 40)
    assert "larger" not in make_learner([box_cells(sample, [small])], patch=16).notice
    notice = make_learner([box_cells(sample, [small, large])], patch=16).notice
    assert "1 of 2 boxes are larger than a patch" in notice
    assert "not learned" in notice
    assert "larger" not in make_learner([box_cells(sample, [small, large])], patch=0).notice


def test_a_step_tells_its_losses_and_is_logged(learner):
    metrics = learner.step(0.1)
    assert metrics["loss"] == pytest.approx(sum(metrics[f"{part} loss"] for part in ("box", "mask", "map")), rel=1e-3)
    assert [row.loss for row in learner.log] == [metrics["loss"]]


def test_with_less_memory_it_goes_on_with_less_until_nothing_is_left_to_shrink(make_learner, monkeypatch):
    def run_out(*_arguments, **_settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    learner = make_learner(pixels=65536)
    learner.learn(without_held_out=False)
    monkeypatch.setattr(Member, "learn", run_out)
    shrunk = []
    with pytest.raises(ConfigError, match="out of memory even with one patch"):
        shrunk.extend((learner.step(0.1), learner.notice) for _ in range(20))
    assert len(shrunk) >= 3
    assert all(metrics == {} and "out of memory" in notice for metrics, notice in shrunk)


def test_new_boxes_are_learned_from(learner, sample):
    moved = replace(sample.annotation, corners=sample.annotation.corners[:2])
    masks = np.where(moved.masks <= 2, moved.masks, 0)
    fewer = replace(moved, classes=moved.classes[:2], has_mask=moved.has_mask[:2], masks=masks)
    learner.take((Sample(sample.volume, fewer),))
    assert len(learner.annotated[0].boxes) == 2
    assert learner.step(0.1)["loss"] > 0


def test_masks_that_were_found_stay_with_boxes_that_did_not_change(learner, sample):
    found = np.zeros(sample.volume.shape, np.int32)
    for row, (low, high) in enumerate(sample.annotation.corners.tolist()):
        found[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))] = row + 1
    learner.completed = [replace(learner.annotated[0], masks=found, has_mask=np.ones(3, bool))]
    (bare,) = np.flatnonzero(~sample.annotation.has_mask)
    moved = sample.annotation.corners.copy()
    given = int(np.flatnonzero(sample.annotation.has_mask)[0])
    moved[given] += 1  # and its mask was drawn anew; the bare one comes first
    order = [bare, *(row for row in range(3) if row != bare)]
    masks = np.zeros(sample.volume.shape, np.int32)
    masks[tuple(moved[given, 0])] = order.index(given) + 1
    has_mask = np.arange(3) == order.index(given)
    now = Boxes(moved[order], sample.annotation.classes[order], masks, has_mask)
    learner.take((Sample(sample.volume, now),))
    (kept,) = learner.completed
    assert kept.has_mask.tolist() == (has_mask | (np.arange(3) == 0)).tolist()
    np.testing.assert_array_equal(kept.masks == 1, (found == bare + 1) & (masks == 0))
    np.testing.assert_array_equal(kept.masks > 1, masks > 1)
    assert learner._lessons[0].annotated is kept


def weigh_plainly(lesson, *, flat):
    """Everything of the region at once."""
    cut = tuple(slice(low, high) for low, high in lesson.region)
    told = lesson.annotated.has_mask & lesson.learned
    ids = torch.from_numpy(lesson.annotated.masks[cut].astype(np.int64))
    ids[torch.isin(ids, torch.from_numpy(np.flatnonzero(~told) + 1))] = UNLABELLED
    boxes = torch.from_numpy(lesson.annotated.boxes - [low for low, _ in lesson.region])
    classes = mark_classes(label_voxels(ids, boxes, told=torch.from_numpy(told))[None], flat=flat)
    return torch.bincount(classes[classes >= 0], minlength=3)


@pytest.mark.parametrize("region", [None, ((2, 11), (2, 30), (4, 44)), ((5, 6), (0, 20), (0, 20))])
def test_voxels_are_weighed_where_boxes_are_complete(region, learner, monkeypatch):
    monkeypatch.setattr(drawing, "_SLAB_PLANES", 4)
    lesson = make_lesson(learner.annotated[0], region=region)
    counts = sum(
        torch.bincount(classes[classes >= 0], minlength=3)
        for classes in (mark_classes(labels[None], flat=())[0, 1:-1] for labels in lesson.label_slabs())
    )
    assert counts.tolist() == weigh_plainly(lesson, flat=()).tolist()


def test_how_much_lies_around_the_region_changes_no_weights(learner, sample):
    annotated = learner.annotated[0]
    wide = [(20, 20), (30, 30), (0, 40)]
    around = replace(
        annotated,
        masks=np.pad(annotated.masks, wide),
        boxes=np.add(annotated.boxes, (20, 30, 0)),
        known=tuple((low + more, high + more) for (low, high), (more, _) in zip(annotated.known, wide, strict=True)),
    )
    torch.testing.assert_close(
        weigh_voxels([make_lesson(around)], flat=()), weigh_voxels([make_lesson(annotated)], flat=())
    )


def test_new_boxes_change_the_sizes_and_overlaps_that_are_reckoned_with(learner, sample):
    before, corners = learner.scheme, sample.annotation.corners.copy()
    corners[1] = corners[0] + [[0, 0, 0], [0, 0, 3]]  # nearly the same one
    corners[2, 1] += 4
    learner.take((Sample(sample.volume, replace(sample.annotation, corners=corners, masks=None)),))
    assert learner.scheme.suppress_iou > before.suppress_iou
    assert learner.scheme.largest > before.largest
    for name in ("anchors", "stem", "typical"):
        assert getattr(learner.scheme, name) == getattr(before, name), "the network was planned by it"


def test_a_preview_has_the_boxes_that_it_sees(learner):
    preview = learner.show((1, 20), sample=0)
    assert preview.boxes.shape[1:] == (2, 3)
    assert (preview.boxes[:, 0] >= 0).all()
    assert (preview.boxes[:, 1] <= learner.annotated[0].shape).all()


@pytest.mark.parametrize(
    ("changed", "notice"),
    [
        ({"corners": np.zeros((0, 2, 3), np.int64)}, "no boxes any more"),
        ({"classes": np.array([1, 1, 9])}, "new class"),
    ],
)
def test_with_no_box_or_a_new_class_it_goes_on_with_the_boxes_there_were(changed, notice, learner, sample):
    learner.take((Sample(sample.volume, replace(sample.annotation, **changed)),))
    assert notice in learner.notice
    assert len(learner.annotated[0].boxes) == 3
    assert learner.step(0.1)["loss"] > 0


def test_other_images_are_not_taken_over(learner, sample):
    other = replace(sample, volume=replace(sample.volume, data=sample.volume.data[:, :, :20]))
    learner.take((other,))
    assert "other images" in learner.notice
