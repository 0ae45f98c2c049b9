"""Painting in a real window, with real keys and a real mouse."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tools.slices import SlicesTool

pytestmark = [pytest.mark.window, pytest.mark.slow]
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def tool(viewer):
    image = viewer.add_image(np.zeros((8, 60, 60), np.float32), name="cells")
    layers = Layers(viewer)
    tool = SlicesTool(layers)
    viewer.window.add_dock_widget(tool.panel, name="slices")
    tool.begin(image)
    viewer.dims.set_point(0, 3)
    yield tool
    tool.end()
    layers.close()


def press(viewer, key, modifiers=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifiers)


def drag(viewer, qtbot, tool):
    """Paint from the middle of the canvas to the right."""
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.waitUntil(lambda: canvas.width() > 100 and canvas.isVisible())
    viewer.reset_view()
    QApplication.processEvents()  # the canvas is drawn once before it knows where the mouse is
    tool.paint_layer.mode = "paint"
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseMove(canvas, middle)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    for step in (10, 20, 30):
        QTest.mouseMove(canvas, middle + QPoint(step, 0))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle + QPoint(30, 0))


def test_strokes_and_keys_are_undone_by_keys_in_the_right_order(viewer, qtbot, tool):
    tool.paint_layer.selected_label = 2
    drag(viewer, qtbot, tool)
    stroke = tool.slices().labels.copy()
    assert stroke[3].any()
    assert not np.delete(stroke, 3, 0).any()
    assert tool.painted_not_complete() == ((0, 3),)

    press(viewer, Qt.Key.Key_C)
    assert tool.slices().annotated == ((0, 3),)
    tool.paint_layer.selected_label = 1
    drag(viewer, qtbot, tool)
    both = tool.slices().labels.copy()
    assert (both == 1).any()

    press(viewer, Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(tool.slices().labels, stroke)
    assert tool.slices().annotated == ((0, 3),)
    press(viewer, Qt.Key.Key_Z, CTRL)
    assert tool.slices().annotated == ()
    np.testing.assert_array_equal(tool.slices().labels, stroke)
    press(viewer, Qt.Key.Key_Z, CTRL)
    assert not tool.slices().labels.any()
    for _ in range(3):
        press(viewer, Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(tool.slices().labels, both)
    assert tool.slices().annotated == ((0, 3),)


def test_keys_complete_go_on_and_make_objects(viewer, tool):
    press(viewer, Qt.Key.Key_C)
    press(viewer, Qt.Key.Key_C)
    assert tool.slices().annotated == ()
    tool.next_requested.connect(lambda: tool.show_suggestion(()))
    press(viewer, Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 4
    tool.panel.paint_chosen.emit("objects")
    tool.paint_layer.paint((4, 5, 5), 8)
    press(viewer, Qt.Key.Key_O)
    assert tool.paint_layer.selected_label == 9


def test_the_image_completes_and_goes_on_by_keys_too_until_the_end(viewer, tool):
    image = viewer.layers["cells"]
    viewer.layers.selection.active = image
    press(viewer, Qt.Key.Key_C)
    assert tool.slices().annotated == ((0, 3),)
    tool.next_requested.connect(lambda: tool.show_suggestion(()))
    press(viewer, Qt.Key.Key_N)
    assert viewer.dims.current_step[0] != 3
    tool.end()
    assert not {"C", "N"} & {str(key) for key in image.keymap}


def test_after_the_end_the_keys_are_naparis_again(viewer, tool):
    layer = tool.paint_layer
    tool.end()
    layer.visible = True
    viewer.layers.selection.active = layer
    layer.paint((3, 5, 5), 1)
    press(viewer, Qt.Key.Key_C)
    press(viewer, Qt.Key.Key_Z, CTRL)
    assert not layer.data.any()
