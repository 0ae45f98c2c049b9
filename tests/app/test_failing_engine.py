"""A mistake in the engine, all the way from the real child process to the dock of a real viewer."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.jobs import Jobs, JobState

pytestmark = [pytest.mark.window, pytest.mark.slow]
ENGINE = [sys.executable, "-P", str(Path(__file__).with_name("failing_engine.py"))]


@pytest.fixture
def controller(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(3).integers(0, 255, (6, 24, 28)).astype(np.uint8), name="cells")
    made = Controller(viewer, jobs=Jobs(command=ENGINE))
    yield made
    made.close()


def test_error_that_nobody_foresaw_is_said_with_its_details_and_nothing_is_lost(controller, qtbot):
    desk, train = controller.desk, controller.panels.train
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    desk.layers.go_to((0, 2), desk.work.layer)
    desk.tool.paint_layer.paint((2, 5, 5), 2)
    desk.tool.complete_shown()
    painted = desk.tool.paint_layer.data.copy()
    for _ in range(2):  # the child is as good as before
        controller.train()
        with qtbot.waitSignal(desk.jobs.failed) as failed:
            pass
        assert failed.args[0].kind == "unexpected"
        assert "RuntimeError: the shapes differ" in failed.args[0].log_tail
        assert desk.jobs.state is JobState.IDLE
        assert train.buttons.train.isVisibleTo(train)
        (said,) = [each.text for each in train.messages._messages if "the shapes differ" in each.text]
        assert said.startswith("Something unforeseen went wrong (RuntimeError: the shapes differ)")
        assert desk.project.models == ()
    np.testing.assert_array_equal(desk.project.annotations(desk.work.image_id).read().labels, painted)
