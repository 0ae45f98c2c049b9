"""Painting the mask of one box, on napari's model of a viewer."""

import numpy as np
import pytest

pytestmark = pytest.mark.window


@pytest.fixture
def box(tool, hand):
    """A box that is chosen, [[3, 10, 15], [7, 20, 30]]."""
    (box_id,) = hand.draw((10, 15), (20, 30))
    return box_id


def stroke(tool, *places, label=None):
    """A stroke of the brush in the shown slice, in voxels of the image."""
    layer = tool.layer
    layer.brush_size = 1
    with layer.block_history():
        for place in places:
            layer.paint(layer.world_to_data(tool.work.image_layer.data_to_world(place)), label or layer.selected_label)


def painted(tool):
    return np.argwhere(tool.work.session.masks).tolist()


def text(tool):
    return tool.work.masking.describe(tool.work.shown())


def test_the_paint_layer_is_the_box_and_its_paint_the_mask(tool, box, image, viewer):
    tool.work.paint()
    layer = tool.layer
    assert layer.data.shape == (4, 10, 15)
    assert viewer.layers.selection.active is layer
    assert layer.data_to_world((0, 0, 0)) == pytest.approx(image.data_to_world((3, 10, 15)))
    stroke(tool, (4, 12, 20), (4, 12, 21))
    assert painted(tool) == [[4, 12, 20], [4, 12, 21]]
    assert (tool.work.session.masks[4, 12, 20:22] == box).all()


def test_it_tells_which_slices_are_left(tool, box):
    tool.work.paint()
    assert text(tool) == "Box 1: paint its object in some slices of z 3 to 6, its ends too"
    stroke(tool, (4, 12, 20), (4, 12, 21))
    assert text(tool) == "Box 1: slices left: z 3, 5 to 6"


def test_interpolation_fills_between_and_is_one_step(tool, box, layers, image):
    tool.work.paint()
    for z in (3, 6):
        layers.go_to((0, z), image)
        stroke(tool, *((z, y, x) for y in range(12, 18) for x in range(18, 26)))
    n_steps = len(tool.work.session.history._done)
    tool.work.verbs["interpolate"]()
    assert len(tool.work.session.history._done) == n_steps + 1
    assert text(tool) == "Box 1: every slice is painted"
    assert (tool.work.session.masks[3:7, 12:18, 18:26] == box).all()
    tool.work.verbs["undo"]()
    assert not tool.work.session.masks[4:6].any()
    assert not tool.layer.data[1:3].any(), "the layer shows the same voxels"


def test_nothing_to_interpolate_is_said(tool, box, qtbot):
    tool.work.paint()
    stroke(tool, (4, 12, 20))
    with qtbot.waitSignal(tool.message):
        tool.work.verbs["interpolate"]()


def test_done_marks_the_mask_and_goes_back_to_the_boxes(tool, box, viewer, qtbot):
    tool.work.paint()
    with qtbot.waitSignal(tool.message) as told:
        tool.work.verbs["done"]()
    assert "empty" in told.args[0]
    stroke(tool, (4, 12, 20))
    tool.work.verbs["done"]()
    assert tool.boxes().has_mask.tolist() == [True]
    assert viewer.layers.selection.active is tool.work.canvas.layer
    assert [layer.name for layer in viewer.layers] == ["cells", "cells masks", "cells boxes, wires", "cells boxes"]
    assert tool.paint_layer.visible
    assert tool.paint_layer.data[4, 12, 20] == box


def test_strokes_are_undone_one_by_one_also_after_leaving(tool, box):
    tool.work.paint()
    stroke(tool, (4, 12, 20))
    stroke(tool, (4, 13, 20))
    tool.work.verbs["undo"]()
    assert painted(tool) == [[4, 12, 20]]
    tool.work.verbs["leave"]()
    tool.work.verbs["redo"]()
    assert len(painted(tool)) == 2
    tool.work.verbs["undo"]()
    tool.work.verbs["undo"]()
    assert painted(tool) == []
    assert not tool.paint_layer.visible


def test_no_other_label_is_painted_with(tool, box):
    tool.work.paint()
    tool.layer.selected_label = 5
    assert tool.layer.selected_label == box
    stroke(tool, (4, 12, 20), label=5)
    assert tool.work.session.masks[4, 12, 20] == box


def test_paint_of_other_plugins_is_the_masks_too(tool, box, qtbot):
    tool.work.paint()
    tool.layer.data_setitem((np.array([0]), np.array([2]), np.array([3])), box)
    tool.work.verbs["undo"]()
    assert painted(tool) == []
    tool.work.verbs["redo"]()
    assert painted(tool) == [[3, 12, 18]]


def test_the_brush_rests_in_slices_beside_the_box(tool, box, layers, image):
    tool.work.paint()
    assert tool.layer.mode == "paint"
    layers.go_to((0, 7), image)
    assert tool.layer.mode == "pan_zoom"
    layers.go_to((0, 6), image)
    assert tool.layer.mode == "paint"


def test_a_box_that_is_changed_or_goes_ends_its_painting(tool, box, viewer):
    tool.work.paint()
    tool.work.set_face(box, 0, 1, 8)
    assert tool.layer is tool.work.canvas.layer
    tool.work.paint()
    viewer.layers.remove(tool.layer)
    assert tool.layer is tool.work.canvas.layer
    tool.work.paint()
    tool.work.delete()
    assert tool.layer is tool.work.canvas.layer


def test_complete_slice_is_done_while_a_mask_is_painted(tool, box, qtbot):
    with qtbot.waitSignal(tool.message):
        tool.complete_shown()
    tool.work.paint()
    stroke(tool, (4, 12, 20))
    tool.complete_shown()
    assert tool.boxes().has_mask.tolist() == [True]
