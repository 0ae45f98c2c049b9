"""A training that was not finished, and goes on: with a child process that the test plays."""

import json

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.jobs import JobState

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def controller(make_napari_viewer, fake_jobs, qtbot):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells")
    controller = Controller(viewer, jobs=fake_jobs)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    controller.desk.tool.complete_shown()
    yield controller
    controller.close()


def write_checkpoint(controller, model):
    """What the child has written of a training that is not finished."""
    folder = controller.desk.project.model_folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"schema": 1, "method": "slices", "fraction": 0.3, "summary": {}}
    config = {"minutes": 40.0, "width": 8, "device": "cuda"}
    (folder / "model.json").write_text(json.dumps({**described, "config": config}))
    (folder / "resume.safetensors").write_bytes(b"")


def test_training_that_was_paused_when_napari_was_closed_goes_on(controller, make_napari_viewer, fake_jobs, qtbot):
    controller.train()
    model, image_id = fake_jobs.request.model, controller.desk.work.image_id
    write_checkpoint(controller, model)
    controller.pause()
    assert fake_jobs.state is JobState.PAUSED
    folder = controller.desk.project.folder
    controller.close()
    fake_jobs.request, fake_jobs.state = None, JobState.IDLE  # the next napari has a child of its own
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    bar = again.panels.train.messages
    qtbot.waitUntil(lambda: bar.current is not None)
    assert bar.current.text == f"The training of {again.desk.project.model(model).name} was not finished."
    next(each for each in bar.answer_buttons if each.text() == "Go on").click()
    assert (fake_jobs.request.model, fake_jobs.request.start) == (model, model)
    assert fake_jobs.request.images == (image_id,)
    assert again.desk.tool.slices().annotated == ((0, 2),)
    again.close()


def test_training_goes_on_with_its_own_settings_whatever_the_panel_shows(controller, fake_jobs):
    controller.panels.train.set_settings({"minutes": 40.0, "width": 8})
    controller.train()
    model = fake_jobs.request.model
    write_checkpoint(controller, model)
    fake_jobs.fail("crashed", "the training was ended by the system")
    controller.panels.train.set_settings({})
    controller.training.go_on(model)
    assert (fake_jobs.request.model, fake_jobs.request.start) == (model, model)
    assert fake_jobs.request.settings == {"minutes": 40.0, "width": 8, "device": "auto"}
