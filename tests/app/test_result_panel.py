"""The result panel: which settings the sliders ask for and when, and what stays silent."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_weak3d.app.result_panel import ResultPanel
from napari_weak3d.measure import measure_objects
from napari_weak3d.retouch import Retouch
from napari_weak3d.types import RELATIVE

pytestmark = pytest.mark.window

SPACING = (2.0, 0.5, 0.5)


def measure(*sizes, unit="um"):
    """Objects of these many voxels, numbered from 1."""
    labels = np.zeros((1, len(sizes), max(sizes, default=1)), np.int32)
    for number, size in enumerate(sizes):
        labels[0, number, :size] = number + 1
    return measure_objects(labels, spacing=SPACING, unit=unit)


@pytest.fixture
def panel(qtbot):
    panel = ResultPanel()
    qtbot.addWidget(panel)
    panel.resize(366, 400)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def shown(panel):
    panel.show_result(Retouch(), has_threshold=True, extras=("uncertainty", "classes"))
    panel.show_objects(measure(4, 100), SPACING, "um")
    return panel


@pytest.fixture
def asked(panel):
    settings = []
    panel.retouch_requested.connect(settings.append)
    return settings


def wait_for(qtbot, asked, n):
    qtbot.waitUntil(lambda: len(asked) >= n)


def test_without_a_result_the_panel_says_what_to_do(panel):
    assert panel.empty.isVisible()
    assert "press Train" in panel.empty.text()
    assert not panel.content.isVisible()


def test_a_result_shows_the_sliders_where_it_was_made_and_emits_nothing(panel, asked, qtbot):
    start = Retouch(smallest=7, fill_holes="planes")
    toggled = []
    panel.show_result(start, has_threshold=True, extras=("uncertainty",))
    panel.extra_toggled.connect(lambda name, on: toggled.append((name, on)))
    panel.extras.menu().actions()[0].trigger()
    panel.show_result(start, has_threshold=True, extras=("uncertainty", "classes"))
    panel.show_objects(measure(4, 100), SPACING, "um")
    qtbot.wait(400)
    assert panel.settings == start
    assert (panel.content.isVisible(), panel.empty.isVisible()) == (True, False)
    assert panel.count.text() == "2 objects"
    assert (asked, toggled) == ([], [("uncertainty", True)])
    assert [action.isChecked() for action in panel.extras.menu().actions()] == [False, False]


def test_clear_goes_back_to_saying_what_to_do(shown, asked, qtbot):
    shown.threshold.setValue(0.3)
    shown.clear()
    qtbot.wait(400)
    assert (shown.content.isVisible(), shown.empty.isVisible(), asked) == (False, True, [])


def test_moves_in_quick_succession_ask_once_for_the_last(shown, asked, qtbot):
    for value in (0.45, 0.4, 0.35):
        shown.threshold.setValue(value)
    assert asked == []
    wait_for(qtbot, asked, 1)
    qtbot.wait(400)
    assert asked == [Retouch(0.35)]


def test_a_slider_that_keeps_moving_is_answered_now_and_then(shown, asked, qtbot):
    values = iter(np.linspace(0.5, 0.01, 50))
    while not asked:  # never still for long enough to count as settled
        shown.threshold.setValue(next(values))
        qtbot.wait(30)
    assert asked[0].threshold < 0.5


def test_a_slider_that_returns_asks_for_nothing(shown, asked, qtbot):
    shown.threshold.setValue(0.4)
    shown.threshold.setValue(0.5)
    qtbot.wait(400)
    assert asked == []


def test_all_three_settings_are_asked_for_together(shown, asked, qtbot):
    shown.threshold.setValue(0.4)
    shown.smallest.number.setValue(12)
    shown.holes.setFocus()
    qtbot.keyClick(shown.holes, Qt.Key.Key_Down)
    wait_for(qtbot, asked, 1)
    qtbot.wait(400)
    assert asked == [Retouch(0.4, 12, "closed")]


def test_the_slider_of_sizes_goes_from_none_to_the_largest_object_in_even_ratios(shown, asked, qtbot):
    slider = shown.smallest.slider
    sizes = []
    for share in (0, 0.5, 1):
        slider.setValue(round(slider.maximum() * share))
        sizes.append(shown.smallest.value())
    assert sizes == [0, 10, 100]
    wait_for(qtbot, asked, 1)
    assert asked == [Retouch(smallest=100)]


def test_sizes_are_shown_in_cubic_micrometres_where_the_spacing_is_known(shown):
    shown.smallest.number.setValue(12)
    assert shown.smallest.volume.isVisible()
    assert shown.smallest.volume.text() == "6 µm³"
    shown.show_objects(measure(4, unit=RELATIVE), SPACING, RELATIVE)
    assert not shown.smallest.volume.isVisible()


def test_the_slider_of_sizes_keeps_its_scale_when_the_largest_object_has_left(shown):
    shown.smallest.number.setValue(10)
    before = shown.smallest.slider.value()
    shown.show_objects(measure(4), SPACING, "um")
    assert shown.smallest.slider.value() == before
    shown.show_result(Retouch(smallest=2), has_threshold=True, extras=("uncertainty", "classes"))
    shown.show_objects(measure(4), SPACING, "um")
    assert shown.smallest.slider.value() == shown.smallest.slider.maximum() // 2


@pytest.fixture
def scored(shown, qtbot):
    """The result of a model that gives scores, made with 0.35; and with what certainty it is asked for again."""
    shown.show_result(Retouch(), has_threshold=True, extras=(), least_score=0.352)
    shown.show_objects(measure(4, 100), SPACING, "um")
    again = []
    shown.segment_again_requested.connect(again.append)
    return shown, again


def test_a_higher_certainty_is_asked_for_at_once_and_a_lower_one_with_a_press(scored, asked, qtbot):
    panel, again = scored
    row = panel.certainty
    assert (row.isVisible(), row.slider.value(), row.again.isEnabled()) == (True, 0.35, False)
    row.slider.setValue(0.6)
    wait_for(qtbot, asked, 1)
    row.slider.setValue(0.2)
    wait_for(qtbot, asked, 2)
    assert asked == [Retouch(least_score=0.6), Retouch()]  # all that there are
    assert again == []
    qtbot.mouseClick(row.again, Qt.MouseButton.LeftButton)
    assert again == [0.2]
    panel.show_settings(Retouch(least_score=0.5))
    assert (row.slider.value(), row.again.isEnabled()) == (0.5, True)
    qtbot.mouseClick(panel.reset, Qt.MouseButton.LeftButton)
    assert (row.slider.value(), row.again.isEnabled()) == (0.35, False)


def test_certainty_is_only_there_where_objects_have_scores(scored):
    panel, _ = scored
    panel.show_result(Retouch(), has_threshold=True, extras=())
    assert not panel.certainty.isVisible()


def test_reset_goes_back_to_the_prediction_and_asks_at_once(panel, asked, qtbot):
    start = Retouch(smallest=3)
    panel.show_result(start, has_threshold=True, extras=())
    panel.show_objects(measure(4, 100), SPACING, "um")
    qtbot.mouseClick(panel.reset, Qt.MouseButton.LeftButton)
    assert asked == []  # nothing to undo
    panel.threshold.setValue(0.2)
    wait_for(qtbot, asked, 1)
    qtbot.mouseClick(panel.reset, Qt.MouseButton.LeftButton)
    assert asked == [Retouch(0.2, 3), start]
    assert panel.settings == start


def test_what_a_result_does_not_have_is_locked(panel):
    panel.show_result(Retouch(), has_threshold=False, extras=())
    assert (panel.threshold.isEnabled(), panel.extras.isEnabled()) == (False, False)
    assert panel.smallest.isEnabled()


def test_buttons_and_menu_say_what_they_are_for_once(shown, qtbot):
    heard = []
    shown.take_over_requested.connect(lambda: heard.append("take over"))
    shown.extra_toggled.connect(lambda *told: heard.append(told))
    shown.export_requested.connect(heard.append)
    qtbot.mouseClick(shown.take_over, Qt.MouseButton.LeftButton)
    shown.extras.menu().actions()[1].trigger()
    for action in shown.export.menu().actions():
        action.trigger()
    assert heard == ["take over", ("classes", True), "csv", "tiff", "zarr"]


def test_a_click_in_the_table_chooses_and_a_picked_object_is_selected_silently(shown, qtbot):
    heard = []
    shown.object_chosen.connect(heard.append)
    shown.select_object(2)
    assert (shown.table.selected_object(), heard) == (2, [])
    spot = shown.table.visualRect(shown.table.model().index(0, 0)).center()
    qtbot.mouseClick(shown.table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert heard == [1]


def test_the_panel_fits_the_dock(scored):
    assert scored[0].minimumSizeHint().width() <= 366


def test_everything_to_press_has_a_tooltip(scored):
    shown, _ = scored
    widgets = (shown.threshold, shown.smallest.slider, shown.smallest.number, shown.holes, shown.reset)
    buttons = (shown.extras, shown.table, shown.take_over, shown.export, shown.certainty.slider, shown.certainty.again)
    assert all(widget.toolTip() for widget in widgets + buttons)
