"""What every method keeps: the same promises, checked on a tiny volume for all of METHODS."""

from __future__ import annotations

from enum import Enum
from types import GeneratorType

import numpy as np
import pytest
from pydantic_core import PydanticUndefined

from napari_weak3d import methods
from napari_weak3d.errors import ConfigError, VolumeError
from napari_weak3d.messages import NewSamples, Pause, PreviewSlice, Resume, Stop
from napari_weak3d.samples import click_centroids, draw_boxes, paint_slices
from napari_weak3d.types import Prediction, Progress, Sample, Volume


def paint_some(truth, n):
    return paint_slices(truth, slices_per_axis=(n, 0, 0))


def click_some(truth, n):
    """Clicks that are the more precise the more there are to be: always all cells."""
    return click_centroids(truth, rng=np.random.default_rng(n), jitter=0.3 / n)


def box_some(truth, n):
    """All objects, masks for the more of them the more there is to be."""
    return draw_boxes(truth, rng=np.random.default_rng(0), fraction=min(1.0, n / 5))


ANNOTATE = {"Slices": paint_some, "Centroids": click_some, "Boxes": box_some}
"""For each noun that methods learn from: how to make some of it, and more of it."""


@pytest.fixture(params=list(methods.METHODS), scope="session")
def method(request):
    return request.param


@pytest.fixture(scope="session")
def model_class(method):
    return methods.load_object(methods.METHODS[method].model)


@pytest.fixture(scope="session")
def settings(method, tiny):
    known = methods.load_config(method).model_fields
    return {name: value for name, value in tiny.items() if name in known}


@pytest.fixture(scope="session")
def annotate(method):
    """Make so much of the method's annotation from a truth."""
    return ANNOTATE[methods.METHODS[method].annotation]


@pytest.fixture(scope="session")
def make_sample(annotate, cells, truth):
    return lambda n=3: Sample(cells, annotate(truth, n))


@pytest.fixture(scope="session")
def make_samples(annotate, make_sample, truth):
    """Two volumes, of different shapes."""

    def make():
        one = make_sample()
        turned = Volume(one.volume.data[:, :, ::-1, :32], one.volume.spacing, one.volume.unit, "turned")
        return [one, Sample(turned, annotate(np.ascontiguousarray(truth[:, ::-1, :32]), 3))]

    return make


@pytest.fixture(scope="session")
def fit(method, model_class, settings, make_sample):
    """Start a training; settings may be changed."""

    def begin(folder, *, samples=None, start=None, **changed):
        config = methods.load_config(method).from_settings({**settings, **changed})
        return model_class.fit(samples or [make_sample()], config=config, folder=folder, start=start)

    return begin


@pytest.fixture(scope="session")
def trained(fit, finish, tmp_path_factory):
    """(folder, all progress, the model) of a training that went through."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    return folder, *finish(fit(folder))


def read_weights(folder):
    return (folder / "weights.safetensors").read_bytes()


def test_the_method_has_a_title_and_names_a_noun(method):
    info = methods.METHODS[method]
    assert info.title
    assert info.annotation in ANNOTATE


def test_every_setting_has_title_and_description_and_every_number_bounds(method):
    config = methods.load_config(method)
    for name, field in config.model_fields.items():
        assert field.title, name
        assert field.description.endswith("."), name
        assert field.default is not PydanticUndefined, name
        kind = field.annotation
        assert kind in (bool, int, float) or issubclass(kind, Enum), f"{name} is not flat"
        if kind in (int, float):
            bounds = {type(item).__name__ for item in field.metadata}
            assert bounds & {"Ge", "Gt"}, f"{name} has no lower bound"
            assert bounds & {"Le", "Lt"}, f"{name} has no upper bound"


@pytest.mark.parametrize("name", ["seed", "steps"])
def test_a_seed_or_number_of_steps_beyond_bounds_is_refused(method, name):
    with pytest.raises(ConfigError, match=f"setting {name} = 9{'0' * 30}"):
        methods.load_config(method).from_settings({name: 9 * 10**30})


def test_the_defaults_are_valid_and_survive_json(method):
    config = methods.load_config(method)
    assert config.from_settings(config().model_dump(mode="json")) == config()


@pytest.mark.slow
def test_fit_yields_progress_to_the_end_and_returns_a_model(trained, model_class, settings):
    _, progress, model = trained
    assert isinstance(model, model_class)
    assert all(isinstance(item, Progress) for item in progress)
    assert progress[0].metrics["loss"] > 0
    assert progress[-1].step == progress[-1].total == settings["steps"]
    assert progress[-1].seconds_left == 0


@pytest.mark.slow
def test_fit_is_a_generator_that_does_nothing_before_it_is_pulled(fit, tmp_path):
    job = fit(tmp_path / "model")
    assert isinstance(job, GeneratorType)
    job.close()
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_fit_takes_every_command(fit, finish, make_sample, tmp_path):
    commands = [PreviewSlice((0, 5)), NewSamples((make_sample(4),)), Pause(), PreviewSlice((1, 7)), Resume(), None]
    progress, _ = finish(fit(tmp_path / "model", steps=6), *commands)
    shown = [(item.preview.slice, item.preview.labels.shape) for item in progress if item.preview is not None]
    assert shown == [((0, 5), (48, 48)), ((1, 7), (12, 48))]
    assert [item.message == "paused" for item in progress].count(True) == 2
    assert progress[-1].step == 6


@pytest.mark.slow
@pytest.mark.parametrize("at_step", [1, 4])
def test_after_stop_there_is_a_usable_saved_model(at_step, fit, finish, cells, tmp_path):
    progress, model = finish(fit(tmp_path / "model", steps=1000), *[None] * (at_step - 1), Stop())
    assert progress[-1].step == at_step
    for usable in (model, type(model).load(tmp_path / "model")):
        assert finish(usable.predict(cells))[1].labels.shape == cells.shape


@pytest.mark.slow
def test_a_loaded_model_predicts_what_the_trained_one_does(trained, model_class, finish, cells):
    folder, _, model = trained
    first, second = (finish(each.predict(cells))[1] for each in (model, model_class.load(folder)))
    for name in ("labels", "classes", "uncertainty", "probabilities"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.objects == second.objects


@pytest.mark.slow
def test_the_same_seed_and_steps_give_the_same_weights_to_the_bit(trained, fit, finish, tmp_path):
    finish(fit(tmp_path / "again"))
    assert read_weights(tmp_path / "again") == read_weights(trained[0])


@pytest.mark.slow
def test_another_seed_gives_other_weights(trained, fit, finish, tmp_path):
    finish(fit(tmp_path / "other", seed=1))
    assert read_weights(tmp_path / "other") != read_weights(trained[0])


@pytest.mark.slow
def test_what_is_shown_meanwhile_does_not_change_what_is_learned(trained, fit, finish, tmp_path):
    finish(fit(tmp_path / "watched"), PreviewSlice((0, 3)), Pause(), Resume(), PreviewSlice((2, 40)))
    assert read_weights(tmp_path / "watched") == read_weights(trained[0])


@pytest.mark.slow
def test_training_goes_on_from_a_model_with_more_annotated(trained, fit, finish, make_sample, tmp_path):
    folder, _, start = trained
    before = read_weights(folder)
    finish(fit(tmp_path / "more", samples=[make_sample(5)], start=start, steps=2))
    assert read_weights(tmp_path / "more") != before
    assert read_weights(folder) == before


@pytest.mark.slow
def test_training_may_go_on_into_the_folder_it_came_from(trained, model_class, fit, finish, tmp_path):
    folder = tmp_path / "model"
    finish(fit(folder, steps=2))
    finish(fit(folder, steps=2, start=model_class.load(folder)))
    model_class.load(folder)


@pytest.mark.slow
def test_one_model_learns_from_several_volumes(fit, finish, make_samples, tmp_path):
    samples = make_samples()
    _, model = finish(fit(tmp_path / "model", samples=samples, steps=4))
    for sample in samples:
        assert finish(model.predict(sample.volume))[1].labels.shape == sample.volume.shape


@pytest.mark.slow
def test_a_prediction_has_the_shape_of_the_volume_and_a_row_per_object(trained, finish, cells):
    _, prediction = finish(trained[2].predict(cells))
    assert isinstance(prediction, Prediction)
    assert (prediction.labels.dtype, prediction.labels.shape) == (np.int32, cells.shape)
    if prediction.classes is not None:
        assert (prediction.classes.dtype, prediction.classes.shape) == (np.int32, cells.shape)
    assert (prediction.uncertainty.dtype, prediction.uncertainty.shape) == (np.float32, cells.shape)
    assert 0 <= prediction.uncertainty.min() <= prediction.uncertainty.max() <= 1
    assert prediction.probabilities.shape[1:] == cells.shape
    found = np.unique(prediction.labels[prediction.labels > 0])
    assert [row.id for row in prediction.objects] == found.tolist()
    for row in prediction.objects:
        where = np.argwhere(prediction.labels == row.id)
        assert row.box == (tuple(where.min(0)), tuple(where.max(0) + 1))
        np.testing.assert_allclose(row.centre_vox, where.mean(0), rtol=1e-6)


@pytest.mark.slow
def test_predicting_twice_gives_the_same(trained, finish, cells):
    first, second = (finish(trained[2].predict(cells))[1] for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)


@pytest.mark.slow
def test_a_new_volume_of_any_shape_is_segmented(trained, finish):
    image = np.random.default_rng(3).normal(0, 1, (1, 5, 33, 50)).astype(np.float32)
    _, prediction = finish(trained[2].predict(Volume(image, (2.0, 1.0, 1.0))))
    assert prediction.labels.shape == (5, 33, 50)


@pytest.mark.slow
def test_stop_ends_a_prediction_with_labels_of_the_whole_shape(trained, finish, cells):
    large = Volume(np.tile(cells.data, (1, 1, 3, 3)), cells.spacing)
    progress, prediction = finish(trained[2].predict(large, settings={"tile": 64}), Stop())
    assert len(progress) == 1
    assert progress[0].total > 1
    assert prediction.labels.shape == large.shape


@pytest.mark.slow
def test_another_number_of_channels_is_refused(trained, cells):
    two = Volume(np.repeat(cells.data, 2, axis=0), cells.spacing, name="stained")
    with pytest.raises(VolumeError, match=r"stained has 2 channel.*trained on 1"):
        next(trained[2].predict(two))


@pytest.mark.slow
def test_an_unknown_setting_is_refused_with_the_nearest_name(trained, cells):
    with pytest.raises(ConfigError, match="'smallest_objekt': did you mean 'smallest_object'"):
        next(trained[2].predict(cells, settings={"smallest_objekt": 3}))


@pytest.mark.slow
def test_a_setting_of_training_is_refused_in_segmenting(trained, cells):
    assert "minutes" not in type(trained[2].stored.config).SEGMENTING
    with pytest.raises(ConfigError, match=r"'minutes' belongs to training.*segmenting takes device"):
        next(trained[2].predict(cells, settings={"minutes": 3}))


def test_what_segmenting_takes_are_settings(method):
    config = methods.load_config(method)
    assert set(config.SEGMENTING) <= set(config.model_fields)


@pytest.mark.slow
def test_a_model_says_what_its_predictions_hold(trained, finish, cells):
    _, prediction = finish(trained[2].predict(cells))
    given = {name for name in ("classes", "uncertainty", "probabilities") if getattr(prediction, name) is not None}
    assert trained[2].outputs == given


@pytest.mark.slow
def test_suggestions_are_not_annotated_yet_and_as_many_as_asked_for(trained, finish, make_sample):
    sample = make_sample()
    _, chosen = finish(trained[2].suggest(sample, count=4))
    assert len(set(chosen)) == 4
    for axis, index in chosen:
        assert 0 <= index < sample.volume.shape[axis]


@pytest.mark.slow
def test_a_model_folder_holds_what_the_design_says(trained):
    names = {file.name for file in trained[0].iterdir()}
    assert {"model.json", "weights.safetensors", "log.csv"} <= names
    assert "resume.safetensors" not in names  # finished
    assert len((trained[0] / "log.csv").read_text().splitlines()) == 1 + 6
