"""Clicks in the dock: kept, trained on, found more of; with a child process that the test plays."""

import json

import numpy as np
import pytest

from napari_weak3d.app import controller as controllers
from napari_weak3d.app.controller import Controller
from napari_weak3d.app.dock import Dock
from napari_weak3d.app.message_bar import Question
from napari_weak3d.io.project import read_project_sample
from napari_weak3d.messages import Propose, Suggest, Train
from napari_weak3d.types import Preview

pytestmark = [pytest.mark.window, pytest.mark.slow]
SHAPE = (6, 12, 14)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    image = np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)
    viewer.add_image(image, name="cells", scale=(2, 0.5, 0.5), units=("um",) * 3)
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs):
    made = Controller(viewer, jobs=fake_jobs)
    controllers._controllers[id(viewer)] = made
    yield made
    made.close()


@pytest.fixture
def clicking(controller, qtbot):
    """Clicking in the image has begun, and it is in the project."""
    controller.choose_tool("centroids")
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    return controller


def click(controller, *points):
    for point in points:
        controller.desk.clicking.layer.add(point)


def messages(controller):
    return [each.text for each in controller.panels.train.messages._messages]


def answer(controller, text):
    shown = controller.panels.train.messages.current
    assert isinstance(shown, Question), shown
    bar = controller.panels.train.messages
    next(button for button in bar.answer_buttons if button.text() == text).click()


def write_model(project, model_id, method="centroids"):
    folder = project.model_folder(model_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"schema": 1, "method": method, "fraction": 1.0, "summary": {}}))


def test_clicks_are_in_the_project_by_themselves_and_come_back(clicking, make_napari_viewer, fake_jobs, qtbot):
    click(clicking, (1, 2, 3), (4, 8, 9))
    project, image = clicking.desk.project, clicking.desk.work.image_id
    store = project.annotations(image, "centroids")
    qtbot.waitUntil(lambda: store.revision() > 0)
    folder = project.folder
    clicking.close()
    sample = read_project_sample(folder, image, kind="centroids")
    np.testing.assert_array_equal(sample.annotation.points_vox, [[1, 2, 3], [4, 8, 9]])
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    assert again.desk.tool is again.desk.clicking, "the tool of what was annotated last"
    np.testing.assert_array_equal(again.desk.clicking.clicks.points, [[1, 2, 3], [4, 8, 9]])
    again.close()


def test_another_tool_keeps_everything(clicking, viewer):
    click(clicking, (1, 2, 3))
    clicking.panels.train.form.widget("width").setValue(8)
    clicking.choose_tool("slices")
    desk = clicking.desk
    assert desk.work is not None
    desk.layers.go_to((0, 2), desk.work.layer)
    desk.tool.paint_layer.paint((2, 5, 5), 2)
    painted = desk.tool.paint_layer.data.copy()
    assert clicking.panels.train.settings() == {}
    clicking.choose_tool("centroids")
    np.testing.assert_array_equal(desk.clicking.clicks.points, [[1, 2, 3]])
    assert clicking.panels.train.settings() == {"width": 8}
    clicking.choose_tool("slices")
    np.testing.assert_array_equal(desk.tool.paint_layer.data, painted)
    assert set(desk.project.annotated(desk.work.image_id)) == {"slices", "centroids"}
    assert set(viewer.dims.margin_left) == {0.0}


def test_tool_stays_while_a_job_runs(clicking, fake_jobs):
    click(clicking, (1, 2, 3), (4, 8, 9))
    clicking.train()
    assert not clicking.panels.tool.chooser.isEnabled()
    clicking.choose_tool("slices")
    assert clicking.desk.tool is clicking.desk.clicking
    assert "stop it first" in messages(clicking)[-1]


def test_second_dock_of_a_window_takes_the_place_of_the_first(viewer, fake_jobs, monkeypatch):
    monkeypatch.setattr(controllers, "Jobs", lambda: fake_jobs)
    _, first = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    _, second = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: centroids")
    assert second.controller is first.controller
    assert second.controller.dock is second
    assert second.controller.desk.tool.method == "centroids"
    assert [each for each in viewer.window.dock_widgets.values() if isinstance(each, Dock)] == [second]
    second.controller.close()


def test_train_learns_centroids_from_the_clicks(clicking, fake_jobs, viewer):
    click(clicking, (1, 2, 3), (4, 8, 9))
    clicking.train()
    (request,) = fake_jobs.requests
    assert isinstance(request, Train)
    assert request.method == "centroids"
    project = clicking.desk.project
    assert project.model(request.model).name == "centroids 1"
    sample = read_project_sample(project.folder, request.images[0], kind="centroids")
    assert len(sample.annotation.points_vox) == 2
    shown = Preview((0, 3), np.ones(SHAPE[1:], np.int32))
    fake_jobs.shown.emit(shown, request.images[0])
    assert viewer.layers["preview"].data[3].all()


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ((), "Nothing is clicked yet"),
        (((1, 2, 3),), "There is only one click"),
    ],
)
def test_too_few_clicks_are_said(clicking, fake_jobs, points, says):
    click(clicking, *points)
    clicking.train()
    assert fake_jobs.requests == []
    bar = clicking.panels.train.messages
    assert bar.current.text.startswith(says)


def test_questions_before_a_training_are_asked_one_after_the_other(clicking, fake_jobs):
    click(clicking, (1, 2, 3), (4, 8, 9), (5, 8, 9))
    tool = clicking.desk.clicking
    layer = tool.layer
    layer.data = np.array([[1, 2, 3], [4, 8, 9], [4, 8, 9], [3, 3, 40.0]])
    tool.panel.region.edited.emit(((0, 6), (0, 5), (0, 14)))
    clicking.train()
    answer(clicking, "Remove")
    answer(clicking, "Keep one")
    answer(clicking, "Enlarge the box")
    assert len(fake_jobs.requests) == 1
    assert tool.state().region == ((0, 6), (0, 9), (0, 14))
    assert len(tool.clicks.points) == 2


def test_more_cells_are_looked_for_with_the_newest_model_or_none(clicking, fake_jobs):
    clicking.find_more()
    assert fake_jobs.requests == []
    assert "Click at least one cell first" in messages(clicking)[-1]
    click(clicking, (1, 2, 3))
    clicking.find_more()
    assert fake_jobs.requests[-1] == Propose(
        fake_jobs.request.job, str(clicking.desk.project.folder), clicking.desk.work.image_id, None
    )
    fake_jobs.finish(points=[[4, 8, 9], [1, 2, 3.5]], scores=[0.5, 0.9], radius=1.0, stopped=False)
    tool = clicking.desk.clicking
    np.testing.assert_array_equal(tool.clicks.proposed, [[4, 8, 9]])
    assert tool.panel.proposal.text() == "1 of 1 proposed, 50% sure"
    tool.panel.buttons["accept"].click()
    assert len(tool.clicks.points) == 2
    project = clicking.desk.project
    for method in ("centroids", "slices"):
        model = project.add_model(f"a {method}", method=method, images=(clicking.desk.work.image_id,))
        write_model(project, model.id, method)
    clicking.find_more()
    assert project.model(fake_jobs.requests[-1].model).method == "centroids"
    fake_jobs.finish(points=[], scores=[], radius=None, stopped=True)
    assert "nothing is proposed" in messages(clicking)[-1]


def test_find_more_elsewhere_says_where_it_is(controller):
    controller.find_more()
    assert "Choose Click cells in step 2 first" in messages(controller)[-1]
    controller.choose_tool("centroids")
    controller.find_more()
    assert messages(controller)[-1] == "Press Click cells in this image in step 1 first"


def test_next_goes_to_a_suggested_slice(clicking, fake_jobs, viewer):
    click(clicking, (1, 2, 3), (4, 8, 9))
    project, image = clicking.desk.project, clicking.desk.work.image_id
    clicking.suggest_next()
    assert "No model says where to look" in messages(clicking)[-1]
    model = project.add_model("m", method="centroids", images=(image,))
    write_model(project, model.id)
    clicking.suggest_next()
    assert isinstance(fake_jobs.requests[-1], Suggest)
    fake_jobs.finish(slices=[[0, 5], [0, 1]])
    assert viewer.dims.current_step[0] == 5
    clicking.suggest_next()
    assert viewer.dims.current_step[0] == 1
    clicking.complete_slice()
    assert "no complete slices" in messages(clicking)[-1]


def test_model_of_another_method_brings_its_tool(clicking, fake_jobs):
    project, image = clicking.desk.project, clicking.desk.work.image_id
    model = project.add_model("painted", method="slices", images=(image,))
    write_model(project, model.id, "slices")
    clicking.train_on(model.id)
    assert clicking.desk.tool.method == "slices"
    assert "Nothing is painted yet" in messages(clicking)[-1]


def test_second_viewer_may_look_at_clicks_only(clicking, make_napari_viewer, fake_jobs, qtbot):
    click(clicking, (1, 2, 3))
    clicking.desk.autosave.flush()
    second = Controller(make_napari_viewer(), jobs=fake_jobs)
    second.open_project(clicking.desk.project.folder)
    qtbot.waitUntil(lambda: second.desk.work is not None)
    tool = second.desk.clicking
    assert len(tool.clicks.points) == 1
    assert not tool.layer.editable
    second.close()
