"""Steps are taken back in the order in which they were made."""

import pytest

from napari_weak3d.app.tools.history import LIMIT, History, Step

pytestmark = pytest.mark.window


def make_step(number):
    return Step(f"step {number}", number - 1, number, voxels=False)


def test_undo_and_redo_go_back_and_forth_through_the_steps():
    history = History()
    for number in (1, 2, 3):
        history.push(make_step(number))
    assert [history.undo().before for _ in range(3)] == [2, 1, 0]
    assert history.undo() is None
    assert [history.redo().after for _ in range(3)] == [1, 2, 3]
    assert history.redo() is None


def test_a_new_step_forgets_what_was_undone():
    history = History()
    history.push(make_step(1))
    history.undo()
    history.push(make_step(2))
    assert history.redoable is None
    assert history.undoable.name == "step 2"


def test_no_more_steps_are_kept_than_napari_keeps():
    history = History()
    for number in range(LIMIT + 5):
        history.push(make_step(number))
    assert sum(1 for _ in iter(history.undo, None)) == LIMIT


def test_nothing_is_left_after_clearing():
    history = History()
    history.push(make_step(1))
    history.clear()
    assert (history.undoable, history.redoable) == (None, None)
