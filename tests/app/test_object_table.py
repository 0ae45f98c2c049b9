"""The table of objects: what it shows, sorting, and who hears of a choice."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_weak3d.app.object_table import ObjectTable
from napari_weak3d.measure import measure_objects
from napari_weak3d.types import RELATIVE, Volume

pytestmark = pytest.mark.window


def measure(unit="um", spacing=(2.0, 0.5, 0.5), n_channels=1):
    """Objects 3 (2 voxels), 5 (4 voxels) and 9 (1 voxel), of intensity 30, 50 and 90."""
    labels = np.zeros((3, 5, 6), np.int32)
    labels[1, 1, 1:3] = 3
    labels[1, 3, 1:5] = 5
    labels[1, 1, 4] = 9
    volume = Volume(np.stack([labels * 10] * n_channels), spacing, unit) if n_channels else None
    return measure_objects(labels, volume=volume, spacing=spacing, unit=unit)


@pytest.fixture
def table(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.resize(360, 140)
    with qtbot.waitExposed(table):
        table.show()
    return table


@pytest.fixture
def chosen(table):
    ids = []
    table.object_chosen.connect(ids.append)
    return ids


def texts(table, column):
    model = table.model()
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


def titles(table):
    model = table.model()
    return [model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())]


def click(qtbot, table, row, column=0):
    spot = table.visualRect(table.model().index(row, column)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=spot)


def test_a_row_per_object_with_units_in_the_header(table):
    table.show_objects(measure(), "um")
    assert titles(table) == ["id", "voxels", "volume\nµm³", "diameter\nµm", "mean\nintensity", "at\nborder"]
    assert [texts(table, column) for column in (0, 1, 2, 4, 5)] == [
        ["3", "5", "9"],
        ["2", "4", "1"],
        ["1", "2", "0.5"],
        ["30", "50", "90"],
        ["", "", ""],
    ]
    assert texts(table, 3)[1] == f"{np.cbrt(12 / np.pi):.4g}"


def test_without_a_unit_volumes_and_lengths_are_left_out(table):
    table.show_objects(measure(RELATIVE, n_channels=0), RELATIVE)
    assert titles(table) == ["id", "voxels", "at\nborder"]


def test_each_channel_has_its_mean(table):
    table.show_objects(measure(n_channels=2), "um")
    assert titles(table)[4:6] == ["mean of\nchannel 0", "mean of\nchannel 1"]


def test_a_click_on_a_header_sorts_by_number_and_a_second_one_turns_it_round(table, qtbot):
    table.show_objects(measure(), "um")
    header = table.horizontalHeader()
    spot = header.rect().center()
    spot.setX(header.sectionViewportPosition(1) + header.sectionSize(1) // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert texts(table, 0) == ["9", "3", "5"]
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert texts(table, 0) == ["5", "3", "9"]


def test_other_objects_are_sorted_as_before(table):
    table.show_objects(measure(), "um")
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    table.show_objects(measure()[:2], "um")
    assert texts(table, 0) == ["5", "3"]


def test_a_click_chooses_the_object_once_and_again_when_clicked_again(table, chosen, qtbot):
    table.show_objects(measure(), "um")
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    click(qtbot, table, 0, column=3)
    assert chosen == [9]
    click(qtbot, table, 0)
    assert chosen == [9, 9]


def test_an_arrow_key_chooses_the_next_object(table, chosen, qtbot):
    table.show_objects(measure(), "um")
    click(qtbot, table, 0)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Down)  # there is no further one
    assert chosen == [3, 5, 9]


def test_a_selection_from_outside_is_silent_and_survives_sorting_and_other_objects(table, chosen):
    table.show_objects(measure(), "um")
    table.select_object(5)
    assert table.selected_object() == 5
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert table.selected_object() == 5
    table.show_objects(measure()[1:], "um")
    assert table.selected_object() == 5
    table.select_object(0)
    assert table.selected_object() is None
    assert chosen == []


def test_an_object_that_is_gone_is_not_selected_and_is_again_when_it_returns(table):
    table.show_objects(measure(), "um")
    table.select_object(9)
    table.show_objects(measure()[:2], "um")
    assert table.selected_object() is None
    table.show_objects(measure(), "um")
    assert table.selected_object() == 9


def test_an_empty_table_can_be_sorted_and_picked_from(table, chosen):
    table.show_objects([], "um")
    table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    table.select_object(4)
    assert (table.model().rowCount(), table.selected_object(), chosen) == (0, None, [])


def test_thousands_of_rows_are_written_only_where_they_are_seen(table, qtbot, monkeypatch):
    model, written = table.model(), set()
    write = type(model).data
    monkeypatch.setattr(
        type(model), "data", lambda self, index, role=0: (written.add(index.row()), write(self, index, role))[1]
    )
    table.show_objects(measure() * 4000, "um")
    qtbot.waitUntil(lambda: len(written) > 0)
    table.select_object(9)
    assert table.maximumHeight() <= 140
    assert len(written) < 100


def test_classes_have_a_column_where_there_are_any(table):
    labels = np.zeros((3, 5, 6), np.int32)
    labels[1, 1, 1:3], labels[1, 3, 1:5] = 3, 5
    rows = measure_objects(
        labels, classes=np.where(labels == 3, 4, 2), class_names={2: "rod", 4: "ball"}, spacing=(1, 1, 1), unit="um"
    )
    assert "class" not in titles(table)
    table.show_objects(rows, "um")
    assert texts(table, titles(table).index("class")) == ["ball", "rod"]
