"""Whether an image is still the one that was added: what it is known by, and where it is now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.formats import open_stored
from napari_weak3d.io.project.entries import Fingerprint, ImageEntry

SourceState: TypeAlias = Literal["same", "moved", "changed", "missing"]

_WHOLE_BYTES = 2**25  # 32 MB: hashed in 40 ms, read from a slow disk in 0.3 s
_BLOCKS, _BLOCK_BYTES = 64, 2**19  # of larger files, 32 MB too
_ZARR_BLOCKS, _ZARR_SIDE = 8, 16  # each decodes a chunk, perhaps 10 ms
_MOST_CHUNK_FILES = 20_000  # listed in 0.1 s
_N_SAMPLED = 3
_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


def fingerprint(path: str | os.PathLike[str]) -> Fingerprint:
    """Take the fingerprint of an image file or an OME-Zarr folder.

    Of files up to 32 MB all bytes are hashed, of larger ones 64 blocks spread evenly, first and last included: a change
    elsewhere that keeps the size goes unnoticed. Of a folder: the metadata, the names and sizes of up to 20,000 chunk
    files, and voxel blocks at eight fixed places. Large images take well under a second.

    Raises
    ------
    VolumeError
        It is missing or cannot be read.
    """
    file = Path(path)
    try:
        return _of_folder(file) if file.is_dir() else _of_file(file)
    except OSError as error:
        raise VolumeError(f"cannot read {file}: {error.strerror or error}", where=str(file), value=error) from error


def sample_planes(shape: tuple[int, ...], dtype: Any, read: Callable[[int, int], Any]) -> str:
    """Hash what an image is known by wherever its voxels lie: shape, dtype, and three planes of each channel.

    Parameters
    ----------
    shape
        (C, Z, Y, X).
    dtype
        Of its voxels; byte order does not count.
    read
        Gives the plane (Y, X) of a channel and a z: the first, the middle and the last are asked for.
    """
    native = np.dtype(dtype).newbyteorder("=")
    digest = hashlib.blake2b(repr((tuple(map(int, shape)), native.name)).encode(), digest_size=16)
    for z in sampled_places(int(shape[1])):
        for channel in range(int(shape[0])):
            digest.update(np.ascontiguousarray(read(channel, z), dtype=native).data)
    return digest.hexdigest()


def sampled_places(n_planes: int) -> tuple[int, ...]:
    """Return which z planes stand for a volume: the first, the middle and the last."""
    return tuple(int(z) for z in np.unique(np.linspace(0, n_planes - 1, _N_SAMPLED).astype(int)))


def find_source(folder: Path, entry: ImageEntry) -> tuple[SourceState, Path | None]:
    """Find an image of the project in ``folder``, wherever the two have gone.

    Tried in this order: the path relative to the project, the absolute one, its name in the project's folder and in the
    one above.

    Returns
    -------
    "same" and the file: it is there, unchanged (a newer date alone is no change). "moved": unchanged, but not where
    the entry's absolute path says. "changed": a file is there and it is another. "missing", and None.
    """
    if entry.source == "stored":
        stored = folder / entry.path
        return ("same", stored) if stored.exists() else ("missing", None)
    present = [path for path in _candidates(folder, entry) if path.exists()]
    for path in present:
        if _fits(path, entry.fingerprint):
            return ("same" if _same_place(path, Path(entry.path)) else "moved"), path
    expected = [path for path in present if path in _recorded(folder, entry)]
    return ("changed", expected[0]) if expected else ("missing", None)


def with_relative_path(folder: Path, entry: ImageEntry) -> ImageEntry:
    """Complete the paths of a file's entry for a project in ``folder``."""
    if entry.source == "stored":
        return entry
    absolute = Path(os.path.abspath(entry.path))
    try:
        relative: str | None = Path(os.path.relpath(absolute, folder.absolute())).as_posix()
    except ValueError:  # Windows: another drive
        relative = None
    return replace(entry, path=str(absolute), relative_path=relative)


def _recorded(folder: Path, entry: ImageEntry) -> list[Path]:
    """Where the entry says the file is."""
    relative = [] if entry.relative_path is None else [Path(os.path.normpath(folder.absolute() / entry.relative_path))]
    return [*relative, Path(entry.path)]


def _candidates(folder: Path, entry: ImageEntry) -> list[Path]:
    # a path of the other system (a project carried from Windows to Linux) has no parts here that could be taken off
    name = entry.path.replace("\\", "/").rsplit("/", 1)[-1]
    beside = [folder.absolute() / name, folder.absolute().parent / name]
    return list(dict.fromkeys([*_recorded(folder, entry), *beside]))


def _fits(path: Path, known: Fingerprint | None) -> bool:
    if known is None:
        return True
    try:
        found = fingerprint(path)
    except VolumeError:
        return False
    return (found.size, found.digest) == (known.size, known.digest)


def _same_place(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False


def _of_file(file: Path) -> Fingerprint:
    status = file.stat()
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        for block in _blocks(stream, status.st_size):
            digest.update(block)
    return Fingerprint(status.st_size, status.st_mtime_ns, digest.hexdigest())


def _blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    if size <= _WHOLE_BYTES:
        yield stream.read()
        return
    for number in range(_BLOCKS):
        stream.seek((size - _BLOCK_BYTES) * number // (_BLOCKS - 1))
        yield stream.read(_BLOCK_BYTES)


def _of_folder(folder: Path) -> Fingerprint:
    data = open_stored(folder).data
    digest = hashlib.blake2b(repr((tuple(data.shape), str(data.dtype))).encode(), digest_size=16)
    newest = folder.stat().st_mtime_ns
    for name in _METADATA:
        file = folder / name
        if file.is_file():
            digest.update(file.read_bytes())
            newest = max(newest, file.stat().st_mtime_ns)
    for name, size in _chunk_files(folder):
        digest.update(f"{name}:{size};".encode())
    for block in _voxel_blocks(data):
        digest.update(np.ascontiguousarray(block).data)
    return Fingerprint(int(data.size) * data.dtype.itemsize, newest, digest.hexdigest())


def _chunk_files(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of the first files in alphabetical order: compressed voxels that change change them."""
    found: list[tuple[str, int]] = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
        if len(found) >= _MOST_CHUNK_FILES:
            break
    return found[:_MOST_CHUNK_FILES]


def _voxel_blocks(data: Any) -> Iterator[Any]:
    """Small blocks at places that are scattered and always the same."""
    places = np.random.default_rng(0).random((_ZARR_BLOCKS, data.ndim))
    for place in places:
        starts = [int(part * max(1, n - _ZARR_SIDE + 1)) for part, n in zip(place, data.shape, strict=True)]
        yield np.asarray(data[tuple(slice(start, start + _ZARR_SIDE) for start in starts)])
