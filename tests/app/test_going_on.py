"""A training that was not finished, and goes on: with a child process that the test plays."""

import json

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller

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


def test_training_goes_on_with_its_own_settings_whatever_the_panel_shows(controller, fake_jobs):
    controller.panels.train.set_settings({"minutes": 40.0, "width": 8})
    controller.train()
    model = fake_jobs.request.model
    folder = controller.desk.project.model_folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"schema": 1, "method": "slices", "fraction": 0.3, "summary": {}}
    config = {"minutes": 40.0, "width": 8, "device": "cuda"}
    (folder / "model.json").write_text(json.dumps({**described, "config": config}))
    (folder / "resume.safetensors").write_bytes(b"")
    fake_jobs.fail("crashed", "the training was ended by the system")
    controller.panels.train.set_settings({})
    controller.training.go_on(model)
    assert (fake_jobs.request.model, fake_jobs.request.start) == (model, model)
    assert fake_jobs.request.settings == {"minutes": 40.0, "width": 8, "device": "auto"}
