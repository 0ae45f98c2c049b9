"""A forward pass that writes down how to run back through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from napari_weak3d.methods.centroids.steps import Excited, Same, Scaling, Step
from napari_weak3d.methods.centroids.windows import Windows

Rule: TypeAlias = Literal["guided", "excitation"]
Function: TypeAlias = Callable[..., Tensor]
"""One of torch's."""
Recorder: TypeAlias = Callable[["Tape", Function, tuple[Any, ...], dict[str, Any]], Tensor]
"""Records a call on a tape: the function, its arguments by position and by name; gives what the function makes."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A step, with the numbers of the arrays that it reads and of the one that it makes."""

    step: Step
    inputs: tuple[int, ...]
    output: int


class Tape(TorchFunctionMode):
    """What a network does to an image: the calls of torch's functions inside of a ``with`` block.

    Parameters
    ----------
    image
        (1, C, Z, Y, X).
    rule
        How a response is to run back.
    recorders
        By name of a function: how to record it.
    darkest
        (1, C, 1, 1, 1), for the rule "excitation"; None: the smallest values of the image.
    """

    def __init__(
        self, image: Tensor, *, rule: Rule, recorders: Mapping[str, Recorder], darkest: Tensor | None = None
    ) -> None:
        super().__init__()
        self.rule = rule
        self._recorders = recorders
        self._entries: list[Entry] = []
        self._shapes: list[tuple[int, ...]] = []
        self._numbers: Any = WeakTensorKeyDictionary()  # weak: what no step needs is freed during the pass
        self._image = image
        self._add(image)
        # An image has no zero: what of it excites is what lies above the darkest voxel of the channel.
        self._above_darkest: dict[int, Tensor] = {}
        if rule == "excitation":
            floor = image.amin(dim=(2, 3, 4), keepdim=True) if darkest is None else darkest.to(image)
            self._above_darkest[0] = image - floor

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function of torch; record it if it makes an array out of a recorded one.

        Raises
        ------
        TypeError
            There is no way back through it.
        """
        kwargs = dict(kwargs or {})
        if not any(self.knows(each) for each in _tensors([*args, *kwargs.values()])):
            return func(*args, **kwargs)
        kwargs.pop("inplace", None)  # what is written over cannot be gone back to
        name = func.__name__.strip("_")
        if not func.__name__.endswith("_") or func.__name__.startswith("__"):
            recorder = self._recorders.get(name)
            if recorder is not None:
                return recorder(self, func, args, kwargs)
        made = func(*args, **kwargs)
        if any(each.is_floating_point() for each in _tensors([made])):
            raise TypeError(f"no way is known back through {func.__name__}: response maps cannot use this network")
        return made

    def knows(self, value: object) -> bool:
        """Whether this is an array that the image went into."""
        return isinstance(value, Tensor) and value in self._numbers

    def record(self, step: Step, inputs: Sequence[Tensor], output: Tensor) -> Tensor:
        """Note that ``step`` makes ``output`` out of recorded inputs; gives the output, under a name of its own."""
        return self._record(step, tuple(self._number(each) for each in inputs), output)

    def _record(self, step: Step, numbers: tuple[int, ...], output: Tensor) -> Tensor:
        if self.knows(output):
            output = output.view_as(output)  # a function that had nothing to do returns its input
        self._add(output)
        self._entries.append(Entry(step, numbers, self._number(output)))
        return output

    def record_linear(
        self, step: Step, array: Tensor, output: Tensor, *, forward: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Record a linear step by the tape's rule.

        Parameters
        ----------
        step
            For the rule "excitation" with weights of at least 0.
        forward
            What it does to an array, without bias.
        """
        if self.rule == "excitation":
            activity = self.activity(array)
            step = Excited(step, activity, forward(activity))
        return self.record(step, [array], output)

    def record_rearranged(
        self, step: Step, inputs: Sequence[Tensor], *, function: Callable[[Sequence[Tensor]], Tensor]
    ) -> Tensor:
        """Run and record a step that only moves values: whatever is moved by it is still an image, if it was one."""
        output = self.record(step, inputs, function(inputs))
        images = [self._above_darkest[number] for number in map(self._number, inputs) if number in self._above_darkest]
        if len(images) == len(inputs):
            self._above_darkest[self._number(output)] = function(images)
        return output

    def record_scaling(self, step: Scaling, array: Tensor, output: Tensor) -> Tensor:
        """Record a step from one value to one value: what excites the one excites the other."""
        number = self._number(array)
        if self.rule == "excitation":
            return self._record(Same(), (number,), output)
        before = next((entry for entry in reversed(self._entries) if entry.output == number), None)
        if before is not None and isinstance(before.step, Scaling) and not before.step.positive_only:
            # A norm, then an activation: one product instead of two.
            return self._record(Scaling(step.factor * before.step.factor, step.positive_only), before.inputs, output)
        return self._record(step, (number,), output)

    def activity(self, array: Tensor) -> Tensor:
        """What of a recorded array can excite: values above 0, of an image what lies above its darkest voxel."""
        above = self._above_darkest.get(self._number(array))
        return array.clamp(min=0) if above is None else above

    def _number(self, array: Tensor) -> int:
        return cast(int, self._numbers[array])

    def _add(self, array: Tensor) -> None:
        self._numbers[array] = len(self._shapes)
        self._shapes.append(tuple(array.shape))

    def pull(self, points_vox: NDArray[np.int64]) -> Windows:
        """Run the responses at points (P, 3) of the last array, (1, 1, Z, Y, X), back: P windows of the image."""
        low = np.hstack([np.zeros((len(points_vox), 2), dtype=np.int64), points_vox])
        arrived = {len(self._shapes) - 1: Windows(low, self._image.new_ones(len(low), 1, 1, 1, 1, 1))}
        for entry in reversed(self._entries):
            # An array that the output does not depend on is passed over.
            if (windows := arrived.pop(entry.output, None)) is None:
                continue
            for number, pulled in zip(entry.inputs, entry.step.pull(windows), strict=True):
                before = arrived.get(number)
                arrived[number] = pulled if before is None else pulled.plus(before).within(self._shapes[number])
        return arrived[0]


def _tensors(values: Sequence[object]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)
