"""An image of four axes of which nobody says what the first is: the dock asks once, and the project remembers."""

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller

pytestmark = pytest.mark.window
SHAPE = (5, 6, 24, 28)


@pytest.fixture
def data():
    return np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)


@pytest.fixture
def controller(make_napari_viewer, fake_jobs, data):
    viewer = make_napari_viewer()
    viewer.add_image(data, name="five")
    made = Controller(viewer, jobs=fake_jobs)
    yield made
    made.close()


def note(controller):
    return controller.panels.image.note.text()


def shown_role(controller):
    return controller.panels.image.role.currentData()


def asked(controller):
    shown = controller.panels.project.bar.current
    return None if shown is None else shown.text


def answer(controller, text):
    next(each for each in controller.panels.project.bar.answer_buttons if each.text() == text).click()


def begin_as(controller, text, qtbot):
    controller.images.begin()
    answer(controller, text)
    qtbot.waitUntil(lambda: controller.desk.work is not None and not controller.desk.unsettled)
    return controller.desk.project.images[-1]


def test_guess_is_shown_and_doubted(controller):
    assert shown_role(controller) == "time"
    assert note(controller) == "The first axis, 5 long, has no name: is it time points or channels? Say so above."


@pytest.mark.parametrize("role", ["channels", "time"])
def test_doubt_goes_when_the_user_has_chosen_be_it_what_was_guessed(controller, role):
    controller.panels.image.role_chosen.emit(role)
    assert "has no name" not in note(controller)
    controller.images.begin()
    assert controller.desk.work is not None


def test_painting_does_not_begin_before_the_axis_is_settled(controller, qtbot):
    controller.images.begin()
    assert controller.desk.work is None
    assert asked(controller) == "The first axis of five, 5 long, has no name: what is it?"
    answer(controller, "Channels")
    qtbot.waitUntil(lambda: controller.desk.work is not None)
    assert controller.desk.work.time_index is None
    assert controller.desk.project.images[0].first_axis == ("channels", 5)


def test_time_points_can_be_meant(controller, qtbot):
    entry = begin_as(controller, "Time points", qtbot)
    assert (entry.time_index is not None, entry.first_axis) == (True, ("time", 5))


@pytest.mark.parametrize("shape", [(3, 6, 24, 28), (6, 24, 28)])
def test_few_channels_and_volumes_are_not_asked_about(controller, shape):
    controller.images.choose(controller.viewer.add_image(np.zeros(shape, np.uint8), name="plain"))
    controller.images.begin()
    assert asked(controller) is None
    assert controller.desk.work is not None


def test_axis_that_has_a_name_is_not_asked_about(controller, data):
    controller.images.choose(controller.viewer.add_image(data, name="movie", axis_labels=("t", "z", "y", "x")))
    controller.images.begin()
    assert asked(controller) is None
    assert controller.desk.work.time_index is not None


def test_project_remembers_what_the_first_axis_of_such_images_is(
    controller, make_napari_viewer, fake_jobs, data, qtbot
):
    begin_as(controller, "Channels", qtbot)
    controller.desk.tool.paint_layer.paint((1, 3, 3), 2)
    folder = controller.desk.project.folder
    controller.close()
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    again.images.choose(again.viewer.add_image(data[::-1], name="the next"))
    assert (shown_role(again), "has no name" in note(again)) == ("channels", False)
    again.images.begin()
    assert asked(again) is None
    again.close()
