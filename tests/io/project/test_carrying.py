"""A project is carried to another folder whole or not at all; what nobody will finish or use goes."""

import errno
import os
import shutil
import time

import numpy as np
import pytest

from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import Project, SlicesState
from napari_weak3d.io.project.carrying import copy_project, delete_project, move_project
from napari_weak3d.io.project.leftovers import remove_unused


@pytest.fixture
def closed(project, store):
    """The folder of a closed project with paint."""
    store.write(SlicesState(), {2: np.ones((20, 30), np.int32)})
    project.close()
    return project.folder


def painted(folder):
    with Project.open(folder) as project:
        return project.annotations(project.images[0].id).painted_planes()


def test_a_copy_is_a_project_of_its_own(closed, tmp_path):
    copy_project(closed, tmp_path / "deep" / "copy")
    assert painted(tmp_path / "deep" / "copy") == painted(closed) == (2,)


def test_a_copy_that_fails_leaves_nothing(closed, tmp_path, monkeypatch):
    def full(source, target, **_):
        raise OSError("no space")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError):
        copy_project(closed, tmp_path / "copy")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["data", "project"]


def test_a_full_disk_is_told_in_one_sentence(closed, tmp_path, monkeypatch):
    def full(source, target, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"cannot write .*copy: the disk is full: free some space") as caught:
        copy_project(closed, tmp_path / "copy")
    assert "Errno" not in caught.value.message


def test_a_project_is_not_copied_into_itself(closed):
    for carry in (copy_project, move_project):
        with pytest.raises(StorageError, match="outside"):
            carry(closed, closed / "copy")
    assert painted(closed) == (2,)


def test_a_move_on_one_disk_leaves_nothing_behind(closed, tmp_path):
    assert not move_project(closed, tmp_path / "moved")
    assert not closed.exists()
    assert painted(tmp_path / "moved") == (2,)


def test_a_move_to_another_disk_leaves_the_old_folder_whole_until_it_is_deleted(closed, tmp_path, monkeypatch):
    rename = os.rename

    def other_disk(source, target):
        if source == closed:
            raise OSError("cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_disk)
    assert move_project(closed, tmp_path / "moved")
    assert painted(closed) == painted(tmp_path / "moved") == (2,)
    assert delete_project(closed)
    assert not closed.exists()


def test_an_unused_project_goes_and_what_the_user_put_there_stays(project, image):
    project.close()
    (project.folder / "notes.txt").write_text("mine")
    remove_unused(project.folder, [image.id])
    assert [file.name for file in project.folder.iterdir()] == ["notes.txt"]
    (project.folder / "notes.txt").unlink()
    remove_unused(project.folder, [image.id])
    assert not project.folder.exists()


def test_what_was_never_finished_goes_when_it_is_old(closed):
    model = closed / "models" / "abcd1234"
    model.mkdir(parents=True)
    left = [closed / ".12-34-project.json", model / ".12-34-weights.safetensors"]
    mine = closed / ".notes"
    for file in (*left, mine):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - 7200,) * 2)
    young = model / ".12-35-log.csv"
    young.write_bytes(b"")
    Project.open(closed).close()
    assert not any(file.exists() for file in left)
    assert young.exists()
    assert mine.exists()
