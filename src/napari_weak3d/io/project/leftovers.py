"""What a process that was killed left half-written: it takes space, and nobody will ever finish it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

_FOLDERS = ("images", "models", "predictions")
_OLD_S = 3600.0  # younger ones may be just being written, by a training that outlived its napari by some seconds


def clear_leftovers(folder: Path) -> None:
    """Delete hidden folders, as things are called until they are whole, that are over an hour old; never complains."""
    for place in _FOLDERS:
        for leftover in (folder / place).glob(".*"):
            try:
                old = time.time() - leftover.stat().st_mtime > _OLD_S
            except OSError:  # gone meanwhile
                continue
            if old and leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
