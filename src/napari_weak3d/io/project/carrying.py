"""Carrying a closed project to another folder: it is there whole or not at all, whatever moment a crash comes at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import cause_in_words
from napari_weak3d.io.project.content import PROJECT

_OURS_ALONE = (".lock", ".owner.json")


def copy_project(old: Path, new: Path) -> None:
    """Copy a project to a folder that is not there yet, or empty.

    Raises
    ------
    StorageError
        The new folder is inside of the old one, or the disk says no; nothing is left of the copy.
    """
    if old == new or old in new.parents:
        raise StorageError(f"{new} is inside of the project {old}: name a folder outside of it", where=str(new))
    partial = new.with_name(f".{new.name}-partial")
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)  # of a copy that was cut off
        shutil.copytree(old, partial, ignore=shutil.ignore_patterns(*_OURS_ALONE))
        if hasattr(os, "sync"):
            os.sync()
        _put(partial, new)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError(f"cannot write {new}: {cause_in_words(error, new)}", where=str(new), value=error) from error


def move_project(old: Path, new: Path) -> bool:
    """Move a project to a folder that is not there yet, or empty; errors as for :func:`copy_project`.

    Returns
    -------
    Whether the old folder is still there, whole: it is another disk. Call :func:`delete_project` when the new one is
    in use.
    """
    if old == new or old in new.parents:
        raise StorageError(f"{new} is inside of the project {old}: name a folder outside of it", where=str(new))
    (old / ".lock").unlink(missing_ok=True)
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        _put(old, new)
    except OSError:
        copy_project(old, new)
        return True
    return False


def delete_project(folder: Path) -> bool:
    """Delete a project that lies elsewhere by now; returns whether all of it went.

    What makes it a project goes first: what a crash leaves of it is not offered as one.
    """
    try:
        (folder / PROJECT).unlink(missing_ok=True)
    except OSError:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _put(folder: Path, target: Path) -> None:
    if target.is_dir():
        target.rmdir()  # it is empty
    os.rename(folder, target)
