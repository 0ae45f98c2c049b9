"""A napari whose only image is removed while it is annotated, and whose window is resized then. Run by a test.

Its argument: the tool.
"""

import sys
import time

import napari
import numpy as np
from qtpy.QtTest import QTest

from napari_weak3d.app.controller import controller_of
from napari_weak3d.app.jobs import Jobs


def main(tool: str) -> None:
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1280, 800)
    image = viewer.add_image(np.random.default_rng(0).integers(0, 255, (12, 64, 64)).astype(np.uint8), name="cells")
    viewer.window.add_plugin_dock_widget("napari-weak3d", f"Weak3D: {tool}")
    controller = controller_of(viewer)
    controller.images.begin()
    wait(lambda: controller.desk.work is not None and not controller.images.waiting)
    QTest.qWait(300)  # the canvas is drawn with the paint
    viewer.layers.remove(image)
    QTest.qWait(300)
    for smaller in range(0, 120, 10):
        window.resize(1280 - smaller, 800 - smaller)
        QTest.qWait(100)
    print("still there", flush=True)
    controller.close()
    viewer.close()


def wait(condition) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        QTest.qWait(20)


if __name__ == "__main__":
    Jobs.start = lambda _: None  # no child: nothing is trained
    main(sys.argv[1])
