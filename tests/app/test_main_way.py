"""The way of a first user, with real keys and mouse, and the real child process; and when parts of it are killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog
from scipy import ndimage

from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project.annotations import AnnotationStore
from napari_weak3d.samples import make_blobs, make_demo

pytestmark = [pytest.mark.window, pytest.mark.slow]
LONG = 900_000  # ms; a training on a slow machine that is busy otherwise
QUICK = {"members": 1, "width": 8, "levels": 3, "patch": 64, "pixels": 16_384, "minutes": 20.0}
BLOBS_SHAPE = (12, 64, 64)
DOOMED = Path(__file__).with_name("doomed_napari.py")
no_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


class User:
    """Hands on mouse and keyboard, in one window."""

    def __init__(self, viewer, qtbot):
        self._viewer = weakref.ref(viewer)  # a window goes when nobody holds its viewer
        self._qtbot = qtbot

    @property
    def viewer(self):
        return self._viewer()

    @property
    def canvas(self):
        return self.viewer.window._qt_window._qt_viewer.canvas.native

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()

    def click(self, button):
        self._qtbot.waitUntil(button.isVisible)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    def answer(self, bar, text):
        """Click an answer to the question that is asked."""
        assert isinstance(bar.current, Question), bar.current
        self.click(next(button for button in bar.answer_buttons if button.text() == text))

    def place_of(self, y, x, *, layer):
        """Where in the canvas a voxel of the shown slice is."""
        camera, (_, dy, dx) = self.viewer.scene.camera, layer.scale
        down, right = y * dy - camera.center[-2], x * dx - camera.center[-1]
        size = self.canvas.size()
        return QPoint(round(size.width() / 2 + right * camera.zoom), round(size.height() / 2 + down * camera.zoom))

    def drag(self, *places):
        """Draw a line through places of the canvas."""
        QTest.mouseMove(self.canvas, places[0])
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=places[0])
        for place in places[1:]:
            QTest.qWait(12)  # vispy drops a move that comes within 10 ms of another
            QTest.mouseMove(self.canvas, place)
            QTest.qWait(6)  # and napari may keep it back for 5
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=places[-1])
        QApplication.processEvents()

    def paint_objects(self, labels, layer):
        """Fill the objects of the shown slice, (Y, X) ids, by lines of the brush, as a careful hand would."""
        radius = round(layer.brush_size) // 2
        inside = ndimage.binary_erosion(labels > 0, iterations=radius - 1, border_value=1)
        for y in range(0, len(labels), radius + 1):
            runs, count = ndimage.label(inside[y])
            for (run,) in ndimage.find_objects(runs, count):
                self.drag(*(self.place_of(y, x, layer=layer) for x in (run.start, run.stop - 1)))


def lies_on(found, objects):
    """Mostly inside objects, and on a good part of them: the training was short."""
    hits = np.count_nonzero(found & objects)
    return hits > 0.6 * np.count_nonzero(found) and hits > 0.3 * np.count_nonzero(objects)


def is_ours(process):
    try:
        return "napari_weak3d.worker" in process.cmdline()
    except psutil.Error:
        return False


def is_gone(process):
    """Whether a process has ended; where nobody has asked for its end, it is a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def begin_painting(controller, user, qtbot):
    user.click(controller.panels.image.begin_button)
    qtbot.waitUntil(lambda: not controller.images.waiting, timeout=LONG)
    user.press(Qt.Key.Key_2)
    assert controller.desk.tool.paint_layer.mode == "paint"


def test_from_sample_data_to_labels_and_back_again_after_closing(
    make_napari_viewer, open_dock, tmp_path, monkeypatch, qtbot
):
    truth = make_demo().labels
    viewer = make_napari_viewer(show=True)
    (image,) = viewer.open_sample("napari-weak3d", "nuclei")
    controller, user = open_dock(viewer), User(viewer, qtbot)
    begin_painting(controller, user, qtbot)
    paint = controller.desk.tool.paint_layer
    for _ in range(5):
        user.press(Qt.Key.Key_BracketLeft)
    assert paint.brush_size == 5
    painted = []
    for _ in range(2):
        user.press(Qt.Key.Key_N)
        painted.append(viewer.dims.current_step[0])
        user.paint_objects(truth[painted[-1]], paint)
        user.press(Qt.Key.Key_C)
    strokes, objects = paint.data[painted] == 2, truth[painted] > 0
    assert (strokes & objects).sum() > 0.7 * (strokes | objects).sum(), "the brush was on objects"
    assert set(controller.desk.tool.slices().annotated) == {(0, z) for z in painted}

    controller.panels.train.set_settings(QUICK)
    user.press(Qt.Key.Key_N)
    between = viewer.dims.current_step[0]
    assert between not in painted
    user.click(controller.panels.train.buttons.train)
    qtbot.waitUntil(lambda: "preview" in viewer.layers, timeout=LONG)
    preview = viewer.layers["preview"]
    qtbot.waitUntil(lambda: lies_on(preview.data[between] == 2, truth[between] > 0), timeout=LONG)
    user.drag(*(user.place_of(y, 5, layer=image) for y in (5, 10, 15)))  # painting goes on
    assert (paint.data[between] == 2).any()
    user.click(controller.panels.train.buttons.stop)
    qtbot.waitUntil(lambda: "Nuclei result" in viewer.layers, timeout=LONG)
    result = viewer.layers["Nuclei result"]
    assert lies_on(result.data > 0, truth > 0)
    assert np.array_equal(result.scale, image.scale)
    assert "preview" not in viewer.layers

    qtbot.waitUntil(lambda: controller.desk.jobs.state is JobState.IDLE, timeout=LONG)
    kept = tmp_path / "kept"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(kept), ""))
    choose_in_menu(controller.panels.project, "Save as...")
    qtbot.waitUntil(lambda: controller.desk.project.folder == kept, timeout=LONG)
    labels, found = paint.data.copy(), result.data.copy()
    viewer.close()

    viewer = make_napari_viewer(show=True)
    controller, user = open_dock(viewer), User(viewer, qtbot)
    bar = controller.panels.project.bar
    qtbot.waitUntil(lambda: bar.current is not None)
    assert bar.current.text == "Continue kept?"
    user.answer(bar, "Continue")
    qtbot.waitUntil(lambda: "Nuclei result" in viewer.layers, timeout=LONG)
    assert np.array_equal(controller.desk.tool.slices().labels, labels)
    assert set(controller.desk.tool.slices().annotated) == {(0, z) for z in painted}
    assert np.array_equal(viewer.layers["Nuclei result"].data, found)


def choose_in_menu(panel, title):
    panel.menu.aboutToShow.emit()
    next(action for action in panel.menu.actions() if action.text() == title).trigger()


def make_blobs_file(tmp_path):
    sample = make_blobs(np.random.default_rng(1), shape=BLOBS_SHAPE, name="blobs")
    file = tmp_path / "blobs.tif"
    tifffile.imwrite(file, sample.volume.data[0], imagej=True, metadata={"axes": "ZYX", "spacing": 0.5, "unit": "um"})
    return file


@no_sigkill
def test_killed_child_is_said_and_training_works_again(make_napari_viewer, open_dock, tmp_path, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.open(make_blobs_file(tmp_path), plugin="napari")
    controller, user = open_dock(viewer), User(viewer, qtbot)
    begin_painting(controller, user, qtbot)
    paint = controller.desk.tool.paint_layer
    user.drag(*(user.place_of(y, 30, layer=paint) for y in (20, 30, 40)))
    user.press(Qt.Key.Key_C)
    controller.panels.train.set_settings(QUICK)
    jobs, before = controller.desk.jobs, paint.data.copy()
    with qtbot.waitSignal(jobs.advanced, timeout=LONG):
        user.click(controller.panels.train.buttons.train)
    (child,) = [each for each in psutil.Process().children() if is_ours(each) and not is_gone(each)]
    with qtbot.waitSignal(jobs.failed, timeout=LONG):
        os.kill(child.pid, signal.SIGKILL)
    assert jobs.state is JobState.IDLE
    assert "The training was ended by the system" in controller.panels.train.messages.current.text
    assert np.array_equal(paint.data, before)
    assert controller.desk.project.models == ()
    with qtbot.waitSignal(jobs.advanced, timeout=LONG):
        user.click(controller.panels.train.buttons.train)
    assert jobs.state is JobState.RUNNING


@pytest.fixture
def doomed(tmp_path):
    """A napari that paints and trains on its own."""
    arguments = [str(make_blobs_file(tmp_path)), json.dumps(QUICK)]
    process = subprocess.Popen([sys.executable, "-P", str(DOOMED), *arguments])
    yield process
    process.kill()
    process.wait()


def count_saved():
    """Voxels of the slice that is being painted, as far as they are on disk."""
    for index in Path.home().glob("napari-weak3d/*/annotations/*/index.json"):
        with contextlib.suppress(Weak3DError):  # a plane may go while it is read
            return np.count_nonzero(AnnotationStore(index.parent, shape=BLOBS_SHAPE).read().labels[5])
    return 0


@no_sigkill
def test_killed_napari_loses_no_paint_that_was_saved_in_the_middle_of_a_stroke_and_no_training(
    doomed, make_napari_viewer, open_dock, qtbot
):
    saved = [0]

    def has_painted_and_trained():
        if doomed.poll() is not None:
            raise RuntimeError("it has ended by itself")
        if (now := count_saved()) > saved[-1]:
            saved.append(now)
        # saved twice since the button went down, and a checkpoint is there
        return len(saved) > 2 and any(Path.home().glob("napari-weak3d/*/models/*/resume.safetensors"))

    qtbot.waitUntil(has_painted_and_trained, timeout=LONG)
    children = [each for each in psutil.Process(doomed.pid).children() if is_ours(each)]
    assert len(children) == 1
    doomed.kill()
    doomed.wait()
    qtbot.waitUntil(lambda: all(map(is_gone, children)), timeout=LONG)

    viewer = make_napari_viewer(show=True)
    controller, user = open_dock(viewer), User(viewer, qtbot)
    bar = controller.panels.project.bar
    qtbot.waitUntil(lambda: bar.current is not None)
    assert "napari ended before it was closed" in bar.current.text
    user.answer(bar, "Continue")
    qtbot.waitUntil(lambda: controller.desk.work is not None, timeout=LONG)
    slices = controller.desk.tool.slices()
    assert slices.annotated == ((0, 3), (0, 8))
    assert np.count_nonzero(slices.labels[5]) >= saved[-1]

    (model,) = controller.desk.project.models
    assert model.unfinished
    steps = []
    controller.desk.jobs.advanced.connect(lambda report: steps.append(report.step))
    user.answer(controller.panels.train.messages, "Go on")
    qtbot.waitUntil(lambda: len(steps) > 1, timeout=LONG)
    assert controller.desk.jobs.request.model == model.id
