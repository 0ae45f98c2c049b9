"""One time point of a time series, without reading the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.axes import UNNAMED, StoredImage

_TIME = "T"
_FEWEST_AXES = 4  # time, z, y, x: three axes without names are a stack


def take_time_point(
    stored: StoredImage, *, time_index: int, channel_axis: int | None, name: str
) -> tuple[StoredImage, int | None]:
    """View one time point of a stored image.

    Parameters
    ----------
    stored
        The image, with an axis T, or with four axes or more of which time is the first without a name that is not
        ``channel_axis``.
    time_index
        Which one, from 0.
    channel_axis
        Which axis of the file holds the channels, time counted too; negative from the end.
    name
        The file's name, for messages.

    Returns
    -------
    The image without its time axis, and where its channel axis is then.

    Raises
    ------
    VolumeError
        There is no time axis, or no such time point.
    """
    n_axes = len(stored.axes)
    channels = None if channel_axis is None else channel_axis % n_axes
    axis = _time_axis(stored.axes, channels=channels)
    if axis is None:
        raise VolumeError(
            f"{name} has no time axis (axes {stored.axes}, shape {tuple(stored.data.shape)}), and time point "
            f"{time_index} was asked for",
            where=name,
            value=time_index,
        )
    length = int(stored.data.shape[axis])
    if not 0 <= time_index < length:
        raise VolumeError(
            f"{name} has {length} time points, 0 to {length - 1}: there is no {time_index}",
            where=name,
            value=time_index,
        )
    data = _fix(stored.data, axis, time_index)
    axes = stored.axes[:axis] + stored.axes[axis + 1 :]
    return replace(stored, data=data, axes=axes), channels if channels is None or channels < axis else channels - 1


class _OneTimePoint:
    """An array on disk with one index fixed; reads what is asked for."""

    def __init__(self, source: Any, axis: int, index: int) -> None:
        self._source, self._axis, self._index = source, axis, index
        self.dtype = source.dtype
        self.shape = (*source.shape[:axis], *source.shape[axis + 1 :])
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part: an index or a slice for every axis."""
        return np.asarray(self._source[(*key[: self._axis], self._index, *key[self._axis :])])


def _fix(source: Any, axis: int, index: int) -> Any:
    if isinstance(source, np.ndarray):
        return source[(slice(None),) * axis + (index,)]
    return _OneTimePoint(source, axis, index)


def _time_axis(axes: str, *, channels: int | None) -> int | None:
    if _TIME in axes:
        return axes.index(_TIME)
    unnamed = [axis for axis, letter in enumerate(axes) if letter == UNNAMED and axis != channels]
    return unnamed[0] if unnamed and len(axes) - (channels is not None) >= _FEWEST_AXES else None
