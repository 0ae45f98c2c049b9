"""The tool that draws boxes, on napari's model of a viewer: what each verb does to boxes, layers and list."""

import numpy as np
import pytest

from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import Boxes, Preview

pytestmark = pytest.mark.window
FIRST = [[3, 10, 15], [7, 20, 30]]
"""Sides of 10 and 15 um make 12.2 um, which are 4 slices of 3 um."""


def corners(tool):
    return tool.boxes().corners.tolist()


def paint_all(tool, box_id):
    session = tool.work.session
    session.step("paint", session.table, voxels=session.painting(box_id, session.mask_of(box_id) | True))


def counter(tool):
    return tool.panel._counter.text()


def test_a_rectangle_becomes_a_box_around_the_slice(tool, hand):
    assert tool.layer.mode == "add_rectangle"
    assert hand.draw((10, 15), (20, 30)) == (1,)
    assert corners(tool) == [FIRST]
    assert len(tool.layer.data) == 1
    assert tool.layer.selected_data == {0}


@pytest.mark.parametrize("which", [(1, 12), (2, 20)])
def test_a_rectangle_in_another_plane_becomes_a_box_too(tool, hand, layers, image, which):
    axis, index = which
    layers.go_to(which, image)
    hand.draw((2, 20), (6, 32))
    low, high = corners(tool)[0]
    across = [each for each in range(3) if each != axis]
    assert [[low[a] for a in across], [high[a] for a in across]] == [[2, 20], [6, 32]]
    assert low[axis] <= index < high[axis]


def test_the_next_box_is_as_deep_as_the_ones_before(tool, hand):
    hand.draw((10, 15), (20, 30))
    tool.work.start_here()
    tool.work.end_here()
    hand.draw((0, 0), (30, 30))
    assert corners(tool)[1] == [[4, 0, 0], [5, 30, 30]]


def test_slices_show_the_boxes_that_cross_them_in_all_planes(tool, hand, layers, image):
    hand.draw((10, 15), (20, 30))
    for which, n_shown in (
        ((0, 3), 1),
        ((0, 7), 0),
        ((1, 19), 1),
        ((1, 20), 0),
        ((2, 15), 1),
        ((2, 14), 0),
        ((0, 6), 1),
    ):
        layers.go_to(which, image)
        assert len(tool.layer.data) == n_shown, which
    world = np.array([tool.layer.data_to_world(each) for each in tool.layer.data[0]])
    assert world.min(axis=0) == pytest.approx(image.data_to_world((6, 9.5, 14.5)))
    assert world.max(axis=0) == pytest.approx(image.data_to_world((6, 19.5, 29.5)))


def test_rectangles_do_not_change_how_the_sliders_count(tool, hand, layers, image, viewer):
    ends = viewer.dims.range
    hand.draw((10, 15), (20, 30))
    for which in ((1, 12), (2, 20), (0, 4)):
        layers.go_to(which, image)
        assert viewer.dims.range == ends
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert viewer.dims.range == ends


def test_a_box_is_moved_in_the_plane_and_keeps_its_depth(tool, hand):
    hand.draw((10, 15), (20, 30))
    hand.drag(0, (0, 1), (9, 22))
    assert corners(tool) == [[[3, 0, 1], [7, 9, 22]]]
    assert tool.work.session.history.undoable.name == "move 1 box"
    tool.work.verbs["undo"]()
    assert corners(tool) == [FIRST]
    assert tool.layer.data[0] == pytest.approx(hand.corners_in(tool.layer, (10, 15), (20, 30))[[0, 1, 2, 3]])


def test_a_shape_that_is_dragged_off_the_grid_is_put_back_on_it(tool, hand):
    hand.draw((10, 15), (20, 30))
    before = tool.layer.data[0].copy()
    hand.drag(0, (10.2, 15.3), (20.1, 29.8))
    assert corners(tool) == [FIRST]
    assert tool.layer.data[0] == pytest.approx(before)


def test_a_click_draws_nothing(tool, hand):
    hand.draw((10, 15), (10.3, 15.2))
    assert corners(tool) == []
    assert len(tool.layer.data) == 0


def test_boxes_deleted_in_the_layer_are_gone_and_undo_brings_them_back(tool, hand):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    tool.layer.selected_data = {0}
    tool.layer.remove_selected()
    hand.rest()
    assert tool.work.session.table.ids.tolist() == [2]
    assert len(tool.layer.data) == 1
    tool.work.verbs["undo"]()
    assert tool.work.session.table.ids.tolist() == [1, 2]
    assert len(tool.layer.data) == 2


def test_what_is_selected_in_the_layer_is_chosen_and_stays_so_in_other_slices(tool, hand, layers, image):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    tool.layer.selected_data = {0}
    tool.layer._set_highlight()
    assert tool.work.chosen == (1,)
    layers.go_to((0, 11), image)
    assert tool.work.chosen == (1,)
    tool.work.end_here()
    assert tool.work.session.table.corners_of(1)[:, 0].tolist() == [3, 12]
    assert tool.layer.selected_data == {0}


def test_copies_lie_around_the_shown_slice(tool, hand, layers, image):
    hand.draw((10, 15), (20, 30))
    tool.work.copy()
    layers.go_to((0, 8), image)
    tool.work.paste()
    assert corners(tool)[1] == [[7, 10, 15], [11, 20, 30]]
    assert tool.work.chosen == (2,)
    tool.work.paste()
    assert corners(tool)[2] == [[7, 12, 18], [11, 22, 33]], "not on the one before"


def test_a_box_snaps_to_the_image(tool, hand):
    hand.draw((8, 12), (22, 33))
    tool.work.snap()
    low, high = np.array(corners(tool)[0])
    assert np.abs(low - [3, 10, 15]).max() <= 1
    assert np.abs(high - [7, 20, 30]).max() <= 1


def test_the_list_shows_first_and_last_voxels_and_sets_them(tool, hand):
    hand.draw((10, 15), (20, 30))
    model = tool.panel.list.boxes
    assert [model.data(model.index(0, column)) for column in range(8)] == [1, 3, 6, 10, 19, 15, 29, ""]
    model.setData(model.index(0, 2), 9)
    assert corners(tool) == [[[3, 10, 15], [10, 20, 30]]]
    model.setData(model.index(0, 5), 29)
    assert corners(tool) == [[[3, 10, 29], [10, 20, 30]]]


def test_a_row_that_is_clicked_is_chosen_and_shown(tool, hand, layers, image):
    hand.draw((10, 15), (20, 30))
    layers.go_to((0, 11), image)
    tool.work.choose([])
    view = tool.panel.list
    view.selectRow(0)
    view.clicked.emit(view.boxes.index(0, 0))
    assert tool.work.chosen == (1,)
    assert layers.shown_slice() == (0, 4)


def test_classes_are_drawn_given_and_removed(tool, hand):
    hand.draw((10, 15), (20, 30))
    tool.panel.classes.added.emit()
    hand.draw((0, 0), (9, 9))
    assert tool.boxes().classes.tolist() == [1, 2]
    tool.work.choose([1])
    tool.work.give_class()
    assert tool.boxes().classes.tolist() == [2, 2]
    assert tool.layer.edge_color[0] == pytest.approx(tool.layer.edge_color[1])
    tool.work.verbs["undo"]()
    tool.panel.classes.removed.emit(2)
    assert tool.boxes().classes.tolist() == [1]
    assert tool.work.value == 1


def test_a_box_becomes_the_region_and_is_drawn_as_one(tool, hand, viewer):
    hand.draw((10, 15), (20, 30))
    tool.work.set_region()
    assert tool.state().region == ((3, 7), (10, 20), (15, 30))
    assert corners(tool) == []
    assert len(tool.work.canvas.wires.data) == 4
    viewer.dims.ndisplay = 3
    assert len(tool.work.canvas.wires.data) == 12
    tool.work.clear_region()
    assert tool.state().region is None
    assert len(tool.work.canvas.wires.data) == 0


def test_boxes_are_wires_in_3d(tool, hand, viewer, image):
    hand.draw((10, 15), (20, 30))
    viewer.dims.ndisplay = 3
    wires = tool.work.canvas.wires
    ends = np.concatenate([wires.data[:, 0], wires.data.sum(axis=1)])
    world = np.array([wires.data_to_world(each) for each in ends])
    assert world.min(axis=0) == pytest.approx(image.data_to_world((2.5, 9.5, 14.5)), abs=0.02)
    assert world.max(axis=0) == pytest.approx(image.data_to_world((6.5, 19.5, 29.5)), abs=0.02)
    assert len(tool.layer.data) == 0
    viewer.dims.ndisplay = 2
    assert (len(tool.layer.data), len(wires.data)) == (1, 0)


def test_a_corrected_spacing_moves_the_boxes_along(tool, hand, image, layers):
    hand.draw((10, 15), (20, 30))
    image.scale = (3, 0.5, 0.25)
    layers.go_to((0, 4), image)
    world = np.array([tool.layer.data_to_world(each) for each in tool.layer.data[0]])
    assert world.min(axis=0) == pytest.approx(image.data_to_world((4, 9.5, 14.5)))
    assert world.max(axis=0) == pytest.approx(image.data_to_world((4, 19.5, 29.5)))
    hand.drag(0, (0, 1), (9, 22))
    assert corners(tool) == [[[3, 0, 1], [7, 9, 22]]]


def test_objects_of_labels_become_boxes_once(tool, viewer, image):
    labels = np.zeros(image.data.shape, np.int32)
    labels[3:7, 10:20, 15:30], labels[8:10, 2:5, 2:6] = 7, 9
    viewer.add_labels(labels, name="theirs")
    for _ in range(2):
        tool.panel.boxes_wanted.emit(0)
    assert corners(tool) == [FIRST, [[8, 2, 2], [10, 5, 6]]]
    tool.panel.masks_wanted.emit(0)
    assert tool.boxes().has_mask.tolist() == [True, True]
    assert np.array_equal(tool.boxes().masks == 1, labels == 7)
    tool.work.verbs["undo"]()
    assert not tool.boxes().has_mask.any()


def test_objects_of_a_corrected_result_in_this_slice_become_boxes(tool, viewer, image):
    labels = np.zeros(image.data.shape, np.int32)
    labels[3:7, 10:20, 15:30], labels[8:10, 2:5, 2:6] = 7, 9
    tool.take_over(viewer.add_labels(labels, name="result"))
    assert corners(tool) == [FIRST]


def test_labels_of_another_shape_are_refused_with_a_message(tool, viewer, qtbot):
    viewer.add_labels(np.zeros((3, 4, 5), int), name="other")
    with qtbot.waitSignal(tool.message) as told:
        tool.panel.boxes_wanted.emit(0)
    assert "3 x 4 x 5" in told.args[0]


def test_verbs_without_a_chosen_box_or_a_slice_say_so(tool, viewer, qtbot):
    for verb in ("snap", "delete", "give_class", "paint"):
        with qtbot.waitSignal(tool.message) as told:
            tool.work.verbs[verb]()
        assert "Choose a box" in told.args[0]
    viewer.dims.ndisplay = 3
    with qtbot.waitSignal(tool.message) as told:
        tool.work.start_here()
    assert "2D" in told.args[0]


def test_the_state_brings_everything_back(tool, hand, image, viewer):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    tool.work.choose([1])
    tool.work.delete()
    paint_all(tool, 2)
    state, boxes = tool.state(), tool.boxes()
    tool.end()
    assert [layer.name for layer in viewer.layers] == ["cells"]
    tool.begin(image, boxes, state=state)
    assert tool.state() == state
    assert np.array_equal(tool.boxes().masks, boxes.masks)
    assert np.unique(tool.paint_layer.data).tolist() == [0, 2]
    assert tool.layer.mode == "select"


def test_boxes_from_elsewhere_are_numbered_and_their_masks_are_done(tool, image):
    masks = np.zeros(image.data.shape, np.int32)
    masks[4, 12, 16] = 2
    known = Boxes(np.array([[[0, 0, 0], [1, 1, 1]], FIRST]), np.array([1, 2]), masks, np.array([False, True]))
    tool.begin(image, known)
    assert tool.boxes().has_mask.tolist() == [False, True]
    assert tool.work.session.painted == {2}


def test_masks_of_another_shape_are_refused(tool, image):
    known = Boxes(np.array([FIRST]), np.array([1]), np.zeros((2, 2, 2), np.int32), np.array([True]))
    with pytest.raises(AnnotationError, match="2 x 2 x 2"):
        tool.begin(image, known)


def test_nothing_is_changed_while_it_is_locked(tool, hand):
    hand.draw((10, 15), (20, 30))
    tool.lock()
    for verb in ("delete", "snap", "undo", "paint", "set_region", "paste"):
        tool.work.verbs[verb]()
    tool.layer.remove([0])
    hand.rest()
    assert corners(tool) == [FIRST]
    assert len(tool.layer.data) == 1
    assert not tool.panel.classes.isEnabled(), "a class goes with its boxes"


def test_before_a_training_the_tool_says_what_is_missing(tool, hand):
    assert "no boxes" in tool.find_obstacle().text
    hand.draw((10, 15), (20, 30))
    assert list(tool.find_obstacle().answers) == ["Train on boxes alone"]
    paint_all(tool, 1)
    obstacle = tool.find_obstacle()
    assert "mask of box 1" in obstacle.text
    obstacle.answers["All of it is right"]()
    assert tool.find_obstacle() is None
    assert tool.boxes().has_mask.all()


def test_a_region_without_any_box_in_it_is_said_before_a_training(tool, hand):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    tool.work.choose([1])
    tool.work.set_region()
    assert "in the region" in tool.find_obstacle().text
    hand.draw((11, 16), (14, 20))
    assert list(tool.find_obstacle().answers) == ["Train on boxes alone"], "the box beside it does no harm"


def test_next_goes_to_boxes_without_mask_and_to_suggested_slices_first(tool, hand, layers, image, qtbot):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    layers.go_to((0, 10), image)
    hand.draw((20, 20), (30, 30))
    tool.work.choose([])
    for expected in (1, 2):
        with qtbot.waitSignal(tool.next_requested):
            tool.next_slice()
        tool.show_suggestion([])
        assert tool.work.chosen == (expected,)
    assert layers.shown_slice() == (0, 4)
    tool.show_suggestion([(0, 11)])
    tool.next_slice()
    assert tool.work.chosen == (3,)


def test_next_goes_to_suggested_boxes_in_their_order_and_passes_over_those_with_a_mask(tool, hand, qtbot):
    for low in (0, 10, 20, 30):
        hand.draw((low, 0), (low + 8, 8 + low))
    tool.work.choose([])
    paint_all(tool, 3)
    tool.work.session.step("done", tool.work.session.table.with_done([3], True))
    with qtbot.waitSignal(tool.next_requested):
        tool.next_slice()
    tool.show_suggested_boxes([4, 3, 99, 2])
    assert tool.work.chosen == (4,), "not the largest in its slice"
    tool.next_slice()
    assert tool.work.chosen == (2,)
    with qtbot.waitSignal(tool.next_requested):
        tool.next_slice()


def test_the_counter_counts(tool, hand):
    assert "Press R" in counter(tool)
    hand.draw((10, 15), (20, 30))
    assert counter(tool).startswith("1 box, 0 masks done")


def test_a_preview_is_drawn_as_wires_in_its_slice_while_there_is_one(tool, layers, image):
    labels = np.zeros((40, 50), np.int32)
    labels[3:9, 4:12], labels[20:22, 30:33] = 1, 2
    preview = Preview((0, 4), labels)
    layers.show_preview(image, preview)
    tool.show_preview(preview)
    wires = tool.work.canvas.wires
    assert len(wires.data) == 8
    layers.go_to((0, 5), image)
    assert len(wires.data) == 0
    layers.go_to((0, 4), image)
    world = np.array([wires.data_to_world(each) for each in wires.data[:4, 0]])
    assert world.min(axis=0) == pytest.approx(image.data_to_world((4, 2.5, 3.5)))
    layers.hide_preview()
    assert len(wires.data) == 0


def test_boxes_of_a_preview_are_drawn_in_its_slice_and_in_3d(tool, layers, image, viewer):
    boxes = np.array([[[3, 10, 15], [7, 20, 30]], [[6, 0, 0], [9, 5, 5]]])
    preview = Preview((0, 4), np.zeros((40, 50), np.int32), boxes=boxes)
    layers.show_preview(image, preview)
    tool.show_preview(preview)
    wires = tool.work.canvas.wires
    assert len(wires.data) == 4, "one of them crosses the slice"
    viewer.dims.ndisplay = 3
    assert len(wires.data) == 24
    ends = np.concatenate([wires.data[:, 0], wires.data.sum(axis=1)])
    back = [image.world_to_data(wires.data_to_world(each)) for each in ends]
    assert np.min(back, axis=0) == pytest.approx([2.5, -0.5, -0.5], abs=0.1)
    assert np.max(back, axis=0) == pytest.approx([8.5, 19.5, 29.5], abs=0.1)
    layers.hide_preview()
    assert len(wires.data) == 0


def test_chosen_boxes_stand_out_in_3d(tool, hand, viewer):
    hand.draw((10, 15), (20, 30))
    hand.draw((0, 0), (9, 9))
    viewer.dims.ndisplay = 3
    wires = tool.work.canvas.wires
    tool.work.choose([2])
    first, second = wires.edge_color[:12], wires.edge_color[12:]
    assert (second == (1, 1, 0, 1)).all()
    assert (first != second).any()


def turned(degrees):
    """A turn in the plane, as napari takes it."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


@pytest.mark.parametrize(
    "place", [{"scale": (3, -1, 0.5)}, {"rotate": turned(20)}, {"affine": np.diag([2, 1, 1, 1])}], ids=str
)
def test_boxes_lie_right_on_images_that_are_mirrored_turned_or_transformed(tool, hand, layers, viewer, place):
    image = viewer.add_image(np.zeros((12, 40, 50)), **place)
    tool.begin(image)
    layers.go_to((0, 4), image)
    hand._image = image
    hand.draw((10, 15), (20, 30))
    assert corners(tool)[0][0][1:] == [10, 15]
    assert corners(tool)[0][1][1:] == [20, 30]
    layers.go_to((0, 5), image)
    back = [image.world_to_data(tool.layer.data_to_world(each)) for each in tool.layer.data[0]]
    assert np.min(back, axis=0) == pytest.approx([5, 9.5, 14.5], abs=1e-4)
    assert np.max(back, axis=0) == pytest.approx([5, 19.5, 29.5], abs=1e-4)
    tool.work.paint()
    assert tool.layer.data_to_world((0, 0, 0)) == pytest.approx(image.data_to_world(corners(tool)[0][0]))
    viewer.dims.ndisplay = 3
    wires = tool.work.canvas.wires
    ends = np.concatenate([wires.data[:, 0], wires.data.sum(axis=1)])
    back = [image.world_to_data(wires.data_to_world(each)) for each in ends]
    assert np.min(back, axis=0)[1:] == pytest.approx([9.5, 14.5], abs=0.05)


def test_of_channels_and_time_points_the_one_in_view_is_snapped_to(tool, hand, layers, viewer, image):
    data = np.stack([np.zeros_like(image.data), image.data])
    movie = viewer.add_image(data, axis_labels=("t", "z", "y", "x"))
    tool.begin(movie)
    hand._image = None
    tool.work.session.add(np.array([[[2, 8, 12], [8, 22, 33]]]), [1], name="draw")
    tool.work.choose([1])
    for time, expected in ((0, [[2, 8, 12], [8, 22, 33]]), (1, [[3, 10, 15], [7, 20, 30]])):
        viewer.dims.set_current_step(0, time)
        tool.work.snap()
        assert np.abs(np.array(corners(tool)[0]) - expected).max() <= 1


def test_thousands_of_boxes_are_no_trouble(tool, layers, image):
    rng = np.random.default_rng(0)
    low = rng.integers(0, (10, 36, 46), (3000, 3))
    tool.work.session.add(np.stack([low, low + 3], axis=1), [1] * 3000, name="draw")
    layers.go_to((0, 5), image)
    assert len(tool.layer.data) == (abs(low[:, 0] - 4) <= 1).sum()
    assert tool.panel.list.boxes.rowCount() == 3000
    tool.work.choose(list(range(1, 3001)))
    tool.work.delete()
    assert len(tool.layer.data) == 0
    tool.work.verbs["undo"]()
    assert len(corners(tool)) == 3000
