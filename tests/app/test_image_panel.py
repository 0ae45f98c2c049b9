"""Step 1 of the dock, without a viewer."""

import pytest
from qtpy.QtCore import Qt

from napari_weak3d.app.image_panel import ImagePanel

pytestmark = pytest.mark.window


@pytest.fixture
def panel(qtbot):
    panel = ImagePanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def test_without_an_image_it_says_how_to_open_one(panel):
    assert panel.note.text().startswith("Open an image")
    assert not panel.picker.isEnabled()


def test_picker_shows_the_layers_and_the_current_one(panel):
    panel.show_layers(["a", "b"], current="b")
    assert (panel.picker.count(), panel.layer) == (2, "b")


def test_spacing_of_one_without_unit_is_warned_about(panel):
    panel.show_spacing((1, 1, 1), "relative", n_planes=9)
    assert "how large a voxel is" in panel.note.text()
    strong = panel.note.styleSheet()
    panel.show_spacing((1, 1, 1), "um", n_planes=9)
    assert "Is a voxel 1 µm" in panel.note.text()
    assert panel.note.styleSheet() != strong  # milder: it may be so
    panel.show_spacing((2, 1, 1), "um", n_planes=9)
    assert panel.note.text() == ""


def test_one_plane_alone_is_not_warned_about_planes(panel):
    panel.show_spacing((1, 1, 1), "relative", n_planes=1)
    assert "how large a pixel is" in panel.note.text()
    assert "plane" not in panel.note.text()


def test_edited_spacing_is_told_once(panel, qtbot):
    panel.show_spacing((1, 0.5, 0.5), "um", n_planes=9)
    told = []
    panel.spacing_chosen.connect(lambda spacing, unit: told.append((spacing, unit)))
    box = panel.spacing.sizes[0]
    box.selectAll()
    qtbot.keyClicks(box, "2.5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    panel.spacing.sizes[1].setFocus()
    assert told == [((2.5, 0.5, 0.5), "um")]


def test_setters_tell_nothing(panel, qtbot):
    with qtbot.assertNotEmitted(panel.spacing_chosen), qtbot.assertNotEmitted(panel.layer_chosen):
        panel.show_layers(["a"], current="a")
        panel.show_spacing((3, 1, 1), "um", n_planes=9)


def test_last_channel_cannot_be_unticked(panel, qtbot):
    panel.show_layers(["a"], current="a")
    panel.show_channels(2, chosen=(1,))
    told = []
    panel.channels_chosen.connect(told.append)
    first, second = panel.channel_boxes
    qtbot.mouseClick(second, Qt.MouseButton.LeftButton)
    assert second.isChecked()
    assert told == []
    first.click()
    assert told == [(0, 1)]


def test_rows_that_do_not_apply_are_hidden(panel):
    panel.show_layers(["a"], current="a")
    panel.show_axes(None, n=0)
    panel.show_channels(1, chosen=None)
    assert not panel.role.isVisible()
    panel.show_axes("time", n=9)
    assert panel.role.isVisible()
    assert panel.role.currentData() == "time"


def test_what_is_fixed_stays_fixed_when_layers_come_and_go(panel):
    panel.show_layers(["a"], current="a")
    panel.set_fixed(True)
    panel.show_layers(["a", "b"], current="a")
    panel.show_spacing((2, 1, 1), "um", n_planes=9)
    assert not panel.spacing.isEnabled()
    panel.set_fixed(False)
    assert panel.spacing.isEnabled()
