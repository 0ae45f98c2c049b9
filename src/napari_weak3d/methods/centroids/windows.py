"""Arrays that are zero outside of a small box, several at once, each with a box of its own but all of one size.

The gradient of one output voxel reaches only a few voxels of each layer of a network. Followed layer by layer in boxes
just large enough, it costs a small part of what whole layers cost; boxes of one size go through a layer as one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Windows:
    """Boxes of arrays that are zero elsewhere.

    Attributes
    ----------
    low
        (P, D) int64: the first index of each box along each axis of the array, batch and channel axes included.
    values
        (P, *size): what is inside.
    """

    low: NDArray[np.int64]
    values: Tensor

    @property
    def size(self) -> tuple[int, ...]:
        """Sizes of the boxes, D of them."""
        return tuple(self.values.shape[1:])

    def with_values(self, values: Tensor) -> Windows:
        """The same boxes with other content."""
        return Windows(self.low, values)

    def moved(self, low: NDArray[np.int64], size: Sequence[int]) -> Windows:
        """Look through other boxes: what they do not show is lost, what was outside of the old ones is zero."""
        if tuple(size) == self.size and (low == self.low).all():
            return self
        within = (self.low <= low).all() and (low + size <= self.low + self.size).all()
        values = _new_like(self.values, (len(low), *size))
        moved = Windows(low, values if within else values.zero_())
        moved._add(self, first=True)
        return moved

    def within(self, shape: Sequence[int]) -> Windows:
        """Push the boxes into an array of this shape, made smaller where it is; what hung out of it is lost."""
        size = np.minimum(self.size, shape)
        return self.moved(np.clip(self.low, 0, np.array(shape) - size), size.tolist())

    def times(self, array: Tensor) -> Windows:
        """Multiply by an array that the boxes lie in; its axes of length 1 are broadcast."""
        lows, highs = _in_array(array, low=self.low, size=self.size)
        values = torch.empty_like(self.values)
        for product, own, low, high in zip(values, self.values, lows, highs, strict=True):
            torch.mul(own, array[_slices(low, high)], out=product)
        return Windows(self.low, values)

    def positive_times(self, array: Tensor) -> Windows:
        """The same of what is above zero, else 0; in one new array, for new memory takes most of the time."""
        lows, highs = _in_array(array, low=self.low, size=self.size)
        values = torch.empty_like(self.values)
        for product, own, low, high in zip(values, self.values, lows, highs, strict=True):
            torch.clamp(own, min=0, out=product).mul_(array[_slices(low, high)])
        return Windows(self.low, values)

    def spread(self, array: Tensor, *, size: Sequence[int]) -> Windows:
        """Repeat each value over a box of ``size`` (by axis), and multiply by an array that the larger boxes lie in."""
        low, extent = self.low * size, np.multiply(self.size, size).tolist()
        values = _new_like(self.values, (len(low), *extent))
        for product, own, start in zip(values, self.values, low, strict=True):
            torch.mul(
                _split_axes(own, (1,) * len(size)),
                _split_axes(array[_slices(start, start + extent)], size),
                out=_split_axes(product, size),
            )
        return Windows(low, values)

    def crop(self, array: Tensor) -> Tensor:
        """Cut the boxes out of an array, see :func:`cut`."""
        return cut(array, low=self.low, size=self.size)

    def plus(self, other: Windows) -> Windows:
        """Add two sets of boxes of the same array; the new ones hold both."""
        low = np.minimum(self.low, other.low)
        high = np.maximum(self.low + self.size, other.low + other.size)
        # One size for all: the boxes that need less may now hang out of the array, by zeros only.
        both = self.moved(low, (high - low).max(axis=0).tolist())
        both = Windows(low, both.values.clone() if both.values is self.values else both.values)
        both._add(other)
        return both

    def _add(self, other: Windows, *, first: bool = False) -> None:
        """Add, in place, what of other boxes lies in these; ``first``: to nothing yet."""
        for number, (low, theirs) in enumerate(zip(self.low, other.low, strict=True)):
            start, end = np.maximum(low, theirs), np.minimum(low + self.size, theirs + other.size)
            if (start < end).all():
                here = self.values[number][_slices(start - low, end - low)]
                there = other.values[number][_slices(start - theirs, end - theirs)]
                here.copy_(there) if first else here.add_(there)


def cut(array: Tensor, *, low: NDArray[np.int64], size: Sequence[int]) -> Tensor:
    """Cut boxes that lie inside an array out of it: (P, *size); axes of length 1 stay so, to be broadcast."""
    lows, highs = _in_array(array, low=low, size=size)
    values = _new_like(array[None], (len(lows), *(highs - lows)[0].tolist()))
    for number, (first, last) in enumerate(zip(lows, highs, strict=True)):
        values[number] = array[_slices(first, last)]  # faster than to stack what does not lie in one piece
    return values


def _split_axes(array: Tensor, size: Sequence[int]) -> Tensor:
    """(n0 * s0, n1 * s1, ...) -> (n0, s0, n1, s1, ...), the same memory."""
    for axis in reversed(range(array.ndim)):
        array = array.unflatten(axis, (-1, size[axis]))  # type: ignore[no-untyped-call]
    return array


def _new_like(array: Tensor, shape: Sequence[int]) -> Tensor:
    """Take memory for an array whose axes lie in memory in the order of another's: mixed orders are slow."""
    order = sorted(range(array.ndim), key=array.stride, reverse=True)
    back = np.argsort(order).tolist()
    return array.new_empty([shape[axis] for axis in order]).permute(back)


def _in_array(
    array: Tensor, *, low: NDArray[np.int64], size: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last index of boxes in an array that may be broadcast along axes of length 1."""
    single = np.array(array.shape) == 1
    return np.where(single, 0, low), np.where(single, 1, low + size)


def _slices(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
