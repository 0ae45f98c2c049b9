"""The image that is annotated is removed from the viewer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)
EMPTIED = Path(__file__).with_name("emptied_napari.py")


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells")
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs, qtbot):
    """The image is painted on."""
    controller = Controller(viewer, jobs=fake_jobs)
    begin(controller, viewer.layers["cells"], qtbot)
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    yield controller
    controller.close()


def begin(controller, layer, qtbot):
    controller.images.choose(layer)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["slices", "centroids", "boxes"])
def test_napari_lives_on_without_its_only_image(tool):
    done = subprocess.run(
        [sys.executable, "-P", str(EMPTIED), tool], capture_output=True, text=True, timeout=600, check=False
    )
    assert (done.returncode, done.stdout[-12:]) == (0, "still there\n"), done.stderr


def test_paint_of_the_only_image_stays_in_sight_until_another_one_is_painted_on(controller, viewer, qtbot):
    paint = controller.desk.tool.paint_layer
    viewer.layers.remove("cells")
    assert paint.visible  # napari crashes where it draws nothing
    begin(controller, viewer.add_image(np.ones(SHAPE, np.uint8), name="others"), qtbot)
    assert not paint.visible
    assert controller.desk.tool.paint_layer.visible


def test_paint_goes_out_of_sight_with_its_image_where_there_is_another(controller, viewer):
    viewer.add_image(np.ones(SHAPE, np.uint8), name="others")
    paint = controller.desk.tool.paint_layer
    viewer.layers.remove("cells")
    assert not paint.visible


def test_image_that_is_shown_again_has_its_paint(controller, viewer, qtbot):
    paint = controller.desk.tool.paint_layer
    viewer.layers.remove("cells")
    bar = controller.panels.train.messages
    next(each for each in bar.answer_buttons if each.text() == "Show it again").click()
    assert controller.desk.tool.paint_layer is paint
    assert paint.visible
    assert paint.data.any()
