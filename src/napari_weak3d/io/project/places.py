"""Where projects are made, until the user names a place, and which ones are there."""

from __future__ import annotations

import re
from pathlib import Path

from napari_weak3d.errors import StorageError
from napari_weak3d.io.project.content import PROJECT

_UNFIT = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')  # what some system refuses in a name
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows
_LONGEST = 60
_MOST = 10_000


def projects_folder() -> Path:
    """Return where projects are made by default: ``napari-weak3d`` in the user's home; it need not be there."""
    return Path.home() / "napari-weak3d"


def default_project_folder(name: str, *, base: Path | None = None) -> Path:
    """Return a place for a new project: one that is not there yet.

    Parameters
    ----------
    name
        Of the image, say. What no file system takes is replaced; an empty one becomes "project".
    base
        In which folder; None: :func:`projects_folder`.

    Returns
    -------
    ``base/name``, or ``base/name 2`` and so on where that is taken. Nothing is made.

    Raises
    ------
    StorageError
        The folder cannot be looked into.
    """
    parent = projects_folder() if base is None else base
    fit = _UNFIT.sub("-", name).strip(" .")[:_LONGEST].rstrip(" .") or "project"
    if _RESERVED.fullmatch(fit):
        fit = f"{fit}-project"
    try:
        for number in range(1, _MOST):
            place = parent / (fit if number == 1 else f"{fit} {number}")
            if not place.exists():
                return place
    except OSError as error:
        raise StorageError(f"cannot look into {parent}: {error.strerror or error}", where=str(parent)) from error
    raise StorageError(f"{parent} holds {_MOST} projects called {fit}: name another place", where=str(parent))


def recent_projects(*, base: Path | None = None) -> tuple[Path, ...]:
    """List the projects in ``base`` (None: :func:`projects_folder`), the one last worked on first.

    A folder that cannot be read holds none.
    """
    parent = projects_folder() if base is None else base
    try:
        found = [(_last_change(folder), folder) for folder in parent.iterdir() if (folder / PROJECT).is_file()]
    except OSError:
        return ()
    return tuple(folder for _, folder in sorted(found, key=lambda item: item[0], reverse=True))


def _last_change(folder: Path) -> float:
    """Of ``project.json`` or of any annotation's index."""
    files = [folder / PROJECT, *folder.glob("annotations/**/index.json")]
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
