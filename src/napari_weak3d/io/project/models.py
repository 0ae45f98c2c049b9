"""The model folders of a project: what can be read from them, and their way in and out."""

from __future__ import annotations

import math
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from napari_weak3d.errors import ModelError, StorageError
from napari_weak3d.io.atomic import atomic_file, atomic_folder
from napari_weak3d.io.formats import short_name
from napari_weak3d.io.models import MODEL, read_description
from napari_weak3d.io.project.entries import ModelEntry, new_id, now
from napari_weak3d.io.project.schema import make_folder

_RESUME = "resume.safetensors"
_SCORE = "held_out"


def look_into(folder: Path, entry: ModelEntry) -> ModelEntry:
    """Complete an entry with what its folder says now; one without a model yet, or a damaged one, is not trained."""
    try:
        described = read_description(folder)
    except ModelError:
        return entry
    unfinished = (folder / _RESUME).exists() and described.get("fraction", 1.0) < 1
    return replace(entry, trained=True, held_out=_held_out(described.get("summary")), unfinished=unfinished)


def read_settings(folder: Path) -> dict[str, Any]:
    """Read the settings that the model in a folder was trained with, by name; empty where it does not say.

    Raises
    ------
    ModelError
        There is no model in the folder.
    """
    settings = read_description(folder).get("config")
    return dict(settings) if isinstance(settings, dict) else {}


def copy_out(folder: Path, to: Path) -> None:
    """Copy a model folder to ``to``: a folder, or a .zip if it ends so.

    Raises
    ------
    ModelError
        There is no model in the folder.
    StorageError
        ``to`` holds other things than a model, or the disk says no.
    """
    read_description(folder)
    if to.suffix.lower() == ".zip":
        with atomic_file(to) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in _files(folder):
                archive.write(file, file.relative_to(folder).as_posix())
        return
    if to.is_dir() and any(to.iterdir()) and not (to / MODEL).is_file():
        raise StorageError(f"{to} holds other things than a model: name a new folder", where=str(to))
    copy_model(folder, to)


def copy_in(source: Path, models: Path) -> ModelEntry:
    """Copy a model, a folder or a .zip of one, to a folder of its own among ``models``; returns what to list.

    Raises
    ------
    ModelError
        There is no model of ours in it, or one of a newer version.
    StorageError
        The disk says no.
    """
    with opened_model(source) as (place, described):
        entry = ModelEntry(new_id(), short_name(source), str(described["method"]), (), now())
        make_folder(models)
        copy_model(place, models / entry.id)
    return entry


def copy_model(folder: Path, to: Path) -> None:
    """Copy a model folder; the copy appears whole or not at all.

    Raises
    ------
    StorageError
        The disk says no.
    """
    with atomic_folder(to) as temporary:
        for file in _files(folder):
            target = temporary / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


@contextmanager
def opened_model(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give a model's folder and its description; a .zip is unpacked for as long.

    Raises
    ------
    ModelError
        There is no model, or the .zip is damaged.
    """
    if not path.exists():
        raise ModelError(f"{path} does not exist: name a model's folder or its .zip", where=str(path))
    if path.is_dir():
        yield path, read_description(path)
        return
    with TemporaryDirectory(prefix="napari-weak3d-") as place:
        _unpack(path, Path(place))
        found = [file.parent for file in sorted(Path(place).rglob(MODEL))]
        if not found:
            raise ModelError(f"{path} holds no model: it has no {MODEL}", where=str(path))
        yield found[0], read_description(found[0])


def delete_folder(folder: Path) -> None:
    """Delete a folder at once: it is renamed first, so that no half of it is ever met. One that is not there is fine.

    Raises
    ------
    StorageError
        The disk says no.
    """
    aside = folder.with_name(f".deleted-{os.getpid()}-{folder.name}")
    try:
        os.rename(folder, aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"cannot delete {folder}: {error.strerror or error}; perhaps it is still in use", where=str(folder)
        ) from error
    shutil.rmtree(aside, ignore_errors=True)


def _held_out(summary: Any) -> float | None:
    """The score of whichever name the method gives it: the first number that begins with ``held_out``."""
    items = summary.items() if isinstance(summary, dict) else ()
    scores = [v for k, v in items if k.startswith(_SCORE) and isinstance(v, float | int) and math.isfinite(v)]
    return float(scores[0]) if scores else None


def _files(folder: Path) -> list[Path]:
    """All but what is being written just now."""
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]


def _unpack(archive_path: Path, place: Path) -> None:
    try:
        with zipfile.ZipFile(archive_path) as archive:
            for info in archive.infolist():
                parts = PurePosixPath(info.filename).parts
                if info.is_dir() or ".." in parts or parts[:1] == ("/",):
                    continue  # a path that leads out of the folder is nothing that we have written
                target = place.joinpath(*parts)
                make_folder(target.parent)
                with archive.open(info) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise ModelError(f"{archive_path} is not a model: {error}", where=str(archive_path), value=error) from error
