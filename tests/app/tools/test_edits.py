"""What steps do to paint, on drawn objects."""

import numpy as np
import pytest

from napari_weak3d.app.tools import edits
from napari_weak3d.app.tools.paint_state import PaintState
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import PaintClass, Slices

pytestmark = pytest.mark.window
SHAPE = (4, 5, 6)
CLASSES = PaintState()
OBJECTS = PaintState("objects")


def apply(labels, edit):
    result = labels.copy()
    result[edit[0]] = edit[1]
    return result


def make_labels():
    """A z slice with two objects, and a y slice that crosses the first."""
    labels = np.zeros(SHAPE, np.int32)
    labels[1, 0:3, 0:2] = 1
    labels[1, 4, 4:6] = 2
    labels[:, 2, 0:2] = 1
    return labels


def test_clearing_a_slice_leaves_what_lies_on_complete_slices_that_cross_it():
    labels = make_labels()
    cleared = apply(labels, edits.clear_slice(labels, (0, 1), complete=[(0, 1), (1, 2)]))
    np.testing.assert_array_equal(cleared[:, 2], labels[:, 2])
    assert not np.delete(cleared[1], 2, 0).any()
    np.testing.assert_array_equal(np.delete(cleared, 1, 0), np.delete(labels, 1, 0))


def test_clearing_a_slice_clears_it_all_where_no_complete_one_crosses_it():
    labels = make_labels()
    cleared = apply(labels, edits.clear_slice(labels, (0, 1), complete=[(0, 1), (0, 3)]))
    assert not cleared[1].any()


def test_a_preview_of_classes_fills_only_what_is_unpainted():
    labels = make_labels()
    preview = np.full((5, 6), 2, np.int32)
    preview[:, 5] = 0
    edit, state = edits.copy_preview(labels, preview, which=(0, 1), state=CLASSES)
    after = apply(labels, edit)
    expected = np.where(labels[1] == 0, preview, labels[1])
    np.testing.assert_array_equal(after[1], expected)
    assert state.painted == ((0, 1),)


def test_the_background_of_a_preview_is_left_out():
    preview = np.full((5, 6), 1, np.int32)
    preview[2] = 2
    labels = np.zeros(SHAPE, np.int32)
    edit, _ = edits.copy_preview(labels, preview, which=(0, 1), state=CLASSES)
    np.testing.assert_array_equal(apply(labels, edit)[1], np.where(preview == 2, 2, 0))


def test_a_result_of_objects_copied_keeps_the_ids_of_painted_ones_and_what_is_painted():
    labels, other = make_labels(), np.zeros(SHAPE, np.int32)
    other[:, 0:3, 0:4] = 70  # painted 1 in y 2
    state = OBJECTS.with_painted([(1, 2)])
    edit, _ = edits.copy_result(labels, other, which=(0, 3), state=state)
    after = apply(labels, edit)
    assert (after[3, 0:3, 0:4] == 1).all()
    np.testing.assert_array_equal(after[:3], labels[:3])


def test_a_result_copied_as_classes_becomes_the_one_class_there_is():
    labels, other = np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.int32)
    other[3, 2], other[3, 4] = 7, 8
    edit, _ = edits.copy_result(labels, other, which=(0, 3), state=CLASSES)
    np.testing.assert_array_equal(apply(labels, edit), np.where(other, 2, 0))
    with pytest.raises(AnnotationError, match="which classes"):
        edits.copy_result(labels, other, which=(0, 3), state=THREE)


def test_a_preview_of_objects_keeps_its_objects_apart():
    labels = make_labels()
    preview = np.zeros((5, 6), np.int32)
    preview[0:3, 0:4] = 1  # grows the first object
    preview[0:3, 5] = [2, 2, 7]  # two that touch and are not painted yet
    edit, _ = edits.copy_preview(labels, preview, which=(0, 1), state=OBJECTS)
    after = apply(labels, edit)[1]
    assert (after[0:3, 0:4] == 1).all()
    assert after[0:3, 5].tolist() == [3, 3, 4]
    assert (after[4, 4:6] == 2).all()


def take_over(labels, other, which, *, state, painted=(), values="objects", classes=None):
    edit, after = edits.take_over(
        labels, other, which=which, state=state, painted=painted, values=values, classes=classes
    )
    assert after.painted == (which,)
    return apply(labels, edit)


def test_a_result_taken_over_keeps_the_ids_of_painted_objects_also_of_other_slices():
    labels = make_labels()
    other = np.zeros(SHAPE, np.int32)
    other[:, 0:3, 0:2] = 70  # painted 1 in z 1
    other[:, 4, 0:2] = 80  # not painted
    after = take_over(labels, other, (0, 3), state=OBJECTS, painted=[(0, 1)])
    assert (after[3, 0:3, 0:2] == 1).all()
    assert (after[3, 4, 0:2] == 3).all()
    np.testing.assert_array_equal(after[:3], labels[:3])


def test_what_is_taken_over_replaces_what_was_painted():
    assert not take_over(make_labels(), np.zeros(SHAPE, np.int32), (0, 1), state=CLASSES)[1].any()


@pytest.mark.parametrize("value", [1, 2, 17])
def test_objects_taken_over_as_classes_become_the_one_class_there_is(value):
    other = np.zeros(SHAPE, np.int32)
    other[2, 1] = value
    after = take_over(np.zeros(SHAPE, np.int32), other, (0, 2), state=CLASSES)
    np.testing.assert_array_equal(after, np.where(other, 2, 0))


def test_classes_taken_over_stay_what_they_are():
    other = np.zeros(SHAPE, np.uint8)
    other[2, 1], other[2, 3] = 1, 2
    after = take_over(np.zeros(SHAPE, np.int32), other, (0, 2), state=CLASSES, values="classes")
    np.testing.assert_array_equal(after, other)


THREE = PaintState(classes=(*CLASSES.classes, PaintClass(3, "wall")))


def test_each_object_taken_over_becomes_the_class_that_most_of_it_is():
    other, classes = np.zeros(SHAPE, np.int32), np.ones(SHAPE, np.int32)
    other[2, 0], other[2, 2], other[2, 4] = 1, 2, 3
    classes[2, 0] = 3  # the first is a wall
    classes[2, 2, 0:4], classes[2, 2, 4:6] = 2, 3  # the second is mostly an object; the third has no class yet
    after = take_over(np.zeros(SHAPE, np.int32), other, (0, 2), state=THREE, classes=classes)
    assert [set(after[2, row].tolist()) for row in (0, 2, 4)] == [{3}, {2}, {2}]
    assert not after[2, [1, 3]].any()


@pytest.mark.parametrize("values", ["classes", "objects"])
def test_values_of_unknown_classes_are_refused_where_there_are_several(values):
    with pytest.raises(AnnotationError, match="17"):
        take_over(np.zeros(SHAPE, np.int32), np.full(SHAPE, 17, np.int32), (0, 2), state=THREE, values=values)


def test_classes_become_objects_without_their_background():
    labels = make_labels()
    edit, state = edits.to_objects(labels, CLASSES)
    after = apply(labels, edit)
    np.testing.assert_array_equal(after, np.where(labels == 1, 0, labels))
    assert state.paint == "objects"
    assert state.classes == CLASSES.classes


def test_objects_become_one_class():
    labels = make_labels()
    edit, state = edits.to_classes(labels, OBJECTS)
    np.testing.assert_array_equal(apply(labels, edit), np.where(labels > 0, 2, 0))
    assert state.paint == "classes"


def test_stored_values_without_a_row_get_one():
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0, 0] = 4
    state = edits.state_of(Slices(labels, annotated=((1, 2), (0, 3)), classes=(PaintClass(1, "sky"),)))
    assert [(row.value, row.name) for row in state.classes] == [(1, "sky"), (4, "class 4")]
    assert state.complete == ((0, 3), (1, 2))


@pytest.mark.parametrize(("paint", "shift"), [("objects", 0), ("classes", 0), ("classes", 1)])
def test_own_labels_take_the_place_of_all_paint_and_marks(paint, shift):
    other = np.zeros(SHAPE, np.uint8)
    other[2, 1:3], other[2, 4] = 1, 3
    before = PaintState("classes", complete=((0, 1),), painted=((0, 1),))
    edit, state = edits.use_labels(make_labels(), other, paint=paint, shift=shift, state=before)
    np.testing.assert_array_equal(apply(make_labels(), edit), np.where(other, other + shift, 0))
    assert (state.paint, state.complete, state.painted) == (paint, (), ((0, 2),))
    assert {row.value for row in state.classes} >= ({1 + shift, 3 + shift} if paint == "classes" else set())
    assert [row.value for row in state.classes if row.background] == [1]
