"""Where commands may write: not over what they read, and over nothing of somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_weak3d.errors import StorageError

TIFF_SUFFIXES = (".tif", ".tiff")
LABEL_SUFFIXES = (*TIFF_SUFFIXES, ".zarr")


def check_out(path: Path, suffixes: Sequence[str], *, option: str) -> None:
    """Raise StorageError where a result could not be written: found out before hours of work, not after."""
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise _refuse(path, f"the name has to end in {' or '.join(suffixes)}", option=option)
    if not path.parent.is_dir():
        raise _refuse(path, f"there is no folder {path.parent}; make it first", option=option)
    if suffix != ".zarr":
        if path.is_dir():
            raise _refuse(path, "this is a folder; name a file", option=option)
    elif path.exists():
        from napari_weak3d.io.formats import wrote_zarr

        if not wrote_zarr(path):
            raise _refuse(
                path, "there is one that napari-weak3d has not written; name another, or delete it", option=option
            )


def check_beside(path: Path | None, *, out: Path, option: str) -> None:
    """Raise StorageError where a second file, written beside a result, would take the place of another result's."""
    if path is not None and path.exists() and not out.exists():
        raise _refuse(path, f"there is one, of another file than {out.name}; name another, or delete it", option=option)


def check_distinct(sources: Sequence[Path | None], results: Mapping[str, Path | None]) -> None:
    """Make sure that no result takes the place of a file that is read, or of another result.

    Parameters
    ----------
    sources
        Files and folders that are read; None: not given.
    results
        What is written, by option.

    Raises
    ------
    StorageError
        Two are the same file, under whatever name, or one lies inside the other.
    """
    taken = {"read by this command": [path for path in sources if path is not None]}
    for option, path in results.items():
        if path is None:
            continue
        for whose, paths in taken.items():
            for other in paths:
                _keep_apart(path, other, whose=whose, option=option)
        taken[f"written by {option}"] = [path]


def _keep_apart(path: Path, other: Path, *, whose: str, option: str) -> None:
    if _are_same(path, other):
        raise _refuse(path, f"this file is {whose}; name another", option=option)
    if _lies_in(path, other):
        raise _refuse(path, f"it lies inside {other}, which is {whose}; name another place", option=option)
    if _lies_in(other, path):
        raise _refuse(path, f"{other}, which is {whose}, lies inside it; name another", option=option)


def _lies_in(path: Path, folder: Path) -> bool:
    return any(_are_same(parent, folder) for parent in path.resolve().parents)


def _are_same(one: Path, other: Path) -> bool:
    if one.resolve() == other.resolve():
        return True
    return one.exists() and other.exists() and one.samefile(other)


def _refuse(path: Path, why: str, *, option: str) -> StorageError:
    return StorageError(f"{option} {path}: {why}", where=option, value=str(path))
