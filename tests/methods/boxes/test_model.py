"""A boxes model from boxes to files and back; what of the input is refused."""

import contextlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.errors import AnnotationError, ModelError, VolumeError
from napari_weak3d.messages import Stop
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.model import BoxesModel
from napari_weak3d.methods.boxes.segmenting import find_objects
from napari_weak3d.metrics import box_scores, compact_ids, instance_scores
from napari_weak3d.nn.member import Member
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.samples import draw_boxes, make_blobs
from napari_weak3d.types import Boxes, Sample, Volume

LEARNING = {"steps": 150, "learning_rate": 0.01, "width": 8, "patch": 0, "pixels": 4096, "roi_size": 6}


def box(low, high):
    return [list(low), list(high)]


def make_boxes(corners, *, classes=None, masks=None, has_mask=()):
    rows = np.array(corners, np.int64).reshape(-1, 2, 3)
    with_mask = np.zeros(len(rows), bool)
    with_mask[list(has_mask)] = True
    return Boxes(rows, np.array(classes if classes is not None else [1] * len(rows), np.int64), masks, with_mask)


@pytest.fixture
def fit(config, tmp_path):
    """Start a training into ``tmp_path / "model"``; settings may be changed."""

    def begin(*samples, start=None, **changed):
        return BoxesModel.fit(samples, config=config(**changed), folder=tmp_path / "model", start=start)

    return begin


@pytest.fixture
def refusal(cells, fit, tmp_path):
    """What is said of boxes on the cells that cannot be learned from; nothing is written."""

    def refuse(boxes, region=None):
        with pytest.raises(AnnotationError) as caught:
            next(fit(Sample(cells, boxes, region)))
        assert not (tmp_path / "model").exists()
        return caught.value.message

    return refuse


CELL = box((2, 8, 6), (10, 21, 19))


@pytest.mark.parametrize(
    ("corners", "changed", "region", "parts"),
    [
        ([], {}, None, ["no boxes", "cells"]),
        ([CELL, box((2, 2, 2), (2, 9, 9))], {}, None, ["box 2", "zero depth", "z 2 to 2"]),
        ([CELL, box((2, 40, 2), (4, 60, 9))], {}, None, ["box 2", "outside", "y 40 to 60", "48"]),
        ([box((-3, 4, 2), (4, 9, 9))], {}, None, ["box 1", "outside", "z -3"]),
        ([CELL], {"classes": [0]}, None, ["box 1", "class 0"]),
        ([CELL], {"has_mask": [0]}, None, ["box 1", "no masks"]),
        ([CELL, box((2, 27, 23), (10, 41, 37))], {}, ((0, 12), (0, 48), (40, 48)), ["no box", "region", "40:48"]),
    ],
)
def test_boxes_that_cannot_be_are_named(corners, changed, region, parts, refusal):
    message = refusal(make_boxes(corners, **changed), region)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("has_mask", "parts"),
    [([0], ["value 2", "no box with a mask", "there are 2"]), ([0, 1], ["mask of box 2", "outside of it"])],
)
def test_masks_that_fit_no_box_are_named(has_mask, parts, truth, refusal):
    painted = np.where(truth == 3, 0, truth)
    message = refusal(make_boxes([CELL, box((2, 27, 23), (10, 41, 37))], masks=painted, has_mask=has_mask))
    for part in parts:
        assert part in message


UNUSUAL = {
    "one box": lambda boxes, truth: make_boxes([CELL]),
    "no masks": lambda boxes, truth: replace(boxes, masks=None, has_mask=np.zeros(3, bool)),
    "all masks": lambda boxes, truth: draw_boxes(truth, rng=np.random.default_rng(0), fraction=1.0),
    "larger than the patch": lambda boxes, truth: make_boxes([box((0, 0, 0), (12, 48, 48))]),
    "thin as a voxel": lambda boxes, truth: make_boxes([box((3, 0, 0), (4, 1, 48)), box((7, 7, 7), (8, 8, 8))]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", list(UNUSUAL))
def test_unusual_boxes_are_learned_from(case, truth, sample, fit, finish):
    boxes = UNUSUAL[case](sample.annotation, truth)
    _, model = finish(fit(Sample(sample.volume, boxes), steps=2))
    _, prediction = finish(model.predict(sample.volume))
    assert len(prediction.objects) >= len(boxes.corners)  # its own boxes, at least


@pytest.mark.slow
def test_thousands_of_boxes_are_learned_from(fit, finish):
    grid = np.stack(np.meshgrid(np.arange(0, 30, 3), np.arange(0, 60, 4), np.arange(0, 60, 4), indexing="ij"), -1)
    low = grid.reshape(-1, 3)
    noise = np.random.default_rng(0).normal(0, 1, (1, 32, 64, 64)).astype(np.float32)
    boxes = make_boxes(np.stack([low, low + np.array([2, 3, 3])], axis=1))
    assert len(boxes.corners) > 2000
    _, model = finish(fit(Sample(Volume(noise), boxes), steps=2))
    assert sum(known.boxes.corners.shape[0] for known in model.stored.boxes) == len(boxes.corners)


@pytest.mark.slow
def test_a_small_synthetic_volume_is_learned_from_its_boxes_and_half_of_its_masks(fit, finish):
    made = make_blobs(np.random.default_rng(3), shape=(16, 40, 40), diameter_um=6.0, fill=0.2, touching=0.3)
    boxes = draw_boxes(made.labels, rng=np.random.default_rng(0), fraction=0.5)
    _, model = finish(fit(Sample(made.volume, boxes), **LEARNING))
    _, prediction = finish(model.predict(made.volume, settings={"use_boxes": False}))
    rows = np.array([row.box for row in prediction.objects])
    # Few objects and a short training: one of six more or less is chance.
    assert box_scores(rows, boxes.corners).f1 > 0.65
    scores = instance_scores(prediction.labels, made.labels)
    assert scores.seg > 0.4
    assert scores.iou > 0.6
    _, known = finish(model.predict(made.volume))
    assert len(known.objects) == len(boxes.corners)


@pytest.mark.slow
def test_with_masks_of_five_objects_in_a_hundred_shapes_are_learned_and_none_is_lost_without_a_word(fit, finish):
    made = make_blobs(np.random.default_rng(5), shape=(28, 64, 64), diameter_um=4.0, fill=0.25, touching=0.3)
    boxes = draw_boxes(made.labels, rng=np.random.default_rng(0), fraction=0.05)
    assert (len(boxes.corners), boxes.has_mask.sum()) == (107, 5)
    progress, model = finish(fit(Sample(made.volume, boxes), steps=4))
    assert any(item.metrics.get("mask loss", 0) > 0 for item in progress)
    _, prediction = finish(model.predict(made.volume))
    assert not any("guessed" in note for note in prediction.notes)
    told = [int(note.split()[0]) for note in prediction.notes if "drawn boxes" in note]
    assert sum(row.score == 1 for row in prediction.objects) + sum(told) == 107


@pytest.mark.slow
def test_the_boxes_of_a_volume_of_the_training_are_its_objects(trained, finish, sample):
    model = BoxesModel.load(trained)
    _, prediction = finish(model.predict(sample.volume))
    assert sum(row.score == 1 for row in prediction.objects) == 3
    _, without = finish(model.predict(sample.volume, settings={"use_boxes": False, "objects_from": "boxes"}))
    assert all(model.score_threshold <= row.score < 1 for row in without.objects)
    assert without.least_score == model.score_threshold


@pytest.mark.slow
@pytest.mark.parametrize(("objects_from", "threshold"), [("boxes", 0.01), ("voxels", 0.1)])
def test_a_look_at_a_volume_shows_what_segmenting_it_gives(objects_from, threshold, trained, finish, sample):
    model = BoxesModel.load(trained)
    settings = {"use_boxes": False, "objects_from": objects_from, "score_threshold": threshold}
    _, prediction = finish(model.predict(sample.volume, settings=settings))
    finder = model._finder(model.stored.config.for_segmenting(settings))
    labels, boxes = find_objects(finder, view_volume(sample.volume).image, spacing=sample.volume.spacing)
    assert prediction.labels.any()
    np.testing.assert_array_equal(compact_ids(labels)[0], prediction.labels)
    assert len(boxes) >= len(prediction.objects)


@pytest.mark.slow
def test_boxes_of_now_count_instead_of_those_of_the_training(trained, finish, sample):
    model, other = BoxesModel.load(trained), Volume(sample.volume.data + 1, sample.volume.spacing, "um")
    for volume in (sample.volume, other):
        for n_boxes in (2, 0):
            now = Sample(volume, make_boxes(sample.annotation.corners[:n_boxes].reshape(-1, 2, 3)))
            _, prediction = finish(model.predict(volume, annotated=now))
            assert sum(row.score == 1 for row in prediction.objects) == n_boxes
    _, without = finish(model.predict(other, annotated=Sample(other, sample.annotation), settings={"use_boxes": False}))
    assert all(row.score < 1 for row in without.objects)


@pytest.mark.slow
def test_drawn_boxes_without_an_object_are_told(sample, fit, finish):
    drawn = make_boxes([CELL, CELL, box((2, 27, 23), (10, 41, 37))])
    _, model = finish(fit(Sample(sample.volume, drawn), steps=2))
    _, prediction = finish(model.predict(sample.volume))
    assert any(note.startswith("1 of the drawn boxes") for note in prediction.notes)


@pytest.mark.slow
def test_masks_that_were_drawn_come_out_as_they_were_drawn(trained, finish, sample):
    drawn = sample.annotation
    _, prediction = finish(BoxesModel.load(trained).predict(sample.volume))
    for row in np.flatnonzero(drawn.has_mask):
        mask = drawn.masks == row + 1
        (number,) = np.unique(prediction.labels[mask])
        np.testing.assert_array_equal(prediction.labels == number, mask)
        assert (prediction.uncertainty[mask] == 0).all()


@pytest.mark.slow
def test_no_object_lies_below_a_half(trained, finish, cells):
    for cut in (0.2, 0.7):
        _, prediction = finish(BoxesModel.load(trained).predict(cells, settings={"mask_threshold": cut}))
        assert (prediction.probabilities[0][prediction.labels > 0] >= 0.5).all()


@pytest.mark.slow
def test_two_classes_come_out_as_they_were_drawn(cells, sample, fit, finish, tmp_path):
    boxes = replace(sample.annotation, classes=np.array([7, 7, 3]))
    _, model = finish(fit(Sample(cells, boxes), steps=2))
    _, prediction = finish(BoxesModel.load(tmp_path / "model").predict(cells))
    assert "classes" in model.outputs
    assert [row.class_value for row in prediction.objects][:3] == [7, 7, 3]
    assert ((prediction.classes > 0) == (prediction.labels > 0)).all()
    assert (prediction.probabilities.argmax(0) == np.searchsorted([0, 3, 7], prediction.classes)).all()
    np.testing.assert_allclose(prediction.probabilities.astype(float).sum(0), 1, atol=2e-3)


@pytest.mark.slow
def test_two_classes_are_found_and_told_apart_without_their_boxes(finish, tmp_path):
    """Of cells that are bright in the first channel, or in the second."""
    made = make_blobs(np.random.default_rng(3), shape=(16, 56, 56), diameter_um=6.0, fill=0.2, touching=0.0)
    drawn = draw_boxes(made.labels, rng=np.random.default_rng(0), fraction=1.0)
    classes = np.arange(len(drawn.corners)) % 2 + 1
    class_of = np.concatenate([[0], classes])
    grey = np.asarray(made.volume.data[0])
    channels = [np.where(class_of[drawn.masks] == other, np.median(grey), grey) for other in (2, 1)]
    volume = replace(made.volume, data=np.stack(channels))
    config = BoxesConfig.from_settings({**LEARNING, "steps": 100, "levels": 2})
    sample = Sample(volume, replace(drawn, classes=classes))
    _, model = finish(BoxesModel.fit([sample], config=config, folder=tmp_path / "model"))
    _, prediction = finish(model.predict(volume, settings={"use_boxes": False}))
    shared = [np.bincount(drawn.masks[prediction.labels == row.id], minlength=2) for row in prediction.objects]
    pairs = [
        (class_of[1 + counts[1:].argmax()], row.class_value)
        for counts, row in zip(shared, prediction.objects, strict=True)
        if counts[1:].any()
    ]
    assert len(pairs) > len(classes) / 2
    assert np.mean([true == told for true, told in pairs]) > 0.8


@pytest.mark.slow
def test_without_masks_it_says_that_shapes_are_guesses(truth, sample, fit, finish):
    boxes = replace(sample.annotation, masks=None, has_mask=np.zeros(3, bool))
    _, model = finish(fit(Sample(sample.volume, boxes)))
    progress, prediction = finish(model.predict(sample.volume))
    assert any("shapes are guessed" in item.message for item in progress)
    assert any("shapes are guessed" in note for note in prediction.notes)
    assert [row.box for row in prediction.objects if row.score == 1] == [
        tuple(map(tuple, corners)) for corners in boxes.corners.tolist()
    ]
    known = np.isin(prediction.labels, [row.id for row in prediction.objects if row.score == 1])
    assert instance_scores(np.where(known, prediction.labels, 0), truth).f1 == 1


@pytest.mark.slow
def test_training_that_was_stopped_goes_on_where_it_stood(config, sample, finish, tmp_path):
    folder = tmp_path / "model"
    finish(BoxesModel.fit([sample], config=config(steps=8), folder=folder), *[None] * 5, Stop())
    assert (folder / "resume.safetensors").exists()
    progress, _ = finish(BoxesModel.fit([sample], config=config(steps=8), folder=folder, start=BoxesModel.load(folder)))
    assert progress[-1].step == 8
    assert not (folder / "resume.safetensors").exists()
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + 8
    straight = tmp_path / "straight"
    finish(BoxesModel.fit([sample], config=config(steps=8), folder=straight))
    assert (folder / "weights.safetensors").read_bytes() == (straight / "weights.safetensors").read_bytes()


def stop_at(step, job):
    """Pull a job until it has taken so many steps, and stop it."""
    reply = None
    with contextlib.suppress(StopIteration):
        while True:
            reply = Stop() if job.send(reply).step >= step else None


@pytest.mark.slow
def test_a_training_that_goes_on_after_scoring_decides_as_one_that_was_not_stopped(config, fit, finish, tmp_path):
    made = make_blobs(np.random.default_rng(5), shape=(20, 48, 48), diameter_um=5.0, fill=0.2, touching=0.3)
    sample = Sample(made.volume, draw_boxes(made.labels, rng=np.random.default_rng(0), fraction=0.4))
    folder, setting = tmp_path / "model", config(steps=14, held_out=0.3)
    stop_at(8, BoxesModel.fit([sample], config=setting, folder=folder))
    stopped = BoxesModel.load(folder)
    assert stopped.stored.sighting is not None
    assert 0.5 <= stopped.stored.fraction < 0.95
    finish(BoxesModel.fit([sample], config=setting, folder=folder, start=stopped))
    finish(BoxesModel.fit([sample], config=setting, folder=tmp_path / "straight"))
    went_on, straight = (BoxesModel.load(path).stored for path in (folder, tmp_path / "straight"))
    assert went_on.calibration == straight.calibration
    assert went_on.sighting is None
    for name, weights in straight.weights.items():
        torch.testing.assert_close(went_on.weights[name], weights, atol=0, rtol=0)


@pytest.mark.slow
def test_what_is_stored_is_the_network_that_was_scored(config, sample, finish, tmp_path, monkeypatch):
    shown = []
    snapshot = Member.snapshot
    monkeypatch.setattr(Member, "snapshot", lambda member: shown.append(snapshot(member)) or shown[-1])
    _, model = finish(BoxesModel.fit([sample], config=config(steps=6), folder=tmp_path / "model"))
    for name, weights in shown[-1].state_dict().items():
        torch.testing.assert_close(model.stored.weights[name], weights)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["scheme", "boxes", "config"])
def test_a_description_without_a_part_is_refused(part, trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "model")
    described = json.loads((folder / "model.json").read_text())
    del described[part]
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="damaged"):
        BoxesModel.load(folder)


@pytest.mark.slow
def test_missing_or_damaged_boxes_are_refused(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "model")
    (folder / "boxes.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="damaged"):
        BoxesModel.load(folder)
    (folder / "boxes.npz").unlink()
    with pytest.raises(ModelError, match="incomplete"):
        BoxesModel.load(folder)


@pytest.mark.slow
def test_what_was_drawn_is_read_back(trained, sample):
    (known,) = BoxesModel.load(trained).stored.boxes
    for name in ("corners", "classes", "masks", "has_mask"):
        np.testing.assert_array_equal(getattr(known.boxes, name), getattr(sample.annotation, name))


@pytest.mark.slow
@pytest.mark.parametrize(("changed", "part"), [({"width": 8}, "width"), ({"roi_size": 6}, "roi_size")])
def test_another_network_cannot_go_on_from_a_model(changed, part, trained, sample, fit):
    with pytest.raises(ModelError, match=part):
        next(fit(sample, start=BoxesModel.load(trained), **changed))


@pytest.mark.slow
def test_a_model_cannot_go_on_with_a_class_it_does_not_know(trained, cells, fit):
    with pytest.raises(ModelError, match="class 4"):
        next(fit(Sample(cells, make_boxes([CELL], classes=[4])), start=BoxesModel.load(trained)))


def test_images_of_different_channels_are_refused(cells, sample, fit):
    two = replace(cells, data=np.repeat(cells.data, 2, axis=0))
    with pytest.raises(VolumeError, match="channels"):
        next(fit(sample, Sample(two, sample.annotation)))


@pytest.mark.slow
def test_objects_to_mask_next_have_no_mask(trained, finish, sample):
    model = BoxesModel.load(trained)
    _, chosen = finish(model.suggest_boxes(sample, count=5))
    assert chosen == tuple(np.flatnonzero(~sample.annotation.has_mask))
    _, slices = finish(model.suggest(sample, count=1))
    assert slices == ((0, 6),)  # the middle of the cell without


def test_a_model_from_before_voxel_maps_is_read_and_finds_boxes(cells, sample, fit, finish, tmp_path):
    finish(fit(sample, steps=2, voxel_maps=False))
    file = tmp_path / "model" / "model.json"
    described = json.loads(file.read_text())
    del described["config"]["voxel_maps"], described["config"]["objects_from"]
    for name in ("rule", "from_voxels"):
        described["calibration"].pop(name)
    file.write_text(json.dumps({**described, "schema": 1}))
    _, prediction = finish(BoxesModel.load(tmp_path / "model").predict(cells))
    assert prediction.labels.max() == 3, "the drawn boxes"


@pytest.mark.slow
def test_drawn_boxes_in_which_nothing_is_seen_are_objects_all_the_same(trained, finish, sample):
    model = BoxesModel.load(trained)
    _, prediction = finish(model.predict(sample.volume, settings={"mask_threshold": 0.99}))  # nothing is that sure
    drawn = [row for row in prediction.objects if row.score == 1]
    assert len(drawn) == 3
    assert any("1 of the drawn boxes hold nothing that the model sees" in note for note in prediction.notes)
    _, usual = finish(model.predict(sample.volume, settings={"mask_threshold": 0.01}))
    assert not any("hold nothing" in note for note in usual.notes)


def test_a_model_with_the_coarser_maps_of_before_is_refused_in_a_line(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "old")
    file = folder / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 2}))
    with pytest.raises(ModelError, match="train the model anew"):
        BoxesModel.load(folder)


def test_components_of_voxel_maps_are_the_objects_where_that_is_wanted(cells, truth, sample, fit, finish):
    _, model = finish(fit(sample, **LEARNING))
    assert model.stored.calibration.rule is not None
    settings = {"use_boxes": False, "objects_from": "voxels"}
    _, prediction = finish(model.predict(cells, settings=settings))
    found = prediction.labels
    assert len(prediction.objects) == found.max() > 0
    assert (prediction.probabilities[0][found > 0] >= 0.5).all()
    assert instance_scores(found, truth).iou > 0.5
    least = min(row.score for row in prediction.objects) + 1e-6
    _, surer = finish(model.predict(cells, settings={**settings, "score_threshold": min(least, 0.999)}))
    assert len(surer.objects) < len(prediction.objects)
