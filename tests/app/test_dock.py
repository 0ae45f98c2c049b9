"""The dock as it stands in the window."""

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_weak3d.app import commands
from napari_weak3d.app import controller as controllers
from napari_weak3d.app.controller import Controller
from napari_weak3d.app.dock import Dock

pytestmark = pytest.mark.window


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1280, 800)
    viewer.add_image(np.random.default_rng(0).integers(0, 9, (3, 6, 12, 14)).astype(np.uint8), name="cells")
    return viewer


@pytest.fixture
def dock(viewer, fake_jobs, monkeypatch, qtbot):
    monkeypatch.setattr(controllers, "Jobs", lambda: fake_jobs)
    _, dock = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    qtbot.waitUntil(dock.isVisible)
    yield dock
    dock.controller.close()


def assert_in_sight(widget, window):
    top = widget.mapTo(window, QPoint(0, 0))
    assert widget.isVisible()
    assert top.y() >= 0
    assert top.y() + widget.height() <= window.height()
    assert top.x() >= 0
    assert top.x() + widget.width() <= window.width()


def test_steps_and_train_button_are_in_sight_at_1280x800(dock, viewer, qtbot):
    window = viewer.window._qt_window
    panels = dock.controller.panels
    panels.train.curves_button.setChecked(True)
    panels.train.ask("z 3 and 10 are painted but not complete. " * 2, {"They are complete": lambda: None})
    panels.project.ask("Continue cells?", {"Continue": lambda: None, "Start new": lambda: None})
    dock.controller.images.begin()
    qtbot.waitUntil(lambda: not dock.controller.images.waiting)
    assert (window.width(), window.height()) == (1280, 800)
    assert len(dock.steps) == 3
    for widget in (*(step.header for step in dock.steps), panels.train.buttons.train):
        assert_in_sight(widget, window)


def test_train_button_and_messages_are_in_sight_beside_every_tab(dock, viewer):
    train = dock.controller.panels.train
    train.say("Written: labels.tif")
    for tab in range(dock.look.count()):
        dock.look.setCurrentIndex(tab)
        assert_in_sight(train.buttons.train, viewer.window._qt_window)
        assert_in_sight(train.messages, viewer.window._qt_window)


def test_step_does_not_scroll_where_there_is_room(dock, viewer, qtbot):
    dock.controller.images.begin()
    area = dock.steps[1].body
    qtbot.waitUntil(lambda: area.widget().isEnabled() and area.verticalScrollBar().maximum() == 0)


def test_tab_takes_no_more_room_than_it_needs(dock, viewer, qtbot):
    dock.controller.images.begin()
    area = dock.steps[1].body
    dock.look.setCurrentWidget(dock.look.widget(0))
    dock.controller.panels.result.show_objects([], (1, 1, 1), "um")
    qtbot.wait_until(lambda: area.verticalScrollBar().maximum() == 0)


def test_dock_needs_no_more_than_its_width(dock):
    assert dock.minimumSizeHint().width() <= 380


@pytest.fixture
def font_size():
    """Sets napari's font size, in points."""
    appearance = get_settings().appearance
    before = appearance.font_size
    yield lambda size: setattr(appearance, "font_size", size)
    appearance.font_size = before


def test_nothing_is_cut_off_at_the_right_in_a_large_font(dock, viewer, qtbot, font_size):
    dock.controller.images.begin()
    font_size(16)
    qtbot.waitUntil(lambda: dock.width() > 380)
    qtbot.waitUntil(lambda: dock.width() >= dock.layout().minimumSize().width())
    for area in (dock.steps[1].body, dock.look.currentWidget()):
        qtbot.waitUntil(lambda area=area: area.viewport().width() >= area.widget().minimumSizeHint().width())
    table = dock.controller.desk.tool.panel.classes.table
    assert table.rowHeight(0) >= table.fontMetrics().height()


def test_list_of_slices_takes_the_height_that_is_left(dock, viewer, qtbot):
    dock.controller.images.begin()
    listed = dock.controller.desk.tool.panel.slices.list
    qtbot.waitUntil(lambda: listed.isVisible() and listed.height() > 0)
    low = listed.height()
    viewer.window._qt_window.resize(1280, 1000)
    qtbot.waitUntil(lambda: listed.height() > low + 100)
    qtbot.mouseClick(dock.steps[1].header, Qt.MouseButton.LeftButton)
    third = dock.steps[2].header
    qtbot.waitUntil(lambda: third.mapTo(dock, QPoint(0, 0)).y() < 500)  # folded, it leaves no hole


def test_step_is_folded_by_its_title(dock, qtbot):
    step = dock.steps[0]
    qtbot.mouseClick(step.header, Qt.MouseButton.LeftButton)
    assert not step.body.isVisible()
    qtbot.mouseClick(step.header, Qt.MouseButton.LeftButton)
    assert step.body.isVisible()


def test_closed_dock_comes_back_with_the_same_panels_and_work(dock, viewer, qtbot):
    controller = dock.controller
    controller.images.begin()
    work = controller.desk.work
    viewer.window.remove_dock_widget(dock)
    _, again = viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    assert again.controller is controller
    assert controller.desk.work is work
    qtbot.waitUntil(controller.panels.train.buttons.train.isVisible)
    assert controller.panels.image.isVisible()


def test_keys_work_from_anywhere_in_the_window(dock, monkeypatch, qtbot):
    called = []
    for verb in ("train", "stop", "complete_slice", "suggest_next", "find_more"):
        monkeypatch.setattr(Controller, verb, lambda self, verb=verb: called.append(verb))
    for shortcut in dock.controller.shortcuts:
        shortcut.activated.emit()
    assert called == ["train", "stop", "complete_slice", "suggest_next", "find_more"]


@pytest.mark.parametrize("away", ["floats", "hidden", "closed"])
def test_keys_work_wherever_the_dock_is_until_the_controller_goes(dock, viewer, monkeypatch, qtbot, away):
    called = []
    monkeypatch.setattr(Controller, "complete_slice", lambda self: called.append("complete"))
    window, widget = viewer.window._qt_window, dock.parentWidget()
    if away == "floats":
        widget.setFloating(True)
    elif away == "hidden":
        widget.close()
    else:
        viewer.window.remove_dock_widget(widget)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(window, Qt.Key.Key_Return, modifiers)
    assert called == ["complete"]
    dock.controller.close()
    QTest.keyClick(window, Qt.Key.Key_Return, modifiers)
    assert called == ["complete"]


@pytest.mark.parametrize("close", [True, False])
def test_a_command_brings_the_dock_back_at_the_tool_that_is_chosen(dock, viewer, qtbot, close):
    controller = dock.controller
    controller.choose_tool("centroids")
    if close:
        viewer.window.remove_dock_widget(dock)
    else:
        dock.parentWidget().close()
    assert not dock.isVisible()
    commands.train_on_my_labels(viewer)
    qtbot.waitUntil(controller.panels.train.messages.isVisible)
    assert controller.desk.tool.method == "centroids"


def test_step_2_names_the_image_that_is_annotated_also_when_the_window_is_narrow(dock, viewer, qtbot):
    title = dock.steps[1].header
    assert title.text() == "2  Annotate"
    dock.controller.images.begin()
    assert title.text() == "2  Annotate: cells"
    viewer.layers["cells"].name = "cells of a fish & its larva, third day after fertilisation, left side"
    qtbot.waitUntil(lambda: "…" in title.text())
    assert title.text().startswith("2  Annotate: cells")
    assert dock.minimumSizeHint().width() <= 380
    assert "third day" in title.toolTip()


def test_dock_takes_the_image_that_is_selected(make_napari_viewer, fake_jobs, monkeypatch):
    monkeypatch.setattr(controllers, "Jobs", lambda: fake_jobs)
    viewer = make_napari_viewer()
    for name in ("first", "second", "third"):
        viewer.add_image(np.zeros((4, 8, 8), np.uint8), name=name)
    viewer.layers.selection.active = viewer.layers["second"]
    dock = Dock(viewer, "slices")
    panel = dock.controller.panels.image
    assert panel.layer == "second"
    viewer.layers.remove("second")
    assert panel.layer in ("first", "third")
    assert panel.picker.count() == 2
    dock.controller.close()
