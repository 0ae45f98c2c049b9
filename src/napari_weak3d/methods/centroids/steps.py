"""What the layers of a network do to a signal that runs back through them, in windows.

Each step knows the shapes of its inputs and pulls windows of its output back to windows of each input: the transposed
linear map, for a rectifier the product with its slope. Windows that are pulled lie inside the output's array; those
that come out lie inside the input's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.centroids.windows import Windows, cut

Shape = tuple[int, ...]


class Step(Protocol):
    """One operation, seen from its end."""

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """Windows of the output -> windows of each input."""


@dataclass(frozen=True, eq=False)
class Same:
    """What comes back passes unchanged, to each of so many inputs."""

    inputs: int = 1

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        return [windows] * self.inputs


@dataclass(frozen=True, eq=False)
class Scaling:
    """Times a factor that broadcasts against the input. ``positive_only``: a signal below zero stops here."""

    factor: Tensor
    positive_only: bool = False

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        return [windows.positive_times(self.factor) if self.positive_only else windows.times(self.factor)]


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution over the last axes of (N, C, ...); padded with zeros, ``weight`` (C', C / groups, ...)."""

    weight: Tensor
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int
    shape: Shape

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        back = _CONVOLVE_BACK[len(self.stride)]
        signal = windows.values.flatten(0, 1)  # (P, N, C', ...) -> (P * N, C', ...)
        # Shorter than the input's box where a stride steps over its end: no tap of the kernel is left out.
        values = back(signal, self.weight, None, self.stride, 0, 0, self.groups, self.dilation)
        low = windows.low.copy()
        low[:, 1] = 0
        low[:, 2:] = windows.low[:, 2:] * self.stride - self.padding
        return [Windows(low, _split_first(values, windows)).within(self.shape)]


@dataclass(frozen=True, eq=False)
class UpConvolution:
    """A transposed convolution over the last axes of (N, C, ...); ``weight`` (C, C' / groups, ...)."""

    weight: Tensor
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int
    shape: Shape

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        stride, dilation = np.array(self.stride), np.array(self.dilation)
        reach = (np.array(self.weight.shape[2:]) - 1) * dilation
        first = windows.low[:, 2:] + self.padding
        last = first + windows.size[2:] - 1
        # Input i is spread over i * stride - padding + tap * dilation: all that touch the window.
        low, high = -((reach - first) // stride), last // stride
        size = (high - low).max(axis=0) + 1
        seen_low, seen_size = windows.low.copy(), [*windows.size[:2], *((size - 1) * stride + reach + 1).tolist()]
        seen_low[:, 2:] = low * stride - self.padding
        signal = windows.moved(seen_low, seen_size).values.flatten(0, 1)
        convolve = _CONVOLVE[len(self.stride)]
        values = convolve(signal, self.weight, None, self.stride, 0, self.dilation, self.groups)
        at = windows.low.copy()
        at[:, 1], at[:, 2:] = 0, low
        return [Windows(at, _split_first(values, windows)).within(self.shape)]


@dataclass(frozen=True, eq=False)
class Unpooling:
    """Maximum over boxes side by side: ``winners`` is 1 where the input was the first largest in its box, else 0."""

    size: Shape
    winners: Tensor

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        return [windows.spread(self.winners, size=(1, 1, *self.size))]


@dataclass(frozen=True, eq=False)
class MaxPooling:
    """Maximum over boxes that overlap or leave gaps, without padding, along the last axes of ``before``."""

    size: Shape
    stride: Shape
    before: Tensor

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        low, extent = windows.low.copy(), np.array(windows.size)
        low[:, 2:] *= self.stride
        extent[2:] = (extent[2:] - 1) * self.stride + self.size
        before = cut(self.before, low=low, size=extent.tolist())
        pool = _POOL[len(self.stride)]
        values = vector_jacobian(lambda crop: pool(crop.flatten(0, 1), self.size, self.stride), before, windows.values)
        return [Windows(low, values)]


@dataclass(frozen=True, eq=False)
class AxisMaps:
    """A linear map along each of some axes: interpolation, averages over boxes, padding, slicing.

    ``matrices``: by axis of the array, (outputs, inputs), in main memory whatever the device of the arrays.
    """

    matrices: dict[int, Tensor]

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        low, values = windows.low.copy(), windows.values
        for axis, matrix in self.matrices.items():
            rows = [matrix[at : at + windows.size[axis]] for at in low[:, axis]]
            used = [np.flatnonzero(each.any(dim=0).numpy()) for each in rows]
            first = np.array([columns[0] if columns.size else 0 for columns in used])
            size = max(
                int(columns[-1] - at) + 1 if columns.size else 1 for columns, at in zip(used, first, strict=True)
            )
            first = np.minimum(first, matrix.shape[1] - size)
            kept = torch.stack([each[:, at : at + size] for each, at in zip(rows, first, strict=True)])
            along = values.movedim(axis + 1, -1)
            flat = along.reshape(len(low), -1, along.shape[-1])  # (P, all other axes, outputs)
            values = (flat @ kept.to(flat)).reshape(*along.shape[:-1], size).movedim(-1, axis + 1)
            low[:, axis] = first
        return [Windows(low, values)]


@dataclass(frozen=True, eq=False)
class Concatenation:
    """Arrays one after the other along an axis, of these lengths."""

    axis: int
    lengths: Shape

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        parts, start = [], 0
        for length in self.lengths:
            low, size = windows.low.copy(), list(windows.size)
            low[:, self.axis], size[self.axis] = start, length
            part = windows.moved(low, size)
            low = low.copy()
            low[:, self.axis] = 0
            parts.append(Windows(low, part.values))
            start += length
        return parts


@dataclass(frozen=True, eq=False)
class Permutation:
    """Axes in another order: ``order`` as for ``Tensor.permute``."""

    order: Shape

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        back = np.argsort(self.order)
        return [Windows(windows.low[:, back], windows.values.permute(0, *(int(axis) + 1 for axis in back)))]


@dataclass(frozen=True, eq=False)
class SingleAxes:
    """Axes of length 1 dropped or added; the others, in the same order, are ``kept`` (of the input, of the output)."""

    shape: Shape
    after: Shape

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        low = np.zeros((len(windows.low), len(self.shape)), dtype=np.int64)
        size = np.ones(len(self.shape), dtype=np.int64)
        here = [axis for axis, length in enumerate(self.shape) if length > 1]
        there = [axis for axis, length in enumerate(self.after) if length > 1]
        low[:, here], size[here] = windows.low[:, there], np.array(windows.size)[there]
        return [Windows(low, windows.values.reshape(len(low), *size.tolist()))]


@dataclass(frozen=True, eq=False)
class Excited:
    """Excitation back-propagation through a linear step: shares instead of slopes.

    An output's share goes to its inputs in proportion to what each adds to it: ``step`` with its weights cut at zero,
    times ``activity`` (of the input, >= 0), over ``drive``, the sum of all of them.
    """

    step: Step
    activity: Tensor
    drive: Tensor

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        drive = windows.crop(self.drive)
        share = torch.where(drive > 0, windows.values / drive, 0)
        (pulled,) = self.step.pull(windows.with_values(share))
        return [pulled.times(self.activity)]


@dataclass(frozen=True, eq=False)
class ExcitedSum:
    """The same through a sum of arrays of one shape, whose values above zero these are."""

    activities: tuple[Tensor, ...]

    def pull(self, windows: Windows) -> Sequence[Windows]:
        """See :class:`Step`."""
        crops = [windows.crop(each) for each in self.activities]
        drive = torch.stack(crops).sum(dim=0)
        share = torch.where(drive > 0, windows.values / drive, 0)
        return [windows.with_values(share * crop) for crop in crops]


def _split_first(values: Tensor, windows: Windows) -> Tensor:
    """(P * N, ...) -> (P, N, ...), as the windows have them."""
    return values.reshape(*windows.values.shape[:2], *values.shape[1:])


def vector_jacobian(function: Callable[[Tensor], Tensor], before: Tensor, signal: Tensor) -> Tensor:
    """Turn a gradient with respect to ``function(before)`` into one with respect to ``before``."""
    with torch.enable_grad():
        before = before.detach().requires_grad_()
        after = function(before)
        (gradient,) = torch.autograd.grad(after, before, signal.reshape(after.shape))
    return gradient


def make_axis_matrix(function: Callable[[Tensor], Tensor], length: int) -> Tensor:
    """Write a linear function of a line, (1, N, length) -> (1, N, outputs), as a matrix (outputs, length)."""
    return function(torch.eye(length)[None])[0].T


_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONVOLVE_BACK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
