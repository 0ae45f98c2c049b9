"""Boxes and masks change together, and every step is undone."""

import numpy as np
import pytest

from napari_weak3d.app.tools.boxes import steps
from napari_weak3d.app.tools.boxes.crops import inside_of
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.boxes.table import empty_table

pytestmark = pytest.mark.window
SHAPE = (8, 20, 24)
A, B = [[1, 2, 3], [5, 9, 10]], [[2, 8, 8], [6, 16, 18]]


@pytest.fixture
def session(qapp):
    session = BoxSession(empty_table(), np.zeros(SHAPE, np.int32))
    session.add(np.array([A, B]), [1, 1], name="draw 2 boxes")
    return session


def stroke(session, box_id, where, value=None):
    """Paint in a box, as the brush does: right into the masks."""
    box = session.table.corners_of(box_id)
    crop = session.masks[inside_of(box)]
    before = crop.copy()
    crop[where] = box_id if value is None else value
    return session.note_stroke(box_id, before)


def test_a_box_that_shrinks_loses_what_of_its_mask_is_outside_and_undo_brings_it_back(session):
    stroke(session, 1, np.s_[:, 1:4, 1:4])
    n = np.count_nonzero(session.masks)
    session.reshape([1], np.array([[[1, 2, 3], [3, 9, 10]]]), name="resize 1 box")
    assert 0 < np.count_nonzero(session.masks) < n
    session.undo()
    assert np.count_nonzero(session.masks) == n
    assert session.table.corners_of(1).tolist() == A


def test_a_box_that_leaves_its_mask_behind_is_not_done_any_more(session):
    stroke(session, 1, np.s_[0, 1, 1])
    session.step("done", session.table.with_done([1], True))
    session.reshape([1], np.array([[[4, 2, 3], [8, 9, 10]]]), name="move 1 box")
    assert not session.table.done.any()
    assert not session.masks.any()
    session.undo()
    assert session.table.done.tolist() == [True, False]


def test_a_mask_of_which_a_part_goes_with_its_box_is_not_done_any_more(session):
    stroke(session, 1, np.s_[:, 1:4, 1:4])
    session.step("done", session.table.with_done([1], True))
    session.reshape([1], np.array([[[0, 2, 3], [5, 9, 11]]]), name="resize 1 box")
    assert session.table.done.tolist() == [True, False], "all of it is still inside"
    session.reshape([1], np.array([[[2, 2, 3], [5, 9, 11]]]), name="resize 1 box")
    assert session.masks.any()
    assert not session.table.done.any()
    session.undo()
    assert session.table.done.tolist() == [True, False]


def test_a_mask_of_which_all_is_erased_is_not_done_any_more(session):
    stroke(session, 1, np.s_[0, 1:3, 1:3])
    session.step("done", session.table.with_done([1], True))
    stroke(session, 1, np.s_[0, 1, 1], value=0)
    assert session.table.done.tolist() == [True, False]
    stroke(session, 1, np.s_[0, 1:3, 1:3], value=0)
    assert not session.table.done.any()
    session.undo()
    assert session.table.done.tolist() == [True, False]


def test_a_copy_that_is_pushed_back_into_the_image_does_not_lie_on_its_original(session):
    (number,) = session.add(np.array([[[0, 2, 3], [4, 9, 10]]]), [1], name="draw 1 box")
    copied = session.table.corners_of(number)[None]
    (pasted,) = steps.paste(session, copied, [1], which=(0, 0))
    assert session.table.corners_of(pasted).tolist() != copied[0].tolist()
    assert (session.table.corners_of(pasted) >= 0).all()


def test_a_deleted_box_takes_its_mask_along_and_no_other(session):
    stroke(session, 1, np.s_[:, :, :])
    stroke(session, 2, np.s_[:, :, :])
    mine, other = session.masks == 1, session.masks == 2
    assert other.any()
    session.delete([1])
    assert session.table.ids.tolist() == [2]
    assert np.array_equal(session.masks != 0, other)
    session.undo()
    assert np.array_equal(session.masks == 1, mine)


def test_a_stroke_over_another_mask_or_with_another_value_is_put_right(session):
    stroke(session, 1, np.s_[:, :, :])
    assert stroke(session, 2, np.s_[:, :, :]), "box 2 reaches into what is painted of box 1"
    assert (session.masks[inside_of(np.array(A))] == 1).all()
    assert stroke(session, 1, np.s_[0, 0, 0], value=77)
    assert 77 not in session.masks
    assert not stroke(session, 1, np.s_[0, 0, 0], value=0)
    assert session.masks[1, 2, 3] == 0


def test_all_kinds_of_steps_are_undone_and_redone_in_order(session):
    moments = []

    def note():
        moments.append((session.table, session.masks.copy()))

    note()
    for act in (
        lambda: stroke(session, 1, np.s_[0, 1:3, 1:3]),
        lambda: stroke(session, 1, np.s_[2, 1:3, 1:3]),
        lambda: session.step("paint", session.table, voxels=session.painting(1, np.ones((4, 7, 7), bool))),
        lambda: session.step("done", session.table.with_done([1], True)),
        lambda: session.reshape([1, 2], np.array([B, A]), name="move 2 boxes"),
        lambda: session.delete([2]),
        lambda: session.add(np.array([[[0, 0, 0], [99, 99, 99]]]), [4], name="draw 1 box"),
        lambda: session.step("region", session.table.with_region(((0, 4), (0, 4), (0, 4)))),
        lambda: session.step("clear", session.table, voxels=session.clearing([1])),
    ):
        act()
        note()
    for table, masks in reversed(moments[:-1]):
        session.undo()
        assert session.table == table
        assert np.array_equal(session.masks, masks)
    for table, masks in moments[1:]:
        session.redo()
        assert session.table == table
        assert np.array_equal(session.masks, masks)


def test_a_step_that_changes_nothing_is_none(session, qtbot):
    with qtbot.assertNotEmitted(session.changed):
        session.reshape([1], np.array([A]), name="move 1 box")
        session.step("clear", session.table, voxels=session.clearing([1, 2]))
        assert session.add(np.zeros((0, 2, 3)), [], name="draw") == []
    assert session.history.undoable.name == "draw 2 boxes"


def test_painted_boxes_are_those_with_voxels(session):
    stroke(session, 2, np.s_[0, 0, 0])
    assert session.painted == {2}
    session.undo()
    assert session.painted == frozenset()
    session.redo()
    assert session.painted == {2}
    assert session.mask_of(2).sum() == 1


def test_a_begun_mask_that_covers_its_object_already_counts_as_taken(qapp):
    session = BoxSession(empty_table(), np.zeros((4, 6, 6), np.int32))
    session.add(np.array([[[0, 0, 0], [4, 4, 4]], [[0, 4, 4], [4, 6, 6]]]), [1, 1], name="draw")
    labels = np.zeros((4, 6, 6), np.int32)
    labels[1:3, 1:3, 1:3] = 7
    session.step("paint", session.table, voxels=session.painting(1, np.ones((4, 4, 4), bool)))
    assert steps.take_masks(session, labels, [1, 2]) == 1
    assert session.table.done.tolist() == [True, False]
    assert np.count_nonzero(session.masks) == 64
