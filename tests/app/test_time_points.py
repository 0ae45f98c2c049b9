"""Annotating one time point of several: at the others there is nothing to click, draw or train on by mistake."""

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller

pytestmark = [pytest.mark.window, pytest.mark.slow]
SHAPE = (6, 6, 24, 28)  # time points first


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    data = np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)
    viewer.add_image(data, name="movie", scale=(1, 2, 0.5, 0.5), axis_labels=("t", "z", "y", "x"))
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs):
    made = Controller(viewer, jobs=fake_jobs)
    yield made
    made.close()


@pytest.fixture
def begin(controller, viewer, qtbot):
    """Begins with a tool on time point 2."""

    def begin(tool):
        controller.choose_tool(tool)
        viewer.dims.set_point(0, 2)
        controller.images.begin()
        qtbot.waitUntil(lambda: not controller.images.waiting)
        return controller.desk.tool

    return begin


def messages(controller):
    return [each.text for each in controller.panels.train.messages._messages]


def answer(controller, text):
    next(each for each in controller.panels.train.messages.answer_buttons if each.text() == text).click()


def test_clicks_of_a_time_point_are_out_of_sight_at_another_where_none_can_be_added(begin, controller, viewer, qtbot):
    tool = begin("centroids")
    tool.layer.add((2, 5, 5))
    assert len(tool.clicks.points) == 1
    viewer.dims.set_point(0, 4)
    assert (tool.layer.visible, tool.layer.mode) == (False, "pan_zoom")
    tool.layer.visible = True  # by the user
    tool.layer.add((2, 9, 9))
    assert len(tool.clicks.points) == 1
    assert messages(controller)[-1].startswith("Time point 4 is in view, and you annotate time point 2: go back")
    qtbot.waitUntil(lambda: len(tool.layer.data) == 1)
    tool.layer.visible = False
    viewer.dims.set_point(0, 2)
    tool.layer.add((2, 9, 9))
    assert len(tool.clicks.points) == 2


def test_clicks_can_be_added_again_when_their_time_point_is_back(begin, viewer):
    tool = begin("centroids")
    viewer.dims.set_point(0, 4)
    viewer.dims.set_point(0, 2)
    assert (tool.layer.visible, tool.layer.mode) == (True, "add")


def test_points_are_not_copied_from_another_time_point(begin, controller, viewer):
    tool = begin("centroids")
    mine = viewer.add_points([[4, 2, 5, 5]], name="mine", scale=(1, 2, 0.5, 0.5))
    viewer.dims.set_point(0, 4)
    tool.take_points(mine)
    assert len(tool.clicks.points) == 0
    assert messages(controller)[-1].startswith("Time point 4 is in view")


def test_box_drawn_at_another_time_point_is_taken_away_and_why_is_said(begin, controller, viewer, qtbot):
    tool = begin("boxes")
    viewer.dims.set_point(0, 4)
    layer = tool.layer
    assert (layer.visible, layer.mode) == (False, "pan_zoom")
    layer.add([[[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]]], shape_type="rectangle")
    assert messages(controller)[-1].startswith("Time point 4 is in view, and you annotate time point 2: go back")
    qtbot.waitUntil(lambda: len(layer.data) == 0)
    assert len(tool.work.session.table) == 0
    viewer.dims.set_point(0, 2)
    assert (layer.visible, layer.mode) == (True, "add_rectangle")


def test_training_asks_where_another_time_point_is_in_view_than_was_annotated(begin, controller, viewer, fake_jobs):
    tool = begin("slices")
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    tool.paint_layer.paint((2, 5, 5), 2)
    tool.complete_shown()
    viewer.dims.set_point(0, 4)
    controller.train()
    assert not fake_jobs.requests
    answer(controller, "Go to 2")
    assert controller.desk.layers.shown_slice() is not None
    viewer.dims.set_point(0, 4)
    controller.train()
    answer(controller, "Train on 2")
    assert fake_jobs.requests[0].images == (controller.desk.work.image_id,)


def test_training_does_not_ask_in_the_time_point_that_was_annotated(begin, controller, fake_jobs):
    tool = begin("slices")
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    tool.paint_layer.paint((2, 5, 5), 2)
    tool.complete_shown()
    controller.train()
    assert len(fake_jobs.requests) == 1
