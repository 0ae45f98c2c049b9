"""The way from a layer to a result, with a child process that the test plays."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_weak3d.app import controller as controllers
from napari_weak3d.app.controller import Controller
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import Project, read_project_image, write_prediction
from napari_weak3d.messages import Segment, Suggest, Train
from napari_weak3d.types import ObjectRow, Prediction, Preview

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)


@pytest.fixture
def viewer(make_napari_viewer, image):
    viewer = make_napari_viewer()
    viewer.add_image(image, name="cells", scale=(2, 0.5, 0.5), units=("um", "um", "um"))
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs):
    made = Controller(viewer, jobs=fake_jobs)
    controllers._controllers[id(viewer)] = made
    yield made
    made.close()


@pytest.fixture
def painting(controller, qtbot):
    """Painting on the image has begun, and the image is in the project."""
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    return controller


def paint(controller, z):
    """A stroke on a z slice, as napari reports it, the slice in view."""
    layer = controller.desk.tool.paint_layer
    controller.desk.layers.go_to((0, z), controller.desk.work.layer)
    layer.paint((z, 5, 5), 2)


def messages(controller):
    return [each.text for each in controller.panels.train.messages._messages]


def question(controller, bar=None):
    shown = (bar or controller.panels.train.messages).current
    assert isinstance(shown, Question), shown
    return shown


def answer(controller, text, bar=None):
    bar = bar or controller.panels.train.messages
    question(controller, bar)
    next(button for button in bar.answer_buttons if button.text() == text).click()


def write_model(project, model_id):
    folder = project.model_folder(model_id)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"schema": 1, "method": "slices", "name": "model", "fraction": 1.0, "summary": {}}
    (folder / "model.json").write_text(json.dumps(described))


def write_result(controller, request, prediction_id="aabbccdd"):
    labels = np.zeros(SHAPE, np.int32)
    labels[2:4, 3:6, 3:6] = 1
    box = ((2, 3, 3), (4, 6, 6))
    prediction = Prediction(labels, objects=(ObjectRow(1, 1, 1.0, (2.5, 4, 4), box),))
    project = Path(request.project)
    write_prediction(
        project / "predictions" / prediction_id, prediction, image_id=request.image, model_id=request.model
    )
    return labels, prediction_id


# ---- into the project


def test_project_begins_with_painting_and_refers_to_the_image(painting):
    project = painting.desk.project
    (entry,) = project.images
    assert (entry.name, entry.shape, entry.spacing, entry.unit) == ("cells", SHAPE, (2.0, 0.5, 0.5), "um")
    assert entry.source == "stored"
    assert project.check_source(entry.id) == "same"
    assert project.folder.parent == Path.home() / "napari-weak3d"


def test_image_with_a_file_is_not_copied(controller, viewer, image, tmp_path, qtbot):
    tifffile.imwrite(tmp_path / "cells.tif", image, imagej=True, metadata={"axes": "ZYX"})
    (layer,) = viewer.open(tmp_path / "cells.tif", plugin="napari")
    controller.images.choose(layer)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    (entry,) = controller.desk.project.images
    assert (entry.source, Path(entry.path)) == ("file", tmp_path / "cells.tif")


def test_hyperstack_of_two_channels_is_set_right_by_its_file(controller, viewer, image, tmp_path, qtbot):
    voxels = np.stack([image, image + 1], axis=1)
    metadata = {"axes": "ZCYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "two.tif", voxels, imagej=True, resolution=(4, 4), metadata=metadata)
    (layer,) = viewer.open(tmp_path / "two.tif", plugin="napari")
    panel = controller.panels.image
    controller.images.choose(layer)
    qtbot.waitUntil(lambda: not panel.remedy_button.isHidden())
    assert "2 channels are axis 2 of 4, a voxel is 2 x 0.25 x 0.25" in panel.note.text()
    panel.remedy_button.click()
    assert panel.remedy_button.isHidden()
    assert panel.note.text() == ""
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    (entry,) = controller.desk.project.images
    assert (entry.source, entry.shape, entry.spacing) == ("file", SHAPE, (2.0, 0.25, 0.25))
    assert read_project_image(controller.desk.project.folder, entry.id).n_channels == 2


def test_edited_spacing_goes_into_the_project_and_leaves_the_layer(painting, viewer):
    painting.panels.image.spacing_chosen.emit((3.0, 1.0, 1.0), "um")
    assert painting.desk.project.images[0].spacing == (3.0, 1.0, 1.0)
    assert tuple(viewer.layers["cells"].scale) == (2.0, 0.5, 0.5)


def test_time_point_in_view_is_an_image_of_its_own(controller, viewer, qtbot):
    movie = np.random.default_rng(0).integers(0, 9, (9, *SHAPE)).astype(np.uint8)
    layer = viewer.add_image(movie, name="movie", axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_point(0, 4)
    controller.images.choose(layer)
    assert controller.panels.image.begin_button.text() == "Paint on time point 4 of 9"
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    viewer.dims.set_point(0, 5)
    controller.images.begin()
    names = [entry.name for entry in controller.desk.project.images]
    assert names == ["movie, time 4", "movie, time 5"]


def test_rgb_image_is_refused_by_name_and_nothing_is_made(controller, viewer):
    controller.images.choose(viewer.add_image(np.zeros((20, 20, 3), np.uint8), rgb=True, name="photo"))
    image = controller.panels.image
    assert "photo is an RGB image" in image.note.text()
    assert not image.spacing.isVisibleTo(image)
    controller.train()
    assert "photo is an RGB image" in messages(controller)[-1]
    controller.images.begin()
    assert controller.desk.project is None


def test_two_dimensional_image_becomes_a_stack_of_one_slice(controller, viewer, qtbot):
    layer = viewer.add_image(np.arange(120, dtype=np.uint8).reshape(10, 12), name="flat", scale=(0.5, 0.5))
    controller.images.choose(layer)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    assert controller.desk.project.images[0].shape == (1, 10, 12)
    assert controller.desk.tool.paint_layer.data.shape == (1, 10, 12)
    assert not layer.visible


def test_multiscale_image_is_worked_on_at_its_finest_level(controller, viewer, image, qtbot):
    controller.images.choose(viewer.add_image([image, image[:, ::2, ::2]], multiscale=True, name="levels"))
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    assert controller.desk.project.images[0].shape == SHAPE
    assert controller.desk.tool.paint_layer.data.shape == SHAPE


def test_read_only_home_is_said_and_nothing_breaks(controller, monkeypatch):
    def refuse(*_, **__):
        raise StorageError("cannot write /nowhere: the disk is full: free some space, or choose another place")

    monkeypatch.setattr(Project, "create", refuse)
    controller.images.begin()
    assert "the disk is full" in question(controller, controller.panels.project.bar).text
    assert controller.desk.work is None


def test_project_without_a_stroke_is_gone_after_closing(painting):
    folder = painting.desk.project.folder
    painting.close()
    assert not folder.exists()


def test_paint_is_there_again_after_closing_and_opening(painting, make_napari_viewer, fake_jobs, qtbot):
    paint(painting, 2)
    painting.desk.tool.complete_shown()
    painted = painting.desk.tool.paint_layer.data.copy()
    folder = painting.desk.project.folder
    painting.close()
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    assert np.array_equal(again.desk.tool.slices().labels, painted)
    assert again.desk.tool.slices().annotated == ((0, 2),)
    assert tuple(again.desk.work.layer.scale) == (2.0, 0.5, 0.5)
    again.close()


def test_image_whose_copy_was_cut_off_is_taken_from_the_viewer_again(
    painting, make_napari_viewer, fake_jobs, qtbot, image
):
    paint(painting, 2)
    painted = painting.desk.tool.paint_layer.data.copy()
    folder, (entry,) = painting.desk.project.folder, painting.desk.project.images
    painting.close()
    shutil.rmtree(folder / entry.path)  # so it is as long as it is being written
    other = make_napari_viewer()
    other.add_image(image[:, :-1], name="another")
    again = Controller(other, jobs=fake_jobs)
    again.open_project(folder)
    bar = again.panels.project.bar
    qtbot.waitUntil(lambda: isinstance(bar.current, Question) and "was not yet copied" in bar.current.text)
    answer(again, "It is chosen", bar)
    assert "another is (6, 11, 14) uint8, and cells was (6, 12, 14) uint8" in question(again, bar).text
    again.images.choose(other.add_image(image, name="the image"))
    answer(again, "It is chosen", bar)
    qtbot.waitUntil(lambda: again.desk.work is not None and not again.images.waiting)
    assert again.desk.work.layer.name == "the image"
    assert np.array_equal(again.desk.tool.paint_layer.data, painted)
    assert np.array_equal(read_project_image(folder, entry.id).data[0], image)
    again.close()


def test_last_project_is_offered(painting, make_napari_viewer, fake_jobs, qtbot):
    paint(painting, 2)
    painting.close()
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    bar = again.panels.project.bar
    qtbot.waitUntil(lambda: bar.current is not None)
    assert question(again, bar).text == "Continue cells?"
    answer(again, "Continue", bar)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    again.close()


def test_second_viewer_may_only_look_and_says_why(painting, make_napari_viewer, fake_jobs, qtbot):
    paint(painting, 2)
    painting.desk.autosave.flush()
    second = Controller(make_napari_viewer(), jobs=fake_jobs)
    second.open_project(painting.desk.project.folder)
    qtbot.waitUntil(lambda: second.desk.work is not None)
    assert "another window of this napari" in second.panels.project.bar.current.text
    assert not second.desk.tool.panel.isEnabled()
    second.train()
    assert fake_jobs.requests == []
    second.close()


def test_moved_project_goes_on_at_its_new_place(painting, tmp_path, qtbot):
    paint(painting, 2)
    painting.projects.move(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: painting.desk.project.folder == tmp_path / "elsewhere")
    paint(painting, 3)
    painting.desk.autosave.flush()
    store = painting.desk.project.annotations(painting.desk.work.image_id)
    assert np.array_equal(store.read().labels, painting.desk.tool.paint_layer.data)


# ---- training


def test_training_without_an_image_says_what_to_do(controller, viewer, fake_jobs):
    viewer.layers.clear()
    controller.train()
    assert fake_jobs.requests == []
    assert messages(controller)[-1].startswith("Choose an image")


def test_training_on_an_image_that_is_chosen_and_not_begun_says_what_to_press_until_it_is(controller, fake_jobs):
    controller.train()
    assert messages(controller)[-1].startswith("Press Paint on this image")
    controller.images.begin()
    assert not any(text.startswith("Press Paint") for text in messages(controller))


def test_what_is_missing_is_forgotten_when_it_is_there(painting):
    painting.train()
    assert messages(painting)[-1].startswith("Nothing is painted yet")
    paint(painting, 1)
    assert not any(text.startswith("Nothing is painted") for text in messages(painting))


def test_training_asks_when_another_image_is_chosen_than_the_one_that_is_painted(painting, fake_jobs):
    paint(painting, 1)
    painting.complete_slice()
    other = painting.viewer.add_image(np.zeros((6, 20, 20), np.uint8), name="tubes")
    painting.images.choose(other)
    painting.train()
    assert "tubes is chosen" in question(painting).text
    assert fake_jobs.requests == []
    answer(painting, "Train on cells")
    assert isinstance(fake_jobs.requests[0], Train)


def test_painted_slices_that_are_not_complete_are_asked_about(painting, fake_jobs):
    paint(painting, 1)
    paint(painting, 4)
    painting.train()
    assert question(painting).text.startswith("z 1 and 4 are painted but not complete")
    assert fake_jobs.requests == []
    answer(painting, "They are complete")
    assert isinstance(fake_jobs.requests[0], Train)
    assert painting.desk.tool.slices().annotated == ((0, 1), (0, 4))


def test_only_the_painted_voxels_may_count(painting, fake_jobs):
    paint(painting, 1)
    painting.desk.tool.paint_layer.paint((1, 10, 10), 1)
    painting.train()
    answer(painting, "Only the painted voxels count")
    assert len(fake_jobs.requests) == 1
    assert painting.desk.tool.slices().annotated == ()


@pytest.fixture
def training(painting, fake_jobs):
    paint(painting, 2)
    painting.desk.tool.complete_shown()
    painting.train()
    assert isinstance(fake_jobs.request, Train)
    return painting


def test_what_was_painted_is_on_disk_before_training_begins(training, fake_jobs):
    project, image_id = fake_jobs.request.project, fake_jobs.request.images[0]
    index = Path(project) / "annotations" / image_id / "index.json"
    assert json.loads(index.read_text())["state"]["annotated"] == [[0, 2]]


def test_preview_of_the_slice_in_view_is_asked_for_at_once_and_after_moving(training, fake_jobs, qtbot):
    image_id = training.desk.work.image_id
    assert fake_jobs.asked[0] == ((0, 2), image_id)
    training.desk.layers.go_to((0, 5), training.desk.work.layer)
    qtbot.waitUntil(lambda: ((0, 5), image_id) in fake_jobs.asked)


def test_preview_is_shown_in_one_layer_and_goes_with_the_result(training, fake_jobs, viewer, qtbot):
    for value in (1, 2):
        fake_jobs.shown.emit(Preview((0, 2), np.full(SHAPE[1:], value, np.int32)), training.desk.work.image_id)
    previews = [layer for layer in viewer.layers if layer.name.startswith("preview")]
    assert len(previews) == 1
    assert (previews[0].data[2] == 2).all()


def test_stop_keeps_the_model_and_shows_labels_on_the_image(training, fake_jobs, viewer, qtbot):
    training.stop()
    assert fake_jobs.stops == 1
    model = fake_jobs.request.model
    write_model(training.desk.project, model)
    fake_jobs.finish(model=model, metrics={}, stopped=True)
    request = fake_jobs.request
    assert isinstance(request, Segment)
    assert request.model == model
    labels, prediction = write_result(training, request)
    fake_jobs.finish(prediction=prediction)
    qtbot.waitUntil(lambda: training.results.result is not None)
    layer = viewer.layers["cells result"]
    assert np.array_equal(layer.data, labels)
    assert tuple(layer.scale) == (2.0, 0.5, 0.5)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    qtbot.waitUntil(lambda: training.panels.result.count.text() == "1 object")


def test_next_slice_is_asked_for_when_the_result_is_there(training, fake_jobs, qtbot):
    model = fake_jobs.request.model
    write_model(training.desk.project, model)
    fake_jobs.finish(model=model, metrics={}, stopped=False)
    _, prediction = write_result(training, fake_jobs.request)
    fake_jobs.finish(prediction=prediction)
    qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Suggest))
    fake_jobs.finish(slices=[[0, 5]])
    training.suggest_next()
    assert training.desk.layers.shown_slice() == (0, 5)


def test_crash_is_said_and_the_next_training_works(training, fake_jobs):
    model = fake_jobs.request.model
    fake_jobs.fail("crashed", "the training was ended by the system", log_tail="Traceback")
    assert messages(training)[-1] == "The training was ended by the system"
    assert training.panels.train.buttons.train.isVisibleTo(training.panels.train)
    assert model not in [each.id for each in training.desk.project.models]
    training.train()
    assert isinstance(fake_jobs.request, Train)


def test_model_that_was_saved_before_a_crash_is_offered(training, fake_jobs):
    model = fake_jobs.request.model
    write_model(training.desk.project, model)
    fake_jobs.fail("crashed", "the training was ended by the system")
    answer(training, "Show what it has learned")
    assert isinstance(fake_jobs.request, Segment)
    assert fake_jobs.request.model == model


def test_error_of_a_setting_is_shown_at_its_field(training, fake_jobs):
    fake_jobs.fail("ConfigError", "setting width = 5: must be a multiple of 4", where="width")
    assert "width" in training.panels.train.form.errors or "width" in messages(training)[-1]


def test_message_that_begins_with_the_name_of_an_image_keeps_its_small_letter(training, fake_jobs):
    fake_jobs.fail("VolumeError", "cells holds nan at z 1, y 2, x 3", where="cells")
    assert "cells holds nan at z 1, y 2, x 3" in messages(training)


def test_nothing_painted_is_said_before_any_work(painting, fake_jobs):
    painting.train()
    assert fake_jobs.requests == []
    assert messages(painting)[-1].startswith("Nothing is painted yet")


def test_search_for_the_next_slice_gives_way_to_a_training(training, fake_jobs, qtbot):
    model = fake_jobs.request.model
    write_model(training.desk.project, model)
    fake_jobs.finish(model=model, metrics={}, stopped=False)
    _, prediction = write_result(training, fake_jobs.request)
    fake_jobs.finish(prediction=prediction)
    qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Suggest))
    assert training.panels.train.buttons.train.isVisibleTo(training.panels.train)
    training.train()
    assert fake_jobs.stops == 1
    fake_jobs.fail("unexpected", "the search was stopped")
    assert isinstance(fake_jobs.request, Train)
    assert "The search was stopped" not in messages(training)


def test_second_train_while_one_runs_is_refused_in_words(training, fake_jobs):
    training.train()
    assert len(fake_jobs.requests) == 1
    assert "running" in messages(training)[-1]


def test_image_removed_in_the_middle_of_a_training_loses_nothing(training, fake_jobs, viewer, qtbot):
    paint(training, 4)
    painted = training.desk.tool.paint_layer.data.copy()
    image_id, layer = training.desk.work.image_id, training.desk.work.layer
    viewer.layers.remove(layer)
    assert training.desk.work is None
    assert np.array_equal(training.desk.project.annotations(image_id).read().labels, painted)
    answer(training, "Show it again")
    assert training.desk.work.image_id == image_id
    assert np.array_equal(training.desk.tool.paint_layer.data, painted)


def test_training_of_an_image_that_is_out_of_the_viewer_by_its_end_asks_whether_to_show_the_result(
    training, fake_jobs, viewer, qtbot
):
    model, image_id = fake_jobs.request.model, training.desk.work.image_id
    viewer.layers.remove(training.desk.work.layer)
    answer(training, "Fine")
    write_model(training.desk.project, model)
    fake_jobs.finish(model=model, metrics={}, stopped=False)
    assert fake_jobs.request is None
    assert question(training).text == "slices 1 is trained; cells is not in the viewer."
    answer(training, "Show it again and segment")
    assert (fake_jobs.request.model, fake_jobs.request.image) == (model, image_id)
    qtbot.waitUntil(lambda: training.desk.work is not None)


def test_result_is_of_the_image_that_was_trained_on_be_it_another_one_that_is_annotated_by_now(
    training, fake_jobs, viewer, image, qtbot
):
    model, image_id = fake_jobs.request.model, training.desk.work.image_id
    training.images.choose(viewer.add_image(image + 1, name="more"))
    training.images.begin()
    qtbot.waitUntil(lambda: not training.images.waiting)
    write_model(training.desk.project, model)
    fake_jobs.finish(model=model, metrics={}, stopped=False)
    assert fake_jobs.request.image == image_id


def test_renamed_layer_changes_nothing(training, fake_jobs, viewer, qtbot):
    training.desk.work.layer.name = "renamed"
    training.desk.tool.paint_layer.name = "my paint"
    fake_jobs.shown.emit(Preview((0, 2), np.ones(SHAPE[1:], np.int32)), training.desk.work.image_id)
    assert training.panels.image.layer == "renamed"


def test_all_annotated_images_train_one_model(painting, fake_jobs, viewer, image, qtbot):
    paint(painting, 2)
    first = painting.desk.work.image_id
    painting.images.choose(viewer.add_image(image + 1, name="more"))
    painting.images.begin()
    qtbot.waitUntil(lambda: not painting.images.waiting)
    paint(painting, 3)
    painting.desk.tool.complete_shown()
    painting.train()
    assert fake_jobs.request.images == (painting.desk.work.image_id, first)


def test_painting_goes_on_where_it_was_after_another_image(painting, viewer, image, qtbot):
    paint(painting, 2)
    layer, painted = painting.desk.work.layer, painting.desk.tool.paint_layer.data.copy()
    painting.images.choose(viewer.add_image(image + 1, name="more"))
    painting.images.begin()
    painting.images.choose(layer)
    painting.images.begin()
    assert np.array_equal(painting.desk.tool.paint_layer.data, painted)
    assert len([each for each in viewer.layers if "cells paint" in each.name]) == 1


@pytest.fixture
def unfinished(training, fake_jobs):
    """The folder of a project, closed again, with a training that was not finished, and its request."""
    request, folder = fake_jobs.request, training.desk.project.folder
    write_model(training.desk.project, request.model)
    place = training.desk.project.model_folder(request.model)
    described = json.loads((place / "model.json").read_text())
    (place / "model.json").write_text(json.dumps({**described, "fraction": 0.4}))
    (place / "resume.safetensors").write_bytes(b"")
    training.close()
    fake_jobs.request, fake_jobs.state = None, type(fake_jobs.state).IDLE
    return folder, request


def test_unfinished_training_is_offered_when_its_project_is_opened(unfinished, fake_jobs, make_napari_viewer, qtbot):
    folder, request = unfinished
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    answer(again, "Go on")
    assert (fake_jobs.request.model, fake_jobs.request.start) == (request.model, request.model)
    again.close()


def test_training_that_was_stopped_and_gave_a_result_is_not_offered_again(
    unfinished, fake_jobs, make_napari_viewer, qtbot
):
    folder, request = unfinished
    segment = Segment(
        job="a", project=str(folder), image=request.images[0], model=request.model, settings={"device": "auto"}
    )
    write_result(None, segment)
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.results.result is not None)
    assert not isinstance(again.panels.train.messages.current, Question)
    again.close()


# ---- closing


def test_closing_the_viewer_writes_the_paint_and_lets_others_write(painting, viewer, fake_jobs):
    paint(painting, 2)
    folder, image_id = painting.desk.project.folder, painting.desk.work.image_id
    viewer.close()
    assert fake_jobs.closed
    with Project.open(folder) as project:
        assert not project.read_only
        assert project.annotations(image_id).read().labels.any()


def test_each_viewer_has_a_controller_of_its_own(make_napari_viewer, monkeypatch, fake_jobs):
    monkeypatch.setattr(controllers, "Jobs", lambda: fake_jobs)
    first, second = make_napari_viewer(), make_napari_viewer()
    one, two = controllers.controller_of(first), controllers.controller_of(second)
    assert one is not two
    assert controllers.controller_of(first) is one
    first.close()
    assert not controllers.has_controller(first)
    assert controllers.has_controller(second)
    QApplication.processEvents()
    two.close()


def test_image_that_is_open_already_is_not_opened_twice(painting, make_napari_viewer, image, qtbot):
    paint(painting, 2)
    folder = painting.desk.project.folder
    painting.close()
    other = make_napari_viewer()
    layer = other.add_image(image, name="the same")
    again = Controller(other, jobs=painting.desk.jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    assert again.desk.work.layer is layer
    again.close()


def test_changed_file_is_asked_about_before_it_is_used(  # noqa: PLR0917
    controller, viewer, image, tmp_path, make_napari_viewer, qtbot
):
    tifffile.imwrite(tmp_path / "cells.tif", image, imagej=True, metadata={"axes": "ZYX"})
    (layer,) = viewer.open(tmp_path / "cells.tif", plugin="napari")
    controller.images.choose(layer)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    paint(controller, 1)
    folder = controller.desk.project.folder
    controller.close()
    tifffile.imwrite(tmp_path / "cells.tif", image + 1, imagej=True, metadata={"axes": "ZYX"})
    again = Controller(make_napari_viewer(), jobs=controller.desk.jobs)
    again.open_project(folder)
    bar = again.panels.project.bar
    qtbot.waitUntil(lambda: isinstance(bar.current, Question) and "has changed" in bar.current.text)
    assert again.desk.work is None
    answer(again, "Use it as it is now", bar)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    again.close()


def test_channels_are_chosen_in_the_project(controller, viewer, qtbot):
    layer = viewer.add_image(np.random.default_rng(0).integers(0, 9, (3, *SHAPE)).astype(np.uint8), name="three")
    controller.images.choose(layer)
    assert len(controller.panels.image.channel_boxes) == 3
    controller.panels.image.channels_chosen.emit((0, 2))
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    entry = controller.desk.project.images[0]
    assert entry == replace(entry, channels=(0, 2))


def test_image_that_shows_no_slice_of_its_own_is_warned_about_in_step_1(controller, viewer, image):
    controller.images.choose(viewer.add_image(image, name="turned", rotate=(10, 20, 30)))
    assert controller.panels.image.note.text().startswith("turned is rotated or sheared")


def test_image_without_voxels_is_refused_by_name_and_nothing_is_made(controller, viewer):
    controller.images.choose(viewer.add_image(np.zeros((0, 12, 14), np.uint8), contrast_limits=(0, 1), name="nothing"))
    assert "nothing holds no voxels" in controller.panels.image.note.text()
    controller.images.begin()
    assert controller.desk.project is None
