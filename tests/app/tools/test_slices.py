"""The tool that paints slices, on napari's model of a viewer: what each verb does to paint, marks and list."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tools.open_slices import obstacle_of
from napari_weak3d.app.tools.slices import SlicesTool
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.project import SlicesState
from napari_weak3d.types import PaintClass, Preview, Slices

pytestmark = pytest.mark.window
SHAPE = (8, 20, 24)


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def layers(viewer):
    layers = Layers(viewer)
    yield layers
    layers.close()


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.zeros(SHAPE, np.float32), name="cells", scale=(3, 1, 1))


@pytest.fixture
def tool(layers, image, qtbot):
    tool = SlicesTool(layers)
    qtbot.addWidget(tool.panel)
    tool.begin(image)
    return tool


def go_to(tool, image, which):
    tool._layers.go_to(which, image)


def paint(tool, image, which, *, label=2):
    """A stroke in a slice, as the brush makes it."""
    go_to(tool, image, which)
    tool.paint_layer.selected_label = label
    tool.paint_layer.mode = "paint"
    point = [4, 4, 4]
    point[which[0]] = which[1]
    tool.paint_layer.brush_size = 3
    tool.paint_layer.paint(point, label)


def rows(tool):
    tool.painted_not_complete()  # looks at all slices first
    listed = tool.panel.slices.list
    return [listed.item(number).text() for number in range(listed.count())]


def test_a_stroke_belongs_to_the_slice_in_view_in_all_three_planes(tool, image):
    for which in ((2, 7), (0, 3), (1, 9)):
        paint(tool, image, which)
    assert tool.painted_not_complete() == ((0, 3), (1, 9), (2, 7))
    assert rows(tool) == [f"{name}  painted, not complete" for name in ("z 3", "y 9", "x 7")]


def test_erased_paint_is_no_paint(tool, image):
    paint(tool, image, (0, 3))
    tool.paint_layer.paint((3, 4, 4), 0)
    assert tool.painted_not_complete() == ()
    assert rows(tool) == []


def test_the_shown_slice_is_completed_and_again_not(tool, image):
    paint(tool, image, (1, 9))
    tool.complete_shown()
    assert tool.slices().annotated == ((1, 9),)
    assert rows(tool) == ["y 9  complete, 2 classes"]
    assert tool.painted_not_complete() == ()
    assert tool.paint_layer.bounding_box.visible
    tool.complete_shown()
    assert tool.slices().annotated == ()
    assert tool.painted_not_complete() == ((1, 9),)
    assert not tool.paint_layer.bounding_box.visible


def test_the_frame_is_shown_on_complete_slices_only(tool, image):
    go_to(tool, image, (0, 3))
    tool.complete_shown()
    go_to(tool, image, (0, 4))
    assert not tool.paint_layer.bounding_box.visible
    go_to(tool, image, (0, 3))
    assert tool.paint_layer.bounding_box.visible


def test_nothing_is_completed_in_3d(tool, viewer, qtbot):
    viewer.dims.ndisplay = 3
    with qtbot.waitSignal(tool.message):
        tool.complete_shown()
    assert tool.slices().annotated == ()


def test_a_turned_image_is_told_instead_of_a_slice_to_go_to(tool, image, qtbot):
    image.rotate = (10, 20, 30)
    said = []
    tool.message.connect(said.append)
    tool.complete_shown()
    tool.next_slice()
    tool.show_suggestion(())
    assert [text[:27] for text in said] == ["cells is rotated or sheared"] * 2


def test_several_slices_are_completed_in_one_step(tool, image):
    for which in ((0, 3), (0, 5)):
        paint(tool, image, which)
    tool.complete(tool.painted_not_complete())
    assert tool.slices().annotated == ((0, 3), (0, 5))
    tool.undo()
    assert tool.slices().annotated == ()


def test_a_deleted_slice_is_empty_and_off_the_list(tool, image):
    paint(tool, image, (0, 3))
    tool.complete_shown()
    paint(tool, image, (0, 5))
    tool.delete((0, 3))
    assert not tool.slices().labels[3].any()
    assert rows(tool) == ["z 5  painted, not complete"]
    tool.undo()
    assert tool.slices().labels[3].any()
    assert tool.slices().annotated == ((0, 3),)


def test_a_slice_is_deleted_without_making_background_of_a_complete_one_that_crosses_it(tool, image):
    paint(tool, image, (1, 4))
    tool.complete_shown()
    paint(tool, image, (0, 4))
    truth = tool.slices().labels[:, 4].copy()
    tool.delete((0, 4))
    np.testing.assert_array_equal(tool.slices().labels[:, 4], truth)
    assert rows(tool) == ["y 4  complete, 2 classes"]


def test_undo_brings_the_brush_back_too(tool):
    tool.paint_layer.selected_label = 1
    tool.panel.classes.added.emit()
    assert tool.paint_layer.selected_label == 3
    tool.undo()
    assert tool.paint_layer.selected_label == 1
    tool.redo()
    assert tool.paint_layer.selected_label == 3


def test_undo_names_the_slice_that_was_painted(tool, image):
    paint(tool, image, (1, 9))
    assert tool.panel.undo.toolTip().startswith("Undo paint y 9")
    tool.paint_layer.mode = "erase"
    tool.paint_layer.paint((4, 9, 4), 0)
    assert tool.panel.undo.toolTip().startswith("Undo erase y 9")


def test_painting_begins_with_the_brush_and_with_the_choice_of_a_class_or_a_new_object(tool, viewer, image):
    layer = tool.paint_layer
    for choose in (lambda: None, lambda: tool.panel.classes.chosen.emit(1), tool.panel.classes.added.emit):
        choose()
        assert viewer.layers.selection.active is layer
        assert layer.mode == "paint"
        layer.mode, viewer.layers.selection.active = "pan_zoom", image
    tool.panel.paint_chosen.emit("objects")
    layer.mode = "erase"
    tool.new_object()
    assert viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    layer.mode = "fill"
    tool.new_object()
    assert layer.mode == "fill"  # as the user wants it


def test_the_first_object_is_object_1(tool):
    tool.panel.paint_chosen.emit("objects")
    assert tool.paint_layer.selected_label == 1
    tool.undo()
    assert tool.paint_layer.selected_label == 2


def test_the_next_slice_is_never_the_one_in_view(tool, layers, image):
    tool.next_requested.connect(lambda: tool.show_suggestion([(0, 4)]))
    go_to(tool, image, (0, 4))
    tool.next_slice()
    assert layers.shown_slice() not in (None, (0, 4))


def test_while_the_next_slice_is_looked_for_the_button_says_so(tool):
    tool.next_slice()
    assert "Looking" in tool.panel.next.text()
    tool.show_suggestion([(1, 9)])
    assert "Looking" not in tool.panel.next.text()


def test_strokes_and_steps_are_undone_and_redone_in_the_order_in_which_they_were_made(tool, image):
    snapshots = [(tool.slices().labels.copy(), tool.state().annotated, tool.state().classes)]

    def note():
        snapshots.append((tool.slices().labels.copy(), tool.state().annotated, tool.state().classes))

    for act in (
        lambda: paint(tool, image, (0, 3)),
        tool.complete_shown,
        lambda: paint(tool, image, (0, 3), label=1),
        tool.panel.classes.added.emit,
        lambda: paint(tool, image, (1, 9), label=3),
        lambda: tool.delete((0, 3)),
        lambda: tool.panel.classes.recoloured.emit(3, "#123456"),
        lambda: tool.panel.classes.removed.emit(3),
    ):
        act()
        note()

    def check(expected):
        np.testing.assert_array_equal(tool.slices().labels, expected[0])
        assert (tool.state().annotated, tool.state().classes) == expected[1:]

    for expected in reversed(snapshots[:-1]):
        tool.undo()
        check(expected)
    tool.undo()  # nothing is left
    check(snapshots[0])
    for expected in snapshots[1:]:
        tool.redo()
        check(expected)


def test_a_new_stroke_forgets_undone_steps(tool, image):
    go_to(tool, image, (0, 3))
    tool.complete_shown()
    tool.undo()
    paint(tool, image, (0, 3))
    tool.redo()
    assert tool.slices().annotated == ()
    assert tool.slices().labels.any()


def test_classes_are_added_renamed_recoloured_and_removed_with_their_paint(tool, image):
    table = tool.panel.classes
    table.added.emit()
    assert tool.paint_layer.selected_label == 3
    table.renamed.emit(3, "wall")
    table.recoloured.emit(3, "#ff0000")
    assert tool.slices().classes[-1] == PaintClass(3, "wall", "#ff0000")
    np.testing.assert_allclose(tool.paint_layer.get_color(3), (1, 0, 0, 1))
    paint(tool, image, (0, 3), label=3)
    table.removed.emit(3)
    assert not tool.slices().labels.any()
    assert [row.value for row in tool.slices().classes] == [1, 2]
    assert tool.paint_layer.selected_label == 2


def test_the_background_class_cannot_be_removed(tool):
    tool.panel.classes.removed.emit(1)
    assert [row.value for row in tool.slices().classes] == [1, 2]


def test_a_value_painted_without_a_class_gets_one(tool, image):
    paint(tool, image, (0, 3), label=5)
    assert [row.value for row in tool.slices().classes] == [1, 2, 5]
    tool.undo()
    assert [row.value for row in tool.slices().classes] == [1, 2]


def test_each_object_gets_a_new_id(tool, image):
    tool.panel.paint_chosen.emit("objects")
    assert tool.slices().paint == "objects"
    assert tool.slices().classes == ()
    paint(tool, image, (0, 3), label=41)
    tool.new_object()
    assert tool.paint_layer.selected_label == 42
    tool.complete_shown()
    assert rows(tool) == ["z 3  complete, 1 object"]


def test_a_switch_to_objects_asks_where_there_is_paint_and_can_be_undone(tool, image, qtbot):
    paint(tool, image, (0, 3), label=1)
    paint(tool, image, (0, 5), label=2)
    before = tool.slices().labels.copy()
    tool.panel.paint_chosen.emit("objects")
    assert tool.slices().paint == "classes"
    tool.panel.answer("Paint objects").click()
    assert tool.slices().paint == "objects"
    assert not tool.slices().labels[3].any()
    assert tool.slices().labels[5].any()
    tool.undo()
    assert tool.slices().paint == "classes"
    np.testing.assert_array_equal(tool.slices().labels, before)


def test_a_switch_can_be_cancelled(tool, image):
    paint(tool, image, (0, 3))
    tool.panel.paint_chosen.emit("objects")
    tool.panel.answer("Cancel").click()
    assert tool.slices().paint == "classes"


def test_the_preview_fills_what_is_unpainted_in_one_step(tool, layers, image):
    paint(tool, image, (0, 3), label=1)
    before = tool.slices().labels.copy()
    preview = np.zeros(SHAPE[1:], np.int32)
    preview[2:8] = 2
    layers.show_preview(image, Preview((0, 3), preview))
    tool.copy_preview()
    expected = before.copy()
    expected[3][(before[3] == 0) & (preview == 2)] = 2
    np.testing.assert_array_equal(tool.slices().labels, expected)
    tool.undo()
    np.testing.assert_array_equal(tool.slices().labels, before)


def test_without_a_preview_of_this_slice_copying_says_so(tool, layers, image, qtbot):
    layers.show_preview(image, Preview((0, 4), np.ones(SHAPE[1:], np.int32)))
    go_to(tool, image, (0, 3))
    with qtbot.waitSignal(tool.message) as said:
        tool.copy_preview()
    assert "z 3" in said.args[0]
    assert not tool.slices().labels.any()


def test_without_a_preview_the_result_in_sight_is_copied(tool, layers, image, qtbot):
    labels = np.zeros(SHAPE, np.int32)
    labels[3, 2:8] = 5
    layers.show_result(image, labels, name="result")
    go_to(tool, image, (0, 3))
    with qtbot.assertNotEmitted(tool.message):
        tool.copy_preview()
    np.testing.assert_array_equal(tool.slices().labels, np.where(labels, 2, 0))
    tool.undo()
    assert not tool.slices().labels.any()


def test_the_shown_slice_of_a_corrected_result_is_taken_over(tool, layers, image):
    result = layers.show_result(image, np.full(SHAPE, 2, np.int32), name="result")
    go_to(tool, image, (1, 9))
    tool.take_over(result)
    labels = tool.slices().labels
    assert (labels[:, 9] == 2).all()
    assert np.count_nonzero(labels) == labels[:, 9].size
    assert tool.painted_not_complete() == ((1, 9),)


def make_mask(viewer, *values):
    """A Labels layer of the user's, with a block of each value in a slice of its own."""
    labels = np.zeros(SHAPE, np.uint8)
    for number, value in enumerate(values):
        labels[2 + number, 3:6] = value
    return viewer.add_labels(labels, name="mine")


def test_what_own_labels_are_is_asked_and_they_stay_as_they_are(tool, viewer, image):
    mine = make_mask(viewer, 1, 2)
    before = mine.data.copy()
    tool.use_labels(mine)
    assert not tool.slices().labels.any()  # nothing before the answer
    tool.panel.answer("Classes, 1 is background").click()
    np.testing.assert_array_equal(tool.slices().labels, before)
    assert tool.painted_not_complete() == ((0, 2), (0, 3))
    assert viewer.layers[-1] is tool.paint_layer
    tool.paint_layer.paint((2, 10, 10), 2)
    np.testing.assert_array_equal(mine.data, before)


def test_a_mask_of_ones_becomes_a_class_that_is_not_the_background(tool, viewer, image):
    mine = make_mask(viewer, 1)
    tool.use_labels(mine)
    tool.panel.answer("Classes, 0 is background").click()
    np.testing.assert_array_equal(tool.slices().labels, np.where(mine.data, 2, 0))
    assert [row.value for row in tool.slices().classes if row.background] == [1]


def test_few_own_labels_can_be_objects_and_the_first_is_one_too(tool, viewer, image):
    mine = make_mask(viewer, 1, 2, 3)
    tool.use_labels(mine)
    tool.panel.answer("Objects").click()
    assert tool.slices().paint == "objects"
    np.testing.assert_array_equal(tool.slices().labels, mine.data)
    assert tool.paint_layer.selected_label == 4


def test_own_labels_of_many_values_are_objects_without_a_question(tool, viewer, image):
    labels = np.zeros(SHAPE, np.int32)
    labels[2].flat[:30] = np.arange(1, 31)
    tool.use_labels(viewer.add_labels(labels))
    assert tool.slices().paint == "objects"
    np.testing.assert_array_equal(tool.slices().labels, labels)


def test_own_labels_replace_paint_and_marks_only_when_told_and_undo_brings_them_back(tool, viewer, image, qtbot):
    paint(tool, image, (0, 3))
    tool.complete_shown()
    layer, before, state = tool.paint_layer, tool.slices().labels.copy(), tool.state()
    mine = make_mask(viewer, 1, 2)
    tool.use_labels(mine)
    tool.panel.answer("Cancel").click()
    np.testing.assert_array_equal(tool.slices().labels, before)
    tool.use_labels(mine)
    tool.panel.answer("Objects").click()
    np.testing.assert_array_equal(tool.slices().labels, mine.data)
    assert tool.slices().annotated == ()
    assert tool.paint_layer is layer
    tool.undo()
    np.testing.assert_array_equal(tool.slices().labels, before)
    assert (tool.state().paint, tool.state().annotated) == (state.paint, state.annotated)


def test_own_labels_without_a_label_are_not_used(tool, viewer, qtbot):
    with qtbot.waitSignal(tool.message) as said:
        tool.use_labels(viewer.add_labels(np.zeros(SHAPE, np.uint8), name="mine"))
    assert "no labels in mine" in said.args[0]


def test_own_labels_of_another_shape_are_refused_with_both_shapes(tool, viewer, qtbot):
    mine = viewer.add_labels(np.zeros((8, 20, 25), np.uint8), name="mine")
    with qtbot.waitSignal(tool.message) as said:
        tool.use_labels(mine)
    assert "8 x 20 x 25" in said.args[0]
    assert "8 x 20 x 24" in said.args[0]


def test_next_slices_stay_evenly_spaced_and_are_never_complete_ones(tool, layers, image):
    tool.next_requested.connect(lambda: tool.show_suggestion(()))
    seen = []
    for _ in range(3):
        tool.next_slice()
        seen.append(layers.shown_slice())
        tool.complete_shown()
    assert seen == [(0, 4), (0, 2), (0, 6)]


def test_the_next_slice_is_asked_for_and_gone_to_when_it_is_suggested(tool, layers, image):
    asked = []
    tool.next_requested.connect(lambda: asked.append(True))
    tool.next_slice()
    assert asked == [True]
    tool.show_suggestion([(1, 9), (0, 6)])
    assert layers.shown_slice() == (1, 9)
    tool.complete_shown()
    tool.next_slice()  # known already
    assert layers.shown_slice() == (0, 6)
    assert asked == [True]


def test_suggestions_that_nobody_waits_for_do_not_move_the_view(tool, layers, image):
    go_to(tool, image, (0, 1))
    tool.show_suggestion([(1, 9)])
    assert layers.shown_slice() == (0, 1)
    assert "y 9" in tool.panel.next.text()


def test_a_complete_slice_is_never_suggested(tool, layers, image):
    go_to(tool, image, (0, 6))
    tool.complete_shown()
    go_to(tool, image, (0, 0))
    tool.show_suggestion([(0, 6), (0, 2)])
    tool.next_slice()
    assert layers.shown_slice() == (0, 2)


def test_a_stored_annotation_comes_back_as_it_was(layers, image, qtbot):
    labels = np.zeros(SHAPE, np.int32)
    labels[3, 4:8] = 2
    labels[:, 9, 2:5] = 1
    classes = (PaintClass(1, "sky", "#112233", background=True), PaintClass(2, "bird", "#445566"))
    stored = Slices(labels, annotated=((0, 3),), classes=classes)
    state = SlicesState("classes", ((0, 3),), classes, region=((0, 8), (0, 20), (0, 12)), effort_s=90.0)
    tool = SlicesTool(layers)
    qtbot.addWidget(tool.panel)
    tool.begin(image, stored, state=state)
    np.testing.assert_array_equal(tool.slices().labels, labels)
    assert tool.state() == state
    assert tool.painted_not_complete() == ((1, 9),)
    tool.paint_layer.data[...] = 0
    assert stored.labels.any()


def test_painting_again_on_an_image_uses_its_layer_if_it_holds_the_same_paint(tool, viewer, image):
    paint(tool, image, (0, 3))
    stored, layer = tool.slices(), tool.paint_layer
    tool.end()
    assert not layer.visible
    tool.begin(image, stored)
    assert tool.paint_layer is layer
    assert layer.visible
    assert len(viewer.layers) == 2
    tool.begin(image)  # another project, where nothing is painted yet
    assert tool.paint_layer is not layer
    assert layer in viewer.layers


def test_without_an_image_the_annotation_is_asked_for_in_vain(layers, qtbot):
    tool = SlicesTool(layers)
    qtbot.addWidget(tool.panel)
    assert tool.paint_layer is None
    with pytest.raises(AnnotationError, match="choose an image"):
        tool.slices()
    for act in (tool.complete_shown, tool.undo, tool.redo, tool.new_object, tool.copy_preview, tool.next_slice):
        act()


def test_a_removed_paint_layer_can_be_shown_again_with_its_paint(tool, viewer, image):
    paint(tool, image, (0, 3))
    layer = tool.paint_layer
    viewer.layers.remove(layer)
    assert tool.slices().labels.any()
    tool.panel.answer("Show it again").click()
    assert layer in viewer.layers
    assert viewer.layers.selection.active is layer


def test_painting_goes_on_after_the_paint_layer_was_renamed(tool, image):
    tool.paint_layer.name = "something"
    paint(tool, image, (0, 3))
    assert tool.painted_not_complete() == ((0, 3),)


def test_every_change_is_told(tool, image, qtbot):
    for act in (
        lambda: paint(tool, image, (0, 3)),
        tool.complete_shown,
        tool.undo,
        tool.redo,
        lambda: tool.delete((0, 3)),
        lambda: tool.panel.classes.renamed.emit(2, "cell"),
    ):
        with qtbot.waitSignal(tool.changed):
            act()


def test_slices_that_are_not_complete_are_named_in_few_words():
    def ask(*slices):
        return obstacle_of(slices, is_empty=False, complete=lambda _: None)

    one = ask((0, 3))
    assert one.text.startswith("z 3 is painted")
    assert next(iter(one.answers)) == "It is complete"
    many = ask(*((0, z) for z in range(32)), (1, 4), (1, 5), (2, 0), (2, 2), (2, 3), (2, 4))
    assert many.text.startswith("z 0 to 31, y 4 and 5, x 0 and 2 to 4 are painted")
    assert next(iter(many.answers)) == "They are complete"


def test_one_class_alone_can_be_trained_on_only_once_its_slice_is_complete(tool, image):
    paint(tool, image, (0, 3))
    obstacle = tool.find_obstacle()
    assert obstacle.text == (
        "z 3 is painted but not complete. Only object is painted; in a complete slice what is unpainted is background."
    )
    assert list(obstacle.answers) == ["It is complete"]
    obstacle.answers["It is complete"]()
    assert tool.find_obstacle() is None


def test_class_that_fills_all_complete_slices_is_said_to_be_the_only_one(tool, image):
    go_to(tool, image, (0, 3))
    layer = tool.paint_layer
    layer.brush_size = 200
    layer.paint((3, 4, 4), 2)
    tool.complete_shown()
    obstacle = tool.find_obstacle()
    assert obstacle.text == "Only object is painted: paint background, or another class, too, then train"
    assert not obstacle.answers


def test_background_alone_is_said_to_need_an_object(tool, image):
    paint(tool, image, (0, 3), label=1)
    assert tool.find_obstacle().text == "Only background is painted: paint an object too, then train"
    tool.complete_shown()
    assert tool.find_obstacle().text == "Only background is painted: paint an object too, then train"


def test_complete_slice_without_paint_is_said_to_be_background_only(tool, image):
    go_to(tool, image, (0, 3))
    tool.complete_shown()
    obstacle = tool.find_obstacle()
    assert obstacle.text.startswith("z 3 is complete and empty, so there is background only: paint an object")
    assert not obstacle.answers


def test_objects_are_trained_on_only_where_a_slice_is_complete(tool, image):
    tool.panel.paint_chosen.emit("objects")
    paint(tool, image, (0, 3), label=1)
    obstacle = tool.find_obstacle()
    assert "Objects are learned from complete slices" in obstacle.text
    assert list(obstacle.answers) == ["It is complete"]
    obstacle.answers["It is complete"]()
    assert tool.find_obstacle() is None


def test_a_click_in_the_list_goes_to_the_slice(tool, layers, image):
    paint(tool, image, (1, 9))
    go_to(tool, image, (0, 0))
    rows(tool)
    listed = tool.panel.slices.list
    listed.setCurrentRow(0)
    listed.itemClicked.emit(listed.item(0))
    assert layers.shown_slice() == (1, 9)


def test_the_list_takes_marks_off_and_deletes(tool, image):
    paint(tool, image, (1, 9))
    tool.complete_shown()
    rows(tool)
    tool.panel.slices.uncomplete.click()
    assert rows(tool) == ["y 9  painted, not complete"]
    tool.panel.slices.delete.click()
    assert rows(tool) == []


def test_the_panel_fits_beside_two_other_steps(tool, image):
    paint(tool, image, (1, 9))
    for mode in ("classes", "objects"):
        tool.panel.show_paint(mode)
        assert tool.panel.sizeHint().height() <= 300
        assert tool.panel.minimumSizeHint().width() <= 380


def test_what_is_asked_about_a_paint_layer_goes_with_it(tool, viewer, image):
    paint(tool, image, (0, 3))
    viewer.layers.remove(tool.paint_layer)
    tool.begin(viewer.add_image(np.zeros(SHAPE, np.float32), name="other"))
    with pytest.raises(KeyError):
        tool.panel.answer("Show it again")
