"""Images that no file gives (a layer made in napari, a colour image turned grey), stored inside the project."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_weak3d.io.atomic import atomic_folder
from napari_weak3d.io.project.entries import ImageEntry, new_id
from napari_weak3d.io.project.schema import make_folder
from napari_weak3d.io.spacing import MICROMETRE
from napari_weak3d.types import Volume

IMAGES = "images"
_CHUNK = (1, 32, 256, 256)  # 4 MB of uint16: a few milliseconds to read, not too many files
_SLAB = _CHUNK[1]  # whole chunks: none is written twice


def write_stored_image(
    folder: Path,
    volume: Volume,
    *,
    image_id: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> ImageEntry:
    """Write a volume into the project in ``folder`` as OME-Zarr, a few slices at a time.

    It appears whole or not at all.

    Parameters
    ----------
    folder
        The project's.
    volume
        Any array of numbers, lazy ones too.
    image_id
        Of an image that the project knows already; None: a new one.
    progress
        Is told the part done, 0 to 1, after each few slices, on the calling thread. What it raises ends the writing.

    Returns
    -------
    The entry, for :meth:`~napari_weak3d.io.project.Project.add_image` or ``replace_image``.

    Raises
    ------
    StorageError
        The disk says no.
    """
    image_id = image_id or new_id()
    make_folder(folder / IMAGES)
    with atomic_folder(folder / IMAGES / f"{image_id}.zarr") as temporary:
        _write_slabs(_create_level(temporary, volume), volume, progress or (lambda _part: None))
    return ImageEntry(
        id=image_id,
        name=volume.name,
        source="stored",
        path=f"{IMAGES}/{image_id}.zarr",
        shape=volume.shape,
        dtype=np.dtype(volume.data.dtype).name,
        spacing=volume.spacing,
        unit=volume.unit,
    )


def _create_level(path: Path, volume: Volume) -> Any:
    """An OME-Zarr 0.5 image of one level, still without voxels."""
    import zarr  # noqa: PLC0415  # a third of a second, paid by those who write one

    axes: list[dict[str, str]] = [{"name": name, "type": "space"} for name in "zyx"]
    if volume.unit == MICROMETRE:
        axes = [{**axis, "unit": "micrometer"} for axis in axes]
    scale = {"type": "scale", "scale": [1.0, *volume.spacing]}
    multiscale = {
        "name": volume.name,
        "axes": [{"name": "c", "type": "channel"}, *axes],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [multiscale]}
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"ome": ome})
    shape = (volume.n_channels, *volume.shape)
    chunks = tuple(min(n, chunk) for n, chunk in zip(shape, _CHUNK, strict=True))
    dtype = np.dtype(volume.data.dtype).newbyteorder("=")
    return group.create_array("0", shape=shape, dtype=dtype, chunks=chunks, dimension_names=list("czyx"))


def _write_slabs(level: Any, volume: Volume, progress: Callable[[float], None]) -> None:
    n_slices = volume.shape[0]
    total = volume.n_channels * math.ceil(n_slices / _SLAB)
    done = 0
    for channel in range(volume.n_channels):
        for z in range(0, n_slices, _SLAB):
            level[channel, z : z + _SLAB] = np.asarray(volume.data[channel, z : z + _SLAB])
            done += 1
            progress(done / total)
