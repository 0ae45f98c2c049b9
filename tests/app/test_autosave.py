"""Paint is on disk by itself; the layer is a real one of napari's, the disk a real folder."""

import contextlib
import errno
import math
import os

import numpy as np
import pytest
from napari.layers import Labels

from napari_weak3d.app.autosave import Autosave
from napari_weak3d.app.changes import PlaneChanges
from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.project import CentroidsState, ImageEntry, Project, SlicesState, new_id

pytestmark = pytest.mark.window

SHAPE = (6, 40, 50)


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project") as made:
        yield made


@pytest.fixture
def store(project):
    entry = ImageEntry(new_id(), "raw", "file", "/nowhere/raw.tif", SHAPE, "uint8")
    return project.annotations(project.add_image(entry).id)


@pytest.fixture
def layer():
    made = Labels(np.zeros(SHAPE, np.int32), name="paint")
    made.brush_size = 5
    return made


@pytest.fixture
def desk():
    """What the tool says, to be changed by a test."""
    return {"state": SlicesState(annotated=((0, 1),))}


@pytest.fixture
def autosave(qtbot):
    made = Autosave(seconds=0.2)
    yield made
    with contextlib.suppress(StorageError):
        made.unwatch()
    made.close()


@pytest.fixture
def watched(autosave, layer, store, desk, monkeypatch):
    # one plane at a time: what is changed while a round is under way matters
    monkeypatch.setattr("napari_weak3d.app.autosave._BUDGET_S", -1.0)
    autosave.watch(layer, store, lambda: desk["state"])
    autosave.flush()
    return layer


def same(store, layer):
    np.testing.assert_array_equal(store.read().labels, layer.data)


def test_a_stroke_is_saved_with_the_state(qtbot, autosave, watched, store, desk):
    with qtbot.waitSignal(autosave.saved):
        watched.paint((2, 10, 10), 3)
    same(store, watched)
    assert store.state() == desk["state"]


def test_undo_and_redo_are_saved(qtbot, autosave, watched, store):
    with qtbot.waitSignal(autosave.saved):
        watched.paint((2, 10, 10), 3)
    for change in (watched.undo, watched.redo):
        with qtbot.waitSignal(autosave.saved):
            change()
        same(store, watched)
    assert store.painted_planes() == (2,)


@pytest.mark.slow
def test_a_fill_in_3d_and_paint_across_the_planes_are_saved(qtbot, autosave, watched, store):
    watched.n_edit_dimensions = 3
    watched.fill((3, 20, 20), 7)
    autosave.flush()
    assert store.painted_planes() == (0, 1, 2, 3, 4, 5)
    watched.data[:, 5, 5:9] = 2  # as a stroke in xz leaves it
    watched.events.paint(value=[])
    qtbot.waitUntil(lambda: np.array_equal(store.read().labels, watched.data))


def test_the_slice_in_view_is_looked_at_first(qtbot, autosave, layer, store, desk):
    autosave.watch(layer, store, lambda: desk["state"], shown=lambda: (0, 4))
    with qtbot.waitSignal(autosave.saved):
        layer.data[4, 3, 3] = 1  # nobody is told
    assert store.painted_planes() == (4,)


def test_marking_a_slice_is_saved_without_paint(qtbot, autosave, watched, store, desk):
    desk["state"] = SlicesState(annotated=((0, 1), (0, 2)))
    with qtbot.waitSignal(autosave.saved):
        pass
    assert store.state().annotated == ((0, 1), (0, 2))


@pytest.mark.slow
def test_a_mark_is_never_on_disk_before_its_paint(qtbot, autosave, watched, store, desk):
    write, late = store.write, []

    def note(state, planes):
        revision = write(state, planes)
        z, number = state.annotated[0][1], state.effort_s
        if store.read().labels[z, 5, 5] < number:
            late.append((z, number))
        return revision

    store.write = note
    for number in range(1, 16):
        z = number % 5
        watched.data[z, 5, 5] = number
        desk["state"] = SlicesState(annotated=((0, z),), effort_s=number)
        with qtbot.waitSignal(autosave.saved):
            watched.data[5, 5, 5] = number  # something to write, wherever the round is
    assert late == []


def test_flush_returns_when_all_is_on_disk(autosave, watched, store, desk):
    watched.data[:] = np.random.default_rng(0).integers(0, 9, SHAPE)
    desk["state"] = SlicesState(annotated=((0, 5),), effort_s=3.0)
    autosave.flush()
    same(store, watched)
    assert store.state() == desk["state"]
    revision = store.revision()
    autosave.flush()
    assert store.revision() == revision


def test_unwatching_saves_and_lets_go(qtbot, autosave, watched, store):
    watched.data[2, 3, 3] = 1
    autosave.unwatch()
    same(store, watched)
    with qtbot.assertNotEmitted(autosave.saved, wait=500):
        watched.data[2, 3, 3] = 2
    assert store.read().labels[2, 3, 3] == 1


def test_only_what_changed_is_written_after_opening_again(autosave, layer, store, desk):
    layer.data[2], layer.data[3] = 1, 2
    store.write(desk["state"], {2: layer.data[2].copy(), 3: layer.data[3].copy()})
    layer.data[3, 0, 0] = 0
    autosave.watch(layer, store, lambda: desk["state"])
    autosave.flush()
    assert sorted(file.name for file in store.folder.glob("*.plane")) == ["z00002-r1.plane", "z00003-r2.plane"]


def test_an_untouched_layer_leaves_no_annotation(qtbot, autosave, layer, store):
    autosave.watch(layer, store, SlicesState)
    with qtbot.assertNotEmitted(autosave.saved, wait=500):
        pass
    autosave.flush()
    assert store.revision() == 0


def test_an_empty_layer_cannot_wipe_what_was_painted(autosave, layer, store, desk):
    store.write(desk["state"], {2: np.ones(SHAPE[1:], np.int32)})
    with pytest.raises(AnnotationError, match="put that into the layer first"):
        autosave.watch(layer, store, lambda: desk["state"])
    assert store.read().labels[2].all()


# a disk that says no


def test_a_full_disk_is_told_once_and_the_paint_is_saved_later(qtbot, autosave, watched, store, monkeypatch):
    monkeypatch.setattr("napari_weak3d.app.autosave._RETRY_S", 0.05)
    tried, told = [], []
    autosave.failed.connect(told.append)

    def full(*_arguments):
        tried.append(1)
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with qtbot.waitSignal(autosave.failed):
            watched.data[2, 3, 3] = 1
        qtbot.waitUntil(lambda: len(tried) >= 3)
        with pytest.raises(StorageError, match="disk is full"):
            autosave.flush()
        watched.data[2, 3, 3], watched.data[4, 4, 4] = 5, 6
    with qtbot.waitSignal(autosave.saved):
        pass
    autosave.flush()
    same(store, watched)
    assert len({str(error) for error in told}) == len(told)


def test_a_read_only_project_is_told(qtbot, autosave, layer, store, desk):
    with Project.open(store.folder.parent.parent) as second:
        autosave.watch(layer, second.annotations(second.images[0].id), lambda: desk["state"])
        with qtbot.waitSignal(autosave.failed) as failed:
            layer.data[2, 3, 3] = 1
        assert "open for writing by" in failed.args[0].message


def test_planes_of_another_shape_are_forgotten_with_it(qtbot, autosave, watched, store):
    with qtbot.waitSignal(autosave.saved):
        watched.paint((2, 10, 10), 3)
    with qtbot.waitSignal(autosave.failed):  # no plane of it fits
        watched.data = np.zeros((5, 5, 5), np.int32)
    watched.data = np.zeros(SHAPE, np.int32)
    autosave.flush()
    same(store, watched)
    with qtbot.waitSignal(autosave.saved):
        watched.paint((3, 10, 10), 4)
    same(store, watched)


def test_paint_that_was_not_saved_yet_outlives_data_of_another_shape(qtbot, autosave, watched, store):
    watched.data[4] = 7
    autosave._watched.changes.look_first([4])
    autosave._watched.changes.go_on(watched.data, until=math.inf)
    painted = watched.data
    with qtbot.waitSignal(autosave.failed):
        watched.data = np.ones((5, 5, 5), np.int32)
    watched.data = painted
    autosave.flush()
    same(store, watched)


# finding changes, without a window


def test_changes_are_found_as_a_plain_comparison_finds_them():
    rng = np.random.default_rng(0)
    data = np.zeros((8, 5, 6), np.int32)
    written = {}
    changes = PlaneChanges({}, shape=SHAPE)
    for _ in range(30):
        for _ in range(rng.integers(0, 4)):
            data[rng.integers(8), rng.integers(5), rng.integers(6)] = rng.integers(0, 2)
        if rng.random() < 0.3:
            data[rng.integers(8)] = 0
        changes.begin_round(data)
        while changes.in_round:
            changes.go_on(data, until=0)
        found = changes.take()
        expected = {z for z in range(8) if not np.array_equal(data[z], written.get(z, np.zeros((5, 6))))}
        assert set(found) == expected
        for z in found:
            np.testing.assert_array_equal(found[z], data[z])
        written.update(found)


def test_a_plane_that_is_painted_on_while_it_is_copied_is_found_again(monkeypatch):
    monkeypatch.setattr("napari_weak3d.app.changes._STEP_VOXELS", 6)
    data = np.ones((1, 5, 6), np.int32)
    changes = PlaneChanges({}, shape=SHAPE)
    changes.look_first([0])
    while not changes.found:
        changes.go_on(data, until=0)
        data += 1
    assert len(np.unique(changes.take()[0])) > 1
    changes.begin_round(data)
    changes.go_on(data, until=math.inf)
    np.testing.assert_array_equal(changes.take()[0], data[0])


def test_planes_that_were_given_back_lose_to_newer_ones():
    data = np.zeros((2, 2, 2), np.int32)
    changes = PlaneChanges({}, shape=SHAPE)
    data[:] = 1
    changes.look_first([0, 1])
    changes.go_on(data, until=math.inf)
    old = changes.take()
    data[0] = 2
    changes.look_first([0, 1])
    changes.go_on(data, until=math.inf)
    changes.give_back(old)
    found = changes.take()
    assert (found[0] == 2).all()
    assert (found[1] == 1).all()


def test_what_is_not_painted_is_kept_without_a_layer(autosave, project, store, desk, qtbot):
    clicks = project.annotations(store.folder.name, "centroids")
    desk["state"] = CentroidsState()
    autosave.watch(None, clicks, lambda: desk["state"])
    autosave.flush()
    assert clicks.revision() == 0, "an image without a click has no annotation"
    desk["state"] = CentroidsState(((1.0, 2.0, 3.0),))
    qtbot.waitUntil(lambda: clicks.state() == desk["state"])
    desk["state"] = CentroidsState((), effort_s=4.0)
    autosave.unwatch()
    assert clicks.state() == desk["state"]
