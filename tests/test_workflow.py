"""The verbs: what is wrong is said before the first step, and nothing is written then."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d import methods, workflow
from napari_weak3d.errors import AnnotationError, ConfigError, ModelError, StorageError, VolumeError, Weak3DError
from napari_weak3d.io.spacing import SpacingWarning
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import Boxes, Centroids, PaintClass, Progress, Sample, Volume

SHAPE = (6, 20, 22)


@pytest.fixture
def truth():
    labels = np.zeros(SHAPE, np.int32)
    labels[1:5, 4:10, 4:10], labels[1:5, 12:18, 12:18] = 1, 2
    return labels


@pytest.fixture
def sample(truth):
    image = np.random.default_rng(0).normal(10, 1, (1, *SHAPE)) + 20 * (truth > 0)
    return Sample(Volume(image.astype(np.float32), (2.0, 1.0, 1.0), "um", "cells"), paint_slices(truth))


@pytest.fixture
def config():
    settings = {"width": 4, "levels": 2, "members": 1, "patch": 32, "pixels": 1024, "steps": 3, "device": "cpu"}
    return methods.load_config("slices").from_settings(settings)


def finish(job):
    yielded = []
    while True:
        try:
            yielded.append(next(job))
        except StopIteration as end:
            return yielded, end.value


def spoil(sample, value):
    image = sample.volume.data.copy()
    image[0, 2, 3, 4] = value
    return replace(sample, volume=replace(sample.volume, data=image))


def with_paint(sample, **changed):
    return replace(sample, annotation=replace(sample.annotation, **changed))


WRONG = {
    "nan": (lambda s: spoil(s, np.nan), VolumeError, "cells holds nan at z 2, y 3, x 4"),
    "inf": (lambda s: spoil(s, np.inf), VolumeError, "cells holds inf"),
    "constant": (
        lambda s: replace(s, volume=replace(s.volume, data=np.full((1, *SHAPE), 7))),
        VolumeError,
        "cells is constant",
    ),
    "channels last": (
        lambda s: replace(s, volume=replace(s.volume, data=np.random.default_rng(0).random((1, 64, 64, 3)))),
        VolumeError,
        "channel",
    ),
    "negative spacing": (
        lambda s: replace(s, volume=replace(s.volume, spacing=(-1, 1, 1))),
        VolumeError,
        "z spacing of cells is -1",
    ),
    "no axis of channels": (
        lambda s: replace(s, volume=replace(s.volume, data=s.volume.data[0])),
        VolumeError,
        "cells have 3 axes",
    ),
    "no slice": (
        lambda s: with_paint(s, annotated=((3, 3),)),
        AnnotationError,
        r"\(3, 3\) is not an axis and an index",
    ),
    "a kind of paint that is none": (lambda s: with_paint(s, paint="object"), AnnotationError, "'object' is no kind"),
    "a region of two axes": (
        lambda s: replace(s, region=((0, 6), (0, 20))),
        AnnotationError,
        "is not first and end along z, y and x",
    ),
    "an array for a volume": (
        lambda s: replace(s, volume=s.volume.data),
        VolumeError,
        "a ndarray is no volume: make one with Volume",
    ),
    "a pair for a sample": (lambda s: (s.volume, s.annotation), AnnotationError, "a tuple is no sample: make one with"),
    "a list for labels": (
        lambda s: with_paint(s, labels=s.annotation.labels.tolist()),
        AnnotationError,
        "the paint is a list: give an array",
    ),
    "names for classes": (
        lambda s: with_paint(s, classes=("cell",)),
        AnnotationError,
        "table of classes holds other things than PaintClass",
    ),
    "other shape": (lambda s: with_paint(s, labels=s.annotation.labels[:5]), AnnotationError, "5x20x22.*6x20x22"),
    "nothing painted": (lambda s: with_paint(s, labels=s.annotation.labels * 0), AnnotationError, "nothing is painted"),
    "slice out of range": (lambda s: with_paint(s, annotated=((1, 20),)), AnnotationError, "y:20 is out of range"),
    "one class only": (lambda s: with_paint(s, annotated=()), AnnotationError, "only class 1"),
    "class not in the table": (
        lambda s: with_paint(s, classes=(PaintClass(3, "c"),)),
        AnnotationError,
        "value 1 is not in the table",
    ),
    "another kind": (
        lambda s: replace(s, annotation=Centroids(np.zeros((2, 3)))),
        AnnotationError,
        "slices.*centroids",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_sample_is_said_first_and_nothing_is_written(name, sample, config, tmp_path):
    change, kind, message = WRONG[name]
    job = workflow.train("slices", [sample, change(sample)], config=config, out=tmp_path / "model")
    with pytest.raises(kind, match=message):
        next(job)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_alone_is_refused(sample, config, tmp_path):
    with pytest.raises(AnnotationError, match=r"samples are a Sample: give a list of them, \[sample\]"):
        next(workflow.train("slices", sample, config=config, out=tmp_path / "model"))


def test_an_unknown_method_is_refused(sample, config, tmp_path):
    with pytest.raises(Weak3DError, match="'stardist' is not a method: there is slices"):
        next(workflow.train("stardist", [sample], config=config, out=tmp_path / "model"))


def test_no_sample_is_refused(config, tmp_path):
    with pytest.raises(AnnotationError, match="nothing to train on"):
        next(workflow.train("slices", [], config=config, out=tmp_path / "model"))


@pytest.mark.parametrize("method", ["slices", "boxes"])
def test_settings_of_another_method_are_refused(method, sample, config, tmp_path):
    other = methods.load_config("centroids")()
    with pytest.raises(ConfigError, match=rf"settings are CentroidsConfig, those of {method} are .*load_config"):
        next(workflow.train(method, [sample], config=other, out=tmp_path / "model"))
    with pytest.raises(ConfigError, match="settings are dict"):
        next(workflow.train(method, [sample], config={"steps": 3}, out=tmp_path / "model"))


def test_a_model_of_another_method_is_not_written_over(sample, config, tmp_path):
    described = '{"schema": 1, "method": "boxes"}'
    (tmp_path / "model.json").write_text(described)
    with pytest.raises(StorageError, match="it holds a model of boxes"):
        next(workflow.train("slices", [sample], config=config, out=tmp_path))
    assert (tmp_path / "model.json").read_text() == described


@pytest.mark.parametrize("voxels", [{"spacing": (20, 1, 1)}, {"spacing": (4, 2, 2), "unit": "relative"}])
def test_training_volumes_with_other_voxels_are_told(voxels, sample, config, tmp_path, recwarn):
    other = replace(sample, volume=replace(sample.volume, **voxels, name="thick"))
    job = workflow.train("slices", [sample, sample, other], config=config, out=tmp_path / "new", start=tmp_path)
    with pytest.raises(ModelError, match="is not a model"):  # all else is right
        next(job)
    said = [str(warning.message) for warning in recwarn if warning.category is SpacingWarning]
    told = [] if "unit" in voxels else ["voxels differ from those of cells: thick 10 times; check the spacing"]
    assert said == told


def test_a_folder_with_other_things_is_not_written_to(sample, config, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(StorageError, match="holds other things"):
        next(workflow.train("slices", [sample], config=config, out=tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("where", ["file", "file/model", "file/deep/model"])
def test_a_file_in_the_way_is_told(where, sample, config, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="is a file"):
        next(workflow.train("slices", [sample], config=config, out=tmp_path / where))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("start", ["nowhere", "empty"])
def test_going_on_from_no_model_is_refused(start, sample, config, tmp_path):
    (tmp_path / "empty").mkdir()
    job = workflow.train("slices", [sample], config=config, out=tmp_path / "model", start=tmp_path / start)
    with pytest.raises(ModelError, match=f"{start} is not a model"):
        next(job)
    assert not (tmp_path / "model").exists()


def test_a_model_of_a_method_that_is_not_there_is_refused(sample, config, tmp_path):
    (tmp_path / "model.json").write_text('{"schema": 1, "method": "nuclei"}')
    message = "model in .* is of the method 'nuclei', which this version does not know: there is slices"
    for job in (
        workflow.train("slices", [sample], config=config, out=tmp_path / "new", start=tmp_path),
        workflow.segment(tmp_path, sample.volume),
        workflow.suggest(tmp_path, sample, count=1),
    ):
        with pytest.raises(ModelError, match=message):
            next(job)


def test_a_model_of_another_method_is_no_start(sample, config, tmp_path, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "nuclei", methods.METHODS["slices"])
    (tmp_path / "model.json").write_text('{"schema": 1, "method": "nuclei"}')
    with pytest.raises(ModelError, match="is of the method nuclei, not slices"):
        next(workflow.train("slices", [sample], config=config, out=tmp_path / "new", start=tmp_path))


@pytest.mark.slow
def test_train_segment_and_suggest_go_through(sample, config, tmp_path):
    progress, _ = finish(workflow.train("slices", [sample], config=config, out=tmp_path / "model"))
    assert all(isinstance(item, Progress) for item in progress)
    _, prediction = finish(workflow.segment(str(tmp_path / "model"), sample.volume))
    assert prediction.labels.shape == SHAPE
    again = {"config": config, "out": str(tmp_path / "again"), "start": str(tmp_path / "model")}
    finish(workflow.train("slices", [sample], **again))
    assert (tmp_path / "again" / "model.json").is_file()
    _, chosen = finish(workflow.suggest(str(tmp_path / "model"), sample, count=2))
    assert len(chosen) == 2
    assert not set(chosen) & set(sample.annotation.annotated)
    nothing = sample.annotation.labels * 0
    _, chosen = finish(workflow.suggest(tmp_path / "model", with_paint(sample, labels=nothing, annotated=()), count=2))
    assert len(set(chosen)) == 2

    # The same model, asked for what it cannot do.
    with pytest.raises(ConfigError, match="'tille': did you mean 'tile'"):
        next(workflow.segment(tmp_path / "model", sample.volume, settings={"tille": 64}))
    with pytest.raises(ConfigError, match=r"'width' belongs to training.*takes device, .*smallest_object"):
        next(workflow.segment(tmp_path / "model", sample.volume, settings={"width": 4}))
    with pytest.raises(VolumeError, match="constant"):
        next(workflow.segment(tmp_path / "model", Volume(np.ones((1, *SHAPE)))))
    with pytest.raises(VolumeError, match="z spacing of cells is 0"):
        next(workflow.segment(tmp_path / "model", replace(sample.volume, spacing=(0, 1, 1))))
    wrong = with_paint(sample, annotated=((0, 99),))
    for labels in (sample.annotation.labels, nothing):
        with pytest.raises(AnnotationError, match="z:99 is out of range"):
            next(workflow.suggest(tmp_path / "model", with_paint(wrong, labels=labels), count=1))
    with pytest.raises(AnnotationError, match=r"5x20x22.*6x20x22"):
        next(workflow.suggest(tmp_path / "model", with_paint(sample, labels=nothing[:5]), count=1))


@pytest.mark.slow
def test_what_a_model_does_not_give_is_refused_before_it_predicts(truth, sample, config, tmp_path):
    objects = replace(sample, annotation=paint_slices(truth, paint="objects"))
    finish(workflow.train("slices", [objects], config=config, out=tmp_path / "model"))
    with pytest.raises(ModelError, match="gives no classes: leave out --classes"):
        next(workflow.segment(tmp_path / "model", sample.volume, wanted=["classes"]))
    next(workflow.segment(tmp_path / "model", sample.volume, wanted=["uncertainty", "probabilities"]))


def test_evaluate_scores_labels(truth):
    worse = truth.copy()
    worse[3] = 0
    assert workflow.evaluate(truth, truth)["seg"] == 1
    assert workflow.evaluate(worse, truth)["iou"] == pytest.approx(3 / 4)


def test_evaluate_leaves_ignored_slices_out_along_any_axis(truth):
    worse = truth.copy()
    worse[3], worse[:, 15] = 0, 0
    assert workflow.evaluate(worse, truth, ignore_slices=[(0, 3), (1, 15)])["iou"] == 1


def test_evaluate_scores_points_in_the_unit_of_the_spacing():
    truth = Centroids(np.array([[2.0, 5.0, 5.0], [2.0, 15.0, 15.0]]))
    found = Centroids(np.array([[2.0, 5.0, 6.0]]))
    scores = workflow.evaluate(found, truth, spacing=(3.0, 1.0, 1.0))
    assert (scores["precision"], scores["recall"]) == (1, 0.5)


def test_evaluate_refuses_what_cannot_be_compared(truth):
    with pytest.raises(VolumeError, match=r"\(5, 20, 22\).*\(6, 20, 22\)"):
        workflow.evaluate(truth[:5], truth)
    boxes = Boxes(np.array([[[0, 0, 0], [1, 2, 3]]]), np.array([1]), None, np.array([False]))
    for other in (truth, Centroids(np.zeros((1, 3)))):
        with pytest.raises(Weak3DError, match="boxes cannot be scored against labels or points"):
            workflow.evaluate(other, boxes)


def test_evaluate_scores_the_centres_of_labels_as_points():
    labels = np.zeros((6, 20, 22), np.int32)
    labels[1:4, 4:7, 5:8] = 7
    labels[4, 15, 15] = 9
    scores = workflow.evaluate(labels, Centroids(np.array([[2.0, 5.0, 6.0]])))
    assert (scores["precision"], scores["recall"]) == (0.5, 1)
    assert workflow.evaluate(labels * 0, Centroids(np.array([[2.0, 5.0, 6.0]])))["recall"] == 0


@pytest.mark.parametrize("index", [(0, 6), (2, -1), (3, 0), "z:3"])
def test_evaluate_refuses_a_slice_out_of_range(truth, index):
    with pytest.raises(AnnotationError, match=r"out of range|not an axis and an index"):
        workflow.evaluate(truth, truth, ignore_slices=[index])
