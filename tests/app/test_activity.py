from typing import ClassVar

import pytest

from napari_weak3d.app.activity import Activity
from napari_weak3d.messages import Advanced

pytestmark = pytest.mark.window


class Bar:
    """napari's bar as far as it is used; ``during`` stands for the events that napari handles in an update."""

    open: ClassVar[list] = []

    def __init__(self, total, desc):
        self.total, self.desc, self.n, self.updates = total, f"{desc}: ", 0, []
        self.during = lambda: None
        Bar.open.append(self)

    def set_description(self, text):
        self.desc = f"{text}: "

    def update(self, n):
        self.n += n
        self.updates.append(self.n)
        self.during()

    def close(self):
        Bar.open.remove(self)


@pytest.fixture
def clock():
    now = [0.0]

    def tick(seconds=None):
        now[0] += seconds or 0.0
        return now[0]

    return tick


@pytest.fixture
def activity(monkeypatch, clock):
    monkeypatch.setattr("napari.utils.progress", Bar)
    Bar.open = []
    return Activity("Weak3D", clock=clock)


def report(step, total=100, *, job="a", message=""):
    return Advanced(job, step, total, message)


def test_the_first_report_makes_the_bar_and_the_end_removes_it(activity):
    assert Bar.open == []
    activity.show(report(3, message="training"))
    (bar,) = Bar.open
    assert (bar.n, bar.total, bar.desc) == (3, 100, "Weak3D (training): ")
    activity.close()
    assert Bar.open == []


def test_closing_without_a_bar_does_nothing(activity):
    activity.close()
    activity.close()
    assert Bar.open == []


def test_the_bar_follows_at_most_twice_a_second(activity, clock):
    for step in range(9):
        activity.show(report(step, total=100 + step))
        clock(0.125)
    (bar,) = Bar.open
    assert bar.updates == [0, 4, 8]
    assert bar.total == 108


def test_an_unknown_total_runs_to_and_fro(activity):
    activity.show(report(1, total=0))
    assert Bar.open[0].total == 0


def test_a_report_of_a_job_that_has_ended_makes_no_bar(activity):
    activity.show(report(3))
    activity.close()
    activity.show(report(4))
    assert Bar.open == []
    activity.show(report(1, job="b"))
    assert len(Bar.open) == 1


def test_an_end_in_the_middle_of_an_update_is_heeded_after_it(activity, clock):
    activity.show(report(1))
    (bar,) = Bar.open

    def handle_events():
        bar.during = lambda: None
        clock(1.0)
        activity.show(report(3))
        activity.close()

    bar.during = handle_events
    clock(1.0)
    activity.show(report(2))
    assert bar.updates == [1, 2]
    assert Bar.open == []


@pytest.mark.slow
def test_napari_shows_and_removes_the_bar(make_napari_viewer, qtbot):
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar

    dialog = make_napari_viewer().window._qt_window._activity_dialog
    activity = Activity("Weak3D")
    activity.show(report(3, message="training"))
    (bar,) = dialog.findChildren(QtLabeledProgressBar)
    assert (bar.qt_progress_bar.value(), bar.qt_progress_bar.maximum()) == (3, 100)
    assert bar.description_label.text() == "Weak3D (training): "
    activity.close()
    qtbot.waitUntil(lambda: not dialog.findChildren(QtLabeledProgressBar))


@pytest.mark.slow
def test_sign_in_the_status_bar_turns_slowly_while_the_bar_is_there(make_napari_viewer, qtbot):
    from qtpy.QtWidgets import QLabel, QStatusBar

    (status,) = make_napari_viewer().window._qt_window.findChildren(QStatusBar)
    (sign,) = [label.movie() for label in status.findChildren(QLabel) if label.movie() is not None]
    activity = Activity("Weak3D")
    activity.show(report(3))
    qtbot.waitUntil(lambda: sign.nextFrameDelay() >= 100)  # ms
    activity.close()
    assert sign.speed() == 100  # per cent
