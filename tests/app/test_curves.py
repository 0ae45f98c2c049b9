import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.app.curves import HELD_OUT, LOSS, Curves
from napari_weak3d.app.series import Series, smooth
from napari_weak3d.messages import Advanced

pytestmark = pytest.mark.window


@pytest.fixture
def curves(qtbot):
    curves = Curves()
    qtbot.addWidget(curves)
    return curves


def report(step, *, job="a", **metrics):
    return Advanced(job, step, 1000, metrics=metrics)


def plain_means(values: list[float], *, limit: int) -> list[float]:
    """Block means with the smallest power of two that leaves fewer than ``limit`` full blocks."""
    block = 1
    while len(values) // block >= limit:
        block *= 2
    return [sum(part) / len(part) for part in (values[i : i + block] for i in range(0, len(values), block))]


def test_few_points_are_kept_as_they_are():
    series = Series(limit=8)
    for x, y in [(1, 0.5), (2, 0.25), (5, 1.0)]:
        series.add(x, y)
    x, y = series.points
    assert (x.tolist(), y.tolist()) == ([1, 2, 5], [0.5, 0.25, 1.0])


def test_no_points_are_two_empty_arrays():
    x, y = Series().points
    assert (x.shape, y.shape) == ((0,), (0,))


def test_too_many_points_become_means_of_pairs():
    series = Series(limit=4)
    for x, y in enumerate([1.0, 3.0, 5.0, 7.0, 20.0]):
        series.add(x, y)
    x, y = series.points
    assert (x.tolist(), y.tolist()) == ([0.5, 2.5, 4.0], [2.0, 6.0, 20.0])


@settings(max_examples=40)
@given(st.lists(st.floats(-1e3, 1e3), max_size=40), st.sampled_from([2, 4, 8]))
def test_thinned_points_are_block_means(values, limit):
    series = Series(limit=limit)
    for x, y in enumerate(values):
        series.add(x, y)
    np.testing.assert_allclose(series.points[1], plain_means(values, limit=limit), atol=1e-9)
    assert len(series) == len(series.points[0]) <= limit


def test_what_is_not_finite_is_left_out():
    series = Series()
    for y in (math.nan, math.inf, 1.0):
        series.add(0, y)
    assert series.points[1].tolist() == [1.0]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.integers(0, 30))
def test_smoothing_is_a_mean_over_neighbours_that_are_there(values, window):
    reach = window // 2
    plain = [np.mean(values[max(i - reach, 0) : i + reach + 1]) for i in range(len(values))]
    np.testing.assert_allclose(smooth(np.array(values), window=window), plain, atol=1e-9)


def test_loss_and_held_out_score_are_taken_from_reports(curves):
    curves.add(report(1, loss=0.9))
    curves.add(report(2, loss=0.8, held_out_iou=0.4))
    curves.add(report(3, other=1.0))
    assert [values.tolist() for values in curves.points[LOSS]] == [[1, 2], [0.9, 0.8]]
    assert [values.tolist() for values in curves.points[HELD_OUT]] == [[2], [0.4]]


def test_another_training_begins_new_curves_and_another_job_does_not(curves):
    curves.add(report(1, loss=0.9))
    curves.add(Advanced("segmenting", 1, 10))
    assert curves.points[LOSS][1].tolist() == [0.9]
    curves.add(report(1, job="b", loss=0.7))
    assert curves.points[LOSS][1].tolist() == [0.7]


def test_a_training_that_begins_again_begins_new_curves(curves):
    curves.add(report(5, loss=0.9))
    curves.add(report(1, loss=0.7))
    assert curves.points[LOSS][0].tolist() == [1]


def test_before_the_first_point_a_text_says_what_comes(curves):
    curves.show()
    assert curves.empty.isVisible()
    assert curves.legend.isHidden()


def test_points_replace_the_text_and_the_legend_says_the_latest_values(curves, qtbot):
    curves.show()
    curves.add(report(1, loss=0.98765, held_out_iou=0.456))
    qtbot.waitUntil(lambda: not curves.empty.isVisible())
    assert "loss 0.988" in curves.legend.text()
    assert "held-out score 0.46" in curves.legend.text()


def test_points_that_came_while_hidden_are_drawn_when_shown(curves):
    curves.add(report(1, loss=0.9))
    curves.show()
    assert not curves.empty.isVisible()


def test_cleared_curves_say_again_what_comes(curves):
    curves.show()
    curves.add(report(1, loss=0.9))
    curves.draw()
    curves.clear()
    assert curves.empty.isVisible()


def test_what_is_drawn_are_the_points(curves):
    curves.show()
    for step in range(60):
        curves.add(report(step, loss=1.0, held_out_iou=0.5))
    curves.draw()
    drawn = [item.getData() for item in curves.plot_items()]
    for x, y in drawn[:2]:
        np.testing.assert_array_equal((x, y), (np.arange(60), np.ones(60)))
    for x, y in drawn[2:]:
        np.testing.assert_array_equal((x, y), (np.arange(60), np.full(60, 0.5)))


def test_colours_follow_the_theme(curves, qtbot):
    curves.setStyleSheet("background-color: #202020; color: #f0f0f0;")
    curves.show()
    curves.add(report(1, loss=0.9))
    curves.draw()
    dark = curves.grab().toImage().pixelColor(60, 60).name()
    legend = curves.legend.text()
    curves.setStyleSheet("background-color: #f0f0f0; color: #101010;")
    qtbot.waitUntil(lambda: curves.legend.text() != legend)
    assert (dark, curves.grab().toImage().pixelColor(60, 60).name()) == ("#202020", "#f0f0f0")


@pytest.mark.slow
def test_the_plotting_library_comes_with_the_first_point_to_be_seen():
    code = """
import sys
from qtpy.QtWidgets import QApplication
app = QApplication([])
from napari_weak3d.app.curves import Curves
from napari_weak3d.messages import Advanced
curves = Curves()
curves.show()
app.processEvents()
assert "pyqtgraph" not in sys.modules
curves.add(Advanced("a", 1, 10, metrics={"loss": 1.0}))
curves.draw()
assert "pyqtgraph" in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
