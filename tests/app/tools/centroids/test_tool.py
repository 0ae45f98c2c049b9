"""Clicking in a real window, with a real mouse and real keys."""

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_weak3d.app.canvas_view import CanvasView
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.centroids.tool import CentroidsTool
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.project import CentroidsState

pytestmark = [pytest.mark.window, pytest.mark.slow]
SHAPE = (9, 60, 60)
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


class Hands:
    """On mouse and keyboard."""

    def __init__(self, viewer, qtbot):
        self._viewer = viewer
        self.canvas = viewer.window._qt_viewer.canvas.native
        qtbot.waitUntil(lambda: self.canvas.width() > 400 and self.canvas.isVisible())
        viewer.reset_view()
        viewer.scene.camera.zoom *= 0.9  # all of the image is in sight, and some of what is around it
        QApplication.processEvents()  # the canvas is drawn once before it knows where the mouse is

    def place_of(self, y, x, scale):
        camera, size = self._viewer.scene.camera, self.canvas.size()
        down, right = y * scale[1] - camera.center[-2], x * scale[2] - camera.center[-1]
        return QPoint(round(size.width() / 2 + right * camera.zoom), round(size.height() / 2 + down * camera.zoom))

    def point(self, y, x, layer):
        """Move the mouse there; vispy drops moves that come within 10 ms of another, and a slow window loses more."""
        place, there = self.place_of(y, x, layer.scale), np.array([y, x]) * layer.scale[1:]
        for nudge in (0, 1) * 5:
            QTest.qWait(12)
            QTest.mouseMove(self.canvas, place + QPoint(nudge, 0))
            QTest.qWait(6)  # napari may keep it back for 5
            QApplication.processEvents()
            if np.allclose(self._viewer.cursor.position[-2:], there, atol=1.0):
                return
        raise AssertionError(f"the mouse did not get to {there}, it is at {self._viewer.cursor.position}")

    def click(self, y, x, layer):
        self.point(y, x, layer)
        where = self.place_of(y, x, layer.scale)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=where)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=where)
        QApplication.processEvents()

    def drag(self, start, end, layer):
        self.point(*start, layer)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=self.place_of(*start, layer.scale))
        for share in (0.3, 0.6, 1.0):
            self.point(*(a + share * (b - a) for a, b in zip(start, end, strict=True)), layer)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=self.place_of(*end, layer.scale))
        QApplication.processEvents()

    def press(self, key, modifiers=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.canvas, key, modifiers)
        QApplication.processEvents()


def ball():
    at = np.indices(SHAPE).transpose(1, 2, 3, 0)
    return (np.linalg.norm((at - (5, 30, 30)) * (3, 1, 1), axis=-1) < 9).astype(np.float32)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1280, 900)
    viewer.add_image(ball(), name="cells", scale=(3, 1, 1), units=("um",) * 3)
    return viewer


@pytest.fixture
def said():
    return []


@pytest.fixture
def tool(viewer, said):
    layers, tools = Layers(viewer), ToolLayers(viewer)
    tool = CentroidsTool(layers, tools, CanvasView(viewer))
    viewer.window.add_dock_widget(tool.panel, name="clicks")
    tool.message.connect(said.append)
    tool.begin(viewer.layers["cells"])
    viewer.dims.set_current_step(0, 3)
    yield tool
    tool.end()
    tools.close()
    layers.close()


@pytest.fixture
def hands(viewer, tool, qtbot):
    return Hands(viewer, qtbot)


def test_clicks_are_undone_and_redone_by_keys(viewer, tool, hands):
    layer = tool.layer
    assert np.array_equal(layer.scale, viewer.layers["cells"].scale)
    hands.click(20, 25, layer)
    hands.click(40, 12, layer)
    np.testing.assert_allclose(tool.clicks.points, [[3, 20, 25], [3, 40, 12]], atol=0.6)
    assert "2 cells clicked" in tool.panel.counter.text()
    hands.drag((40, 12), (40, 40), layer)  # pans, as ever: nothing is clicked
    assert len(tool.clicks.points) == 2
    hands.press(Qt.Key.Key_Z, CTRL)
    assert len(tool.clicks.points) == 1
    hands.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert len(tool.clicks.points) == len(layer.data) == 2


def test_click_is_removed_under_the_mouse_and_by_naparis_own_keys(viewer, tool, hands):
    for y, x in ((20, 25), (40, 12), (10, 50)):
        hands.click(y, x, tool.layer)
    hands.point(41, 13, tool.layer)
    hands.press(Qt.Key.Key_D)
    np.testing.assert_allclose(tool.clicks.points[:, 1:], [[20, 25], [10, 50]], atol=0.6)
    tool.layer.selected_data = {0}
    hands.press(Qt.Key.Key_Delete)
    assert len(tool.clicks.points) == 1
    for _ in range(2):
        hands.press(Qt.Key.Key_Z, CTRL)
    assert len(tool.clicks.points) == len(tool.layer.data) == 3


def test_click_is_moved_by_hand_and_back_by_undo(tool, hands):
    hands.click(20, 25, tool.layer)
    before = tool.clicks.points.copy()
    hands.press(Qt.Key.Key_3)
    hands.drag((20, 25), (26, 33), tool.layer)
    np.testing.assert_allclose(tool.clicks.points, [[3, 26, 33]], atol=1.0)
    hands.press(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(tool.clicks.points, before)


def test_click_is_centred_across_the_slice_and_the_view_follows(viewer, tool, hands):
    hands.click(30, 31, tool.layer)
    hands.press(Qt.Key.Key_C)
    assert tool.clicks.points[0, 0] == pytest.approx(5, abs=1)
    assert viewer.dims.current_step[0] == round(tool.clicks.points[0, 0])
    hands.press(Qt.Key.Key_Z, CTRL)
    assert tool.clicks.points[0, 0] == 3


def test_clicks_are_seen_through_neighbouring_slices_as_deep_as_cells_are(viewer, tool, hands):
    for z in (0, 3, 4):
        tool.layer.add((z, 30, 30))
        tool.layer.add((z, 10, 30))
    tool.show_proposals(np.zeros((0, 3)), np.zeros(0), radius=7.0)
    viewer.dims.set_current_step(0, 3)
    sizes = tool.layer._view_size
    assert len(sizes) == 4, "a radius of 7 um is two slices of 3"
    assert sizes.min() == pytest.approx(sizes.max() * (1 - 3 / 7))
    assert sizes.max() == pytest.approx(7)
    tool.end()
    assert set(viewer.dims.margin_left) == {0.0}


def test_click_on_a_click_or_beside_the_image_is_refused_in_words(viewer, tool, hands, said, qtbot):
    hands.click(20, 25, tool.layer)
    hands.click(20, 25, tool.layer)
    assert said[-1].startswith("There is a click at z 3, y ")
    hands.click(-4, 25, tool.layer)
    assert said[-1].startswith("There is no image at z 3, y -")
    assert len(tool.clicks.points) == 1
    qtbot.waitUntil(lambda: len(tool.layer.data) == 1)


def test_in_3d_nothing_is_clicked(viewer, tool, said, qtbot):
    viewer.dims.ndisplay = 3
    tool.layer.add((3, 20, 25))
    assert len(tool.clicks.points) == 0
    assert said[-1].startswith("Click in 2D")
    qtbot.waitUntil(lambda: len(tool.layer.data) == 0)


def propose_three(tool):
    tool.layer.add((3, 20, 25))
    tool.show_proposals(np.array([[1, 10, 10], [6, 40, 40], [8, 20, 50.0]]), np.array([0.5, 0.9, 0.7]), radius=2.0)


def test_proposals_are_answered_one_by_one_with_keys(viewer, tool, hands):
    propose_three(tool)
    assert viewer.dims.current_step[0] == 6, "the surest first"
    hands.press(Qt.Key.Key_Y)
    np.testing.assert_array_equal(tool.clicks.points[-1], [6, 40, 40])
    assert viewer.dims.current_step[0] == 8
    hands.press(Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 1
    hands.press(Qt.Key.Key_X)
    np.testing.assert_array_equal(tool.clicks.refused, [[1, 10, 10]])
    assert len(tool.clicks.proposed) == 1
    for _ in range(2):
        hands.press(Qt.Key.Key_Z, CTRL)
    assert (len(tool.clicks.points), len(tool.clicks.proposed), len(tool.clicks.refused)) == (1, 3, 0)
    tool.show_proposals(np.array([[3, 20, 26.0]]), np.ones(1), radius=2.0)
    assert len(tool.clicks.proposed) == 0, "a cell that is clicked is not proposed"


def test_nothing_is_answered_that_is_not_seen(viewer, tool, hands):
    propose_three(tool)
    viewer.dims.set_current_step(0, 2)
    hands.press(Qt.Key.Key_Y)
    assert len(tool.clicks.points) == 1
    assert viewer.dims.current_step[0] == 6


def test_click_on_a_proposal_takes_its_place(viewer, tool, hands):
    propose_three(tool)
    hands.click(41, 40, tool.layer)
    assert len(tool.clicks.proposed) == 2
    np.testing.assert_allclose(tool.clicks.points[-1], [6, 41, 40], atol=0.6)


def test_all_proposals_are_taken_or_dropped_at_once(tool, hands):
    propose_three(tool)
    buttons = tool.panel.buttons
    buttons["refuse_all"].click()
    assert len(tool.clicks.proposed) == len(tool.clicks.refused) == 0
    hands.press(Qt.Key.Key_Z, CTRL)
    buttons["accept_all"].click()
    assert len(tool.clicks.points) == 4
    assert not buttons["accept_all"].isVisible()


def test_box_is_drawn_with_the_mouse_and_typed(viewer, tool, hands, qtbot):
    tool.panel.region.actions["draw"].trigger()
    hands.drag((10, 12), (40, 50), tool.layer)
    qtbot.waitUntil(lambda: tool.clicks.region is not None)
    np.testing.assert_allclose(tool.clicks.region, [(0, 9), (10, 41), (12, 51)], atol=1)
    assert viewer.layers.selection.active is tool.layer
    tool.panel.region.actions["start"].trigger()
    assert tool.clicks.region[0] == (3, 9)
    low, _ = tool.panel.region.sides[1]
    low.setValue(20)
    low.editingFinished.emit()
    assert tool.clicks.region[1][0] == 20
    assert tool.state().region == tool.clicks.region
    for _ in range(3):
        hands.press(Qt.Key.Key_Z, CTRL)
    assert tool.clicks.region is None


def test_box_is_what_is_in_view_or_around_the_clicks(viewer, tool, hands):
    hands.click(20, 25, tool.layer)
    viewer.scene.camera.zoom *= 3
    QApplication.processEvents()
    tool.panel.region.actions["view"].trigger()
    (z, (y0, y1), (x0, x1)) = tool.clicks.region
    assert z == (0, 9)
    assert 0 < y0 < 30 < y1 < 60
    assert x1 - x0 < 60
    tool.panel.region.actions["around"].trigger()
    assert all(low <= at < high for at, (low, high) in zip((3, 20, 25), tool.clicks.region, strict=True))
    tool.panel.region.actions["everywhere"].trigger()
    assert tool.clicks.region is None


def test_box_goes_while_one_of_its_sides_has_the_focus(viewer, tool, qtbot):
    row = tool.panel.region
    tool.layer.add((3, 20, 25))
    row.actions["around"].trigger()
    low, _ = row.sides[1]
    low.window().activateWindow()
    low.setFocus()
    qtbot.waitUntil(low.hasFocus)
    row.actions["everywhere"].trigger()
    QApplication.processEvents()
    assert tool.clicks.region is None


def test_points_of_the_user_are_copied_and_their_layer_stays(viewer, tool, said):
    mine = viewer.add_points([[3, 20, 25], [9, 30, 30], [99, 1, 1]], name="mine", units=("um",) * 3)
    tool.take_points(mine)
    question = tool.panel.bar.current
    assert "mine has the scale 1, 1, 1, and cells 3, 1, 1" in question.text
    question.answers["Where they are shown"]()
    np.testing.assert_allclose(tool.clicks.points, [[1, 20, 25], [3, 30, 30]])
    assert "1 lies outside the image" in said[-1]
    assert "number 3, z 33, y 1, x 1" in said[-1]
    assert len(mine.data) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("z,y\n1,2\n", "has no column x"),
        ("z;y;x\n1,5;2,5;3,5\n", ""),
        ("z,y,x\n1,two,3\n", "two"),
    ],
)
def test_tables_that_are_none_of_points_are_named(tool, said, tmp_path, text, says):
    file = tmp_path / "clicks.csv"
    file.write_text(text)
    tool.read_table(file)
    assert len(tool.clicks.points) == 0
    assert "clicks.csv" in said[-1].lower()
    assert says in said[-1]


def test_table_is_written_and_read_again(tool, tmp_path):
    tool.layer.add((3, 20, 25.5))
    tool.write_table(tmp_path / "clicks.csv")
    tool.layer.data = np.zeros((0, 3))
    tool.begin(tool._work.image_layer)
    tool.read_table(tmp_path / "clicks.csv")
    np.testing.assert_allclose(tool.clicks.points, [[3, 20, 25.5]])


def test_removed_layer_comes_back_with_its_clicks(viewer, tool):
    tool.layer.add((3, 20, 25))
    layer = tool.layer
    viewer.layers.remove(layer)
    assert "was removed" in tool.panel.bar.current.text
    tool.panel.bar.current.answers["Show it again"]()
    assert layer in viewer.layers
    assert len(tool.clicks.points) == 1


def test_all_layers_can_be_removed_and_come_back_when_needed(viewer, tool):
    tool.layer.add((3, 20, 25))
    proposals, box = tool._work.session.proposals, tool._work.box.layer
    for layer in (proposals, box):
        viewer.layers.remove(layer)
    tool.show_proposals(np.array([[6, 40, 40.0]]), np.ones(1), radius=2.0)
    assert proposals in viewer.layers
    assert box in viewer.layers
    viewer.layers.clear()
    assert len(viewer.layers) == 0
    assert len(tool.clicks.points) == 1


def test_corrected_spacing_moves_the_clicks_along(viewer, tool):
    tool.layer.add((3, 20, 25))
    viewer.layers["cells"].scale = (6, 1, 1)
    np.testing.assert_array_equal(tool.layer.scale, (6, 1, 1))
    np.testing.assert_array_equal(tool.clicks.points, [[3, 20, 25]])


def test_locked_clicks_stay_as_they_are(viewer, tool, hands):
    tool.layer.add((3, 20, 25))
    tool.lock()
    hands.click(40, 40, tool.layer)
    hands.press(Qt.Key.Key_D)
    hands.press(Qt.Key.Key_Z, CTRL)
    assert len(tool.clicks.points) == 1
    assert not tool.panel.buttons["find"].isEnabled()


def test_locked_clicks_take_no_points_and_no_box_and_say_so(viewer, tool, said, tmp_path, qtbot):
    tool.lock()
    mine = viewer.add_points([[3, 20, 25]], name="mine", scale=(3, 1, 1), units=("um",) * 3)
    labels = viewer.add_labels(np.ones(SHAPE, np.int32), scale=(3, 1, 1))
    (tmp_path / "clicks.csv").write_text("z,y,x\n3,20,25\n")
    box = tool._work.box.layer
    assert not box.editable
    corners = [[3, 1, 1], [3, 1, 9], [3, 9, 9], [3, 9, 1]]
    for take in (
        lambda: tool.take_points(mine),
        lambda: tool.read_table(tmp_path / "clicks.csv"),
        lambda: tool.take_over(labels),
        lambda: box.add_rectangles(corners),
    ):
        said.clear()
        take()
        qtbot.waitUntil(lambda: bool(said))
        assert "can only be looked at" in said[0]
    assert len(tool.clicks.points) == len(tool.clicks.proposed) == 0
    assert tool.clicks.region is None
    tool.write_table(tmp_path / "written.csv")
    assert (tmp_path / "written.csv").exists()


def test_clicks_of_the_project_come_back_and_go_with_the_tool(viewer, tool):
    state = CentroidsState(((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), region=((0, 6), (0, 9), (0, 9)), effort_s=5.0)
    tool.begin(viewer.layers["cells"], state=state)
    assert tool.state() == state
    tool.end()
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert not any(isinstance(layer, Points) for layer in viewer.layers)
    with pytest.raises(AnnotationError):
        tool.state()


def test_centres_of_a_corrected_result_are_proposed(viewer, tool):
    tool.layer.add((3, 10, 10))
    labels = np.zeros(SHAPE, np.int32)
    labels[2:5, 8:13, 8:13], labels[2:6, 30:40, 30:40] = 1, 2
    layer = viewer.add_labels(labels, scale=(3, 1, 1))
    tool._work.found_radius = 4.0
    tool.take_over(layer)
    np.testing.assert_allclose(tool.clicks.proposed, [[3.5, 34.5, 34.5]])
