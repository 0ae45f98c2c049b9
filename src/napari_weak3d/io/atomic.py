"""Files and folders that appear whole or not at all: written under a temporary name, synced, renamed."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from napari_weak3d.errors import StorageError

_SYNCS = 8
"""Files synced side by side."""
_CAUSES = {
    errno.ENOSPC: "the disk is full: free some space, or choose another place",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose another place",
    errno.EFBIG: "the file is larger than the file system allows: choose another place",
    errno.EACCES: "you may not write there: choose another place",
    errno.EPERM: "you may not write there: choose another place",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.ENOENT: "the folder does not exist: make it first",
    errno.ENOTDIR: "its parent is a file, not a folder: choose another place",
    errno.EISDIR: "a folder of that name is in the way: choose another name",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


@dataclass(frozen=True)
class _Held:
    """Something written that has not its name yet: how it gets it, and how it is dropped."""

    name: Callable[[], None]
    drop: Callable[[], None]


_held: ContextVar[dict[Path, _Held] | None] = ContextVar("_held", default=None)
"""What an :func:`all_or_none` holds back, by the path that it is to get; None outside of one."""


@contextmanager
def all_or_none() -> Iterator[None]:
    """Hold back the files and folders that are written within it; on leaving without an error each gets its name.

    For what belongs together: where one of them cannot be written, none takes the place of what was there. They get
    their names in the order in which they were written (a crash between two leaves the first ones only). One within
    another is part of the outer one. Also a decorator.

    Raises
    ------
    StorageError
        As for :func:`atomic_file`.
    """
    if _held.get() is not None:
        yield
        return
    held: dict[Path, _Held] = {}
    token = _held.set(held)
    try:
        yield
        for target in list(held):
            with _reported(target, on_error=held[target].drop):
                held[target].name()
            del held[target]
    finally:
        _held.reset(token)
        for left in held.values():
            with suppress(OSError):
                left.drop()


def remove_file(path: Path) -> None:
    """Remove a file if it is there; within :func:`all_or_none`, when what was written before it has its name."""
    _name_or_hold(path, lambda: path.unlink(missing_ok=True), drop=lambda: None)


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on leaving without an error it becomes ``path``.

    A reader sees the old file or the new one, never a part: also after a crash or a power cut. After an error the
    temporary file is removed and an old file of that name stays as it was. The temporary name has the same ending.

    Raises
    ------
    StorageError
        The file cannot be written, synced or renamed; the message says why in plain words.
    """
    target = Path(path)
    temporary = _temporary_name(target)

    def drop() -> None:
        temporary.unlink(missing_ok=True)

    def name() -> None:
        os.replace(temporary, target)
        _sync_folder(target.parent)

    with _reported(target, on_error=drop):
        # Writers report a missing or a read-only folder in words of their own, some only as text: ask first.
        temporary.touch()
        yield temporary
        _sync(temporary)
        _name_or_hold(target, name, drop=drop)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a fresh temporary folder beside ``path`` to fill; on leaving without an error it becomes ``path``.

    An old folder of that name is replaced as a whole: it is moved aside, and deleted only when the new one is in
    place. (Two renames: a crash between them leaves the old folder under its temporary name, nothing is lost.)

    Raises
    ------
    StorageError
        As for :func:`atomic_file`.
    """
    target = Path(path)
    temporary = _temporary_name(target)

    def drop() -> None:
        shutil.rmtree(temporary, ignore_errors=True)

    def name() -> None:
        _replace_folder(temporary, target)
        _sync_folder(target.parent)

    with _reported(target, on_error=drop):
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        _name_or_hold(target, name, drop=drop)


def try_folder(folder: Path) -> None:
    """Make a folder where it is missing, write a file into it, and take all that was made away again.

    Rights tell less: root may do everything, and still cannot write to every place.

    Raises
    ------
    OSError
        It cannot be made, or not be written to.
    """
    made: list[Path] = []
    file = _temporary_name(folder / "try")
    try:
        for place in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
            place.mkdir(exist_ok=True)
            made.append(place)
        file.touch()
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # one in which somebody else has put something meanwhile stays
            for place in reversed(made):
                place.rmdir()


def write_files(folder: Path, contents: Mapping[str, Callable[[], bytes]]) -> None:
    """Write files that nobody reads yet, straight under their names, and have them all on the disk on return.

    For many small files: they are synced side by side, and the folder once, which a journal takes in one go.

    Parameters
    ----------
    contents
        By name: called for what goes into the file, when it is written.

    Raises
    ------
    StorageError
        As for :func:`atomic_file`; none of them is left then.
    """
    files = {folder / name: make for name, make in contents.items()}

    def remove() -> None:
        for file in files:
            file.unlink(missing_ok=True)

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            stream.write(files[file]())
            stream.flush()
            os.fsync(stream.fileno())

    if not files:
        return
    with _reported(next(iter(files)), on_error=remove), ThreadPoolExecutor(min(_SYNCS, len(files))) as threads:
        for written in [threads.submit(write, file) for file in files]:
            written.result()
        _sync_folder(folder)


def _name_or_hold(target: Path, name: Callable[[], None], *, drop: Callable[[], None]) -> None:
    """Give what is written its name: now, or when :func:`all_or_none` is left."""
    held = _held.get()
    if held is None:
        name()
    else:
        held[target] = _Held(name, drop)


def _temporary_name(target: Path) -> Path:
    """A name beside ``target`` that no other process or thread uses; hidden, with the same ending."""
    return target.with_name(f".{os.getpid()}-{threading.get_ident()}-{target.name}")


@contextmanager
def _reported(target: Path, *, on_error: Callable[[], None]) -> Iterator[None]:
    """Clean up after any error, and tell an OSError in plain words."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):  # a disk turned read-only says no to that, too, which must not hide why
            on_error()
        raise StorageError(
            f"cannot write {target}: {cause_in_words(error, target)}", where=str(target), value=error
        ) from error
    except BaseException:
        with suppress(OSError):
            on_error()
        raise


def cause_in_words(error: OSError, target: Path) -> str:
    """Say why ``target`` could not be written, as a person can do something about it.

    An error of many files (shutil's) says the first one's cause; where there is nothing better, the system's own words.
    """
    if error.errno in _CAUSES:
        return _CAUSES[error.errno]
    if error.errno is None and _is_full(target.parent):  # numpy reports a short write without a number
        return _CAUSES[errno.ENOSPC]
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        return _cause_of_many(str(error.args[0][0][-1]))
    return error.strerror or str(error)


def _cause_of_many(first: str) -> str:
    """Copying a folder keeps of each file's error only the text, which begins with its number."""
    numbers = [number for number in _CAUSES if first.startswith(f"[Errno {number}]")]
    return _CAUSES[numbers[0]] if numbers else first


def _is_full(folder: Path) -> bool:
    """Less than a megabyte left."""
    try:
        return shutil.disk_usage(folder).free < 2**20
    except OSError:
        return False


def _sync(file: Path) -> None:
    """Have the system put the file on the disk now."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename last; Windows has no such call, and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_folder(new: Path, target: Path) -> None:
    """Put ``new`` in the place of ``target``; if that fails, the old one goes back."""
    if not target.exists():
        os.rename(new, target)
        return
    if not target.is_dir():
        raise FileExistsError(errno.EEXIST, "a file of that name is in the way: choose another name")
    aside = _temporary_name(target.with_name(f"old-{target.name}"))
    os.rename(target, aside)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
