"""A napari in which one trains and paints until somebody kills it. Run by a test.

Its arguments: an image, and settings of the training as JSON.
"""

import json
import math
import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest

from napari_weak3d.app.controller import controller_of
from napari_weak3d.app.opening import open_image

COMPLETE = (3, 8)
PAINTED = 5
LONG_S = 900


def main(image: Path, settings: dict) -> None:
    viewer = napari.Viewer()
    open_image(viewer, image)
    viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    controller = controller_of(viewer)
    controller.images.begin()
    wait(lambda: not controller.images.waiting)
    layer = controller.desk.tool.paint_layer
    bright = np.asarray(viewer.layers[0].data) > np.percentile(viewer.layers[0].data, 80)
    for z in COMPLETE:
        viewer.dims.set_current_step(0, z)
        y, x = np.nonzero(bright[z])
        layer.data_setitem((np.full_like(y, z), y, x), 2)
        controller.complete_slice()
    controller.panels.train.set_settings(settings)
    controller.train()
    viewer.dims.set_current_step(0, PAINTED)
    layer.brush_size = 1
    layer.mode = "paint"
    stroke = begin_stroke(viewer)
    napari.run()
    stroke.stop()


def begin_stroke(viewer) -> QTimer:
    """Press the mouse and draw a slow spiral over the canvas; the button is never let go."""
    canvas = viewer.window._qt_window._qt_viewer.canvas.native
    wait(lambda: canvas.width() > 100)
    turns = iter(np.arange(1, 100_000) / 20)
    timer = QTimer(interval=150)  # drawn by the processor, more would take it from the training

    def place(turn: float) -> QPoint:
        middle = QPoint(canvas.width() // 2, canvas.height() // 2)
        far = min(10 + 8 * turn, canvas.height() / 2 - 10)
        return middle + QPoint(round(far * math.cos(turn * 6.3)), round(far * math.sin(turn * 6.3)))

    def move() -> None:
        QTest.mouseMove(canvas, place(next(turns)))

    QTest.mouseMove(canvas, place(0))
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=place(0))
    timer.timeout.connect(move)
    timer.start()
    return timer


def wait(condition) -> None:
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end
        QTest.qWait(20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
