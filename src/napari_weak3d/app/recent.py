"""Which projects were open last, and where new ones go: a small file in the user's folder of projects."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import atomic_file

_FILE = "recent.json"
_MOST = 10


@dataclass(frozen=True)
class Recent:
    """A project that was open, and whether it was closed before napari ended."""

    folder: str
    closed: bool


def home() -> Path:
    """Return the folder where projects go unless the user names another place; it may not be there yet."""
    return Path.home() / "napari-weak3d"


def default_folder(name: str, *, now: datetime, base: Path | None = None) -> Path:
    """Return a folder for a new project that is not there yet, in ``base`` or :func:`home`: image's name and time."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "project"
    first = (base or home()) / f"{plain[:60]} {now:%Y-%m-%d %H.%M}"
    place, number = first, 2
    while place.exists():
        place, number = first.with_name(f"{first.name} ({number})"), number + 1
    return place


def remember(folder: Path, *, closed: bool) -> None:
    """Note which project is open, or was; a disk that says no is no reason to stop."""
    _write([Recent(str(folder), closed), *(each for each in _read() if each.folder != str(folder))])


def forget(folder: Path) -> None:
    """Let a project not be offered any more."""
    _write([each for each in _read() if each.folder != str(folder)])


def recall() -> tuple[Recent, ...]:
    """Return the projects that were open last and are still there, the newest first."""
    return tuple(each for each in _read() if (Path(each.folder) / "project.json").is_file())


def _read() -> list[Recent]:
    try:
        content = json.loads((home() / _FILE).read_text(encoding="utf-8"))
        return [Recent(**each) for each in content.get("projects", [])]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _write(projects: list[Recent]) -> None:
    with suppress(StorageError, OSError):
        home().mkdir(parents=True, exist_ok=True)
        with atomic_file(home() / _FILE) as temporary:
            content = {"projects": [asdict(each) for each in projects[:_MOST]]}
            temporary.write_text(json.dumps(content), encoding="utf-8")
