"""A stored array seen as (C, Z, Y, X) without reading it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_weak3d.errors import VolumeError

Order: TypeAlias = tuple[int | None, int | None, int | None, int | None]
"""For C, Z, Y and X: which axis of the stored array it is, or None for a new axis of length 1."""


class AxisView:
    """An array on disk in the order (C, Z, Y, X): indexing reads that part only and gives numpy.

    Takes integers, slices and an ellipsis; any other index reads the whole array first. Numbers come in the byte
    order of the machine (torch takes no other). Each access decodes the blocks it touches anew: for repeated random
    access take ``np.asarray(view)`` once.

    Parameters
    ----------
    source
        The stored array (numpy memory map, zarr); its axes that are not in ``order`` have length 1.
    order
        Where C, Z, Y and X are.
    name
        The file's name, for messages.
    """

    ndim = 4

    def __init__(self, source: Any, order: Order, *, name: str) -> None:
        self._source = source
        self._order = order
        self._name = name
        self.dtype: np.dtype[Any] = np.dtype(source.dtype).newbyteorder("=")
        self.shape: tuple[int, ...] = tuple(1 if axis is None else int(source.shape[axis]) for axis in order)

    def __len__(self) -> int:
        """Number of channels."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part.

        Raises
        ------
        VolumeError
            The file is damaged there, or packed in a way that no installed codec can unpack.
        """
        keys = complete_key(key, self.shape)
        if keys is None:
            return np.asarray(np.asarray(self)[key])
        block = self._read([slice(k, k + 1) if isinstance(k, int) else k for k in keys])
        return block[tuple(0 if isinstance(k, int) else slice(None) for k in keys)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)

    def _read(self, slices: list[slice]) -> NDArray[Any]:
        """The part as 4-D, native byte order."""
        source_key: list[Any] = [0] * len(self._source.shape)
        kept = sorted(axis for axis in self._order if axis is not None)
        for out_axis, axis in enumerate(self._order):
            if axis is not None:
                source_key[axis] = slices[out_axis]
        try:
            block = np.asarray(self._source[tuple(source_key)])
        except Exception as error:  # each codec has errors of its own
            raise VolumeError(f"cannot read {self._name}: {error}", where=self._name) from error
        # stored order, length-1 axes gone -> the order of C, Z, Y, X without the new ones -> (C, Z, Y, X)
        block = block.transpose([kept.index(axis) for axis in self._order if axis is not None])
        block = block.reshape([1 if axis is None else n for axis, n in self._with_lengths(block)])
        block = block[tuple(s if axis is None else slice(None) for axis, s in zip(self._order, slices, strict=True))]
        return block.astype(self.dtype, copy=False)

    def _with_lengths(self, block: NDArray[Any]) -> list[tuple[int | None, int]]:
        """Each of C, Z, Y, X with its length in the block, new axes with 1."""
        lengths = iter(block.shape)
        return [(axis, 1 if axis is None else next(lengths)) for axis in self._order]


def view_in_order(source: Any, order: Order, *, name: str) -> Any:
    """Return ``source`` as (C, Z, Y, X): plain numpy where that costs nothing, else an :class:`AxisView`."""
    if not (isinstance(source, np.ndarray) and source.dtype.isnative):
        return AxisView(source, order, name=name)
    kept = [axis for axis in order if axis is not None]
    dropped = tuple(axis for axis in range(source.ndim) if axis not in kept)
    # stored order -> length-1 axes that go, then C, Z, Y, X as far as there -> (C, Z, Y, X)
    moved = source.transpose(dropped + tuple(kept))[(0,) * len(dropped)]
    return np.expand_dims(moved, [out_axis for out_axis, axis in enumerate(order) if axis is None])


def complete_key(key: Any, shape: tuple[int, ...]) -> list[int | slice] | None:
    """The key as one integer >= 0 or forward slice per axis; None where it is of another kind."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not all(_is_plain(part) for part in parts):
        return None
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    at = next(i for i, part in enumerate(parts) if part is Ellipsis)
    parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    if len(parts) != len(shape):
        raise IndexError(f"{len(parts)} indices for an array of {len(shape)} axes")
    return [_within(part, length) for part, length in zip(parts, shape, strict=True)]


def _is_plain(part: Any) -> bool:
    """An ellipsis, a forward slice, or an integer."""
    if isinstance(part, slice):
        return part.step is None or part.step > 0
    return part is Ellipsis or (isinstance(part, int | np.integer) and not isinstance(part, bool))


def _within(part: Any, length: int) -> int | slice:
    """A slice with its ends filled in, or an integer counted from the start."""
    if isinstance(part, slice):
        return slice(*part.indices(length))
    if not -length <= part < length:
        raise IndexError(f"index {part} is out of range for an axis of length {length}")
    return int(part) % length
