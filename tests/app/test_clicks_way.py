"""The way of a user who clicks cells, with real mouse and keys in a real window, and the real child process."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_weak3d.app.jobs import JobState
from napari_weak3d.samples import make_demo

pytestmark = [pytest.mark.window, pytest.mark.slow]
LONG = 900_000  # ms; a training on a slow machine that is busy otherwise
QUICK = {"width": 8, "levels": 3, "patch": 32, "pixels": 32_768, "steps": 60}


@pytest.fixture
def sample():
    """A corner of the demo: (32, 80, 80), some twenty nuclei that touch."""
    demo = make_demo()
    return demo.volume.data[0, :, :80, :80], relabel(demo.labels[:, :80, :80]), demo.volume.spacing


def relabel(labels):
    """Count objects from 1 on, the largest first."""
    sizes = np.bincount(labels.ravel())
    kept = [each for each in np.argsort(-sizes) if each and sizes[each]]
    return sum(np.where(labels == each, number + 1, 0) for number, each in enumerate(kept))


class User:
    """Hands on mouse and keyboard, in one window."""

    def __init__(self, viewer):
        self.viewer = viewer
        self.canvas = viewer.window._qt_window._qt_viewer.canvas.native
        viewer.reset_view()
        QApplication.processEvents()  # the canvas is drawn once before it knows where the mouse is

    def click_cell(self, centre, layer):
        """Go to the slice through a cell's middle, and click there."""
        z, y, x = np.rint(centre)
        self.viewer.dims.set_current_step(0, int(z))
        camera, size, scale = self.viewer.scene.camera, self.canvas.size(), layer.scale
        right, down = x * scale[2] - camera.center[-1], y * scale[1] - camera.center[-2]
        place = QPoint(round(size.width() / 2 + right * camera.zoom), round(size.height() / 2 + down * camera.zoom))
        QTest.qWait(12)  # vispy drops a move that comes within 10 ms of another
        QTest.mouseMove(self.canvas, place)
        QTest.qWait(6)
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=place)
        QApplication.processEvents()

    def press(self, key):
        QTest.keyClick(self.canvas, key)
        QApplication.processEvents()

    def push(self, button):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        QApplication.processEvents()


def test_from_clicks_to_instances_and_back_again_after_closing(make_napari_viewer, open_dock, sample, qtbot):
    voxels, truth, spacing = sample
    centres = np.array(ndimage.center_of_mass(truth > 0, truth, np.arange(1, truth.max() + 1)))
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(voxels, name="blobs", scale=spacing, units=("um",) * 3)
    controller = open_dock(viewer, "centroids")
    user, panels = User(viewer), controller.panels
    user.push(panels.image.begin_button)
    qtbot.waitUntil(lambda: not controller.images.waiting, timeout=LONG)
    user = User(viewer)
    tool, jobs = controller.desk.clicking, controller.desk.jobs
    clicked = centres[2:20:4]  # large ones and smaller ones, but no slivers that the cut has left
    for number, centre in enumerate(clicked):
        user.click_cell(centre, image)
        assert len(tool.clicks.points) == number + 1
    np.testing.assert_allclose(tool.clicks.points, np.rint(clicked), atol=1)

    user.press(Qt.Key.Key_F)
    qtbot.waitUntil(lambda: len(tool.clicks.proposed) > 0 and jobs.state is JobState.IDLE, timeout=LONG)
    proposed = tool.clicks.proposed
    assert len(proposed) >= 0.4 * (len(centres) - len(clicked))
    user.press(Qt.Key.Key_Y)
    assert len(tool.clicks.points) == len(clicked) + 1
    user.push(tool.panel.buttons["accept_all"])
    inside = truth[tuple(np.clip(np.rint(tool.clicks.points), 0, np.subtract(truth.shape, 1)).astype(int).T)] > 0
    assert inside.mean() > 0.9

    panels.train.set_settings(QUICK)
    shown = []
    jobs.shown.connect(lambda preview, _: shown.append(preview.labels > 0))
    z = viewer.dims.current_step[0]
    user.push(panels.train.buttons.train)
    qtbot.waitUntil(lambda: "blobs result" in viewer.layers, timeout=LONG)
    # what they show hangs on how far so short a training was when they were made
    assert {labels.shape for labels in shown} == {truth[z].shape}, "the slice in view was seen meanwhile"
    result = viewer.layers["blobs result"]
    assert np.array_equal(result.scale, image.scale)
    hits = (result.data > 0) & (truth > 0)
    assert hits.sum() > 0.4 * ((result.data > 0) | (truth > 0)).sum()
    assert result.data.max() >= 0.5 * truth.max()
    qtbot.waitUntil(lambda: bool(panels.result.extras.menu().actions()), timeout=LONG)
    for name in ("Centres", "Mask"):
        next(action for action in panels.result.extras.menu().actions() if action.text() == name).trigger()
        qtbot.waitUntil(lambda name=name: name.lower() in viewer.layers, timeout=LONG)
    points, folder = tool.clicks.points.copy(), controller.desk.project.folder
    viewer.close()

    viewer = make_napari_viewer(show=True)
    controller = open_dock(viewer, "centroids")
    controller.open_project(folder)
    qtbot.waitUntil(lambda: "blobs result" in viewer.layers, timeout=LONG)
    np.testing.assert_array_equal(controller.desk.clicking.clicks.points, points)
    assert controller.desk.project.models[0].method == "centroids"
