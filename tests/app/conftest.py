"""The app's tests need a Qt binding, napari and, on Linux, a display; without them they are not collected."""

import contextlib
import gc
import importlib.util
import json
import os
import sys
from functools import partial

import pytest

_HAS_QT = any(importlib.util.find_spec(name) for name in ("PyQt6", "PySide6"))
_HAS_NAPARI = importlib.util.find_spec("napari") is not None and importlib.util.find_spec("pytestqt") is not None
_HAS_DISPLAY = not sys.platform.startswith("linux") or any(
    os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
)
if not (_HAS_QT and _HAS_NAPARI and _HAS_DISPLAY):
    collect_ignore_glob = ["*.py"]
PATIENCE_MS = 300_000


def pytest_collection_finish():
    """Spare napari's viewer fixture, which collects garbage three times per test, what was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_places(tmp_path, monkeypatch):
    """No test reads or writes the projects and settings of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))


@pytest.fixture
def qtbot(qapp, request):
    """pytest-qt's, which waits as long as a machine may need that is slow, busy and stalls: a limit proves nothing."""
    from pytestqt.qtbot import QtBot

    class PatientBot(QtBot):
        def waitUntil(self, callback, *, timeout=PATIENCE_MS):
            super().waitUntil(callback, timeout=timeout)

        def waitSignal(self, signal, *, timeout=PATIENCE_MS, **others):
            return super().waitSignal(signal, timeout=timeout, **others)

        def waitExposed(self, widget, *, timeout=PATIENCE_MS):
            return super().waitExposed(widget, timeout=timeout)

    return PatientBot(request)


@pytest.fixture
def fake_jobs(qapp):
    """Jobs without a child process: a test plays the child."""
    from qtpy.QtCore import QObject, Signal

    from napari_weak3d.app.jobs import JobState
    from napari_weak3d.errors import Weak3DError
    from napari_weak3d.messages import Failed, Finished

    class FakeJobs(QObject):
        state_changed = Signal(object)
        hello = Signal(object)
        advanced = Signal(object)
        shown = Signal(object, str)
        finished = Signal(object)
        failed = Signal(object)

        def __init__(self):
            super().__init__()
            self.state, self.request, self.asked = JobState.IDLE, None, []
            self.requests, self.stops, self.closed = [], 0, False

        def start(self):
            pass

        def submit(self, request):
            if self.request is not None:
                raise Weak3DError("the training is still running: stop it, or wait for its end")
            self.request = request
            self.requests.append(request)
            self._set(JobState.RUNNING)

        def preview(self, which, image):
            self.asked.append((which, image))

        def stop(self):
            self.stops += 1
            self._set(JobState.STOPPING)

        def kill(self):
            self.fail("killed", "the training was ended at once")

        def pause(self):
            self._set(JobState.PAUSED)

        def resume(self):
            self._set(JobState.RUNNING)

        def close(self):
            self.closed = True

        def finish(self, **result):
            job, self.request = self.request.job, None
            self._set(JobState.IDLE)
            self.finished.emit(Finished(job, result))

        def fail(self, kind, message, *, where="", log_tail=""):
            job, self.request = self.request.job, None
            self._set(JobState.IDLE)
            self.failed.emit(Failed(job, kind, message, where, log_tail=log_tail))

        def _set(self, state):
            self.state = state
            self.state_changed.emit(state)

    return FakeJobs()


@pytest.fixture
def open_dock(qtbot):
    """Opens the dock in a viewer, at a tool, in a window of 1280 x 800; leaves no child process behind."""
    import psutil
    from qtpy.QtWidgets import QApplication

    opened = []

    def become_active(window):
        """Keys of the window go to the active one only; without a window manager asking once may not do."""
        window.activateWindow()
        return window.isActiveWindow()

    def open_dock(viewer, tool="slices"):
        window = viewer.window._qt_window
        window.resize(1280, 800)
        _, dock = viewer.window.add_plugin_dock_widget("napari-weak3d", f"Weak3D: {tool}")
        qtbot.waitUntil(dock.isVisible)
        qtbot.waitUntil(partial(become_active, window))
        viewer.reset_view()
        QApplication.processEvents()  # the canvas is drawn once before it knows where the mouse is
        opened.append(dock.controller)
        return dock.controller

    yield open_dock
    for controller in opened:
        controller.close()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "napari_weak3d.worker" in child.cmdline():
                child.kill()
                child.wait()


@pytest.fixture
def add_model():
    """Put a model of slices, of which there is only a description, into a controller's project; gives its id."""

    def add(controller):
        project = controller.desk.project
        model = project.add_model("cells", method="slices", images=())
        folder = project.model_folder(model.id)
        folder.mkdir(parents=True)
        described = {"schema": 1, "method": "slices", "name": "cells", "fraction": 1.0, "summary": {}}
        (folder / "model.json").write_text(json.dumps(described))
        return model.id

    return add
