"""A slices model from paint to labels: what is painted stays, stopped trainings go on, both networks work."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.errors import AnnotationError, ModelError, VolumeError
from napari_weak3d.messages import NewSamples, Pause, PreviewSlice, Resume, Stop
from napari_weak3d.methods.slices import model as model_module
from napari_weak3d.methods.slices import scoring
from napari_weak3d.methods.slices.model import SlicesModel
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import PaintClass, Sample, Slices, Volume

pytestmark = pytest.mark.slow


def read_weights(folder):
    return (folder / "weights.safetensors").read_bytes()


def test_cells_of_a_tiny_volume_are_found_between_painted_slices(fit, finish, cells, truth, tmp_path):
    _, model = finish(fit(tmp_path / "model", steps=60, learning_rate=0.01))
    _, prediction = finish(model.predict(cells, settings={"use_paint": False}))
    found, cell = prediction.labels > 0, truth > 0
    assert (found & cell).sum() > 0.7 * (found | cell).sum()
    assert model.stored.calibration.held_out_iou > 0.5
    assert model.stored.summary["steps"] == 60


def test_the_held_out_score_is_reported(fit, finish, tmp_path):
    progress, model = finish(fit(tmp_path / "model"))
    assert progress[-1].metrics["held_out_iou"] == model.stored.calibration.held_out_iou
    assert any("scoring" in item.message for item in progress)


def test_one_painted_slice_has_no_held_out_score(fit, finish, paint, tmp_path):
    progress, model = finish(fit(tmp_path / "model", samples=[paint((1, 0, 0))]))
    assert model.stored.calibration.held_out_iou is None
    assert "held_out_iou" not in progress[-1].metrics


def test_one_painted_slice_of_objects_is_enough_too(fit, finish, paint, tmp_path):
    sample = paint((1, 0, 0), "objects")
    _, model = finish(fit(tmp_path / "model", samples=[sample]))
    _, prediction = finish(model.predict(sample.volume))
    ((_, plane),) = sample.annotation.annotated
    assert model.stored.calibration.held_out_iou is None
    np.testing.assert_array_equal(prediction.labels[plane], sample.annotation.labels[plane])


def test_a_slice_painted_while_the_first_one_is_learned_is_held_out(fit, finish, paint, tmp_path):
    job = fit(tmp_path / "model", samples=[paint((1, 0, 0))], steps=20)
    next(job)
    job.send(NewSamples((paint((3, 0, 0)),)))
    _, model = finish_from(job)
    assert model.stored.calibration.held_out_iou is not None


def test_nothing_is_scored_where_no_share_is_left_for_scoring(fit, finish, tmp_path):
    progress, model = finish(fit(tmp_path / "model", scoring_share=0))
    assert model.stored.calibration.held_out_iou is None
    assert not any("scoring" in item.message for item in progress)


@pytest.mark.parametrize("per_axis", [(3, 0, 0), (1, 3, 0), (0, 2, 2)])
def test_complete_slices_of_classes_come_out_as_painted(per_axis, fit, finish, paint, tmp_path):
    sample = paint(per_axis)
    _, model = finish(fit(tmp_path / "model", samples=[sample]))
    _, prediction = finish(model.predict(sample.volume))
    for axis, index in sample.annotation.annotated:
        painted, found, unsure = (
            np.take(image, index, axis=axis)
            for image in (sample.annotation.labels, prediction.classes, prediction.uncertainty)
        )
        np.testing.assert_array_equal(found, painted)
        assert not unsure.any()


def test_scribbles_come_out_as_painted_too(fit, finish, cells, tmp_path):
    labels = np.zeros(cells.shape, np.int32)
    labels[4, 10:14, 10:14], labels[4, 0:3], labels[8, 30:36, 28:32] = 2, 1, 2
    classes = (PaintClass(1, "background", background=True), PaintClass(2, "cell"))
    _, model = finish(fit(tmp_path / "model", samples=[Sample(cells, Slices(labels, classes=classes))]))
    _, prediction = finish(model.predict(cells))
    np.testing.assert_array_equal(prediction.classes[labels > 0], labels[labels > 0])
    assert set(np.unique(prediction.classes)) <= {1, 2}
    assert not prediction.labels[prediction.classes == 1].any()


def test_complete_slices_of_objects_come_out_as_painted(fit, finish, cells, object_sample, tmp_path):
    _, model = finish(fit(tmp_path / "model", samples=[object_sample]))
    _, prediction = finish(model.predict(cells))
    assert prediction.classes is None
    for _, index in object_sample.annotation.annotated:
        np.testing.assert_array_equal(prediction.labels[index], object_sample.annotation.labels[index])
        assert not prediction.uncertainty[index].any()


def test_paint_is_left_out_on_demand_and_for_other_volumes(fit, finish, trained, cells):
    model = SlicesModel.load(trained)
    _, without = finish(model.predict(cells, settings={"use_paint": False}))
    shifted = Volume(cells.data + np.float32(0.125), cells.spacing)
    _, other = finish(model.predict(shifted))
    assert without.uncertainty[[2, 6, 10]].all()
    assert other.uncertainty[[2, 6, 10]].all()


def test_the_painted_volume_is_recognised_by_its_values_alone(finish, trained, cells):
    renamed = Volume(cells.data.astype(np.float64), cells.spacing, "um", "a copy")
    _, prediction = finish(SlicesModel.load(trained).predict(renamed))
    assert not prediction.uncertainty[[2, 6, 10]].any()


@pytest.mark.slow
def test_a_result_says_that_voxels_differ_from_those_of_training(finish, trained, cells):
    other = replace(cells, spacing=(8.0, 1.0, 1.0))
    progress, prediction = finish(SlicesModel.load(trained).predict(other))
    assert prediction.notes == ("voxels differ 4 times from those of training: check the spacing",)
    assert prediction.notes[0] in progress[0].message
    assert finish(SlicesModel.load(trained).predict(cells))[1].notes == ()


@pytest.mark.parametrize("after", [2, 8, 10, 13])
def test_a_stopped_training_goes_on_as_if_it_never_stopped(after, fit, finish, tmp_path):
    finish(fit(tmp_path / "straight", steps=12))
    finish(fit(tmp_path / "broken", steps=12), *[None] * (after - 1), Stop())
    part = SlicesModel.load(tmp_path / "broken")
    assert part.stored.fraction < 1
    assert (tmp_path / "broken" / "resume.safetensors").exists()
    progress, _ = finish(fit(tmp_path / "broken", steps=12, start=part))
    assert progress[0].step - part.stored.summary["steps"] in (0, 1)  # 0: it goes on with scoring
    assert read_weights(tmp_path / "broken") == read_weights(tmp_path / "straight")
    assert not (tmp_path / "broken" / "resume.safetensors").exists()
    straight, broken = (SlicesModel.load(tmp_path / name).stored.calibration for name in ("straight", "broken"))
    assert straight == broken


def read_log(folder):
    rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()[1:]]
    return [int(row[0]) for row in rows], [float(row[1]) for row in rows]


def test_the_log_goes_on_where_a_training_does(fit, finish, tmp_path):
    folder = tmp_path / "model"
    finish(fit(folder, steps=12), *[None] * 4, Stop())
    before = SlicesModel.load(folder)
    finish(fit(folder, steps=12, start=before))
    steps, seconds = read_log(folder)
    assert steps == list(range(1, 13))
    assert seconds == sorted(seconds)
    summary = json.loads((folder / "model.json").read_text())["summary"]
    assert summary["seconds"] >= before.stored.summary["seconds"]
    assert summary["steps"] == 12


def test_steps_and_seconds_of_a_warm_start_are_added_up(fit, finish, trained, tmp_path):
    start = SlicesModel.load(trained)
    _, model = finish(fit(tmp_path / "more", start=start, steps=4))
    steps, seconds = read_log(tmp_path / "more")
    assert steps == list(range(1, 11))
    assert seconds == sorted(seconds)
    assert model.stored.summary["steps"] == 10


def test_a_model_without_a_log_goes_on_too(fit, finish, trained, tmp_path):
    folder = Path(shutil.copytree(trained, tmp_path / "model"))
    for spoil in (lambda log: log.write_text("step,seconds\nx,y\n"), Path.unlink):
        spoil(folder / "log.csv")
        finish(fit(tmp_path / "more", start=SlicesModel.load(folder), steps=2))
        assert read_log(tmp_path / "more")[0] == [1, 2]


def test_the_score_is_saved_as_soon_as_it_is_there(fit, tmp_path):
    job = fit(tmp_path / "model", steps=20)
    progress = next(job)
    while "held_out_iou" not in progress.metrics:
        progress = next(job)
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["calibration"]["held_out_iou"] == progress.metrics["held_out_iou"]
    assert described["fraction"] < 1
    job.close()


def test_a_training_killed_after_a_checkpoint_goes_on_from_there(fit, finish, tmp_path):
    folder = tmp_path / "model"
    job = fit(folder, steps=12)
    for _ in range(4):
        next(job)
    job.send(Pause())
    job.send(Resume())
    next(job)
    job.close()
    part = SlicesModel.load(folder)
    assert part.stored.fraction == pytest.approx(4 / 12)
    progress, model = finish(fit(folder, steps=12, start=part))
    assert progress[0].step == 5
    assert model.stored.summary["steps"] == 12
    assert model.stored.fraction == 1


def until_scoring(job):
    progress = next(job)
    while "scoring" not in progress.message:
        progress = next(job)


@pytest.mark.parametrize("kind", ["classes", "objects"])
def test_every_command_is_obeyed_while_scoring(kind, fit, finish, paint, tmp_path):
    job = fit(tmp_path / "model", samples=[paint((3, 0, 0), kind)], steps=10)
    until_scoring(job)
    assert job.send(Pause()).message == "paused"
    assert job.send(PreviewSlice((1, 20))).preview.labels.shape == (12, 48)
    assert "scoring" in job.send(Resume()).message
    assert job.send(PreviewSlice((0, 3))).preview.labels.shape == (48, 48)
    job.send(NewSamples((paint((4, 0, 0), kind),)))  # of the slices that are being scored, none is left
    _, model = finish_from(job)
    assert len(model.stored.paint[0].slices.annotated) == 4


def finish_from(job):
    """Pull a job that has begun to its end."""
    yielded = []
    while True:
        try:
            yielded.append(job.send(None))
        except StopIteration as end:
            return yielded, end.value


def test_scoring_answers_between_the_tiles_of_a_slice(fit, cells, truth, tmp_path):
    large = Volume(np.tile(cells.data, (1, 1, 3, 3)), cells.spacing)
    sample = Sample(large, paint_slices(np.tile(truth, (1, 3, 3)), slices_per_axis=(2, 0, 0)))
    progress, _ = finish_from(fit(tmp_path / "model", samples=[sample], steps=4, tile=64))
    scoring_messages = [item.message for item in progress if "scoring" in item.message]
    assert scoring_messages.count("scoring held-out slices (1 of 2)") > 4
    assert scoring_messages[-1] == "scoring held-out slices (2 of 2)"


def test_stop_while_scoring_is_obeyed(fit, tmp_path):
    job = fit(tmp_path / "model", steps=10)
    while "scoring" not in next(job).message:
        pass
    assert job.send(Stop()).message == "done"
    assert SlicesModel.load(tmp_path / "model").stored.fraction == pytest.approx(0.6)


def test_a_warm_start_begins_where_the_model_stands(trained, fit, finish, paint, tmp_path):
    start, more = SlicesModel.load(trained), paint((5, 0, 0))
    progress, model = finish(fit(tmp_path / "more", samples=[more], start=start, steps=1, learning_rate=1e-9))
    assert progress[0].step == 1
    for before, after in zip(start.stored.weights, model.stored.weights, strict=False):
        assert all(np.allclose(before[name], after[name], atol=0.3) for name in before if "weight" in name)
    assert model.stored.paint[0].slices.annotated == more.annotation.annotated


@pytest.mark.parametrize("at", [1, 3])
def test_a_warm_start_is_not_tested_on_paint_that_its_model_has_seen(  # noqa: PLR0917 - fixtures
    at, fit, finish, cells, truth, tmp_path
):
    """Plane 9 was painted in part when the model was trained; is it complete now, it can still not be held out."""
    table = (PaintClass(0, "background", background=True), PaintClass(1, "cell"))
    labels = np.zeros(cells.shape, np.int32)
    labels[2], labels[9, 30:40, 25:35] = truth[2] > 0, truth[9, 30:40, 25:35] > 0
    first = Sample(cells, Slices(labels, annotated=((0, 2),), classes=table))
    _, start = finish(fit(tmp_path / "first", samples=[first]))
    more = labels.copy()
    more[[9, at]] = truth[[9, at]] > 0
    second = Sample(cells, Slices(more, annotated=((0, 2), (0, 9), (0, at)), classes=table))
    held_out = []
    calibrate = scoring.calibrate

    def watch(learner, *, is_late):
        held_out.append(learner.held_out)
        return calibrate(learner, is_late=is_late)

    job = fit(tmp_path / "second", samples=[second], start=start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_module, "calibrate", watch)
        finish(job)
    assert {plane for member in held_out[0] for plane in member[0]} == {at}


@pytest.mark.parametrize("after", [3, 7])
def test_paint_added_while_a_training_rests_does_not_cost_the_score(after, fit, finish, paint, tmp_path):
    finish(fit(tmp_path / "model", steps=12), *[None] * (after - 1), Stop())
    part = SlicesModel.load(tmp_path / "model")
    _, model = finish(fit(tmp_path / "model", samples=[paint((5, 0, 0))], start=part, steps=12))
    assert model.stored.calibration.held_out_iou is not None
    assert len(model.stored.paint[0].slices.annotated) == 5


@pytest.mark.parametrize("changed", [{"width": 8}, {"levels": 2}])
def test_a_model_of_another_network_cannot_be_gone_on_from(changed, trained, fit, tmp_path):
    with pytest.raises(ModelError, match="another network"):
        next(fit(tmp_path / "model", start=SlicesModel.load(trained), **changed))
    assert not (tmp_path / "model").exists()


def test_a_model_whose_weights_do_not_fit_is_refused(trained, fit, cells, tmp_path):
    stored = SlicesModel.load(trained).stored
    spoiled = SlicesModel(replace(stored, weights=tuple({"head.bias": w["head.bias"]} for w in stored.weights)))
    with pytest.raises(ModelError, match="do not fit"):
        next(spoiled.predict(cells))
    with pytest.raises(ModelError, match="do not fit"):
        next(fit(tmp_path / "model", start=spoiled))


def test_volumes_painted_in_different_ways_are_refused(fit, sample, object_sample, tmp_path):
    with pytest.raises(AnnotationError, match="some volumes are painted as classes, others as objects"):
        next(fit(tmp_path / "model", samples=[sample, object_sample]))


def test_volumes_with_different_backgrounds_are_refused(fit, sample, tmp_path):
    other = replace(sample.annotation, classes=(PaintClass(1, "cell", background=True), PaintClass(2, "dust")))
    with pytest.raises(AnnotationError, match=r"different values, \[0, 1\]"):
        next(fit(tmp_path / "model", samples=[sample, replace(sample, annotation=other)]))


def test_volumes_with_different_channels_are_refused(fit, sample, cells, tmp_path):
    two = Volume(np.repeat(cells.data, 2, axis=0), cells.spacing)
    with pytest.raises(VolumeError, match=r"different numbers of channels, \[1, 2\]"):
        next(fit(tmp_path / "model", samples=[sample, replace(sample, volume=two)]))


def test_several_channels_are_learned_from(fit, finish, sample, cells, tmp_path):
    two = Volume(np.concatenate([cells.data, cells.data[:, ::-1] * 0 + 5]), cells.spacing)
    _, model = finish(fit(tmp_path / "model", samples=[replace(sample, volume=two)], steps=2))
    assert finish(model.predict(two))[1].labels.shape == cells.shape


def test_a_flat_image_is_a_volume_of_one_slice(fit, finish, cells, truth, tmp_path):
    flat = Volume(cells.data[:, 5:6], cells.spacing)
    sample = Sample(flat, paint_slices(truth[5:6], slices_per_axis=(1, 0, 0)))
    _, model = finish(fit(tmp_path / "model", samples=[sample], steps=2))
    _, prediction = finish(model.predict(flat))
    np.testing.assert_array_equal(prediction.classes > 0, truth[5:6] > 0)


def test_smallest_object_leaves_smaller_ones_out(trained, finish, cells):
    model = SlicesModel.load(trained)
    _, everything = finish(model.predict(cells))
    sizes = np.bincount(everything.labels.ravel())[1:]
    _, large = finish(model.predict(cells, settings={"smallest_object": int(sizes.max())}))
    assert len(large.objects) == (sizes == sizes.max()).sum()


def test_the_papers_network_trains_and_segments_through_its_tiles(fit, finish, sample, tmp_path):
    volume = Volume(sample.volume.data[:, :, :28], sample.volume.spacing)
    strip = Sample(volume, replace(sample.annotation, labels=sample.annotation.labels[:, :28]))
    _, model = finish(fit(tmp_path / "model", samples=[strip], network="paper", steps=1, members=1))
    progress, prediction = finish(model.predict(volume, settings={"use_paint": False}))
    assert progress[-1].total == 2  # of 44 outputs along x, the volume has 48
    assert prediction.classes.shape == volume.shape
    np.testing.assert_allclose(prediction.probabilities.astype(np.float32).sum(axis=0), 1, atol=2e-3)
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["config"]["network"] == "paper"

    progress, frozen = finish(model.predict(volume, settings={"use_paint": False, "statistics": "frozen"}))
    assert [item.step for item in progress] == [1, 2, 1, 2]  # statistics are gathered first
    assert (frozen.probabilities != prediction.probabilities).any()
    _, again = finish(model.predict(volume, settings={"use_paint": False}))
    np.testing.assert_array_equal(again.probabilities, prediction.probabilities)


def test_weights_of_another_width_are_told_by_the_first_that_does_not_fit(trained, cells):
    stored = SlicesModel.load(trained).stored
    wider = SlicesModel(replace(stored, config=stored.config.with_settings({"width": 2 * stored.config.width})))
    with pytest.raises(ModelError, match=r"do not fit its network: .* the network has") as refused:
        next(wider.predict(cells))
    assert len(refused.value.message) < 200


def test_a_training_by_minutes_is_scored_and_finished(fit, finish, tmp_path):
    progress, model = finish(fit(tmp_path / "model", minutes=0.01, steps=0))
    assert model.stored.fraction == 1
    assert model.stored.calibration.held_out_iou is not None
    assert model.stored.summary["steps"] == progress[-1].step >= 2
    assert progress[0].seconds_left <= 0.6
