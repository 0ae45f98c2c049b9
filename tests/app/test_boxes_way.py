"""The way of a user who draws boxes, with real mouse and keys in a real window; once with the real child process."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_weak3d.app.jobs import JobState
from napari_weak3d.samples import make_blobs

pytestmark = [pytest.mark.window, pytest.mark.slow]
LONG = 900_000  # ms; a training on a slow machine that is busy otherwise
QUICK = {"width": 8, "levels": 3, "minutes": 20.0}
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class User:
    """Hands on mouse and keyboard, in one window."""

    def __init__(self, viewer, image):
        self.viewer, self.image = viewer, image
        self.canvas = viewer.window._qt_window._qt_viewer.canvas.native

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.canvas, key, modifier)
        QTest.qWait(5)

    def place_of(self, row, column):
        """Where in the canvas a point of the shown slice is, in voxels of its two axes."""
        *_, down, right = self.viewer.dims.order
        camera, scale = self.viewer.scene.camera, self.image.scale
        y, x = row * scale[down] - camera.center[-2], column * scale[right] - camera.center[-1]
        size = self.canvas.size()
        return QPoint(round(size.width() / 2 + x * camera.zoom), round(size.height() / 2 + y * camera.zoom))

    def click(self, row, column):
        QTest.mouseMove(self.canvas, self.place_of(row, column))
        QTest.qWait(12)
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=self.place_of(row, column))
        QTest.qWait(5)

    def drag(self, *points):
        """Press at the first point, move over the others, release at the last."""
        places = [self.place_of(*point) for point in points]
        QTest.mouseMove(self.canvas, places[0])
        QTest.qWait(12)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=places[0])
        for place in places[1:]:
            QTest.qWait(12)  # vispy drops a move that comes within 10 ms of another
            QTest.mouseMove(self.canvas, place)
            QTest.qWait(6)  # and napari may keep it back for 5
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=places[-1])
        QTest.qWait(5)

    def box(self, low, high):
        """Draw or stretch a rectangle from the outer edge of one voxel to that of another."""
        (r0, c0), (r1, c1) = np.subtract(low, 0.5), np.subtract(high, 0.5)
        self.drag((r0, c0), ((r0 + r1) / 2, (c0 + c1) / 2), (r1, c1))

    def go_to(self, z):
        self.viewer.dims.set_current_step(0, z)
        QTest.qWait(5)


@pytest.fixture
def sample():
    return make_blobs(np.random.default_rng(1), shape=(16, 64, 64), name="blobs")


@pytest.fixture
def desk(make_napari_viewer, open_dock, sample, qtbot):
    """A dock at the tool of boxes, begun on an image in a window of 1280 x 800."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(sample.volume.data[0], name="blobs", scale=sample.volume.spacing, units=("um",) * 3)
    controller = open_dock(viewer, "boxes")
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting, timeout=LONG)
    return controller.desk


@pytest.fixture
def user(desk):
    return User(desk.viewer, desk.viewer.layers["blobs"])


def corners(desk):
    return desk.tool.boxes().corners.tolist()


def test_boxes_are_drawn_moved_resized_and_undone_by_hand(desk, user):
    user.go_to(8)
    user.box((10, 20), (20, 32))
    user.box((40, 40), (50, 52))
    (first, second), table = corners(desk), desk.tool.work.session.table
    assert [corner[1:] for corner in first] == [[10, 20], [20, 32]]
    assert [corner[1:] for corner in second] == [[40, 40], [50, 52]]
    assert first[0][0] == second[0][0] <= 8 < second[1][0], "as deep as the one before"

    user.press(Qt.Key.Key_S)
    user.click(15, 26)
    assert desk.tool.work.chosen == (1,)
    user.drag((15, 26), (18, 28), (21, 30))
    assert [corner[1:] for corner in corners(desk)[0]] == [[16, 24], [26, 36]]
    user.box((26, 36), (30, 40))  # the handle at its far corner
    assert [corner[1:] for corner in corners(desk)[0]] == [[16, 24], [30, 40]]
    user.press(Qt.Key.Key_Delete)
    assert desk.tool.work.session.table.ids.tolist() == [2]

    for _ in range(3):
        user.press(Qt.Key.Key_Z, CTRL)
    assert desk.tool.work.session.table == table
    for _ in range(3):
        user.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert desk.tool.work.session.table.ids.tolist() == [2]


def test_keys_set_where_a_box_starts_and_ends_and_copy_it(desk, user):
    user.go_to(8)
    user.box((10, 20), (20, 32))
    user.go_to(3)
    user.press(Qt.Key.Key_BracketLeft)
    user.go_to(12)
    user.press(Qt.Key.Key_BracketRight)
    assert corners(desk) == [[[3, 10, 20], [13, 20, 32]]]
    user.press(Qt.Key.Key_S)
    user.press(Qt.Key.Key_C, CTRL)
    user.go_to(4)
    user.press(Qt.Key.Key_V, CTRL)
    assert corners(desk)[1] == [[0, 10, 20], [10, 20, 32]], "pushed into the volume"
    assert desk.tool.work.chosen == (2,)


def test_a_box_is_drawn_and_its_depth_dragged_in_another_plane(desk, user):
    viewer = desk.viewer
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 30)
    viewer.reset_view()
    QTest.qWait(20)
    user.box((4, 20), (11, 32))
    (low, high) = corners(desk)[0]
    assert [low[0], low[2], high[0], high[2]] == [4, 20, 11, 32]
    user.press(Qt.Key.Key_S)
    user.click(7, 26)
    user.drag((10.5, 25.5), (12, 25.5), (13.5, 25.5))  # the handle in the middle of its far side
    assert [corners(desk)[0][end][0] for end in (0, 1)] == [4, 14]


def test_the_mouse_does_after_3d_what_it_did_before(desk, user):
    user.press(Qt.Key.Key_S)
    desk.viewer.dims.ndisplay = 3
    QTest.qWait(20)
    assert desk.tool.layer.mode == "pan_zoom", "napari lays every pencil down"
    desk.viewer.dims.ndisplay = 2
    QTest.qWait(20)
    assert desk.tool.layer.mode == "select"


def test_a_mask_is_painted_in_two_slices_interpolated_and_done(desk, user):
    user.go_to(8)
    user.box((10, 20), (30, 40))
    user.go_to(6)
    user.press(Qt.Key.Key_BracketLeft)
    user.go_to(10)
    user.press(Qt.Key.Key_BracketRight)
    user.press(Qt.Key.Key_M)
    assert desk.tool.layer.mode == "paint"
    for z in (6, 10):
        user.go_to(z)
        user.drag(*((20, column) for column in range(22, 60, 3)))  # beyond the box nothing is painted
    assert np.unique(np.nonzero(desk.tool.work.session.masks)[0]).tolist() == [6, 10]
    user.press(Qt.Key.Key_I)
    user.press(Qt.Key.Key_Z, CTRL)
    assert np.unique(np.nonzero(desk.tool.work.session.masks)[0]).tolist() == [6, 10]
    user.press(Qt.Key.Key_I)
    user.press(Qt.Key.Key_C)
    boxes = desk.tool.boxes()
    assert boxes.has_mask.tolist() == [True]
    painted = np.argwhere(boxes.masks)
    assert np.unique(painted[:, 0]).tolist() == [6, 7, 8, 9, 10]
    assert painted[:, 2].max() == 39
    assert desk.viewer.layers.selection.active is desk.tool.work.canvas.layer


def test_boxes_and_masks_come_back_from_the_project(desk, user, qtbot):
    user.go_to(8)
    user.box((10, 20), (20, 32))
    user.press(Qt.Key.Key_M)
    user.drag((15, 22), (15, 26), (15, 30))
    desk.autosave.flush()
    store = desk.project.annotations(desk.work.image_id, "boxes")
    assert store.state().boxes == desk.tool.state().boxes
    assert np.array_equal(store.read().masks, desk.tool.boxes().masks)
    before = desk.tool.boxes()
    desk.panels.tool.chosen.emit("slices")
    assert desk.tool.method == "slices"
    desk.panels.tool.chosen.emit("boxes")
    after = desk.tool.boxes()
    assert np.array_equal(after.corners, before.corners)
    assert np.array_equal(after.masks, before.masks)


def test_boxes_train_a_model_with_previews_and_become_objects(desk, user, sample, qtbot):
    viewer, tool = desk.viewer, desk.tool
    truth = viewer.add_labels(sample.labels, name="truth", scale=sample.volume.spacing)
    tool.panel.boxes_wanted.emit(0)
    tool.work.choose([1, 2])
    tool.panel.masks_wanted.emit(0)
    viewer.layers.remove(truth)
    desk.panels.train.set_settings(QUICK)
    user.go_to(8)
    QTest.mouseClick(desk.panels.train.buttons.train, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "preview" in viewer.layers, timeout=LONG)
    QTest.mouseClick(desk.panels.train.buttons.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "blobs result" in viewer.layers, timeout=LONG)
    qtbot.waitUntil(lambda: desk.jobs.state is JobState.IDLE, timeout=LONG)
    assert "preview" not in viewer.layers
    assert viewer.layers["blobs result"].data.shape == sample.labels.shape
    assert [model.method for model in desk.project.models] == ["boxes"]
