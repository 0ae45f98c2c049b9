"""What a process that was killed left half-written, and what is left of a project in which nothing was ever kept."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PLACES = ("", "images", "models", "models/*", "predictions", "predictions/*/*", "annotations/*", "annotations/*/*")
_TEMPORARY = re.compile(r"\.\d+-\d+-.+")  # as io.atomic calls things until they are whole
_OLD_S = 3600.0  # younger ones may be just being written, by a training that outlived its napari by some seconds


def clear_leftovers(folder: Path) -> None:
    """Delete what was never finished and is over an hour old; never complains."""
    places = [place for pattern in _PLACES for place in (folder.glob(pattern) if pattern else (folder,))]
    for leftover in [each for place in places if place.is_dir() for each in place.glob(".*")]:
        try:
            old = time.time() - leftover.stat().st_mtime > _OLD_S
        except OSError:  # gone meanwhile
            continue
        if old and _TEMPORARY.fullmatch(leftover.name):
            _delete(leftover)


def remove_unused(folder: Path, image_ids: Iterable[str]) -> None:
    """Delete a closed project in which nothing was kept: what we wrote, and the folder if nothing else is in it.

    Whatever the user has put there stays, and so does a model, a result or an annotation.
    """
    for image_id in image_ids:
        for stored in (folder / "images").glob(f"*{image_id}.zarr"):
            _delete(stored)
        _remove_empty(folder / "annotations" / image_id)
    for name in ("images", "annotations", "models", "predictions"):
        _remove_empty(folder / name)
    for name in ("project.json", ".owner.json", ".lock"):
        _delete(folder / name)
    _remove_empty(folder)


def _delete(place: Path) -> None:
    with suppress(OSError):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
