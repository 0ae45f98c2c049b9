"""Painted slices on disk: only what changed is written, and the last complete revision can always be read."""

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.project import AnnotationStore, SlicesState
from napari_weak3d.io.project.planes import decode_plane, encode_plane

SHAPE = (6, 20, 30)
COMPLETE = SlicesState(annotated=((0, 2),))


def square(value, y=2, x=3):
    plane = np.zeros(SHAPE[1:], np.int32)
    plane[y : y + 4, x : x + 4] = value
    return plane


def planes_on_disk(store):
    return {file.name: file.stat().st_mtime_ns for file in store.folder.glob("*.plane")}


# one plane


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2**31 - 1)))
def test_a_plane_comes_back_as_it_was(plane):
    back = decode_plane(encode_plane(plane))
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, plane)


@pytest.mark.parametrize("value", [0, 1, 255, 256, 65535, 65536, 2**31 - 1])
def test_every_width_of_label_comes_back(value):
    np.testing.assert_array_equal(decode_plane(encode_plane(square(value))), square(value))


def test_a_plane_that_is_a_view_comes_back():
    volume = np.arange(60, dtype=np.int32).reshape(3, 4, 5)
    np.testing.assert_array_equal(decode_plane(encode_plane(volume[:, 2])), volume[:, 2])


@settings(max_examples=30)
@given(st.integers(0, 60))
def test_a_plane_that_is_cut_off_is_refused(length):
    content = encode_plane(np.random.default_rng(0).integers(0, 99, (8, 8), dtype=np.int32))
    with pytest.raises(ValueError):
        decode_plane(content[:length])


# writing and reading


def test_nothing_is_there_before_the_first_write(store):
    assert store.revision() == 0
    assert store.read() is None
    assert store.state() is None
    assert store.painted_planes() == ()
    assert not store.folder.exists()


def test_paint_comes_back_with_its_state(store, state):
    assert store.write(state, {2: square(1), 4: square(70_000)}) == 1
    found = store.read()
    expected = np.zeros(SHAPE, np.int32)
    expected[2], expected[4] = square(1), square(70_000)
    np.testing.assert_array_equal(found.labels, expected)
    assert (found.paint, found.annotated, found.classes) == (state.paint, state.annotated, state.classes)
    assert store.state() == state
    assert store.painted_planes() == (2, 4)


def test_a_plane_that_did_not_change_is_not_written_again(store):
    store.write(COMPLETE, {2: square(1), 4: square(2)})
    before = planes_on_disk(store)
    assert store.write(COMPLETE, {4: square(3)}) == 2
    after = planes_on_disk(store)
    assert after["z00002-r1.plane"] == before["z00002-r1.plane"]
    assert sorted(after) == ["z00002-r1.plane", "z00004-r2.plane"]
    np.testing.assert_array_equal(store.read().labels[4], square(3))


def test_an_emptied_plane_leaves_the_disk(store):
    store.write(COMPLETE, {2: square(1), 4: square(2)})
    store.write(COMPLETE, {2: np.zeros(SHAPE[1:], np.int32)})
    assert list(planes_on_disk(store)) == ["z00004-r1.plane"]
    assert not store.read().labels[2].any()


def test_the_effort_alone_makes_no_new_revision(store):
    store.write(SlicesState(effort_s=1), {2: square(1)})
    assert store.write(SlicesState(effort_s=9), {}) == 1
    assert store.state().effort_s == 9
    assert store.write(SlicesState(effort_s=9, annotated=((0, 2),)), {}) == 2


def test_another_reader_sees_each_revision(store):
    reader = AnnotationStore(store.folder, shape=SHAPE)
    assert reader.revision() == 0
    for number in range(1, 4):
        store.write(COMPLETE, {2: square(number)})
        assert reader.revision() == number
        np.testing.assert_array_equal(reader.read().labels[2], square(number))


def test_a_reader_that_the_writer_overtakes_reads_the_newer_revision(store, monkeypatch):
    store.write(COMPLETE, {2: square(1)})
    reader = AnnotationStore(store.folder, shape=SHAPE)
    read_plane, overtaken = reader._read_plane, []

    def slow(name):
        if not overtaken:
            overtaken.append(store.write(COMPLETE, {2: square(2)}))
        return read_plane(name)

    monkeypatch.setattr(reader, "_read_plane", slow)
    np.testing.assert_array_equal(reader.read().labels[2], square(2))


@pytest.mark.parametrize(("z", "shape"), [(6, SHAPE[1:]), (-1, SHAPE[1:]), (2, (20, 31))])
def test_paint_that_does_not_fit_is_refused_and_changes_nothing(store, z, shape):
    with pytest.raises(AnnotationError, match="does not fit"):
        store.write(COMPLETE, {2: square(1), z: np.ones(shape, np.int32)})
    assert store.revision() == 0


def test_a_damaged_plane_is_named(store):
    store.write(COMPLETE, {2: square(1)})
    file = store.folder / "z00002-r1.plane"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(StorageError, match=r"z00002-r1\.plane is damaged"):
        store.read()


def test_a_missing_plane_is_named(store):
    store.write(COMPLETE, {2: square(1)})
    (store.folder / "z00002-r1.plane").unlink()
    with pytest.raises(StorageError, match=r"lacks z00002-r1\.plane"):
        store.read()


def test_paint_on_an_image_of_another_shape_is_refused(store):
    store.write(COMPLETE, {2: square(1)})
    with pytest.raises(StorageError, match="was made on an image of"):
        AnnotationStore(store.folder, shape=(7, 20, 30)).read()


# what can go wrong while writing


def test_a_read_only_store_says_why(tmp_path):
    store = AnnotationStore(tmp_path / "a" / "b", shape=SHAPE, read_only="ada has it open")
    with pytest.raises(StorageError, match="ada has it open"):
        store.write(COMPLETE, {2: square(1)})


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("allowed", range(3))
def test_a_full_disk_leaves_the_last_revision(store, monkeypatch, allowed, call):
    store.write(COMPLETE, {2: square(1), 4: square(1)})
    real, calls = getattr(os, call), []

    def full(*arguments):
        if len(calls) >= (0 if call == "replace" else allowed):
            raise OSError(errno.ENOSPC, "no space")
        calls.append(arguments)
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StorageError, match="disk is full"):
            store.write(COMPLETE, {2: square(2), 4: square(2)})
    np.testing.assert_array_equal(store.read().labels[2], square(1))
    np.testing.assert_array_equal(store.read().labels[4], square(1))
    assert store.write(COMPLETE, {2: square(3), 4: square(3)}) == 2
    assert sorted(planes_on_disk(store)) == ["z00002-r2.plane", "z00004-r2.plane"]


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be synced there")
def test_a_stroke_across_many_planes_syncs_its_folder_once(store, monkeypatch):
    synced, real = [], os.open

    def note(path, *arguments, **settings):
        synced.extend([path] if path == store.folder else [])
        return real(path, *arguments, **settings)

    store.write(COMPLETE, {})
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", note)
        store.write(COMPLETE, {z: square(1) for z in range(6)})
    assert len(synced) == 2  # the planes, then the index


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"W3DP"), lambda file: file.unlink()])
def test_a_damaged_plane_is_lost_alone_and_opens_the_slices_through_it(store, damage):
    store.write(SlicesState(annotated=((0, 2), (0, 4), (1, 5))), {2: square(1), 4: square(2)})
    damage(store.folder / "z00002-r1.plane")
    with pytest.raises(StorageError):
        store.read()
    assert store.mend() == (2,)
    np.testing.assert_array_equal(store.read().labels[4], square(2))
    assert not store.read().labels[2].any()
    assert store.state().annotated == ((0, 4),)
    assert store.revision() == 2
    kept = [file.name for file in store.folder.glob("*.damaged")]
    assert kept in ([], ["z00002-r1.plane.damaged"])
    assert store.mend() == ()


def test_what_was_annotated_once_and_is_empty_now_is_told(store):
    assert store.is_empty()
    store.write(SlicesState(), {2: square(1)})
    assert not store.is_empty()
    store.write(SlicesState(), {2: np.zeros(SHAPE[1:], np.int32)})
    assert store.is_empty()


@pytest.mark.skipif(os.name == "nt", reason="a folder with an open file stays where it is")
def test_a_project_that_is_gone_is_not_made_anew(project, store):
    project.folder.rename(project.folder.with_name("elsewhere"))
    with pytest.raises(StorageError, match="is gone"):
        store.write(COMPLETE, {2: square(1)})
    assert not project.folder.exists()


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from napari_weak3d.io.project import AnnotationStore, SlicesState

store = AnnotationStore(Path(sys.argv[1]), shape=(6, 64, 64))
number = store.revision()
print("ready", flush=True)
while True:
    number += 1
    # every plane of a revision holds its number, and so does the state
    state = SlicesState(annotated=((0, number % 6),))
    store.write(state, {z: np.full((64, 64), number, np.int32) for z in range(6)})
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_after_a_kill_at_any_moment_the_last_revision_is_whole(tmp_path):
    folder = tmp_path / "project" / "annotations" / "abcd1234"
    folder.mkdir(parents=True)
    store = AnnotationStore(folder, shape=(6, 64, 64))
    last = 0
    for attempt in range(6):
        command = [sys.executable, "-c", _WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            told = [int(writer.stdout.readline()) for _ in range(2 + attempt)][-1]
            writer.send_signal(signal.SIGKILL)
        slices = store.read()
        revision = store.revision()
        assert revision >= told > last
        assert np.unique(slices.labels).tolist() == [revision]
        assert slices.annotated == ((0, revision % 6),)
        last = revision
    store.write(SlicesState(), {0: np.ones((64, 64), np.int32)})
    assert len(list(folder.iterdir())) == 7  # six planes and the index: what the kills left behind is gone
