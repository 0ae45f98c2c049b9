"""When a training is asked for previews: with a child process that the test plays, and a clock that it sets."""

import numpy as np
import pytest

from napari_weak3d.app import training as trainings
from napari_weak3d.app.controller import Controller
from napari_weak3d.types import Preview

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(trainings, "time", made)
    return made


@pytest.fixture
def training(make_napari_viewer, fake_jobs, clock, qtbot):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells")
    controller = Controller(viewer, jobs=fake_jobs)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    controller.desk.layers.go_to((0, 2), controller.desk.work.layer)
    controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
    controller.desk.tool.complete_shown()
    controller.train()
    qtbot.waitUntil(lambda: len(fake_jobs.asked) == 2)  # at once, and when the training runs
    yield controller.training
    controller.close()


def show(fake_jobs, which):
    axis, _ = which
    fake_jobs.shown.emit(Preview(which, np.ones(np.delete(SHAPE, axis), np.int32)), fake_jobs.request.images[0])


def test_preview_is_renewed_every_few_seconds(training, fake_jobs):
    show(fake_jobs, (0, 2))
    assert training._renewal.interval() == 3000
    training._renewal.timeout.emit()
    assert len(fake_jobs.asked) == 3


def test_no_preview_is_asked_for_while_one_is_on_its_way(training, fake_jobs, clock):
    training.ask_preview()
    assert training._renewal.interval() > 30_000


def test_previews_that_take_long_leave_two_thirds_of_the_time_to_the_training(training, fake_jobs, clock):
    training.ask_preview()
    clock.now += 9
    show(fake_jobs, (0, 2))
    assert training._renewal.interval() == 18_000


def test_preview_lets_the_image_be_seen_where_it_is_background(training, fake_jobs):
    paint = training._desk.tool.paint_layer
    show(fake_jobs, (0, 2))
    colours = training._desk.viewer.layers["preview"].colormap.color_dict
    assert colours[1][3] == 0
    np.testing.assert_array_equal(colours[2], paint.colormap.color_dict[2])
    assert paint.colormap.color_dict[1][3] == 1


def test_paused_training_shows_other_slices_and_renews_nothing(training, fake_jobs, qtbot):
    fake_jobs.pause()
    show(fake_jobs, (0, 2))
    assert not training._renewal.isActive()
    training._desk.layers.go_to((0, 5), training._desk.work.layer)
    qtbot.waitUntil(lambda: fake_jobs.asked[-1][0] == (0, 5))
    fake_jobs.resume()
    qtbot.waitUntil(lambda: len(fake_jobs.asked) == 4)
