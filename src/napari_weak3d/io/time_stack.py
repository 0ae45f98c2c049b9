"""The time points of a series as one array, each read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_weak3d.io.lazy import complete_key


class TimeStack:
    """Volumes (Z, Y, X) of one shape as (T, Z, Y, X): indexing reads that part only and gives numpy.

    Takes integers, slices and an ellipsis; any other index reads the whole array first.

    Parameters
    ----------
    volume_at
        Gives the volume of a time point, an array of any kind, anew at each access; None: zeros.
    shape
        (T, Z, Y, X).
    dtype
        Of what is read.
    """

    ndim = 4

    def __init__(
        self, volume_at: Callable[[int], Any | None], *, shape: tuple[int, int, int, int], dtype: DTypeLike
    ) -> None:
        self._volume_at = volume_at
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.size = int(np.prod(shape, dtype=np.int64))

    def __len__(self) -> int:
        """Number of time points."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part."""
        keys = complete_key(key, self.shape)
        if keys is None:
            return np.asarray(np.asarray(self)[key])
        times, place = keys[0], tuple(keys[1:])
        if isinstance(times, int):
            return self._read(self._volume_at(times), place)
        first = self._read(None, place)
        part = np.zeros((len(range(self.shape[0])[times]), *first.shape), self.dtype)
        for row, time in enumerate(range(self.shape[0])[times]):
            part[row] = self._read(self._volume_at(time), place)
        return part

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)

    def _read(self, volume: Any | None, place: tuple[int | slice, ...]) -> NDArray[Any]:
        if volume is None:
            return np.broadcast_to(np.zeros((), self.dtype), self.shape[1:])[place]
        return np.asarray(volume[place]).astype(self.dtype, copy=False)
