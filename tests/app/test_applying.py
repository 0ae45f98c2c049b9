"""Applying a model: to which image, while that is still on its way, and stopped. The test plays the child process."""

import json

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.jobs import JobState
from napari_weak3d.messages import Segment, Suggest

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    for name in ("first", "second"):
        viewer.add_image(np.full(SHAPE, len(name), np.uint8), name=name)
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs, qtbot):
    """The first image is painted on, and the project has a model."""
    controller = Controller(viewer, jobs=fake_jobs)
    controller.images.choose(viewer.layers["first"])
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    project = controller.desk.project
    model = project.add_model("cells", method="slices", images=(controller.desk.work.image_id,))
    folder = project.model_folder(model.id)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"schema": 1, "method": "slices", "name": "cells", "fraction": 1.0, "summary": {}}
    (folder / "model.json").write_text(json.dumps(described))
    controller.models.refresh()
    yield controller
    controller.close()


@pytest.fixture
def model(controller):
    return controller.desk.project.models[0].id


def said(controller):
    return [each.text for each in controller.panels.train.messages._messages]


def test_model_is_applied_to_the_image_that_is_chosen_though_another_is_painted_on(
    controller, model, viewer, fake_jobs, qtbot
):
    controller.images.choose(viewer.layers["second"])
    controller.models.apply(model, "image")
    qtbot.waitUntil(lambda: fake_jobs.request is not None)
    assert isinstance(fake_jobs.request, Segment)
    assert controller.desk.project.image(fake_jobs.request.image).name == "second"


def test_image_that_is_still_being_copied_is_segmented_when_it_is_there(controller, model, viewer, fake_jobs, qtbot):
    controller.images.choose(viewer.layers["second"])
    controller.images.begin()
    assert controller.images.waiting
    controller.models.apply(model, "image")
    assert fake_jobs.requests == []
    assert "still being copied" in said(controller)[-1]
    qtbot.waitUntil(lambda: len(fake_jobs.requests) == 1)
    assert not controller.images.waiting


def test_applying_to_the_image_in_work_keeps_what_can_be_undone(controller, model, fake_jobs):
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    controller.models.apply(model, "image")
    assert len(fake_jobs.requests) == 1
    controller.desk.tool.undo()
    assert not controller.desk.tool.paint_layer.data.any()


def test_what_was_painted_a_moment_ago_is_on_disk_when_the_image_is_segmented(controller, model, fake_jobs):
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    store = controller.desk.project.annotations(controller.desk.work.image_id)
    assert store.painted_planes() == ()
    controller.models.apply(model, "image")
    assert store.painted_planes() == (2,)


@pytest.mark.parametrize(("method", "setting"), [("centroids", "use_clicks"), ("boxes", "use_boxes"), ("slices", "")])
def test_clicks_and_boxes_can_be_left_out(controller, model, fake_jobs, method, setting):
    project = controller.desk.project
    other = project.add_model("other", method=method, images=())
    for used in (True, False):
        controller.panels.models.use_known.setChecked(used)
        controller.applying.segment(other.id, images=(project.images[0].id,))
        left_out = {setting: False} if setting and not used else {}
        assert fake_jobs.request.settings == {"device": "auto", **left_out}
        fake_jobs.finish(prediction=None, stopped=True)


@pytest.mark.parametrize(("method", "settings"), [("centroids", {"responses": True}), ("boxes", {}), ("slices", {})])
def test_response_maps_can_be_asked_for_of_models_that_have_them(controller, model, fake_jobs, method, settings):
    project = controller.desk.project
    other = project.add_model("other", method=method, images=())
    controller.panels.models.with_responses.setChecked(True)
    controller.applying.segment(other.id, images=(project.images[0].id,))
    assert fake_jobs.request.settings == {"device": "auto", **settings}


@pytest.fixture
def searching(controller, fake_jobs):
    """The next slice is searched for."""
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    controller.desk.tool.complete_shown()
    project, image_id = controller.desk.project, controller.desk.work.image_id
    controller.desk.submit(Suggest("a" * 12, str(project.folder), image_id, "abcd", 3), done=lambda _: None)
    return controller


def test_training_that_waits_for_a_search_to_end_shows_that_it_starts(searching, fake_jobs):
    searching.train()
    assert isinstance(fake_jobs.request, Suggest)
    buttons = searching.panels.train.buttons
    assert buttons.train.isHidden()
    assert not buttons.stop.isHidden()
    searching.train()
    assert len(searching.desk.project.models) == 2
    fake_jobs.finish(slices=[])
    assert [type(each).__name__ for each in fake_jobs.requests] == ["Suggest", "Train"]


def test_training_that_waits_can_be_stopped(searching, fake_jobs):
    searching.train()
    searching.stop()
    assert not searching.panels.train.buttons.train.isHidden()
    fake_jobs.finish(slices=[])
    assert fake_jobs.state is JobState.IDLE
    assert len(searching.desk.project.models) == 1


def test_image_that_is_out_of_view_comes_into_view(controller, viewer):
    far = viewer.add_image(np.zeros(SHAPE, np.uint8), name="far", translate=(500, 0, 0))
    controller.images.choose(far)
    controller.images.begin()
    assert controller.desk.layers.shown_slice() == (0, 3)


def test_stopped_segmentation_says_so_and_is_the_end_of_it(controller, model, fake_jobs):
    controller.models.apply(model, "project")
    fake_jobs.finish(prediction=None, stopped=True)
    assert fake_jobs.request is None
    assert "was stopped" in said(controller)[-1]


def test_exported_model_is_offered_under_its_name(controller, model, monkeypatch):
    offered = []
    monkeypatch.setattr(
        "napari_weak3d.app.models.QFileDialog.getSaveFileName", lambda *given: (offered.append(given[2]), ("", ""))[1]
    )
    controller.panels.models.export_requested.emit(model)
    assert offered == ["cells.zip"]
