"""Training on boxes: patches, what happens when memory runs out or boxes change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.member import Member
from napari_weak3d.types import Sample

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
    fewer = replace(moved, classes=moved.classes[:2], has_mask=moved.has_mask[:2])
    learner.take((Sample(sample.volume, fewer),))
    assert len(learner.annotated[0].boxes) == 2
    assert learner.step(0.1)["loss"] > 0


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
