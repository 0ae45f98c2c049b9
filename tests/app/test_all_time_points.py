"""Applying a model to all time points of a series: one after the other, shown in one layer. A test plays the child."""

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller
from napari_weak3d.io.project import write_prediction
from napari_weak3d.io.volumes import read_labels, read_volume
from napari_weak3d.messages import Advanced, Segment
from napari_weak3d.types import Prediction

pytestmark = pytest.mark.window
SHAPE = (5, 6, 24, 28)  # time points first
N_TIMES = SHAPE[0]


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    data = np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)
    layer = viewer.add_image(data, name="movie", scale=(1, 2, 0.5, 0.5), translate=(0, 4, 0, 0))
    layer.units, layer.axis_labels = ("s", "um", "um", "um"), ("t", "z", "y", "x")
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs, qtbot, add_model):
    """Time point 2 is painted on, and the project has a model."""
    controller = Controller(viewer, jobs=fake_jobs)
    viewer.dims.set_point(0, 2)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    controller.desk.tool.paint_layer.paint((1, 3, 3), 2)
    add_model(controller)
    controller.models.refresh()
    yield controller
    controller.close()


@pytest.fixture
def model(controller):
    return controller.desk.project.models[0].id


@pytest.fixture
def segment(controller, fake_jobs, qtbot):
    """Lets the child segment the time point that it is asked for: one object, whose number tells the time point."""

    def segment():
        qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Segment))
        project, image = controller.desk.project, fake_jobs.request.image
        labels = np.zeros(SHAPE[1:], np.int32)
        labels[2:4, 3:7, 3:7] = 1 + project.image(image).time_index
        prediction_id = f"aaaa{len(fake_jobs.requests):04}"
        folder = project.prediction_folder(prediction_id)
        write_prediction(folder, Prediction(labels), image_id=image, model_id=fake_jobs.request.model)
        fake_jobs.finish(prediction=prediction_id, stopped=False)
        return project.image(image).time_index

    return segment


@pytest.fixture
def apply_to_all(controller, model, segment, qtbot):
    def apply_to_all():
        controller.models.apply(model, "times")
        times = [segment() for _ in range(N_TIMES)]
        qtbot.waitUntil(lambda: shown_at(controller, N_TIMES - 1) == {N_TIMES})
        qtbot.waitUntil(lambda: controller.results.result is not None and controller.results.result.decided is not None)
        return times

    return apply_to_all


def series_layer(controller):
    return next((each for each in controller.viewer.layers if each.name == "movie results"), None)


def shown_at(controller, time):
    layer = series_layer(controller)
    return None if layer is None else set(np.unique(layer.data[time])) - {0}


def said(controller):
    return [each.text for each in controller.panels.train.messages._messages]


def times_offered(controller):
    action = controller.panels.models._scopes["times"]
    return action.text() if action.isVisible() else None


def test_all_time_points_are_offered_where_the_chosen_image_has_some(controller, viewer):
    assert times_offered(controller) == "All 5 time points of this image"
    controller.images.choose(viewer.add_image(np.zeros(SHAPE[1:]), name="one"))
    assert times_offered(controller) is None


def test_every_time_point_is_segmented_and_its_result_kept_in_the_project(controller, apply_to_all, monkeypatch):
    told = []
    monkeypatch.setattr(controller.desk, "say", lambda text, *_, **__: told.append(text))
    assert apply_to_all() == list(range(N_TIMES))
    project = controller.desk.project
    assert sorted(entry.time_index for entry in project.images) == list(range(N_TIMES))
    assert [len(project.predictions(entry.id)) for entry in project.images] == [1] * N_TIMES
    assert len({entry.series for entry in project.images} - {None}) == 1
    assert any(text.startswith("5 of 5 time points are segmented") for text in told)


def test_results_are_one_layer_of_time_points_that_lies_on_the_image(controller, viewer, apply_to_all):
    apply_to_all()
    layer, image = series_layer(controller), viewer.layers["movie"]
    assert layer.data.shape == SHAPE
    assert [shown_at(controller, time) for time in range(N_TIMES)] == [{time + 1} for time in range(N_TIMES)]
    for name in ("scale", "translate", "units", "axis_labels"):
        np.testing.assert_array_equal(getattr(layer, name), getattr(image, name))
    assert viewer.layers.index(layer) == viewer.layers.index(image) + 1


def test_time_points_that_are_not_done_yet_are_zero_and_progress_says_which_one_it_is(
    controller, model, segment, fake_jobs, qtbot
):
    controller.models.apply(model, "times")
    assert [segment(), segment()] == [0, 1]
    qtbot.waitUntil(lambda: shown_at(controller, 1) == {2})
    assert shown_at(controller, 2) == set()
    qtbot.waitUntil(lambda: fake_jobs.request is not None)
    fake_jobs.advanced.emit(Advanced(fake_jobs.request.job, 1, 4, "looking"))
    assert controller.panels.train.progress.message.text() == "Time point 3 of 5: looking"


def test_stop_keeps_the_time_points_that_are_done(controller, model, segment, fake_jobs, qtbot):
    controller.models.apply(model, "times")
    segment()
    segment()
    qtbot.waitUntil(lambda: fake_jobs.request is not None)
    fake_jobs.finish(prediction=None, stopped=True)
    assert fake_jobs.request is None
    assert said(controller)[-1] == "2 of 5 time points are segmented and kept; the rest was stopped"
    qtbot.waitUntil(lambda: shown_at(controller, 1) == {2})


def test_stop_while_a_time_point_is_copied_ends_it(controller, model, segment, fake_jobs):
    controller.models.apply(model, "times")
    assert controller.desk.held
    controller.stop()
    assert not controller.desk.busy
    assert said(controller)[-1] == "0 of 5 time points are segmented and kept; the rest was stopped"


def test_time_point_that_cannot_be_segmented_does_not_hold_up_the_others(controller, model, segment, fake_jobs, qtbot):
    controller.models.apply(model, "times")
    segment()
    qtbot.waitUntil(lambda: fake_jobs.request is not None)
    fake_jobs.fail("VolumeError", "it is all black")
    assert [segment() for _ in range(3)] == [2, 3, 4]
    assert "4 of 5 time points are segmented; 1 could not be" in said(controller)[-1]


def test_what_is_painted_on_stays_where_another_time_point_is_in_view(controller, viewer, model):
    viewer.dims.set_point(0, 4)
    controller.models.apply(model, "times")
    assert controller.desk.work.time_index == 2


def test_annotated_time_point_shows_its_result_alone_to_be_corrected(controller, viewer, apply_to_all):
    apply_to_all()
    alone, together = controller.results.result.layer, series_layer(controller)
    assert (alone.visible, together.visible) == (True, False)
    viewer.dims.set_point(0, 4)
    assert (alone.visible, together.visible) == (False, True)
    viewer.dims.set_point(0, 2)
    assert (alone.visible, together.visible) == (True, False)
    alone.data_setitem(tuple(np.array([[1], [20], [20]])), 9)
    assert shown_at(controller, 2) == {3, 9}


def test_another_time_point_begun_on_shows_its_result_alone(controller, viewer, apply_to_all, qtbot):
    apply_to_all()
    viewer.dims.set_point(0, 4)
    controller.images.begin()
    qtbot.waitUntil(lambda: controller.results.result is not None and controller.results.result.decided is not None)
    assert set(np.unique(controller.results.result.layer.data)) == {0, 5}
    assert not series_layer(controller).visible
    assert [shown_at(controller, time) for time in range(N_TIMES)] == [{time + 1} for time in range(N_TIMES)]


def test_corrected_result_of_another_time_point_is_out_of_sight(controller, viewer, apply_to_all, qtbot):
    apply_to_all()
    corrected = controller.results.result.layer
    corrected.data_setitem(tuple(np.array([[1], [20], [20]])), 9)
    viewer.dims.set_point(0, 4)
    controller.images.begin()
    qtbot.waitUntil(lambda: controller.results.result is not None and controller.results.result.decided is not None)
    assert controller.results.result.layer is not corrected
    assert (corrected.visible, controller.results.result.layer.visible) == (False, True)
    assert shown_at(controller, 2) == {3, 9}
    viewer.layers.remove(corrected)
    qtbot.waitUntil(lambda: shown_at(controller, 2) == {3, 9})  # read again, with what was corrected


@pytest.fixture(params=["tiff", "zarr"])
def chosen(request, tmp_path, monkeypatch):
    """A kind of file and the path that the user chooses for it."""
    path = tmp_path / f"all.{request.param}"
    monkeypatch.setattr("napari_weak3d.app.exporting.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    return request.param, path


def test_labels_of_all_time_points_are_exported_as_one_file(controller, apply_to_all, chosen, qtbot):
    apply_to_all()
    kind, path = chosen
    controller.results.result.layer.data_setitem(tuple(np.array([[1], [20], [20]])), 9)
    assert all(action.isVisible() for action in controller.panels.result._series_exports)
    controller.panels.result.series_export_requested.emit(kind)
    qtbot.waitUntil(lambda: said(controller)[-1].startswith("Written, 5 time points"))
    for time, expected in enumerate([{1}, {2}, {3, 9}, {4}, {5}]):
        volume = read_volume(path, time_index=time)
        assert set(np.unique(volume.data[0])) - {0} == expected
        assert (volume.spacing, volume.unit) == ((2, 0.5, 0.5), "um")


def test_layer_of_all_time_points_is_saved_by_napari(controller, apply_to_all, tmp_path):
    apply_to_all()
    series_layer(controller).save(str(tmp_path / "all.tif"), plugin="napari-weak3d")
    assert set(np.unique(read_volume(tmp_path / "all.tif", time_index=4).data)) == {0, 5}


def test_one_time_point_is_exported_alone(controller, apply_to_all, tmp_path, qtbot):
    apply_to_all()
    controller.results.export("tiff", tmp_path / "one.tif")
    qtbot.waitUntil(lambda: said(controller)[-1].startswith("Written"))
    assert read_labels(tmp_path / "one.tif").shape == SHAPE[1:]


def test_layer_that_the_user_has_removed_comes_back_with_the_next_run_only(
    controller, model, apply_to_all, segment, qtbot
):
    apply_to_all()
    controller.viewer.layers.remove(series_layer(controller))
    controller.viewer.dims.set_point(0, 3)
    assert series_layer(controller) is None
    controller.models.apply(model, "times")
    segment()
    qtbot.waitUntil(lambda: series_layer(controller) is not None)


def test_project_is_opened_again_with_the_annotated_time_point_and_not_with_a_layer_for_each(
    controller, apply_to_all, make_napari_viewer, fake_jobs, qtbot
):
    apply_to_all()
    folder = controller.desk.project.folder
    controller.close()
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.results.result is not None)
    assert [layer.name for layer in again.desk.layers.image_layers()] == ["movie, time 2"]
    other = next(entry.id for entry in again.desk.project.images if entry.time_index == 4)
    again.restoring.show_image(other)
    qtbot.waitUntil(lambda: again.results.result is not None and again.results.result.entry.id == other)
    assert set(np.unique(again.results.result.layer.data)) == {0, 5}
    again.close()
