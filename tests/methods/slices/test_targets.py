"""What a network learns from paint: which voxels, as which class, and which planes can be held out."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d.methods.slices.targets import (
    BACKGROUND,
    OBJECT,
    TOUCH,
    PlaneTargets,
    choose_stack_axis,
    complete_planes,
    make_class_targets,
    make_object_targets,
    order_classes,
    paint_planes,
    split_planes,
    taught_planes,
)
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import PaintClass, Slices

SHAPE = (4, 5, 6)
CLASSES = (PaintClass(0, "background", background=True), PaintClass(3, "cell"), PaintClass(7, "vessel"))


def paint(*, annotated=(), voxels=()):
    labels = np.zeros(SHAPE, np.int32)
    for where, value in voxels:
        labels[where] = value
    return Slices(labels, annotated=tuple(annotated), classes=CLASSES)


def test_background_comes_first_and_the_others_by_value():
    rows = (PaintClass(1, "a"), PaintClass(5, "b", background=True), PaintClass(2, "c"))
    assert [row.value for row in order_classes(rows)] == [5, 1, 2]


def test_unpainted_voxels_of_complete_slices_along_any_axis_are_background():
    slices = paint(annotated=[(0, 1), (1, 2), (2, 5)], voxels=[((1, 0, 0), 3), ((3, 2, 4), 7)])
    found = make_class_targets(slices, classes=CLASSES, stack_axis=0)
    expected = np.full(SHAPE, UNLABELLED)
    expected[1], expected[:, 2], expected[:, :, 5] = 0, 0, 0
    expected[1, 0, 0], expected[3, 2, 4] = 1, 2
    np.testing.assert_array_equal(found.labels, expected)
    assert found.complete == (1,)
    assert found.maps.shape == (0, *SHAPE)


def test_unpainted_voxels_of_other_slices_are_unlabelled():
    found = make_class_targets(paint(voxels=[((2, 1, 1), 3), ((2, 1, 2), 7)]), classes=CLASSES, stack_axis=0)
    assert (found.labels != UNLABELLED).sum() == 2
    assert (found.labels[2, 1, 1], found.labels[2, 1, 2]) == (1, 2)
    assert found.complete == ()


def test_a_painted_background_is_background_where_slices_are_not_complete_too():
    classes = order_classes((PaintClass(1, "background", background=True), PaintClass(2, "cell")))
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0, 0], labels[0, 0, 1] = 1, 2
    found = make_class_targets(Slices(labels, classes=classes), classes=classes, stack_axis=0)
    assert found.labels[0, 0, :3].tolist() == [0, 1, UNLABELLED]


def test_values_that_are_no_class_of_the_model_are_left_out():
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0, :3] = 3, 9, 5
    found = make_class_targets(Slices(labels, classes=CLASSES), classes=CLASSES, stack_axis=0)
    assert found.labels[0, 0, :3].tolist() == [1, UNLABELLED, UNLABELLED]


def test_values_as_large_as_they_come_take_no_more_memory():
    highest = np.iinfo(np.int32).max
    classes = (PaintClass(7, "background", background=True), PaintClass(highest, "cell"))
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0, :3] = 7, highest, highest - 1
    found = make_class_targets(Slices(labels, classes=classes), classes=classes, stack_axis=0)
    assert found.labels[0, 0, :4].tolist() == [0, 1, UNLABELLED, UNLABELLED]


@pytest.mark.parametrize("stack_axis", [0, 1, 2])
def test_the_stack_axis_comes_first(stack_axis):
    slices = paint(annotated=[(stack_axis, 3), (stack_axis, 1)], voxels=[((1, 2, 3), 3)])
    found = make_class_targets(slices, classes=CLASSES, stack_axis=stack_axis)
    in_order = make_class_targets(slices, classes=CLASSES, stack_axis=0)
    np.testing.assert_array_equal(found.labels, np.moveaxis(in_order.labels, stack_axis, 0))
    assert found.complete == (1, 3)


@pytest.mark.parametrize(
    ("kind", "stack_axis", "taught"),
    [("classes", 0, (1, 2)), ("classes", 1, (0, 3)), ("objects", 0, (1,)), ("objects", 1, (3,))],
)
def test_planes_teach_that_are_complete_or_painted_in_part(kind, stack_axis, taught):
    slices = paint(annotated=[(0, 1), (1, 3)], voxels=[((2, 0, 0), 3), ((0, 3, 2), 2)])
    assert taught_planes(replace(slices, paint=kind), stack_axis=stack_axis) == taught


def test_the_paint_itself_is_not_changed():
    slices = paint(annotated=[(0, 1)], voxels=[((1, 0, 0), 3)])
    before = slices.labels.copy()
    make_class_targets(slices, classes=CLASSES, stack_axis=1)
    np.testing.assert_array_equal(slices.labels, before)


@pytest.mark.parametrize(
    ("annotated", "spacing", "axis"),
    [
        ([(0, 1), (1, 1), (1, 2)], (1, 1, 1), 1),
        ([(0, 1), (2, 1)], (1, 1, 1), 0),
        ([(0, 1), (2, 1)], (1, 1, 3), 0),
        ([(2, 0), (2, 1)], (9, 1, 1), 2),
        ([], (1, 2, 1), 1),
        ([], (1, 1, 1), 0),
    ],
)
def test_planes_are_stacked_where_most_pixels_are_complete_then_along_the_longest_voxels(annotated, spacing, axis):
    assert choose_stack_axis([paint(annotated=annotated)], spacing=spacing) == axis


def test_complete_slices_of_all_volumes_count():
    many = [paint(annotated=[(0, 1)]), paint(annotated=[(1, 1)]), paint(annotated=[(1, 2)])]
    assert choose_stack_axis(many, spacing=(5, 1, 1)) == 1


def targets(labelled, complete=()):
    labels = np.full((20, 2, 2), UNLABELLED, np.int16)
    labels[list(labelled)] = 0
    return PlaneTargets(labels, np.empty((0, *labels.shape), np.float32), tuple(complete))


@pytest.mark.parametrize(
    ("n_parts", "parts"),
    [(3, [(2,), (9,), (17,)]), (2, [(2, 17), (9,)]), (5, [(2,), (9,), (17,), (), ()]), (1, [(2,)])],
)
def test_complete_planes_go_round_the_members(n_parts, parts):
    assert split_planes(targets([2, 9, 17], complete=[2, 9, 17]), n_parts=n_parts) == parts


def test_neighbouring_planes_of_partial_paint_are_held_out_together():
    assert split_planes(targets([2, 3, 4, 9, 10]), n_parts=2) == [(2, 3, 4), (9, 10)]


@pytest.mark.parametrize("found", [targets([5], complete=[5]), targets([5, 6, 7]), targets([])])
def test_nothing_is_held_out_of_a_single_run(found):
    assert split_planes(found, n_parts=3) == [(), (), ()]


@pytest.mark.parametrize("n_parts", range(1, 10))
@pytest.mark.parametrize("n_planes", [2, 3, 7])
def test_every_member_has_a_plane_left_to_learn_from(n_parts, n_planes):
    planes = tuple(range(0, 2 * n_planes, 2))
    parts = split_planes(targets(planes, complete=planes), n_parts=n_parts)
    assert len(parts) == n_parts
    assert all(set(part) < set(planes) for part in parts)


@pytest.fixture
def objects():
    """Plane z = 1: ids 4 and 9 touch, 6 stands alone; z = 2 is painted in part; y = 3 is complete too."""
    labels = np.zeros((4, 5, 9), np.int32)
    labels[1, 1:4, 0:3], labels[1, 1:4, 3:6], labels[1, 2, 8] = 4, 9, 6
    labels[2, 0, 0] = 4
    return Slices(labels, paint="objects", annotated=((0, 1), (1, 3)))


def test_objects_become_background_object_and_touch_in_complete_planes_only(objects):
    found = make_object_targets(objects, stack_axis=0, spacing=(2.0, 1.0, 1.0))
    assert found.complete == (1,)
    assert (np.delete(found.labels, 1, axis=0) == UNLABELLED).all()
    background = [BACKGROUND] * 9
    pair = [OBJECT, OBJECT, TOUCH, TOUCH, OBJECT, OBJECT, BACKGROUND, BACKGROUND, BACKGROUND]
    middle = [*pair[:-1], OBJECT]
    assert found.labels[1].tolist() == [background, pair, middle, pair, background]


def test_the_core_is_1_in_the_middle_of_every_object_and_0_outside(objects):
    found = make_object_targets(objects, stack_axis=0, spacing=(2.0, 1.0, 1.0))
    assert found.maps.shape == (1, 4, 5, 9)
    core = found.maps[0, 1]
    assert (core[2, 1], core[2, 4], core[2, 8]) == (1, 1, 1)
    assert core[1, 0] == 0.5
    assert (core[objects.labels[1] == 0] == 0).all()
    assert (np.delete(found.maps, 1, axis=1) == 0).all()


def test_objects_are_read_along_the_stack_axis(objects):
    found = make_object_targets(objects, stack_axis=1, spacing=(2.0, 1.0, 1.0))
    assert found.complete == (3,)
    assert found.labels.shape == (5, 4, 9)
    assert found.labels[3, 1].tolist() == [OBJECT, OBJECT, TOUCH, TOUCH, OBJECT, OBJECT] + [BACKGROUND] * 3


def test_the_paint_of_complete_planes_is_given_plane_by_plane(objects):
    assert complete_planes(objects, 1) == (3,)
    found = paint_planes(objects, stack_axis=1)
    assert list(found) == [3]
    np.testing.assert_array_equal(found[3], objects.labels[:, 3])
