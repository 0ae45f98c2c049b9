"""How each function of torch that networks are made of is recorded on a tape.

A recorder is given the function and the arguments of a call. Those with several parameters are read by a dataclass
whose fields are torch's, in torch's order, since calls come in as networks make them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.centroids import steps
from napari_weak3d.methods.centroids.tape import Function, Recorder, Tape

Numbers: TypeAlias = int | Sequence[int]
Positional: TypeAlias = tuple[Any, ...]
Named: TypeAlias = dict[str, Any]


@dataclass
class _Convolving:
    input: Tensor
    weight: Tensor
    bias: Tensor | None = None
    stride: Numbers = 1
    padding: Numbers | str = 0
    dilation: Numbers = 1
    groups: int = 1


@dataclass
class _ConvolvingUp:
    input: Tensor
    weight: Tensor
    bias: Tensor | None = None
    stride: Numbers = 1
    padding: Numbers = 0
    output_padding: Numbers = 0
    groups: int = 1
    dilation: Numbers = 1


@dataclass
class _MaxPooling:
    input: Tensor
    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0
    dilation: Numbers = 1
    ceil_mode: bool = False
    return_indices: bool = False


@dataclass
class _Averaging:
    input: Tensor
    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None


@dataclass
class _Interpolating:
    input: Tensor
    size: Numbers | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None
    antialias: bool = False


@dataclass
class _Padding:
    input: Tensor
    pad: Sequence[int]
    mode: str = "constant"
    value: float | None = None


@dataclass
class _Normalising:
    input: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5


def _convolve(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _Convolving(*args, **kwargs)
    sizes = call.weight.shape[2:]
    dilation = _each(call.dilation, len(sizes))
    if call.padding == "same":  # of an odd sum the larger part lies behind
        before = tuple((size - 1) * step // 2 for size, step in zip(sizes, dilation, strict=True))
    else:
        before = _each(0 if call.padding == "valid" else call.padding, len(sizes))
    step = steps.Convolution(
        _weight(tape, call.weight), _each(call.stride, len(sizes)), before, dilation, call.groups, _shape(call.input)
    )
    return _record_weighted(tape, func, call, step=step)


def _convolve_up(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _ConvolvingUp(*args, **kwargs)
    stride, padding, dilation = (
        _each(value, call.weight.ndim - 2) for value in (call.stride, call.padding, call.dilation)
    )
    step = steps.UpConvolution(_weight(tape, call.weight), stride, padding, dilation, call.groups, _shape(call.input))
    return _record_weighted(tape, func, call, step=step)


def _weight(tape: Tape, weight: Tensor) -> Tensor:
    """What of the weights a response runs back through: only positive ones excite."""
    taken = weight.clamp(min=0) if tape.rule == "excitation" else weight
    return taken.contiguous(memory_format=_CHANNELS_LAST.get(taken.ndim, torch.contiguous_format))


def _record_weighted(
    tape: Tape, func: Function, call: _Convolving | _ConvolvingUp, *, step: steps.Convolution | steps.UpConvolution
) -> Tensor:
    def without_bias(array: Tensor) -> Tensor:
        return func(**vars(call) | {"input": array, "weight": step.weight, "bias": None})

    return tape.record_linear(step, call.input, func(**vars(call)), forward=without_bias)


def _pool_by_maximum(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _MaxPooling(*args, **kwargs)
    n_axes = call.input.ndim - 2
    if any(_each(call.padding, n_axes)) or any(each != 1 for each in _each(call.dilation, n_axes)):
        raise TypeError("response maps know no maximum pooling with padding or dilation")
    if call.ceil_mode or call.return_indices:
        raise TypeError("response maps know no maximum pooling with ceil_mode or return_indices")
    size = _each(call.kernel_size, n_axes)
    stride = _each(call.stride or size, n_axes)
    made = func(**vars(call))
    if size != stride:
        return tape.record(steps.MaxPooling(size, stride, call.input), [call.input], made)
    winners = steps.vector_jacobian(lambda before: func(before, size), call.input, torch.ones_like(made))
    return tape.record(steps.Unpooling(size, winners), [call.input], made)


def _pool_by_average(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _Averaging(*args, **kwargs)
    if call.divisor_override is not None:
        raise TypeError("response maps know no average pooling with divisor_override")
    n_axes = call.input.ndim - 2
    sizes = _each(call.kernel_size, n_axes)
    windows = zip(sizes, _each(call.stride or sizes, n_axes), _each(call.padding, n_axes), strict=True)
    lines = [
        partial(
            F.avg_pool1d,
            kernel_size=size,
            stride=stride,
            padding=padding,
            ceil_mode=call.ceil_mode,
            count_include_pad=call.count_include_pad,
        )
        for size, stride, padding in windows
    ]
    return _record_along_axes(tape, func, call, lines=lines)


def _interpolate(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _Interpolating(*args, **kwargs)
    if call.mode not in _ALONG_A_LINE or call.antialias:
        raise TypeError(f"response maps know no interpolation by mode {call.mode!r}, antialias {call.antialias}")
    n_axes = call.input.ndim - 2
    sizes, factors = _each(call.size, n_axes), _each(call.scale_factor, n_axes)
    lines = [
        partial(
            F.interpolate,
            size=size,
            scale_factor=factor,
            mode=_ALONG_A_LINE[call.mode],
            align_corners=call.align_corners,
            recompute_scale_factor=call.recompute_scale_factor,
        )
        for size, factor in zip(sizes, factors, strict=True)
    ]
    return _record_along_axes(tape, func, call, lines=lines)


def _record_along_axes(
    tape: Tape, func: Function, call: _Averaging | _Interpolating, *, lines: Sequence[Callable[[Tensor], Tensor]]
) -> Tensor:
    """Record a linear function that does ``lines`` one after the other along the axes after batch and channel."""
    maps = {axis: steps.make_axis_matrix(line, call.input.shape[axis]) for axis, line in enumerate(lines, start=2)}

    def forward(array: Tensor) -> Tensor:
        return func(**vars(call) | {"input": array})

    return tape.record_linear(steps.AxisMaps(maps), call.input, forward(call.input), forward=forward)


def _pad(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _Padding(*args, **kwargs)
    maps = {
        axis: steps.make_axis_matrix(partial(F.pad, pad=(before, after), mode=call.mode), call.input.shape[axis])
        for axis, before, after in zip(range(call.input.ndim - 1, -1, -1), call.pad[::2], call.pad[1::2], strict=False)
    }
    return tape.record_rearranged(
        steps.AxisMaps(maps), [call.input], function=lambda arrays: func(**vars(call) | {"input": arrays[0]})
    )


def _slice(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    array, index = args
    items = list(index) if isinstance(index, tuple) else [index]
    dots = [number for number, item in enumerate(items) if item is Ellipsis]
    for number in dots:
        items[number : number + 1] = [slice(None)] * (array.ndim - len(items) + 1)
    lists = [item for item in items if isinstance(item, Tensor) and item.ndim == 1]
    slices = [item for item in items if isinstance(item, slice)]
    if len(lists) > 1 or len(lists) + len(slices) < len(items):
        raise TypeError(f"response maps know slices, and one list of indices among them, not {index}")
    maps = {
        axis: steps.make_axis_matrix(lambda line, item=item: line[..., item], array.shape[axis])  # type: ignore[misc]
        for axis, item in enumerate(items)
        if isinstance(item, Tensor) or item != slice(None)
    }
    return tape.record_rearranged(steps.AxisMaps(maps), [array], function=lambda arrays: func(arrays[0], index))


def _normalise(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    call = _Normalising(*args, **kwargs)
    if call.training or call.running_var is None:
        return _refuse_norm(tape, func, args, kwargs)
    factor = torch.rsqrt(call.running_var + call.eps) * (1 if call.weight is None else call.weight)
    factor = factor.reshape(1, -1, *[1] * (call.input.ndim - 2))
    return tape.record_scaling(steps.Scaling(factor), call.input, func(**vars(call)))


def _refuse_norm(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    raise ValueError(
        f"{func.__name__} takes its statistics from the image, so every voxel of the output depends on every voxel of "
        "it: set the network to eval(), with batch norms that have gathered statistics"
    )


def _activate(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    array, *rest = args if args else (kwargs.pop("input"),)
    one_sided = tape.rule == "guided" and func.__name__ not in _SQUASHING
    made = func(array, *rest, **kwargs)
    slope = steps.vector_jacobian(lambda before: func(before, *rest, **kwargs), array, torch.ones_like(made))
    return tape.record_scaling(steps.Scaling(slope, positive_only=one_sided), array, made)


def _drop_out(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    array, _, training = (*args, kwargs.get("p"), kwargs.get("training", True))[:3]
    if training:
        raise ValueError("the network drops values at random: set it to eval() for response maps")
    return _keep(tape, torch.clone, (array,), {})


def _keep(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    return tape.record_rearranged(steps.Same(), args[:1], function=lambda arrays: func(arrays[0], *args[1:], **kwargs))


def _permute(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    array, *rest = args
    # The lengths of a probe's axes tell where each axis went.
    probe = torch.empty(tuple(range(1, array.ndim + 1)), device="meta")
    order = tuple(length - 1 for length in func(probe, *rest, **kwargs).shape)
    return tape.record_rearranged(
        steps.Permutation(order), [array], function=lambda arrays: func(arrays[0], *rest, **kwargs)
    )


def _reshape(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    array, *rest = args
    before, after = _shape(array), _shape(func(array, *rest, **kwargs))
    if [length for length in before if length > 1] != [length for length in after if length > 1]:
        raise TypeError(f"response maps know reshapes that add or drop axes of length 1 only, not {before} to {after}")
    return tape.record_rearranged(
        steps.SingleAxes(before, after), [array], function=lambda arrays: func(arrays[0], *rest, **kwargs)
    )


def _concatenate(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    arrays, axis = (*args, kwargs.get("dim", 0))[:2] if args else (kwargs["tensors"], kwargs.get("dim", 0))
    if not all(tape.knows(each) for each in arrays):
        raise TypeError("response maps know concatenations of arrays only that all come from the image")
    axis %= arrays[0].ndim
    step = steps.Concatenation(axis, tuple(each.shape[axis] for each in arrays))
    return tape.record_rearranged(step, arrays, function=lambda parts: func(list(parts), axis))


def _add(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    made = func(*args, **kwargs)
    known = [each for each in args if tape.knows(each)]
    if kwargs or any(each.shape != made.shape for each in known):
        raise TypeError("response maps know sums of two arrays of one shape, and of an array and a constant")
    if len(known) > 1 and tape.rule == "excitation":
        return tape.record(steps.ExcitedSum(tuple(tape.activity(each) for each in known)), known, made)
    return tape.record(steps.Same(len(known)), known, made)


def _multiply(tape: Tape, func: Function, args: Positional, kwargs: Named) -> Tensor:
    made = func(*args, **kwargs)
    known = [each for each in args if tape.knows(each)]
    constants = [each for each in args if not tape.knows(each)]
    if len(known) != 1 or known[0].shape != made.shape:
        raise TypeError("response maps know products of an array and a constant only")
    factor = torch.as_tensor(constants[0], dtype=made.dtype, device=made.device)
    factor = factor.reshape([1] * (made.ndim - factor.ndim) + list(factor.shape))
    return tape.record_scaling(steps.Scaling(factor), known[0], made)


def _shape(array: Tensor) -> tuple[int, ...]:
    return tuple(array.shape)


def _each(value: Any, n_axes: int) -> tuple[Any, ...]:
    """One value for all axes, or one for each -> one for each."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values * n_axes if len(values) == 1 else values


_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The order in memory that windows take on from the weights; the arrays have it from the image."""
_ALONG_A_LINE = {
    "nearest": "nearest",
    "nearest-exact": "nearest-exact",
    "area": "area",
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
}
"""Interpolations that are one along each axis, and what that one is called."""
_SQUASHING = ("sigmoid", "tanh")
"""Activations that do not rectify: both signs of a gradient pass."""

_NAMES: dict[Recorder, tuple[str, ...]] = {
    _convolve: ("conv1d", "conv2d", "conv3d"),
    _convolve_up: ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    _pool_by_maximum: ("max_pool1d", "max_pool2d", "max_pool3d"),
    _pool_by_average: ("avg_pool1d", "avg_pool2d", "avg_pool3d"),
    _interpolate: ("interpolate",),
    _pad: ("pad",),
    _slice: ("getitem",),
    _normalise: ("batch_norm",),
    _refuse_norm: ("group_norm", "instance_norm", "layer_norm"),
    _activate: ("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "silu", "gelu", "softplus", *_SQUASHING),
    _drop_out: ("dropout", "dropout1d", "dropout2d", "dropout3d"),
    _keep: ("contiguous", "clone"),
    _permute: ("permute", "transpose", "movedim"),
    _reshape: ("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze"),
    _concatenate: ("cat", "concat"),
    _add: ("add", "radd", "iadd"),
    _multiply: ("mul", "rmul", "imul"),
}
RECORDERS = {name: recorder for recorder, names in _NAMES.items() for name in names}
"""By the name of torch's function, without underscores."""
