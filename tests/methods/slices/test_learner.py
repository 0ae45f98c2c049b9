"""Training on paint: who learns from what and when, and what happens when memory runs out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.errors import AnnotationError, ConfigError
from napari_weak3d.nn.member import Member
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import PaintClass, Sample, Slices, Volume

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(monkeypatch):
    """Every batch that a member is stepped on: (member, image)."""
    seen = []
    step = Member.step

    def watch(self, image, loss, *, fraction):
        seen.append((self, image))
        return step(self, image, loss, fraction=fraction)

    monkeypatch.setattr(Member, "step", watch)
    return seen


@pytest.fixture
def no_memory(monkeypatch):
    """Make the next so many steps run out of memory: ``no_memory(2)``."""

    def plan(times):
        step, left = Member.step, [times]

        def run_out(self, image, loss, *, fraction):
            if left[0]:
                left[0] -= 1
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step(self, image, loss, fraction=fraction)

        monkeypatch.setattr(Member, "step", run_out)

    return plan


def test_members_take_turns_holding_out_then_all_learn_from_all(make_learner, batches):
    learner = make_learner(scoring_share=0.5)
    for step in range(8):
        learner.step(step / 8)
    order = [learner.members.index(member) for member, _ in batches]
    assert order == [0, 0, 1, 1, 0, 1, 0, 1]


def test_without_slices_to_hold_out_all_learn_from_all_at_once(make_learner, batches, cells, truth):
    learner = make_learner(samples=[Sample(cells, paint_slices(truth, slices_per_axis=(1, 0, 0)))])
    for step in range(4):
        learner.step(step / 4)
    assert [learner.members.index(member) for member, _ in batches] == [0, 1, 0, 1]


def test_held_out_slices_never_appear_in_a_members_batches(make_learner, sample, monkeypatch):
    """Each painted slice is given a class of its own: whoever learns from it, sees that class."""
    labels = np.zeros(sample.volume.shape, np.int32)
    table = replace(sample.annotation.classes[0], background=False)
    planes = [index for _, index in sample.annotation.annotated]
    for value, plane in enumerate(planes, start=1):
        labels[plane] = value
    classes = tuple(replace(table, value=value, background=value == 1) for value in (1, 2, 3))
    own = Slices(labels, annotated=sample.annotation.annotated, classes=classes)
    learner = make_learner(samples=[Sample(sample.volume, own)], scoring_share=0.9)
    shown = {0: set(), 1: set()}
    loss_of = learner._loss_of

    def watch(batch):
        number = next(n for n, member in enumerate(learner.members) if member is current[0])
        shown[number] |= set(batch.labels.unique().tolist()) - {UNLABELLED}
        return loss_of(batch)

    current = [None]
    monkeypatch.setattr(learner, "_loss_of", watch)
    for step in range(16):
        current[0] = learner.members[0 if step < 8 else 1]
        learner.step(0.9 * step / 16)
    assert learner.held_out == [[(planes[0], planes[2])], [(planes[1],)]]
    assert shown == {0: {1}, 1: {0, 2}}


@pytest.mark.parametrize("settings", [{"members": 1}, {"levels": 6}, {"levels": 7, "patch": 48}, {"patch": 512}])
def test_unusual_settings_train_too(settings, make_learner):
    learner = make_learner(**settings)
    for fraction in (0.0, 0.9):
        assert np.isfinite(learner.step(fraction)["loss"])


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 9, 50), (5, 17, 3)])
def test_volumes_of_few_voxels_train_too(shape, make_learner):
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (1, *shape)).astype(np.float32)
    truth = (image[0] > 0).astype(np.int32)
    learner = make_learner(samples=[Sample(Volume(image), paint_slices(truth, slices_per_axis=(1, 0, 0)))])
    assert np.isfinite(learner.step(0.0)["loss"])
    assert learner.show((0, 0), sample=0).labels.shape == shape[1:]


def test_out_of_memory_is_a_smaller_batch_and_a_notice_and_training_goes_on(make_learner, no_memory, batches):
    learner = make_learner(pixels=4096)
    learner.step(0.0)
    no_memory(1)
    assert learner.step(0.1) == {}
    assert learner.notice == "out of memory: going on with 2 patches a step"
    assert learner.step(0.1)["loss"] > 0
    assert [len(image) for _, image in batches] == [4, 2]


def test_then_smaller_patches(make_learner, no_memory):
    learner = make_learner(patch=48, pixels=1024, levels=2)
    no_memory(1)
    assert learner.step(0.0) == {}
    assert learner.notice == "out of memory: going on with patches of 32 x 32 pixels"
    assert learner.step(0.0)["loss"] > 0


def test_out_of_memory_with_the_smallest_patch_says_what_to_do(make_learner, no_memory):
    learner = make_learner(pixels=2048)
    no_memory(100)
    assert learner.step(0.0) == {}
    with pytest.raises(ConfigError, match=r"1 x 32 x 32 voxels: .*smaller width, or device cpu") as error:
        learner.step(0.0)
    assert error.value.where == "width"


def test_other_errors_are_not_taken_for_too_little_memory(make_learner, monkeypatch):
    def fail(self, image, loss, *, fraction):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Member, "step", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        make_learner().step(0.0)


@pytest.mark.parametrize("stack_axis", [0, 1, 2])
@pytest.mark.parametrize(("where", "shape"), [((0, 3), (48, 48)), ((1, 5), (12, 48)), ((2, 40), (12, 48))])
def test_a_preview_is_a_plane_of_class_values_in_the_order_zyx(stack_axis, where, shape, make_learner, sample):
    learner = make_learner(stack_axis=stack_axis)
    learner.step(0.0)
    preview = learner.show(where, sample=0)
    assert (preview.slice, preview.labels.shape, preview.labels.dtype) == (where, shape, np.int32)
    assert set(np.unique(preview.labels)) <= {row.value for row in sample.annotation.classes}


def test_a_preview_across_the_stack_shows_what_previews_along_it_show(make_learner):
    learner = make_learner()
    for step in range(6):
        learner.step(step / 6)
    along = np.stack([learner.show((0, z), sample=0).labels for z in range(12)])
    for axis in (1, 2):
        across = learner.show((axis, 20), sample=0).labels
        assert (across == along.take(20, axis=axis)).mean() > 0.99


@pytest.mark.parametrize(("asked", "nearest"), [((0, 99), (0, 11)), ((1, -3), (1, 0))])
def test_a_preview_beyond_the_volume_shows_the_nearest_slice(asked, nearest, make_learner):
    learner = make_learner()
    assert learner.show(asked, sample=0).slice == nearest


def test_new_paint_is_learned_from(make_learner, cells, truth):
    learner = make_learner()
    more = Sample(cells, paint_slices(truth, slices_per_axis=(5, 0, 0)))
    learner.take((more,))
    assert learner.samples == (more,)
    assert learner.targets[0].complete == tuple(index for _, index in more.annotation.annotated)
    assert learner.step(0.0)["loss"] > 0


def test_paint_that_is_rubbed_out_is_kept_in_training(make_learner, cells, sample):
    learner = make_learner()
    learner.take((Sample(cells, replace(sample.annotation, labels=sample.annotation.labels * 0, annotated=())),))
    assert learner.samples == (sample,)
    assert "nothing is painted" in learner.notice
    assert learner.step(0.0)["loss"] > 0


def with_third_class(sample, *, value=2, name="dust", painted=True):
    """The sample with a class more, painted on a plane of its own."""
    labels = sample.annotation.labels.copy()
    if painted:
        labels[0, :5, :5] = value
    classes = (*sample.annotation.classes, PaintClass(value, name))
    return replace(sample, annotation=replace(sample.annotation, labels=labels, classes=classes))


@pytest.mark.parametrize("painted", [True, False])
def test_a_class_added_meanwhile_is_left_out_and_said_to_be(painted, make_learner, sample):
    learner = make_learner()
    learner.take((with_third_class(sample, painted=painted),))
    assert learner.notice == "not learned before the next Train: dust (added since this training began)"
    assert (learner.targets[0].labels[0] == UNLABELLED).all()
    assert learner.step(0.0)["loss"] > 0
    assert set(np.unique(learner.show((0, 0), sample=0).labels)) <= {0, 1}
    learner.take((sample,))
    assert learner.notice == "training"


def test_a_class_taken_away_meanwhile_is_learned_from_no_more(make_learner, sample):
    three = with_third_class(sample)
    learner = make_learner(samples=[three])
    learner.take((sample,))
    assert learner.targets[0].labels.max() == 1
    assert learner.step(0.0)["loss"] > 0


def test_paint_of_another_kind_is_no_part_of_this_training(make_learner, sample, object_sample):
    for before, after in ((sample, object_sample), (object_sample, sample)):
        learner = make_learner(samples=[before])
        learner.take((after,))
        assert learner.samples == (before,)
        assert f"learns {before.annotation.paint}" in learner.notice
        assert learner.step(0.0)["loss"] > 0


def test_slices_painted_and_rubbed_out_between_steps_are_followed(make_learner, paint, sample):
    learner = make_learner()
    for per_axis in ((5, 0, 0), (1, 0, 0), (2, 2, 1), (0, 3, 0), (3, 0, 0)):
        learner.take((paint(per_axis),))
        for fraction in (0.0, 0.3, 0.9):
            assert learner.step(fraction)["loss"] > 0
    assert learner.targets[0].complete == tuple(index for _, index in sample.annotation.annotated)


def test_other_images_are_no_part_of_this_training(make_learner, sample, truth):
    learner = make_learner()
    smaller = Volume(sample.volume.data[:, :5])
    learner.take((Sample(smaller, paint_slices(truth[:5])),))
    assert learner.samples == (sample,)
    assert "other images" in learner.notice


@pytest.mark.parametrize("region", [None, ((0, 1), (0, 24), (0, 24))])
def test_objects_on_no_complete_slice_along_the_stack_teach_nothing(region, make_learner, object_sample):
    nowhere = replace(object_sample.annotation, annotated=((1, 3),) if region is None else ((0, 4), (1, 3)))
    with pytest.raises(AnnotationError, match="no complete slice along z has an object"):
        make_learner(samples=[replace(object_sample, annotation=nowhere, region=region)])
