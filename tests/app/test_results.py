"""Results in the viewer: corrected, kept, decided otherwise, of several images. No child process is needed."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.corrections import Corrections, lay_over, lay_over_slice
from napari_weak3d.app.shown_result import decide_otherwise
from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import AnnotationStore, Project, write_prediction
from napari_weak3d.retouch import Retouch
from napari_weak3d.types import ObjectRow, PaintClass, Prediction

pytestmark = pytest.mark.window
SHAPE = (6, 24, 28)
TABLE = (
    PaintClass(1, "background", "#000000", background=True),
    PaintClass(2, "nucleus", "#ff0000"),
    PaintClass(3, "vessel", "#00ff00"),
)
FIRST, SECOND, THIRD = "aaaa0001", "aaaa0002", "aaaa0003"
LONG = 20_000


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    for value, name in enumerate(("a", "b")):
        viewer.add_image(np.full(SHAPE, value, np.uint8), name=name)
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs, qtbot, add_model):
    """Both images are in the project, and a is worked on."""
    controller = Controller(viewer, jobs=fake_jobs)
    for name in ("a", "b"):
        begin(controller, name)
        qtbot.waitUntil(lambda: not controller.images.waiting, timeout=LONG)
        controller.desk.tool.paint_layer.paint((1, 3, 3), 2)
    begin(controller, "a")
    add_model(controller)
    yield controller
    controller.close()


def begin(controller, name):
    controller.images.choose(controller.viewer.layers[name])
    controller.images.begin()


def image_id(controller, name):
    return next(entry.id for entry in controller.desk.project.images if entry.name == name)


def draw(*, soft=False):
    """Two objects of 2 x 4 x 4 voxels; ``soft``: the second with a hem, probable to 0.3."""
    labels = np.zeros(SHAPE, np.int32)
    labels[2:4, 3:7, 3:7], labels[2:4, 15:19, 15:19] = 1, 2
    share = np.where(labels > 0, 0.9, 0.0)
    if soft:
        share[2:4, 19:21, 15:19] = 0.3
    return labels, share.astype(np.float16)[None]


def write(controller, prediction_id, image="a", *, classes=None, table=(), soft=False, scores=()):
    """``scores``: of its objects, found with at least 0.3."""
    labels, share = draw(soft=soft)
    project = controller.desk.project
    prediction = Prediction(labels, classes=classes, probabilities=share)
    if scores:
        objects = [ObjectRow(i, 1, score, (0, 0, 0), ((0, 0, 0), (1, 1, 1))) for i, score in enumerate(scores, 1)]
        prediction = replace(prediction, objects=tuple(objects), least_score=0.3)
    model = project.models[0].id
    folder = project.prediction_folder(prediction_id)
    write_prediction(folder, prediction, image_id=image_id(controller, image), model_id=model, class_table=table)
    return labels


def show(controller, qtbot, prediction_id, **how):
    labels = write(controller, prediction_id, **how)
    controller.results.show(prediction_id)
    wait_for(controller, qtbot, prediction_id)
    return labels


def is_ready(controller, prediction_id):
    result = controller.results.result
    return result is not None and result.prediction.id == prediction_id and result.decided is not None


def wait_for(controller, qtbot, prediction_id):
    qtbot.waitUntil(lambda: is_ready(controller, prediction_id), timeout=LONG)
    return controller.results.result


def open_again(make_napari_viewer, fake_jobs, folder):
    fake_jobs.request = None
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    return again


def stored(controller, prediction_id, image="a"):
    return controller.desk.project.corrections(prediction_id, image_id(controller, image)).painted_planes()


def wait_until_decided(controller, qtbot, **settings):
    controller.results.retouch(Retouch(**settings))
    qtbot.waitUntil(lambda: controller.results.result.decided.settings == Retouch(**settings), timeout=LONG)


def test_result_in_a_layer_that_the_user_has_renamed_is_decided_otherwise_in_that_layer(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    layer = controller.results.result.layer
    layer.name = "mine"
    n_layers = len(viewer.layers)
    wait_until_decided(controller, qtbot, smallest=40)
    assert len(viewer.layers) == n_layers
    assert controller.results.result.layer is layer
    assert not layer.data.any(), "its objects are smaller"


def test_unsure_objects_leave_at_once_and_are_out_after_closing_and_opening(
    controller, make_napari_viewer, fake_jobs, qtbot
):
    labels = show(controller, qtbot, FIRST, scores=(0.9, 0.4))
    controller.panels.result.certainty.slider.setValue(0.5)
    layer = controller.results.result.layer
    qtbot.waitUntil(lambda: not (layer.data == 2).any(), timeout=LONG)
    assert np.array_equal(layer.data == 1, labels == 1)
    layer.paint((2, 10, 10), 5)
    folder = controller.desk.project.folder
    controller.close()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    assert wait_for(again, qtbot, FIRST).decided.settings == Retouch(least_score=0.5)
    assert again.panels.result.certainty.slider.value() == 0.5
    again.close()


@pytest.mark.parametrize(("method", "setting"), [("centroids", "peak_threshold"), ("boxes", "score_threshold")])
def test_one_press_segments_again_with_another_certainty(controller, fake_jobs, qtbot, method, setting):
    show(controller, qtbot, FIRST, scores=(0.9, 0.4))
    model = controller.desk.project.add_model("other", method=method, images=())
    result = controller.results.result
    result.prediction = replace(result.prediction, model_id=model.id)
    row = controller.panels.result.certainty
    row.slider.setValue(0.1)
    row.again.click()
    request = fake_jobs.request
    assert (request.model, request.image) == (model.id, result.entry.id)
    assert request.settings == {"device": "auto", setting: 0.1}


def test_a_result_without_its_model_cannot_be_made_again(controller, fake_jobs, qtbot):
    show(controller, qtbot, FIRST, scores=(0.9, 0.4))
    controller.models.remove(controller.desk.project.models[0].id)
    controller.applying.segment_again(0.2)
    assert fake_jobs.requests == []
    assert "not in the project any more" in controller.panels.train.messages._messages[-1].text


# ---- the slice in view first


@pytest.fixture
def held(controller, viewer, qtbot, monkeypatch):
    """Sketches are made of small results, too; what a thread decides comes when the test lets it."""
    show(controller, qtbot, FIRST, soft=True, scores=(0.9, 0.4))
    qtbot.waitUntil(lambda: bool(controller.results.result.rows), timeout=LONG)  # measured: no thread is busy
    viewer.dims.set_point(0, 2)
    monkeypatch.setattr("napari_weak3d.app.sketch.LARGE", 0)
    let_go = threading.Event()
    monkeypatch.setattr(
        "napari_weak3d.app.results.decide_otherwise",
        lambda *given, **how: (let_go.wait(LONG / 1000), decide_otherwise(*given, **how))[1],
    )
    yield let_go
    let_go.set()


def test_the_slice_in_view_answers_before_the_rest_and_to_every_wish(controller, held, qtbot):
    layer = controller.results.result.layer
    controller.results.retouch(Retouch(0.2))
    qtbot.waitUntil(lambda: layer.data[2, 20, 16] == 2, timeout=LONG)  # grown
    assert layer.data[3, 20, 16] == 0
    controller.results.retouch(Retouch(0.2, least_score=0.5))
    assert not (layer.data[2] == 2).any()
    assert (layer.data[3] == 2).any()
    held.set()
    qtbot.waitUntil(lambda: controller.results.result.decided.settings.least_score == 0.5, timeout=LONG)
    assert not (layer.data == 2).any()
    assert stored(controller, FIRST) == ()  # a sketch is no correction
    controller.results.forget()
    assert stored(controller, FIRST) == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_corrections_lie_over_a_slice_as_over_the_whole(axis):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (3, 4, 5)).astype(np.int32)
    marks = {z: (rng.integers(0, 3, (4, 5)) * 7).astype(np.int32) for z in (0, 2)}
    whole = lay_over(labels, marks)
    for index in range(labels.shape[axis]):
        found = lay_over_slice(np.take(labels, index, axis=axis), marks, (axis, index))
        np.testing.assert_array_equal(found, np.take(whole, index, axis=axis))


def test_what_is_painted_on_a_sketch_or_before_it_stays(controller, held, qtbot):
    layer = controller.results.result.layer
    layer.paint((3, 10, 10), 5)
    controller.results.retouch(Retouch(0.2))
    qtbot.waitUntil(lambda: layer.data[2, 20, 16] == 2, timeout=LONG)
    layer.paint((2, 10, 10), 6)
    held.set()
    qtbot.waitUntil(lambda: controller.results.result.decided.settings == Retouch(0.2), timeout=LONG)
    assert (layer.data[3, 10, 10], layer.data[2, 10, 10], layer.data[3, 20, 16]) == (5, 6, 2)
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (2, 3), timeout=LONG)
    controller.results.retouch(Retouch(0.2, least_score=1.0))
    qtbot.waitUntil(lambda: not (layer.data == 1).any(), timeout=LONG)
    assert sorted(np.unique(layer.data)) == [0, 5, 6]


def test_leaving_a_result_that_is_being_decided_keeps_what_is_painted_and_nothing_else(
    controller, held, make_napari_viewer, fake_jobs, qtbot
):
    layer = controller.results.result.layer
    controller.results.retouch(Retouch(0.2))
    qtbot.waitUntil(lambda: layer.data[2, 20, 16] == 2, timeout=LONG)
    layer.paint((2, 10, 10), 6)
    expected, _ = draw()
    folder = controller.desk.project.folder
    controller.close()
    held.set()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    found = wait_for(again, qtbot, FIRST).layer.data
    assert np.array_equal(found[found != 6], expected[found != 6])
    assert found[2, 10, 10] == 6
    again.close()


# ---- corrections


def correct(controller):
    """Paint an object, and erase all of a plane."""
    layer = controller.results.result.layer
    layer.paint((2, 10, 10), 5)
    layer.data_setitem(np.nonzero(np.arange(6)[:, None, None] * np.ones(SHAPE) == 3), 0)
    return layer.data.copy()


def test_corrections_are_there_again_after_closing_and_opening(
    controller, viewer, make_napari_viewer, fake_jobs, qtbot
):
    labels = show(controller, qtbot, FIRST)
    corrected = correct(controller)
    assert not np.array_equal(corrected, labels)
    folder = controller.desk.project.folder
    controller.close()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    result = wait_for(again, qtbot, FIRST)
    assert np.array_equal(result.layer.data, corrected)
    assert np.array_equal(result.prediction.labels, labels)  # what the model said is there, too
    again.close()


def test_corrections_are_on_disk_within_seconds_without_closing(
    controller, make_napari_viewer, fake_jobs, tmp_path, qtbot
):
    show(controller, qtbot, FIRST)
    corrected = correct(controller)
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (2, 3), timeout=LONG)
    killed = tmp_path / "as it was when napari was killed"
    shutil.copytree(controller.desk.project.folder, killed, ignore=shutil.ignore_patterns(".lock", ".owner.json"))
    again = open_again(make_napari_viewer, fake_jobs, killed)
    assert np.array_equal(wait_for(again, qtbot, FIRST).layer.data, corrected)
    again.close()


def test_napari_stays_open_while_a_correction_cannot_be_saved(controller, qtbot, monkeypatch):
    show(controller, qtbot, FIRST)

    def full(self, state, planes):
        raise StorageError("the disk is full: free some space, or choose another place")

    with monkeypatch.context() as patched:
        patched.setattr(Corrections, "write", full)
        controller.results.result.layer.paint((2, 10, 10), 5)
        event = QCloseEvent()
        assert controller.eventFilter(controller._window, event)
        assert not event.isAccepted()
        assert "the disk is full" in controller.panels.project.bar.current.text
    assert controller.projects.write() is None
    assert stored(controller, FIRST) == (2,)


def test_result_without_a_correction_is_not_written_again(controller, qtbot):
    show(controller, qtbot, FIRST, soft=True)
    wait_until_decided(controller, qtbot, threshold=0.2)
    controller.results.forget()
    assert not (controller.desk.project.prediction_folder(FIRST) / "corrected").exists()


def test_correction_that_is_undone_is_none(controller, qtbot):
    show(controller, qtbot, FIRST)
    layer = controller.results.result.layer
    layer.paint((2, 10, 10), 5)
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (2,), timeout=LONG)
    layer.undo()
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (), timeout=LONG)


def test_corrections_stay_in_the_layer_while_sliders_move(controller, viewer, qtbot):
    show(controller, qtbot, FIRST, soft=True)
    layer, n_layers = controller.results.result.layer, len(viewer.layers)
    layer.fill((2, 16, 16), 0)  # the false object leaves, in this slice
    layer.paint((2, 10, 10), 5)
    wait_until_decided(controller, qtbot, threshold=0.2)
    assert (layer.data[2, 16, 16], layer.data[2, 10, 10]) == (0, 5)
    assert (layer.data[3, 20, 16], layer.data[3, 16, 16]) == (2, 2)  # grown where nothing was corrected
    wait_until_decided(controller, qtbot, threshold=0.95)  # no object is left where one was erased
    wait_until_decided(controller, qtbot, threshold=0.5)
    assert (layer.data[2, 16, 16], layer.data[2, 10, 10]) == (0, 5)
    assert controller.results.result.layer is layer
    assert len(viewer.layers) == n_layers
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (2,), timeout=LONG)


def test_threshold_of_a_corrected_result_comes_back_with_it(controller, make_napari_viewer, fake_jobs, qtbot):
    show(controller, qtbot, FIRST, soft=True)
    wait_until_decided(controller, qtbot, threshold=0.2)
    controller.results.result.layer.paint((2, 10, 10), 5)
    corrected, folder = controller.results.result.layer.data.copy(), controller.desk.project.folder
    controller.close()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    assert np.array_equal(wait_for(again, qtbot, FIRST).layer.data, corrected)
    qtbot.waitUntil(lambda: again.panels.result.settings == Retouch(threshold=0.2), timeout=LONG)
    again.close()


def test_next_result_leaves_the_corrected_one_and_both_come_back(
    controller, viewer, make_napari_viewer, fake_jobs, qtbot
):
    show(controller, qtbot, FIRST)
    mine, corrected = controller.results.result.layer, correct(controller)
    labels = show(controller, qtbot, SECOND)
    assert mine in viewer.layers
    assert np.array_equal(mine.data, corrected)
    assert not mine.visible  # it would shine through
    assert np.array_equal(controller.results.result.layer.data, labels)
    folder = controller.desk.project.folder
    controller.close()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    result = wait_for(again, qtbot, SECOND)
    assert np.array_equal(result.layer.data, labels)
    (older,) = [layer for layer in again.viewer.layers if "result" in layer.name and layer is not result.layer]
    assert np.array_equal(older.data, corrected)
    assert not older.visible
    again.viewer.layers.selection.active = older  # to correct on
    assert wait_for(again, qtbot, FIRST).layer is older
    again.close()


def test_corrected_result_that_could_not_be_saved_stays_in_sight(controller, qtbot, monkeypatch):
    show(controller, qtbot, FIRST)
    mine = controller.results.result.layer
    mine.paint((2, 10, 10), 5)

    def full(self, state, planes):
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(AnnotationStore, "write", full)
        show(controller, qtbot, SECOND)
    assert mine.visible
    assert controller.results.result.layer is not mine


def test_corrections_move_with_the_project(controller, tmp_path, qtbot):
    show(controller, qtbot, FIRST)
    layer = controller.results.result.layer
    layer.paint((2, 10, 10), 5)
    controller.projects.move(tmp_path / "moved")
    qtbot.waitUntil(lambda: controller.desk.project.folder == tmp_path / "moved", timeout=LONG)
    layer.paint((4, 10, 10), 6)
    qtbot.waitUntil(lambda: stored(controller, FIRST) == (2, 4), timeout=LONG)


def test_table_counts_what_the_user_painted(controller, qtbot):
    show(controller, qtbot, FIRST)
    qtbot.waitUntil(lambda: controller.panels.result.count.text() == "2 objects", timeout=LONG)
    controller.results.result.layer.paint((2, 10, 10), 5)
    qtbot.waitUntil(lambda: controller.panels.result.count.text() == "3 objects", timeout=LONG)


# ---- the next result, other images


def test_settings_of_the_sliders_are_wanted_of_the_next_result_too(controller, qtbot):
    show(controller, qtbot, FIRST)
    controller.panels.result.smallest.number.setValue(40)
    qtbot.waitUntil(lambda: not controller.results.result.layer.data.any(), timeout=LONG)
    show(controller, qtbot, SECOND)
    assert controller.panels.result.settings.smallest == 40
    qtbot.waitUntil(lambda: not controller.results.result.layer.data.any(), timeout=LONG)


def test_result_that_was_renamed_is_left_alone(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    kept = controller.results.result.layer
    kept.name = "of model 1, keep"
    show(controller, qtbot, SECOND)
    assert kept in viewer.layers
    assert controller.results.result.layer is not kept


def test_panel_is_about_the_image_that_is_worked_on(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    write(controller, SECOND, "b")
    controller.results.show(SECOND)
    qtbot.waitUntil(lambda: "b result" in [layer.name for layer in viewer.layers], timeout=LONG)
    assert controller.results.result.entry.name == "a"
    begin(controller, "b")
    wait_for(controller, qtbot, SECOND)
    begin(controller, "a")
    wait_for(controller, qtbot, FIRST)


def test_panel_is_about_the_result_whose_layer_is_made_active(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    write(controller, SECOND, "b")
    controller.results.show(SECOND)
    qtbot.waitUntil(lambda: "b result" in [layer.name for layer in viewer.layers], timeout=LONG)
    viewer.layers.selection.active = viewer.layers["b result"]
    assert wait_for(controller, qtbot, SECOND).entry.name == "b"


def test_result_of_another_image_comes_when_that_is_begun_after_opening(
    controller, make_napari_viewer, fake_jobs, qtbot
):
    show(controller, qtbot, FIRST)
    write(controller, SECOND, "b")
    folder = controller.desk.project.folder
    controller.close()
    again = open_again(make_napari_viewer, fake_jobs, folder)
    qtbot.waitUntil(lambda: again.results.result is not None, timeout=LONG)
    for name, prediction in (("a", FIRST), ("b", SECOND)):
        begin(again, name)
        wait_for(again, qtbot, prediction)
    again.close()


def test_removed_result_leaves_the_panel_empty_and_does_not_come_back_by_itself(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    viewer.layers.remove("a result")
    assert controller.results.result is None
    assert not controller.panels.result.empty.isHidden()
    begin(controller, "b")
    begin(controller, "a")
    qtbot.wait(200)
    assert "a result" not in viewer.layers


# ---- objects


def test_row_of_the_table_brings_its_object_into_view(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    qtbot.waitUntil(lambda: controller.panels.result.count.text() == "2 objects", timeout=LONG)
    viewer.window._qt_window.show()
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.waitUntil(lambda: canvas.isVisible() and canvas.width() > 200)
    viewer.reset_view()
    viewer.scene.camera.zoom *= 12
    viewer.scene.camera.center = (0, 22, 26)
    QApplication.processEvents()
    controller.panels.result.object_chosen.emit(1)
    assert viewer.dims.point[0] in (2, 3)
    assert tuple(viewer.scene.camera.center[1:]) == (4.5, 4.5)
    assert controller.results.result.layer.selected_label == 1


def click(viewer, y, x, *, to=None):
    """Press at a voxel of the shown slice and release, there or elsewhere."""
    from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks

    class Event:
        type = "mouse_press"
        button, modifiers, is_dragging = 1, [], False
        position, pos = (viewer.dims.point[0], y, x), np.array([x, y], float) * 10
        view_direction, dims_displayed, handled = None, [1, 2], False

    event = Event()
    mouse_press_callbacks(viewer, event)
    if to is not None:
        event.type, event.pos = "mouse_move", np.array(to[::-1], float) * 10
        mouse_move_callbacks(viewer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(viewer, event)


def test_click_into_the_image_selects_the_row_of_the_object(controller, viewer, qtbot):
    show(controller, qtbot, FIRST)
    qtbot.waitUntil(lambda: controller.panels.result.count.text() == "2 objects", timeout=LONG)
    controller.desk.layers.go_to((0, 2), viewer.layers["a"])
    viewer.layers.selection.active = viewer.layers["a"]
    click(viewer, 16, 16)
    assert controller.panels.result.table.selected_object() == 2
    click(viewer, 4, 4, to=(12, 12))  # a drag moves the view
    assert controller.panels.result.table.selected_object() == 2
    click(viewer, 12, 12)
    assert controller.panels.result.table.selected_object() is None


# ---- correct and train on


def test_slice_with_two_classes_is_taken_over_as_classes(controller, qtbot):
    tool = controller.desk.tool
    tool.panel.classes.added.emit()
    assert [row.value for row in tool.state().classes] == [1, 2, 3]
    classes = np.ones(SHAPE, np.int32)
    classes[2:4, 3:7, 3:7], classes[2:4, 15:19, 15:19] = 2, 3
    show(controller, qtbot, FIRST, classes=classes, table=TABLE)
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    controller.results.take_over()
    assert tool.paint_layer.data[2, 4, 4] == 2
    assert tool.paint_layer.data[2, 16, 16] == 3


def test_result_of_a_project_that_can_only_be_looked_at_is_not_taken_over(controller, qtbot, monkeypatch):
    show(controller, qtbot, FIRST)
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    before = controller.desk.tool.paint_layer.data.copy()
    monkeypatch.setattr(Project, "read_only", True)
    monkeypatch.setattr(Project, "read_only_reason", "another napari writes to it")
    controller.results.take_over()
    np.testing.assert_array_equal(controller.desk.tool.paint_layer.data, before)
    assert controller.panels.train.messages._messages[-1].text == "Another napari writes to it"


# ---- all images


def test_image_that_cannot_be_segmented_does_not_hold_up_the_others(controller, fake_jobs, qtbot):
    model = controller.desk.project.models[0].id
    controller.models.apply(model, "project")
    first = fake_jobs.request.image
    fake_jobs.fail("VolumeError", "the image is not at its place")
    assert fake_jobs.request.image != first
    write(controller, FIRST, "a")
    fake_jobs.finish(prediction=FIRST)
    shown = controller.panels.train.messages._messages
    assert any(each.text.startswith("1 of 2 images is segmented; 1 could not be") for each in shown)


def test_killed_segmentation_ends_all_of_them(controller, fake_jobs):
    controller.models.apply(controller.desk.project.models[0].id, "project")
    controller.kill()
    assert fake_jobs.request is None
    assert len([each for each in fake_jobs.requests if type(each).__name__ == "Segment"]) == 1
