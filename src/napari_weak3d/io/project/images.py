"""The images of a project as volumes, their voxels read when they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.project.entries import ImageEntry, new_id
from napari_weak3d.io.project.identity import find_source, fingerprint
from napari_weak3d.io.spacing import MICROMETRE
from napari_weak3d.io.volumes import read_volume
from napari_weak3d.types import Spacing, Volume


def describe_file(
    path: str | os.PathLike[str],
    *,
    time_index: int | None = None,
    channel_axis: int | None = None,
    channels: tuple[int, ...] | None = None,
    spacing: Spacing | None = None,
    unit: str = MICROMETRE,
) -> ImageEntry:
    """Make the entry of an image file, with an id of its own; nothing is added to a project yet.

    Parameters
    ----------
    path, time_index, channel_axis
        As for :func:`~napari_weak3d.io.volumes.read_volume`.
    channels
        Which of its channels; None: all.
    spacing, unit
        Win over the file; None: as the file says.

    Raises
    ------
    VolumeError
        It cannot be read so.
    """
    volume = read_volume(path, spacing=spacing, channel_axis=channel_axis, time_index=time_index)
    name = volume.name if time_index is None else f"{volume.name}, time {time_index}"
    entry = ImageEntry(
        id=new_id(),
        name=name,
        source="file",
        path=str(Path(path).absolute()),
        shape=volume.shape,
        dtype=volume.data.dtype.name,
        spacing=volume.spacing,
        unit=volume.unit if spacing is None else unit,
        time_index=time_index,
        channel_axis=channel_axis,
        channels=channels,
        fingerprint=fingerprint(path),
    )
    _choose_channels(volume.data, entry)
    return entry


def open_image(folder: Path, entry: ImageEntry) -> Volume:
    """Open an image of the project in ``folder``; its voxels are read when they are asked for.

    Raises
    ------
    VolumeError
        It is missing or damaged, has been replaced by another, or has no longer the shape that it was added with.
    """
    state, path = find_source(folder, entry)
    if path is None:
        raise VolumeError(
            f"the image {entry.name} is not at {entry.path}: put it back, or say where it is now",
            where=entry.name,
            value=entry.path,
        )
    if state == "changed":
        raise VolumeError(
            f"the image {entry.name} ({path}) has changed since it was added to the project: put the old one back, or "
            "accept the new one",
            where=entry.name,
            value=str(path),
        )
    time_index = None if entry.source == "stored" else entry.time_index  # one time point is all that was stored
    volume = read_volume(path, spacing=entry.spacing, channel_axis=entry.channel_axis, time_index=time_index)
    if volume.shape != entry.shape:
        raise VolumeError(
            f"the image {entry.name} is {volume.shape} (Z, Y, X) and was {entry.shape} when it was added",
            where=entry.name,
            value=volume.shape,
        )
    return Volume(_choose_channels(volume.data, entry), spacing=entry.spacing, unit=entry.unit, name=entry.name)


def _choose_channels(data: Any, entry: ImageEntry) -> Any:
    """The chosen channels of (C, Z, Y, X), without reading them."""
    if entry.channels is None:
        return data
    wrong = [channel for channel in entry.channels if not 0 <= channel < data.shape[0]]
    if wrong or not entry.channels:
        raise VolumeError(
            f"{entry.name} has {data.shape[0]} channels, 0 to {data.shape[0] - 1}: there is no channel "
            f"{wrong[0] if wrong else '(none was chosen)'}",
            where="channels",
            value=entry.channels,
        )
    first, count = entry.channels[0], len(entry.channels)
    if isinstance(data, np.ndarray) and entry.channels == tuple(range(first, first + count)):
        return data[first : first + count]
    return ChannelView(data, entry.channels)


class ChannelView:
    """Some channels of (C, Z, Y, X), in an order of their own; indexing reads that part only and gives numpy.

    Parameters
    ----------
    source
        The array.
    channels
        Which of its channels.
    """

    ndim = 4

    def __init__(self, source: Any, channels: tuple[int, ...]) -> None:
        self._source = source
        self._channels = channels
        self.dtype: np.dtype[Any] = np.dtype(source.dtype)
        self.shape: tuple[int, ...] = (len(channels), *(int(n) for n in source.shape[1:]))

    def __len__(self) -> int:
        """Number of channels."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part; the index of the channel comes first."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, int | np.integer):
            return np.asarray(self._source[(self._channels[first], *rest)])
        chosen = np.asarray(self._channels)[first]
        return np.stack([np.asarray(self._source[(int(channel), *rest)]) for channel in chosen])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)
