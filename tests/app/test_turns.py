"""Jobs that wait for their turn, give way and are called off, with a child process that the test plays."""

import json
import threading

import numpy as np
import pytest

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import AnnotationError, StorageError, Weak3DError
from napari_weak3d.io.project import Project
from napari_weak3d.messages import Finished, Suggest, Train

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    for number, name in enumerate(("first", "second")):
        viewer.add_image(np.full(SHAPE, number, np.uint8), name=name)
    return viewer


@pytest.fixture
def controller(viewer, fake_jobs, qtbot):
    made = Controller(viewer, jobs=fake_jobs)
    begin(made, viewer.layers["first"])
    qtbot.waitUntil(lambda: not made.images.waiting)
    yield made
    made.close()


@pytest.fixture
def door(monkeypatch):
    """Images get into the project only while it is open; it may say no."""

    class Door(threading.Event):
        refuses = False

    door, store = Door(), Project.store_volume
    door.set()

    def wait(*args, **kwargs):
        assert door.wait(300)
        if door.refuses:
            raise StorageError("the disk is full")
        return store(*args, **kwargs)

    monkeypatch.setattr(Project, "store_volume", wait)
    yield door
    door.set()


def begin(controller, layer):
    controller.images.choose(layer)
    controller.images.begin()


def paint(controller, z=2):
    controller.desk.layers.go_to((0, z), controller.desk.work.layer)
    controller.desk.tool.paint_layer.paint((z, 5, 5), 2)
    controller.desk.tool.complete_shown()


def add_model(controller):
    project = controller.desk.project
    model = project.add_model("a model", method="slices", images=(controller.desk.work.image_id,))
    folder = project.model_folder(model.id)
    folder.mkdir(parents=True)
    described = {"schema": 1, "method": "slices", "name": "a model", "fraction": 1.0, "summary": {}}
    (folder / "model.json").write_text(json.dumps(described))


def begin_search(controller):
    """A search for the next slice runs, as after a result."""
    paint(controller)
    add_model(controller)
    controller.training.prepare_suggestion()
    assert isinstance(controller.desk.jobs.request, Suggest)


def buttons(controller):
    shown = controller.panels.train.buttons
    return {name for name in ("train", "pause", "stop") if not getattr(shown, name).isHidden()}


def said(controller):
    return [each.text for each in controller.panels.train.messages._messages]


# ---- a search that gives way


def test_search_that_nobody_sees_does_not_keep_the_project_open(controller, fake_jobs):
    begin_search(controller)
    assert buttons(controller) == {"train"}
    controller.new_project()
    assert controller.desk.project is None
    assert fake_jobs.request is None


def test_second_training_after_a_stop_can_be_stopped_too_while_the_search_still_ends(controller, fake_jobs):
    begin_search(controller)
    for _ in range(2):
        controller.train()
        assert "stop" in buttons(controller)
        controller.stop()
        assert buttons(controller) == {"train"}
    fake_jobs.finish(slices=[])
    assert fake_jobs.request is None


def test_click_on_stop_shows_at_once_that_a_waiting_training_is_off(controller):
    begin_search(controller)
    controller.train()
    controller.panels.train.buttons.stop.click()
    assert buttons(controller) == {"train"}


def test_search_that_does_not_give_way_soon_is_ended(controller, fake_jobs):
    begin_search(controller)
    controller.train()
    controller._patience.timeout.emit()
    assert isinstance(fake_jobs.request, Train)


def test_error_at_the_end_of_a_search_does_not_lose_the_training_that_waits(controller, fake_jobs, monkeypatch):
    begin_search(controller)

    def fail(_):
        raise ValueError("boom")

    monkeypatch.setattr(controller.desk.tool, "show_suggestion", fail)
    controller.train()
    with pytest.raises(ValueError, match="boom"):
        controller._on_finished(finished(fake_jobs, slices=[]))
    assert isinstance(fake_jobs.request, Train)
    assert "stop" in buttons(controller)


def finished(fake_jobs, **result):
    """The report of a job's end, which a test hands on itself."""
    job, fake_jobs.request, fake_jobs.state = fake_jobs.request.job, None, JobState.IDLE
    return Finished(job, result)


def test_training_whose_turn_comes_and_that_cannot_begin_leaves_no_model(controller, fake_jobs, monkeypatch):
    begin_search(controller)
    before = controller.desk.project.models
    controller.train()

    def refuse(request):
        raise Weak3DError("no process can be started")

    monkeypatch.setattr(fake_jobs, "submit", refuse)
    fake_jobs.finish(slices=[])
    assert controller.desk.project.models == before
    assert not controller.training.running
    assert buttons(controller) == {"train"}


def test_slices_that_are_suggested_for_another_image_are_not_gone_to(controller, fake_jobs, viewer, qtbot):
    begin_search(controller)
    begin(controller, viewer.layers["second"])
    qtbot.waitUntil(lambda: not controller.images.waiting)
    fake_jobs.finish(slices=[[0, 21]])
    controller.suggest_next()
    axis, index = controller.desk.layers.shown_slice()
    assert index < SHAPE[axis]
    assert index != 21


# ---- images on their way


def begin_to_wait(controller, viewer, door):
    door.clear()
    begin(controller, viewer.layers["second"])
    assert controller.images.waiting
    paint(controller)
    controller.train()
    assert controller.desk.held


def test_training_that_waits_for_a_copy_can_be_called_off(controller, viewer, door, fake_jobs, qtbot):
    begin_to_wait(controller, viewer, door)
    assert "stop" in buttons(controller)
    assert "copy" in controller.panels.train.progress.message.text()
    controller.panels.train.buttons.stop.click()
    assert buttons(controller) == {"train"}
    door.set()
    qtbot.waitUntil(lambda: not controller.desk.unsettled)
    assert fake_jobs.requests == []


def test_training_begins_when_the_copy_is_there(controller, viewer, door, fake_jobs, qtbot):
    begin_to_wait(controller, viewer, door)
    door.set()
    qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Train))
    assert fake_jobs.request.images[0] == controller.desk.work.image_id


def test_training_that_waits_is_off_when_the_copy_fails(controller, viewer, door, fake_jobs, qtbot):
    begin_to_wait(controller, viewer, door)
    door.refuses = True
    door.set()
    qtbot.waitUntil(lambda: not controller.desk.held)
    assert buttons(controller) == {"train"}
    assert fake_jobs.requests == []


def test_training_that_waits_is_off_when_another_image_is_annotated(controller, viewer, door, fake_jobs, qtbot):
    begin_to_wait(controller, viewer, door)
    begin(controller, viewer.layers["first"])
    assert buttons(controller) == {"train"}
    assert any("did not begin" in text for text in said(controller))


# ---- the end


def test_training_stopped_before_it_learned_anything_is_not_segmented_with(controller, fake_jobs):
    paint(controller)
    controller.train()
    fake_jobs.finish(model=None, metrics={}, stopped=True)
    assert len(fake_jobs.requests) == 1
    assert controller.desk.project.models == ()
    assert any("no model is kept" in text for text in said(controller))


# ---- questions


def ask(controller):
    controller.desk.layers.go_to((0, 1), controller.desk.work.layer)
    controller.desk.tool.paint_layer.paint((1, 5, 5), 2)
    controller.train()
    assert isinstance(controller.panels.train.messages.current, Question)
    return controller.panels.train.messages


def test_question_about_the_paint_of_an_image_goes_with_it(controller, viewer):
    bar = ask(controller)
    before = bar.current.text
    viewer.layers.remove(controller.desk.work.layer)
    assert before not in [each.text for each in bar._questions]


def test_answer_that_cannot_be_obeyed_is_said(controller, fake_jobs, monkeypatch):
    def refuse(*_, **__):
        raise AnnotationError("the slice is gone")

    obstacle = controller.desk.tool.find_obstacle
    monkeypatch.setattr(
        controller.desk.tool,
        "find_obstacle",
        lambda: type(obstacle())(obstacle().text, dict.fromkeys(obstacle().answers, refuse)),
    )
    bar = ask(controller)
    bar.answer_buttons[0].click()
    assert "The slice is gone" in said(controller)
    assert fake_jobs.requests == []


def test_question_that_is_settled_by_hand_goes(controller, qtbot):
    bar = ask(controller)
    assert "z 1 is painted but not complete" in bar.current.text
    controller.complete_slice()
    qtbot.waitUntil(lambda: bar.current is None)


def test_question_of_an_earlier_press_of_train_does_not_hide_what_is_said_now(controller, viewer):
    bar = ask(controller)
    controller.images.choose(viewer.layers["second"])
    controller.train()
    assert [each.text[:14] for each in bar._questions] == ["You annotated "]
    controller.images.choose(viewer.layers["first"])
    controller.complete_slice()
    controller.train()
    assert bar._questions == []
    assert controller.training.running
