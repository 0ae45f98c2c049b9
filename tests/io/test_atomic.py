"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import all_or_none, atomic_file, atomic_folder, remove_file
from napari_weak3d.io.volumes import write_labels


def fail_with(number):
    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_is_there_only_after_the_block(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "may not write"), (errno.EROFS, "read-only"), (errno.EIO, "error")],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_says_no_is_told_in_plain_words(tmp_path, monkeypatch, number, words, step):
    path = tmp_path / "a.tif"
    path.write_text("old")
    monkeypatch.setattr(os, step, fail_with(number))
    with pytest.raises(StorageError, match=rf"cannot write .*a\.tif: .*{words}"):
        write_labels(path, np.ones((2, 3, 4), int), spacing=(1, 1, 1), unit="um")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told(tmp_path):
    for name in ("a.tif", "a.zarr"):
        with pytest.raises(StorageError, match="folder does not exist"):
            write_labels(tmp_path / "no" / name, np.ones((2, 3, 4), int), spacing=(1, 1, 1), unit="um")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_a_full_device_is_told(tmp_path):
    def write():
        with atomic_file(tmp_path / "a.txt"), open("/dev/full", "w") as stream:
            stream.write("a")

    with pytest.raises(StorageError, match="disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("first", "second"):
        with atomic_folder(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / name).write_text(name)
    assert [p.name for p in (path / "deep").iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    with atomic_folder(path) as temporary:
        (temporary / "old").write_text("old")

    def rename_only_aside(source, target, rename=os.rename):
        if target == path and "old-" not in source.name:
            raise OSError(errno.ENOSPC, "full")
        rename(source, target)

    def write():
        with atomic_folder(path) as temporary:
            (temporary / "new").write_text("new")

    monkeypatch.setattr(os, "rename", rename_only_aside)
    with pytest.raises(StorageError, match="disk is full"):
        write()
    assert [p.name for p in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_kept(tmp_path):
    path = tmp_path / "model"
    path.write_text("mine")

    def write():
        with atomic_folder(path):
            pass

    with pytest.raises(StorageError, match="file of that name"):
        write()
    assert path.read_text() == "mine"


def write_text(path, text):
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def test_files_that_belong_together_get_their_names_together(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "old.txt").touch()
    with all_or_none():
        write_text(tmp_path / "a.txt", "new")
        with all_or_none(), atomic_folder(tmp_path / "b.zarr") as temporary:
            (temporary / "0").write_text("chunk")
        remove_file(tmp_path / "old.txt")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert not (tmp_path / "b.zarr").exists()
        assert (tmp_path / "old.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "b.zarr" / "0").read_text() == "chunk"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.zarr"]


def test_of_files_that_belong_together_none_is_written_where_one_cannot_be(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "old.txt").touch()

    def write():
        with all_or_none():
            write_text(tmp_path / "a.txt", "new")
            with atomic_folder(tmp_path / "b.zarr") as temporary:
                (temporary / "0").write_text("chunk")
            remove_file(tmp_path / "old.txt")
            write_text(tmp_path / "nowhere" / "c.txt", "new")

    with pytest.raises(StorageError, match="nowhere"):
        write()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "old.txt"]
    write_text(tmp_path / "a.txt", "alone again")
    assert (tmp_path / "a.txt").read_text() == "alone again"


def test_a_disk_that_turns_read_only_is_told_though_nothing_can_be_cleared_up(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", fail_with(errno.EROFS))
    monkeypatch.setattr(Path, "unlink", fail_with(errno.EROFS))
    with pytest.raises(StorageError, match="read-only"), atomic_file(tmp_path / "a.txt"):
        pass
