"""Which file ending goes to which reader and writer.

They are imported when a file of their kind comes: tifffile and zarr cost a third of a second each, and whoever reads a
CSV or asks for ``--help`` shall not pay for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_weak3d.errors import StorageError, VolumeError
from napari_weak3d.io.atomic import atomic_file, atomic_folder
from napari_weak3d.io.axes import UNNAMED, StoredImage
from napari_weak3d.io.spacing import check_spacing
from napari_weak3d.types import Spacing

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8")
ZARR_ENDINGS = (".zarr",)
MARK = "napari-weak3d"
"""The attribute of OME-Zarr by which we know again what we wrote."""
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def open_stored(path: Path) -> StoredImage:
    """Open an image file of any kind, without reading its voxels.

    Raises
    ------
    VolumeError
        The file is not there, is of an unknown kind, or is damaged.
    """
    if not path.exists():
        raise VolumeError(f"{path} does not exist: check the name", where=str(path), value=str(path))
    ending = path.suffix.lower()
    try:
        if ending in ZARR_ENDINGS or any((path / file).is_file() for file in _ZARR_FILES):
            from napari_weak3d.io.zarrs import open_zarr

            return open_zarr(path)
        if path.is_dir():
            raise VolumeError(f"{path} is a folder, not an image: give a file, or a .zarr folder", where=str(path))
        if ending in TIFF_ENDINGS:
            from napari_weak3d.io.tiff import open_tiff

            return open_tiff(path)
        if ending == ".npy":
            return _open_npy(path)
    except OSError as error:
        raise VolumeError(f"cannot read {path}: {error.strerror or error}", where=str(path), value=error) from error
    raise VolumeError(
        f"{path.name} is of an unknown kind ({ending or 'no ending'}): .tif, .tiff, .zarr (OME-Zarr) and .npy can be "
        f"read; save it as one of them",
        where=str(path),
        value=ending,
    )


def write_stored(path: Path, array: Any, *, spacing: Spacing, unit: str, kind: Literal["image", "labels"]) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) with its spacing, whole or not at all; the ending says the format.

    Raises
    ------
    StorageError
        The ending is none of a format that can be written, or the disk says no. An old file stays as it was.
    VolumeError
        The spacing is not positive.
    """
    checked = check_spacing(spacing, where=path.name)
    ending = path.suffix.lower()
    if ending in TIFF_ENDINGS:
        from napari_weak3d.io.tiff import write_tiff

        with atomic_file(path) as temporary:
            write_tiff(temporary, array, spacing=checked, unit=unit)
    elif ending in ZARR_ENDINGS:
        from napari_weak3d.io.zarrs import write_zarr

        with atomic_folder(path) as temporary:
            write_zarr(temporary, array, spacing=checked, unit=unit, kind=kind)
    else:
        raise StorageError(
            f"cannot write {path}: the ending must be .tif, .tiff or .zarr, not {ending or 'none'}",
            where=str(path),
            value=ending,
        )


def wrote_zarr(path: Path) -> bool:
    """Whether a zarr folder is one that this package has written, and may write anew."""
    try:
        described = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    attributes = described.get("attributes") if isinstance(described, dict) else None
    return isinstance(attributes, dict) and MARK in attributes


def short_name(path: Path) -> str:
    """The file's name without its ending, ".ome.tif" counting as one."""
    return path.stem.removesuffix(".ome")


def _open_npy(path: Path) -> StoredImage:
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise VolumeError(
            f"cannot read {path.name}: {error}; it is truncated, or no array of numbers", where=str(path), value=error
        ) from error
    return StoredImage(data, UNNAMED * data.ndim)
